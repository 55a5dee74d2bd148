//! Promise: what is generated is what transformers generates, with the cache and without it; every token can be looked at, taken
//! back and exchanged; the cache can be seen and edited.

use llmdbg::answer::text::wrapped_lines;
use llmdbg::answer::{Cell, Reason};
use llmdbg::model::{Input, Row};
use llmdbg::tensor::Device;
use serde_json::Value as Json;

use crate::common::{Bench, NURSE, batch, ex, model, vulkan};
use crate::parity::fixture;

/// The prompts of a fixture that transformers continued, with its tokens and the logits of the five best at each step.
fn continued(name: &str) -> Vec<(Vec<u32>, Json)> {
    let text = std::fs::read_to_string(fixture(name).join("reference.json")).unwrap();
    let json: Json = serde_json::from_str(&text).unwrap();
    let ids = |list: &Json| list.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
    let prompts = json["prompts"].as_array().unwrap().iter();
    let given = |p: &Json| ids(if p["source_ids"].is_array() { &p["source_ids"] } else { &p["token_ids"] });
    prompts.filter(|prompt| prompt["greedy"].is_object()).map(|p| (given(p), p["greedy"].clone())).collect()
}

/// Every fixture that has greedy continuations.
fn generating_fixtures() -> Vec<String> {
    let folder = fixture("");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !continued(name).is_empty())
        .collect();
    names.sort();
    names
}

fn bench_of(name: &str, rows: Vec<Vec<u32>>, device: &Device, budget: u64) -> Bench {
    let model = model(name, device);
    let input = Input::from_tokens(&model, rows).unwrap();
    let mut bench = Bench::of(name, model, input, budget);
    bench.run("set generation stop off");
    bench
}

/// The tokens after the prompt, of one row.
fn generated(bench: &Bench, row: usize) -> Vec<u32> {
    let branch = bench.console.session.run.branch();
    (1..branch.passes()).map(|pass| branch.chosen(pass).unwrap().tokens[row].unwrap()).collect()
}

