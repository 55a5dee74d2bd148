//! LoRA adapters of PEFT: low-rank differences to the weights of a model, and the weights that they replace.
//!
//! Hu et al. 2021: a linear layer with weight `W` computes with `W + scale B A`. The difference is kept as its two
//! factors; how it is laid over the weights is the business of edits.

mod config;
mod error;
mod place;
mod vocabulary;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use self::config::AdapterConfig;
use self::error::Result;
use self::place::Place;
use super::checkpoint::{StoredType, decode};
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
    /// Adds `scale left right`, in the layout of computation: `[n, r]` and `[r, m]`.
    LowRank { left: Value, right: Value, scale: f64 },
    /// Puts another weight in its place.
    Replace(Value),
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

/// The tensors of one module, by the part that they are.
type Parts<'a> = BTreeMap<&'static str, TensorView<'a>>;

/// Reads the modules and the configuration of a folder.
fn with_modules<T>(
    folder: &Path,
    then: impl FnOnce(&BTreeMap<String, Parts<'_>>, &AdapterConfig) -> Result<T>,
) -> Result<T> {
    let file = |name: &'static str, most: u64| {
        file::read_to(&folder.join(name), most).map_err(|source| AdapterFault::File { name, source })
    };
    let config = AdapterConfig::parse(&file("adapter_config.json", file::LARGEST)?)?;
    if !folder.join("adapter_model.safetensors").exists() && folder.join("adapter_model.bin").exists() {
        return Err(AdapterFault::Pickled);
    }
    let bytes = file("adapter_model.safetensors", LARGEST)?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let mut modules: BTreeMap<String, Parts<'_>> = BTreeMap::new();
    // A module that was trained whole is kept as it was before, too. PEFT does not compute with that.
    for (name, view) in tensors.iter().filter(|(name, _)| !name.contains(".original_module.")) {
        let (module, part) = parsed(name).ok_or_else(|| AdapterFault::NotLora(name.to_owned()))?;
        let differs = |other: &TensorView<'_>| (other.shape(), other.data()) != (view.shape(), view.data());
        if modules.get(&module).and_then(|parts| parts.get(part)).is_some_and(differs) {
            return Err(AdapterFault::TwoValues { module, part });
        }
        modules.entry(module).or_default().insert(part, view);
    }
    then(&modules, &config)
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
        parameters += parts.values().map(|view| view.shape().iter().product::<usize>()).sum::<usize>();
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
    if let Some((id, _)) = deltas.iter().find(|(id, delta)| !seen.insert((*id, adds(delta)))) {
        return Err(AdapterFault::TwoChanges(*id));
    }
    deltas.sort_by_key(|(id, delta)| (id.role.place(), *id, adds(delta)));
    Ok(Adapter { path: folder.to_path_buf(), base: config.base.clone(), deltas, parameters })
}

