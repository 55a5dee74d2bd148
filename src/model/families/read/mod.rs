//! What families read from a configuration in the same way.

mod experts;
mod heads;
mod sizes;

pub use experts::{SigmoidRules, by_sigmoids, dense_first, experts, shared_of, sparse_layers};
pub use heads::{DecoderHead, Task, question, scores, torch_activation};
pub use sizes::{HeadDim, Kv, Rules, Sizes};

use crate::model::config::HfConfig;
use crate::model::error::LoadError;
use crate::model::spec::{
    Act, Attention, Blind, Embed, Head, Mlp, ModelSpec, Norm, Placement, Positions, Reach, Residual,
};

/// A decoder with norms before attention and MLP, no positions, a gated MLP without biases and full attention: what
/// families start from.
pub fn decoder(family: &str, sizes: &Sizes, norm: Norm, head: Head) -> ModelSpec {
    ModelSpec {
        family: family.to_owned(),
        d_model: sizes.d_model,
        n_layers: sizes.n_layers,
        n_heads: sizes.n_heads,
        n_kv_heads: sizes.n_kv_heads,
        head_dim: sizes.head_dim,
        v_head_dim: sizes.head_dim,
        d_mlp: sizes.d_mlp,
        vocab: sizes.vocab,
        max_positions: sizes.max_positions,
        norm,
        placement: Placement::Pre,
        final_norm: true,
        embed: Embed::plain(sizes.d_model),
        layer_inputs: None,
        positions: Positions::None,
        relative: None,
        ropes: Vec::new(),
        attention: attention(),
        mlp: Mlp { gated: true, act: Act::Silu, bias: false, out_bias: false },
        experts: None,
        layers: sizes.layers(|_, layer| layer),
        residual: Residual::default(),
        head,
        encoder: None,
    }
}

/// Causal attention without biases.
pub fn attention() -> Attention {
    Attention {
        causal: true,
        qkv_bias: false,
        out_bias: false,
        latent: None,
        qk_norm: None,
        rotates_first: false,
        sinks: false,
        value_norm: None,
        growth: None,
        clip: None,
        softcap: None,
        gate: false,
        blind: Blind::All,
    }
}

/// The same with biases everywhere, or not.
pub fn attention_with_bias(bias: bool) -> Attention {
    Attention { qkv_bias: bias, out_bias: bias, ..attention() }
}

/// Decoders that embed texts can be made to attend in both directions, by `is_causal: false`. A window of `w` tokens,
/// which reaches `w - 1` back in a causal model, then reaches `w` to both sides, as in transformers. Encoders do so
/// anyway.
pub fn look_both_ways(config: &HfConfig, spec: &mut ModelSpec) -> Result<(), LoadError> {
    const KEY: &str = "is_causal";
    if !spec.attention.causal {
        // What contradicts it has no effect, and is reported like any key that is not used.
        if config.json().get(KEY).and_then(serde_json::Value::as_bool) == Some(false) {
            config.note_read(&[KEY]);
        }
        return Ok(());
    }
    if config.flag(&[KEY], true)? {
        return Ok(());
    }
    spec.attention.causal = false;
    for layer in &mut spec.layers {
        layer.reach = match layer.reach {
            Some(Reach::Within(most)) => Some(Reach::Within(most + 1)),
            Some(Reach::Chunk(_)) => {
                let why = "attention in chunks is computed for decoders that see no later token";
                return Err(config.unsupported(KEY, "false", why));
            }
            None => None,
        };
    }
    Ok(())
}

/// The activation function under a key. Only `gelu` itself is the exact one.
pub fn act(config: &HfConfig, key: &str, default: Act) -> Result<Act, LoadError> {
    config.str(&[key])?.map_or(Ok(default), |name| act_named(config, key, name))
}

/// The activation function of that name, which a key gives.
pub fn act_named(config: &HfConfig, key: &str, name: &str) -> Result<Act, LoadError> {
    Ok(match name {
        "gelu" | "gelu_python" => Act::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_python_tanh" | "gelu_fast" | "gelu_accurate" => Act::GeluTanh,
        "quick_gelu" => Act::QuickGelu,
        "silu" | "swish" => Act::Silu,
        "relu" => Act::Relu,
        "relu2" => Act::Relu2,
        "tanh" => Act::Tanh,
        "sigmoid" => Act::Sigmoid,
        "linear" => Act::Linear,
        _ => {
            let why = "known activations are gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, quick_gelu, silu, swish, \
                       relu, relu2, tanh, sigmoid and linear";
            return Err(config.unsupported(key, format!("{name:?}"), why));
        }
    })
}

