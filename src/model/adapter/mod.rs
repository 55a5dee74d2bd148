//! LoRA adapters of PEFT: low-rank differences to the weights of a model, and the weights that they replace.
//!
//! Hu et al. 2021: a linear layer with weight `W` computes with `W + scale B A`. The difference is kept as its two
//! factors; how it is laid over the weights is the business of edits. With DoRA (Liu et al. 2024) the weights of each
//! output are then brought to a length that was trained, too.

mod config;
mod error;
mod place;
mod vocabulary;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

use self::config::AdapterConfig;
use self::error::Result;
use self::place::Place;
use super::checkpoint::{StoredType, TensorEntry, decode, open_tensors};
use super::families::Layout;
use super::file;
use super::load::Model;
use super::role::{Role, WeightId};
use super::weights::FileTensor;
use crate::tensor::Value;

pub use error::{AdapterError, AdapterFault};
pub use vocabulary::fit;

/// Largest adapter: embeddings and heads trained with it can be as large as those of the model.
const LARGEST: u64 = 1 << 40;

/// What an adapter does to one weight.
#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "few exist, and a box would only hide the handle")]
pub enum Delta {
    /// Adds `scale left right`, in the layout of computation: `[n, r]` and `[r, m]`. Then columns are scaled to `lengths`
    /// `[1, m]`, or rows to `[n, 1]`.
    LowRank { left: Value, right: Value, scale: f64, lengths: Option<Value> },
    /// Puts another weight in its place.
    Replace(Value),
    /// Puts other rows in the place of those from `first` on: `[rows, d]`.
    Rows { first: usize, rows: Value },
}

/// An adapter, resolved against a model.
#[derive(Clone)]
pub struct Adapter {
    pub path: PathBuf,
    /// The model that it was trained on, as its author called it.
    pub base: Option<String>,
    pub deltas: Vec<(WeightId, Delta)>,
    /// Numbers in it.
    pub parameters: usize,
}

/// Reads the adapter of a folder for a model.
///
/// # Errors
/// If something of it cannot be read, is not computed here, or does not fit the model. Nothing of it is left out.
pub fn read(folder: &Path, model: &Model) -> std::result::Result<Adapter, AdapterError> {
    let read = with_modules(folder, |modules, config| resolved(folder, modules, config, model));
    read.map_err(|fault| AdapterError::new(folder, fault))
}

/// A tensor of an adapter: as it is in a safetensors file, or read.
#[derive(Clone, PartialEq)]
struct Tensor<'a> {
    shape: Vec<usize>,
    kind: StoredType,
    bytes: Cow<'a, [u8]>,
}

/// The tensors of one module, by the part that they are.
type Parts<'a> = BTreeMap<&'static str, Tensor<'a>>;

/// Reads the modules and the configuration of a folder.
fn with_modules<T>(
    folder: &Path,
    then: impl FnOnce(&BTreeMap<String, Parts<'_>>, &AdapterConfig) -> Result<T>,
) -> Result<T> {
    let file = |name: &'static str, most: u64| {
        file::read_to(&folder.join(name), most).map_err(|source| AdapterFault::File { name, source })
    };
    let config = AdapterConfig::parse(&file("adapter_config.json", file::LARGEST)?)?;
    let (safe, pickled) = ("adapter_model.safetensors", folder.join("adapter_model.bin"));
    if !folder.join(safe).exists() && pickled.exists() {
        let file = open_tensors(&pickled)?;
        let read = |entry: &TensorEntry| -> Result<(String, Tensor<'static>)> {
            let numbers = file.read_f32(entry)?;
            let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            Ok((
                entry.name.clone(),
                Tensor { shape: entry.shape.clone(), kind: StoredType::F32, bytes: Cow::Owned(bytes) },
            ))
        };
        let tensors = file.entries.iter().map(read).collect::<Result<Vec<_>>>()?;
        return then(&by_module(tensors)?, &config);
    }
    let bytes = file(safe, LARGEST)?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let tensors = tensors.iter().map(|(name, view)| {
        let (shape, kind) = (view.shape().to_vec(), StoredType::of_safetensors(view.dtype()));
        (name.to_owned(), Tensor { shape, kind, bytes: Cow::Borrowed(view.data()) })
    });
    let tensors = tensors.collect();
    then(&by_module(tensors)?, &config)
}

