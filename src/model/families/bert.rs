//! BERT: post-norm encoder with learned positions and token types; bare, or with a classifier or a masked-LM head.

use super::super::config::{D_MLP, D_MODEL, EPS, MAX_POSITIONS, N_HEADS, N_LAYERS};
use super::super::error::LoadError;
use super::super::role::{Role, WeightId};
use super::super::spec::{Act, Attention, Embed, Head, Mlp, ModelSpec, Norm, NormKind, Placement, Positions};
use super::{Family, Layout, Sources, TensorNames, act, even_head_dim, prefix, tied, unsupported_head};

const SUPPORTED: &str = "BertModel, BertForMaskedLM, BertForPreTraining and BertForSequenceClassification";

pub struct Bert;

impl Family for Bert {
    fn model_types(&self) -> &'static [&'static str] {
        &["bert"]
    }

    fn spec(&self, from: &Sources) -> Result<ModelSpec, LoadError> {
        let config = from.config;
        if let Some(kind) = config.str(&["position_embedding_type"])?.filter(|kind| *kind != "absolute") {
            let kind = format!("{kind:?}");
            return Err(config.unsupported("position_embedding_type", kind, "only \"absolute\" is"));
        }
        for key in ["is_decoder", "add_cross_attention"] {
            if config.flag(&[key], false)? {
                return Err(config.unsupported(key, true, "only BERT as an encoder is"));
            }
        }
        let (d_model, n_heads, n_layers) = (config.size(D_MODEL)?, config.size(N_HEADS)?, config.size(N_LAYERS)?);
        let head_dim = even_head_dim(config, d_model, n_heads)?;
        let act = act(config, Act::Gelu)?;
        Ok(ModelSpec {
            family: "bert".into(),
            d_model,
            n_layers,
            n_heads,
            n_kv_heads: n_heads,
            head_dim,
            d_mlp: config.size(D_MLP)?,
            vocab: config.size(&["vocab_size"])?,
            max_positions: config.size(MAX_POSITIONS)?,
            norm: Norm { kind: NormKind::LayerNorm, eps: config.number(EPS, 1e-12)? },
            placement: Placement::Post,
            embed: Embed { token_types: config.opt_size(&["type_vocab_size"])?.unwrap_or(2), norm: true },
            positions: Positions::Learned,
            attention: Attention {
                causal: false,
                scale: vec![1.0 / (head_dim as f64).sqrt(); n_layers],
                qkv_bias: true,
                out_bias: true,
            },
            mlp: Mlp { gated: false, act, bias: true },
            head: head(from, act)?,
        })
    }

    fn names(&self, spec: &ModelSpec, from: &Sources) -> Result<TensorNames, LoadError> {
        let (body, outer) = prefixes(from);
        let mut names = TensorNames::default();
        let global = WeightId::global;
        let embeddings = format!("{body}embeddings");
        names.table(Role::W_E, format!("{embeddings}.word_embeddings.weight"));
        names.table(Role::W_pos, format!("{embeddings}.position_embeddings.weight"));
        names.table(Role::W_type, format!("{embeddings}.token_type_embeddings.weight"));
        let norm = format!("{embeddings}.LayerNorm");
        names.layer_norm(from.checkpoint, global(Role::EmbedLnW), global(Role::EmbedLnB), &norm);
        for i in 0..spec.n_layers {
            block(&mut names, from, i, &format!("{body}encoder.layer.{i}"));
        }
        match &spec.head {
            Head::SequenceClassification { .. } => {
                let pooler = format!("{body}pooler.dense");
                let classifier = format!("{outer}classifier");
                names.linear(global(Role::PoolerW), Some(global(Role::PoolerB)), &pooler, Layout::OutIn);
                names.linear(global(Role::ClassifierW), Some(global(Role::ClassifierB)), &classifier, Layout::OutIn);
            }
            Head::MaskedLm { .. } => masked_lm(&mut names, from, &body, &outer)?,
            Head::CausalLm { .. } | Head::Bare { .. } => {}
        }
        ignore(&mut names, from, &body, &outer);
        Ok(names)
    }
}

