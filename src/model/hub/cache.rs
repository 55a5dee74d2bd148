//! The Hugging Face cache: models that are on this machine already, found by their hub name.
//!
//! Below the cache's directory a model has `refs/REVISION`, which holds a commit, `snapshots/COMMIT/FILE`, which are
//! links, and `blobs/HASH`, which they point to. A snapshot may hold some files of its commit only, so what is there is
//! looked through before it counts as a model.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::choose::{self, Unclear, Weights};
use super::error::HubError;
use super::name::HubName;
use crate::model::file;

/// Folders inside a snapshot are looked through this deep.
const DEEPEST: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cached {
    /// All that is needed: the directory, or the weights file that was named.
    Complete(PathBuf),
    /// Enough to run, without a tokenizer; the hub may have one.
    NoTokenizer(PathBuf),
    Partly(Vec<String>),
    /// Nothing of this revision; the commits that are there.
    Nothing(Vec<String>),
}

pub fn folder(cache: &Path, repo: &str) -> PathBuf {
    cache.join(format!("models--{}", repo.replace('/', "--")))
}

/// Where a snapshot notes files that its commit is known not to have, as `huggingface_hub` does.
pub(super) fn known_missing(cache: &Path, repo: &str, commit: &str, file: &str) -> PathBuf {
    folder(cache, repo).join(".no_exist").join(commit).join(file)
}

/// Looks a model up.
///
/// # Errors
/// If it is there but it is unclear which of its files are meant.
pub fn look(cache: &Path, name: &HubName) -> Result<Cached, HubError> {
    let folder = folder(cache, &name.repo);
    let mut commits = commits(&folder);
    let referred = file::read_text(&folder.join("refs").join(name.revision())).map(|text| text.trim().to_owned());
    let commit = match referred {
        Ok(commit) => commit,
        // Without a reference the only snapshot is meant, else one whose commit was named.
        Err(_) if name.revision.is_none() && commits.len() == 1 => commits.remove(0),
        Err(_) => name.revision().to_owned(),
    };
    let snapshot = folder.join("snapshots").join(&commit);
    if commit.is_empty() || !snapshot.is_dir() {
        return Ok(Cached::Nothing(commits));
    }
    let files = files_of(&snapshot);
    let lacking = |names: &[&str]| Ok(Cached::Partly(names.iter().map(|name| (*name).to_owned()).collect()));
    let (weights, opened) = match choose::weights(&files, name.file.as_deref()) {
        Ok(Weights::Files(parts)) => (parts.clone(), parts.into_iter().next().unwrap_or_default()),
        Ok(Weights::Index(index)) => {
            let path = snapshot.join(&index);
            let text = file::read(&path).map_err(HubError::io(&path))?;
            let shards = choose::shards(&path, &text)?;
            let absent: Vec<String> = shards.iter().filter(|shard| !files.contains(*shard)).cloned().collect();
            if !absent.is_empty() {
                return Ok(Cached::Partly(absent));
            }
            (shards.into_iter().collect(), String::new())
        }
        Err(Unclear::NotThere) => return lacking(&[name.file.as_deref().unwrap_or_default()]),
        Err(Unclear::Nothing) => return lacking(&["the weights"]),
        Err(Unclear::Several(files)) => return Err(HubError::several(name, files)),
    };
    let itself = weights.iter().any(|file| file.ends_with(".gguf"));
    let path = if name.file.is_some() || itself { snapshot.join(&opened) } else { snapshot.clone() };
    if itself {
        return Ok(Cached::Complete(path));
    }
    if !files.contains(&format!("{}config.json", choose::folder(&opened))) {
        return lacking(&["config.json"]);
    }
    let absent = known_missing(cache, &name.repo, &commit, "tokenizer.json").exists();
    let complete = absent || choose::has_tokenizer(&files);
    Ok(if complete { Cached::Complete(path) } else { Cached::NoTokenizer(path) })
}

