//! Promise: the backward pass can be stepped through like the forward one, and ends with the same gradients; so does one tape for
//! the whole pass.

use llmdbg::answer::{Answer, Reason, StopView};
use llmdbg::tensor::{Device, Kind};

use crate::common::{Bench, NURSE, vulkan};

/// The gradient of every site that holds floats, bit by bit.
pub fn gradients(bench: &mut Bench) -> Vec<(String, Vec<f64>)> {
    let sites = bench.console.session.run.program.sites().to_vec();
    let mut found = Vec::new();
    for (op, site) in sites.into_iter().enumerate() {
        if bench.console.session.run.value(op).unwrap().kind() == Kind::Float {
            let numbers = bench.numbers(&format!("grad({site})"));
            found.push((site, numbers));
        }
    }
    found
}

fn stop(answer: Answer) -> StopView {
    match answer {
        Answer::Stop(stop) => stop,
        answer => panic!("{answer:?}"),
    }
}

const TARGETS: [(&str, &str); 6] = [
    ("gpt2", "logits[-1, 7] - logits[-1, 9]"),
    ("llama", "loss"),
    ("gemma2", "logits[-1, 7]"),
    ("qwen3_moe", "sum(L1.resid_post[pos=-1]) * max(L0.mlp.out)"),
    ("bert-seqcls", "logits[0]"),
    ("bloom", "logprob(7)"),
];

#[test]
fn walked_to_the_end_it_has_found_what_backward_finds() {
    for (name, target) in TARGETS {
        let mut bench = Bench::new(name, &[NURSE]);
        bench.script(&format!("run\nbackward {target}"));
        let wanted = gradients(&mut bench);
        let mut at = stop(bench.run(&format!("backward -step {target}"))).op;
        let mut steps = 0;
        loop {
            let here = stop(bench.run(if steps % 3 == 2 { "next" } else { "step" }));
            if here.reason == Reason::End {
                break;
            }
            assert!(here.op < at, "{name}: gradients become whole from the end to the beginning");
            at = here.op;
            steps += 1;
            // What is whole now stays so.
            let index = wanted.iter().position(|(site, _)| *site == here.site).unwrap();
            assert_eq!(bench.numbers(&format!("grad({})", here.site)), wanted[index].1, "{name}: {}", here.site);
        }
        assert!(steps > 20, "{name}: {steps}");
        assert_eq!(gradients(&mut bench), wanted, "{name}");
        // Then motions are those of the forward pass.
        let message = bench.fail("step");
        assert!(message.contains("end"), "{name}: {message}");
    }
}

#[test]
fn one_tape_for_the_whole_pass_finds_the_same() {
    for device in [Device::cpu(), vulkan()] {
        let targets = if device.is_cpu() { &TARGETS[..] } else { &TARGETS[..2] };
        for (name, target) in targets {
            let mut bench = Bench::on(name, &[NURSE], &device, 1 << 30);
            bench.script(&format!("run\nset L1.ln1.out[pos=2] *= 1.5\nbackward {target}"));
            let wanted = gradients(&mut bench);
            bench.run(&format!("backward -all-at-once {target}"));
            for ((site, found), (_, wanted)) in gradients(&mut bench).into_iter().zip(wanted) {
                // The same derivatives, summed in another order: 32 bits.
                let largest = wanted.iter().fold(1e-3f64, |most, x| most.max(x.abs()));
                let off = found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(off <= 1e-4 * largest, "{name} on {device:?}: {site} is {off} off of {largest}");
            }
        }
    }
    // In a later pass both end at the cache, and say so.
    let mut bench = Bench::new("gpt2", &[NURSE]);
    bench.script("run\ngenerate 2\nbackward logits[-1, 7]");
    let wanted = gradients(&mut bench);
    assert!(bench.text("backward -all-at-once logits[-1, 7]").contains("end at the key/value cache"));
    for ((site, found), (_, wanted)) in gradients(&mut bench).into_iter().zip(wanted) {
        assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() <= 1e-5 * (1.0 + b.abs())), "{site}");
    }
}

