//! BERT and its kin, which llama.cpp does not tell apart by name: the tokenizer and the tensors do.

use serde_json::{Map, Value as Json};

use super::{Description, Done, body, layer_eps, rope};
use crate::model::checkpoint::gguf::facts::Facts;
use crate::model::error::LoadError;

/// BERT, DistilBERT, RoBERTa or XLM-RoBERTa.
pub fn bert(facts: &Facts) -> Result<Description, LoadError> {
    let tokenizer = facts.text("tokenizer.ggml.model")?.unwrap_or("bert");
    match tokenizer {
        "gpt2" => roberta(facts, "roberta", "RobertaModel", "RobertaForSequenceClassification"),
        "t5" => roberta(facts, "xlm-roberta", "XLMRobertaModel", "XLMRobertaForSequenceClassification"),
        _ if facts.has("token_types.weight") => plain(facts),
        _ => match facts.size("tokenizer.ggml.token_type_count")? {
            Some(types) if types > 1 => {
                Err(facts.bad(format!("it has {types} token types, and no tensor \"token_types.weight\"")))
            }
            _ => distilbert(facts),
        },
    }
}

fn plain(facts: &Facts) -> Result<Description, LoadError> {
    let mut description = common(facts, "bert", "BertModel")?
        .set("max_position_embeddings", facts.positions()?)
        .set("type_vocab_size", token_types(facts));
    description.aside.insert("cls.output", "a classifier, whose pooler the file lacks");
    Ok(description)
}

/// The rows before the first real position are left out in the file; they are zeros, as in training.
fn roberta(facts: &Facts, model_type: &str, body: &str, classifier: &str) -> Result<Description, LoadError> {
    let classes = facts.axis("cls.output.weight", 0);
    if classes.is_none() && facts.has("cls.weight") {
        return Err(facts.bad("it has the tensor \"cls.weight\" of a classifier, and no \"cls.output.weight\""));
    }
    let description = common(facts, model_type, if classes.is_some() { classifier } else { body })?;
    let pad = facts.size("tokenizer.ggml.padding_token_id")?.unwrap_or(1);
    let positions = facts.positions()?;
    let offset = pad.checked_add(1).filter(|offset| *offset <= positions);
    let rows = offset.and_then(|offset| Some((offset, positions.checked_add(offset)?)));
    let (offset, rows) = rows.ok_or_else(|| facts.bad(format!("its padding token {pad} is out of range")))?;
    Ok(description
        .set("max_position_embeddings", rows)
        .set("pad_token_id", pad)
        .set("type_vocab_size", token_types(facts))
        .set_some("id2label", classes.map(|classes| labels(facts, classes)).transpose()?)
        .name(&[("cls", "classifier.dense"), ("cls.output", "classifier.out_proj")])
        .done(&["position_embd"], &Done::Shortened(offset)))
}

fn distilbert(facts: &Facts) -> Result<Description, LoadError> {
    Ok(Description::new("distilbert", "DistilBertModel")
        .set("dim", facts.need_size("embedding_length")?)
        .set("n_layers", facts.blocks()?)
        .set("n_heads", facts.heads()?.0)
        .set("hidden_dim", facts.mlp_width()?)
        .set("max_position_embeddings", facts.positions()?)
        .set("vocab_size", facts.vocab()?)
        .set("activation", "gelu")
        .name(EMBEDDINGS)
        .name(&[
            ("blk.{}.attn_q", "transformer.layer.{}.attention.q_lin"),
            ("blk.{}.attn_k", "transformer.layer.{}.attention.k_lin"),
            ("blk.{}.attn_v", "transformer.layer.{}.attention.v_lin"),
            ("blk.{}.attn_output", "transformer.layer.{}.attention.out_lin"),
            ("blk.{}.attn_output_norm", "transformer.layer.{}.sa_layer_norm"),
            ("blk.{}.ffn_up", "transformer.layer.{}.ffn.lin1"),
            ("blk.{}.ffn_down", "transformer.layer.{}.ffn.lin2"),
            ("blk.{}.layer_output_norm", "transformer.layer.{}.output_layer_norm"),
        ]))
}

/// Nomic BERT: rotary positions, and a gated MLP.
pub fn nomic_bert(facts: &Facts) -> Result<Description, LoadError> {
    let theta = facts.theta()?;
    let part = Some(facts.rotary_part()?).filter(|part| *part != 1.0);
    Ok(rope::scaling(facts, body(facts, "nomic_bert", "NomicBertModel")?, theta)?
        .set("hidden_act", "silu")
        .set("max_position_embeddings", facts.need_size("context_length")?)
        .set("type_vocab_size", token_types(facts))
        .set("rotary_emb_base", theta)
        .set_some("rotary_emb_fraction", part)
        .name(&[
            ("token_embd", "embeddings.word_embeddings"),
            ("token_types", "embeddings.token_type_embeddings"),
            ("token_embd_norm", "emb_ln"),
            ("blk.{}.attn_qkv", "encoder.layers.{}.attn.Wqkv"),
            ("blk.{}.attn_output", "encoder.layers.{}.attn.out_proj"),
            ("blk.{}.attn_output_norm", "encoder.layers.{}.norm1"),
            ("blk.{}.ffn_up", "encoder.layers.{}.mlp.fc11"),
            ("blk.{}.ffn_gate", "encoder.layers.{}.mlp.fc12"),
            ("blk.{}.ffn_down", "encoder.layers.{}.mlp.fc2"),
            ("blk.{}.layer_output_norm", "encoder.layers.{}.norm2"),
        ])
        .done(&["token_types"], &Done::Flattened)
        .set("layer_norm_eps", layer_eps(facts)?))
}