/// Where a file or folder of a cached snapshot is, whatever it holds; `None` if it is not there.
pub fn place(cache: &Path, name: &HubName) -> Option<PathBuf> {
    let folder = folder(cache, &name.repo);
    let referred = file::read_text(&folder.join("refs").join(name.revision())).map(|text| text.trim().to_owned());
    let commit = referred.unwrap_or_else(|_| name.revision().to_owned());
    let snapshot = folder.join("snapshots").join(commit);
    let path = name.file.as_ref().map_or(snapshot.clone(), |file| snapshot.join(file));
    path.exists().then_some(path)
}

/// Where a cached model is: its directory, or its weights file.
pub fn find(cache: &Path, name: &HubName) -> Result<PathBuf, HubError> {
    match look(cache, name)? {
        Cached::Complete(path) | Cached::NoTokenizer(path) => Ok(path),
        missing => Err(HubError::not_cached(name, cache, &missing, None)),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// `org/name`.
    pub repo: String,
    pub commit: String,
    /// Branches and tags that mean it.
    pub revisions: Vec<String>,
    pub path: PathBuf,
    pub files: BTreeSet<String>,
    pub bytes: u64,
}

/// Every snapshot of every model in the cache, sorted by name.
pub fn snapshots(cache: &Path) -> Vec<Snapshot> {
    let mut all = Vec::new();
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_prefix("models--")) else { continue };
        // Names of models may hold two dashes, those of organisations may not.
        let repo = name.replacen("--", "/", 1);
        let folder = entry.path();
        let references = references(&folder.join("refs"));
        for commit in commits(&folder) {
            let path = folder.join("snapshots").join(&commit);
            let files = files_of(&path);
            let bytes =
                files.iter().filter_map(|file| fs::metadata(path.join(file)).ok()).map(|found| found.len()).sum();
            let mut revisions: Vec<String> =
                references.iter().filter(|(meant, _)| *meant == commit).map(|(_, name)| name.clone()).collect();
            revisions.sort();
            all.push(Snapshot { repo: repo.clone(), commit, revisions, path, files, bytes });
        }
    }
    all.sort_by(|a, b| (&a.repo, &a.commit).cmp(&(&b.repo, &b.commit)));
    all
}

fn commits(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("snapshots")).into_iter().flatten().flatten();
    let mut commits: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    commits.sort();
    commits
}

/// The commits of the names below `refs`, slashes included.
fn references(folder: &Path) -> Vec<(String, String)> {
    let commit = |name: &String| Some(file::read_text(&folder.join(name)).ok()?.trim().to_owned());
    files_of(folder).into_iter().filter_map(|name| Some((commit(&name)?, name))).collect()
}

