//! Mamba-2: blocks of a norm and a state space with one decay for each head, without attention and without an MLP.

use super::prelude::*;
use super::state_space::{self, Mamba2Keys};

const NORM: &[Entry] = &[weight("norm", Ln1W)];
static FILES: Files = Files { block: &[NORM, state_space::mamba2!("mixer")], ..state_space::NAMES };

pub static FAMILY: Family = Family::new(&["mamba2"], &FILES, spec);

const KEYS: Mamba2Keys = Mamba2Keys {
    heads: (&["num_heads"], 128),
    dim: (&["head_dim"], 64),
    groups: (&["n_groups"], 8),
    state: (&["state_size"], 128),
    taps: (&["conv_kernel"], 4),
    conv_bias: &["use_conv_bias"],
    proj_bias: &["use_bias"],
    act: "hidden_act",
    eps: ("layer_norm_epsilon", 1e-5),
};

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    config.note_read(&["time_step_rank"]);
    state_space::unscaled(config)?;
    let sizes = state_space::sizes(config)?;
    let width = config.opt_size(&["expand"])?.unwrap_or(2) * sizes.d_model;
    let space = state_space::of_heads(config, &KEYS, Some(width))?;
    let norm = Norm::rms(space.eps);
    let heads = DecoderHead { tasks: Task::NO_CLASSES, ..DecoderHead::of("Mamba2") };
    Ok(ModelSpec {
        layers: sizes.layers(|_, layer| Layer { mixer: Mixer::StateSpace(space), mlp: false, ..layer }),
        ..decoder("mamba2", &sizes, norm, heads.read(from, &FILES)?)
    })
}
