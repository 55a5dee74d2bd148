//! Ops, modules and programs: plain data.

use std::collections::HashMap;

use super::Part;
use crate::model::dictionary::{Coding, Stage};
use crate::model::placement::Placement;
use crate::model::role::{ENCODER, RolePlace, WeightId};
use crate::model::site_name::InBlock;
use crate::model::spec::{
    Act, Buckets, ClampedGate, Learning, Masks, Norm, Pool, QkNormOver, Reach, Router, Sentence, SharedExpert,
    Transform, Waves,
};
use crate::tensor::{Axis, Device};

/// The arithmetic of one op. Shapes are given for one row: `T` positions, `S` keys, `d` model width, `H` heads, `K`
/// key/value heads, `h` head width, `M` MLP width, `E` experts, `V` vocabulary, `C` classes.
#[derive(Clone, Debug, PartialEq)]
pub enum Kernel {
    /// The token ids of the pass, `T`.
    Tokens,
    /// Rows of the token table times a factor, `T d`; times another that follows from the masks of a text where they count
    /// as dropped.
    Embed { scale: f64, masks: Option<Masks> },
    /// Rows of the position table, `T d`.
    PositionEmbed,
    /// Sines, then cosines, of the positions, `T d`.
    Sines { waves: Waves },
    /// Rows of the token-type table, `T d`.
    TypeEmbed,
    /// Numbers of a table for each head by the distance of query and key: `H T S`.
    RelativeBias { buckets: Buckets },
    /// The sum of its inputs, left to right.
    Add,
    /// Its input, under another name.
    Same,
    /// The sum of its inputs, zero at padding.
    ZeroPadding,
    /// Its input times a factor.
    Scale { factor: f64 },
    /// Its input times the only number of a weight.
    Times,
    /// `(norm(x factor) + y) / sqrt(2)` of two inputs, the norm over each `width` features: `T n`.
    LayerInputs { norm: Norm, factor: f64, width: usize },
    /// Features from `start` on of its input.
    Features { start: usize, width: usize },
    /// `x W + b` of the first input, plus the other inputs: `T d`.
    Project,
    /// `sqrt(var + eps)` of the last axis, biased variance; `T 1`.
    LayerNormScale { eps: f64 },
    /// `sqrt(mean(x^2) + eps)` of the last axis; `T 1`.
    RmsScale { eps: f64 },
    /// `(x - mean) / scale`.
    LayerNormNormalized,
    /// `x / scale`.
    RmsNormalized,
    /// `x * gain + bias`, the bias where there is one; with `one_plus` the gain is `1 + w`.
    Gain { one_plus: bool },
    /// `(x W + b) factor`, `T n`, bounded by `clip` on both sides; split into heads `T H h` where a number is given.
    Linear { heads: Option<usize>, clip: Option<f64>, factor: f64 },
    /// `x W` of the first input, split into heads, and after those of each head the features `T r` of the second: keys
    /// `T H h`.
    SharedKeys { heads: usize },
    /// A norm of queries or keys `T H h`, all three steps of it, bounded by `clip` on both sides.
    HeadNorm { norm: Norm, over: QkNormOver, clip: Option<f64> },
    /// Rotary embedding of `T H h`, by one of the model's rotations.
    Rotate { rope: usize },
    /// Queries `T H h` times a factor that grows with their positions.
    Grow,
    /// Products of queries `T H h` or keys `S K h` with what is projected of the row of a table that their distance has,
    /// after a norm where there is one, times `scale`: `H T S`.
    RelativeScores { buckets: Buckets, of: Side, norm: Option<Norm>, scale: f64 },
    /// Products of queries `T H h` and keys `S K h` times `scale`, capped (`cap tanh(score / cap)`), biased, with the other
    /// inputs added, and masked (`reach` is how far attention sees): `H T S`; -inf where masked.
    Scores { scale: f64, softcap: Option<f64>, reach: Option<Reach> },
    /// Softmax over keys, as far as attention sees; with `sinks` over one more logit for each head, which is dropped.
    Pattern { reach: Option<Reach>, sinks: bool },
    /// Pattern `H T S` times values `S K h`: `T H h`.
    Mix,
    /// Heads joined, then `x W + b`: `T d`.
    Output,
    /// Its input with zeros at padding, `T d`: padding leaves nothing behind in a state.
    Real,
    /// A causal convolution of each feature over positions, then an activation: the columns of all passes `S K h` to those
    /// of the pass `T K h`. Padding between tokens is passed over.
    /// With `real`, zeros at padding.
    Convolution { act: Act, real: bool },
    /// `x / sqrt(sum(x^2) + eps)` of each head `T K h`, times a factor.
    Unit { eps: f64, factor: f64 },
    /// What is left of a state at each position, `exp(-exp(A) softplus(x + b))`: `T H`.
    Decay,
    /// The step of a state space, `softplus(x + b)`, or `least` where it is less: `T H` or `T n`.
    Step { least: f64 },
    /// What a step leaves of a state, `exp(-exp(A) x)`: `T H`.
    DecayBy,
    /// `x + D v` of what is read from a state and of values, `T H dv` or `T n`.
    Skip,
    /// An RMS norm of groups of neighbouring features of `T H h`, with a gain for each feature.
    GroupNorm { groups: usize, eps: f64 },
    /// What is read of states that learn by one of the rules: of queries and keys `T K dk`, values `T H dv`, decays and learning
    /// rates `T H`, and where there is an earlier pass the states after it: `T H dv`.
    Read(Learning),
    /// The states after the last token, `H dk dv`: of what [`Kernel::Read`] reads without queries.
    State(Learning),
    /// What is read of states whose elements decay on their own: of queries and keys `T dk`, values and steps `T n`, and
    /// where there is an earlier pass the states after it: `T n`.
    Scan,
    /// The states after the last token, `n dk`: of what [`Kernel::Scan`] reads without queries.
    ScanState,
    /// An activation function, element by element.
    Activation(Act),
    /// xIELU, element by element, whose four numbers are weights.
    Xielu,
    /// `act(gate) * up`.
    Gated(Act),
    /// The numbers of the `k` experts with the largest scores by router logits `T E`, largest first: `T k`.
    TopExperts { chosen: usize, router: Router },
    /// The weights of the chosen experts `T k` by router logits `T E`, times a weight of each where there is one: `T k`.
    ExpertWeights { router: Router },
    /// Sum of what the chosen experts make of `T d`, each times its weight, or each of its input times that with
    /// `weighs_input`, and what a shared expert does.
    Experts(Mixing),
    /// Logits over the vocabulary, `T V`, chunk by chunk of the unembedding, times `scale` and capped; the hidden state
    /// is projected to the width of a narrow unembedding first if `project`.
    Unembed { project: bool, scale: f64, softcap: Option<f64> },
    /// One vector of `T d`, projected to a narrow width where there is a weight for that: `d`.
    Pool(Pool),
    /// The same, then `x W + b`: `d`.
    PooledLinear(Pool),
    /// An activation of a vector, and a norm where there is one: `d`.
    ActivationNorm(Act, Option<Norm>),
    /// `x W + b` of a vector, `C`.
    VectorLinear,
    /// Classes at every position, `T C`; what comes before them (a projection; a dense layer, activation and norm) has
    /// no name.
    Classify { project: bool, transform: Option<Transform> },
    /// A sentence embedding without the layers after its poolings, `d` or a multiple of it.
    Sentence(Sentence),
    /// A vector, or that of each position, divided by its length.
    UnitLength,
    /// The logit of one token at the last real position, less that of another where there is one: `1`.
    YesNo { yes: u32, no: Option<u32> },
    /// A step of a dictionary of features.
    Dictionary(Stage, Coding),
}

