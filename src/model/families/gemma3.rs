//! Gemma 3: Gemma 2 with norms of queries and keys instead of soft caps, and two rotations: one for layers with a
//! window, five in six, and one for the others. Of a model that reads images too, the text part.

use super::prelude::*;
use super::{gemma, gemma2, llama};

static FILES: Files = Files { block: gemma2::BLOCK, ..llama::NAMES };

const ROPES: ByLayerTypeRules =
    ByLayerTypeRules { full: ("rope_theta", 1e6), sliding: ("rope_local_base_freq", 1e4), scaling_of_both: false };

pub static FAMILY: Family = Family::new(&["gemma3_text", "gemma3"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let outer = from.config;
    let Some(text) = outer.nested("text_config")? else { return text_spec(from, outer) };
    outer.note_read(&["vision_config", "mm_tokens_per_image"]);
    text_spec(from, &text)
}

/// The specification of the text part, whose configuration may leave out the widths of the 4b model.
fn text_spec(from: &Sources, config: &HfConfig) -> Result<ModelSpec, LoadError> {
    config.note_read(&["hidden_act"]);
    let config = &config.with_defaults(&[("num_attention_heads", 8), ("vocab_size", 262_208)]);
    let sizes = Sizes::read(config, &Rules { max_positions: 1 << 17, ..Rules::LLAMA.kv(4).head_dim(256) })?;
    let window = config.size_or(&["sliding_window"], Some(4096))?;
    let every = config.opt_size(&["sliding_window_pattern", "_sliding_window_pattern"])?.unwrap_or(6);
    let sliding = sliding_layers(config, sizes.n_layers, |i| !(i + 1).is_multiple_of(every))?;
    let causal = !config.flag(&["use_bidirectional_attention"], false)?;
    // A window in both directions is split between them; if both settings say so, it reaches one token further.
    let wider = usize::from(!config.flag(&["is_causal"], true)?);
    let window = if causal { window } else { window.map(|window| window / 2 + 1 + wider) };
    let reach = reach(config, &sliding, window)?;
    let ByLayerType { full, sliding: local } = by_layer_type(config, sizes.head_dim, &ROPES)?;
    let scale = query_scale(config)?;
    let heads = DecoderHead { tied: true, pad: Some(0), tasks: Task::NO_QUESTION, ..DecoderHead::of("Gemma3") };
    let head = match heads.read(from, &FILES)? {
        Head::CausalLm(logits) => {
            let softcap = config.number_or(&["final_logit_softcapping"], None)?;
            Head::CausalLm(Logits { softcap, ..logits })
        }
        other => other,
    };
    config.note_read(&["final_logit_softcapping"]);
    let norm = gemma::norm(config)?;
    let attention = attention_with_bias(config.flag(&["attention_bias"], false)?);
    if let Some((key, value)) = config.find(&["attn_logit_softcapping"]) {
        return Err(config.unsupported(key, value, "transformers computes gemma3 without it"));
    }
    let qk_norm = Some(QkNorm { norm, over: QkNormOver::Head });
    Ok(ModelSpec {
        placement: Placement::Sandwich,
        embed: gemma::embed(&sizes),
        ropes: vec![full, local],
        attention: Attention { causal, qk_norm, ..attention },
        mlp: Mlp { gated: true, act: act(config, "hidden_activation", Act::GeluTanh)?, bias: false, out_bias: false },
        layers: sizes.layers(|i, layer| {
            let rope = Some(usize::from(sliding[i]));
            Layer { rope, reach: reach[i], scale, ..layer }
        }),
        ..decoder("gemma3", &sizes, norm, head)
    })
}
