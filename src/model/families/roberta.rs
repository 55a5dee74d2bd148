//! RoBERTa, XLM-RoBERTa, CamemBERT and data2vec for text: BERT with positions that start after the id of the pad token, and other heads.

use super::encoder::{self, EncoderHead, encoder, first, only_encoder, transform};
use super::prelude::*;

static ROBERTA_FILES: Files = FILES;

/// The `model_type` of XLM-RoBERTa XL and XXL, which leave out other settings.
const XL: &str = "xlm-roberta-xl";

pub const FILES: Files = Files {
    body: "roberta.",
    heads: &[
        both("lm_head.dense", MlmW, MlmB),
        both("lm_head.layer_norm", MlmLnW, MlmLnB),
        Entry::One("lm_head", None, Some(b_U)),
        both("lm_head.decoder", W_U, b_U),
        pooler(SEQUENCE, "classifier.dense"),
        classes(SEQUENCE, "classifier.out_proj"),
        classes(TOKEN, "classifier"),
        classes(QUESTION, "qa_outputs"),
    ],
    elsewhere: &[("pooler.dense.", "the pooler, which no architecture of this family uses")],
    ..encoder::FILES
};

static DATA2VEC_FILES: Files = Files { body: "data2vec_text.", ..FILES };

pub static FAMILY: Family =
    Family::new(&["roberta", "xlm-roberta", "camembert"], &ROBERTA_FILES, |from| spec(from, &ROBERTA_FILES));
pub static DATA2VEC_FAMILY: Family =
    Family::new(&["data2vec-text"], &DATA2VEC_FILES, |from| spec(from, &DATA2VEC_FILES));

pub fn spec(from: &Sources, files: &Files) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    only_encoder(config)?;
    let (family, class) = match config.model_type()? {
        "xlm-roberta" => ("xlm-roberta", "XLMRoberta"),
        "camembert" => ("camembert", "Camembert"),
        "data2vec-text" => ("data2vec-text", "Data2VecText"),
        "roberta-prelayernorm" => ("roberta-prelayernorm", "RobertaPreLayerNorm"),
        "xlm-roberta-xl" => (XL, "XLMRobertaXL"),
        _ => ("roberta", "Roberta"),
    };
    let (max_positions, usual_eps, types) = if family == XL { (514, 1e-5, 1) } else { (512, 1e-12, 2) };
    let sizes = Sizes::read(config, &Rules { fourfold: false, max_positions, ..Rules::GPT2 })?;
    let act = act(config, "hidden_act", Act::Gelu)?;
    let norm = Norm::layer_norm(eps(config, "layer_norm_eps", usual_eps)?);
    // The masked-LM head has gelu whatever the blocks have.
    let masked = transform(Act::Gelu, norm);
    let heads = EncoderHead { class, masked, bias: true, pooled: first(Act::Tanh), token: None };
    let pad = config.opt_count(&["pad_token_id"])?.unwrap_or(1);
    if pad + 1 >= sizes.max_positions {
        return Err(config.bad(format!("a pad token of {pad} leaves no positions for others")));
    }
    let count = Count::ById { pad: pad as u32 };
    let spec = encoder(family, &sizes, norm, act, count, heads.read(from, files)?);
    let token_types = config.opt_size(&["type_vocab_size"])?.unwrap_or(types);
    Ok(ModelSpec { embed: Embed { token_types, ..spec.embed }, ..spec })
}