impl Kernel {
    /// Whether the output is a sum of what the op reads, with weights, and a bias.
    pub fn is_affine(&self) -> bool {
        match self {
            Kernel::Add | Kernel::Same | Kernel::ZeroPadding | Kernel::Real | Kernel::Scale { .. } | Kernel::Times => {
                true
            }
            Kernel::Project | Kernel::Gain { .. } | Kernel::Output | Kernel::Features { .. } => true,
            Kernel::SharedKeys { .. } | Kernel::Rotate { .. } | Kernel::VectorLinear => true,
            Kernel::PooledLinear(_) | Kernel::Pool(_) | Kernel::YesNo { .. } => true,
            Kernel::Linear { clip, .. } => clip.is_none(),
            Kernel::Unembed { softcap, .. } => softcap.is_none(),
            Kernel::Classify { transform, .. } => transform.is_none(),
            _ => false,
        }
    }
}

/// How the chosen experts of a mixture compute and are added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixing {
    pub act: Act,
    pub gated: bool,
    pub shared: Option<SharedExpert>,
    pub biases: bool,
    pub clamped: Option<ClampedGate>,
    /// Whether weights multiply what experts read, not what they make.
    pub weighs_input: bool,
}

/// The two sides of a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Query,
    Key,
}

/// Which text the positions of an op belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Along {
    /// The text that passes go on with; in a model without a decoder the only one.
    Text,
    /// The text that an encoder reads for a decoder. It stays what it is, so only the pass of the prompt computes the op.
    Source,
    /// Queries are positions of the text, keys those of the source.
    Across,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    /// Canonical name of its output.
    pub site: String,
    /// Index of the module it belongs to.
    pub module: usize,
    pub kernel: Kernel,
    pub along: Along,
    /// The ops whose outputs it reads, in the order that the kernel expects.
    pub inputs: Vec<usize>,
    /// Those of them that it reads over all passes so far, joined along positions: the key/value cache.
    pub cached: Vec<usize>,
    /// An op of which it reads the value of the pass before, after its inputs, where there is such a pass: a state. It may
    /// be the op itself.
    pub carried: Option<usize>,
    /// The weights it reads, in the order that the kernel expects.
    pub weights: Vec<WeightId>,
    /// Axes of its output, the batch row first.
    pub axes: Vec<Axis>,
    /// Length of the head axis, if there is one.
    pub heads: usize,
    /// Length of the last axis, if that counts no positions.
    pub width: usize,
    /// Length of the axis of keys of a state, if there is one.
    pub keys: usize,
    /// The block; none outside of blocks, in an encoder besides a decoder, and for what a decoder computes of that.
    pub layer: Option<usize>,
    /// Which part of its block it is; none outside the blocks of a decoder.
    pub part: Option<Part>,
    /// Whether it is in a block, or before or after all of them.
    pub place: RolePlace,
}

