//! The weights of a checkpoint: known by their shapes at once, read when they are asked for, kept within a budget.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::cache::{Owner, Residency, WeightCache};
use super::source::{Holding, Source};
use super::weight::Weight;
use crate::model::checkpoint::{Checkpoint, StoredType, TensorReader};
use crate::model::error::LoadError;
use crate::model::placement::Placement;
use crate::model::role::WeightId;
use crate::model::text::bytes;
use crate::tensor::{Device, Precision, TensorError, Value, step};

/// Bytes that the system is asked to read ahead.
const AHEAD: u64 = 256 << 20;

/// Bytes that are sent to a device before it is waited for. Until then the copies that are on their way take memory of
/// the host, and that the device's is full does not show.
const SENT: u64 = 256 << 20;

/// How weights are held on all devices of a model.
#[derive(Clone, Debug)]
pub struct Holdings {
    pub placement: Placement,
    pub precision: Precision,
}

impl Holdings {
    /// On one of the devices.
    pub fn on(&self, device: usize) -> Holding {
        Holding { device: self.placement.devices()[device].clone(), precision: self.precision }
    }
}

/// A piece of a weight on one of the devices that use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Use {
    id: WeightId,
    piece: usize,
    device: usize,
}

/// Weights by their ids: where each is, and those that are in memory.
#[derive(Debug)]
pub struct Store {
    files: Arc<Checkpoint>,
    holdings: Holdings,
    /// The same by the number of the device.
    by_device: Vec<Holding>,
    weights: HashMap<WeightId, Held>,
    /// Pieces in the order in which a model uses them.
    order: Vec<Use>,
    owner: Arc<Owner>,
    /// Bytes of all pieces as they are held.
    bytes: u64,
    /// Tensors with numbers beyond what they are held in, of those read so far.
    beyond: Mutex<BTreeSet<String>>,
}

/// A weight in pieces of rows; one piece for all but vocabulary matrices.
#[derive(Clone, Debug)]
pub struct Held {
    pub shape: Vec<usize>,
    pub pieces: Vec<Piece>,
    /// The numbers of the devices whose ops use it: several where blocks share it, or embedding and unembedding do.
    pub on: Vec<usize>,
}

#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "most are of files")]
pub enum Piece {
    File(Source),
    /// Given, not read: it stays in memory.
    Memory(Value),
}

impl Piece {
    pub(super) fn rows(&self) -> usize {
        match self {
            Piece::File(source) => source.shape[0],
            Piece::Memory(value) => value.shape()[0],
        }
    }

    fn cut(&self, rows: Range<usize>) -> Piece {
        match self {
            Piece::File(source) => Piece::File(source.cut(rows)),
            Piece::Memory(value) => Piece::Memory(value.rows(rows)),
        }
    }
}

impl Held {
    /// The same with `rows` rows: what is beyond is left out, what is missing is given by `more`.
    pub fn with_rows(&self, rows: usize, more: impl FnOnce(usize) -> Value) -> Held {
        let mut pieces = Vec::new();
        let mut left = rows;
        for piece in &self.pieces {
            let taken = piece.rows().min(left);
            if taken > 0 {
                pieces.push(if taken == piece.rows() { piece.clone() } else { piece.cut(0..taken) });
            }
            left -= taken;
        }
        if left > 0 {
            pieces.push(Piece::Memory(more(left)));
        }
        let mut shape = self.shape.clone();
        shape[0] = rows;
        Held { shape, pieces, on: self.on.clone() }
    }
}

impl Store {
    pub fn new(
        files: Arc<Checkpoint>,
        holdings: Holdings,
        weights: HashMap<WeightId, Held>,
        cache: &WeightCache,
    ) -> Store {
        Store::owned_by(Arc::new(cache.owner()), files, holdings, weights)
    }

