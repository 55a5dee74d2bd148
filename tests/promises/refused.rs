//! Promise: what is refused changes nothing, whatever the command, its arguments and the state; what is done in part says so.

use std::process::Stdio;

use llmdbg::answer::{Answer, text};
use llmdbg::commands::{Takes, commands};
use llmdbg::debugger::Mark;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::common::{Bench, NURSE, ex, llmdbg_in};
use crate::parity::fixture;

/// Everything that a later command could depend on, as text.
fn state(bench: &mut Bench) -> String {
    let session = &bench.console.session;
    let run = &session.run;
    let branch = |branch: &llmdbg::debugger::Branch| {
        let passes: Vec<_> =
            (0..branch.passes()).map(|pass| (branch.frontier(pass), branch.chosen(pass).cloned())).collect();
        let edits: Vec<&str> = branch.edits.iter().map(|edit| edit.text.as_str()).collect();
        format!("{} {edits:?} {passes:?} {:?}", branch.name, branch.text().rows)
    };
    let branches: Vec<String> = run.branches.iter().map(branch).collect();
    let variables: Vec<String> =
        session.variables.iter().map(|(name, value)| format!("{name} {}", value.described())).collect();
    let checkpoints: Vec<_> =
        session.checkpoints.iter().map(|(number, c)| (number, c.name.clone(), c.branch, c.at)).collect();
    let peers: Vec<&String> = session.peers.iter().map(|(name, _)| name).collect();
    let adapter = session.adapter.as_ref().map(|adapter| adapter.path.clone());
    let stopped = session.last_stop.as_ref().map(|stop| (stop.reason, stop.ids.clone(), stop.at));
    let mut all = vec![
        format!("{:?}", (run.current, run.mark(), run.goal, run.live, &run.sampling)),
        format!("{branches:#?}\n{:#?}", session.stops),
        format!("{:?} {variables:?} {:?} {checkpoints:?}", session.focus, session.displays),
        format!("{} {:?} {peers:?} {:?} {adapter:?}", session.history.len(), session.trail, session.compare),
        format!("{stopped:?} {}", session.walking().is_some()),
    ];
    let shown = |answer: Answer| text::lines(&answer, None).join("\n");
    all.push(shown(bench.outcome("show").answer));
    let snapshot = bench.console.snapshot();
    all.push(format!("{:?} {:?} {:?}", snapshot.screen, snapshot.flags, snapshot.stop));
    all.join("\n")
}

/// Arguments that few commands take.
const ODD: &[&str] = &[
    "",
    "frobnicate",
    "-frobnicate",
    "-frobnicate 3",
    "99999999",
    "-1",
    "18446744073709551616",
    "1 2 3",
    "0x",
    "\"",
    "\"never closed",
    "(",
    "max(",
    "max()",
    "frob(1)",
    "1 +",
    "nan",
    "#7",
    "#1",
    "logits#1",
    "L0.attn.q#3",
    "L99",
    "L0H99",
    "L99.attn.q",
    "L0.frob.z",
    "L*.attn.z",
    "/(/",
    "L0.attn.z[99]",
    "L0.attn.z[head=99]",
    "L0.attn.z pos=99",
    "L0.attn.z pos=\"nowhere\"",
    "L0.attn.z row=9",
    "L0.attn.z if frob",
    "L0.attn.z if max(",
    "+99999",
    "-99999",
    "1 99",
    "1, 99",
    "1-3 77",
    "$nothing",
    "$99",
    "@nowhere",
    "nowhere",
    "nowhere as",
    "main main",
    "/dev/null/x.safetensors",
    "/dev/null/x.json",
    "/dev/null/dir",
    "edits /dev/null/x.json",
    "value /dev/null/x.npy L0.frob",
    "load /dev/null/x",
    "model /dev/null/x",
    "param(\"frob\") = 1",
    "param(\"W_E\")[99999] = 1",
    "tokens[99] = 1",
    "tokens[0] = 99999",
    "L0.attn.z = L0.mlp.post",
    "L0.attn.z[99] = 0",
    "$x = frob",
    "$x += \"a\"",
    "generation temperature -1",
    "generation frob 1",
    "record-budget frob",
    "frob 1",
    "row=9",
    "pos=99",
    "row=0 head=99",
    "checkpoint 99",
    "checkpoints 1 99",
    "once 99",
    "count 2 99",
    "-hits 1 > frob",
    "insert 99 x",
    "insert 0",
    "erase 0:99",
    "erase",
    "L0.resid_post $nothing",
    "L0.resid_post L0.mlp.post",
    "-m main main",
    "frob -- step",
    "-to nowhere",
    "-to 99999",
    "-target logit(\"",
    "-pos 99",
    "-over /dev/null/x.txt",
    "ig -frob",
    "frob -target loss",
    "-step frob",
    "loss frob",
];

