//! A hub on this machine: the listing, the files with ranges, and a second server for large files, as the real hub has one.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};

/// The commit that every revision means.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// How a request for a file is answered, other than rightly.
#[derive(Clone, Debug)]
pub enum Fault {
    /// So many bytes, then the end of the connection.
    Cut(usize),
    /// So many bytes, then nothing for so long.
    Stall(usize, Duration),
    /// So many bytes, then the end, without saying beforehand how many there will be.
    CutQuietly(usize),
    /// A status and the headers that explain it.
    Status(u16, &'static [(&'static str, &'static str)]),
    /// All of it from the beginning, whatever was asked for.
    WithoutRange,
    /// As many bytes as there should be, but others.
    Wrong,
}

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whether it came to the server for large files.
    pub storage: bool,
    pub path: String,
    pub range: Option<String>,
    pub token: Option<String>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    /// Faults for the requests to come that want a whole file, by the file.
    faults: BTreeMap<String, VecDeque<Fault>>,
    /// How the listing is answered.
    refusal: Option<(u16, &'static [(&'static str, &'static str)])>,
    /// The token without which files are refused.
    wanted_token: Option<String>,
    /// Sizes that the listing claims.
    claimed: BTreeMap<String, u64>,
    requests: Vec<Request>,
}

/// A hub with one model, `org/tiny`.
pub struct Hub {
    state: Arc<Mutex<State>>,
    pub address: String,
}

impl Hub {
    /// A hub that has the files of a folder.
    pub fn with(folder: &Path) -> Hub {
        let hub = Hub::empty();
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name.starts_with("reference") {
                continue;
            }
            if entry.path().is_dir() {
                for inner in std::fs::read_dir(entry.path()).unwrap() {
                    let inner = inner.unwrap();
                    let path = format!("{name}/{}", inner.file_name().into_string().unwrap());
                    hub.put(&path, &std::fs::read(inner.path()).unwrap());
                }
            } else {
                hub.put(&name, &std::fs::read(entry.path()).unwrap());
            }
        }
        hub.put("README.md", b"not needed");
        hub
    }

    pub fn empty() -> Hub {
        let state = Arc::new(Mutex::new(State::default()));
        let storage = TcpListener::bind("127.0.0.1:0").unwrap();
        let main = TcpListener::bind("127.0.0.1:0").unwrap();
        let storage_address = format!("http://{}", storage.local_addr().unwrap());
        let address = format!("http://{}", main.local_addr().unwrap());
        for (listener, is_storage) in [(main, false), (storage, true)] {
            let (state, storage_address) = (state.clone(), storage_address.clone());
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let (state, storage_address) = (state.clone(), storage_address.clone());
                    // A client that goes away in the middle is part of the tests.
                    thread::spawn(move || _ = serve(stream, is_storage, &state, &storage_address));
                }
            });
        }
        Hub { state, address }
    }

    pub fn put(&self, file: &str, content: &[u8]) {
        self.state.lock().unwrap().files.insert(file.into(), content.to_vec());
    }

    pub fn remove(&self, file: &str) {
        self.state.lock().unwrap().files.remove(file).unwrap();
    }

    /// The next requests for a whole file go wrong, each in its way.
    pub fn fail(&self, file: &str, faults: &[Fault]) {
        self.state.lock().unwrap().faults.insert(file.into(), faults.iter().cloned().collect());
    }

    /// The listing is refused.
    pub fn refuse(&self, status: u16, headers: &'static [(&'static str, &'static str)]) {
        self.state.lock().unwrap().refusal = Some((status, headers));
    }

    /// Files go to those with this token only.
    pub fn want_token(&self, token: &str) {
        self.state.lock().unwrap().wanted_token = Some(token.into());
    }

    /// The listing claims another size.
    pub fn claim(&self, file: &str, size: u64) {
        self.state.lock().unwrap().claimed.insert(file.into(), size);
    }

    /// What came in since the last call.
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }
}

/// Large files are those that Git does not hold.
fn is_large(file: &str) -> bool {
    [".safetensors", ".bin", ".gguf"].iter().any(|ending| file.ends_with(ending))
}

pub fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn git_hash(content: &[u8]) -> String {
    use sha1::Digest as _;
    let digest = sha1::Sha1::new().chain_update(format!("blob {}\0", content.len())).chain_update(content);
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn serve(stream: TcpStream, storage: bool, state: &Mutex<State>, storage_address: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let mut headers = BTreeMap::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            match header.trim_end().split_once(':') {
                Some((name, value)) => headers.insert(name.to_lowercase(), value.trim().to_owned()),
                None => break,
            };
        }
        let (range, token) = (headers.get("range").cloned(), headers.get("authorization").cloned());
        let request = Request { storage, path: path.clone(), range: range.clone(), token: token.clone() };
        state.lock().unwrap().requests.push(request);
        if !answer(&mut stream, storage, &path, range.as_deref(), token.as_deref(), state, storage_address)? {
            return Ok(());
        }
    }
}

