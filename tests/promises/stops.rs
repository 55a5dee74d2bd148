//! Promises: what stops beyond breakpoints. `watch` on changes, `catch` on events, `trace` and `dprintf` in passing, lists of
//! commands, and all of it saved.

use std::process::Stdio;

use crate::common::{Bench, NURSE, batch, ex, llmdbg_in};

fn bench(lines: &str) -> Bench {
    let mut bench = Bench::new("gpt2", &[NURSE]);
    bench.script(lines);
    bench
}

/// Lines of a stop, from the start of the pass on, until its end.
fn stops(bench: &mut Bench) -> Vec<Vec<String>> {
    let mut all = vec![bench.stop("run").lines];
    while !bench.console.session.run.at_end() {
        all.push(bench.stop("continue").lines);
    }
    all
}

#[test]
fn a_watchpoint_stops_where_its_value_changes_and_tells_both_values() {
    let mut bench = bench("watch argmax(resid_mid[pos=-1])");
    let found = stops(&mut bench);
    // The fixture has two blocks: two values, and each is told as it replaces the other.
    let value = |bench: &mut Bench, layer: usize| bench.number(&format!("argmax(L{layer}.resid_mid[pos=-1])"));
    let (first, second) = (value(&mut bench, 0), value(&mut bench, 1));
    assert_ne!(first, second, "the fixture must have a change to watch");
    let old_and_new = |lines: &[String]| {
        let line = |word: &str| lines.iter().find(|line| line.starts_with(word)).cloned().unwrap_or_default();
        (line("Old value"), line("New value"))
    };
    let last = old_and_new(&found[found.len() - 2]);
    assert_eq!(last, (format!("Old value = {first}"), format!("New value = {second}")));
    assert!(found[found.len() - 2][0].starts_with("Watchpoint 1"), "{found:?}");
    assert!(found.last().unwrap()[0].starts_with("Pass finished"));
}

#[test]
fn catch_nan_names_the_producer_its_weight_and_never_stops_at_what_passes_it_on() {
    let mut bench = bench("set param(\"L1.mlp.W_out\")[3, 5] = nan\ncatch nan");
    let found = stops(&mut bench);
    let caught: Vec<&Vec<String>> = found.iter().filter(|lines| lines[0].starts_with("Catchpoint")).collect();
    let [only] = caught[..] else { panic!("{found:?}") };
    assert!(only[0].starts_with("Catchpoint 1 (nan), blocks.1.mlp.out "), "{only:?}");
    let text = only.join("\n");
    assert!(text.contains("the first at pos 0 \"The\", dim 5"), "{text}");
    assert!(text.contains("W_out") && text.contains("[3, 5]"), "{text}");
    // Every later op has NaN too.
    assert!(bench.number("count(nan(logits))") > 0.0);
}

#[test]
fn other_events_are_caught_where_they_first_happen() {
    let mut infinite = bench("until L0.mlp.post\nset $cursor[pos=2, neuron=1] = inf\nreverse-step\ncatch inf");
    let stop = infinite.stop("continue");
    assert!(stop.lines[0].starts_with("Catchpoint 1 (inf), blocks.0.mlp.post"), "{:?}", stop.lines);
    let mut large = bench("catch overflow 3");
    let first = large.stop("run");
    let op = first.op - 1;
    let session = &mut large.console.session;
    let sizes: Vec<f64> = (1..=op).map(|op| session.run.value(op).unwrap().summary().unwrap().absmax).collect();
    assert!(sizes[op - 1] >= 3.0 && sizes[..op - 1].iter().all(|size| *size < 3.0), "{sizes:?}");
    let mut dead = bench("until L0.mlp.pre\nset $cursor = -1000\nreverse-step 2\ncatch dead");
    let text = dead.stop("continue").lines.join("\n");
    assert!(text.starts_with("Catchpoint 1 (dead"), "{text}");
}

