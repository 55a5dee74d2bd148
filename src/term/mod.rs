//! The terminal: what it can do, how it is entered and left, what it sends.
//!
//! This is the only module that uses the terminal library, so that replacing it changes nothing else. It ensures that:
//!
//! - the terminal is restored on every way out: return, error, panic, SIGTERM, suspension (see [`screen`]);
//! - a terminal that vanishes ends the program instead of leaving it spinning (see [`signals`]);
//! - one frame is one write, wrapped in synchronised output (see [`frames`]);
//! - what the terminal answers is never taken for something typed (see [`input`]);
//! - the rest of the program sees [`Chord`]s, [`Input`]s and [`Signal`]s, never the events of the library.

mod base64;
pub mod capabilities;
pub mod clipboard;
mod descriptors;
pub mod frames;
pub mod graphics;
pub mod input;
pub mod key;
pub mod quiet;
pub mod screen;
pub mod signals;

pub use capabilities::{Capabilities, ColorDepth};
pub use frames::{Frames, Over};
pub use input::{Input, Mouse, Pointer};
pub use key::{Chord, Key};
pub use screen::Screen;
pub use signals::Signal;
