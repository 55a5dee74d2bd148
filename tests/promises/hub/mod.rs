//! Promise: a model is taken from the Hugging Face cache without asking anyone, downloaded where it is not there, and whatever
//! happens on the way, the cache holds nothing that is not whole and the message says what to do.
//!
//! No test asks the network: each child process gets a hub on this machine and a cache of its own.

mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::parity::fixture;
use server::{COMMIT, Fault, Hub};

/// A cache that begins empty.
struct Cache(tempfile::TempDir);

impl Cache {
    fn new() -> Cache {
        Cache(tempfile::tempdir().unwrap())
    }

    fn model(&self) -> PathBuf {
        self.0.path().join("hub/models--org--tiny")
    }

    fn snapshot(&self) -> PathBuf {
        self.model().join("snapshots").join(COMMIT)
    }

    /// The program on a model of the hub, in batch.
    fn command(&self, hub: &str, model: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_llmdbg"));
        for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"] {
            command.env_remove(name);
        }
        for name in ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(name);
        }
        command
            .args(["-batch", "-nx", "--device", "cpu", model])
            .args(arguments)
            .env("HF_HOME", self.0.path())
            .env("HF_ENDPOINT", hub)
            .env("XDG_CONFIG_HOME", "/nonexistent")
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, hub: &Hub, model: &str) -> Output {
        self.command(&hub.address, model, RUN).output().unwrap()
    }

    /// Runs with success; gives what it printed.
    fn works(&self, hub: &Hub, model: &str) -> String {
        let output = self.run(hub, model);
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
        text(&output.stdout)
    }

    /// Fails to open; gives the message.
    fn fails(&self, mut command: Command) -> String {
        let output = command.output().unwrap();
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{message}");
        assert!(message.lines().count() == 1 && !message.contains("panicked"), "{message}");
        self.check();
        let message = message.trim_end().strip_prefix("llmdbg: ").unwrap().to_owned();
        message.replace(&self.0.path().join("hub").display().to_string(), "CACHE")
    }

    /// Whatever has happened: no lock is left, every blob is whole, every name in a snapshot leads to one.
    fn check(&self) {
        let blobs = self.model().join("blobs");
        for entry in fs::read_dir(&blobs).into_iter().flatten() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.ends_with(".lock"), "{name}");
            if !name.ends_with(".part") {
                let content = fs::read(blobs.join(&name)).unwrap();
                assert!(server::sha256(&content) == name || server::git_hash(&content) == name, "{name} is not whole");
            }
        }
        for entry in fs::read_dir(self.snapshot()).into_iter().flatten() {
            let path = entry.unwrap().path();
            assert!(path.exists(), "{} leads nowhere", path.display());
        }
    }

    /// Bytes of the only part of a file.
    fn part(&self) -> Option<u64> {
        let parts = fs::read_dir(self.model().join("blobs")).into_iter().flatten().map(|entry| entry.unwrap().path());
        let parts: Vec<PathBuf> = parts.filter(|path| path.extension().is_some_and(|end| end == "part")).collect();
        assert!(parts.len() < 2, "{parts:?}");
        parts.first().map(|path| fs::metadata(path).unwrap().len())
    }
}

