//! Promise: the recipes of the cookbook work. Each is a script in `tests/scripts`, run by the program; its transcript lies
//! beside it, and the page shows the transcript whole, in order.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::manual::{examples, page, read, same};

/// The recipes in the order of the page. Scripts of one recipe share a folder, so that one finds what the other wrote.
const RECIPES: [&[&str]; 15] = [
    &["nan"],
    &["blowup"],
    &["head"],
    &["steering"],
    &["redirect"],
    &["export", "reload"],
    &["bisect"],
    &["bias"],
    &["popcorn"],
    &["induction"],
    &["names"],
    &["graph"],
    &["why"],
    &["feature"],
    &["erasing"],
];

/// A command and what it prints.
type Step = (String, Vec<String>);

fn file(name: &str, ending: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts").join(format!("{name}.{ending}"))
}

/// The options that the first line of a script asks for, `# llmdbg OPTIONS`, and its commands.
fn script(name: &str) -> (String, Vec<String>) {
    let text = fs::read_to_string(file(name, "ldb")).unwrap();
    let options = text.lines().next().and_then(|line| line.strip_prefix("# llmdbg"));
    let options = options.unwrap_or_else(|| panic!("{name} does not say how it is run")).to_string();
    let commands = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    (options, commands.map(String::from).collect())
}

/// What the program prints, output and errors as they come, and its status.
fn run(folder: &Path, options: &str, actions: &[String]) -> (Vec<String>, Option<i32>) {
    let line = format!("exec \"$0\" -batch -nx --device cpu {options} \"$@\" 2>&1");
    let mut shell = Command::new("sh");
    shell.args(["-c", &line, env!("CARGO_BIN_EXE_llmdbg")]).args(actions).current_dir(folder);
    let output = shell.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (text.lines().map(String::from).collect(), output.status.code())
}

/// Runs a script command by command.
fn steps(folder: &Path, name: &str) -> Vec<Step> {
    let (options, commands) = script(name);
    let marked = |(i, command): (usize, &String)| ["-ex".into(), command.clone(), "-ex".into(), format!("echo @@{i}")];
    let actions: Vec<String> = commands.iter().enumerate().flat_map(marked).collect();
    let (lines, _) = run(folder, &options, &actions);
    let mut lines = lines.into_iter();
    let step = |(i, command)| (command, lines.by_ref().take_while(|line| *line != format!("@@{i}")).collect());
    commands.into_iter().enumerate().map(step).collect()
}

fn transcript(steps: &[Step]) -> String {
    let mut text = String::new();
    for (command, lines) in steps {
        writeln!(text, "(llmdbg) {command}").unwrap();
        lines.iter().for_each(|line| writeln!(text, "{line}").unwrap());
    }
    text
}

/// The page with what its commands print exchanged for what `steps` say.
fn with_output(text: &str, mut steps: impl Iterator<Item = Step>) -> String {
    let mut out = String::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```text";
        } else if inside {
            if line.starts_with("(llmdbg) ") {
                let step = steps.next().unwrap_or_else(|| panic!("no script has {line}"));
                out.push_str(&transcript(&[step]));
            }
            continue;
        }
        writeln!(out, "{line}").unwrap();
    }
    out
}

/// A folder with the files of prompts that recipes read.
fn with_prompts() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let prompts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/prompts");
    for entry in fs::read_dir(prompts).unwrap().map(|entry| entry.unwrap()) {
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

fn noted(name: &str) -> Vec<Step> {
    examples(&format!("```text\n{}```\n", fs::read_to_string(file(name, "txt")).unwrap_or_default()))
}

fn update() {
    let mut all = Vec::new();
    for recipe in RECIPES {
        let folder = with_prompts();
        for name in recipe {
            let steps = steps(folder.path(), name);
            fs::write(file(name, "txt"), transcript(&steps)).unwrap();
            all.extend(steps);
        }
    }
    fs::write(page("cookbook.md"), with_output(&read("cookbook.md"), all.into_iter())).unwrap();
}

#[test]
fn the_recipes_of_the_cookbook_work() {
    if std::env::var_os("UPDATE_DOCS").is_some_and(|set| set == "1") {
        update();
    }
    let mut shown = examples(&read("cookbook.md")).into_iter();
    for recipe in RECIPES {
        let folder = with_prompts();
        for name in recipe {
            let (options, commands) = script(name);
            let noted = noted(name);
            let given: Vec<&String> = noted.iter().map(|(command, _)| command).collect();
            assert_eq!(given, commands.iter().collect::<Vec<_>>(), "{name}.txt has other commands than {name}.ldb");
            let file = file(name, "ldb").display().to_string();
            let (found, status) = run(folder.path(), &options, &["-x".into(), file]);
            let wanted: Vec<&String> = noted.iter().flat_map(|(_, lines)| lines).collect();
            let equal = found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| same(a, b));
            assert!(equal, "{name}.ldb prints\n{}\nand not what {name}.txt says", found.join("\n"));
            assert_eq!(status, Some(0), "{name}");
            let page: Vec<Step> = shown.by_ref().take(noted.len()).collect();
            assert!(page == noted, "docs/cookbook.md does not show {name}.txt: run this test with UPDATE_DOCS=1");
        }
    }
    assert_eq!(shown.next(), None, "docs/cookbook.md has commands of no script");
}

/// A script that nobody runs proves nothing.
#[test]
fn every_script_is_a_recipe() {
    let mut files: Vec<String> = fs::read_dir(file("nan", "ldb").parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "ldb"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    files.sort();
    let mut named: Vec<&str> = RECIPES.iter().flat_map(|recipe| recipe.iter().copied()).collect();
    named.sort_unstable();
    assert_eq!(files, named);
}
