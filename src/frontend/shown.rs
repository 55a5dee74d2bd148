//! Output to the terminal, with control characters made visible wherever they come from.

use std::io::{self, Write};

use crate::answer::text::visible_line;

/// A stream of text that writes control characters, and characters that change the direction of text, as escapes. Line
/// breaks and tabs stay. The command line, configuration files, journals and messages of libraries may contain
/// anything, and all of it passes here.
#[derive(Debug)]
pub struct Shown<W> {
    inner: W,
    /// Whether a carriage return that is written alone is left as it is: a line of progress is rewritten again and
    /// again.
    returns: bool,
}

impl<W: Write> Shown<W> {
    /// For answers.
    pub fn new(inner: W) -> Self {
        Self { inner, returns: false }
    }

    /// For messages, with a line of progress among them.
    pub fn with_progress(inner: W) -> Self {
        Self { inner, returns: true }
    }
}

impl<W: Write> Write for Shown<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.returns && bytes == b"\r" {
            self.inner.write_all(bytes)?;
            return Ok(bytes.len());
        }
        // Formatting writes whole pieces of text, never part of a character.
        let text = String::from_utf8_lossy(bytes);
        for (number, line) in text.split('\n').enumerate() {
            if number > 0 {
                self.inner.write_all(b"\n")?;
            }
            self.inner.write_all(visible_line(line).as_bytes())?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_could_change_the_terminal_is_written() {
        let mut out = Vec::new();
        let hostile = "a\x1b[31m\u{202e}b\r\u{9b}c\u{7f}";
        writeln!(Shown::new(&mut out), "{hostile}\tx\n{hostile}").unwrap();
        let text = String::from_utf8(out).unwrap();
        let line = "a\\u{1b}[31m\\u{202e}b\\r\\u{9b}c\\u{7f}";
        assert_eq!(text, format!("{line}\tx\n{line}\n"));
        let mut err = Vec::new();
        write!(Shown::with_progress(&mut err), "\r{hostile}").unwrap();
        assert_eq!(String::from_utf8(err).unwrap(), format!("\r{line}"));
        let mut out = Vec::new();
        write!(Shown::new(&mut out), "\r{hostile}").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), format!("\\r{line}"));
    }
}
