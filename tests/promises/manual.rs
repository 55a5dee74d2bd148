//! Promise: the manual says what the program does. The command reference is made from the tables of the program, the
//! names of sites, weights and keys are compared with it, and every example is run.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process;

use llmdbg::commands::{ALL, COUNTERPARTS, Command, Repeats, SETTINGS, Setting, commands};
use llmdbg::lang::eval::FUNCTIONS;
use llmdbg::model::bundled::{BUNDLED, Bundled};
use llmdbg::model::role::Role;
use llmdbg::model::{ModelSource, load};
use llmdbg::program::compile;
use llmdbg::tensor::Device;
use regex::Regex;

/// Groups of functions, each with its first one.
const FUNCTION_GROUPS: [(&str, &str); 9] = [
    ("Of each element", "abs"),
    ("Of many elements", "min"),
    ("Of two values", "dot"),
    ("Distributions", "softmax"),
    ("Order", "topk"),
    ("Shape and choice", "shape"),
    ("Tokens and classes", "tok"),
    ("Predictions", "logit"),
    ("The model", "param"),
];

const HEAD: &str = "\
# Commands and functions

This page is made from the tables of the program; `help` shows the same. How locations (`LOC`) and expressions (`EXPR`)
are written is described in [language.md](language.md). `[ ]` may be left out, `...` may be repeated, `|` separates choices.

A command may be shortened as long as only one begins so; the short forms given here always win. Besides these commands
there is `source FILE`, which runs a script ([scripts.md](scripts.md)).
";

pub fn page(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

pub fn read(name: &str) -> String {
    fs::read_to_string(page(name)).unwrap_or_default()
}

fn group<'a>(groups: &[(&'a str, &str)], first: &str) -> Option<&'a str> {
    groups.iter().find(|(_, name)| *name == first).map(|(title, _)| *title)
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).chain(['.']).collect())
}

/// What the page says of one command.
fn entry(out: &mut String, command: &Command) {
    let short: Vec<String> = command.short.iter().map(|short| format!("`{short}`")).collect();
    let short = if short.is_empty() { String::new() } else { format!(" ({})", short.join(", ")) };
    let repeats = if command.repeats != Repeats::Not { " An empty line at a prompt repeats it." } else { "" };
    write!(out, "\n### {}{short}\n\n```text\n{}\n```\n\n", command.name, command.usage).unwrap();
    let help = if command.help.is_empty() { String::new() } else { format!(" {}", command.help) };
    writeln!(out, "{}{help}{repeats}", sentence(command.about)).unwrap();
    if let Some(words) = command.words() {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        writeln!(out, "\nThe first word is one of {}.", words.join(", ")).unwrap();
    }
    for kind in command.kinds(&ALL) {
        write!(out, "\n- `{}`: {}", kind.name, kind.about).unwrap();
    }
    if !command.kinds(&ALL).is_empty() {
        out.push('\n');
    }
    for (option, about) in command.options {
        write!(out, "\n- `{option}`: {about}").unwrap();
    }
    if !command.options.is_empty() {
        out.push('\n');
    }
    for example in command.examples {
        out.push_str("\n```text\n");
        example.lines().for_each(|line| writeln!(out, "(llmdbg) {line}").unwrap());
        out.push_str("```\n");
    }
}