#[test]
fn catch_token_and_catch_pass_stop_in_a_generation() {
    let mut bench = bench("run");
    bench.run("generate 3");
    let second = bench.console.session.run.branch().chosen(2).unwrap().tokens[0].unwrap();
    let mut again = Bench::new("gpt2", &[NURSE]);
    again.script(&format!("run\ncatch token {second}"));
    let stop = again.stop("generate 3");
    let last = again.console.session.run.branch().chosen(again.console.session.run.pass);
    assert_eq!(last.unwrap().tokens[0], Some(second), "{:?}", stop.lines);
    let mut passes = Bench::new("gpt2", &[NURSE]);
    passes.script("run\ncatch pass");
    assert_eq!((passes.stop("generate 2").op, passes.console.session.run.pass), (0, 1));
    passes.run("continue");
    assert_eq!(passes.console.session.run.pass, 2);
}

#[test]
fn a_trace_counts_and_keeps_numbers_without_stopping() {
    let mut bench = bench("trace L*.mlp.post max($)\nrun");
    assert!(bench.console.session.run.at_end(), "a trace does not stop");
    let text = bench.text("info trace 1");
    for layer in 0..2 {
        let max = bench.number(&format!("max(L{layer}.mlp.post)"));
        let shown = llmdbg::answer::numbers::short(max);
        assert!(text.contains(&shown), "{shown} in {text}");
    }
}

#[test]
fn dprintf_prints_in_passing() {
    let mut bench = bench("dprintf L1.attn.z,\"largest %.3f\\n\",max(abs($))");
    let printed = bench.text("run");
    let wanted = format!("largest {:.3}", bench.number("max(abs(L1.attn.z))"));
    assert!(printed.lines().any(|line| line == wanted), "{wanted} in {printed}");
    assert!(bench.console.session.run.at_end());
}

#[test]
fn stop_points_have_names_and_conditions_on_their_hits() {
    let mut bench = bench("break -name mixing L*.attn.z\ncondition -hits mixing == 2");
    assert_eq!(bench.stop("run").op, bench.after("blocks.1.attn.z"));
    bench.run("disable mixing");
    bench.run("run");
    assert!(bench.console.session.run.at_end());
    assert!(bench.fail("break -name mixing L0").contains("mixing"));
}

#[test]
fn saved_stop_points_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        "break L1.attn.pattern head=2 if max($) > 0.5",
        "tbreak -name once L0.mlp.post",
        "break L0.attn",
        "watch max(resid_mid) if 1 > 0",
        "catch overflow 3 L1",
        "catch nan",
        "trace -name sizes L*.mlp.post /max($) > 0/ hist $",
        "dprintf L1.attn.z,\"z %.2f\\n\",max($)",
        "condition -hits 1 >= 2",
        "ignore 5 2",
        "disable 6",
        "enable once 3",
        "commands 1\nsilent\necho here\nprint max($)\nend",
    ];
    std::fs::write(folder.path().join("points.ldb"), lines.join("\n")).unwrap();
    let model = crate::parity::fixture("gpt2");
    let arguments = |commands: &[&str]| -> Vec<String> {
        let fixed = ["-batch", "-nx", "--device", "cpu", model.to_str().unwrap(), "-p", NURSE];
        fixed.iter().map(|word| word.to_string()).chain(ex(commands).iter().map(|word| word.to_string())).collect()
    };
    let run = |commands: &[&str]| {
        let arguments = arguments(commands);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        llmdbg_in(folder.path(), &arguments, Stdio::null())
    };
    let first = run(&["source points.ldb", "save breakpoints a.ldb", "info breakpoints"]);
    assert_eq!(first.status, 0, "{}{}", first.out, first.err);
    let second = run(&["source a.ldb", "save breakpoints b.ldb", "info breakpoints"]);
    assert_eq!(second.status, 0, "{}{}", second.out, second.err);
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("a.ldb"), read("b.ldb"));
    let table = |text: &str| text[text.find("Num").expect("a table")..].to_string();
    assert_eq!(table(&first.out), table(&second.out));
}

/// A file of commands, run in batch on the gpt2 fixture.
fn script(text: &str, arguments: &[&str]) -> crate::common::Ran {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.ldb");
    std::fs::write(&file, text).unwrap();
    let mut all = vec!["-p", NURSE, "-x", file.to_str().unwrap()];
    all.extend(arguments);
    batch("gpt2", &all)
}

