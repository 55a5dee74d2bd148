//! What sentence-transformers does after the model: `modules.json` and the configurations it names.

use super::checkpoint::CheckpointFiles;
use super::config::{HfConfig, parse_json};
use super::error::LoadError;
use super::spec::{Pooling, Sentence};

/// The sentence embedding that is asked for, if it can be computed, and what is to be said about it.
///
/// # Errors
/// If a file that is there cannot be read.
pub fn sentence(files: &CheckpointFiles) -> Result<(Option<Sentence>, Vec<String>), LoadError> {
    let Some(text) = files.read("modules.json")? else { return Ok((None, Vec::new())) };
    let modules = parse_json(&files.path_of("modules.json"), &text)?;
    let (mut poolings, mut normalize) = (None, false);
    for module in modules.as_array().into_iter().flatten() {
        let text = |key: &str| module.get(key).and_then(|value| value.as_str()).unwrap_or_default();
        match text("type").rsplit('.').next().unwrap_or_default() {
            "Transformer" | "Dropout" => {}
            "Pooling" => {
                let name = format!("{}/config.json", text("path"));
                let found = match files.read(&name)? {
                    Some(config) => read_poolings(&HfConfig::parse(&files.path_of(&name), &config)?)?,
                    None => Err(format!("the pooling of {name}, which is not there")),
                };
                match found {
                    Ok(found) => poolings = Some(found),
                    Err(what) => return Ok((None, vec![not_computed(&what)])),
                }
            }
            "Normalize" => normalize = true,
            other => return Ok((None, vec![not_computed(&format!("a {other} step after the model"))])),
        }
    }
    match poolings {
        Some(poolings) => Ok((Some(Sentence { poolings, normalize }), Vec::new())),
        None => Ok((None, Vec::new())),
    }
}

fn not_computed(what: &str) -> String {
    format!("modules.json asks for {what}: this is not computed, so there is no sentence embedding")
}

/// The poolings that are asked for, in the order in which sentence-transformers joins them; or what cannot be computed.
fn read_poolings(config: &HfConfig) -> Result<Result<Vec<Pooling>, String>, LoadError> {
    if let Some(mode) = config.str(&["pooling_mode"])? {
        let known = MODES.iter().find(|(name, _)| *name == mode);
        return Ok(known.map(|(_, pooling)| vec![*pooling]).ok_or_else(|| format!("the pooling {mode:?}")));
    }
    let asked: Vec<&str> = config
        .json()
        .iter()
        .filter(|(_, value)| **value == true)
        .filter_map(|(key, _)| key.strip_prefix("pooling_mode_"))
        .map(|name| name.strip_suffix("_tokens").or_else(|| name.strip_suffix("_token")).unwrap_or(name))
        .collect();
    if let Some(unknown) = asked.iter().find(|name| !MODES.iter().any(|(known, _)| known == *name)) {
        return Ok(Err(format!("the pooling {unknown:?}")));
    }
    let found: Vec<Pooling> =
        MODES.iter().filter(|(name, _)| asked.contains(name)).map(|(_, pooling)| *pooling).collect();
    // Nothing said is the mean.
    Ok(Ok(if found.is_empty() { vec![Pooling::Mean] } else { found }))
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

    fn read(text: &str) -> Result<Vec<Pooling>, String> {
        read_poolings(&HfConfig::parse("1_Pooling/config.json", text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn poolings_are_joined_in_the_order_of_sentence_transformers() {
        assert_eq!(read("{}"), Ok(vec![Pooling::Mean]));
        assert_eq!(read(r#"{"pooling_mode": "cls"}"#), Ok(vec![Pooling::First]));
        let text = r#"{"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true,
            "pooling_mode_mean_sqrt_len_tokens": true, "pooling_mode_max_tokens": false}"#;
        assert_eq!(read(text), Ok(vec![Pooling::First, Pooling::Mean, Pooling::MeanSqrt]));
        assert_eq!(read(r#"{"pooling_mode_lasttoken": true}"#), Ok(vec![Pooling::Last]));
        assert_eq!(read(r#"{"pooling_mode": "attention"}"#), Err("the pooling \"attention\"".into()));
        assert_eq!(read(r#"{"pooling_mode_wild_tokens": true}"#), Err("the pooling \"wild\"".into()));
    }
}