impl Op {
    /// The device that computes it, and has its output.
    pub fn device<'a>(&self, placement: &'a Placement) -> &'a Device {
        placement.device(self.place, self.layer)
    }

    pub fn label(&self, module_path: &str) -> &str {
        match self.site.strip_prefix(module_path) {
            Some(rest) if !module_path.is_empty() => rest.trim_start_matches('.'),
            _ => &self.site,
        }
    }

    /// Whether its output is the residual stream at the edge of a block, or the token embedding, where the stream
    /// begins.
    pub fn is_stream(&self) -> bool {
        matches!(self.part, Some(Part::ResidPre | Part::ResidPost)) || self.site == "embed"
    }
}

/// A contiguous range of ops under a common name. The first module is the whole model.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// Full path such as `blocks.2.attn`; empty for the whole model.
    pub path: String,
    /// The module around it; `None` for the whole model.
    pub parent: Option<usize>,
    /// Nesting depth, 0 for the whole model.
    pub depth: usize,
    pub start: usize,
    /// One past the last op.
    pub end: usize,
}

impl Module {
    /// Whether it is a whole block: `blocks.2`, or of an encoder besides a decoder `encoder.blocks.2`.
    pub fn is_block(&self) -> bool {
        InBlock::parse(&self.path).is_some_and(|at| at.part.is_empty())
    }
}

/// Ops in execution order and the tree of modules over them.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// In execution order; inputs always come before their readers.
    pub ops: Vec<Op>,
    /// In pre-order.
    pub modules: Vec<Module>,
    pub(super) sites: Vec<String>,
    pub(super) module_paths: Vec<String>,
    pub(super) index: HashMap<String, usize>,
    pub(super) parts: HashMap<(usize, Part), usize>,
    pub(super) readers: Vec<Vec<usize>>,
    pub(super) cached: Vec<bool>,
    pub(super) once: usize,
    pub(super) n_layers: usize,
    pub(super) n_heads: usize,
}

