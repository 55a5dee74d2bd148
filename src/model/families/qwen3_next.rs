//! Qwen3-Next and Qwen 3.5: gated DeltaNet in three of four layers and gated attention in the others, with gains `1 + w`;
//! dense MLPs, or mixtures of experts with a shared one. The two differ in how the projections of the DeltaNet are joined.

use super::prelude::*;
use super::{llama, qwen2_moe};
use crate::model::role::{Role, WeightId};

const ATTENTION: &[Entry] = &[
    Entry::Joined("self_attn.q_proj.weight", |spec, id| gated(spec, id, [W_Q, AttnGateW])),
    Entry::Joined("self_attn.q_proj.bias", |spec, id| gated(spec, id, [b_Q, AttnGateB])),
    both("self_attn.k_proj", W_K, b_K),
    both("self_attn.v_proj", W_V, b_V),
    both("self_attn.o_proj", W_O, b_O),
];
const DELTA: &[Entry] = &[
    Entry::Joined("linear_attn.in_proj_qkvz.weight", grouped),
    Entry::Joined("linear_attn.in_proj_ba.weight", grouped_rates),
    Entry::Joined("linear_attn.in_proj_qkv.weight", |spec, id| side_by_side(spec, id, [MixQ, MixK, MixV])),
    Entry::Joined("linear_attn.conv1d.weight", |spec, id| side_by_side(spec, id, [MixConvQ, MixConvK, MixConvV])),
    weight("linear_attn.in_proj_z", MixGate),
    weight("linear_attn.in_proj_b", MixB),
    weight("linear_attn.in_proj_a", MixA),
    Entry::Named("linear_attn.A_log", MixRate, Layout::Vector),
    Entry::Named("linear_attn.dt_bias", MixStep, Layout::Vector),
    weight("linear_attn.norm", MixNormW),
    weight("linear_attn.out_proj", MixO),
];
static FILES: Files = Files {
    block: &[llama::NORMS, ATTENTION, llama::QK_NORMS, DELTA, llama::MLP, llama::EXPERTS, qwen2_moe::SHARED],
    elsewhere: &[("mtp.", "for several tokens at once, which are not computed")],
    ..llama::NAMES
};

/// The `model_type` of Qwen3-Next.
const NEXT: &str = "qwen3_next";

pub static FAMILY: Family = Family::new(&[NEXT, "qwen3_5_text", "qwen3_5_moe_text"], &FILES, spec);

/// What transformers does not look at: of prediction of several tokens, and what it does anyway.
const SAID_AGAIN: &[&str] =
    &["attn_output_gate", "mamba_ssm_dtype", "mtp_num_hidden_layers", "mtp_use_dedicated_embeddings"];

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    config.note_read(SAID_AGAIN);
    let family = config.model_type()?;
    let (next, mixture) = (family == NEXT, family != "qwen3_5_text");
    // Of a model whose layers all have experts, nothing says how wide an MLP would be.
    let config = &if family == "qwen3_5_moe_text" {
        config.with_defaults(&[("intermediate_size", config.opt_size(&["moe_intermediate_size"])?.unwrap_or(512))])
    } else {
        config.clone()
    };
    let kv = if mixture { 2 } else { 4 };
    let sizes = Sizes::read(config, &Rules { max_positions: 32768, ..Rules::LLAMA.kv(kv).head_dim(256) })?;
    let width = |key, default| Ok::<_, LoadError>(config.opt_size(&[key])?.unwrap_or(default));
    let norm = Norm { gain: Gain::OnePlus, ..Norm::rms(eps(config, "rms_norm_eps", 1e-6)?) };
    let act = act(config, "hidden_act", Act::Silu)?;
    let delta = Delta {
        key_heads: width("linear_num_key_heads", 16)?,
        heads: width("linear_num_value_heads", 32)?,
        key_dim: width("linear_key_head_dim", 128)?,
        dim: width("linear_value_head_dim", 128)?,
        taps: width("linear_conv_kernel_dim", 4)?,
        act,
        eps: norm.eps,
    };
    if !delta.heads.is_multiple_of(delta.key_heads) {
        let (heads, keys) = (delta.heads, delta.key_heads);
        return Err(config.bad(format!("{heads} heads of values cannot share {keys} heads of keys evenly")));
    }
    let all = Experts {
        count: width("num_experts", if next { 512 } else { 256 })?,
        chosen: width("num_experts_per_tok", if next { 10 } else { 8 })?,
        width: width("moe_intermediate_size", 512)?,
        router: Router { normalize: !next || config.flag(&["norm_topk_prob"], true)?, ..Router::default() },
        shared: Some(SharedExpert { width: width("shared_expert_intermediate_size", 512)?, mixed: true }),
        ..Experts::default()
    };
    let sparse = if next { sparse_layers(config, sizes.n_layers)? } else { vec![mixture; sizes.n_layers] };
    let linear = linear_layers(config, sizes.n_layers)?;
    let (class, tasks) = match family {
        NEXT => ("Qwen3Next", Task::DECODER),
        "qwen3_5_text" => ("Qwen3_5", Task::NO_QUESTION),
        _ => ("Qwen3_5Moe", Task::NO_CLASSES),
    };
    let heads = DecoderHead { tasks, ..DecoderHead::of(class) };
    let bias = config.flag(&["attention_bias"], false)?;
    let qk_norm = Some(QkNorm { norm, over: QkNormOver::Head });
    let layer = |i: usize, layer: Layer| match linear[i] {
        true => Layer { mixer: Mixer::Delta(delta), experts: sparse[i], ..layer },
        false => Layer { rope: Some(0), experts: sparse[i], ..layer },
    };
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.partial(0.25))?],
        attention: Attention { gate: true, qk_norm, ..attention_with_bias(bias) },
        mlp: Mlp { gated: true, act, bias: false, out_bias: false },
        layers: sizes.layers(layer),
        experts: if mixture { Some(experts(config, all)?) } else { None },
        ..decoder(family, &sizes, norm, heads.read(from, &FILES)?)
    })
}

