//! Promise: an edit gives what the edited model computes; an edit of the past makes a branch and leaves the old timeline as
//! it was; a wrong one changes nothing.

use llmdbg::answer::Cell;

use crate::common::{Bench, NURSE};

fn bench(lines: &str) -> Bench {
    let mut bench = Bench::new("gpt2", &[NURSE]);
    bench.script(lines);
    bench
}

fn zero(values: &[f64]) -> bool {
    !values.is_empty() && values.iter().all(|x| *x == 0.0)
}

/// What the branch table says: name, where it grew, its edits.
fn branches(bench: &mut Bench) -> Vec<(bool, String, String, String)> {
    let text = |cell: &Cell| match cell {
        Cell::Text(text) => text.clone(),
        cell => panic!("{cell:?}"),
    };
    let table = bench.table("info branches");
    table
        .rows
        .iter()
        .map(|row| (row[0] == Cell::Text("*".into()), text(&row[1]), text(&row[2]), text(&row[4])))
        .collect()
}

#[test]
fn an_edit_of_a_value_that_was_used_makes_a_branch_and_replays_to_the_cursor() {
    let mut b = bench("run");
    let (logits, z) = (b.bits("logits"), b.bits("L0.attn.z"));
    assert_eq!(
        b.text("set L0.attn.pattern[head=2] = 0"),
        "Changed blocks.0.attn.pattern; branch edit1; 38 ops computed again."
    );
    assert_eq!(b.cursor(), 49, "the cursor stays where it was");
    assert!(zero(&b.numbers("L0.attn.z[head=2]")));
    assert_ne!(b.bits("logits"), logits);
    assert_eq!(b.bits("logits@main"), logits);
    assert_eq!(b.bits("L0.attn.z@main"), z);
    assert_eq!(b.bits("L0.attn.q"), b.bits("L0.attn.q@main"), "what does not depend on it is the same");
    let main = (false, "main".to_string(), String::new(), String::new());
    let edit1 = ("└─ edit1".into(), "main at blocks.0.attn.pattern".into(), "set L0.attn.pattern[head=2] = 0".into());
    let edit1 = (true, edit1.0, edit1.1, edit1.2);
    assert_eq!(branches(&mut b), [main.clone(), edit1]);
    assert_eq!(b.text("checkout main"), "On branch main at op 49");
    assert_eq!(b.bits("logits"), logits);
    b.script("checkout edit1\nreverse-step 20\nset L1.mlp.post = 1");
    assert_eq!(branches(&mut b)[2].2, "edit1 at blocks.1.mlp.post", "a branch of a branch");
    assert_eq!(b.fail("checkout nowhere"), "no branch \"nowhere\"; choose from main, edit1, edit2");
}

#[test]
fn an_edit_of_the_value_at_the_cursor_or_of_one_to_come_stands_in_place() {
    let mut b = bench("start\nuntil L0.attn.z");
    assert_eq!(b.text("set $cursor[head=1, pos=\" the\"] *= 2"), "Changed blocks.0.attn.z.");
    assert_eq!(b.text("set L1.mlp.out = 0"), "Changed blocks.1.mlp.out; takes effect when it is computed.");
    b.run("continue");
    assert_eq!(branches(&mut b).len(), 1);
    assert!(zero(&b.numbers("L1.mlp.out")));
    assert_eq!(b.bits("L1.resid_post"), b.bits("L1.resid_mid"));
    let edits = b.table("info edits");
    let what: Vec<&Cell> = edits.rows.iter().map(|row| &row[1]).collect();
    assert_eq!(what, [&Cell::Text("blocks.0.attn.z".into()), &Cell::Text("blocks.1.mlp.out".into())]);
    // Once the cursor has gone back, the value has been read: the same edit makes a branch.
    b.run("goto L0.attn.z");
    assert!(b.text("set $cursor = 0").starts_with("Changed blocks.0.attn.z; branch edit1"));
}

#[test]
fn an_edit_of_a_token_is_the_prompt_with_that_token() {
    let mut b = bench("run");
    let before = b.bits("logits");
    assert_eq!(b.text("set tokens[1] = \" the\""), "Changed the input; branch edit1; 49 ops computed again.");
    assert_eq!(b.number("tokens[1]"), 261.0);
    let mut fresh = Bench::new("gpt2", &[NURSE]);
    fresh.script("set tokens[1] = 261\nrun");
    assert_eq!(b.everything(), fresh.everything());
    assert_eq!(b.bits("logits@main"), before);
    assert_eq!(b.number("tokens@main[1]"), 269.0);
}