/// ModernBERT: windows in two of three layers, which have their own RoPE base.
pub fn modernbert(facts: &Facts) -> Result<Description, LoadError> {
    let layers = facts.blocks()?;
    let classes = facts.axis("cls.output.weight", 0);
    let class = if classes.is_some() { "ModernBertForSequenceClassification" } else { "ModernBertModel" };
    let period = facts.arch_size("attention.sliding_window_pattern")?.filter(|period| *period > 0).unwrap_or(3);
    let layer = |layer: usize| {
        if layer.is_multiple_of(period) { "full_attention" } else { "sliding_attention" }
    };
    // The converter writes both epsilons; the norms are layer norms.
    facts.note_read(&["attention.layer_norm_rms_epsilon"]);
    let theta = facts.arch_number("rope.freq_base")?.unwrap_or(160_000.0);
    let pooling = facts.arch_size("pooling_type")?;
    Ok(rope::scaling(facts, Description::new("modernbert", class), theta)?
        .set("hidden_size", facts.need_size("embedding_length")?)
        .set("num_hidden_layers", layers)
        .set("num_attention_heads", facts.heads()?.0)
        .set("intermediate_size", facts.mlp_width()?)
        .set("max_position_embeddings", facts.need_size("context_length")?)
        .set("vocab_size", facts.vocab()?)
        .set("hidden_activation", facts.text(&facts.key("hidden_act"))?.unwrap_or("gelu"))
        .set("local_attention", facts.need_size("attention.sliding_window")?)
        .set("global_attn_every_n_layers", period)
        .set("layer_types", (0..layers).map(layer).collect::<Vec<_>>())
        .set("global_rope_theta", theta)
        .set("local_rope_theta", facts.arch_number("rope.freq_base_swa")?.unwrap_or(10_000.0))
        .set("attention_bias", facts.has("blk.0.attn_qkv.bias"))
        .set("mlp_bias", facts.has("blk.0.ffn_up.bias"))
        .set("norm_bias", facts.has("output_norm.bias"))
        .set("tie_word_embeddings", true)
        .name(&[
            ("token_embd", "model.embeddings.tok_embeddings"),
            ("token_embd_norm", "model.embeddings.norm"),
            ("output_norm", "model.final_norm"),
            ("blk.{}.attn_norm", "model.layers.{}.attn_norm"),
            ("blk.{}.attn_qkv", "model.layers.{}.attn.Wqkv"),
            ("blk.{}.attn_output", "model.layers.{}.attn.Wo"),
            ("blk.{}.ffn_norm", "model.layers.{}.mlp_norm"),
            ("blk.{}.ffn_up", "model.layers.{}.mlp.Wi"),
            ("blk.{}.ffn_down", "model.layers.{}.mlp.Wo"),
            ("cls", "head.dense"),
            ("cls.norm", "head.norm"),
            ("cls.output", "classifier"),
        ])
        .set("norm_eps", layer_eps(facts)?)
        .set_some("id2label", classes.map(|classes| labels(facts, classes)).transpose()?)
        // How a classifier chooses what it reads.
        .set_some("classifier_pooling", classes.map(|_| if pooling == Some(1) { "mean" } else { "cls" })))
}

fn common(facts: &Facts, model_type: &str, class: &str) -> Result<Description, LoadError> {
    Ok(body(facts, model_type, class)?
        .set("hidden_act", "gelu")
        .set("tie_word_embeddings", true)
        .name(EMBEDDINGS)
        .name(&[
            ("blk.{}.attn_q", "encoder.layer.{}.attention.self.query"),
            ("blk.{}.attn_k", "encoder.layer.{}.attention.self.key"),
            ("blk.{}.attn_v", "encoder.layer.{}.attention.self.value"),
            ("blk.{}.attn_output", "encoder.layer.{}.attention.output.dense"),
            ("blk.{}.attn_output_norm", "encoder.layer.{}.attention.output.LayerNorm"),
            ("blk.{}.ffn_up", "encoder.layer.{}.intermediate.dense"),
            ("blk.{}.ffn_down", "encoder.layer.{}.output.dense"),
            ("blk.{}.layer_output_norm", "encoder.layer.{}.output.LayerNorm"),
        ])
        .done(&["token_types"], &Done::Flattened)
        .set("layer_norm_eps", layer_eps(facts)?))
}

const EMBEDDINGS: &[(&str, &str)] = &[
    ("token_embd", "embeddings.word_embeddings"),
    ("position_embd", "embeddings.position_embeddings"),
    ("token_types", "embeddings.token_type_embeddings"),
    ("token_embd_norm", "embeddings.LayerNorm"),
];

/// Rows of the token-type table; the only row may have become a vector.
fn token_types(facts: &Facts) -> usize {
    facts.shape("token_types.weight").filter(|shape| shape.len() == 2).map_or(1, |shape| shape[0])
}

/// Names of the classes: those of the file, or numbers.
fn labels(facts: &Facts, classes: usize) -> Result<Map<String, Json>, LoadError> {
    let said = facts.texts(&facts.key("classifier.output_labels"))?;
    let label = |i: usize| said.get(i).cloned().unwrap_or_else(|| format!("LABEL_{i}"));
    Ok((0..classes).map(|i| (i.to_string(), label(i).into())).collect())
}
