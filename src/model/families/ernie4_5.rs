//! ERNIE 4.5: Llama with rotation of neighbouring features, and the same with mixtures of experts.

use super::llama;
use super::prelude::*;

/// What is added to the scores of experts is a matrix of one row, next to the router or below it.
const CHOICE: &[Entry] = &[
    Entry::Named("mlp.moe_statics.e_score_correction_bias", b_choice, Layout::Row),
    Entry::Named("mlp.gate.moe_statics.e_score_correction_bias", b_choice, Layout::Row),
];
static FILES: Files = Files {
    block: &[llama::NORMS, llama::ATTENTION, llama::MLP, llama::EXPERTS, CHOICE, llama::SHARED],
    elsewhere: &[("mtp", "a block that predicts a token further on, which the pass does not use")],
    ..llama::NAMES
};

pub static FAMILY: Family = Family::new(&["ernie4_5", MIXTURE], &FILES, spec);

/// The `model_type` of those with mixtures of experts.
const MIXTURE: &str = "ernie4_5_moe";

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let mixture = config.model_type()? == MIXTURE;
    let rules = if mixture { Rules::LLAMA.kv(4) } else { Rules::LLAMA.kv(2).head_dim(128) };
    let sizes = Sizes::read(config, &Rules { max_positions: 1 << 17, ..rules })?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-5)?);
    let bias = config.flag(&["use_bias"], false)?;
    if mixture && bias {
        return Err(config.unsupported("use_bias", bias, "a shared expert with biases is not computed"));
    }
    let (class, family) = if mixture { ("Ernie4_5_Moe", MIXTURE) } else { ("Ernie4_5", "ernie4_5") };
    let heads = DecoderHead { tied: true, tasks: Task::NO_CLASSES, ..DecoderHead::of(class) };
    let (experts, sparse) = match mixture {
        true => (Some(mixtures(config)?), sparse(config, sizes.n_layers)?),
        false => (None, vec![false; sizes.n_layers]),
    };
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.theta(5e5).interleaved())?],
        attention: attention_with_bias(bias),
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias, out_bias: bias },
        experts,
        layers: sizes.layers(|i, layer| Layer { rope: Some(0), experts: sparse[i], ..layer }),
        ..decoder(family, &sizes, norm, heads.read(from, &FILES)?)
    })
}

fn mixtures(config: &HfConfig) -> Result<Experts, LoadError> {
    let size = |keys: &[&str], default| Ok::<_, LoadError>(config.opt_size(keys)?.unwrap_or(default));
    let width = size(&["moe_intermediate_size"], 1536)?;
    let shared = match config.opt_count(&["moe_num_shared_experts"])?.unwrap_or(2) {
        0 => None,
        count => Some(shared_of(config, count, width)?),
    };
    let router = Router {
        correction: true,
        normalize: true,
        least: config.number(&["moe_norm_min"], 1e-12)?,
        ..Router::default()
    };
    let count = size(&["moe_num_experts", "num_experts"], 64)?;
    let chosen = size(&["moe_k", "num_experts_per_tok"], 6)?;
    experts(config, Experts { count, chosen, width, router, shared, ..Experts::default() })
}

/// Which layers have experts: every so many, from one layer to another.
fn sparse(config: &HfConfig, n_layers: usize) -> Result<Vec<bool>, LoadError> {
    let every = config.opt_size(&["moe_layer_interval"])?.unwrap_or(1);
    let first = config.opt_count(&["moe_layer_start_index"])?.unwrap_or(1);
    // -1 stands for the last one.
    let last = config.number(&["moe_layer_end_index"], -1.0)?;
    let below = |layer: usize| last == -1.0 || layer as f64 <= last;
    Ok((0..n_layers).map(|layer| (layer + 1).is_multiple_of(every) && layer >= first && below(layer)).collect())
}
