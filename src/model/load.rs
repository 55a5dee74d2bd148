//! Loading: files to a [`Model`], tensor by tensor.
//!
//! Each tensor is converted straight into the memory that the model keeps, so the host never holds more than the
//! weights and the piece of file that is being read.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::chat::Templates;
use super::checkpoint::{Checkpoint, StoredType};
use super::config::HfConfig;
use super::error::LoadError;
use super::families::{self, Layout, Sources};
use super::plan::{Load, file_shape, plan};
use super::required_weights::shape_of;
use super::role::{Role, WeightId};
use super::sentence::Sentences;
use super::source::ModelSource;
use super::spec::ModelSpec;
use super::tokenizer::{Named, SpecialTokens, Tokenizer};
use super::weights::{RowChunks, Weight, Weights};
use super::{generation, memory_check};
use crate::tensor::{Device, Precision, Value, step, transposed};

#[derive(Clone, Debug)]
pub struct Model {
    pub spec: ModelSpec,
    pub weights: Weights,
    pub tokenizer: Option<Tokenizer>,
    /// Why there is none, if there is none.
    pub no_tokenizer: String,
    pub special: SpecialTokens,
    pub chat: Templates,
    /// What sentence-transformers puts before every text: its name, and the text.
    pub prompt: Option<(String, String)>,
    pub config: HfConfig,
    pub origin: ModelSource,
    pub device: Device,
    pub report: LoadReport,
    /// Its files, which can be read again.
    pub files: Arc<Checkpoint>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LoadReport {
    pub files: Vec<(String, u64)>,
    /// Numbers in the weights; tied ones count once.
    pub parameters: u64,
    /// Bytes of device memory of the weights.
    pub bytes: u64,
    /// Element types of the tensors used, with their number.
    pub dtypes: Vec<(String, usize)>,
    /// Tensors that are not used, with the reason.
    pub ignored: Vec<(String, String)>,
    /// Weights that come from elsewhere than they usually do.
    pub replaced: Vec<String>,
    pub notes: Vec<String>,
    pub seconds: f64,
}

/// Loads a model. What is read is reported as a step before each tensor, in bytes, and at the end.
///
/// # Errors
/// Whatever is wrong with the files, before any of their bytes are converted if it can be known by then; or that the
/// user interrupted.
pub fn load(source: &ModelSource, device: &Device) -> Result<Model, LoadError> {
    load_in(source, device, Precision::F32)
}

/// Loads a model whose weights and values are held in `precision`, as [`load`] does.
///
/// # Errors
/// As [`load`], and if the device has no such type.
pub fn load_in(source: &ModelSource, device: &Device, precision: Precision) -> Result<Model, LoadError> {
    let precision = precision.on(device)?;
    let start = Instant::now();
    let files = source.files()?;
    let config = HfConfig::parse(&files.path_of("config.json"), &files.read_config()?)?;
    config.check_sizes()?;
    let family = families::find(&config)?;
    let checkpoint = files.open_checkpoint()?;
    let (tokenizer, no_tokenizer) = match Tokenizer::of_checkpoint(&files, &config)? {
        Ok(tokenizer) => (Some(tokenizer), String::new()),
        Err(why) => (None, why.to_string()),
    };
    let named = match &tokenizer {
        Some(tokenizer) => tokenizer.named().clone(),
        None => Named::alone(&files)?,
    };
    let mut sentences = Sentences::read(&files, &config, &named)?;
    let tokenizer = sentences.with_tokenizer(tokenizer)?;
    let mut notes = std::mem::take(&mut sentences.notes);
    let from = Sources { config: &config, checkpoint: &checkpoint, sentence: sentences.after.as_ref() };
    let spec = family.spec(&from)?;
    let unknown = config.unread(&spec.family)?;
    if !unknown.is_empty() {
        notes.push(format!("not used of {}: {}", config.path(), unknown.join(", ")));
    }
    let names = family.names(&spec, &from)?;
    let architecture = config.architecture()?.unwrap_or(&spec.family);
    let (loads, tensors) = plan(&spec, &names, &checkpoint, config.path(), architecture)?;
    let numbers = |load: &Load| file_shape(&spec, load).iter().product::<usize>() as u64;
    let parameters = loads.iter().map(numbers).sum();
    if device.is_cpu() {
        // Other devices do not say what they have left.
        memory_check::check(&checkpoint.path, parameters, precision, memory_check::available())?;
    }
    let (loaded, beyond) = read(&spec, &loads, &checkpoint, Place { device, precision })?;

    notes.extend(generation::unread(&files)?);
    let stored = dtypes(&loads, &checkpoint);
    notes.extend(conversions(&stored, precision));
    notes.extend(beyond);
    let unused = tensors.iter().filter_map(|file| Some((file.file_name().to_owned(), file.ignored.clone()?)));
    let ignored = unused.collect();
    let weights = Weights::new(loaded, tensors, names.tied, precision);
    match &tokenizer {
        Some(tokenizer) => notes.extend(tokenizer.notes().iter().cloned()),
        None => notes.push(format!("{no_tokenizer}: prompts must be token ids (--tokens)")),
    }
    let special = SpecialTokens::read(&files, &config, &named, tokenizer.as_ref())?;
    let (chat, prompt) = (Templates::read(&files, &named)?, sentences.prompt);
    let report = LoadReport {
        files: checkpoint.files.iter().map(|file| (file.path.clone(), file.size)).collect(),
        parameters,
        bytes: weights.loaded_bytes(),
        dtypes: stored.into_iter().map(|(kind, count)| (kind.name().to_owned(), count)).collect(),
        ignored,
        replaced: checkpoint.notes.iter().cloned().chain(names.notes).collect(),
        notes,
        seconds: start.elapsed().as_secs_f64(),
    };
    let (origin, device) = (source.clone(), device.clone());
    let files = Arc::new(checkpoint);
    Ok(Model { spec, weights, tokenizer, no_tokenizer, special, chat, prompt, config, origin, device, report, files })
}

/// The weights, and a note about numbers that are too large for what they are held in.
fn read(
    spec: &ModelSpec,
    loads: &[Load],
    checkpoint: &Checkpoint,
    place: Place,
) -> Result<(HashMap<WeightId, Weight>, Option<String>), LoadError> {
    let found: Vec<_> = loads.iter().filter_map(|load| Some((load, checkpoint.find(&load.name)?))).collect();
    let (total, mut done) = (found.iter().map(|(_, (_, entry))| entry.bytes() as u64).sum(), 0);
    let mut weights = HashMap::new();
    let mut beyond: Vec<&str> = Vec::new();
    for (loaded, (load, (file, entry))) in found.iter().enumerate() {
        let cancelled = |_| LoadError::Cancelled { loaded, tensors: found.len() };
        step(&format!("loading {}", load.name), done, total).map_err(cancelled)?;
        let buffers = file.read_f32(entry, &runs(spec, load, place.device.max_buffer_bytes()))?;
        if place.beyond(&buffers) {
            beyond.push(&load.name);
        }
        upload(spec, load, buffers, place, &mut weights)?;
        done += entry.bytes() as u64;
    }
    // Nothing is left that could be interrupted.
    _ = step("loading", done, total);
    let note = |first: &&str| {
        let (count, precision, most) = (beyond.len(), place.precision, place.precision.largest());
        format!("{count} tensors have numbers beyond {most}, more than {precision} can hold; the first is {first}")
    };
    let note = beyond.first().map(note);
    Ok((weights, note))
}

/// Where weights go, and what they are held in.
#[derive(Clone, Copy)]
struct Place<'a> {
    device: &'a Device,
    precision: Precision,
}

