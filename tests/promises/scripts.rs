//! Scripts: commands of the user's own, conditions, loops, hooks, aliases, and errors with file and line.

use std::process::Stdio;

use crate::common::{NURSE, Ran, batch, ex, json, llmdbg_in};
use crate::parity::fixture;

/// Runs a script file on the bundled model.
fn script(text: &str, more: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.ldb"), text).unwrap();
    let mut all = vec!["-batch", "-nx", "--device", "cpu", "-x", "a.ldb"];
    all.extend(more);
    llmdbg_in(folder.path(), &all, Stdio::null())
}

/// What a script prints that fails nowhere.
fn prints(text: &str) -> String {
    let ran = script(text, &[]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{text}");
    ran.out
}

#[test]
fn if_takes_the_first_branch_whose_condition_holds() {
    for (n, word) in [(1, "one"), (2, "two"), (3, "many"), (4, "many")] {
        let out = prints(&format!(
            "set $n = {n}\nif $n == 1\n  echo one\\n\nelse if $n == 2\n  echo two\\n\nelse\n  if $n > 0\n    echo many\\n\n  end\nend\n"
        ));
        assert_eq!(out, format!("{word}\n"));
    }
}

#[test]
fn conditions_read_the_model() {
    // A pattern is a distribution over keys: its largest element is at most one.
    let text = "run\nif max(L1.attn.pattern) > 1.001\necho impossible\\n\nelse\necho fine\\n\nend\nkill\n";
    assert!(prints(text).contains("fine\n"));
}

#[test]
fn while_repeats_and_can_be_left_and_cut_short() {
    let out = prints(
        "set $i = 0\nwhile $i < 6\n  set $i += 1\n  if $i == 2\n    loop_continue\n  end\n  if $i == 5\n    loop_break\n  end\n  printf \"%d\\n\", $i\nend\n",
    );
    assert_eq!(out, "1\n3\n4\n");
}

#[test]
fn commands_of_the_users_own_take_arguments() {
    let out = prints(
        "define sum\n  if $argc != 2\n    echo two please\\n\n  else\n    printf \"%d\\n\", $arg0 + $arg1\n  end\nend\nsum 1 2\nsum 3\nsum 10 (4*2)\n",
    );
    assert_eq!(out, "3\ntwo please\n18\n");
}

#[test]
fn an_argument_that_was_not_given_is_an_error() {
    let ran = script("define one\n  print $arg0\nend\none\n", &[]);
    assert_eq!(ran.status, 1);
    assert_eq!(ran.err, "a.ldb:2: $arg0 was not given: the call has 0 arguments\na.ldb:4: one: stopped at line 2\n");
}

#[test]
fn help_says_what_document_says() {
    let out = prints(
        "define greet\necho hi\\n\nend\ndocument greet\nSays hi.\nif you call it\nend\nhelp greet\nhelp user-defined\n",
    );
    assert_eq!(out, "Says hi.\nif you call it\ngreet  Says hi.\n");
}

#[test]
fn hooks_run_before_and_after_and_at_stops() {
    let out = prints(
        "define hook-echo\nprintf \"before\\n\"\nend\ndefine hookpost-echo\nprintf \"after\\n\"\nend\necho it\\n\n",
    );
    assert_eq!(out.lines().filter(|line| ["before", "it", "after"].contains(line)).count(), 3, "{out}");
    let out = prints("define hook-stop\necho halt\\n\nend\nbreak L1\nrun\n");
    assert_eq!(out.matches("halt").count(), 1, "{out}");
    let ran = script("define hook-run\nassert 1 > 2\nend\nrun\n", &[]);
    assert_eq!(ran.status, 3, "a hook that fails keeps its command from running");
    assert!(!ran.out.contains("Pass finished"), "{}", ran.out);
}

#[test]
fn a_command_that_runs_itself_is_stopped() {
    let ran = script("define again\nagain\nend\nagain\n", &[]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("again calls itself: commands can call each other at most 256 deep"), "{}", ran.err);
}

#[test]
fn names_of_commands_are_not_taken() {
    let ran = script("define print\nend\n", &[]);
    assert_eq!(
        ran.err.lines().next(),
        Some(
            "a.ldb:1: print is already a command; define hook-print or hookpost-print to run commands before or after it"
        )
    );
    let ran = script("define hook-nothing\nend\n", &[]);
    assert!(ran.err.contains("cannot hook nothing: it is not the full name of a command"), "{}", ran.err);
}

#[test]
fn aliases_stand_for_a_command_and_its_first_arguments() {
    assert_eq!(prints("alias say = echo\nsay hello\\n\nalias\n"), "hello\nalias say = echo\n");
    let ran = script("alias step = next\n", &[]);
    assert!(ran.err.starts_with("a.ldb:1: step is already a command"), "{}", ran.err);
}

#[test]
fn errors_in_blocks_name_the_line_of_the_file() {
    let ran = script("echo a\\n\n\nif 1\n  # why\n\n  print nothing_there\nend\necho b\\n\n", &[]);
    assert_eq!((ran.status, ran.out.as_str()), (1, "a\n"));
    assert!(ran.err.starts_with("a.ldb:6: "), "{}", ran.err);
    let ran = script("while max(\nend\n", &[]);
    assert!(ran.err.starts_with("a.ldb:1: "), "{}", ran.err);
    let ran = script("if 1\necho a\\n\n", &[]);
    assert_eq!(ran.err.lines().next(), Some("a.ldb:1: `if 1` has no `end`"));
}

#[test]
fn with_keep_going_a_loop_goes_on_and_the_status_stays() {
    let ran =
        script("set $i = 0\nwhile $i < 2\nset $i += 1\nprint nothing_there\necho on\\n\nend\n", &["--keep-going"]);
    assert_eq!((ran.status, ran.out.as_str()), (1, "on\non\n"));
}

#[test]
fn source_v_shows_commands() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("b.ldb"), "echo hello\\n\nif 1\necho there\\n\nend\n").unwrap();
    let arguments = ["-batch", "-nx", "--device", "cpu", "-ex", "source -v b.ldb"];
    let ran = llmdbg_in(folder.path(), &arguments, Stdio::null());
    assert_eq!(ran.out, "+echo hello\\n\nhello\n+echo there\\n\nthere\n");
}

