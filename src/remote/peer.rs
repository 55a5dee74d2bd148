//! What a server knows of one client: the events that it has still to get, however often its connection breaks.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::frame::{LONGEST_EVENT, WireError, encode};
use super::wire::{Down, Parts};
use crate::answer::{Answer, ErrorView, Fault};
use crate::engine::messages::{Answered, Event, Snapshot};

/// Bytes and number of events that are kept for a client that does not read them, or is away.
const KEPT_BYTES: usize = 64 << 20;
const KEPT_EVENTS: usize = 4096;

/// An event that a client has not said to have.
struct Kept {
    number: u64,
    content: Content,
}

#[derive(Clone)]
pub enum Content {
    /// Encoded when it came.
    Event(Arc<Event>, usize),
    /// Encoded when it is sent, because it depends on what this connection has sent before.
    Snapshot { first: bool, snapshot: Arc<Snapshot> },
}

#[derive(Default)]
pub struct Peer {
    kept: VecDeque<Kept>,
    bytes: usize,
    last: u64,
    /// The last request that has come.
    pub accepted: u64,
    /// Progress, which is not kept.
    progress: Option<Event>,
    /// The number of its connection; `None` while it has none.
    pub connection: Option<u64>,
    pub lost: Option<Instant>,
    /// Requests that are not answered.
    pub waiting: usize,
    /// Their bytes.
    pub waiting_bytes: usize,
    /// The last event that was sent on its connection.
    sent: u64,
}

impl Peer {
    /// Begins a connection, on which everything is sent that has not been received.
    pub fn attach(&mut self, connection: u64, received: u64) {
        self.received(received);
        (self.connection, self.lost, self.sent) = (Some(connection), None, received);
    }

    /// Takes note that events have come.
    pub fn received(&mut self, number: u64) {
        while let Some(first) = self.kept.front().filter(|first| first.number <= number) {
            self.bytes = self.bytes.saturating_sub(first.content.size());
            self.kept.pop_front();
        }
    }

    /// Adds an event. Returns false if the client has been slower than can be remembered, or away for too long.
    pub fn push(&mut self, event: &Event) -> bool {
        let content = match event {
            Event::Progress { .. } => {
                self.progress = self.connection.map(|_| event.clone());
                return true;
            }
            Event::Ready(snapshot) => Content::Snapshot { first: true, snapshot: snapshot.clone() },
            Event::Moved(snapshot) => Content::Snapshot { first: false, snapshot: snapshot.clone() },
            event => {
                self.progress = None;
                Content::sized(event)
            }
        };
        // Of states that follow each other, one who has seen none of them needs the last.
        let unsent = self.kept.back_mut().filter(|kept| kept.number > self.sent);
        if let (Content::Snapshot { first: false, snapshot }, Some(kept)) = (&content, unsent)
            && let Content::Snapshot { snapshot: old, .. } = &mut kept.content
        {
            *old = snapshot.clone();
            return true;
        }
        self.last += 1;
        self.bytes += content.size();
        self.kept.push_back(Kept { number: self.last, content });
        // One event is kept whatever its size.
        self.kept.len() <= 1 || (self.bytes <= KEPT_BYTES && self.kept.len() <= KEPT_EVENTS)
    }

    /// The next event to send on its connection, and its number.
    pub fn next(&mut self) -> Option<(u64, u64, Content)> {
        let accepted = self.accepted;
        // Numbers rise, so what has not been sent is at the end.
        let at = self.kept.partition_point(|kept| kept.number <= self.sent);
        if let Some(kept) = self.kept.get(at) {
            self.sent = kept.number;
            return Some((kept.number, accepted, kept.content.clone()));
        }
        self.progress.take().map(|event| (0, accepted, Content::sized(&event)))
    }

    pub fn is_drained(&self) -> bool {
        self.kept.back().is_none_or(|kept| kept.number <= self.sent)
    }
}

impl Content {
    fn sized(event: &Event) -> Content {
        Content::Event(Arc::new(event.clone()), rough_size(event))
    }

    fn size(&self) -> usize {
        match self {
            Content::Event(_, size) => *size,
            // The program is shared; what each has of its own is its flags and its tokens.
            Content::Snapshot { snapshot, .. } => 512 + 64 * snapshot.flags.len() + 128 * snapshot.tokens.len(),
        }
    }

    /// The message, for a connection on which `has` was sent last.
    pub fn message(&self, number: u64, accepted: u64, has: Option<&Snapshot>) -> Result<Vec<u8>, WireError> {
        match self {
            Content::Snapshot { first, snapshot } => {
                let parts = Parts::of(snapshot, has);
                let event = if *first { Event::Ready(snapshot.clone()) } else { Event::Moved(snapshot.clone()) };
                encode(&Down { number, accepted, event, parts }, LONGEST_EVENT)
            }
            Content::Event(event, _) => {
                let down = |event: &Event| Down { number, accepted, event: event.clone(), parts: Parts::default() };
                match encode(&down(event), LONGEST_EVENT) {
                    Err(WireError::TooLong { length, .. }) => encode(&down(&shortened(event, length)), LONGEST_EVENT),
                    encoded => encoded,
                }
            }
        }
    }
}

/// About how much memory an event takes.
fn rough_size(event: &Event) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, some: &[u8]) -> io::Result<usize> {
            self.0 += some.len();
            Ok(some.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(256);
    // What cannot be written is small.
    _ = ciborium::into_writer(event, &mut count);
    count.0
}

/// In place of an answer that no message holds, an error that says so.
fn shortened(event: &Event, length: usize) -> Event {
    let message = format!(
        "the answer takes {} MiB, and a connection carries {}: ask for a part of it, or save it to a file of the server",
        length >> 20,
        LONGEST_EVENT >> 20
    );
    let error = ErrorView { message, fault: Fault::Command, ..ErrorView::default() };
    match event {
        Event::Answer(answered) => {
            Event::Answer(Answered { answer: Answer::Error(error), printed: Vec::new(), ..answered.clone() })
        }
        Event::Queried { line, .. } => Event::Queried { line: line.clone(), answer: Answer::Error(error) },
        Event::Panel { request, .. } => Event::Panel { request: request.clone(), panel: Err(error) },
        other => other.clone(),
    }
}
