//! Promise: what analyses and comparisons answer is about the model as it is edited. With an edit of a value in force, each gives
//! a different answer than without it, or names the edit in its refusal, or says that edits are left out.

use std::fs;

use llmdbg::answer::{Answer, text};
use llmdbg::commands::ALL;

use crate::common::Bench;

const PROMPT: &str = "When Mary and John went to the store, John gave a drink to";
const OTHER: &str = "When Mary and John went to the store, Mary gave a drink to";

/// The edit that is in force; blocks 1 to 3 of the bundled model depend on it.
const EDIT: &str = "ablate L1H0";

/// What a command does about an edit of a value.
enum Policy {
    /// The answer is different with it.
    Differs,
    /// The same, with this edit in place of the usual one.
    DiffersBy(&'static str),
    /// It fails, and names the edit.
    Refuses,
    /// It leaves edits of values out, and says so in these words.
    LeavesOut(&'static str),
    /// It compares the recorded pass with itself, and would find a difference if it left the edit out.
    Agrees,
    /// It reads weights alone: an edit of one makes the answer different.
    OfWeights(&'static str),
}
use Policy::{Agrees, Differs, DiffersBy, LeavesOut, OfWeights, Refuses};

/// The commands of the groups "explaining" and "comparing": what is given before the edit, the command, and its policy. TWO is two
/// branches with texts of the same length, BATCH two prompts, DIR a folder with files of texts.
const COMMANDS: [(&str, &str, Policy); 70] = [
    ("run\nsae load tiny-gpt2-sae as f", "feature f[211]", Differs),
    ("run\nsae load tiny-gpt2-sae as f", "dla -by feature", Differs),
    ("run\nsae load tiny-gpt2-sae as f", "sae fit f", LeavesOut("edits of values are left out")),
    ("run", "backward loss\nprint norm(grad(L1.resid_post))", Differs),
    ("run", "backward -all-at-once loss\nprint norm(grad(L1.resid_post))", Differs),
    ("run", "attr saliency", Differs),
    ("run", "attr ig -steps 8", Differs),
    (
        "run",
        "attr ig -steps 8 -baseline \"When Mary and John went to the store, Mary gave a drink to\" -at L2.resid_pre",
        Differs,
    ),
    ("run", "attr gradientshap -baseline mean -samples 5", Differs),
    ("run", "attr smoothgrad -samples 5", Differs),
    ("run", "attr conductance -steps 8 -at L2.mlp.post", Differs),
    ("run", "attr featureablation", Differs),
    ("run", "attr occlusion -window 2", Differs),
    ("run", "attr kernelshap -samples 20", Differs),
    ("run", "attr lime -samples 20", Differs),
    ("run", "attr lrp", Differs),
    ("generate 3", "attr ig -steps 8", Differs),
    ("run", "generate 3\nattr featureablation -generated", Differs),
    ("run", "generate 3\nattr inputxgradient -generated", Differs),
    ("run", "attr featureablation -segments words", Differs),
    ("run", "attr featureablation -curves", Differs),
    ("run", "attr heads", Differs),
    ("run", "attr neurons", Differs),
    ("run", "attr rollout", Differs),
    ("run", "attr attnxgradient", Differs),
    ("run", "circuits L1H0", OfWeights("set param(\"L1.attn.W_V\") *= 2")),
    ("run", "spectrum L1.resid_post", Differs),
    ("run", "stream", Differs),
    ("run", "why logit[5]", Differs),
    ("run", "graph -neurons 8", Differs),
    ("run", "graph -neurons 8\ngraph check 3", Differs),
    ("run", "direction d from texts DIR/texts.txt DIR/others.txt -site L2.resid_post", Differs),
    ("run\ndirection d -vector L0.resid_post[pos=1] -site L2.resid_post", "direction project d", Differs),
    ("run\ndirection d -vector L0.resid_post[pos=1] -site L2.resid_post", "direction steer d", Differs),
    ("run\ndirection d -vector L0.resid_post[pos=1] -site L2.resid_post", "dla -along d", Differs),
    ("run", "activations", Differs),
    ("run", "neuron L2N3", Differs),
    ("run", "neuron L2N3 DIR/texts.txt", Differs),
    ("run", "probe DIR/prompts.txt -metric loss", Differs),
    ("run", "lens", Differs),
    ("run", "lens -grid", Differs),
    ("run", "dla", Differs),
    ("run", "dla -by neuron", Differs),
    ("run", "explain", Differs),
    ("TWO", "patch main -metric loss", Differs),
    ("TWO", "patch main -metric loss -site attn.z -approx", Differs),
    ("TWO", "patch zero -metric loss -site mlp_out -over layer", Differs),
    ("TWO", "patch main -metric loss -to L2H0.q", Refuses),
    ("TWO", "patch main -metric loss -minimal", Refuses),
    ("TWO", "patch main -metric loss -edges", Refuses),
    ("run", "heads", Differs),
    ("run", "heads -repeated 12", Differs),
    ("run", "heads -redundant", Differs),
    ("run", "heads -over DIR/texts.txt", Differs),
    ("run", "layers norm(resid_post[-1])", Differs),
    ("TWO", "diff main", Differs),
    ("TWO", "diff weights main", OfWeights("set param(\"L1.attn.W_V\") *= 2")),
    ("run\nset param(\"L1.mlp.W_out\") *= 1.5", "bisect main", Differs),
    ("run\nset param(\"L1.mlp.W_out\") *= 1.5", "bisect main -first", Differs),
    ("run\ngolden write DIR/golden.json", "golden check DIR/golden.json", Differs),
    ("run", "investigate expected \" John\"", Differs),
    ("run", "diagnose", DiffersBy("set L1.resid_post *= 1e6")),
    ("run", "diagnose -deep", DiffersBy("set L1.resid_post *= 1e6")),
    ("generate 3", "check cache", Refuses),
    ("BATCH", "check batch", Refuses),
    ("run", "check determinism", Agrees),
    ("run", "check inert", Agrees),
    ("run", "selftest", LeavesOut("without the edits of values")),
    ("TWO", "diff main -by head", Differs),
    ("TWO", "diff main -first", Differs),
];

fn prepared(setup: &str) -> Bench {
    let prompts: &[&str] = if setup == "BATCH" { &[PROMPT, "The nurse said that"] } else { &[PROMPT] };
    let mut bench = Bench::new("tiny-gpt2", prompts);
    match setup {
        "TWO" => bench.script(&format!("run\nset prompt {OTHER}\nrun")),
        "BATCH" => bench.script("run"),
        setup => bench.script(setup),
    }
    bench
}

/// What the last of these lines answers, a failure included.
fn answered(bench: &mut Bench, lines: &str) -> (bool, String) {
    let mut last = (false, String::new());
    for line in lines.lines() {
        let answer = bench.outcome(line).answer;
        last = (matches!(answer, Answer::Error(_)), text::lines(&answer, None).join("\n"));
    }
    last
}

#[test]
fn each_analysis_sees_an_edit_or_says_that_it_does_not() {
    let mut wrong = Vec::new();
    for (setup, command, policy) in &COMMANDS {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("texts.txt"), "The nurse said that\nMary saw John\nThe dog and the king\n")
            .unwrap();
        fs::write(folder.path().join("others.txt"), "The king said that\nJohn saw Mary\nA cat and the dog\n").unwrap();
        fs::write(folder.path().join("prompts.txt"), "The {nurse|pilot} said that\n").unwrap();
        let put = |line: &str| line.replace("DIR", folder.path().to_str().unwrap());
        let with = |edit: &str| {
            let mut bench = prepared(&put(setup));
            if !edit.is_empty() {
                bench.run(edit);
            }
            answered(&mut bench, &put(command))
        };
        let ((plain_fails, plain), edit) = match policy {
            DiffersBy(edit) | OfWeights(edit) => (with(""), *edit),
            _ => (with(""), EDIT),
        };
        let (fails, edited) = with(edit);
        if plain_fails {
            wrong.push(format!("{command} fails without an edit: {plain}"));
            continue;
        }
        let holds = match policy {
            Differs | DiffersBy(_) | OfWeights(_) => edited != plain && (!fails || command.starts_with("golden")),
            Refuses => fails && edited.contains(EDIT),
            LeavesOut(words) => !fails && edited.contains(words) && !plain.contains(words),
            Agrees => !fails,
        };
        if !holds {
            wrong.push(format!("{command} with {edit}:\n{edited}\nwithout:\n{plain}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn no_command_that_analyses_or_compares_is_left_out() {
    let groups = ALL.groups.iter().filter(|group| ["explaining", "comparing"].contains(&group.name));
    let names: Vec<&str> = groups.flat_map(|group| group.commands).map(|command| command.name).collect();
    assert!(names.len() > 15, "{names:?}");
    let listed = |name: &&&str| COMMANDS.iter().any(|(_, command, _)| command.split(' ').next() == Some(**name));
    let missing: Vec<&&str> = names.iter().filter(|name| !listed(name)).collect();
    assert!(missing.is_empty(), "list these with what they do about an edit: {missing:?}");
}
