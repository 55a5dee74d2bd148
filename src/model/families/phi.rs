//! Phi-1, 1.5 and 2: attention and MLP side by side after one norm, a part of each head rotates, biases everywhere.

use super::llama;
use super::prelude::*;

static FILES: Files = Files {
    after: &[both("final_layernorm", LnFinalW, LnFinalB)],
    block: &[
        &[
            both("input_layernorm", Ln1W, Ln1B),
            both("self_attn.q_layernorm", QNormW, QNormB),
            both("self_attn.k_layernorm", KNormW, KNormB),
            both("self_attn.dense", W_O, b_O),
            both("mlp.fc1", W_in, b_in),
            both("mlp.fc2", W_out, b_out),
        ],
        llama::ATTENTION,
    ],
    ..llama::NAMES
};

pub static FAMILY: Family = Family::new(&["phi"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules::LLAMA)?;
    let norm = Norm::layer_norm(eps(config, "layer_norm_eps", 1e-5)?);
    let normed = config.flag(&["qk_layernorm"], false)?;
    let qk_norm = normed.then_some(QkNorm { norm, over: QkNormOver::Head });
    let heads = DecoderHead { bias: true, tasks: Task::NO_QUESTION, ..DecoderHead::of("Phi") };
    Ok(ModelSpec {
        placement: Placement::ParallelOne,
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.partial(0.5))?],
        attention: Attention { qk_norm, ..attention_with_bias(true) },
        mlp: Mlp { gated: false, act: act(config, "hidden_act", Act::GeluTanh)?, bias: true, out_bias: true },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("phi", &sizes, norm, heads.read(from, &FILES)?)
    })
}
