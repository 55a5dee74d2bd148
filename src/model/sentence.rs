//! What sentence-transformers does before and after the model: `modules.json` and the configurations it names.

mod dense;
mod reranker;

use serde_json::{Map, Value as Json};

use super::checkpoint::CheckpointFiles;
use super::config::{HfConfig, parse_json, says_nothing};
use super::error::LoadError;
use super::spec::{Pooling, Sentence, YesNo};
use super::tokenizer::{Longest, Named, Tokenizer};
pub use dense::{OF_COLBERT, dense_name};

/// The configuration of the model's own step, under the names that it has had.
const TRANSFORMER: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// Prompts, and other settings of the whole.
const WHOLE: &str = "config_sentence_transformers.json";

/// Why there is no sentence embedding though `modules.json` asks for one.
#[derive(Debug, thiserror::Error)]
enum NoEmbedding {
    #[error("{0}")]
    NotComputed(Asked),
    #[error(transparent)]
    File(#[from] LoadError),
}

/// What a module of sentence-transformers asks for and is not computed, as part of a sentence.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Asked {
    #[error("the pooling of {0}, which is not there")]
    MissingPooling(String),
    /// A name or another value, as JSON has it.
    #[error("the pooling {0}")]
    Pooling(String),
    #[error("{0} of unit length")]
    UnitLength(String),
    #[error("a {0} step after the model")]
    Step(String),
    #[error("a {0} step after one that gives vectors of unit length")]
    AfterUnitLength(&'static str),
    #[error("the activation {0:?} of a Dense step")]
    Activation(String),
    #[error("a Dense step of {0}")]
    DenseOf(String),
    #[error("a Dense step that adds what it reads")]
    Residual,
    #[error("{key} = {value} in {file}")]
    Value { key: &'static str, value: Json, file: &'static str },
    #[error("{key} in {file}")]
    Key { key: &'static str, file: &'static str },
    #[error("scores of {0}")]
    ScoresOf(String),
    #[error("the activation {0:?} of scores")]
    ActivationOfScores(String),
}

impl From<Asked> for NoEmbedding {
    fn from(asked: Asked) -> NoEmbedding {
        NoEmbedding::NotComputed(asked)
    }
}

/// What sentence-transformers does with texts before the model reads them, and with what the model makes of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sentences {
    /// What is put before every text: its name, and the text.
    pub prompt: Option<(String, String)>,
    /// What follows the model, if all of it can be computed.
    pub after: Option<Sentence>,
    /// What a reranker makes of the logits of a model that predicts tokens.
    pub answer: Option<YesNo>,
    pub notes: Vec<String>,
    longest: Option<Longest>,
    /// Folders of the layers after the pooling.
    folders: Vec<String>,
    lower: bool,
    /// Whether the pooling passes over the prompt.
    without_prompt: bool,
    /// Whether it is a checkpoint of ColBERT itself, whose projection is among the weights of the model.
    colbert: bool,
}

impl Sentences {
    /// Reads `modules.json` and what it names; nothing is done where there is no such file.
    pub fn read(files: &CheckpointFiles, config: &HfConfig, named: &Named) -> Result<Sentences, LoadError> {
        let mut all = Sentences::default();
        let Some(text) = files.read("modules.json")? else {
            all.colbert = config.architecture()? == Some(COLBERT);
            if all.colbert {
                all.notes.push(OF_TOKENS.into());
            }
            return Ok(all);
        };
        let modules = parse_json(&files.path_of("modules.json"), &text)?;
        match all.modules(files, &modules) {
            Ok(after) => all.after = after,
            Err(NoEmbedding::File(error)) => return Err(error),
            Err(NoEmbedding::NotComputed(asked)) => all.notes.push(format!(
                "modules.json asks for {asked}: this is not computed, so there is no sentence embedding"
            )),
        }
        if all.answer.is_some() {
            all.scores(files)?;
            return Ok(all);
        }
        let Some(after) = &all.after else { return Ok(all) };
        let of_tokens = after.poolings.is_empty();
        let what = if of_tokens { "vectors of tokens" } else { "a sentence embedding" };
        if let Some(name) = config.architecture()?.filter(|name| !name.ends_with("Model")) {
            all.notes.push(format!("modules.json asks for {what}, so the head of {name} is not computed"));
        }
        if of_tokens {
            all.notes.push(OF_TOKENS.into());
        }
        if files.gguf().is_some() {
            all.notes.push(
                "a GGUF file does not say whether sentence embeddings are divided by their length: they are, as in \
                 llama.cpp's tools"
                    .into(),
            );
            return Ok(all);
        }
        all.prompts(files)?;
        if all.longest.is_none() {
            let limit = |value: Option<&Json>| value.and_then(Json::as_f64).filter(|n| (1.0..1e9).contains(n));
            let limits =
                [limit(named.settings.get("model_max_length")), limit(config.json().get("max_position_embeddings"))];
            let tokens = limits.into_iter().flatten().map(|limit| limit as usize).min();
            all.longest = tokens.map(|tokens| Longest { tokens, front: false });
        }
        if let Some(longest) = &mut all.longest {
            longest.front = named.settings.get("truncation_side").is_some_and(|side| side == "left");
        }
        Ok(all)
    }