/// Writes an answer; false if the connection is to end.
fn answer(
    stream: &mut TcpStream,
    storage: bool,
    path: &str,
    range: Option<&str>,
    token: Option<&str>,
    state: &Mutex<State>,
    storage_address: &str,
) -> std::io::Result<bool> {
    let mut state = state.lock().unwrap();
    let bearer = state.wanted_token.as_ref().map(|wanted| format!("Bearer {wanted}"));
    if let Some(rest) = path.strip_prefix("/api/models/") {
        if let Some((status, headers)) = state.refusal {
            return head(stream, status, headers, b"{\"error\":\"refused\"}").map(|()| true);
        }
        if !rest.starts_with("org/tiny/revision/") {
            let code = [("x-error-code", "RepoNotFound"), ("x-error-message", "Repository not found")];
            return head(stream, 401, &code, b"").map(|()| true);
        }
        if rest.starts_with("org/tiny/revision/nowhere") {
            return head(stream, 404, &[("x-error-code", "RevisionNotFound")], b"").map(|()| true);
        }
        return head(stream, 200, &[("content-type", "application/json")], listing(&state).as_bytes()).map(|()| true);
    }
    let file = match storage {
        true => path.strip_prefix("/stored/").and_then(|rest| rest.split('?').next()).map(str::to_owned),
        false => path.strip_prefix("/org/tiny/resolve/").and_then(|rest| Some(rest.split_once('/')?.1.to_owned())),
    };
    let file = file.map(|file| file.replace("%20", " ")).filter(|file| state.files.contains_key(file));
    let Some(file) = file else {
        return head(stream, 404, &[("x-error-code", "EntryNotFound")], b"").map(|()| true);
    };
    if !storage && bearer.is_some() && bearer.as_deref() != token {
        let message = ("x-error-message", "Access to model org/tiny is restricted. Please log in.");
        return head(stream, 401, &[("x-error-code", "GatedRepo"), message], b"").map(|()| true);
    }
    let mut content = state.files[&file].clone();
    let etag = if is_large(&file) { sha256(&content) } else { git_hash(&content) };
    let (quoted, size) = (format!("\"{etag}\""), content.len().to_string());
    if !storage && is_large(&file) {
        let location = format!("{storage_address}/stored/{file}?signature=x");
        let headers = [
            ("location", location.as_str()),
            ("x-repo-commit", COMMIT),
            ("x-linked-etag", quoted.as_str()),
            ("x-linked-size", size.as_str()),
        ];
        return head(stream, 302, &headers, b"").map(|()| true);
    }
    // The request that asks what a file is wants one byte.
    let fault =
        if range == Some("bytes=0-0") { None } else { state.faults.get_mut(&file).and_then(VecDeque::pop_front) };
    drop(state);
    let range = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let start = range.map(|(start, _)| start.parse::<usize>().unwrap());
    let end = range.and_then(|(_, end)| end.parse::<usize>().ok()).map_or(content.len(), |end| end + 1);
    if matches!(fault, Some(Fault::Wrong)) {
        content.iter_mut().for_each(|byte| *byte = !*byte);
    }
    if let Some(Fault::Status(status, headers)) = fault {
        return head(stream, status, headers, b"").map(|()| true);
    }
    let start = start.filter(|_| !matches!(fault, Some(Fault::WithoutRange)));
    if start.is_some_and(|start| start >= content.len()) {
        let range = format!("bytes */{size}");
        return head(stream, 416, &[("content-range", &range)], b"").map(|()| true);
    }
    let body = &content[start.unwrap_or(0)..end.min(content.len())];
    let mut headers = vec![("etag", quoted.clone()), ("x-repo-commit", COMMIT.to_owned())];
    if let Some(start) = start {
        headers.push(("content-range", format!("bytes {start}-{}/{size}", start + body.len() - 1)));
    }
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let status = if start.is_some() { 206 } else { 200 };
    match fault {
        Some(Fault::Cut(n)) => {
            begin(stream, status, &headers, Some(body.len()))?;
            stream.write_all(&body[..n.min(body.len())])?;
            Ok(false)
        }
        Some(Fault::CutQuietly(n)) => {
            begin(stream, status, &headers, None)?;
            stream.write_all(&body[..n.min(body.len())])?;
            Ok(false)
        }
        Some(Fault::Stall(n, time)) => {
            begin(stream, status, &headers, Some(body.len()))?;
            stream.write_all(&body[..n.min(body.len())])?;
            stream.flush()?;
            thread::sleep(time);
            Ok(false)
        }
        _ => head(stream, status, &headers, body).map(|()| true),
    }
}

fn listing(state: &State) -> String {
    let entry = |(name, content): (&String, &Vec<u8>)| {
        let size = state.claimed.get(name).copied().unwrap_or(content.len() as u64);
        let large = serde_json::json!({"sha256": sha256(content), "size": size, "pointerSize": 130});
        let lfs = if is_large(name) { large } else { serde_json::Value::Null };
        serde_json::json!({"rfilename": name, "size": size, "blobId": git_hash(content), "lfs": lfs})
    };
    let siblings: Vec<_> = state.files.iter().map(entry).collect();
    serde_json::json!({"id": "org/tiny", "sha": COMMIT, "siblings": siblings}).to_string()
}

fn head(stream: &mut TcpStream, status: u16, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<()> {
    begin(stream, status, headers, Some(body.len()))?;
    stream.write_all(body)?;
    stream.flush()
}

fn begin(stream: &mut TcpStream, status: u16, headers: &[(&str, &str)], length: Option<usize>) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status} Told\r\n")?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    match length {
        Some(length) => write!(stream, "content-length: {length}\r\n\r\n"),
        None => write!(stream, "connection: close\r\n\r\n"),
    }
}
