//! The tour: ten steps, each of which explains one thing and waits for one command.

use serde::Deserialize;

const STOPS: &str = include_str!("../../../config/tour.toml");

/// The rows of the tour at the bottom of the window, with its box.
pub const ROWS: u16 = 6;

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    pub say: String,
    /// The key to press, or two keys in sequence.
    #[serde(default)]
    pub key: String,
    /// The line to type instead.
    #[serde(default)]
    pub line: String,
    /// The effect of the key or the line.
    pub does: String,
    /// The beginning of the command that it sends.
    pub expect: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tour {
    stops: Vec<Stop>,
    at: usize,
}

impl Tour {
    pub fn new() -> Tour {
        #[derive(Deserialize)]
        struct File {
            stop: Vec<Stop>,
        }
        let stops = toml::from_str(STOPS).map(|file: File| file.stop).unwrap_or_default();
        Tour { stops, at: 0 }
    }

    /// The present stop; `None` at the end.
    pub fn stop(&self) -> Option<&Stop> {
        self.stops.get(self.at)
    }

    /// The number of the stop, counted from 1, and the number of stops.
    pub fn place(&self) -> (usize, usize) {
        ((self.at + 1).min(self.stops.len()), self.stops.len())
    }

    /// Notes that a command was sent; the tour continues if the stop waits for it.
    pub fn note(&mut self, line: &str) {
        let line = line.trim();
        if self.stop().is_some_and(|stop| line.starts_with(&stop.expect)) {
            self.at += 1;
        }
    }

    /// Goes to the next stop, or back.
    pub fn skip(&mut self, on: bool) {
        self.at = if on { (self.at + 1).min(self.stops.len()) } else { self.at.saturating_sub(1) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_stops_fit_a_small_window_and_wait_for_their_commands() {
        let mut tour = Tour::new();
        assert_eq!(tour.place(), (1, 10));
        tour.note("layer");
        assert_eq!(tour.place(), (1, 10), "another command");
        while let Some(stop) = tour.stop().cloned() {
            assert!(stop.say.len() <= 210, "{}", stop.say);
            assert_ne!(stop.key.is_empty(), stop.line.is_empty());
            tour.note(&stop.expect);
        }
        assert_eq!(tour.place(), (10, 10));
        tour.skip(false);
        assert_eq!(tour.stop().map(|stop| stop.expect.as_str()), Some("undo"));
    }
}
