//! ELECTRA: BERT with an embedding that may be narrower than the model; its pretraining distinguishes replaced tokens
//! from real ones.

use super::encoder::{self, EncoderHead, encoder, first, only_encoder, transform};
use super::prelude::*;

/// The architecture that distinguishes replaced tokens from real ones.
const PRETRAINING: &[&str] = &["ForPreTraining"];

static FILES: Files = Files {
    body: "electra.",
    heads: &[
        both("generator_predictions.dense", MlmW, MlmB),
        both("generator_predictions.LayerNorm", MlmLnW, MlmLnB),
        both("generator_lm_head", W_U, b_U),
        pooler(SEQUENCE, "classifier.dense"),
        classes(SEQUENCE, "classifier.out_proj"),
        classes(TOKEN, "classifier"),
        classes(QUESTION, "qa_outputs"),
        pooler(PRETRAINING, "discriminator_predictions.dense"),
        classes(PRETRAINING, "discriminator_predictions.dense_prediction"),
    ],
    ..encoder::FILES
};

pub static FAMILY: Family = Family::new(&["electra"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    only_encoder(config)?;
    let sizes = Sizes::read(config, &Rules { fourfold: false, max_positions: 512, ..Rules::GPT2 })?;
    let act = act(config, "hidden_act", Act::Gelu)?;
    let norm = Norm::layer_norm(eps(config, "layer_norm_eps", 1e-12)?);
    let masked = transform(Act::Gelu, norm);
    let heads = EncoderHead { class: "Electra", masked, bias: true, pooled: first(Act::Gelu), token: None };
    let head = match config.architecture()? {
        Some(name) if name.ends_with("ForPreTraining") => {
            let classes = Classes { labels: vec!["replaced".to_owned()], bias: true };
            Head::Token { transform: Some(Transform { bias: true, act, norm: None }), classes, question: false }
        }
        _ => heads.read(from, &FILES)?,
    };
    let spec = encoder("electra", &sizes, norm, act, Count::Seen, head);
    let width = config.opt_size(&["embedding_size"])?.unwrap_or(128);
    let project = (width != sizes.d_model).then_some(Projection::OfSum);
    let token_types = config.opt_size(&["type_vocab_size"])?.unwrap_or(2);
    Ok(ModelSpec { embed: Embed { width, project, token_types, ..spec.embed }, ..spec })
}
