//! Promise: the documents of the project agree with it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use llmdbg::answer::Answer;
use llmdbg::cli;
use llmdbg::commands::{ALL, COUNTERPARTS, Takes, commands};
use llmdbg::model::checkpoint::{StoredType, gguf_architectures, gguf_types, loadable};
use llmdbg::model::families::{FAMILIES, with_text_part};
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

/// The text of one entry of a page, which begins with `start` and ends with the paragraph.
fn entry(page: &str, start: &str) -> String {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let rest = text.split_once(start).unwrap_or_else(|| panic!("{page} has no entry {start:?}")).1;
    rest.split("\n- ").next().unwrap().split("\n\n").next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the program can open, as a table.
fn opened() -> String {
    let families = FAMILIES.iter().flat_map(|family| family.model_types()).copied();
    let gguf: BTreeSet<&str> = gguf_types().map(StoredType::name).collect();
    let list = |names: &mut dyn Iterator<Item = &'static str>| names.collect::<Vec<_>>().join(", ");
    let rows = [
        ("families, by `model_type`", list(&mut families.clone())),
        ("models that read images too, of which the text part is opened", list(&mut with_text_part())),
        ("files", "safetensors, GGUF, PyTorch (`.bin`, `.pt`, `.pth`), each single or sharded".into()),
        ("architectures of GGUF files", list(&mut gguf_architectures())),
        ("types of tensors in GGUF files", list(&mut loadable().filter(|name| gguf.contains(name)))),
        (
            "types of tensors in other files",
            list(
                &mut loadable()
                    .filter(|name| !name.contains('_') || name.starts_with("f8"))
                    .filter(|name| *name != "mxfp4"),
            ),
        ),
    ];
    let rows = rows.map(|(what, names)| format!("| {what} | {names} |\n"));
    format!("| what | names |\n|---|---|\n{}", rows.concat())
}

#[test]
fn the_families_types_and_containers_that_are_named_and_counted_are_those_of_the_program() {
    let (begin, end) = ("<!-- what can be opened -->\n", "<!-- end of what can be opened -->\n");
    let (page, readme) = (root().join("docs/limits.md"), root().join("README.md"));
    let (mut limits, mut first) = (fs::read_to_string(&page).unwrap(), fs::read_to_string(&readme).unwrap());
    let count = FAMILIES.iter().map(|family| family.model_types().len()).sum::<usize>();
    let counted = Regex::new(r"Models of \d+ types").unwrap();
    if std::env::var_os("UPDATE_DOCS").is_some_and(|set| set == "1") {
        let (before, rest) = limits.split_once(begin).unwrap();
        let after = rest.split_once(end).unwrap().1;
        limits = format!("{before}{begin}{}{end}{after}", opened());
        fs::write(&page, &limits).unwrap();
        first = counted.replace(&first, format!("Models of {count} types")).into_owned();
        fs::write(&readme, &first).unwrap();
    }
    let current = limits.contains(&format!("{begin}{}{end}", opened()));
    assert!(current, "the table of docs/limits.md is not current: run this test with UPDATE_DOCS=1");
    let sentence = format!("Models of {count} types");
    assert!(first.contains(&sentence), "README.md does not say \"{sentence}\"");
}

#[test]
fn f8_the_readme_denies_nothing_that_exists() {
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

/// Source whose string literals are checked for [`PHRASES`]: folders and files. Tables of commands and settings are
/// literals too.
const SOURCES: [&str; 1] = ["src"];

/// Pages that are checked, besides those of the manual.
const PAGES: [&str; 3] = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"];

/// Places where a phrase is meant as it is: the file, and the words around it.
const EXCEPTIONS: [(&str, &str); 0] = [];

/// A phrase that texts avoid.
struct Phrase {
    /// A regular expression for it, over text with single spaces.
    pattern: &'static str,
    /// A regular expression for matches that are good English; empty if there are none.
    unless: &'static str,
    /// What it looks like.
    example: &'static str,
    /// What to write.
    instead: &'static str,
}

const fn phrase(pattern: &'static str, example: &'static str, instead: &'static str) -> Phrase {
    Phrase { pattern, unless: "", example, instead }
}

/// The phrases, with what to write instead.
const PHRASES: [Phrase; 18] = [
    phrase(r"\bbeside\b", "its size beside that of the other", "compared with, relative to, next to"),
    Phrase {
        pattern: r"(?i)[\w.)\]}]+ (?:is|are|was|were) no [\w{]+",
        unless: r"(?i)^(?:there|which there) | no (?:longer|more)$",
        example: "{name} is no file",
        instead: "is not a ...",
    },
    Phrase {
        pattern: r"(?i)\bstands?\b(?: \w+)?",
        unless: r"(?i) (?:for|out)$",
        example: "the cursor stands at L2",
        instead: "is, is at; stand for and stand out are good English",
    },
    phrase(r"(?i)\bl(?:ies|ie|ay)\b", "it lies in another way", "is, is at, is laid out"),
    phrase(r"(?i)\btold\b", "what is wrong is told", "is reported, is shown"),
    phrase(r"(?i)\bof (?:its|their|your|\w+'s) own\b", "a branch of its own", "separate, its own ..."),
    phrase(r"(?i)\b(?:is|are) said\b", "the remainder is said", "is reported, is shown"),
    phrase(r"(?i)\bfrom \d\S*(?: \w+)? on\b", "a number from 1 on", "at least 1, a positive integer"),
    phrase(r"(?i): there (?:is|are) (?:only )?\{[^}]*\}$", "no side x: there is {}", "choose from {}"),
    phrase(r"(?i)\banother one\b", "the value is another one", "a different one, is different"),
    phrase(r"(?i)\b(?:is|are) others\b", "the edits are others by now", "differ, have changed"),
    phrase(r"(?i)\bnone where\b", "the layer, none where there is no block", "`None` if"),
    phrase(r"(?i)\bin front of\b", "the norm in front of the block", "before"),
    Phrase {
        pattern: r"(?i)(?:\w+ )?\bbehind\b",
        unless: r"(?i)^(?:ideas?|left|falls?) ",
        example: "the stream behind the block",
        instead: "after",
    },
    phrase(r"(?i)\banew\b", "computes it anew", "again"),
    phrase(r"(?i)\band its kin\b", "bert and its kin", "the bert family"),
    phrase(r"(?i)\bwhat there is (?:to|of)\b", "what there is to run", "name the thing"),
    phrase(r"(?i)\bgives? way\b", "it gives way first", "is shortened, is replaced"),
];

/// The string literals of a Rust source, without those of its tests. Escaped line breaks join lines, as they do in the
/// language.
fn literals(source: &str) -> Vec<String> {
    let source = source.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    // Comments and characters are matched too, so that quotes in them open no literal.
    let token = r#####"(?s)//[^\n]*|/\*.*?\*/|'(?:\\.|")'|\br#"(.*?)"#|\br"([^"]*)"|"((?:\\.|[^"\\])*)""#####;
    let tokens = Regex::new(token).unwrap();
    let found = tokens.captures_iter(source).filter_map(|token| (1..=3).find_map(|group| token.get(group)));
    found.map(|literal| literal.as_str().replace("\\\n", "")).collect()
}

/// The prose of a page: without blocks of code, which show what the program prints, and without code in a line.
fn prose(page: &str) -> String {
    let outside = page.split("```").step_by(2).collect::<Vec<_>>().join("\n\n");
    Regex::new("`[^`]*`").unwrap().replace_all(&outside, "CODE").into_owned()
}

/// The files below a path that end so, or the path itself.
fn files(path: &Path, ending: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else { return vec![path.to_path_buf()] };
    let mut all: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all.retain(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == ending));
    all.iter().flat_map(|path| files(path, ending)).collect()
}

/// Everything that is checked: where it is from, and a text.
fn texts() -> Vec<(String, String)> {
    let name = |path: &Path| path.strip_prefix(root()).unwrap().display().to_string();
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let mut all = Vec::new();
    for path in files(&root().join("docs"), "md").into_iter().chain(PAGES.map(|page| root().join(page))) {
        all.push((name(&path), prose(&read(&path))));
    }
    for path in files(&root().join("config"), "toml") {
        all.push((name(&path), read(&path).replace("\n#", "\n")));
    }
    let is_test = |path: &Path| {
        let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
        parts.iter().any(|part| matches!(*part, "tests" | "tests.rs" | "testing.rs" | "fixture.rs"))
    };
    for source in SOURCES {
        for path in files(&root().join(source), "rs").into_iter().filter(|path| !is_test(Path::new(&name(path)))) {
            all.extend(literals(&read(&path)).into_iter().map(|text| (name(&path), text)));
        }
    }
    let help = cli::parse(["llmdbg", "--help"].map(Into::into)).unwrap_err();
    all.push(("llmdbg --help".to_string(), help.to_string()));
    all
}

#[test]
fn texts_avoid_phrases_that_readers_stumble_over() {
    let patterns = PHRASES.map(|phrase| {
        let (pattern, unless) = (Regex::new(phrase.pattern).unwrap(), Regex::new(phrase.unless).unwrap());
        assert!(pattern.is_match(phrase.example), "{} does not match {:?}", phrase.pattern, phrase.example);
        (phrase, pattern, unless)
    });
    let texts = texts();
    assert!(texts.len() > 500, "only {} texts were found", texts.len());
    let mut found = Vec::new();
    for (file, text) in &texts {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for (phrase, pattern, unless) in &patterns {
            for place in pattern.find_iter(&text) {
                let around = |at: usize, by: isize| {
                    let at = at.saturating_add_signed(by).min(text.len());
                    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
                };
                let words = &text[around(place.start(), -30)..around(place.end(), 30)];
                let good = !phrase.unless.is_empty() && unless.is_match(place.as_str());
                let meant = EXCEPTIONS.iter().any(|(of, around)| of == file && words.contains(around));
                if !good && !meant {
                    found.push(format!("{file}: \"{words}\"; write: {}", phrase.instead));
                }
            }
        }
    }
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
}

#[test]
fn literals_are_found_and_comments_and_tests_are_not() {
    let source = concat!(
        "// \"a comment\"\nlet a = \"one \\\" quote\"; /* \"no\" */ let c = ('\"', '\\'');\n",
        "fn f<'a>(x: &'a str) { g(r#\"two \"raw\"\"#, \"thr\\\n   ee\", r\"four\\\") }\n",
        "#[cfg(test)]\nmod tests { const X: &str = \"no\"; }\n"
    );
    let joined = |text: &String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let found: Vec<String> = literals(source).iter().map(joined).collect();
    assert_eq!(found, ["one \\\" quote", "two \"raw\"", "thr ee", "four\\"]);
}
