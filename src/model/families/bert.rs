//! BERT: post-norm encoder with learned positions and token types. ERNIE is BERT under another name.

use super::encoder::{self, EncoderHead, encoder, first, only_encoder, transform};
use super::prelude::*;

pub const FILES: Files = Files {
    after: &[both("pooler.dense", PoolerW, PoolerB)],
    heads: &[
        both("cls.predictions.transform.dense", MlmW, MlmB),
        both("cls.predictions.transform.LayerNorm", MlmLnW, MlmLnB),
        Entry::One("cls.predictions", None, Some(b_U)),
        both("cls.predictions.decoder", W_U, b_U),
        classes(SEQUENCE_OR_TOKEN, "classifier"),
        classes(QUESTION, "qa_outputs"),
        classes(&["ForNextSentencePrediction"], "cls.seq_relationship"),
    ],
    ..encoder::FILES
};

const ERNIE: &str = "ernie";

static BERT_FILES: Files = FILES;
static ERNIE_FILES: Files = Files { body: "ernie.", ..FILES };

pub static FAMILY: Family = Family::new(&["bert"], &BERT_FILES, |from| spec(from, &BERT_FILES));
pub static ERNIE_FAMILY: Family = Family::new(&[ERNIE], &ERNIE_FILES, |from| spec(from, &ERNIE_FILES));

pub fn spec(from: &Sources, files: &Files) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    only_encoder(config)?;
    let model_type = config.model_type()?;
    let ernie = model_type == ERNIE;
    if ernie && config.flag(&["use_task_id"], false)? {
        return Err(config.unsupported("use_task_id", true, "embeddings of tasks are not added"));
    }
    let sizes = Sizes::read(config, &Rules { fourfold: false, max_positions: 512, ..Rules::GPT2 })?;
    let act = act(config, "hidden_act", Act::Gelu)?;
    let norm = Norm::layer_norm(eps(config, "layer_norm_eps", 1e-12)?);
    let pooled = first(Act::Tanh);
    let heads = EncoderHead {
        class: match model_type {
            ERNIE => "Ernie",
            "megatron-bert" => "MegatronBert",
            _ => "Bert",
        },
        masked: transform(act, norm),
        bias: true,
        pooled,
        token: None,
    };
    let head = match config.architecture()? {
        Some(name) if name.ends_with("ForNextSentencePrediction") && from.sentence.is_none() => {
            let labels = ["next", "random"].map(str::to_owned).to_vec();
            Head::Sequence { pooled, classes: Classes { labels, bias: true }, scores: None }
        }
        _ => heads.read(from, files)?,
    };
    let spec = encoder(model_type, &sizes, norm, act, Count::Seen, head);
    let token_types = config.opt_size(&["type_vocab_size"])?.unwrap_or(2);
    Ok(ModelSpec { embed: Embed { token_types, ..spec.embed }, ..spec })
}
