//! Promise: nothing that the program prints can change the terminal, wherever it comes from: control characters and the marks that turn
//! the direction of text are written as escapes, and never go through.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::NURSE;
use crate::parity::fixture;

/// An escape sequence, a control of one byte, a bell, a deletion, and marks that turn text around.
const BAD: &str = "\u{1b}[31m\u{9b}2J\u{7}\u{7f}\u{202e}\u{2066}\u{200f}";

/// The same where a line is read: what does not end it.
const TYPED: &str = "\u{1b}]0;x\u{7}\u{202e}";

/// Runs the program with its own folders below `home`; gives the status, and the bytes of both streams.
fn ran(home: &Path, arguments: &[&str], input: &str) -> (i32, Vec<u8>, Vec<u8>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_llmdbg"))
        .args(arguments)
        .current_dir(home)
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_STATE_HOME", home.join("state"))
        .env("XDG_DATA_HOME", home.join("state"))
        .env("HF_HUB_CACHE", home.join("hub"))
        .env("HF_HUB_OFFLINE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap_or(-1), output.stdout, output.stderr)
}

/// That both streams are clean and that the text was there at all, as escapes: `\u{202e}` or, in JSON, `\u202e`.
fn clean(what: &str, (_, out, err): (i32, Vec<u8>, Vec<u8>)) {
    let mut shown = false;
    for bytes in [out, err] {
        let text = String::from_utf8(bytes).unwrap();
        let raw = text.chars().find(|c| {
            c.is_control() && !matches!(c, '\n' | '\t')
                || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
        });
        assert!(raw.is_none(), "{what}: {raw:?} in {text:?}");
        shown |= text.contains("\\u{202e}") || text.contains("\\u202e");
    }
    assert!(shown, "{what}: the text is not shown at all");
}

fn config(home: &Path, name: &str, text: &str) {
    fs::create_dir_all(home.join("config/llmdbg")).unwrap();
    fs::write(home.join("config/llmdbg").join(name), text).unwrap();
}

/// A copy of a fixture in which a text of a file is replaced.
fn model(home: &Path, name: &str, file: &str, from: &str, to: &str) {
    let folder = home.join(name);
    fs::create_dir_all(&folder).unwrap();
    for entry in fs::read_dir(fixture("gpt2")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    let text = fs::read_to_string(folder.join(file)).unwrap();
    assert!(text.contains(from), "{file} has no {from}");
    fs::write(folder.join(file), text.replace(from, to)).unwrap();
}

#[test]
fn files_of_the_configuration_are_printed_and_complained_of_in_the_clear() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    config(home, "settings.toml", "[generation]\n\"\u{202e}frob\" = 1\ntemperature = \"\\u001b[31m\u{202e}\"\n");
    config(home, "keys.toml", "[keys]\n\"x\u{202e}\" = \"step # \u{202e}\"\n# \u{9b}\u{202e}\n");
    config(home, "theme.toml", "[styles]\n\"\u{202e}\" = \"red\"\n");
    clean("--print-config", ran(home, &["--print-config"], ""));
    clean("notices", ran(home, &["-batch", "--device", "cpu", "-ex", "show generation temperature"], ""));
    config(home, "settings.toml", &format!("a = {BAD}"));
    clean("what toml says", ran(home, &["--print-config"], ""));
    let init = format!("print \"{TYPED}\"\nfrob{TYPED}\n");
    fs::write(home.join("config/llmdbg/settings.toml"), "").unwrap();
    config(home, "init.ldb", &init);
    clean("an init file", ran(home, &["-batch", "--device", "cpu", "-ex", "run"], ""));
}

#[test]
fn the_command_line_is_printed_in_the_clear() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let nowhere = format!("nowhere{BAD}");
    let within = format!("./nowhere{BAD}/x.gguf");
    let hub = format!("name/of{TYPED}");
    let option = format!("--frob{BAD}");
    let log = format!("/dev/null/{BAD}");
    let ids = format!("1,{BAD}");
    let fixed = fixture("gpt2");
    let fixed = fixed.to_str().unwrap();
    for arguments in [
        vec![nowhere.as_str()],
        vec![&within],
        vec![&hub],
        vec![&option],
        vec!["--device", &nowhere],
        vec!["--tokens", &ids],
        vec!["--log", &log],
        vec!["--prompt-file", &log],
        vec!["--lora", &nowhere, fixed],
        vec!["completions", &nowhere],
        vec!["trust", &nowhere],
        vec!["-batch", "-x", &nowhere, fixed],
    ] {
        clean(&format!("{arguments:?}"), ran(home, &arguments, ""));
    }
}

