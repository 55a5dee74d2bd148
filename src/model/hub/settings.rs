//! What the environment says about the hub and its cache. The variables are those of `huggingface_hub`, with its
//! meanings.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::file;

/// The hub, unless `HF_ENDPOINT` names another.
const ENDPOINT: &str = "https://huggingface.co";

/// How long a server may send nothing, unless `HF_HUB_DOWNLOAD_TIMEOUT` says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the hub and its cache are, and what may be asked of the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub cache: PathBuf,
    /// Address of the hub, without a slash at its end.
    pub endpoint: String,
    pub token: Option<String>,
    /// The variable that forbids to ask the hub, with its value.
    pub offline: Option<String>,
    pub patience: Duration,
}

impl Settings {
    /// Reads the variables; `variable` gives their values.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Settings {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let path = |name: &str| set(name).map(PathBuf::from);
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let user_cache = || Some(directories::BaseDirs::new()?.home_dir().join(".cache"));
        let home = path("HF_HOME")
            .or_else(|| Some(path("XDG_CACHE_HOME").or_else(user_cache)?.join("huggingface")))
            .unwrap_or_else(|| PathBuf::from(".cache/huggingface"));
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE")).unwrap_or_else(|| home.join("hub"));
        let token = text("HF_TOKEN")
            .or_else(|| text("HUGGING_FACE_HUB_TOKEN"))
            .or_else(|| file::read_text(&path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"))).ok());
        let on = |name: &str| {
            let value = text(name)?;
            ["1", "on", "yes", "true"].contains(&value.to_lowercase().as_str()).then(|| format!("{name}={value}"))
        };
        let seconds = text("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|value| value.trim().parse().ok()).filter(|n| *n > 0);
        Settings {
            cache,
            endpoint: text("HF_ENDPOINT").map_or(ENDPOINT.into(), |found| found.trim_end_matches('/').to_owned()),
            token: token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()),
            offline: on("HF_HUB_OFFLINE").or_else(|| on("TRANSFORMERS_OFFLINE")),
            patience: seconds.map_or(PATIENCE, Duration::from_secs),
        }
    }

    pub fn from_environment() -> Settings {
        Settings::read(|name| std::env::var_os(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(set: &[(&str, &str)]) -> Settings {
        Settings::read(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn the_cache_is_where_the_variables_say() {
        let cache = |set: &[(&str, &str)]| with(set).cache;
        assert_eq!(cache(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")]), PathBuf::from("/c"));
        assert_eq!(cache(&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/old")]), PathBuf::from("/old"));
        assert_eq!(cache(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "")]), PathBuf::from("/h/hub"));
        assert_eq!(cache(&[("XDG_CACHE_HOME", "/x")]), PathBuf::from("/x/huggingface/hub"));
        assert!(cache(&[]).ends_with(".cache/huggingface/hub"));
    }

    #[test]
    fn tokens_are_variables_or_files() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().to_str().unwrap();
        assert_eq!(with(&[("HF_HOME", path)]).token, None);
        std::fs::write(home.path().join("token"), "hf_file\n").unwrap();
        assert_eq!(with(&[("HF_HOME", path)]).token.as_deref(), Some("hf_file"));
        assert_eq!(with(&[("HF_HOME", path), ("HF_TOKEN", " hf_set\n")]).token.as_deref(), Some("hf_set"));
        let elsewhere = home.path().join("token");
        assert_eq!(
            with(&[("HF_HOME", "/no"), ("HF_TOKEN_PATH", elsewhere.to_str().unwrap())]).token.as_deref(),
            Some("hf_file")
        );
    }

    #[test]
    fn the_rest() {
        let plain = with(&[("HF_HOME", "/h")]);
        assert_eq!((plain.endpoint.as_str(), &plain.offline), ("https://huggingface.co", &None));
        assert_eq!(plain.patience, Duration::from_secs(10));
        let set = with(&[
            ("HF_HOME", "/h"),
            ("HF_ENDPOINT", "http://localhost:1/"),
            ("TRANSFORMERS_OFFLINE", "True"),
            ("HF_HUB_OFFLINE", "0"),
            ("HF_HUB_DOWNLOAD_TIMEOUT", "3"),
        ]);
        assert_eq!((set.endpoint.as_str(), set.patience), ("http://localhost:1", Duration::from_secs(3)));
        assert_eq!(set.offline.as_deref(), Some("TRANSFORMERS_OFFLINE=True"));
    }
}
