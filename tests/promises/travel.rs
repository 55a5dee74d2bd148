//! Promises: however you got to a place, the values there are those that the edits make (Replay), and the stops met going
//! back are those met going forward, reversed (Mirror).

use std::sync::Arc;

use llmdbg::answer::Reason;
use llmdbg::debugger::{Branch, Edit, Mark, Sampling};
use llmdbg::tensor::{Device, bits};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::common::{Bench, NURSE, vulkan};

/// A budget of recordings that keeps little more than block boundaries.
const TIGHT: u64 = 20 << 10;

#[test]
fn stepping_back_to_the_beginning_and_forward_again_meets_the_same_bits_at_every_op() {
    for (device, budget) in [(Device::cpu(), 1 << 30), (Device::cpu(), TIGHT), (vulkan(), 1 << 30)] {
        for name in ["gpt2", "llama", "bert-seqcls"] {
            let mut bench = Bench::on(name, &[NURSE], &device, budget);
            bench.run("run");
            let wanted = bench.everything();
            let last = |bench: &mut Bench| {
                let op = bench.cursor() - 1;
                bits(&bench.console.session.run.value(op).unwrap()).unwrap()
            };
            for op in (0..wanted.len()).rev() {
                assert_eq!(last(&mut bench), wanted[op], "{name}, op {op}, going back");
                bench.run("reverse-step");
            }
            assert_eq!(bench.cursor(), 0);
            assert_eq!(bench.stop("reverse-step").lines[0], "No more reverse-execution history.");
            for (op, wanted) in wanted.iter().enumerate() {
                bench.run("step");
                assert_eq!(last(&mut bench), *wanted, "{name}, op {op}, going forward");
            }
        }
    }
}

