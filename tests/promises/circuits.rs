//! Promises: circuits, composition, patching sweeps and paths are those of TransformerLens, on a model whose weights it loads as they are
//! (`tools/make_circuit_fixtures.py`).

use std::fs;
use std::path::Path;

use llmdbg::answer::{Answer, Cell, MapView, Table};
use llmdbg::model::Input;
use llmdbg::tensor::Device;
use serde_json::Value;

use crate::common::{Bench, model};

fn reference() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/interpretability/gpt2-transformer-lens.json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn ids(reference: &Value, name: &str) -> Vec<u32> {
    reference[name].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// The corrupt text in front, the clean one in `main`.
fn patched(reference: &Value, device: &Device) -> Bench {
    let gpt2 = model("gpt2", device);
    let input = Input::from_tokens(&gpt2, vec![ids(reference, "clean")]).unwrap();
    let mut b = Bench::of("gpt2", gpt2, input, device, 1 << 30);
    b.run("run");
    let corrupt = ids(reference, "corrupt");
    b.run(&format!("set tokens[2] = {}", corrupt[2]));
    if !b.console.session.run.at_end() {
        b.run("continue");
    }
    b
}

fn map(b: &mut Bench, line: &str) -> MapView {
    match b.run(line) {
        Answer::Map(map) => map,
        answer => panic!("{line}: {answer:?}"),
    }
}

fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(all) => all.iter().flat_map(flat).collect(),
        other => vec![other.as_f64().unwrap()],
    }
}

fn number(cell: &Cell) -> f64 {
    if let Cell::Num(x) = cell { *x } else { panic!("{cell:?}") }
}

/// A share that is measured in 32 bits on both sides: differences of logits near 1 are known to some 1e-6, divided by that of the two texts.
const SHARE: f64 = 5e-5;

#[test]
fn sweeps_and_paths_bring_back_what_transformer_lens_says() {
    let reference = reference();
    let metric = format!("logit[{}] - logit[{}]", reference["target"], reference["foil"]);
    let (clean, corrupt) =
        (reference["metric"]["clean"].as_f64().unwrap(), reference["metric"]["corrupt"].as_f64().unwrap());
    for device in [Device::cpu(), crate::common::vulkan()] {
        let mut b = patched(&reference, &device);
        assert!((b.number(&metric) - corrupt).abs() < 1e-5);
        for (site, wanted) in reference["sweeps"].as_object().unwrap() {
            let found = map(&mut b, &format!("patch main -metric \"{metric}\" -site {site}"));
            let wanted: Vec<f64> = flat(wanted).iter().map(|x| (x - corrupt) / (clean - corrupt)).collect();
            assert_eq!(found.data.len(), wanted.len(), "{site}");
            for (i, (a, b)) in found.data.iter().zip(&wanted).enumerate() {
                assert!((a - b).abs() < SHARE, "{site} {i}: {a} for {b} on {}", device.name());
            }
        }
        for (part, wanted) in reference["paths"].as_object().unwrap() {
            // Senders by receivers.
            let wanted: Vec<f64> = flat(wanted).iter().map(|x| (x - corrupt) / (clean - corrupt)).collect();
            for receiver in 0..4 {
                let found = map(&mut b, &format!("patch main -metric \"{metric}\" -to L1H{receiver}.{part}"));
                for sender in 0..4 {
                    let (a, b) = (found.data[sender], wanted[sender * 4 + receiver]);
                    assert!(
                        (a - b).abs() < SHARE,
                        "L0H{sender} to L1H{receiver}.{part}: {a} for {b} on {}",
                        device.name()
                    );
                }
            }
        }
    }
}

