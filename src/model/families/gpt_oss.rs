//! gpt-oss: sinks in the softmax, biases in attention and experts, a window in every other layer, and experts that bound
//! gate and up.

use serde_json::json;

use super::llama;
use super::prelude::*;

static FILES: Files = Files { block: &[llama::NORMS, llama::ATTENTION, SINKS, EXPERTS], ..llama::NAMES };

const SINKS: &[Entry] = &[Entry::Named("self_attn.sinks", Sinks, Layout::Vector), weight("self_attn.sinks", Sinks)];
const EXPERTS: &[Entry] = &[
    both("mlp.router", W_router, b_router),
    // As GGUF files and packed matrices have them.
    Entry::Experts("mlp.experts", ["gate_proj", "up_proj", "down_proj"]),
    Entry::Interleaved(["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]),
];

pub static FAMILY: Family = Family::new(&["gpt_oss"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let theta = from.config.number(&["rope_theta"], 150_000.0)?;
    let config = &from.config.with_default_rope(json!({
        "rope_type": "yarn",
        "rope_theta": theta,
        "factor": 32.0,
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "truncate": false,
        "original_max_position_embeddings": 4096,
    }));
    // What transformers computes of experts does not depend on it.
    config.note_read(&["hidden_act"]);
    let sizes = Sizes::read(config, &Rules { max_positions: 1 << 17, ..Rules::LLAMA.kv(8).head_dim(64) })?;
    let window = config.size_or(&["sliding_window"], Some(128))?;
    let sliding = sliding_layers(config, sizes.n_layers, |i| i.is_multiple_of(2))?;
    let reach = reach(config, &sliding, window)?;
    let bias = config.flag(&["attention_bias"], true)?;
    let clamped =
        ClampedGate { limit: config.number(&["swiglu_limit"], 7.0)?, alpha: config.number(&["swiglu_alpha"], 1.702)? };
    let all = Experts {
        count: config.opt_size(&["num_local_experts", "num_experts"])?.unwrap_or(128),
        chosen: config.opt_size(&["num_experts_per_tok"])?.unwrap_or(4),
        width: sizes.d_mlp,
        // The softmax over the chosen logits alone is the one over all of them, divided by the sum of the chosen.
        router: Router { normalize: true, ..Router::default() },
        router_bias: true,
        biases: true,
        clamped: Some(clamped),
        ..Experts::default()
    };
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-5)?);
    let heads = DecoderHead { tasks: Task::NO_QUESTION, ..DecoderHead::of("GptOss") };
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.theta(150_000.0))?],
        attention: Attention { sinks: true, ..attention_with_bias(bias) },
        experts: Some(experts(config, all)?),
        layers: sizes.layers(|i, layer| Layer { rope: Some(0), reach: reach[i], experts: true, ..layer }),
        ..decoder("gpt_oss", &sizes, norm, heads.read(&Sources { config, ..*from }, &FILES)?)
    })
}
