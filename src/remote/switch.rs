//! `target remote` and `disconnect`: from the session of this process to one elsewhere and back, under a frontend that goes
//! on. The session of this process waits in the meantime, and is as it was left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select, tick, unbounded};

use super::frame::WireError;
use super::line::Target;
use super::{Connected, connect};
use crate::answer::{Answer, ErrorView, Fault};
use crate::commands::Console;
use crate::engine::messages::{Answered, Event, Request, Snapshot};
use crate::engine::script::word_of;
use crate::engine::thread::Handle;

/// How often the interrupt flag is looked at while a connection is being made.
const GLANCE: Duration = Duration::from_millis(20);

/// How long the other end has to say what it is.
const PATIENCE: Duration = Duration::from_secs(60);

/// The ends of the channels to a session that commands can exchange for another; at first it is `here`.
///
/// # Errors
/// If the system has no more threads.
pub fn switchable(here: Handle, interrupt: Arc<AtomicBool>) -> std::io::Result<Handle> {
    let (sender, requests) = unbounded();
    let (events, receiver) = unbounded();
    let switch = Switch { here, there: None, requests, events, interrupt, left: None, running: None };
    let join = thread::Builder::new().name("switch".into()).spawn(move || switch.run())?;
    Ok(Handle { requests: sender, events: receiver, join })
}

/// What a line asks of the switch itself.
enum Asks {
    /// `target remote`
    Remote(Target),
    /// `disconnect`
    Here,
}

impl Asks {
    fn of(line: &str) -> Option<Asks> {
        let named = |name: &str| Console::command(word_of(line)).is_some_and(|command| command.name == name);
        let rest = line.trim().split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim());
        if named("disconnect") {
            return rest.is_empty().then_some(Asks::Here);
        }
        let (kind, target) = rest.split_once(char::is_whitespace)?;
        (named("target") && kind == "remote").then(|| Asks::Remote(Target::parse(target)))
    }
}

struct Switch {
    here: Handle,
    /// The session elsewhere, and the line that connected to it.
    there: Option<(String, Handle)>,
    requests: Receiver<Request>,
    events: Sender<Event>,
    interrupt: Arc<AtomicBool>,
    /// The session of this process as it was last seen.
    left: Option<Arc<Snapshot>>,
    /// The command that has not been answered.
    running: Option<(u64, String)>,
}

/// The frontend has left, or the session that it looks at has ended.
struct Ended;

impl Switch {
    fn run(mut self) {
        while self.pass().is_ok() {}
        let there = self.there.take().map(|(_, there)| there);
        // They may have ended already.
        for handle in there.into_iter().chain([self.here]) {
            _ = handle.requests.send(Request::Shutdown);
            // Whoever waits for a place for its events finds that nobody reads them.
            drop(handle.events);
            _ = handle.join.join();
        }
    }

    fn active(&self) -> &Handle {
        self.there.as_ref().map_or(&self.here, |(_, there)| there)
    }

    /// Passes one message on.
    fn pass(&mut self) -> Result<(), Ended> {
        let (requests, events) = (self.requests.clone(), self.active().events.clone());
        select! {
            recv(requests) -> request => match request {
                Ok(Request::Command { id, line, source }) => match Asks::of(&line) {
                    Some(Asks::Remote(target)) => self.go(id, &line, &target),
                    Some(Asks::Here) if self.there.is_some() => {
                        self.settle()?;
                        self.come_back()?;
                        self.answer(id, &line, Answer::Text("Disconnected: this is the session of this process".into()))
                    }
                    _ => {
                        self.running = Some((id, line.clone()));
                        self.active().requests.send(Request::Command { id, line, source }).map_err(|_| Ended)
                    }
                },
                Ok(Request::Shutdown) | Err(_) => Err(Ended),
                Ok(request) => self.active().requests.send(request).map_err(|_| Ended),
            },
            recv(events) -> event => match event {
                Ok(event) => self.take(event),
                Err(_) => Err(Ended),
            },
        }
    }

    /// Takes an event of the session that the frontend looks at.
    fn take(&mut self, event: Event) -> Result<(), Ended> {
        match (&event, &self.there) {
            (Event::Ready(snapshot) | Event::Moved(snapshot), None) => self.left = Some(snapshot.clone()),
            (Event::Answer(Answered { in_script: false, .. }), _) => self.running = None,
            (Event::LoadFailed(why), Some(_)) => return self.lost(&why.clone()),
            _ => {}
        }
        self.send(event)
    }

    fn send(&self, event: Event) -> Result<(), Ended> {
        self.events.send(event).map_err(|_| Ended)
    }

    fn answer(&self, id: u64, line: &str, answer: Answer) -> Result<(), Ended> {
        self.send(Event::Answer(Answered::from_outside(id, line.to_owned(), answer)))
    }

