//! The files of a checkpoint: where they are, which tensors they hold, and their bytes.
//!
//! [`CheckpointFiles`] finds files by name wherever a checkpoint lives (a directory, one file, the executable itself);
//! [`Checkpoint`] is one table of tensors over all its weight files. Nothing here knows what a tensor means.

mod convert;
mod files;
mod safetensors;
mod sharded;

pub use files::CheckpointFiles;
pub use safetensors::{SafetensorsFile, TensorEntry};

use std::collections::HashMap;

/// Every tensor of a checkpoint, whatever file it is in.
#[derive(Debug)]
pub struct Checkpoint {
    path: String,
    files: Vec<SafetensorsFile>,
    /// File and entry of each name.
    by_name: HashMap<String, (usize, usize)>,
}

impl Checkpoint {
    /// A table over files whose names do not overlap; `path` is for messages.
    fn new(path: String, files: Vec<SafetensorsFile>) -> Self {
        let by_name = files
            .iter()
            .enumerate()
            .flat_map(|(f, file)| file.entries().iter().enumerate().map(move |(e, entry)| (entry.name.clone(), (f, e))))
            .collect();
        Checkpoint { path, files, by_name }
    }

    /// A checkpoint of one file.
    pub fn single(file: SafetensorsFile) -> Self {
        Checkpoint::new(file.path().to_owned(), vec![file])
    }

    /// Where it is, for messages.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its weight files.
    pub fn files(&self) -> &[SafetensorsFile] {
        &self.files
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The file that holds a tensor, and its entry there.
    pub fn find(&self, name: &str) -> Option<(&SafetensorsFile, &TensorEntry)> {
        self.by_name.get(name).map(|&(f, e)| (&self.files[f], &self.files[f].entries()[e]))
    }

    /// All tensors, layer 10 after layer 2.
    pub fn entries(&self) -> Vec<&TensorEntry> {
        let mut entries: Vec<_> = self.files.iter().flat_map(|file| file.entries()).collect();
        entries.sort_by(|a, b| natural(&a.name).cmp(&natural(&b.name)));
        entries
    }

    /// Whether two tensors have the same type, shape and bytes.
    pub fn same_values(&self, a: &str, b: &str) -> bool {
        let (Some((file_a, a)), Some((file_b, b))) = (self.find(a), self.find(b)) else { return false };
        if a.dtype != b.dtype || a.shape != b.shape {
            return false;
        }
        let same = file_a.pieces(a).zip(file_b.pieces(b)).all(|(x, y)| x == y);
        file_a.release(a);
        file_b.release(b);
        same
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