    fn owned_by(
        owner: Arc<Owner>,
        files: Arc<Checkpoint>,
        holdings: Holdings,
        weights: HashMap<WeightId, Held>,
    ) -> Store {
        let mut ids: Vec<WeightId> = weights.keys().copied().collect();
        ids.sort_by_key(|id| (id.role.place(), *id));
        let uses = |id: WeightId| {
            let Held { pieces, on, .. } = &weights[&id];
            let on_device = move |&device: &usize| (0..pieces.len()).map(move |piece| Use { id, piece, device });
            on.iter().flat_map(on_device)
        };
        let order = ids.into_iter().flat_map(uses).collect();
        let by_device = (0..holdings.placement.devices().len()).map(|device| holdings.on(device)).collect();
        let mut store = Store { files, holdings, by_device, weights, order, owner, bytes: 0, beyond: Mutex::default() };
        store.bytes = store.sizes().map(|(.., bytes)| bytes).sum();
        store
    }

    /// The same checkpoint with other pieces of some weights.
    pub fn with(&self, changed: impl IntoIterator<Item = (WeightId, Held)>) -> Store {
        let mut weights = self.weights.clone();
        weights.extend(changed);
        Store::new(self.files.clone(), self.holdings.clone(), weights, self.owner.cache())
    }

    /// The same store with more weights and without those of `gone`. What is in memory stays there, so an id that was
    /// in use may not become that of another weight.
    pub fn extended(&self, more: impl IntoIterator<Item = (WeightId, Held)>, gone: impl Fn(WeightId) -> bool) -> Store {
        let mut weights = self.weights.clone();
        weights.retain(|id, _| !gone(*id));
        weights.extend(more);
        Store::owned_by(self.owner.clone(), self.files.clone(), self.holdings.clone(), weights)
    }

    pub fn cache(&self) -> &WeightCache {
        self.owner.cache()
    }

    pub fn placement(&self) -> &Placement {
        &self.holdings.placement
    }

    pub fn precision(&self) -> Precision {
        self.holdings.precision
    }

    pub fn held(&self, id: WeightId) -> Option<&Held> {
        self.weights.get(&id)
    }

    /// Every weight, in the order of the model.
    pub fn ids(&self) -> Vec<WeightId> {
        let mut ids: Vec<WeightId> = self.order.iter().map(|one| one.id).collect();
        ids.dedup();
        ids
    }

    /// A piece of a weight on one of the devices, by its number; read if it is not in memory there.
    ///
    /// # Errors
    /// If it cannot be read, the checkpoint has changed, or the user interrupts.
    ///
    /// # Panics
    /// If there is no such piece, or no such device.
    pub fn piece(&self, id: WeightId, piece: usize, device: usize) -> Result<Weight, TensorError> {
        let holding = &self.by_device[device];
        let source = match &self.weights[&id].pieces[piece] {
            Piece::Memory(value) => return Ok(Weight::Dense(value.on(&holding.device)?)),
            Piece::File(source) => source,
        };
        let (key, cache) = (self.owner.key(id, piece, device), self.owner.cache());
        if let Some(weight) = cache.get(key) {
            return Ok(weight);
        }
        self.read_ahead(Use { id, piece, device });
        cache.make_room(source.bytes(&self.files, holding), &holding.device);
        let read = source.read(&self.files, holding).map_err(|error| unreadable(id, error))?;
        if read.beyond {
            self.beyond.lock().unwrap_or_else(PoisonError::into_inner).insert(source.tensor.clone());
        }
        cache.put(key, &read.weight);
        Ok(read.weight)
    }

    /// Asks the system for what follows a piece in the order of use.
    fn read_ahead(&self, now: Use) {
        let Some(at) = self.order.iter().position(|known| *known == now) else { return };
        let mut bytes = 0;
        for &Use { id, piece, device } in &self.order[at + 1..] {
            if let Piece::File(source) = &self.weights[&id].pieces[piece] {
                bytes += source.bytes(&self.files, &self.by_device[device]);
                if bytes > AHEAD {
                    return;
                }
                if !self.owner.cache().contains(self.owner.key(id, piece, device)) {
                    source.will_need(&self.files);
                }
            }
        }
    }

