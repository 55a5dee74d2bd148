//! Tables of where a family keeps its weights, and one way to read them. [`super::entry`] has what tables are made of.
//!
//! A table says which module of a checkpoint holds which weights. Which of them a model needs is known from its
//! specification, so optional biases and norms need no say here. Where several entries hold one weight, the first whose
//! tensor is there counts: that is how renamed tensors, merged experts and the heads of different architectures are
//! distinguished.

use std::collections::HashSet;

use super::entry::{in_block, old_spelling, plain};
use super::names::{Ignored, Layout, Source, TensorNames, Wanted};
use super::wrappers::{FOR_IMAGES, IMAGES};
use super::{Sources, leftovers};
use crate::model::checkpoint::Checkpoint;
use crate::model::error::LoadError;
use crate::model::required_weights::{needed, shape_of};
use crate::model::role::{Role, RoleKind, RolePlace, Stack, WeightId};
use crate::model::sentence::{OF_COLBERT, dense_name};
use crate::model::spec::{Head, Logits, ModelSpec};

pub use super::entry::{
    CLASS_HEADS, DECODER_HEADS, Entry, Joined, QUESTION, SEQUENCE, SEQUENCE_OR_TOKEN, Split, TOKEN, both, classes,
    pooler, weight,
};

/// Where a family keeps its weights.
pub struct Files {
    /// What usually comes before the body's names.
    pub body: &'static str,
    /// Modules before the blocks, below the body. The first is the token embedding, by which the body is found.
    pub before: &'static [Entry],
    /// The list of blocks, below the body.
    pub blocks: &'static str,
    /// Modules of a block, in groups that families share.
    pub block: &'static [&'static [Entry]],
    /// The layout of linear layers of blocks in the file.
    pub linear: Layout,
    /// Modules after the blocks, below the body.
    pub after: &'static [Entry],
    /// Modules next to the body: heads. Those of other heads than the model's are ignored.
    pub heads: &'static [Entry],
    /// Beginnings of names, below the body or next to it, of tensors that are of no use here, and why.
    pub elsewhere: &'static [(&'static str, &'static str)],
}

impl Files {
    /// What comes before the body's names: checkpoints of the same model have no prefix, that of the model with a head,
    /// or that of a wrapper. The shortest wins: by the token embedding, or by the blocks if that is missing.
    pub fn prefix(&self, checkpoint: &Checkpoint) -> String {
        let entries = checkpoint.entries();
        let shortest = |probe: &str, find: fn(&str, &str) -> Option<usize>| {
            let prefixes = entries.iter().filter_map(|entry| Some(&entry.name[..find(&entry.name, probe)?]));
            prefixes.filter(|prefix| prefix.is_empty() || prefix.ends_with('.')).min_by_key(|prefix| prefix.len())
        };
        let embedding = self.embedding().unwrap_or_default();
        shortest(&format!("{embedding}.weight"), |name, end| Some(name.strip_suffix(end)?.len()))
            .or_else(|| shortest(&format!("{}.0.", self.blocks), |name, inside| name.find(inside)))
            .unwrap_or(self.body)
            .to_owned()
    }

    /// Whether the unembedding is the token embedding: the configuration says so, and the file does not hold both of
    /// them with different values. A head that is neither tied nor in the file is missing like any other tensor.
    pub fn tied(&self, from: &Sources, default: bool) -> Result<bool, LoadError> {
        Ok(ties(from, default)? && self.may_tie(from))
    }

    /// Whether the unembedding can be the token embedding: the file does not hold both of them with different values.
    pub fn may_tie(&self, from: &Sources) -> bool {
        let places = Places::new(self, from.checkpoint);
        let there = |entries, role| {
            let name = places.name_of(entries, WeightId::global(role));
            name.filter(|name| from.checkpoint.has(name))
        };
        match (there(self.heads, Role::W_U), there(self.before, Role::W_E)) {
            (Some(head), Some(embedding)) => from.checkpoint.same_values(&head, &embedding),
            _ => true,
        }
    }

    /// The tensor of the token embedding, as far as the file says.
    pub fn embedding_in(&self, checkpoint: &Checkpoint) -> Option<String> {
        Places::new(self, checkpoint).name_of(self.before, WeightId::global(Role::W_E))
    }

