//! GTE of version 1.5 (`new`, and `gte` of Snowflake Arctic Embed 2): BERT with rotary positions instead of a table, and a gated
//! MLP whose up projection is stored before its gate. The code of these models is remote: github.com/AlibabaNLP, "new-impl".

use super::encoder::{EncoderHead, encoder, first, transform};
use super::prelude::*;

static FILES: Files = Files { block: &[&[Entry::Qkv("attention.qkv_proj", Split::Concat)], BLOCK], ..NAMES };
static APART: Files = Files {
    block: &[
        &[both("attention.q_proj", W_Q, b_Q), both("attention.k_proj", W_K, b_K), both("attention.v_proj", W_V, b_V)],
        BLOCK,
    ],
    ..NAMES
};

const BLOCK: &[Entry] = &[
    both("attention.o_proj", W_O, b_O),
    both("attn_ln", Ln1W, Ln1B),
    Entry::Joined("mlp.up_gate_proj.weight", up_and_gate),
    both("mlp.down_proj", W_out, b_out),
    both("mlp_ln", Ln2W, Ln2B),
];

const NAMES: Files = Files {
    body: "new.",
    before: &[
        weight("embeddings.word_embeddings", W_E),
        weight("embeddings.token_type_embeddings", W_type),
        both("embeddings.LayerNorm", EmbedLnW, EmbedLnB),
    ],
    blocks: "encoder.layer",
    block: &[],
    linear: Layout::OutIn,
    after: &[both("pooler.dense", PoolerW, PoolerB)],
    heads: &[
        both("lm_head.dense", MlmW, MlmB),
        both("lm_head.norm", MlmLnW, MlmLnB),
        both("lm_head.decoder", W_U, b_U),
        classes(SEQUENCE_OR_TOKEN, "classifier"),
        classes(QUESTION, "qa_outputs"),
    ],
    elsewhere: &[],
};

pub static FAMILY: Family = Family::new(&["new", "gte"], &FILES, spec).with_names(names);

/// Queries, keys and values are in one matrix unless the configuration says otherwise.
fn names(spec: &ModelSpec, from: &Sources) -> Result<TensorNames, LoadError> {
    if from.config.flag(&["pack_qkv"], true)? { FILES.names(spec, from) } else { APART.names(spec, from) }
}

fn up_and_gate(spec: &ModelSpec, _: crate::model::role::WeightId) -> Option<Joined> {
    Some(Joined { roles: vec![W_in, W_gate], sizes: vec![spec.d_mlp; 2], rounds: 1 })
}

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    // How it is computed, not what.
    config.note_read(&["pack_qkv", "unpad_inputs", "use_memory_efficient_attention", "logn_attention_clip1"]);
    for (key, usual) in [("position_embedding_type", "rope"), ("layer_norm_type", "layer_norm")] {
        if let Some(other) = config.str(&[key])?.filter(|value| *value != usual) {
            return Err(config.unsupported(key, format!("{other:?}"), format!("only {usual:?} is")));
        }
    }
    if config.flag(&["logn_attention_scale"], false)? {
        return Err(config.unsupported(
            "logn_attention_scale",
            true,
            "scores are not scaled by the length of the text",
        ));
    }
    let sizes = Sizes::read(config, &Rules { fourfold: false, max_positions: 2048, ..Rules::GPT2 })?;
    let act = act(config, "hidden_act", Act::Gelu)?;
    let norm = Norm::layer_norm(eps(config, "layer_norm_eps", 1e-12)?);
    let masked = transform(act, norm);
    let heads = EncoderHead { class: "New", masked, bias: true, pooled: first(Act::Tanh), token: None };
    let spec = encoder("new", &sizes, norm, act, Count::Column, heads.read(from, &FILES)?);
    let token_types = config.opt_count(&["type_vocab_size"])?.unwrap_or(1);
    Ok(ModelSpec {
        embed: Embed { token_types, ..spec.embed },
        positions: Positions::None,
        ropes: vec![rotation(config, sizes.head_dim)?],
        mlp: Mlp { gated: true, act, bias: false, out_bias: true },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..spec
    })
}

/// The rotation. Its only scaling enlarges the base by a factor, and divides all frequencies by the power of it that lets
/// the slowest pair be as slow as with linear scaling (kexue.fm/archives/9706, formula 6), whatever the length of a text.
fn rotation(config: &HfConfig, head_dim: usize) -> Result<Rope, LoadError> {
    // transformers 5 writes the second of these.
    const SECTIONS: [&str; 2] = ["rope_scaling", "rope_parameters"];
    let mut plain = rope(&config.without(&SECTIONS), head_dim, &RopeRules::LLAMA)?;
    let Some(section) = config.object(SECTIONS[0])?.map_or_else(|| config.object(SECTIONS[1]), |own| Ok(Some(own)))?
    else {
        return Ok(plain);
    };
    plain.theta = section.number(&["rope_theta"], plain.theta)?;
    match section.str(&["type", "rope_type"])? {
        Some("ntk") => {}
        Some("default") => return Ok(plain),
        other => {
            let found = other.map_or("nothing".to_owned(), |other| format!("{other:?}"));
            return Err(section.unsupported("type", found, "this family knows ntk"));
        }
    }
    section.note_read(&["rope_type"]);
    if let Some((key, value)) = section.find(&["mixed_b"]) {
        return Err(section.unsupported(
            key,
            value,
            "a scaling that is not the same for all frequencies is not computed",
        ));
    }
    let factor = section.need_number("factor")?;
    if factor <= 0.0 || plain.theta <= 0.0 {
        let theta = plain.theta;
        return Err(section.bad(format!("a RoPE base of {theta} or a factor of {factor} is not above zero")));
    }
    if factor <= 1.0 {
        return Ok(plain);
    }
    let scaling = RopeScaling::Linear { factor: factor.powf(2.0 / head_dim as f64) };
    Ok(Rope { theta: plain.theta * factor, scaling, ..plain })
}