    /// Waits until everything that was sent to the session has been answered.
    fn settle(&mut self) -> Result<(), Ended> {
        let far = self.there.is_some();
        let last = Request::Check { line: String::new() };
        self.active().requests.send(last).map_err(|_| Ended)?;
        loop {
            match self.active().events.recv().map_err(|_| Ended)? {
                Event::Checked { line, .. } if line.is_empty() => return Ok(()),
                event => self.take(event)?,
            }
            // A session that was lost has nothing more to answer.
            if far && self.there.is_none() {
                return Ok(());
            }
        }
    }

    /// Connects to a session elsewhere, which the frontend looks at from then on.
    fn go(&mut self, id: u64, line: &str, target: &Target) -> Result<(), Ended> {
        if let Some((other, _)) = &self.there {
            let message = format!("connected already, by {other}; \"disconnect\" ends that");
            return self.answer(id, line, failed(message, Fault::Command));
        }
        self.settle()?;
        let (there, snapshot) = match self.opened(target) {
            Ok(opened) => opened,
            Err(error) => return self.answer(id, line, *error),
        };
        self.there = Some((line.trim().to_owned(), there));
        let notices = snapshot.notices.join("\n");
        self.send(Event::Moved(snapshot))?;
        self.answer(id, line, Answer::Text(notices))
    }

    /// A session elsewhere that is ready, and what it is like. While it is made its progress is reported, and an interrupt gives it up.
    fn opened(&self, target: &Target) -> Result<(Handle, Arc<Snapshot>), Box<Answer>> {
        let (sender, made) = bounded(1);
        let (wanted, flag) = (target.clone(), self.interrupt.clone());
        let spawned = thread::Builder::new().name("connect".into()).spawn(move || {
            // Nobody waits for it after an interrupt; then the connection ends here.
            if let Err(unwanted) = sender.send(connect(&wanted, flag))
                && let Ok(Connected { handle, .. }) = unwanted.into_inner()
            {
                _ = handle.requests.send(Request::Shutdown);
            }
        });
        let refused = |error: WireError| boxed(format!("cannot connect to {target}: {error}"), Fault::Model);
        let given_up = || boxed(format!("interrupted while connecting to {target}"), Fault::Command);
        spawned.map_err(|error| refused(error.into()))?;
        let (since, ticks) = (Instant::now(), tick(GLANCE));
        let what = format!("connecting to {target}");
        let handle = loop {
            select! {
                recv(made) -> connected => match connected {
                    Ok(Ok(Connected { handle, .. })) => break handle,
                    Ok(Err(error)) => return Err(refused(error)),
                    Err(_) => return Err(refused(WireError::Cut)),
                },
                recv(ticks) -> _ => {
                    if self.interrupt.swap(false, Ordering::SeqCst) {
                        return Err(given_up());
                    }
                    if since.elapsed() > PATIENCE {
                        let message = format!("cannot connect to {target}: no answer within {} s", PATIENCE.as_secs());
                        return Err(boxed(message, Fault::Model));
                    }
                    let done = since.elapsed().as_secs();
                    _ = self.events.send(Event::Progress { what: what.clone(), done, total: PATIENCE.as_secs() });
                }
            }
        };
        loop {
            match handle.events.recv() {
                Ok(Event::Ready(snapshot)) => return Ok((handle, snapshot)),
                Ok(Event::LoadFailed(why)) => return Err(boxed(format!("{target}: {why}"), Fault::Model)),
                Ok(event @ Event::Progress { .. }) => _ = self.events.send(event),
                Ok(_) => {}
                Err(_) => return Err(refused(WireError::Cut)),
            }
        }
    }

    /// Leaves the session elsewhere.
    fn come_back(&mut self) -> Result<(), Ended> {
        if let Some((_, there)) = self.there.take() {
            _ = there.requests.send(Request::Shutdown);
        }
        match &self.left {
            Some(left) => self.send(Event::Moved(left.clone())),
            None => Ok(()),
        }
    }

    /// Goes on with the session of this process after the other one has ended by itself.
    fn lost(&mut self, why: &str) -> Result<(), Ended> {
        let connected = self.there.as_ref().map_or(String::new(), |(line, _)| line.clone());
        let error = failed(format!("{why}; this is the session of this process"), Fault::Model);
        self.come_back()?;
        match self.running.take() {
            Some((id, line)) => self.answer(id, &line, error),
            // It is reported as if the line that connected had failed after all.
            None => {
                self.send(Event::Answer(Answered { in_script: true, ..Answered::from_outside(0, connected, error) }))
            }
        }
    }
}

fn failed(message: String, fault: Fault) -> Answer {
    Answer::Error(ErrorView { message, fault, ..ErrorView::default() })
}

fn boxed(message: String, fault: Fault) -> Box<Answer> {
    Box::new(failed(message, fault))
}
