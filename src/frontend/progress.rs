//! How far a long piece of work is: downloading or loading a model, or a command that runs.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::answer::text::visible;
use crate::model::text::bytes;

/// Progress of one piece of work.
#[derive(Clone, Debug)]
pub struct Progress {
    /// What is being done.
    pub what: String,
    /// Units done.
    pub done: u64,
    /// Units in all; 0 where unknown.
    pub total: u64,
    first: (Instant, u64),
    last: Instant,
}

impl Progress {
    /// The first report.
    pub fn new(what: String, done: u64, total: u64, now: Instant) -> Self {
        Self { what, done, total, first: (now, done), last: now }
    }

    /// A later one.
    pub fn update(&mut self, what: String, done: u64, total: u64, now: Instant) {
        // Another kind of work has another rate.
        let verb = |what: &str| what.split(' ').next().map(str::to_owned);
        if done < self.done || verb(&what) != verb(&self.what) {
            self.first = (now, done);
        }
        *self = Self { what, done, total, first: self.first, last: now };
    }

    /// Share done, between 0 and 1.
    pub fn share(&self) -> f64 {
        if self.total == 0 { 0.0 } else { (self.done as f64 / self.total as f64).clamp(0.0, 1.0) }
    }

    /// `12.0 MiB of 500.0 MiB, 80.0 MiB/s`.
    pub fn in_bytes(&self) -> String {
        let mut said = bytes(self.done);
        if self.total > 0 {
            said = format!("{said} of {}", bytes(self.total));
        }
        let elapsed = self.last.duration_since(self.first.0);
        let gained = self.done.saturating_sub(self.first.1);
        if elapsed > Duration::from_millis(100) && gained > 0 {
            let rate = gained as f64 / elapsed.as_secs_f64();
            said = format!("{said}, {}/s", bytes(rate as u64));
        }
        said
    }
}

/// Columns of the line; every terminal has as many.
const COLUMNS: usize = 79;

/// Progress as one line of a terminal, written over and over.
#[derive(Debug, Default)]
pub struct Line {
    progress: Option<Progress>,
    shown: usize,
}

impl Line {
    /// Writes how far the work is.
    pub fn show(&mut self, out: &mut dyn Write, what: &str, done: u64, total: u64, now: Instant) -> io::Result<()> {
        match &mut self.progress {
            Some(progress) => progress.update(what.to_owned(), done, total, now),
            None => self.progress = Some(Progress::new(what.to_owned(), done, total, now)),
        }
        let Some(progress) = &self.progress else { return Ok(()) };
        let percent = if total > 0 { format!("{:3.0} %  ", progress.share() * 100.0) } else { String::new() };
        let numbers = if total > 0 || done > 0 { format!("  {percent}{}", progress.in_bytes()) } else { String::new() };
        let room = COLUMNS.saturating_sub(numbers.chars().count());
        let what: String = visible(what).chars().take(room).collect();
        let line = format!("{what}{numbers}");
        let shown = std::mem::replace(&mut self.shown, line.chars().count());
        write!(out, "\r{line:shown$}")?;
        out.flush()
    }

    /// Takes the line away.
    pub fn clear(&mut self, out: &mut dyn Write) -> io::Result<()> {
        match std::mem::take(&mut self.shown) {
            0 => Ok(()),
            shown => {
                write!(out, "\r{:shown$}\r", "")?;
                out.flush()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_over_the_whole_time() {
        let start = Instant::now();
        let mut progress = Progress::new("loading a".to_string(), 0, 100 << 20, start);
        assert_eq!(progress.in_bytes(), "0 B of 100.0 MiB");
        progress.update("loading b".to_string(), 50 << 20, 100 << 20, start + Duration::from_secs(2));
        assert_eq!(progress.in_bytes(), "50.0 MiB of 100.0 MiB, 25.0 MiB/s");
        assert!((progress.share() - 0.5).abs() < 1e-9);
        progress.update("computing c".to_string(), 60 << 20, 100 << 20, start + Duration::from_secs(3));
        assert_eq!(progress.in_bytes(), "60.0 MiB of 100.0 MiB");
    }

    #[test]
    fn a_line_covers_the_one_before() {
        let (mut line, mut out, start) = (Line::default(), Vec::new(), Instant::now());
        line.show(&mut out, "downloading a\x1b.bin (1 of 2)", 0, 2 << 20, start).unwrap();
        line.show(&mut out, "downloading b", 1 << 20, 2 << 20, start + Duration::from_secs(1)).unwrap();
        line.show(&mut out, &"long ".repeat(40), 0, 0, start).unwrap();
        line.clear(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.split('\r').collect();
        assert_eq!(lines[1], "downloading a\\u{1b}.bin (1 of 2)    0 %  0 B of 2.0 MiB");
        assert_eq!(lines[2].trim_end(), "downloading b   50 %  1.0 MiB of 2.0 MiB, 1.0 MiB/s");
        assert_eq!(lines[2].chars().count(), lines[1].chars().count());
        assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS) && lines.last().unwrap().is_empty());
    }
}
