//! The inputs and outputs of the core of the interface.

use std::time::Instant;

use crate::engine::messages::{Event, Request};
use crate::term::{Input, Signal};

/// An input of the core.
#[derive(Clone, Debug)]
pub enum Msg {
    /// An event of the engine.
    Engine(Box<Event>, Instant),
    /// The engine has ended without an event.
    EngineGone,
    /// A key, a paste or a new size.
    Input(Input, Instant),
    /// A signal of the system.
    Signal(Signal, Instant),
    /// The time of [`super::state::State::wake`] has come.
    Tick(Instant),
}

/// An output of the core.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send this to the engine.
    Request(Request),
    /// Set the flag that interrupts the engine.
    Interrupt,
    Copy(String),
    /// Append a line to the history file.
    Remember(String),
    /// Restore the terminal, stop the process, and take the terminal again when the process continues.
    Suspend,
    /// Take the terminal again after a stop from outside.
    Retake,
    /// Draw every cell again.
    Repaint,
    /// End with this exit status and a message that is shown after the screen is gone.
    Leave {
        status: i32,
        /// Printed on standard error if not empty.
        error: String,
    },
}
