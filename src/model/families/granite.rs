//! Granite: Llama with factors on the embedding, the scores, what is added to the residual stream, and the logits.
//! Granite 3 has models with mixtures of experts, whose chosen weights always add up to 1. Granite 4 names its MLP
//! otherwise, may leave out the rotation, and has state spaces in the place of attention in most layers of some models. Its
//! experts have that MLP next to them.

use super::llama;
use super::prelude::*;
use super::state_space::{self, Mamba2Keys};

const SHARED_MLP: &[Entry] = &[
    Entry::GateUp("shared_mlp.input_linear"),
    weight("shared_mlp.output_linear", W_out),
    // Next to experts.
    Entry::Joined("shared_mlp.input_linear.weight", |spec, _| {
        let width = spec.experts?.shared?.width;
        Some(Joined { roles: vec![SharedGate, SharedIn], sizes: vec![width; 2], rounds: 1 })
    }),
    weight("shared_mlp.output_linear", SharedOut),
    // As llama.cpp takes it apart.
    weight("mlp.gate_proj", SharedGate),
    weight("mlp.up_proj", SharedIn),
    weight("mlp.down_proj", SharedOut),
];
const EXPERTS: &[Entry] = &[
    weight("block_sparse_moe.router.layer", W_router),
    Entry::Merged(["block_sparse_moe.input_linear.weight", "block_sparse_moe.output_linear.weight"], Layout::OutIn),
    // As llama.cpp takes them apart, under Mixtral's names.
    Entry::Experts("block_sparse_moe.experts", ["w1", "w3", "w2"]),
];
static FILES: Files = Files {
    block: &[llama::NORMS, llama::ATTENTION, llama::MLP, SHARED_MLP, EXPERTS, state_space::mamba2!("mamba")],
    ..llama::NAMES
};

/// The `model_type` of Granite 4, and of Granite 3 with mixtures of experts.
const HYBRID: &str = "granitemoehybrid";
const MIXTURE: &str = "granitemoe";
const SHARED: &str = "granitemoeshared";

pub static FAMILY: Family = Family::new(&["granite", MIXTURE, SHARED, HYBRID], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let hybrid = config.model_type()? == HYBRID;
    let sizes = Sizes::read(config, &Rules::LLAMA)?;
    let rotates = !hybrid || rotates(config)?;
    let experts = mixture(config, &sizes)?;
    let sizes = match hybrid && experts.is_none() {
        true => Sizes { d_mlp: shared_width(config, 1024)?, ..sizes },
        false => sizes,
    };
    let mixers = if hybrid { mixers(config, &sizes)? } else { vec![Mixer::Attention; sizes.n_layers] };
    let factor = |key: &str| config.number(&[key], 1.0);
    let (scale, divisor) = (factor("attention_multiplier")?, factor("logits_scaling")?);
    if divisor == 0.0 {
        return Err(config.bad("\"logits_scaling\" is 0"));
    }
    let class = match config.model_type()? {
        HYBRID => "GraniteMoeHybrid",
        SHARED => "GraniteMoeShared",
        MIXTURE => "GraniteMoe",
        _ => "Granite",
    };
    let mixture = experts.is_some();
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
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias, out_bias: bias },
        layers: sizes.layers(|i, layer| {
            let rope = rotates.then_some(0).filter(|_| mixers[i].has_attention());
            Layer { mixer: mixers[i], rope, scale, experts: mixture, ..layer }
        }),
        experts,
        residual: Residual::scaled(factor("residual_multiplier")?),
        ..decoder(config.model_type()?, &sizes, norm, head)
    })
}

/// The experts of a model that has any.
fn mixture(config: &HfConfig, sizes: &Sizes) -> Result<Option<Experts>, LoadError> {
    let family = config.model_type()?;
    if ![MIXTURE, SHARED, HYBRID].contains(&family) {
        return Ok(None);
    }
    const CHOSEN: &[&str] = &["num_experts_per_tok"];
    let count = config.opt_count(&["num_local_experts"])?.unwrap_or(8);
    if count == 0 && family == HYBRID {
        config.note_read(CHOSEN);
        return Ok(None);
    }
    let count = config.opt_size(&["num_local_experts"])?.unwrap_or(count);
    let chosen = config.opt_size(CHOSEN)?.unwrap_or(2);
    let shared = match family {
        HYBRID => shared_width(config, 1024)?,
        SHARED => shared_width(config, 0)?,
        _ => 0,
    };
    let shared = (shared > 0).then_some(SharedExpert { width: shared, mixed: false });
    let router = Router { normalize: true, ..Router::default() };
    let all = Experts { count, chosen, width: sizes.d_mlp, router, shared, ..Experts::default() };
    experts(config, all).map(Some)
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
    let width = config.opt_size(&["mamba_expand"])?.unwrap_or(2) * sizes.d_model;
    let keys = Mamba2Keys { eps: ("rms_norm_eps", 1e-6), ..Mamba2Keys::HYBRID };
    let space = state_space::of_heads(config, &keys, Some(width))?;
    Ok(types.into_iter().map(|linear| if linear { Mixer::StateSpace(space) } else { Mixer::Attention }).collect())
}

/// Whether Granite 4 rotates queries and keys.
fn rotates(config: &HfConfig) -> Result<bool, LoadError> {
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
    Ok(rotates)
}

/// The width of the MLP that all tokens pass, next to experts where there are any.
fn shared_width(config: &HfConfig, default: usize) -> Result<usize, LoadError> {
    Ok(config.opt_count(&["shared_intermediate_size"])?.unwrap_or(default))
}
