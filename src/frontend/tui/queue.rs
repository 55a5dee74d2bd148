//! Commands for the engine, which gets one at a time.
//!
//! Commands typed ahead wait here rather than in the engine's channel, so that Ctrl-C can drop them together with the
//! command that is running.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Instant;

use crate::engine::messages::{Request, Source};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// A command line, and where it comes from.
    Line(String, Source),
    /// A script, and whether it continues after a failed command.
    Script(PathBuf, bool),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    pub id: u64,
    pub job: Job,
    /// Whether the console shows it only if it fails, such as a key that moves the focus.
    pub quiet: bool,
    /// Whether its lines are already in the console, such as those of a block that was typed.
    pub echoed: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Queue {
    waiting: VecDeque<Pending>,
    running: Option<Pending>,
    /// When it was started.
    since: Option<Instant>,
    next_id: u64,
}

impl Queue {
    pub fn push(&mut self, job: Job, quiet: bool) {
        self.add(job, quiet, false);
    }

    /// Adds a block, whose lines were shown when they were typed.
    pub fn push_block(&mut self, text: String) {
        self.add(Job::Line(text, Source::Prompt), false, true);
    }

    fn add(&mut self, job: Job, quiet: bool, echoed: bool) {
        self.next_id += 1;
        self.waiting.push_back(Pending { id: self.next_id, job, quiet, echoed });
    }

    pub fn running(&self) -> Option<&Pending> {
        self.running.as_ref()
    }

    /// When the running command was started.
    pub fn since(&self) -> Option<Instant> {
        self.since.filter(|_| self.running.is_some())
    }

    /// The commands that wait, as they are shown.
    pub fn waiting(&self) -> impl Iterator<Item = String> {
        self.waiting.iter().map(Pending::shown)
    }

    /// Starts the next command if none is running.
    pub fn start_next(&mut self, now: Instant) -> Option<Pending> {
        if self.running.is_some() {
            return None;
        }
        self.running = self.waiting.pop_front();
        self.since = Some(now);
        self.running.clone()
    }

    /// Notes that the command `id` was answered.
    pub fn finish(&mut self, id: u64) -> Option<Pending> {
        self.running.take_if(|running| running.id == id)
    }

    pub fn drop_waiting(&mut self) -> usize {
        std::mem::take(&mut self.waiting).len()
    }
}

impl Pending {
    pub fn request(&self) -> Request {
        match &self.job {
            Job::Line(line, source) => Request::Command { id: self.id, line: line.clone(), source: source.clone() },
            Job::Script(file, keep_going) => {
                Request::Script { id: self.id, file: file.clone(), keep_going: *keep_going }
            }
        }
    }

    /// The command as it is shown; empty for an empty line.
    pub fn shown(&self) -> String {
        match &self.job {
            Job::Line(line, _) => line.trim().to_string(),
            Job::Script(file, _) => format!("source {}", file.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_command_runs_at_a_time() {
        let mut queue = Queue::default();
        for line in ["step", "next"] {
            queue.push(Job::Line(line.to_string(), Source::Prompt), false);
        }
        let now = Instant::now();
        let first = queue.start_next(now).expect("a command");
        assert_eq!((queue.start_next(now), queue.since()), (None, Some(now)));
        assert_eq!(queue.waiting().collect::<Vec<_>>(), ["next"]);
        assert_eq!(queue.finish(first.id + 7), None);
        assert_eq!(queue.finish(first.id), Some(first));
        assert_eq!(queue.start_next(now).map(|next| next.shown()).as_deref(), Some("next"));
        assert_eq!(queue.drop_waiting(), 0);
    }
}
