//! Tables of where a family keeps its weights, and one way to read them.
//!
//! A table says which module of a checkpoint holds which weights. Which of them a model needs is known from its
//! specification, so optional biases and norms need no say here. Where several entries hold one weight, the first whose
//! tensor is there counts: that is how renamed tensors, merged experts and the heads of different architectures are told.

use std::collections::HashSet;

use super::super::checkpoint::Checkpoint;
use super::super::error::LoadError;
use super::super::needs::{needed, shape_of};
use super::super::role::{Role, RoleKind, RolePlace, WeightId};
use super::super::spec::{Head, Logits, ModelSpec};
use super::names::{Ignored, Layout, Part, Source, TensorNames, Wanted};
use super::{Sources, leftovers};

/// Where a family keeps its weights.
pub struct Files {
    /// What usually stands in front of the body's names.
    pub body: &'static str,
    /// Modules in front of the blocks, below the body. The first is the token embedding, by which the body is found.
    pub before: &'static [Entry],
    /// The list of blocks, below the body.
    pub blocks: &'static str,
    /// Modules of a block.
    pub block: &'static [Entry],
    /// How linear layers of blocks lie in the file.
    pub linear: Layout,
    /// Modules after the blocks, below the body.
    pub after: &'static [Entry],
    /// Modules beside the body: heads. Those of other heads than the model's are ignored.
    pub heads: &'static [Entry],
    /// Beginnings of names, below the body or beside it, of tensors that are of no use here, and why.
    pub elsewhere: &'static [(&'static str, &'static str)],
}