#[test]
fn another_prompt_changes_the_length_of_its_row_only() {
    for replacement in ["The nurse and the king and the other dog", "The dog"] {
        let mut b = bench("run");
        let before = b.bits("logits");
        b.run(&format!("set prompt {replacement}"));
        let mut fresh = Bench::new("gpt2", &[replacement]);
        fresh.run("run");
        assert_eq!(b.everything(), fresh.everything(), "{replacement}");
        assert_eq!(b.bits("logits@main"), before);
        b.script("focus pos=1\nundo");
        assert_eq!(b.bits("logits"), before);
        b.script("redo\nset prompt \"The \\\"dog\\\"\"");
    }
    let mut b = Bench::new("gpt2", &[NURSE, "the king said"]);
    b.script("run\nfocus row=1\nset prompt The dog");
    let mut fresh = Bench::new("gpt2", &[NURSE, "The dog"]);
    fresh.run("run");
    assert_eq!(b.everything(), fresh.everything(), "the other row stays");
    // The focus may stand beyond the end of a shorter prompt.
    let mut b = bench("run\nset prompt The dog\nset prompt The nurse and the other dog\nfocus pos=7\nundo");
    assert_eq!(b.bits("logit"), b.bits("logits[-1]"));
}

#[test]
fn an_edit_of_a_weight_is_an_overlay_of_its_branch() {
    let mut b = bench("run");
    let (logits, weight) = (b.bits("logits"), b.numbers("param(\"L1.attn.W_O\")[2]"));
    let said = b.text("set param(\"L1.attn.W_O\")[2] *= -1");
    assert!(said.starts_with("Changed weight blocks.1.attn.W_O; branch edit1; "), "{said}");
    assert_eq!(b.numbers("param(\"L1.attn.W_O\")[2]"), weight.iter().map(|w| -w).collect::<Vec<_>>());
    assert_eq!(b.bits("L1.attn.z"), b.bits("L1.attn.z@main"));
    let (now, then) = (b.numbers("L1.attn.result[head=2]"), b.numbers("L1.attn.result@main[head=2]"));
    assert_eq!(now, then.iter().map(|x| -x).collect::<Vec<_>>());
    assert_ne!(b.bits("logits"), logits);
    b.run("checkout main");
    assert_eq!(b.numbers("param(\"L1.attn.W_O\")[2]"), weight);
    assert_eq!(b.bits("logits"), logits);
    let mut pending = bench("start\nset param(\"L1.attn.W_O\")[2] *= -1\ncontinue");
    assert_eq!(branches(&mut pending).len(), 1, "nothing had read it yet");
    b.run("checkout edit1");
    assert_eq!(pending.everything(), b.everything());
}

#[test]
fn undo_and_redo_go_through_commands_one_by_one() {
    let mut b = bench("run");
    let mut states = vec![b.everything()];
    let commands = ["ablate L1", "set tokens[2] = 300", "set param(\"W_U\") *= 0.5", "set $cursor += 1", "ablate L0H2"];
    for command in commands {
        b.run(command);
        states.push(b.everything());
    }
    assert!(states.windows(2).all(|pair| pair[0] != pair[1]));
    for (state, command) in states[..5].iter().zip(commands).rev() {
        assert_eq!(b.text("undo"), format!("Took back: {command}"));
        assert_eq!(&b.everything(), state);
    }
    assert_eq!(b.fail("undo"), "nothing to undo");
    for (state, command) in states[1..].iter().zip(commands) {
        assert_eq!(b.text("redo"), format!("Made again: {command}"));
        assert_eq!(&b.everything(), state);
    }
    assert_eq!(b.fail("redo"), "nothing to redo");
}

#[test]
fn an_edit_that_changes_nothing_is_warned_about() {
    let mut b = bench("run");
    let warning = "\nwarning: this changed nothing: the new value is the old one";
    for edit in [
        "set L0.mlp.out *= 1",
        "set $cursor[0] += 0",
        "set tokens[5] = \" the\"",
        "set param(\"W_pos\") *= 1",
        "set L0.attn.pattern[q=0, k=3] = 0",
    ] {
        let said = b.text(edit);
        assert!(said.ends_with(warning), "{edit}: {said}");
        b.run("checkout main");
    }
    assert!(!b.text("set L0.mlp.out *= 2").contains("warning"));
    assert!(!b.text("set tokens[5] = \" do\"").contains("warning"));
    assert!(!b.text("ablate L1").contains("warning"));
}

