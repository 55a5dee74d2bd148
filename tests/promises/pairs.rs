//! Promise: a model of an encoder and a decoder is one program. The pass of the prompt computes both, later passes the decoder alone;
//! what is edited, stepped, attributed and compared is right for both, and what is not computed is refused by name.

use std::panic::{AssertUnwindSafe, catch_unwind};

use llmdbg::answer::{Answer, Reason, text};
use llmdbg::model::{Input, Row, Source};
use llmdbg::tensor::Device;
use serde_json::json;

use crate::altered::Copy;
use crate::common::{Bench, batch, cell_number, ex, model};
use crate::parity::fixture;

const FAMILIES: [&str; 8] = ["t5", "t5-gated", "mt5", "bart", "marian", "mbart", "pegasus", "m2m_100"];
const SOURCE: &str = "Mary and the dog";

fn pair(name: &str, target: &str) -> Bench {
    let model = model(name, &Device::cpu());
    let input = Input::from_pairs(&model, &[(SOURCE, target)]).unwrap();
    Bench::of(name, model, input, 1 << 30)
}

/// The largest difference that a check of the session finds.
fn recomputed(bench: &mut Bench, line: &str) -> f64 {
    match bench.run(line) {
        Answer::Table(table) => table.rows.iter().map(|row| cell_number(&row[1])).fold(0.0, f64::max),
        answer => {
            let text = text::lines(&answer, None).join(" ");
            assert!(text.contains("same"), "{line}: {text}");
            0.0
        }
    }
}

fn largest(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| if a == b { 0.0 } else { (a - b).abs() / (1.0 + b.abs()) }).fold(0.0, f64::max)
}

/// A cached pass adds in the same order but for products over several rows, which may be cut in other blocks: a few units in the last
/// place, 5e-6 here.
const ORDER: f64 = 5e-6;

#[test]
fn passes_one_after_the_other_are_one_pass_over_the_same_tokens() {
    for name in FAMILIES {
        let mut bench = Bench::new(name, &[SOURCE]);
        bench.script("set generation stop off\ngenerate 4");
        let row = bench.console.session.run.branch().text().rows[0].clone();
        let model = model(name, &Device::cpu());
        let input = Input::from_rows(&model, vec![Row { text: None, ..row.clone() }]).unwrap();
        let mut whole = Bench::of(name, model, input, 1 << 30);
        whole.run("run");
        let first = bench.console.session.run.branch().span(0).end;
        for site in ["L1.attn.out", "L0.cross.pattern", "L1.cross.z", "L1.resid_cross", "logits"] {
            for pass in 1..=4 {
                let at = first + pass - 1;
                let axis = if site.ends_with("pattern") { "q" } else { "pos" };
                let one = bench.numbers(&format!("{site}#{pass}"));
                let apart = largest(&one, &whole.numbers(&format!("{site}[{axis}={at}]")));
                assert!(apart < ORDER, "{name}, {site} of pass {pass}: {apart:e}");
            }
        }
        // What follows from the source alone is the same in every pass.
        for site in ["encoder.blocks.1.attn.z", "E0.mlp.post", "L0.cross.k", "encoder.tokens"] {
            assert_eq!(bench.bits(&format!("{site}#3")), whole.bits(site), "{name}, {site}");
        }
        assert!(recomputed(&mut bench, "check cache") < ORDER, "{name}");
    }
}