const RUN: &[&str] = &["-p", "The dog", "-ex", "run", "-ex", "p/r logits[-1][:3]"];

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What the same model prints from its folder.
fn from_disk(name: &str) -> String {
    let path = fixture(name);
    let output = Cache::new().command("http://nowhere.invalid", path.to_str().unwrap(), RUN).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn links(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_model_is_downloaded_once_and_then_nobody_is_asked() {
    let (hub, cache) = (Hub::with(&fixture("llama-legacy")), Cache::new());
    assert_eq!(cache.works(&hub, "org/tiny"), from_disk("llama-legacy"));
    cache.check();
    let asked = hub.requests();
    assert!(asked.iter().all(|request| !request.path.contains("README")), "only what is needed");
    let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    assert!(shards.iter().all(|shard| asked.iter().any(|request| request.storage && request.path.contains(shard))));
    assert_eq!(
        links(&cache.snapshot()),
        [
            "config.json",
            "generation_config.json",
            shards[0],
            shards[1],
            "model.safetensors.index.json",
            "tokenizer.json",
            "tokenizer_config.json"
        ]
    );
    assert_eq!(fs::read_to_string(cache.model().join("refs/main")).unwrap(), COMMIT);
    assert_eq!(
        fs::read_link(cache.snapshot().join("config.json")).unwrap().parent().unwrap(),
        Path::new("../../blobs"),
        "as huggingface_hub lays it out"
    );
    // Again, with the hub there and with none.
    assert_eq!(cache.works(&hub, "org/tiny"), from_disk("llama-legacy"));
    assert!(hub.requests().is_empty());
    assert!(cache.command("http://nowhere.invalid", "org/tiny", RUN).output().unwrap().status.success());
    let offline = cache.command("http://nowhere.invalid", "org/tiny", RUN).env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert!(offline.status.success());
}

#[test]
fn a_sentence_model_comes_with_the_configuration_of_its_pooling() {
    let (hub, cache) = (Hub::with(&fixture("bert-sentence")), Cache::new());
    let output = cache.command(&hub.address, "org/tiny", &["-p", "a", "-ex", "run", "-ex", "whatis sentence"]).output();
    assert!(output.unwrap().status.success());
    cache.check();
    let pooling = cache.snapshot().join("1_Pooling/config.json");
    assert_eq!(fs::read(&pooling).unwrap(), fs::read(fixture("bert-sentence").join("1_Pooling/config.json")).unwrap());
    assert!(fs::read_link(pooling).unwrap().starts_with("../../../blobs"));
}

#[test]
fn a_cut_connection_is_gone_on_from_where_it_broke_off() {
    let (hub, cache) = (Hub::with(&fixture("gpt2")), Cache::new());
    let file = "model.safetensors";
    hub.fail(file, &[Fault::Cut(10_000), Fault::CutQuietly(20_000), Fault::Status(503, &[]), Fault::WithoutRange]);
    assert_eq!(cache.works(&hub, "org/tiny"), from_disk("gpt2"));
    cache.check();
    let ranges: Vec<Option<String>> = hub
        .requests()
        .into_iter()
        .filter(|request| {
            request.storage && request.path.contains(file) && request.range.as_deref() != Some("bytes=0-0")
        })
        .map(|request| request.range)
        .collect();
    let from = |n: usize| Some(format!("bytes={n}-"));
    assert_eq!(ranges, [None, from(10_000), from(30_000), from(30_000)]);
}

#[test]
fn what_a_download_that_failed_has_got_is_kept_for_the_next_start() {
    let (hub, cache) = (Hub::with(&fixture("gpt2")), Cache::new());
    let file = "model.safetensors";
    // One try that gets something, then five in a row that do not.
    let broken = Fault::Status(502, &[("x-error-message", "Bad gateway.")]);
    hub.fail(file, &[&[Fault::Cut(50_000)][..], &vec![broken; 5][..]].concat());
    let message = cache.fails(cache.command(&hub.address, "org/tiny", RUN));
    assert!(message.starts_with("the download of model.safetensors from http://127.0.0.1:"), "{message}");
    assert!(
        message.ends_with(" answers 502: Bad gateway; what has arrived is kept: start again to resume"),
        "{message}"
    );
    assert!(message.contains(" broke off 5 times at 48.8 KiB of 158.0 KiB: "), "{message}");
    assert_eq!(cache.part(), Some(50_000));
    assert!(!cache.model().join("refs/main").exists(), "a reference names what is whole");
    hub.requests();
    assert_eq!(cache.works(&hub, "org/tiny"), from_disk("gpt2"));
    let asked = hub.requests();
    assert!(asked.iter().any(|request| request.range.as_deref() == Some("bytes=50000-")));
    assert!(
        !asked.iter().any(|request| request.path.contains("tokenizer.json")),
        "what is there is not asked for again"
    );
    assert_eq!(cache.part(), None);
    cache.check();
}

#[test]
fn a_part_that_is_whole_or_wrong_is_no_trap() {
    let (hub, cache) = (Hub::with(&fixture("gpt2")), Cache::new());
    let content = fs::read(fixture("gpt2").join("model.safetensors")).unwrap();
    let blobs = cache.model().join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    let part = blobs.join(format!("{}.part", server::sha256(&content)));
    for there in [content.clone(), vec![7; 1000], vec![7; content.len()], vec![7; content.len() + 1]] {
        fs::write(&part, &there).unwrap();
        assert_eq!(cache.works(&hub, "org/tiny"), from_disk("gpt2"), "{} bytes", there.len());
        cache.check();
        assert!(!part.exists());
        fs::remove_file(blobs.join(server::sha256(&content))).unwrap();
    }
}

#[test]
fn what_arrives_is_compared_with_what_was_announced() {
    let (hub, cache) = (Hub::with(&fixture("gpt2")), Cache::new());
    hub.fail("model.safetensors", &[Fault::Wrong]);
    let message = cache.fails(cache.command(&hub.address, "org/tiny", RUN));
    assert!(message.contains(" is not what was announced: its SHA-256 is "), "{message}");
    assert!(message.ends_with("; it was deleted, start again"), "{message}");
    assert_eq!(cache.part(), None);
    hub.fail("tokenizer.json", &[Fault::Wrong]);
    fs::remove_dir_all(cache.model()).unwrap();
    let message = cache.fails(cache.command(&hub.address, "org/tiny", RUN));
    assert!(message.contains("tokenizer.json from ") && message.contains(": its Git hash is "), "{message}");
    assert_eq!(cache.works(&hub, "org/tiny"), from_disk("gpt2"));
}

#[test]
fn the_token_goes_to_the_hub_and_to_nobody_else() {
    let (hub, cache) = (Hub::with(&fixture("gpt2")), Cache::new());
    hub.want_token("hf_secret");
    let message = cache.fails(cache.command(&hub.address, "org/tiny", RUN));
    let (address, restricted) = (&hub.address, "Access to model org/tiny is restricted. Please log in");
    assert_eq!(
        message,
        format!(
            "\"org/tiny\" may be downloaded only by those who were granted access (the hub says 401: {restricted}); ask for it \
             at {address}/org/tiny; then set HF_TOKEN to your token, or log in with \"hf auth login\""
        )
    );
    let mut command = cache.command(&hub.address, "org/tiny", RUN);
    command.env("HF_TOKEN", "hf_other");
    let message = cache.fails(command);
    assert!(message.ends_with("; a token was sent: check that it is valid and may read this model"), "{message}");
    assert!(!message.contains("hf_other"), "{message}");
    hub.requests();
    fs::write(cache.0.path().join("token"), "hf_secret\n").unwrap();
    assert_eq!(cache.works(&hub, "org/tiny"), from_disk("gpt2"));
    for request in hub.requests() {
        let sent = request.token.as_deref();
        assert_eq!(sent, (!request.storage).then_some("Bearer hf_secret"), "{request:?}");
    }
}

#[test]
fn refusals_say_what_to_do() {
    let (hub, cache) = (Hub::with(&fixture("gpt2")), Cache::new());
    let address = &hub.address;
    let fails = |model: &str| cache.fails(cache.command(address, model, RUN));
    assert_eq!(
        fails("org/other"),
        format!(
            "\"org/other\" is neither a file or directory, nor in the Hugging Face cache at CACHE, nor on {address} (it says \
             401); check the spelling; if it is private, set HF_TOKEN to your token, or log in with \"hf auth login\""
        )
    );
    assert_eq!(
        fails("org/tiny@nowhere"),
        format!(
            "\"org/tiny\" on {address} has no revision \"nowhere\"; look at {address}/org/tiny/tree/main for branches and tags"
        )
    );
    assert_eq!(fails("org/tiny:q4.gguf"), format!("\"org/tiny\" on {address} has no file \"q4.gguf\""));
    hub.put("a-q4.gguf", b"GGUF");
    assert_eq!(
        fails("org/tiny:q4.gguf"),
        format!("\"org/tiny\" on {address} has no file \"q4.gguf\"; choose from: a-q4.gguf")
    );
    hub.put("a-q8.gguf", b"GGUF");
    hub.remove("model.safetensors");
    assert_eq!(
        fails("org/tiny"),
        "\"org/tiny\" has several files that could be meant: name one, as in \"org/tiny:a-q4.gguf\"; choose from: a-q4.gguf, \
         a-q8.gguf"
    );
    hub.remove("a-q4.gguf");
    hub.remove("a-q8.gguf");
    assert!(fails("org/tiny").contains(" has no weights that can be read (model.safetensors, "));
    hub.put("model.safetensors.index.json", br#"{"weight_map": {"a": "model-1.safetensors"}}"#);
    assert_eq!(fails("org/tiny"), format!("\"org/tiny\" on {address} has no file \"model-1.safetensors\""));
    hub.put("model.safetensors.index.json", br#"{"weight_map": {"a": "../../../escape.safetensors"}}"#);
    hub.put("../../../escape.safetensors", b"x");
    assert_eq!(
        fails("org/tiny"),
        format!(
            "{address} gives an answer that cannot be used when asked for org/tiny: \"../../../escape.safetensors\" is not \
             a file name; is HF_ENDPOINT a Hugging Face hub?"
        )
    );
    hub.refuse(403, &[]);
    assert!(
        fails("org/tiny").starts_with(&format!("{address} refuses org/tiny (it says 403: refused); then set HF_TOKEN"))
    );
    hub.refuse(404, &[]);
    assert!(fails("org/tiny").contains("(it says 404)"));
    hub.refuse(500, &[("x-error-message", "Internal Error - We're working on it")]);
    assert_eq!(
        fails("org/tiny"),
        format!("{address} answers 500: Internal Error - We're working on it when asked for org/tiny; try again later")
    );
}

#[test]
fn a_model_of_no_use_is_refused_before_its_weights_are_downloaded() {
    let (hub, cache) = (Hub::with(&fixture("gpt2")), Cache::new());
    hub.put("config.json", br#"{"model_type": "rwkv"}"#);
    let message = cache.fails(cache.command(&hub.address, "org/tiny", RUN));
    assert!(message.starts_with("config.json of org/tiny: model_type \"rwkv\" is not supported"), "{message}");
    assert!(!hub.requests().iter().any(|request| request.path.contains("model.safetensors")));
}

#[test]
fn offline_nothing_is_asked() {
    let (hub, cache) = (Hub::with(&fixture("gpt2")), Cache::new());
    for (variable, value) in [("HF_HUB_OFFLINE", "1"), ("TRANSFORMERS_OFFLINE", "yes")] {
        let mut command = cache.command(&hub.address, "org/tiny", RUN);
        command.env(variable, value);
        assert_eq!(
            cache.fails(command),
            format!(
                "\"org/tiny\" is neither a file or directory nor in the Hugging Face cache at CACHE; {variable}={value} \
                 forbids downloading its configuration, tokenizer and weights from {}/org/tiny: unset it, or set \
                 HF_HUB_CACHE to where the model is",
                hub.address
            )
        );
    }
    assert!(hub.requests().is_empty());
    let (hub, cache) = (Hub::with(&fixture("llama-legacy")), Cache::new());
    cache.works(&hub, "org/tiny");
    fs::remove_file(cache.snapshot().join("model-00002-of-00002.safetensors")).unwrap();
    let mut command = cache.command(&hub.address, "org/tiny", RUN);
    command.env("HF_HUB_OFFLINE", "TRUE");
    let message = cache.fails(command);
    assert!(message.contains("cache at CACHE: model-00002-of-00002.safetensors is missing; HF_HUB_OFFLINE=TRUE forbids downloading model-00002-of-00002.safetensors from"), "{message}");
    // Online, that one file is asked for, and its blob is still there.
    hub.requests();
    cache.works(&hub, "org/tiny");
    assert!(hub.requests().iter().all(|request| !request.storage));
}

#[test]
fn without_a_network_the_message_says_so() {
    let cache = Cache::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let message = cache.fails(cache.command(&address, "org/tiny", RUN));
    assert!(message.starts_with(&format!("cannot reach {address} for org/tiny: Connection refused")), "{message}");
    assert!(message.contains("; check the network (HTTPS_PROXY, HF_ENDPOINT), or set HF_HUB_CACHE"), "{message}");
}

#[test]
fn a_disk_that_is_too_small_is_noticed_beforehand() {
    let (hub, cache) = (Hub::with(&fixture("gpt2")), Cache::new());
    hub.claim("model.safetensors", 1 << 60);
    let message = cache.fails(cache.command(&hub.address, "org/tiny", RUN));
    assert!(message.starts_with("no space for model.safetensors in CACHE: 1048576.0 TiB are needed, "), "{message}");
    assert!(message.ends_with(" are free; free some, or set HF_HUB_CACHE to another disk"), "{message}");
}

#[test]
fn a_server_that_falls_silent_is_given_up() {
    let (hub, cache) = (Hub::with(&fixture("gpt2")), Cache::new());
    hub.fail("model.safetensors", &[Fault::Stall(40_000, Duration::from_secs(20))]);
    let start = Instant::now();
    let mut command = cache.command(&hub.address, "org/tiny", RUN);
    command.env("HF_HUB_DOWNLOAD_TIMEOUT", "1");
    assert!(command.output().unwrap().status.success(), "the second try goes on");
    assert!(start.elapsed() < Duration::from_secs(15));
    assert!(hub.requests().iter().any(|request| request.range.as_deref() == Some("bytes=40000-")));
    cache.check();
}

/// Waits until something holds.
fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn interrupt(child: &Child) {
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
}

#[test]
fn a_cancelled_download_leaves_the_cache_in_order_and_goes_on_later() {
    let (hub, cache) = (Hub::with(&fixture("gpt2")), Cache::new());
    hub.fail("model.safetensors", &[Fault::Stall(30_000, Duration::from_secs(60))]);
    let child = cache.command(&hub.address, "org/tiny", RUN).spawn().unwrap();
    wait("the file is half there", || cache.part() == Some(30_000));
    let start = Instant::now();
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "the server is silent; nobody waits for it");
    assert_eq!(output.status.code(), Some(4));
    let message = text(&output.stderr);
    assert!(message.starts_with("llmdbg: the download of org/tiny was cancelled at model.safetensors, "), "{message}");
    assert!(message.ends_with("; what has arrived is kept: start again to resume\n"), "{message}");
    cache.check();
    assert_eq!(cache.part(), Some(30_000));
    hub.requests();
    assert_eq!(cache.works(&hub, "org/tiny"), from_disk("gpt2"));
    assert!(hub.requests().iter().any(|request| request.range.as_deref() == Some("bytes=30000-")));
    cache.check();
}

#[test]
fn two_programs_that_want_the_same_download_it_once() {
    let (hub, cache) = (Hub::with(&fixture("gpt2")), Cache::new());
    hub.fail("model.safetensors", &[Fault::Stall(30_000, Duration::from_secs(2))]);
    let mut command = cache.command(&hub.address, "org/tiny", RUN);
    command.env("HF_HUB_DOWNLOAD_TIMEOUT", "30");
    let first = command.spawn().unwrap();
    wait("the first has begun", || cache.part() == Some(30_000));
    assert_eq!(cache.works(&hub, "org/tiny"), from_disk("gpt2"));
    assert!(first.wait_with_output().unwrap().status.success());
    let whole = hub.requests().into_iter().filter(|request| request.storage && request.range.is_none()).count();
    assert_eq!(whole, 1);
    cache.check();
}

#[test]
fn an_empty_file_is_a_file() {
    let (hub, cache) = (Hub::with(&fixture("gpt2")), Cache::new());
    hub.put("chat_template.jinja", b"");
    cache.works(&hub, "org/tiny");
    assert_eq!(fs::read(cache.snapshot().join("chat_template.jinja")).unwrap(), b"");
}
