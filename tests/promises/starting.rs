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
}
