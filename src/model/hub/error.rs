//! What can go wrong between a hub name and files on this machine.
//!
//! Every message names the model or the file, where it was looked for and what to do next.

use std::io;
use std::path::Path;

use super::cache::Cached;
use super::name::HubName;
use crate::model::text::{self, bytes};

/// A model of the hub that cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    // The cache
    #[error("{what}{next}")]
    NotCached { what: String, next: String },
    #[error("{path} is not an index of shards: {message}; delete it and start again")]
    BadIndex { path: String, message: String },

    // What is asked for
    #[error(
        "{name:?} has several files that could be meant: name one, as in {example:?}; choose from: {}", listed(.files)
    )]
    Several { name: String, example: String, files: Vec<String> },
    #[error(
        "{name:?} on {endpoint} has no weights that can be read (model.safetensors, pytorch_model.bin or a .gguf \
         file); it has {}", listed(.files)
    )]
    NoWeights { name: String, endpoint: String, files: Vec<String> },
    #[error("{name:?} on {endpoint} has no file {file:?}{}", there(.files))]
    NoFile { name: String, endpoint: String, file: String, files: Vec<String> },

    // What the hub answers
    #[error(
        "{repo:?} is neither a file or directory, nor in the Hugging Face cache at {cache}, nor on {endpoint} (it says \
         {status}); check the spelling{}", private(*.token)
    )]
    UnknownRepo { repo: String, cache: String, endpoint: String, status: u16, token: bool },
    #[error(
        "{repo:?} on {endpoint} has no revision {revision:?}; look at {endpoint}/{repo}/tree/main for branches and tags"
    )]
    UnknownRevision { repo: String, endpoint: String, revision: String },
    #[error(
        "{repo:?} may be downloaded only by those who were granted access (the hub says {status}{}); ask for it at \
         {endpoint}/{repo}{}", said(.message), login(*.token)
    )]
    Gated { repo: String, endpoint: String, status: u16, message: String, token: bool },
    #[error("{endpoint} refuses {what} (it says {status}{}){}", said(.message), login(*.token))]
    Refused { endpoint: String, what: String, status: u16, message: String, token: bool },
    #[error("{host} answers {status}{} when asked for {what}; try again later", said(.message))]
    Server { host: String, status: u16, message: String, what: String },
    #[error(
        "{host} gives an answer that cannot be used when asked for {what}: {message}; is HF_ENDPOINT a Hugging Face \
         hub?"
    )]
    BadAnswer { host: String, what: String, message: String },

    // The way
    #[error(
        "cannot reach {host} for {what}: {message}; check the network (HTTPS_PROXY, HF_ENDPOINT), or set \
         HF_HUB_CACHE to where the model is"
    )]
    Unreachable { host: String, what: String, message: String },
    #[error(
        "the download of {file} from {host} broke off {attempts} times at {} of {}: {message}; what has arrived is kept: \
         start again to resume",
        bytes(*.done), bytes(*.size)
    )]
    Cut { file: String, host: String, attempts: u32, done: u64, size: u64, message: String },
    #[error("{file} from {host} is not what was announced: {found}, expected {expected}; it was deleted, start again")]
    Mismatch { file: String, host: String, found: String, expected: String },

    // This machine
    #[error(
        "no space for {what} in {folder}: {} are needed, {} are free; free some, or set HF_HUB_CACHE to another disk",
        bytes(*.needed), bytes(*.free)
    )]
    NoSpace { what: String, folder: String, needed: u64, free: u64 },
    #[error(
        "cannot write to the Hugging Face cache: {path}: {source}; check its permissions, or set HF_HUB_CACHE to \
         another place"
    )]
    Io { path: String, source: io::Error },
    #[error(
        "another program is downloading {file} and has received nothing for {seconds} seconds; end it (it holds \
         {lock}) and start again"
    )]
    Busy { file: String, seconds: u64, lock: String },
    #[error(
        "the download of {name} was cancelled{}; what has arrived is kept: start again to resume",
        at(.file, *.done, *.size)
    )]
    Cancelled { name: String, file: String, done: u64, size: u64 },
}

impl HubError {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> HubError {
        move |source| HubError::Io { path: path.display().to_string(), source }
    }

    pub(super) fn bad_answer(host: &str, what: &str, message: impl ToString) -> HubError {
        HubError::BadAnswer { host: host.to_owned(), what: what.to_owned(), message: message.to_string() }
    }

    pub(super) fn several(name: &HubName, files: Vec<String>) -> HubError {
        let example = HubName { file: files.first().or(name.file.as_ref()).cloned(), ..name.clone() };
        HubError::Several { name: name.to_string(), example: example.to_string(), files }
    }

    /// That the cache lacks a model. `forbidden` is the variable that forbids downloading it, and the hub.
    pub(super) fn not_cached(
        name: &HubName,
        cache: &Path,
        found: &Cached,
        forbidden: Option<(&str, &str)>,
    ) -> HubError {
        let (repo, cache) = (&name.repo, cache.display());
        let what = match found {
            Cached::Partly(files) => {
                let missing = if files.len() == 1 { "is missing" } else { "are missing" };
                format!("{repo:?} is incomplete in the Hugging Face cache at {cache}: {} {missing}", listed(files))
            }
            Cached::Nothing(commits) if !commits.is_empty() => {
                let (revision, commits) = (name.revision(), commits.join(", "));
                format!(
                    "revision {revision:?} of {repo:?} is not in the Hugging Face cache at {cache}; cached: {commits}"
                )
            }
            _ => format!("{repo:?} is neither a file or directory nor in the Hugging Face cache at {cache}"),
        };
        let wanted = match found {
            Cached::Partly(files) if files.iter().all(|file| file.contains('.')) => listed(files),
            _ => "its configuration, tokenizer and weights".to_owned(),
        };
        let next = forbidden.map_or_else(String::new, |(variable, endpoint)| {
            format!(
                "; {variable} forbids downloading {wanted} from {endpoint}/{repo}: unset it, or set HF_HUB_CACHE to \
                 where the model is"
            )
        });
        HubError::NotCached { what, next }
    }
}

/// Names shown of a long list.
const SHOWN: usize = 12;

fn listed(files: &[String]) -> String {
    if files.is_empty() { "none".into() } else { text::listed(files, SHOWN) }
}

fn there(files: &[String]) -> String {
    if files.is_empty() { String::new() } else { format!("; choose from: {}", listed(files)) }
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

const LOG_IN: &str = "set HF_TOKEN to your token, or log in with \"hf auth login\"";

fn private(token: bool) -> String {
    match token {
        true => ", and that your token may read it if it is private".into(),
        false => format!("; if it is private, {LOG_IN}"),
    }
}

fn login(token: bool) -> String {
    match token {
        true => "; a token was sent: check that it is valid and may read this model".into(),
        false => format!("; then {LOG_IN}"),
    }
}

fn at(file: &str, done: u64, size: u64) -> String {
    match (file, size) {
        ("", _) => String::new(),
        (file, 0) => format!(" at {file}"),
        (file, size) => format!(" at {file}, {} of {}", bytes(done), bytes(size)),
    }
}
