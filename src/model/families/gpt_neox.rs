//! GPT-NeoX (Pythia): attention and MLP side by side, each after its own norm, a part of each head rotates.

use super::prelude::*;

static FILES: Files = Files {
    body: "gpt_neox.",
    before: &[weight("embed_in", W_E)],
    blocks: "layers",
    block: &[&[
        both("input_layernorm", Ln1W, Ln1B),
        Entry::Qkv("attention.query_key_value", Split::PerHead),
        both("attention.dense", W_O, b_O),
        both("post_attention_layernorm", Ln2W, Ln2B),
        both("mlp.dense_h_to_4h", W_in, b_in),
        both("mlp.dense_4h_to_h", W_out, b_out),
    ]],
    linear: Layout::OutIn,
    after: &[both("final_layer_norm", LnFinalW, LnFinalB)],
    heads: &[weight("embed_out", W_U), weight("lm_head", W_U), CLASS_HEADS[0], CLASS_HEADS[1], CLASS_HEADS[2]],
    elsewhere: &[],
};

const ROPE: RopeRules =
    RopeRules { theta_key: "rotary_emb_base", partial_key: "rotary_pct", ..RopeRules::LLAMA.partial(0.25).odd() };

pub static FAMILY: Family = Family::new(&["gpt_neox"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    // The same layers with another mask by name, and a base that some versions wrote twice.
    config.note_read(&["is_decoder", "partial_rotary_factor"]);
    let sizes = Sizes::read(config, &Rules { fourfold: false, ..Rules::GPT2 })?;
    let rope = rope(config, sizes.head_dim, &ROPE)?;
    let theta = config.number(&["rope_theta"], rope.theta)?;
    if theta != rope.theta {
        return Err(config.unsupported("rope_theta", theta, "this family calls its RoPE base rotary_emb_base"));
    }
    let parallel = config.flag(&["use_parallel_residual"], true)?;
    let norm = Norm::layer_norm(eps(config, "layer_norm_eps", 1e-5)?);
    let head = DecoderHead::of("GPTNeoX").read(from, &FILES)?;
    Ok(ModelSpec {
        placement: if parallel { Placement::ParallelTwo } else { Placement::Pre },
        ropes: vec![rope],
        attention: attention_with_bias(config.flag(&["attention_bias"], true)?),
        mlp: Mlp { gated: false, act: act(config, "hidden_act", Act::Gelu)?, bias: true, out_bias: true },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("gpt_neox", &sizes, norm, head)
    })
}
