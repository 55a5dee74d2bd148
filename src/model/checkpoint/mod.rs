//! The files of a checkpoint: where they are, which tensors they hold, and their bytes.
//!
//! [`CheckpointFiles`] finds files by name wherever a checkpoint lives (a directory, one file, the executable itself);
//! [`Checkpoint`] is one table of tensors over all its weight files, whatever their format. Nothing here knows what a
//! tensor means.

mod arrange;
mod bytes;
pub mod decode;
mod files;
mod gguf;
pub mod npy;
pub mod numbers;
mod packed;
mod pickle;
mod pytorch;
mod read;
mod safetensors;
mod scaled;
mod sharded;
mod stored;
mod tensor_file;

use std::collections::HashMap;

use super::error::LoadError;

pub use bytes::FileBytes;
pub use decode::{decode, decode_range, step};
pub use files::{CheckpointFiles, WEIGHTS, is_weights_name, open_tensors, tensors_in_memory};
pub use gguf::{
    GgufModel, PlainGguf, architectures as gguf_architectures, open_tensors as open_gguf_tensors,
    shard_name as gguf_shard_name, types as gguf_types,
};
pub use read::{SHARE, TensorReader};
pub use stored::{LOADABLE, StoredType, loadable};
pub use tensor_file::{PIECE, Stored, TensorEntry, TensorFile};

/// Every tensor of a checkpoint, whatever file it is in. The default has no files.
#[derive(Debug, Default)]
pub struct Checkpoint {
    /// Where it is, for messages.
    pub path: String,
    pub files: Vec<TensorFile>,
    /// File and entry of each name.
    by_name: HashMap<String, (usize, usize)>,
    /// Tensors that are not weights, with what they are.
    pub aside: Vec<(TensorEntry, String)>,
    pub notes: Vec<String>,
}

impl Checkpoint {
    /// The same with matrices in the place of the tensors that quantisation tools pack them into. `groups` is what the
    /// configuration says of MLX's.
    fn unpacked(mut self, groups: Option<packed::Groups>) -> Result<Self, LoadError> {
        let notes = packed::unpack(&mut self.files, &mut self.aside, groups)?;
        if notes.is_empty() {
            return Ok(self);
        }
        let mut all = Checkpoint::new(self.path, self.files, self.aside)?;
        all.notes = self.notes.into_iter().chain(notes).collect();
        Ok(all)
    }

    /// A table over files; `path` is for messages, `aside` are tensors that are not weights, with what they are.
    fn new(path: String, mut files: Vec<TensorFile>, mut aside: Vec<(TensorEntry, String)>) -> Result<Self, LoadError> {
        scaled::attach(&path, &mut files, &mut aside)?;
        let mut by_name = HashMap::new();
        for (f, file) in files.iter().enumerate() {
            for (e, entry) in file.entries.iter().enumerate() {
                if by_name.insert(entry.name.clone(), (f, e)).is_some() {
                    return Err(LoadError::DuplicateTensor { path, tensor: entry.name.clone() });
                }
            }
        }
        Ok(Checkpoint { path, files, by_name, aside, notes: Vec::new() })
    }

    /// A checkpoint of one file.
    pub fn single(file: TensorFile) -> Result<Self, LoadError> {
        Checkpoint::new(file.path.clone(), vec![file], Vec::new())
    }

    /// Adds the tensors of another file, under the names that `name` gives them.
    pub fn add(&mut self, mut file: TensorFile, name: impl Fn(&str) -> Option<String>) {
        file.entries.retain_mut(|entry| {
            let Some(name) = name(&entry.name) else { return false };
            entry.stored_as.get_or_insert_with(|| entry.name.clone());
            entry.name = name;
            true
        });
        let number = self.files.len();
        let names = file.entries.iter().enumerate().map(|(at, entry)| (entry.name.clone(), (number, at)));
        self.by_name.extend(names);
        self.files.push(file);
    }

    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The file that holds a tensor, and its entry there.
    pub fn find(&self, name: &str) -> Option<(&TensorFile, &TensorEntry)> {
        self.by_name.get(name).map(|&(f, e)| (&self.files[f], &self.files[f].entries[e]))
    }

    /// All tensors, layer 10 after layer 2.
    pub fn entries(&self) -> Vec<&TensorEntry> {
        let mut entries: Vec<_> = self.files.iter().flat_map(|file| &file.entries).collect();
        entries.sort_by(|a, b| natural(&a.name).cmp(&natural(&b.name)));
        entries
    }

    /// Whether two tensors have the same type, shape and bytes.
    pub fn same_values(&self, a: &str, b: &str) -> bool {
        let (Some((file_a, a)), Some((file_b, b))) = (self.find(a), self.find(b)) else { return false };
        if a.dtype != b.dtype || a.shape != b.shape || a.arrange != b.arrange || a.flipped != b.flipped {
            return false;
        }
        let (Ok(a), Ok(b)) = (file_a.stored(a), file_b.stored(b)) else { return false };
        let same = |start: usize| {
            let length = PIECE.min(a.len() - start);
            let read = |stored: &Stored<'_>| {
                let mut bytes = vec![0; length];
                stored.read(start, &mut bytes).ok().map(|()| bytes)
            };
            read(&a).is_some_and(|bytes| read(&b) == Some(bytes))
        };
        a.len() == b.len() && (0..a.len()).step_by(PIECE).all(same)
    }
}

/// Part of a name in an order that people expect: digits compare as numbers.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece<'a> {
    Number(u64),
    Text(&'a str),
}

fn natural(name: &str) -> Vec<Piece<'_>> {
    name.split('.').map(|part| part.parse().map_or(Piece::Text(part), Piece::Number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_ten_comes_after_layer_two() {
        let mut names = ["h.10.w", "h.2.w", "h.2.b", "embed"];
        names.sort_by(|a, b| natural(a).cmp(&natural(b)));
        assert_eq!(names, ["embed", "h.2.b", "h.2.w", "h.10.w"]);
    }
}
