//! The state that commands share, and what several of them do with it.

mod bars;
mod command;
mod console;
mod displays;
mod frames;
pub(crate) mod gdb;
mod gradients;
pub(crate) mod histogram;
mod memory;
mod one_pass;
mod other_prompts;
pub(crate) mod places;
pub(crate) mod rows;
pub(crate) mod rules;
mod screen;
pub(crate) mod settings;
pub(crate) mod snapshot;
mod stop_view;
pub(crate) mod tokens;
mod value_pane;
mod values;

pub(crate) use bars::{NOT_COMPLETE, bar};
pub(crate) use command::{ANALYSING, CHANGING, LOOKING, PLAIN, REPEATED, kind, named, subject};
pub use command::{Call, Command, Directory, Group, Journalled, Repeats, Takes};
pub use console::Console;
pub(crate) use frames::{Frame, Selected};
pub use gdb::{COUNTERPARTS, Counterpart};
pub(crate) use gradients::{EXPLODING, VANISHING, verdict};
pub(crate) use memory::{Dump, Investigation};
pub use screen::Screen;
pub use settings::{Outside, SETTINGS, Setting};
pub(crate) use stop_view::headline;
pub(crate) use values::{by, summary_line};
