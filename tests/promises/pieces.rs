//! Promise: what is too large to be held is computed in pieces, and nobody sees a different bit. With a limit of 0 bytes
//! every score, pattern and logit of a small model is in pieces; the same commands with everything held say what is true.

use llmdbg::model::Input;
use llmdbg::tensor::{Device, hold_up_to};

use crate::common::{Bench, NURSE, model};

const HELD: u64 = 1 << 30;

/// The same session twice: everything held, and in pieces.
fn both(of: impl Fn() -> Bench) -> [Bench; 2] {
    [HELD, 0].map(|bytes| {
        let mut bench = of();
        bench.run(&format!("set largest-held {bytes}"));
        bench
    })
}

/// Runs `look` in both sessions, each with its limit, and compares what it gives.
fn alike<T: PartialEq + std::fmt::Debug>(benches: &mut [Bench; 2], what: &str, look: impl Fn(&mut Bench) -> T) {
    let [held, pieces] = [(0, HELD), (1, 0)].map(|(i, bytes)| {
        hold_up_to(bytes);
        look(&mut benches[i])
    });
    assert!(held == pieces, "{what}:\n{held:?}\n{pieces:?}");
}

fn of_ids(name: &str, rows: &[usize]) -> Bench {
    let model = model(name, &Device::cpu());
    let vocab = model.spec.vocab as u32;
    let ids = |length: &usize| (0..*length as u32).map(|i| (i * 7919 + 13) % vocab).collect();
    let input = Input::from_tokens(&model, rows.iter().map(ids).collect()).unwrap();
    Bench::of(name, model, input, 1 << 30)
}

/// Whether the value of a site is in pieces.
fn in_pieces(bench: &mut Bench, site: &str) -> bool {
    let run = &mut bench.console.session.run;
    let op = run.program.op_of(site).unwrap();
    run.value(op).unwrap().is_in_pieces()
}

#[test]
fn every_site_of_every_kind_of_attention_has_the_same_bits() {
    for name in [
        "gpt2",
        "llama",
        "bloom",
        "gemma2",
        "mistral",
        "falcon",
        "qwen3",
        "gpt2-f16",
        "bert-mlm",
        "modernbert",
        "cohere",
        "mpnet",
        "t5-encoder",
        "t5",
        "deberta-v3",
    ] {
        let mut benches = both(|| Bench::new(name, &[NURSE, "The dog"]));
        alike(&mut benches, name, |bench| {
            bench.run("run");
            if bench.console.session.run.model.spec.is_causal_lm() {
                bench.run("generate 3");
            }
            bench.everything()
        });
        hold_up_to(0);
        assert!(in_pieces(&mut benches[1], "blocks.0.attn.pattern"), "{name}");
    }
}

#[test]
fn texts_of_several_blocks_have_the_same_bits() {
    for (name, rows) in [("llama", &[600, 100][..]), ("gemma2", &[321]), ("bloom", &[257])] {
        let mut benches = both(|| of_ids(name, rows));
        alike(&mut benches, name, |bench| {
            bench.run("run");
            // Some have no positions left.
            _ = bench.outcome("generate 2");
            bench.everything()
        });
    }
}

/// Expressions over one head, over all, over parts that begin inside of a block; conditions, maps and tables.
const LOOKS: &[&str] = &[
    "output/r L0.attn.scores",
    "output/r L1.attn.pattern[head=1]",
    "output/r L1.attn.pattern[head=1, q=255:259, k=3:290:7]",
    "output/r L1.attn.pattern[:, 300, :]",
    "output/r L1.attn.pattern[:, :, 2]",
    "output/r L1.attn.pattern[::2, 10:300:3, -1]",
    "output/r logits[-1]",
    "output/r logits[5, 7]",
    "output/r L0.attn.pattern * 2 - L1.attn.pattern",
    "output/r L0.attn.pattern[0] > L1.attn.pattern[1]",
    "output/r where(L0.attn.pattern > 0.1, L0.attn.pattern, -1)",
    "output/r softmax(L0.attn.pattern)",
    "output/r softmax(L0.attn.pattern, q)",
    "output/r cumsum(L0.attn.pattern)",
    "output/r sort(L0.attn.pattern[0])",
    "output/r transpose(L0.attn.pattern[0])",
    "output/r reshape(L0.attn.pattern, -1, 2)",
    "output/r topk(L0.attn.pattern, 3)",
    "output/r logits * 0.5 + L0.resid_pre[0, 0]",
    "print L0.attn.scores",
    "print L1.attn.pattern[head=1]",
    "print/s logits",
    "print/t L1.attn.pattern",
    "print/t logits",
    "print/h L1.attn.pattern[head=1]",
    "print sum(L1.attn.pattern)",
    "print mean(logits)",
    "print std(logits)",
    "print norm(L1.attn.pattern)",
    "print absmax(logits)",
    "print min(L0.attn.scores)",
    "print max(L0.attn.scores, k)",
    "print max(L0.attn.scores, q)",
    "print absmax(logits, vocab)",
    "print mean(L0.attn.pattern, k)",
    "print mean(L0.attn.pattern, q)",
    "print mean(L0.attn.pattern, head)",
    "print std(L0.attn.pattern, q)",
    "print norm(L0.attn.pattern, q)",
    "print var(logits, vocab)",
    "print mean_over(L0.attn.pattern, q, head)",
    "print argmax(logits)",
    "print argmin(logits)",
    "print argmax(logits, vocab)",
    "print argmax(L1.attn.pattern, q)",
    "print argmax(L1.attn.pattern, head)",
    "print entropy(L1.attn.pattern)",
    "print entropy(L1.attn.pattern, q)",
    "print quantile(L1.attn.pattern, 0.9)",
    "print quantile(L1.attn.pattern[0], 0.9, k)",
    "print count(L1.attn.pattern > 0.01)",
    "print any(nan(logits))",
    "print all(finite(L0.attn.scores), k)",
    "print dot(L0.attn.pattern, L1.attn.pattern, k)",
    "print kl(L0.attn.pattern, L1.attn.pattern)",
    "print cos(L0.attn.pattern, L1.attn.pattern)",
    "print shape(logits)",
    "print loss",
    "print rank(3)",
    "print lens(L1.resid_pre)[-1]",
    "print result(1, 0)",
    "heads",
    "diagnose",
    "activations L0.attn.z",
    "dla",
    "lens",
];

