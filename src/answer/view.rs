//! What a screen shows of a session: the program with its flags, the focus, and the slice in the value pane.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{MapView, StopView, Summary, TokenView};

/// What the screen needs to know of the session; rebuilt after every change, shared by reference count.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    pub model: String,
    /// `4L 4H d128 f32`.
    pub dimensions: String,
    /// Device in a word or two: `cpu`, `gpu0 H200`.
    pub device: String,
    /// Lines that say which devices were taken and why, and which blocks each computes if there are several.
    pub device_reason: String,
    /// Name of the run and, after a slash, of its branch if that is not the first: `main`, `main/edit1`.
    pub branch: String,
    pub pass: u32,
    /// Whether a run is live (`run` or `start` was given).
    pub live: bool,
    /// Index of the op at the cursor; `ops.len()` at the end of the pass.
    pub cursor: usize,
    /// The program; the same `Arc` until the program changes. It crosses a connection apart from the rest, when it is
    /// different from the one before, as the modules and the tokens do.
    #[serde(skip)]
    pub ops: Arc<Vec<OpLine>>,
    /// The modules of the program in pre-order; the same `Arc` until the program changes.
    #[serde(skip)]
    pub modules: Arc<Vec<ModuleLine>>,
    /// One for each op.
    #[serde(with = "runs")]
    pub flags: Vec<OpFlags>,
    /// Tokens of the focused row.
    #[serde(skip)]
    pub tokens: Vec<TokenView>,
    pub rows: usize,
    pub focus: Focus,
    pub heads: usize,
    pub layers: usize,
    /// Stop points that are set, and how many of them are enabled.
    pub breakpoints: usize,
    pub edits: usize,
    /// Bytes held by the recording.
    pub recorded: u64,
    /// Bytes of the weights that are in memory and of all, where not all may be: `9.1 of 131.4 GiB`; else empty.
    pub weights: String,
    pub stop: Option<StopView>,
    pub screen: ScreenView,
    /// Messages to show at the start.
    pub notices: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScreenView {
    pub layout: String,
    pub theme: String,
    /// Rows of the console pane; 0 leaves it to the layout.
    pub console_rows: usize,
    /// Whether the keys, and not the prompt, have the keyboard at the start.
    pub keys_first: bool,
    /// Milliseconds that a letter waits for the next one in key mode; 0 acts at once.
    pub key_wait: u64,
    /// Whether the mouse is used.
    pub mouse: bool,
    /// Whether and how maps are drawn in pixels: `auto`, `on`, `off`, or the name of a protocol.
    pub pixels: String,
    pub shades: Option<Shades>,
}

/// A number for each token, as its colour.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Shades {
    pub title: String,
    /// One for each position; `None` for a position without a number.
    pub values: Vec<Option<f64>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpLine {
    pub site: String,
    /// Its name within its module: `pattern`, `ln1.out`.
    pub label: String,
    pub module: usize,
    /// Shape for one row, such as `4x15x15`; empty before an input is known.
    pub shape: String,
}

/// One module: a contiguous range of ops. The whole model has the empty path, the depth 0 and no parent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleLine {
    pub path: String,
    pub label: String,
    pub depth: usize,
    pub parent: Option<usize>,
    pub start: usize,
    /// One past the last op.
    pub end: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpFlags {
    /// It has its value (it is before the cursor).
    pub computed: bool,
    /// An edit has replaced its value.
    pub edited: bool,
    /// Its value depends on an edit.
    pub affected: bool,
    /// An enabled stop point is on it, and whether it was ever hit.
    pub breakpoint: Option<Breakpoint>,
    /// Its value is known to hold NaN or infinities that no mask explains.
    pub nonfinite: bool,
}

/// Mark of a stop point on an op, as in gdb's TUI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breakpoint {
    /// Number of the first stop point on the op.
    pub number: usize,
    pub hit: bool,
    pub enabled: bool,
}

/// The part of the run that the panes show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Focus {
    pub row: usize,
    /// Token position; `None` is the last.
    pub pos: Option<usize>,
    pub head: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PanelRequest {
    /// Index of an op that has its value.
    pub op: usize,
    /// Largest number of cells, rows by columns; larger values are pooled by largest magnitude.
    pub cells: (usize, usize),
    pub view: PanelView,
    /// Whether the gradient at the op is shown instead of its value.
    pub gradient: bool,
    /// First row and column of a part that is shown without pooling; `None` shows the whole map.
    pub from: Option<(usize, usize)>,
}

/// How the value pane shows a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PanelView {
    /// The form that suits the value.
    #[default]
    Auto,
    /// Heat map of the slice at the focus.
    Heat,
    /// The numbers of a part of the map.
    Numbers,
    /// The vector at the focused position.
    Vector,
    /// A heat map of every head, each of at most `cells` cells.
    Heads,
    /// A histogram of the elements of the slice.
    Histogram,
    /// Largest elements of the vector at the focused position, with token text on a vocabulary axis.
    TopK,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Panel {
    pub op: usize,
    /// `L2.attn.pattern head 1`.
    pub title: String,
    /// Shape for one row: `4x15x15`.
    pub shape: String,
    pub summary: Summary,
    pub content: PanelContent,
}

/// One of the largest elements of a vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopItem {
    pub index: usize,
    pub label: String,
    pub value: f64,
    /// Of logits: the probability.
    pub chance: Option<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "few exist at a time, and a box would only hide the map")]
pub enum PanelContent {
    /// A heat map. Masked cells (`attn.scores`, `attn.pattern` above the diagonal or at padding) are listed in
    /// `masked`.
    Heat {
        map: MapView,
        /// For each cell, whether a mask covers it.
        masked: Vec<bool>,
        /// Row of the map that the focus is on.
        focus_row: Option<usize>,
        /// First row and column of the part shown; zeros if the whole is shown.
        first: (usize, usize),
        /// Rows and columns of the whole, before pooling.
        whole: (usize, usize),
    },
    Vector {
        axis: String,
        /// Its elements, pooled by largest magnitude to the width asked for.
        data: Vec<f64>,
        /// Number of elements pooled in each bar.
        pool: usize,
    },
    /// A heat map for every head, each with its masked cells.
    Heads(Vec<(MapView, Vec<bool>)>),
    /// Largest elements: index, label, value, largest first.
    TopK(Vec<TopItem>),
    Scalar(f64),
}

/// Flags as runs of equal ones, which is what they are: those before the cursor, those after it.
mod runs {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::OpFlags;

    /// More ops than any program has.
    const LARGEST: usize = 1 << 24;

    pub fn serialize<S: Serializer>(flags: &[OpFlags], to: S) -> Result<S::Ok, S::Error> {
        let runs: Vec<(usize, OpFlags)> = flags.chunk_by(|a, b| a == b).map(|run| (run.len(), run[0])).collect();
        runs.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<OpFlags>, D::Error> {
        let runs = Vec::<(usize, OpFlags)>::deserialize(from)?;
        let count = runs.iter().try_fold(0_usize, |sum, (run, _)| sum.checked_add(*run));
        match count {
            Some(count) if count <= LARGEST => {
                Ok(runs.into_iter().flat_map(|(run, flags)| std::iter::repeat_n(flags, run)).collect())
            }
            _ => Err(D::Error::custom("more flags than a program has ops")),
        }
    }
}
