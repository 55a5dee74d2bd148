//! MPT: linear biases instead of positions, norms without biases, no biases at all.

use super::gpt2;
use super::prelude::*;

static FILES: Files = Files {
    before: &[weight("wte", W_E)],
    blocks: "blocks",
    after: &[weight("norm_f", LnFinalW)],
    block: &[&[
        weight("norm_1", Ln1W),
        Entry::Qkv("attn.Wqkv", Split::Concat),
        weight("attn.out_proj", W_O),
        weight("norm_2", Ln2W),
        weight("ffn.up_proj", W_in),
        weight("ffn.down_proj", W_out),
    ]],
    ..gpt2::NAMES
};

pub static FAMILY: Family = Family::new(&["mpt"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    // transformers takes no notice of these; where they differ, so do the tensors.
    config.note_read(&["expansion_ratio", "learned_pos_emb", "no_bias", "norm_type", "embedding_fraction"]);
    config.note_read(&["use_sliding_window", "ffn_config"]);
    let sizes = Sizes::read(config, &Rules::GPT2)?;
    let sizes = Sizes { d_mlp: 4 * sizes.d_model, ..sizes };
    if let Some((key, value)) = config.find(&["logit_scale"]) {
        return Err(config.unsupported(key, value, "transformers computes without it"));
    }
    let (mut scale, mut clip) = (sizes.scale(), None);
    if let Some(section) = config.object("attn_config")? {
        for (key, wanted) in [("alibi", true), ("prefix_lm", false), ("qk_ln", false)] {
            if section.flag(&[key], wanted)? != wanted {
                let why =
                    "transformers computes MPT with linear biases, causally, and without norms of queries and keys";
                return Err(section.unsupported(key, !wanted, why));
            }
        }
        if let Some(kind) = section.str(&["attn_type"])?.filter(|kind| *kind != "multihead_attention") {
            return Err(section.unsupported("attn_type", kind, "there is multihead_attention"));
        }
        if let Some(max) = section.opt_number(&["alibi_bias_max"])?.filter(|max| *max != 8.0) {
            return Err(section.unsupported("alibi_bias_max", max, "transformers always computes with 8"));
        }
        scale = section.opt_number(&["softmax_scale"])?.unwrap_or(scale);
        clip = section.opt_number(&["clip_qkv"])?.filter(|clip| *clip != 0.0);
    }
    let norm = Norm::layer_norm(eps(config, "layer_norm_epsilon", 1e-5)?).without_bias();
    let heads = DecoderHead { tied: true, ..DecoderHead::of("Mpt") };
    Ok(ModelSpec {
        positions: Positions::Alibi(Alibi::Mpt),
        attention: Attention { clip, ..attention() },
        mlp: Mlp { gated: false, act: Act::Gelu, bias: false, out_bias: false },
        layers: sizes.layers(|_, layer| Layer { scale, ..layer }),
        ..decoder("mpt", &sizes, norm, heads.read(from, &FILES)?)
    })
}
