//! DeBERTa 2 and 3: BERT whose scores are made of contents and distances apart. Distances are vectors of one table, by which
//! each layer multiplies its queries and keys. Usually there are no absolute positions and no token types.

use super::encoder::{EncoderHead, encoder, first, only_encoder, transform};
use super::prelude::*;

static FILES: Files = Files {
    body: "deberta.",
    before: &[
        weight("embeddings.word_embeddings", W_E),
        weight("embeddings.position_embeddings", W_pos),
        weight("embeddings.token_type_embeddings", W_type),
        both("embeddings.LayerNorm", EmbedLnW, EmbedLnB),
        weight("encoder.rel_embeddings", W_rel),
        both("encoder.LayerNorm", RelLnW, RelLnB),
    ],
    blocks: "encoder.layer",
    block: &[&[
        both("attention.self.query_proj", W_Q, b_Q),
        both("attention.self.key_proj", W_K, b_K),
        both("attention.self.value_proj", W_V, b_V),
        both("attention.self.pos_query_proj", W_rel_Q, b_rel_Q),
        both("attention.self.pos_key_proj", W_rel_K, b_rel_K),
        both("attention.output.dense", W_O, b_O),
        both("attention.output.LayerNorm", Ln1W, Ln1B),
        both("intermediate.dense", W_in, b_in),
        both("output.dense", W_out, b_out),
        both("output.LayerNorm", Ln2W, Ln2B),
    ]],
    linear: Layout::OutIn,
    after: &[],
    heads: &[
        both("cls.predictions.transform.dense", MlmW, MlmB),
        both("cls.predictions.transform.LayerNorm", MlmLnW, MlmLnB),
        Entry::One("cls.predictions", None, Some(b_U)),
        both("cls.predictions.decoder", W_U, b_U),
        // The head that is not "legacy".
        both("lm_predictions.lm_head.dense", MlmW, MlmB),
        both("lm_predictions.lm_head.LayerNorm", MlmLnW, MlmLnB),
        Entry::One("lm_predictions.lm_head", None, Some(b_U)),
        pooler(SEQUENCE, "pooler.dense"),
        classes(SEQUENCE_OR_TOKEN, "classifier"),
        classes(QUESTION, "qa_outputs"),
    ],
    elsewhere: &[
        ("mask_predictions.", "the head that tells replaced tokens from others, which no architecture uses"),
        ("embeddings.position_embeddings.", "a position table that is not used: position_biased_input is false"),
        ("encoder.rel_embeddings.", "vectors of distances that no score is made of"),
        ("encoder.LayerNorm.", "the norm of vectors of distances that no score is made of"),
    ],
};

