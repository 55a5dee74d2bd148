//! Before any byte is read: do the files hold exactly the tensors that the architecture needs, in the right shapes?
//!
//! Every tensor must be used once or be known to be useless. This is the cheapest protection against a model that loads
//! and computes something else.

use std::collections::HashMap;

use super::checkpoint::{Checkpoint, TensorEntry};
use super::error::LoadError;
use super::families::{Layout, TensorNames};
use super::required_weights::shape_of;
use super::role::{Role, WeightId};
use super::spec::ModelSpec;
use super::weights::FileTensor;

/// A tensor of the file and the weights it becomes.
#[derive(Debug, PartialEq)]
pub struct Load {
    pub name: String,
    pub layout: Layout,
    /// The weights in the order of the parts, and the outputs of each that are side by side.
    pub parts: Vec<(WeightId, usize)>,
    /// How often the parts follow each other.
    pub rounds: usize,
    /// How many tensors are stacked on a first axis, each with as many of the parts.
    pub stack: Option<usize>,
}

/// Matches names to tensors and checks every shape: what to read, in the order of the model, and what the files hold.
pub fn plan(
    spec: &ModelSpec,
    names: &TensorNames,
    checkpoint: &Checkpoint,
    config: &str,
    architecture: &str,
) -> Result<(Vec<Load>, Vec<FileTensor>), LoadError> {
    let mut loads = group(names);
    for load in &mut loads {
        let flipped = checkpoint.find(&load.name).is_some_and(|(_, entry)| entry.flipped);
        load.layout = if flipped { load.layout.turned() } else { load.layout };
    }
    let ignored: HashMap<&str, &str> = names.ignored.iter().map(|i| (i.name.as_str(), i.reason.as_str())).collect();
    let used: HashMap<&str, &Load> = loads.iter().map(|load| (load.name.as_str(), load)).collect();
    let missing: Vec<String> =
        loads.iter().filter(|load| !checkpoint.has(&load.name)).map(|load| load.name.clone()).collect();
    let entries = checkpoint.entries();
    let unknown = |name: &&str| !used.contains_key(name) && !ignored.contains_key(name);
    let leftover: Vec<String> =
        entries.iter().map(|entry| entry.name.as_str()).filter(unknown).map(str::to_owned).collect();
    if !missing.is_empty() || !leftover.is_empty() {
        let (path, architecture) = (checkpoint.path.clone(), architecture.to_owned());
        let of_head = |load: &&Load| load.parts.iter().any(|(id, _)| matches!(id.role, Role::W_U | Role::b_U));
        let headless = loads.iter().filter(of_head).any(|load| missing.contains(&load.name));
        let advice = if headless { names.advice.as_str() } else { "" }.into();
        return Err(LoadError::TensorsDisagree { path, architecture, missing, leftover, advice });
    }
    for load in &loads {
        if let Some((file, entry)) = checkpoint.find(&load.name) {
            check_shape(spec, load, entry, config)?;
            if entry.dtype.block().is_none() {
                let (path, tensor) = (file.path.clone(), load.name.clone());
                return Err(LoadError::UnsupportedDtype { path, tensor, dtype: entry.dtype.name().to_owned() });
            }
        }
    }
    let described = |entry: &TensorEntry| {
        let reason = ignored.get(entry.name.as_str()).map(|&reason| reason.to_owned());
        file_tensor(entry, used.get(entry.name.as_str()).copied(), reason)
    };
    let mut files: Vec<FileTensor> = entries.into_iter().map(described).collect();
    files.extend(checkpoint.aside.iter().map(|(entry, reason)| file_tensor(entry, None, Some(reason.clone()))));
    Ok((loads, files))
}

fn file_tensor(entry: &TensorEntry, load: Option<&Load>, ignored: Option<String>) -> FileTensor {
    FileTensor {
        name: entry.name.clone(),
        stored_as: entry.stored_as.clone(),
        shape: entry.shape.clone(),
        dtype: entry.packed.unwrap_or(entry.dtype.name()).to_owned(),
        bytes: entry.bytes() as u64,
        layout: load.map(|load| load.layout),
        uses: load.map(|load| load.parts.iter().map(|(id, _)| *id).collect()).unwrap_or_default(),
        rounds: load.map_or(1, |load| load.rounds),
        stack: load.and_then(|load| load.stack),
        ignored,
    }
}

/// One entry for each tensor of the file; the parts of a fused one together.
pub fn group(names: &TensorNames) -> Vec<Load> {
    let mut loads: Vec<Load> = Vec::new();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for wanted in &names.wanted {
        let source = &wanted.source;
        let (index, size, rounds, stack) = match &source.part {
            Some(part) => {
                let before = part.stack.map_or(0, |(number, _)| number * part.sizes.len());
                (before + part.index, part.sizes[part.index], part.rounds, part.stack.map(|(_, count)| count))
            }
            None => (0, 0, 1, None),
        };
        let at = *seen.entry(source.name.as_str()).or_insert_with(|| {
            loads.push(Load { name: source.name.clone(), layout: source.layout, parts: Vec::new(), rounds, stack });
            loads.len() - 1
        });
        // Parts may be wanted in another order than that of the file.
        let parts = &mut loads[at].parts;
        let empty = (wanted.id, 0);
        parts.resize(parts.len().max(index + 1), empty);
        parts[index] = (wanted.id, size);
    }
    loads
}

/// Shape that the tensor must have in the file.
pub fn file_shape(spec: &ModelSpec, load: &Load) -> Vec<usize> {
    let shapes: Vec<Vec<usize>> = load.parts.iter().map(|(id, _)| shape_of(spec, *id)).collect();
    let all: usize = shapes.iter().filter_map(|shape| shape.last()).sum();
    let outputs = all / load.stack.unwrap_or(1).max(1);
    let inputs = shapes.first().and_then(|shape| shape.first()).copied().unwrap_or(0);
    let one = match load.layout {
        Layout::InOut => vec![inputs, outputs],
        Layout::OutIn => vec![outputs, inputs],
        Layout::Heads(heads) => vec![heads, inputs, outputs / heads.max(1)],
        Layout::Channels => vec![shapes.iter().filter_map(|shape| shape.first()).sum(), 1, shapes[0][1]],
        Layout::Vector => vec![outputs],
        Layout::Row => vec![1, outputs],
        Layout::Table => shapes.into_iter().next().unwrap_or_default(),
    };
    load.stack.into_iter().chain(one).collect()
}

fn check_shape(spec: &ModelSpec, load: &Load, entry: &TensorEntry, config: &str) -> Result<(), LoadError> {
    let expected = file_shape(spec, load);
    // A number without axes is a vector of one.
    let number = load.layout == Layout::Vector && entry.shape.is_empty() && expected == [1];
    if entry.shape == expected || number {
        return Ok(());
    }
    let what: Vec<String> = load.parts.iter().map(|(id, _)| id.to_string()).collect();
    let turned = expected.len() == 2 && entry.shape.iter().rev().eq(&expected);
    Err(LoadError::WrongShape {
        tensor: load.name.clone(),
        transposed: turned,
        found: entry.shape.clone(),
        expected,
        what: what.join(", ").into(),
        config: config.into(),
    })
}
