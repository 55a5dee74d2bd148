//! Messages on a byte stream: a length, four bytes with the highest first, and so many bytes of CBOR.
//!
//! Each side begins with [`MAGIC`], so that whatever else a program writes there (the greeting of a login shell, a
//! different protocol) is recognised before a length is made of it.

use std::io::{self, ErrorKind, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// What each side sends first. The line end shows a stream that changes line ends.
pub const MAGIC: &[u8; 8] = b"LLMDBG\r\n";

/// Longest message to a server: commands are lines.
pub const LONGEST_REQUEST: usize = 4 << 20;

/// Longest message to a client. A longer answer is replaced by an error that says so.
pub const LONGEST_EVENT: usize = 256 << 20;

/// How deep a message may be nested; answers are a few levels deep.
const DEEPEST: usize = 64;

/// How much of what is no message an error shows.
const SEEN: usize = 200;

#[derive(Debug, Error)]
pub enum WireError {
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("the other end is not an llmdbg server{}", said(.0))]
    NotLlmdbg(String),
    #[error(
        "the other end speaks protocol {theirs} (llmdbg {version}), and this program protocol {}: use the same version of llmdbg at both ends",
        super::wire::PROTOCOL
    )]
    Protocol { theirs: u32, version: String },
    #[error("a message of {length} bytes is longer than the {limit} that are taken")]
    TooLong { length: usize, limit: usize },
    #[error("the connection ended inside a message")]
    Cut,
    #[error("a message is malformed: {0}")]
    Malformed(String),
    #[error("the other end refused: {0}")]
    Refused(String),
}

fn said(seen: &str) -> String {
    if seen.is_empty() { ": it said nothing".into() } else { format!(": it said {seen:?}") }
}

/// Reads what the other side has to begin with.
///
/// # Errors
/// With the text that came instead.
pub fn read_magic(input: &mut impl Read) -> Result<(), WireError> {
    let mut found = Vec::new();
    input.by_ref().take(MAGIC.len() as u64).read_to_end(&mut found)?;
    if found == MAGIC {
        return Ok(());
    }
    // The rest of what it says, as far as it has come already.
    let mut rest = [0; SEEN];
    if found.len() == MAGIC.len()
        && let Ok(count) = input.read(&mut rest)
    {
        found.extend_from_slice(&rest[..count]);
    }
    Err(WireError::NotLlmdbg(String::from_utf8_lossy(&found).trim().to_string()))
}

/// The next message; `None` where the stream ends between two. No memory is taken for bytes that do not come.
///
/// # Errors
/// If it is longer than `limit`, is cut, or is not a `T`.
pub fn read<T: DeserializeOwned>(input: &mut impl Read, limit: usize) -> Result<Option<T>, WireError> {
    let mut head = [0; 4];
    let mut have = 0;
    while have < head.len() {
        match input.read(&mut head[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(WireError::Cut),
            Ok(count) => have += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let length = u32::from_be_bytes(head) as usize;
    if length > limit {
        return Err(WireError::TooLong { length, limit });
    }
    let mut bytes = Vec::new();
    input.by_ref().take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(WireError::Cut);
    }
    decode(&bytes).map(Some)
}

/// A message of these bytes, all of them.
///
/// # Errors
/// If they are not one, or more than one.
pub fn decode<T: DeserializeOwned>(mut bytes: &[u8]) -> Result<T, WireError> {
    let value = ciborium::de::from_reader_with_recursion_limit(&mut bytes, DEEPEST);
    let value = value.map_err(|error| WireError::Malformed(error.to_string()))?;
    match bytes {
        [] => Ok(value),
        _ => Err(WireError::Malformed("something follows it".into())),
    }
}

/// A message with its length.
///
/// # Errors
/// If it cannot be written, or is longer than `limit`.
pub fn encode<T: Serialize>(message: &T, limit: usize) -> Result<Vec<u8>, WireError> {
    let mut bytes = vec![0; 4];
    ciborium::into_writer(message, &mut bytes).map_err(|error| WireError::Malformed(error.to_string()))?;
    let length = bytes.len() - 4;
    if length > limit {
        return Err(WireError::TooLong { length, limit });
    }
    bytes[..4].copy_from_slice(&(length as u32).to_be_bytes());
    Ok(bytes)
}

/// Sends a message.
pub fn write<T: Serialize>(out: &mut impl Write, message: &T, limit: usize) -> Result<(), WireError> {
    out.write_all(&encode(message, limit)?)?;
    Ok(out.flush()?)
}