impl Place<'_> {
    fn upload(self, data: Vec<f32>, shape: &[usize]) -> Value {
        Value::from_f32(data, shape, self.device).held_in(self.precision)
    }

    /// A linear weight `[from, to]` that is stored as `[to, from]`: it stays so, which is how products read it fastest.
    fn linear(self, data: Vec<f32>, from: usize, to: usize) -> Value {
        self.upload(data, &[to, from]).transpose()
    }

    /// Whether a finite number would become infinite.
    fn beyond(self, buffers: &[Vec<f32>]) -> bool {
        let most = self.precision.largest();
        most < f32::MAX && buffers.iter().flatten().any(|x| x.is_finite() && x.abs() > most)
    }
}

/// Whether a weight is kept in row chunks.
fn chunked(load: &Load) -> bool {
    matches!(load.parts.as_slice(), [(id, _)] if matches!(id.role, Role::W_E | Role::W_U))
}

/// How the elements of a tensor are dealt out to buffers as they are read, none of more than `max` bytes where a tensor
/// can be split.
fn runs(spec: &ModelSpec, load: &Load, max: u64) -> Vec<usize> {
    let shape = file_shape(spec, load);
    let count: usize = shape.iter().product();
    if chunked(load) {
        let width = shape[1];
        let rows = RowChunks::rows_per_chunk(width, max).min(shape[0]);
        return (0..shape[0]).step_by(rows.max(1)).map(|start| rows.min(shape[0] - start) * width).collect();
    }
    if load.parts.len() == 1 {
        return vec![count];
    }
    let along = |size: usize| match load.layout {
        Layout::OutIn | Layout::Stacked => size * shape.last().copied().unwrap_or(1),
        _ => size,
    };
    load.parts.iter().map(|(_, size)| along(*size)).collect()
}

