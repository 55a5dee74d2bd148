//! Three renderings of the same answers: batch, a plain line editor, and the terminal interface.

use std::path::PathBuf;

pub mod batch;
pub mod client;
mod loading;
pub mod plain;
mod print;
pub mod shown;
pub mod tui;

/// Something to run before (or instead of) reading commands, in the order in which it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `-ex CMD`.
    Command(String),
    /// `-x FILE`.
    Script(PathBuf),
}

/// The exit status when the model, the device or the engine failed.
pub const MODEL_FAILED: i32 = 4;
