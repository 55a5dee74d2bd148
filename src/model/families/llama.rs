//! Llama: pre-norm decoder with RMS norms, rotary positions, grouped key/value heads and a gated MLP. Most of what came
//! after differs from it by a few fields.

use super::prelude::*;

pub static FILES: Files = files(&[
    both("input_layernorm", Ln1W, Ln1B),
    both("self_attn.q_proj", W_Q, b_Q),
    both("self_attn.k_proj", W_K, b_K),
    both("self_attn.v_proj", W_V, b_V),
    both("self_attn.o_proj", W_O, b_O),
    both("post_attention_layernorm", Ln2W, Ln2B),
    both("mlp.gate_proj", W_gate, b_gate),
    both("mlp.up_proj", W_in, b_in),
    both("mlp.down_proj", W_out, b_out),
]);

const EMBEDDING: &[Entry] = &[weight("embed_tokens", W_E)];
const FINAL: &[Entry] = &[both("norm", LnFinalW, LnFinalB)];

/// The names of Llama with other modules in the blocks.
pub const fn files(block: &'static [Entry]) -> Files {
    Files {
        body: "model.",
        before: EMBEDDING,
        blocks: "layers",
        block,
        linear: Layout::OutIn,
        after: FINAL,
        heads: DECODER_HEADS,
        elsewhere: &[],
    }
}

pub static FAMILY: Family = Family::new(&["llama"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules::LLAMA)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    let bias = config.flag(&["mlp_bias"], false)?;
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: attention_with_bias(config.flag(&["attention_bias"], false)?),
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("llama", &sizes, norm, DecoderHead::of("Llama").read(from, &FILES)?)
    })
}
