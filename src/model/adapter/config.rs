//! `adapter_config.json`: what of it changes the arithmetic, and what of it cannot be applied here.

use std::collections::HashSet;

use regex::Regex;
use serde_json::{Map, Value as Json};

use super::error::ConfigFault;
use crate::model::config::says_nothing;

#[derive(Debug)]
pub struct AdapterConfig {
    alpha: f64,
    alphas: Vec<(Regex, f64)>,
    root_scaling: bool,
    /// Whether what is adapted has separate lengths (DoRA).
    pub dora: bool,
    /// Tokens whose rows are replaced, by the end of the module's name; empty for the token embedding.
    tokens: Vec<(String, Vec<usize>)>,
    /// The model that it was trained on, as its author called it.
    pub base: Option<String>,
}

/// Ways to begin that change the base weights too: what is stored is then not all of the difference.
const CHANGE_THE_BASE: [&str; 5] = ["pissa", "olora", "corda", "loftq", "lora_ga"];

/// Settings that say something that is not computed, where they say anything.
const NOT_COMPUTED: [(&str, &str); 8] = [
    ("arrow_config", "it chooses among several adapters"),
    ("kasa_config", "it has a matrix between the two factors"),
    ("monteclora_config", "it draws its factors at random"),
    ("use_bdlora", "its factors are blocks along a diagonal"),
    ("use_qalora", "QALoRA pools the input"),
    ("layer_replication", "it repeats layers"),
    ("target_parameters", "it adapts parameters inside merged modules"),
    ("alora_invocation_tokens", "it is switched on by tokens of the prompt"),
];

impl AdapterConfig {
    pub fn parse(text: &[u8]) -> Result<AdapterConfig, ConfigFault> {
        let root: Map<String, Json> = serde_json::from_slice(text)?;
        match root.get("peft_type").and_then(Json::as_str) {
            Some("LORA") => {}
            Some(other) => return Err(ConfigFault::Type(other.to_owned())),
            None => return Err(ConfigFault::NoType),
        }
        for (key, reason) in NOT_COMPUTED {
            if root.get(key).is_some_and(|value| !says_nothing(value)) {
                return Err(ConfigFault::NotComputed { key, reason });
            }
        }
        let begin = root.get("init_lora_weights").and_then(Json::as_str).unwrap_or_default().to_lowercase();
        if let Some(way) = CHANGE_THE_BASE.iter().find(|way| begin.starts_with(**way)) {
            return Err(ConfigFault::ChangesBase(way));
        }
        let alpha = match root.get("lora_alpha") {
            Some(alpha) => alpha.as_f64().ok_or(ConfigFault::Alpha)?,
            None => 8.0,
        };
        Ok(AdapterConfig {
            alpha,
            alphas: patterns(root.get("alpha_pattern"))?,
            dora: root.get("use_dora").is_some_and(|on| *on == Json::Bool(true)),
            tokens: tokens(root.get("trainable_token_indices")).ok_or(ConfigFault::Tokens)?,
            root_scaling: root.get("use_rslora").is_some_and(|on| *on == Json::Bool(true)),
            base: root.get("base_model_name_or_path").and_then(Json::as_str).map(String::from),
        })
    }

    /// What the product of a module's two matrices is multiplied by: `alpha / r`, or `alpha / sqrt(r)` with
    /// rank-stabilised scaling (Kalajdzievski 2023).
    pub fn scale(&self, module: &str, rank: usize) -> f64 {
        let alpha =
            self.alphas.iter().find(|(pattern, _)| pattern.is_match(module)).map_or(self.alpha, |(_, alpha)| *alpha);
        if self.root_scaling { alpha / (rank as f64).sqrt() } else { alpha / rank as f64 }
    }
}

