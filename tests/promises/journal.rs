//! Promises: whatever happens to the program, `--resume` takes the session up where it was: cursor, stop points, branches, edits,
//! values and commands of the user's own.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use llmdbg::answer::{Answer, text};
use llmdbg::cli::{self, Invocation};
use llmdbg::engine::journal::{self as journals, Journal};
use llmdbg::engine::messages::{Answered, Event, Request, Source};
use llmdbg::engine::thread::{self, Handle, Setup};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::common::NURSE;
use crate::parity::fixture;

pub fn start(state: &Path, arguments: &[&str]) -> Child {
    let named = ["--device", "--resume"].iter().any(|option| arguments.contains(option));
    let device: &[&str] = if named { &[] } else { &["--device", "cpu"] };
    Command::new(env!("CARGO_BIN_EXE_llmdbg"))
        .args(["--no-tui", "-q"])
        .args(device)
        .args(arguments)
        .env("XDG_STATE_HOME", state)
        .env("XDG_DATA_HOME", state)
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The text of the only journal, when it ends with `last`.
fn journal(state: &Path, last: &str) -> String {
    let begin = Instant::now();
    loop {
        let files = std::fs::read_dir(state.join("llmdbg/journals")).into_iter().flatten().flatten();
        let text = files.map(|file| std::fs::read_to_string(file.path()).unwrap()).next().unwrap_or_default();
        if text.trim_end().ends_with(last) {
            return text;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "no {last:?} in {text:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Gives commands to a session that is killed as soon as the last one is in the journal, then resumes and asks.
fn killed_and_resumed(commands: &str, questions: &str) -> String {
    let state = tempfile::tempdir().unwrap();
    let model = fixture("gpt2");
    let mut child = start(state.path(), &[model.to_str().unwrap(), "-p", NURSE]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(commands.as_bytes()).unwrap();
    input.flush().unwrap();
    let last = commands.trim_end().lines().last().unwrap();
    journal(state.path(), last);
    // SIGKILL: nothing can be tidied up.
    child.kill().unwrap();
    child.wait().unwrap();
    asked(state.path(), questions)
}

pub fn asked(state: &Path, questions: &str) -> String {
    let mut child = start(state, &["--resume"]);
    child.stdin.take().unwrap().write_all(questions.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// What the same commands and questions print in one session.
fn in_one_session(commands: &str, questions: &str) -> String {
    let state = tempfile::tempdir().unwrap();
    let model = fixture("gpt2");
    let mut child = start(state.path(), &[model.to_str().unwrap(), "-p", NURSE]);
    let marked = format!("{commands}echo @@\n{questions}");
    child.stdin.take().unwrap().write_all(marked.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_once("@@\n").expect("the mark").1.to_string()
}

const QUESTIONS: &str = "when\ninfo breakpoints\ninfo branches\ninfo edits\ninfo checkpoints\nprint $x\nprint $1\noutput/r L0.resid_post[-1, 0:4]\n";

#[test]
fn a_session_that_is_killed_is_resumed_with_all_that_was_done() {
    for commands in [
        "break L1.attn.pattern if max($) > 0.9\nwatch max(resid_post)\nrun\nset $x = 3 * 2\n",
        "run\nprint logits[-1]\nablate L0H1\nset L0.mlp.post[0] = $1[0]\nundo\ncheckout main\nablate L0H2\nbranch -m other\n",
        "run\ncheckpoint here\ntoken 2\nset tokens[-1] = 270\nsteer L0.resid_post 0.25\nlayer 1\nrs 2\nset $x = 7\n",
        "set prompt the dog and the king\nset param(\"L0.mlp.W_in\")[3] = 0\nrun\ntokens erase 1\nuntil L1.mlp.pre\n",
    ] {
        let found = killed_and_resumed(commands, &format!("echo @@\n{QUESTIONS}"));
        let (said, rest) = found.split_once("@@\n").unwrap();
        assert!(said.starts_with("Resumed ") && said.contains(" commands"), "{found}");
        let stop = said.split_once("\nThe last stop was:\n").expect("the last stop").1;
        assert!(stop.contains("at op ") || stop.contains("end of pass"), "{found}");
        assert_eq!(rest, in_one_session(commands, QUESTIONS), "{commands}");
    }
}

#[test]
fn a_split_session_is_resumed_on_its_devices() {
    let state = tempfile::tempdir().unwrap();
    let model = fixture("gpt2");
    let split = ["--device", "vulkan,cpu", "--split", "0,2"];
    let mut child = start(state.path(), &[&[model.to_str().unwrap(), "-p", NURSE][..], &split].concat());
    child.stdin.take().unwrap().write_all(b"run\n").unwrap();
    child.wait().unwrap();
    let found = asked(state.path(), "info model\n");
    assert!(found.contains("; blocks 0-1, head on cpu"), "{found}");
}

#[test]
fn commands_of_stop_points_blocks_and_scripts_are_resumed_once() {
    let commands = "define twice\nset $x = $x * 2\nend\nset $x = 1\nbreak L0.attn.z\ncommands\nset $x = $x + 1\nend\nrun\ntwice\n\
                    if 1 < 2\nset $x = $x + 10\nend\nset $y = 5\n";
    let found = killed_and_resumed(commands, "print $x\ntwice\nprint $x\ninfo breakpoints\n");
    // 1, at the stop 2, twice 4, and 10 more.
    assert!(found.contains("= 14") && found.contains("= 28") && found.contains("already hit 1 time"), "{found}");
}

#[test]
fn a_resumed_session_goes_on_in_its_journal() {
    let state = tempfile::tempdir().unwrap();
    let model = fixture("gpt2");
    let mut child = start(state.path(), &[model.to_str().unwrap(), "-p", NURSE]);
    child.stdin.take().unwrap().write_all(b"run\nset $x = 1\n").unwrap();
    child.wait().unwrap();
    assert!(asked(state.path(), "set $x = $x + 1\n").contains("Resumed"));
    let found = asked(state.path(), "print $x\n");
    assert!(found.contains("3 commands") && found.contains("= 2"), "{found}");
    let text = journal(state.path(), "print $x");
    assert!(text.starts_with("#llmdbg-journal {\"version\":1,"), "{text}");
    let empty = tempfile::tempdir().unwrap();
    let none = start(empty.path(), &["--resume"]).wait_with_output().unwrap();
    assert_eq!(none.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&none.stderr).contains("no session to resume"));
}

/// A session in this process, with or without a journal.
fn engine(journal: Journal) -> Handle {
    let model = fixture("gpt2");
    let arguments = ["llmdbg", model.to_str().unwrap(), "-p", NURSE, "--device", "cpu"];
    let Ok(Invocation::Debug(options)) = cli::parse(arguments.map(Into::into)) else { panic!("arguments") };
    let interrupt = Arc::new(AtomicBool::new(false));
    let flag = interrupt.clone();
    let setup = Setup { journal, ..Setup::default() };
    thread::spawn(move || cli::open::open(&options, flag), interrupt, setup).unwrap()
}

/// What a command answers, as text.
fn answer(engine: &Handle, line: &str) -> String {
    engine.requests.send(Request::Command { id: 1, line: line.into(), source: Source::Prompt }).unwrap();
    loop {
        match engine.events.recv().unwrap() {
            Event::Answer(Answered { answer, in_script: false, .. }) => {
                let kind = if matches!(answer, Answer::Error(_)) { "error: " } else { "" };
                return format!("{kind}{}", text::lines(&answer, None).join("\n"));
            }
            Event::LoadFailed(message) => panic!("{message}"),
            _ => {}
        }
    }
}

pub fn command() -> impl Strategy<Value = String> {
    let site =
        prop::sample::select(vec!["L0.attn.z", "L1.mlp.post", "L0.resid_post", "L1.attn.pattern", "L1.resid_mid"]);
    let count = 0..6usize;
    prop_oneof![
        3 => prop::sample::select(vec!["run", "start", "continue", "reverse-continue", "next", "finish", "token", "up"])
            .prop_map(String::from),
        2 => ("(step|reverse-step|next|layer|reverse-layer)", 1..9usize).prop_map(|(word, n)| format!("{word} {n}")),
        2 => (site.clone(), -2..3i32).prop_map(|(site, x)| format!("set {site}[-1] = {x}.25")),
        2 => (0..2usize, 0..4usize).prop_map(|(layer, head)| format!("ablate L{layer}H{head}")),
        1 => (0..3usize).prop_map(|row| format!("set param(\"L0.mlp.W_in\")[{row}] = 0.5")),
        1 => site.clone().prop_map(|site| format!("steer {site} 0.5")),
        2 => prop::sample::select(vec!["undo", "redo", "checkout main", "checkout edit1", "branch b", "checkpoint", "back", "forward"])
            .prop_map(String::from),
        1 => count.clone().prop_map(|n| format!("restart {n}")),
        1 => count.clone().prop_map(|n| format!("tokens erase {n}")),
        1 => count.clone().prop_map(|n| format!("drop edits {n}")),
        2 => site.clone().prop_map(|site| format!("break {site}")),
        1 => site.clone().prop_map(|site| format!("tbreak {site} if max($) > 0.5")),
        1 => site.prop_map(|site| format!("watch max({site})")),
        1 => count.clone().prop_map(|n| format!("delete {n}")),
        1 => count.clone().prop_map(|n| format!("ignore {n} 1")),
        1 => count.prop_map(|n| format!("set $x = {n}")),
        1 => Just("print logits[-1, 0:3]".to_string()),
        1 => Just("generate 2".to_string()),
        1 => Just("set generation temperature 0.5".to_string()),
    ]
}

#[test]
fn the_replay_of_any_journal_is_the_live_session() {
    let questions = [
        "when",
        "info breakpoints",
        "info branches",
        "info edits",
        "info checkpoints",
        "info passes",
        "show",
        "print $x",
        "print $1",
        "info tokens",
        "output/r L0.resid_post[-1, 0:4]",
        "output/r logits[-1, 0:4]",
        "step",
    ];
    let run = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner =
        TestRunner::new_with_rng(Config { cases: 60, failure_persistence: None, ..Config::default() }, run);
    runner
        .run(&prop::collection::vec(command(), 1..16), |commands| {
            let folder = tempfile::tempdir().unwrap();
            let live = engine(Journal::new(folder.path(), Vec::new()));
            let ran: Vec<String> = commands.iter().map(|line| answer(&live, line)).collect();
            // What the questions add is none of the commands.
            let path = journals::last(folder.path());
            let text = path.as_ref().map(|path| std::fs::read_to_string(path).unwrap()).unwrap_or_default();
            let wanted: Vec<String> = questions.iter().map(|line| answer(&live, line)).collect();
            let Some(path) = path else { return Ok(()) };
            std::fs::write(&path, text).unwrap();
            let resumed = engine(Journal::Off);
            answer(&resumed, &format!("resume {}", path.display()));
            for (question, wanted) in questions.iter().zip(wanted) {
                prop_assert_eq!(
                    answer(&resumed, question),
                    wanted,
                    "{} after {:#?}",
                    question,
                    commands.iter().zip(&ran).collect::<Vec<_>>()
                );
            }
            Ok(())
        })
        .unwrap();
}
