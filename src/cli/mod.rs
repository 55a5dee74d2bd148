//! The command line: what to debug, what to run first, and on which frontend.
//!
//! The spellings are gdb's where gdb has the option: `-batch -ex -x -nx -q` with one dash, and the same with two. `-ex`
//! and `-x` run in the order in which they are given.

mod arguments;
pub mod core_file;
pub mod doors;
pub mod init;
pub mod models;
pub mod open;
mod options;
pub mod pages;
pub mod resume;
pub mod settings;
pub mod trust;

pub use arguments::{Invocation, parse};
pub use options::{Chat, ColorChoice, Frontend, Input, Options, PadSide, Surroundings};

#[cfg(test)]
mod tests;
