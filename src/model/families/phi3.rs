//! Phi-3, 3.5 and 4: Llama with fused projections, a window, and rotations stretched by lists of factors.

use super::llama;
use super::prelude::*;

static FILES: Files = Files {
    block: &[
        llama::NORMS,
        &[Entry::Qkv("self_attn.qkv_proj", Split::Concat), weight("self_attn.o_proj", W_O)],
        &[Entry::GateUp("mlp.gate_up_proj"), weight("mlp.down_proj", W_out)],
    ],
    ..llama::NAMES
};

const ROPE: RopeRules = RopeRules { original_max: Some(4096), ..RopeRules::LLAMA.partial(1.0).odd() };

pub static FAMILY: Family = Family::new(&["phi3"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = &renamed(from.config)?;
    let sizes = Sizes::read(config, &Rules { max_positions: 4096, ..Rules::LLAMA })?;
    config.note_read(&["original_max_position_embeddings"]);
    let reach = config.size_or(&["sliding_window"], None)?.map(Reach::window);
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-5)?);
    let heads = DecoderHead { pad: Some(32000), tasks: Task::NO_QUESTION, ..DecoderHead::of("Phi3") };
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &ROPE)?],
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), reach, ..layer }),
        ..decoder("phi3", &sizes, norm, heads.read(from, &FILES)?)
    })
}

/// The configuration with today's name for its way to stretch rotations, the only one there is.
fn renamed(config: &HfConfig) -> Result<HfConfig, LoadError> {
    const KEYS: [&str; 2] = ["rope_scaling", "rope_parameters"];
    for key in KEYS {
        let Some(section) = config.object(key)? else { continue };
        match section.str(&["rope_type", "type"])?.unwrap_or("default") {
            "default" | "longrope" => {}
            "su" | "yarn" => return Ok(config.with_entry(key, "rope_type", "longrope")),
            other => {
                let why = "known types are default and longrope";
                return Err(section.unsupported("rope_type", format!("{other:?}"), why));
            }
        }
    }
    Ok(config.clone())
}
