use std::ffi::OsString;

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;
use crate::frontend::Action;
use crate::model::DeviceList;
use crate::tensor::DeviceChoice;

fn parse_words(words: &[&str]) -> Result<Invocation, clap::Error> {
    parse(["llmdbg"].iter().chain(words).map(OsString::from))
}

fn options_of(words: &[&str]) -> Options {
    match parse_words(words) {
        Ok(Invocation::Debug(options)) => *options,
        other => panic!("{words:?}: {other:?}"),
    }
}

fn error_of(words: &[&str]) -> String {
    let error = parse_words(words).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{words:?}");
    error.to_string()
}

#[test]
fn the_definition_is_consistent() {
    Options::command().debug_assert();
}

#[test]
fn nothing_given() {
    let options = options_of(&[]);
    assert_eq!(options.model, None);
    assert_eq!(options.input, Input::default());
    assert_eq!((options.device, options.record_budget, options.init), (DeviceList::default(), 2 << 30, true));
}

#[test]
fn gdb_spellings_and_order() {
    let one = options_of(&["-batch", "-nx", "-q", "-ex", "run", "-x", "a.ldb", "-ex", "step", "m"]);
    let two = options_of(&["--batch", "--nx", "--q", "--ex", "run", "--x", "a.ldb", "--ex", "step", "m"]);
    assert_eq!(one, two);
    assert!(one.batch && !one.init && one.quiet);
    assert_eq!(one.model.as_deref(), Some("m"));
    let command = |text: &str| Action::Command(text.into());
    assert_eq!(one.actions, [command("run"), Action::Script("a.ldb".into()), command("step")]);
    assert_eq!(options_of(&["-ex=run"]).actions, [command("run")]);
}

#[test]
fn values_are_left_alone() {
    let options = options_of(&["-p", "-batch", "-ex", "-nx", "--pair", "-ex", "--", "-batch"]);
    assert_eq!(options.input.prompts, ["-batch"]);
    assert_eq!(options.input.pair.as_deref(), Some("-ex"));
    assert_eq!(options.actions, [Action::Command("-nx".into())]);
    assert_eq!(options.model.as_deref(), Some("-batch"));
    assert!(!options.batch);
}

#[test]
fn inputs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prompt.txt");
    std::fs::write(&file, "from a file\n\n").unwrap();
    let options = options_of(&["-p", "one", "--prompt-file", file.to_str().unwrap(), "-p", "two", "--pad-to", "9"]);
    assert_eq!(options.input.prompts, ["one", "from a file\n", "two"]);
    assert_eq!(options.input.pad_to, Some(9));
    assert_eq!(options_of(&["--tokens", "1, 2,3", "--tokens", "4"]).input.tokens, [vec![1, 2, 3], vec![4]]);
}

#[test]
fn devices_and_sizes() {
    let options =
        options_of(&["--device", "vulkan:1", "--record-budget", "1.5GiB", "--dtype", "f32", "--color", "never"]);
    assert_eq!(options.device, DeviceChoice::Vulkan(1).into());
    assert_eq!(options.record_budget, 3 << 29);
    assert_eq!(options.color, ColorChoice::Never);
}

#[test]
fn mistakes() {
    let cases: [(&[&str], &str); 12] = [
        (&["--device", "tpu"], "unknown device"),
        (&["--record-budget", "lots"], "is not a size"),
        (&["--dtype", "int8"], "use f32 or f16"),
        (&["--tokens", "1,x"], "\"x\" is not a token id"),
        (&["--tokens", "1", "-p", "a"], "cannot be used with"),
        (&["--pair", "b"], "exactly one --prompt, not 0"),
        (&["--pair", "b", "-p", "a", "-p", "c"], "exactly one --prompt, not 2"),
        (&["--prompt-file", "/no/such/file"], "cannot read /no/such/file"),
        (&["--pad-to", "0"], "0 is not in"),
        (&["--tui", "--no-tui"], "cannot be used with"),
        (&["--tui", "-batch"], "cannot be used with"),
        (&["a", "b"], "unexpected argument"),
    ];
    for (words, part) in cases {
        let message = error_of(words);
        assert!(message.contains(part), "{words:?}: {message}");
    }
}

#[test]
fn options_that_do_not_exist_are_refused() {
    for option in ["--quantise", "--remote", "-batches", "--return-child-result"] {
        assert!(error_of(&[option]).contains("unexpected argument"), "{option}");
    }
}

#[test]
fn models_version_and_help() {
    assert_eq!(parse_words(&["models"]).unwrap(), Invocation::Models);
    assert_eq!(options_of(&["./models"]).model.as_deref(), Some("./models"));
    assert_eq!(options_of(&["-p", "models"]).input.prompts, ["models"]);
    let version = parse_words(&["--version"]).unwrap_err();
    assert_eq!((version.exit_code(), version.kind()), (0, ErrorKind::DisplayVersion));
    assert!(version.to_string().contains(env!("CARGO_PKG_VERSION")));
    assert_eq!(parse_words(&["--help"]).unwrap_err().exit_code(), 0);
}

#[test]
fn the_list_of_models_has_families_types_and_reasons() {
    let mut out = Vec::new();
    models::list(&mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    for part in ["  gpt2 gpt-sw3 ", "  apertus arcee bert ", "  f64 f32 f16 ", "network:\n    rwkv rwkv5 "] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn the_frontend_follows_the_surroundings() {
    let terminal = Surroundings { stdin_is_terminal: true, stdout_is_terminal: true, dumb: false };
    let choose = |words: &[&str], around| options_of(words).frontend(around);
    assert_eq!(choose(&[], terminal), Frontend::Tui);
    assert_eq!(choose(&["-batch"], terminal), Frontend::Batch);
    assert_eq!(choose(&["--json"], terminal), Frontend::Batch);
    assert_eq!(choose(&["--no-tui"], terminal), Frontend::Plain);
    let dumb = Surroundings { dumb: true, ..terminal };
    assert_eq!(choose(&[], dumb), Frontend::Plain);
    assert_eq!(choose(&["--tui"], dumb), Frontend::Tui);
    for piped in
        [Surroundings { stdout_is_terminal: false, ..terminal }, Surroundings { stdin_is_terminal: false, ..terminal }]
    {
        assert_eq!(choose(&["--tui"], piped), Frontend::Plain);
    }
}

#[test]
fn only_json_alone_reads_commands_in_batch() {
    assert!(options_of(&["--json"]).reads_input_in_batch());
    assert!(!options_of(&["--json", "-ex", "run"]).reads_input_in_batch());
    assert!(!options_of(&["--json", "-batch"]).reads_input_in_batch());
}
