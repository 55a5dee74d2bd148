//! Llama: pre-norm decoder with RMS norms, rotary positions, grouped key/value heads and a gated MLP. Most of what came
//! after differs from it by a few fields.

use super::prelude::*;

pub static FILES: Files = NAMES;

/// The names of Llama, for families that have other modules in the blocks.
pub const NAMES: Files = Files {
    body: "model.",
    before: &[weight("embed_tokens", W_E)],
    blocks: "layers",
    block: &[NORMS, ATTENTION, MLP],
    linear: Layout::OutIn,
    after: &[both("norm", LnFinalW, LnFinalB)],
    heads: DECODER_HEADS,
    elsewhere: &[],
};

pub const NORMS: &[Entry] = &[both("input_layernorm", Ln1W, Ln1B), both("post_attention_layernorm", Ln2W, Ln2B)];
pub const ATTENTION: &[Entry] = &[
    both("self_attn.q_proj", W_Q, b_Q),
    both("self_attn.k_proj", W_K, b_K),
    both("self_attn.v_proj", W_V, b_V),
    both("self_attn.o_proj", W_O, b_O),
];
pub const QK_NORMS: &[Entry] = &[weight("self_attn.q_norm", QNormW), weight("self_attn.k_norm", KNormW)];
pub const MLP: &[Entry] =
    &[both("mlp.gate_proj", W_gate, b_gate), both("mlp.up_proj", W_in, b_in), both("mlp.down_proj", W_out, b_out)];
pub const EXPERTS: &[Entry] = &[
    weight("mlp.gate", W_router),
    Entry::Experts("mlp.experts", ["gate_proj", "up_proj", "down_proj"]),
    Entry::Merged(["mlp.experts.gate_up_proj", "mlp.experts.down_proj"], Layout::OutIn),
];

/// What is added to the scores of experts for the choice, and experts that every token passes: DeepSeek's and those of
/// models after it.
pub const CHOICE: &[Entry] = &[Entry::Named("mlp.gate.e_score_correction_bias", b_choice, Layout::Vector)];
pub const SHARED: &[Entry] = &[
    weight("mlp.shared_experts.gate_proj", SharedGate),
    weight("mlp.shared_experts.up_proj", SharedIn),
    weight("mlp.shared_experts.down_proj", SharedOut),
];

pub static FAMILY: Family = Family::new(&["llama", "code_llama"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules::LLAMA)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    let bias = config.flag(&["mlp_bias"], false)?;
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: attention_with_bias(config.flag(&["attention_bias"], false)?),
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias, out_bias: bias },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("llama", &sizes, norm, DecoderHead::of("Llama").read(from, &FILES)?)
    })
}