#[test]
fn circuits_and_composition_are_those_of_transformer_lens() {
    let reference = reference();
    let mut b = Bench::new("gpt2", &["The"]);
    let table: Table = b.table("circuits");
    for (row, wanted) in table.rows.iter().zip(reference["heads"].as_array().unwrap()) {
        for (cell, key) in [(1, "copying"), (2, "matching"), (3, "largest")] {
            let (found, wanted) = (number(&row[cell]), wanted[key].as_f64().unwrap());
            // Eigenvalues of weights in 32 bits, one side through products of tables in 32 bits.
            assert!((found - wanted).abs() < 1e-4 * (1.0 + wanted.abs()), "{row:?} {key}: {wanted}");
        }
    }
    for part in ["q", "k", "v"] {
        let found = map(&mut b, &format!("circuits -composition {part}"));
        // [layer, head, layer, head]
        let wanted = flat(&reference["composition"][part]);
        for (i, (a, b)) in found.data.iter().zip(&wanted).enumerate() {
            assert!((a - b).abs() < 1e-6, "{part} {i}: {a} for {b}");
        }
    }
    let one = b.table("circuits L1H2");
    assert!(one.title.contains("copying") && one.rows.len() == 8, "{}", one.title);
    assert!(b.fail("circuits L9H0").contains("no head L9H0"));
    assert!(b.fail("circuits -composition x").contains("q, k or v"));
    // Weights as they are edited.
    b.run("set param(\"L1.attn.W_O\")[2] *= -1");
    let flipped = b.table("circuits");
    assert!((number(&flipped.rows[6][1]) + number(&table.rows[6][1])).abs() < 1e-9);
}

#[test]
fn a_spectrum_is_that_of_its_matrix() {
    let mut b = Bench::new("gpt2", &["The"]);
    let table = b.table("spectrum param(\"L0.mlp.W_in\")");
    let norm = b.number("norm(param(\"L0.mlp.W_in\"))");
    let squares: f64 = b.numbers("$").iter().map(|x| x * x).sum();
    assert!((squares.sqrt() / norm - 1.0).abs() < 1e-5, "{} {norm}", squares.sqrt());
    assert!(table.title.contains("rank 32"), "{}", table.title);
    assert!(b.fail("spectrum param(\"L0.mlp.b_in\")").contains("is of a matrix"));
    assert!(b.fail("spectrum").contains("expected a matrix"));
}

#[test]
fn ablation_sweeps_are_ablations_one_by_one() {
    let mut b = Bench::new("gpt2", &["The nurse and the dog"]);
    b.run("run");
    let zero = map(&mut b, "patch zero -metric logit[5] -site attn.z");
    let mean = map(&mut b, "patch mean -metric logit[5] -site attn.z");
    for (how, found) in [("zero", zero), ("mean", mean)] {
        for (i, gained) in found.data.iter().enumerate() {
            let mut one = Bench::new("gpt2", &["The nurse and the dog"]);
            one.run("run");
            let before = one.number("logit[5]");
            one.run(&format!("ablate L{}H{} {how}", i / 4, i % 4));
            let wanted = one.number("logit[5]") - before;
            assert!((gained - wanted).abs() < 2e-5, "{how} {i}: {gained} for {wanted}");
        }
    }
}

#[test]
fn questions_of_patch_that_do_not_go_together_are_refused() {
    let mut b = Bench::new("gpt2", &["The nurse and the dog"]);
    b.run("run");
    b.run("ablate L0H0");
    for (line, message) in [
        ("patch zero -metric loss -minimal", "is as in a branch"),
        ("patch mean -metric loss -to L1H0.q", "is as in a branch"),
        ("patch main -metric loss -to L1H0.q -minimal", "two questions"),
        ("patch main -metric loss -faithful 0.5", "two questions"),
        ("patch main -metric loss -minimal -faithful 2", "is no share"),
        ("patch main -metric loss -minimal -site attn.z", "does not go with"),
        ("patch main -metric loss -to L1H0.q -approx", "does not go with"),
        ("patch main -metric loss -to L0H0.q", "no head stands in front"),
        ("patch main -metric loss -to L9H0.q", "there is no head L9H0"),
        ("patch main -metric loss -to L1H0.z", "is no input of a head"),
        ("patch main -metric loss -minimal", "of a value is in force"),
        ("patch zero", "expected the number that is watched"),
        ("save value x.npy", "expected what to save"),
    ] {
        let found = b.fail(line);
        assert!(found.contains(message), "{line}: {found}");
    }
}

