//! The classes that transformers has for tokenizers: which of them it takes for a checkpoint, and what that class does
//! whatever `tokenizer.json` says.
//!
//! Since transformers 5 a class with its own constructor takes only vocabulary, merges and what is around a text from
//! `tokenizer.json`, and splits text in its own way; some also put their own tokens around a text. The general class,
//! `TokenizersBackend`, takes the file as it is.

use serde_json::{Map, Value as Json, json};

use super::around::Around;
use crate::model::config::HfConfig;

/// What fits GPT-2, and what fits most tokenizers since.
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The same with marks that combine as parts of letters.
const QWEN3_5: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// What stands for a space in SentencePiece's vocabularies.
pub const SPACE: &str = "▁";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Class {
    /// Takes `tokenizer.json` as it is.
    #[default]
    General,
    Albert,
    Bert,
    Camembert,
    CodeGen,
    CodeLlama,
    Cohere,
    DebertaV2,
    Esm,
    Gemma,
    Gpt2,
    GptNeoX,
    Llama,
    MpNet,
    Qwen2,
    Qwen35,
    Roberta,
    T5,
    XlmRoberta,
}

/// Classes by their names, without `Fast` at the end.
const NAMES: [(&str, Class); 20] = [
    ("AlbertTokenizer", Class::Albert),
    ("BertTokenizer", Class::Bert),
    ("CamembertTokenizer", Class::Camembert),
    ("CodeGenTokenizer", Class::CodeGen),
    ("CodeLlamaTokenizer", Class::CodeLlama),
    ("CohereTokenizer", Class::Cohere),
    ("DebertaV2Tokenizer", Class::DebertaV2),
    ("DistilBertTokenizer", Class::Bert),
    ("ElectraTokenizer", Class::Bert),
    ("EsmTokenizer", Class::Esm),
    ("GPT2Tokenizer", Class::Gpt2),
    ("GPTNeoXTokenizer", Class::GptNeoX),
    ("GemmaTokenizer", Class::Gemma),
    ("LlamaTokenizer", Class::Llama),
    ("MPNetTokenizer", Class::MpNet),
    ("Qwen2Tokenizer", Class::Qwen2),
    ("Qwen3_5Tokenizer", Class::Qwen35),
    ("RobertaTokenizer", Class::Roberta),
    ("T5Tokenizer", Class::T5),
    ("XLMRobertaTokenizer", Class::XlmRoberta),
];

/// What transformers has down for a family.
#[derive(Clone, Copy, PartialEq)]
enum Registered {
    /// This class, unless the checkpoint names another one.
    Usually(Class),
    /// This class, whatever the checkpoint names.
    Always(Class),
    /// The general class, whatever the checkpoint names.
    General,
    /// Nothing: the checkpoint decides.
    Nothing,
}

