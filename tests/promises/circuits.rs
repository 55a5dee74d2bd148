//! Promises: circuits, composition, patching sweeps and paths are those of TransformerLens, on a model whose weights it loads as they are
//! (`tools/fixtures/interpretability/circuits.py`).

use std::fs;
use std::path::Path;

use llmdbg::answer::{Answer, Cell, MapView, Table};
use llmdbg::model::Input;
use llmdbg::tensor::Device;
use serde_json::Value;

use crate::common::{Bench, cell_text, model, table_row};

/// The models of which there is a reference: one with learned positions and layer norms, one with rotations, grouped keys and gates.
const MODELS: [&str; 2] = ["gpt2", "llama"];

fn reference(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/interpretability");
    let file = folder.join(format!("{name}-transformer-lens.json"));
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn ids(reference: &Value, name: &str) -> Vec<u32> {
    reference[name].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// The pass over some tokens.
fn ran(name: &str, tokens: Vec<u32>, device: &Device) -> Bench {
    let model = model(name, device);
    let input = Input::from_tokens(&model, vec![tokens]).unwrap();
    let mut b = Bench::of(name, model, input, 1 << 30);
    b.run("run");
    b
}

/// The corrupt text in front, the clean one in `main`.
fn patched(name: &str, reference: &Value, device: &Device) -> Bench {
    let mut b = ran(name, ids(reference, "clean"), device);
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
    for name in MODELS {
        let reference = reference(name);
        let metric = format!("logit[{}] - logit[{}]", reference["target"], reference["foil"]);
        let (clean, corrupt) =
            (reference["metric"]["clean"].as_f64().unwrap(), reference["metric"]["corrupt"].as_f64().unwrap());
        let shares =
            |numbers: &Value| -> Vec<f64> { flat(numbers).iter().map(|x| (x - corrupt) / (clean - corrupt)).collect() };
        for device in [Device::cpu(), crate::common::vulkan()] {
            let mut b = patched(name, &reference, &device);
            assert!((b.number(&metric) - corrupt).abs() < 1e-5);
            let mut same = |line: &str, wanted: &[f64]| {
                let found = map(&mut b, line);
                assert_eq!(found.data.len(), wanted.len(), "{name}: {line}");
                for (i, (a, b)) in found.data.iter().zip(wanted).enumerate() {
                    assert!((a - b).abs() < SHARE, "{name}: {line}: {i}: {a} for {b} on {}", device.name());
                }
            };
            for (site, wanted) in reference["sweeps"].as_object().unwrap() {
                same(&format!("patch main -metric \"{metric}\" -site {site}"), &shares(wanted));
            }
            let over = &reference["sweeps_over"];
            same(
                &format!("patch main -metric \"{metric}\" -site attn.z -over layer,head,pos"),
                &shares(&over["attn.z"]),
            );
            same(
                &format!("patch main -metric \"{metric}\" -site attn.pattern -over head,q"),
                &shares(&over["attn.pattern"]),
            );
            // One block alone, by neuron: the fixture has the first of them.
            for layer in 0..2 {
                let line = format!("patch main -metric \"{metric}\" -site L{layer}.mlp.post -over neuron");
                let found = map(&mut b, &line);
                for (i, wanted) in shares(&over["mlp.post"][layer]).iter().enumerate() {
                    assert!((found.data[i] - wanted).abs() < SHARE, "{name}: {line}: {i}");
                }
            }
            for (part, wanted) in reference["paths"].as_object().unwrap() {
                // Senders by receivers; of keys and values, those that query heads share.
                let wanted = shares(wanted);
                let receivers = wanted.len() / 4;
                for receiver in 0..4 {
                    let found = map(&mut b, &format!("patch main -metric \"{metric}\" -to L1H{receiver}.{part}"));
                    for sender in 0..4 {
                        let wanted = wanted[sender * receivers + receiver * receivers / 4];
                        let found = found.data[sender];
                        let what = format!("{name}: L0H{sender} to L1H{receiver}.{part}");
                        assert!((found - wanted).abs() < SHARE, "{what}: {found} for {wanted} on {}", device.name());
                    }
                }
            }
        }
    }
}

/// The lens, direct logit attribution and scores of heads of the same library, by columns of our tables.
#[test]
fn lens_attribution_and_heads_are_those_of_transformer_lens() {
    for name in MODELS {
        let reference = reference(name);
        let (target, foil) = (&reference["target"], &reference["foil"]);
        let mut b = ran(name, ids(&reference, "clean"), &Device::cpu());
        let table = b.table(&format!("lens -mid -target {target}"));
        for (label, wanted) in reference["lens"].as_object().unwrap() {
            let ours = match label.split_once('_').unwrap() {
                ("final", _) => "final".to_string(),
                (layer, part) => format!("L{layer}.resid_{part}"),
            };
            let row = table_row(&table, &ours);
            let wanted = wanted.as_f64().unwrap();
            // Log-probabilities of two passes in 32 bits.
            assert!((number(&row[1]).ln() - wanted).abs() < 2e-5, "{name} {label}: {row:?} for {wanted}");
            assert_eq!(row[2], Cell::Int(reference["lens_ranks"][label].as_i64().unwrap()), "{name} {label}");
        }
        let direct = &reference["direct"];
        let table = b.table(&format!("dla -target {target} -foil {foil}"));
        let shares: Vec<(String, f64)> =
            table.rows.iter().map(|row| (cell_text(&row[0]).to_string(), number(&row[1]))).collect();
        let of = |beginning: &str| -> f64 {
            let fits = |part: &&(String, f64)| part.0 == beginning || part.0.starts_with(&format!("{beginning}."));
            shares.iter().filter(fits).map(|(_, share)| share).sum()
        };
        for (part, wanted) in direct["components"].as_object().unwrap() {
            let (found, wanted) = match part.split_once('_') {
                Some((layer, "attn_out")) if layer != "pos" => (of(&format!("L{layer}.attn")), wanted),
                Some((layer, "mlp_out")) => (of(&format!("L{layer}.mlp")), wanted),
                _ => (of(part), wanted),
            };
            let wanted = wanted.as_f64().unwrap();
            assert!((found - wanted).abs() < 2e-5, "{name} {part}: {found} for {wanted}");
        }
        let heads = b.table(&format!("dla -target {target} -foil {foil} -by head -top 100"));
        for (i, wanted) in flat(&direct["heads"]).iter().enumerate() {
            let found = number(&table_row(&heads, &format!("L{}H{}", i / 4, i % 4))[1]);
            assert!((found - wanted).abs() < 2e-5, "{name} head {i}: {found} for {wanted}");
        }
        let detect = &reference["detect"];
        let mut b = ran(name, ids(detect, "text"), &Device::cpu());
        let table = b.table("heads");
        for score in ["previous", "duplicate", "induction"] {
            let column = table.columns.iter().position(|column| column == score).unwrap();
            for (row, wanted) in table.rows.iter().zip(flat(&detect[score])) {
                let found = number(&row[column]);
                // TransformerLens rounds these to three places.
                assert!((found - wanted).abs() < 6e-4, "{name} {score} {row:?}: {wanted}");
            }
        }
    }
}

/// A tuned lens, from the files of the package `tuned-lens` and by its own numbers (tools/fixtures/interpretability/tuned.py).
#[test]
fn a_tuned_lens_is_that_of_its_package() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/interpretability");
    let wanted: Value = serde_json::from_str(&fs::read_to_string(folder.join("tuned-lens.json")).unwrap()).unwrap();
    for name in MODELS {
        let mut b = ran(name, ids(&wanted[name], "text"), &Device::cpu());
        let lens = folder.join(format!("{name}-lens"));
        for file in [lens.clone(), lens.join("params.pt"), lens.join("params.safetensors")] {
            for target in [0, 11, 300] {
                let table = b.table(&format!("lens -tuned {} -target {target}", file.display()));
                assert!(table.title.starts_with("tuned lens"), "{}", table.title);
                for (row, logprobs) in table.rows.iter().zip(wanted[name]["lens"].as_array().unwrap()) {
                    let wanted = logprobs[target].as_f64().unwrap();
                    // Both in 32 bits, through products over the model's width.
                    assert!((number(&row[1]).ln() - wanted).abs() < 2e-5, "{name} {row:?}: {wanted}");
                }
            }
        }
        // A map and a table are of the same lens.
        let grid = map(&mut b, &format!("lens -map -target 11 -tuned {}", lens.display()));
        let table = b.table(&format!("lens -target 11 -tuned {}", lens.display()));
        for (point, row) in table.rows.iter().enumerate() {
            let at_last = grid.data[point * grid.columns + grid.columns - 1];
            assert!((at_last - number(&row[1])).abs() < 1e-7, "{row:?}: {at_last}");
        }
        assert!(b.fail(&format!("lens -mid -tuned {}", lens.display())).contains("no map for the streams between"));
    }
    let mut b = Bench::new("gpt2", &["The"]);
    b.run("run");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/gpt2/model.safetensors");
    assert!(b.fail(&format!("lens -tuned {}", model.display())).contains("is not a tuned lens"));
    assert!(b.fail("lens -tuned nowhere.pt").contains("nowhere.pt"));
    let mut b = Bench::new("qwen3", &["The"]);
    b.run("run");
    let other = folder.join("gpt2-lens");
    let lens = b.outcome(&format!("lens -tuned {}", other.display()));
    let message = format!("{:?}", lens.answer);
    assert!(message.contains("of a different model") || b.console.session.run.model.spec.d_model == 32, "{message}");
}

#[test]
fn circuits_and_composition_are_those_of_transformer_lens() {
    for name in MODELS {
        circuits_of(name);
    }
}

fn circuits_of(name: &str) {
    let reference = reference(name);
    let mut b = ran(name, vec![5], &Device::cpu());
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
        ("patch zero -metric loss -minimal", "take their values from a branch"),
        ("patch mean -metric loss -to L1H0.q", "take their values from a branch"),
        ("patch main -metric loss -to L1H0.q -minimal", "use -to or -minimal, not both"),
        ("patch main -metric loss -faithful 0.5", "use -to or -minimal, not both"),
        ("patch main -metric loss -minimal -faithful 2", "is not a share"),
        ("patch main -metric loss -minimal -site attn.z", "does not go with"),
        ("patch main -metric loss -to L1H0.q -approx", "does not go with"),
        ("patch main -metric loss -to L0H0.q", "there is no head before block 0"),
        ("patch main -metric loss -to L9H0.q", "there is no head L9H0"),
        ("patch main -metric loss -to L1H0.z", "is not an input of a head"),
        ("patch main -metric loss -minimal", "of a value is in force"),
        ("patch zero", "patch needs a number to watch"),
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
    assert!(b.fail("neuron L0H1").contains("is not a neuron"));
    assert!(b.fail("neuron L0N1 nothing.txt").contains("cannot read nothing.txt"));
}

/// Promise: what is measured and what gradients say stand side by side, each as alone.
#[test]
fn measured_and_approximate_stand_side_by_side() {
    let reference = reference("gpt2");
    let mut b = patched("gpt2", &reference, &Device::cpu());
    let asked = "patch main -metric \"logit[11] - logit[22]\" -site mlp_out";
    let (exact, near) = (map(&mut b, asked), map(&mut b, &format!("{asked} -approx")));
    let table = b.table(&format!("{asked} -both"));
    // Independent blocks and positions are in both.
    for row in &table.rows {
        let name = cell_text(&row[0]);
        let (layer, rest) = name.split_once(" pos ").unwrap();
        let layer: usize = layer[1..].parse().unwrap();
        let pos: usize = rest.split(' ').next().unwrap().parse().unwrap();
        let at = layer * exact.columns + pos;
        assert_eq!((number(&row[1]), number(&row[2])), (exact.data[at], near.data[at]), "{name}");
    }
    let sizes: Vec<f64> = table.rows.iter().map(|row| number(&row[1]).abs()).collect();
    assert!(sizes.is_sorted_by(|a, b| a >= b), "the largest first: {sizes:?}");
    assert!(table.title.contains("correlation"), "{}", table.title);
    assert!(b.fail(&format!("{asked} -both -approx")).contains("one of them"));
}

/// Promise: a sweep that was interrupted goes on where it was, and gives what it would have.
#[test]
fn an_interrupted_sweep_goes_on() {
    use llmdbg::analysis::patching::{Places, Source, sweep};
    use llmdbg::lang::parse_expr;
    use llmdbg::tensor::{Axis, Report, interruptible, reporting};
    use std::sync::atomic::Ordering;
    let reference = reference("gpt2");
    let mut b = patched("gpt2", &reference, &Device::cpu());
    let session = &mut b.console.session;
    let expr = parse_expr("logit[11] - logit[22]", 0).unwrap();
    let places = Places::of_blocks(&session.run.program.clone(), "attn.z", &[Axis::Pos, Axis::Head, Axis::Dim]);
    let whole = sweep(session, &expr, &places, Source::Branch(0), &mut Vec::new()).unwrap();
    assert_eq!(whole.numbers.len(), 2 * 7 * 4 * 8);
    let (mut done, interrupt) = (Vec::new(), session.interrupt.clone());
    let mut stops = 0;
    let found = loop {
        // Ctrl-C while the second batch of what is left is computed.
        let before = done.len();
        let (asked, setting) = (std::cell::Cell::new(0), interrupt.clone());
        let report: Report = std::rc::Rc::new(move |what, _, _| {
            asked.set(asked.get() + usize::from(what == "patching"));
            setting.store(asked.get() == 3, Ordering::SeqCst);
        });
        let found = reporting(report, || {
            interruptible(&interrupt, || sweep(session, &expr, &places, Source::Branch(0), &mut done))
        });
        interrupt.store(false, Ordering::SeqCst);
        match found {
            Ok(found) => break found,
            Err(error) => {
                assert!(format!("{error:?}").contains("the same command goes on from there"), "{error:?}");
                assert!(done.len() > before, "each time a part is done");
                stops += 1;
            }
        }
    };
    assert!(stops > 1, "{stops}");
    assert_eq!(found, whole);
}

/// Promise: `patch SITE[SLICE] from SIDE` is the edit that puts in what that side has there.
#[test]
fn a_single_patch_is_an_edit() {
    let reference = reference("gpt2");
    let mut b = patched("gpt2", &reference, &Device::cpu());
    let clean = b.numbers("L1.attn.z@main[head=2]");
    let told = b.text("patch L1.attn.z[head=2] from main");
    assert!(told.contains("Changed blocks.1.attn.z"), "{told}");
    assert_eq!(b.numbers("L1.attn.z[head=2]"), clean);
    assert_ne!(b.numbers("L1.attn.z[head=1]"), b.numbers("L1.attn.z@main[head=1]"));
    b.run("undo");
    assert_ne!(b.numbers("L1.attn.z[head=2]"), clean);
    assert!(b.fail("patch L1.attn.z[head=2] from nowhere").contains("is not a branch, model or dump"));
    assert!(b.fail("patch L1.attn.nothing from main").contains("nothing"));
    assert!(b.fail("patch L1.attn.z[head=9] from main").contains('9'));
}

/// Promise: heads that do the same are named, and only those.
#[test]
fn redundant_heads_are_named() {
    let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
    // Head 3 becomes head 1.
    for weight in ["W_Q", "W_K", "W_V", "b_Q", "b_K", "b_V", "W_O"] {
        b.run(&format!("set param(\"L1.attn.{weight}\")[head=3] = param(\"L1.attn.{weight}\")[head=1]"));
    }
    b.run("run");
    let table = b.table("heads -redundant");
    let named = |table: &Table| -> Vec<(String, String)> {
        let marked = table.rows.iter().filter(|row| cell_text(&row[4]) == "redundant");
        marked.map(|row| (cell_text(&row[0]).to_string(), cell_text(&row[1]).to_string())).collect()
    };
    assert_eq!(named(&table), [("L1H1".to_string(), "L1H3".to_string())], "{table:?}");
    let twins = &table.rows[0];
    assert!(number(&twins[2]) < 1e-9 && (number(&twins[3]) - 1.0).abs() < 1e-6, "{twins:?}");
    // Over a file: means of what each text gives.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("texts.txt");
    fs::write(&file, "The nurse said that\n\nThe dog and the cat\n").unwrap();
    let over = b.table(&format!("heads -redundant -over {}", file.display()));
    assert!(over.title.contains("2 lines") && named(&over) == named(&table), "{}", over.title);
    assert!(b.fail("heads -redundant -sort first").contains("cannot be combined with -sort"));
}

/// Promise: scores over a file are the means of those of its texts, and heads that write nothing are called dead.
#[test]
fn scores_over_texts_are_means_and_dead_heads_are_named() {
    let texts = ["The nurse said that", "The dog and the cat saw the dog and the king"];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("texts.txt");
    fs::write(&file, texts.join("\n")).unwrap();
    let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
    b.run("set param(\"L0.attn.W_O\")[head=1] = 0");
    b.run("run");
    let over = b.table(&format!("heads -over {}", file.display()));
    let alone: Vec<Table> = texts
        .iter()
        .map(|text| {
            let mut b = Bench::new("gpt2", &[text]);
            b.run("set param(\"L0.attn.W_O\")[head=1] = 0");
            b.run("run");
            b.table("heads")
        })
        .collect();
    for (i, row) in over.rows.iter().enumerate() {
        for column in 3..row.len() {
            let mean = alone.iter().map(|table| number(&table.rows[i][column])).sum::<f64>() / 2.0;
            assert!((number(&row[column]) - mean).abs() < 1e-9, "{} {}", over.columns[column], cell_text(&row[0]));
        }
    }
    let kind = |table: &Table, head: &str| cell_text(&table_row(table, head)[1]).to_string();
    assert_eq!((kind(&over, "L0H1"), kind(&over, "L0H0") == "dead"), ("dead".to_string(), false));
    // Shares of a block add up to one, and are those of what heads write.
    let table = b.table("heads L0");
    let output = table.columns.iter().position(|column| column == "output").unwrap();
    let shares: Vec<f64> = table.rows.iter().map(|row| number(&row[output])).collect();
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    let square = |b: &mut Bench, head: usize| b.number(&format!("norm(result(0, {head}))")).powi(2);
    let all: f64 = (0..4).map(|head| square(&mut b, head)).sum();
    assert!((shares[2] - square(&mut b, 2) / all).abs() < 1e-5, "{shares:?}");
}

/// Promise: which heads look at a token is a score like others, at one position or over texts.
#[test]
fn heads_that_look_at_a_token_are_found() {
    let mut b = Bench::new("tiny-gpt2", &["When Mary and John went to the store, John gave a drink to"]);
    b.run("run");
    let table = b.table("heads -to \" John\" -sort to");
    let column = table.columns.iter().position(|column| column == "to").unwrap();
    for row in &table.rows {
        let (layer, head) = cell_text(&row[0])[1..].split_once('H').unwrap();
        let pattern = b.numbers(&format!("L{layer}.attn.pattern[head={head}, q=-1]"));
        assert!((number(&row[column]) - pattern[3] - pattern[9]).abs() < 1e-9, "{row:?}");
    }
    let at = b.table("heads L0 -to \" Mary\" -pos 9");
    let column = at.columns.iter().position(|column| column == "to").unwrap();
    assert!((number(&at.rows[1][column]) - b.number("L0.attn.pattern[head=1, q=9, k=1]")).abs() < 1e-9);
    assert!(b.fail("heads -sort to").contains("no column is called to"));
    assert!(b.fail("heads -pos 3").contains("-to TOKEN"));
    assert!(b.fail("heads -to \" Mary\" -repeated 5").contains("of this text"));
    assert!(!b.table("heads").columns.contains(&"to".to_string()));
}

/// Promise: a lens can be put on any vector of the stream's width.
#[test]
fn a_lens_is_put_on_the_sites_that_are_named() {
    let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
    b.run("run");
    let table = b.table("lens L*.attn_out L0.mlp_out -target 5");
    let names: Vec<&str> = table.rows.iter().map(|row| cell_text(&row[0])).collect();
    assert_eq!(names, ["L0.attn_out", "L1.attn_out", "L0.mlp_out", "final"]);
    for (row, site) in table.rows.iter().zip(["L0.attn_out", "L1.attn_out", "L0.mlp_out"]) {
        // The same by the expression language.
        let wanted = b.number(&format!("softmax(lens({site}[-1]))[5]"));
        assert!((number(&row[1]) - wanted).abs() < 1e-7, "{site}: {row:?} for {wanted}");
    }
    assert!(b.fail("lens L0.attn.z").contains("is not a vector of the residual stream's width"));
    assert!(b.fail("lens L0.attn_out -mid").contains("only the plain logit lens"));
    // The position of an explanation, with and without its option.
    assert_eq!(b.table("explain 3"), b.table("explain -pos 3"));
}

/// Promise: values of another model, or of a dump, are put in like those of a branch.
#[test]
fn values_of_models_and_dumps_are_put_in() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sound.safetensors");
    let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
    b.run("run");
    b.run(&format!("save activations {}", file.display()));
    b.run(&format!("load {} as sound", crate::parity::fixture("gpt2").display()));
    b.run(&format!("load-dump {} as dump", file.display()));
    let metric = "logit[11] - logit[22]";
    let clean = b.number(metric);
    b.run("set param(\"L0.mlp.W_out\") *= -1");
    b.run("set param(\"L1.attn.W_V\")[head=2] = 0");
    let here = b.number(metric);
    for (site, over) in [("resid_pre", "layer,pos"), ("attn.z", "layer,head"), ("mlp_out", "layer")] {
        let ask = |side: &str| format!("patch {side} -metric \"{metric}\" -site {site} -over {over}");
        let of_branch = map(&mut b, &ask("main")).data;
        let of_model = map(&mut b, &ask("sound")).data;
        // The same values, and the same number of the whole.
        assert_eq!(of_model, of_branch, "{site}");
        let of_dump = map(&mut b, &ask("dump"));
        assert!(of_dump.title.contains("as in dump"), "{}", of_dump.title);
        for (gained, share) in of_dump.data.iter().zip(&of_branch) {
            assert!((gained - share * (clean - here)).abs() < 2e-5, "{site}: {gained} for {share}");
        }
    }
    assert!(b.fail("patch sound -metric loss -minimal").contains("take their values from a branch"));
    assert!(b.fail("patch nothing -metric loss").contains("sound, dump"));
}
