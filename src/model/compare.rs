//! How far the weights of one file are from those of another: what quantising them has cost.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;

use super::checkpoint::{Checkpoint, CheckpointFiles, SHARE, TensorEntry, TensorFile, TensorReader, step};
use super::error::LoadError;
use super::families::{self, Sources};
use super::load::Model;
use super::plan::{Load, group};
use super::role::WeightId;
use crate::tensor::{Rms, unravel};

/// Another file with weights of the same architecture.
#[derive(Debug)]
pub struct Twin {
    checkpoint: Checkpoint,
    /// The tensor that holds these weights.
    by_use: HashMap<Vec<WeightId>, String>,
}

/// What two tensors that should be the same have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The name of the other tensor in its file.
    pub name: String,
    pub dtype: String,
    /// Largest difference of two elements; infinite if one of them is not a number and the other is.
    pub max: f64,
    pub at: Vec<usize>,
    /// The two elements there, ours first.
    pub values: (f32, f32),
    /// Root of the mean of the squared differences.
    pub rms: f64,
    /// `rms`, as a part of the root of the mean square of the other tensor; infinite where that is zero throughout.
    pub relative: f64,
    /// Distance of neighbouring numbers at that element, in whichever of the two is stored more coarsely.
    pub step: Option<f32>,
    /// The largest such distance anywhere.
    pub largest_step: Option<f32>,
}

#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    #[error("{ours} has shape {shape:?}, {theirs} has {other:?}")]
    Shapes { ours: String, shape: Vec<usize>, theirs: String, other: Vec<usize> },
    #[error(transparent)]
    Unreadable(#[from] LoadError),
}

impl Twin {
    /// Opens the weights of `path`, in any format, as those of `model`.
    pub fn open(model: &Model, path: &Path) -> Result<Self, LoadError> {
        let checkpoint = CheckpointFiles::at(path)?.open_checkpoint()?;
        let from = Sources { config: &model.config, checkpoint: &checkpoint, sentence: None };
        let names = families::find(&model.config)?.names(&model.spec, &from)?;
        let by_use = group(&names).into_iter().map(|load| (uses(&load), load.name)).collect();
        Ok(Twin { checkpoint, by_use })
    }

    /// Compares the tensor `name` of the model's files, which holds the weights `uses`, with that of the twin. `None`
    /// where the twin has no such tensor.
    ///
    /// # Errors
    /// If the two have different shapes, or one of them cannot be read.
    pub fn compare(
        &self,
        ours: &Checkpoint,
        name: &str,
        uses: &[WeightId],
    ) -> Result<Option<Comparison>, CompareError> {
        let twin = self.by_use.get(uses).and_then(|name| self.checkpoint.find(name));
        let Some(((file, entry), (twin_file, twin_entry))) = ours.find(name).zip(twin) else { return Ok(None) };
        let turned = entry.flipped != twin_entry.flipped && entry.shape.len() == 2;
        let mut other = twin_entry.shape.clone();
        if turned {
            other.reverse();
        }
        if other != entry.shape {
            let (ours, shape) = (entry.file_name().to_owned(), entry.shape.clone());
            return Err(CompareError::Shapes { ours, shape, theirs: twin_entry.name.clone(), other });
        }
        let mut theirs = Side::new(twin_file, twin_entry)?;
        if turned {
            // Single elements are read from all over it.
            theirs.tensor = theirs.tensor.fetched()?;
        }
        Ok(Some(differences(&Side::new(file, entry)?, &theirs, turned)?))
    }
}

fn uses(load: &Load) -> Vec<WeightId> {
    load.parts.iter().map(|(id, _)| *id).collect()
}

struct Side<'a> {
    entry: &'a TensorEntry,
    tensor: TensorReader<'a>,
}

impl<'a> Side<'a> {
    fn new(file: &'a TensorFile, entry: &'a TensorEntry) -> Result<Self, LoadError> {
        Ok(Side { entry, tensor: TensorReader::new(file, entry)? })
    }

    fn bits(&self) -> f64 {
        self.entry.dtype.block().map_or(f64::INFINITY, |(elements, bytes)| bytes as f64 * 8.0 / elements as f64)
    }

    fn step_at(&self, at: usize) -> Result<Option<f32>, LoadError> {
        let place = at;
        let (Some((elements, bytes)), Some(at)) = (self.entry.dtype.block(), self.tensor.stored_index(at)) else {
            return Ok(None);
        };
        let mut block = vec![0; bytes];
        self.tensor.stored().read(at / elements * bytes, &mut block)?;
        Ok(step(self.entry.dtype, &block, at % elements).map(|step| step * self.tensor.scale(place).abs()))
    }

