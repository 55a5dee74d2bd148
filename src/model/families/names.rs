//! Which tensor of the file a weight is, or is a part of.

use super::super::checkpoint::Checkpoint;
use super::super::role::{Role, WeightId};
use super::super::spec::{Head, ModelSpec};
use super::Sources;

/// How a tensor lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A linear layer as `[in, out]` (GPT-2's `Conv1D`).
    InOut,
    /// A linear layer as `[out, in]` (everyone else's `Linear`).
    OutIn,
    /// One axis: gains and biases.
    Vector,
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
    /// Which part.
    pub index: usize,
    /// Width of each part.
    pub sizes: Vec<usize>,
}

/// Where a weight is in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Name of the tensor.
    pub name: String,
    /// How it lies there.
    pub layout: Layout,
    /// Which part of it, if it holds several weights.
    pub part: Option<Part>,
}

/// A weight that the model needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The weight.
    pub id: WeightId,
    /// Where it is.
    pub source: Source,
}

/// A tensor of the file that is not a weight of this model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Name of the tensor.
    pub name: String,
    /// Why the model has no use for it.
    pub reason: &'static str,
}

/// What a family says about the tensors of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TensorNames {
    /// The weights the model needs, in the order in which it uses them.
    pub wanted: Vec<Wanted>,
    /// Tensors that are there and not needed.
    pub ignored: Vec<Ignored>,
    /// Whether the unembedding is the token embedding.
    pub tied: bool,
    /// What a user may want to know.
    pub notes: Vec<String>,
}

impl TensorNames {
    /// A table outside blocks.
    pub fn table(&mut self, role: Role, name: String) {
        self.want(WeightId::global(role), name, Layout::Table, None);
    }

    /// A gain or bias.
    pub fn vector(&mut self, id: WeightId, name: String) {
        self.want(id, name, Layout::Vector, None);
    }

    /// A linear layer, `base.weight` and, if `bias` is given, `base.bias`.
    pub fn linear(&mut self, weight: WeightId, bias: Option<WeightId>, base: &str, layout: Layout) {
        self.want(weight, format!("{base}.weight"), layout, None);
        if let Some(bias) = bias {
            self.vector(bias, format!("{base}.bias"));
        }
    }

    /// Several weights joined along their output axis in one tensor.
    pub fn fused(&mut self, parts: &[(WeightId, usize)], name: &str, layout: Layout) {
        let sizes: Vec<usize> = parts.iter().map(|(_, size)| *size).collect();
        for (index, (id, _)) in parts.iter().enumerate() {
            self.want(*id, name.to_owned(), layout, Some(Part { index, sizes: sizes.clone() }));
        }
    }

    /// The gain and bias of a norm, which checkpoints of 2018 call `gamma` and `beta`.
    pub fn layer_norm(&mut self, checkpoint: &Checkpoint, weight: WeightId, bias: WeightId, base: &str) {
        for (id, name, old) in [(weight, "weight", "gamma"), (bias, "bias", "beta")] {
            let (name, old) = (format!("{base}.{name}"), format!("{base}.{old}"));
            let name = if !checkpoint.has(&name) && checkpoint.has(&old) { old } else { name };
            self.vector(id, name);
        }
    }

    /// Tensors that the model has no use for, if they are there.
    pub fn ignore(&mut self, checkpoint: &Checkpoint, reason: &'static str, matches: impl Fn(&str) -> bool) {
        for entry in checkpoint.entries() {
            let wanted = self.wanted.iter().any(|wanted| wanted.source.name == entry.name);
            let known = self.ignored.iter().any(|ignored| ignored.name == entry.name);
            if !wanted && !known && matches(&entry.name) {
                self.ignored.push(Ignored { name: entry.name.clone(), reason });
            }
        }
    }

    fn want(&mut self, id: WeightId, name: String, layout: Layout, part: Option<Part>) {
        self.wanted.push(Wanted { id, source: Source { name, layout, part } });
    }
}

impl TensorNames {
    /// The head of a decoder: the token embedding, a matrix of its own, or none.
    pub fn causal_head(&mut self, spec: &ModelSpec, from: &Sources, name: &str) {
        match spec.head {
            Head::CausalLm { tied: true } => {
                self.tied = true;
                self.ignore(from.checkpoint, "a duplicate of the token embedding, which is the head", |n| n == name);
            }
            Head::CausalLm { tied: false } => {
                self.table(Role::W_U, name.to_owned());
                if from.config.flag(&["tie_word_embeddings"], false).unwrap_or(false) {
                    self.notes.push(format!(
                        "tie_word_embeddings is true, but {name:?} differs from the token embedding: it is the head"
                    ));
                }
            }
            _ => self.ignore(from.checkpoint, "a head, and the architecture has none", |n| n == name),
        }
    }
}
