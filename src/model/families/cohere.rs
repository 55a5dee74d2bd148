//! Cohere (Command R): attention and MLP side by side after a layer norm without bias, rotation of neighbouring
//! features, scaled logits.

use super::llama;
use super::prelude::*;

pub static FILES: Files = Files {
    block: &[&[weight("input_layernorm", Ln1W)], llama::ATTENTION, llama::QK_NORMS, llama::MLP],
    ..llama::NAMES
};

pub static FAMILY: Family = Family::new(&["cohere"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 8192, ..Rules::LLAMA })?;
    let norm = norm(from)?;
    let normed = config.flag(&["use_qk_norm"], false)?;
    let qk_norm = normed.then_some(QkNorm { norm, over: QkNormOver::OwnHead });
    let attention = attention_with_bias(config.flag(&["attention_bias"], false)?);
    Ok(ModelSpec {
        placement: Placement::ParallelOne,
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.theta(5e5).interleaved())?],
        attention: Attention { qk_norm, ..attention },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("cohere", &sizes, norm, head(from, "Cohere")?)
    })
}

pub fn norm(from: &Sources) -> Result<Norm, LoadError> {
    Ok(Norm::layer_norm(eps(from.config, "layer_norm_eps", 1e-5)?).without_bias())
}

/// The head of Cohere and Cohere2: logits times a factor.
pub fn head(from: &Sources, class: &str) -> Result<Head, LoadError> {
    let heads = DecoderHead { tied: true, tasks: Task::NO_CLASSES, ..DecoderHead::of(class) };
    let scale = from.config.number(&["logit_scale"], 0.0625)?;
    Ok(match heads.read(from, &FILES)? {
        Head::CausalLm(logits) => Head::CausalLm(Logits { scale, ..logits }),
        other => other,
    })
}
