//! One request and its answer, on a separate thread.
//!
//! A socket can be silent for long, while the name is looked up, the connection made, or a server thinks. Nothing may
//! wait for that: the caller checks ten times a second whether the user wants to stop, and then abandons the thread. It
//! holds nothing but its socket, and ends with the next byte or at the timeout.

use std::io::Read;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use ureq::RequestBuilder;
use ureq::http::HeaderMap;
use ureq::typestate::WithoutBody;

use super::meter::Meter;

/// How often is looked whether to go on.
const LOOK: Duration = Duration::from_millis(100);

/// Bytes that are passed on at once.
const PIECE: usize = 128 << 10;

/// Pieces that wait to be taken.
const WAITING: usize = 8;

/// Why there is no answer, or no more of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Trouble {
    Cancelled,
    /// The network, in a sentence.
    Network(String),
}

/// The beginning of an answer; the rest comes piece by piece.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pieces: Receiver<Piece>,
}

enum Piece {
    Head(u16, HeaderMap),
    Bytes(Vec<u8>),
    End,
    Failed(String),
}

/// Sends a request and waits for the head of the answer. Redirects are as the request's agent has them; a status is
/// never an error.
pub fn ask(request: RequestBuilder<WithoutBody>, meter: &Meter) -> Result<Answer, Trouble> {
    let (sender, pieces) = bounded(WAITING);
    let started = thread::Builder::new().name("hub".into()).spawn(move || carry_out(request, &sender));
    started.map_err(|error| Trouble::Network(format!("cannot start a thread: {error}")))?;
    match receive(&pieces, meter)? {
        Piece::Head(status, headers) => Ok(Answer { status, headers, pieces }),
        Piece::Failed(message) => Err(Trouble::Network(message)),
        Piece::Bytes(_) | Piece::End => Err(Trouble::Network("the answer has no head".into())),
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next bytes; `None` at the end.
    pub fn next(&self, meter: &Meter) -> Result<Option<Vec<u8>>, Trouble> {
        match receive(&self.pieces, meter)? {
            Piece::Bytes(bytes) => Ok(Some(bytes)),
            Piece::End => Ok(None),
            Piece::Failed(message) => Err(Trouble::Network(message)),
            Piece::Head(..) => Err(Trouble::Network("the answer has two heads".into())),
        }
    }

    /// All the bytes, or the first `limit`.
    pub fn body(&self, limit: usize, meter: &Meter) -> Result<Vec<u8>, Trouble> {
        let mut all = Vec::new();
        while all.len() < limit
            && let Some(bytes) = self.next(meter)?
        {
            all.extend(bytes);
        }
        all.truncate(limit);
        Ok(all)
    }
}

fn receive(pieces: &Receiver<Piece>, meter: &Meter) -> Result<Piece, Trouble> {
    loop {
        // Asked for each piece too: a fast server must not keep the user from leaving.
        if !meter.go_on() {
            return Err(Trouble::Cancelled);
        }
        match pieces.recv_timeout(LOOK) {
            Ok(piece) => return Ok(piece),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Trouble::Network("the connection was lost".into())),
        }
    }
}

/// Runs on the thread. A failed send means that the receiver is gone.
fn carry_out(request: RequestBuilder<WithoutBody>, sender: &Sender<Piece>) {
    let response = match request.config().http_status_as_error(false).build().call() {
        Ok(response) => response,
        Err(error) => return drop(sender.send(Piece::Failed(in_words(&error)))),
    };
    let (parts, body) = response.into_parts();
    if sender.send(Piece::Head(parts.status.as_u16(), parts.headers)).is_err() {
        return;
    }
    let mut reader = body.into_reader();
    let mut buffer = vec![0; PIECE];
    loop {
        let piece = match reader.read(&mut buffer) {
            Ok(0) => Piece::End,
            Ok(n) => Piece::Bytes(buffer[..n].to_vec()),
            Err(error) => Piece::Failed(error.to_string()),
        };
        let last = !matches!(piece, Piece::Bytes(_));
        if sender.send(piece).is_err() || last {
            return;
        }
    }
}

fn in_words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "unknown host name".into(),
        ureq::Error::Timeout(what) => format!("no answer in time ({what})"),
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}
