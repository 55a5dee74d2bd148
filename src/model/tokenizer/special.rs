//! Tokens with a special meaning, from wherever a checkpoint says what they are.

use serde_json::Value as Json;

use super::{Named, Tokenizer};
use crate::model::checkpoint::CheckpointFiles;
use crate::model::config::HfConfig;
use crate::model::error::LoadError;
use crate::model::input::Side;

/// Tokens with a special meaning. What the configuration says wins over what the tokenizer's files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    pub bos: Option<u32>,
    /// Any of these ends a text.
    pub eos: Vec<u32>,
    pub pad: Option<u32>,
    /// To be filled in by a masked LM.
    pub mask: Option<u32>,
    /// Stands for the whole text.
    pub cls: Option<u32>,
    pub sep: Option<u32>,
    /// Stands for what the vocabulary lacks.
    pub unk: Option<u32>,
    /// What a decoder begins with whose encoder reads the text.
    pub decoder_start: Option<u32>,
    /// What comes next in such a decoder, whatever its logits say.
    pub forced_bos: Option<u32>,
    /// On which side the tokenizer fills rows up (`padding_side`).
    pub padding: Side,
    /// The most tokens that the tokenizer is meant for (`model_max_length`), if it says.
    pub longest: Option<usize>,
}

impl SpecialTokens {
    /// Reads `config.json` and `generation_config.json`, and what the tokenizer's files name.
    pub fn read(
        files: &CheckpointFiles,
        config: &HfConfig,
        tokens: &Named,
        tokenizer: Option<&Tokenizer>,
    ) -> Result<SpecialTokens, LoadError> {
        let named = |key: &str| tokenizer?.spelled(tokens.text(key)?);
        let first = |key: &str| config.token_ids(&format!("{key}_id")).first().copied().or_else(|| named(key));
        // Tokenizers without a limit say 1e30.
        let given = tokens.settings.get("model_max_length").and_then(Json::as_f64);
        let longest = given.filter(|n| (1.0..1e9).contains(n)).map(|n| n as usize);
        let left = tokens.settings.get("padding_side").is_some_and(|side| side == "left");
        let padding = if left { Side::Left } else { Side::Right };
        let mut eos = config.token_ids("eos_token_id");
        let generation = match files.read("generation_config.json")? {
            Some(text) => Some(HfConfig::parse(&files.path_of("generation_config.json"), &text)?),
            None => None,
        };
        eos.extend(generation.iter().flat_map(|generation| generation.token_ids("eos_token_id")));
        let of = |config: &HfConfig, key: &str| config.token_ids(key).first().copied();
        const START: &str = "decoder_start_token_id";
        let start = generation.as_ref().and_then(|generation| of(generation, START)).or_else(|| of(config, START));
        // Without a file about generation, the configuration says how to generate.
        let forced_bos = of(generation.as_ref().unwrap_or(config), "forced_bos_token_id");
        if eos.is_empty() {
            eos.extend(named("eos_token"));
        }
        eos.sort_unstable();
        eos.dedup();
        Ok(SpecialTokens {
            bos: first("bos_token"),
            eos,
            pad: first("pad_token"),
            mask: first("mask_token"),
            cls: first("cls_token"),
            sep: first("sep_token"),
            unk: first("unk_token"),
            decoder_start: start.or_else(|| first("bos_token")),
            forced_bos,
            padding,
            longest,
        })
    }

    /// What fills rows up: the pad token, else one that ends a text, else token 0. What it computes is masked out.
    pub fn filler(&self, vocab: usize) -> u32 {
        self.pad.or(self.eos.first().copied()).filter(|&id| (id as usize) < vocab).unwrap_or(0)
    }
}
