//! MiniCPM, as its own code has it: Llama with factors on the embedding, on what is added to the residual stream, and on what
//! the head reads.

use super::llama;
use super::prelude::*;

pub static FAMILY: Family = Family::new(&["minicpm"], &llama::FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    const SPARSE: &str = "sparse_config";
    if config.object(SPARSE)?.is_some() {
        return Err(config.unsupported(SPARSE, "...", "its attention is sparse from some length on"));
    }
    // Of training.
    config.note_read(&["mup_denominator"]);
    let sizes = Sizes::read(config, &Rules::LLAMA)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    let factor = |key: &str| config.number(&[key], 1.0);
    let base = factor("dim_model_base")?;
    let heads = DecoderHead { tasks: Task::NO_CLASSES, tied: true, ..DecoderHead::of("MiniCPM") };
    let head = match heads.read(from, &llama::FILES)? {
        Head::CausalLm(logits) => Head::CausalLm(Logits { scale: base / sizes.d_model as f64, ..logits }),
        other => other,
    };
    Ok(ModelSpec {
        embed: Embed { scale: factor("scale_emb")?, ..Embed::plain(sizes.d_model) },
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: attention_with_bias(config.flag(&["attention_bias"], false)?),
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        residual: Residual::scaled(factor("scale_depth")? / (sizes.n_layers as f64).sqrt()),
        ..decoder("minicpm", &sizes, norm, head)
    })
}