impl Registered {
    /// `TOKENIZER_MAPPING_NAMES` and `MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS` of transformers 5.24.
    fn of(model_type: &str) -> Registered {
        match model_type {
            "albert" => Registered::Usually(Class::Albert),
            "bert" | "distilbert" | "electra" | "ernie" | "megatron-bert" | "nomic_bert" => {
                Registered::Usually(Class::Bert)
            }
            "code_llama" => Registered::Usually(Class::CodeLlama),
            "camembert" => Registered::Usually(Class::Camembert),
            "codegen" | "gpt2" | "gpt_neo" | "gptj" | "jais2" | "opt" | "phi" | "starcoder2" => {
                Registered::Usually(Class::Gpt2)
            }
            "cohere" | "cohere2" => Registered::Usually(Class::Cohere),
            "gemma" | "gemma2" | "gemma3" | "gemma3_text" => Registered::Usually(Class::Gemma),
            "gpt_neox" | "mpt" | "olmo" | "olmoe" => Registered::Usually(Class::GptNeoX),
            "qwen2" => Registered::Always(Class::Qwen2),
            "qwen2_moe" | "qwen3" | "qwen3_moe" | "qwen3_next" => Registered::Usually(Class::Qwen2),
            "qwen3_5_text" => Registered::Usually(Class::Qwen35),
            "qwen3_5" | "qwen3_5_moe" | "qwen3_5_moe_text" => Registered::Always(Class::Qwen35),
            "data2vec-text" | "roberta" | "roberta-prelayernorm" => Registered::Usually(Class::Roberta),
            "deberta-v2" => Registered::Usually(Class::DebertaV2),
            "esm" => Registered::Usually(Class::Esm),
            "mpnet" => Registered::Usually(Class::MpNet),
            "t5" => Registered::Usually(Class::T5),
            "xlm-roberta" => Registered::Usually(Class::XlmRoberta),
            "xlm-roberta-xl" => Registered::Usually(Class::General),
            "ernie4_5" | "ernie4_5_moe" | "glm" | "glm4" | "glm4_moe" | "glm4_moe_lite" | "gpt_bigcode" | "granite"
            | "granitemoe" | "granitemoehybrid" | "minimax_m2" | "ministral" | "ministral3" | "mistral" | "mixtral"
            | "modernbert" | "nemotron" | "olmo2" | "olmo3" | "persimmon" | "phi3" | "phimoe" | "stablelm" => {
                Registered::General
            }
            _ => Registered::Nothing,
        }
    }
}

impl Class {
    /// Whether transformers has a class down for this `model_type`.
    pub fn is_registered(model_type: &str) -> bool {
        Registered::of(model_type) != Registered::Nothing
    }