    /// Rows of a matrix by their numbers, `[n, width]` in row-major order, as they are held on one of the devices; those
    /// of pieces that are not in memory there are read alone.
    ///
    /// # Errors
    /// As [`piece`](Self::piece); and if a number is that of no row.
    pub fn rows(&self, id: WeightId, numbers: &[usize], device: usize) -> Result<Vec<f32>, TensorError> {
        let holding = &self.by_device[device];
        let held = &self.weights[&id];
        let (rows, width) = (held.shape[0], held.shape[1]);
        if let Some(&beyond) = numbers.iter().find(|number| **number >= rows) {
            return Err(TensorError::Index { index: beyond as i64, axis: id.to_string(), len: rows });
        }
        let mut out = vec![0.0; numbers.len() * width];
        let mut first = 0;
        for (number, piece) in held.pieces.iter().enumerate() {
            let here: Vec<usize> =
                (0..numbers.len()).filter(|i| (first..first + piece.rows()).contains(&numbers[*i])).collect();
            let local: Vec<usize> = here.iter().map(|i| numbers[*i] - first).collect();
            first += piece.rows();
            if local.is_empty() {
                continue;
            }
            let found = match (piece, self.owner.cache().get(self.owner.key(id, number, device))) {
                (Piece::Memory(value), _) => picked(&Weight::Dense(value.clone()), &local)?,
                (_, Some(weight)) => picked(&weight, &local)?,
                (Piece::File(source), None) => {
                    let found = source.read_rows(&self.files, &local).map_err(|error| unreadable(id, error))?;
                    // As they would be in memory.
                    match source.rounds(&self.files, holding) {
                        true => Value::from_f32(found, &[local.len(), width], &holding.device)
                            .held_in(holding.precision)
                            .read_f32()?,
                        false => found,
                    }
                }
            };
            for (i, row) in here.iter().zip(found.chunks_exact(width.max(1))) {
                out[i * width..(i + 1) * width].copy_from_slice(row);
            }
        }
        Ok(out)
    }