/// The page that the tables make.
fn reference() -> String {
    let mut out = HEAD.to_string();
    for group in ALL.groups {
        write!(out, "\n## {}\n", group.title).unwrap();
        group.commands.iter().for_each(|command| entry(&mut out, command));
    }
    out.push_str("\n## Settings\n\n`set NAME VALUE` changes one, `show` tells all.\n\n| setting | takes | at the start | what it does |\n|---|---|---|---|\n");
    for Setting { name, takes, default, about, .. } in SETTINGS {
        writeln!(out, "| `{name}` | {takes} | `{default}` | {about} |").unwrap();
    }
    out.push_str(
        "\n## Functions\n\nAn argument may be given by its name: `max(x, axis=k)`. `logit`, `prob`, `logprob`, ",
    );
    out.push_str("`rank` and `loss` need no brackets.\n");
    for function in FUNCTIONS {
        if let Some(title) = group(&FUNCTION_GROUPS, function.name) {
            write!(out, "\n### {title}\n\n| function | what it gives |\n|---|---|\n").unwrap();
        }
        writeln!(out, "| `{}` | {} |", function.usage(), function.about).unwrap();
    }
    out.push_str("\n## For those who know gdb\n\nA command that only gdb has says what to use instead.\n\n");
    out.push_str("| gdb | here | what differs |\n|---|---|---|\n");
    for known in COUNTERPARTS {
        let ours = if known.ours.is_empty() { String::new() } else { format!("`{}`", known.ours) };
        writeln!(out, "| `{}` | {ours} | {} |", known.gdb, known.differs).unwrap();
    }
    out
}

#[test]
fn the_command_reference_is_current() {
    let known = |groups: &[(&str, &str)], name: &dyn Fn(&str) -> bool| groups.iter().all(|(_, first)| name(first));
    assert!(known(&FUNCTION_GROUPS, &|first| FUNCTIONS.iter().any(|function| function.name == first)));
    let wanted = reference();
    if std::env::var_os("UPDATE_DOCS").is_some_and(|set| set == "1") {
        fs::write(page("commands.md"), &wanted).unwrap();
    }
    assert!(read("commands.md") == wanted, "docs/commands.md is not current: run this test with UPDATE_DOCS=1");
}

/// What stands between backticks in the first column of the tables of a text.
fn first_column(text: &str) -> BTreeSet<String> {
    let code = Regex::new("`([^`]+)`").unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    rows.flat_map(|cell| code.captures_iter(cell).map(|found| found[1].to_string())).collect()
}

/// The part of a page under a heading, up to the next one.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let text = page.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("no section {heading}"));
    text.split("\n## ").next().unwrap()
}

#[test]
fn the_page_on_sites_names_every_site_and_no_other() {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
    let mut sources: Vec<ModelSource> = BUNDLED.iter().map(Bundled::source).collect();
    let folders = fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path());
    sources.extend(folders.filter(|path| path.join("config.json").exists()).map(ModelSource::Path));
    assert!(sources.len() >= 6, "only {} models", sources.len());
    let block = Regex::new(r"^blocks\.\d+\.").unwrap();
    let mut computed = BTreeSet::new();
    for source in sources {
        let model = load(&source, &Device::cpu()).unwrap();
        let program = compile(&model.spec);
        // An encoder besides a decoder has the same names after a prefix, as the page says.
        let own = |site: &String| site.strip_prefix("encoder.").unwrap_or(site).to_owned();
        computed.extend(program.sites().iter().map(|site| block.replace(&own(site), "blocks.{i}.").into_owned()));
    }
    let text = read("sites.md");
    assert_eq!(first_column(section(&text, "Sites")), computed);
    let weights = first_column(section(&text, "Weights"));
    for role in Role::ALL {
        let name = role.name();
        assert!(weights.contains(name) || weights.contains(&format!("blocks.{{i}}.{name}")), "{name}");
    }
    assert_eq!(weights.len(), Role::ALL.len());
}

#[test]
fn the_page_on_the_interface_names_every_key() {
    let keys = fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/keys.toml")).unwrap();
    let keys: toml::Table = keys.parse().unwrap();
    let text = read("interface.md");
    for (action, given) in keys["keys"].as_table().unwrap() {
        let given = given.as_array().unwrap().iter().map(|key| format!("`{}`", key.as_str().unwrap()));
        let row = format!("| {} | `{action}` |", given.collect::<Vec<_>>().join(" "));
        assert!(text.contains(&row), "docs/interface.md has no row {row}");
    }
}

