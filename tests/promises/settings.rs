//! Promise: settings come from one table; each can be shown, set, set for one command, and is told of when misspelt.

use llmdbg::commands::SETTINGS;

use crate::common::{Bench, batch, ex};

#[test]
fn each_setting_begins_as_the_manual_says_and_takes_what_it_shows() {
    for setting in SETTINGS {
        let (show, set) = (format!("show {}", setting.name), format!("set {} {}", setting.name, setting.default));
        let nonsense = if setting.takes == "a file name" { "\"\"" } else { "nonsense" };
        let wrong = format!("set {} {nonsense}", setting.name);
        let ran = batch("gpt2", &ex(&[&show, &set, &show]));
        let line = format!("{} is {}", setting.name, setting.default);
        assert_eq!((ran.status, ran.out), (0, format!("{line}\n{line}\n")), "{}", ran.err);
        let ran = batch("gpt2", &ex(&[&wrong]));
        assert!(ran.status == 1 && ran.err.contains(setting.takes), "{}: {}", setting.name, ran.err);
    }
}

#[test]
fn settings_do_what_they_say() {
    let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
    b.script("run\nset list-size 3");
    assert_eq!(b.table("list").rows.len(), 3);
    b.run("set top-rows 4");
    assert_eq!(b.table("print/t logits[-1]").rows.len(), 4);
    assert_eq!(b.table("print/2t logits[-1]").rows.len(), 2);
    let before = b.everything();
    b.run("set record-budget 1KiB");
    assert!(b.text("info record").contains("1.0 KiB"));
    assert_eq!(b.everything(), before);
    assert_eq!(b.table("show").rows.len(), SETTINGS.len());
    assert_eq!(b.run("show"), b.run("info settings"));
    assert_eq!(b.run("show generation"), b.run("info generation"));
}

#[test]
fn names_may_be_shortened_and_misspelt_ones_are_told() {
    let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
    b.run("set generation temp 2");
    assert_eq!(b.text("show generation temp"), "generation temperature is 2");
    for (command, part) in [
        ("set list-sise 3", "did you mean list-size?"),
        ("set generation tempreature 3", "did you mean temperature?"),
        ("show warmth", "no setting called warmth"),
        ("set generation warmth 2", "no setting of generation called warmth"),
        ("set list-size", "expected a setting and its value"),
        ("set list-size 3 4", "expected a setting and its value"),
        ("set list-size 0", "list-size is a whole number from 1 on, not 0"),
        ("show list-size 3", "unexpected word"),
    ] {
        let said = b.fail(command);
        assert!(said.contains(part), "{command}: {said}");
    }
    // A site or variable that only looks like a setting is still one.
    b.script("run\nset $top = 3\nset logits[0, 0] = 1");
    assert_eq!(b.number("$top"), 3.0);
}

#[test]
fn they_are_completed_and_explained() {
    let b = Bench::new("gpt2", &[crate::common::NURSE]);
    let complete = |line: &str| b.console.complete(line, line.len()).1;
    assert_eq!(complete("set rec"), ["record-budget"]);
    assert_eq!(complete("show generation top"), ["top-k", "top-p"]);
    assert!(complete("set resid").iter().any(|name| name.starts_with("resid")) || !complete("set L0.res").is_empty());
    let help = batch("gpt2", &ex(&["help set"])).out;
    SETTINGS.iter().for_each(|setting| assert!(help.contains(setting.about), "{}", setting.name));
}

#[test]
fn one_command_may_have_another_setting() {
    let ran = batch(
        "gpt2",
        &ex(&["run", "with list-size 2 -- list", "show list-size", "with top-rows 1 -- print/t logits[-1]"]),
    );
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.contains("list-size is 10\n"), "{}", ran.out);
    let listed = |out: &str| out.lines().count();
    let whole = batch("gpt2", &ex(&["run", "list", "show list-size", "print/t logits[-1]"]));
    assert_eq!(listed(&whole.out) - listed(&ran.out), 8 + 9);
    // It is put back although the command fails.
    let ran = batch("gpt2", &["--keep-going", "-ex", "with list-size 2 -- print nothing", "-ex", "show list-size"]);
    assert_eq!((ran.status, ran.out.as_str()), (1, "list-size is 10\n"));
    for wrong in ["with list-size 2 list", "with list-size x -- list", "with lost 2 -- list", "with list-size 2 --"] {
        assert_eq!(batch("gpt2", &ex(&[wrong])).status, 1, "{wrong}");
    }
}