pub static FAMILY: Family = Family::new(&["deberta-v2"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    only_encoder(config)?;
    refuse(config)?;
    // Of a layer that is not there.
    config.note_read(&["conv_act", "conv_groups", "pooler_dropout"]);
    let sizes = Sizes::read(config, &Rules { fourfold: false, max_positions: 512, ..Rules::GPT2 })?;
    for (key, own) in [
        ("embedding_size", sizes.d_model),
        ("pooler_hidden_size", sizes.d_model),
        ("attention_head_size", sizes.head_dim),
    ] {
        if let Some(other) = config.opt_size(&[key])?.filter(|size| *size != own) {
            return Err(config.unsupported(key, other, format!("only {own} is, which follows from the other widths")));
        }
    }
    let pooled = first(act(config, "pooler_hidden_act", Act::Gelu)?);
    let act = act(config, "hidden_act", Act::Gelu)?;
    let norm = Norm::layer_norm(eps(config, "layer_norm_eps", 1e-7)?);
    let legacy = config.flag(&["legacy"], true)?;
    let heads = EncoderHead { class: "DebertaV2", masked: transform(act, norm), bias: true, pooled, token: None };
    let head = match heads.read(from, &FILES)? {
        // The other head multiplies with the token embedding whatever the configuration says.
        Head::MaskedLm { transform, logits } if !legacy => {
            Head::MaskedLm { transform, logits: Logits { tied: true, ..logits } }
        }
        head => head,
    };
    let spec = encoder("deberta-v2", &sizes, norm, act, Count::Seen, head);
    let absolute = config.flag(&["position_biased_input"], true)?;
    let token_types = config.opt_count(&["type_vocab_size"])?.unwrap_or(0);
    let kinds = kinds(config)?;
    let [of_queries, of_keys] = ["c2p", "p2c"].map(|kind| kinds.iter().any(|of| of == kind));
    let terms = 1 + usize::from(of_queries) + usize::from(of_keys);
    let scale = 1.0 / ((sizes.head_dim * terms) as f64).sqrt();
    Ok(ModelSpec {
        embed: Embed { token_types, zero_padding: true, ..spec.embed },
        positions: if absolute { spec.positions } else { Positions::None },
        relative: relative(config, &sizes, norm, (of_queries, of_keys))?,
        attention: Attention { blind: Blind::Padding, ..spec.attention },
        layers: sizes.layers(|_, layer| Layer { scale, ..layer }),
        ..spec
    })
}

fn refuse(config: &HfConfig) -> Result<(), LoadError> {
    const CONV: &str = "conv_kernel_size";
    if let Some(size) = config.opt_count(&[CONV])?.filter(|size| *size > 0) {
        return Err(config.unsupported(CONV, size, "the convolution after the first layer is not computed"));
    }
    Ok(())
}

/// What scores are made of besides contents: a list, or one text with bars.
fn kinds(config: &HfConfig) -> Result<Vec<String>, LoadError> {
    const KEY: &str = "pos_att_type";
    let parts = |text: &str| -> Vec<String> { text.to_lowercase().split('|').map(|part| part.trim().into()).collect() };
    match config.find(&[KEY]) {
        Some((_, serde_json::Value::Array(list))) => {
            Ok(list.iter().filter_map(|kind| Some(kind.as_str()?.to_owned())).collect())
        }
        _ => Ok(config.str(&[KEY])?.map(parts).unwrap_or_default()),
    }
}

fn relative(
    config: &HfConfig,
    sizes: &Sizes,
    norm: Norm,
    (of_queries, of_keys): (bool, bool),
) -> Result<Option<Relative>, LoadError> {
    const BUCKETS: &str = "position_buckets";
    const FARTHEST: &str = "max_relative_positions";
    config.note_read(&["share_att_key", "norm_rel_ebd", BUCKETS, FARTHEST]);
    if !(config.flag(&["relative_attention"], false)? && (of_queries || of_keys)) {
        return Ok(None);
    }
    // A number that is not above zero stands for none.
    let positive = |key: &str| -> Result<Option<usize>, LoadError> {
        match config.opt_number(&[key])? {
            Some(number) if number <= 0.0 => Ok(None),
            _ => config.opt_size(&[key]),
        }
    };
    let farthest = positive(FARTHEST)?.unwrap_or(sizes.max_positions);
    let buckets = match positive(BUCKETS)? {
        Some(1) => {
            return Err(config.unsupported(BUCKETS, 1, "distances are put into 2 buckets at least to each side"));
        }
        Some(span) if farthest <= span / 2 + 1 => {
            let why = format!("{} of {span} buckets are for one distance each, and larger ones need more", span / 2);
            return Err(config.unsupported(FARTHEST, farthest, why));
        }
        Some(span) => Buckets::Centred { span, farthest: Some(farthest) },
        None => Buckets::Centred { span: farthest, farthest: None },
    };
    let Buckets::Centred { span, .. } = buckets else { return Ok(None) };
    let normed = config.str(&["norm_rel_ebd"])?.unwrap_or("none").to_lowercase();
    let normed = normed.split('|').any(|part| part.trim() == "layer_norm");
    let shared = config.flag(&["share_att_key"], false)?;
    let products = Disentangled { of_queries, of_keys, shared, norm: normed.then_some(norm) };
    Ok(Some(Relative { rows: 2 * span, buckets, adds: Adds::Products(products) }))
}
