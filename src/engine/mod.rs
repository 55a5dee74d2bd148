//! The engine thread and what passes between it and the frontends.

pub mod messages;
