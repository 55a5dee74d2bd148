//! Promise: breakpoints behave as gdb's do, in both directions, and say what they did.

use llmdbg::answer::{Cell, Reason};

use crate::common::{Bench, NURSE};

fn bench(lines: &str) -> Bench {
    let mut bench = Bench::new("gpt2", &[NURSE]);
    bench.script(lines);
    bench
}

/// Where a command stops: the position and the numbers that fired.
fn at(bench: &mut Bench, line: &str) -> (usize, Vec<usize>) {
    let stop = bench.stop(line);
    (stop.op, stop.ids)
}

/// All stops of a pass, by position.
fn stops(bench: &mut Bench) -> Vec<(usize, Vec<usize>)> {
    let mut all = Vec::new();
    let mut stop = bench.stop("run");
    while stop.reason == Reason::Breakpoint {
        all.push((stop.op, stop.ids.clone()));
        stop = bench.stop("continue");
    }
    all
}

fn hits(bench: &Bench, number: usize) -> u64 {
    bench.console.session.stops.iter().find(|point| point.number == number).expect("the breakpoint").hits
}

const END: (usize, Vec<usize>) = (49, vec![]);

#[test]
fn a_site_stops_when_computed_a_module_on_entry_and_either_side_can_be_chosen() {
    let mut b = bench(
        "break L0.attn.pattern
        break L1.mlp
        break -before L1.attn.z
        break -after L0
        break -before L0
        break -after L1.mlp",
    );
    let site = |name: &str| b.after(name);
    let wanted = vec![
        (site("blocks.0.resid_pre") - 1, vec![5]),
        (site("blocks.0.attn.pattern"), vec![1]),
        (site("blocks.0.resid_post"), vec![4]),
        (site("blocks.1.attn.pattern"), vec![3]),
        (site("blocks.1.ln2.out"), vec![2]),
        (site("blocks.1.mlp.out"), vec![6]),
    ];
    assert_eq!(stops(&mut b), wanted);
    let back: Vec<_> = (0..6).map(|_| at(&mut b, "reverse-continue")).collect();
    assert_eq!(back, wanted.into_iter().rev().collect::<Vec<_>>());
    assert_eq!(b.text("reverse-continue"), "No more reverse-execution history.\nat op 0 of 49, pass 0; next: tokens");
    assert_eq!(b.text("rc"), "No more reverse-execution history.\nat op 0 of 49, pass 0; next: tokens");
    assert!(!b.text("start").contains("history"));
}

#[test]
fn globs_and_regular_expressions_stop_at_every_match() {
    let mut b = bench("break L*.mlp.post\nbreak /attn[.]z$/");
    assert_eq!(b.text("break blocks.{0,1}.resid_mid"), "Breakpoint 3 at blocks.{0,1}.resid_mid (2 places)");
    let place = |name: &str, number| (b.after(name), vec![number]);
    let wanted = [
        place("blocks.0.attn.z", 2),
        place("blocks.0.resid_mid", 3),
        place("blocks.0.mlp.post", 1),
        place("blocks.1.attn.z", 2),
        place("blocks.1.resid_mid", 3),
        place("blocks.1.mlp.post", 1),
    ];
    assert_eq!(stops(&mut b), wanted);
}

#[test]
fn several_breakpoints_at_one_op_are_reported_together_in_number_order() {
    let mut b = bench("break L0.attn.z\nbreak L0.attn.z if max($) < -1000\nbreak L0H1\nbreak -before L0.attn.out");
    let stop = b.stop("run");
    assert_eq!((stop.op, stop.ids.clone()), (13, vec![1, 3, 4]));
    assert!(stop.lines[0].starts_with("Breakpoints 1, 3, 4, blocks.0.attn.z 8 pos x 4 heads x 8 dim  min "));
    assert_eq!(stop.lines[1], "at op 13 of 49 in blocks.0.attn, pass 0; next: blocks.0.attn.out");
    assert_eq!(b.console.session.focus.head, 1, "L0H1 moves the focus to its head");
    assert_eq!(at(&mut b, "continue"), END);
}

