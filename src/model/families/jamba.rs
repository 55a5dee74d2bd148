//! Jamba: state spaces of Mamba's kind with norms inside, attention without positions in every so many layers, and mixtures
//! of experts in every so many.

use super::prelude::*;
use super::state_space::{self, MambaKeys};
use super::{falcon_h1, llama};

const NORMS: &[Entry] = &[weight("input_layernorm", Ln1W), weight("pre_ff_layernorm", Ln2W)];
const EXPERTS: &[Entry] = &[
    weight("feed_forward.router", W_router),
    Entry::Experts("feed_forward.experts", ["gate_proj", "up_proj", "down_proj"]),
    Entry::Merged(["feed_forward.experts.gate_up_proj", "feed_forward.experts.down_proj"], Layout::OutIn),
];
static FILES: Files = Files {
    block: &[NORMS, llama::ATTENTION, state_space::mamba!("mamba"), falcon_h1::MLP, EXPERTS],
    after: &[weight("final_layernorm", LnFinalW)],
    ..llama::NAMES
};

pub static FAMILY: Family = Family::new(&["jamba"], &FILES, spec);

const KEYS: MambaKeys = MambaKeys {
    expand: (&["mamba_expand"], 2),
    state: (&["mamba_d_state"], 16),
    taps: (&["mamba_d_conv"], 4),
    rank: "mamba_dt_rank",
    conv_bias: &["mamba_conv_bias"],
    proj_bias: &["mamba_proj_bias"],
};

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    // A window has no effect in transformers.
    config.note_read(&["sliding_window"]);
    let sizes = Sizes::read(config, &Rules { max_positions: 262_144, ..Rules::LLAMA.kv(8) })?;
    let attends = every(config, ["attn_layer_period", "attn_layer_offset"], [8, 4], sizes.n_layers)?;
    let sparse = every(config, ["expert_layer_period", "expert_layer_offset"], [2, 1], sizes.n_layers)?;
    let count = config.opt_size(&["num_experts", "num_local_experts"])?.unwrap_or(16);
    let all = Experts {
        count,
        chosen: config.opt_size(&["num_experts_per_tok"])?.unwrap_or(2),
        width: sizes.d_mlp,
        ..Experts::default()
    };
    let mixture = count > 1 && sparse.contains(&true);
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    let space = Selective { norm: Some(norm), ..state_space::of_elements(config, &KEYS, sizes.d_model)? };
    let heads = DecoderHead { pad: Some(0), tasks: JAMBA_TASKS, ..DecoderHead::of("Jamba") };
    Ok(ModelSpec {
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        experts: if mixture { Some(experts(config, all)?) } else { None },
        layers: sizes.layers(|i, layer| Layer {
            mixer: if attends[i] { Mixer::Attention } else { Mixer::Selective(space) },
            experts: mixture && sparse[i],
            ..layer
        }),
        ..decoder("jamba", &sizes, norm, heads.read(from, &FILES)?)
    })
}

const JAMBA_TASKS: &[Task] = &[Task::Causal, Task::Sequence, Task::Bare];

/// Which layers come every so many, from the first one on.
fn every(
    config: &HfConfig,
    [period, offset]: [&str; 2],
    [usual_period, usual_offset]: [usize; 2],
    n_layers: usize,
) -> Result<Vec<bool>, LoadError> {
    let every = config.opt_size(&[period])?.unwrap_or(usual_period);
    let first = config.opt_count(&[offset])?.unwrap_or(usual_offset);
    if first >= every {
        return Err(config.bad(format!("{offset:?} is {first}, and {period:?} is {every}")));
    }
    Ok((0..n_layers).map(|layer| layer % every == first).collect())
}
