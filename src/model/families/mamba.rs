//! Mamba: blocks of a norm and a state space in which every element decays on its own, without attention and without an
//! MLP. FalconMamba norms what the state space is made of.

use super::prelude::*;
use super::state_space::{self, MambaKeys};

const NORM: &[Entry] = &[weight("norm", Ln1W)];
static FILES: Files = Files { block: &[NORM, state_space::mamba!("mixer")], ..state_space::NAMES };

const FALCON: &str = "falcon_mamba";

pub static FAMILY: Family = Family::new(&["mamba", FALCON], &FILES, spec);

const KEYS: MambaKeys = MambaKeys {
    expand: (&["expand"], 2),
    state: (&["state_size"], 16),
    taps: (&["conv_kernel"], 4),
    rank: "time_step_rank",
    conv_bias: &["use_conv_bias"],
    proj_bias: &["use_bias"],
};

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    // It follows from others.
    config.note_read(&["intermediate_size"]);
    state_space::unscaled(config)?;
    let falcon = config.model_type()? == FALCON;
    let sizes = state_space::sizes(config)?;
    let mut space = state_space::of_elements(config, &KEYS, sizes.d_model)?;
    if falcon {
        space.norm = Some(Norm { gain: Gain::None, ..Norm::rms(eps(config, "mixer_rms_eps", 1e-6)?) });
    }
    let norm = Norm::rms(eps(config, "layer_norm_epsilon", 1e-5)?);
    let class = if falcon { "FalconMamba" } else { "Mamba" };
    let heads = DecoderHead { tasks: Task::NO_CLASSES, tied: true, ..DecoderHead::of(class) };
    Ok(ModelSpec {
        layers: sizes.layers(|_, layer| Layer { mixer: Mixer::Selective(space), mlp: false, ..layer }),
        ..decoder(config.model_type()?, &sizes, norm, heads.read(from, &FILES)?)
    })
}