/// A command of a walk. Sites are picked from the program, so that the walk is valid for any model.
#[derive(Clone, Debug)]
enum Move {
    Fixed(&'static str),
    Count(&'static str, u8),
    To(&'static str, prop::sample::Index),
    Scale(prop::sample::Index, i8),
    Token(u8, u16),
    Weight(prop::sample::Index, i8),
}

const FIXED: [&str; 54] = [
    "finish",
    "layer",
    "continue",
    "run",
    "start",
    "reverse-finish",
    "reverse-layer",
    "reverse-continue",
    "ablate L0H1",
    "ablate L1H2 mean",
    "ablate L1",
    "ablate L0.mlp.post[neuron=0:4]",
    "ablate L0.attn.z resample",
    "set $cursor *= 1.5",
    "set $cursor[0] = 0.25",
    "undo",
    "redo",
    "checkout main",
    "checkout edit1",
    "checkout edit2",
    "set prompt the dog and the nurse",
    "set prompt The king",
    "token",
    "token 2",
    "generate 3",
    "reverse-token",
    "rewind 2",
    "goto #1",
    "until logits#2",
    "set tokens[-1] = 300",
    "set tokens[-2] = 270",
    "set kv(0, k)[pos=1] *= 2",
    "set kv(-1, v)[head=1] = 0",
    "set generation temperature 1.5",
    "set generation temperature 0",
    "set generation seed 5",
    "checkpoint",
    "checkpoint here",
    "restart 1",
    "restart 2",
    "restart here",
    "back",
    "back 3",
    "forward",
    "rev step 3",
    "rev next",
    "drop edits",
    "drop edits 1",
    "drop edits 2",
    "steer L0.resid_post 0.5",
    "return 0.25",
    "tokens insert 1 the",
    "tokens erase -1",
    "branch edit9",
];

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let index = any::<prop::sample::Index>;
    let one = prop_oneof![
        3 => prop::sample::select(FIXED.to_vec()).prop_map(Move::Fixed),
        2 => (prop::sample::select(vec!["undo", "redo", "checkout main", "set $cursor *= 1.5"])).prop_map(Move::Fixed),
        3 => (prop::sample::select(vec!["step", "next", "reverse-step", "reverse-next"]), 1..20_u8)
            .prop_map(|(word, n)| Move::Count(word, n)),
        3 => (prop::sample::select(vec!["until", "goto", "goto -before"]), index()).prop_map(|(word, to)| Move::To(word, to)),
        2 => (index(), -3..4_i8).prop_map(|(site, by)| Move::Scale(site, by)),
        1 => (0..3_u8, 5..300_u16).prop_map(|(at, id)| Move::Token(at, id)),
        1 => (index(), -2..3_i8).prop_map(|(weight, by)| Move::Weight(weight, by)),
    ];
    prop::collection::vec(one, 1..25)
}

impl Move {
    fn line(&self, bench: &Bench) -> String {
        let run = &bench.console.session.run;
        match self {
            Move::Fixed(line) => (*line).to_string(),
            Move::Count(word, n) => format!("{word} {n}"),
            Move::To(word, to) => format!("{word} {}", to.get(run.program.sites())),
            Move::Scale(site, by) => format!("set {} *= {by}", site.get(&run.program.sites()[1..])),
            Move::Token(at, id) => format!("set tokens[{at}] = {id}"),
            Move::Weight(weight, by) => {
                format!("set param(\"{}\") *= {by}", weight.get(&run.branch().weights().ids()))
            }
        }
    }
}

/// What a fresh session with the same edits computes in so many passes, the tokens chosen by the same settings.
fn fresh(
    (name, devices): (&str, &str),
    texts: &[&str],
    edits: &[Edit],
    settings: &[Arc<Sampling>],
    passes: usize,
) -> Vec<Vec<u64>> {
    let mut bench = Bench::over(name, texts, devices, 1 << 30);
    for edit in edits {
        bench.console.session.run.edit(vec![edit.clone()]).expect("the edit fits as it did");
    }
    bench.run("run");
    for settings in settings.iter().take(passes - 1) {
        bench.console.session.run.sampling = (**settings).clone();
        bench.run("token");
    }
    bench.everything()
}

/// The settings by which the tokens of a branch were chosen.
fn settings_of(branch: &Branch) -> Vec<Arc<Sampling>> {
    (1..branch.passes()).filter_map(|pass| Some(branch.chosen(pass)?.sampling.clone())).collect()
}

/// What must not change when a command fails.
fn state(bench: &Bench) -> (Mark, usize, usize, Vec<usize>) {
    let run = &bench.console.session.run;
    (run.mark(), run.current, run.branches.len(), run.branches.iter().map(|branch| branch.edits.len()).collect())
}

/// Walks, and compares every value of every timeline with that of a fresh session.
fn check_replay(
    (name, devices): (&str, &str),
    texts: &[&str],
    budget: u64,
    walk: &[Move],
) -> Result<(), TestCaseError> {
    // With few recordings, few weights fit into memory, too.
    let mut bench = match (budget, devices) {
        (TIGHT, "cpu") => Bench::tight(name, texts, budget),
        _ => Bench::over(name, texts, devices, budget),
    };
    bench.script("set generation stop off\nstart");
    let mut lines = Vec::new();
    for step in walk {
        let line = step.line(&bench);
        let before = state(&bench);
        let failed = matches!(bench.outcome(&line).answer, llmdbg::answer::Answer::Error(_));
        if failed {
            prop_assert_eq!(&state(&bench), &before, "{} failed and changed something", line);
        }
        lines.push(line);
    }
    for number in 0..bench.console.session.run.branches.len() {
        let branch = &bench.console.session.run.branches[number];
        let (edits, settings, passes) = (branch.edits.clone(), settings_of(branch), branch.passes());
        let wanted = fresh((name, devices), texts, &edits, &settings, passes);
        let ops = bench.console.session.run.program.ops.len();
        prop_assert_eq!(wanted.len(), ops * passes, "passes of branch {} after {:#?}", number, lines);
        for (i, wanted) in wanted.iter().enumerate() {
            let at = Mark::new(i / ops, i % ops);
            let Ok(value) = bench.console.session.run.value_in(number, at) else { continue };
            let site = &bench.console.session.run.program.ops[at.op].site;
            let found = bits(&value).unwrap();
            prop_assert_eq!(&found, wanted, "{} at {} of branch {} after {:#?}", site, at, number, lines);
        }
    }
    // And on to the end: nothing stale was kept beyond the cursor.
    let branch = bench.console.session.run.branch();
    let (edits, settings, passes) = (branch.edits.clone(), settings_of(branch), branch.passes());
    let wanted = fresh((name, devices), texts, &edits, &settings, passes);
    prop_assert_eq!(bench.everything(), wanted, "beyond the cursor after {:#?}", lines);
    Ok(())
}

fn runner(cases: u32) -> TestRunner {
    // Always the same walks: a failure is met again by running the test again.
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    TestRunner::new_with_rng(Config { cases, failure_persistence: None, ..Config::default() }, rng)
}

#[test]
fn after_any_walk_every_value_is_what_the_edits_make() {
    let strategy = (moves(), any::<bool>(), any::<bool>());
    let checked = runner(150).run(&strategy, |(walk, tight, two_rows)| {
        let texts: &[&str] = if two_rows { &[NURSE, "the king said"] } else { &[NURSE] };
        check_replay(("gpt2", "cpu"), texts, if tight { TIGHT } else { 1 << 30 }, &walk)
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn after_any_walk_in_an_encoder_every_value_is_what_the_edits_make() {
    let checked = runner(40).run(&moves(), |walk| check_replay(("bert-seqcls", "cpu"), &[NURSE], 1 << 30, &walk));
    checked.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn after_any_walk_in_a_model_with_states_every_value_is_what_the_edits_make() {
    for (name, cases) in [("qwen3_5_text", 40), ("lfm2", 20), ("granite4-hybrid", 20)] {
        let strategy = (moves(), any::<bool>(), any::<bool>());
        let checked = runner(cases).run(&strategy, |(walk, tight, two_rows)| {
            let texts: &[&str] = if two_rows { &[NURSE, "the king said"] } else { &[NURSE] };
            check_replay((name, "cpu"), texts, if tight { TIGHT } else { 1 << 30 }, &walk)
        });
        checked.unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn after_any_walk_over_two_devices_every_value_is_what_the_edits_make() {
    let checked = runner(25).run(&(moves(), any::<bool>()), |(walk, tight)| {
        check_replay(("gpt2", "vulkan,cpu"), &[NURSE], if tight { TIGHT } else { 1 << 30 }, &walk)
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
}

/// Values kept from before the cursor went back must not outlive an edit at the cursor.
#[test]
fn an_edit_at_the_cursor_reaches_values_that_were_computed_earlier() {
    let mut bench = Bench::new("gpt2", &[NURSE]);
    bench.script("run\ngoto L0.attn.z\nset param(\"W_U\") *= 2\nset $cursor = 0\ncontinue");
    let edits = bench.console.session.run.branch().edits.clone();
    assert_eq!(edits.len(), 2);
    assert_eq!(bench.everything(), fresh(("gpt2", "cpu"), &[NURSE], &edits, &[], 1));
    assert!(bench.numbers("L0.attn.out - param(\"L0.attn.b_O\")").iter().all(|x| *x == 0.0));
}

/// Breakpoints with conditions that only look.
fn breakpoints() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), 0..14_u8), 1..12)
}

fn set_breakpoints(bench: &mut Bench, points: &[(prop::sample::Index, u8)]) {
    for (site, kind) in points {
        let site = site.get(bench.console.session.run.program.sites()).clone();
        let line = match kind {
            0 => format!("break {site}"),
            1 => format!("break -before {site}"),
            2 => format!("break {site} if mean($) > 0"),
            3 => format!("break {site} if max(abs($cursor)) > 2"),
            4 => "break L1.attn".to_string(),
            5 => "break L*.mlp.post if any($ > 1)".to_string(),
            6 => format!("break {site} if nosuchvariable > 1"),
            7 => format!("watch max({site})"),
            8 => "watch argmax(resid_mid[pos=-1])".to_string(),
            9 => "watch L1.mlp.out[pos=2] if max(L1.mlp.out) > 0".to_string(),
            10 => "catch norm-jump 1.2".to_string(),
            11 => "catch overflow 2.5".to_string(),
            12 => "catch dead L0.mlp".to_string(),
            _ => "break L0.attn.pattern head=2 if max($) > 0.5".to_string(),
        };
        bench.outcome(&line);
    }
}

#[test]
fn the_stops_met_going_back_are_those_met_going_forward_reversed() {
    let checked = runner(60).run(&breakpoints(), |points| {
        let mut bench = Bench::new("gpt2", &[NURSE]);
        set_breakpoints(&mut bench, &points);
        let end = bench.console.session.run.program.ops.len();
        let mut forward = Vec::new();
        let mut stop = bench.stop("run");
        loop {
            forward.push((stop.op, stop.ids.clone()));
            if bench.cursor() == end {
                break;
            }
            stop = bench.stop("continue");
        }
        let mut back = Vec::new();
        loop {
            let stop = bench.stop("reverse-continue");
            if stop.reason == Reason::Start {
                prop_assert_eq!(&stop.lines[0], "No more reverse-execution history.");
                break;
            }
            back.push((stop.op, stop.ids.clone()));
        }
        prop_assert_eq!(bench.cursor(), 0);
        // Where one turns round is met once, not twice.
        forward.pop();
        back.reverse();
        prop_assert_eq!(&back, &forward);
        // Turning round halfway meets the stop before, and then the same one again.
        bench.run("run");
        for pair in forward.windows(2) {
            prop_assert_eq!(bench.cursor(), pair[0].0);
            let there = bench.stop("continue");
            prop_assert_eq!((there.op, &there.ids), (pair[1].0, &pair[1].1));
            let here = bench.stop("reverse-continue");
            prop_assert_eq!((here.op, &here.ids), (pair[0].0, &pair[0].1));
            bench.run("continue");
        }
        Ok(())
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
}

/// Each motion and its mirror: forward over a whole module and back over it ends where it began.
#[test]
fn every_motion_has_a_mirror() {
    let mut bench = Bench::new("gpt2", &[NURSE]);
    bench.run("run");
    let ops = bench.console.session.run.program.ops.len();
    let starts: Vec<usize> = bench.console.session.run.program.modules[1..].iter().map(|module| module.start).collect();
    let everywhere = (0..ops - 5).collect();
    let each = [
        ("step", "reverse-step", &everywhere),
        ("step 5", "reverse-step 5", &everywhere),
        ("next", "reverse-next", &starts),
    ];
    for (there, back, positions) in each {
        for &position in positions {
            bench.run("start");
            if position > 0 {
                bench.run(&format!("step {position}"));
            }
            bench.run(there);
            let reached = bench.cursor();
            bench.run(back);
            assert_eq!(bench.cursor(), position, "{there} to {reached} and {back}");
        }
    }
    bench.script("start\nlayer\nlayer");
    assert_eq!(bench.console.session.run.program.ops[bench.cursor()].site, "blocks.1.resid_pre");
    bench.run("reverse-layer");
    assert_eq!(bench.console.session.run.program.ops[bench.cursor()].site, "blocks.0.resid_pre");
    bench.script("goto L1.attn.z\nreverse-finish");
    assert_eq!(bench.console.session.run.program.ops[bench.cursor()].site, "blocks.1.attn.q");
    bench.run("finish");
    assert_eq!(bench.console.session.run.program.ops[bench.cursor() - 1].site, "blocks.1.attn.out");
}