    /// The largest step of all its blocks. Scales change every 16 elements at most.
    fn largest_step(&self) -> Result<Option<f32>, LoadError> {
        let Some((elements, bytes)) = self.entry.dtype.block() else { return Ok(None) };
        let stored = self.tensor.stored();
        let of_block = |block: &[u8]| {
            let inside = (0..elements).step_by(16);
            inside.filter_map(|at| step(self.entry.dtype, block, at)).reduce(f32::max)
        };
        let share = SHARE / elements * bytes;
        let of_share = |i: usize| -> Result<Option<f32>, LoadError> {
            let mut blocks = vec![0; share.min(stored.len() - i * share)];
            stored.read(i * share, &mut blocks)?;
            Ok(blocks.chunks_exact(bytes).filter_map(of_block).reduce(f32::max))
        };
        let larger = |a: Option<f32>, b: Option<f32>| Ok(a.into_iter().chain(b).reduce(f32::max));
        (0..stored.len().div_ceil(share)).into_par_iter().map(of_share).try_reduce(|| None, larger)
    }
}

#[derive(Clone, Copy, Default)]
struct Seen {
    /// The largest difference, where it is, and the two elements.
    worst: Option<(f64, usize, (f32, f32))>,
    rms: Rms,
}

impl Seen {
    fn take(&mut self, at: usize, ours: f32, theirs: f32) {
        let off = self.rms.add(f64::from(ours), f64::from(theirs));
        self.consider(Some((off, at, (ours, theirs))));
    }

    /// Of equal differences the first counts.
    fn consider(&mut self, later: Option<(f64, usize, (f32, f32))>) {
        if let Some((off, ..)) = later
            && self.worst.is_none_or(|(max, ..)| off > max)
        {
            self.worst = later;
        }
    }

    /// Of two parts, of which `self` comes first.
    fn with(mut self, later: Seen) -> Seen {
        self.consider(later.worst);
        self.rms = self.rms.join(later.rms);
        self
    }
}

fn differences(ours: &Side, theirs: &Side, turned: bool) -> Result<Comparison, LoadError> {
    let count = ours.entry.count();
    let shares: Vec<usize> = (0..count).step_by(SHARE).collect();
    let part = |start: &usize| -> Result<Seen, LoadError> {
        let length = SHARE.min(count - start);
        let (mut a, mut b) = (vec![0.0; length], vec![0.0; length]);
        ours.tensor.decode(*start, &mut a)?;
        match turned {
            false => theirs.tensor.decode(*start, &mut b)?,
            true => columns(theirs, &ours.entry.shape, *start, &mut b)?,
        }
        let mut seen = Seen::default();
        for (i, (a, b)) in a.into_iter().zip(b).enumerate() {
            seen.take(start + i, a, b);
        }
        Ok(seen)
    };
    // Shares are joined in their order, so that the result does not depend on the threads.
    let parts: Vec<Seen> = shares.par_iter().map(part).collect::<Result<_, _>>()?;
    let seen = parts.into_iter().fold(Seen::default(), Seen::with);
    let (max, worst, values) = seen.worst.unwrap_or_default();
    let coarse = if ours.bits() <= theirs.bits() { ours } else { theirs };
    let at = if turned && std::ptr::eq(coarse, theirs) { turn(worst, &ours.entry.shape) } else { worst };
    Ok(Comparison {
        name: theirs.entry.file_name().to_owned(),
        dtype: theirs.entry.dtype.name().to_owned(),
        max,
        at: unravel(worst, &ours.entry.shape),
        values,
        rms: seen.rms.absolute(),
        relative: seen.rms.relative().unwrap_or(f64::INFINITY),
        step: if count == 0 { None } else { coarse.step_at(at)? },
        largest_step: coarse.largest_step()?,
    })
}

/// The index of an element of a matrix of `shape` in its transpose.
fn turn(at: usize, shape: &[usize]) -> usize {
    let (rows, width) = (shape[0], shape[1].max(1));
    at % width * rows + at / width
}

/// Elements `start..` of a matrix of `shape` from its transpose.
fn columns(transpose: &Side, shape: &[usize], start: usize, out: &mut [f32]) -> Result<(), LoadError> {
    for (i, out) in out.iter_mut().enumerate() {
        transpose.tensor.decode(turn(start + i, shape), std::slice::from_mut(out))?;
    }
    Ok(())
}