fn upload(
    spec: &ModelSpec,
    load: &Load,
    buffers: Vec<Vec<f32>>,
    place: Place,
    weights: &mut HashMap<WeightId, Weight>,
) -> Result<(), LoadError> {
    let max = place.device.max_buffer_bytes();
    if let Some(bytes) = buffers.iter().map(|buffer| buffer.len() as u64 * 4).find(|bytes| *bytes > max) {
        return Err(LoadError::TooBig { tensor: load.name.clone(), bytes, max });
    }
    if chunked(load) {
        let (id, width) = (load.parts[0].0, file_shape(spec, load)[1]);
        let chunks = buffers.into_iter().map(|data| {
            let rows = data.len() / width;
            place.upload(data, &[rows, width])
        });
        weights.insert(id, Weight::Rows(RowChunks::new(chunks.collect())));
        return Ok(());
    }
    for ((id, _), data) in load.parts.iter().zip(buffers) {
        let shape = shape_of(spec, *id);
        let value = match (load.layout, &*shape) {
            (Layout::OutIn | Layout::Stacked, &[from, to]) => place.linear(data, from, to),
            (Layout::InOut, &[from, to]) => place.linear(transposed(data, from, to), from, to),
            _ => place.upload(data, &shape),
        };
        weights.insert(*id, Weight::Dense(value));
    }
    Ok(())
}

fn dtypes(loads: &[Load], checkpoint: &Checkpoint) -> Vec<(StoredType, usize)> {
    let mut counts: BTreeMap<&str, (StoredType, usize)> = BTreeMap::new();
    for (_, entry) in loads.iter().filter_map(|load| checkpoint.find(&load.name)) {
        counts.entry(entry.dtype.name()).or_insert((entry.dtype, 0)).1 += 1;
    }
    counts.into_values().collect()
}

fn conversions(dtypes: &[(StoredType, usize)], precision: Precision) -> Vec<String> {
    let convert = |(kind, count): &(StoredType, usize)| {
        let name = kind.name();
        match kind {
            StoredType::F32 if precision == Precision::F32 => None,
            StoredType::F16 if precision == Precision::F16 => None,
            _ if kind.quantised() => Some(format!("{count} tensors dequantised from {name} to {precision}")),
            _ if *kind == StoredType::F64 || precision == Precision::F16 => {
                Some(format!("{count} tensors rounded from {name} to {precision}"))
            }
            _ => Some(format!("{count} tensors widened from {name} to f32, exactly")),
        }
    };
    dtypes.iter().filter_map(convert).collect()
}

impl Model {
    /// A text as sentence-transformers gives it to the model: after its prompt, if there is one.
    pub fn with_prompt<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.prompt {
            Some((_, prompt)) => Cow::Owned(format!("{prompt}{text}")),
            None => Cow::Borrowed(text),
        }
    }

    pub fn takes_pairs(&self) -> bool {
        self.spec.embed.token_types > 1
    }

    /// A line for listings: family, head and size.
    pub fn summary(&self) -> String {
        let ModelSpec { family, head, n_layers, n_heads, d_model, vocab, .. } = &self.spec;
        let (head, parameters) = (head.describe(), self.report.parameters);
        format!(
            "{family} {head}: {n_layers} layers, {n_heads} heads, width {d_model}, vocabulary {vocab}, {parameters} \
             parameters"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vocabulary_matrices_are_split_by_rows_and_fused_ones_by_parts() {
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/models/gpt2");
        let spec = load(&ModelSource::Path(fixture.into()), &Device::cpu()).unwrap().spec;
        let one = |id, layout, size| Load { name: "x".into(), layout, parts: vec![(id, size)], rounds: 1 };
        let embedding = one(WeightId::global(Role::W_E), Layout::Table, 0);
        assert_eq!(runs(&spec, &embedding, u64::MAX), [384 * 32]);
        assert_eq!(runs(&spec, &embedding, 100 * 32 * 4), [3200, 3200, 3200, 2688]);
        assert_eq!(runs(&spec, &embedding, 128 * 32 * 4 + 1), [4096, 4096, 4096]);
        let positions = one(WeightId::global(Role::W_pos), Layout::Table, 0);
        assert_eq!(runs(&spec, &positions, 1), [64 * 32]);
        let id = |role| WeightId::block(0, role);
        let parts = vec![(id(Role::W_Q), 32), (id(Role::W_K), 32), (id(Role::W_V), 32)];
        let fused = |layout| Load { name: "x".into(), layout, parts: parts.clone(), rounds: 1 };
        assert_eq!(runs(&spec, &fused(Layout::InOut), u64::MAX), [32, 32, 32]);
        assert_eq!(runs(&spec, &fused(Layout::OutIn), u64::MAX), [1024, 1024, 1024]);
    }
}
