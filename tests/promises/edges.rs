//! Promises: scores of edges are difference times gradient, measured edges, nodes and circuits are the model run again with
//! what they carry replaced (`tools/fixtures/interpretability/edges.py`, in float64); on a model with layer norms, one with
//! grouped keys, and one whose attention passes a norm before the stream.

use std::collections::BTreeMap;

use llmdbg::answer::{Cell, Table};
use llmdbg::model::Input;
use llmdbg::tensor::Device;
use serde::Deserialize;

use crate::common::{Bench, model, vulkan};

const MODELS: [&str; 3] = ["gpt2", "llama", "gemma2"];

/// Scores and changes are of order 1 at most and computed in 32 bits: a forward and a backward pass of two blocks.
const CLOSE: f64 = 1e-4;

#[derive(Deserialize)]
struct Truth {
    clean: Vec<u32>,
    corrupt: Vec<u32>,
    target: usize,
    foil: usize,
    here: f64,
    other: f64,
    sizes: Vec<usize>,
    curve: Vec<f64>,
    /// Gradient, integrated gradients, measured.
    edges: BTreeMap<String, [f64; 3]>,
    nodes: BTreeMap<String, f64>,
}

fn truth(name: &str) -> Truth {
    let path = format!("{}/tests/fixtures/interpretability/edges-{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The clean text in front, the corrupt one in `main`; and the number.
fn bench(name: &str, device: &Device) -> (Bench, Truth, String) {
    let (truth, model) = (truth(name), model(name, device));
    let input = Input::from_tokens(&model, vec![truth.corrupt.clone()]).unwrap();
    let mut bench = Bench::of(name, model, input, 1 << 30);
    bench.script(&format!("run\nset tokens[2] = {}\nrun", truth.clean[2]));
    let metric = format!("logit[{}] - logit[{}]", truth.target, truth.foil);
    assert!((bench.number(&metric) - truth.here).abs() < CLOSE);
    (bench, truth, metric)
}

fn rows(table: &Table, column: usize) -> BTreeMap<String, f64> {
    let row = |cells: &Vec<Cell>| match (&cells[0], &cells[column]) {
        (Cell::Text(name), Cell::Num(x)) => (name.clone(), *x),
        other => panic!("{other:?}"),
    };
    table.rows.iter().map(row).collect()
}

fn same(found: &BTreeMap<String, f64>, wanted: impl Iterator<Item = (String, f64)>, what: &str) {
    let wanted: BTreeMap<String, f64> = wanted.collect();
    let names = |of: &BTreeMap<String, f64>| of.keys().cloned().collect::<Vec<String>>();
    assert_eq!(names(found), names(&wanted), "{what}");
    for (name, x) in found {
        assert!((x - wanted[name]).abs() <= CLOSE, "{what}: {name} is {x}, not {}", wanted[name]);
    }
}

#[test]
fn scores_and_measured_edges_are_those_of_a_transformer_written_out() {
    for name in MODELS {
        for device in [Device::cpu(), vulkan()] {
            let (mut bench, truth, metric) = bench(name, &device);
            let methods = ["eap", "eap-ig -steps 5", "exact"];
            // Measuring is slow on a software adapter, and made of the same ops as the scores.
            let count = if device.name() == Device::cpu().name() { 3 } else { 2 };
            for (at, method) in methods.iter().enumerate().take(count) {
                let table = bench.table(&format!("patch main -edges -metric {metric} -method {method} -all"));
                let wanted = truth.edges.iter().map(|(name, all)| (name.clone(), all[at]));
                same(&rows(&table, 1), wanted, &format!("{name}, {method}"));
            }
        }
    }
}

#[test]
fn nodes_are_interchanged_and_circuits_keep_what_they_keep() {
    for name in MODELS {
        let (mut bench, truth, metric) = bench(name, &Device::cpu());
        let table = bench.table(&format!("patch main -edges -nodes -metric {metric} -method exact -all"));
        same(&rows(&table, 1), truth.nodes.clone().into_iter(), &format!("nodes of {name}"));
        // To first order a node is the sum of the edges that begin at it.
        let table = bench.table(&format!("patch main -edges -nodes -metric {metric} -both -all"));
        let mut sums: BTreeMap<String, f64> = BTreeMap::new();
        truth
            .edges
            .iter()
            .for_each(|(edge, all)| *sums.entry(edge.split(' ').next().unwrap().into()).or_default() += all[0]);
        same(&rows(&table, 1), sums.into_iter(), &format!("scores of nodes of {name}"));
        same(&rows(&table, 3), truth.nodes.clone().into_iter(), &format!("nodes of {name} beside their scores"));
        let table = bench.table(&format!("patch main -edges -curve -random 2 -metric {metric}"));
        let number = |cell: &Cell| match cell {
            Cell::Num(x) => *x,
            Cell::Int(n) => *n as f64,
            other => panic!("{other:?}"),
        };
        for (size, wanted) in truth.sizes.iter().zip(&truth.curve) {
            let row = table.rows.iter().find(|row| row[0] == Cell::Int(*size as i64)).unwrap();
            assert!((number(&row[1]) - wanted).abs() < CLOSE, "{name}, {size} edges: {row:?} {wanted}");
            let share = (wanted - truth.other) / (truth.here - truth.other);
            assert!((number(&row[2]) - share).abs() < 1e-3, "{name}, {size} edges: {row:?} {share}");
        }
        // With none, and with all, there is one circuit of the size.
        for (row, share) in [(table.rows.first().unwrap(), 0.0), (table.rows.last().unwrap(), 1.0)] {
            for cell in &row[2..] {
                assert!((number(cell) - share).abs() < 1e-3, "{row:?}");
            }
        }
    }
}

/// A node of the last block is read by its MLP and the logits alone: a measured head that is interchanged is `patch` of the
/// same head as an edit.
#[test]
fn an_interchanged_head_is_the_edit_that_puts_it_in() {
    let (mut bench, _, metric) = bench("gpt2", &Device::cpu());
    let table = bench.table(&format!("patch main -edges -nodes -metric {metric} -method exact -all"));
    let changes = rows(&table, 1);
    let here = bench.number(&metric);
    for (layer, head) in [(0, 1), (1, 2)] {
        bench.run(&format!("patch L{layer}.attn.z[head={head}] from main"));
        let change = bench.number(&metric) - here;
        assert!((changes[&format!("L{layer}H{head}")] - change).abs() < 1e-5, "L{layer}H{head}: {change}");
        bench.run("undo");
    }
}

/// If the terms of every reader are all that its stream is made of, the pass with all edges patched is the other pass; in 32 bits,
/// relative to the number. Rotations, parallel blocks, experts, latents, norms after attention, scaled residuals.
#[test]
fn with_all_edges_patched_a_model_is_in_the_other_run() {
    let names =
        ["gptj", "gpt_neox", "falcon", "olmo2", "granite", "deepseek_v2", "gpt_oss", "modernbert", "nanochat", "bloom"];
    for name in names {
        let model = model(name, &Device::cpu());
        let input = Input::from_tokens(&model, vec![vec![5, 77, 123, 9, 300, 41]]).unwrap();
        let mut bench = Bench::of(name, model, input, 1 << 30);
        bench.run("run");
        let other = bench.number("logit[11] - logit[22]");
        bench.script("set tokens[2] = 200\nrun");
        let here = bench.number("logit[11] - logit[22]");
        let table = bench.table("patch main -edges -curve -random 0 -metric logit[11] - logit[22]");
        let number = |row: &Vec<Cell>| if let Cell::Num(x) = row[1] { x } else { panic!("{row:?}") };
        let (none, all) = (number(table.rows.first().unwrap()), number(table.rows.last().unwrap()));
        assert!((none - other).abs() < CLOSE && (all - here).abs() < CLOSE, "{name}: {none} {other}, {all} {here}");
        assert!((here - other).abs() > 10.0 * CLOSE, "{name}: the texts differ in {}", here - other);
    }
}

#[test]
fn models_whose_stream_is_no_sum_are_refused_by_name() {
    let refused = |name: &str, edit: &str, line: &str| {
        let model = model(name, &Device::cpu());
        let input = Input::from_tokens(&model, vec![vec![5, 77, 123, 9]]).unwrap();
        let mut bench = Bench::of(name, model, input, 1 << 30);
        bench.script(&format!("run\n{edit}\nrun"));
        bench.fail(line)
    };
    let edit = "set tokens[1] = 7";
    let line = "patch main -edges -metric logit[5]";
    for (name, wanted) in [("mamba", "needs attention in every layer"), ("jamba", "needs attention in every layer")] {
        let found = refused(name, edit, line);
        assert!(found.contains(wanted), "{name}: {found}");
    }
    let found = refused("bert-mlm", edit, line);
    assert!(found.contains("residual stream"), "{found}");
    let cases = [
        ("patch main -edges", "needs a number to watch"),
        ("patch main -edges -metric L0.resid_post[0, 0]", "edges end at the logits"),
        ("patch main -edges -metric logit[5] -method ig", "no method ig"),
        ("patch main -edges -metric logit[5] -steps 3", "-steps belongs to"),
        ("patch main -edges -metric logit[5] -method eap-ig -steps 0", "at least one"),
        ("patch main -edges -metric logit[5] -site attn.z", "does not go with -edges"),
        ("patch main -edges -metric logit[5] -random 3", "-random belongs to -curve"),
        ("patch main -metric logit[5] -nodes", "-nodes belongs to -edges"),
        ("patch zero -edges -metric logit[5]", "from a branch"),
    ];
    for (line, wanted) in cases {
        let found = refused("gpt2", edit, line);
        assert!(found.contains(wanted), "{line}: {found}");
    }
    let found = refused("gpt2", "ablate L0H1\nset tokens[1] = 7", line);
    assert!(found.contains("ablate L0H1"), "{found}");
}