/// Token for token, and the five best logits at each step within the tolerance of one pass, 5e-5 (1 + |value|).
fn check_greedy(name: &str, device: &Device, budget: u64, tolerance: f64) {
    for (number, (ids, greedy)) in continued(name).into_iter().enumerate() {
        let mut bench = bench_of(name, vec![ids], device, budget);
        let steps = greedy["steps"].as_array().unwrap();
        bench.run(&format!("generate {}", steps.len()));
        let wanted: Vec<u32> =
            greedy["tokens"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        assert_eq!(generated(&bench, 0), wanted, "{name}, prompt {number}");
        for (step, best) in steps.iter().enumerate() {
            for pair in best["top5"].as_array().unwrap() {
                let (id, logit) = (pair[0].as_u64().unwrap(), pair[1].as_f64().unwrap());
                let found = bench.number(&format!("logits#{step}[-1, {id}]"));
                let distance = (found - logit).abs() / (1.0 + logit.abs());
                assert!(distance <= tolerance, "{name}, prompt {number}, step {step}, token {id}: {found} for {logit}");
            }
        }
    }
}

/// The references are printed to six digits, of numbers up to some twenty: 5e-5 covers that and one pass in 32 bits.
#[test]
fn greedy_continuations_are_those_of_transformers_token_for_token() {
    let names = generating_fixtures();
    assert!(names.len() >= 4, "{names:?}");
    for name in &names {
        check_greedy(name, &Device::cpu(), 1 << 30, 5e-5);
    }
    check_greedy("gpt2", &Device::cpu(), 0, 5e-5);
    for name in ["gpt2", "llama"] {
        check_greedy(name, &vulkan(), 1 << 30, 1e-4);
    }
}

#[test]
fn passes_with_the_cache_compute_what_one_pass_over_the_text_does() {
    for name in generating_fixtures() {
        for (ids, _) in continued(&name) {
            let mut bench = bench_of(&name, vec![ids], &Device::cpu(), 1 << 30);
            bench.run("generate 6");
            let table = bench.table("check cache");
            assert!(table.title.starts_with("Cached and recomputed values agree"), "{name}: {}", table.title);
        }
    }
}

#[test]
fn a_check_that_fails_is_a_failed_command() {
    let mut b = Bench::new("gpt2", &[NURSE]);
    assert_eq!(b.fail("check cache"), "there are no two passes to compare yet; \"generate 5\" runs more");
    b.run("generate 2");
    assert!(
        b.fail("check cache 1e-12").starts_with("cached and recomputed values differ: "),
        "{}",
        b.fail("check cache 1e-12")
    );
    b.run("set kv(0, v)[pos=1] *= 5");
    b.run("token");
    assert_eq!(
        b.fail("check cache"),
        "the edit \"set kv(0, v)[pos=1] *= 5\" is in force, which one pass over the whole text cannot repeat"
    );
}

/// Rows of different lengths, filled up on the right, beside each row alone. Products of one row and of several round in other
/// ways, so logits agree within 5e-5 (1 + |value|); tokens must be the same.
#[test]
fn a_batch_generates_what_each_of_its_rows_does_alone() {
    for name in ["gpt2", "llama", "qwen3_5_text", "qwen3_next", "lfm2", "granite4-hybrid"] {
        let rows: Vec<Vec<u32>> = vec![vec![57, 78, 127, 104, 341], vec![25, 261], vec![68, 268, 30]];
        let mut together = bench_of(name, rows.clone(), &Device::cpu(), 1 << 30);
        together.run("generate 8");
        for (row, ids) in rows.into_iter().enumerate() {
            let mut alone = bench_of(name, vec![ids], &Device::cpu(), 1 << 30);
            alone.run("generate 8");
            assert_eq!(generated(&together, row), generated(&alone, 0), "{name}, row {row}");
            together.run(&format!("focus row={row}"));
            let (a, b) = (together.numbers("logits#8"), alone.numbers("logits#8"));
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 5e-5 * (1.0 + b.abs())), "{name}, row {row}");
        }
        let left: Vec<Row> = [vec![0, 0, 25, 261], vec![68, 268, 30, 31]]
            .into_iter()
            .map(|ids: Vec<u32>| Row {
                mask: ids.iter().map(|id| *id != 0).collect(),
                type_ids: vec![0; 4],
                ids,
                ..Row::default()
            })
            .collect();
        let model = model(name, &Device::cpu());
        let input = Input::from_rows(&model, left).unwrap();
        let mut padded = Bench::of(name, model, input, 1 << 30);
        padded.script("set generation stop off\ngenerate 8");
        let mut alone = bench_of(name, vec![vec![25, 261]], &Device::cpu(), 1 << 30);
        alone.run("generate 8");
        assert_eq!(generated(&padded, 0), generated(&alone, 0), "{name}, padded on the left");
    }
}

#[test]
fn a_breakpoint_stops_in_any_pass_and_continue_goes_on_to_the_goal() {
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.script("set generation stop off\nbreak L1.attn.z#2\nbreak L0.mlp.out#1 if max($) > 1e9");
    let stop = b.stop("generate 4");
    assert_eq!((stop.reason, stop.ids.clone(), stop.pass), (Reason::Breakpoint, vec![1], 2));
    assert_eq!(stop.site, "blocks.1.attn.z");
    let stop = b.stop("continue");
    assert_eq!((stop.reason, stop.pass), (Reason::End, 4));
    assert_eq!(
        b.fail("print logits#5"),
        "there is no pass 5: this branch has passes 0..4; use \"token\" or \"generate N\"\nprint logits#5\n      ^~~~~~~~"
    );
    let stop = b.stop("reverse-continue");
    assert_eq!((stop.reason, stop.pass), (Reason::Breakpoint, 2));
    assert_eq!(b.stop("goto #3").lines.last().unwrap(), "at op 0 of 49, pass 3; next: tokens");
    assert_eq!((b.cursor(), b.console.session.run.pass), (0, 3));
    b.run("reverse-step");
    assert_eq!(b.console.session.run.mark().pass, 2);
    b.run("step");
    assert_eq!((b.cursor(), b.console.session.run.pass), (0, 3));
    let stop = b.stop("layer");
    assert_eq!(
        (stop.pass, stop.lines.last().unwrap().as_str()),
        (3, "at op 3 of 49 in blocks.0, pass 3; next: blocks.0.resid_pre")
    );
}

