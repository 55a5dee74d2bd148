//! The engine thread and what passes between it and the frontends.
//!
//! Tensors never cross threads: the thread that [`thread::spawn`] starts builds the session, owns it and runs every
//! command on it. Frontends hold the two ends of a channel and see answers and snapshots only.

use std::ops::Range;
use std::path::PathBuf;
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

/// The folder of what the program remembers from one session to the next.
pub fn state_folder() -> Option<PathBuf> {
    let folders = directories::ProjectDirs::from("", "", "llmdbg")?;
    Some(folders.state_dir().unwrap_or(folders.data_local_dir()).to_path_buf())
}

/// A session as the engine thread drives it.
///
/// `source`, `echo`, `alias`, `shell`, `pipe`, `if`, `while`, `define`, `document`, commands that the user defined and
/// repetition by an empty line never reach it; other block commands (see [`script::Reader`]) come as one text of
/// several lines.
pub trait Interpreter {
    /// Runs one command. Mistakes are answers ([`crate::answer::Answer::Error`]), never panics.
    fn execute(&mut self, line: &str, source: &Source) -> Outcome;

    /// Whether the condition after the first word of `line`, an `if` or `while`, holds.
    fn condition(&mut self, line: &str) -> Result<bool, ErrorView>;

    fn journalled(&self, line: &str) -> Journalled;

    /// Tells how the program was started, and the commands since, as a journal has them, before a command that saves them.
    fn story(&mut self, _start: &journal::Start, _commands: &str) {}

    fn remembered(&self) -> usize;

    /// Keeps a line that was typed at a prompt, for `show commands`.
    fn typed(&mut self, _line: &str) {}

    /// Adds entries to the history, in place of values of this command that were not computed again.
    fn forgo(&mut self, values: usize, line: &str);

    /// Sets the pass and the op before which the next motion is interrupted, as a motion of an earlier session was.
    fn halt_at(&mut self, place: Option<(usize, usize)>);

    /// The command that restores the present value of the setting that `NAME VALUE` names.
    fn restoring(&self, setting: &str) -> Result<String, ErrorView>;

    /// What the session allows outside itself: programs, and the log.
    fn outside(&self) -> Outside;

    /// Makes snapshots mark the ops whose values contain NaN or infinities; a screen shows the marks.
    fn watch_values(&mut self) {}

    fn snapshot(&mut self) -> Arc<Snapshot>;

    fn panel(&mut self, request: &PanelRequest) -> Result<Panel, ErrorView>;

    /// Runs a read-only command for a pane. Nothing changes, and mistakes are answers.
    fn query(&mut self, line: &str) -> Answer;

    /// The mistake in a line that has not been run: its bytes, and a message.
    fn fault_in(&self, line: &str) -> Option<(Range<usize>, String)>;

    /// Candidates for the text before byte `cursor` of `line`, and the byte at which they replace it.
    fn complete(&mut self, line: &str, cursor: usize) -> (usize, Vec<String>);

    fn place(&self) -> Option<Pc>;
}
