//! Whose dictionary a file or folder is, by what is in it.

mod circuit_tracer;
mod gemma_scope;
mod others;
mod saelens;
mod sparsify;

use std::path::{Path, PathBuf};

use super::config::Config;
use super::tensors::{Tensor, Tensors};
use super::{Coding, DictionaryError, Found, first_of};
use crate::model::role::Role;

type Result<T> = std::result::Result<T, DictionaryError>;

/// Reads the dictionary of a file or folder; of a set of transcoders, that of each block.
///
/// # Errors
/// If there is none of a kind that is read, something of it is missing or not supported, or there are several.
pub fn read(path: &Path) -> Result<Vec<Found>> {
    let shown = || path.display().to_string();
    if path.is_dir() {
        return in_folder(path);
    }
    if !path.is_file() {
        return Err(DictionaryError::NotFound { path: shown() });
    }
    // Where the files of a folder belong together, one of them names the folder.
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match name {
        "cfg.json" | "sae_weights.safetensors" | "sae.safetensors" | "ae.pt" | "hyperparams.json" => {
            return in_folder(folder);
        }
        "final.safetensors" if folder.ends_with("checkpoints") => return in_folder(folder.parent().unwrap_or(folder)),
        _ => {}
    }
    let tensors = Tensors::open(path)?;
    let names = tensors.names();
    let has = |wanted: &[&str]| wanted.iter().all(|name| names.iter().any(|known| known == name));
    if has(&["encoder_linear.weight", "decoder_linear.weight"]) {
        return others::goodfire(&tensors).map(one);
    }
    if name.ends_with(".sae.pt") && has(&["W_enc", "W_dec", "b_enc", "b_dec"]) {
        return others::qwen_scope(path, &tensors).map(one);
    }
    if names.iter().any(|name| name.starts_with("W_enc_")) {
        return Err(circuit_tracer::cross_layer(&shown()));
    }
    if gemma_scope::is(name, &tensors) {
        return gemma_scope::read(path, &tensors).map(one);
    }
    if circuit_tracer::is(&tensors) {
        return circuit_tracer::one(path, &tensors).map(one);
    }
    Err(DictionaryError::Unknown { path: shown() })
}

/// A dictionary in the files of SAELens that are part of the executable.
pub fn of_memory(name: &str, config: &str, tensors: &'static [u8]) -> Result<Found> {
    saelens::found(&Config::of_json(name, config)?, &Tensors::in_memory(name, tensors)?)
}

fn one(found: Found) -> Vec<Found> {
    vec![found]
}

fn in_folder(folder: &Path) -> Result<Vec<Found>> {
    let there = |name: &str| folder.join(name).is_file();
    if there("cfg.json") && there("sae_weights.safetensors") {
        return saelens::read(folder).map(one);
    }
    if there("cfg.json") && there("sae.safetensors") {
        return sparsify::read(folder).map(one);
    }
    if there("ae.pt") && there("config.json") {
        return others::dictionary_learning(folder).map(one);
    }
    if there("hyperparams.json") && there("checkpoints/final.safetensors") {
        return others::llama_scope(folder).map(one);
    }
    if there("config.json") && there("sae_weights.safetensors") {
        return others::llama_scope_distilled(folder).map(one);
    }
    if let Some(file) = first_of(folder, &["params.npz", "params.safetensors"]) {
        return gemma_scope::read(&file, &Tensors::open(&file)?).map(one);
    }
    let path = folder.display().to_string();
    let files = files_in(folder);
    if files.iter().any(|name| name.starts_with("W_enc_") && name.ends_with(".safetensors")) {
        return Err(circuit_tracer::cross_layer(&path));
    }
    let layers: Vec<(usize, PathBuf)> = files
        .iter()
        .filter_map(|name| {
            let number = name.strip_prefix("layer_")?.strip_suffix(".safetensors")?.parse().ok()?;
            Some((number, folder.join(name)))
        })
        .collect();
    if !layers.is_empty() {
        return circuit_tracer::set(layers);
    }
    let names: Vec<String> = folders_in(folder)
        .into_iter()
        .filter(|name| {
            let inside = |file: &str| folder.join(name).join(file).is_file();
            ["cfg.json", "ae.pt", "hyperparams.json", "params.npz", "params.safetensors"].into_iter().any(inside)
        })
        .map(|name| folder.join(name).display().to_string())
        .collect();
    match names.is_empty() {
        true => Err(DictionaryError::Unknown { path }),
        false => Err(DictionaryError::Several { path, names }),
    }
}

fn files_in(folder: &Path) -> Vec<String> {
    entries(folder, Path::is_file)
}

fn folders_in(folder: &Path) -> Vec<String> {
    entries(folder, Path::is_dir)
}

fn entries(folder: &Path, which: impl Fn(&Path) -> bool) -> Vec<String> {
    let all = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        all.filter(|entry| which(&entry.path())).filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The names of the tensors that every dictionary has, and whether the matrices are stored as `[to, from]`.
struct Named<'a> {
    enc: (&'a str, bool),
    dec: (&'a str, bool),
    enc_b: Option<&'a str>,
    dec_b: Option<&'a str>,
}

impl Named<'_> {
    /// A dictionary of these tensors. Biases that are not there are zeros.
    fn found(&self, format: &'static str, tensors: &Tensors, coding: Coding) -> Result<Found> {
        let matrix = |(name, turned): (&str, bool)| match (tensors.shape(name).as_deref(), turned) {
            (Some(&[from, to]), false) | (Some(&[to, from]), true) => Ok([from, to]),
            _ => Err(tensors.shape_error(name, "a matrix".into())),
        };
        let [width, features] = matrix(self.enc)?;
        let [rows, out] = matrix(self.dec)?;
        if rows != features {
            return Err(tensors.shape_error(self.dec.0, format!("a row for each of {features} features")));
        }
        let bias = |name: Option<&str>, count: usize| match name {
            Some(name) => tensors.vector(name, count).map(Tensor::vector),
            None => Ok(Tensor::vector(vec![0.0; count])),
        };
        let all = vec![
            (Role::DictEnc, tensors.matrix(self.enc.0, [width, features], self.enc.1, false)?),
            (Role::DictEncB, bias(self.enc_b, features)?),
            (Role::DictDec, tensors.matrix(self.dec.0, [features, out], self.dec.1, true)?),
            (Role::DictDecB, bias(self.dec_b, out)?),
        ];
        if coding.subtracts && width != out {
            return Err(
                tensors.shape_error(self.dec.0, format!("rows of {width}, which the decoder's bias is taken from"))
            );
        }
        Ok(Found {
            format,
            path: tensors.path.clone(),
            reads: None,
            writes: None,
            model: None,
            coding,
            width,
            features,
            out,
            tensors: all,
            notes: Vec::new(),
        })
    }
}

/// The number after `word` in a path: 12 of `.../layer_12/...`.
fn number_after(path: &Path, word: &str) -> Option<usize> {
    let text = path.to_string_lossy();
    let of = |(at, _): (usize, &str)| {
        let rest = &text[at + word.len()..];
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        rest[..digits].parse().ok()
    };
    text.rmatch_indices(word).find_map(of)
}

/// A file of settings next to the tensors, which need not be there.
fn settings(path: &Path) -> Result<Config> {
    if path.is_file() { Config::json(path) } else { Ok(Config::empty(path)) }
}
