//! Messages as the protocol frames them: a header with the length, an empty line, and JSON.

use std::io::{self, BufRead, Read, Write};

use serde_json::Value;

/// Longest message that is read.
const LONGEST: u64 = 16 << 20;

/// Longest line of a header, and the most lines.
const HEADER: u64 = 4096;
const LINES: usize = 32;

/// The next message; `None` at the end of the input.
///
/// # Errors
/// If it is not framed as it has to be, too long, or not JSON.
pub fn read(input: &mut impl BufRead) -> io::Result<Option<Value>> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_string());
    let mut length = None;
    for count in 0.. {
        let mut line = Vec::new();
        let read = input.take(HEADER).read_until(b'\n', &mut line)?;
        if read == 0 && count == 0 {
            return Ok(None);
        }
        if line.last() != Some(&b'\n') || count > LINES {
            return Err(wrong("a header without an end"));
        }
        let line = String::from_utf8_lossy(&line);
        match line.trim().split_once(':') {
            None if line.trim().is_empty() => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse::<u64>().ok().filter(|length| *length <= LONGEST);
            }
            _ => {}
        }
    }
    let length = length.ok_or_else(|| wrong("a message needs a length that can be taken"))?;
    let mut bytes = Vec::new();
    input.take(length).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < length {
        return Err(wrong("a message is cut"));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|error| wrong(&error.to_string()))
}

/// Writes a message.
pub fn write(out: &mut dyn Write, message: &Value) -> io::Result<()> {
    let text = crate::answer::json::written(message);
    write!(out, "Content-Length: {}\r\n\r\n{text}", text.len())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_as_they_are_written_and_others_are_refused() {
        let mut bytes = Vec::new();
        write(&mut bytes, &serde_json::json!({"seq": 1, "text": "\u{202e}ä"})).unwrap();
        bytes.extend(b"content-length:2\r\nX: y\r\n\r\n{}");
        let mut input = &bytes[..];
        assert_eq!(read(&mut input).unwrap().unwrap()["text"], "\u{202e}ä");
        assert_eq!(read(&mut input).unwrap().unwrap(), serde_json::json!({}));
        assert!(read(&mut input).unwrap().is_none());
        for wrong in
            ["\r\n", "Content-Length: 99999999999\r\n\r\n", "Content-Length: 9\r\n\r\n{}", "Content-Length: -1\r\n\r\n"]
        {
            assert!(read(&mut wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(read(&mut "x".repeat(10_000).as_bytes()).is_err());
    }
}
