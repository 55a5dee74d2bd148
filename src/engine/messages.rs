//! Everything that passes between the engine thread and a frontend.

use std::path::PathBuf;
use std::sync::Arc;

pub use crate::answer::Pc;
use crate::answer::{Answer, MapView, StopView, Summary, TokenView};

/// From a frontend to the engine.
#[derive(Clone, Debug)]
pub enum Request {
    /// One command line; answered by exactly one [`Event::Answer`] that carries the same `id`.
    Command {
        /// Chosen by the frontend.
        id: u64,
        /// The line as typed.
        line: String,
        /// Where it comes from.
        source: Source,
    },
    /// A script file to run; answered by an [`Event::ScriptAnswer`] for each of its commands and then one
    /// [`Event::Answer`]. The command `source FILE` does the same.
    Script {
        /// Chosen by the frontend.
        id: u64,
        /// The file.
        file: PathBuf,
        /// Whether commands after a failed one run too.
        keep_going: bool,
    },
    /// Data for the value pane; answered by [`Event::Panel`]. Not a command: changes nothing, is not journalled.
    Panel(PanelRequest),
    /// Candidates for completing `line` at byte `cursor`; answered by [`Event::Completions`].
    Complete {
        /// The line so far.
        line: String,
        /// Byte offset of the cursor in it.
        cursor: usize,
    },
    /// End the engine thread.
    Shutdown,
}

/// Where a command line comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A person at a prompt or key. An empty line repeats the last repeatable command.
    Prompt,
    /// An empty line at a prompt: the last repeatable command again. `x` and `list` go on from where they ended.
    Repeat,
    /// `-ex`.
    Option,
    /// A script: file name and line from 1.
    Script {
        /// File as it was named.
        file: String,
        /// Line in it.
        line: usize,
    },
}

/// From the engine to a frontend.
#[derive(Clone, Debug)]
pub enum Event {
    /// The model is loaded and the session stands ready.
    Ready(Arc<Snapshot>),
    /// Loading failed; the engine is gone.
    LoadFailed(String),
    /// The answer of the command `id`.
    Answer {
        /// The `id` of the request.
        id: u64,
        /// The command line.
        line: String,
        /// What it gave.
        answer: Answer,
        /// Where the cursor stands now, if a run is live.
        at: Option<Pc>,
        /// Milliseconds it took.
        ms: f64,
        /// Text for `echo`-like output that comes before the answer.
        printed: Vec<String>,
    },
    /// The answer of one command of a script that runs for the request `id`; its errors name file and line.
    ScriptAnswer {
        /// The `id` of the request.
        id: u64,
        /// The command line.
        line: String,
        /// What it gave.
        answer: Answer,
        /// Where the cursor stands now, if a run is live.
        at: Option<Pc>,
        /// Milliseconds it took.
        ms: f64,
        /// Text for `echo`-like output that comes before the answer.
        printed: Vec<String>,
    },
    /// Something long goes on.
    Progress {
        /// What, such as `loading transformer.h.3.mlp.c_fc.weight` or the site being computed.
        what: String,
        /// Units done: bytes when loading, ops when running.
        done: u64,
        /// Units in all.
        total: u64,
    },
    /// The state changed; sent after every command that changed it, before its answer.
    Moved(Arc<Snapshot>),
    /// Data for the value pane.
    Panel(Result<Panel, String>),
    /// Completions: byte offset where the replaced text starts, and the candidates.
    Completions {
        /// Byte offset at which candidates replace the line's text up to the cursor.
        start: usize,
        /// Sorted candidates.
        candidates: Vec<String>,
    },
    /// `quit` was given: leave with this status. Sent before the answer of that command, the last event.
    Quit(i32),
}

