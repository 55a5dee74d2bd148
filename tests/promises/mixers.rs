//! Promise: a layer that has something else in the place of attention is stepped, edited and explained like any other; what
//! needs attention refuses, and names the layer.

use llmdbg::answer::{Answer, text};

use crate::common::{Bench, NURSE};

const MODELS: [&str; 11] = [
    "qwen3_5_text",
    "qwen3_next",
    "qwen3_5_moe_text",
    "lfm2",
    "granite4-hybrid",
    "mamba",
    "mamba2",
    "falcon_mamba",
    "jamba",
    "falcon_h1",
    "nemotron_h",
];
const OTHER: &str = "The nurse and the king";

/// Commands that look at values, analyse and compare; none may panic, whatever layers there are.
const COMMANDS: &str = "
    info sites
    info modules
    info weights
    info model
    info record
    info cache
    info memory
    info tokens
    bt
    list
    print L0.mixer_out
    print L0.attn.z
    print L0.attn.result
    print L1.attn.result
    print L0H1
    print kv(0, k)
    print kv(1, k)
    print result(0, 1)
    print result(1, 1)
    print param(\"L0.mixer.W_O\")
    print/h L0.mixer.out
    whatis L0.mixer.out
    x/8 L0.mixer.in
    stream
    activations
    layers norm(resid_post[-1])
    spectrum L0.resid_post
    lens
    lens -grid
    lens L*.mixer_out
    lens L*.attn_out
    dla
    dla -by neuron
    explain
    heads
    heads -repeated 8
    heads -redundant
    circuits L0H1
    circuits L1H1
    circuits
    neuron L0N3
    backward loss
    print norm(grad(L0.mixer.out))
    backward -all-at-once loss
    attr saliency
    attr ig -steps 4
    attr ig -steps 4 -at L0.mixer_out
    attr inputxgradient
    attr lrp
    attr heads
    attr neurons
    attr rollout
    attr attnxgradient
    attr featureablation
    attr occlusion -window 2
    patch main -metric loss
    patch main -metric loss -site attn.z
    patch main -metric loss -site attn.z -approx
    patch main -metric loss -site attn_out
    patch main -metric loss -site mixer_out
    patch zero -metric loss -site mixer_out -over layer
    patch main -metric loss -to L1H0.q
    patch main -metric loss -minimal
    diff main
    diff main -by head
    diff main -first
    bisect main
    diff weights main
    diagnose
    diagnose -deep
    check determinism
    check inert
    selftest
    ablate L0H1
    ablate L1H1
    ablate L0
    undo
    ablate L0.mixer.z[head=1]
    undo
    steer L0.resid_post 0.5
    undo
    generate 3
    check cache
    backward loss
    goto #1
    backward logits[-1, 5]
    attr saliency -generated
    reverse-token
    catch nan
    catch saturated
    catch dead L0.mlp
    catch norm-jump 2
    run
    break L0.mixer.state if max($) > 0
    run
    break L0.mixer
    run
    reverse-continue
    trace L0.mixer.out
    run";

#[test]
fn no_command_panics_where_layers_have_no_attention() {
    for name in MODELS {
        let mut bench = Bench::new(name, &[NURSE]);
        bench.script(&format!("run\nset prompt {OTHER}\nrun"));
        for line in COMMANDS.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let answer = bench.outcome(line).answer;
            let said = text::lines(&answer, None).join("\n");
            assert!(!said.contains("panic"), "{name}: {line}: {said}");
        }
    }
}