#[test]
fn a_temporary_breakpoint_is_deleted_when_it_stops_and_not_before() {
    let mut b = bench("start");
    assert_eq!(b.text("tbreak L1.attn.z if max($) < -1000"), "Temporary breakpoint 1 at L1.attn.z");
    b.run("tbreak L0.attn.z");
    let stop = b.stop("continue");
    assert_eq!((stop.op, stop.ids.clone()), (13, vec![2]));
    assert!(stop.lines[0].starts_with("Temporary breakpoint 2, blocks.0.attn.z "));
    assert_eq!(at(&mut b, "continue"), END);
    let left = b.table("info breakpoints");
    assert_eq!(left.rows.len(), 1, "the one whose condition never held stays");
    assert_eq!(left.rows[0][0], Cell::Int(1));
}

#[test]
fn breakpoints_are_disabled_enabled_once_for_a_count_or_until_they_stop() {
    let mut b = bench("break L*.attn.z\ndisable 1");
    assert_eq!(stops(&mut b), []);
    b.run("enable 1");
    let both = [(13, vec![1]), (34, vec![1])];
    assert_eq!(stops(&mut b), both);
    b.run("enable once 1");
    assert_eq!(stops(&mut b), both[..1]);
    assert_eq!(stops(&mut b), [], "once is over");
    b.run("enable count 2 1");
    assert_eq!(stops(&mut b), both);
    assert_eq!(stops(&mut b), [], "twice is over");
    b.run("enable delete 1");
    assert_eq!(stops(&mut b), both[..1]);
    assert_eq!(b.text("info breakpoints"), "No breakpoints.");
}

#[test]
fn numbers_are_never_used_twice_and_lists_of_them_are_understood() {
    let mut b = bench("break L0\nbreak L1\nbreak logits\nbreak embed");
    assert_eq!(b.text("delete 2-3"), "Deleted 2 breakpoints");
    assert_eq!(b.text("break embed"), "Breakpoint 5 at embed");
    assert_eq!(b.fail("delete 2"), "No breakpoint number 2.\ndelete 2\n       ^");
    assert_eq!(b.number("$bpnum"), 5.0);
    b.run("disable 1,$bpnum");
    let table = b.table("info breakpoints");
    let enabled: Vec<_> = table.rows.iter().map(|row| (row[0].clone(), row[3].clone())).collect();
    let cell = |word: &str| Cell::Text(word.into());
    assert_eq!(enabled, [(Cell::Int(1), cell("n")), (Cell::Int(4), cell("y")), (Cell::Int(5), cell("n"))]);
    assert_eq!(b.text("delete"), "Deleted 3 breakpoints");
}

#[test]
fn the_condition_comes_before_the_hit_count_and_that_before_the_ignore_count() {
    let mut b = bench("run");
    let (first, second) = (b.number("mean(L0.attn.z)"), b.number("mean(L1.attn.z)"));
    let middle = (first + second) / 2.0;
    let sign = if second > first { ">" } else { "<" };
    // Holds in block 1 only: a crossing whose condition fails is no hit, and uses up no ignore.
    b.run(&format!("break L*.attn.z if mean($) {sign} {middle}"));
    assert_eq!(b.text("ignore 1 1"), "Will ignore next crossing of breakpoint 1.");
    assert_eq!(stops(&mut b), []);
    assert_eq!(hits(&b, 1), 1, "block 0 was no hit; block 1 was one that was ignored");
    assert_eq!(stops(&mut b), [(34, vec![1])]);
    assert_eq!(hits(&b, 1), 2);
    assert_eq!(b.text("ignore 1 2"), "Will ignore next 2 crossings of breakpoint 1.");
    assert_eq!(b.text("ignore 1 0"), "Will stop next time breakpoint 1 is reached.");
    assert_eq!(stops(&mut b), [(34, vec![1])]);
}

#[test]
fn continue_with_a_count_passes_the_breakpoint_stopped_at() {
    let mut b = bench("break L*.attn.z\nbreak L1.mlp");
    assert_eq!(at(&mut b, "run"), (13, vec![1]));
    let outcome = b.outcome("continue 2");
    assert_eq!(outcome.printed, ["Will ignore next crossing of breakpoint 1."]);
    assert_eq!(b.cursor(), 40, "breakpoint 1 in block 1 was passed, breakpoint 2 stops");
    assert_eq!(hits(&b, 1), 2);
    b.run("delete");
    b.run("continue");
    assert_eq!(
        b.fail("continue"),
        "the pass is at its end; \"run\" starts it again, \"reverse-continue\" goes back, \"token\" computes the next token"
    );
}

