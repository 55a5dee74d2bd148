//! Nemotron and Minitron: layer norms with gains of 1 + weight, squared relu in a plain MLP, half of each head rotates.

use super::llama;
use super::prelude::*;

static FILES: Files = llama::files(&[
    both("input_layernorm", Ln1W, Ln1B),
    both("self_attn.q_proj", W_Q, b_Q),
    both("self_attn.k_proj", W_K, b_K),
    both("self_attn.v_proj", W_V, b_V),
    both("self_attn.o_proj", W_O, b_O),
    both("post_attention_layernorm", Ln2W, Ln2B),
    both("mlp.up_proj", W_in, b_in),
    both("mlp.down_proj", W_out, b_out),
]);

pub static FAMILY: Family = Family::new(&["nemotron"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    // An early name of the share that rotates, next to today's.
    config.note_read(&["rope_percent", "kv_channels"]);
    let sizes = Sizes::read(config, &Rules { max_positions: 4096, ..Rules::LLAMA })?;
    let norm = Norm { gain: Gain::OnePlus, ..Norm::layer_norm(eps(config, "norm_eps", 1e-5)?) };
    let bias = config.flag(&["mlp_bias"], false)?;
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.partial(0.5).odd())?],
        attention: attention_with_bias(config.flag(&["attention_bias"], false)?),
        mlp: Mlp { gated: false, act: act(config, "hidden_act", Act::Relu2)?, bias },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("nemotron", &sizes, norm, DecoderHead::of("Nemotron").read(from, &FILES)?)
    })
}
