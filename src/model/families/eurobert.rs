//! EuroBERT: Llama with attention in both directions, whose head that fills masks is an unembedding alone.

use super::llama;
use super::prelude::*;

static FILES: Files = Files {
    heads: &[both("lm_head", W_U, b_U), pooler(SEQUENCE, "dense"), classes(SEQUENCE_OR_TOKEN, "classifier")],
    ..llama::NAMES
};

pub static FAMILY: Family = Family::new(&["eurobert"], &FILES, spec);

const TASKS: &[Task] = &[Task::Masked, Task::Sequence, Task::Token, Task::Bare];

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 8192, ..Rules::LLAMA })?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-5)?);
    let bias = config.flag(&["mlp_bias"], false)?;
    let attention = attention_with_bias(config.flag(&["attention_bias"], false)?);
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: Attention { causal: false, ..attention },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias, out_bias: bias },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("eurobert", &sizes, norm, head(from, bias)?)
    })
}

fn head(from: &Sources, bias: bool) -> Result<Head, LoadError> {
    // The original code's name of `classifier_pooling`, which transformers does not read.
    const OLD: &str = "clf_pooling";
    let config = from.config;
    config.note_read(&["tie_word_embeddings", "classifier_pooling"]);
    let classes = || Ok::<_, LoadError>(Classes { labels: config.labels()?, bias: true });
    Ok(match Task::read(from, &FILES, "EuroBert", TASKS, "ForMaskedLM")? {
        Task::Sequence => {
            let pooling = config.str(&["classifier_pooling"])?.unwrap_or("late");
            if let Some(other) = config.str(&[OLD])?.filter(|other| *other != pooling) {
                let why =
                    format!("transformers reads classifier_pooling, which is {pooling:?}: give both the same value");
                return Err(config.unsupported(OLD, other, why));
            }
            let (pool, late) = match pooling {
                "bos" => (Pool::First, false),
                "mean" => (Pool::Mean, false),
                "late" => (Pool::Mean, true),
                other => {
                    let why = "known values are bos, mean and late";
                    return Err(config.unsupported("classifier_pooling", other, why));
                }
            };
            let transform = Transform { bias: true, act: Act::Gelu, norm: None };
            Head::Sequence {
                pooled: Pooled { pool, transform: Some(transform), late },
                classes: classes()?,
                scores: None,
            }
        }
        Task::Token => Head::Token { transform: None, classes: classes()?, question: false },
        Task::Bare => Head::Bare { sentence: from.sentence.cloned() },
        _ => Head::MaskedLm { transform: None, logits: Logits { bias, ..Logits::plain(FILES.tied(from, false)?) } },
    })
}
