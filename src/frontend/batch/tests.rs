use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::engine::testing::engine;
use crate::engine::thread::{Setup, spawn};
use crate::remote::testing::far_engine;

/// Runs actions; gives status, output and error output.
fn batch(actions: &[Action], json: bool, keep_going: bool) -> (i32, String, String) {
    let ran = |engine| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let given = Given { actions, keep_going, ..Given::default() };
        let status = run(engine, Batch { given, json, input: None }, &mut out, &mut err);
        (status, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    };
    let found = ran(engine());
    // Every test is one of a session elsewhere too; only how long a command takes is not the same.
    let timeless = |text: &str| {
        text.lines().map(|line| line.split(",\"ms\"").next().unwrap_or_default().to_string()).collect::<Vec<_>>()
    };
    let (status, out, err) = ran(far_engine());
    assert_eq!((status, timeless(&out), &err), (found.0, timeless(&found.1), &found.2));
    found
}

fn commands(lines: &[&str]) -> Vec<Action> {
    lines.iter().map(|line| Action::Command(line.to_string())).collect()
}

fn script(text: &str) -> (tempfile::TempDir, Action, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.ldb");
    std::fs::write(&file, text).unwrap();
    (folder, Action::Script(file.clone()), file)
}

#[test]
fn success() {
    let (status, out, err) = batch(&commands(&["step", "echo hello\\n", "# a comment", "say there"]), false, false);
    assert_eq!((status, out.as_str(), err.as_str()), (0, "at op 1\nhello\nthere\n", ""));
    assert_eq!(batch(&[], false, false).0, 0);
}

#[test]
fn the_first_error_ends_the_run() {
    let lines = commands(&["say a", "nonsense", "say b"]);
    let (status, out, err) = batch(&lines, false, false);
    assert_eq!((status, out.as_str(), err.as_str()), (1, "a\n", "llmdbg: undefined command \"nonsense\"\n"));
    let (status, out, _) = batch(&lines, false, true);
    assert_eq!((status, out.as_str()), (1, "a\nb\n"));
}

#[test]
fn statuses() {
    let status = |lines: &[&str], keep_going| batch(&commands(lines), false, keep_going).0;
    assert_eq!(status(&["assert 0"], false), 3);
    assert_eq!(status(&["lose"], false), 4);
    assert_eq!(status(&["panic 1"], false), 4);
    assert_eq!(status(&["assert 0", "nonsense"], true), 3);
    assert_eq!(status(&["nonsense", "assert 0", "step"], true), 1);
    assert_eq!(status(&["quit 7", "nonsense"], false), 7);
    assert_eq!(status(&["nonsense", "quit 0"], true), 0);
    assert_eq!(status(&["commands 1"], false), 1);
}

#[test]
fn actions_run_in_order_and_errors_have_places() {
    let (_folder, action, file) = script("say in script\n\nnonsense\nsay not reached\n");
    let mut actions = commands(&["say first"]);
    actions.push(action);
    actions.extend(commands(&["say last"]));
    let (status, out, err) = batch(&actions, false, false);
    assert_eq!((status, out.as_str()), (1, "first\nin script\n"));
    assert_eq!(err, format!("{}:3: undefined command \"nonsense\"\n", file.display()));
    let (status, out, _) = batch(&actions, false, true);
    assert_eq!((status, out.as_str()), (1, "first\nin script\nnot reached\nlast\n"));
    let missing = [Action::Script("no-such-file.ldb".into())];
    let (status, _, err) = batch(&missing, false, false);
    assert_eq!(status, 1);
    assert!(err.starts_with("llmdbg: cannot read no-such-file.ldb: "), "{err}");
}

#[test]
fn a_script_can_quit_with_a_status() {
    let (_folder, action, _) = script("quit 9\nsay not reached\n");
    assert_eq!(batch(&[action], false, false), (9, String::new(), String::new()));
}

#[test]
fn blocks_over_several_options() {
    let (status, out, _) = batch(&commands(&["commands 1", "silent", "end", "step"]), false, false);
    assert_eq!((status, out.as_str()), (0, "block of 3 lines\nat op 1\n"));
}

#[test]
fn json_has_one_object_for_each_command() {
    let (_folder, action, file) = script("say hi\nnonsense\n");
    let mut actions = commands(&["step", "echo x"]);
    actions.push(action);
    let (status, out, err) = batch(&actions, true, false);
    assert_eq!(status, 1);
    let objects: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let commands: Vec<&str> = objects.iter().map(|object| object["cmd"].as_str().unwrap()).collect();
    assert_eq!(commands, ["step", "echo x", "say hi", "nonsense"]);
    assert_eq!(objects[0]["pc"], serde_json::json!({"op": 1, "site": "op1", "pass": 0}));
    assert_eq!(objects[1]["printed"], serde_json::json!(["x"]));
    assert_eq!(objects[3]["ok"], false);
    let error = serde_json::json!({"message": "undefined command \"nonsense\"", "file": file, "line": 2});
    assert_eq!(objects[3]["error"], error);
    assert!(err.ends_with(":2: undefined command \"nonsense\"\n"));
}

#[test]
fn commands_from_the_input_follow() {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut input = io::Cursor::new("step\n\n# nothing\nstep\nnonsense\nstep\n");
    let given = Given { actions: &commands(&["say go"]), ..Given::default() };
    let batch = Batch { given, input: Some(&mut input), json: false };
    assert_eq!(run(engine(), batch, &mut out, &mut err), 1);
    assert_eq!(String::from_utf8(out).unwrap(), "go\nat op 1\nat op 2\n");
}

#[test]
fn loading_can_fail() {
    let open = || Err(io::Error::other("no such model"));
    let handle = spawn(open, Arc::new(AtomicBool::new(false)), Setup::default()).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let batch = Batch { given: Given { keep_going: true, ..Given::default() }, json: true, input: None };
    assert_eq!(run(handle, batch, &mut out, &mut err), 4);
    assert_eq!(String::from_utf8(err).unwrap(), "llmdbg: no such model\n");
    assert!(out.is_empty());
}

/// An output whose reader has gone.
struct Closed(io::ErrorKind);

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_broken_pipe_is_success() {
    let actions = commands(&["say a", "nonsense"]);
    let give = |kind| {
        let mut err = Vec::new();
        let batch = Batch { given: Given { actions: &actions, ..Given::default() }, ..Batch::default() };
        run(engine(), batch, &mut Closed(kind), &mut err)
    };
    assert_eq!(give(io::ErrorKind::BrokenPipe), 0);
    assert_eq!(give(io::ErrorKind::StorageFull), 1);
}