    /// What the steps ask for; `None` if there is no pooling.
    fn modules(&mut self, files: &CheckpointFiles, modules: &Json) -> Result<Option<Sentence>, NoEmbedding> {
        let mut sentence: Option<Sentence> = None;
        let kind = |module: &Json| module.get("type").and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        let all = || modules.as_array().into_iter().flatten();
        let has = |name: &str| all().any(|module| kind(module).ends_with(name));
        let (scores, pools) = (has(".LogitScore"), has(".Pooling"));
        for module in all() {
            let text = |key: &str| module.get(key).and_then(|value| value.as_str()).unwrap_or_default();
            let name = format!("{}/config.json", text("path"));
            let settings = || match files.read(&name)? {
                Some(config) => HfConfig::parse(&files.path_of(&name), &config).map(Some),
                None => Ok(None),
            };
            match text("type").rsplit('.').next().unwrap_or_default() {
                "Transformer" => self.transformer(files, if scores { &FOR_SCORES } else { &FOR_EMBEDDINGS })?,
                "Dropout" => {}
                "Pooling" => {
                    let config = settings()?.ok_or(Asked::MissingPooling(name))?;
                    self.without_prompt = !config.flag(&["include_prompt"], true)?;
                    sentence =
                        Some(Sentence { poolings: poolings(&config)?, dense: Vec::new(), normalize: false, skip: 0 });
                }
                "Dense" => {
                    let config = settings()?.ok_or_else(|| Asked::Step("Dense".into()))?;
                    let of_tokens = sentence.as_ref().is_none_or(|sentence| sentence.poolings.is_empty());
                    // A pooling that follows would read what is made of tokens.
                    if of_tokens && pools {
                        return Err(Asked::DenseOf("tokens".into()).into());
                    }
                    let sentence = sentence.get_or_insert_with(of_each_token);
                    if sentence.normalize {
                        return Err(Asked::AfterUnitLength("Dense").into());
                    }
                    sentence.dense.push(dense::read(&config, if of_tokens { TOKENS } else { EMBEDDING })?);
                    self.folders.push(text("path").to_owned());
                }
                // Which tokens count in a comparison of texts; all have vectors.
                "MultiVectorMask" => {}
                "LogitScore" => {
                    let config = settings()?.ok_or_else(|| Asked::Step("LogitScore".into()))?;
                    self.answer = Some(reranker::yes_no(&config)?);
                }
                "Normalize" => {
                    let config = settings()?;
                    let of = config.as_ref().map_or(Ok(None), |config| config.str(&["module_input_name"]))?;
                    match of.unwrap_or(EMBEDDING) {
                        // Before there is an embedding, nothing is divided.
                        EMBEDDING => {
                            if let Some(sentence) = sentence.as_mut().filter(|sentence| !sentence.poolings.is_empty()) {
                                sentence.normalize = true;
                            }
                        }
                        TOKENS if !pools => sentence.get_or_insert_with(of_each_token).normalize = true,
                        other => return Err(Asked::UnitLength(other.to_owned()).into()),
                    }
                }
                other => return Err(Asked::Step(other.to_owned()).into()),
            }
        }
        Ok(sentence)
    }

    /// Takes over the settings of the model's own step.
    fn transformer(&mut self, files: &CheckpointFiles, expected: &[&str; 4]) -> Result<(), NoEmbedding> {
        let Some((name, text)) =
            TRANSFORMER.iter().find_map(|name| files.read(name).transpose().map(|text| (*name, text)))
        else {
            return Ok(());
        };
        let config = HfConfig::parse(&files.path_of(name), &text?)?;
        if let Some(tokens) = config.opt_size(&["max_seq_length"])? {
            self.longest = Some(Longest { tokens, front: false });
            self.notes.push(format!(
                "texts are cut off after {tokens} tokens, as sentence-transformers does (max_seq_length of {name})"
            ));
        }
        self.lower = config.flag(&["do_lower_case"], false)?;
        let text = config.json().get("modality_config").and_then(|all| all.get("text"));
        let output = |key: &str| text.and_then(|text| text.get(key));
        let said = [
            ("transformer_task", config.json().get("transformer_task")),
            ("modality_config", output("method")),
            ("modality_config", output("method_output_name")),
            ("module_output_name", config.json().get("module_output_name")),
        ];
        for ((key, value), expected) in said.into_iter().zip(expected) {
            if let Some(value) = value.filter(|value| !value.is_null() && *value != *expected) {
                return Err(Asked::Value { key, value: value.clone(), file: name }.into());
            }
        }
        // What would change the configuration, or the tokens of a text.
        for key in ["config_args", "config_kwargs", "processing_kwargs"] {
            if config.json().get(key).is_some_and(|value| !says_nothing(value)) {
                return Err(Asked::Key { key, file: name }.into());
            }
        }
        const KNOWN: [&str; 6] =
            ["max_seq_length", "do_lower_case", "transformer_task", "modality_config", "module_output_name", "backend"];
        let other = config.json().iter().filter(|(key, value)| !KNOWN.contains(&key.as_str()) && !says_nothing(value));
        let other: Vec<&str> = other.map(|(key, _)| key.as_str()).collect();
        if !other.is_empty() {
            self.notes.push(format!("not used of {name}: {}", other.join(", ")));
        }
        Ok(())
    }

