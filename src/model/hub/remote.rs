//! What the hub is asked, and what its answers mean.
//!
//! hf-hub builds the addresses, the listing's request and its headers. Files are asked for here, over the same HTTP
//! library: hf-hub 0.5 takes what arrives for the whole file, cannot be stopped while it downloads, waits for a silent
//! server forever, and fails where a server ignores the range it is asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use hf_hub::api::sync::{ApiBuilder, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use serde_json::Value;
use ureq::http::Uri;
use ureq::typestate::WithoutBody;
use ureq::{Agent, RequestBuilder};

use super::error::HubError;
use super::exchange::{Answer, Trouble, ask};
use super::meter::Meter;
use super::name::{HubName, is_word};
use super::settings::Settings;

/// Redirects that are followed.
const REDIRECTS: usize = 6;

/// Largest listing that is read.
const LISTING: usize = 64 << 20;

/// Largest explanation that is read.
const EXPLANATION: usize = 64 << 10;

pub struct Remote<'a> {
    name: &'a HubName,
    pub settings: &'a Settings,
    api: ApiRepo,
    /// Follows no redirect, so that the token goes to the hub alone.
    agent: Agent,
    pub meter: Meter,
}

pub struct Listing {
    pub commit: String,
    pub files: BTreeMap<String, Entry>,
}

/// What the listing says about a file.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    pub size: Option<u64>,
    /// SHA-256 of its content, where it is stored by that.
    pub sha256: Option<String>,
    /// Git's hash of it, where it is stored in Git.
    pub blob: Option<String>,
}

/// What the hub says about a file before it sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The commit it belongs to, if the hub says.
    pub commit: Option<String>,
    /// What it is stored under in the cache.
    pub etag: String,
    pub size: Option<u64>,
}

/// Why a request did not give what was wanted.
pub enum Failure {
    Cancelled,
    /// Worth another try: the network, or a server that is out of order.
    /// `error` is for when no try helps, `message` what went wrong in a few words, `wait` how long the server wants to
    /// be left alone.
    Passing {
        error: Box<HubError>,
        message: String,
        wait: Option<Duration>,
    },
    /// Not worth another try.
    Final(Box<HubError>),
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Failure {
        Failure::Final(Box::new(error))
    }
}