#[test]
fn an_ablation_takes_out_a_head_neurons_a_site_a_module_or_a_block() {
    let mut b = bench("run");
    b.run("ablate L1H0");
    assert!(zero(&b.numbers("L1.attn.z[head=0]")));
    assert_eq!(b.bits("L1.attn.z[head=1:]"), b.bits("L1.attn.z@main[head=1:]"));
    b.script("checkout main\nablate L0.mlp.post[neuron=0:8]");
    assert!(zero(&b.numbers("L0.mlp.post[neuron=0:8]")));
    assert_eq!(b.bits("L0.mlp.post[neuron=8:]"), b.bits("L0.mlp.post@main[neuron=8:]"));
    b.script("checkout main\nablate L0.attn.z[pos=3]");
    assert!(zero(&b.numbers("L0.attn.z[pos=3]")));
    b.script("checkout main\nablate L*.attn_out");
    assert_eq!(b.bits("L0.resid_mid"), b.bits("L0.resid_pre"));
    assert_eq!(b.bits("L1.resid_mid"), b.bits("L1.resid_pre"));
    b.script("checkout main\nablate L1.mlp");
    assert!(zero(&b.numbers("L1.mlp.out")));
    assert_eq!(b.bits("L1.resid_post"), b.bits("L1.resid_mid"));
    b.script("checkout main\nablate L0");
    assert_eq!(b.bits("L0.resid_post"), b.bits("L0.resid_pre"), "a block adds nothing");
    b.run("undo");
    assert_eq!(b.bits("logits"), b.bits("logits@main"), "one command, one undo");
}

#[test]
fn an_ablation_can_put_the_mean_or_another_row_in_place() {
    let mut b = Bench::new("gpt2", &[NURSE, "the king and the other dog"]);
    b.script("run\nablate L1H3 mean");
    let before = b.numbers("mean_over(L1.attn.z@main[head=3], pos)");
    for pos in 0..8 {
        let after = b.numbers(&format!("L1.attn.z[head=3, pos={pos}]"));
        // Two float32 means of the same eight numbers.
        assert!(after.iter().zip(&before).all(|(a, b)| (a - b).abs() < 1e-6));
    }
    b.script("checkout main\nablate L0.mlp.post resample");
    let whole = b.numbers("all(L0.mlp.post)");
    let (first, second) = whole.split_at(whole.len() / 2);
    b.run("checkout main");
    let original = b.numbers("all(L0.mlp.post)");
    assert_eq!(second, &original[..original.len() / 2]);
    assert_eq!(first, &original[original.len() / 2..]);
    assert_eq!(
        bench("run").fail("ablate L0.attn.z resample"),
        "resample takes the value from the next row, and there is one row only: give -p twice"
    );
}

#[test]
fn a_wrong_edit_leaves_everything_as_it_was() {
    let mut b = bench("run\nset L0.attn.z[pos=7] *= 2\ngoto L1.attn.z");
    let all = b.everything();
    let table = branches(&mut b);
    for wrong in [
        "set L0.attn.z = L0.attn.q[:3]",
        "set L0.attn.z[99] = 0",
        "set L0.attn.z[foo=1] = 0",
        "set L0.attn.z[pos=::2] = 0",
        "set L0.attn.z[dim=::-1] = L0.attn.q",
        "set L0.attn.z = \"a\"",
        "set L0.attn.result = 0",
        "set logits = L0.resid_pre",
        "set logits@main = 0",
        "set nothing = 0",
        "set tokens[0] = 9999",
        "set tokens[0] = -1",
        "set tokens[0] = 1.5",
        "set tokens[0] = \" nosuchtoken\"",
        "set tokens[99] = 1",
        "set param(\"nothing\") = 0",
        "set param(\"W_E\")[0] = L0.attn.q",
        "set prompt \"\"",
        "set prompt The dog",
        "ablate L0H9",
        "ablate tokens",
        "ablate L0H1 pos=3",
        "ablate L0.attn.z[99]",
        "ablate L0.attn.z median",
        "checkout nowhere",
        "redo",
    ] {
        b.fail(wrong);
        assert_eq!(b.everything(), all, "{wrong}");
        assert_eq!(branches(&mut b), table, "{wrong}");
        assert_eq!(b.cursor(), 34, "{wrong}");
    }
    assert_eq!(
        b.fail("set prompt The dog"),
        "the edit \"set L0.attn.z[pos=7] *= 2\" does not fit an input of 3 tokens; take it back with \"undo\" first"
    );
}