/// The commands of a page and what it says they print.
pub fn examples(text: &str) -> Vec<(String, Vec<String>)> {
    let mut steps: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```text";
        } else if let (true, Some(command)) = (inside, line.strip_prefix("(llmdbg) ")) {
            steps.push((command.to_string(), Vec::new()));
        } else if let (true, Some((_, lines))) = (inside, steps.last_mut()) {
            lines.push(line.to_string());
        }
    }
    steps
}

/// Equal word by word; numbers may differ by one part in a thousand, as another processor adds in another order. A mean that
/// cancels to less than 1e-9 is the rounding of its terms, and any other such number is as good.
pub fn same(found: &str, wanted: &str) -> bool {
    let words = |text: &str| -> Vec<String> { text.split_whitespace().map(String::from).collect() };
    let number = |word: &str| word.trim_matches(['[', ']', ',']).parse::<f64>();
    let (found, wanted) = (words(found), words(wanted));
    let close = |a: &str, b: &str| match (number(a), number(b)) {
        _ if a == b => true,
        (Ok(a), Ok(b)) => (a - b).abs() <= 1e-3 * b.abs() || a.abs().max(b.abs()) < 1e-9,
        _ => false,
    };
    found.len() == wanted.len() && found.iter().zip(&wanted).all(|(a, b)| close(a, b))
}

/// Runs the examples of a page in one session and compares what they print, errors included.
fn check_examples(name: &str) {
    let steps = examples(&read(name));
    assert!(!steps.is_empty(), "{name} has no examples");
    let folder = tempfile::tempdir().unwrap();
    let mut run = process::Command::new("sh");
    run.args(["-c", "exec \"$0\" \"$@\" 2>&1", env!("CARGO_BIN_EXE_llmdbg")]).current_dir(folder.path());
    run.args(["-batch", "-nx", "--keep-going", "--device", "cpu"]);
    for (i, (command, _)) in steps.iter().enumerate() {
        run.arg("-ex").arg(command).arg("-ex").arg(format!("echo @@{i}"));
    }
    let output = run.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    let (mut wrong, mut page) = (String::new(), read(name));
    for (i, (command, wanted)) in steps.iter().enumerate() {
        let end = format!("@@{i}");
        let found: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
        let equal = found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| same(a, b));
        if !equal {
            write!(wrong, "{command}\nprinted\n{}\n{name} says\n{}\n\n", found.join("\n"), wanted.join("\n")).unwrap();
            let step = |lines: &[&str]| [&[&*format!("(llmdbg) {command}")], lines].concat().join("\n") + "\n";
            let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
            page = page.replacen(&step(&wanted), &step(&found), 1);
        }
    }
    if std::env::var_os("UPDATE_DOCS").is_some_and(|set| set == "1") {
        fs::write(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs").join(name), page).unwrap();
        return;
    }
    assert!(wrong.is_empty(), "UPDATE_DOCS=1 writes the page anew\n{wrong}");
}

#[test]
fn the_examples_of_the_manual_print_what_it_says() {
    [
        "language.md",
        "stops.md",
        "branches.md",
        "generation.md",
        "sites.md",
        "limits.md",
        "attribution.md",
        "comparing.md",
        "explaining.md",
        "features.md",
        "investigate.md",
        "directions.md",
    ]
    .into_iter()
    .for_each(check_examples);
}

/// Commands whose examples need a session elsewhere; `remote` has tests of these.
const ELSEWHERE: [&str; 2] = ["target", "disconnect"];

/// Each example of the table, in a session of its own that stands at the start of a pass.
#[test]
fn every_example_of_the_command_table_runs() {
    let folder = tempfile::tempdir().unwrap();
    for command in commands().filter(|command| !ELSEWHERE.contains(&command.name)) {
        for example in command.examples {
            let mut run = process::Command::new(env!("CARGO_BIN_EXE_llmdbg"));
            run.args(["-batch", "-nx", "--device", "cpu", "-ex", "start"]).current_dir(folder.path());
            example.lines().for_each(|line| {
                run.arg("-ex").arg(line);
            });
            let output = run.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            let wanted = if *example == "quit 3" { 3 } else { 0 };
            assert_eq!(output.status.code(), Some(wanted), "{}:\n{example}\n{said}", command.name);
        }
    }
}
