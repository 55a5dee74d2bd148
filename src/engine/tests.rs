//! The engine thread on a session of made-up commands.

use std::fs;
use std::io::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::messages::{Answered, Event, PanelRequest, PanelView, Request, Source};
use super::panics::on_engine_thread;
use super::testing::{engine, engine_with};
use super::thread::{Handle, Setup, spawn};
use crate::answer::Answer;

/// Everything up to and including the answer of a request, as short lines.
fn until_answer(handle: &Handle) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let event = handle.events.recv_timeout(Duration::from_secs(30)).expect("the engine lives");
        let (word, last) = match event {
            Event::Answer(Answered { line, answer, printed, in_script, .. }) => {
                let indent = if in_script { "  " } else { "" };
                (format!("{indent}{line}: {printed:?} {}", brief(&answer)), !in_script)
            }
            Event::Moved(snapshot) => (format!("moved {}", snapshot.cursor), false),
            Event::Ready(_) => ("ready".to_string(), false),
            Event::Progress { what, done, total } => (format!("{what} {done}/{total}"), false),
            other => (format!("{other:?}"), true),
        };
        seen.push(word);
        if last {
            return seen;
        }
    }
}

fn brief(answer: &Answer) -> String {
    match answer {
        Answer::Text(text) => text.clone(),
        Answer::Error(e) => {
            let place = e.file.as_deref().map(|file| format!("{}:{}: ", short_name(file), e.line.unwrap_or(0)));
            format!("{:?} {}{}", e.fault, place.unwrap_or_default(), e.message)
        }
        Answer::Stop(stop) => stop.reason.word().to_string(),
        other => format!("{other:?}"),
    }
}

