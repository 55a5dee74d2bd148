//! Promise: `diagnose` finds what is wrong, ranks it, and finds nothing where nothing is wrong.

use llmdbg::answer::{Answer, Cell, Table};

use crate::common::{Bench, NURSE, batch, ex};

/// Findings: severity, what, where.
fn findings(table: &Table) -> Vec<(String, String, String)> {
    let text = |cell: &Cell| if let Cell::Text(text) = cell { text.clone() } else { String::new() };
    table.rows.iter().map(|row| (text(&row[0]), text(&row[1]), text(&row[2]))).collect()
}

fn diagnosed(b: &mut Bench, options: &str) -> Vec<(String, String, String)> {
    findings(&b.table(&format!("diagnose -all {options}")))
}

/// A trained model on a text of its kind.
fn trained() -> Bench {
    Bench::new("tiny-gpt2", &["When Mary and John went to the store, John gave a drink to"])
}

#[test]
fn a_sound_model_has_no_errors_and_no_warnings() {
    let mut b = trained();
    b.run("run");
    let before = b.everything();
    for options in ["", "-deep"] {
        let found = diagnosed(&mut b, options);
        assert!(found.iter().all(|(severity, ..)| severity != "error" && severity != "warning"), "{found:?}");
    }
    assert_eq!(b.everything(), before);
    assert!(!matches!(b.run("diagnose -fail warning"), Answer::Error(_)));
}

#[test]
fn each_fault_is_found_by_its_rule_and_at_its_place() {
    // A command that makes the fault, options, and what is found where, with its severity.
    let faults = [
        ("set param(\"L1.mlp.W_out\")[3] = 0 / 0", "", "error", "a weight holds NaN", "blocks.1.mlp.W_out"),
        ("set param(\"L1.mlp.W_out\")[3] = 0 / 0", "", "error", "are computed here first", "blocks.1.mlp.out"),
        ("set param(\"L1.mlp.W_out\") = 0", "", "warning", "a weight matrix is zero", "blocks.1.mlp.W_out"),
        ("set L1.resid_pre[0, 0] = 1e300 * 1e300", "", "error", "are computed here first", "blocks.1.resid_pre"),
        ("set L1.resid_pre[0, 0] = 60000", "", "warning", "near the end of f16", "blocks.1.resid_pre"),
        ("set L1.resid_pre[0, 0] = 20000", "", "note", "a massive activation", "blocks.1.resid_pre"),
        ("set L1.resid_pre = 1e-9", "", "error", "the residual stream has vanished", "blocks.1.resid_pre"),
        ("set L1.mlp_out = 1000", "", "warning", "one block multiplies", "blocks.1.resid_post"),
        ("set L1.attn.q[head=2] = 0", "", "note", "a head attends uniformly", "L1H2"),
        ("set L1.attn.scores[head=2] *= 1000", "", "note", "one token almost alone", "L1H2"),
        ("set L1.mlp.post = 0", "", "warning", "most neurons of an MLP are silent", "blocks.1.mlp.post"),
        ("set logits = 0", "", "warning", "next to uniform", "logits"),
        ("set logits *= -1", "", "error", "above that of guessing", "loss"),
        ("set param(\"W_U\") *= 1e-9", "-deep", "warning", "the gradient vanishes", "blocks.0.resid_post"),
        ("set param(\"W_U\") *= 1e7", "-deep", "warning", "the gradient explodes", "blocks.0.resid_post"),
    ];
    for (fault, options, severity, what, at) in faults {
        let mut b = trained();
        b.run("run");
        let sound = diagnosed(&mut b, options);
        let is_it = |one: &(String, String, String)| one.1.contains(what);
        let place = |found: &[(String, String, String)]| {
            let from = found.iter().position(is_it);
            // Places of a finding follow its first row, without words of their own.
            from.map(|from| {
                let rest = found[from + 1..].iter().take_while(|(_, what, _)| what.is_empty());
                std::iter::once(&found[from]).chain(rest).map(|one| one.2.clone()).collect::<Vec<_>>()
            })
        };
        assert!(!place(&sound).unwrap_or_default().iter().any(|known| known == at), "{what} at {at} before {fault}");
        b.run(fault);
        if !b.console.session.run.at_end() {
            b.run("continue");
        }
        let found = diagnosed(&mut b, options);
        let places = place(&found).unwrap_or_else(|| panic!("{fault}: no {what} in {found:?}"));
        assert!(places.iter().any(|known| known == at), "{fault}: {what} at {places:?}, not {at}");
        assert_eq!(found.iter().find(|one| is_it(one)).map(|one| one.0.as_str()), Some(severity), "{fault}");
    }
}

#[test]
fn findings_are_ranked_and_decide_the_status() {
    let mut b = trained();
    b.script("run\nset param(\"L1.mlp.W_out\") = 0\nset logits *= -1");
    let severities: Vec<String> =
        diagnosed(&mut b, "").into_iter().map(|one| one.0).filter(|word| !word.is_empty()).collect();
    let rank = |word: &String| ["error", "warning", "note"].iter().position(|known| known == word).unwrap();
    assert!(severities.windows(2).all(|pair| rank(&pair[0]) <= rank(&pair[1])), "{severities:?}");
    assert!(severities.contains(&"error".to_string()) && severities.contains(&"warning".to_string()));
    assert!(b.fail("diagnose -fail error").contains("above that of guessing"));
    let ran = batch("gpt2", &ex(&["run", "set param(\"L1.mlp.W_out\") = 0", "diagnose -fail warning"]));
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("a weight matrix is zero"), "{}", ran.err);
    assert!(b.fail("diagnose -fail terrible").contains("error, warning, or note"));
}

#[test]
fn tokens_that_the_model_does_not_expect_are_a_finding_and_half_a_pass_is_refused() {
    let mut b = Bench::new("tiny-gpt2", &["When Mary and John went to the store, John gave a drink to "]);
    b.run("run");
    let found = diagnosed(&mut b, "");
    assert!(found.iter().any(|one| one.0 == "warning" && one.2.contains("ends with a space")), "{found:?}");
    let mut b = Bench::new("gpt2", &[NURSE]);
    assert!(b.fail("diagnose").contains("a complete pass"));
    b.run("until L1");
    assert!(b.fail("diagnose").contains("a complete pass"));
    // Models without a loss, and texts of one token, are checked as far as the rules fit.
    for (name, text) in
        [("bert-seqcls", "fine"), ("gpt2", "a"), ("bert-mlm", "a [MASK]"), ("qwen3_moe", "a b c d e f g")]
    {
        let mut b = Bench::new(name, &[text]);
        b.run("run");
        diagnosed(&mut b, "-deep");
    }
}
