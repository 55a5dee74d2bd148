//! GPT-BigCode (SantaCoder, StarCoder): GPT-2 with one key/value head for all queries, weights stored as `[out, in]`.

use super::gpt2;
use super::prelude::*;

static FILES: Files = gpt2::NAMES;

/// Without multi-query attention each head has its query, key and value side by side. The first entry counts.
static FILES_MULTI_HEAD: Files =
    Files { block: &[&[Entry::Qkv("attn.c_attn", Split::PerHead)], gpt2::BLOCK], ..gpt2::NAMES };

pub static FAMILY: Family = Family::new(&["gpt_bigcode"], &FILES, spec).with_names(names);

fn names(spec: &ModelSpec, from: &Sources) -> Result<TensorNames, LoadError> {
    let multi_query = from.config.flag(&["multi_query"], true)?;
    if multi_query { &FILES } else { &FILES_MULTI_HEAD }.names(spec, from)
}

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    if config.flag(&["add_cross_attention"], false)? {
        return Err(config.unsupported("add_cross_attention", true, "the model would need a separate encoder"));
    }
    let kv = if config.flag(&["multi_query"], true)? { Kv::Fixed(1) } else { Kv::Heads };
    config.note_read(&["num_key_value_heads"]);
    let sizes = Sizes::read(config, &Rules { kv, max_positions: 1024, ..Rules::GPT2 })?;
    let scale = if config.flag(&["scale_attn_weights"], true)? { sizes.scale() } else { 1.0 };
    let heads = DecoderHead { tied: true, tasks: Task::NO_QUESTION, ..DecoderHead::of("GPTBigCode") };
    let norm = Norm::layer_norm(eps(config, "layer_norm_epsilon", 1e-5)?);
    Ok(ModelSpec {
        positions: Positions::Learned { rows: sizes.max_positions, count: Count::Seen },
        attention: attention_with_bias(true),
        mlp: Mlp { gated: false, act: act(config, "activation_function", Act::GeluTanh)?, bias: true, out_bias: true },
        layers: sizes.layers(|_, layer| Layer { scale, ..layer }),
        ..decoder("gpt_bigcode", &sizes, norm, heads.read(from, &FILES)?)
    })
}
