//! Granite: Llama with factors on the embedding, the scores, what is added to the residual stream, and the logits.
//! Granite 3 has models with mixtures of experts, whose chosen weights always add up to 1. Granite 4 names its MLP
//! otherwise, may leave out the rotation, and has state spaces in the place of attention in most layers of some models; its
//! experts are refused.

use super::llama;
use super::prelude::*;
use crate::model::role::{Role, WeightId};

const SHARED_MLP: &[Entry] = &[Entry::GateUp("shared_mlp.input_linear"), weight("shared_mlp.output_linear", W_out)];
const EXPERTS: &[Entry] = &[
    weight("block_sparse_moe.router.layer", W_router),
    Entry::Merged(["block_sparse_moe.input_linear.weight", "block_sparse_moe.output_linear.weight"]),
    // As llama.cpp takes them apart, under Mixtral's names.
    Entry::Experts("block_sparse_moe.experts", ["w1", "w3", "w2"]),
];
const STATE_SPACE: &[Entry] = &[
    Entry::Joined("mamba.in_proj.weight", |spec, id| {
        let space = state_space(spec, id)?;
        let sizes = vec![space.values(), space.values(), space.keys(), space.keys(), space.heads];
        Some(Joined { roles: vec![MixGate, MixV, MixK, MixQ, MixA], sizes, rounds: 1 })
    }),
    Entry::Joined("mamba.conv1d.weight", |spec, id| convolved(spec, id, [MixConvV, MixConvK, MixConvQ])),
    Entry::Joined("mamba.conv1d.bias", |spec, id| convolved(spec, id, [MixConvVB, MixConvKB, MixConvQB])),
    Entry::Named("mamba.A_log", MixRate, Layout::Vector),
    Entry::Named("mamba.dt_bias", MixStep, Layout::Vector),
    Entry::Named("mamba.D", MixSkip, Layout::Vector),
    weight("mamba.norm", MixNormW),
    weight("mamba.out_proj", MixO),
];
static FILES: Files =
    Files { block: &[llama::NORMS, llama::ATTENTION, llama::MLP, SHARED_MLP, EXPERTS, STATE_SPACE], ..llama::NAMES };

/// The `model_type` of Granite 4, and of Granite 3 with mixtures of experts.
const HYBRID: &str = "granitemoehybrid";
const MIXTURE: &str = "granitemoe";

pub static FAMILY: Family = Family::new(&["granite", MIXTURE, HYBRID], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let hybrid = config.model_type()? == HYBRID;
    let sizes = Sizes::read(config, &Rules::LLAMA)?;
    let (sizes, rotates) = if hybrid { dense(config, sizes)? } else { (sizes, true) };
    let mixers = if hybrid { mixers(config, &sizes)? } else { vec![Mixer::Attention; sizes.n_layers] };
    let factor = |key: &str| config.number(&[key], 1.0);
    let (scale, divisor) = (factor("attention_multiplier")?, factor("logits_scaling")?);
    if divisor == 0.0 {
        return Err(config.bad("\"logits_scaling\" is 0"));
    }
    let mixture = config.model_type()? == MIXTURE;
    let class = match (hybrid, mixture) {
        (true, _) => "GraniteMoeHybrid",
        (_, true) => "GraniteMoe",
        _ => "Granite",
    };
    let experts = if mixture { Some(mixtures(config, &sizes)?) } else { None };
    let heads = DecoderHead { tasks: Task::NO_CLASSES, ..DecoderHead::of(class) };
    let head = match heads.read(from, &FILES)? {
        Head::CausalLm(logits) => Head::CausalLm(Logits { scale: 1.0 / divisor, ..logits }),
        other => other,
    };
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    let bias = !mixture && config.flag(&["mlp_bias"], false)?;
    Ok(ModelSpec {
        embed: Embed { scale: factor("embedding_multiplier")?, ..Embed::plain(sizes.d_model) },
        ropes: if rotates { vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?] } else { Vec::new() },
        attention: attention_with_bias(config.flag(&["attention_bias"], false)?),
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias },
        layers: sizes.layers(|i, layer| {
            let rope = rotates.then_some(0).filter(|_| mixers[i].is_attention());
            Layer { mixer: mixers[i], rope, scale, experts: mixture, ..layer }
        }),
        experts,
        residual: Residual { scale: factor("residual_multiplier")?, ..Residual::default() },
        ..decoder(config.model_type()?, &sizes, norm, head)
    })
}

fn mixtures(config: &HfConfig, sizes: &Sizes) -> Result<Experts, LoadError> {
    let count = config.opt_size(&["num_local_experts"])?.unwrap_or(8);
    let chosen = config.opt_size(&["num_experts_per_tok"])?.unwrap_or(2);
    let router = Router { normalize: true, ..Router::default() };
    experts(config, Experts { count, chosen, width: sizes.d_mlp, router, ..Experts::default() })
}