/// Temporary folders have other names on every run.
fn short_name(file: &str) -> String {
    Path::new(file).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn give(handle: &Handle, line: &str, source: Source) -> Vec<String> {
    handle.requests.send(Request::Command { id: 1, line: line.into(), source }).unwrap();
    until_answer(handle)
}

fn prompt(handle: &Handle, line: &str) -> Vec<String> {
    give(handle, line, Source::Prompt)
}

#[test]
fn each_command_has_one_answer() {
    let handle = engine();
    assert_eq!(prompt(&handle, "step"), ["ready", "moved 1", "step: [] at op 1"]);
    assert_eq!(prompt(&handle, "say hi"), ["say hi: [] hi"]);
    assert_eq!(prompt(&handle, "nonsense"), ["nonsense: [] Command undefined command \"nonsense\""]);
    assert_eq!(prompt(&handle, "echo a\\nb"), ["echo a\\nb: [\"a\", \"b\"] "]);
}

#[test]
fn an_empty_line_repeats_at_a_prompt_only() {
    let handle = engine();
    prompt(&handle, "step");
    assert_eq!(prompt(&handle, " ").last().unwrap(), "step: [] at op 2");
    assert_eq!(give(&handle, "", Source::Option), [": [] "]);
    prompt(&handle, "source?");
    assert_eq!(prompt(&handle, ""), [": [] "]);
}

#[test]
fn a_panic_is_an_answer_and_the_session_lives_on() {
    let handle = engine();
    prompt(&handle, "step");
    let answers = prompt(&handle, "panic 7");
    assert_eq!(
        answers,
        [
            "moved 1",
            "panic 7: [] Model internal error: kernel 7 went wrong (please report this; the session continues)"
        ]
    );
    assert_eq!(prompt(&handle, "step").last().unwrap(), "step: [] at op 2");
    let panel = PanelRequest { op: 99, cells: (1, 1), view: PanelView::Auto, gradient: false, from: None };
    handle.requests.send(Request::Panel(panel)).unwrap();
    assert!(until_answer(&handle)[0].contains("no such op"));
    assert!(!on_engine_thread());
}

#[test]
fn failing_and_panicking_while_loading() {
    let flag = || Arc::new(AtomicBool::new(false));
    let failed = spawn(|| Err(Error::other("no config.json")), flag(), Setup::default()).unwrap();
    assert_eq!(until_answer(&failed), ["LoadFailed(\"no config.json\")"]);
    failed.join.join().unwrap();
    let panicked = spawn::<_, Error>(|| panic!("bad header"), flag(), Setup::default()).unwrap();
    assert!(until_answer(&panicked)[0].contains("internal error: bad header"));
}

#[test]
fn interrupting_a_running_command() {
    let flag = Arc::new(AtomicBool::new(false));
    let handle = engine_with(flag.clone());
    handle.requests.send(Request::Command { id: 1, line: "loop".into(), source: Source::Prompt }).unwrap();
    assert!(matches!(handle.events.recv().unwrap(), Event::Ready(_)));
    assert!(matches!(handle.events.recv().unwrap(), Event::Progress { done: 3, total: 10, .. }));
    flag.store(true, Ordering::SeqCst);
    assert_eq!(until_answer(&handle).last().unwrap(), "loop: [] interrupt");
}

#[test]
fn completion_and_quit() {
    let handle = engine();
    prompt(&handle, "say");
    handle.requests.send(Request::Complete { line: "s".into(), cursor: 1 }).unwrap();
    assert_eq!(until_answer(&handle), ["Completions { start: 0, candidates: [\"say\", \"step\"] }"]);
    assert_eq!(prompt(&handle, "quit 7"), ["Quit(7)"]);
    assert_eq!(until_answer(&handle), ["quit 7: [] "]);
    handle.join.join().unwrap();
}

/// A folder of scripts.
fn scripts(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// Runs `main.ldb` of a folder; the folder's own name is cut from what is seen.
fn run(folder: &tempfile::TempDir, keep_going: bool) -> Vec<String> {
    let handle = engine();
    let file = folder.path().join("main.ldb");
    handle.requests.send(Request::Script { id: 1, file, keep_going }).unwrap();
    let path = format!("{}/", folder.path().display());
    until_answer(&handle).into_iter().map(|line| line.replace(&path, "")).collect()
}

#[test]
fn scripts_run_nested_and_relative() {
    let folder = scripts(&[
        ("main.ldb", "# a comment\nstep\nsource sub/inner.ldb\ncommands 1\nsilent\nend\n"),
        ("sub/inner.ldb", "say inner\nsource deep.ldb\n"),
        ("sub/deep.ldb", "echo deep\\n"),
    ]);
    assert_eq!(
        run(&folder, false),
        [
            "ready",
            "moved 1",
            "  step: [] at op 1",
            "  say inner: [] inner",
            "  echo deep\\n: [\"deep\"] ",
            "  source deep.ldb: [] ",
            "  source sub/inner.ldb: [] ",
            "  commands 1\nsilent\nend: [] block of 3 lines",
            "source main.ldb: [] ",
        ]
    );
}

#[test]
fn the_first_error_stops_a_script() {
    let folder = scripts(&[("main.ldb", "say one\n\nassert 1 > 2\nsay two\n")]);
    assert_eq!(
        run(&folder, false),
        [
            "ready",
            "  say one: [] one",
            "  assert 1 > 2: [] Assert main.ldb:3: assertion failed",
            "source main.ldb: [] Assert main.ldb: stopped at line 3",
        ]
    );
    assert_eq!(
        run(&folder, true)[3..],
        ["  say two: [] two", "source main.ldb: [] Assert main.ldb: 1 of 3 commands failed"]
    );
}

#[test]
fn quitting_from_a_nested_script() {
    let folder = scripts(&[("main.ldb", "source inner.ldb\nsay not reached\n"), ("inner.ldb", "quit 5\n")]);
    let handle = engine();
    handle.requests.send(Request::Script { id: 1, file: folder.path().join("main.ldb"), keep_going: true }).unwrap();
    let seen = until_answer(&handle);
    assert!(!seen.iter().any(|line| line.contains("not reached")), "{seen:?}");
    assert_eq!(seen.last().unwrap(), "Quit(5)");
}

#[test]
fn scripts_that_cannot_run() {
    let folder = scripts(&[("main.ldb", "source other.ldb"), ("other.ldb", "source main.ldb")]);
    let seen = run(&folder, false);
    assert_eq!(
        seen[1],
        "  source main.ldb: [] Command other.ldb:1: main.ldb is already running: a script cannot source itself"
    );
    let missing = scripts(&[]);
    assert!(run(&missing, false)[1].contains("cannot read main.ldb: No such file"));
    let open = scripts(&[("main.ldb", "say\ncommands 2\nsilent\n")]);
    assert_eq!(run(&open, false)[1], "source main.ldb: [] Command main.ldb:2: `commands 2` has no `end`");
    assert!(prompt(&engine(), "source").last().unwrap().contains("needs a file name"));
}

#[test]
fn an_interrupt_ends_the_script() {
    let folder = scripts(&[("main.ldb", "loop\nsay not reached\n")]);
    let flag = Arc::new(AtomicBool::new(false));
    let handle = engine_with(flag.clone());
    handle.requests.send(Request::Script { id: 1, file: folder.path().join("main.ldb"), keep_going: true }).unwrap();
    while !matches!(handle.events.recv().unwrap(), Event::Progress { .. }) {}
    flag.store(true, Ordering::SeqCst);
    assert!(until_answer(&handle).last().unwrap().ends_with("main.ldb: interrupted at line 1"));
}

#[test]
fn an_interrupt_ends_a_loop_without_end() {
    // The condition of the fake session holds while its op is less than the number.
    for body in ["say on\n", ""] {
        let folder = scripts(&[("main.ldb", &format!("say start\nwhile 5\n{body}end\nsay not reached\n"))]);
        let flag = Arc::new(AtomicBool::new(false));
        let handle = engine_with(flag.clone());
        let file = folder.path().join("main.ldb");
        handle.requests.send(Request::Script { id: 1, file, keep_going: true }).unwrap();
        while !matches!(handle.events.recv().unwrap(), Event::Answer(Answered { in_script: true, .. })) {}
        flag.store(true, Ordering::SeqCst);
        let seen = until_answer(&handle);
        assert!(seen.last().unwrap().contains("interrupted before line"), "{:?}", seen.last());
        assert!(!seen.iter().any(|line| line.contains("not reached")));
    }
}
