//! Loading: files to a [`Model`].
//!
//! On the CPU, nothing of the weights is read here: they are read when they are first used. A graphics device gets all
//! of them, as far as the budget goes, so that what does not fit shows at once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::chat::Templates;
use super::checkpoint::{Checkpoint, StoredType, TensorEntry};
use super::config::HfConfig;
use super::error::LoadError;
use super::families::{self, Layout, Sources};
use super::placement::{Devices, Placement};
use super::plan::{Load, file_shape, plan};
use super::required_weights::shape_of;
use super::role::{Role, RolePlace, Stack, WeightId};
use super::sentence::Sentences;
use super::source::ModelSource;
use super::spec::ModelSpec;
use super::tokenizer::{Class, Named, SpecialTokens, Tokenizer};
use super::weights::{Held, Holdings, LARGE, Piece, Source, Store, WeightCache, Weights};
use super::{generation, memory_check};
use crate::tensor::{Device, Precision};

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
    /// Which device each block is on.
    pub placement: Placement,
    pub report: LoadReport,
    /// Its files, which can be read again.
    pub files: Arc<Checkpoint>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LoadReport {
    pub files: Vec<(String, u64)>,
    /// Numbers in the weights; tied ones count once.
    pub parameters: u64,
    /// Bytes of all weights in the form in which they are held.
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

/// Loads a model whose values are held in 32 bits, with all the memory that its weights need.
///
/// # Errors
/// Whatever is wrong with the files, if it can be known before their numbers are read; or that the user interrupted.
pub fn load(source: &ModelSource, device: &Device) -> Result<Model, LoadError> {
    load_in(source, device, Precision::F32)
}

/// Loads a model whose values are held in `precision`, as [`load`] does.
///
/// # Errors
/// As [`load`], and if the device has no such type.
pub fn load_in(source: &ModelSource, device: &Device, precision: Precision) -> Result<Model, LoadError> {
    load_within(source, &device.into(), precision, &WeightCache::unlimited())
}

/// Loads a model onto one device or several, whose weights are kept in a cache, which several models may share.
///
/// # Errors
/// As [`load_in`], and if the budget of the cache is smaller than the largest weight, or the blocks cannot be shared
/// among the devices as it was asked for.
pub fn load_within(
    source: &ModelSource,
    devices: &Devices,
    precision: Precision,
    cache: &WeightCache,
) -> Result<Model, LoadError> {
    let start = Instant::now();
    let model_files = source.files()?;
    let whole = HfConfig::parse(&model_files.path_of("config.json"), &model_files.read_config()?)?;
    let whole_type = whole.model_type()?.to_owned();
    let config = families::text_part(whole)?;
    config.check_sizes()?;
    let family = families::find(&config)?;
    let mut checkpoint = model_files.open_checkpoint()?;
    check_scales(&config, &checkpoint)?;
    let (tokenizer, no_tokenizer) = match Tokenizer::of_checkpoint(&model_files, &named_as(&config, &whole_type))? {
        Ok(tokenizer) => (Some(tokenizer), String::new()),
        Err(why) => (None, why.to_string()),
    };
    let named = match &tokenizer {
        Some(tokenizer) => tokenizer.named().clone(),
        None => Named::alone(&model_files)?,
    };
    let mut sentences = Sentences::read(&model_files, &config, &named)?;
    sentences.add_weights(&model_files, &mut checkpoint)?;
    let tokenizer = sentences.with_tokenizer(tokenizer)?;
    let after = sentences.after.clone();
    let from = Sources { config: &config, checkpoint: &checkpoint, sentence: after.as_ref() };
    let mut spec = family.spec(&from)?;
    sentences.check(&spec)?;
    sentences.add_answer(&config, &mut spec)?;
    let mut notes = std::mem::take(&mut sentences.notes);
    let unknown = config.unread(&spec.family)?;
    if !unknown.is_empty() {
        notes.push(format!("not used of {}: {}", config.path(), unknown.join(", ")));
    }
    let names = family.names(&spec, &from)?;
    let architecture = config.architecture()?.unwrap_or(&spec.family);
    let (loads, tensors) = plan(&spec, &names, &checkpoint, config.path(), architecture)?;
    let numbers = |load: &Load| file_shape(&spec, load).iter().product::<usize>() as u64;
    let parameters = loads.iter().map(numbers).sum();
    let files = Arc::new(checkpoint);
    let placement = Placement::new(devices, spec.n_layers)?;
    let holdings = Holdings { precision: placement.holding(precision)?, placement: placement.clone() };
    let used_by = |id| users(&spec, &placement, names.tied, id);
    let held = held(&spec, &loads, &files, &holdings, &used_by);
    let store = Store::new(files.clone(), holdings, held, cache);
    memory_check::check(&files.path, &store)?;
    store.fill(|source, holding| !holding.device.is_cpu() || source.rounds(&files, holding))?;

    notes.extend(generation::unread(&model_files)?);
    notes.extend(conversions(&store, &files));
    notes.extend(beyond(&store));
    let stored = dtypes(&loads, &files);
    let unused = tensors.iter().filter_map(|file| Some((file.file_name().to_owned(), file.ignored.clone()?)));
    let ignored = unused.collect();
    let weights = Weights::new(store, tensors, names.tied);
    match &tokenizer {
        Some(tokenizer) => notes.extend(tokenizer.notes().iter().cloned()),
        None => notes.push(format!("{no_tokenizer}: prompts must be token ids (--tokens)")),
    }
    let special = SpecialTokens::read(&model_files, &config, &named, tokenizer.as_ref())?;
    let (chat, prompt) = (Templates::read(&model_files, &named)?, sentences.prompt);
    let report = LoadReport {
        files: files.files.iter().map(|file| (file.path.clone(), file.size)).collect(),
        parameters,
        bytes: weights.residency().held,
        dtypes: stored.into_iter().map(|(kind, count)| (kind.name().to_owned(), count)).collect(),
        ignored,
        replaced: files.notes.iter().cloned().chain(names.notes).collect(),
        notes,
        seconds: start.elapsed().as_secs_f64(),
    };
    let origin = source.clone();
    Ok(Model {
        spec,
        weights,
        tokenizer,
        no_tokenizer,
        special,
        chat,
        prompt,
        config,
        origin,
        placement,
        report,
        files,
    })
}

/// Eight-bit floats of a configuration that says they have scales must have them.
fn check_scales(config: &HfConfig, checkpoint: &Checkpoint) -> Result<(), LoadError> {
    const KEY: &str = "quantization_config";
    let eight_bits = |kind: StoredType| matches!(kind, StoredType::F8_E4M3 | StoredType::F8_E5M2);
    let bare = |entry: &&TensorEntry| eight_bits(entry.dtype) && !entry.has_scales();
    match (config.json().get(KEY), checkpoint.entries().into_iter().find(bare)) {
        (Some(_), Some(entry)) => {
            Err(config.unsupported(KEY, "...", format!("{} has eight bits and no scales in the files", entry.name)))
        }
        _ => Ok(()),
    }
}

/// The numbers of the devices whose ops use a weight, its own first.
fn users(spec: &ModelSpec, placement: &Placement, tied: bool, id: WeightId) -> Vec<usize> {
    let mut on = vec![placement.of_weight(id)];
    if tied && id.role == Role::W_E {
        on.push(placement.number(RolePlace::After, None));
    }
    // What a decoder makes of the source alone is computed before its first block.
    let of_source = [Role::CrossK, Role::CrossV, Role::CrossKB, Role::CrossVB].contains(&id.role);
    if of_source {
        on.push(placement.number(RolePlace::Before, None));
    }
    if let (Some(block), Stack::Main) = (id.layer.map(usize::from), id.stack) {
        let sharing = (0..spec.n_layers).filter(|&layer| spec.weights_of(layer) == block);
        on.extend(sharing.map(|layer| placement.number(RolePlace::Block, Some(layer))));
    }
    let mut seen = BTreeSet::new();
    on.retain(|device| seen.insert(*device));
    on
}

/// The configuration by which the class of a tokenizer is found: under the name of the whole model if transformers has a
/// class down for that.
fn named_as(config: &HfConfig, whole: &str) -> HfConfig {
    if Class::is_registered(whole) { config.as_model_type(whole) } else { config.clone() }
}

/// Bytes of a vocabulary matrix on the CPU that are read, kept and dropped together.
const PIECE: u64 = 256 << 20;

/// Rows of a piece of a vocabulary matrix are a multiple of this, so that its products are cut as those of the whole
/// are.
const ROWS: usize = 192;

/// Where each weight is.
fn held(
    spec: &ModelSpec,
    loads: &[Load],
    files: &Checkpoint,
    holdings: &Holdings,
    used_by: &dyn Fn(WeightId) -> Vec<usize>,
) -> HashMap<WeightId, Held> {
    let mut all = HashMap::new();
    for load in loads {
        let shape = file_shape(spec, load);
        let count: usize = shape.iter().product();
        // Elements of each part that follow each other in the file.
        let along = |size: usize| match load.layout {
            Layout::OutIn | Layout::Channels => size * shape.last().copied().unwrap_or(1),
            _ => size,
        };
        let only = load.parts.len() == 1;
        let stacked = load.stack.unwrap_or(1).max(1);
        let (count, each) = (count / stacked, load.parts.len() / stacked);
        let period = if each == 1 { count } else { load.parts[..each].iter().map(|(_, size)| along(*size)).sum() };
        let mut offset = 0;
        for (number, &(id, size)) in load.parts.iter().enumerate() {
            if number % each == 0 {
                offset = number / each * count;
            }
            let run = if each == 1 { count } else { along(size) };
            let source = Source {
                tensor: load.name.clone(),
                layout: load.layout,
                id,
                offset,
                run,
                period,
                shape: shape_of(spec, id),
                apart: None,
            };
            offset += run;
            let on = used_by(id);
            let pieces = if only && matches!(id.role, Role::W_E | Role::W_U | Role::W_ple) {
                in_rows(&source, files, holdings, &on)
            } else {
                vec![Piece::File(source.clone())]
            };
            all.insert(id, Held { shape: source.shape, pieces, on });
        }
    }
    all
}

/// A vocabulary matrix in pieces of rows that every device in use can hold, and on the CPU can be dropped one by one.
fn in_rows(source: &Source, files: &Checkpoint, holdings: &Holdings, on: &[usize]) -> Vec<Piece> {
    let [rows, width] = source.shape[..] else { return vec![Piece::File(source.clone())] };
    let holdings = || on.iter().map(|&device| holdings.on(device));
    let most = holdings().map(|holding| {
        if holding.device.is_cpu() {
            let pieces = source.bytes(files, &holding).div_ceil(PIECE).max(1) as usize;
            return rows.div_ceil(pieces).next_multiple_of(ROWS);
        }
        let row = (width as u64 * 4).max(1); // as 32-bit floats, which they are on the way there
        usize::try_from((holding.device.max_buffer_bytes() / row).max(1)).unwrap_or(usize::MAX)
    });
    let most = most.min().unwrap_or(rows).min(rows).max(1);
    let each = if most < rows && holdings().any(|holding| holding.device.is_cpu()) {
        // A last piece that is too small would be multiplied in another way.
        let as_whole = |each: &usize| rows.is_multiple_of(*each) || rows % each * width >= LARGE;
        (1..=most / ROWS).rev().map(|n| n * ROWS).find(as_whole).unwrap_or(most)
    } else {
        most
    };
    (0..rows).step_by(each).map(|first| Piece::File(source.cut(first..rows.min(first + each)))).collect()
}

/// A note about numbers that are too large for what they are held in.
fn beyond(store: &Store) -> Option<String> {
    let (beyond, precision) = (store.beyond(), store.precision());
    let first = beyond.first()?;
    let (count, most) = (beyond.len(), precision.largest());
    Some(format!("{count} tensors have numbers beyond {most}, more than {precision} can hold; the first is {first}"))
}

fn dtypes(loads: &[Load], checkpoint: &Checkpoint) -> Vec<(StoredType, usize)> {
    let mut counts: BTreeMap<&str, (StoredType, usize)> = BTreeMap::new();
    for (_, entry) in loads.iter().filter_map(|load| checkpoint.find(&load.name)) {
        counts.entry(entry.dtype.name()).or_insert((entry.dtype, 0)).1 += 1;
    }
    counts.into_values().collect()
}

fn conversions(store: &Store, files: &Checkpoint) -> Vec<String> {
    let mut of_kind: BTreeMap<(&str, bool), (StoredType, BTreeSet<&str>)> = BTreeMap::new();
    for (source, holding) in store.sources() {
        if let Some((_, entry)) = files.find(&source.tensor) {
            let stored = source.is_stored(files, holding);
            let known = of_kind.entry((entry.dtype.name(), stored)).or_insert((entry.dtype, BTreeSet::new()));
            known.1.insert(&source.tensor);
        }
    }
    let precision = store.precision();
    let note = |((name, stored), (kind, tensors)): ((&str, bool), (StoredType, BTreeSet<&str>))| {
        let count = tensors.len();
        match kind {
            _ if stored => Some(format!("{count} tensors kept in {name}, and widened where they are used, exactly")),
            StoredType::F32 if precision == Precision::F32 => None,
            StoredType::F16 if precision == Precision::F16 => None,
            _ if kind.quantised() => Some(format!("{count} tensors dequantised from {name} to {precision}")),
            _ if kind == StoredType::F64 || precision == Precision::F16 => {
                Some(format!("{count} tensors rounded from {name} to {precision}"))
            }
            _ => Some(format!("{count} tensors widened from {name} to f32, exactly")),
        }
    };
    of_kind.into_iter().filter_map(note).collect()
}

impl Model {
    /// A text as sentence-transformers gives it to the model: after its prompt, if there is one.
    pub fn with_prompt<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.prompt {
            Some((_, prompt)) => Cow::Owned(format!("{prompt}{text}")),
            None => Cow::Borrowed(text),
        }
    }

    /// Whether the two texts of a pair have tokens of different types.
    pub fn has_token_types(&self) -> bool {
        self.spec.embed.token_types > 1
    }

    /// Whether a pair of texts is one input: of an encoder, with the tokens that the tokenizer puts between the two; of an encoder
    /// and its decoder, one text for each.
    pub fn takes_pairs(&self) -> bool {
        self.has_token_types() || !self.spec.attention.causal || self.spec.encoder.is_some()
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
