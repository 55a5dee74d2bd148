//! The progress of long work: downloading or loading a model, or running a command.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::answer::text::visible;
use crate::model::text::bytes;

/// The progress of one piece of work. The engine reports it again and again; the first report of a kind of work is
/// kept, for the rate.
#[derive(Clone, Debug)]
pub struct Progress {
    pub what: String,
    /// How many units are done: bytes when loading, ops when running.
    pub done: u64,
    /// How many units there are in all; 0 if unknown.
    pub total: u64,
    first: (Instant, u64),
    last: Instant,
}

impl Progress {
    /// The progress after a report, which follows those in `before` if there were any.
    pub fn after(before: Option<&Progress>, what: &str, done: u64, total: u64, now: Instant) -> Progress {
        // The rate is that of one kind of work, which the first word names. Ops have no words, only sites.
        let verb = |what: &str| what.contains(' ').then(|| what.split(' ').next().map(str::to_owned));
        let alike = |before: &Progress| verb(what) == verb(&before.what) && total == before.total;
        let same = before.filter(|before| done >= before.done && alike(before));
        let first = same.map_or((now, done), |before| before.first);
        Progress { what: what.to_owned(), done, total, first, last: now }
    }

    /// The share that is done, between 0 and 1.
    pub fn share(&self) -> f64 {
        if self.total == 0 { 0.0 } else { (self.done as f64 / self.total as f64).clamp(0.0, 1.0) }
    }

    /// The time that is left at the rate so far; none before there is a rate.
    pub fn left(&self) -> Option<Duration> {
        let elapsed = self.last.duration_since(self.first.0).as_secs_f64();
        let gained = self.done.saturating_sub(self.first.1);
        if gained == 0 || elapsed < 0.5 {
            return None;
        }
        Duration::try_from_secs_f64(self.total.saturating_sub(self.done) as f64 * elapsed / gained as f64).ok()
    }

    /// `attr heads 12 of 270, 4 %, 2 min left`.
    pub fn in_units(&self) -> String {
        let left = self.left().map(|left| format!(", {} left", duration(left))).unwrap_or_default();
        format!("{} {} of {}, {:.0} %{left}", visible(&self.what), self.done, self.total, self.share() * 100.0)
    }

    /// `12.0 MiB of 500.0 MiB, 80.0 MiB/s`.
    pub fn in_bytes(&self) -> String {
        let mut text = bytes(self.done);
        if self.total > 0 {
            text = format!("{text} of {}", bytes(self.total));
        }
        let elapsed = self.last.duration_since(self.first.0);
        let gained = self.done.saturating_sub(self.first.1);
        if elapsed > Duration::from_millis(100) && gained > 0 {
            let rate = gained as f64 / elapsed.as_secs_f64();
            text = format!("{text}, {}/s", bytes(rate as u64));
        }
        text
    }
}

/// A time in one unit: `7 s`, `4 min`, `2 h`.
pub fn duration(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..=99 => format!("{seconds} s"),
        seconds @ 100..=5999 => format!("{} min", (seconds + 30) / 60),
        seconds => format!("{} h", (seconds + 1800) / 3600),
    }
}

/// Columns of the line, which fit any terminal.
const COLUMNS: usize = 79;

/// Progress on one line of a terminal, which every report overwrites.
#[derive(Debug, Default)]
pub struct Line {
    /// Whether there is a terminal to draw it on.
    drawn: bool,
    progress: Option<Progress>,
    /// Columns of the last report.
    shown: usize,
}

impl Line {
    pub fn new(drawn: bool) -> Line {
        Line { drawn, ..Line::default() }
    }

    /// Draws a report. Failing to draw it is not an error, as it is only for the eye.
    pub fn report(&mut self, out: &mut dyn Write, what: &str, done: u64, total: u64) {
        if self.drawn {
            _ = self.draw(out, what, done, total, Instant::now());
        }
    }

    fn draw(&mut self, out: &mut dyn Write, what: &str, done: u64, total: u64, now: Instant) -> io::Result<()> {
        let progress = Progress::after(self.progress.as_ref(), what, done, total, now);
        let percent = if total > 0 { format!("{:3.0} %  ", progress.share() * 100.0) } else { String::new() };
        let numbers = if total > 0 || done > 0 { format!("  {percent}{}", progress.in_bytes()) } else { String::new() };
        let room = COLUMNS.saturating_sub(numbers.chars().count());
        let what: String = visible(what).chars().take(room).collect();
        let line = format!("{what}{numbers}");
        self.progress = Some(progress);
        let shown = std::mem::replace(&mut self.shown, line.chars().count());
        write!(out, "\r{line:shown$}")?;
        out.flush()
    }

    /// Draws how far a command is, and how it is stopped.
    pub fn report_command(&mut self, out: &mut dyn Write, what: &str, done: u64, total: u64) {
        let progress = Progress::after(self.progress.as_ref(), what, done, total, Instant::now());
        let far = if total > 0 { progress.in_units() } else { visible(what) };
        self.report(out, &format!("{far}. Ctrl-C stops it."), 0, 0);
        self.progress = Some(progress);
    }

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
        let progress = Progress::after(None, "loading a", 0, 100 << 20, start);
        assert_eq!(progress.in_bytes(), "0 B of 100.0 MiB");
        let then = start + Duration::from_secs(2);
        let progress = Progress::after(Some(&progress), "loading b", 50 << 20, 100 << 20, then);
        assert_eq!(progress.in_bytes(), "50.0 MiB of 100.0 MiB, 25.0 MiB/s");
        assert!((progress.share() - 0.5).abs() < 1e-9);
        let then = start + Duration::from_secs(3);
        let progress = Progress::after(Some(&progress), "computing c", 60 << 20, 100 << 20, then);
        assert_eq!(progress.in_bytes(), "60.0 MiB of 100.0 MiB");
    }

    #[test]
    fn a_line_covers_the_one_before() {
        let (mut line, mut out, start) = (Line::default(), Vec::new(), Instant::now());
        line.draw(&mut out, "downloading a\x1b.bin (1 of 2)", 0, 2 << 20, start).unwrap();
        line.draw(&mut out, "downloading b", 1 << 20, 2 << 20, start + Duration::from_secs(1)).unwrap();
        line.draw(&mut out, &"long ".repeat(40), 0, 0, start).unwrap();
        line.clear(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.split('\r').collect();
        assert_eq!(lines[1], "downloading a\\u{1b}.bin (1 of 2)    0 %  0 B of 2.0 MiB");
        assert_eq!(lines[2].trim_end(), "downloading b   50 %  1.0 MiB of 2.0 MiB, 1.0 MiB/s");
        assert_eq!(lines[2].chars().count(), lines[1].chars().count());
        assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS) && lines.last().unwrap().is_empty());
    }
}