#[test]
fn what_needs_attention_in_every_layer_is_refused_and_names_the_layer() {
    for (name, what) in [
        ("qwen3_5_text", "gated DeltaNet"),
        ("lfm2", "a short convolution"),
        ("granite4-hybrid", "a state space"),
        ("mamba", "a state space"),
    ] {
        let mut bench = Bench::new(name, &[NURSE]);
        bench.script(&format!("run\nset prompt {OTHER}\nrun"));
        for line in ["attr rollout", "attr attnxgradient", "patch main -metric loss -minimal"] {
            let said = bench.fail(line);
            assert!(said.contains("layer 0") && said.contains(what), "{name}: {line}: {said}");
        }
        for line in ["print L0H1", "print result(0, 1)", "print kv(0, k)", "circuits L0H1"] {
            let said = bench.fail(line);
            assert!(
                ["L0", "layer 0", "blocks.0", "the model has no attention heads"]
                    .iter()
                    .any(|word| said.contains(word)),
                "{name}: {line}: {said}"
            );
        }
    }
    let mut bench = Bench::new("qwen3_5_text", &[NURSE]);
    bench.run("run");
    assert!(bench.fail("attr lrp").contains("AttnLRP has no rule for the gated delta rule"));
    let mut bench = Bench::new("lfm2", &[NURSE]);
    bench.script("run\nattr lrp");
}

/// One number in the middle of everything that a mixer has.
fn gradient_sites(bench: &Bench) -> Vec<String> {
    let sites = bench.console.session.run.program.sites().iter();
    sites.filter(|site| site.contains("L0.mixer") || site.contains("blocks.0.mixer")).cloned().collect()
}

/// The closed form over plain memory, and the tape of burn that holds the pass, are two computations.
#[test]
fn gradients_op_by_op_are_those_of_one_tape() {
    for name in MODELS {
        let mut bench = Bench::new(name, &[NURSE]);
        bench.run("run");
        let sites = gradient_sites(&bench);
        let of = |bench: &mut Bench, command: &str| -> Vec<Option<Vec<f64>>> {
            bench.run(command);
            let value = |bench: &mut Bench, site: &String| match bench.outcome(&format!("print grad({site})")).answer {
                Answer::Error(_) => None,
                _ => Some(bench.numbers(&format!("grad({site})"))),
            };
            sites.iter().map(|site| value(bench, site)).collect()
        };
        let (one, other) = (of(&mut bench, "backward loss"), of(&mut bench, "backward -all-at-once loss"));
        assert!(one.iter().flatten().count() + 1 >= sites.len(), "{name}");
        for ((site, a), b) in sites.iter().zip(&one).zip(&other) {
            let (Some(a), Some(b)) = (a, b) else { continue };
            let size = b.iter().fold(1e-6_f64, |most, x| most.max(x.abs()));
            let far = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(far <= 2e-4 * size, "{name} {site}: {far} of {size}");
        }
    }
}

/// The gradient at a number is what the loss changes by when the number changes.
#[test]
fn gradients_are_the_limits_of_differences() {
    for (name, site) in [
        ("qwen3_5_text", "L0.mixer.k[3, 1, 2]"),
        ("qwen3_5_text", "L0.mixer.q[5, 0, 1]"),
        ("qwen3_5_text", "L0.mixer.v[2, 3, 1]"),
        ("qwen3_5_text", "L0.mixer.decay[4, 2]"),
        ("qwen3_5_text", "L0.mixer.beta[1, 1]"),
        ("qwen3_5_text", "L0.mixer.a[4, 2]"),
        ("qwen3_5_text", "L0.mixer.k_in[2, 1, 3]"),
        ("qwen3_5_text", "L1.attn.gate[4, 1, 2]"),
        ("granite4-hybrid", "L0.mixer.k[3, 1, 2]"),
        ("granite4-hybrid", "L0.mixer.dt[4, 2]"),
        ("granite4-hybrid", "L0.mixer.decay[4, 2]"),
        ("granite4-hybrid", "L0.mixer.v[2, 3, 1]"),
        ("jamba", "L0.mixer.k[3, 2]"),
        ("jamba", "L0.mixer.dt[4, 7]"),
        ("mamba", "L0.mixer.q[5, 1]"),
        ("mamba", "L0.mixer.v[2, 9]"),
        ("falcon_h1", "L0.mixer.v[2, 3, 1]"),
        ("falcon_h1", "L0.mixer.norm[2, 3, 1]"),
        ("nemotron_h", "L0.mixer.gated[2, 3, 1]"),
        ("lfm2", "L0.mixer.x[2, 5]"),
        ("lfm2", "L0.mixer.conv_in[3, 7]"),
    ] {
        let mut bench = Bench::new(name, &[NURSE]);
        bench.script("run\nbackward loss");
        let (path, slice) = site.split_once('[').unwrap();
        let found = bench.number(&format!("grad({path})[{slice}"));
        let at = bench.number(site);
        let step = 2e-2;
        let mut with = |x: f64| {
            bench.run(&format!("set {site} = {x}"));
            bench.run("run");
            let loss = bench.number("loss");
            bench.run("undo");
            loss
        };
        let wanted = (with(at + step) - with(at - step)) / (2.0 * step);
        assert!((found - wanted).abs() <= 2e-3 + 0.02 * wanted.abs(), "{name} {site}: {found} for {wanted}");
    }
}

