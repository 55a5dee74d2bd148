//! What families with state spaces have in common: the names of their tensors, and what configurations say of them.

use super::prelude::*;
use crate::model::role::{Role, WeightId};

/// The tensors of a Mamba-2 layer below a module of a block.
macro_rules! mamba2 {
    ($path:literal) => {
        &[
            Entry::Joined(concat!($path, ".in_proj.weight"), state_space::projected),
            Entry::Joined(concat!($path, ".conv1d.weight"), |spec, id| {
                state_space::convolved(spec, id, [MixConvV, MixConvK, MixConvQ])
            }),
            Entry::Joined(concat!($path, ".conv1d.bias"), |spec, id| {
                state_space::convolved(spec, id, [MixConvVB, MixConvKB, MixConvQB])
            }),
            Entry::Named(concat!($path, ".A_log"), MixRate, Layout::Vector),
            Entry::Named(concat!($path, ".dt_bias"), MixStep, Layout::Vector),
            Entry::Named(concat!($path, ".D"), MixSkip, Layout::Vector),
            weight(concat!($path, ".norm"), MixNormW),
            weight(concat!($path, ".out_proj"), MixO),
        ]
    };
}
pub(super) use mamba2;

/// The tensors of a Mamba layer below a module of a block.
macro_rules! mamba {
    ($path:literal) => {
        &[
            Entry::Joined(concat!($path, ".in_proj.weight"), state_space::selective_projected),
            both(concat!($path, ".conv1d"), MixConvV, MixConvVB),
            Entry::Joined(concat!($path, ".x_proj.weight"), state_space::selective_inner),
            both(concat!($path, ".dt_proj"), MixStepW, MixStep),
            weight(concat!($path, ".dt_layernorm"), MixANormW),
            weight(concat!($path, ".b_layernorm"), MixKNormW),
            weight(concat!($path, ".c_layernorm"), MixQNormW),
            Entry::Named(concat!($path, ".A_log"), MixRate, Layout::Table),
            Entry::Named(concat!($path, ".D"), MixSkip, Layout::Vector),
            weight(concat!($path, ".out_proj"), MixO),
        ]
    };
}
pub(super) use mamba;

fn mixer(spec: &ModelSpec, id: WeightId) -> Option<Mixer> {
    Some(spec.layers.get(usize::from(id.layer?))?.mixer)
}

/// Gates, values, keys, queries, what steps are made of.
pub fn projected(spec: &ModelSpec, id: WeightId) -> Option<Joined> {
    let space = mixer(spec, id)?.state_space()?;
    let sizes = vec![space.values(), space.values(), space.keys(), space.keys(), space.heads];
    Some(Joined { roles: vec![MixGate, MixV, MixK, MixQ, MixA], sizes, rounds: 1 })
}

/// Values, keys, queries.
pub fn convolved(spec: &ModelSpec, id: WeightId, roles: [Role; 3]) -> Option<Joined> {
    let space = mixer(spec, id)?.state_space()?;
    Some(Joined { roles: roles.to_vec(), sizes: vec![space.values(), space.keys(), space.keys()], rounds: 1 })
}

/// Values and gates.
pub fn selective_projected(spec: &ModelSpec, id: WeightId) -> Option<Joined> {
    let Mixer::Selective(space) = mixer(spec, id)? else { return None };
    Some(Joined { roles: vec![MixV, MixGate], sizes: vec![space.width; 2], rounds: 1 })
}

/// What steps are made of, keys, queries.
pub fn selective_inner(spec: &ModelSpec, id: WeightId) -> Option<Joined> {
    let Mixer::Selective(space) = mixer(spec, id)? else { return None };
    let sizes = vec![space.rank, space.key_dim, space.key_dim];
    Some(Joined { roles: vec![MixA, MixK, MixQ], sizes, rounds: 1 })
}

/// The keys of a size, and what it is without them.
pub type Key = (&'static [&'static str], usize);

/// What the settings of Mamba-2 are called in a family.
pub struct Mamba2Keys {
    pub heads: Key,
    /// A default of 0 is the width by the number of heads; `auto` means that too.
    pub dim: Key,
    pub groups: Key,
    pub state: Key,
    pub taps: Key,
    pub conv_bias: &'static [&'static str],
    pub proj_bias: &'static [&'static str],
    pub act: &'static str,
    pub eps: (&'static str, f64),
}

impl Mamba2Keys {
    /// Those of Granite 4, Bamba and Falcon-H1.
    pub const HYBRID: Mamba2Keys = Mamba2Keys {
        heads: (&["mamba_n_heads"], 128),
        dim: (&["mamba_d_head"], 0),
        groups: (&["mamba_n_groups"], 1),
        state: (&["mamba_d_state"], 256),
        taps: (&["mamba_d_conv"], 4),
        conv_bias: &["mamba_conv_bias"],
        proj_bias: &["mamba_proj_bias"],
        act: "hidden_act",
        eps: ("rms_norm_eps", 1e-5),
    };
}