    /// The class of that name, if it is one that does more than to read the file.
    pub fn named(name: &str) -> Option<Class> {
        let name = without_fast(name);
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, class)| *class)
    }

    /// The class of a family where the checkpoint names none.
    pub fn of_family(config: &HfConfig) -> Class {
        match Registered::of(config.model_type().unwrap_or_default()) {
            Registered::Usually(class) | Registered::Always(class) => class,
            Registered::General | Registered::Nothing => Class::General,
        }
    }

    /// Whether transformers takes the general class for a family, whatever the checkpoint names.
    pub fn is_general(config: &HfConfig) -> bool {
        Registered::of(config.model_type().unwrap_or_default()) == Registered::General
    }

    /// What `AutoTokenizer` takes where there is a `tokenizer.json`. `byte_level` says whether that file is byte-level:
    /// then LlamaTokenizer, which cannot, is not taken.
    pub fn of(settings: &Map<String, Json>, config: &HfConfig, byte_level: bool) -> Class {
        const KEY: &str = "tokenizer_class";
        let given = [settings, config.json()].into_iter().find_map(|from| from.get(KEY)?.as_str());
        let Some(given) = given.map(without_fast) else { return Class::of_family(config) };
        match Registered::of(config.model_type().unwrap_or_default()) {
            Registered::General => Class::General,
            Registered::Always(class) => class,
            _ if given == "LlamaTokenizer" && byte_level => Class::General,
            Registered::Usually(_) | Registered::Nothing => Class::named(given).unwrap_or_default(),
        }
    }

    /// Whether it can use a vocabulary of that kind, as a `tokenizer.json` calls it.
    pub fn fits(self, kind: &str) -> bool {
        match self {
            Class::General => true,
            Class::Bert | Class::MpNet => kind == "WordPiece",
            Class::Esm => kind == "WordLevel",
            Class::Albert | Class::Camembert | Class::DebertaV2 | Class::T5 | Class::XlmRoberta => kind == "Unigram",
            _ => kind == "BPE",
        }
    }

    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, class)| *class == self).map_or("TokenizersBackend", |(name, _)| name)
    }

    /// Special tokens where the files say nothing, in the order of [`super::named::NAMES`]; empty for those that it
    /// has no default for.
    pub fn specials(self) -> [&'static str; 7] {
        const END: &str = "<|endoftext|>";
        match self {
            Class::General => [""; 7],
            Class::Gpt2 | Class::CodeGen => [END, END, END, "", "", "", ""],
            Class::GptNeoX => [END, END, END, "", "<|padding|>", "", ""],
            Class::Qwen2 | Class::Qwen35 => ["", END, END, "", END, "", ""],
            Class::Llama | Class::CodeLlama => ["<s>", "</s>", "<unk>", "", "", "", ""],
            Class::Gemma => ["<bos>", "<eos>", "<unk>", "", "<pad>", "", "<mask>"],
            Class::Cohere => {
                ["<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", "<UNK>", "<SEP>", "<PAD>", "<CLS>", "<MASK_TOKEN>"]
            }
            Class::Roberta | Class::XlmRoberta | Class::Camembert => {
                ["<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"]
            }
            Class::DebertaV2 => ["[CLS]", "[SEP]", "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"],
            Class::Albert => ["[CLS]", "[SEP]", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]"],
            Class::MpNet => ["<s>", "</s>", "[UNK]", "</s>", "<pad>", "<s>", "<mask>"],
            Class::Esm => ["", "<eos>", "<unk>", "", "<pad>", "<cls>", "<mask>"],
            Class::T5 => ["", "</s>", "<unk>", "", "<pad>", "", ""],
            Class::Bert => ["", "", "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"],
        }
    }

    /// What it puts around a text whatever `tokenizer.json` says; `None` if that file decides.
    pub fn around(self) -> Option<Around> {
        match self {
            Class::GptNeoX => Some(Around::Ends { bos: false, eos: false }),
            Class::CodeLlama => Some(Around::Ends { bos: true, eos: false }),
            Class::Bert | Class::DebertaV2 => Some(Around::Bert),
            Class::Roberta | Class::MpNet => Some(Around::Roberta),
            Class::T5 => Some(Around::Ends { bos: false, eos: true }),
            Class::XlmRoberta | Class::Camembert => Some(Around::XlmRoberta),
            _ => None,
        }
    }

    /// How it changes and splits a text before it looks for tokens, with the settings of `tokenizer_config.json`: the
    /// parts `normalizer` and `pre_tokenizer` of a `tokenizer.json`. `None` if it does as the file says.
    pub fn splits(self, settings: &Map<String, Json>) -> Option<(Json, Json)> {
        let flag = |key: &str| settings.get(key).and_then(Json::as_bool);
        let prefix = flag("add_prefix_space");
        let bytes = |regex: bool| {
            let prefix = prefix.unwrap_or(false);
            json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": regex})
        };
        let sequence = |steps: &[Json]| json!({"type": "Sequence", "pretokenizers": steps});
        let nfc = json!({"type": "NFC"});
        Some(match self {
            Class::Gpt2 | Class::CodeGen | Class::Roberta => (Json::Null, bytes(true)),
            Class::GptNeoX => (nfc, bytes(true)),
            Class::Qwen2 | Class::Qwen35 => {
                let pattern = if self == Class::Qwen2 { QWEN2 } else { QWEN3_5 };
                let split =
                    json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
                (nfc, sequence(&[split, bytes(false)]))
            }
            Class::Cohere => (nfc, sequence(&[json!({"type": "Digits", "individual_digits": true}), bytes(true)])),
            Class::Bert | Class::MpNet => (
                json!({
                    "type": "BertNormalizer",
                    "clean_text": true,
                    "handle_chinese_chars": flag("tokenize_chinese_chars").unwrap_or(true),
                    "strip_accents": settings.get("strip_accents").cloned().unwrap_or(Json::Null),
                    "lowercase": flag("do_lower_case").unwrap_or(true),
                }),
                json!({"type": "BertPreTokenizer"}),
            ),
            Class::Llama | Class::CodeLlama => {
                let scheme = match (prefix.unwrap_or(true), self, flag("legacy").unwrap_or(false)) {
                    (false, _, _) => "never",
                    (true, Class::Llama, true) => "always",
                    (true, _, _) => "first",
                };
                let spaces =
                    json!({"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": false});
                (Json::Null, spaces)
            }
            Class::Esm => (Json::Null, json!({"type": "WhitespaceSplit"})),
            Class::DebertaV2 => {
                let mut normalizers =
                    Vec::from_iter(flag("do_lower_case").unwrap_or(false).then(|| json!({"type": "Lowercase"})));
                let spaces = json!({"Regex": r"\s{2,}|[\n\r\t]"});
                normalizers.push(json!({"type": "Replace", "pattern": spaces, "content": " "}));
                normalizers.push(nfc);
                normalizers.push(json!({"type": "Strip", "strip_left": false, "strip_right": true}));
                let scheme = if prefix.unwrap_or(true) { "always" } else { "first" };
                let punctuation = json!({"type": "Punctuation", "behavior": "Isolated"});
                let mut steps = Vec::from_iter(flag("split_by_punct").unwrap_or(false).then_some(punctuation));
                steps.push(json!({"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": true}));
                (json!({"type": "Sequence", "normalizers": normalizers}), sequence(&steps))
            }
            Class::Gemma => (
                json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE}),
                json!({
                    "type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false
                }),
            ),
            Class::General | Class::Albert | Class::Camembert | Class::T5 | Class::XlmRoberta => return None,
        })
    }
}

