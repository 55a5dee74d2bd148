//! StarCoder2: rotary positions and grouped heads, layer norms and a plain MLP, perhaps a window.

use super::llama;
use super::prelude::*;

static FILES: Files = Files {
    block: &[llama::NORMS, llama::ATTENTION, &[both("mlp.c_fc", W_in, b_in), both("mlp.c_proj", W_out, b_out)]],
    ..llama::NAMES
};

pub static FAMILY: Family = Family::new(&["starcoder2"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    // Names of what is fixed.
    config.note_read(&["norm_type", "mlp_type"]);
    let sizes = Sizes::read(config, &Rules { max_positions: 4096, ..Rules::LLAMA.kv(2) })?;
    let norm = Norm::layer_norm(eps(config, "norm_epsilon", 1e-5)?);
    let bias = config.flag(&["use_bias"], true)?;
    config.note_read(&["use_sliding_window"]);
    let reach = config.size_or(&["sliding_window"], None)?.map(Reach::window);
    let heads = DecoderHead { tied: true, tasks: Task::NO_QUESTION, ..DecoderHead::of("Starcoder2") };
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: attention_with_bias(bias),
        mlp: Mlp { gated: false, act: act(config, "hidden_act", Act::GeluTanh)?, bias, out_bias: bias },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), reach, ..layer }),
        ..decoder("starcoder2", &sizes, norm, heads.read(from, &FILES)?)
    })
}