/// Which layers have no softmax attention: `layer_types`, or all but every `full_attention_interval`-th.
fn linear_layers(config: &HfConfig, n_layers: usize) -> Result<Vec<bool>, LoadError> {
    let interval = config.opt_size(&["full_attention_interval"])?.unwrap_or(4);
    let kinds = layer_kinds(config, n_layers, &["full_attention", "linear_attention"])?;
    let usual = || (0..n_layers).map(|i| !(i + 1).is_multiple_of(interval)).collect();
    Ok(kinds.map_or_else(usual, |kinds| kinds.into_iter().map(|kind| kind == 1).collect()))
}

/// Query and gate of each head.
fn gated(spec: &ModelSpec, _: WeightId, roles: [Role; 2]) -> Option<Joined> {
    Some(Joined { roles: roles.to_vec(), sizes: vec![spec.head_dim; 2], rounds: spec.n_heads })
}

fn delta(spec: &ModelSpec, id: WeightId) -> Option<Delta> {
    match spec.layers.get(usize::from(id.layer?))?.mixer {
        Mixer::Delta(delta) => Some(delta),
        _ => None,
    }
}

/// All queries, all keys, all values.
fn side_by_side(spec: &ModelSpec, id: WeightId, roles: [Role; 3]) -> Option<Joined> {
    let delta = delta(spec, id)?;
    Some(Joined { roles: roles.to_vec(), sizes: vec![delta.keys(), delta.keys(), delta.values()], rounds: 1 })
}

/// Of each head of keys of Qwen3-Next: its query, its key, its values, and their gates.
fn grouped(spec: &ModelSpec, id: WeightId) -> Option<Joined> {
    let delta = delta(spec, id).filter(|_| spec.family == NEXT)?;
    let (key, values) = (delta.key_dim, delta.values() / delta.key_heads);
    let roles = vec![MixQ, MixK, MixV, MixGate];
    Some(Joined { roles, sizes: vec![key, key, values, values], rounds: delta.key_heads })
}

/// Of each head of keys of Qwen3-Next: the learning rates and the decays of its values.
fn grouped_rates(spec: &ModelSpec, id: WeightId) -> Option<Joined> {
    let delta = delta(spec, id).filter(|_| spec.family == NEXT)?;
    let heads = delta.heads / delta.key_heads;
    Some(Joined { roles: vec![MixB, MixA], sizes: vec![heads; 2], rounds: delta.key_heads })
}