#[test]
fn a_later_pass_begins_with_the_token_and_the_encoder_is_computed_once() {
    let mut bench = Bench::new("t5", &[SOURCE]);
    bench.run("start");
    let stop = bench.stop("step");
    assert_eq!(stop.site, "encoder.tokens");
    assert_eq!(bench.stop("next").site, "encoder.embed");
    assert_eq!(bench.stop("until encoder").reason, Reason::Step);
    let whole = bench.console.session.run.program.ops.len();
    bench.run("set generation stop off");
    bench.run("generate 2");
    let once = bench.console.session.run.program.once();
    assert!(once > 60, "{once}");
    let kept = bench.text("info record");
    assert!(kept.contains(&format!("{} of {} ops computed", 3 * whole - 2 * once, 3 * whole - 2 * once)), "{kept}");
    bench.run("goto #1");
    let text = bench.text("step");
    assert!(text.contains("tokens") && text.contains("next: embed"), "{text}");
    assert_eq!(bench.stop("step").site, "embed");
    assert_eq!(bench.stop("reverse-step").site, "tokens");
    // Back at the beginning of the pass, and then at the end of the one before.
    assert_eq!(bench.stop("reverse-step").site, "");
    assert_eq!(bench.stop("reverse-step").site, "logits");
    assert_eq!((bench.console.session.run.pass, bench.cursor()), (0, whole));
    bench.run("goto #1");
    for line in ["until encoder.blocks.0.attn.q", "until L0.cross.k"] {
        let message = bench.fail(line);
        assert!(message.contains("only the pass of the prompt computes it"), "{line}: {message}");
    }
    let message = bench.fail("set E0.attn.z *= 2");
    assert!(message.contains("encoder.blocks.0.attn.z follows from the source alone"), "{message}");
    // A breakpoint in the encoder is met once.
    bench.script("break encoder.blocks.0.attn.q\nbreak L0.cross.q\nrun\ncontinue");
    let met: Vec<(usize, String)> = std::iter::repeat_with(|| {
        let stop = bench.stop("continue");
        (bench.console.session.run.pass, stop.site)
    })
    .take(1)
    .collect();
    assert!(met.iter().all(|(_, site)| site != "encoder.blocks.0.attn.q"), "{met:?}");
}

#[test]
fn an_edit_of_the_encoder_changes_all_that_attends_to_it() {
    for name in ["t5", "bart"] {
        let mut bench = Bench::new(name, &[SOURCE]);
        bench.script("set generation stop off\ngenerate 3");
        let before = bench.everything();
        bench.script("goto #0\nset E1.mlp.out[pos=2] *= -3\ngenerate 3");
        let edited = bench.everything();
        let mut fresh = Bench::new(name, &[SOURCE]);
        fresh.script("set generation stop off\nstart\nset E1.mlp.out[pos=2] *= -3\ngenerate 3");
        assert!(edited == fresh.everything(), "{name}");
        assert!(edited != before, "{name}");
        bench.script("undo");
        bench.script("goto #0\ngenerate 3");
        assert!(before == bench.everything(), "{name}");
        // The same under a recording budget that keeps next to nothing.
        let mut tight = Bench::on(name, &[SOURCE], &Device::cpu(), 0);
        tight.script("set generation stop off\ngenerate 3");
        assert!(before == tight.everything(), "{name}");
    }
}

/// Central differences with two steps, extrapolated: the error of the formula is of the fourth order in a step of 1e-2, and that of
/// logits in 32 bits, 3e-6 over 5e-3, is what is left.
#[test]
fn gradients_go_through_cross_attention_to_the_embeddings_of_the_source() {
    const STEP: f64 = 1e-2;
    for name in ["t5-gated", "bart", "m2m_100"] {
        let mut bench = pair(name, "the dog");
        bench.script("run\nbackward logits[-1, 7] - logits[-1, 9]");
        for (site, at) in [
            ("encoder.embed", "[1, 3]"),
            ("E1.attn.v", "[2, 1, 0]"),
            ("L0.cross.k", "[1, 0, 1]"),
            ("L1.cross.out", "[-1, 5]"),
            ("embed", "[0, 2]"),
        ] {
            let found = bench.number(&format!("grad({site}){at}"));
            let at_step = |by: f64| {
                let mut other = pair(name, "the dog");
                other.script(&format!("start\nset {site}{at} += {by}\nrun"));
                other.number("logits[-1, 7] - logits[-1, 9]")
            };
            let slope = |step: f64| (at_step(step) - at_step(-step)) / (2.0 * step);
            let (whole, half) = (slope(STEP), slope(STEP / 2.0));
            let wanted = (4.0 * half - whole) / 3.0;
            assert!((found - wanted).abs() < 2e-3 * (1.0 + wanted.abs()), "{name}, {site}{at}: {found} for {wanted}");
        }
    }
    // In a later pass, of what the encoder gives, as far as that pass reads it: nothing but its own cross attention is followed in block
    // 0, where queries do not depend on the source yet.
    let later = |setup: &str| {
        let mut bench = Bench::new("t5", &[SOURCE]);
        bench.script("set generation stop off\nstart");
        bench.script(setup);
        bench.script("generate 1");
        let token = bench.number("tokens#1[0]");
        (token, bench)
    };
    let (token, mut bench) = later("");
    bench.run("backward sum(L0.cross.z[0, :, 1])");
    let found = bench.number("grad(encoder.ln_final.out)[1, 3]");
    let at_step = |by: f64| {
        let (same, mut other) = later(&format!("set encoder.ln_final.out[1, 3] += {by}"));
        assert_eq!(same, token, "a step that changes the token is too large");
        other.number("sum(L0.cross.z[0, :, 1])")
    };
    let wanted = (at_step(STEP) - at_step(-STEP)) / (2.0 * STEP);
    assert!((found - wanted).abs() < 2e-3 * (1.0 + wanted.abs()), "{found} for {wanted}");
}

