//! Gemma Scope: `params.npz` in folders whose names say the layer (1), and `params.safetensors` with `config.json` (2).

use std::path::Path;

use super::{Named, Result, Tensor, Tensors, number_after, settings};
use crate::model::dictionary::{Choice, Coding, DictionaryError, Found};
use crate::model::role::Role;
use crate::model::site_name::in_block;

/// Whether these are its tensors.
pub fn is(name: &str, tensors: &Tensors) -> bool {
    let all = |names: [&str; 4]| names.into_iter().all(|name| tensors.has(name));
    let plain = all(["W_enc", "W_dec", "b_enc", "threshold"]) && name.ends_with(".npz");
    plain || all(["w_enc", "w_dec", "b_enc", "threshold"])
}

pub fn read(path: &Path, tensors: &Tensors) -> Result<Found> {
    let config = settings(&path.with_file_name("config.json"))?;
    match config.text("architecture")?.as_deref() {
        None | Some("jump_relu" | "jumprelu") => {}
        Some(_) => return Err(config.refused("architecture", "and jump_relu is read")),
    }
    let text = path.to_string_lossy().into_owned();
    let unsupported = |message: &str| DictionaryError::Unsupported { path: text.clone(), message: message.into() };
    if text.contains("embedding") {
        return Err(unsupported("dictionaries of embeddings are outside blocks, and are not read"));
    }
    let (enc, dec) = (tensors.wanted(&["W_enc", "w_enc"])?, tensors.wanted(&["W_dec", "w_dec"])?);
    if tensors.shape(dec).is_some_and(|shape| shape.len() == 3) {
        return Err(unsupported("transcoders that write to several layers (cross-layer transcoders) are not read"));
    }
    let skip = tensors.has("affine_skip_connection");
    if config.flag("affine_connection")?.is_some_and(|affine| affine != skip) {
        return Err(config.refused("affine_connection", "and affine_skip_connection is not there accordingly"));
    }
    let transcodes = skip || text.contains("transcoder");
    let coding = Coding { transcodes, skip, ..Coding::plain(Choice::JumpRelu { relu: true }) };
    let names = Named { enc: (enc, false), dec: (dec, false), enc_b: Some("b_enc"), dec_b: Some("b_dec") };
    let mut found = names.found("Gemma Scope", tensors, coding)?;
    let threshold = tensors.vector("threshold", found.features)?;
    found.tensors.push((Role::DictThreshold, Tensor::vector(threshold)));
    if skip {
        let shape = [found.width, found.out];
        found.tensors.push((Role::DictSkip, tensors.matrix("affine_skip_connection", shape, false, false)?));
    }
    tensors.all_taken()?;
    found.model = config.text("model_name")?;
    found.reads = config.text("hf_hook_point_in")?;
    found.writes = config.text("hf_hook_point_out")?;
    if found.reads.is_none()
        && let Some(layer) = number_after(path, "layer_")
    {
        let has = |word: &str| text.contains(word);
        let at = |hook: &str| Some(in_block(layer, hook));
        (found.reads, found.writes) = if transcodes {
            (at("ln2.hook_normalized"), at("hook_mlp_out"))
        } else if has("-res") || has("resid_post") {
            (at("hook_resid_post"), None)
        } else if has("-mlp") || has("mlp_out") {
            (at("hook_mlp_out"), None)
        } else if has("-att") || has("attn_out") {
            (at("attn.hook_z"), None)
        } else {
            (None, None)
        };
    }
    Ok(found)
}
