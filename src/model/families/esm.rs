//! ESM, models of proteins: RoBERTa with norms before attention and MLP, rotary or learned positions, and embeddings that
//! count masks as tokens that were dropped. Padding begins as zeros.

use super::encoder::{self, EncoderHead, encoder, first, transform};
use super::prelude::*;

static FILES: Files = Files {
    body: "esm.",
    before: &[
        weight("embeddings.word_embeddings", W_E),
        weight("embeddings.position_embeddings", W_pos),
        both("embeddings.layer_norm", EmbedLnW, EmbedLnB),
    ],
    block: &[encoder::LINEAR, &[both("attention.LayerNorm", Ln1W, Ln1B), both("LayerNorm", Ln2W, Ln2B)]],
    after: &[both("encoder.emb_layer_norm_after", LnFinalW, LnFinalB)],
    heads: &[
        both("lm_head.dense", MlmW, MlmB),
        both("lm_head.layer_norm", MlmLnW, MlmLnB),
        Entry::One("lm_head", None, Some(b_U)),
        weight("lm_head.decoder", W_U),
        pooler(SEQUENCE, "classifier.dense"),
        classes(SEQUENCE, "classifier.out_proj"),
        classes(TOKEN, "classifier"),
    ],
    elsewhere: &[
        ("pooler.dense.", "the pooler, which no architecture of this family uses"),
        ("contact_head.", "the head for contacts between amino acids, which is not computed"),
        ("embeddings.position_embeddings.", "a position table that is not used: positions are rotations"),
    ],
    ..encoder::FILES
};

pub static FAMILY: Family = Family::new(&["esm"], &FILES, spec);

/// The share of masks that all models were trained with.
const TRAINED: f64 = 0.15 * 0.8;

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    for key in ["is_decoder", "add_cross_attention", "is_folding_model"] {
        if config.flag(&[key], false)? {
            return Err(config.unsupported(key, true, "this family is computed as an encoder of amino acids only"));
        }
    }
    // The activation is gelu whatever the configuration says; the list of tokens is the tokenizer's.
    config.note_read(&["hidden_act", "vocab_list", "esmfold_config"]);
    let sizes = Sizes::read(config, &Rules { fourfold: false, max_positions: 1026, ..Rules::GPT2 })?;
    let norm = Norm::layer_norm(eps(config, "layer_norm_eps", 1e-12)?);
    let heads = EncoderHead {
        class: "Esm",
        masked: transform(Act::Gelu, norm),
        bias: true,
        pooled: first(Act::Tanh),
        token: None,
    };
    let pad = config.opt_count(&["pad_token_id"])?;
    let (ropes, positions) = match config.str(&["position_embedding_type"])?.unwrap_or("absolute") {
        "rotary" => (vec![rotation(from, &sizes)?], Positions::None),
        "absolute" => {
            let pad = pad.ok_or_else(|| config.missing(&["pad_token_id"]))?;
            if pad + 1 >= sizes.max_positions {
                return Err(config.bad(format!("a pad token of {pad} leaves no positions for others")));
            }
            (Vec::new(), Positions::Learned { rows: sizes.max_positions, count: Count::ById { pad: pad as u32 } })
        }
        other => {
            let why = "known values are absolute and rotary";
            return Err(config.unsupported("position_embedding_type", format!("{other:?}"), why));
        }
    };
    let masks = match config.flag(&["token_dropout"], false)? {
        true => {
            let id = config.opt_count(&["mask_token_id"])?.ok_or_else(|| config.missing(&["mask_token_id"]))?;
            Some(Masks { id: id as u32, trained: TRAINED })
        }
        false => None,
    };
    let embed = Embed {
        norm: config.flag(&["emb_layer_norm_before"], false)?,
        masks,
        zero_padding: true,
        ..Embed::plain(sizes.d_model)
    };
    let rope = (!ropes.is_empty()).then_some(0);
    let spec = encoder("esm", &sizes, norm, Act::Gelu, Count::Seen, heads.read(from, &FILES)?);
    Ok(ModelSpec {
        placement: Placement::Pre,
        final_norm: true,
        embed,
        positions,
        ropes,
        layers: sizes.layers(|_, layer| Layer { rope, ..layer }),
        ..spec
    })
}

/// The rotation. Its frequencies are stored with the weights: some were rounded to 16 bits, and the models were trained so.
fn rotation(from: &Sources, sizes: &Sizes) -> Result<Rope, LoadError> {
    let config = from.config;
    if let Some(width) = config.opt_size(&["head_dim"])?.filter(|width| *width != sizes.head_dim) {
        return Err(config.unsupported("head_dim", width, format!("this family's heads are {} wide", sizes.head_dim)));
    }
    let theta = config.number(&["rope_theta"], 10_000.0)?;
    let (dim, pairing, scaling) = (sizes.head_dim, Pairing::Half, RopeScaling::None);
    let mut rope = Rope { theta, first: 0, dim, pairing, scaling, backwards: false, tabled: false };
    let entries = from.checkpoint.entries();
    let mut names =
        entries.iter().map(|entry| entry.name.as_str()).filter(|name| name.ends_with("rotary_embeddings.inv_freq"));
    let Some(first) = names.next() else { return Ok(rope) };
    if let Some(other) = names.find(|name| !from.checkpoint.same_values(first, name)) {
        return Err(
            config.bad(format!("{first:?} and {other:?} differ: layers with different frequencies are not computed"))
        );
    }
    let Some((file, entry)) = from.checkpoint.find(first) else { return Ok(rope) };
    if entry.count() != rope.pairs() {
        return Err(config.bad(format!(
            "{first:?} has {} frequencies for {} pairs of features",
            entry.count(),
            rope.pairs()
        )));
    }
    let frequencies = file.read_f32(entry)?.into_iter().map(f64::from).collect();
    rope.scaling = RopeScaling::Stored { frequencies };
    Ok(rope)
}