#[test]
fn attributions_are_to_the_tokens_of_the_source() {
    for name in ["t5", "bart"] {
        let mut bench = pair(name, "the");
        bench.run("run");
        let length = bench.console.session.run.branch().text().source_length();
        let table = bench.table("attr ig -steps 16 -target logits[-1,7]");
        assert_eq!(table.rows.len(), length, "{}", table.title);
        assert!(bench.fail("attr occlusion -target logits[-1,7]").contains("the decoder reads"), "{name}");
        bench.script("set prompt Never\nrun");
        assert!(bench.fail("patch main -metric logits[-1,5] -minimal").contains("cross attention"), "{name}");
    }
}

/// `tools/fixtures/dumps.py` wrote what `llmdbg-dump-hf` takes of modules of both halves, by their paths.
#[test]
fn dumps_of_both_halves_are_compared_by_the_paths_of_their_modules() {
    for (name, sites) in [("t5", 60), ("bart", 50)] {
        let model = model(name, &Device::cpu());
        let ids = (0..7).map(|i| (37 * i + 11) % (model.spec.vocab as u32 - 20) + 10).collect();
        let input = Input::from_tokens(&model, vec![ids]).unwrap();
        let mut bench = Bench::of(name, model, input, 1 << 30);
        bench.run("run");
        let file = fixture("../dumps").join(format!("{name}.safetensors"));
        let told = bench.text(&format!("load-dump {} as theirs", file.display()));
        let found = told.split("Dump theirs: ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<usize>().ok());
        assert!(found.is_some_and(|found| found >= sites), "{name}: {told}");
        let told = bench.text("diff theirs -all");
        assert!(told.contains("all agree"), "{name}: {told}");
    }
}

#[test]
fn rows_of_a_batch_do_not_see_the_padding_of_their_sources() {
    for name in FAMILIES {
        let mut bench = Bench::new(name, &["Never", SOURCE, "The dog paid"]);
        bench.script("run");
        let apart = recomputed(&mut bench, "check batch");
        assert!(apart < ORDER, "{name}: {apart:e}");
        bench.script("set generation stop off\ngenerate 3");
        let mut alone = Bench::new(name, &["Never"]);
        alone.script("set generation stop off\ngenerate 3");
        let apart = largest(&bench.numbers("logits#3"), &alone.numbers("logits#3"));
        assert!(apart < ORDER, "{name}: {apart:e}");
    }
}

#[test]
fn a_target_is_what_the_decoder_reads() {
    let mut bench = Bench::new("bart", &[SOURCE]);
    bench.run("run");
    assert_eq!(bench.numbers("tokens"), [2.0, 0.0], "the token to begin with, and the one that generation forces");
    bench.run("set target the dog");
    bench.run("run");
    let ids = bench.numbers("tokens");
    assert!(ids.len() > 3 && ids[..2] == [2.0, 0.0] && ids.last() != Some(&2.0), "{ids:?}");
    let told = bench.text("info tokens");
    assert!(told.contains("the encoder reads"), "{told}");
    bench.run("set prompt Never");
    bench.run("run");
    assert_eq!(bench.numbers("tokens"), [2.0, 0.0]);
    // On the command line a pair is source and target.
    let ran = batch("t5", &[&["-p", SOURCE, "--pair", "the dog"][..], &ex(&["run", "output tokens"])].concat());
    assert_eq!(ran.status, 0, "{}", ran.err);
    let message = Bench::new("gpt2", &["The"]).fail("set target the");
    assert!(message.contains("target"), "{message}");
    let model = model("t5", &Device::cpu());
    let row = Row { ids: vec![0], mask: vec![true], type_ids: vec![0], ..Row::default() };
    assert!(Input::from_rows(&model, vec![row.clone()]).unwrap_err().to_string().contains("a separate text"));
    let far = Row { source: Some(Source::new(vec![5, 99999])), ..row };
    assert!(Input::from_rows(&model, vec![far]).unwrap_err().to_string().contains("out of range"));
}

#[test]
fn what_is_not_computed_of_a_pair_is_refused_by_name() {
    for (name, key, value, why) in [
        ("bart", "architectures", json!(["BartModel"]), "BartForConditionalGeneration is computed"),
        ("bart", "is_decoder", json!(true), "both halves are computed"),
        ("bart", "decoder_attention_heads", json!(3), "cannot be split into 3 heads"),
        ("t5", "architectures", json!(["T5Model"]), "known are T5ForConditionalGeneration"),
        ("t5", "relative_attention_max_distance", json!(4), "larger ones need more"),
        ("marian", "activation_function", json!("mish"), "known activations are"),
    ] {
        let message = Copy::of(name).set(key, value).refused();
        assert!(message.contains(why), "{name}: {message}");
    }
    let copy = Copy::of("t5").config(|config| drop(config.remove("decoder_start_token_id")));
    std::fs::remove_file(copy.file("generation_config.json")).unwrap();
    let model = copy.load().unwrap();
    let message = Input::from_texts(&model, &["The"], true).unwrap_err().to_string();
    assert!(message.contains("decoder_start_token_id"), "{message}");
}

/// What is given first, and then a command each of which is given alone after it.
const COMMANDS: [(&str, &str); 5] = [
    (
        "start",
        "step / next / next 3 / finish / layer / until L1 / until E1 / until encoder / until source_keys / advance L0.cross.pattern / continue
        break E0 / break L0.cross / break L*.cross.pattern if max($) > 0.5 / tbreak encoder / watch E0.resid_post / rwatch encoder.ln_final.out
        catch nan / catch pass / catch saturated / trace L0.cross.z / trace E0.mlp.out / goto encoder.ln_final.out / info line / info modules
        set E0.attn.z[0] *= 2 / ablate E0H1 / ablate L0H1 / ablate encoder.blocks.0.mlp.out / skip E0.attn / skip L0.attn / list / backtrace",
    ),
    (
        "run",
        "info model / info sites / info modules / info weights / info tokens / info record / info settings / info locals / info passes / list E0.attn.q
        list L0.cross.q / whatis L0.cross.pattern / ptype L1.cross.k / whatis E1.attn.scores / backtrace / print L0.cross.pattern
        print E0.attn.pattern[head=1] / print encoder.embed / print E0H1 / print L0H1 / x L0.cross.z / x E0.mlp.post / print max(L1.cross.out)
        print L0.cross.pattern[k=-1] / print L0.attn.result / print param(\"encoder.blocks.0.attn.W_Q\") / print param(\"E0.attn.W_Q\")
        print param(\"L0.cross.W_K\") / print/h L0.cross.pattern[head=0] / print/h E0.attn.pattern[head=0] / print/t L0.cross.pattern[head=0, q=0]
        display L0.cross.scores / step / reverse-step / reverse-next / reverse-finish / reverse-layer / reverse-continue / rev / checkpoint / when
        generate 3 / token / goto #0 / undo / set param(\"E0.mlp.W_out\") *= 1.5 / set param(\"W_E\")[3] *= 2 / set param(\"L0.cross.W_V\") = 0
        set L0.cross.pattern[head=0] = 0 / set E0.attn.pattern[head=0] = 0.1 / set tokens[0] = 5 / set encoder.tokens[0] = 5 / set prompt Never
        set target the dog / tokens insert 1 the / tokens erase 0 / ablate L0.cross.pattern / ablate L0.cross.out / ablate E1.mlp.post / branch
        backward logits[-1, 5] / backward loss / backward -all-at-once logits[-1, 5] / backward -step logits[-1, 5]
        attr saliency / attr ig -steps 4 / attr ig -steps 4 -at embed / attr ig -steps 4 -baseline mean / attr ig -steps 4 -baseline pad
        attr gradientshap -baseline mean -samples 3 / attr smoothgrad -samples 3 / attr conductance -steps 4 -at L0.mlp.post
        attr conductance -steps 4 -at E0.mlp.post / attr conductance -steps 4 -at L0.cross.z / attr featureablation / attr featureablation -at embed
        attr occlusion -window 2 / attr occlusion -at embed / attr kernelshap -samples 8 / attr kernelshap -samples 8 -at embed / attr lime -at embed
        attr lrp / attr lrp -at embed / attr heads / attr neurons / attr neuron L0N3 / attr influence -at E0.mlp.post / attr rollout / attr attnxgradient
        attr featureablation -at embed -segments words / attr saliency -curves / attr ig -generated / circuits / circuits L1H0 / spectrum L0.resid_post
        spectrum E0.resid_post / stream / why logits[-1, 5] / why -depth 6 logits[-1, 5] / why E0.resid_post[0, 3] / why L0.cross.z[0, 0, 0] / why nan
        activations / neuron L0N3 / neuron E0N3 / lens / lens -grid / lens -middle / dla / dla -by neuron / dla -by key / explain / heads
        heads -repeated 6 / heads -redundant / heads E0 / layers norm(resid_post[-1]) / layers norm(cross_out[-1]) / diagnose / diagnose -deep
        check determinism / check inert / check batch / selftest / golden / chat hello / export / layout / find L0.cross.pattern > 0.1 / info edits
        info branches / info attention / info heads / info stops / focus pos=0 head=1 / focus pos=3 / kill / save edits /dev/null/x / frame 1",
    ),
    (
        "generate 3",
        "print L0.cross.pattern#2 / print E0.attn.z / print encoder.embed#3 / print L0.cross.k#1 / goto #1 / reverse-token / reverse-continue / step
        info passes / info alternatives / info record / set E0.attn.z *= 2 / set L0.cross.out *= 2 / set tokens[-1] = 7 / set cache_k(0)[0] = 0 / print cache_k(0)
        ablate E0H1 / ablate L0.cross.z / backward logits[-1, 5] / backward -all-at-once logits[-1, 5] / backward -step logits[-1, 5] / attr ig -steps 4
        attr ig -steps 4 -generated / attr inputxgradient -generated -at embed / attr featureablation -generated -at embed / why logits[-1, 5]
        lens / dla / heads / heads -repeated 5 / stream / explain / check cache / check determinism / diagnose / generate 2 / drop / layers norm(resid_post[-1])
        set target the / set prompt Never / list / info tokens / restart 1 / activations / print loss / spectrum L0.cross.out",
    ),
    (
        "run\nset prompt Never\nrun",
        "diff main / diff main -by head / diff main -by pos / diff main -by block / diff main -by element / diff main -first / diff weights main
        patch main -metric logits[-1,5] / patch main -metric logits[-1,5] -site attn.z / patch main -metric logits[-1,5] -site cross.z
        patch main -metric logits[-1,5] -site attn.z -approx / patch main -metric logits[-1,5] -site E0.resid_post
        patch zero -metric logits[-1,5] -site mlp_out -over layer / patch zero -metric logits[-1,5] -site encoder.embed
        patch mean -metric logits[-1,5] -site cross.pattern / patch main -metric logits[-1,5] -to L1H0.q / patch main -metric logits[-1,5] -minimal
        patch zero -metric logits[-1,5] -minimal / bisect main / bisect main -first / checkout main / print logits@main / print E0.attn.z@main / undo / redo",
    ),
    (
        "run\nset param(\"E0.mlp.W_out\") *= 1.5\nrun",
        "diff main / diff main -first / diff weights main / bisect main / bisect main -first / why logits[-1, 5] / attr ig -steps 4 / lens / undo",
    ),
];

#[test]
fn every_command_answers_or_refuses() {
    let mut panicked = Vec::new();
    for name in ["t5", "bart"] {
        let (mut answered, mut refused) = (0, Vec::new());
        for (setup, commands) in COMMANDS {
            for line in commands.lines().flat_map(|line| line.split(" / ")).map(str::trim) {
                let found = catch_unwind(AssertUnwindSafe(|| {
                    let mut bench = Bench::new(name, &[SOURCE]);
                    bench.script("set generation stop off");
                    bench.script(setup);
                    let answer = bench.outcome(line).answer;
                    _ = bench.console.snapshot();
                    // It is possible to go on.
                    bench.outcome("step");
                    bench.outcome("reverse-step");
                    answer
                }));
                match found {
                    Ok(Answer::Error(error)) => refused.push(format!("{line}: {}", error.message)),
                    Ok(_) => answered += 1,
                    Err(_) => panicked.push(format!("{name}, {setup:?}: {line}")),
                }
            }
        }
        let all = answered + refused.len();
        assert!(4 * answered > 3 * all, "{name}: {answered} answered, and refused were\n{}", refused.join("\n"));
    }
    assert!(panicked.is_empty(), "{panicked:#?}");
}