    /// Every tensor of the file that could be the token embedding.
    pub fn embeddings_in(&self, checkpoint: &Checkpoint) -> Vec<String> {
        let body = self.prefix(checkpoint);
        let names = self.before.iter().filter_map(|entry| plain(entry, &body, WeightId::global(Role::W_E)));
        names.filter(|name| checkpoint.has(name)).collect()
    }

    /// Where the unembedding is, as modules below the model's own name: the head of this family.
    pub fn unembeddings(&self) -> impl Iterator<Item = &'static str> {
        self.heads
            .iter()
            .filter_map(|entry| entry.alone().filter(|(_, weight, _)| *weight == Some(Role::W_U)))
            .map(|(path, ..)| path)
    }

    /// Where the token embedding is, below the body.
    pub fn embedding(&self) -> Option<&'static str> {
        self.before.first().and_then(Entry::alone).map(|(path, ..)| path)
    }

    /// Whether the file has a tensor for a weight outside the body.
    pub fn has_head(&self, checkpoint: &Checkpoint, role: Role) -> bool {
        let places = Places::new(self, checkpoint);
        places.name_of(self.heads, WeightId::global(role)).is_some_and(|name| checkpoint.has(&name))
    }

    /// Whether the file has a tensor for a weight before the blocks.
    pub fn has_before(&self, checkpoint: &Checkpoint, role: Role) -> bool {
        let places = Places::new(self, checkpoint);
        places.name_of(self.before, WeightId::global(role)).is_some_and(|name| checkpoint.has(&name))
    }

    /// The tensors of a model of this specification.
    pub fn names(&self, spec: &ModelSpec, from: &Sources) -> Result<TensorNames, LoadError> {
        self.names_of_blocks(spec, from, &|layer| format!("{}.{layer}", self.blocks))
    }

    /// The same with other names of blocks.
    pub fn names_of_blocks(
        &self,
        spec: &ModelSpec,
        from: &Sources,
        block: &dyn Fn(usize) -> String,
    ) -> Result<TensorNames, LoadError> {
        let mut places = Places::new(self, from.checkpoint);
        let (logits, ending) = match &spec.head {
            Head::CausalLm(logits) | Head::MaskedLm { logits, .. } => (Some(*logits), ""),
            Head::Sequence { .. } => (None, SEQUENCE[0]),
            Head::Token { question: true, .. } => (None, QUESTION[0]),
            Head::Token { .. } => (None, TOKEN[0]),
            Head::Bare { .. } => (None, ""),
        };
        places.architecture = from.config.architecture()?.unwrap_or(ending).to_owned();
        let tied = logits.is_some_and(|logits| logits.tied);
        // Biases are tied where the configuration says so, whether or not the matrices differ. All families that have
        // two names for one are tied unless it says otherwise.
        places.own_bias = logits.is_some() && !ties(from, true)?;
        let mut names = TensorNames { tied, ..TensorNames::default() };
        for id in needed(spec).into_iter().filter(|id| id.stack == Stack::Main) {
            if tied && id.role == Role::W_U {
                continue;
            }
            let Some(mut source) = places.source(spec, id, block) else {
                return Err(from.config.bad(format!("no tensor of {} is known to hold {id}", spec.family)));
            };
            if tied && id.role == Role::W_E && !from.checkpoint.has(&source.name) {
                let head = places.name_of(self.heads, WeightId::global(Role::W_U));
                if let Some(head) = head.filter(|head| from.checkpoint.has(head)) {
                    names.notes.push(format!(
                        "{:?} is not in the files; it is tied to {head:?}, which is, and is taken from there",
                        source.name
                    ));
                    source.name = head;
                }
            }
            names.wanted.push(Wanted { id, source });
        }
        self.ignore(&mut names, &places, from, spec);
        names.notes.extend(self.note(&names, logits, from));
        if logits.is_some_and(|logits| !logits.tied) {
            names.advice = untied(from)?;
        }
        Ok(names)
    }

    fn ignore(&self, names: &mut TensorNames, places: &Places, from: &Sources, spec: &ModelSpec) {
        let tied = names.tied;
        let further = self.further_blocks(from, spec, &places.body);
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
                    Some(Wanted { source, .. }) if from.checkpoint.same_values(name, &source.name) => {
                        format!("a duplicate of {}", source.name)
                    }
                    Some(_)
                        if matches!(role, Role::ClassifierW | Role::ClassifierB | Role::PoolerW | Role::PoolerB) =>
                    {
                        "of another head, which this architecture does not use".to_owned()
                    }
                    Some(Wanted { source, .. }) => format!("{} is used in its place, and differs", source.name),
                    None => "a head, which this architecture does not use".to_owned(),
                },
                None if further.iter().any(|block| name.starts_with(block)) => {
                    "a block that predicts a token further on, which the pass does not use".to_owned()
                }
                None => match leftovers::reason(name).or_else(|| self.elsewhere(name, &places.body)) {
                    Some(reason) => reason.to_owned(),
                    None => continue,
                },
            };
            ignored.push(Ignored { name: name.to_owned(), reason });
        }
        names.ignored = ignored;
    }

    /// The beginnings of the names of blocks after the last one that are there to predict tokens further on, if the
    /// configuration has any.
    fn further_blocks(&self, from: &Sources, spec: &ModelSpec, body: &str) -> Vec<String> {
        const MOST: usize = 16;
        let count = from.config.opt_count(&["num_nextn_predict_layers", "num_mtp_layers"]).ok().flatten().unwrap_or(0);
        let numbers = spec.n_layers..spec.n_layers + count.min(MOST);
        numbers.map(|number| format!("{body}{}.{number}.", self.blocks)).collect()
    }

    /// Whether a tensor belongs to a module after the blocks.
    fn after_roles(&self, name: &str, places: &Places) -> bool {
        self.after.iter().any(|entry| places.holds(entry, std::slice::from_ref(&places.body), name).is_some())
    }

    /// Why a tensor or module of this name, below the body or next to it, is of no use here; `None` for one that may be.
    pub fn elsewhere(&self, name: &str, body: &str) -> Option<&'static str> {
        let below = name.strip_prefix(body);
        let begins =
            |beginning: &str| [Some(name), below].into_iter().flatten().any(|name| name.starts_with(beginning));
        let own = self.elsewhere.iter().find(|(beginning, _)| begins(beginning)).map(|(_, reason)| *reason);
        // Of a model that reads images, what is not the text part; some have it below a module of the whole.
        let whole = |name: &str| FOR_IMAGES.iter().any(|known| name.starts_with(known));
        let images = [name, name.strip_prefix("model.").unwrap_or(name)].into_iter().any(whole);
        own.or_else(|| images.then_some(IMAGES))
    }

    fn note(&self, names: &TensorNames, logits: Option<Logits>, from: &Sources) -> Option<String> {
        logits.filter(|logits| !logits.tied)?;
        let said = ties(from, false).unwrap_or(false);
        let head = &names.wanted.iter().find(|wanted| wanted.id.role == Role::W_U)?.source.name;
        said.then(|| {
            format!("tie_word_embeddings is true, but {head:?} differs from the token embedding: it is the head")
        })
    }
}

