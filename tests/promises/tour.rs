//! The tour in the README works exactly as printed.

use std::path::Path;
use std::process::Command;

/// A command of the tour, and the lines that the README says it prints.
fn tour() -> Vec<(String, Vec<String>)> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let section = readme.split("## Five minutes").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut steps: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in section.lines() {
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

/// Equal word by word. Numbers may differ by one part in a thousand: they are printed with four digits, and another
/// processor adds in another order.
fn same(found: &str, wanted: &str) -> bool {
    let (found, wanted): (Vec<&str>, Vec<&str>) =
        (found.split_whitespace().collect(), wanted.split_whitespace().collect());
    let close = |a: &str, b: &str| match (a.parse::<f64>(), b.parse::<f64>()) {
        // What is left of a sum is rounding.
        (Ok(x), Ok(y)) => a == b || (x - y).abs() <= (1e-3 * y.abs()).max(1e-5),
        _ => a == b,
    };
    found.len() == wanted.len() && found.iter().zip(&wanted).all(|(a, b)| close(a, b))
}

#[test]
fn the_tour_of_the_readme_prints_what_it_says() {
    let steps = tour();
    assert!(steps.len() >= 20, "the tour has {} commands", steps.len());
    let folder = tempfile::tempdir().unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_llmdbg"));
    run.args(["-batch", "-nx", "--device", "cpu"]).current_dir(folder.path());
    for (i, (command, _)) in steps.iter().enumerate() {
        run.arg("-ex").arg(command).arg("-ex").arg(format!("echo @@{i}"));
    }
    let output = run.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    for (i, (command, wanted)) in steps.iter().enumerate() {
        let end = format!("@@{i}");
        let found: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
        let equal = found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| same(a, b));
        assert!(equal, "{command} printed\n{}\nthe README says\n{}", found.join("\n"), wanted.join("\n"));
    }
    assert!(folder.path().join("patterns.safetensors").exists());
}

/// The first example of the documentation of `-batch`: every command succeeds, and the edit shows.
#[test]
fn the_batch_example_of_the_readme_runs() {
    let prompt = "When Mary and John went to the store, John gave a drink to";
    let commands = [
        "break L2.attn.pattern if max($) > 0.5",
        "run",
        "bt",
        "p/t $cursor[head=0,q=-1]",
        "set $cursor[head=0] = 0",
        "continue",
        "p/t logits[-1]",
        "p max(L2.attn.z[head=0])",
    ];
    let mut run = Command::new(env!("CARGO_BIN_EXE_llmdbg"));
    run.args(["-batch", "--json", "-nx", "--device", "cpu", "-p", prompt]);
    commands.iter().for_each(|command| {
        run.args(["-ex", command]);
    });
    let output = run.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let objects: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), commands.len(), "one object for each command");
    assert!(objects.iter().all(|object| object["ok"] == true));
    assert_eq!(objects[1]["stop"]["site"], "blocks.2.attn.pattern");
    assert_eq!(objects[6]["table"]["rows"][0][1], " Mary");
    assert_eq!(objects[7]["value"]["data"], 0.0, "a head with no pattern moves nothing");
}
