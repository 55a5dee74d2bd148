//! Tokens around a text, and around a pair of texts.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use tokenizers::{Encoding, Tokenizer};

/// Which tokens are around texts, by what the special tokens are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Around {
    /// A beginning and an end of every text, or neither.
    Ends { bos: bool, eos: bool },
    /// `cls A sep`, `cls A sep B sep`.
    Bert,
    /// `cls A sep`, `cls A sep sep B sep`.
    Roberta,
    /// The same with `bos` and `eos`.
    XlmRoberta,
    /// `cls A eos`, `cls A eos B eos`.
    Esm,
}

/// What is at one place, with the type of its tokens.
#[derive(Clone, Debug)]
pub enum Part {
    A,
    B(u8),
    Token { text: String, id: u32, types: u8 },
}

#[derive(Clone, Debug)]
pub struct Template {
    pub single: Vec<Part>,
    pub pair: Vec<Part>,
}

impl Around {
    pub const NAMES: [&str; 4] = ["bos_token", "eos_token", "cls_token", "sep_token"];

    /// The tokens, of which `token` knows text and number by what they are called.
    ///
    /// # Errors
    /// The first that is not there.
    pub fn template(self, token: impl Fn(&str) -> Option<(String, u32)>) -> Result<Template, &'static str> {
        let part = |name: &'static str, types: u8| -> Result<Part, &'static str> {
            let (text, id) = token(name).ok_or(name)?;
            Ok(Part::Token { text, id, types })
        };
        let around = |begin, end| -> Result<(Part, Part), &'static str> { Ok((part(begin, 0)?, part(end, 0)?)) };
        let (single, pair) = match self {
            Around::Ends { bos, eos } => {
                let side = |asked: bool, name: &'static str, types: u8| -> Result<Vec<Part>, &'static str> {
                    if asked { Ok(vec![part(name, types)?]) } else { Ok(Vec::new()) }
                };
                let single = [side(bos, "bos_token", 0)?, vec![Part::A], side(eos, "eos_token", 0)?].concat();
                let second = [side(bos, "bos_token", 1)?, vec![Part::B(1)], side(eos, "eos_token", 1)?].concat();
                let pair = [single.clone(), second].concat();
                (single, pair)
            }
            Around::Bert => {
                let (cls, sep) = around("cls_token", "sep_token")?;
                let last = part("sep_token", 1)?;
                (vec![cls.clone(), Part::A, sep.clone()], vec![cls, Part::A, sep, Part::B(1), last])
            }
            Around::Esm => {
                let (cls, eos) = around("cls_token", "eos_token")?;
                let single = vec![cls, Part::A, eos.clone()];
                let pair = [&single[..], &[Part::B(0), eos]].concat();
                (single, pair)
            }
            Around::Roberta | Around::XlmRoberta => {
                let (begin, end) = match self {
                    Around::Roberta => around("cls_token", "sep_token")?,
                    _ => around("bos_token", "eos_token")?,
                };
                let between = [end.clone(), end.clone()];
                let pair = [&[begin.clone(), Part::A], &between[..], &[Part::B(0), end.clone()]].concat();
                (vec![begin, Part::A, end], pair)
            }
        };
        Ok(Template { single, pair })
    }
}

impl Template {
    /// The part `post_processor` of a `tokenizer.json`; null if there are no tokens around texts.
    pub fn json(&self) -> Json {
        let mut tokens = Map::new();
        let mut parts = |parts: &[Part]| -> Json {
            let one = |part: &Part| match part {
                Part::A => json!({"Sequence": {"id": "A", "type_id": 0}}),
                Part::B(types) => json!({"Sequence": {"id": "B", "type_id": types}}),
                Part::Token { text, id, types } => {
                    tokens.insert(text.clone(), json!({"id": text, "ids": [id], "tokens": [text]}));
                    json!({"SpecialToken": {"id": text, "type_id": types}})
                }
            };
            parts.iter().map(one).collect()
        };
        let (single, pair) = (parts(&self.single), parts(&self.pair));
        match tokens.is_empty() {
            true => Json::Null,
            false => {
                json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens})
            }
        }
    }

    /// Puts these tokens around texts, if others are there now; returns whether it did.
    pub fn put(&self, inner: &mut Tokenizer) -> tokenizers::Result<bool> {
        let none = Encoding::default;
        let now = |pair: Option<Encoding>| inner.post_process(none(), pair, true).map(|found| found.get_ids().to_vec());
        let ids = |parts: &[Part]| -> Vec<u32> {
            let id = |part: &Part| if let Part::Token { id, .. } = part { Some(*id) } else { None };
            parts.iter().filter_map(id).collect()
        };
        if now(None)? == ids(&self.single) && now(Some(none()))? == ids(&self.pair) {
            return Ok(false);
        }
        let processor: Option<tokenizers::PostProcessorWrapper> = serde_json::from_value(self.json())?;
        inner.with_post_processor(processor);
        Ok(true)
    }
}