impl Program {
    pub fn sites(&self) -> &[String] {
        &self.sites
    }

    /// The paths of all modules but the whole model, in program order.
    pub fn module_paths(&self) -> &[String] {
        &self.module_paths
    }

    pub fn op_of(&self, site: &str) -> Option<usize> {
        self.index.get(site).copied()
    }

    /// The op that is a part of a block; `None` if the block has no such part.
    pub fn block_op(&self, layer: usize, part: Part) -> Option<usize> {
        self.parts.get(&(layer, part)).copied()
    }

    /// The op that a site is the output of, or is computed from on request: `attn.result` from `attn.z`.
    pub fn source_of(&self, site: &str) -> Option<usize> {
        match Part::parse(site) {
            Some((layer, Part::Result)) => self.block_op(layer, Part::Gated).or_else(|| self.block_op(layer, Part::Z)),
            _ => self.op_of(site),
        }
    }

    pub fn module_of(&self, path: &str) -> Option<usize> {
        self.modules.iter().position(|module| module.path == path)
    }

    /// Ops at the beginning that only the pass of the prompt computes: those of an encoder, and what a decoder computes of
    /// them alone. In later passes they have the same values.
    pub fn once(&self) -> usize {
        self.once
    }

    /// The op that a pass begins with.
    pub fn first_of(&self, pass: usize) -> usize {
        if pass == 0 { 0 } else { self.once }
    }

    /// The op of the tokens of a pass.
    pub fn tokens(&self) -> usize {
        self.op_of("tokens").unwrap_or(0)
    }

    /// The innermost module that holds the op at `pc`; the whole model at the end.
    pub fn module_at(&self, pc: usize) -> usize {
        self.ops.get(pc).map_or(0, |op| op.module)
    }

    pub fn layer_at(&self, pc: usize) -> Option<usize> {
        self.ops.get(pc).and_then(|op| op.layer)
    }

    pub fn n_layers(&self) -> usize {
        self.n_layers
    }

    /// Blocks of an encoder besides a decoder.
    pub fn encoder_layers(&self) -> usize {
        let of_encoder = |module: &&Module| module.is_block() && module.path.starts_with(ENCODER);
        self.modules.iter().filter(of_encoder).count()
    }

    /// Query heads per block.
    pub fn n_heads(&self) -> usize {
        self.n_heads
    }

    /// Whether the output of `op` is read over all passes: it is part of the key/value cache.
    pub fn is_cached(&self, op: usize) -> bool {
        self.cached[op]
    }

    /// Whether the next pass reads the output of `op`: it is a state.
    pub fn is_carried(&self, op: usize) -> bool {
        self.ops[op].carried == Some(op)
    }

    /// Whether the value of an op is kept when the recording is over its budget. The inside of a block can be computed
    /// again from the block's input and the key/value cache; of earlier passes, so can all outside blocks but the
    /// tokens.
    pub fn keeps(&self, op: usize, of_earlier_pass: bool) -> bool {
        match self.ops[op].layer {
            Some(_) => self.cached[op] || self.ops[op].part == Some(Part::ResidPre),
            // Every later pass reads them.
            None if self.ops[op].part.is_some() => true,
            None => !of_earlier_pass || self.ops[op].kernel == Kernel::Tokens,
        }
    }

    /// The ops that read the output of `op` directly.
    pub fn readers(&self, op: usize) -> &[usize] {
        &self.readers[op]
    }

    /// For each op, whether its output depends on one of `changed`, those included, or on what another pass `carried`
    /// over: ops whose values of all passes are read.
    pub fn affected_by(&self, changed: &[usize], carried: &[bool]) -> Vec<bool> {
        let mut affected = vec![false; self.ops.len()];
        changed.iter().for_each(|&op| affected[op] = true);
        for i in 0..self.ops.len() {
            let op = &self.ops[i];
            affected[i] |= op.inputs.iter().any(|&input| affected[input]);
            affected[i] |= op.cached.iter().chain(&op.carried).any(|&input| carried.get(input) == Some(&true));
        }
        affected
    }
}
