//! What can go wrong between a hub name and files on this machine.
//!
//! Every message names the model or the file, where it was looked for and what to do next.

use std::io;
use std::path::Path;

use super::super::text::{self, bytes};
use super::cache::Cached;
use super::name::HubName;

/// A model of the hub that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    // The cache
    /// Not in the cache, or not all of it.
    #[error("{what}{next}")]
    NotCached {
        /// What is not there, and where.
        what: String,
        /// What to do, if anything is known.
        next: String,
    },
    /// A cached index of shards that cannot be understood.
    #[error("{path} is no index of shards: {message}; delete it and start again")]
    BadIndex {
        /// The index.
        path: String,
        /// What is wrong.
        message: String,
    },

    // What is asked for
    /// Several files could be the weights.
    #[error(
        "{name:?} has several files that could be meant: name one, as in {example:?}; there are {}", listed(.files)
    )]
    Several {
        /// The model.
        name: String,
        /// The model with its first file.
        example: String,
        /// The files.
        files: Vec<String>,
    },
    /// No file that could be the weights.
    #[error(
        "{name:?} on {endpoint} has no weights that can be read (model.safetensors, pytorch_model.bin or a .gguf file); \
         there are {}", listed(.files)
    )]
    NoWeights {
        /// The model.
        name: String,
        /// The hub.
        endpoint: String,
        /// What is there.
        files: Vec<String>,
    },
    /// The file that was named, or one that another file names, is not in the repository.
    #[error("{name:?} on {endpoint} has no file {file:?}{}", there(.files))]
    NoFile {
        /// The model.
        name: String,
        /// The hub.
        endpoint: String,
        /// The file.
        file: String,
        /// What could be meant.
        files: Vec<String>,
    },

    // What the hub answers
    /// No such model, or one that only some may see.
    #[error(
        "{repo:?} is neither a file or directory, nor in the Hugging Face cache at {cache}, nor on {endpoint} (it says \
         {status}); check the spelling{}", private(*.token)
    )]
    UnknownRepo {
        /// The model.
        repo: String,
        /// The cache.
        cache: String,
        /// The hub.
        endpoint: String,
        /// Its answer.
        status: u16,
        /// Whether a token was given.
        token: bool,
    },
    /// A revision that the model does not have.
    #[error(
        "{repo:?} on {endpoint} has no revision {revision:?}; look at {endpoint}/{repo}/tree/main for branches and tags"
    )]
    UnknownRevision {
        /// The model.
        repo: String,
        /// The hub.
        endpoint: String,
        /// The revision.
        revision: String,
    },
    /// A model whose terms must be accepted first.
    #[error(
        "{repo:?} may be downloaded only by those who were granted access (the hub says {status}{}); ask for it at \
         {endpoint}/{repo}{}", said(.message), login(*.token)
    )]
    Gated {
        /// The model.
        repo: String,
        /// The hub.
        endpoint: String,
        /// Its answer.
        status: u16,
        /// What it says.
        message: String,
        /// Whether a token was given.
        token: bool,
    },
    /// The token is not accepted, or there is none.
    #[error(
        "{endpoint} refuses {what} (it says {status}{}){}", said(.message), login(*.token)
    )]
    Refused {
        /// The hub.
        endpoint: String,
        /// The file or the model.
        what: String,
        /// Its answer.
        status: u16,
        /// What it says.
        message: String,
        /// Whether a token was given.
        token: bool,
    },
    /// The hub or its storage is out of order.
    #[error("{host} answers {status}{} when asked for {what}; try again later", said(.message))]
    Server {
        /// Who answers.
        host: String,
        /// The answer.
        status: u16,
        /// What it says.
        message: String,
        /// What was asked for.
        what: String,
    },
    /// An answer that makes no sense.
    #[error(
        "{host} gives an answer that cannot be used when asked for {what}: {message}; is HF_ENDPOINT a Hugging Face hub?"
    )]
    BadAnswer {
        /// Who answers.
        host: String,
        /// What was asked for.
        what: String,
        /// What is wrong.
        message: String,
    },

    // The way
    /// There is no way to the hub.
    #[error(
        "cannot reach {host} for {what}: {message}; check the network (HTTPS_PROXY, HF_ENDPOINT), or set \
         HF_HUB_CACHE to where the model is"
    )]
    Unreachable {
        /// Who does not answer.
        host: String,
        /// What was asked for.
        what: String,
        /// What the system says.
        message: String,
    },
    /// The connection breaks off time and again.
    #[error("the download of {file} from {host} broke off {attempts} times at {} of {}: {message}; what has arrived is \
             kept, start again to go on", bytes(*.done), bytes(*.size))]
    Cut {
        /// The file.
        file: String,
        /// Who sends it.
        host: String,
        /// How often.
        attempts: u32,
        /// Bytes that have arrived.
        done: u64,
        /// Bytes of the file.
        size: u64,
        /// What the system says.
        message: String,
    },
    /// What arrived is not what was announced.
    #[error("{file} from {host} is not what was announced: {found}, expected {expected}; it was deleted, start again")]
    Mismatch {
        /// The file.
        file: String,
        /// Who sent it.
        host: String,
        /// Its size or hash.
        found: String,
        /// What they should be.
        expected: String,
    },

    // This machine
    /// The disk is full, or would be.
    #[error(
        "no space for {what} in {folder}: {} are needed, {} are free; free some, or set HF_HUB_CACHE to another disk",
        bytes(*.needed), bytes(*.free)
    )]
    NoSpace {
        /// What should be written.
        what: String,
        /// Where.
        folder: String,
        /// Bytes that are still to come.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// A file that cannot be read or written.
    #[error(
        "cannot write to the Hugging Face cache: {path}: {source}; check its permissions, or set HF_HUB_CACHE to another place"
    )]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another program is downloading the same file, and does not get on.
    #[error(
        "another program is downloading {file} and has got nothing for {seconds} seconds; end it (it holds {lock}) and start again"
    )]
    Busy {
        /// The file.
        file: String,
        /// How long.
        seconds: u64,
        /// The lock that it holds.
        lock: String,
    },
    /// The user asked to stop.
    #[error("the download of {name} was cancelled{}; what has arrived is kept, start again to go on", at(.file, *.done, *.size))]
    Cancelled {
        /// The model.
        name: String,
        /// The file that was being downloaded.
        file: String,
        /// Bytes of it that are there.
        done: u64,
        /// Bytes of it in all.
        size: u64,
    },
}

