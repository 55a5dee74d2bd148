//! Promises: a session that is taken up again repeats what changed it and nothing else, and Ctrl-C on the way costs one command.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use llmdbg::answer::{Answer, text};
use llmdbg::cli::{self, Invocation};
use llmdbg::engine::journal::{self as journals, Journal};
use llmdbg::engine::messages::{Answered, Event, Request, Source};
use llmdbg::engine::thread::{self, Handle, Setup};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::common::NURSE;
use crate::parity::fixture;

struct Live {
    handle: Handle,
    interrupt: Arc<AtomicBool>,
    /// What was told of progress since the last command.
    told: Vec<String>,
}

impl Live {
    fn new(journal: Journal) -> Live {
        let model = fixture("gpt2");
        let arguments = ["llmdbg", model.to_str().unwrap(), "-p", NURSE, "--device", "cpu"];
        let Ok(Invocation::Debug(options)) = cli::parse(arguments.map(Into::into)) else { panic!("arguments") };
        let interrupt = Arc::new(AtomicBool::new(false));
        let flag = interrupt.clone();
        let setup = Setup { journal, ..Setup::default() };
        let open = move || cli::open::open(&options, flag);
        let handle = thread::spawn(open, interrupt.clone(), setup).unwrap();
        Live { handle, interrupt, told: Vec::new() }
    }

    /// What a command answers; each progress report goes to `progress`.
    fn answer(&mut self, line: &str, mut progress: impl FnMut(&str)) -> String {
        let request = Request::Command { id: 1, line: line.into(), source: Source::Prompt };
        self.handle.requests.send(request).unwrap();
        self.told.clear();
        loop {
            match self.handle.events.recv().unwrap() {
                Event::Answer(Answered { answer, in_script: false, .. }) => {
                    let kind = if matches!(answer, Answer::Error(_)) { "error: " } else { "" };
                    return format!("{kind}{}", text::lines(&answer, None).join("\n"));
                }
                Event::Progress { what, .. } => {
                    progress(&what);
                    self.told.push(what);
                }
                Event::LoadFailed(message) => panic!("{message}"),
                _ => {}
            }
        }
    }

    fn ask(&mut self, line: &str) -> String {
        self.answer(line, |_| ())
    }

