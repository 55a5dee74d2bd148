//! circuit-tracer's transcoders, one for each block: `layer_N.safetensors` and `config.yaml`.

use std::path::{Path, PathBuf};

use super::{Config, Named, Result, Tensor, Tensors, number_after};
use crate::model::dictionary::{Choice, Coding, DictionaryError, Found};
use crate::model::role::Role;
use crate::model::site_name::in_block;

const THRESHOLD: &str = "activation_function.threshold";

/// Whether these are the tensors of one transcoder.
pub fn is(tensors: &Tensors) -> bool {
    ["W_enc", "W_dec", "b_enc", "b_dec"].into_iter().all(|name| tensors.has(name))
}

/// That a set of transcoders across layers is not read.
pub fn cross_layer(path: &str) -> DictionaryError {
    DictionaryError::Unsupported {
        path: path.to_owned(),
        message: "transcoders that write to several layers (cross-layer transcoders) are not read".into(),
    }
}

/// The transcoders of all blocks.
pub fn set(mut layers: Vec<(usize, PathBuf)>) -> Result<Vec<Found>> {
    layers.sort();
    layers.iter().map(|(_, file)| one(file, &Tensors::open(file)?)).collect()
}

/// That of one file.
pub fn one(file: &Path, tensors: &Tensors) -> Result<Found> {
    let config = file.with_file_name("config.yaml");
    let config = if config.is_file() { Config::yaml(&config)? } else { Config::empty(&config) };
    if config.text("model_kind")?.is_some_and(|kind| kind != "transcoder_set") {
        return Err(config.refused("model_kind", "and transcoder_set is read"));
    }
    let choice = match (tensors.has(THRESHOLD), top(&config)?) {
        (true, _) => Choice::JumpRelu { relu: false },
        (false, Some(k)) => Choice::TopK(k),
        (false, None) => Choice::Relu,
    };
    let skip = tensors.has("W_skip");
    let coding = Coding { transcodes: true, skip, ..Coding::plain(choice) };
    let names = Named { enc: ("W_enc", true), dec: ("W_dec", false), enc_b: Some("b_enc"), dec_b: Some("b_dec") };
    // `W_enc` has features as rows here, and as columns in SAELens: a square one could be either.
    let count = tensors.shape("b_enc").and_then(|shape| shape.last().copied());
    match tensors.shape("W_enc").as_deref() {
        Some(&[rows, columns]) if rows == columns => {
            return Err(tensors.shape_error("W_enc", "rows of features, which a square matrix does not show".into()));
        }
        Some(&[rows, _]) if Some(rows) == count => {}
        _ => return Err(tensors.shape_error("W_enc", "a row for each feature".into())),
    }
    let mut found = names.found("circuit-tracer", tensors, coding)?;
    if let Choice::JumpRelu { .. } = choice {
        let threshold = tensors.vector(THRESHOLD, found.features)?;
        found.tensors.push((Role::DictThreshold, Tensor::vector(threshold)));
    }
    if skip {
        let shape = [found.width, found.out];
        found.tensors.push((Role::DictSkip, tensors.matrix("W_skip", shape, true, false)?));
    }
    tensors.all_taken()?;
    let layer = number_after(file, "layer_");
    let hook = |key: &str| -> Result<Option<String>> {
        Ok(config.text(key)?.zip(layer).map(|(hook, layer)| in_block(layer, &hook)))
    };
    (found.reads, found.writes) = (hook("feature_input_hook")?, hook("feature_output_hook")?);
    found.model = config.text("model_name")?;
    Ok(found)
}

/// How many features are active, where it is the largest that are.
fn top(config: &Config) -> Result<Option<usize>> {
    match config.text("activation")?.as_deref() {
        None | Some("relu" | "jump_relu" | "jumprelu") => config.count("k"),
        Some("topk") => config.wanted("k").map(Some),
        Some(_) => Err(config.refused("activation", "and relu, jump_relu and topk are read")),
    }
}
