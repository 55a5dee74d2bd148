//! What the tables of families are made of: modules of a checkpoint, the weights that each holds, and the tensors that
//! they are in.

use super::names::{Layout, Part, Source};
use crate::model::role::{Role, RoleKind, WeightId};
use crate::model::spec::ModelSpec;

/// A module and the weights it holds.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// `path.weight` and `path.bias`; either may be without a role.
    One(&'static str, Option<Role>, Option<Role>),
    /// One tensor by its whole name, in this layout.
    Named(&'static str, Role, Layout),
    /// A module and its weights in a head that only some architectures have, by the ends of their names.
    Of(&'static [&'static str], &'static str, Role, Role),
    /// Queries, keys and values in one linear layer.
    Qkv(&'static str, Split),
    /// The latent of keys and values and the features that keys share, in one linear layer.
    Latent(&'static str),
    /// Of each head, the features of its key that are its own, and its value.
    KeysValues(&'static str),
    /// Several weights in one tensor, by the ends of its name: those that it holds, in its order.
    Joined(&'static str, fn(&ModelSpec, WeightId) -> Option<Joined>),
    /// One tensor by its whole name, of each head a matrix `[in, out]`.
    ByHead(&'static str, Role),
    /// Gate and up projection in one linear layer, gate first.
    GateUp(&'static str),
    /// `path.0.weight`, `path.1.weight`, ...: one for each head.
    Each(&'static str, Role),
    /// `path.0.gate.weight` and so on for each expert: path, gate, up, down.
    Experts(&'static str, [&'static str; 3]),
    /// Gate over up projection, and down projection, each a tensor of all experts, in this layout after the first axis.
    Merged([&'static str; 2], Layout),
    /// One weight of all experts in one tensor, as `[experts, out, in]`.
    Stack(&'static str, Role),
    /// Gate over up projection and down projection of all experts as `[experts, in, out]`, outputs of gate and up projection in turn, and their biases `name_bias`.
    Interleaved([&'static str; 2]),
}

/// How queries, keys and values are joined in one linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// All queries, all keys, all values.
    Concat,
    /// Query, key and value of each head.
    PerHead,
    /// Of each key/value head: its queries, its key, its value.
    Grouped,
    /// In four shards, each with its queries, values and keys (CodeGen).
    FourShards,
}

/// Weights side by side along the outputs of a tensor.
#[derive(Clone, Debug)]
pub struct Joined {
    pub roles: Vec<Role>,
    /// Outputs of each in one round.
    pub sizes: Vec<usize>,
    /// How often they follow each other.
    pub rounds: usize,
}

pub const fn both(path: &'static str, weight: Role, bias: Role) -> Entry {
    Entry::One(path, Some(weight), Some(bias))
}

pub const fn weight(path: &'static str, role: Role) -> Entry {
    Entry::One(path, Some(role), None)
}

/// The class weights of these architectures.
pub const fn classes(of: &'static [&'static str], path: &'static str) -> Entry {
    Entry::Of(of, path, Role::ClassifierW, Role::ClassifierB)
}

/// The dense layer before the class weights of these architectures.
pub const fn pooler(of: &'static [&'static str], path: &'static str) -> Entry {
    Entry::Of(of, path, Role::PoolerW, Role::PoolerB)
}

pub const SEQUENCE: &[&str] = &["ForSequenceClassification"];
pub const TOKEN: &[&str] = &["ForTokenClassification"];
pub const SEQUENCE_OR_TOKEN: &[&str] = &["ForSequenceClassification", "ForTokenClassification"];
pub const QUESTION: &[&str] = &["ForQuestionAnswering"];

/// The head of a causal language model and those that transformers puts on any decoder.
pub const DECODER_HEADS: &[Entry] =
    &[both("lm_head", Role::W_U, Role::b_U), CLASS_HEADS[0], CLASS_HEADS[1], CLASS_HEADS[2]];

/// The heads for classes that transformers puts on any decoder.
pub const CLASS_HEADS: [Entry; 3] =
    [classes(SEQUENCE_OR_TOKEN, "score"), classes(TOKEN, "classifier"), classes(QUESTION, "qa_outputs")];

impl Entry {
    /// The module and the roles of its weight and its bias, where it holds each alone.
    pub fn alone(&self) -> Option<(&'static str, Option<Role>, Option<Role>)> {
        match self {
            Entry::One(path, weight, bias) => Some((path, *weight, *bias)),
            Entry::Of(_, path, weight, bias) => Some((path, Some(*weight), Some(*bias))),
            _ => None,
        }
    }

    /// Whether an architecture has it, by its name. Every one that is not known has.
    pub fn serves(&self, architecture: &str) -> bool {
        match self {
            Entry::Of(endings, ..) if !architecture.is_empty() => {
                endings.iter().any(|ending| architecture.ends_with(ending))
            }
            _ => true,
        }
    }
}

impl Split {
    /// The roles in the order of the file with those of their biases, their widths in one round, and the number of
    /// rounds.
    fn parts(self, spec: &ModelSpec) -> ([[Role; 2]; 3], [usize; 3], usize) {
        let (h, heads, kv) = (spec.head_dim, spec.n_heads, spec.n_kv_heads);
        let order @ [q, k, v] = [[Role::W_Q, Role::b_Q], [Role::W_K, Role::b_K], [Role::W_V, Role::b_V]];
        match self {
            Split::Concat => (order, [heads * h, kv * h, kv * h], 1),
            Split::PerHead => (order, [h; 3], heads),
            Split::Grouped => (order, [heads / kv * h, h, h], kv),
            Split::FourShards => ([q, v, k], [heads * h / 4; 3], 4),
        }
    }
}

/// Gains and biases of norms were called `gamma` and `beta` in checkpoints of 2018.
pub fn old_spelling(name: &str) -> Option<String> {
    let (path, suffix) = name.rsplit_once('.')?;
    match suffix {
        "weight" => Some(format!("{path}.gamma")),
        "bias" => Some(format!("{path}.beta")),
        _ => None,
    }
}

/// The tensor of a weight that a module holds alone.
pub fn plain(entry: &Entry, base: &str, id: WeightId) -> Option<String> {
    if let Entry::Named(name, role, _) = entry {
        return (*role == id.role).then(|| format!("{base}{name}"));
    }
    let (path, weight, bias) = entry.alone()?;
    match id.role {
        role if weight == Some(role) => Some(format!("{base}{path}.weight")),
        role if bias == Some(role) => Some(format!("{base}{path}.bias")),
        _ => None,
    }
}

/// The tensor of a block's weight, if this entry holds it.
pub fn in_block(entry: &Entry, base: &str, id: WeightId, layout: Layout, spec: &ModelSpec) -> Option<Source> {
    let alone = |name: String| Some(Source { name, layout, part: None });
    let joined = |path: &str, roles: &[[Role; 2]], sizes: Vec<usize>, rounds| {
        let find = |kind: usize| roles.iter().position(|roles| roles[kind] == id.role);
        let weight = find(0).map(|index| (index, "weight"));
        let (index, suffix) = weight.or_else(|| Some((find(1)?, "bias")))?;
        Some(Source {
            name: format!("{base}{path}.{suffix}"),
            layout,
            part: Some(Part { index, sizes, rounds, stack: None }),
        })
    };
    match (entry, id.index) {
        (Entry::One(..) | Entry::Of(..), None) => alone(plain(entry, base, id)?),
        (Entry::Qkv(path, split), None) => {
            let (roles, sizes, rounds) = split.parts(spec);
            joined(path, &roles, sizes.to_vec(), rounds)
        }
        (Entry::Latent(path), None) => {
            let latent = spec.attention.latent?;
            let roles = [[Role::W_DKV, Role::b_DKV], [Role::W_KR, Role::b_KR]];
            joined(path, &roles, vec![latent.keys, latent.shared], 1)
        }
        (Entry::KeysValues(path), None) => {
            let own = spec.head_dim - spec.attention.latent?.shared;
            // Neither has a bias.
            let roles = [[Role::W_UK; 2], [Role::W_UV; 2]];
            joined(path, &roles, vec![own, spec.v_head_dim], spec.n_heads)
        }
        (Entry::Joined(name, of), None) => {
            let Joined { roles, sizes, rounds } = of(spec, id)?;
            let index = roles.iter().position(|role| *role == id.role)?;
            let part = Some(Part { index, sizes, rounds, stack: None });
            Some(Source { name: format!("{base}{name}"), layout, part })
        }
        (Entry::GateUp(path), None) => {
            joined(path, &[[Role::W_gate, Role::b_gate], [Role::W_in, Role::b_in]], vec![spec.d_mlp; 2], 1)
        }
        (Entry::Named(name, role, layout), None) if *role == id.role => {
            Some(Source { name: format!("{base}{name}"), layout: *layout, part: None })
        }
        (Entry::ByHead(name, role), None) if *role == id.role => {
            Some(Source { name: format!("{base}{name}"), layout: Layout::Heads(spec.n_heads), part: None })
        }
        (Entry::Each(path, role), Some(head)) if *role == id.role => alone(format!("{base}{path}.{head}.weight")),
        (Entry::Experts(path, names), Some(expert)) => {
            let [gate, up, down] = names;
            let (name, suffix) = match id.role {
                Role::W_gate => (gate, "weight"),
                Role::W_in => (up, "weight"),
                Role::W_out => (down, "weight"),
                Role::b_gate => (gate, "bias"),
                Role::b_in => (up, "bias"),
                Role::b_out => (down, "bias"),
                _ => return None,
            };
            alone(format!("{base}{path}.{expert}.{name}.{suffix}"))
        }
        (Entry::Merged([gate_up, down], layout), Some(expert)) => {
            let experts = spec.experts?;
            let expert = usize::from(expert);
            let (name, index, sizes) = match id.role {
                Role::W_gate => (gate_up, 0, vec![experts.width; 2]),
                Role::W_in => (gate_up, 1, vec![experts.width; 2]),
                Role::W_out => (down, 0, vec![spec.d_model]),
                _ => return None,
            };
            let part = Part { index, sizes, rounds: 1, stack: Some((expert, experts.count)) };
            Some(Source { name: format!("{base}{name}"), layout: *layout, part: Some(part) })
        }
        (Entry::Stack(name, role), Some(expert)) if *role == id.role => {
            let experts = spec.experts?;
            let outputs = if id.role == Role::W_out { spec.d_model } else { experts.width };
            let stack = Some((usize::from(expert), experts.count));
            let part = Part { index: 0, sizes: vec![outputs], rounds: 1, stack };
            Some(Source { name: format!("{base}{name}"), layout: Layout::OutIn, part: Some(part) })
        }
        (Entry::Interleaved([gate_up, down]), Some(expert)) => {
            let experts = spec.experts?;
            let (name, index, sizes, rounds) = match id.role {
                Role::W_gate | Role::b_gate => (gate_up, 0, vec![1; 2], experts.width),
                Role::W_in | Role::b_in => (gate_up, 1, vec![1; 2], experts.width),
                Role::W_out | Role::b_out => (down, 0, vec![spec.d_model], 1),
                _ => return None,
            };
            let (layout, suffix) = match id.role.kind() {
                RoleKind::Linear => (Layout::InOut, ""),
                _ => (Layout::Vector, "_bias"),
            };
            let part = Part { index, sizes, rounds, stack: Some((usize::from(expert), experts.count)) };
            Some(Source { name: format!("{base}{name}{suffix}"), layout, part: Some(part) })
        }
        _ => None,
    }
}
