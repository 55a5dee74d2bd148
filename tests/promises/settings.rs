//! Promise: settings come from one table; each can be shown, set, set for one command, and is told of when misspelt.

use llmdbg::answer::Answer;
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
fn a_setting_says_where_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("llmdbg")).unwrap();
    let file = folder.path().join("llmdbg/settings.toml");
    std::fs::write(&file, "list-size = 4\n[generation]\nseed = 7\ntop-p = 9\n").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_llmdbg"));
        command.args(arguments).env("XDG_CONFIG_HOME", folder.path());
        let output = command.output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let ask = ["show list-size", "show generation seed", "set list-size 5", "show list-size", "show record-budget"];
    let mut arguments = vec!["-batch", "--device", "cpu", "--record-budget", "1MiB"];
    arguments.extend(ask.iter().flat_map(|line| ["-ex", line]));
    let (out, err) = run(&arguments);
    assert_eq!(
        out.lines().collect::<Vec<_>>(),
        [
            "list-size is 4 (settings.toml:1; the default is 10)",
            "generation seed is 7 (settings.toml:3; the default is 0)",
            "list-size is 5 (set; the default is 10)",
            "record-budget is 1048576 (--record-budget; the default is 2147483648)",
        ]
    );
    let file = file.display();
    assert!(
        err.contains(&format!("{file}:4: top-p must be a number above 0, up to 1, not 9; the default is used")),
        "{err}"
    );
    // -nx leaves the file alone, and --print-config shows what it comes to.
    let (out, err) = run(&["-batch", "-nx", "--device", "cpu", "-ex", "show list-size"]);
    assert_eq!((out.as_str(), err.as_str()), ("list-size is 10\n", ""));
    let (out, _) = run(&["--print-config"]);
    assert!(out.contains("list-size = 4 # settings.toml:1") && out.contains("top-rows = 10 # default"), "{out}");
}

#[test]
fn the_screen_is_chosen_by_commands() {
    let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
    let screen = |b: &mut Bench| b.console.snapshot().screen.clone();
    b.script("layout lens\nset theme light\nset console-rows 5");
    let now = screen(&mut b);
    assert_eq!((now.layout.as_str(), now.theme.as_str(), now.console_rows), ("lens", "light", 5));
    b.run("layout next");
    assert_eq!(screen(&mut b).layout, "diff");
    b.script("layout prev\nlayout prev");
    assert_eq!(screen(&mut b).layout, "attention");
    assert!(b.fail("layout foo").contains("one of program, attention"));
    assert!(b.fail("set layout foo").contains("layout must be a layout"));
    // Tokens take their colours from an attribution, or from any number for each position.
    assert_eq!(screen(&mut b).shades, None);
    b.run("set tokens-by \"norm(L1.resid_post, axis=dim)\"");
    assert!(screen(&mut b).shades.unwrap().title.ends_with("not computed"));
    b.run("run");
    let shades = screen(&mut b).shades.unwrap();
    let wanted = b.numbers("norm(L1.resid_post, axis=dim)");
    assert_eq!(shades.values.into_iter().flatten().collect::<Vec<_>>(), wanted);
    b.script("set tokens-by attribution\nattr saliency");
    let shades = screen(&mut b).shades.unwrap();
    assert!(shades.title.starts_with("saliency of") && shades.values.len() == wanted.len(), "{shades:?}");
    b.run("set tokens[1] = 5");
    assert_eq!(screen(&mut b).shades, None, "the text is another one");
}

#[test]
fn only_what_looks_may_fill_a_pane() {
    let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
    b.run("run");
    let before = (b.everything(), b.console.session.history.len(), b.run("info branches"));
    for line in ["lens", "heads", "layers", "dla", "explain", "info passes", "list", "output max(logits)", "show"] {
        assert!(!matches!(b.console.query(line), Answer::Error(_)), "{line}");
    }
    for line in ["step", "print 1", "ablate L0H0", "save edits x.json", "set $a = 1", "shell ls", "nonsense"] {
        assert!(matches!(b.console.query(line), Answer::Error(_)), "{line}");
    }
    assert_eq!((b.everything(), b.console.session.history.len(), b.run("info branches")), before);
}

#[test]
fn what_is_wrong_with_a_line_is_known_before_it_runs() {
    let b = Bench::new("gpt2", &[crate::common::NURSE]);
    let fault =
        |line: &'static str| b.console.fault_in(line).map(|(span, _)| &line[span.start..span.end.min(line.len())]);
    assert_eq!(fault("prnt logits"), Some("prnt"));
    assert_eq!(fault("print max(logits) )"), Some(")"));
    assert_eq!(fault("break L1.attn.pattern if max("), Some(""));
    for line in ["", "pr", "print", "print max(logits)", "break L1 if 1 > 0", "lens -top 2", "set $x = 3", "step 3"] {
        assert_eq!(fault(line), None, "{line}");
    }
}

#[test]
fn names_may_be_shortened_and_misspelt_ones_are_told() {
    let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
    b.run("set generation temp 2");
    assert_eq!(b.text("show generation temp"), "generation temperature is 2 (set; the default is 0)");
    for (command, part) in [
        ("set list-sise 3", "did you mean list-size?"),
        ("set generation tempreature 3", "did you mean temperature?"),
        ("show warmth", "no setting called warmth"),
        ("set generation warmth 2", "no setting of generation called warmth"),
        ("set list-size", "expected a setting and its value"),
        ("set list-size 3 4", "expected a setting and its value"),
        ("set list-size 0", "list-size must be a whole number of at least 1, not 0"),
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
