//! Promise of `docs/remote.md`: a session elsewhere is as one here. Every command of the table prints the same text and the
//! same objects over a connection, and a session on a socket outlives its connections.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use llmdbg::commands::ALL;
use serde_json::Value;

use crate::common::{Ran, llmdbg_in};
use crate::pty::Terminal;

const PATIENCE: Duration = Duration::from_secs(120);

/// Commands whose examples end the session or leave it, or whose answers tell of time or of the process.
const APART: [&str; 4] = ["quit", "resume", "target", "disconnect"];

/// An object without what depends on the moment.
fn timeless(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.remove("ms");
            object.values_mut().for_each(timeless);
        }
        Value::Array(all) => all.iter_mut().for_each(timeless),
        _ => {}
    }
}

fn objects(text: &str) -> Vec<Value> {
    let object = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let mut all: Vec<Value> = text.lines().map(object).collect();
    all.iter_mut().for_each(timeless);
    all
}

fn program() -> &'static str {
    env!("CARGO_BIN_EXE_llmdbg")
}

/// Runs commands in a session here, or in one at the other end of a command's input and output.
fn ran(folder: &Path, far: bool, options: &[&str], commands: &[String]) -> Ran {
    let connect = format!("'{}' serve --stdio -nx --device cpu", program());
    let mut arguments = if far { vec!["--connect", &connect] } else { vec!["-nx", "--device", "cpu"] };
    arguments.extend(options);
    arguments.extend(["-batch", "--keep-going"]);
    commands.iter().for_each(|command| arguments.extend(["-ex", command.as_str()]));
    llmdbg_in(folder, &arguments, Stdio::null())
}

#[test]
fn every_command_says_the_same_over_a_connection() {
    for group in ALL.groups {
        let mut commands = Vec::new();
        for command in group.commands.iter().filter(|command| !APART.contains(&command.name)) {
            // The file of events is named after the time and the process.
            for example in command.examples.iter().filter(|example| !example.contains("save events")) {
                commands.push("start".to_string());
                commands.extend(example.lines().map(String::from));
            }
            // A mistake crosses with its place.
            commands.push(format!("{} -frobnicate (", command.name));
        }
        // What is written to files stands in one folder each.
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let run = |folder: &Path, far| ran(folder, far, &["--json"], &commands);
        let (near, far) = (run(here.path(), false), run(there.path(), true));
        let (found, wanted) = (objects(&far.out), objects(&near.out));
        for (found, wanted) in found.iter().zip(&wanted) {
            assert_eq!(found, wanted, "{}", group.name);
        }
        assert_eq!((found.len(), far.status), (wanted.len(), near.status), "{}: {}", group.name, far.err);
        let errors: Vec<&str> = far.err.lines().filter(|line| !line.contains("connected to")).collect();
        assert_eq!(errors, near.err.lines().collect::<Vec<_>>(), "{}", group.name);
    }
}

#[test]
fn tables_maps_and_values_are_drawn_as_here() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "run\nprint L2.attn.pattern[head=3]\nprint/r logits[-1, 0:4]\nlens\ndla\nattr heads\ninfo tokens\nlist\nx/4 logits\n\
                 break L1.attn.z if max($) > 0\ndisplay max($cursor)\nrun\nprint 0/0\nprint nosuchsite\nbacktrace";
    let commands: Vec<String> = lines.lines().map(|line| line.trim().to_string()).collect();
    let (near, far) = (ran(folder.path(), false, &[], &commands), ran(folder.path(), true, &[], &commands));
    assert_eq!(far.out, near.out);
    assert!(near.out.contains("Breakpoint 1") && near.out.lines().count() > 60, "{}", near.out);
    let said = far.err.lines().next().unwrap_or_default();
    assert!(said.contains("the names of files in commands are of that machine"), "{said}");
}

/// `target remote` and `disconnect`, as a user of gdb types them: two sessions, neither of which knows of the other.
#[test]
fn a_prompt_goes_to_a_session_elsewhere_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let there = format!("target remote | '{}' serve --stdio -nx --device cpu tiny-bert", program());
    let commands = [
        "set $here = 4",
        "until L1.attn.z",
        "disconnect",
        &there,
        "print $here",
        "run",
        "when",
        &there,
        "disconnect",
        "print $here + 1",
        "when",
        "target remote nowhere.sock",
        "target elsewhere",
        "print $here + 2",
    ];
    let commands: Vec<String> = commands.iter().map(|command| command.to_string()).collect();
    let Ran { out, err, status } = ran(folder.path(), false, &[], &commands);
    let mut said = out.lines();
    let mut next = |wanted: &str| {
        assert!(said.any(|line| line.contains(wanted)), "{wanted:?} is missing or out of order in:\n{out}\n{err}");
    };
    next("blocks.1.attn.z");
    next("connected to | ");
    next("void");
    next("op 73 of 73, the end of the pass");
    next("Disconnected");
    next("= 5");
    next("at op 34 of 91");
    next("= 6");
    for wanted in [
        "there is no session elsewhere",
        "connected already",
        "cannot connect to nowhere.sock",
        "expected remote and where to",
    ] {
        assert!(err.contains(wanted), "{wanted:?} is missing in:\n{err}");
    }
    assert_ne!(status, 0);
}