#[test]
fn blocks_come_in_one_option_in_several_or_line_by_line() {
    let whole = batch("gpt2", &ex(&["break L1", "commands\nsilent\necho in\\n\nend\nrun"]));
    let parts = batch("gpt2", &ex(&["break L1", "commands", "silent", "echo in\\n", "end", "run"]));
    assert_eq!((whole.status, &whole.out), (0, &parts.out), "{}", whole.err);
    assert!(whole.out.ends_with("in\n"), "{}", whole.out);
    let ran = batch("gpt2", &ex(&["if 1 > 2", "echo no\\n", "else", "echo yes\\n", "end"]));
    assert_eq!((ran.status, ran.out.as_str()), (0, "yes\n"));
    let ran = batch("gpt2", &ex(&["define go\necho gone\\n\nend\ngo"]));
    assert_eq!((ran.status, ran.out.as_str()), (0, "gone\n"));
    let ran = batch("gpt2", &ex(&["while 1 > 0"]));
    assert_eq!((ran.status, ran.err.as_str()), (1, "llmdbg: `while 1 > 0` has no `end`\n"));
}

#[test]
fn json_has_an_object_for_each_command_of_a_block() {
    let (objects, ran) = json("gpt2", &ex(&["if 1", "print 1 + 1", "end"]));
    assert_eq!(ran.status, 0, "{}", ran.err);
    let lines: Vec<&str> = objects.iter().map(|object| object["cmd"].as_str().unwrap()).collect();
    assert_eq!(lines, ["print 1 + 1", "if 1\nprint 1 + 1\nend"]);
}

#[test]
fn a_transcript_has_commands_and_answers_as_they_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("session.txt");
    let begin = format!("transcript {}", file.display());
    let model = fixture("gpt2");
    let mut arguments = vec!["-batch", "-nx", "--device", "cpu", model.to_str().unwrap(), "-p", NURSE];
    let block = "if 1 < 2\nprint 3\nend";
    arguments.extend(ex(&[&begin, "print 1 + 1", block, "echo hi", "transcript off", "print 9"]));
    let ran = llmdbg_in(folder.path(), &arguments, Stdio::null());
    assert_eq!(ran.status, 0, "{}", ran.err);
    let text = std::fs::read_to_string(&file).unwrap();
    for wanted in ["(llmdbg) print 1 + 1\n$1 = 2\n", "(llmdbg) print 3\n$2 = 3\n", "(llmdbg) echo hi\nhi\n"] {
        assert!(text.contains(wanted), "{wanted:?} in {text}");
    }
    assert!(!text.contains("print 9"), "{text}");
    let nowhere = batch("gpt2", &["-ex", "transcript no/such/folder/x"]);
    assert!(nowhere.err.contains("cannot write no/such/folder/x"), "{}", nowhere.err);
    assert!(batch("gpt2", &["-ex", "transcript off"]).err.contains("no transcript is being written"));
}

