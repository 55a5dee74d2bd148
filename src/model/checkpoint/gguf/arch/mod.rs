//! Every architecture of llama.cpp that is one of ours: what its metadata means as a `config.json`, what transformers
//! calls its tensors, and what llama.cpp's converter did to them.
//!
//! The families then read a GGUF file like any other checkpoint. Names and changes follow llama.cpp's converter
//! (`convert_hf_to_gguf.py`) and the `gguf` package's tables of tensor names; what a file does not say (the pattern of
//! windows, whether expert weights are normalised) follows llama.cpp's own code for the architecture.

mod decoders;
mod encoders;
mod gemma;
mod gemma4;
mod gpt;
mod granite;
mod jamba;
mod latent;
mod llama;
mod moe;
mod rope;
mod spaces;

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::facts::Facts;
use super::reader::Value;
use crate::model::checkpoint::arrange::RowOrder;
use crate::model::error::LoadError;
use crate::model::families;

#[derive(Debug, Default)]
pub struct Description {
    /// Its configuration, in the keys of transformers.
    pub config: Map<String, Json>,
    /// What transformers calls its tensors, without `.weight` and `.bias`, and what was done to them. Numbers are `{}`
    /// for the block, then `{e}`.
    pub names: BTreeMap<&'static str, (&'static str, Done)>,
    /// Weights that are numbers of the metadata: their names and shapes, and where each is in the file, in 32 bits.
    pub given: Vec<(String, Vec<usize>, std::ops::Range<usize>)>,
    /// Tensors that are not weights: their names, and what they are for.
    pub aside: BTreeMap<&'static str, &'static str>,
}