/// A module and the weights it holds.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    /// `path.weight` and `path.bias`; either may be without a role.
    One(&'static str, Option<Role>, Option<Role>),
    /// Queries, keys and values in one linear layer.
    Qkv(&'static str, Split),
    /// Gate and up projection in one linear layer, gate first.
    GateUp(&'static str),
    /// `path.0.weight`, `path.1.weight`, ...: one for each head.
    Each(&'static str, Role),
    /// `path.0.gate.weight` and so on for each expert: path, gate, up, down.
    Experts(&'static str, [&'static str; 3]),
    /// `path.gate_up_proj` and `path.down_proj` of all experts.
    Merged(&'static str),
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

/// A module with a weight and a bias.
pub const fn both(path: &'static str, weight: Role, bias: Role) -> Entry {
    Entry::One(path, Some(weight), Some(bias))
}

/// A module with a weight only.
pub const fn weight(path: &'static str, role: Role) -> Entry {
    Entry::One(path, Some(role), None)
}

/// The head of a causal language model and those that transformers puts on any decoder.
pub const DECODER_HEADS: &[Entry] = &[
    both("lm_head", Role::W_U, Role::b_U),
    both("score", Role::ClassifierW, Role::ClassifierB),
    both("classifier", Role::ClassifierW, Role::ClassifierB),
    both("qa_outputs", Role::ClassifierW, Role::ClassifierB),
];

impl Split {
    /// The roles in the order of the file, their widths in one round, and the number of rounds.
    fn parts(self, spec: &ModelSpec) -> ([Role; 3], [usize; 3], usize) {
        let (h, heads, kv) = (spec.head_dim, spec.n_heads, spec.n_kv_heads);
        let order = [Role::W_Q, Role::W_K, Role::W_V];
        match self {
            Split::Concat => (order, [heads * h, kv * h, kv * h], 1),
            Split::PerHead => (order, [h; 3], heads),
            Split::Grouped => (order, [heads / kv * h, h, h], kv),
            Split::FourShards => ([Role::W_Q, Role::W_V, Role::W_K], [heads * h / 4; 3], 4),
        }
    }
}

impl Files {
    /// What stands in front of the body's names: checkpoints of the same model have no prefix, that of the model with a
    /// head, or that of a wrapper. The shortest wins; the usual one if the token embedding is missing.
    pub fn prefix(&self, checkpoint: &Checkpoint) -> String {
        let probe = match self.before.first() {
            Some(Entry::One(path, ..)) => format!("{path}.weight"),
            _ => String::new(),
        };
        let prefixes = checkpoint.entries().into_iter().filter_map(|entry| entry.name.strip_suffix(&probe));
        let found = prefixes.filter(|prefix| prefix.is_empty() || prefix.ends_with('.')).min_by_key(|p| p.len());
        found.unwrap_or(self.body).to_owned()
    }

    /// Whether the unembedding is the token embedding: the configuration says so or the head is not in the file, and the
    /// file does not hold a head that differs.
    pub fn tied(&self, from: &Sources, default: bool) -> Result<bool, LoadError> {
        let places = Places::new(self, from.checkpoint);
        let said = from.config.flag(&["tie_word_embeddings"], default)?;
        let head = places.name_of(self.heads, WeightId::global(Role::W_U));
        let embedding = places.name_of(self.before, WeightId::global(Role::W_E));
        match (head.filter(|name| from.checkpoint.has(name)), embedding) {
            (Some(head), Some(embedding)) => Ok(said && from.checkpoint.same_values(&head, &embedding)),
            _ => Ok(true),
        }
    }

    /// Whether the file has a tensor for a weight beside the body.
    pub fn has_head(&self, checkpoint: &Checkpoint, role: Role) -> bool {
        let places = Places::new(self, checkpoint);
        places.name_of(self.heads, WeightId::global(role)).is_some_and(|name| checkpoint.has(&name))
    }

    /// The tensors of a model of this specification.
    ///
    /// # Errors
    /// If the tables do not say where a weight is.
    pub fn names(&self, spec: &ModelSpec, from: &Sources) -> Result<TensorNames, LoadError> {
        self.names_of_blocks(spec, from, &|layer| format!("{}.{layer}", self.blocks))
    }

    /// The same with other names of blocks.
    ///
    /// # Errors
    /// If the tables do not say where a weight is.
    pub fn names_of_blocks(
        &self,
        spec: &ModelSpec,
        from: &Sources,
        block: &dyn Fn(usize) -> String,
    ) -> Result<TensorNames, LoadError> {
        let mut places = Places::new(self, from.checkpoint);
        let logits = match &spec.head {
            Head::CausalLm(logits) | Head::MaskedLm { logits, .. } => Some(*logits),
            _ => None,
        };
        let tied = logits.is_some_and(|logits| logits.tied);
        places.own_head = logits.is_some() && !tied;
        let mut names = TensorNames { tied, ..TensorNames::default() };
        for id in needed(spec) {
            if tied && id.role == Role::W_U {
                continue;
            }
            let Some(source) = places.source(spec, id, block) else {
                return Err(from.config.bad(format!("no tensor of {} is known to hold {id}", spec.family)));
            };
            names.wanted.push(Wanted { id, source });
        }
        self.ignore(&mut names, &places, from, tied);
        names.notes.extend(self.note(&names, logits, from));
        Ok(names)
    }

    fn ignore(&self, names: &mut TensorNames, places: &Places, from: &Sources, tied: bool) {
        let wanted: HashSet<&str> = names.wanted.iter().map(|wanted| wanted.source.name.as_str()).collect();
        let mut ignored = Vec::new();
        for entry in from.checkpoint.entries().iter().filter(|entry| !wanted.contains(entry.name.as_str())) {
            let name = entry.name.as_str();
            let reason = match places.unused(name) {
                Some(Role::W_U) if tied => "a duplicate of the token embedding, which is the head".to_owned(),
                Some(Role::PoolerW | Role::PoolerB) if self.after_roles(name, places) => {
                    "the pooler, which this architecture does not use".to_owned()
                }
                Some(role) => match names.wanted.iter().find(|wanted| wanted.id == WeightId::global(role)) {
                    Some(twin) => format!("a duplicate of {}", twin.source.name),
                    None => "a head, which this architecture does not use".to_owned(),
                },
                None => match leftovers::reason(name).or_else(|| self.elsewhere(name, &places.body)) {
                    Some(reason) => reason.to_owned(),
                    None => continue,
                },
            };
            ignored.push(Ignored { name: name.to_owned(), reason });
        }
        names.ignored = ignored;
    }

    /// Whether a tensor belongs to a module after the blocks.
    fn after_roles(&self, name: &str, places: &Places) -> bool {
        self.after.iter().any(|entry| places.holds(entry, std::slice::from_ref(&places.body), name).is_some())
    }

    fn elsewhere(&self, name: &str, body: &str) -> Option<&'static str> {
        let below = name.strip_prefix(body);
        let begins =
            |beginning: &str| [Some(name), below].into_iter().flatten().any(|name| name.starts_with(beginning));
        self.elsewhere.iter().find(|(beginning, _)| begins(beginning)).map(|(_, reason)| *reason)
    }

    fn note(&self, names: &TensorNames, logits: Option<Logits>, from: &Sources) -> Option<String> {
        let logits = logits.filter(|logits| !logits.tied)?;
        let said = from.config.flag(&["tie_word_embeddings"], false).unwrap_or(logits.tied);
        let head = &names.wanted.iter().find(|wanted| wanted.id.role == Role::W_U)?.source.name;
        said.then(|| {
            format!("tie_word_embeddings is true, but {head:?} differs from the token embedding: it is the head")
        })
    }
}

/// The tables with the prefixes of one checkpoint.
struct Places<'a> {
    files: &'a Files,
    checkpoint: &'a Checkpoint,
    body: String,
    /// Where heads may be: beside the body, or further out.
    beside: Vec<String>,
    /// Whether the unembedding is a matrix of its own.
    own_head: bool,
}

impl<'a> Places<'a> {
    fn new(files: &'a Files, checkpoint: &'a Checkpoint) -> Self {
        let body = files.prefix(checkpoint);
        let outer = body.strip_suffix(files.body).filter(|outer| outer.is_empty() || outer.ends_with('.'));
        let mut beside = vec![outer.unwrap_or(&body).to_owned()];
        let mut rest = body.as_str();
        while !rest.is_empty() {
            beside.push(rest.to_owned());
            rest = rest.trim_end_matches('.').rsplit_once('.').map_or("", |(outer, _)| &body[..outer.len() + 1]);
        }
        beside.push(String::new());
        Places { files, checkpoint, body, beside, own_head: false }
    }

    /// Where a weight outside blocks is, by one of the tables.
    fn name_of(&self, entries: &[Entry], id: WeightId) -> Option<String> {
        let bases = if std::ptr::eq(entries, self.files.heads) { self.beside.clone() } else { vec![self.body.clone()] };
        let mut entries: Vec<&Entry> = entries.iter().collect();
        if id.role == Role::b_U && self.own_head {
            // Masked LMs have two names for this bias, which are tied as the embeddings are: the bias of a matrix of its own
            // stands beside it.
            entries.sort_by_key(|entry| !matches!(entry, Entry::One(_, Some(Role::W_U), _)));
        }
        let candidates = entries.iter().flat_map(|entry| bases.iter().filter_map(|base| plain(entry, base, id)));
        self.first_there(candidates.collect())
    }

    fn first_there(&self, names: Vec<String>) -> Option<String> {
        let there = |name: &String| self.checkpoint.has(name);
        let gamma = |name: &String| {
            let old = old_spelling(name)?;
            self.checkpoint.has(&old).then_some(old)
        };
        names
            .iter()
            .find(|name| there(name))
            .cloned()
            .or_else(|| names.iter().find_map(gamma))
            .or(names.first().cloned())
    }

    fn source(&self, spec: &ModelSpec, id: WeightId, block: &dyn Fn(usize) -> String) -> Option<Source> {
        let layout = match id.role.kind() {
            RoleKind::Table => Layout::Table,
            RoleKind::Linear => Layout::OutIn,
            // Norms that have gains of their own for each head keep them as rows.
            RoleKind::Vector if shape_of(spec, id).len() == 2 => Layout::Table,
            RoleKind::Vector => Layout::Vector,
        };
        let files = self.files;
        let Some(layer) = id.layer else {
            let name = match id.role.place() {
                RolePlace::Before => self.name_of(files.before, id),
                _ => self.name_of(files.after, id).or_else(|| self.name_of(files.heads, id)),
            };
            return Some(Source { name: name?, layout, part: None });
        };
        let base = format!("{}{}.", self.body, block(usize::from(layer)));
        let layout = if layout == Layout::OutIn { files.linear } else { layout };
        let sources: Vec<Source> =
            files.block.iter().filter_map(|entry| in_block(entry, &base, id, layout, spec)).collect();
        let name = self.first_there(sources.iter().map(|source| source.name.clone()).collect())?;
        let exact = |source: &&Source| source.name == name;
        let mut chosen = sources.iter().find(exact).or(sources.first())?.clone();
        chosen.name = name;
        Some(chosen)
    }

    /// The role that a tensor beside or behind the blocks would have in another architecture of the family.
    fn unused(&self, name: &str) -> Option<Role> {
        let heads = self.files.heads.iter().find_map(|entry| self.holds(entry, &self.beside, name));
        let after = || {
            let found =
                self.files.after.iter().find_map(|entry| self.holds(entry, std::slice::from_ref(&self.body), name));
            found.filter(|role| matches!(role, Role::PoolerW | Role::PoolerB))
        };
        heads.or_else(after)
    }

    fn holds(&self, entry: &Entry, bases: &[String], name: &str) -> Option<Role> {
        let Entry::One(path, weight, bias) = entry else { return None };
        let is = |base: &String, suffix: &str| {
            let known = format!("{base}{path}.{suffix}");
            known == name || old_spelling(&known).is_some_and(|old| old == name)
        };
        let of = |role: Option<Role>, suffix: &str| role.filter(|_| bases.iter().any(|base| is(base, suffix)));
        of(*weight, "weight").or_else(|| of(*bias, "bias"))
    }
}

/// Gains and biases of norms were called `gamma` and `beta` in checkpoints of 2018.
fn old_spelling(name: &str) -> Option<String> {
    let (path, suffix) = name.rsplit_once('.')?;
    match suffix {
        "weight" => Some(format!("{path}.gamma")),
        "bias" => Some(format!("{path}.beta")),
        _ => None,
    }
}

/// The tensor of a weight that a module holds alone.
fn plain(entry: &Entry, base: &str, id: WeightId) -> Option<String> {
    let Entry::One(path, weight, bias) = entry else { return None };
    match id.role {
        role if *weight == Some(role) => Some(format!("{base}{path}.weight")),
        role if *bias == Some(role) => Some(format!("{base}{path}.bias")),
        _ => None,
    }
}

/// The tensor of a block's weight, if this entry holds it.
fn in_block(entry: &Entry, base: &str, id: WeightId, layout: Layout, spec: &ModelSpec) -> Option<Source> {
    let alone = |name: String| Some(Source { name, layout, part: None });
    match (entry, id.index) {
        (Entry::One(..), None) => alone(plain(entry, base, id)?),
        (Entry::Qkv(path, split), None) => {
            let (roles, sizes, rounds) = split.parts(spec);
            let (role, suffix) = match id.role {
                Role::b_Q => (Role::W_Q, "bias"),
                Role::b_K => (Role::W_K, "bias"),
                Role::b_V => (Role::W_V, "bias"),
                role => (role, "weight"),
            };
            let index = roles.iter().position(|known| *known == role)?;
            let part = Part { index, sizes: sizes.to_vec(), rounds };
            Some(Source { name: format!("{base}{path}.{suffix}"), layout, part: Some(part) })
        }
        (Entry::GateUp(path), None) => {
            let (index, suffix) = match id.role {
                Role::W_gate => (0, "weight"),
                Role::W_in => (1, "weight"),
                Role::b_gate => (0, "bias"),
                Role::b_in => (1, "bias"),
                _ => return None,
            };
            let part = Part { index, sizes: vec![spec.d_mlp; 2], rounds: 1 };
            Some(Source { name: format!("{base}{path}.{suffix}"), layout, part: Some(part) })
        }
        (Entry::Each(path, role), Some(head)) if *role == id.role => alone(format!("{base}{path}.{head}.weight")),
        (Entry::Experts(path, names), Some(expert)) => {
            let [gate, up, down] = names;
            let name = match id.role {
                Role::W_gate => gate,
                Role::W_in => up,
                Role::W_out => down,
                _ => return None,
            };
            alone(format!("{base}{path}.{expert}.{name}.weight"))
        }
        (Entry::Merged(path), Some(expert)) => {
            let experts = spec.experts?;
            let expert = usize::from(expert);
            let (name, index, sizes) = match id.role {
                Role::W_gate => ("gate_up_proj", 2 * expert, vec![experts.width; 2 * experts.count]),
                Role::W_in => ("gate_up_proj", 2 * expert + 1, vec![experts.width; 2 * experts.count]),
                Role::W_out => ("down_proj", expert, vec![spec.d_model; experts.count]),
                _ => return None,
            };
            let part = Part { index, sizes, rounds: 1 };
            Some(Source { name: format!("{base}{path}.{name}"), layout: Layout::Stacked, part: Some(part) })
        }
        _ => None,
    }
}
