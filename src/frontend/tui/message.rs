//! The inputs and outputs of the core of the interface.

use std::time::Instant;

use crate::engine::messages::{Event, PanelRequest, Request};
use crate::term::graphics::query::Question;
use crate::term::{Input, Signal};

/// An input of the core.
#[derive(Clone, Debug)]
pub enum Msg {
    Engine(Box<Event>, Instant),
    /// The engine has ended without an event.
    EngineGone,
    Input(Input, Instant),
    Signal(Signal, Instant),
    /// The time of [`super::state::State::wake`] has come.
    Tick(Instant),
}

impl Msg {
    /// When it came.
    pub fn time(&self) -> Option<Instant> {
        match self {
            Msg::Engine(_, now) | Msg::Input(_, now) | Msg::Signal(_, now) | Msg::Tick(now) => Some(*now),
            Msg::EngineGone => None,
        }
    }
}

/// An output of the core.
#[derive(Clone, Debug)]
pub enum Effect {
    Request(Request),
    /// Set the flag that interrupts the engine.
    Interrupt,
    Copy(String),
    /// Write a picture of the screen.
    Picture,
    /// Ask the terminal about itself.
    Ask(Question),
    /// Take the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Append a line to the history file.
    Remember(String),
    /// Restore the terminal, stop the process, and take the terminal again when the process continues.
    Suspend,
    /// Take the terminal again after a stop from outside.
    Retake,
    /// Draw every cell again.
    Repaint,
    /// End with this exit status and a message, which is printed on standard error if it is not empty.
    Leave {
        status: i32,
        error: String,
    },
}

impl Effect {
    pub fn panel(request: PanelRequest) -> Effect {
        Effect::Request(Request::Panel(request))
    }

    pub fn query(line: String) -> Effect {
        Effect::Request(Request::Query { line })
    }

    /// End without a message.
    pub fn leave(status: i32) -> Effect {
        Effect::Leave { status, error: String::new() }
    }
}