/// The state is what the next pass carries on from, edited or not.
#[test]
fn a_pass_carries_on_from_the_state_as_it_is_edited() {
    for edit in ["", "set L0.mixer.state *= -0.5", "set L0.mixer.state[head=1] = 0.25"] {
        let mut bench = Bench::new("qwen3_5_text", &[NURSE]);
        bench.run("run");
        if !edit.is_empty() {
            bench.run(edit);
        }
        bench.run("token");
        let state = bench.numbers("L0.mixer.state#0");
        let of = |bench: &mut Bench, name: &str| bench.numbers(&format!("L0.mixer.{name}"));
        let (q, k, v) = (of(&mut bench, "q"), of(&mut bench, "k"), of(&mut bench, "v"));
        let (decay, beta, z) = (of(&mut bench, "decay"), of(&mut bench, "beta"), of(&mut bench, "z"));
        let (heads, kv) = (decay.len(), 2);
        let (dk, dv) = (k.len() / kv, v.len() / heads);
        for head in 0..heads {
            let key = &k[head * kv / heads * dk..][..dk];
            let query = &q[head * kv / heads * dk..][..dk];
            for j in 0..dv {
                let before: Vec<f64> = (0..dk).map(|i| decay[head] * state[(head * dk + i) * dv + j]).collect();
                let known: f64 = before.iter().zip(key).map(|(s, k)| s * k).sum();
                let learned = beta[head] * (v[head * dv + j] - known);
                let read: f64 = before.iter().zip(key).zip(query).map(|((s, k), q)| q * (s + k * learned)).sum();
                assert!((read - z[head * dv + j]).abs() < 1e-5, "{edit}: {read} for {}", z[head * dv + j]);
            }
        }
    }
}

/// An edit of a state that was computed already computes the passes after it again, and `undo` brings the old ones back.
#[test]
fn an_edited_state_changes_later_passes_and_not_its_own() {
    let mut bench = Bench::new("qwen3_5_text", &[NURSE]);
    bench.run("generate 3");
    let before =
        (bench.bits("L0.mixer.z#0"), bench.bits("logits#0"), bench.bits("L0.mixer.z#1"), bench.bits("logits#3"));
    bench.script("goto #0\nuntil L0.mixer.state\nset L0.mixer.state *= 3\ncontinue");
    assert_eq!((bench.bits("L0.mixer.z#0"), bench.bits("logits#0")), (before.0.clone(), before.1.clone()));
    bench.run("generate 3");
    assert_ne!(bench.bits("L0.mixer.z#1"), before.2);
    bench.script("checkout main");
    assert_eq!(bench.bits("logits#3"), before.3);
}

/// Values that a small budget has dropped are computed again, states of many passes among them, with the same bits.
#[test]
fn states_that_were_dropped_are_computed_again_bit_by_bit() {
    for name in ["qwen3_5_text", "lfm2", "granite4-hybrid", "mamba", "jamba"] {
        let of = |budget: u64| {
            let mut bench = Bench::on(name, &[NURSE], &llmdbg::tensor::Device::cpu(), budget);
            bench.script("set generation stop off\ngenerate 40");
            let end = bench.bits("logits");
            let early = bench.bits("L0.mixer_out#7");
            (end, early, bench.bits("logits#33"))
        };
        assert_eq!(of(20 << 10), of(1 << 30), "{name}");
    }
}
