//! GPT-Neo: learned positions, unscaled attention, alternating with and without a window.

use super::super::config::HfConfig;
use super::super::error::LoadError;
use super::super::role::Role::*;
use super::super::spec::{Act, Attention, Blind, Count, Layer, Mlp, ModelSpec, Norm, Positions};
use super::files::{DECODER_HEADS, both, weight};
use super::read::{DecoderHead, Rules, Sizes, act, attention, decoder, eps};
use super::{Family, Files, Layout, Sources};

pub struct GptNeo;

static FILES: Files = Files {
    body: "transformer.",
    before: &[weight("wte", W_E), weight("wpe", W_pos)],
    blocks: "h",
    block: &[
        both("ln_1", Ln1W, Ln1B),
        weight("attn.attention.q_proj", W_Q),
        weight("attn.attention.k_proj", W_K),
        weight("attn.attention.v_proj", W_V),
        both("attn.attention.out_proj", W_O, b_O),
        both("ln_2", Ln2W, Ln2B),
        both("mlp.c_fc", W_in, b_in),
        both("mlp.c_proj", W_out, b_out),
    ],
    linear: Layout::OutIn,
    after: &[both("ln_f", LnFinalW, LnFinalB)],
    heads: DECODER_HEADS,
    elsewhere: &[],
};

impl Family for GptNeo {
    fn model_types(&self) -> &'static [&'static str] {
        &["gpt_neo"]
    }

    fn files(&self) -> &'static Files {
        &FILES
    }

    fn spec(&self, from: &Sources) -> Result<ModelSpec, LoadError> {
        let config = from.config;
        let sizes = Sizes::read(config, &Rules::GPT2)?;
        let window = config.size_or(&["window_size"], Some(256))?.unwrap_or(256);
        let local = local_layers(config, sizes.n_layers)?;
        let heads = DecoderHead { tied: true, ..DecoderHead::of("GPTNeo") };
        let norm = Norm::layer_norm(eps(config, "layer_norm_epsilon", 1e-5)?);
        let reach = |i: usize| local[i].then_some(window - 1);
        Ok(ModelSpec {
            positions: Positions::Learned { rows: sizes.max_positions, count: Count::Seen },
            attention: Attention { out_bias: true, blind: Blind::Visible, ..attention() },
            mlp: Mlp { gated: false, act: act(config, "activation_function", Act::GeluTanh)?, bias: true },
            layers: sizes.layers(|i, layer| Layer { scale: 1.0, reach: reach(i), ..layer }),
            ..decoder("gpt_neo", &sizes, norm, heads.read(from, &FILES)?)
        })
    }
}

/// `attention_types`, a list such as `[[["global", "local"], 12]]`: which layers have a window.
fn local_layers(config: &HfConfig, n_layers: usize) -> Result<Vec<bool>, LoadError> {
    config.note_read(&["attention_layers"]);
    let wrong = || config.bad("\"attention_types\" is no list such as [[[\"global\", \"local\"], 12]]");
    let mut local = Vec::new();
    match config.list("attention_types")? {
        None => local = (0..24).map(|i| i % 2 == 1).collect(),
        Some(groups) => {
            for group in groups {
                let names = group.get(0).and_then(|names| names.as_array()).ok_or_else(wrong)?;
                let times = group.get(1).and_then(|times| times.as_u64()).ok_or_else(wrong)?;
                for _ in 0..times.min(n_layers as u64) {
                    for name in names {
                        local.push(match name.as_str() {
                            Some("global") => false,
                            Some("local") => true,
                            _ => return Err(config.unsupported("attention_types", name, "there is global and local")),
                        });
                    }
                }
            }
        }
    }
    if local.len() == n_layers {
        Ok(local)
    } else {
        Err(config.bad(format!("\"attention_types\" is for {} layers, the model has {n_layers}", local.len())))
    }
}