#[test]
fn motions_breakpoints_and_conditions_are_those_of_the_way_back() {
    let mut bench = Bench::new("gpt2", &[NURSE]);
    bench.script(
        "run\nbreak L1.attn.pattern\nbreak L0.mlp\nbreak L0.attn.z if norm($) > 1e9\nbreak L0.attn.v if norm($) > 0",
    );
    let first = stop(bench.run("backward -step logits[-1, 7]"));
    assert_eq!(first.site, "logits");
    assert!(first.lines[0].contains("norm 1"), "{:?}", first.lines);
    assert_eq!(bench.number("norm(grad(logits))"), 1.0);
    assert!(bench.fail("print grad(L0.mlp.out)").contains("has not come to blocks.0.mlp.out yet"));
    assert!(bench.fail("print grad(param(\"L0.mlp.W_in\"))").contains("has not come to"));
    // From the output of a module, next goes past the module.
    bench.run("step");
    let end = stop(bench.run("next"));
    assert_eq!(end.site, "blocks.1.resid_post", "past the final norm");
    let pattern = stop(bench.run("continue"));
    assert_eq!((pattern.site.as_str(), pattern.reason), ("blocks.1.attn.pattern", Reason::Breakpoint));
    assert!(pattern.lines[0].starts_with("Breakpoint 1, grad(blocks.1.attn.pattern)"), "{:?}", pattern.lines);
    let read = stop(bench.run("finish"));
    assert_eq!(read.site, "blocks.1.ln1.out", "what attention reads");
    let mlp = stop(bench.run("continue"));
    assert_eq!(mlp.site, "blocks.0.mlp.out", "a module stops at its output");
    let v = stop(bench.run("continue"));
    assert_eq!(v.site, "blocks.0.attn.v", "the condition looks at the gradient");
    assert!(bench.fail("reverse-step").contains("goes one way"));
    assert!(bench.fail("finish 2").contains("takes no number"));
    assert!(bench.text("backward -leave").contains("forward pass"));
    assert!(bench.fail("backward -leave").contains("no backward pass"));
    // The cursor of the forward pass has not moved, and an edit ends a walk.
    assert_eq!(bench.cursor(), bench.console.session.run.program.ops.len());
    bench.script("backward -step logits[-1, 7]\nset L0.mlp.out[0] = 0");
    assert!(bench.fail("print grad(logits)").contains("before an edit"));
    let forward = stop(bench.run("reverse-step"));
    assert_eq!(forward.site, bench.console.session.run.program.ops[bench.cursor() - 1].site);
}

#[test]
fn what_happens_to_gradients_is_caught_where_it_begins() {
    let mut bench = Bench::new("llama", &[NURSE]);
    bench.script("run\ncatch vanish 1e3\ncatch explode 1e3\ncatch nan");
    bench.run("backward -step logits[-1, 7]");
    let found = stop(bench.run("continue"));
    assert_eq!((found.site.as_str(), found.reason), ("blocks.1.resid_post", Reason::Catchpoint));
    assert!(found.lines[0].starts_with("Catchpoint 1 (vanish 1000), grad(blocks.1.resid_post)"), "{:?}", found.lines);
    assert!(found.lines[1].contains("below 1e3"), "{:?}", found.lines);
    // It is told where it begins, not at every block behind.
    assert_eq!(stop(bench.run("continue")).reason, Reason::End);
    // Of a product with a large number gradients explode; the derivative of a root at zero has no value.
    bench.run("backward -step 1e6 * logits[-1, 7]");
    let found = stop(bench.run("continue"));
    assert!(found.lines[0].starts_with("Catchpoint 2 (explode 1000)"), "{:?}", found.lines);
    let found = stop(bench.run("backward -step sqrt(0 * sum(L1.mlp.out))"));
    assert!(found.lines[0].starts_with("Catchpoint 3 (nan), grad(blocks.1.mlp.out)"), "{:?}", found.lines);
    assert!(found.lines[1].contains("which the number reads"), "{:?}", found.lines);
    assert_eq!(stop(bench.run("continue")).reason, Reason::End, "what is passed on is not told again");
}