/// The tensors of each module.
fn by_module(tensors: Vec<(String, Tensor<'_>)>) -> Result<BTreeMap<String, Parts<'_>>> {
    let mut modules: BTreeMap<String, Parts<'_>> = BTreeMap::new();
    // A module that was trained whole is kept as it was before, too. PEFT does not compute with that.
    for (name, tensor) in tensors.into_iter().filter(|(name, _)| !name.contains(".original_module.")) {
        let (module, part) = parsed(&name).ok_or(AdapterFault::NotLora(name))?;
        if modules.get(&module).and_then(|parts| parts.get(part)).is_some_and(|other| *other != tensor) {
            return Err(AdapterFault::TwoValues { module, part });
        }
        modules.entry(module).or_default().insert(part, tensor);
    }
    Ok(modules)
}

fn resolved(
    folder: &Path,
    modules: &BTreeMap<String, Parts<'_>>,
    config: &AdapterConfig,
    model: &Model,
) -> Result<Adapter> {
    let mut deltas = Vec::new();
    let mut parameters = 0;
    for (module, parts) in modules {
        parameters += parts.values().map(|tensor| tensor.shape.iter().product::<usize>()).sum::<usize>();
        let of_this = |fault| AdapterFault::Module { module: module.clone(), fault: Box::new(fault) };
        deltas.extend(of_module(module, parts, config, model).map_err(of_this)?);
    }
    // What the base was saved with is that of the other half of a tied pair, too, if the adapter has no other for it.
    let bases = modules.iter().filter(|(_, parts)| parts.contains_key("base") && model.weights.tied());
    for (module, _) in bases {
        let Ok(Place::Vocabulary(id)) = Place::find(model, module, "weight") else { continue };
        let other = WeightId::global(vocabulary::twin(id.role));
        let of = |id| deltas.iter().find(|(known, delta)| *known == id && matches!(delta, Delta::Replace(_)));
        if let (Some((_, base)), None) = (of(id), of(other)) {
            let base = base.clone();
            deltas.push((other, base));
        }
    }
    // A weight may be replaced and then added to: embeddings are saved with their adapters.
    let mut seen = HashSet::new();
    let adds = |delta: &Delta| matches!(delta, Delta::LowRank { .. });
    let rows = |delta: &Delta| matches!(delta, Delta::Rows { .. });
    let alone: Vec<&WeightId> = deltas.iter().filter(|(_, delta)| !rows(delta)).map(|(id, _)| id).collect();
    let again = deltas.iter().find(|(id, delta)| match rows(delta) {
        true => alone.contains(&id),
        false => !seen.insert((*id, adds(delta))),
    });
    if let Some((id, _)) = again {
        return Err(AdapterFault::TwoChanges(*id));
    }
    deltas.sort_by_key(|(id, delta)| (id.role.place(), *id, adds(delta)));
    Ok(Adapter { path: folder.to_path_buf(), base: config.base.clone(), deltas, parameters })
}

/// The module that a tensor belongs to, and which of its parts it is.
fn parsed(name: &str) -> Option<(String, &'static str)> {
    let name = name.strip_prefix("base_model.model.").unwrap_or(name);
    for part in ["lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B", "lora_magnitude_vector"] {
        // Older files have the name of the adapter in between.
        if let Some((module, rest)) = name.rsplit_once(&format!(".{part}")) {
            return match rest.split('.').next_back() {
                Some("bias") => None,
                _ => Some((module.to_string(), part)),
            };
        }
    }
    if let Some((module, _)) = name.rsplit_once(".token_adapter.trainable_tokens_delta") {
        return Some((module.to_string(), "tokens"));
    }
    if let Some(module) = name.strip_suffix(".base_layer.weight") {
        return Some((module.to_string(), "base"));
    }
    // Modules that were trained whole, and biases.
    let name = name.replace(".modules_to_save.default", "").replace(".modules_to_save", "").replace(".base_layer", "");
    ["weight", "bias"].into_iter().find_map(|part| Some((name.strip_suffix(&format!(".{part}"))?.to_string(), part)))
}

fn of_module(module: &str, parts: &Parts<'_>, config: &AdapterConfig, model: &Model) -> Result<Vec<(WeightId, Delta)>> {
    let mut deltas = Vec::new();
    for part in ["base", "weight", "bias"] {
        if let Some(view) = parts.get(part) {
            let part = if part == "base" { "weight" } else { part };
            deltas.extend(match Place::find(model, module, part)? {
                Place::Vocabulary(id) => vec![(id, Delta::Replace(table(id, view, model)?))],
                Place::Tensor(file) => replaced(&file, view, model)?,
            });
        }
    }
    let matrix = |name| parts.get(name).map(|view| matrix_of(view, model)).transpose();
    let pair = |a, b, names| match (matrix(a)?, matrix(b)?) {
        (Some(a), Some(b)) => Ok(Some((a, b))),
        (None, None) => Ok(None),
        _ => Err(AdapterFault::Half(names)),
    };
    if let Some(tensor) = parts.get("tokens") {
        deltas.extend(rows(module, tensor, config, model)?);
    }
    let magnitude = parts.get("lora_magnitude_vector");
    let lengths = magnitude.map(|tensor| vector_of(tensor, model)).transpose()?;
    let adapted = ["lora_A", "lora_embedding_A"].iter().any(|part| parts.contains_key(part));
    if adapted && lengths.is_some() != config.dora {
        return Err(if config.dora { AdapterFault::NoMagnitude } else { AdapterFault::Magnitude });
    }
    if let Some((a, b)) = pair("lora_A", "lora_B", "lora_A and lora_B")? {
        deltas.extend(linear(module, &Factors { a, b, lengths: lengths.clone() }, config, model)?);
    }
    if let Some((a, b)) = pair("lora_embedding_A", "lora_embedding_B", "lora_embedding_A and lora_embedding_B")? {
        let id = match Place::find(model, module, "weight")? {
            Place::Vocabulary(id) => Some(id),
            Place::Tensor(file) => file.uses.first().copied().filter(|_| file.uses.len() == 1),
        };
        let id = id.ok_or(AdapterFault::NotEmbedding)?;
        // [r, V] and [d, r] of a table [V, d].
        let scale = config.scale(module, a.shape()[0]);
        let lengths = lengths.map(|lengths| across(&lengths, Across::Columns)).transpose()?;
        deltas.push(checked(id, a.transpose(), b.transpose(), scale, lengths, model)?);
    }
    Ok(deltas)
}

/// What an adapter has for a linear layer: `A [r, in]`, `B [out, r]`, and the lengths `[out]` of DoRA.
struct Factors {
    a: Value,
    b: Value,
    lengths: Option<Value>,
}

/// Which lines of a weight have lengths.
#[derive(Clone, Copy)]
enum Across {
    Columns,
    Rows,
}

/// Lengths `[n]` as they are in a change.
fn across(lengths: &Value, lines: Across) -> Result<Value> {
    let count = lengths.shape()[0];
    Ok(lengths.reshape(&match lines {
        Across::Columns => [1, count],
        Across::Rows => [count, 1],
    })?)
}

/// Single rows of the token embedding, which PEFT puts in the place of the base's; of both halves of a tied pair.
fn rows(module: &str, tensor: &Tensor<'_>, config: &AdapterConfig, model: &Model) -> Result<Vec<(WeightId, Delta)>> {
    let Place::Vocabulary(id) = Place::find(model, module, "weight")? else { return Err(AdapterFault::NotEmbedding) };
    let tokens = config.tokens(module).ok_or(AdapterFault::NoTokens)?;
    let wanted = shape_of(model, id);
    let [vocabulary, width] = wanted[..] else { return Err(AdapterFault::NotEmbedding) };
    if tensor.shape != [tokens.len(), width] {
        let wanted = vec![tokens.len(), width];
        return Err(AdapterFault::Shape { name: "trainable_tokens_delta".into(), wanted, found: tensor.shape.clone() });
    }
    if let Some(token) = tokens.iter().find(|token| **token >= vocabulary) {
        return Err(AdapterFault::Token { token: *token, had: vocabulary });
    }
    let all = value_of(tensor, model)?;
    let mut deltas = Vec::new();
    let mut begin = 0;
    while begin < tokens.len() {
        let mut end = begin + 1;
        while end < tokens.len() && tokens[end] == tokens[end - 1] + 1 {
            end += 1;
        }
        deltas.push(Delta::Rows { first: tokens[begin], rows: all.rows(begin..end) });
        begin = end;
    }
    let other =
        Some(WeightId::global(vocabulary::twin(id.role))).filter(|id| model.weights.tied() && model.weights.has(*id));
    Ok(std::iter::once(id).chain(other).flat_map(|id| deltas.iter().map(move |delta| (id, delta.clone()))).collect())
}

/// A linear layer: for each weight that it holds, its own rows of B.
fn linear(module: &str, of: &Factors, config: &AdapterConfig, model: &Model) -> Result<Vec<(WeightId, Delta)>> {
    let Factors { a, b, lengths } = of;
    let (rank, out) = (a.shape()[0], b.shape()[0]);
    if let Some(count) = lengths.as_ref().map(|lengths| lengths.shape()[0]).filter(|count| *count != out) {
        return Err(AdapterFault::Lengths { count, outputs: out });
    }
    let scale = config.scale(module, rank);
    let file = match Place::find(model, module, "weight")? {
        // [V, d], as it is looked up by rows.
        Place::Vocabulary(id) if id.role == Role::W_U => {
            let lengths = lengths.as_ref().map(|lengths| across(lengths, Across::Rows)).transpose()?;
            return Ok(vec![checked(id, b.clone(), a.clone(), scale, lengths, model)?]);
        }
        Place::Vocabulary(_) => return Err(AdapterFault::Embedding),
        Place::Tensor(file) => file,
    };
    if file.stack.is_some() || !matches!(file.layout, Some(Layout::OutIn | Layout::InOut)) {
        return Err(AdapterFault::NotLinear);
    }
    let left = a.transpose(); // [in, r]
    let mut begin = 0;
    let widths: Vec<usize> = file.uses.iter().map(|id| shape_of(model, *id).last().copied().unwrap_or(0)).collect();
    let outputs = widths.iter().sum();
    if outputs != out {
        return Err(AdapterFault::Outputs { rows: out, outputs });
    }
    let mut deltas = Vec::new();
    for (id, width) in file.uses.iter().zip(widths) {
        let of_round = width / file.rounds;
        let first = |round| round * (out / file.rounds) + begin;
        let own = |all: &Value| -> Result<Value> {
            let rows: Vec<Value> = (0..file.rounds).map(first).map(|first| all.rows(first..first + of_round)).collect();
            Ok(Value::concat(&rows, 0)?)
        };
        let lengths = lengths.as_ref().map(|lengths| across(&own(lengths)?, Across::Columns)).transpose()?;
        let rows = own(b)?; // [out of it, r]
        deltas.push(checked(*id, left.clone(), rows.transpose(), scale, lengths, model)?);
        begin += of_round;
    }
    Ok(deltas)
}

/// The shape of a weight of the model; empty if it has no such weight.
fn shape_of(model: &Model, id: WeightId) -> Vec<usize> {
    model.weights.shape(id).map(<[usize]>::to_vec).unwrap_or_default()
}

fn checked(
    id: WeightId,
    left: Value,
    right: Value,
    scale: f64,
    lengths: Option<Value>,
    model: &Model,
) -> Result<(WeightId, Delta)> {
    let wanted = shape_of(model, id);
    let found = [left.shape()[0], right.shape()[1]];
    if left.shape()[1] != right.shape()[0] || wanted != found {
        return Err(AdapterFault::Product { id, found, wanted });
    }
    if let Some(shape) =
        lengths.as_ref().map(Value::shape).filter(|shape| !(0..2).all(|i| shape[i] == 1 || shape[i] == found[i]))
    {
        return Err(AdapterFault::Lengths { count: shape.iter().product(), outputs: found[1] });
    }
    // Their product is as large as the weight, and is made where that is.
    let device = model.weights.device(id);
    let (left, right) = (left.on(device)?, right.on(device)?);
    let lengths = lengths.map(|lengths| lengths.on(device)).transpose()?;
    Ok((id, Delta::LowRank { left, right, scale, lengths }))
}

/// A matrix that takes the place of the token embedding or the unembedding, `[V, d]`.
fn table(id: WeightId, view: &Tensor<'_>, model: &Model) -> Result<Value> {
    let wanted = shape_of(model, id);
    match (&view.shape[..], &wanted[..]) {
        (found, wanted) if found == wanted => value_of(view, model),
        (&[rows, width], &[had, same]) if width == same => Err(AdapterFault::Rows { id, rows, had }),
        (found, _) => Err(AdapterFault::Shape { name: id.to_string(), found: found.to_vec(), wanted }),
    }
}

/// A tensor that takes the place of one of the file.
fn replaced(file: &FileTensor, view: &Tensor<'_>, model: &Model) -> Result<Vec<(WeightId, Delta)>> {
    if view.shape != file.shape {
        let (name, wanted, found) = (file.name.clone(), file.shape.clone(), view.shape.clone());
        return Err(AdapterFault::Shape { name, wanted, found });
    }
    let whole = value_of(view, model)?;
    let parts = model.weights.parts_of(file, &whole)?;
    Ok(parts.into_iter().map(|(id, value)| (id, Delta::Replace(value))).collect())
}

fn matrix_of(tensor: &Tensor<'_>, model: &Model) -> Result<Value> {
    match tensor.shape[..] {
        [_, _] => value_of(tensor, model),
        _ => Err(AdapterFault::NotAMatrix(tensor.shape.clone())),
    }
}

/// The lengths of DoRA, `[n]`.
fn vector_of(tensor: &Tensor<'_>, model: &Model) -> Result<Value> {
    match tensor.shape[..] {
        [_] => value_of(tensor, model),
        _ => Err(AdapterFault::NotAVector(tensor.shape.clone())),
    }
}

/// A tensor on the first device of the model, as 32-bit floats.
fn value_of(tensor: &Tensor<'_>, model: &Model) -> Result<Value> {
    if !matches!(tensor.kind, StoredType::F32 | StoredType::F16 | StoredType::BF16) {
        return Err(AdapterFault::Dtype(tensor.kind));
    }
    let mut data = vec![0.0; tensor.shape.iter().product()];
    decode(tensor.kind, &tensor.bytes, &mut data);
    Ok(Value::from_f32(data, &tensor.shape, model.placement.first()))
}