/// Scripts that bring a session into a state.
const STATES: &[(&str, &str)] = &[
    ("gpt2", ""),
    ("gpt2", "break L1.attn.z\nset $x = 3\ndisplay max($cursor)\nrun\ncheckpoint here\nprint $x\ncheckpoint"),
    (
        "gpt2",
        "run\ngenerate 2\nablate L0H1\nset generation temperature 0.7\nback\nwatch max(resid_post)\ndisplay 1\ndisplay 2",
    ),
    ("gpt2", "run\ntoken\nset tokens[-1] = 7\nundo\nbackward -step logits[-1, 5]\nstep"),
    ("bert-seqcls", ""),
    ("bert-seqcls", "tbreak L0.attn.z\nrun\nset param(\"L0.mlp.W_in\")[0] = 0\nfocus head=1"),
];

fn bench(number: usize) -> Bench {
    let (model, script) = STATES[number];
    let mut bench = Bench::new(model, &[NURSE, "the king"]);
    bench.script(script);
    bench
}

/// Forms of a command: odd arguments, and its own examples with something wrong in them.
fn forms(command: &'static llmdbg::commands::Command, rng: &mut ChaCha8Rng, count: usize) -> Vec<String> {
    let writes = matches!(command.takes, Takes::File)
        || matches!(command.name, "save" | "export" | "golden" | "transcript" | "load");
    let examples: Vec<&str> = command.examples.iter().filter_map(|example| example.lines().last()).collect();
    let mut pick = |n: usize| rng.next_u32() as usize % n;
    let mut all = Vec::new();
    for _ in 0..count {
        let odd = ODD[pick(ODD.len())];
        let example = examples[pick(examples.len())];
        // What writes files is given none of its own names.
        let form = match if writes { 0 } else { pick(5) } {
            0 => format!("{} {odd}", command.name),
            1 => format!("{example} {odd}"),
            2 => format!("{example} -frobnicate {odd}"),
            3 => example.replace(|c: char| c.is_ascii_digit(), "9"),
            _ => {
                let at = (0..=pick(example.len() + 1)).rev().find(|&at| example.is_char_boundary(at)).unwrap_or(0);
                format!("{}{}", &example[..at], if pick(2) == 0 { "\"" } else { "" })
            }
        };
        all.push(form);
    }
    all
}

#[test]
fn what_is_refused_leaves_the_whole_state_as_it_was() {
    let mut rng = ChaCha8Rng::seed_from_u64(23);
    let (mut refused, mut in_part, mut changed) = (0, 0, Vec::new());
    for number in 0..STATES.len() {
        let mut session = bench(number);
        let mut before = state(&mut session);
        // These run whole analyses of their own where they are not refused.
        let slow = ["selftest", "check", "diagnose", "investigate", "quit"];
        for command in commands().filter(|command| !slow.contains(&command.name)) {
            for line in forms(command, &mut rng, 14) {
                let outcome = session.outcome(&line);
                if let Answer::Error(error) = &outcome.answer {
                    assert!(!error.message.contains("internal error"), "{line:?}: {}", error.message);
                    if !outcome.half_done {
                        refused += 1;
                        let after = state(&mut session);
                        if before != after {
                            let what = differing(&before, &after);
                            changed.push(format!("{line:?} in state {number}: {}\n{what}", error.message));
                            session = bench(number);
                            before = state(&mut session);
                        }
                        continue;
                    }
                    in_part += 1;
                    assert!(error.message.contains("carried out in part: the cursor is now at op "), "{line:?}");
                }
                session = bench(number);
                before = state(&mut session);
            }
        }
    }
    assert!(changed.is_empty(), "{}", changed[..changed.len().min(20)].join("\n"));
    assert!(refused > 3000, "{refused} refused, {in_part} in part");
}

/// The first lines that differ.
fn differing(before: &str, after: &str) -> String {
    let pairs = before.lines().zip(after.lines()).filter(|(a, b)| a != b).take(3);
    pairs.map(|(a, b)| format!("- {a}\n+ {b}\n")).collect()
}

