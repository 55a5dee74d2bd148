//! Nemotron-H: blocks that are one thing each: a state space of Mamba-2's kind, attention without positions, an MLP that
//! squares what is above zero, or a mixture of experts of that kind.

use super::prelude::*;
use super::state_space::{self, Mamba2Keys};

const NORM: &[Entry] = &[weight("norm", Ln1W), weight("norm", Ln2W)];
const ATTENTION: &[Entry] = &[
    weight("mixer.q_proj", W_Q),
    weight("mixer.k_proj", W_K),
    weight("mixer.v_proj", W_V),
    weight("mixer.o_proj", W_O),
];
const MLP: &[Entry] = &[both("mixer.up_proj", W_in, b_in), both("mixer.down_proj", W_out, b_out)];
const EXPERTS: &[Entry] = &[
    weight("mixer.gate", W_router),
    Entry::Named("mixer.gate.e_score_correction_bias", b_choice, Layout::Vector),
    Entry::Experts("mixer.experts", ["gate_proj", "up_proj", "down_proj"]),
    Entry::Stack("mixer.experts.up_proj", W_in),
    Entry::Stack("mixer.experts.down_proj", W_out),
    weight("mixer.shared_experts.up_proj", SharedIn),
    weight("mixer.shared_experts.down_proj", SharedOut),
];
static FILES: Files = Files {
    block: &[NORM, ATTENTION, MLP, EXPERTS, state_space::mamba2!("mixer")],
    elsewhere: &[("mtp.", "for several tokens at once, which are not computed")],
    ..state_space::NAMES
};

pub static FAMILY: Family = Family::new(&["nemotron_h"], &FILES, spec);

const KEYS: Mamba2Keys = Mamba2Keys {
    heads: (&["mamba_num_heads"], 128),
    dim: (&["mamba_head_dim"], 64),
    groups: (&["mamba_n_groups", "n_groups"], 8),
    state: (&["ssm_state_size"], 128),
    taps: (&["mamba_d_conv", "conv_kernel"], 4),
    conv_bias: &["mamba_conv_bias", "use_conv_bias"],
    proj_bias: &["use_bias"],
    act: "mamba_hidden_act",
    eps: ("layer_norm_epsilon", 1e-5),
};

const ROUTER: SigmoidRules = SigmoidRules {
    count: Some(8),
    chosen: Some(2),
    width: 7688,
    shared: Some(1),
    normalize: true,
    scale: 1.0,
    groups: 1,
    kept: 1,
};

/// What a block is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    StateSpace,
    Attention,
    Mlp,
    Experts,
}

