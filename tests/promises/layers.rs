//! Promise of `docs/architecture.md`: a module uses the layers before it and never one after it, and each of the large
//! libraries is met in one place.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The folders of `src`, lowest first.
const LAYERS: [&str; 16] = [
    "tensor",
    "model",
    "program",
    "lang",
    "dumps",
    "debugger",
    "comparing",
    "answer",
    "analysis",
    "export",
    "commands",
    "engine",
    "remote",
    "term",
    "frontend",
    "cli",
];

/// Libraries and the only folders that may name them.
const LIBRARIES: [(&str, &[&str]); 5] = [
    ("burn", &["tensor", "program"]),
    ("burn_wgpu", &["tensor", "program"]),
    ("burn_flex", &["tensor", "program"]),
    ("crossterm", &["term"]),
    // `term` has the backend that draws frames with the terminal library.
    ("ratatui", &["frontend/tui", "term"]),
];

/// The source without comments.
fn code(source: &str) -> String {
    source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The layers that a file names through `crate::` or by climbing to the root with `super::`. `depth` is how many `super`
/// lead from the file's module to the root; a module inside the file needs more, which is why more are taken too.
fn layers_named(source: &str, depth: usize) -> Vec<String> {
    let path = Regex::new(r"\b(crate|(?:super\s*::\s*)*super)\s*::\s*(\w+|\{)").unwrap();
    let code = code(source);
    let mut named = Vec::new();
    for found in path.captures_iter(&code) {
        let climbs = found[1].matches("super").count();
        if climbs > 0 && climbs < depth {
            continue;
        }
        let end = found.get(2).unwrap();
        if end.as_str() == "{" {
            named.extend(group_heads(&code[end.end()..]));
        } else {
            named.push(end.as_str().to_string());
        }
    }
    named.retain(|name| LAYERS.contains(&name.as_str()));
    named
}

/// The first words of the entries of a group `{a, b::c, d::{e}}`, whose text begins after the brace.
fn group_heads(text: &str) -> Vec<String> {
    let mut heads = vec![String::new()];
    let mut depth = 1;
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(String::new()),
            _ if depth == 1 => heads.last_mut().unwrap().push(c),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads.iter().map(|head| head.trim().split("::").next().unwrap_or_default().to_string()).collect()
}

/// Every Rust file of `src` with its path inside it.
pub fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, root: &Path, files: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push((path.strip_prefix(root).unwrap().to_path_buf(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &root, &mut files);
    files.sort();
    files
}

/// The layer of a file and the depth of its module: `answer/mod.rs` is 1 deep, `answer/text.rs` 2.
fn layer_and_depth(file: &Path) -> Option<(usize, usize)> {
    let parts: Vec<&str> = file.iter().filter_map(|part| part.to_str()).collect();
    let name = parts[0].trim_end_matches(".rs");
    let layer = LAYERS.iter().position(|layer| *layer == name)?;
    Some((layer, parts.len() - usize::from(parts.last() == Some(&"mod.rs"))))
}

#[test]
fn no_layer_uses_a_later_one() {
    let files = sources();
    let mut checked = 0;
    let mut wrong = Vec::new();
    for (file, source) in &files {
        let Some((layer, depth)) = layer_and_depth(file) else {
            // The program and the library are above all layers.
            let root = ["lib.rs", "library.rs", "main.rs"].map(Path::new);
            assert!(root.contains(&file.as_path()), "{} belongs to no layer", file.display());
            continue;
        };
        checked += 1;
        for named in layers_named(source, depth) {
            if LAYERS.iter().position(|layer| *layer == named) > Some(layer) {
                wrong.push(format!("{} uses {named}", file.display()));
            }
        }
    }
    assert!(checked > 10, "only {checked} files found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_large_library_is_met_in_one_place() {
    let mut wrong = Vec::new();
    for (file, source) in sources() {
        let code = code(&source);
        for (library, folders) in LIBRARIES {
            let name =
                Regex::new(&format!(r"\b{library}\s*::|\buse\s+{library}\b|\bextern crate {library}\b")).unwrap();
            let allowed = folders.iter().any(|folder| file.starts_with(folder));
            if !allowed && name.is_match(&code) {
                wrong.push(format!("{} names {library}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_check_sees_what_it_should() {
    let named = |source, depth| layers_named(source, depth).join(" ");
    assert_eq!(named("use crate::engine::thread;", 1), "engine");
    assert_eq!(named("use crate::{\n  answer::{Answer, Pc},\n  engine, regex::Regex};", 1), "answer engine");
    assert_eq!(named("fn f() -> crate :: term::Size { super::lines() }", 2), "term");
    assert_eq!(named("use super::super::commands::Outcome;", 2), "commands");
    assert_eq!(named("use super::super::{commands, lang};", 2), "commands lang");
    assert_eq!(named("use super::frontend::Action;", 2), "");
    assert_eq!(named("mod tests { use super::super::super::cli; }", 2), "cli");
    assert_eq!(named("// crate::engine is above\n/// [`crate::cli`]\n", 1), "");
    assert_eq!(layer_and_depth(Path::new("answer/text/map.rs")), Some((7, 3)));
    assert_eq!(layer_and_depth(Path::new("answer/mod.rs")), Some((7, 1)));
    assert_eq!(layer_and_depth(Path::new("main.rs")), None);
}

/// A name such as `blocks.5.attn.z` is spelled and taken apart by `model::site_name` alone; tests may spell it.
#[test]
fn names_in_blocks_are_spelled_in_one_place() {
    let spelled = Regex::new(r#"["}]blocks\.["{]"#).unwrap();
    let of_tests = |path: &str| ["tests", "fixture", "measure", "testing"].iter().any(|word| path.contains(word));
    let mut found = Vec::new();
    for (file, source) in sources() {
        let path = file.display().to_string().replace('\\', "/");
        if path == "model/site_name.rs" || of_tests(&path) {
            continue;
        }
        let source = code(source.split("#[cfg(test)]").next().unwrap());
        found.extend(
            source.lines().filter(|line| spelled.is_match(line)).map(|line| format!("{path}: {}", line.trim())),
        );
    }
    assert!(found.is_empty(), "use model::site_name:\n{}", found.join("\n"));
}
