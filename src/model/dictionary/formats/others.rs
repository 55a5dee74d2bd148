//! dictionary_learning, Llama Scope, Qwen Scope and Goodfire.

use std::path::Path;

use super::{Config, Named, Result, Tensor, Tensors, number_after};
use crate::model::dictionary::{Choice, Coding, DictionaryError, Found, Scaling};
use crate::model::role::Role;
use crate::model::site_name::in_block;

/// `ae.pt` and `config.json`, whose `trainer` says the class.
pub fn dictionary_learning(folder: &Path) -> Result<Found> {
    let whole = Config::json(&folder.join("config.json"))?;
    let no_trainer = || DictionaryError::NoKey { path: whole.path.clone(), key: "trainer".into() };
    let config = whole.inside("trainer").ok_or_else(no_trainer)?;
    let tensors = Tensors::open(&folder.join("ae.pt"))?;
    let class = config.text("dict_class")?.unwrap_or_default();
    let (choice, subtracts) = match class.as_str() {
        "AutoEncoder" => (Choice::Relu, true),
        "AutoEncoderTopK" => (Choice::TopK(largest(&config, &tensors)?), true),
        "GatedAutoEncoder" => (Choice::Gated, true),
        "JumpReluAutoEncoder" => (Choice::JumpRelu { relu: true }, false),
        "BatchTopKSAE" | "MatryoshkaBatchTopKSAE" => (Choice::JumpRelu { relu: true }, true),
        _ => {
            let known = "and AutoEncoder, AutoEncoderTopK, GatedAutoEncoder, JumpReluAutoEncoder, BatchTopKSAE and \
                         MatryoshkaBatchTopKSAE are read";
            return Err(config.refused("dict_class", known));
        }
    };
    let gated = choice == Choice::Gated;
    let coding = Coding { subtracts, gain: gated, ..Coding::plain(choice) };
    let own = tensors.has("W_enc");
    let names = Named {
        enc: (tensors.wanted(&["W_enc", "encoder.weight"])?, !own),
        dec: (tensors.wanted(&["W_dec", "decoder.weight"])?, !tensors.has("W_dec")),
        enc_b: tensors.named(if gated { &["mag_bias"] } else { &["b_enc", "encoder.bias"] }),
        dec_b: tensors.named(&["b_dec", "bias", "decoder_bias"]),
    };
    let mut found = names.found("dictionary_learning", &tensors, coding)?;
    let count = found.features;
    match choice {
        Choice::JumpRelu { .. } => {
            let threshold = tensors.vector("threshold", count)?;
            found.tensors.push((Role::DictThreshold, Tensor::vector(threshold)));
        }
        Choice::Gated => {
            let gate = tensors.vector("gate_bias", count)?;
            let gain = tensors.vector("r_mag", count)?.into_iter().map(f32::exp).collect();
            found.tensors.extend(
                [(Role::DictGateB, gate), (Role::DictGain, gain)].map(|(role, data)| (role, Tensor::vector(data))),
            );
        }
        // It is there, and the choice is by position all the same.
        _ => tensors.passed_over(&["threshold"]),
    }
    // What is left of training: the number of features, and how groups of them were weighed.
    tensors.passed_over(&["k", "group_sizes", "group_indices", "active_groups"]);
    tensors.all_taken()?;
    found.reads = config.count("layer")?.map(|layer| in_block(layer, "hook_resid_post"));
    if let Some(name) = config.text("submodule_name")?.filter(|name| !name.starts_with("resid")) {
        found
            .notes
            .push(format!("submodule_name is {name}: say at which site it is, if that is not the residual stream"));
        found.reads = None;
    }
    found.model = config.text("lm_name")?;
    Ok(found)
}

/// How many features are active: what the settings say, which the file of the tensors has too.
fn largest(config: &Config, tensors: &Tensors) -> Result<usize> {
    let k = config.wanted("k")?;
    if k == 0 {
        return Err(config.refused("k", "and no feature would ever be active"));
    }
    match tensors.has("k").then(|| tensors.read("k").ok()).flatten().as_deref() {
        Some([held]) if *held != k as f32 => Err(config.refused("k", &format!("and the tensors have a k of {held}"))),
        _ => Ok(k),
    }
}

/// `hyperparams.json` and `checkpoints/final.safetensors`. Values are scaled to a mean length before, and the threshold
/// with them, as in SAELens.
pub fn llama_scope(folder: &Path) -> Result<Found> {
    let config = Config::json(&folder.join("hyperparams.json"))?;
    let tensors = Tensors::open(&folder.join("checkpoints/final.safetensors"))?;
    let scale = mean_scale(&config)?;
    let threshold = config.number("jump_relu_threshold")?;
    let key = || DictionaryError::NoKey { path: config.path.clone(), key: "jump_relu_threshold".into() };
    let threshold = threshold.ok_or_else(key)? * scale;
    let mut found = scoped("Llama Scope", &tensors, &config, scale)?;
    let count = found.features;
    found.tensors.push((Role::DictThreshold, Tensor::vector(vec![threshold as f32; count])));
    tensors.all_taken()?;
    Ok(found)
}