    /// A command that is interrupted so soon.
    fn interrupted(&mut self, line: &str, after: Duration) -> String {
        let (flag, done) = (self.interrupt.clone(), Arc::new(AtomicBool::new(false)));
        let stop = done.clone();
        let presses = std::thread::spawn(move || {
            std::thread::sleep(after);
            while !stop.load(Ordering::SeqCst) {
                flag.store(true, Ordering::SeqCst);
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        let said = self.ask(line);
        done.store(true, Ordering::SeqCst);
        presses.join().unwrap();
        said
    }
}

const QUESTIONS: [&str; 11] = [
    "when",
    "info breakpoints",
    "info branches",
    "info edits",
    "info checkpoints",
    "info passes",
    "info display",
    "show",
    "print $x",
    "info tokens",
    "output/r L0.resid_post[-1, 0:4]",
];

/// A journal of these lines.
fn written(folder: &Path, lines: &str) -> PathBuf {
    let path = folder.join("a.ldb");
    let head = "#llmdbg-journal {\"version\":1,\"folder\":\"/\",\"arguments\":[]}\n";
    std::fs::write(&path, format!("{head}{lines}")).unwrap();
    path
}

fn lines_of(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().skip(1).map(String::from).collect()
}

#[test]
fn f5_what_only_looks_is_not_computed_again_and_its_numbers_stay() {
    let folder = tempfile::tempdir().unwrap();
    let mut live = Live::new(Journal::new(folder.path(), Vec::new()));
    for line in [
        "run",
        "attr ig",
        "heads",
        "print 6 * 7",
        "patch zero -metric logit[5]",
        "diff main",
        "nonsense",
        "set $x = $2",
        "layer 99",
    ] {
        live.ask(line);
    }
    let path = journals::last(folder.path()).unwrap();
    let lines = lines_of(&path);
    // `layer 99` changed nothing; what it is that looks stands there with the values it gave.
    let wanted = ["run", "#looked 1 attr ig", "print 6 * 7"];
    assert_eq!(lines[..3], wanted, "{lines:?}");
    assert!(lines.ends_with(&["layer 99".to_string(), "#refused".into()]), "{lines:?}");
    // $2 is read by what changes the session, so all that looked before is given again.
    let mut again = Live::new(Journal::Off);
    let said = again.ask(&format!("resume {}", path.display()));
    assert!(said.contains("1 that changed nothing were left out"), "{said}");
    assert_eq!(again.ask("print $x"), live.ask("print $x"));
    assert!(again.ask("print $1").contains("f32["), "the attribution is there");
    // Where nothing needs it, it is not.
    let path = written(
        folder.path(),
        "run\n#looked 1 attr ig\nprint 6 * 7\nprint $1\nset $x = 4\n#looked 2 attr heads\nbreak L0 if max($) > 3\n",
    );
    let mut again = Live::new(Journal::Off);
    let said = again.ask(&format!("resume {}", path.display()));
    assert!(said.contains("5 commands, 1 of which failed as before"), "{said}");
    assert!(said.contains("Read-only commands were not run again: attr ig ($1), attr heads ($4 to $5)."), "{said}");
    assert!(!again.told.iter().any(|what| what.contains("attr")), "{:?}", again.told);
    assert!(again.ask("print $2").contains("= 42"));
    let refused = again.ask("print $1 + 1");
    assert!(refused.starts_with("error: $1 was given by \"attr ig\" before the session was resumed"), "{refused}");
    assert!(again.ask("print $5").starts_with("error: $5 was given by \"attr heads\""));
    assert!(again.ask("print 1").contains("$7 = 1"), "the numbers go on");
}

#[test]
fn an_interrupted_motion_is_resumed_where_it_was_interrupted() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut interrupted = 0;
    for round in 0..24 {
        let folder = tempfile::tempdir().unwrap();
        let mut live = Live::new(Journal::new(folder.path(), Vec::new()));
        live.ask("set $x = 1");
        live.ask("trace L*.attn.z count");
        live.ask("break L1.mlp.post");
        live.ask("ignore 2 1000");
        let line = ["run", "generate 40", "until L1.mlp.post", "step 40"][round % 4];
        if line == "step 40" {
            live.ask("start");
        }
        let said = live.interrupted(line, Duration::from_micros(u64::from(rng.next_u32() % 600)));
        interrupted += usize::from(said.contains("Interrupted"));
        for line in ["token", "set $x = 2", "rs 2"] {
            live.ask(line);
        }
        let path = journals::last(folder.path()).unwrap();
        let mut resumed = Live::new(Journal::Off);
        resumed.ask(&format!("resume {}", path.display()));
        for question in QUESTIONS {
            assert_eq!(
                resumed.ask(question),
                live.ask(question),
                "{question} after {line}: {said}\n{:?}",
                lines_of(&path)
            );
        }
    }
    assert!(interrupted >= 4, "{interrupted} of 24 were interrupted");
}

#[test]
fn f5_what_is_refused_or_interrupted_without_effect_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    // The two that are noted as refused would work now.
    let path = written(folder.path(), "run\nset $x = 1\nset $x = 2\n#refused\nablate L0H1\n#refused\nset $y = 3\n");
    let mut resumed = Live::new(Journal::Off);
    let said = resumed.ask(&format!("resume {}", path.display()));
    assert!(said.contains("3 commands; 2 that changed nothing were left out.\n"), "{said}");
    assert!(resumed.ask("print $x").contains("= 1") && resumed.ask("print $y").contains("= 3"));
    assert!(resumed.ask("info edits").contains("No edits"));
    // A block that was cut off loses itself alone.
    let path = written(folder.path(), "run\nset $x = 7\ndefine half\nstep\n");
    let mut resumed = Live::new(Journal::Off);
    let said = resumed.ask(&format!("resume {}", path.display()));
    assert!(said.contains("The journal ends inside a block, which was left out: define half"), "{said}");
    assert!(resumed.ask("print $x").contains("= 7"));
    assert_eq!(lines_of(&path), ["run", "set $x = 7", "print $x"], "and the next session finds a whole one");
}

#[test]
fn f5_ctrl_c_skips_one_command_and_the_progress_says_which() {
    let folder = tempfile::tempdir().unwrap();
    let commands = ["run", "generate 40", "set $x = 5", "break L0.attn.z", "ablate L0H1", "set $y = 6"];
    for skipped in ["run", "generate 40"] {
        // A key that comes after the last command skips none: then it is pressed again.
        let pressed = |_| {
            let path = written(folder.path(), &format!("{}\n", commands.join("\n")));
            let mut resumed = Live::new(Journal::Off);
            let flag = resumed.interrupt.clone();
            let said = resumed.answer(&format!("resume {}", path.display()), |what| {
                flag.fetch_or(what.ends_with(&format!(": {skipped}")), Ordering::SeqCst);
            });
            said.contains("skipped").then_some((path, resumed, said))
        };
        let (path, mut resumed, said) = (0..50).find_map(pressed).expect("a command is skipped");
        let told: Vec<String> = (0..6).map(|i| format!("resuming, {} of 6: {}", i + 1, commands[i])).collect();
        let heard: Vec<&String> = resumed.told.iter().collect();
        assert!(told.iter().all(|wanted| heard.contains(&wanted)), "{heard:?}");
        // The command may have ended just before: then it is the next one.
        let (_, which) = said.split_once("Interrupted and skipped: ").unwrap_or_else(|| panic!("{said}"));
        let which = which.lines().next().unwrap().trim_end_matches('.');
        assert_eq!(commands.iter().filter(|command| **command == which).count(), 1, "exactly one: {said}");
        assert!(said.contains(": 5 commands"), "{said}");
        for (command, question, wanted) in [
            ("set $x = 5", "print $x", "= 5"),
            ("break L0.attn.z", "info breakpoints", "L0.attn.z"),
            ("ablate L0H1", "info edits", "ablate L0H1"),
            ("set $y = 6", "print $y", "= 6"),
        ] {
            assert_eq!(resumed.ask(question).contains(wanted), command != which, "{command}: {said}");
        }
        // The journal says so, and is resumed to the same.
        let at = lines_of(&path).iter().position(|line| line == which).unwrap();
        assert!(lines_of(&path)[at + 1].starts_with('#'), "{:?}", lines_of(&path));
        let mut again = Live::new(Journal::Off);
        again.ask(&format!("resume {}", path.display()));
        for question in QUESTIONS {
            assert_eq!(again.ask(question), resumed.ask(question), "{question} after {which} was skipped");
        }
    }
}