/// A number of the configuration that is an epsilon.
pub fn eps(config: &HfConfig, key: &str, default: f64) -> Result<f64, LoadError> {
    let eps = config.number(&[key], default)?;
    if eps >= 0.0 && eps.is_finite() { Ok(eps) } else { Err(config.bad(format!("{key:?} is {eps}"))) }
}

/// The factor on scores by `query_pre_attn_scalar`: one over its root.
pub fn query_scale(config: &HfConfig) -> Result<f64, LoadError> {
    const KEY: &str = "query_pre_attn_scalar";
    let scalar = config.number(&[KEY], 256.0)?;
    if scalar > 0.0 { Ok(1.0 / scalar.sqrt()) } else { Err(config.bad(format!("{KEY:?} is {scalar}, not above zero"))) }
}

/// Which layers attend within a window: `layer_types`, or what the family does without it.
pub fn sliding_layers(
    config: &HfConfig,
    n_layers: usize,
    default: impl Fn(usize) -> bool,
) -> Result<Vec<bool>, LoadError> {
    let Some(types) = config.list("layer_types")? else { return Ok((0..n_layers).map(default).collect()) };
    if types.len() < n_layers {
        return Err(config.bad(format!("\"layer_types\" has {} entries for {n_layers} layers", types.len())));
    }
    let sliding = |value: &serde_json::Value| match value.as_str() {
        Some("full_attention") => Ok(false),
        Some("sliding_attention") => Ok(true),
        _ => Err(config.unsupported("layer_types", value, "known types are full_attention and sliding_attention")),
    };
    types.iter().take(n_layers).map(sliding).collect()
}

/// Which of the known kinds each layer is, by its number, as `layer_types` has it; `None` if it is not given.
///
/// # Errors
/// If the list is too short or names another kind.
pub fn layer_kinds(config: &HfConfig, n_layers: usize, known: &[&str]) -> Result<Option<Vec<usize>>, LoadError> {
    const KEY: &str = "layer_types";
    let Some(types) = config.list(KEY)? else { return Ok(None) };
    if types.len() < n_layers {
        return Err(config.bad(format!("{KEY:?} has {} entries for {n_layers} layers", types.len())));
    }
    let kind = |value: &serde_json::Value| {
        let number = known.iter().position(|known| value.as_str() == Some(*known));
        number.ok_or_else(|| config.unsupported(KEY, value, format!("known types are {}", known.join(" and "))))
    };
    types.iter().take(n_layers).map(kind).collect::<Result<Vec<usize>, LoadError>>().map(Some)
}

/// Which layers rotate queries and keys: `no_rope_layers`, or all but every so many; this many unless a key says otherwise.
pub fn rotating_layers(config: &HfConfig, n_layers: usize, every: usize) -> Result<Vec<bool>, LoadError> {
    const KEY: &str = "no_rope_layers";
    let every = config.opt_size(&["no_rope_layer_interval"])?.unwrap_or(every);
    let rotates: Vec<bool> = match config.list(KEY)?.filter(|list| !list.is_empty()) {
        // The name notwithstanding, 1 is for layers with rotation.
        Some(list) => list.iter().map(|flag| flag.as_f64() != Some(0.0)).collect(),
        None => (0..n_layers).map(|i| !(i + 1).is_multiple_of(every)).collect(),
    };
    if rotates.len() < n_layers {
        return Err(config.bad(format!("{KEY:?} has {} entries for {n_layers} layers", rotates.len())));
    }
    Ok(rotates)
}

/// How far layers with a window of the configuration see.
///
/// # Errors
/// If there is such a layer and no window.
pub fn reach(config: &HfConfig, sliding: &[bool], window: Option<usize>) -> Result<Vec<Option<Reach>>, LoadError> {
    if window.is_none() && sliding.contains(&true) {
        return Err(config.bad("\"layer_types\" has layers with a window, and there is no \"sliding_window\""));
    }
    Ok(sliding.iter().map(|sliding| window.filter(|_| *sliding).map(Reach::window)).collect())
}

/// A window that only some settings switch on. Where it is off, its value says nothing.
pub fn window_if_used(config: &HfConfig, default: Option<usize>) -> Result<Option<usize>, LoadError> {
    let used = config.flag(&["use_sliding_window"], false)?;
    config.note_read(&["sliding_window"]);
    if used { config.size_or(&["sliding_window"], default) } else { Ok(None) }
}
