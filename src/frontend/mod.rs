//! The ways to see a session: three renderings of the same answers.

pub mod tui;