#[test]
fn another_token_is_another_road_and_the_old_one_stays() {
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.script("set generation stop off\ngenerate 4");
    let before = generated(&b, 0);
    assert_eq!(b.text("set tokens[-3] = \" the\""), "Changed the text; branch edit1; 147 ops computed again.");
    let after = generated(&b, 0);
    assert_eq!((after[0], after[1]), (before[0], 261));
    assert_eq!(b.console.session.run.mark().pass, 4);
    // What follows is what the model says after that token.
    let length = b.console.session.run.branch().span(0).end;
    let mut ids = b.console.session.run.branch().text().rows[0].ids.clone();
    ids.truncate(length + 2);
    let mut alone = bench_of("gpt2", vec![ids], &Device::cpu(), 1 << 30);
    alone.run("generate 2");
    assert_eq!(generated(&alone, 0), after[2..]);
    b.run("undo");
    assert_eq!(generated(&b, 0), before);
    b.run("redo");
    assert_eq!(generated(&b, 0), after);
    b.run("checkout main");
    assert_eq!(generated(&b, 0), before);
    assert_eq!(
        b.fail("set tokens[-2:] = 261"),
        "one token at a time can be changed after the prompt: what follows it is chosen again"
    );
}

#[test]
fn the_cache_can_be_seen_and_edited_for_later_passes() {
    let mut b = Bench::new("llama", &[NURSE]);
    b.script("set generation stop off\nrun");
    let keys = b.value("L0.attn.rot_k");
    assert_eq!(b.value("kv(0, k)"), keys, "what is cached is what scores read: keys after rotation");
    assert_eq!(b.value("kv(0, v)"), b.value("L0.attn.v"));
    b.run("token");
    let length = keys.0[0];
    assert_eq!(b.value("kv(0, k)").0[0], length + 1);
    assert_eq!(b.value(&format!("kv(0, k)[pos=0:{length}]")), keys);
    let pattern = b.numbers("L0.attn.pattern");
    b.run("rewind");
    assert_eq!(b.text("set kv(0, k)[pos=1] = 0"), "Changed the cache of blocks.0.attn.rot_k; branch edit1.");
    b.run("token");
    assert_eq!(b.value("L0.attn.rot_k#0"), keys, "the value itself is as it was computed");
    assert!(b.numbers("kv(0, k)[pos=1]").iter().all(|x| *x == 0.0));
    assert!(b.numbers("L0.attn.scores[k=1]").iter().all(|x| *x == 0.0), "a zero key scores zero");
    assert_ne!(b.numbers("L0.attn.pattern"), pattern);
    b.run("undo");
    assert_eq!(b.numbers("L0.attn.pattern"), pattern);
    assert_eq!(b.fail("print kv(9, k)"), "no layer 9: model has 0..1\nprint kv(9, k)\n         ^");
    assert_eq!(b.fail("set kv(0, q) = 0"), "kv takes a layer and k or v\nset kv(0, q) = 0\n          ^\nkv(0, k)");
    let mut bert = Bench::new("bert-mlm", &[NURSE]);
    bert.run("run");
    assert_eq!(
        bert.fail("print kv(0, k)"),
        "the model has no key/value cache: it computes its whole text in one pass\nprint kv(0, k)\n      ^~~~~~~~"
    );
}

