//! InternLM 2, as its own code has it: Llama with queries, keys and values in one matrix, and other names.

use super::llama;
use super::prelude::*;

const BLOCK: &[Entry] = &[
    weight("attention_norm", Ln1W),
    Entry::Qkv("attention.wqkv", Split::Grouped),
    both("attention.wo", W_O, b_O),
    weight("ffn_norm", Ln2W),
    weight("feed_forward.w1", W_gate),
    weight("feed_forward.w3", W_in),
    weight("feed_forward.w2", W_out),
];
static FILES: Files = Files {
    before: &[weight("tok_embeddings", W_E)],
    block: &[BLOCK],
    heads: &[weight("output", W_U), CLASS_HEADS[0]],
    ..llama::NAMES
};

pub static FAMILY: Family = Family::new(&["internlm2"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules::LLAMA)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    let heads = DecoderHead { tasks: Task::NO_CLASSES, ..DecoderHead::of("InternLM2") };
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: attention_with_bias(config.flag(&["bias"], true)?),
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("internlm2", &sizes, norm, heads.read(from, &FILES)?)
    })
}