fn block(names: &mut TensorNames, from: &Sources, i: usize, base: &str) {
    let id = |role| WeightId::block(i, role);
    for (weight, bias, name) in [
        (Role::W_Q, Role::b_Q, "attention.self.query"),
        (Role::W_K, Role::b_K, "attention.self.key"),
        (Role::W_V, Role::b_V, "attention.self.value"),
        (Role::W_O, Role::b_O, "attention.output.dense"),
    ] {
        names.linear(id(weight), Some(id(bias)), &format!("{base}.{name}"), Layout::OutIn);
    }
    names.layer_norm(from.checkpoint, id(Role::Ln1W), id(Role::Ln1B), &format!("{base}.attention.output.LayerNorm"));
    names.linear(id(Role::W_in), Some(id(Role::b_in)), &format!("{base}.intermediate.dense"), Layout::OutIn);
    names.linear(id(Role::W_out), Some(id(Role::b_out)), &format!("{base}.output.dense"), Layout::OutIn);
    names.layer_norm(from.checkpoint, id(Role::Ln2W), id(Role::Ln2B), &format!("{base}.output.LayerNorm"));
}

fn masked_lm(names: &mut TensorNames, from: &Sources, body: &str, outer: &str) -> Result<(), LoadError> {
    let global = WeightId::global;
    let predictions = format!("{outer}cls.predictions");
    let transform = format!("{predictions}.transform");
    let dense = format!("{transform}.dense");
    names.linear(global(Role::MlmW), Some(global(Role::MlmB)), &dense, Layout::OutIn);
    let norm = format!("{transform}.LayerNorm");
    names.layer_norm(from.checkpoint, global(Role::MlmLnW), global(Role::MlmLnB), &norm);
    let (embedding, decoder) =
        (format!("{body}embeddings.word_embeddings.weight"), format!("{predictions}.decoder.weight"));
    names.tied = tied(from, true, &decoder, &embedding)?;
    if !names.tied {
        names.table(Role::W_U, decoder);
    }
    // The bias has two names for one parameter; some writers keep only the second.
    let (bias, duplicate) = (format!("{predictions}.bias"), format!("{predictions}.decoder.bias"));
    let only_duplicate = !from.checkpoint.has(&bias) && from.checkpoint.has(&duplicate);
    names.vector(global(Role::b_U), if only_duplicate { duplicate } else { bias });
    Ok(())
}

fn ignore(names: &mut TensorNames, from: &Sources, body: &str, outer: &str) {
    let checkpoint = from.checkpoint;
    names.ignore(checkpoint, "stored position numbers, not weights", |name| name.ends_with("embeddings.position_ids"));
    names.ignore(checkpoint, "stored token types, not weights", |name| name.ends_with("embeddings.token_type_ids"));
    let pooler = format!("{body}pooler.");
    names.ignore(checkpoint, "the pooler, which this architecture does not use", |name| name.starts_with(&pooler));
    let next_sentence = format!("{outer}cls.seq_relationship.");
    names.ignore(checkpoint, "the next-sentence head", |name| name.starts_with(&next_sentence));
    let decoder = format!("{outer}cls.predictions.decoder.");
    if names.wanted.iter().any(|wanted| wanted.id.role == Role::b_U) {
        names.ignore(checkpoint, "a duplicate, tied to another tensor", |name| name.starts_with(&decoder));
    }
    let predictions = format!("{outer}cls.predictions.");
    if names.wanted.iter().all(|wanted| wanted.id.role != Role::MlmW) {
        names.ignore(checkpoint, "the masked-LM head, which this architecture does not use", |name| {
            name.starts_with(&predictions)
        });
    }
}

/// Prefix of the body, and of what stands beside it.
fn prefixes(from: &Sources) -> (String, String) {
    let body = prefix(from.checkpoint, "embeddings.word_embeddings.weight", "bert.");
    let outer = body.strip_suffix("bert.").unwrap_or(&body).to_owned();
    (body, outer)
}

fn head(from: &Sources, act: Act) -> Result<Head, LoadError> {
    let (_, outer) = prefixes(from);
    let has = |name: &str| from.checkpoint.has(&format!("{outer}{name}"));
    let architecture = match from.config.architecture()? {
        Some(name) => name,
        None if has("cls.predictions.transform.dense.weight") => "BertForMaskedLM",
        None if has("classifier.weight") => "BertForSequenceClassification",
        None => "BertModel",
    };
    match architecture {
        "BertModel" => Ok(Head::Bare { sentence: from.mean_pooling }),
        "BertForMaskedLM" | "BertForPreTraining" => Ok(Head::MaskedLm { act }),
        "BertForSequenceClassification" => Ok(Head::SequenceClassification { labels: from.config.labels()? }),
        other => Err(unsupported_head(from.config, other, "bert", SUPPORTED)),
    }
}