/// A Mamba-2 layer; `width` is that of all values, where it is given.
///
/// # Errors
/// If sizes do not fit, or a setting is not computed.
pub fn of_heads(config: &HfConfig, keys: &Mamba2Keys, width: Option<usize>) -> Result<StateSpace, LoadError> {
    let size = |(keys, default): Key| Ok::<_, LoadError>(config.opt_size(keys)?.unwrap_or(default));
    let (heads, groups) = (size(keys.heads)?, size(keys.groups)?);
    config.note_read(keys.dim.0);
    let auto = config.find(keys.dim.0).is_some_and(|(_, value)| value.as_str() == Some("auto"));
    let given = if auto { 0 } else { size(keys.dim)? };
    let dim = if given == 0 { width.unwrap_or(0) / heads } else { given };
    let all = width.unwrap_or(heads * dim);
    if heads * dim != all || !heads.is_multiple_of(groups) {
        return Err(config.bad(format!("{heads} heads of width {dim} in {groups} groups do not make a width of {all}")));
    }
    without_biases(config, keys.proj_bias)?;
    // transformers bounds the steps of a whole text, but not those of one token.
    const LIMIT: &str = "time_step_limit";
    if let Some(limit) = config.list(LIMIT)?
        && !(limit.first().and_then(serde_json::Value::as_f64) == Some(0.0) && limit.get(1).is_none_or(is_infinite))
    {
        return Err(config.unsupported(LIMIT, "...", "only steps without a limit are computed"));
    }
    config.note_read(&["mamba_chunk_size", "chunk_size"]);
    config.note_read(TRAINING);
    Ok(StateSpace {
        key_heads: groups,
        heads,
        key_dim: size(keys.state)?,
        dim,
        taps: size(keys.taps)?,
        // A null counts as false here.
        bias: !config.is_null(keys.conv_bias) && config.flag(keys.conv_bias, true)?,
        act: act(config, keys.act, Act::Silu)?,
        norm_groups: groups,
        eps: eps(config, keys.eps.0, keys.eps.1)?,
        norm: SpaceNorm::Last,
        factors: SpaceFactors::NONE,
        least_step: 0.0,
    })
}

/// What the settings of Mamba are called in a family.
pub struct MambaKeys {
    pub expand: Key,
    pub state: Key,
    pub taps: Key,
    pub rank: &'static str,
    pub conv_bias: &'static [&'static str],
    pub proj_bias: &'static [&'static str],
}

/// A Mamba layer of a model of width `d`.
///
/// # Errors
/// If a setting is not computed.
pub fn of_elements(config: &HfConfig, keys: &MambaKeys, d: usize) -> Result<Selective, LoadError> {
    let size = |(keys, default): Key| Ok::<_, LoadError>(config.opt_size(keys)?.unwrap_or(default));
    config.note_read(&[keys.rank]);
    let auto = config.find(&[keys.rank]).is_none_or(|(_, value)| value.as_str() == Some("auto"));
    without_biases(config, keys.proj_bias)?;
    config.note_read(TRAINING);
    Ok(Selective {
        width: size(keys.expand)? * d,
        key_dim: size(keys.state)?,
        rank: if auto { d.div_ceil(16) } else { config.size(&[keys.rank])? },
        taps: size(keys.taps)?,
        bias: !config.is_null(keys.conv_bias) && config.flag(keys.conv_bias, true)?,
        act: act(config, "hidden_act", Act::Silu)?,
        norm: None,
    })
}

/// Settings of training and of other implementations of the same arithmetic.
const TRAINING: &[&str] = &[
    "time_step_min",
    "time_step_max",
    "time_step_floor",
    "time_step_scale",
    "time_step_init_scheme",
    "residual_in_fp32",
    "use_mambapy",
    "use_falcon_mambapy",
    "use_associative_scan",
    "use_mamba_kernels",
    "mamba_ssm_cache_dtype",
    "num_logits_to_keep",
];

fn without_biases(config: &HfConfig, keys: &[&'static str]) -> Result<(), LoadError> {
    match keys.iter().find(|key| config.find(&[key]).is_some()) {
        Some(key) if config.flag(&[key], false)? => {
            Err(config.unsupported(key, true, "biases of these projections are not computed"))
        }
        _ => Ok(()),
    }
}

fn is_infinite(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Object(tagged) => tagged.values().any(|value| value.as_str() == Some("Infinity")),
        serde_json::Value::String(text) => text == "Infinity",
        other => other.as_f64().is_none_or(f64::is_infinite),
    }
}

/// Sizes of a model without attention: one head that is as wide as the model, and no MLP.
pub fn sizes(config: &HfConfig) -> Result<Sizes, LoadError> {
    let d_model = config.size(&["hidden_size"])?;
    Ok(Sizes {
        d_model,
        n_layers: config.size(&["num_hidden_layers", "n_layer"])?,
        n_heads: 1,
        n_kv_heads: 1,
        head_dim: d_model,
        d_mlp: 0,
        vocab: config.size(&["vocab_size"])?,
        max_positions: UNBOUNDED,
    })
}

/// Refuses what changes the weights of such models whenever transformers loads them, though it is about training.
pub fn unscaled(config: &HfConfig) -> Result<(), LoadError> {
    const SCALES: &str = "rescale_prenorm_residual";
    match config.flag(&[SCALES], false)? {
        true => Err(config.unsupported(SCALES, true, "transformers divides output projections when it loads them")),
        false => Ok(()),
    }
}

/// Names of models that are made of such layers alone.
pub const NAMES: Files = Files {
    body: "backbone.",
    before: &[weight("embeddings", W_E)],
    blocks: "layers",
    block: &[],
    linear: Layout::OutIn,
    after: &[weight("norm_f", LnFinalW)],
    heads: &[weight("lm_head", W_U)],
    elsewhere: &[],
};
