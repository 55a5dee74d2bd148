//! How far a long piece of work is: loading a model, or a command that runs.

use std::time::{Duration, Instant};

use super::text;

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
        if done < self.done {
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
        let mut said = text::bytes(self.done);
        if self.total > 0 {
            said = format!("{said} of {}", text::bytes(self.total));
        }
        let elapsed = self.last.duration_since(self.first.0);
        let gained = self.done.saturating_sub(self.first.1);
        if elapsed > Duration::from_millis(100) && gained > 0 {
            let rate = gained as f64 / elapsed.as_secs_f64();
            said = format!("{said}, {}/s", text::bytes(rate as u64));
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_over_the_whole_time() {
        let start = Instant::now();
        let mut progress = Progress::new("a".to_string(), 0, 100 << 20, start);
        assert_eq!(progress.in_bytes(), "0 B of 100.0 MiB");
        progress.update("b".to_string(), 50 << 20, 100 << 20, start + Duration::from_secs(2));
        assert_eq!(progress.in_bytes(), "50.0 MiB of 100.0 MiB, 25.0 MiB/s");
        assert!((progress.share() - 0.5).abs() < 1e-9);
    }
}
