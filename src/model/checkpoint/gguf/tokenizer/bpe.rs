//! Byte-level BPE: tokens, merges, and a word for how the text is split before.

use serde_json::{Value as Json, json};

use super::pre::{self, Pre};
use super::{Parts, Strip, Vocabulary, ends};
use crate::model::checkpoint::gguf::facts::Facts;
use crate::model::error::{LoadError, NoTokenizer};

pub fn json(facts: &Facts, vocabulary: &Vocabulary) -> Result<Result<Json, NoTokenizer>, LoadError> {
    let name = facts.text("tokenizer.ggml.pre")?.unwrap_or("default");
    let Some(pre) = pre::pre(name) else {
        return Ok(Err(NoTokenizer::UnknownSplit(name.to_owned())));
    };
    let merges: Vec<Json> = facts.texts("tokenizer.ggml.merges")?.iter().filter_map(|merge| pair(merge)).collect();
    let mask = vocabulary.id(facts, "mask")?.map(|id| vocabulary.tokens[id].clone());
    let strip = |token: &str| Strip {
        // Nothing in the file says so, but the masks of these two take the space before them.
        left: matches!(name, "roberta-bpe" | "modern-bert") && mask.as_deref() == Some(token),
        right: false,
    };
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false});
    let mut splits = pre.splits.clone();
    splits.push(byte_level.clone());
    let parts = Parts {
        added: vocabulary.added(strip),
        normalizer: if pre.nfc { json!({"type": "NFC"}) } else { Json::Null },
        pre_tokenizer: json!({"type": "Sequence", "pretokenizers": splits}),
        post_processor: around(facts, vocabulary, &pre)?,
        decoder: byte_level,
        model: vocabulary.pairs(merges, None, false, pre.ignore_merges),
    };
    Ok(Ok(parts.json()))
}

/// The two sides of a merge, which a space divides; a token can begin with one.
fn pair(merge: &str) -> Option<Json> {
    let first = merge.chars().next()?.len_utf8();
    let space = first + merge.get(first..)?.find(' ')?;
    Some(json!([merge[..space], merge[space + 1..]]))
}

/// Encoders have a beginning and an end, and two ends between the texts of a pair; decoders what the file asks for.
fn around(facts: &Facts, vocabulary: &Vocabulary, pre: &Pre) -> Result<Json, LoadError> {
    let asks = facts.flag("tokenizer.ggml.add_sep_token")?.unwrap_or(pre.add_sep);
    let bos = vocabulary.id(facts, "bos")?.or(vocabulary.id(facts, "cls")?);
    let sep = vocabulary.id(facts, "seperator")?.or(vocabulary.id(facts, "eos")?);
    let (Some(bos), Some(sep), true) = (bos, sep, asks) else {
        return ends(facts, vocabulary, pre.add_bos);
    };
    // RoBERTa has two ends between the texts of a pair, ModernBERT one.
    let between = if facts.architecture == "modern-bert" { 1 } else { 2 };
    Ok(super::around(vocabulary.part(bos, 0), vocabulary.part(sep, 0), between))
}