impl HubError {
    /// An error of the file system.
    pub(super) fn io(path: &Path, source: io::Error) -> HubError {
        HubError::Io { path: path.display().to_string(), source }
    }

    /// That several files could be meant.
    pub(super) fn several(name: &HubName, files: Vec<String>) -> HubError {
        let example = files.first().map_or_else(|| name.to_string(), |file| name.with_file(file).to_string());
        HubError::Several { name: name.to_string(), example, files }
    }

    /// That the cache lacks a model. `forbidden` is the variable that forbids to download it, and the hub.
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
                format!("{repo:?} is not whole in the Hugging Face cache at {cache}: {} {missing}", listed(files))
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
        let next = forbidden.map(|(variable, endpoint)| {
            format!(
                "; {variable} forbids to download {wanted} from {endpoint}/{repo}: unset it, or set HF_HUB_CACHE to where \
                 the model is"
            )
        });
        HubError::NotCached { what, next: next.unwrap_or_default() }
    }
}

/// Names shown of a long list.
const SHOWN: usize = 12;

fn listed(files: &[String]) -> String {
    if files.is_empty() { "none".into() } else { text::listed(files, SHOWN) }
}

fn there(files: &[String]) -> String {
    if files.is_empty() { String::new() } else { format!("; there are {}", listed(files)) }
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

const LOG_IN: &str = "set HF_TOKEN to a token of yours, or log in with \"hf auth login\"";

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