/// Whether the configuration ties the unembedding to the token embedding. A null does not.
fn ties(from: &Sources, default: bool) -> Result<bool, LoadError> {
    const KEY: &[&str] = &["tie_word_embeddings"];
    Ok(!from.config.is_null(KEY) && from.config.flag(KEY, default)?)
}

/// What to do about a head that is missing in a model that is not tied.
fn untied(from: &Sources) -> Result<String, LoadError> {
    const KEY: &str = "tie_word_embeddings";
    let says = match from.config.find(&[KEY]) {
        Some(_) => format!("{KEY} is false"),
        None if from.config.is_null(&[KEY]) => format!("{KEY} is null"),
        None => format!("{KEY} is not given, which means false for {}", from.config.model_type()?),
    };
    Ok(format!(
        "{says} in {}, so the head is a separate tensor: save the model again with it, or set {KEY} to true if the \
         head is the token embedding",
        from.config.path()
    ))
}

/// The tables with the prefixes of one checkpoint.
struct Places<'a> {
    files: &'a Files,
    checkpoint: &'a Checkpoint,
    body: String,
    /// Where heads may be: next to the body, or further out.
    head_bases: Vec<String>,
    /// Whether the bias of the unembedding is next to its matrix, and nowhere else.
    own_bias: bool,
    /// The architecture, which decides between heads; empty while all of them are looked at.
    architecture: String,
}