#[test]
fn the_commands_of_a_stop_point_run_when_it_stops_and_one_that_moves_is_the_last() {
    let ran = script(
        "break L0.attn.z\ncommands\n  silent\n  echo one\\n\n  continue\n  echo never\\n\nend\n\
         break L1.attn.z\ncommands\n  echo two\\n\nend\nrun\necho after\\n\n",
        &[],
    );
    assert_eq!(ran.status, 0, "{}", ran.err);
    let place = |text: &str| ran.out.find(text).unwrap_or_else(|| panic!("{text} in {}", ran.out));
    assert!(
        place("one") < place("Breakpoint 2,") && place("Breakpoint 2,") < place("two") && place("two") < place("after")
    );
    assert!(!ran.out.contains("never") && !ran.out.contains("Breakpoint 1,"), "{}", ran.out);
}

#[test]
fn an_error_in_the_commands_of_a_stop_point_says_whose_and_where() {
    let ran = script("break L0.attn.z\ncommands\n  echo fine\\n\n  print nonsense_site\nend\nrun\n", &[]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("commands of breakpoint 1:2:"), "{}", ran.err);
}

#[test]
fn all_stop_points_at_one_op_are_told_together_in_the_order_of_their_numbers() {
    let mut bench =
        bench("catch overflow 0.0001 L1.attn.z\nbreak L1.attn.z\nwatch max(L1.attn.z)\nbreak L1.attn.z if 1 < 0");
    let stop = loop {
        let stop = bench.stop(if bench.console.session.run.live { "continue" } else { "run" });
        if stop.op == bench.after("blocks.1.attn.z") {
            break stop;
        }
    };
    assert!(stop.ids.starts_with(&[1, 2]) || stop.ids.starts_with(&[2]), "{:?}", stop.ids);
    assert!(stop.ids.is_sorted() && !stop.ids.contains(&4));
}

#[test]
fn what_cannot_be_watched_or_caught_is_refused_with_what_can() {
    let mut bench = bench("start");
    assert!(bench.fail("watch 1 + 1").contains("this can never change"));
    assert!(bench.fail("catch lightning").contains("one of nan, inf, overflow"));
    assert!(bench.fail("catch token 99999999").contains("is not a token"));
    assert!(bench.fail("catch norm-jump 0").contains("threshold"));
}

/// What a stop names as causes says of infinities among them; the largest finite magnitude alone would hide the cause.
#[test]
fn f30_causes_that_are_not_finite_are_told() {
    let text = |lines: &str, motion: &str| {
        let mut bench = bench(lines);
        bench.stop(motion).lines.join("\n")
    };
    let told = text("until L0.resid_post\nset $cursor[pos=2, dim=1] = inf\ncatch nan", "continue");
    assert!(told.starts_with("Catchpoint 1 (nan), blocks.1.ln1."), "{told}");
    let cause = "from blocks.1.resid_pre: 1 of 256 elements is infinite, the first at pos 2 \"ur\", dim 1; largest finite magnitude ";
    assert!(told.contains(cause), "{told}");
    // Of a weight too, where NaN is caught and infinities made it.
    let told =
        text("set param(\"L0.mlp.W_in\")[4, 7] = inf\nset param(\"L0.mlp.W_in\")[5, 7] = -inf\ncatch nan", "run");
    assert!(
        told.contains("from weight blocks.0.mlp.W_in: 2 of its elements are infinite, the first at [4, 7]"),
        "{told}"
    );
    // Masks are none, and a value of nothing else has no largest.
    let told = text("until L0.attn.scores\nset $cursor[head=1, q=2] = -inf\ncatch nan", "continue");
    assert!(told.contains("from blocks.0.attn.scores: largest magnitude "), "{told}");
    let told = text("until L0.resid_post\nset $cursor = inf\ncatch nan", "continue");
    assert!(
        told.contains("from blocks.1.resid_pre: 256 of 256 elements are infinite")
            && !told.contains("finite magnitude"),
        "{told}"
    );
}