#[test]
fn whatever_looks_at_a_value_in_pieces_shows_the_same() {
    let mut benches = both(|| of_ids("llama", &[310]));
    alike(&mut benches, "run", |bench| bench.text("run"));
    for line in LOOKS {
        alike(&mut benches, line, |bench| {
            let outcome = bench.outcome(line);
            format!("{:?}", outcome.answer)
        });
    }
}

#[test]
fn edits_and_ablations_of_values_in_pieces_change_the_same() {
    for script in [
        "set L0.attn.pattern[head=0] = 0",
        "set L0.attn.pattern[head=0, q=100:300, k=5] = 0.25",
        "set L0.attn.scores[:, 258, 3:9] += 1.5",
        "set L0.attn.pattern[1] = L0.attn.pattern[0] * 0.5",
        "ablate L0H1",
        "ablate L1.attn.pattern mean",
        "ablate L0.attn.pattern[head=1]",
        "set logits[-1, 5] = 30",
        "set L0.attn.pattern[0, 0, 0] += 0",
        "ablate L0H0\nset L1.attn.scores[0] *= 2\nundo\nablate L1H1 mean",
    ] {
        for before in ["run", "start\nuntil L0.attn.pattern", "start\nuntil L1.attn.v"] {
            let mut benches = both(|| of_ids("llama", &[310]));
            alike(&mut benches, script, |bench| {
                bench.script(before);
                let said: Vec<String> =
                    script.lines().map(|line| format!("{:?}", bench.outcome(line).answer)).collect();
                _ = bench.outcome("continue");
                (said, bench.cursor(), bench.everything())
            });
        }
    }
}

#[test]
fn stops_and_reverse_motions_at_values_in_pieces_are_the_same() {
    let script = [
        "break L*.attn.pattern if max($[head=1, q=300]) > 0.2",
        "break L1.attn.scores if any(nan($)) || mean($[0, -1]) < 1e9",
        "watch max(L0.attn.pattern)",
        "catch nan",
        "display sum(L0.attn.pattern)",
        "start",
        "continue",
        "step",
        "step",
        "reverse-step",
        "continue",
        "bt",
        "continue",
        "reverse-continue",
        "reverse-continue",
        "token",
        "continue",
        "info record",
    ];
    let mut benches = both(|| of_ids("llama", &[310]));
    for line in &script[..script.len() - 1] {
        alike(&mut benches, line, |bench| {
            let outcome = bench.outcome(line);
            (format!("{:?}", outcome.answer), outcome.printed, bench.cursor())
        });
    }
    // What is in pieces takes no memory.
    let [held, pieces] = benches.map(|bench| bench.console.session.run.recorded());
    assert!(pieces < held / 2, "{pieces} bytes recorded, {held} where scores are held");
}

#[test]
fn a_budget_below_the_block_boundaries_holds_and_costs_no_bits() {
    hold_up_to(0);
    let mut bench = of_ids("llama", &[310]);
    bench.run("run");
    let wanted = bench.everything();
    let budget = 200 << 10;
    bench.run(&format!("set record-budget {budget}"));
    bench.run("run");
    let held = bench.console.session.run.recorded();
    assert!(held <= budget, "{held} bytes are recorded, {budget} are allowed");
    assert!(bench.everything() == wanted, "bits differ");
}

#[test]
fn values_are_saved_as_if_they_were_held() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.npy", "a.safetensors", "a.csv", "a.json"] {
        let mut benches = both(|| of_ids("llama", &[40]));
        alike(&mut benches, name, |bench| {
            bench.run("run");
            let file = folder.path().join(name);
            bench.run(&format!("save value {} L0.attn.pattern[head=0:2]", file.display()));
            std::fs::read(&file).unwrap()
        });
    }
}
