//! Promise: the documents of the project agree with it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use llmdbg::answer::Answer;
use llmdbg::commands::{ALL, COUNTERPARTS, Takes, commands};
use llmdbg::model::checkpoint::gguf_architectures;
use llmdbg::model::families::FAMILIES;
use regex::Regex;
use sha2::Digest as _;

use crate::common::{Bench, NURSE};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let used: BTreeSet<&String> = ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|section| manifest.get(*section)?.as_table())
        .flat_map(toml::Table::keys)
        .collect();
    let page = fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
    let explained: BTreeSet<String> = rows.map(|(name, _)| name.to_string()).filter(|name| name != "library").collect();
    assert_eq!(used, explained.iter().collect());
}

#[test]
fn links_between_pages_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)#]+)(?:#[^)]*)?\)").unwrap();
    let mut pages: Vec<PathBuf> =
        ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "RELEASE-CHECKLIST.md"].map(|name| root().join(name)).to_vec();
    pages.extend(fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    let mut dead = Vec::new();
    let mut seen = 0;
    for page in pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(page).unwrap();
        for target in link.captures_iter(&text).map(|found| found[1].to_string()).filter(|to| !to.contains("://")) {
            seen += 1;
            if !page.parent().unwrap_or(Path::new(".")).join(&target).exists() {
                dead.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(seen >= 5, "only {seen} links found");
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn the_manual_lists_its_pages() {
    let index = fs::read_to_string(root().join("docs/README.md")).unwrap();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || !name.ends_with(".md") || index.contains(&format!("({name})")), "{name}");
    }
}

/// A fixture changes only on purpose: `python -m fixtures` in `tools` writes the manifest.
#[test]
fn the_fixtures_are_those_of_their_manifest() {
    let fixtures = root().join("tests/fixtures");
    let manifest = fs::read_to_string(fixtures.join("MANIFEST")).unwrap();
    let listed: BTreeSet<(String, String)> = manifest
        .lines()
        .map(|line| line.split_once("  ").unwrap())
        .map(|(sum, name)| (name.into(), sum.into()))
        .collect();
    let (mut found, mut folders) = (BTreeSet::new(), vec![fixtures.clone()]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.strip_prefix(&fixtures).unwrap().to_str().unwrap().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if name != "MANIFEST" && name != "README.md" {
                let sum = sha2::Sha256::digest(fs::read(path).unwrap());
                found.insert((name, sum.iter().map(|byte| format!("{byte:02x}")).collect()));
            }
        }
    }
    let wrong: Vec<_> = listed.symmetric_difference(&found).map(|(name, _)| name).collect();
    assert!(wrong.is_empty(), "not as in tests/fixtures/MANIFEST: {wrong:?}");
}

/// The names between backticks or commas of one entry of a page, which begins with `start` and ends with the paragraph.
fn entry(page: &str, start: &str) -> String {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let rest = text.split_once(start).unwrap_or_else(|| panic!("{page} has no entry {start:?}")).1;
    rest.split("\n- ").next().unwrap().split("\n\n").next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Without a text between brackets.
fn plain(text: &str) -> String {
    Regex::new(r" \([^)]*\)").unwrap().replace_all(text, "").into_owned()
}

#[test]
fn the_families_that_are_named_and_counted_are_those_of_the_program() {
    let types: BTreeSet<String> =
        FAMILIES.iter().flat_map(|family| family.model_types()).map(|name| (*name).to_string()).collect();
    let listed = plain(&entry("docs/limits.md", "- Families: "));
    let listed = listed.split('.').next().unwrap().split([',', ';']);
    assert_eq!(listed.map(|name| name.trim().to_string()).collect::<BTreeSet<_>>(), types);
    let page = entry("docs/limits.md", "- GGUF: the architectures ");
    let gguf: BTreeSet<&str> = page.split('.').next().unwrap().split(',').map(str::trim).collect();
    assert_eq!(gguf, gguf_architectures().collect());
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let sentence = format!("Models of {} types", types.len());
    assert!(readme.contains(&sentence), "README.md does not say \"{sentence}\"");
}

#[test]
fn the_readme_denies_nothing_that_exists() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for command in commands() {
        for denial in ["not there yet", "do not exist", "is missing"] {
            let denied = readme.lines().any(|line| line.contains(denial) && line.contains(command.name));
            assert!(!denied, "README.md says of {} that it is \"{denial}\"", command.name);
        }
    }
    assert!(!readme.contains("not there yet"), "limits belong in docs/limits.md, which tests compare with the program");
}

#[test]
fn help_names_every_word_that_a_command_takes_first() {
    let mut bench = Bench::new("gpt2", &[NURSE]);
    for command in commands() {
        let mut words: Vec<&str> = command.kinds(&ALL).iter().map(|kind| kind.name).collect();
        if let Takes::Words(taken) = command.takes {
            words.extend(taken);
        }
        let help = bench.text(&format!("help {}", command.name));
        let named: Vec<&str> = help.split(|c: char| !(c.is_alphanumeric() || c == '-')).collect();
        for word in words {
            assert!(named.contains(&word), "help {} does not name {word}", command.name);
        }
    }
}

/// What gdb and this program both have is not denied in the table for those who know gdb.
#[test]
fn the_gdb_table_knows_every_command_that_exists() {
    for known in COUNTERPARTS.iter().filter(|known| known.ours.is_empty()) {
        assert!(commands().all(|command| command.name != known.gdb), "{} exists", known.gdb);
    }
    let mut bench = Bench::new("gpt2", &[NURSE]);
    let table = bench.text("help gdb");
    assert!(table.contains("help catch lists them"), "{table}");
}

#[test]
fn activations_are_saved_in_the_formats_that_the_limits_name() {
    let listed = entry("docs/limits.md", "- Activations are saved as ");
    let mut bench = Bench::new("gpt2", &[NURSE]);
    bench.run("run");
    let folder = tempfile::tempdir().unwrap();
    for (extension, works) in [("safetensors", true), ("npz", true), ("pt", false), ("csv", false)] {
        let file = folder.path().join(format!("a.{extension}"));
        let outcome = bench.outcome(&format!("save activations {} L0.attn.z", file.display()));
        assert_eq!(!matches!(outcome.answer, Answer::Error(_)), works, "{extension}");
        assert_eq!(listed.contains(extension), works, "docs/limits.md: {listed}");
    }
}
