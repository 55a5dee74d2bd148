//! What a server knows of its clients: who asked for what, who drives, and who gets which event.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::frame::WireError;
use super::peer::Peer;
use super::wire::{Hello, snapshot_of};
use crate::answer::{Answer, ErrorView};
use crate::commands::Console;
use crate::engine::messages::{Answered, Event, Request, Snapshot};
use crate::lang::command::split_command;

/// How many clients there may be.
const MOST_CLIENTS: usize = 16;

/// How many requests of a client may wait; a frontend sends few at a time.
const MOST_WAITING: usize = 1000;

/// Bytes of the requests of a client that may wait.
const MOST_WAITING_BYTES: usize = 16 << 20;

/// How long a client that is away is remembered.
const REMEMBERED: Duration = Duration::from_secs(600);

pub struct State {
    pub requests: Sender<Request>,
    /// Whose the requests are that the engine has not answered, in their order.
    pub owners: VecDeque<Owner>,
    pub peers: BTreeMap<String, Peer>,
    pub driver: Option<String>,
    pub snapshot: Option<Arc<Snapshot>>,
    pub failed: Option<String>,
    pub ended: bool,
    pub connections: u64,
    pub notices: Vec<String>,
}

pub struct Owner {
    /// The client; empty for what the session runs at its own start.
    pub client: String,
    /// The number and the line of a command of one who only looks, which runs as a query.
    pub looked: Option<(u64, String)>,
    /// Bytes of the request.
    pub size: usize,
}

/// The number of a connection, the last request that had come, whether the client was known, and whether it drives.
pub type Attached = (u64, u64, bool, bool);

impl State {
    pub fn attach(&mut self, hello: &Hello) -> Result<Attached, WireError> {
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

    pub fn detach(&mut self, client: &str, connection: u64, outlives: bool) {
        if let Some(peer) = self.peers.get_mut(client).filter(|peer| peer.connection == Some(connection)) {
            (peer.connection, peer.lost) = (None, Some(Instant::now()));
        }
        if !outlives {
            self.forget(client);
        }
    }

    pub fn forget(&mut self, client: &str) {
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
    pub fn may_interrupt(&self, client: &str) -> bool {
        self.owners.front().is_some_and(|front| front.client == client)
            || (!self.owners.is_empty() && self.driver.as_deref() == Some(client))
    }

    pub fn ask(&mut self, client: &str, number: u64, request: Request) -> Result<(), WireError> {
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
    pub fn take(&mut self, event: Event) {
        if let Some(snapshot) = snapshot_of(&event) {
            self.snapshot = Some(snapshot.clone());
        }
        match &event {
            Event::LoadFailed(message) => {
                self.failed = Some(message.clone());
                self.give_all(&event);
            }
            Event::Ready(_) | Event::Moved(_) | Event::Progress { .. } => self.give_all(&event),
            Event::Quit(_) => self.give_owner(&event),
            Event::Answer(Answered { in_script: true, .. }) => self.give_owner(&event),
            Event::Queried { answer: found, .. } if self.owners.front().is_some_and(|front| front.looked.is_some()) => {
                let looked = self.owners.front_mut().and_then(|front| front.looked.take());
                if let Some((id, line)) = looked {
                    self.give_owner(&answer(id, line, found.clone()));
                }
                self.answered();
            }
            Event::Answer(_)
            | Event::Queried { .. }
            | Event::Panel { .. }
            | Event::Checked { .. }
            | Event::Completions { .. } => {
                self.give_owner(&event);
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

    fn give_owner(&mut self, event: &Event) {
        let Some(client) = self.owners.front().map(|owner| owner.client.clone()) else { return };
        if client.is_empty() {
            if let Event::Answer(Answered { answer: Answer::Error(error), line, .. }) = event {
                self.notices.push(format!("{line}: {}", error.message));
            }
            return;
        }
        self.give(&client, event);
    }

    fn give_all(&mut self, event: &Event) {
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
    Event::Answer(Answered::from_outside(id, line, answer))
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
