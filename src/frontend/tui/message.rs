//! Everything that goes into and comes out of the interface's core, on one screen.

use std::time::Instant;

use crate::engine::messages::{Event, Request};
use crate::term::{Input, Signal};

/// What happens to the interface.
#[derive(Clone, Debug)]
pub enum Msg {
    /// The engine said something.
    Engine(Box<Event>, Instant),
    /// The engine is gone without a word.
    EngineGone,
    /// A key, a paste or a new size.
    Input(Input, Instant),
    /// The system asks something.
    Signal(Signal, Instant),
    /// The time that [`super::state::State::wake`] names has come.
    Tick(Instant),
}

/// What the core wants done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send this to the engine.
    Request(Request),
    /// Raise the flag that makes the engine pause.
    Interrupt,
    /// Copy a text.
    Copy(String),
    /// Append a line to the history file.
    Remember(String),
    /// Give the terminal back, stop the process, and take the terminal again when it continues.
    Suspend,
    /// Take the terminal again after a stop from outside.
    Retake,
    /// Draw every cell again.
    Repaint,
    /// End with this exit status; the words are for those who see no screen any more.
    Leave {
        /// Exit status.
        status: i32,
        /// Printed on standard error, where not empty.
        error: String,
    },
}
