//! What is said on a connection: who each side is, then requests one way and events the other.
//!
//! Requests of a client are numbered from 1, and so are the events that it gets. Each side says how far it has read, so
//! after a connection broke the rest is sent again, and nothing twice.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::frame::{WireError, decode, encode};
use crate::answer::TokenView;
use crate::engine::messages::{Event, ModuleLine, OpLine, Request, Snapshot};

/// Number of the protocol. It goes up with every change of a message; other numbers are refused.
pub const PROTOCOL: u32 = 1;

/// Longest introduction.
pub const LONGEST_HELLO: usize = 16 << 10;

/// What a client says first. Every protocol has the first two fields.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Hello {
    pub protocol: u32,
    pub version: String,
    /// A number that nobody else has: by it a client that comes again is known.
    #[serde(default)]
    pub client: String,
    /// The last event that it has got.
    #[serde(default)]
    pub received: u64,
}

/// What a server answers. Every protocol has the first two fields.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Welcome {
    pub protocol: u32,
    pub version: String,
    /// Why there is no session for this client; empty if there is.
    #[serde(default)]
    pub refused: String,
    /// A number that no other session has.
    #[serde(default)]
    pub session: String,
    /// Whether the session goes on without a connection.
    #[serde(default)]
    pub outlives: bool,
    /// The last request of this client that has come; 0 for a new one.
    #[serde(default)]
    pub accepted: u64,
    /// Whether the client is known, and what it has missed follows.
    #[serde(default)]
    pub resumed: bool,
    /// Whether nobody else drives.
    #[serde(default)]
    pub drives: bool,
    /// The working folder, to which the names of files in commands belong.
    #[serde(default)]
    pub folder: String,
    /// What is said of the session's own start: mistakes in its scripts.
    #[serde(default)]
    pub notices: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Up {
    Request {
        number: u64,
        request: Request,
    },
    /// Ctrl-C. It does not wait its turn.
    Interrupt,
    /// All events up to this one have come.
    Received(u64),
    /// The client does not come again.
    Leave,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Down {
    /// 0 for progress, which may get lost.
    pub number: u64,
    /// The last request that has come.
    pub accepted: u64,
    pub event: Event,
    /// Parts of the event's snapshot.
    pub parts: Parts,
}

/// The parts of a snapshot that are long and seldom change; those that are as in the last one are left out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Parts {
    pub ops: Option<Vec<OpLine>>,
    pub modules: Option<Vec<ModuleLine>>,
    pub tokens: Option<Vec<TokenView>>,
}

impl Parts {
    /// What is to be sent with a snapshot to one who has another.
    pub fn of(snapshot: &Snapshot, has: Option<&Snapshot>) -> Parts {
        let same_ops = has.is_some_and(|has| Arc::ptr_eq(&has.ops, &snapshot.ops));
        let same_modules = has.is_some_and(|has| Arc::ptr_eq(&has.modules, &snapshot.modules));
        let same_tokens = has.is_some_and(|has| has.tokens == snapshot.tokens);
        Parts {
            ops: (!same_ops).then(|| snapshot.ops.to_vec()),
            modules: (!same_modules).then(|| snapshot.modules.to_vec()),
            tokens: (!same_tokens).then(|| snapshot.tokens.clone()),
        }
    }

    /// Completes a snapshot that came with these parts; the others are those of the last one.
    pub fn complete(self, snapshot: &mut Snapshot, last: Option<&Snapshot>) {
        snapshot.ops = self.ops.map_or_else(|| last.map(|last| last.ops.clone()).unwrap_or_default(), Arc::new);
        let modules = || last.map(|last| last.modules.clone()).unwrap_or_default();
        snapshot.modules = self.modules.map_or_else(modules, Arc::new);
        snapshot.tokens = self.tokens.unwrap_or_else(|| last.map(|last| last.tokens.clone()).unwrap_or_default());
    }
}

/// The snapshot that an event brings.
pub fn snapshot_of(event: &Event) -> Option<&Arc<Snapshot>> {
    match event {
        Event::Ready(snapshot) | Event::Moved(snapshot) => Some(snapshot),
        _ => None,
    }
}

/// The snapshot that an event brings, to be completed.
pub fn snapshot_in(event: &mut Event) -> Option<&mut Arc<Snapshot>> {
    match event {
        Event::Ready(snapshot) | Event::Moved(snapshot) => Some(snapshot),
        _ => None,
    }
}

/// An event as it is at the other end of a connection.
///
/// # Errors
/// If it cannot be written, or not read.
pub fn again(event: &Event) -> Result<Event, WireError> {
    let parts = snapshot_of(event).map(|snapshot| Parts::of(snapshot, None)).unwrap_or_default();
    let down = Down { number: 1, accepted: 0, event: event.clone(), parts };
    let Down { mut event, parts, .. } = decode(&encode(&down, usize::MAX)?[4..])?;
    if let Some(snapshot) = snapshot_in(&mut event) {
        parts.complete(Arc::make_mut(snapshot), None);
    }
    Ok(event)
}