/// Llama Scope of distilled models: `config.json` and `sae_weights.safetensors`, with logarithms of thresholds.
pub fn llama_scope_distilled(folder: &Path) -> Result<Found> {
    let config = Config::json(&folder.join("config.json"))?;
    let tensors = Tensors::open(&folder.join("sae_weights.safetensors"))?;
    const LOGARITHM: &str = "log_jumprelu_threshold";
    tensors.wanted(&[LOGARITHM])?;
    let scale = mean_scale(&config)?;
    let mut found = scoped("Llama Scope", &tensors, &config, scale)?;
    let threshold = tensors.vector(LOGARITHM, found.features)?.into_iter().map(f32::exp).collect();
    found.tensors.push((Role::DictThreshold, Tensor::vector(threshold)));
    tensors.all_taken()?;
    Ok(found)
}

/// By what values are multiplied so that their mean length over the data of the training is `sqrt(d)`.
fn mean_scale(config: &Config) -> Result<f64> {
    const KEY: &str = "dataset_average_activation_norm";
    let width = config.wanted("d_model")?;
    let norm = config.inside(KEY).map(|inner| inner.number("in")).transpose()?.flatten();
    match norm.filter(|norm| *norm > 0.0) {
        Some(norm) => Ok((width as f64).sqrt() / norm),
        None => Err(config.refused(KEY, "and the mean length of what it reads is needed")),
    }
}

fn scoped(format: &'static str, tensors: &Tensors, config: &Config, scale: f64) -> Result<Found> {
    let coding = Coding { scaling: Scaling::Fixed(scale), ..Coding::plain(Choice::JumpRelu { relu: true }) };
    let names = Named {
        enc: ("encoder.weight", true),
        dec: ("decoder.weight", true),
        enc_b: Some("encoder.bias"),
        dec_b: Some("decoder.bias"),
    };
    for key in ["apply_decoder_bias_to_pre_encoder", "use_glu_encoder"] {
        if config.flag(key)?.unwrap_or(false) {
            return Err(config.refused(key, "and that is not read"));
        }
    }
    for (key, read) in [("act_fn", "jumprelu"), ("norm_activation", "dataset-wise")] {
        if config.text(key)?.is_some_and(|text| text != read) {
            return Err(config.refused(key, &format!("and {read} is read")));
        }
    }
    let mut found = names.found(format, tensors, coding)?;
    // Features would be chosen by products times the lengths of these rows.
    const LENGTHS: &str = "sparsity_include_decoder_norm";
    if config.flag(LENGTHS)?.unwrap_or(false) && !has_unit_rows(&found, tensors)? {
        return Err(config.refused(LENGTHS, "and the rows of the decoder are not of length 1"));
    }
    found.reads = config.text("hook_point_in")?;
    found.writes = config.text("hook_point_out")?.filter(|out| Some(out) != found.reads.as_ref());
    if found.writes.is_some() {
        return Err(config.refused("hook_point_out", "and a transcoder's output has a scale that is not read"));
    }
    Ok(found)
}

/// Whether every row of the decoder has length 1, as far as a file in bf16 can say.
fn has_unit_rows(found: &Found, tensors: &Tensors) -> Result<bool> {
    let (decoder, features) = (tensors.read("decoder.weight")?, found.features);
    let mut squares = vec![0.0f64; features];
    // Stored as `[out, features]`.
    for row in decoder.chunks_exact(features.max(1)) {
        squares.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x) * f64::from(*x));
    }
    Ok(squares.iter().all(|sum| (sum.sqrt() - 1.0).abs() < 1e-2))
}

/// `layerN.sae.pt`, in a repository whose name says how many features are active.
pub fn qwen_scope(path: &Path, tensors: &Tensors) -> Result<Found> {
    let unsupported =
        |message: &str| DictionaryError::Unsupported { path: tensors.path.clone(), message: message.into() };
    let no_k = || {
        unsupported(
            "how many features are active is in the name of the repository (...-L0_50), which must be in the path",
        )
    };
    let k = number_after(path, "-L0_").filter(|k| *k > 0).ok_or_else(no_k)?;
    let coding = Coding::plain(Choice::TopK(k));
    let names = Named { enc: ("W_enc", true), dec: ("W_dec", true), enc_b: Some("b_enc"), dec_b: Some("b_dec") };
    let mut found = names.found("Qwen Scope", tensors, coding)?;
    tensors.all_taken()?;
    let file = Path::new(path.file_name().unwrap_or_default());
    found.reads = number_after(file, "layer").map(|layer| in_block(layer, "hook_resid_post"));
    Ok(found)
}

/// One file of an encoder and a decoder, whose name says the layer: `...-l19.pth`.
pub fn goodfire(tensors: &Tensors) -> Result<Found> {
    let coding = Coding::plain(Choice::Relu);
    let names = Named {
        enc: ("encoder_linear.weight", true),
        dec: ("decoder_linear.weight", true),
        enc_b: Some("encoder_linear.bias"),
        dec_b: Some("decoder_linear.bias"),
    };
    let mut found = names.found("Goodfire", tensors, coding)?;
    tensors.all_taken()?;
    let path = tensors.path.clone();
    let file = Path::new(Path::new(&path).file_name().unwrap_or_default());
    found.reads = number_after(file, "-l").map(|layer| in_block(layer, "hook_resid_post"));
    Ok(found)
}
