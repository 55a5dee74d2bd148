//! Ways to show the same answers: batch mode, a plain prompt, and the full-screen interface to people; the protocols of
//! agents and of editors to programs.

use std::path::PathBuf;

pub mod batch;
pub mod client;
pub mod dap;
pub mod mcp;
pub mod plain;
mod print;
mod progress;
pub mod shown;
pub mod tui;

/// Something to run before (or instead of) reading commands, in the order of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `-ex CMD`.
    Command(String),
    /// `-x FILE`.
    Script(PathBuf),
}

/// The exit status when the model, the device or the engine failed.
pub const MODEL_FAILED: i32 = 4;

const PROMPT: &str = "(llmdbg) ";

/// The prompt inside a block.
const BLOCK_PROMPT: &str = "> ";
