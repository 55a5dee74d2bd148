//! Mixtral: Mistral with mixtures of experts, whose chosen weights always add up to 1.

use super::llama;
use super::prelude::*;

pub const EXPERTS: &[Entry] = &[
    weight("block_sparse_moe.gate", W_router),
    Entry::Experts("block_sparse_moe.experts", ["w1", "w3", "w2"]),
    Entry::Merged(["block_sparse_moe.experts.gate_up_proj", "block_sparse_moe.experts.down_proj"], Layout::OutIn),
];
static FILES: Files = Files { block: &[llama::NORMS, llama::ATTENTION, EXPERTS, llama::EXPERTS], ..llama::NAMES };

pub static FAMILY: Family = Family::new(&["mixtral"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 1 << 17, ..Rules::LLAMA.kv(8) })?;
    let reach = config.size_or(&["sliding_window"], None)?.map(Reach::window);
    let count = config.opt_size(&["num_local_experts", "num_experts"])?.unwrap_or(8);
    let chosen = config.opt_size(&["num_experts_per_tok"])?.unwrap_or(2);
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-5)?);
    let router = Router { normalize: true, ..Router::default() };
    let experts = Experts { count, chosen, width: sizes.d_mlp, router, ..Experts::default() };
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.theta(1e6))?],
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        experts: Some(super::read::experts(config, experts)?),
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), reach, experts: true, ..layer }),
        ..decoder("mixtral", &sizes, norm, DecoderHead::of("Mixtral").read(from, &FILES)?)
    })
}