#[test]
fn models_and_files_are_named_in_the_clear() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let named = format!("model{BAD}");
    model(home, &named, "config.json", "\"gpt2\"", "\"gpt2\"");
    let batch = ["-nx", "--device", "cpu", "-p", NURSE];
    let with = |model: &str, more: &[&str]| {
        let mut all = batch.to_vec();
        all.push(model);
        all.extend(more);
        all.iter().map(|argument| (*argument).to_string()).collect::<Vec<String>>()
    };
    let run = |arguments: Vec<String>, input: &str| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        ran(home, &arguments, input)
    };
    // The banner, answers and errors of the prompt; the same in batch and as JSON.
    let lines = format!("run\ninfo models\nbacktrace\nprint \"{TYPED}\"\nfrob{TYPED}\nload edits {TYPED}x.json\n");
    clean("the prompt", run(with(&named, &["--no-tui"]), &lines));
    clean("batch", run(with(&named, &["-batch", "-ex", "run", "-ex", "backtrace"]), ""));
    clean("json", run(with(&named, &["--json", "-ex", "run", "-ex", "backtrace", "-ex", &format!("frob{TYPED}")]), ""));
    let lora = format!("adapter{BAD}");
    fs::create_dir(home.join(&lora)).unwrap();
    fs::write(home.join(&lora).join("adapter_config.json"), "{").unwrap();
    clean("an adapter", run(with(&named, &["-batch", "--lora", &lora]), ""));
    for (file, from, to) in [
        ("config.json", "\"gpt2\"", "\"gpt2\u{202e}\u{9b}\""),
        ("config.json", "{", "{\u{202e}"),
        ("tokenizer.json", "{", "{ \"\u{202e}"),
    ] {
        model(home, "broken", file, from, to);
        let found = run(with("broken", &["-batch", "-ex", "info tokens"]), "");
        let quiet = found.2.iter().chain(&found.1).all(|byte| byte.is_ascii());
        if !quiet || String::from_utf8_lossy(&found.2).contains("202e") {
            clean(file, found);
        }
    }
    // A folder in the journal that is gone, and a journal that is none.
    let journals = home.join("state/llmdbg/journals");
    fs::create_dir_all(&journals).unwrap();
    let start = serde_json::json!({"version": 1, "folder": format!("/nonexistent/{BAD}"), "arguments": []});
    let resume = |text: String| {
        fs::write(journals.join("99999999999999-1.ldb"), text).unwrap();
        ran(home, &["--resume", "--no-tui"], "")
    };
    clean("a folder in a journal", resume(format!("#llmdbg-journal {start}\nrun\n")));
    let start =
        serde_json::json!({"version": 1, "folder": home, "arguments": [fixture("gpt2"), "-nx", "--device", "cpu"]});
    clean("commands in a journal", resume(format!("#llmdbg-journal {start}\nrun\n#looked 1 attr {TYPED}\n")));
}

#[test]
fn what_is_meant_for_programs_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let (status, out, _) = ran(home.path(), &["completions", shell], "");
        let text = String::from_utf8(out).unwrap();
        assert!(status == 0 && !text.contains("\\u{"), "{shell}");
    }
    let (_, out, _) = ran(home.path(), &["man"], "");
    assert!(!String::from_utf8(out).unwrap().contains("\\u{"));
    // JSON keeps what it says: its escapes stand for the characters.
    let fixed = fixture("gpt2");
    let typed = format!("echo {TYPED}");
    let arguments = ["--json", "-nx", "--device", "cpu", "-ex", &typed, fixed.to_str().unwrap()];
    let (_, out, _) = ran(home.path(), &arguments, "");
    let object: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(object["cmd"], typed);
}
