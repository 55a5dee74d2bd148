//! Promise: whatever is typed is answered; nothing that can be typed makes the debugger fall over, and a line that is
//! refused leaves every value as it was.

use llmdbg::answer::Answer;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::common::{Bench, NURSE};

const COMMANDS: &[&str] = &[
    "run",
    "start",
    "step",
    "next",
    "finish",
    "until",
    "advance",
    "continue",
    "layer",
    "goto",
    "reverse-step",
    "reverse-next",
    "reverse-finish",
    "reverse-continue",
    "reverse-layer",
    "break",
    "tbreak",
    "delete",
    "enable",
    "enable once",
    "enable count",
    "disable",
    "condition",
    "ignore",
    "print",
    "output",
    "printf",
    "echo",
    "x",
    "display",
    "undisplay",
    "whatis",
    "assert",
    "bt",
    "list",
    "info",
    "focus",
    "set",
    "ablate",
    "undo",
    "redo",
    "checkout",
    "help",
    "set prompt",
];

const PIECES: &[&str] = &[
    "/t",
    "/h",
    "/a",
    "/r",
    "/0t",
    "/99999999999t",
    "/-3f",
    "/8x",
    "/tt",
    "1",
    "-1",
    "0",
    "2",
    "99999999999999999999",
    "1e400",
    "0.5",
    "nan",
    "inf",
    "-inf",
    "true",
    "\"",
    "\"the\"",
    "\" the\"",
    "\"\\u{0}\"",
    "é",
    "日本",
    "😀",
    "\t",
    "#",
    "#1",
    "@main",
    "@edit1",
    "@",
    "L0",
    "L1",
    "L-1",
    "L9",
    "L0H1",
    "L0H-1",
    "L0H99",
    "blocks",
    "blocks.0",
    ".attn",
    ".attn.z",
    ".attn.result",
    "L0.attn.z",
    "L0.attn.pattern",
    "L1.mlp.post",
    "logits",
    "tokens",
    "attn.z",
    "resid_pre",
    "L*.attn.z",
    "/attn/",
    "/(/",
    "-before",
    "-after",
    "head=1",
    "head=-1",
    "pos=99",
    "pos=\" the\"",
    "row=-1",
    "row=5",
    "if",
    "$",
    "$$",
    "$1",
    "$x",
    "$cursor",
    "$99",
    "[",
    "]",
    "[0]",
    "[-1]",
    "[::0]",
    "[::-1]",
    "[5:2]",
    "[..., 0]",
    "[head=1, q=-1]",
    "(",
    ")",
    "max(",
    "topk($cursor, 99)",
    "quantile($cursor, q=2)",
    "param(\"W_E\")",
    "lens(",
    ",",
    "=",
    "==",
    "+=",
    "*= 2",
    "+",
    "**",
    "!",
    "breakpoints",
    "modules",
];

fn lines() -> impl Strategy<Value = Vec<String>> {
    let piece = prop_oneof![9 => prop::sample::select(PIECES.to_vec()).prop_map(String::from), 1 => ".{0,4}"];
    let line = (prop::sample::select(COMMANDS.to_vec()), prop::collection::vec((piece, any::<bool>()), 0..6));
    let line = line.prop_map(|(command, pieces)| {
        pieces.into_iter().fold(command.to_string(), |line, (piece, space)| {
            if space || line == command && !piece.starts_with('/') { format!("{line} {piece}") } else { line + &piece }
        })
    });
    prop::collection::vec(line, 1..12)
}

#[test]
fn any_line_is_answered_and_a_refused_one_changes_nothing() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[3; 32]);
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    let checked = TestRunner::new_with_rng(config, rng).run(&(lines(), any::<bool>()), |(lines, encoder)| {
        let mut bench = Bench::new(if encoder { "bert-seqcls" } else { "gpt2" }, &[NURSE, "the king"]);
        bench.run("run");
        for line in lines {
            let edits = |bench: &Bench| {
                let run = &bench.console.session.run;
                (run.current, run.branches.iter().map(|branch| branch.edits.len()).collect::<Vec<_>>())
            };
            let before = edits(&bench);
            let answer = bench.outcome(&line).answer;
            if let Answer::Error(error) = &answer {
                prop_assert!(!error.message.is_empty(), "{}", line);
                prop_assert!(!error.message.contains("internal error"), "{}: {}", line, error.message);
                prop_assert_eq!(edits(&bench), before, "{}", line);
            }
            bench.console.snapshot();
        }
        Ok(())
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
}
