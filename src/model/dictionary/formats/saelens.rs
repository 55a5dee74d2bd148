//! SAELens, version 6 and before: `cfg.json` and `sae_weights.safetensors`.

use std::path::Path;

use super::{Config, Named, Result, Tensor, Tensors};
use crate::model::dictionary::{Choice, Coding, DictionaryError, Found, Scaling};
use crate::model::role::Role;

pub fn read(folder: &Path) -> Result<Found> {
    let config = Config::json(&folder.join("cfg.json"))?;
    found(&config, &Tensors::open(&folder.join("sae_weights.safetensors"))?)
}

/// That of settings and tensors.
pub fn found(config: &Config, tensors: &Tensors) -> Result<Found> {
    if tensors.has("encoder.weight") {
        return Err(DictionaryError::Unsupported {
            path: config.path.clone(),
            message: "the tensors next to it are not those of SAELens".into(),
        });
    }
    // Before version 6 everything was in one object, under other names.
    let inner = config.inside("metadata");
    let about = inner.as_ref().unwrap_or(config);
    let architecture = architecture(config)?;
    let kind = architecture.trim_end_matches("_transcoder");
    let transcodes = architecture.ends_with("transcoder");
    let choice = match kind {
        "standard" | "transcoder" | "skip" => Choice::Relu,
        "jumprelu" | "jumprelu_skip" => Choice::JumpRelu { relu: true },
        "gated" => Choice::Gated,
        "topk" => Choice::TopK(top(config)?),
        "abstopk" => Choice::AbsTopK(top(config)?),
        _ => {
            let known = "standard, gated, jumprelu, topk, abstopk and transcoders are read";
            return Err(config.refused("architecture", known));
        }
    };
    let skip = matches!(kind, "skip" | "jumprelu_skip");
    let rescaled = config.flag("rescale_acts_by_decoder_norm")?.unwrap_or(false);
    let rescaled = rescaled && matches!(choice, Choice::TopK(_) | Choice::AbsTopK(_));
    let mut notes = Vec::new();
    let scaling = scaling(config, &mut notes)?;
    let gated = choice == Choice::Gated;
    let coding = Coding {
        scaling,
        subtracts: !transcodes && config.flag("apply_b_dec_to_input")?.unwrap_or(true),
        gain: rescaled || gated,
        divided: rescaled,
        transcodes,
        skip,
        centred: centred(about)?,
        ..Coding::plain(choice)
    };
    for key in ["hook_head_index", "hook_point_head_index", "hook_head_index_out"] {
        if about.has(key) {
            return Err(about.refused(key, "and dictionaries of single heads are not read"));
        }
    }
    let names = Named {
        enc: ("W_enc", false),
        dec: ("W_dec", false),
        enc_b: Some(if gated { "b_mag" } else { "b_enc" }),
        dec_b: Some("b_dec"),
    };
    let mut found = names.found("SAELens", tensors, coding)?;
    let count = found.features;
    if let Choice::JumpRelu { .. } = choice {
        found.tensors.push((Role::DictThreshold, Tensor::vector(tensors.vector("threshold", count)?)));
    }
    if gated {
        found.tensors.push((Role::DictGateB, Tensor::vector(tensors.vector("b_gate", count)?)));
        let gain = tensors.vector("r_mag", count)?.into_iter().map(f32::exp).collect();
        found.tensors.push((Role::DictGain, Tensor::vector(gain)));
    }
    if rescaled {
        rescale(tensors, &mut found)?;
    }
    if skip {
        let shape = [found.width, found.out];
        found.tensors.push((Role::DictSkip, tensors.matrix("W_skip", shape, true, false)?));
    }
    // Scales of a fine-tuning that was never made.
    if tensors.has("scaling_factor") && tensors.read("scaling_factor")?.iter().any(|x| *x != 1.0) {
        return Err(DictionaryError::Unsupported {
            path: tensors.path.clone(),
            message: "scaling_factor is not all ones, and fine-tuned scales are not read".into(),
        });
    }
    tensors.all_taken()?;
    found.reads = match about.text("hook_name")? {
        Some(name) => Some(name),
        None => about.text("hook_point")?,
    };
    found.writes = about.text("hook_name_out")?;
    found.model = about.text("model_name")?;
    found.notes = notes;
    Ok(found)
}

fn architecture(config: &Config) -> Result<String> {
    let named = config.text("architecture")?.unwrap_or_else(|| "standard".into());
    // Before version 6, a choice of the largest was an activation function of the standard architecture.
    let key = if config.has("activation_fn_str") { "activation_fn_str" } else { "activation_fn" };
    match config.text(key)?.as_deref() {
        None | Some("relu") => Ok(named),
        Some("topk") if matches!(named.as_str(), "standard" | "topk") => Ok("topk".into()),
        Some(_) => Err(config.refused(key, "and relu and topk are read")),
    }
}

fn top(config: &Config) -> Result<usize> {
    let before = config.inside("activation_fn_kwargs").map(|inner| inner.count("k")).transpose()?.flatten();
    match config.count("k")?.or(before) {
        Some(0) => Err(config.refused("k", "and no feature would ever be active")),
        Some(k) => Ok(k),
        None => config.wanted("k"),
    }
}

fn scaling(config: &Config, notes: &mut Vec<String>) -> Result<Scaling> {
    const KEY: &str = "normalize_activations";
    let named = match config.get(KEY) {
        None => "none".to_owned(),
        // Before version 6.
        Some(value) => match value.as_bool() {
            Some(false) => "none".into(),
            Some(true) => "expected_average_only_in".into(),
            None => config.text(KEY)?.unwrap_or_default(),
        },
    };
    match named.as_str() {
        "none" => Ok(Scaling::None),
        "constant_norm_rescale" => Ok(Scaling::Length),
        "layer_norm" => Ok(Scaling::LayerNorm),
        "expected_average_only_in" => {
            notes.push(format!("{KEY} is {named}, and the files have no factor: values are taken as they are"));
            Ok(Scaling::None)
        }
        _ => {
            Err(config
                .refused(KEY, "and none, constant_norm_rescale, layer_norm and expected_average_only_in are read"))
        }
    }
}

/// Whether the model that it was trained on had its writing weights centred.
fn centred(about: &Config) -> Result<bool> {
    match about.inside("model_from_pretrained_kwargs") {
        Some(inner) => Ok(inner.flag("center_writing_weights")?.unwrap_or(false)),
        None => Ok(false),
    }
}

/// Products are multiplied by the length of the feature's row of the decoder, and features divided by it.
fn rescale(tensors: &Tensors, found: &mut Found) -> Result<()> {
    let rows = tensors.read("W_dec")?;
    let length = |row: &[f32]| row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt() as f32;
    let gain: Vec<f32> = rows.chunks_exact(found.out.max(1)).map(length).collect();
    // `(z W + b) g` is `(z W) g + b g`.
    let bias = tensors.vector("b_enc", found.features)?;
    let bias = bias.iter().zip(&gain).map(|(bias, gain)| bias * gain).collect();
    found.tensors.retain(|(role, _)| *role != Role::DictEncB);
    found.tensors.push((Role::DictEncB, Tensor::vector(bias)));
    found.tensors.push((Role::DictGain, Tensor::vector(gain)));
    Ok(())
}