#[test]
fn a_place_in_a_pass_that_is_not_there_starts_nothing() {
    for (line, why) in [
        ("until logits#1", "there is no pass 1: this branch has pass 0 only"),
        ("goto L0.attn.z#2", "there is no pass 2"),
        ("advance #4", "there is no pass 4"),
    ] {
        let mut b = Bench::new("gpt2", &[NURSE]);
        assert!(b.fail(line).starts_with(why), "{}", b.fail(line));
        assert!(!b.console.session.run.live, "{line} started a pass");
    }
    for line in ["generate 3", "token"] {
        let mut b = Bench::new("bert-seqcls", &[NURSE]);
        assert!(b.fail(line).contains("predicts no next token"), "{}", b.fail(line));
        assert!(!b.console.session.run.live, "{line} started a pass");
    }
}

#[test]
fn other_settings_where_no_token_can_follow_open_no_branch() {
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run("run");
    // To the end of the position table, which is what is done in part.
    let said = b.fail("generate 100000");
    assert!(said.contains("the command was carried out in part: the cursor is now at op 49 of 49, pass "), "{said}");
    let at = b.console.session.run.mark();
    assert!(at.pass > 1);
    b.run("set generation temperature 0.9");
    let (branches, before) = (b.console.session.run.branches.len(), state(&mut b));
    let said = b.fail("generate 3");
    assert!(!said.contains("in part"), "{said}");
    assert_eq!((b.console.session.run.branches.len(), b.console.session.run.mark()), (branches, at));
    assert_eq!(before, state(&mut b));
    // Earlier than that there is room for another token.
    b.run("reverse-token");
    b.run("generate 1");
    assert_eq!(b.console.session.run.branches.len(), branches + 1);
    assert_eq!(b.console.session.run.mark(), Mark { pass: at.pass, op: 49 });
}

#[test]
fn a_list_with_one_wrong_number_removes_nothing() {
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.script("run\ndisplay 1\ndisplay 2\ncheckpoint\ncheckpoint\nbreak L0.attn.z\nbreak L1.attn.z");
    for line in ["undisplay 1 99", "delete checkpoint 1 99", "delete 1 99", "disable 1 99", "enable once 1 99"] {
        let before = state(&mut b);
        b.fail(line);
        assert_eq!(before, state(&mut b), "{line}");
    }
    b.script("undisplay 1\ndelete checkpoint 2");
    assert_eq!((b.console.session.displays.len(), b.console.session.checkpoints.len()), (1, 1));
}

#[test]
fn a_command_whose_hook_fails_says_what_it_has_done() {
    let folder = tempfile::tempdir().unwrap();
    let model = fixture("gpt2");
    let ran = |script: &str, more: &[&str]| {
        std::fs::write(folder.path().join("a.ldb"), script).unwrap();
        let mut arguments =
            vec!["-batch", "-nx", "--device", "cpu", model.to_str().unwrap(), "-p", NURSE, "-x", "a.ldb"];
        arguments.extend(more);
        llmdbg_in(folder.path(), &arguments, Stdio::null())
    };
    for hook in ["hookpost-run", "hook-stop"] {
        let found =
            ran(&format!("define {hook}\nprint frob\nend\nbreak L1.attn.z\nrun\n"), &["--keep-going", "-ex", "when"]);
        assert_eq!(found.status, 1);
        assert!(found.out.contains("Breakpoint 1, blocks.1.attn.z"), "{hook}: the stop is shown\n{}", found.out);
        assert!(found.out.contains("at op 37 of 49") || found.out.contains("next: blocks.1.attn.out"), "{}", found.out);
        assert!(found.err.contains("\"run\" itself succeeded"), "{}", found.err);
    }
    // The commands of the stop point are left out, and that is said.
    let found = ran("define hook-stop\nprint frob\nend\nbreak L1.attn.z\ncommands\necho never\\n\nend\nrun\n", &[]);
    assert!(
        found.err.contains("but not the commands of its stop point") && !found.out.contains("never"),
        "{}",
        found.err
    );
    // One that comes before keeps the command from running.
    let found = ran("define hook-run\nprint frob\nend\nrun\n", &["--keep-going", "-ex", "when"]);
    assert!(found.err.contains("run was not run") && found.out.contains("No pass has been started"), "{}", found.err);
    let found = ran("run\n", &ex(&["with list-size 3 -- until L0.attn.z"]));
    assert_eq!(found.status, 0, "{}", found.err);
}