impl<'a> Places<'a> {
    fn new(files: &'a Files, checkpoint: &'a Checkpoint) -> Self {
        let body = files.prefix(checkpoint);
        let outer = body.strip_suffix(files.body).filter(|outer| outer.is_empty() || outer.ends_with('.'));
        let mut head_bases = vec![outer.unwrap_or(&body).to_owned()];
        let mut rest = body.as_str();
        while !rest.is_empty() {
            head_bases.push(rest.to_owned());
            rest = rest.trim_end_matches('.').rsplit_once('.').map_or("", |(outer, _)| &body[..outer.len() + 1]);
        }
        head_bases.push(String::new());
        Places { files, checkpoint, body, head_bases, own_bias: false, architecture: String::new() }
    }

    /// Where a weight outside blocks is, by one of the tables.
    fn name_of(&self, entries: &[Entry], id: WeightId) -> Option<String> {
        let bases =
            if std::ptr::eq(entries, self.files.heads) { self.head_bases.clone() } else { vec![self.body.clone()] };
        let mut entries: Vec<&Entry> = entries.iter().filter(|entry| entry.serves(&self.architecture)).collect();
        if id.role == Role::b_U {
            // Masked LMs have two names for this bias, which are tied as the embeddings are. The one next to the matrix
            // is added; without tying there is no other.
            let unembeds = |entry: &&Entry| matches!(entry.alone(), Some((_, Some(Role::W_U), Some(_))));
            let own = entries.iter().any(unembeds) && self.own_bias;
            entries.retain(|entry| !own || unembeds(entry));
            let there = |entry: &&Entry| {
                bases.iter().filter_map(|base| plain(entry, base, id)).any(|name| self.checkpoint.has(&name))
            };
            entries.sort_by_key(|entry| !(unembeds(entry) && there(entry)));
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
            // Norms that have separate gains for each head keep them as rows.
            RoleKind::Vector if id.role.is_convolution() => Layout::Channels,
            RoleKind::Vector if shape_of(spec, id).len() == 2 => Layout::Table,
            RoleKind::Vector => Layout::Vector,
        };
        let files = self.files;
        if let (Role::DenseW | Role::DenseB, Some(index)) = (id.role, id.index) {
            let own = dense_name(usize::from(index), if id.role == Role::DenseW { "weight" } else { "bias" });
            let name = self.first_there(vec![own, OF_COLBERT.to_owned()])?;
            return Some(Source { name, layout, part: None });
        }
        let Some(layer) = id.layer else {
            let name = match id.role.place() {
                RolePlace::Before => self.name_of(files.before, id),
                _ => self.name_of(files.after, id).or_else(|| self.name_of(files.heads, id)),
            };
            let named = |entry: &Entry| match entry {
                Entry::Named(_, role, layout) if *role == id.role => Some(*layout),
                _ => None,
            };
            let layout = files.heads.iter().find_map(named).unwrap_or(layout);
            return Some(Source { name: name?, layout, part: None });
        };
        let base = format!("{}{}.", self.body, block(usize::from(layer)));
        let layout = if layout == Layout::OutIn { files.linear } else { layout };
        let entries = files.block.iter().copied().flatten();
        let sources: Vec<Source> = entries.filter_map(|entry| in_block(entry, &base, id, layout, spec)).collect();
        let name = self.first_there(sources.iter().map(|source| source.name.clone()).collect())?;
        let exact = |source: &&Source| source.name == name;
        let mut chosen = sources.iter().find(exact).or(sources.first())?.clone();
        chosen.name = name;
        Some(chosen)
    }

    /// The role that a tensor outside the blocks would have in another architecture of the family.
    fn unused(&self, name: &str) -> Option<Role> {
        let heads = self.files.heads.iter().find_map(|entry| self.holds(entry, &self.head_bases, name));
        let after = || {
            let found =
                self.files.after.iter().find_map(|entry| self.holds(entry, std::slice::from_ref(&self.body), name));
            found.filter(|role| matches!(role, Role::PoolerW | Role::PoolerB))
        };
        heads.or_else(after)
    }

    fn holds(&self, entry: &Entry, bases: &[String], name: &str) -> Option<Role> {
        let (path, weight, bias) = entry.alone()?;
        let is = |base: &String, suffix: &str| {
            let known = format!("{base}{path}.{suffix}");
            known == name || old_spelling(&known).is_some_and(|old| old == name)
        };
        let of = |role: Option<Role>, suffix: &str| role.filter(|_| bases.iter().any(|base| is(base, suffix)));
        of(weight, "weight").or_else(|| of(bias, "bias"))
    }
}
