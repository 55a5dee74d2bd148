//! Promise: a session that is killed at any moment is resumed as what its journal says.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::common::NURSE;
use crate::journal::{command, start};
use crate::parity::fixture;

const QUESTIONS: &str = "echo @@\\n\nwhen\ninfo breakpoints\ninfo branches\ninfo edits\ninfo checkpoints\ninfo passes\nprint $x\ninfo tokens\n\
                         output/r L0.resid_post[-1, 0:4]\noutput/r logits[-1, 0:4]\n";

/// What a session prints for the questions, errors among it.
fn asked(state: &Path, arguments: &[&str], commands: &str) -> String {
    let mut child = start(state, arguments);
    child.stdin.take().unwrap().write_all(format!("{commands}{QUESTIONS}").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let answers = out.split_once("@@\n").unwrap_or_else(|| panic!("no answers: {out}{err}")).1;
    assert!(!err.contains("panicked") && !out.contains("internal error"), "{out}{err}");
    answers.to_string()
}

#[test]
fn a_session_that_is_killed_at_any_moment_is_resumed() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[18; 32]);
    let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
    let model = fixture("gpt2");
    let arguments = [model.to_str().unwrap(), "-p", NURSE];
    let resumed = std::cell::Cell::new(0);
    let sessions = (prop::collection::vec(command(), 4..24), 0..400u64);
    TestRunner::new_with_rng(config, rng)
        .run(&sessions, |(commands, milliseconds)| {
            let state = tempfile::tempdir().unwrap();
            let mut child = start(state.path(), &arguments);
            let mut input = child.stdin.take().unwrap();
            input.write_all((commands.join("\n") + "\n").as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(milliseconds));
            // SIGKILL, wherever it is.
            child.kill().unwrap();
            child.wait().unwrap();
            let journals = std::fs::read_dir(state.path().join("llmdbg/journals")).into_iter().flatten().flatten();
            let Some(text) = journals.map(|file| std::fs::read_to_string(file.path()).unwrap()).next() else {
                // Killed before the first command: there is nothing to resume.
                return Ok(());
            };
            let given = text.split_once('\n').map_or("", |(_, given)| given).to_string();
            let found = asked(state.path(), &["--resume"], "");
            resumed.set(resumed.get() + 1);
            let fresh = tempfile::tempdir().unwrap();
            prop_assert_eq!(found, asked(fresh.path(), &arguments, &given), "after {}", given);
            Ok(())
        })
        .unwrap();
    assert!(resumed.get() > 5, "too few were killed in the middle: {}", resumed.get());
}