/// What each layer of Granite 4 has: attention or a state space.
fn mixers(config: &HfConfig, sizes: &Sizes) -> Result<Vec<Mixer>, LoadError> {
    const KEY: &str = "layer_types";
    let old = config.list("layers_block_type")?;
    let types = config.list(KEY)?.or(old);
    let linear = |kind: &serde_json::Value| match kind.as_str() {
        Some("attention" | "full_attention") => Ok(false),
        Some("mamba" | "linear_attention") => Ok(true),
        _ => Err(config.unsupported(KEY, kind, "known types are attention and mamba")),
    };
    let types = types.map(|types| types.iter().map(linear).collect::<Result<Vec<bool>, LoadError>>()).transpose()?;
    let types = types.unwrap_or_else(|| vec![true; sizes.n_layers]);
    if types.len() != sizes.n_layers {
        return Err(config.bad(format!("{KEY:?} has {} entries for {} layers", types.len(), sizes.n_layers)));
    }
    if !types.contains(&true) {
        // They are about layers that are not there.
        let others = config.json().keys().map(String::as_str).filter(|key| key.starts_with("mamba_"));
        config.note_read(&others.chain(["time_step_limit"]).collect::<Vec<_>>());
        return Ok(vec![Mixer::Attention; sizes.n_layers]);
    }
    let space = space(config, sizes)?;
    Ok(types.into_iter().map(|linear| if linear { Mixer::StateSpace(space) } else { Mixer::Attention }).collect())
}

fn space(config: &HfConfig, sizes: &Sizes) -> Result<StateSpace, LoadError> {
    let size = |key, default| Ok::<_, LoadError>(config.opt_size(&[key])?.unwrap_or(default));
    let width = size("mamba_expand", 2)? * sizes.d_model;
    let heads = size("mamba_n_heads", 128)?;
    const DIM: &str = "mamba_d_head";
    config.note_read(&[DIM]);
    let dim = match config.find(&[DIM]).and_then(|(_, value)| value.as_str()) {
        Some("auto") | None if config.find(&[DIM]).is_none_or(|(_, value)| value.is_string()) => width / heads,
        _ => size(DIM, 0)?,
    };
    let groups = size("mamba_n_groups", 1)?;
    if heads * dim != width || !heads.is_multiple_of(groups) {
        return Err(
            config.bad(format!("{heads} heads of width {dim} in {groups} groups do not make a width of {width}"))
        );
    }
    const PROJECTION_BIAS: &str = "mamba_proj_bias";
    if config.flag(&[PROJECTION_BIAS], false)? {
        return Err(config.unsupported(PROJECTION_BIAS, true, "biases of these projections are not computed"));
    }
    // transformers bounds the steps of a whole text, but not those of one token.
    const LIMIT: &str = "time_step_limit";
    if let Some(limit) = config.list(LIMIT)?
        && !(limit.first().and_then(serde_json::Value::as_f64) == Some(0.0) && limit.get(1).is_none_or(is_infinite))
    {
        return Err(config.unsupported(LIMIT, "...", "only steps without a limit are computed"));
    }
    config.note_read(&["mamba_chunk_size"]);
    Ok(StateSpace {
        key_heads: groups,
        heads,
        key_dim: size("mamba_d_state", 256)?,
        dim,
        taps: size("mamba_d_conv", 4)?,
        // A null counts as false here.
        bias: !config.is_null(&["mamba_conv_bias"]) && config.flag(&["mamba_conv_bias"], true)?,
        act: act(config, "hidden_act", Act::Silu)?,
        norm_groups: groups,
        eps: eps(config, "rms_norm_eps", 1e-6)?,
    })
}

fn is_infinite(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Object(tagged) => tagged.values().any(|value| value.as_str() == Some("Infinity")),
        serde_json::Value::String(text) => text == "Infinity",
        other => other.as_f64().is_none_or(f64::is_infinite),
    }
}

fn state_space(spec: &ModelSpec, id: WeightId) -> Option<StateSpace> {
    match spec.layers.get(usize::from(id.layer?))?.mixer {
        Mixer::StateSpace(space) => Some(space),
        _ => None,
    }
}

/// Values, keys, queries.
fn convolved(spec: &ModelSpec, id: WeightId, roles: [Role; 3]) -> Option<Joined> {
    let space = state_space(spec, id)?;
    Some(Joined { roles: roles.to_vec(), sizes: vec![space.values(), space.keys(), space.keys()], rounds: 1 })
}

/// The sizes of Granite 4, and whether it rotates queries and keys.
fn dense(config: &HfConfig, sizes: Sizes) -> Result<(Sizes, bool), LoadError> {
    const EXPERTS: &str = "num_local_experts";
    if let Some(count) = config.opt_count(&[EXPERTS])?.or(Some(8)).filter(|count| *count > 0) {
        return Err(config.unsupported(EXPERTS, count, "experts in addition to the shared MLP are not computed"));
    }
    config.note_read(&["num_experts_per_tok"]);
    const POSITIONS: &str = "position_embedding_type";
    let rotates = match config.str(&[POSITIONS])? {
        None | Some("nope") => false,
        Some("rope") => true,
        Some(other) => {
            return Err(config.unsupported(POSITIONS, other, "known values are rope, and null for no positions"));
        }
    };
    if !rotates {
        config.note_read(&["rope_parameters", "rope_scaling", "rope_theta"]);
    }
    let d_mlp = config.opt_size(&["shared_intermediate_size"])?.unwrap_or(1024);
    Ok((Sizes { d_mlp, ..sizes }, rotates))
}
