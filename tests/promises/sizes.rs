//! Promise: no number of a configuration or of metadata fells the session: each is refused, or computed with.
//!
//! Every number of every fixture is replaced by numbers that no model has, one at a time, and the program opens them all in one session,
//! under a limit of address space that a believed claim of gigabytes would break.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::altered::Gguf;
use crate::parity::fixture;

/// Kilobytes of address space: what threads and allocator reserve takes most of it.
const MOST_MEMORY: &str = "4000000";

/// A hundred models of a few kilobytes take a second.
const MOST_TIME: Duration = Duration::from_secs(60);

/// Every number in a configuration, by the keys and places on the way to it.
fn numbers(value: &Json, way: &str, all: &mut Vec<String>) {
    match value {
        Json::Object(map) => map.iter().for_each(|(key, value)| numbers(value, &format!("{way}/{key}"), all)),
        Json::Array(list) => list.iter().enumerate().for_each(|(i, value)| numbers(value, &format!("{way}/{i}"), all)),
        Json::Number(_) => all.push(way.to_owned()),
        _ => {}
    }
}

/// Loads models one after the other in one session, runs those that load, and returns what was said. Whatever they claim, the session
/// survives, within the limits.
fn survives(base: &Path, models: &[PathBuf], what: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("all.ldb");
    let line =
        |(i, model): (usize, &PathBuf)| format!("load \"{}\" as m{i}\nuse m{i}\nrun\nuse first\n", model.display());
    let lines: String = models.iter().enumerate().map(line).collect();
    fs::write(&script, format!("{lines}echo survived\n")).unwrap();
    let start = Instant::now();
    let program = env!("CARGO_BIN_EXE_llmdbg");
    let output = Command::new("sh")
        .args(["-c", &format!("ulimit -v {MOST_MEMORY}; exec \"$@\""), "sh", program, "-batch", "-nx"])
        .args(["--keep-going", "--device", "cpu", "--tokens", "1,2,3", "-x"])
        .arg(&script)
        .arg(base)
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let end = said.lines().rev().take(3).collect::<Vec<_>>().join("\n");
    assert!(output.status.code().is_some() && said.contains("survived"), "{what}: {:?} {end}", output.status);
    for word in ["internal error", "panicked", "overflow", "out of memory", "allocation"] {
        let line = said.lines().find(|line| line.contains(word) && !line.contains("more than any model has"));
        assert_eq!(line, None, "{what}");
    }
    assert!(start.elapsed() < MOST_TIME, "{what} took {:?}", start.elapsed());
    said
}

#[test]
fn no_number_of_a_configuration_fells_the_session() {
    let strange =
        [json!(0), json!(-1), json!(i64::MAX), json!(u64::MAX), json!(1e300), json!(1u64 << 31), json!(65_537)];
    let mut refused = 0;
    for entry in fs::read_dir(fixture("")).unwrap() {
        let from = entry.unwrap().path();
        let Ok(text) = fs::read(from.join("config.json")) else { continue };
        let mut plain: Json = serde_json::from_slice(&text).unwrap();
        // A setting that only some configurations have counts, too.
        if plain["model_type"] == "albert" {
            plain["inner_group_num"] = json!(1);
        }
        let folder = tempfile::tempdir().unwrap();
        let (mut ways, mut models) = (Vec::new(), Vec::new());
        numbers(&plain, "", &mut ways);
        for (way, value) in ways.iter().flat_map(|way| strange.iter().map(move |value| (way, value))) {
            let model = folder.path().join(models.len().to_string());
            fs::create_dir(&model).unwrap();
            std::os::unix::fs::symlink(from.join("model.safetensors"), model.join("model.safetensors")).unwrap();
            let mut config = plain.clone();
            *config.pointer_mut(way).unwrap() = value.clone();
            fs::write(model.join("config.json"), config.to_string()).unwrap();
            models.push(model);
        }
        let said = survives(&from, &models, &from.display().to_string());
        refused += said.matches("more than any model has").count();
    }
    // Every fixture has six sizes or more, each with three values beyond all bounds.
    assert!(refused > 34 * 6 * 3, "{refused}");
}

#[test]
fn no_number_of_a_gguf_file_fells_the_session() {
    let whole = [0, 1 << 31, u64::MAX >> 1, u64::MAX];
    let real = [f32::NAN, f32::INFINITY, -1.0, 0.0];
    let entry = |kind: u32, value: &[u8]| [&kind.to_le_bytes()[..], value].concat();
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf")).unwrap() {
        let from = file.unwrap().path();
        if !from.display().to_string().ends_with(".f32.gguf") {
            continue;
        }
        let bytes = fs::read(&from).unwrap();
        let parsed = Gguf::parse(&bytes);
        let folder = tempfile::tempdir().unwrap();
        let mut models = Vec::new();
        for (at, (_, kind, _)) in parsed.metadata.iter().enumerate() {
            let values: Vec<Vec<u8>> = match kind {
                0..=5 | 10 | 11 => whole.iter().map(|value| entry(10, &value.to_le_bytes())).collect(),
                6 | 12 => real.iter().map(|value| entry(6, &value.to_le_bytes())).collect(),
                _ => continue,
            };
            for value in values {
                let mut metadata = parsed.metadata.clone();
                metadata[at].2 = &value;
                let model = folder.path().join(format!("{}.gguf", models.len()));
                fs::write(&model, parsed.with(&metadata, &parsed.tensors)).unwrap();
                models.push(model);
            }
        }
        survives(&from, &models, &from.display().to_string());
    }
}