    fn prompts(&mut self, files: &CheckpointFiles) -> Result<(), LoadError> {
        let Some(text) = files.read(WHOLE)? else { return Ok(()) };
        let config = HfConfig::parse(&files.path_of(WHOLE), &text)?;
        let of_tokens = self.after.as_ref().is_some_and(|after| after.poolings.is_empty());
        let kinds: &[&str] = if of_tokens { &["MultiVectorEncoder", "ColBERT"] } else { &["SentenceTransformer"] };
        // PyLate divides by the length without a step for it.
        if let (Some(after), Some("ColBERT"), true) = (&mut self.after, config.str(&["model_type"])?, of_tokens) {
            after.normalize = true;
        }
        if let Some(kind) = config.str(&["model_type"])?.filter(|kind| !kinds.contains(kind)) {
            self.after = None;
            self.notes.push(format!(
                "modules.json describes a {kind}: this is not computed, so there is no sentence embedding"
            ));
            return Ok(());
        }
        let none = Map::new();
        let prompts = config.json().get("prompts").and_then(Json::as_object).unwrap_or(&none);
        let texts = || prompts.iter().filter_map(|(name, text)| Some((name.as_str(), text.as_str()?)));
        let default = config.str(&["default_prompt_name"])?;
        if let Some(name) = default {
            let found = texts().find(|(known, _)| *known == name).map(|(_, text)| text);
            // These two are there without a text.
            let Some(text) = found.or_else(|| ["query", "document"].contains(&name).then_some("")) else {
                return Err(config.bad(format!("\"default_prompt_name\" is {name:?}, which \"prompts\" does not have")));
            };
            self.prompt = Some((name.to_owned(), text.to_owned())).filter(|(_, text)| !text.is_empty());
        }
        if let Some((name, text)) = &self.prompt {
            let without = if self.without_prompt { ", and its tokens are left out of the pooling" } else { "" };
            self.notes
                .push(format!("sentence-transformers puts its prompt {name:?} before every text: {text:?}{without}"));
        }
        let others = texts().filter(|(name, text)| default != Some(*name) && !text.is_empty());
        let others: Vec<String> = others.map(|(name, text)| format!("{name} ({text:?})")).collect();
        if !others.is_empty() {
            let others = others.join(", ");
            self.notes.push(format!("prompts of sentence-transformers that are not put before texts: {others}"));
        }
        Ok(())
    }

    /// The tokenizer as it reads texts for sentence embeddings. The pooling learns how many tokens the prompt has.
    pub fn with_tokenizer(&mut self, tokenizer: Option<Tokenizer>) -> Result<Option<Tokenizer>, LoadError> {
        let measured = self.prompt.is_some() && self.without_prompt;
        let Some(tokenizer) = tokenizer else {
            if measured && self.after.take().is_some() {
                let what = "there is no tokenizer to say which tokens are those of the prompt";
                self.notes.push(format!("{what}, which the pooling leaves out, so there is no sentence embedding"));
            }
            return Ok(None);
        };
        if self.after.is_none() {
            return Ok(Some(tokenizer));
        }
        let fail = |message: String| LoadError::Tokenizer { path: "sentence-transformers".into(), message };
        let tokenizer =
            tokenizer.for_sentences(self.longest.clone(), self.lower).map_err(|error| fail(error.to_string()))?;
        if let (Some(sentence), Some((_, prompt)), true) = (&mut self.after, &self.prompt, measured) {
            let tokens = tokenizer.encode(prompt, true).map_err(|error| fail(error.to_string()))?;
            let ends = tokens.last().is_some_and(|last| last.special);
            sentence.skip = tokens.len() - usize::from(ends);
        }
        Ok(Some(tokenizer))
    }
}

const EMBEDDING: &str = "sentence_embedding";
const TOKENS: &str = "token_embeddings";

