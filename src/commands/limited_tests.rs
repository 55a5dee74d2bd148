//! Under every limit of a device, every command gives what it gives without one, or is refused with site, size and limit. On the way
//! each value that is made is compared with the limit (`tensor::device::limited`), whatever path it is made on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::Console;
use crate::answer::{Answer, Fault, text};
use crate::debugger::{Session, Settings};
use crate::model::{Input, Model, ModelSource, load};
use crate::tensor::Device;
use crate::tensor::device::limited;

/// What looks, analyses, edits and goes on, with values of all sizes.
const COMMANDS: [&str; 46] = [
    "print max(logits)",
    "print sum(softmax(logits, vocab))",
    "print norm(concat(logits, logits))",
    "print sum(param(\"W_E\")[:, 0:1] * param(\"W_U\")[0:1, :])",
    "print where(param(\"W_E\")[:, 0:1] > 0, param(\"W_U\")[0:1, :], 0)[0, 0]",
    "print sum(result(0, 1))",
    "print sum(L1.attn.result)",
    "print max(lens(L0.resid_pre))",
    "print loss",
    "print entropy(L0.attn.pattern)",
    "backward loss",
    "backward -all-at-once loss",
    "attr ig",
    "attr ig -at L1.mlp.post",
    "attr shapley -samples 3",
    "attr lrp",
    "attr heads",
    "attr neurons",
    "attr rollout",
    "circuits",
    "spectrum param(\"L0.mlp.W_in\")",
    "lens",
    "lens -grid",
    "dla",
    "dla -by neuron",
    "patch zero -metric loss -site attn.z",
    "patch mean -metric loss -site L1.mlp.post -over neuron",
    "heads",
    "heads -repeated 20",
    "heads -redundant",
    "layers norm(resid_post[-1])",
    "activations",
    "neuron L0N3",
    "diagnose",
    "check determinism",
    "check inert",
    "selftest",
    "ablate L1H0",
    "ablate L1.mlp.post mean",
    "steer L1.resid_post 0.5",
    "set param(\"L0.mlp.W_in\")[0] *= 2",
    "set tokens[1] = 7",
    "set prompt 5 6 7",
    "token 3",
    "generate 2",
    "x/8 L0.attn.q",
];

fn model(name: &str) -> Model {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name);
    load(&ModelSource::Path(path), &Device::cpu()).unwrap()
}

fn console(model: &Model, tokens: usize) -> Console {
    let ids = (0..tokens as u32).map(|i| (i * 7 + 3) % 300).collect();
    let input = Input::from_tokens(model, vec![ids]).unwrap();
    let settings = Settings { record_budget: 1 << 30 };
    let interrupt = Arc::new(AtomicBool::new(false));
    Console::new(Session::new(model.clone(), input, &settings, interrupt), "model")
}

fn answer(console: &mut Console, line: &str) -> Answer {
    console.execute(line, false).answer
}

/// Whether two texts are the same but for the last digits of numbers: products of a smaller batch are summed in another order. A bar is as
/// long as its number says.
fn alike(a: &[String], b: &[String]) -> bool {
    let words = |lines: &[String]| -> Vec<String> {
        let is_bar = |word: &&str| word.chars().all(|c| c == '+' || c == '-');
        lines.iter().flat_map(|line| line.split_whitespace()).filter(|word| !is_bar(word)).map(String::from).collect()
    };
    let number = |word: &str| word.trim_end_matches([',', ';', '.', ':']).parse::<f64>();
    let same = |x: &str, y: &str| match (number(x), number(y)) {
        // The word "nan" is a number that is not equal to itself.
        _ if x == y => true,
        (Ok(x), Ok(y)) => (x - y).abs() <= 1e-3 * (1.0 + y.abs()),
        _ => false,
    };
    let (a, b) = (words(a), words(b));
    a.len() == b.len() && a.iter().zip(&b).all(|(x, y)| same(x, y))
}

#[test]
fn under_every_limit_a_command_gives_the_same_or_is_refused_before_it_runs() {
    let mut refused = std::collections::BTreeSet::new();
    for name in ["gpt2", "llama", "mixtral", "bert-mlm"] {
        let model = model(name);
        let largest_weight = model.weights.store().sizes().map(|(.., bytes)| bytes);
        let least = largest_weight.max().unwrap();
        // A pass of so many tokens has hidden neurons or logits as large as the limit, and at the smallest just larger.
        let long = model.spec.max_positions.min(60);
        for (tokens, limit) in [(28, least), (28, least * 3 / 2), (28, least * 8), (long, least)] {
            for line in COMMANDS {
                let mut free = console(&model, tokens);
                answer(&mut free, "run");
                let wanted = text::lines(&answer(&mut free, line), None);
                let what = format!("{name}, {tokens} tokens, {limit} bytes: {line}");
                limited::to(limit, || {
                    let mut console = console(&model, tokens);
                    let ran = answer(&mut console, "run");
                    let last = answer(&mut console, line);
                    for found in [&ran, &last] {
                        let Answer::Error(error) = found else { continue };
                        if !error.message.contains("in one buffer, and cpu holds at most") {
                            continue;
                        }
                        assert_eq!(error.fault, Fault::Model, "{what}: {}", error.message);
                        refused.insert(line);
                    }
                    let complete = !matches!(ran, Answer::Error(_));
                    match &last {
                        Answer::Error(error) if error.fault == Fault::Model => {}
                        // A pass that was refused on its way is not complete.
                        _ if !complete => {}
                        found => {
                            assert!(alike(&text::lines(found, None), &wanted), "{what}: {found:?}, not {wanted:#?}")
                        }
                    }
                });
            }
        }
    }
    for line in ["print norm(concat(logits, logits))", COMMANDS[3], COMMANDS[4], "backward loss"] {
        assert!(refused.contains(line), "{line} is never refused: {refused:?}");
    }
}

#[test]
fn an_op_is_refused_with_its_site_size_and_limit_and_what_is_before_it_stays() {
    let model = model("gpt2");
    let mut free = console(&model, 60);
    answer(&mut free, "run");
    let wanted = text::lines(&answer(&mut free, "print max(L0.ln2.out)"), None);
    limited::to(29 << 10, || {
        let mut console = console(&model, 60);
        let Answer::Error(error) = answer(&mut console, "run") else { panic!("it runs") };
        // What was carried out before is reported after it.
        assert_eq!(
            error.message.lines().next().unwrap(),
            "blocks.0.mlp.pre needs 30.00 KiB ([row=1, pos=60, neuron=128]) in one buffer, and cpu holds at most 29.00 KiB: take \
             a shorter text or fewer rows, or --device cpu"
        );
        assert_eq!(error.fault, Fault::Model);
        let run = &console.session.run;
        assert_eq!(run.program.ops[run.cursor].site, "blocks.0.mlp.pre");
        assert_eq!(text::lines(&answer(&mut console, "print max(L0.ln2.out)"), None), wanted);
        for line in ["print max(logits)", "backward loss", "step", "continue"] {
            assert!(matches!(answer(&mut console, line), Answer::Error(_)), "{line}");
        }
    });
}