/// Settings that have no effect: what follows from others, training, and several tokens at once.
const UNUSED: &[&str] = &[
    "expand",
    "rescale_prenorm_residual",
    "mamba_expand",
    "mamba_proj_bias",
    "mamba_dt_limit",
    "time_step_limit",
    "mamba_dt_max",
    "mamba_dt_init_floor",
    "moe_shared_expert_overlap",
    "mtp_layers_block_type",
    "mtp_hybrid_override_pattern",
    "num_nextn_predict_layers",
    "n_shared_experts",
    "attention_bias",
    "sliding_window",
];

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    config.note_read(UNUSED);
    let kinds = kinds(config)?;
    // Its own number of blocks is that of their kinds.
    config.note_read(&["num_hidden_layers"]);
    let config = &config.with_size("num_hidden_layers", kinds.len());
    let width = config.opt_size(&["intermediate_size"])?.unwrap_or(21504);
    let config = &config.with_defaults(&[("intermediate_size", width), ("num_attention_heads", 32)]);
    let sizes = Sizes::read(config, &Rules { max_positions: 4096, ..Rules::LLAMA.kv(8).head_dim(128) })?;
    // transformers bounds the steps of a whole text, and not those of a token that follows it.
    let least_step = config.number(&["mamba_dt_min", "time_step_min"], 0.001)?;
    let space = StateSpace { least_step, ..state_space::of_heads(config, &KEYS, None)? };
    let norm = Norm::rms(space.eps);
    let bias = config.flag(&["mlp_bias"], false)?;
    let sparse = kinds.contains(&Kind::Experts);
    if !sparse {
        config.note_read(OF_EXPERTS);
    }
    if bias && sparse {
        return Err(config.unsupported("mlp_bias", true, "biases next to experts are not computed"));
    }
    let heads = DecoderHead { tasks: Task::NO_CLASSES, ..DecoderHead::of("NemotronH") };
    let layer = |i: usize, layer: Layer| match kinds[i] {
        Kind::StateSpace => Layer { mixer: Mixer::StateSpace(space), mlp: false, ..layer },
        Kind::Attention => Layer { mlp: false, ..layer },
        Kind::Mlp => Layer { mixer: Mixer::None, ..layer },
        Kind::Experts => Layer { mixer: Mixer::None, experts: true, ..layer },
    };
    Ok(ModelSpec {
        mlp: Mlp { gated: false, act: act(config, "mlp_hidden_act", Act::Relu2)?, bias, out_bias: bias },
        experts: if sparse { Some(mixture(config)?) } else { None },
        layers: sizes.layers(layer),
        ..decoder("nemotron_h", &sizes, norm, heads.read(from, &FILES)?)
    })
}

/// What says nothing where no block has experts.
const OF_EXPERTS: &[&str] = &[
    "n_routed_experts",
    "num_local_experts",
    "num_experts_per_tok",
    "moe_intermediate_size",
    "moe_shared_expert_intermediate_size",
    "moe_latent_size",
    "n_group",
    "topk_group",
    "norm_topk_prob",
    "routed_scaling_factor",
];

fn mixture(config: &HfConfig) -> Result<Experts, LoadError> {
    const LATENT: &str = "moe_latent_size";
    if let Some(latent) = config.opt_size(&[LATENT])? {
        return Err(config.unsupported(LATENT, latent, "experts of a projected input are not computed"));
    }
    let width = config.opt_size(&["moe_shared_expert_intermediate_size"])?.unwrap_or(7688);
    let shared = Some(SharedExpert { width, mixed: false });
    Ok(Experts { shared, ..by_sigmoids(config, &ROUTER)? })
}

/// The kinds of all blocks: a list of them, or a letter for each.
fn kinds(config: &HfConfig) -> Result<Vec<Kind>, LoadError> {
    const PATTERN: &str = "hybrid_override_pattern";
    config.note_read(&["layers_block_type", "layer_types", PATTERN]);
    let (list, types) = (config.list("layers_block_type")?, config.list("layer_types")?);
    if let Some((key, list)) = list.map(|list| ("layers_block_type", list)).or(types.map(|list| ("layer_types", list)))
    {
        let kind = |value: &serde_json::Value| match value.as_str() {
            Some("linear_attention" | "mamba") => Ok(Kind::StateSpace),
            Some("full_attention" | "attention") => Ok(Kind::Attention),
            Some("mlp") => Ok(Kind::Mlp),
            Some("moe") => Ok(Kind::Experts),
            _ => Err(config.unsupported(key, value, "known kinds are linear_attention, full_attention, mlp and moe")),
        };
        return list.iter().map(kind).collect();
    }
    let Some(pattern) = config.str(&[PATTERN])? else {
        return Ok(vec![Kind::StateSpace, Kind::Experts, Kind::Attention, Kind::Mlp]);
    };
    let kind = |letter: char| match letter {
        'M' => Ok(Kind::StateSpace),
        '*' => Ok(Kind::Attention),
        '-' => Ok(Kind::Mlp),
        'E' => Ok(Kind::Experts),
        other => Err(config.unsupported(PATTERN, other, "known letters are M, *, - and E")),
    };
    pattern.chars().map(kind).collect()
}
