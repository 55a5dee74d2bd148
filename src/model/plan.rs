//! Before any byte is read: do the files hold exactly the tensors that the architecture needs, in the right shapes?
//!
//! Every tensor must be used once or be known to be useless. This is the cheapest protection against a model that loads
//! and computes something else.

use std::collections::{HashMap, HashSet};

use super::checkpoint::{Checkpoint, TensorEntry};
use super::error::LoadError;
use super::families::{Layout, TensorNames};
use super::role::{Role, WeightId};
use super::spec::{Head, ModelSpec};
use super::weights::FileTensor;

/// A tensor of the file and the weights it becomes.
#[derive(Debug, PartialEq)]
pub struct Load {
    /// Name of the tensor.
    pub name: String,
    /// How it lies in the file.
    pub layout: Layout,
    /// The weights in the order of the parts, and the width of each along the output axis.
    pub parts: Vec<(WeightId, usize)>,
}

/// What to read, in the order of the model, and what the files hold.
#[derive(Debug)]
pub struct Plan {
    /// Tensors to read.
    pub loads: Vec<Load>,
    /// Every tensor of the files.
    pub files: Vec<FileTensor>,
}

/// Shape of a weight as the model uses it: `[in, out]` for linear layers.
pub fn shape_of(spec: &ModelSpec, role: Role) -> Vec<usize> {
    use Role::*;
    let (d, m, v) = (spec.d_model, spec.d_mlp, spec.vocab);
    let (q, kv) = (spec.n_heads * spec.head_dim, spec.n_kv_heads * spec.head_dim);
    let labels = match &spec.head {
        Head::SequenceClassification { labels } => labels.len(),
        _ => 0,
    };
    match role {
        W_E | W_U => vec![v, d],
        W_pos => vec![spec.max_positions, d],
        W_type => vec![spec.embed.token_types, d],
        W_Q => vec![d, q],
        W_K | W_V => vec![d, kv],
        W_O => vec![q, d],
        b_Q => vec![q],
        b_K | b_V => vec![kv],
        W_in | W_gate => vec![d, m],
        W_out => vec![m, d],
        b_in | b_gate => vec![m],
        b_U => vec![v],
        MlmW | PoolerW => vec![d, d],
        ClassifierW => vec![d, labels],
        ClassifierB => vec![labels],
        EmbedLnW | EmbedLnB | Ln1W | Ln1B | b_O | Ln2W | Ln2B | b_out | LnFinalW | LnFinalB | MlmB | MlmLnW
        | MlmLnB | PoolerB => vec![d],
    }
}

/// Matches names to tensors and checks every shape.
pub fn plan(
    spec: &ModelSpec,
    names: &TensorNames,
    checkpoint: &Checkpoint,
    config: &str,
    architecture: &str,
) -> Result<Plan, LoadError> {
    let mut loads = group(names);
    let ignored: HashMap<&str, &str> = names.ignored.iter().map(|i| (i.name.as_str(), i.reason)).collect();
    for load in &mut loads {
        let flipped = checkpoint.find(&load.name).is_some_and(|(_, entry)| entry.flipped);
        load.layout = if flipped { load.layout.turned() } else { load.layout };
    }
    let used: HashMap<&str, &Load> = loads.iter().map(|load| (load.name.as_str(), load)).collect();
    let missing: Vec<String> =
        loads.iter().filter(|load| !checkpoint.has(&load.name)).map(|load| load.name.clone()).collect();
    let entries = checkpoint.entries();
    let leftover: Vec<String> = entries
        .iter()
        .map(|entry| entry.name.as_str())
        .filter(|name| !used.contains_key(name) && !ignored.contains_key(name))
        .map(str::to_owned)
        .collect();
    if !missing.is_empty() || !leftover.is_empty() {
        let (path, architecture) = (checkpoint.path().to_owned(), architecture.to_owned());
        return Err(LoadError::TensorsDisagree { path, architecture, missing, leftover });
    }
    for load in &loads {
        if let Some((file, entry)) = checkpoint.find(&load.name) {
            check_shape(spec, load, entry, config)?;
            if entry.dtype.block().is_none() {
                let (path, tensor) = (file.path().to_owned(), load.name.clone());
                return Err(LoadError::UnsupportedDtype { path, tensor, dtype: entry.dtype_name().to_owned() });
            }
        }
    }
    let mut files: Vec<FileTensor> = entries
        .into_iter()
        .map(|entry| {
            let reason = ignored.get(entry.name.as_str()).map(|&reason| reason.to_owned());
            file_tensor(entry, used.get(entry.name.as_str()).copied(), reason)
        })
        .collect();
    files.extend(checkpoint.aside().iter().map(|(entry, reason)| file_tensor(entry, None, Some(reason.clone()))));
    Ok(Plan { loads, files })
}

fn file_tensor(entry: &TensorEntry, load: Option<&Load>, ignored: Option<String>) -> FileTensor {
    FileTensor {
        name: entry.name.clone(),
        stored_as: entry.stored_as.clone(),
        shape: entry.shape.clone(),
        dtype: entry.dtype_name().to_owned(),
        bytes: entry.bytes() as u64,
        layout: load.map(|load| load.layout),
        uses: load.map(|load| load.parts.iter().map(|(id, _)| *id).collect()).unwrap_or_default(),
        ignored,
    }
}

/// One entry for each tensor of the file; the parts of a fused one together.
pub fn group(names: &TensorNames) -> Vec<Load> {
    let mut loads: Vec<Load> = Vec::new();
    let mut seen = HashSet::new();
    for wanted in &names.wanted {
        let source = &wanted.source;
        if !seen.insert(source.name.as_str()) {
            continue;
        }
        let mut parts: Vec<_> = names.wanted.iter().filter(|other| other.source.name == source.name).collect();
        parts.sort_by_key(|part| part.source.part.as_ref().map_or(0, |part| part.index));
        let parts = parts
            .into_iter()
            .map(|part| (part.id, part.source.part.as_ref().map_or(0, |part| part.sizes[part.index])))
            .collect();
        loads.push(Load { name: source.name.clone(), layout: source.layout, parts });
    }
    loads
}

/// Shape that the tensor must have in the file.
pub fn file_shape(spec: &ModelSpec, load: &Load) -> Vec<usize> {
    let shapes: Vec<Vec<usize>> = load.parts.iter().map(|(id, _)| shape_of(spec, id.role)).collect();
    let outputs: usize = shapes.iter().filter_map(|shape| shape.last()).sum();
    let inputs = shapes.first().and_then(|shape| shape.first()).copied().unwrap_or(0);
    match load.layout {
        Layout::InOut => vec![inputs, outputs],
        Layout::OutIn => vec![outputs, inputs],
        Layout::Vector => vec![outputs],
        Layout::Table => shapes.into_iter().next().unwrap_or_default(),
    }
}

fn check_shape(spec: &ModelSpec, load: &Load, entry: &TensorEntry, config: &str) -> Result<(), LoadError> {
    let expected = file_shape(spec, load);
    if entry.shape == expected {
        return Ok(());
    }
    let what: Vec<String> = load.parts.iter().map(|(id, _)| id.to_string()).collect();
    Err(LoadError::WrongShape {
        tensor: load.name.clone(),
        found: entry.shape.clone(),
        expected,
        what: what.join(", "),
        config: config.to_owned(),
    })
}