#[test]
fn what_is_typed_may_run_programs_and_get_answers() {
    let typed = |commands: &[&str]| batch("gpt2", &[&["-p", NURSE][..], &ex(commands)].concat());
    let ran = typed(&["shell echo a b", "!echo c", "run", "pipe info sites | grep -c attn.z", "| echo x\\n | tr x y"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!((&lines[..2], &lines[lines.len() - 2..]), (&["a b", "c"][..], &["2", "y"][..]), "{}", ran.out);
    let failed = typed(&["shell echo out; exit 7"]);
    assert_eq!((failed.status, failed.out.as_str()), (1, "out\n"));
    assert!(failed.err.contains("echo out; exit 7 ended with status 7"), "{}", failed.err);
    // A command that fails is not piped, and its error is told.
    let wrong = typed(&["pipe print nothing_such | cat"]);
    assert_eq!((wrong.status, wrong.out.as_str()), (1, ""));
    assert!(wrong.err.contains("nothing_such"), "{}", wrong.err);
}

#[test]
fn scripts_of_others_may_not_run_programs() {
    let refused = "a.ldb may not run programs: it does not belong to your configuration\n\
                   type the command yourself, or type \"set shell on\" before you run the file";
    for line in ["shell echo owned", "!echo owned", "pipe echo x | cat", "if 1\nshell echo owned\nend"] {
        let ran = script(line, &[]);
        assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{line}");
        assert!(ran.err.contains(refused), "{}", ran.err);
    }
    // Nor by way of what they define, or by lifting the ban themselves.
    for line in [
        "set shell on\nshell echo owned",
        "with shell on -- shell echo owned",
        "define hook-run\nset shell on\nshell echo owned\nend\nrun",
        "alias own = set shell\nown on\nshell echo owned",
    ] {
        let ran = script(line, &["-ex", "show shell"]);
        assert!(ran.status != 0 && !ran.out.contains("owned"), "{line}: {}", ran.out);
    }
    let defined = script("define sly\nshell echo owned\nend", &["-ex", "sly"]);
    assert!(defined.status == 1 && !defined.out.contains("owned"), "{}", defined.out);
    let allowed = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.ldb"), text).unwrap();
        let all = ["-batch", "-nx", "--device", "cpu", "-ex", "set shell on", "-x", "a.ldb"];
        llmdbg_in(folder.path(), &all, Stdio::null())
    };
    assert_eq!(allowed("shell echo fine").out, "fine\n");
}

#[test]
fn the_users_own_init_file_may_run_programs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("llmdbg")).unwrap();
    std::fs::write(folder.path().join("llmdbg/init.ldb"), "shell echo mine\n").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_llmdbg"))
        .args(["-batch", "--device", "cpu"])
        .env("XDG_CONFIG_HOME", folder.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "mine\n", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn answers_are_logged_while_logging_is_on() {
    let folder = tempfile::tempdir().unwrap();
    let model = fixture("gpt2");
    let file = folder.path().join("log.txt");
    let ran = |commands: &[&str]| {
        let all =
            [&["-batch", "-nx", "--device", "cpu", model.to_str().unwrap(), "-p", NURSE][..], &ex(commands)].concat();
        llmdbg_in(folder.path(), &all, Stdio::null())
    };
    ran(&[
        "set logging file log.txt",
        "print 1",
        "set logging enabled on",
        "print 2",
        "echo hi\\n",
        "set logging enabled off",
        "print 3",
    ]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "$2 = 2\nhi\n");
    ran(&["set logging file log.txt", "set logging enabled on", "print 4"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "$2 = 2\nhi\n$1 = 4\n");
    ran(&["set logging file log.txt", "set logging overwrite on", "set logging enabled on", "print 5"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "$1 = 5\n");
    let wrong = ran(&["set logging file none/x", "set logging enabled on"]);
    assert!(wrong.status == 1 && wrong.err.contains("cannot write none/x"), "{}", wrong.err);
}

#[test]
fn f24_keep_going_counts_at_the_prompt_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.ldb"), "frob\necho after\\n\n").unwrap();
    let arguments =
        |more: &[&'static str]| [&["--no-tui", "-q", "-nx", "--device", "cpu", "-x", "a.ldb"], more].concat();
    let ran = |more: &[&'static str]| llmdbg_in(folder.path(), &arguments(more), Stdio::null());
    assert!(!ran(&[]).out.contains("after"));
    assert!(ran(&["--keep-going"]).out.contains("after"));
}