#[test]
fn an_error_in_a_condition_stops_and_is_shown() {
    let mut b = bench("break L0.attn.pattern if $ > 0.5\nbreak L1.attn.z if max(logits) > 0");
    assert_eq!(
        b.stop("run").lines[1..],
        [
            "Error in testing the condition of breakpoint 1:",
            "a condition needs one truth value, found shape [head=4, q=8, k=8]",
            "break L0.attn.pattern if $ > 0.5",
            "                         ^~~~~~~",
            "any($ > 0.5) holds if one element does, all($ > 0.5) if every one does",
            "at op 12 of 49 in blocks.0.attn, pass 0; next: blocks.0.attn.z",
        ]
    );
    let stop = b.stop("continue");
    assert_eq!(stop.ids, [2]);
    assert!(
        stop.lines[2].starts_with("logits has not been computed: the cursor is at op 34 of 49"),
        "{:?}",
        stop.lines
    );
    assert_eq!(b.text("condition 1 any($ > 0.5)"), "");
    assert_eq!(b.text("condition 2"), "Breakpoint 2 now unconditional.");
    assert_eq!(stops(&mut b), [(12, vec![1]), (34, vec![2])]);
}

#[test]
fn a_condition_sees_the_head_the_row_and_the_block_of_its_breakpoint() {
    let mut b = Bench::new("gpt2", &[NURSE, "the king said"]);
    b.run("run");
    let head = |b: &mut Bench, row: usize, head: usize| b.number(&format!("max(all(L0.attn.z)[{row}, :, {head}])"));
    let (ours, other, row) = (head(&mut b, 0, 1), head(&mut b, 0, 2), head(&mut b, 1, 1));
    assert!(ours != other && ours != row);
    b.run(&format!("break L0H1 if max($) == {ours}"));
    b.run(&format!("break L0.attn.z head=2 if max($) == {other}"));
    b.run(&format!("break L0.attn.z head=1 row=1 if max($) == {row}"));
    b.run(&format!("break L0.attn.z head=2 if max($) == {ours}"));
    // A bare site is that of the breakpoint's block, wherever the cursor was when it was set.
    b.run("start");
    b.run("break L1.attn.pattern if max(attn.scores) == max(L1.attn.scores)");
    assert_eq!(at(&mut b, "run"), (13, vec![1, 2, 3]));
    assert_eq!(at(&mut b, "continue"), (33, vec![5]));
}

#[test]
fn info_breakpoints_is_the_table_of_gdb() {
    let mut b = bench(
        "break L0.attn.pattern if max($) > 0.5
        tbreak L1.mlp
        break L1H2
        disable 3
        run
        ignore 1 3",
    );
    assert_eq!(
        b.text("info breakpoints"),
        "Num  Type        Disp  Enb  Where            What\n\
         \x20 1  breakpoint  keep  y    L0.attn.pattern  if max($) > 0.5, already hit 1 time, ignore next 3 hits\n\
         \x20 2  breakpoint  del   y    L1.mlp\n\
         \x20 3  breakpoint  keep  n    L1H2"
    );
}

#[test]
fn listings_mark_the_op_that_a_breakpoint_stands_on() {
    let mut b = bench("break L0.attn.pattern\nbreak L1\nbreak -before L0.attn.z\nbreak L1H0\nrun");
    let table = b.table("info sites");
    let marked: Vec<(String, String)> = table
        .rows
        .iter()
        .filter_map(|row| match (&row[2], &row[4]) {
            (Cell::Text(site), Cell::Text(flags)) if flags.contains(['b', 'B']) => Some((site.clone(), flags.clone())),
            _ => None,
        })
        .collect();
    let sites: Vec<&str> = marked.iter().map(|(site, _)| site.as_str()).collect();
    assert_eq!(sites, ["blocks.0.attn.pattern", "blocks.0.attn.z", "blocks.1.resid_pre", "blocks.1.attn.z"]);
    assert!(marked[0].1.contains('B') && marked[2].1.contains('b'), "{marked:?}");
}