impl<'a> Remote<'a> {
    /// Prepares to ask; nothing is sent.
    pub fn new(name: &'a HubName, settings: &'a Settings) -> Result<Remote<'a>, HubError> {
        let repo = Repo::with_revision(name.repo.clone(), RepoType::Model, name.revision().to_owned());
        let api = ApiBuilder::from_cache(Cache::new(settings.cache.clone()))
            .with_endpoint(settings.endpoint.clone())
            .with_token(settings.token.clone())
            .with_user_agent("llmdbg", env!("CARGO_PKG_VERSION"))
            .with_progress(false)
            .build()
            .map_err(|error| HubError::bad_answer(&settings.endpoint, &name.repo, error))?;
        let agent = Agent::config_builder()
            .max_redirects(0)
            .user_agent(concat!("llmdbg/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(settings.patience))
            .timeout_connect(Some(settings.patience))
            .timeout_recv_response(Some(settings.patience))
            .timeout_per_read(Some(settings.patience))
            .build()
            .into();
        Ok(Remote { name, settings, api: api.repo(repo), agent, meter: Meter::new(&settings.endpoint) })
    }

    pub fn list(&self) -> Result<Listing, Failure> {
        let limit = Some(self.settings.patience);
        let request = self.api.info_request().query("blobs", "true").config();
        let request = request.timeout_resolve(limit).timeout_connect(limit).timeout_recv_response(limit);
        let (host, what) = (&self.settings.endpoint, &self.name.repo);
        let failed = |trouble| passing(trouble, host, what);
        let answer = ask(request.timeout_per_read(limit).build(), &self.meter).map_err(failed)?;
        if answer.status != 200 {
            return Err(self.refusal(&answer, host, what));
        }
        let text = answer.body(LISTING, &self.meter).map_err(failed)?;
        listing(&text).map_err(|fault| nonsense(host, what, fault))
    }

    /// Asks what a file is, without getting it: one byte, because not every hub answers a HEAD.
    pub fn announced(&self, file: &str, entry: &Entry) -> Result<Announced, Failure> {
        let mut url = self.api.url(&percent_encoded(file));
        let (mut commit, mut etag, mut size) = (None, None, None);
        let mut one_byte = true;
        for _ in 0..REDIRECTS {
            let host = host_of(&url);
            let request = self.get(&url);
            let request = if one_byte { request.header("Range", "bytes=0-0") } else { request };
            let answer = ask(request, &self.meter).map_err(|trouble| passing(trouble, &host, file))?;
            let header = |name: &str| answer.header(name).map(str::to_owned);
            commit = commit.or_else(|| header("x-repo-commit"));
            etag = etag.or_else(|| header("x-linked-etag"));
            size = size.or_else(|| header("x-linked-size")?.parse::<u64>().ok());
            match answer.status {
                // What is stored elsewhere is announced by who sends there.
                301 | 302 | 303 | 307 | 308 if etag.is_none() || size.is_none() => {
                    url = redirect(&answer, &url, file)?;
                    continue;
                }
                301 | 302 | 303 | 307 | 308 => {}
                200 => size = size.or_else(|| header("content-length")?.parse().ok()),
                206 => size = size.or_else(|| header("content-range")?.rsplit('/').next()?.parse().ok()),
                // An empty file has no first byte.
                416 if one_byte => {
                    one_byte = false;
                    continue;
                }
                _ => return Err(self.refusal(&answer, &host, file)),
            }
            let etag = etag.or_else(|| header("etag")).map(|text| plain_etag(&text));
            let listed = || entry.sha256.clone().or_else(|| entry.blob.clone());
            let etag = etag.or_else(listed).filter(|etag| is_word(etag));
            let etag = etag.ok_or_else(|| nonsense(&host, file, "no ETag that could be a file name"))?;
            return Ok(Announced { commit, etag, size });
        }
        Err(nonsense(&host_of(&url), file, format!("more than {REDIRECTS} redirects")))
    }

    /// Begins to get a file from byte `start`. Returns the answer and the byte at which it really begins; `None` if
    /// there is nothing after `start`.
    pub fn get_from(&self, file: &str, start: u64) -> Result<(String, Option<(Answer, u64)>), Failure> {
        let mut url = self.api.url(&percent_encoded(file));
        for _ in 0..REDIRECTS {
            let host = host_of(&url);
            let request = self.get(&url);
            let request = if start > 0 { request.header("Range", format!("bytes={start}-")) } else { request };
            let answer = ask(request, &self.meter).map_err(|trouble| passing(trouble, &host, file))?;
            match answer.status {
                301 | 302 | 303 | 307 | 308 => url = redirect(&answer, &url, file)?,
                200 => return Ok((host, Some((answer, 0)))),
                206 => {
                    let range = answer.header("content-range").and_then(|range| range.strip_prefix("bytes "));
                    let begins = range.and_then(|range| range.split('-').next()?.trim().parse().ok()).unwrap_or(start);
                    return Ok((host, Some((answer, begins))));
                }
                416 => return Ok((host, None)),
                _ => return Err(self.refusal(&answer, &host, file)),
            }
        }
        Err(nonsense(&host_of(&url), file, format!("more than {REDIRECTS} redirects")))
    }

    /// A request for a file; with the token if it goes to the hub itself.
    fn get(&self, url: &str) -> RequestBuilder<WithoutBody> {
        // Compressed, a file would have a different size.
        let request = self.agent.get(url).header("Accept-Encoding", "identity");
        match &self.settings.token {
            Some(token) if host_of(url) == host_of(&self.settings.endpoint) => {
                request.header("Authorization", format!("Bearer {token}"))
            }
            _ => request,
        }
    }

    /// What a status other than success means.
    fn refusal(&self, answer: &Answer, host: &str, what: &str) -> Failure {
        let code = answer.header("x-error-code").unwrap_or_default().to_owned();
        let explained = || {
            let body = answer.body(EXPLANATION, &self.meter).unwrap_or_default();
            let json: Value = serde_json::from_slice(&body).unwrap_or_default();
            json["error"].as_str().unwrap_or_default().to_owned()
        };
        let message = one_line(&answer.header("x-error-message").map_or_else(explained, str::to_owned));
        let (repo, endpoint) = (self.name.repo.clone(), self.settings.endpoint.clone());
        let (status, token) = (answer.status, self.settings.token.is_some());
        let no_repo = code == "RepoNotFound";
        let whole = status == 404 && what == repo;
        let of_revision = whole && self.name.revision.is_some() && message.to_lowercase().contains("revision");
        Failure::from(match (status, code.as_str()) {
            (_, "GatedRepo") => HubError::Gated { repo, endpoint, status, message, token },
            _ if code == "RevisionNotFound" || (of_revision && !no_repo) => {
                HubError::UnknownRevision { repo, endpoint, revision: self.name.revision().to_owned() }
            }
            _ if no_repo || whole => {
                let cache = self.settings.cache.display().to_string();
                HubError::UnknownRepo { repo, cache, endpoint, status, token }
            }
            (404, _) => self.no_file(what, Vec::new()),
            (401 | 403, _) => HubError::Refused { endpoint, what: what.to_owned(), status, message, token },
            (408 | 429 | 500.., _) => {
                let wait = answer.header("retry-after").and_then(|text| text.trim().parse().ok());
                let said = if message.is_empty() { String::new() } else { format!(": {message}") };
                let (host, what) = (host.to_owned(), what.to_owned());
                let said = format!("{host} answers {status}{said}");
                let error = Box::new(HubError::Server { host, status, message, what });
                return Failure::Passing { error, message: said, wait: wait.map(Duration::from_secs) };
            }
            _ => return nonsense(host, what, format!("status {status}")),
        })
    }

    /// That a file is not there; these are.
    pub fn no_file(&self, file: &str, files: Vec<String>) -> HubError {
        let (name, endpoint) = (self.name.repo.clone(), self.settings.endpoint.clone());
        HubError::NoFile { name, endpoint, file: file.to_owned(), files }
    }
}

fn nonsense(host: &str, what: &str, message: impl ToString) -> Failure {
    HubError::bad_answer(host, what, message).into()
}

pub fn passing(trouble: Trouble, host: &str, what: &str) -> Failure {
    match trouble {
        Trouble::Cancelled => Failure::Cancelled,
        Trouble::Network(message) => {
            let (host, what) = (host.to_owned(), what.to_owned());
            let error = Box::new(HubError::Unreachable { host, what, message: message.clone() });
            Failure::Passing { error, message, wait: None }
        }
    }
}

/// What is wrong with the listing of a revision.
#[derive(Debug, thiserror::Error)]
enum BadListing {
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("its listing names no commit")]
    NoCommit,
    #[error("its listing names no files")]
    NoFiles,
}

