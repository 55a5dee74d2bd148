//! The Hugging Face cache: models that are on this machine already, found by their hub name. Nothing is downloaded.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use super::super::error::LoadError;

/// The revision that is meant when none is named.
const DEFAULT_REVISION: &str = "main";

/// Whether `text` is spelled like a hub name: `name` or `org/name`.
pub fn is_hub_name(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    let word = |part: &&str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
    };
    parts.len() <= 2 && parts.iter().all(word)
}

/// The cache's directory: `$HF_HUB_CACHE`, else `$HF_HOME/hub`, else `~/.cache/huggingface/hub`.
pub fn cache_directory(variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("HF_HUB_CACHE")
        .or_else(|| set("HUGGINGFACE_HUB_CACHE"))
        .or_else(|| Some(set("HF_HOME")?.join("hub")))
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("huggingface").join("hub")))
        .or_else(|| Some(directories::BaseDirs::new()?.home_dir().join(".cache").join("huggingface").join("hub")))
        .unwrap_or_else(|| PathBuf::from(".cache/huggingface/hub"))
}

/// The directory of a cached model's files. `revision` is a branch, a tag or a commit; `main` if not given.
pub fn find(cache: &std::path::Path, repo: &str, revision: Option<&str>) -> Result<PathBuf, LoadError> {
    let folder = cache.join(format!("models--{}", repo.replace('/', "--")));
    let snapshots = folder.join("snapshots");
    if !snapshots.is_dir() {
        return Err(LoadError::NotCached { repo: repo.to_owned(), cache: cache.display().to_string() });
    }
    let wanted = revision.unwrap_or(DEFAULT_REVISION);
    let commit = fs::read_to_string(folder.join("refs").join(wanted)).map(|text| text.trim().to_owned());
    let snapshot = snapshots.join(commit.as_deref().unwrap_or(wanted));
    if snapshot.is_dir() {
        return Ok(snapshot);
    }
    let mut cached: Vec<String> =
        fs::read_dir(&snapshots).into_iter().flatten().filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
    cached.sort();
    match (revision, cached.as_slice()) {
        (None, [only]) => Ok(snapshots.join(only)),
        _ => Err(LoadError::NoRevision {
            repo: repo.to_owned(),
            revision: wanted.to_owned(),
            cache: cache.display().to_string(),
            found: if cached.is_empty() { "none".into() } else { cached.join(", ") },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_hub() {
        assert!(
            ["gpt2", "openai-community/gpt2", "meta-llama/Llama-3.2-1B", "a_b/c.d"]
                .iter()
                .all(|name| is_hub_name(name))
        );
        assert!(!["", "a/b/c", "/abs", "./here", "a b", "-x", "a/", "~/m"].iter().any(|name| is_hub_name(name)));
    }

    #[test]
    fn the_cache_is_where_the_variables_say() {
        let with = |set: &'static [(&'static str, &'static str)]| {
            cache_directory(move |name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
        };
        assert_eq!(with(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")]), PathBuf::from("/c"));
        assert_eq!(with(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "")]), PathBuf::from("/h/hub"));
        assert_eq!(with(&[("XDG_CACHE_HOME", "/x")]), PathBuf::from("/x/huggingface/hub"));
        assert!(with(&[]).ends_with(".cache/huggingface/hub"));
    }

    #[test]
    fn snapshots_are_found_by_reference_commit_or_being_alone() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("models--org--tiny");
        fs::create_dir_all(folder.join("snapshots/abc")).unwrap();
        let found = |revision| find(cache.path(), "org/tiny", revision);
        assert_eq!(found(None).unwrap(), folder.join("snapshots/abc"));
        fs::create_dir_all(folder.join("snapshots/def")).unwrap();
        fs::create_dir_all(folder.join("refs")).unwrap();
        fs::write(folder.join("refs/main"), "def\n").unwrap();
        assert_eq!(found(None).unwrap(), folder.join("snapshots/def"));
        assert_eq!(found(Some("abc")).unwrap(), folder.join("snapshots/abc"));
        assert_eq!(
            found(Some("v9")).unwrap_err().to_string(),
            format!(
                "revision \"v9\" of \"org/tiny\" is not in the Hugging Face cache at {}; cached: abc, def",
                cache.path().display()
            )
        );
        assert_eq!(
            find(cache.path(), "org/other", None).unwrap_err().to_string(),
            format!(
                "\"org/other\" is neither a file or directory nor in the Hugging Face cache at {}; get it with \"hf \
                 download org/other\", or set HF_HUB_CACHE to where it is",
                cache.path().display()
            )
        );
    }
}
