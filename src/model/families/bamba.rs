//! Bamba: state spaces of Mamba-2's kind in most layers, and attention in the others.

use super::prelude::*;
use super::state_space::{self, Mamba2Keys};
use super::{falcon_h1, llama};

const NORMS: &[Entry] = &[weight("input_layernorm", Ln1W), weight("pre_ff_layernorm", Ln2W)];
static FILES: Files = Files {
    block: &[NORMS, llama::ATTENTION, state_space::mamba2!("mamba"), falcon_h1::MLP],
    after: &[weight("final_layernorm", LnFinalW)],
    ..llama::NAMES
};

pub static FAMILY: Family = Family::new(&["bamba"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 262_144, ..Rules::LLAMA.kv(8) })?;
    // Of training.
    config.note_read(&["z_loss_coefficient"]);
    let attend = config.list("attn_layer_indices")?.unwrap_or_default();
    let attends = |i: usize| attend.iter().any(|index| index.as_u64() == Some(i as u64));
    let width = config.opt_size(&["mamba_expand"])?.unwrap_or(2) * sizes.d_model;
    let space = state_space::of_heads(config, &Mamba2Keys::HYBRID, Some(width))?;
    let norm = Norm::rms(space.eps);
    let heads = DecoderHead { tasks: Task::NO_CLASSES, ..DecoderHead::of("Bamba") };
    let layer = |i: usize, layer: Layer| match attends(i) {
        true => Layer { rope: Some(0), ..layer },
        false => Layer { mixer: Mixer::StateSpace(space), ..layer },
    };
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.partial(0.5))?],
        attention: attention_with_bias(config.flag(&["attention_bias"], false)?),
        mlp: Mlp {
            gated: true,
            act: act(config, "hidden_act", Act::Silu)?,
            bias: config.flag(&["mlp_bias"], false)?,
            out_bias: config.flag(&["mlp_bias"], false)?,
        },
        layers: sizes.layers(layer),
        ..decoder("bamba", &sizes, norm, heads.read(from, &FILES)?)
    })
}
