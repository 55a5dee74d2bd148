//! Promise: what computes for long answers Ctrl-C on its way, and leaves the session as it was.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use llmdbg::answer::{Answer, text};
use llmdbg::tensor::{Report, reporting};

use crate::common::Bench;

const PROMPT: &str = "When Mary and John went to the store, John gave a drink to";
const OTHER: &str = "When Mary and John went to the store, Mary gave a drink to";

/// What is given first, and the command that is interrupted. `DIR` is a folder of its own, with a file of texts.
const LONG: [(&str, &str); 75] = [
    ("run", "backward loss"),
    ("run", "backward -all-at-once loss"),
    ("run", "attr saliency"),
    ("run", "attr ig -steps auto"),
    ("run", "attr gradientshap -baseline mean -samples 20"),
    ("run", "attr smoothgrad -samples 20"),
    ("run", "attr conductance -at L1.mlp.post"),
    ("run", "attr featureablation"),
    ("run", "attr occlusion -window 2"),
    ("run", "attr shapley"),
    ("run", "attr kernelshap -samples 40"),
    ("run", "attr lime"),
    ("run", "attr lrp"),
    ("run", "attr heads"),
    ("run", "attr neurons"),
    ("run", "attr rollout"),
    ("run", "attr attnxgradient"),
    ("run", "attr ig,occlusion"),
    ("run", "attr ig -quality"),
    ("run", "circuits"),
    ("run", "circuits L1H0"),
    ("run", "circuits -composition q"),
    ("run", "spectrum param(\"W_E\")"),
    ("run", "activations"),
    ("run", "activations -against DIR/texts.txt"),
    ("run", "neuron L0N3"),
    ("run", "neuron L0N3 DIR/texts.txt"),
    ("run", "probe DIR/prompts.txt -metric loss"),
    ("run", "probe DIR/prompts.txt -metric loss -carriers"),
    ("run", "probe DIR/texts.txt -metric loss -words"),
    ("run", "lens"),
    ("run", "lens -grid"),
    ("run", "lens -map"),
    ("run", "lens L*.attn_out"),
    ("run", "dla"),
    ("run", "dla -by neuron"),
    ("run", "dla -by position"),
    ("run", "explain"),
    ("TWO", "patch main -metric loss"),
    ("TWO", "patch main -metric loss -site attn.z -approx"),
    ("TWO", "patch main -metric loss -site mlp_out -both"),
    ("TWO", "patch main -metric loss -to L1H0.q"),
    ("TWO", "patch main -metric loss -minimal"),
    ("TWO", "patch L1.resid_pre from main"),
    ("run\nset param(\"L1.mlp.W_out\") *= 1.5", "diff main"),
    ("run\nset param(\"L1.mlp.W_out\") *= 1.5", "bisect main"),
    ("run", "heads"),
    ("run", "heads -grid first"),
    ("run", "heads -repeated 12"),
    ("run", "heads -redundant"),
    ("run", "heads -over DIR/texts.txt"),
    ("run", "layers norm(resid_post[-1])"),
    ("run", "golden write DIR/golden.json"),
    ("run", "diagnose"),
    ("run", "diagnose -deep"),
    ("run", "diagnose -device"),
    ("generate 3", "check cache"),
    ("run", "check determinism"),
    ("run", "check inert"),
    ("run", "selftest"),
    ("run", "investigate expected \" John\""),
    ("run\nset param(\"L1.mlp.W_out\") *= 1.5", "investigate differs from main"),
    ("run", "set param(\"L0.mlp.W_in\")[0] *= 2"),
    ("run", "set tokens[1] = \" Paul\""),
    ("run", "set L0.resid_pre *= 2"),
    ("run", "set prompt The nurse said that"),
    ("run", "ablate L1H0"),
    ("run", "ablate L1.mlp.post mean"),
    ("run", "steer L1.resid_post 0.5"),
    ("run", "tokens erase 4:6"),
    ("run\nablate L1H0\nablate L2H0", "drop edits 1"),
    ("start\nset param(\"W_E\")[5] = 0\nrun", "undo"),
    ("run", "save activations DIR/out.safetensors"),
    ("run", "save value DIR/out.csv logits"),
    ("run", "save events DIR/events"),
];

/// Commands that are known to go to their end all the same. The list is there to become empty: whoever mends one takes it off.
const LATE: [&str; 0] = [];

