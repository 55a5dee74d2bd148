//! One engine and its clients: who gets which event, who drives, and what happens when a connection breaks.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::frame::{self, LONGEST_REQUEST, MAGIC, WireError};
use super::line::Line;
use super::peer::Peer;
use super::wire::{Hello, LONGEST_HELLO, PROTOCOL, Up, Welcome, snapshot_of};
use crate::answer::{Answer, ErrorView};
use crate::commands::Console;
use crate::engine::messages::{Answered, Event, Request, Snapshot};
use crate::engine::thread::Handle;
use crate::lang::command::split_command;

/// How many clients there may be.
const MOST_CLIENTS: usize = 16;

/// How many requests of a client may wait; a frontend sends few at a time.
const MOST_WAITING: usize = 1000;

/// Bytes of the requests of a client that may wait.
const MOST_WAITING_BYTES: usize = 16 << 20;

/// How long a client that is away is remembered.
const REMEMBERED: Duration = Duration::from_secs(600);

/// How long clients have to read the last events of an engine that has ended.
const FAREWELL: Duration = Duration::from_secs(10);

/// An engine and its clients.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Something happened that a connection may have to send.
    news: Condvar,
    interrupt: Arc<AtomicBool>,
    session: String,
    outlives: bool,
}

struct State {
    requests: Sender<Request>,
    /// Whose the requests are that the engine has not answered, in their order.
    owners: VecDeque<Owner>,
    peers: BTreeMap<String, Peer>,
    driver: Option<String>,
    snapshot: Option<Arc<Snapshot>>,
    failed: Option<String>,
    ended: bool,
    connections: u64,
    notices: Vec<String>,
}

struct Owner {
    /// The client; empty for what the session runs at its own start.
    client: String,
    /// The number and the line of a command of one who only looks, which runs as a query.
    looked: Option<(u64, String)>,
    /// Bytes of the request.
    size: usize,
}

