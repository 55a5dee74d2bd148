//! Matrices that quantisation tools pack into several tensors, as the one matrix that they are: bitsandbytes, GPTQ, AWQ and
//! MLX. They are dequantised to 32-bit floats each time that they are read. Those of gpt-oss, MXFP4, keep their four bits.

mod bnb;
mod gptq;
mod mlx;
mod mxfp4;

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use rayon::prelude::*;

use super::tensor_file::Place;
use super::{StoredType, TensorEntry, TensorFile};
use crate::model::error::LoadError;

pub use mlx::Groups;

/// A tensor that can be read on its own.
#[derive(Clone)]
struct Part {
    file: Arc<TensorFile>,
    entry: TensorEntry,
}

impl Part {
    fn shape(&self) -> &[usize] {
        &self.entry.shape
    }

    fn bytes(&self) -> io::Result<Vec<u8>> {
        self.file.stored(&self.entry).and_then(super::Stored::into_bytes).map_err(io::Error::other)
    }

    fn floats(&self) -> io::Result<Vec<f32>> {
        self.file.read_f32(&self.entry).map_err(io::Error::other)
    }

    /// 32-bit numbers, little-endian.
    fn words(&self) -> io::Result<Vec<u32>> {
        let bytes = self.bytes()?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }
}

/// The tensors of a checkpoint by their names.
struct Parts(HashMap<String, Part>);

impl Parts {
    fn get(&self, name: &str) -> Option<&Part> {
        self.0.get(name)
    }

    /// Whether there is one of a type that is not for weights, which packed matrices are made of.
    fn any(&self) -> bool {
        self.0.values().any(|part| matches!(part.entry.dtype, StoredType::Other("u8" | "i8" | "i32" | "u32")))
    }
}

/// The elements of a matrix by rows, each time that they are read.
enum Elements {
    Floats(Box<dyn Fn() -> io::Result<Vec<f32>> + Send + Sync>),
    /// In blocks of [`StoredType::MXFP4`].
    Blocks(Box<dyn Fn() -> io::Result<Vec<u8>> + Send + Sync>),
}

/// A matrix that was packed.
struct Packed {
    /// The name of the matrix.
    name: String,
    /// What it is called in listings.
    kind: &'static str,
    shape: [usize; 2],
    /// The tensors that it is made of.
    made_of: Vec<String>,
    elements: Elements,
}

/// Puts matrices in the place of the tensors that they are packed into, which are set aside. Returns a note for each kind.
///
/// # Errors
/// If a file cannot be read.
pub fn unpack(
    files: &mut [TensorFile],
    aside: &mut Vec<(TensorEntry, String)>,
    groups: Option<Groups>,
) -> Result<Vec<String>, LoadError> {
    let parts = Parts(files.iter().flat_map(parts_of).collect());
    if !parts.any() {
        return Ok(Vec::new());
    }
    let mut all = bnb::four_bits(&parts).map_err(|(name, message)| unreadable(files, name, message))?;
    all.extend(bnb::eight_bits(&parts));
    all.extend(gptq::matrices(&parts));
    all.extend(mxfp4::experts(&parts));
    all.extend(groups.into_iter().flat_map(|groups| mlx::matrices(&parts, groups)));
    let of: HashMap<&str, &str> =
        all.iter().flat_map(|packed| packed.made_of.iter().map(|part| (part.as_str(), packed.name.as_str()))).collect();
    for file in files.iter_mut() {
        for entry in file.take(|entry| of.contains_key(entry.name.as_str())) {
            let reason = format!("a part of {}, which is packed", of[entry.name.as_str()]);
            aside.push((entry, reason));
        }
    }
    let mut counts: HashMap<(&'static str, &'static str), usize> = HashMap::new();
    let mut seen = HashSet::new();
    for packed in all {
        let what = match packed.elements {
            Elements::Floats(_) => "dequantised to f32 whenever they are read",
            Elements::Blocks(_) => "read in four bits",
        };
        *counts.entry((packed.kind, what)).or_default() += 1;
        if let (Some(file), true) = (files.first_mut(), seen.insert(packed.name.clone())) {
            file.entries.push(entry(packed));
        }
    }
    let mut notes: Vec<String> =
        counts.into_iter().map(|((kind, what), count)| format!("{count} matrices of {kind} are {what}")).collect();
    notes.sort();
    Ok(notes)
}

fn parts_of(file: &TensorFile) -> Vec<(String, Part)> {
    let bare = TensorFile { path: file.path.clone(), size: file.size, bytes: file.bytes.clone(), entries: Vec::new() };
    let bare = Arc::new(bare);
    file.entries.iter().map(|entry| (entry.name.clone(), Part { file: bare.clone(), entry: entry.clone() })).collect()
}

fn unreadable(files: &[TensorFile], tensor: String, message: String) -> LoadError {
    let path = files.first().map_or_else(String::new, |file| file.path.clone());
    LoadError::UnreadableTensor { path, tensor, message }
}

fn entry(packed: Packed) -> TensorEntry {
    let Packed { name, kind, shape, elements, .. } = packed;
    let count = shape[0] * shape[1];
    let (stored, place) = match elements {
        Elements::Floats(read) => {
            let read = move || Ok(read()?.iter().flat_map(|x| x.to_le_bytes()).collect());
            (StoredType::F32, Place::Reader { length: count * 4, read: Arc::new(read) })
        }
        Elements::Blocks(read) => {
            let (elements, bytes) = StoredType::MXFP4.block().unwrap_or((1, 1));
            (StoredType::MXFP4, Place::Reader { length: count / elements * bytes, read: Arc::from(read) })
        }
    };
    let mut entry = TensorEntry::new(name, stored, shape.to_vec(), 0..0);
    entry.packed = Some(kind);
    entry.place = place;
    entry
}

/// The `i`-th number of so many bits, the first in the lowest ones of each word.
fn number(words: &[u32], bits: u32, i: usize) -> Option<u32> {
    let each = (32 / bits) as usize;
    Some(words.get(i / each)? >> (bits * (i % each) as u32) & ((1 << bits) - 1))
}

/// So many elements, computed on all cores.
///
/// # Errors
/// If one of them is not there, because tensors have fewer elements than their shapes say.
fn floats(count: usize, element: impl Fn(usize) -> Option<f32> + Send + Sync) -> io::Result<Vec<f32>> {
    let all: Option<Vec<f32>> = (0..count).into_par_iter().map(element).collect();
    all.ok_or_else(|| io::Error::other("the tensors that it is packed into do not fit each other"))
}

#[cfg(test)]
mod tests;