    /// The bytes of a tensor of `shape`, if it is stored as floats of at most 32 bits and in the order of its elements.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn as_stored(&self, name: &str, shape: &[usize]) -> Result<Option<Vec<u8>>, LoadError> {
        let Some((file, entry)) = self.files.find(name) else { return Ok(None) };
        let plain = matches!(entry.dtype, StoredType::F32 | StoredType::F16 | StoredType::BF16);
        let as_it_is = TensorReader::has_stored_rows(entry) && TensorReader::in_order(entry) && !entry.flipped;
        if !plain || !as_it_is || entry.shape != shape {
            return Ok(None);
        }
        file.stored(entry)?.into_bytes().map(Some)
    }

    /// Reads every weight, and reports each: for devices that should have all before the first op, and for what is
    /// rounded, so that what does not fit is known.
    ///
    /// # Errors
    /// If one cannot be read, the memory of the device is full or it fails in another way, or the user interrupts.
    pub fn fill(&self, which: impl Fn(&Source, &Holding) -> bool) -> Result<(), LoadError> {
        let sources: Vec<(&Use, &Source)> = self
            .order
            .iter()
            .filter_map(|one| match &self.weights[&one.id].pieces[one.piece] {
                Piece::File(source) if which(source, &self.by_device[one.device]) => Some((one, source)),
                _ => None,
            })
            .collect();
        let size = |one: &Use, source: &Source| source.bytes(&self.files, &self.by_device[one.device]);
        let (total, mut done) = (sources.iter().map(|(one, source)| size(one, source)).sum(), 0);
        let last = |device| sources.iter().rposition(|(one, _)| one.device == device);
        let lasts: Vec<Option<usize>> = (0..self.by_device.len()).map(last).collect();
        let mut sent = vec![0; self.by_device.len()];
        for (loaded, (one, source)) in sources.iter().enumerate() {
            let cancelled = |_| LoadError::Cancelled { loaded, tensors: sources.len() };
            step(&format!("loading {}", source.tensor), done, total).map_err(cancelled)?;
            let sent = &mut sent[one.device];
            *sent += size(one, source);
            let waits = *sent >= SENT || lasts[one.device] == Some(loaded);
            let device = &self.by_device[one.device].device;
            let settled = |weight: Weight| if waits { weight.settle() } else { device.fault() };
            let piece = self.piece(one.id, one.piece, one.device);
            piece.and_then(settled).map_err(|error| self.full(error, done, total))?;
            *sent = if waits { 0 } else { *sent };
            done += size(one, source);
        }
        // Nothing is left that could be interrupted.
        _ = step("loading", done, total);
        Ok(())
    }

    /// What it means for loading that a device failed, after `done` of `total` bytes.
    fn full(&self, error: TensorError, done: u64, total: u64) -> LoadError {
        let TensorError::DeviceFull { device } = error else { return error.into() };
        let half = match self.precision() {
            Precision::F32 => "give --dtype f16, which takes half of it, ",
            Precision::F16 => "",
        };
        let (path, loaded, total) = (self.files.path.clone(), bytes(done), bytes(total));
        LoadError::DeviceFull { path, device, loaded, total, half }
    }

    /// What is in files, in the order of the model, and how it is held on each device that uses it.
    pub fn sources(&self) -> impl Iterator<Item = (&Source, &Holding)> {
        self.order.iter().filter_map(|one| match &self.weights[&one.id].pieces[one.piece] {
            Piece::File(source) => Some((source, &self.by_device[one.device])),
            Piece::Memory(_) => None,
        })
    }

    /// The tensors read so far that have numbers beyond what they are held in.
    pub fn beyond(&self) -> Vec<String> {
        self.beyond.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Bytes of each piece as it is held, with its weight and its device.
    pub fn sizes(&self) -> impl Iterator<Item = (WeightId, &Device, u64)> + '_ {
        self.order.iter().map(|one| {
            let holding = &self.by_device[one.device];
            let bytes = match &self.weights[&one.id].pieces[one.piece] {
                Piece::File(source) => source.bytes(&self.files, holding),
                Piece::Memory(value) => value.bytes(),
            };
            (one.id, &holding.device, bytes)
        })
    }

    /// What is held of the weights.
    pub fn residency(&self) -> Residency {
        Residency { held: self.bytes, ..self.owner.cache().residency() }
    }
}

fn picked(weight: &Weight, rows: &[usize]) -> Result<Vec<f32>, TensorError> {
    match weight {
        Weight::Stored { matrix, .. } => {
            let mut out = vec![0.0; rows.len() * matrix.width()];
            for (row, out) in rows.iter().zip(out.chunks_exact_mut(matrix.width().max(1))) {
                matrix.decode_rows(*row..row + 1, out)?;
            }
            Ok(out)
        }
        Weight::Dense(value) => {
            let whole = (value.dtype_name() == "f32").then(|| value.host_f32()).flatten();
            if let (Some(data), [_, width]) = (whole, value.shape()) {
                let line = |row: &usize| data.as_slice()[row * width..(row + 1) * width].iter().copied();
                return Ok(rows.iter().flat_map(line).collect());
            }
            let parts = rows.iter().map(|&row| value.rows(row..row + 1).read_f32());
            Ok(parts.collect::<Result<Vec<_>, _>>()?.concat())
        }
    }
}

fn unreadable(id: WeightId, error: LoadError) -> TensorError {
    match error {
        LoadError::Device(error) => error,
        error => TensorError::weight(id, error),
    }
}