fn without_fast(name: &str) -> &str {
    name.strip_suffix("Fast").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(family: &str, name: Option<&str>, byte_level: bool) -> Class {
        let config = HfConfig::parse("config.json", json!({"model_type": family}).to_string().as_bytes()).unwrap();
        let settings = name.map(|name| ("tokenizer_class".to_owned(), json!(name)));
        Class::of(&settings.into_iter().collect(), &config, byte_level)
    }

    /// As `AutoTokenizer.from_pretrained(...)` of transformers 5.24 answers for a folder of that family.
    #[test]
    fn the_class_is_the_one_that_transformers_takes() {
        assert_eq!(class("gpt_neox", Some("GPTNeoXTokenizerFast"), true), Class::GptNeoX);
        assert_eq!(class("gpt_neox", Some("PreTrainedTokenizerFast"), true), Class::General);
        assert_eq!(class("gpt_neox", None, true), Class::GptNeoX);
        assert_eq!(class("olmo2", Some("GPTNeoXTokenizer"), true), Class::General);
        assert_eq!(class("llama", Some("LlamaTokenizer"), true), Class::General);
        assert_eq!(class("llama", Some("LlamaTokenizer"), false), Class::Llama);
        assert_eq!(class("llama", Some("GPT2Tokenizer"), true), Class::Gpt2);
        assert_eq!(class("mistral", Some("LlamaTokenizer"), false), Class::General);
        assert_eq!(class("qwen2", Some("GPT2Tokenizer"), true), Class::Qwen2);
        assert_eq!(class("llama", None, true), Class::General);
        assert_eq!(class("bert", Some("XLMRobertaTokenizer"), false), Class::XlmRoberta);
    }

    #[test]
    fn what_a_class_does_to_a_text_is_understood_by_the_tokenizers_library() {
        let none = Map::new();
        for (name, class) in NAMES {
            let Some((normalizer, splitter)) = class.splits(&none) else { continue };
            let read = serde_json::from_value::<Option<tokenizers::NormalizerWrapper>>(normalizer);
            assert!(read.is_ok(), "{name}: {:?}", read.err());
            let read = serde_json::from_value::<tokenizers::PreTokenizerWrapper>(splitter);
            assert!(read.is_ok(), "{name}: {:?}", read.err());
            assert!(Class::named(name).unwrap().name().ends_with("Tokenizer"));
        }
    }
}
