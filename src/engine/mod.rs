//! The engine thread and what passes between it and the frontends.
//!
//! Tensors never cross threads: the thread that [`thread::spawn`] starts builds the session, owns it and runs every
//! command on it. Frontends hold the two ends of a channel and see answers and snapshots only.

use std::ops::Range;
use std::sync::Arc;

use crate::answer::{Answer, ErrorView};
use crate::commands::{Journalled, Outcome, Outside};

mod console;
mod defined;
mod dispatch;
pub mod history;
pub mod journal;
mod lists;
mod log;
pub mod messages;
mod panics;
mod resume;
pub mod script;
mod shell;
pub mod thread;
mod transcript;
pub mod tree;
mod user;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use messages::{Panel, PanelRequest, Pc, Snapshot, Source};

/// Told what is being done, how much of it is done, and how much there is: bytes when loading, ops when running.
pub type Progress<'a> = &'a mut dyn FnMut(&str, u64, u64);

/// A session as the engine thread drives it.
///
/// `source`, `echo`, `alias`, `shell`, `pipe`, `if`, `while`, `define`, `document`, commands of the user's own and repetition by an empty
/// line never reach it; other block commands (see [`script::Reader`]) come as one
/// text of several lines.
pub trait Interpreter {
    /// Runs one command. Mistakes are answers ([`crate::answer::Answer::Error`]), never panics.
    fn execute(&mut self, line: &str, source: &Source, progress: Progress<'_>) -> Outcome;

    /// Whether the condition after the first word of `line`, an `if` or `while`, holds.
    fn condition(&mut self, line: &str) -> Result<bool, ErrorView>;

    /// What a journal must have of the command.
    fn journalled(&self, line: &str) -> Journalled;

    /// How many values the history has.
    fn remembered(&self) -> usize;

    /// Adds so many entries to the history that say that the values of this command were not computed again.
    fn forgo(&mut self, values: usize, line: &str);

    /// The pass and the op before which the next motion is interrupted, as one of an earlier session was.
    fn halt_at(&mut self, place: Option<(usize, usize)>);

    /// The command that makes a setting what it is now, for the setting that `NAME VALUE` names.
    fn restoring(&self, setting: &str) -> Result<String, ErrorView>;

    /// What may be done outside the session.
    fn outside(&self) -> Outside;

    /// From now on snapshots mark the ops whose values hold NaN or infinities: somebody looks at them.
    fn watch_values(&mut self) {}

    /// What the screen needs to know now.
    fn snapshot(&mut self) -> Arc<Snapshot>;

    /// Data for the value pane.
    fn panel(&mut self, request: &PanelRequest) -> Result<Panel, ErrorView>;

    /// Runs a command that only looks, for a pane; nothing changes, and mistakes are answers.
    fn query(&mut self, line: &str, progress: Progress<'_>) -> Answer;

    /// What is wrong with a line that has not been run: bytes of the fault, and what it is.
    fn fault_in(&self, line: &str) -> Option<(Range<usize>, String)>;

    /// Candidates for the text before byte `cursor` of `line`, and the byte at which they replace it.
    fn complete(&mut self, line: &str, cursor: usize) -> (usize, Vec<String>);

    /// Where the cursor stands, if a run is live.
    fn place(&self) -> Option<Pc>;
}
