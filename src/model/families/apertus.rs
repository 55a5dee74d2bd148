//! Apertus: Llama with norms of each query and key, and a plain MLP whose activation has numbers that are weights.

use serde_json::json;

use super::llama;
use super::prelude::*;

static FILES: Files = Files { block: &[NORMS, llama::ATTENTION, llama::QK_NORMS, llama::MLP, NUMBERS], ..llama::NAMES };

const NORMS: &[Entry] = &[weight("attention_layernorm", Ln1W), weight("feedforward_layernorm", Ln2W)];
const NUMBERS: &[Entry] = &[
    Entry::Named("mlp.act_fn.alpha_p", XieluP, Layout::Vector),
    Entry::Named("mlp.act_fn.alpha_n", XieluN, Layout::Vector),
    Entry::Named("mlp.act_fn.beta", XieluBeta, Layout::Vector),
    Entry::Named("mlp.act_fn.eps", XieluEps, Layout::Vector),
];

pub static FAMILY: Family = Family::new(&["apertus"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = &from.config.with_default_rope(json!({
        "rope_type": "llama3",
        "rope_theta": 12e6,
        "factor": 8.0,
        "original_max_position_embeddings": 8192,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
    }));
    let sizes = Sizes::read(config, &Rules { max_positions: 65536, ..Rules::LLAMA })?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-5)?);
    let act = match config.str(&["hidden_act"])? {
        None | Some("xielu") => Act::Xielu,
        Some(_) => act(config, "hidden_act", Act::Xielu)?,
    };
    let heads = DecoderHead { tasks: &[Task::Causal, Task::Token, Task::Bare], ..DecoderHead::of("Apertus") };
    let qk_norm = Some(QkNorm { norm, over: QkNormOver::Head });
    let attention = attention_with_bias(config.flag(&["attention_bias"], false)?);
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.theta(12e6))?],
        attention: Attention { qk_norm, ..attention },
        mlp: Mlp { gated: false, act, bias: false, out_bias: false },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("apertus", &sizes, norm, heads.read(&Sources { config, ..*from }, &FILES)?)
    })
}
