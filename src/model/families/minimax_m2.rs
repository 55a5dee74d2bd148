//! MiniMax-M2: Mixtral whose router has sigmoids and numbers added to them for the choice, with norms of all queries and
//! all keys together; half of each head rotates in the published models.

use super::prelude::*;
use super::{llama, mixtral};

const CHOICE: &[Entry] = &[
    Entry::Named("block_sparse_moe.e_score_correction_bias", b_choice, Layout::Vector),
    Entry::Named("mlp.e_score_correction_bias", b_choice, Layout::Vector),
];
static FILES: Files = Files {
    block: &[llama::NORMS, llama::ATTENTION, llama::QK_NORMS, mixtral::EXPERTS, llama::EXPERTS, CHOICE],
    ..llama::NAMES
};

pub static FAMILY: Family = Family::new(&["minimax_m2"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let rules = Rules { max_positions: 196_608, ..Rules::LLAMA.kv(8).head_dim(128) };
    let sizes = Sizes::read(config, &rules)?;
    as_published(config)?;
    let share = config.opt_number(&["rotary_dim"])?.map_or(1.0, |width| width / sizes.head_dim as f64);
    let router = Router { score: Score::Sigmoid, correction: true, normalize: true, ..Router::default() };
    let all = Experts {
        count: config.opt_size(&["num_local_experts", "num_experts"])?.unwrap_or(256),
        chosen: config.opt_size(&["num_experts_per_tok"])?.unwrap_or(8),
        width: sizes.d_mlp,
        router,
        ..Experts::default()
    };
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    let qk_norm = Some(QkNorm { norm, over: QkNormOver::All });
    let heads = DecoderHead { tasks: Task::NO_CLASSES, ..DecoderHead::of("MiniMaxM2") };
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.theta(5e6).partial(share).odd())?],
        attention: Attention { qk_norm, ..attention() },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        experts: Some(experts(config, all)?),
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), experts: true, ..layer }),
        ..decoder("minimax_m2", &sizes, norm, heads.read(from, &FILES)?)
    })
}

/// Settings that published configurations have, and transformers has no other arithmetic for.
fn as_published(config: &HfConfig) -> Result<(), LoadError> {
    const WHY: &str = "transformers has no such arithmetic for this family";
    for (key, only) in [("use_qk_norm", true), ("use_routing_bias", true)] {
        if config.flag(&[key], only)? != only {
            return Err(config.unsupported(key, !only, WHY));
        }
    }
    for (key, only) in [("scoring_func", "sigmoid"), ("qk_norm_type", "per_layer")] {
        if let Some(other) = config.str(&[key])?.filter(|value| *value != only) {
            return Err(config.unsupported(key, format!("{other:?}"), WHY));
        }
    }
    const SHARED: &str = "shared_intermediate_size";
    if let Some(width) = config.opt_count(&[SHARED])?.filter(|width| *width > 0) {
        return Err(config.unsupported(SHARED, width, WHY));
    }
    const KINDS: &str = "attn_type_list";
    if config.list(KINDS)?.unwrap_or_default().iter().any(|kind| *kind != 1) {
        return Err(config.unsupported(KINDS, "...", WHY));
    }
    Ok(())
}