#[test]
fn a_minimal_circuit_is_as_faithful_as_it_says() {
    let mut b = Bench::new("tiny-gpt2", &["When Mary and John went to the store, John gave a drink to"]);
    b.run("run");
    b.run("set tokens[9] = \" Mary\"");
    if !b.console.session.run.at_end() {
        b.run("continue");
    }
    b.run("checkout main");
    let names: Vec<String> = b.console.session.run.branches.iter().map(|branch| branch.name.clone()).collect();
    let other = names.iter().find(|name| *name != "main").unwrap().clone();
    let metric = "\"logit(\\\" Mary\\\") - logit(\\\" John\\\")\"";
    let table = b.table(&format!("patch {other} -metric {metric} -minimal -faithful 0.8"));
    let kept: Vec<String> = table
        .rows
        .iter()
        .map(|row| if let Cell::Text(text) = &row[0] { text.clone() } else { String::new() })
        .collect();
    assert!(!kept.is_empty() && kept.len() < 20, "{kept:?}");
    // By hand: everything else as in the other branch, block by block.
    let here = b.number("logit(\" Mary\") - logit(\" John\")");
    let all: Vec<String> = (0..4)
        .flat_map(|layer| (0..4).map(move |head| format!("L{layer}H{head}")).chain([format!("L{layer} mlp")]))
        .collect();
    let put = |b: &mut Bench, one: &str| {
        let layer = &one[..2];
        match one.split_once('H') {
            Some((_, head)) => b.run(&format!("set {layer}.attn.z[head={head}] = {layer}.attn.z@{other}[head={head}]")),
            None => b.run(&format!("set {layer}.mlp_out = {layer}.mlp_out@{other}")),
        };
    };
    all.iter().filter(|one| !kept.contains(one)).for_each(|one| put(&mut b, one));
    let left = b.number("logit(\" Mary\") - logit(\" John\")");
    kept.iter().for_each(|one| put(&mut b, one));
    let none = b.number("logit(\" Mary\") - logit(\" John\")");
    let faithfulness = (left - none) / (here - none);
    let told = format!("keep {} of the number", llmdbg::answer::numbers::significant(faithfulness, 4));
    assert!(table.title.contains(&told[..told.len() - 15]), "{faithfulness}: {}", table.title);
    assert!((faithfulness - 1.0).abs() <= 0.2);
}

#[test]
fn a_neuron_is_seen_where_it_fires_and_in_what_it_promotes() {
    let mut b = Bench::new("tiny-gpt2", &["The nurse said that the dog"]);
    assert!(b.fail("neuron L0N97").contains("run first"));
    b.run("run");
    let table = b.table("neuron L0N97 -top 3");
    let most = b.number("max(L0.mlp.post[:, 97])");
    assert!((number(&table.rows[0][1]) - most).abs() < 1e-6);
    // What it promotes is its row of W_out times the unembedding.
    let promoted = b.numbers("param(\"L0.mlp.W_out\")[97]");
    let unembed = b.numbers("param(\"W_U\")");
    let (width, vocab) = (promoted.len(), unembed.len() / promoted.len());
    let logits: Vec<f64> = (0..vocab).map(|v| (0..width).map(|i| promoted[i] * unembed[i * vocab + v]).sum()).collect();
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = logits.iter().copied().fold(f64::INFINITY, f64::min);
    assert!((number(&table.rows[0][3]) - largest).abs() < 1e-4 && (number(&table.rows[0][5]) - least).abs() < 1e-4);
    // Over a file, the most excited of all its lines.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("texts.txt");
    fs::write(&file, "The nurse said that the dog\n\nThe plumber knew\n").unwrap();
    let table = b.table(&format!("neuron L0N97 {}", file.display()));
    assert!(table.title.contains("2 lines of"), "{}", table.title);
    assert!(number(&table.rows[0][1]) >= most - 1e-6);
    assert!(b.fail("neuron L0N9999").contains("has neurons 0..511"));
    assert!(b.fail("neuron L0H1").contains("is no neuron"));
    assert!(b.fail("neuron L0N1 nothing.txt").contains("cannot read nothing.txt"));
}
