//! Everything that passes between the engine thread and a frontend.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::answer::{Answer, ErrorView};

pub use crate::answer::Pc;
pub use crate::answer::view::{
    Breakpoint, Focus, ModuleLine, OpFlags, OpLine, Panel, PanelContent, PanelRequest, PanelView, ScreenView, Shades,
    Snapshot, TopItem,
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    /// One command line; answered by exactly one [`Event::Answer`] that carries the same `id`.
    Command {
        id: u64,
        line: String,
        source: Source,
    },
    /// A script file to run; answered by an [`Event::Answer`] for each of its commands, and then by its own. The
    /// command `source FILE` does the same.
    Script {
        id: u64,
        file: PathBuf,
        keep_going: bool,
    },
    /// Data for the value pane; answered by [`Event::Panel`]. This is not a command: nothing changes, nothing is
    /// journalled.
    Panel(PanelRequest),
    /// A read-only command, whose answer fills a pane; answered by [`Event::Queried`]. Nothing changes, nothing is
    /// journalled.
    Query {
        line: String,
    },
    /// Whether a line that is being typed has a mistake, as far as can be seen before it runs; answered by
    /// [`Event::Checked`].
    Check {
        line: String,
    },
    /// Candidates for completing `line` at byte `cursor`; answered by [`Event::Completions`].
    Complete {
        line: String,
        /// Byte offset of the cursor in it.
        cursor: usize,
    },
    Shutdown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A person at a prompt or key. An empty line repeats the last repeatable command.
    Prompt,
    /// An empty line at a prompt: the last repeatable command again. `x` and `list` continue where they ended.
    Repeat,
    /// `-ex`.
    Option,
    Script {
        file: String,
        /// The line, counted from 1.
        line: usize,
    },
}

impl Source {
    pub fn file(&self) -> Option<&str> {
        match self {
            Source::Script { file, .. } => Some(file),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    pub id: u64,
    pub line: String,
    pub answer: Answer,
    /// Where the cursor is now, if a run is live.
    pub at: Option<Pc>,
    /// Milliseconds it took.
    pub ms: f64,
    /// Lines that it printed before its answer, such as those of `echo`.
    pub printed: Vec<String>,
    /// Whether it is a command of a script that runs for the request, whose errors name file and line. The request's
    /// own answer follows.
    pub in_script: bool,
}

impl Answered {
    /// An answer that does not come from the session: nothing was printed, and no time was measured.
    pub fn from_outside(id: u64, line: String, answer: Answer) -> Answered {
        Answered { id, line, answer, at: None, ms: 0.0, printed: Vec::new(), in_script: false }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    Ready(#[serde(with = "shared")] Arc<Snapshot>),
    LoadFailed(String),
    Answer(Answered),
    Progress {
        /// Such as `loading transformer.h.3.mlp.c_fc.weight`, or the site that is being computed.
        what: String,
        /// Units done: bytes when loading, ops when running.
        done: u64,
        total: u64,
    },
    /// The state changed; sent after every command that changed it, before its answer.
    Moved(#[serde(with = "shared")] Arc<Snapshot>),
    Panel {
        request: PanelRequest,
        panel: Result<Panel, ErrorView>,
    },
    Queried {
        line: String,
        answer: Answer,
    },
    Checked {
        line: String,
        /// Its bytes, and a message.
        fault: Option<(Range<usize>, String)>,
    },
    /// Completions: byte offset where the replaced text starts, and the candidates.
    Completions {
        /// Byte offset at which candidates replace the line's text up to the cursor.
        start: usize,
        candidates: Vec<String>,
    },
    /// `quit` was given: exit with this status. Sent before the answer of that command, which is the last event.
    Quit(i32),
}

/// What is shared by reference count here is a separate value at the other end of a connection.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(value: &Arc<T>, to: S) -> Result<S::Ok, S::Error> {
        T::serialize(value, to)
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Arc<T>, D::Error> {
        T::deserialize(from).map(Arc::new)
    }
}