#[test]
fn tokens_are_drawn_by_the_settings_and_other_settings_make_another_branch() {
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.script("set generation stop off\nset generation temperature 2\nset generation seed 3\ngenerate 12");
    let first = generated(&b, 0);
    let mut again = Bench::new("gpt2", &[NURSE]);
    again.script("set generation stop off\nset generation temperature 2\nset generation seed 3\nstart");
    for _ in 0..12 {
        again.run("token");
    }
    assert_eq!(generated(&again, 0), first, "a seed gives the same text, however one goes through it");
    b.run("rewind 8");
    assert_eq!(b.text("generate 2").lines().last().unwrap(), "at the end of pass 6 (op 49 of 49)");
    assert_eq!(generated(&b, 0), first, "what was chosen by the same settings is not chosen again");
    b.script("set generation seed 4\nrewind 2");
    let said = b.text("generate 8");
    assert!(said.starts_with("Other settings: what follows is branch edit1.\n"), "{said}");
    let second = generated(&b, 0);
    assert_eq!((second.len(), &second[..4]), (12, &first[..4]));
    assert_ne!(second, first);
    b.run("checkout main");
    assert_eq!(generated(&b, 0), first);
    for (line, message) in [
        ("set generation top-p 2", "top-p must be a number above 0, up to 1, not 2"),
        ("set generation warmth 2", "no setting of generation called warmth"),
        ("set generation seed x", "seed must be a whole number of at least 0, not x"),
        ("set generation stop", "expected a setting and its value"),
        ("generate", "expected how many tokens"),
    ] {
        assert!(b.fail(line).starts_with(message), "{line}: {}", b.fail(line));
    }
}

#[test]
fn f14_passes_and_alternatives_are_listed_with_their_probabilities() {
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.script("set generation stop off\ngenerate 3\nrewind");
    let passes = b.table("info passes");
    assert_eq!(passes.rows.len(), 4);
    assert_eq!(passes.rows[2][0], Cell::Text("->".into()));
    let Cell::Num(listed) = passes.rows[3][4] else { panic!("{:?}", passes.rows[3]) };
    let text = passes.rows[3][3].clone();
    let Cell::Text(text) = text else { panic!() };
    assert!((b.number(&format!("prob({text:?})")) - listed).abs() < 1e-6, "the chance at the end of pass 2");
    let alternatives = b.table("info alternatives");
    assert_eq!(alternatives.rows.len(), 3);
    assert!(alternatives.rows.iter().all(|row| row[4] == Cell::Int(0)), "greedy takes the likeliest");
    // The alternatives are what the answer is for: a narrow window has room for them too.
    let answer = b.outcome("info alternatives").answer;
    assert!(wrapped_lines(&answer, Some(60)).join("\n").contains("Likeliest"));
    let losses = b.number("loss");
    assert!(losses > 0.0);
}

#[test]
fn a_text_ends_with_its_token_and_only_causal_models_go_on() {
    // In this fixture token 1 ends a text, and it is what the model says first.
    let (ids, _) = continued("gpt2").remove(0);
    let model = model("gpt2", &Device::cpu());
    let ends: Vec<u32> = model.special.eos.clone();
    let input = Input::from_tokens(&model, vec![ids]).unwrap();
    let mut b = Bench::of("gpt2", model, input, 1 << 30);
    b.run("start");
    b.run("token");
    let first = generated(&b, 0)[0];
    if ends.contains(&first) {
        assert_eq!(b.console.session.run.mark().op, 0, "nothing is computed for a token that ends the text");
    }
    // Force one.
    let end = ends[0];
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.script("generate 1\n");
    b.run(&format!("set tokens[-1] = {end}"));
    let said = b.fail("token");
    assert_eq!(said, "the text has ended; \"set generation stop off\" goes on after a token that ends a text");
    b.run("set generation stop off");
    b.run("generate 2");
    let mut bert = Bench::new("bert-seqcls", &[NURSE]);
    bert.run("run");
    assert_eq!(bert.fail("token"), "bert predicts no next token: only a causal language model can go on");
    // The gpt2 fixture has 64 positions.
    let mut long = bench_of("gpt2", vec![vec![5; 60]], &Device::cpu(), 1 << 30);
    assert_eq!(
        long.fail("generate 9"),
        "the text has 64 tokens, as many as the model has positions for: it cannot be continued\nthe command was carried out in part: the \
         cursor is now at op 49 of 49, pass 4, branch main"
    );
    assert_eq!(long.console.session.run.mark().pass, 4, "what there was room for is there");
}

#[test]
fn a_generation_runs_in_batch_with_one_object_for_each_command() {
    let ran =
        batch("gpt2", &[&["-p", NURSE][..], &ex(&["generate 3", "p shape(L0.attn.pattern)", "info passes"])].concat());
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains("Pass 3 finished"), "{}", ran.out);
}
