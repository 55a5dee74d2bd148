//! BERT and RoBERTa with norms before attention and MLP and after the last block: Megatron's BERT, XLM-RoBERTa XL and XXL,
//! and RoBERTa-PreLayerNorm, which is the only one that norms its embeddings.

use super::prelude::*;
use super::{bert, encoder, roberta};

pub static MEGATRON: Family = Family::new(&["megatron-bert"], &MEGATRON_FILES, |from| {
    let spec = bert::spec(from, &MEGATRON_FILES)?;
    Ok(ModelSpec { embed: Embed { norm: false, ..spec.embed }, ..normed_first(spec) })
});

pub static ROBERTA: Family = Family::new(&["roberta-prelayernorm"], &ROBERTA_FILES, |from| {
    Ok(normed_first(roberta::spec(from, &ROBERTA_FILES)?))
});

pub static XLM_ROBERTA_XL: Family = Family::new(&["xlm-roberta-xl"], &XL_FILES, |from| {
    let spec = roberta::spec(from, &XL_FILES)?;
    Ok(ModelSpec { embed: Embed { norm: false, ..spec.embed }, ..normed_first(spec) })
});

fn normed_first(spec: ModelSpec) -> ModelSpec {
    ModelSpec { placement: Placement::Pre, final_norm: true, ..spec }
}

static MEGATRON_FILES: Files = Files {
    block: &[encoder::LINEAR, &[both("attention.ln", Ln1W, Ln1B), both("ln", Ln2W, Ln2B)]],
    after: &[both("encoder.ln", LnFinalW, LnFinalB), both("pooler.dense", PoolerW, PoolerB)],
    ..bert::FILES
};

static ROBERTA_FILES: Files = Files {
    body: "roberta_prelayernorm.",
    block: &[encoder::LINEAR, &[both("attention.LayerNorm", Ln1W, Ln1B), both("intermediate.LayerNorm", Ln2W, Ln2B)]],
    after: &[both("LayerNorm", LnFinalW, LnFinalB)],
    ..roberta::FILES
};

static XL_FILES: Files = Files {
    block: &[encoder::LINEAR, &[both("attention.self_attn_layer_norm", Ln1W, Ln1B), both("LayerNorm", Ln2W, Ln2B)]],
    after: &[both("encoder.LayerNorm", LnFinalW, LnFinalB)],
    ..roberta::FILES
};