fn listing(text: &[u8]) -> Result<Listing, BadListing> {
    let json: Value = serde_json::from_slice(text)?;
    let commit = json["sha"].as_str().filter(|commit| is_word(commit)).ok_or(BadListing::NoCommit)?;
    let siblings = json["siblings"].as_array().ok_or(BadListing::NoFiles)?;
    let entry = |file: &Value| {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let large = &file["lfs"];
        let entry = Entry {
            size: large["size"].as_u64().or_else(|| file["size"].as_u64()),
            sha256: text(&large["sha256"]).or_else(|| text(&large["oid"])),
            blob: text(&file["blobId"]).filter(|_| !large.is_object()),
        };
        Some((file["rfilename"].as_str()?.to_owned(), entry))
    };
    Ok(Listing { commit: commit.to_owned(), files: siblings.iter().filter_map(entry).collect() })
}

/// What a server says, as it may be shown.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 200;
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    clean.split_whitespace().collect::<Vec<_>>().join(" ").trim_end_matches('.').to_owned()
}

fn redirect(answer: &Answer, from: &str, file: &str) -> Result<String, Failure> {
    let target = || {
        let to = answer.header("location")?;
        if to.starts_with("http://") || to.starts_with("https://") {
            return Some(to.to_owned());
        }
        to.starts_with('/').then(|| Some(format!("{}{to}", host(from)?)))?
    };
    target().ok_or_else(|| nonsense(&host_of(from), file, "a redirect to nowhere"))
}

/// `https://huggingface.co` of an address there.
fn host_of(url: &str) -> String {
    host(url).unwrap_or_else(|| url.to_owned())
}

fn host(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?))
}

/// An ETag without its quotes and the mark of weak ones.
fn plain_etag(etag: &str) -> String {
    etag.trim().trim_start_matches("W/").trim_matches('"').to_owned()
}

/// A path as it is in a URL.
fn percent_encoded(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~');
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    path.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(percent_encoded("a b/ü+.json"), "a%20b/%C3%BC%2B.json");
        assert_eq!(host_of("https://cdn.example:8443/a?b"), "https://cdn.example:8443");
        assert_eq!(plain_etag("W/\"abc\""), "abc");
        assert_eq!(one_line("a\x1b[31m\n b. "), "a [31m b");
    }

    #[test]
    fn listings() {
        let text = br#"{"sha": "c0ffee", "siblings": [
            {"rfilename": "config.json", "size": 3, "blobId": "b1"},
            {"rfilename": "m.safetensors", "size": 9, "blobId": "b2", "lfs": {"size": 9, "sha256": "s"}},
            {"rfilename": "bare"}, {"nothing": 1}]}"#;
        let found = listing(text).unwrap_or_else(|message| panic!("{message}"));
        assert_eq!((found.commit.as_str(), found.files.len()), ("c0ffee", 3));
        let large = &found.files["m.safetensors"];
        assert_eq!((large.size, large.sha256.as_deref(), &large.blob), (Some(9), Some("s"), &None));
        assert_eq!(found.files["config.json"].blob.as_deref(), Some("b1"));
        for wrong in ["", "[]", r#"{"sha": "../x", "siblings": []}"#, r#"{"sha": "x"}"#] {
            assert!(listing(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
