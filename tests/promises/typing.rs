//! While a line is typed: what can come next is offered, and what cannot be right is said before Enter.

use crate::common::Bench;

fn bench() -> Bench {
    let mut b = Bench::new("gpt2", &["The nurse and the dog"]);
    b.run("run");
    b
}

fn offered(b: &Bench, line: &str) -> Vec<String> {
    b.console.complete(line, line.len()).1
}

#[test]
fn f37_after_a_group_of_settings_only_its_settings_are_offered_and_then_their_values() {
    let b = bench();
    let of_group = offered(&b, "set generation ");
    assert!(
        of_group.contains(&"temperature".to_string()) && of_group.iter().all(|name| !name.starts_with('L')),
        "{of_group:?}"
    );
    assert_eq!(offered(&b, "set generation te"), ["temperature"]);
    assert_eq!(offered(&b, "set theme "), ["auto", "dark", "high-contrast", "light", "mono"]);
    assert_eq!(offered(&b, "set mouse "), ["off", "on"]);
}

#[test]
fn f37_heads_tokens_files_and_options_are_offered() {
    let mut b = bench();
    assert!(offered(&b, "break L1H").contains(&"L1H0".to_string()));
    let first = b.console.snapshot().tokens[0].text.clone();
    let begun: String = first.chars().take(1).collect();
    assert!(offered(&b, &format!("print logit(\"{begun}")).contains(&format!("{first}\"")), "{first}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("prompts.csv"), "").unwrap();
    std::fs::create_dir(folder.path().join("prompts")).unwrap();
    let typed = format!("source {}/pro", folder.path().display());
    let wanted = ["prompts.csv", "prompts/"].map(|name| format!("{}/{name}", folder.path().display()));
    assert_eq!(offered(&b, &typed), wanted);
    assert!(offered(&b, "lens -t").contains(&"-top".to_string()));
}

#[test]
fn f37_a_site_or_layer_that_there_is_not_is_said_before_enter() {
    let b = bench();
    for (line, wrong) in [
        ("print L1.attn.patern + 1", "no site or module L1.attn.patern"),
        ("break L99.attn.q if 1 > 0", "99"),
        ("print nonsense(logits) ", "nonsense"),
        ("until L1.attn.nothing ", "L1.attn.nothing"),
    ] {
        let fault = b.console.fault_in(line);
        assert!(fault.as_ref().is_some_and(|(_, message)| message.contains(wrong)), "{line}: {fault:?}");
    }
    for line in
        ["print L1.attn.patt", "break L1.attn", "print L1.attn.pattern[head=0]", "print max(logits)", "break L1H0"]
    {
        assert_eq!(b.console.fault_in(line), None, "{line}");
    }
}

#[test]
fn f13_a_stop_points_mark_says_hit_where_it_was_hit_and_nowhere_else() {
    let mut b = bench();
    b.run("start");
    b.run("catch nan");
    let marks = |b: &mut Bench| -> Vec<(usize, bool)> {
        let snapshot = b.console.snapshot();
        let mark = |(op, flags): (usize, &llmdbg::answer::view::OpFlags)| flags.breakpoint.map(|mark| (op, mark.hit));
        snapshot.flags.iter().enumerate().filter_map(mark).collect()
    };
    assert_eq!(marks(&mut b), [], "it is looked at everywhere, and was hit nowhere");
    b.run("break L0.attn.pattern");
    b.run("break L1.attn.pattern");
    b.run("continue");
    assert_eq!(marks(&mut b).iter().map(|(_, hit)| *hit).collect::<Vec<_>>(), [true, false]);
}