/// What the screen needs to know of the session; rebuilt after every change, shared by reference count.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Model name, such as `tiny-gpt2`.
    pub model: String,
    /// `4L 4H d128 f32`.
    pub dimensions: String,
    /// Device in a word or two: `cpu`, `gpu0 H200`.
    pub device: String,
    /// Name of the run and, after a slash, of its branch where it is not the first: `main`, `main/edit1`.
    pub branch: String,
    /// Pass number.
    pub pass: u32,
    /// Whether a run is live (`run` or `start` was given).
    pub live: bool,
    /// Index of the op at the cursor; `ops.len()` at the end of the pass.
    pub cursor: usize,
    /// The program; the same `Arc` while the program is the same.
    pub ops: Arc<Vec<OpLine>>,
    /// The modules of the program in pre-order; the same `Arc` while the program is the same.
    pub modules: Arc<Vec<ModuleLine>>,
    /// One for each op.
    pub flags: Vec<OpFlags>,
    /// Tokens of the focused row.
    pub tokens: Vec<TokenView>,
    /// Number of rows in the batch.
    pub rows: usize,
    /// What the panes look at.
    pub focus: Focus,
    /// Heads per block, layers.
    pub heads: usize,
    /// Number of blocks.
    pub layers: usize,
    /// Stop points that are set, and how many of them are enabled.
    pub breakpoints: usize,
    /// Edits in force.
    pub edits: usize,
    /// Bytes held by the recording.
    pub recorded: u64,
    /// The last stop.
    pub stop: Option<StopView>,
}

/// One op, as listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpLine {
    /// Canonical site name.
    pub site: String,
    /// Its name within its module: `pattern`, `ln1.out`.
    pub label: String,
    /// Index of its module in `modules`.
    pub module: usize,
    /// Shape for one row, such as `4x15x15`; empty before an input is known.
    pub shape: String,
}

/// One module: a contiguous range of ops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleLine {
    /// Full path: `blocks.2.attn`; empty for the whole model.
    pub path: String,
    /// Last part of the path.
    pub label: String,
    /// Nesting depth; 0 for the whole model.
    pub depth: usize,
    /// Parent in `modules`; none for the whole model.
    pub parent: Option<usize>,
    /// First op.
    pub start: usize,
    /// One past the last op.
    pub end: usize,
}

/// State of one op.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpFlags {
    /// It has its value (it stands before the cursor).
    pub computed: bool,
    /// An edit replaced its value.
    pub edited: bool,
    /// Its value depends on an edit.
    pub affected: bool,
    /// An enabled stop point is on it, and whether it was ever hit.
    pub breakpoint: Option<Breakpoint>,
    /// Its value is known to hold NaN or infinities that no mask explains.
    pub nonfinite: bool,
}

/// Mark of a stop point on an op, as in gdb's TUI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breakpoint {
    /// Hit at least once.
    pub hit: bool,
    /// Enabled.
    pub enabled: bool,
}

/// What the panes look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Focus {
    /// Row of the batch.
    pub row: usize,
    /// Token position; none means the last.
    pub pos: Option<usize>,
    /// Head.
    pub head: usize,
}

/// What the value pane wants to see.
#[derive(Clone, Debug, PartialEq)]
pub struct PanelRequest {
    /// Index of an op that has its value.
    pub op: usize,
    /// Largest number of cells, rows by columns; larger values are pooled by largest magnitude.
    pub cells: (usize, usize),
    /// How it is to be shown.
    pub view: PanelView,
}

/// How the value pane shows a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PanelView {
    /// Whatever suits the value.
    #[default]
    Auto,
    /// Heat map of the slice at the focus.
    Heat,
    /// The vector at the focused position.
    Vector,
    /// Largest elements of the vector at the focused position, with token text on a vocabulary axis.
    TopK,
}

/// Data for the value pane.
#[derive(Clone, Debug)]
pub struct Panel {
    /// The op it belongs to.
    pub op: usize,
    /// `L2.attn.pattern head 1`.
    pub title: String,
    /// Shape for one row: `4x15x15`.
    pub shape: String,
    /// Statistics over the whole value.
    pub summary: Summary,
    /// What to draw.
    pub content: PanelContent,
}

/// What the value pane draws.
#[derive(Clone, Debug)]
pub enum PanelContent {
    /// A heat map. Masked cells (`attn.scores`, `attn.pattern` above the diagonal or at padding) are listed in `masked`.
    Heat {
        /// The cells.
        map: MapView,
        /// For each cell, whether a mask covers it.
        masked: Vec<bool>,
        /// Row of the map that the focus is on.
        focus_row: Option<usize>,
    },
    /// A vector as bars.
    Vector {
        /// Name of its axis.
        axis: String,
        /// Its elements, pooled by largest magnitude to the width asked for.
        data: Vec<f64>,
        /// Elements behind each bar.
        pool: usize,
    },
    /// Largest elements: index, label, value, largest first.
    TopK(Vec<(usize, String, f64)>),
    /// A single number.
    Scalar(f64),
}