/// The files below a folder, by their paths in it. Links that lead nowhere do not count.
fn files_of(folder: &Path) -> BTreeSet<String> {
    fn walk(folder: &Path, prefix: &str, depth: usize, files: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let Ok(found) = fs::metadata(entry.path()) else { continue };
            let name = format!("{prefix}{name}");
            if found.is_file() {
                files.insert(name);
            } else if depth > 1 {
                walk(&entry.path(), &format!("{name}/"), depth - 1, files);
            }
        }
    }
    let mut files = BTreeSet::new();
    walk(folder, "", DEEPEST, &mut files);
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Hub(tempfile::TempDir);

    impl Hub {
        fn new() -> Hub {
            Hub(tempfile::tempdir().unwrap())
        }

        fn put(&self, path: &str, text: &str) {
            let path = self.0.path().join("models--org--tiny").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn whole(&self, commit: &str) -> PathBuf {
            for file in ["config.json", "model.safetensors", "tokenizer.json"] {
                self.put(&format!("snapshots/{commit}/{file}"), "x");
            }
            self.0.path().join("models--org--tiny/snapshots").join(commit)
        }

        fn look(&self, name: &str) -> Cached {
            look(self.0.path(), &HubName::parse(name).unwrap()).unwrap()
        }

        fn error(&self, name: &str) -> String {
            let error = find(self.0.path(), &HubName::parse(name).unwrap()).unwrap_err().to_string();
            error.replace(&self.0.path().display().to_string(), "CACHE")
        }
    }

    #[test]
    fn snapshots_are_found_by_reference_commit_or_being_alone() {
        let hub = Hub::new();
        let first = hub.whole("abc");
        assert_eq!(hub.look("org/tiny"), Cached::Complete(first.clone()));
        let second = hub.whole("def");
        hub.put("refs/main", "def\n");
        hub.put("refs/refs/pr/1", "abc");
        assert_eq!(hub.look("org/tiny"), Cached::Complete(second));
        assert_eq!(hub.look("org/tiny@abc"), Cached::Complete(first.clone()));
        assert_eq!(hub.look("org/tiny@refs/pr/1"), Cached::Complete(first.clone()));
        assert_eq!(hub.look("org/tiny@v9"), Cached::Nothing(vec!["abc".into(), "def".into()]));
        assert_eq!(
            hub.error("org/tiny@v9"),
            "revision \"v9\" of \"org/tiny\" is not in the Hugging Face cache at CACHE; cached: abc, def"
        );
        assert_eq!(
            hub.error("org/other"),
            "\"org/other\" is neither a file or directory nor in the Hugging Face cache at CACHE"
        );
        let listed = snapshots(hub.0.path());
        assert_eq!(listed.len(), 2);
        assert_eq!((listed[0].repo.as_str(), &listed[0].path, listed[0].bytes), ("org/tiny", &first, 3));
        assert_eq!(listed[0].revisions, ["refs/pr/1"]);
    }

    #[test]
    fn what_is_not_whole_does_not_count() {
        let hub = Hub::new();
        hub.put("snapshots/abc/config.json", "{}");
        assert_eq!(hub.look("org/tiny"), Cached::Partly(vec!["the weights".into()]));
        hub.put("snapshots/abc/model.safetensors.index.json", r#"{"weight_map": {"a": "a.st", "b": "b.st"}}"#);
        hub.put("snapshots/abc/a.st", "x");
        assert_eq!(hub.look("org/tiny"), Cached::Partly(vec!["b.st".into()]));
        assert_eq!(
            hub.error("org/tiny"),
            "\"org/tiny\" is incomplete in the Hugging Face cache at CACHE: b.st is missing"
        );
        let snapshot = hub.0.path().join("models--org--tiny/snapshots/abc");
        std::os::unix::fs::symlink("../../blobs/nothing", snapshot.join("b.st")).unwrap();
        assert_eq!(hub.look("org/tiny"), Cached::Partly(vec!["b.st".into()]));
        hub.put("blobs/nothing", "x");
        assert_eq!(hub.look("org/tiny"), Cached::NoTokenizer(snapshot.clone()));
        hub.put(".no_exist/abc/tokenizer.json", "");
        assert_eq!(hub.look("org/tiny"), Cached::Complete(snapshot));
    }

    #[test]
    fn files_can_be_named() {
        let hub = Hub::new();
        let snapshot = hub.whole("abc");
        hub.put("snapshots/abc/q4.gguf", "x");
        assert_eq!(hub.look("org/tiny"), Cached::Complete(snapshot.clone()));
        assert_eq!(hub.look("org/tiny:q4.gguf"), Cached::Complete(snapshot.join("q4.gguf")));
        assert_eq!(hub.look("org/tiny:q8.gguf"), Cached::Partly(vec!["q8.gguf".into()]));
        fs::remove_file(snapshot.join("model.safetensors")).unwrap();
        hub.put("snapshots/abc/q8.gguf", "x");
        assert_eq!(
            hub.error("org/tiny"),
            "\"org/tiny\" has several files that could be meant: name one, as in \"org/tiny:q4.gguf\"; choose from: \
             q4.gguf, q8.gguf"
        );
    }
}
