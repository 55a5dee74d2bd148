//! Promise: starting the program wrongly is answered in a few lines with status 2, a model that cannot be opened with
//! status 4, and neither with a backtrace.

use std::process::{Command, Output, Stdio};

fn llmdbg(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_llmdbg"))
        .args(arguments)
        .env("RUST_BACKTRACE", "1")
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a mistake looks like: a short message on the error output and nothing else.
fn check_mistake(arguments: &[&str], status: i32, part: &str) {
    let output = llmdbg(arguments);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {message}");
    assert!(message.contains(part), "{arguments:?}: {message}");
    assert!(message.lines().count() < 12, "{arguments:?}: {message}");
    for trace in ["stack backtrace", "BACKTRACE", "panicked", "src/main.rs"] {
        assert!(!message.contains(trace), "{arguments:?}: {message}");
    }
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

#[test]
fn usage_errors() {
    check_mistake(&["--no-such-option"], 2, "--no-such-option");
    check_mistake(&["-batch", "--device", "tpu"], 2, "unknown device");
    check_mistake(&["-batch", "--log", "/no/such/folder/log"], 2, "cannot write the log /no/such/folder/log");
}

#[test]
fn models_that_cannot_be_opened() {
    check_mistake(&["-batch", "--device", "cpu", "/no/such/model", "-ex", "run"], 4, "llmdbg: ");
    check_mistake(&["--no-tui", "--device", "cpu", "/no/such/model"], 4, "llmdbg: ");
}

#[test]
fn version_and_help() {
    let version = llmdbg(&["--version"]);
    assert_eq!(text(&version.stdout), concat!("llmdbg ", env!("CARGO_PKG_VERSION"), "\n"));
    let help = llmdbg(&["--help"]);
    assert!(help.status.success());
    for option in ["-batch", "-ex CMD", "-nx", "--record-budget", "--json", "llmdbg models"] {
        assert!(text(&help.stdout).contains(option), "{option}");
    }
}

#[test]
fn listing_models() {
    let models = llmdbg(&["models"]);
    assert!(models.status.success());
    assert!(models.stderr.is_empty());
    let cache = tempfile::tempdir().unwrap();
    for (repo, config) in [("org--tiny", "{\"model_type\":\"gpt2\"}"), ("org--odd", "{\"model_type\":\"rwkv\"}")] {
        let folder = cache.path().join(format!("models--{repo}/snapshots/0123456789abcdef"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("config.json"), config).unwrap();
        std::fs::write(folder.join("model.safetensors"), vec![0; 3 << 20]).unwrap();
    }
    let listed =
        Command::new(env!("CARGO_BIN_EXE_llmdbg")).arg("models").env("HF_HUB_CACHE", cache.path()).output().unwrap();
    let listed = text(&listed.stdout);
    for wanted in [
        "tiny-gpt2 ",
        "org/odd      3.0 MiB  0123456789ab  rwkv, which cannot be opened: it is a recurrent network\n",
        "org/tiny     3.0 MiB  0123456789ab  gpt2\n",
    ] {
        assert!(listed.contains(wanted), "{wanted:?} in {listed}");
    }
}

/// What lies in a folder runs only when its owner has looked at it.
#[test]
fn the_init_file_of_a_project_runs_when_it_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    std::fs::create_dir(&project).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_llmdbg"))
            .args(arguments)
            .current_dir(&project)
            .env("XDG_CONFIG_HOME", folder.path().join("config"))
            .env("XDG_STATE_HOME", folder.path().join("state"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let batch = ["-batch", "--device", "cpu", "-ex", "echo own"];
    assert_eq!(run(&["trust"]).0, Some(1));
    std::fs::write(project.join(".llmdbg"), "echo project\n").unwrap();
    let (status, out, err) = run(&batch);
    assert_eq!((status, out.as_str()), (Some(0), "own\n"));
    assert!(err.contains(".llmdbg is not trusted and was not run"), "{err}");
    let (status, out, _) = run(&["trust"]);
    assert!(status == Some(0) && out.ends_with(".llmdbg is trusted until it changes\n"), "{out}");
    std::fs::create_dir_all(folder.path().join("config/llmdbg")).unwrap();
    std::fs::write(folder.path().join("config/llmdbg/init.ldb"), "echo user\n").unwrap();
    assert_eq!(run(&batch), (Some(0), "user\nproject\nown\n".to_string(), String::new()));
    let without: Vec<&str> = batch.iter().copied().chain(["-nx"]).collect();
    assert_eq!(run(&without), (Some(0), "own\n".to_string(), String::new()));
    std::fs::write(project.join(".llmdbg"), "echo changed\n").unwrap();
    let (status, out, err) = run(&batch);
    assert_eq!((status, out.as_str()), (Some(0), "user\nown\n"));
    assert!(err.contains("is not trusted"), "{err}");
}

#[test]
fn completions_and_the_manual_page() {
    let script = llmdbg(&["completions", "bash"]);
    assert!(script.status.success());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("llmdbg.bash");
    std::fs::write(&file, &script.stdout).unwrap();
    // What bash itself offers with them, for an option and for a command of the debugger.
    let offer = |words: &str, number: usize| {
        let line = format!(
            "source '{}'; COMP_WORDS=({words}); COMP_CWORD={number}; _llmdbg llmdbg \"${{COMP_WORDS[{number}]}}\" \
             \"${{COMP_WORDS[{}]}}\"; echo \"${{COMPREPLY[@]}}\"",
            file.display(),
            number - 1
        );
        let output = Command::new("bash").args(["--norc", "-c", &line]).output().unwrap();
        text(&output.stdout).trim().to_string()
    };
    assert_eq!(offer("llmdbg --rec", 1), "--record-budget");
    assert_eq!(offer("llmdbg --ex reverse-f", 2), "reverse-finish");
    check_mistake(&["completions"], 2, "completions needs a shell");
    check_mistake(&["completions", "csh"], 2, "csh");
    let page = llmdbg(&["man"]);
    assert!(page.status.success() && text(&page.stdout).contains(".SH COMMANDS"));
}

/// A folder that is misspelt is looked for on the hub, too; that it is not here is said first.
#[test]
fn f19_a_folder_that_is_not_here_is_said_besides_what_the_hub_says() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("models/smol-hf")).unwrap();
    std::fs::create_dir(folder.path().join("smol-hf")).unwrap();
    let says = |name: &str, offline: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_llmdbg"));
        for variable in ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
        {
            command.env_remove(variable);
        }
        command.args(["-batch", "-nx", "--device", "cpu", name, "-ex", "run"]).current_dir(folder.path());
        // Nothing listens at the first port.
        command.env("HF_HUB_CACHE", folder.path().join("hub")).env("HF_ENDPOINT", "http://127.0.0.1:1");
        if offline {
            command.env("HF_HUB_OFFLINE", "1");
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(4));
        text(&output.stderr)
    };
    for offline in [false, true] {
        let said = says("smol-hff", offline);
        let first = "llmdbg: there is no file or folder smol-hff here (did you mean smol-hf?); as the name of a model on the hub: ";
        assert!(said.starts_with(first), "{said}");
        assert_eq!(said.contains("cannot reach http://127.0.0.1:1"), !offline, "{said}");
        let said = says("models/smolhf", offline);
        assert!(said.contains("no file or folder models/smolhf here (did you mean models/smol-hf?)"), "{said}");
        let said = says("quite-another", offline);
        assert!(said.starts_with("llmdbg: there is no file or folder quite-another here; as the name"), "{said}");
        assert!(!says("org/model", offline).contains("no file or folder"), "a name of the hub is one");
    }
}

/// A GGUF file without tensors.
fn gguf(entries: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let mut bytes =
        [&b"GGUF"[..], &3u32.to_le_bytes(), &0u64.to_le_bytes(), &(entries.len() as u64).to_le_bytes()].concat();
    for (key, value) in entries {
        bytes.extend([text(key), 8u32.to_le_bytes().to_vec(), text(value)].concat());
    }
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes
}

#[test]
fn a_folder_opens_the_one_model_among_files_that_go_with_it() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gguf/gemma3_text.f32.gguf");
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    std::fs::copy(fixture, folder.path().join("gemma-3-tiny-it-Q4_K_M.gguf")).unwrap();
    put("a-F16.gguf", &gguf(&[("general.architecture", "clip"), ("general.type", "mmproj")]));
    put("b-F16.gguf", &gguf(&[("general.architecture", "clip")]));
    put("imatrix_unsloth.gguf", &gguf(&[("general.type", "imatrix")]));
    put("lora.gguf", &gguf(&[("general.architecture", "gemma3"), ("general.type", "adapter")]));
    // Such repositories often keep the configuration of the model that they were made from.
    put("config.json", b"{\"model_type\": \"gemma3\"}");
    let place = folder.path().display().to_string();
    let arguments = ["-batch", "-nx", "--device", "cpu", &place, "--tokens", "5,17,33", "-ex", "run"];
    let opened = llmdbg(&arguments);
    assert_eq!((opened.status.code(), text(&opened.stderr)), (Some(0), String::new()));
    let alone = llmdbg(&["-batch", "-nx", "--device", "cpu", fixture, "--tokens", "5,17,33", "-ex", "run"]);
    assert_eq!(text(&opened.stdout), text(&alone.stdout));
    // Two models are two models.
    std::fs::copy(fixture, folder.path().join("gemma-3-tiny-it-Q8_0.gguf")).unwrap();
    let both = text(&llmdbg(&arguments).stderr);
    assert!(
        both.contains("has several models: name one of gemma-3-tiny-it-Q4_K_M.gguf, gemma-3-tiny-it-Q8_0.gguf"),
        "{both}"
    );
    assert!(!both.contains("a-F16"), "{both}");
}
