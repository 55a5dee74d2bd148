//! Cohere2 (Command R7B): Cohere with a window and rotation in three of four layers, neither in the others.

use super::cohere;
use super::prelude::*;

pub static FAMILY: Family = Family::new(&["cohere2"], &cohere::FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    // Written by transformers, and what it is anyway.
    config.note_read(&["head_dim", "order_of_interleaved_layers", "rotary_pct", "position_embedding_type"]);
    config.note_read(&["use_embedding_sharing", "use_gated_activation", "use_parallel_block"]);
    config.note_read(&["use_parallel_embedding", "layer_switch"]);
    let rules = Rules { head_dim: HeadDim::Even, max_positions: 8192, ..Rules::LLAMA };
    let sizes = Sizes::read(config, &rules)?;
    let window = config.size_or(&["sliding_window"], Some(4096))?;
    let every = config.opt_size(&["sliding_window_pattern", "_sliding_window_pattern"])?.unwrap_or(4);
    let sliding = sliding_layers(config, sizes.n_layers, |i| !(i + 1).is_multiple_of(every))?;
    let reach = reach(config, &sliding, window)?;
    Ok(ModelSpec {
        placement: Placement::ParallelOne,
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.interleaved())?],
        attention: attention_with_bias(config.flag(&["attention_bias"], false)?),
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        layers: sizes.layers(|i, layer| Layer { rope: sliding[i].then_some(0), reach: reach[i], ..layer }),
        ..decoder("cohere2", &sizes, cohere::norm(from)?, cohere::head(from, "Cohere2")?)
    })
}