/// The architecture of the files of ColBERT itself.
const COLBERT: &str = "HF_ColBERT";

const OF_TOKENS: &str = "every token of a text has a vector; marks of queries and documents, their expansion and tokens that do \
                         not count are not added to a text";

/// Task, method, and names of outputs of the model's own step, for embeddings and for scores by logits.
const FOR_EMBEDDINGS: [&str; 4] = ["feature-extraction", "forward", "last_hidden_state", TOKENS];
const FOR_SCORES: [&str; 4] = ["text-generation", "forward", "logits", "causal_logits"];

/// A vector of each token, as the model has them.
fn of_each_token() -> Sentence {
    Sentence { poolings: Vec::new(), dense: Vec::new(), normalize: false, skip: 0 }
}

/// The poolings that are asked for, in the order in which sentence-transformers joins them; the mean if none is.
fn poolings(config: &HfConfig) -> Result<Vec<Pooling>, NoEmbedding> {
    let named = |name: &str| MODES.iter().find(|(known, _)| *known == short(name)).map(|(_, pooling)| *pooling);
    // Since version 6 there is one name, or a list of them; before there were flags.
    let found: Vec<Pooling> = match config.find(&["pooling_mode"]) {
        Some((_, Json::Array(list))) => {
            let one = |mode: &Json| mode.as_str().and_then(named).ok_or_else(|| Asked::Pooling(mode.to_string()));
            list.iter().map(one).collect::<Result<_, _>>()?
        }
        Some(_) => {
            let mode = config.str(&["pooling_mode"])?.unwrap_or_default();
            vec![named(mode).ok_or_else(|| Asked::Pooling(format!("{mode:?}")))?]
        }
        None => {
            let flags = config.json().iter().filter(|(_, value)| **value == true);
            let asked: Vec<&str> = flags.filter_map(|(key, _)| key.strip_prefix("pooling_mode_")).map(short).collect();
            if let Some(unknown) = asked.iter().find(|name| named(name).is_none()) {
                return Err(Asked::Pooling(format!("{unknown:?}")).into());
            }
            MODES.iter().filter(|(name, _)| asked.contains(name)).map(|(_, pooling)| *pooling).collect()
        }
    };
    Ok(if found.is_empty() { vec![Pooling::Mean] } else { found })
}

fn short(mode: &str) -> &str {
    mode.strip_suffix("_tokens").or_else(|| mode.strip_suffix("_token")).unwrap_or(mode)
}

/// Names of poolings, in the order in which sentence-transformers joins them.
const MODES: [(&str, Pooling); 7] = [
    ("cls", Pooling::First),
    ("max", Pooling::Max),
    ("mean", Pooling::Mean),
    ("mean_sqrt_len", Pooling::MeanSqrt),
    ("weightedmean", Pooling::WeightedMean),
    ("lasttoken", Pooling::Last),
    ("last", Pooling::Last),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Pooling>, Asked> {
        match poolings(&HfConfig::parse("1_Pooling/config.json", text.as_bytes()).unwrap()) {
            Ok(poolings) => Ok(poolings),
            Err(NoEmbedding::NotComputed(asked)) => Err(asked),
            Err(NoEmbedding::File(error)) => panic!("{error}"),
        }
    }

    fn refused(pooling: &str) -> Result<Vec<Pooling>, Asked> {
        Err(Asked::Pooling(pooling.into()))
    }

    #[test]
    fn poolings_are_joined_in_the_order_of_sentence_transformers() {
        assert_eq!(read("{}"), Ok(vec![Pooling::Mean]));
        assert_eq!(read(r#"{"pooling_mode": "cls"}"#), Ok(vec![Pooling::First]));
        let text = r#"{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true,
            "pooling_mode_mean_sqrt_len_tokens": true, "pooling_mode_max_tokens": false}"#;
        assert_eq!(read(text), Ok(vec![Pooling::First, Pooling::Mean, Pooling::MeanSqrt]));
        assert_eq!(read(r#"{"pooling_mode_lasttoken": true}"#), Ok(vec![Pooling::Last]));
        assert_eq!(read(r#"{"pooling_mode": "attention"}"#), refused("\"attention\""));
        assert_eq!(read(r#"{"pooling_mode_wild_tokens": true}"#), refused("\"wild\""));
    }

    /// A list is joined in its own order, and counts before flags that an older version left.
    #[test]
    fn a_list_of_poolings_is_joined_as_it_is() {
        let text = r#"{"pooling_mode": ["max", "mean_sqrt_len_tokens", "cls"], "pooling_mode_mean_tokens": true}"#;
        assert_eq!(read(text), Ok(vec![Pooling::Max, Pooling::MeanSqrt, Pooling::First]));
        assert_eq!(read(r#"{"pooling_mode": ["mean", 3]}"#), refused("3"));
    }
}
