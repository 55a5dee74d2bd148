//! The client's end: the two ends of a channel, as to an engine of this process, whose messages cross a connection.
//!
//! When the connection breaks and the session goes on without it, it is made again: requests that had not come are sent
//! once more, and what was missed follows. The frontend notices nothing but that it takes longer.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, select, tick, unbounded};
use thiserror::Error;

use super::frame::{self, LONGEST_EVENT, LONGEST_REQUEST, MAGIC, WireError};
use super::hub::token;
use super::line::{Line, Target};
use super::wire::{Down, Hello, LONGEST_HELLO, PROTOCOL, Up, Welcome, snapshot_in};
use crate::engine::messages::{Event, Request, Snapshot};
use crate::engine::thread::Handle;

/// How often the interrupt flag is looked at.
const GLANCE: Duration = Duration::from_millis(20);

/// How long a broken connection is tried again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// A connection to a session elsewhere.
pub struct Connected {
    /// As to an engine thread.
    pub handle: Handle,
    /// Whether this client drives; if not, another one does, and this one looks.
    pub drives: bool,
}

/// Connects to a session. Setting `interrupt` interrupts it, as with an engine of this process.
///
/// # Errors
/// If there is no connection, or what is at its other end is not a server of this protocol.
pub fn connect(target: &Target, interrupt: Arc<AtomicBool>) -> Result<Connected, WireError> {
    let again = target.clone();
    connect_line(target.open()?, Box::new(move || again.open()), &target.to_string(), interrupt)
}

/// The same over a line that is open. `open` makes it again.
///
/// # Errors
/// As [`connect`].
pub fn connect_line(
    line: Line,
    open: Box<dyn Fn() -> std::io::Result<Line> + Send>,
    name: &str,
    interrupt: Arc<AtomicBool>,
) -> Result<Connected, WireError> {
    let client = token();
    let (line, welcome) = introduced(line, &client, 0)?;
    let (request_sender, requests) = unbounded();
    let (events, event_receiver) = unbounded();
    let mut notices =
        vec![format!("connected to {name}; the names of files in commands are of that machine, in {}", welcome.folder)];
    if !welcome.drives {
        notices.push("another connection drives this session; this one can look".into());
    }
    notices.extend(welcome.notices.iter().cloned());
    let drives = welcome.drives;
    let mut bridge = Bridge {
        open,
        client,
        welcome,
        requests,
        events,
        interrupt,
        last: None,
        number: 0,
        unheard: VecDeque::new(),
        received: 0,
        notices,
    };
    let join = std::thread::Builder::new().name("remote".into()).spawn(move || bridge.run(line))?;
    Ok(Connected { handle: Handle { requests: request_sender, events: event_receiver, join }, drives })
}