impl AdapterConfig {
    /// The tokens whose rows of a module are replaced.
    pub fn tokens(&self, module: &str) -> Option<&[usize]> {
        let is_of = |end: &str| {
            end.is_empty() || module.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        self.tokens.iter().find(|(end, _)| is_of(end)).map(|(_, tokens)| &tokens[..])
    }
}

/// Lists of different tokens: one, or one for each module.
fn tokens(of: Option<&Json>) -> Option<Vec<(String, Vec<usize>)>> {
    let list = |list: &Json| {
        let tokens: Vec<usize> =
            list.as_array()?.iter().map(|token| usize::try_from(token.as_u64()?).ok()).collect::<Option<_>>()?;
        let different: HashSet<&usize> = tokens.iter().collect();
        (different.len() == tokens.len()).then_some(tokens)
    };
    match of.filter(|value| !says_nothing(value)) {
        None => Some(Vec::new()),
        Some(Json::Object(modules)) => {
            modules.iter().map(|(module, tokens)| Some((module.clone(), list(tokens)?))).collect()
        }
        Some(tokens) => Some(vec![(String::new(), list(tokens)?)]),
    }
}

/// Numbers by the ends of module names, as PEFT matches them: `(.*\.)?(KEY)$`.
fn patterns(of: Option<&Json>) -> Result<Vec<(Regex, f64)>, ConfigFault> {
    let Some(Json::Object(entries)) = of else { return Ok(Vec::new()) };
    let pattern = |(key, value): (&String, &Json)| {
        let number = value.as_f64().ok_or_else(|| ConfigFault::PatternAlpha(key.clone()))?;
        let regex = Regex::new(&format!(r"^(?:.*\.)?(?:{key})$"));
        let regex = regex.map_err(|source| ConfigFault::Pattern { key: key.clone(), source })?;
        Ok((regex, number))
    };
    entries.iter().map(pattern).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(rest: &str) -> Result<AdapterConfig, ConfigFault> {
        AdapterConfig::parse(format!(r#"{{"peft_type":"LORA","r":4,"lora_alpha":8{rest}}}"#).as_bytes())
    }

    #[test]
    fn scales_are_those_of_peft() {
        assert_eq!(config("").unwrap().scale("layers.0.q_proj", 4), 2.0);
        assert_eq!(config(r#","use_rslora":true"#).unwrap().scale("x", 4), 4.0);
        let by_name = config(r#","alpha_pattern":{"q_proj":1,"layers.1.mlp.*":2}"#).unwrap();
        assert_eq!((by_name.scale("layers.0.q_proj", 4), by_name.scale("layers.1.mlp.up", 4)), (0.25, 0.5));
        assert_eq!((by_name.scale("layers.0.not_q_proj", 4), by_name.scale("v", 4)), (2.0, 2.0));
    }

    #[test]
    fn tokens_are_those_of_the_module() {
        let all = config(r#","trainable_token_indices":[3,5]"#).unwrap();
        assert_eq!(all.tokens("model.embed_tokens"), Some(&[3, 5][..]));
        let one = config(r#","trainable_token_indices":{"embed_tokens":[4]},"use_dora":true"#).unwrap();
        assert_eq!((one.tokens("model.embed_tokens"), one.dora), (Some(&[4][..]), true));
        assert_eq!((one.tokens("model.not_embed_tokens"), one.tokens("lm_head")), (None, None));
    }

    #[test]
    fn what_is_not_computed_is_refused_by_name() {
        for (rest, wanted) in [
            (r#","use_qalora":true"#, "\"use_qalora\" is set: QALoRA"),
            (r#","trainable_token_indices":[3,3]"#, "not a list of different tokens"),
            (r#","trainable_token_indices":{"embed_tokens":7}"#, "not a list of different tokens"),
            (r#","layer_replication":[[0,2],[1,3]]"#, "it repeats layers"),
            (r#","init_lora_weights":"pissa_niter_4""#, "changes the base weights"),
            (r#","lora_alpha":"much""#, "\"lora_alpha\" is not a number"),
            (r#","alpha_pattern":{"(":1}"#, "regex"),
        ] {
            let message = config(rest).unwrap_err().to_string();
            assert!(message.contains(wanted), "{message}");
        }
        let fault = |text: &[u8]| AdapterConfig::parse(text).unwrap_err().to_string();
        assert!(fault(b"[]").starts_with("not a configuration"));
        assert!(fault(b"{}").contains("no \"peft_type\""));
        assert!(fault(br#"{"peft_type":"IA3"}"#).contains("its type is IA3"));
        assert!(config(r#","use_dora":false,"target_parameters":null,"layer_replication":[]"#).is_ok());
    }
}
