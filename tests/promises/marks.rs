//! Promise: the mark `!` stands at every op whose value holds NaN or an infinity that no mask explains, and at no other.

use llmdbg::answer::view::Snapshot;

use crate::common::{Bench, NURSE, cell_text};

/// What the values themselves say, read one by one.
fn holds(bench: &mut Bench, op: usize) -> bool {
    let site = bench.console.session.run.program.ops[op].site.clone();
    let value = bench.console.session.run.value(op).unwrap();
    let masked = site.ends_with(".scores");
    value.read_f64().is_ok_and(|data| !data.iter().all(|x| x.is_finite() || masked && *x == f64::NEG_INFINITY))
}

fn marked(snapshot: &Snapshot) -> Vec<usize> {
    (0..snapshot.flags.len()).filter(|&op| snapshot.flags[op].nonfinite).collect()
}

#[test]
fn f4_ops_whose_values_are_not_finite_are_marked_and_no_others() {
    for (edit, some) in
        [("", false), ("set param(\"L0.mlp.W_in\")[0] = inf", true), ("set param(\"L1.attn.W_Q\")[0] = nan", true)]
    {
        let mut b = Bench::new("gpt2", &[NURSE]);
        b.console.watch_values();
        assert_eq!(marked(&b.console.snapshot()), [0_usize; 0], "nothing is computed yet");
        if !edit.is_empty() {
            b.run(edit);
        }
        b.run("run");
        let ops = b.console.session.run.program.ops.len();
        let wanted: Vec<usize> = (0..ops).filter(|&op| holds(&mut b, op)).collect();
        assert_eq!(!wanted.is_empty(), some, "{edit}");
        assert_eq!(marked(&b.console.snapshot()), wanted, "{edit}");
        // The same in lists, which need no screen.
        b.run(&format!("set list-size {ops}"));
        let table = b.table("list");
        let listed: Vec<usize> = (0..ops).filter(|&op| cell_text(&table.rows[op][4]).contains('!')).collect();
        assert_eq!(listed, wanted, "{edit}");
        if some {
            // Taken back, the marks go; before the op there are none.
            b.run("undo");
            assert_eq!(marked(&b.console.snapshot()), [0_usize; 0], "{edit}");
            b.run("redo");
            b.run("goto -before L0.attn.q");
            assert_eq!(marked(&b.console.snapshot()), [0_usize; 0], "{edit}");
        }
    }
}

#[test]
fn looking_at_values_for_their_marks_computes_nothing_again() {
    let mut b = Bench::on("gpt2", &[NURSE], &llmdbg::tensor::Device::cpu(), 20 << 10);
    b.console.watch_values();
    b.run("set param(\"W_E\")[0] = nan");
    b.run("run");
    let before = b.console.session.run.branch().status();
    b.console.snapshot();
    assert_eq!(b.console.session.run.branch().status(), before);
}