/// The module that a tensor belongs to, and which of its parts it is.
fn parsed(name: &str) -> Option<(String, &'static str)> {
    let name = name.strip_prefix("base_model.model.").unwrap_or(name);
    for part in ["lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B"] {
        // Older files have the name of the adapter in between.
        if let Some((module, rest)) = name.rsplit_once(&format!(".{part}")) {
            return match rest.split('.').next_back() {
                Some("bias") => None,
                _ => Some((module.to_string(), part)),
            };
        }
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
    if let Some((a, b)) = pair("lora_A", "lora_B", "lora_A and lora_B")? {
        deltas.extend(linear(module, &a, &b, config, model)?);
    }
    if let Some((a, b)) = pair("lora_embedding_A", "lora_embedding_B", "lora_embedding_A and lora_embedding_B")? {
        let id = match Place::find(model, module, "weight")? {
            Place::Vocabulary(id) => Some(id),
            Place::Tensor(file) => file.uses.first().copied().filter(|_| file.uses.len() == 1),
        };
        let id = id.ok_or(AdapterFault::NotEmbedding)?;
        // [r, V] and [d, r] of a table [V, d].
        let scale = config.scale(module, a.shape()[0]);
        deltas.push(checked(id, a.transpose(), b.transpose(), scale, model)?);
    }
    Ok(deltas)
}

/// A linear layer, `A [r, in]` and `B [out, r]`: for each weight that it holds, its own rows of B.
fn linear(module: &str, a: &Value, b: &Value, config: &AdapterConfig, model: &Model) -> Result<Vec<(WeightId, Delta)>> {
    let (rank, out) = (a.shape()[0], b.shape()[0]);
    let scale = config.scale(module, rank);
    let file = match Place::find(model, module, "weight")? {
        // [V, d], as it is looked up by rows.
        Place::Vocabulary(id) if id.role == Role::W_U => {
            return Ok(vec![checked(id, b.clone(), a.clone(), scale, model)?]);
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
        let rows: Vec<Value> = (0..file.rounds).map(first).map(|first| b.rows(first..first + of_round)).collect();
        let rows = Value::concat(&rows, 0)?; // [out of it, r]
        deltas.push(checked(*id, left.clone(), rows.transpose(), scale, model)?);
        begin += of_round;
    }
    Ok(deltas)
}

/// The shape of a weight of the model; empty if it has no such weight.
fn shape_of(model: &Model, id: WeightId) -> Vec<usize> {
    model.weights.shape(id).map(<[usize]>::to_vec).unwrap_or_default()
}

fn checked(id: WeightId, left: Value, right: Value, scale: f64, model: &Model) -> Result<(WeightId, Delta)> {
    let wanted = shape_of(model, id);
    let found = [left.shape()[0], right.shape()[1]];
    if left.shape()[1] != right.shape()[0] || wanted != found {
        return Err(AdapterFault::Product { id, found, wanted });
    }
    // Their product is as large as the weight, and is made where that is.
    let device = model.weights.device(id);
    let (left, right) = (left.on(device)?, right.on(device)?);
    Ok((id, Delta::LowRank { left, right, scale }))
}

/// A matrix that takes the place of the token embedding or the unembedding, `[V, d]`.
fn table(id: WeightId, view: &TensorView<'_>, model: &Model) -> Result<Value> {
    let wanted = shape_of(model, id);
    match (view.shape(), &wanted[..]) {
        (found, wanted) if found == wanted => value_of(view, model),
        (&[rows, width], &[had, same]) if width == same => Err(AdapterFault::Rows { id, rows, had }),
        (found, _) => Err(AdapterFault::Shape { name: id.to_string(), found: found.to_vec(), wanted }),
    }
}

/// A tensor that takes the place of one of the file.
fn replaced(file: &FileTensor, view: &TensorView<'_>, model: &Model) -> Result<Vec<(WeightId, Delta)>> {
    if view.shape() != file.shape {
        let (name, wanted, found) = (file.name.clone(), file.shape.clone(), view.shape().to_vec());
        return Err(AdapterFault::Shape { name, wanted, found });
    }
    let whole = value_of(view, model)?;
    let parts = model.weights.parts_of(file, &whole)?;
    Ok(parts.into_iter().map(|(id, value)| (id, Delta::Replace(value))).collect())
}

fn matrix_of(view: &TensorView<'_>, model: &Model) -> Result<Value> {
    match view.shape() {
        [_, _] => value_of(view, model),
        shape => Err(AdapterFault::NotAMatrix(shape.to_vec())),
    }
}

/// A tensor on the first device of the model, as 32-bit floats.
fn value_of(view: &TensorView<'_>, model: &Model) -> Result<Value> {
    let stored = StoredType::of_safetensors(view.dtype());
    if !matches!(stored, StoredType::F32 | StoredType::F16 | StoredType::BF16) {
        return Err(AdapterFault::Dtype(view.dtype()));
    }
    let mut data = vec![0.0; view.shape().iter().product()];
    decode(stored, view.data(), &mut data);
    Ok(Value::from_f32(data, view.shape(), model.placement.first()))
}