#[test]
fn a_screen_goes_to_a_session_elsewhere_and_comes_back() {
    let mut terminal = Terminal::with(&["-nx", "--device", "cpu"], &[]);
    terminal.until("the first frame", |screen| screen.contains("embed"));
    let there = format!("target remote | '{}' serve --stdio -nx --device cpu tiny-bert", program());
    terminal.press(&format!("{there}\r"));
    terminal.until("the other model", |screen| screen.contains("tiny-bert") && screen.contains("connected to"));
    terminal.press("run\r");
    terminal.until("its pass", |screen| screen.contains("end of pass"));
    terminal.press("disconnect\r");
    terminal.until("this model again", |screen| {
        screen.lines().next().is_some_and(|line| line.contains("tiny-gpt2")) && screen.contains("Disconnected")
    });
    terminal.press("step\r");
    terminal.until("a step of it", |screen| screen.contains("at op 1 of"));
}

#[test]
fn the_screen_of_a_session_elsewhere_obeys_keys() {
    let connect = format!("'{}' serve --stdio -nx --device cpu", program());
    let mut terminal = Terminal::with(&["--connect", &connect], &[]);
    terminal.until("the first frame", |screen| screen.contains("embed"));
    terminal.use_the_keys();
    let first = terminal.contents();
    terminal.press("s");
    terminal.until("a step", |screen| screen != first && screen.contains("tokens"));
    terminal.press(":print 6 * 7\r");
    terminal.until("the answer of a command", |screen| screen.contains("= 42"));
    terminal.press("q");
    terminal.until("the question", |screen| screen.contains("Quit anyway?"));
    terminal.press("y");
    assert_eq!(terminal.ended(), 0);
}

/// A server on a socket in a folder, ended when it is dropped.
struct Server(Child);

impl Server {
    fn start(folder: &Path) -> Server {
        let mut command = Command::new(program());
        command.args(["serve", "--socket", "s", "-nx", "--device", "cpu"]).current_dir(folder);
        command.env("XDG_STATE_HOME", folder.join("state")).stdin(Stdio::null()).stderr(Stdio::null());
        let server = Server(command.spawn().unwrap());
        let start = Instant::now();
        while !folder.join("s").exists() {
            assert!(start.elapsed() < PATIENCE, "no socket");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_session_on_a_socket_goes_on_without_anybody() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let mode = fs::metadata(folder.path().join("s")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the socket is the user's alone");
    let ask = |commands: &[&str]| {
        let mut all = vec!["--connect", "s", "-batch"];
        commands.iter().for_each(|command| all.extend(["-ex", command]));
        llmdbg_in(folder.path(), &all, Stdio::null())
    };
    let first = ask(&["until L1.attn.pattern", "set $x = 7", "ablate L0H0", "quit 3"]);
    assert_eq!((first.status, first.err.lines().count()), (3, 1), "{}", first.err);
    let second = ask(&["print $x", "info edits", "when"]);
    assert!(second.out.contains("= 7") && second.out.contains("ablate L0H0"), "{}{}", second.out, second.err);
    // Over a relay, as ssh would carry it; and what the journal of the server has.
    let relay = format!("'{}' attach s", program());
    let third = llmdbg_in(folder.path(), &["--connect", &relay, "-batch", "-ex", "print $x"], Stdio::null());
    assert!(third.out.contains("= 7"), "{}{}", third.out, third.err);
    let journals = fs::read_dir(folder.path().join("state/llmdbg/journals")).unwrap();
    let journal: String = journals.flatten().map(|file| fs::read_to_string(file.path()).unwrap()).collect();
    assert!(journal.contains("ablate L0H0") && journal.contains("set $x = 7"), "{journal}");
    // A second server does not take the socket away; the first removes it when it is told to end.
    let other = llmdbg_in(folder.path(), &["serve", "--socket", "s", "-nx", "--device", "cpu"], Stdio::null());
    assert!(other.status == 2 && other.err.contains("a server listens there already"), "{}", other.err);
    rustix::process::kill_process(rustix::process::Pid::from_child(&server.0), rustix::process::Signal::TERM).unwrap();
    assert_eq!(server.0.wait().unwrap().code(), Some(0));
    assert!(!folder.path().join("s").exists(), "the socket is left behind");
    let gone = ask(&["when"]);
    assert!(gone.status == 4 && gone.err.contains("No such file"), "{}", gone.err);
}

#[test]
fn what_cannot_be_opened_is_said_at_the_other_end() {
    let folder = tempfile::tempdir().unwrap();
    let connect = format!("'{}' serve --stdio -nx --device cpu ./nothing", program());
    let far = llmdbg_in(folder.path(), &["--connect", &connect, "-batch", "-ex", "run"], Stdio::null());
    let near =
        llmdbg_in(folder.path(), &["-nx", "--device", "cpu", "./nothing", "-batch", "-ex", "run"], Stdio::null());
    assert_eq!((far.status, far.err.lines().last()), (near.status, near.err.lines().last()), "{}", far.err);
    let wrong = llmdbg_in(folder.path(), &["--connect", "echo hello there", "-batch"], Stdio::null());
    assert!(wrong.status == 4 && wrong.err.contains("not an llmdbg server: it said \"hello there\""), "{}", wrong.err);
    let both = llmdbg_in(folder.path(), &["--connect", "s", "tiny-gpt2"], Stdio::null());
    assert_eq!(both.status, 2, "{}", both.err);
}
