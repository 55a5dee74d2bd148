//! Ops, modules and programs: plain data.

use std::collections::HashMap;

use crate::model::role::WeightId;
use crate::model::spec::Act;
use crate::tensor::Axis;

/// The arithmetic of one op. Shapes are given for one row: `T` positions, `d` model width, `H` heads, `K` key/value
/// heads, `h` head width, `M` MLP width, `V` vocabulary, `C` classes.
#[derive(Clone, Debug, PartialEq)]
pub enum Kernel {
    /// The token ids of the pass, `T`.
    Tokens,
    /// Rows of the token table, `T d`.
    Embed,
    /// Rows of the position table, `T d`.
    PositionEmbed,
    /// Rows of the token-type table, `T d`.
    TypeEmbed,
    /// The sum of its inputs, left to right.
    Add,
    /// Its input, under another name.
    Same,
    /// `sqrt(var + eps)` of the last axis, biased variance; `T 1`.
    LayerNormScale {
        /// Added to the variance.
        eps: f64,
    },
    /// `sqrt(mean(x^2) + eps)` of the last axis; `T 1`.
    RmsScale {
        /// Added to the mean square.
        eps: f64,
    },
    /// `(x - mean) / scale`.
    LayerNormNormalized,
    /// `x / scale`.
    RmsNormalized,
    /// `x * gain + bias`, the bias where there is one.
    Gain,
    /// `x W + b`, `T n`; split into heads `T H h` where a width is given.
    Linear {
        /// Heads that the last axis is split into.
        heads: Option<usize>,
    },
    /// Rotary embedding of `T H h`.
    Rotate,
    /// Scaled, masked products of queries `T H h` and keys `S K h`: `H T S`; -inf where masked.
    Scores {
        /// Factor on the products.
        scale: f64,
    },
    /// Softmax over keys.
    Pattern,
    /// Pattern `H T S` times values `S K h`: `T H h`.
    Mix,
    /// Heads joined, then `x W + b`: `T d`.
    Output,
    /// An activation function.
    Activation(Act),
    /// `act(gate) * up`.
    Gated(Act),
    /// Logits over the vocabulary, `T V`, chunk by chunk of the unembedding.
    Unembed,
    /// `x[0] W + b`: a dense layer on the first position, `d`.
    FirstLinear,
    /// `x W + b` of a single vector, `C`.
    VectorLinear,
    /// Mean over the positions that are not padding, `d`.
    MeanOfReal,
}

/// One step of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    /// Canonical name of its output.
    pub site: String,
    /// Index of the module it belongs to.
    pub module: usize,
    /// Its arithmetic.
    pub kernel: Kernel,
    /// The ops whose outputs it reads, in the order that the kernel expects.
    pub inputs: Vec<usize>,
    /// Those of them that it reads over all passes so far, joined along positions: the key/value cache.
    pub cached: Vec<usize>,
    /// The weights it reads, in the order that the kernel expects.
    pub weights: Vec<WeightId>,
    /// Axes of its output, the batch row first.
    pub axes: Vec<Axis>,
    /// The block it belongs to.
    pub layer: Option<usize>,
}

impl Op {
    /// Its name within its module.
    pub fn label(&self, module_path: &str) -> &str {
        match self.site.strip_prefix(module_path) {
            Some(rest) if !module_path.is_empty() => rest.trim_start_matches('.'),
            _ => &self.site,
        }
    }

    /// Whether its value is kept when the recording is over its budget: the inside of a block can be computed again from
    /// the block's input.
    pub fn is_boundary(&self) -> bool {
        self.layer.is_none() || self.site.ends_with(".resid_pre")
    }
}

/// A contiguous range of ops under a common name. The first module is the whole model.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// Full path such as `blocks.2.attn`; empty for the whole model.
    pub path: String,
    /// The module around it; none for the whole model.
    pub parent: Option<usize>,
    /// Nesting depth, 0 for the whole model.
    pub depth: usize,
    /// First op.
    pub start: usize,
    /// One past the last op.
    pub end: usize,
}

/// Ops in execution order and the tree of modules over them.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// In execution order; inputs always stand before their readers.
    pub ops: Vec<Op>,
    /// In pre-order.
    pub modules: Vec<Module>,
    pub(super) sites: Vec<String>,
    pub(super) module_paths: Vec<String>,
    pub(super) index: HashMap<String, usize>,
    pub(super) readers: Vec<Vec<usize>>,
    pub(super) n_layers: usize,
    pub(super) n_heads: usize,
}

impl Program {
    /// The sites in program order.
    pub fn sites(&self) -> &[String] {
        &self.sites
    }

    /// The paths of all modules but the whole model, in program order.
    pub fn module_paths(&self) -> &[String] {
        &self.module_paths
    }

    /// The op that produces a site.
    pub fn op_of(&self, site: &str) -> Option<usize> {
        self.index.get(site).copied()
    }

    /// The module with that path.
    pub fn module_of(&self, path: &str) -> Option<usize> {
        self.modules.iter().position(|module| module.path == path)
    }

    /// The innermost module that holds the op at `pc`; the whole model at the end.
    pub fn module_at(&self, pc: usize) -> usize {
        self.ops.get(pc).map_or(0, |op| op.module)
    }

    /// The block of the op at `pc`.
    pub fn layer_at(&self, pc: usize) -> Option<usize> {
        self.ops.get(pc).and_then(|op| op.layer)
    }

    /// Number of blocks.
    pub fn n_layers(&self) -> usize {
        self.n_layers
    }

    /// Query heads per block.
    pub fn n_heads(&self) -> usize {
        self.n_heads
    }

    /// The ops that read the output of `op` directly.
    pub fn readers(&self, op: usize) -> &[usize] {
        &self.readers[op]
    }

    /// For each op, whether its output depends on one of `changed`, those included.
    pub fn affected_by(&self, changed: &[usize]) -> Vec<bool> {
        let mut affected = vec![false; self.ops.len()];
        for &op in changed {
            affected[op] = true;
        }
        for i in 0..self.ops.len() {
            affected[i] |= self.ops[i].inputs.iter().any(|&input| affected[input]);
        }
        affected
    }
}