/// What the converter did to a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    Nothing,
    /// A matrix of GPT-2 was turned from `[in, out]` to `[out, in]`.
    Transposed,
    Reordered(RowOrder),
    /// 1 was added to the gains of a norm.
    OneAdded,
    /// Its only row may have become a vector.
    Flattened,
    /// It has one axis, of which there may be several in the file.
    Folded,
    /// Its first two axes are one.
    Level,
    /// The taps of convolutions of each channel, whose middle axis of one was left out.
    Channels,
    /// Rates of decay, of which it has the logarithms, and the file their opposites.
    Rates,
    /// Its whole name is that, without the ending of the one in the file.
    Alone,
    /// The first rows were left out.
    Shortened(usize),
    /// One tensor for each index of the first axis was stacked.
    Stacked,
    /// Several matrices were joined by rows: the name, rows and order of each.
    Joined(Vec<(&'static str, usize, RowOrder)>),
}

impl Description {
    fn new(model_type: &str, class: &str) -> Self {
        Description::default().set("model_type", model_type).set("architectures", json!([class]))
    }

    /// Names in which nothing was changed.
    fn name(mut self, names: &[(&'static str, &'static str)]) -> Self {
        self.names.extend(names.iter().map(|&(ours, theirs)| (ours, (theirs, Done::Nothing))));
        self
    }

    /// Says what was done to tensors that have names.
    fn done(mut self, tensors: &[&'static str], done: &Done) -> Self {
        for tensor in tensors {
            self.names.entry(tensor).and_modify(|name| name.1 = done.clone());
        }
        self
    }

    fn set(mut self, key: &str, value: impl Into<Json>) -> Self {
        self.config.insert(key.into(), value.into());
        self
    }

    /// Sets what is there.
    fn set_some(self, key: &str, value: Option<impl Into<Json>>) -> Self {
        match value {
            Some(value) => self.set(key, value),
            None => self,
        }
    }
}

type Describe = fn(&Facts) -> Result<Description, LoadError>;

const ARCHITECTURES: &[(&str, Describe)] = &[
    ("apertus", decoders::apertus),
    ("arcee", llama::arcee),
    ("bert", encoders::bert),
    ("bloom", gpt::bloom),
    ("chatglm", decoders::chatglm),
    ("cohere2", decoders::cohere2),
    ("command-r", decoders::cohere),
    ("deepseek2", latent::deepseek2),
    ("dots1", moe::dots1),
    ("ernie4_5", decoders::ernie4_5),
    ("exaone4", decoders::exaone4),
    ("falcon", gpt::falcon),
    ("falcon-h1", spaces::falcon_h1),
    ("gemma", gemma::gemma),
    ("gemma-embedding", gemma::embedding),
    ("gemma2", gemma::gemma2),
    ("gemma3", gemma::gemma3),
    ("gemma4", gemma4::gemma4),
    ("glm4", decoders::glm4),
    ("glm4moe", moe::glm4_moe),
    ("gpt-oss", moe::gpt_oss),
    ("gpt2", gpt::gpt2),
    ("gptneox", gpt::gpt_neox),
    ("granite", granite::granite),
    ("granitehybrid", granite::hybrid),
    ("granitemoe", granite::mixture),
    ("hunyuan-dense", decoders::hunyuan),
    ("jais2", decoders::jais2),
    ("jamba", jamba::jamba),
    ("lfm2", spaces::lfm2),
    ("llama", llama::llama),
    ("llama4", moe::llama4),
    ("mamba", spaces::mamba),
    ("mamba2", spaces::mamba2),
    ("minicpm", granite::minicpm),
    ("mistral3", llama::mistral3),
    ("modern-bert", encoders::modernbert),
    ("mpt", gpt::mpt),
    ("nemotron", decoders::nemotron),
    ("nemotron_h", spaces::nemotron_h),
    ("nemotron_h_moe", spaces::nemotron_h),
    ("nomic-bert", encoders::nomic_bert),
    ("olmo", llama::olmo),
    ("olmo2", decoders::olmo2),
    ("olmoe", moe::olmoe),
    ("phi2", decoders::phi),
    ("phi3", decoders::phi3),
    ("qwen2", decoders::qwen2),
    ("qwen2moe", moe::qwen2_moe),
    ("qwen2vl", |facts| text_part(facts, decoders::qwen2)),
    ("qwen3", decoders::qwen3),
    ("qwen35", spaces::qwen35),
    ("qwen3moe", moe::qwen3_moe),
    ("qwen3next", spaces::qwen3_next),
    ("qwen3vl", |facts| text_part(facts, decoders::qwen3)),
    ("qwen3vlmoe", |facts| text_part(facts, moe::qwen3_moe)),
    ("seed_oss", decoders::seed_oss),
    ("smollm3", llama::smollm3),
    ("stablelm", decoders::stablelm),
    ("starcoder", gpt::gpt_bigcode),
    ("starcoder2", decoders::starcoder2),
];

pub fn architectures() -> impl Iterator<Item = &'static str> {
    ARCHITECTURES.iter().map(|(name, _)| *name)
}

/// Architectures whose files hold the unembedding always. Those of the others leave it out where it is the token
/// embedding, as llama.cpp takes it then.
const OWN_HEAD: &[&str] =
    &["apertus", "dots1", "gptneox", "nemotron", "olmo2", "olmoe", "phi2", "qwen2moe", "stablelm"];

pub fn describe(facts: &Facts) -> Result<Description, LoadError> {
    let found = ARCHITECTURES.iter().find(|(name, _)| *name == facts.architecture);
    let Some((_, describe)) = found else {
        let (path, architecture) = (facts.path.to_owned(), facts.architecture.to_owned());
        let same = |known: &str| known.replace('-', "_") == architecture.replace('-', "_");
        let why = match families::model_types().any(same) {
            true => "its family is read from safetensors only",
            false => families::reason(&architecture),
        };
        return Err(LoadError::UnknownGgufArchitecture { path, architecture, why });
    };
    if OWN_HEAD.contains(&facts.architecture) && !facts.has("output.weight") {
        return Err(facts.bad(format!(
            "it has no tensor \"output.weight\", the head, which is never the token embedding in files of {}",
            facts.architecture
        )));
    }
    let mut description = direction(facts, describe(facts)?)?;
    facts.token_ids(&mut description.config)?;
    // What was not asked for is added under its own name, to be reported like unknown keys of any configuration.
    for (key, value) in facts.unread() {
        refuse_beyond(facts, &key, &value)?;
        description.config.insert(key, value);
    }
    Ok(description)
}

/// Refuses what llama.cpp reads of any architecture and no configuration has a word for.
fn refuse_beyond(facts: &Facts, key: &str, value: &Json) -> Result<(), LoadError> {
    let number = value.as_f64().unwrap_or(f64::NAN);
    let name = key.strip_prefix(&facts.key("")).unwrap_or(key);
    let refuse = |why: &str| Err(facts.unsupported(key, value, why));
    match name {
        "expert_group_count" if number > 1.0 => refuse("experts are not chosen by groups"),
        "rope.freq_base_swa" if Some(number) != facts.arch_number("rope.freq_base")?.or(Some(10000.0)) => {
            refuse("layers with a window rotate like the others")
        }
        _ => Ok(()),
    }
}

/// Adds `is_causal` to decoders that attend in both directions.
fn direction(facts: &Facts, description: Description) -> Result<Description, LoadError> {
    let key = facts.key("attention.causal");
    let Some(causal) = facts.flag(&key)? else { return Ok(description) };
    match (ENCODERS.contains(&facts.architecture), causal) {
        (false, true) | (true, false) => Ok(description),
        (true, true) => Err(facts.unsupported(&key, causal, "encoders are computed with attention in both directions")),
        (false, false) => {
            // Of a window llama.cpp bounds what comes before a token, and not what comes after it; its linear biases
            // fall to both sides, where those of transformers go on rising.
            let window = description.config.get("sliding_window").is_some_and(|window| !window.is_null());
            if window || ["bloom", "mpt"].contains(&facts.architecture) {
                let why = "windows and linear biases in both directions are not computed as in llama.cpp";
                return Err(facts.unsupported(&key, causal, why));
            }
            Ok(description.set("is_causal", false))
        }
    }
}

const ENCODERS: [&str; 4] = ["bert", "gemma-embedding", "modern-bert", "nomic-bert"];

/// The text part of a model that reads images, whose file has nothing else. Its positions have several axes, of which a text
/// has one, and what it adds of images to the first blocks is nothing.
fn text_part(facts: &Facts, describe: Describe) -> Result<Description, LoadError> {
    facts.numbers(&facts.key("rope.dimension_sections"))?;
    facts.size(&facts.key("n_deepstack_layers"))?;
    describe(facts)
}

/// The keys that nearly all configurations share.
fn body(facts: &Facts, model_type: &str, class: &str) -> Result<Description, LoadError> {
    Ok(Description::new(model_type, class)
        .set("hidden_size", facts.need_size("embedding_length")?)
        .set("num_hidden_layers", facts.blocks()?)
        .set("num_attention_heads", facts.heads()?.0)
        .set("intermediate_size", facts.mlp_width()?)
        .set("vocab_size", facts.vocab()?))
}

/// The configuration of a decoder in the keys that most of them share, and the names of its tensors, which are Llama's.
fn decoder(facts: &Facts, model_type: &str, class: &str) -> Result<Description, LoadError> {
    let description = body(facts, model_type, class)?
        .set("num_key_value_heads", facts.heads()?.1)
        .set("head_dim", facts.head_dim()?)
        .set("max_position_embeddings", facts.need_size("context_length")?)
        .set("tie_word_embeddings", !facts.has("output.weight"))
        .name(LLAMA_NAMES);
    joined_projections(facts, rope::rope(facts, description)?, RowOrder::Same, RowOrder::Same)
}

/// The same with RMS norms.
fn rms_decoder(facts: &Facts, model_type: &str, class: &str) -> Result<Description, LoadError> {
    let description = decoder(facts, model_type, class)?;
    Ok(description.set("rms_norm_eps", facts.need_number("attention.layer_norm_rms_epsilon")?))
}

fn layer_eps(facts: &Facts) -> Result<f64, LoadError> {
    facts.need_number("attention.layer_norm_epsilon")
}

/// Some files have the three projections of an attention in one tensor, though transformers has them apart.
fn joined_projections(
    facts: &Facts,
    mut description: Description,
    queries: RowOrder,
    keys: RowOrder,
) -> Result<Description, LoadError> {
    let ((heads, kv_heads), width) = (facts.heads()?, facts.head_dim()?);
    let (Some(q), Some(kv)) = (heads.checked_mul(width), kv_heads.checked_mul(width)) else {
        return Err(facts.bad("its heads are wider than any tensor"));
    };
    let parts = vec![
        ("model.layers.{}.self_attn.q_proj", q, queries),
        ("model.layers.{}.self_attn.k_proj", kv, keys),
        ("model.layers.{}.self_attn.v_proj", kv, RowOrder::Same),
    ];
    description.names.insert("blk.{}.attn_qkv", ("", Done::Joined(parts)));
    Ok(description)
}

/// Blocks at the end that predict tokens further on, which the pass does not use: how many there are, and the names of what
/// they have besides.
fn further_blocks(facts: &Facts, description: Description) -> Result<Description, LoadError> {
    let (all, further) = (facts.blocks()?, facts.arch_size("nextn_predict_layers")?.unwrap_or(0));
    if further >= all {
        return Err(facts.bad(format!("its metadata announces {all} blocks, of which {further} are not used")));
    }
    let description = description.set("num_hidden_layers", all - further).name(&[
        ("blk.{}.nextn.eh_proj", "model.layers.{}.nextn.eh_proj"),
        ("blk.{}.nextn.embed_tokens", "model.layers.{}.nextn.embed_tokens"),
        ("blk.{}.nextn.enorm", "model.layers.{}.nextn.enorm"),
        ("blk.{}.nextn.hnorm", "model.layers.{}.nextn.hnorm"),
        ("blk.{}.nextn.shared_head_head", "model.layers.{}.nextn.shared_head_head"),
        ("blk.{}.nextn.shared_head_norm", "model.layers.{}.nextn.shared_head_norm"),
    ]);
    Ok(description.set_some("num_nextn_predict_layers", Some(further).filter(|further| *further > 0)))
}

/// Which layers have a window: given for each layer, or all but every nth.
fn window_layers(facts: &Facts, period: usize) -> Result<Json, LoadError> {
    let layers = facts.blocks()?;
    let key = facts.key("attention.sliding_window_pattern");
    if !matches!(facts.get(&key), Some(Value::Array { .. })) {
        return Ok(layer_types(layers, facts.size(&key)?.unwrap_or(period)));
    }
    let kind = |value: Value| match value {
        Value::Bool(true) => Ok("sliding_attention"),
        Value::Bool(false) => Ok("full_attention"),
        _ => Err(facts.bad(format!("{key:?} of its metadata is not a list of truth values"))),
    };
    Ok(Json::from(facts.values(&key)?.take(layers).map(kind).collect::<Result<Vec<_>, _>>()?))
}

/// Which layers have a window: all but every `period`-th.
fn layer_types(layers: usize, period: usize) -> Json {
    let kind = |layer: usize| {
        if period > 0 && (layer + 1).is_multiple_of(period) { "full_attention" } else { "sliding_attention" }
    };
    (0..layers).map(kind).collect()
}

const LLAMA_NAMES: &[(&str, &str)] = &[
    ("token_embd", "model.embed_tokens"),
    ("output_norm", "model.norm"),
    ("output", "lm_head"),
    ("blk.{}.attn_norm", "model.layers.{}.input_layernorm"),
    ("blk.{}.attn_q", "model.layers.{}.self_attn.q_proj"),
    ("blk.{}.attn_k", "model.layers.{}.self_attn.k_proj"),
    ("blk.{}.attn_v", "model.layers.{}.self_attn.v_proj"),
    ("blk.{}.attn_output", "model.layers.{}.self_attn.o_proj"),
    ("blk.{}.attn_q_norm", "model.layers.{}.self_attn.q_norm"),
    ("blk.{}.attn_k_norm", "model.layers.{}.self_attn.k_norm"),
    ("blk.{}.ffn_norm", "model.layers.{}.post_attention_layernorm"),
    ("blk.{}.ffn_gate", "model.layers.{}.mlp.gate_proj"),
    ("blk.{}.ffn_up", "model.layers.{}.mlp.up_proj"),
    ("blk.{}.ffn_down", "model.layers.{}.mlp.down_proj"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_are_in_order_and_once() {
        assert!(ARCHITECTURES.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn heads_are_of_known_architectures() {
        assert!(OWN_HEAD.iter().all(|name| ARCHITECTURES.iter().any(|(known, _)| known == name)));
    }

    #[test]
    fn every_period_th_layer_has_no_window() {
        assert_eq!(layer_types(3, 2), json!(["sliding_attention", "full_attention", "sliding_attention"]));
    }
}