fn prepared(setup: &str) -> Bench {
    let mut bench = Bench::new("tiny-gpt2", &[PROMPT]);
    match setup {
        // Two branches with other texts.
        "TWO" => bench.script(&format!("run\nset prompt {OTHER}\nrun")),
        setup => bench.script(setup),
    }
    bench
}

/// Where the session is, and all that is in it.
fn state(bench: &mut Bench) -> (String, Vec<Vec<u64>>) {
    let run = &bench.console.session.run;
    let branches: Vec<String> = run
        .branches
        .iter()
        .map(|branch| {
            let edits: Vec<&str> = branch.edits.iter().map(|edit| edit.text.as_str()).collect();
            format!("{} {edits:?} {:?}", branch.name, branch.text().rows)
        })
        .collect();
    let place = format!("{:?} in {} of {branches:?}", run.mark(), run.current);
    let said =
        ["info branches", "info edits", "info breakpoints", "info checkpoints", "when"].map(|line| bench.text(line));
    (format!("{place}\n{said:?}"), bench.everything())
}

/// Runs a command, interrupted when progress has been reported `after` times: the answer, and how often it was reported after that.
fn interrupted(bench: &mut Bench, line: &str, after: usize) -> (Answer, usize) {
    let flag = bench.console.session.interrupt.clone();
    let reported = Rc::new(Cell::new(0));
    flag.store(after == 0, Ordering::SeqCst);
    let (counted, setting) = (reported.clone(), flag.clone());
    let report: Report = Rc::new(move |_, _, _| {
        counted.set(counted.get() + 1);
        if counted.get() == after {
            setting.store(true, Ordering::SeqCst);
        }
    });
    let answer = reporting(report, || bench.console.execute(line, false).answer);
    flag.store(false, Ordering::SeqCst);
    (answer, reported.get().saturating_sub(after))
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("texts.txt", "The nurse said that\nMary saw John\nThe dog and the king\n");
    write("prompts.txt", "The {nurse|pilot} said that\n");
    folder
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn what_computes_for_long_answers_an_interrupt_and_changes_nothing() {
    let mut wrong = Vec::new();
    for (setup, command) in LONG {
        let late = LATE.contains(&command);
        // At once, and after so many reports of progress.
        for after in [0, 1, 2, 7] {
            let folder = folder();
            let line = command.replace("DIR", folder.path().to_str().unwrap());
            let mut bench = prepared(setup);
            let before = state(&mut bench);
            let (answer, on) = interrupted(&mut bench, &line, after);
            let Answer::Error(error) = &answer else {
                if after == 0 && !late {
                    wrong.push(format!("{command} goes to its end"));
                }
                continue;
            };
            if late {
                wrong.push(format!("{command} answers an interrupt now: take it off the list"));
            }
            if !error.message.contains("interrupted") {
                wrong.push(format!("{command} after {after}: {}", error.message));
            }
            if on > 2 {
                wrong.push(format!("{command} after {after}: goes on for {on} steps"));
            }
            if state(&mut bench) != before {
                wrong.push(format!("{command} after {after}: the session is not as it was"));
            }
            if files(folder.path()) != 2 {
                wrong.push(format!("{command} after {after}: a file is left"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is interrupted can be asked again, and gives what it would have.
#[test]
fn a_command_that_was_interrupted_gives_the_same_when_it_is_given_again() {
    for (setup, command) in LONG.into_iter().filter(|(_, command)| !command.contains("DIR")) {
        let wanted = text::lines(&prepared(setup).outcome(command).answer, None);
        for after in [0, 3] {
            let mut bench = prepared(setup);
            if let (Answer::Error(_), _) = interrupted(&mut bench, command, after) {
                assert_eq!(text::lines(&bench.outcome(command).answer, None), wanted, "{command} after {after}");
            }
        }
    }
}

/// A motion is no failure: it stops where it is.
#[test]
fn a_motion_that_is_interrupted_stops_between_two_ops() {
    let mut bench = Bench::new("tiny-gpt2", &[PROMPT]);
    let (answer, _) = interrupted(&mut bench, "run", 7);
    let Answer::Stop(stop) = answer else { panic!("{answer:?}") };
    assert_eq!((stop.reason, bench.cursor()), (llmdbg::answer::Reason::Interrupt, 7));
    let mut whole = Bench::new("tiny-gpt2", &[PROMPT]);
    whole.run("run");
    bench.run("continue");
    assert_eq!(bench.everything(), whole.everything());
}
