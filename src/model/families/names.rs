//! Which tensor of the file a weight is, or is a part of: what a family says about one checkpoint.

use crate::model::role::WeightId;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A linear layer as `[in, out]` (GPT-2's `Conv1D`).
    InOut,
    /// A linear layer as `[out, in]` (everyone else's `Linear`).
    OutIn,
    /// A linear layer of so many heads, each as `[in, out]` and one after the other: `[heads, in, out]`.
    Heads(usize),
    /// A convolution of each channel, as `[channels, 1, taps]`; in memory `[channels, taps]`.
    Channels,
    /// One axis: gains and biases.
    Vector,
    /// The same as a matrix of one row, `[1, n]`.
    Row,
    /// Rows that are looked up: `[rows, width]`.
    Table,
}

impl Layout {
    /// The layout of the transposed matrix.
    pub fn turned(self) -> Layout {
        match self {
            Layout::InOut => Layout::OutIn,
            Layout::OutIn => Layout::InOut,
            other => other,
        }
    }
}

/// A part of a tensor in which several weights are joined along their output axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub index: usize,
    /// Outputs of each part that are side by side.
    pub sizes: Vec<usize>,
    /// How often the parts follow each other: once if each is in one piece, else once for each head or group of heads.
    pub rounds: usize,
    /// Of a stack of tensors on a first axis (those of experts) the number of the one whose part it is, and how many there
    /// are.
    pub stack: Option<(usize, usize)>,
}

/// Where a weight is in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub layout: Layout,
    pub part: Option<Part>,
}

/// A weight that the model needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub id: WeightId,
    pub source: Source,
}

/// A tensor of the file that is not a weight of this model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    pub name: String,
    pub reason: String,
}

/// What a family says about the tensors of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TensorNames {
    /// The weights the model needs, in the order in which it uses them.
    pub wanted: Vec<Wanted>,
    pub ignored: Vec<Ignored>,
    pub tied: bool,
    pub notes: Vec<String>,
    /// What to do if a tensor of the head is missing; empty where there is nothing to say.
    pub advice: String,
}