impl Hub {
    /// Takes over an engine. `start` is what it is asked first, by nobody: what is refused of it becomes a notice.
    pub fn new(engine: Handle, interrupt: Arc<AtomicBool>, outlives: bool, start: Vec<Request>) -> Hub {
        let Handle { requests, events, .. } = engine;
        let own = || Owner { client: String::new(), looked: None, size: 0 };
        let owners = start.iter().map(|_| own()).collect();
        // If the engine has ended already, its events say why.
        start.into_iter().for_each(|request| _ = requests.send(request));
        let state = State {
            requests,
            owners,
            peers: BTreeMap::new(),
            driver: None,
            snapshot: None,
            failed: None,
            ended: false,
            connections: 0,
            notices: Vec::new(),
        };
        let shared = Shared { state: Mutex::new(state), news: Condvar::new(), interrupt, session: token(), outlives };
        let hub = Hub { shared: Arc::new(shared) };
        let pump = hub.clone();
        std::thread::spawn(move || {
            for event in events {
                pump.lock().take(event);
                pump.shared.news.notify_all();
            }
            pump.lock().ended = true;
            pump.shared.news.notify_all();
        });
        hub
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the engine has ended.
    pub fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Why the model could not be opened, if it could not.
    pub fn failure(&self) -> Option<String> {
        self.lock().failed.clone()
    }

    /// Ends the engine, and with it every connection.
    pub fn shut_down(&self) {
        self.shared.interrupt.store(true, Ordering::SeqCst);
        // It may have ended.
        _ = self.lock().requests.send(Request::Shutdown);
    }

    /// Waits until the engine has ended and its last events are sent, or nobody reads them. With `somebody`, they are for
    /// a client that may still be on its way.
    pub fn wait(&self, somebody: bool) {
        let mut state = self.lock();
        while !state.ended {
            state = self.shared.news.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let end = Instant::now() + FAREWELL;
        let open = |state: &State| {
            (somebody && state.connections == 0) || state.peers.values().any(|peer| peer.connection.is_some())
        };
        while open(&state) && Instant::now() < end {
            let waited = self.shared.news.wait_timeout(state, Duration::from_millis(100));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Serves a connection until it ends.
    ///
    /// # Errors
    /// If the other end is not a client of this protocol, or says what it must not.
    pub fn converse(&self, line: Line) -> Result<(), WireError> {
        let Line { mut input, mut output, close, .. } = line;
        let welcome = |refused: &str| Welcome {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").into(),
            refused: refused.into(),
            ..Welcome::default()
        };
        output.write_all(MAGIC)?;
        frame::read_magic(&mut input)?;
        let hello: Hello = frame::read(&mut input, LONGEST_HELLO)?.ok_or(WireError::Cut)?;
        if hello.protocol != PROTOCOL {
            // It is told the number, and finds the words itself.
            frame::write(&mut output, &welcome(""), LONGEST_HELLO)?;
            return Err(WireError::Protocol { theirs: hello.protocol, version: hello.version });
        }
        let attached = self.lock().attach(&hello);
        let (connection, accepted, resumed, drives) = match attached {
            Ok(attached) => attached,
            Err(refused) => {
                frame::write(&mut output, &welcome(&refused.to_string()), LONGEST_HELLO)?;
                return Err(refused);
            }
        };
        let folder = std::env::current_dir().unwrap_or_default().to_string_lossy().into_owned();
        let notices = self.lock().notices.iter().take(20).map(|notice| notice.chars().take(300).collect()).collect();
        let (session, outlives) = (self.shared.session.clone(), self.shared.outlives);
        let welcome = Welcome { session, outlives, accepted, resumed, drives, folder, notices, ..welcome("") };
        let client = hello.client;
        let said = frame::write(&mut output, &welcome, usize::MAX).and_then(|()| {
            let (hub, name) = (self.clone(), client.clone());
            // The writer ends when this connection does.
            std::thread::scope(|scope| {
                let close = &close;
                scope.spawn(move || {
                    let sent = hub.send_all(&name, connection, &mut output);
                    if let Err(error) = sent {
                        tracing::info!("a client is gone: {error}");
                    }
                    drop(output);
                    hub.lock().detach(&name, connection, hub.shared.outlives);
                    hub.shared.news.notify_all();
                    close();
                });
                let heard = self.listen(&client, connection, &mut input);
                self.lock().detach(&client, connection, self.shared.outlives);
                self.shared.news.notify_all();
                close();
                heard
            })
        });
        if said.is_err() {
            self.lock().detach(&client, connection, self.shared.outlives);
        }
        said
    }

    /// Sends what a client has to get, until its connection ends.
    fn send_all(&self, client: &str, connection: u64, output: &mut dyn Write) -> Result<(), WireError> {
        let mut has: Option<Arc<Snapshot>> = None;
        loop {
            let mut state = self.lock();
            let (number, accepted, content) = loop {
                let ended = state.ended;
                let Some(peer) = state.peers.get_mut(client).filter(|peer| peer.connection == Some(connection)) else {
                    return Ok(());
                };
                if let Some(next) = peer.next() {
                    break next;
                }
                if ended && peer.is_drained() {
                    return Ok(());
                }
                state = self.shared.news.wait(state).unwrap_or_else(PoisonError::into_inner);
            };
            drop(state);
            output.write_all(&content.message(number, accepted, has.as_deref())?)?;
            output.flush()?;
            if let super::peer::Content::Snapshot { snapshot, .. } = &content {
                has = Some(snapshot.clone());
            }
        }
    }

    /// Takes what a client says, until its connection ends.
    fn listen(&self, client: &str, connection: u64, input: &mut dyn std::io::Read) -> Result<(), WireError> {
        let mut input = input;
        while let Some(message) = frame::read::<Up>(&mut input, LONGEST_REQUEST)? {
            let mut state = self.lock();
            if state.peers.get(client).is_none_or(|peer| peer.connection != Some(connection)) {
                return Ok(());
            }
            match message {
                Up::Request { number, request } => state.ask(client, number, request)?,
                Up::Interrupt if state.may_interrupt(client) => self.shared.interrupt.store(true, Ordering::SeqCst),
                Up::Interrupt => {}
                Up::Received(number) => state.peers.entry(client.into()).or_default().received(number),
                Up::Leave => {
                    state.forget(client);
                    return Ok(());
                }
            }
            drop(state);
            self.shared.news.notify_all();
        }
        Ok(())
    }
}

/// The number of a connection, the last request that had come, whether the client was known, and whether it drives.
type Attached = (u64, u64, bool, bool);

impl State {
    fn attach(&mut self, hello: &Hello) -> Result<Attached, WireError> {
        self.peers.retain(|_, peer| peer.lost.is_none_or(|lost| lost.elapsed() < REMEMBERED));
        let known = self.peers.contains_key(&hello.client);
        if hello.client.is_empty() || hello.client.len() > 64 {
            return Err(WireError::Refused("it has not said who it is".into()));
        }
        if !known && self.peers.len() >= MOST_CLIENTS {
            // The one that has been away for longest makes room.
            let away = self.peers.iter().filter_map(|(name, peer)| Some((peer.lost?, name.clone()))).min();
            let full = || WireError::Refused(format!("there are {MOST_CLIENTS} clients already"));
            let (_, away) = away.ok_or_else(full)?;
            self.forget(&away);
        }
        self.connections += 1;
        let peer = self.peers.entry(hello.client.clone()).or_default();
        peer.attach(self.connections, hello.received);
        let accepted = peer.accepted;
        if !known {
            if let Some(snapshot) = &self.snapshot {
                peer.push(&Event::Ready(snapshot.clone()));
            }
            if let Some(failed) = &self.failed {
                peer.push(&Event::LoadFailed(failed.clone()));
            }
        }
        Ok((self.connections, accepted, known, !self.is_driven_by_another(&hello.client)))
    }

    fn detach(&mut self, client: &str, connection: u64, outlives: bool) {
        if let Some(peer) = self.peers.get_mut(client).filter(|peer| peer.connection == Some(connection)) {
            (peer.connection, peer.lost) = (None, Some(Instant::now()));
        }
        if !outlives {
            self.forget(client);
        }
    }

    fn forget(&mut self, client: &str) {
        self.peers.remove(client);
        if self.driver.as_deref() == Some(client) {
            self.driver = None;
        }
    }

    /// Whether a client that is connected drives, and is not this one.
    fn is_driven_by_another(&self, client: &str) -> bool {
        let driver = self.driver.as_ref().filter(|driver| *driver != client);
        driver.and_then(|driver| self.peers.get(driver)).is_some_and(|peer| peer.connection.is_some())
    }

    /// Who drives interrupts everything; who looks, what it asked for itself.
    fn may_interrupt(&self, client: &str) -> bool {
        self.owners.front().is_some_and(|front| front.client == client)
            || (!self.owners.is_empty() && self.driver.as_deref() == Some(client))
    }

    fn ask(&mut self, client: &str, number: u64, request: Request) -> Result<(), WireError> {
        let driven = self.is_driven_by_another(client);
        let Some(peer) = self.peers.get_mut(client) else { return Ok(()) };
        if number <= peer.accepted {
            // It came before the connection broke.
            return Ok(());
        }
        if number != peer.accepted + 1 {
            return Err(WireError::Malformed(format!("request {number} follows request {}", peer.accepted)));
        }
        let size = size_of(&request);
        if peer.waiting >= MOST_WAITING || peer.waiting_bytes + size > MOST_WAITING_BYTES {
            return Err(WireError::Refused(format!("{} requests wait for answers", peer.waiting)));
        }
        peer.accepted = number;
        let (mut request, mut looked) = (request, None);
        match &request {
            // A client leaves by a message of its own; nobody ends the session of others.
            Request::Shutdown => return Ok(()),
            Request::Command { id, line, .. } if driven => {
                if !only_looks(line) {
                    peer.push(&answer(*id, line.clone(), refused("change it")));
                    return Ok(());
                }
                looked = Some((*id, line.clone()));
                request = Request::Query { line: line.clone() };
            }
            Request::Script { id, file, .. } if driven => {
                let line = format!("source {}", file.display());
                peer.push(&answer(*id, line, refused("run scripts")));
                return Ok(());
            }
            Request::Command { .. } | Request::Script { .. } => self.driver = Some(client.to_string()),
            _ => {}
        }
        peer.waiting += 1;
        peer.waiting_bytes += size;
        self.owners.push_back(Owner { client: client.to_string(), looked, size });
        // If the engine has ended, so has the connection.
        _ = self.requests.send(request);
        Ok(())
    }

    /// Passes on an event of the engine.
    fn take(&mut self, event: Event) {
        if let Some(snapshot) = snapshot_of(&event) {
            self.snapshot = Some(snapshot.clone());
        }
        match &event {
            Event::LoadFailed(message) => {
                self.failed = Some(message.clone());
                self.to_all(&event);
            }
            Event::Ready(_) | Event::Moved(_) | Event::Progress { .. } => self.to_all(&event),
            Event::Quit(_) => self.to_owner(&event),
            Event::Answer(Answered { in_script: true, .. }) => self.to_owner(&event),
            Event::Queried { answer: found, .. } if self.owners.front().is_some_and(|front| front.looked.is_some()) => {
                let looked = self.owners.front_mut().and_then(|front| front.looked.take());
                if let Some((id, line)) = looked {
                    self.to_owner(&answer(id, line, found.clone()));
                }
                self.answered();
            }
            Event::Answer(_)
            | Event::Queried { .. }
            | Event::Panel { .. }
            | Event::Checked { .. }
            | Event::Completions { .. } => {
                self.to_owner(&event);
                self.answered();
            }
        }
    }

    fn answered(&mut self) {
        let Some(owner) = self.owners.pop_front() else { return };
        if let Some(peer) = self.peers.get_mut(&owner.client) {
            peer.waiting = peer.waiting.saturating_sub(1);
            peer.waiting_bytes = peer.waiting_bytes.saturating_sub(owner.size);
        }
    }

    fn to_owner(&mut self, event: &Event) {
        let Some(client) = self.owners.front().map(|owner| owner.client.clone()) else { return };
        if client.is_empty() {
            if let Event::Answer(Answered { answer: Answer::Error(error), line, .. }) = event {
                self.notices.push(format!("{line}: {}", error.message));
            }
            return;
        }
        self.give(&client, event);
    }

    fn to_all(&mut self, event: &Event) {
        let clients: Vec<String> = self.peers.keys().cloned().collect();
        clients.iter().for_each(|client| self.give(client, event));
    }

    /// Gives an event to a client. One that has been too slow is no longer served.
    fn give(&mut self, client: &str, event: &Event) {
        if self.peers.get_mut(client).is_some_and(|peer| !peer.push(event)) {
            tracing::warn!("a client has not read what it was sent, and is left");
            self.forget(client);
        }
    }
}

fn answer(id: u64, line: String, answer: Answer) -> Event {
    Event::Answer(Answered { id, line, answer, at: None, ms: 0.0, printed: Vec::new(), in_script: false })
}

fn refused(what: &str) -> Answer {
    let message = format!("another connection drives this session, so this one cannot {what}; it can look");
    Answer::Error(ErrorView { message, ..ErrorView::default() })
}

/// Bytes of the text that a request carries.
fn size_of(request: &Request) -> usize {
    match request {
        Request::Command { line, .. }
        | Request::Query { line }
        | Request::Check { line }
        | Request::Complete { line, .. } => line.len(),
        Request::Script { .. } | Request::Panel(_) | Request::Shutdown => 0,
    }
}

/// Whether a line is a command that changes nothing and leaves nothing after.
fn only_looks(line: &str) -> bool {
    split_command(line).is_none_or(|call| Console::command(call.word).is_some_and(|command| command.fills))
}

/// A number that no other process has.
pub fn token() -> String {
    let random = || RandomState::new().hash_one((std::process::id(), Instant::now()));
    format!("{:016x}{:016x}", random(), random())
}