/// Says who this is, and hears who that is.
fn introduced(mut line: Line, client: &str, received: u64) -> Result<(Line, Welcome), WireError> {
    let hello =
        Hello { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").into(), client: client.into(), received };
    let mut greeting = MAGIC.to_vec();
    greeting.extend(frame::encode(&hello, LONGEST_HELLO)?);
    // If the other end is gone already, what it said says why.
    _ = line.output.write_all(&greeting).and_then(|()| line.output.flush());
    let heard = frame::read_magic(&mut line.input)
        .and_then(|()| frame::read::<Welcome>(&mut line.input, LONGEST_HELLO)?.ok_or(WireError::Cut));
    let welcome = heard.map_err(|error| {
        // What ssh says about it may still be on its way.
        std::thread::sleep(Duration::from_millis(100));
        match error {
            WireError::NotLlmdbg(seen) => WireError::NotLlmdbg(seen + &line.complaint()),
            error => error,
        }
    })?;
    if welcome.protocol != PROTOCOL {
        return Err(WireError::Protocol { theirs: welcome.protocol, version: welcome.version });
    }
    match welcome.refused.as_str() {
        "" => Ok((line, welcome)),
        refused => Err(WireError::Refused(refused.to_string())),
    }
}

struct Bridge {
    open: Box<dyn Fn() -> std::io::Result<Line> + Send>,
    client: String,
    welcome: Welcome,
    requests: Receiver<Request>,
    events: Sender<Event>,
    interrupt: Arc<AtomicBool>,
    /// The last snapshot, complete.
    last: Option<Arc<Snapshot>>,
    /// The last request.
    number: u64,
    /// Requests of which it is not known that they have come.
    unheard: VecDeque<(u64, Request)>,
    /// The last event.
    received: u64,
    /// To be said with the first snapshot.
    notices: Vec<String>,
}

/// How a connection ended.
enum End {
    /// The frontend has left.
    Left,
    Broken(String),
}

/// Why a broken connection is not made again.
#[derive(Debug, Error)]
enum Lost {
    #[error("{0}, and there is another session now")]
    Another(String),
    #[error("{0} for too long: the session goes on; connect to it again")]
    Forgotten(String),
    #[error("{why}, and {error}")]
    Still { why: String, error: WireError },
}

impl Bridge {
    fn run(&mut self, line: Line) {
        let mut line = line;
        loop {
            let why = match self.converse(line) {
                End::Left => return,
                End::Broken(why) => why,
            };
            if !self.welcome.outlives {
                return self.lose(&why);
            }
            line = match self.again(&why) {
                Ok(Some(line)) => line,
                Ok(None) => return,
                Err(lost) => return self.lose(&lost.to_string()),
            };
        }
    }

    /// Says that there is no session any more.
    fn lose(&self, why: &str) {
        // The frontend may have left.
        _ = self.events.send(Event::LoadFailed(why.to_string()));
    }

    /// Makes the connection again; `None` if the frontend leaves in the meantime.
    fn again(&mut self, why: &str) -> Result<Option<Line>, Lost> {
        let since = Instant::now();
        loop {
            let seconds = since.elapsed().as_secs();
            let what = format!("{why}; connecting again");
            _ = self.events.send(Event::Progress { what, done: seconds, total: PATIENCE.as_secs() });
            match (self.open)().map_err(WireError::from).and_then(|line| introduced(line, &self.client, self.received))
            {
                Ok((_, welcome)) if welcome.session != self.welcome.session => {
                    return Err(Lost::Another(why.into()));
                }
                Ok((_, welcome)) if !welcome.resumed => {
                    return Err(Lost::Forgotten(why.into()));
                }
                Ok((line, welcome)) => {
                    self.heard(welcome.accepted);
                    self.welcome = welcome;
                    return Ok(Some(line));
                }
                Err(error) if since.elapsed() > PATIENCE => return Err(Lost::Still { why: why.into(), error }),
                Err(_) => {}
            }
            // A request waits; that the frontend leaves does not.
            match self.requests.recv_timeout(PAUSE) {
                Ok(Request::Shutdown) | Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Ok(request) => self.number(request),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn number(&mut self, request: Request) {
        self.number += 1;
        self.unheard.push_back((self.number, request));
    }

    fn heard(&mut self, accepted: u64) {
        while self.unheard.front().is_some_and(|(number, _)| *number <= accepted) {
            self.unheard.pop_front();
        }
    }

    /// Passes messages both ways until the connection ends.
    fn converse(&mut self, line: Line) -> End {
        let said = line.said.clone();
        let Line { mut input, mut output, close, .. } = line;
        let (sender, arrived) = unbounded();
        // It ends with the input, which a command that hangs may hold open: nobody waits for it.
        std::thread::spawn(move || {
            loop {
                let message = frame::read::<Down>(&mut input, LONGEST_EVENT);
                let last = !matches!(message, Ok(Some(_)));
                if sender.send(message).is_err() || last {
                    return;
                }
            }
        });
        let end = self.exchange(&mut output, &arrived);
        drop(output);
        close();
        match end {
            End::Broken(why) => {
                let said = said.lock().map(|said| said.trim().to_string()).unwrap_or_default();
                End::Broken(if said.is_empty() { why } else { format!("{why}\n{said}") })
            }
            left => left,
        }
    }

    fn exchange(&mut self, output: &mut dyn Write, arrived: &Receiver<Result<Option<Down>, WireError>>) -> End {
        let mut output = output;
        let mut say = |message: &Up| frame::write(&mut output, message, LONGEST_REQUEST);
        // If writing fails, reading does too, and says so when everything has been read.
        for (number, request) in self.unheard.clone() {
            _ = say(&Up::Request { number, request });
        }
        let (glance, requests) = (tick(GLANCE), self.requests.clone());
        let mut acknowledged = self.received;
        loop {
            select! {
                recv(requests) -> request => match request {
                    Ok(Request::Shutdown) | Err(_) => {
                        _ = say(&Up::Leave);
                        return End::Left;
                    }
                    Ok(request) => {
                        self.number(request.clone());
                        let number = self.number;
                        if let Err(WireError::TooLong { length, limit }) = say(&Up::Request { number, request }) {
                            return End::Broken(format!("a command of {length} bytes; {limit} is the most"));
                        }
                    }
                },
                recv(arrived) -> message => match message {
                    Ok(Ok(Some(down))) => {
                        if !self.take(down) {
                            _ = say(&Up::Leave);
                            return End::Left;
                        }
                        if self.received > acknowledged && arrived.is_empty() {
                            acknowledged = self.received;
                            _ = say(&Up::Received(acknowledged));
                        }
                    }
                    Ok(Ok(None)) | Err(_) => return End::Broken("the connection has ended".into()),
                    Ok(Err(error)) => return End::Broken(error.to_string()),
                },
                recv(glance) -> _ => {
                    if self.interrupt.swap(false, Ordering::SeqCst) {
                        _ = say(&Up::Interrupt);
                    }
                }
            }
        }
    }

    /// Passes an event on. False if the frontend has left.
    fn take(&mut self, down: Down) -> bool {
        let Down { number, accepted, mut event, parts } = down;
        self.heard(accepted);
        if number != 0 {
            if number <= self.received {
                return true;
            }
            self.received = number;
        }
        if let Some(snapshot) = snapshot_in(&mut event) {
            let complete = Arc::make_mut(snapshot);
            parts.complete(complete, self.last.as_deref());
            self.last = Some(Arc::new(complete.clone()));
            complete.notices.splice(0..0, std::mem::take(&mut self.notices));
        }
        self.events.send(event).is_ok()
    }
}
