//! Promises: a direction is what scikit-learn fits to the same vectors, with the accuracy that it has there; erasing is what
//! concept-erasure does; a control vector is read and written as llama.cpp has it; what is measured is true.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use llmdbg::answer::{Cell, Table};
use serde::Deserialize;
use tempfile::TempDir;

use crate::common::Bench;

/// Vectors of transformers and of this program differ by rounding of f32, about 1e-6 of their size.
const CLOSE: f64 = 1e-5;

/// The normal of a logistic regression moves with the data by its curvature; both optima are exact to 1e-9.
const OPTIMUM: f64 = 3e-5;

#[derive(Deserialize)]
struct Truth {
    fitted: [Vec<String>; 2],
    held_out: [Vec<String>; 2],
    places: Vec<Place>,
    control: Vec<f64>,
}

#[derive(Deserialize)]
struct Place {
    block: usize,
    reading: String,
    vectors: Vec<Vec<f64>>,
    directions: BTreeMap<String, Found>,
    erased: BTreeMap<String, Vec<Vec<f64>>>,
}

#[derive(Deserialize)]
struct Found {
    vector: Vec<f64>,
    offset: f64,
    fitted: f64,
    held_out: f64,
}

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/directions")
}

fn truth() -> Truth {
    serde_json::from_str(&fs::read_to_string(fixtures().join("gpt2.json")).unwrap()).unwrap()
}

/// The texts of the fixture as files, and what comes after `from` for them.
fn files(truth: &Truth) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let all = [("a", &truth.fitted[0]), ("b", &truth.fitted[1]), ("c", &truth.held_out[0]), ("d", &truth.held_out[1])];
    let named: Vec<String> = all
        .iter()
        .map(|(name, texts)| {
            let path = folder.path().join(format!("{name}.txt"));
            fs::write(&path, texts.join("\n")).unwrap();
            path.display().to_string()
        })
        .collect();
    let [a, b, c, d] = &named[..] else { unreachable!() };
    (folder, format!("from texts {a} {b} test {c} {d}"))
}

fn close(found: &[f64], wanted: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let size = wanted.iter().map(|x| x * x).sum::<f64>().sqrt();
    let off = found.iter().zip(wanted).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    assert!(off <= tolerance * size, "{what}: off by {:.2e} of its length", off / size);
}

fn cell(table: &Table, row: &str, column: &str) -> f64 {
    let at = table.columns.iter().position(|known| known == column).unwrap();
    let found = table.rows.iter().find(|cells| matches!(&cells[0], Cell::Text(text) if text.contains(row)));
    match found.unwrap_or_else(|| panic!("no {row}: {table:?}"))[at] {
        Cell::Num(x) => x,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn directions_are_those_of_scikit_learn() {
    let truth = truth();
    let (_folder, from) = files(&truth);
    let mut bench = Bench::new("gpt2", &["The dog"]);
    for place in &truth.places {
        for (method, wanted) in &place.directions {
            let (block, reading) = (place.block, &place.reading);
            let options = method.replace(' ', " -c ");
            let line = format!("direction d {from} -site L{block}.resid_post -method {options} -pos {reading}");
            let table = bench.table(&line);
            let what = format!("{method} of block {block}, {reading}");
            let tolerance = if method.starts_with("logistic") { OPTIMUM } else { CLOSE };
            close(&bench.numbers("$d"), &wanted.vector, tolerance, &what);
            assert_eq!(cell(&table, "", "Fitted"), wanted.fitted, "{what}");
            assert_eq!(cell(&table, "", "Held out"), wanted.held_out, "{what}");
            let probe = bench.console.session.directions[0].places[0].probe.clone().unwrap();
            let size = bench.number("norm($d)") * wanted.offset.abs().max(1.0);
            assert!((probe.offset - wanted.offset).abs() <= tolerance * size.max(1.0), "{what}: {}", probe.offset);
        }
    }
}

#[test]
fn erasing_is_that_of_concept_erasure() {
    let truth = truth();
    let (_folder, from) = files(&truth);
    for place in &truth.places {
        for (method, wanted) in &place.erased {
            let (block, reading) = (place.block, &place.reading);
            for (number, wanted) in wanted.iter().enumerate() {
                // Every position of the first text comes first; else there is one vector for each text.
                let (text, expr) = match reading.as_str() {
                    "last" => (number, format!("L{block}.resid_post[pos=-1]")),
                    "mean" => (number, format!("mean(L{block}.resid_post, pos)")),
                    _ => (0, format!("L{block}.resid_post[pos={number}]")),
                };
                let mut bench = Bench::new("gpt2", &[&truth.held_out[0][text]]);
                bench.run("run");
                bench.run(&format!("direction d {from} -site L{block}.resid_post -pos {reading}"));
                let what = format!("{method} of block {block}, {reading}, vector {number}");
                close(&bench.numbers(&expr), &place.vectors[number], CLOSE, &what);
                bench.run(if method == "leace" { "direction erase d" } else { "direction erase d -orthogonal" });
                close(&bench.numbers(&expr), wanted, CLOSE, &what);
                bench.run("undo");
                close(&bench.numbers(&expr), &place.vectors[number], CLOSE, &what);
            }
        }
    }
}

/// What LEACE promises: the kinds have the same mean, so that no linear classifier of the fitted texts does better than a
/// constant.
#[test]
fn nothing_linear_is_left_where_a_direction_was_erased() {
    let truth = truth();
    let (_folder, from) = files(&truth);
    let mut bench = Bench::new("gpt2", &["The dog"]);
    bench.run(&format!("direction d {from} -site L*.resid_post -pos mean"));
    let before = bench.number("norm($d[1])");
    let table = bench.table("direction erase d");
    assert_eq!(
        table.rows.iter().filter(|row| matches!(&row[0], Cell::Text(text) if text.contains("fitted again"))).count(),
        2
    );
    // The same texts, in the model as it is edited: the directions of both blocks are those of rounding.
    bench.run(&format!("direction after {from} -site L*.resid_post -pos mean"));
    for block in 0..2 {
        let left = bench.number(&format!("norm($after[{block}])"));
        assert!(left < 1e-5 * before.max(1.0), "{left} of {before}");
    }
}

#[test]
fn steering_is_adding_the_vector_and_what_is_measured_is_what_happens() {
    let truth = truth();
    let (_folder, from) = files(&truth);
    let mut bench = Bench::new("gpt2", &["The nurse and the dog"]);
    bench.run("run");
    bench.run(&format!("direction d {from} -site L0.resid_post -pos mean"));
    bench.run("set $copy = $d");
    let before = bench.number("logit[5]");
    bench.run("steer L0.resid_post $copy * 3");
    let (by_hand, number) = (bench.bits("logits"), bench.number("logit[5]"));
    bench.run("undo");
    let table = bench.table("direction steer d 3 -metric logit[5]");
    assert_eq!(bench.bits("logits"), by_hand);
    let of = |column: &str| cell(&table, "of the current prompt", column);
    assert_eq!((of("Before"), of("After")), (before, number));
    // Everything is of the first kind now.
    let all_first = truth.held_out[0].len() as f64 / truth.held_out.concat().len() as f64;
    bench.run("undo");
    let far = bench.table("direction steer d 1000");
    assert_eq!(cell(&far, "accuracy of $d", "After"), all_first);
    // A variable that is set by hand is a variable again.
    bench.run("set $d = 3");
    assert!(bench.fail("direction project d").contains("no direction is called d"));
}

#[test]
fn projections_and_their_parts_are_products() {
    let mut bench = Bench::new("gpt2", &["The nurse and the dog"]);
    bench.run("run");
    bench.run("direction v -vector L1.attn_out[pos=1] - L1.attn_out[pos=2] -site L1.resid_post");
    let table = bench.table("direction project v");
    let all = bench.numbers("$");
    assert_eq!(table.rows.len(), all.len());
    for (pos, along) in all.iter().enumerate() {
        let wanted = bench.number(&format!("dot($v, L1.resid_post[pos={pos}]) / norm($v)"));
        assert!((along - wanted).abs() < 1e-5, "{along} {wanted}");
    }
    let wanted = bench.number("dot($v, L1.resid_post[pos=2])");
    for by in ["component", "head", "neuron"] {
        let table = bench.table(&format!("dla -along v -pos 2 -by {by} -all"));
        let value: f64 = table.title.split(['=', ' ']).filter_map(|word| word.parse().ok()).next().unwrap();
        assert!((value - wanted).abs() < 1e-4 * wanted.abs().max(1.0), "{value} {wanted}");
        assert!(table.title.contains("nothing left over"), "{}", table.title);
    }
    let shares = bench.table("dla -along v -pos 2 -all");
    let sum: f64 = shares.rows.iter().map(|row| if let Cell::Num(x) = row[1] { x } else { 0.0 }).sum();
    assert!((sum - wanted).abs() < 1e-4 * wanted.abs().max(1.0), "{sum} {wanted}");
    assert!(bench.fail("direction erase v").contains("LEACE needs the texts"));
    bench.run("direction erase v -orthogonal");
    assert!(bench.number("absmax(sum(L1.resid_post * $v, axis=dim))") < 1e-4 * bench.number("norm($v)"));
}

#[test]
fn control_vectors_are_those_of_llama_cpp() {
    let truth = truth();
    let folder = tempfile::tempdir().unwrap();
    let theirs = fixtures().join("control.gguf");
    let mut bench = Bench::new("gpt2", &["The nurse and the dog"]);
    bench.run(&format!("direction c from gguf {}", theirs.display()));
    // The numbers of the fixture are those of 32 bits, written as decimals.
    let in_32 = |all: &[f64]| -> Vec<f32> { all.iter().map(|x| *x as f32).collect() };
    assert_eq!(in_32(&bench.numbers("$c")), in_32(&truth.control));
    // llama.cpp adds direction.1 to the output of block 1, and its generator makes it of the output of block 0.
    let site = |bench: &Bench| bench.console.session.directions.last().unwrap().places[0].site.clone();
    assert_eq!(site(&bench), "blocks.1.resid_post");
    let ours = folder.path().join("ours.gguf");
    bench.run(&format!("save direction {} c", ours.display()));
    assert!(fs::read(&ours).unwrap() == fs::read(&theirs).unwrap(), "the bytes differ from those of gguf");
    bench.run(&format!("direction m from gguf {} -as-made", theirs.display()));
    assert_eq!(site(&bench), "blocks.0.resid_post");
    assert!(bench.fail(&format!("save direction {} m", ours.display())).contains("its numbers begin with 1"));
    bench.run("run\n");
    let plain = bench.numbers("L1.resid_post");
    bench.run("direction steer c 2");
    let steered = bench.numbers("L1.resid_post");
    for (i, (a, b)) in plain.iter().zip(&steered).enumerate() {
        assert!((b - a - 2.0 * truth.control[i % truth.control.len()]).abs() < 1e-5);
    }
}

#[test]
fn edits_of_directions_are_files_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("edits.json").display().to_string();
    let mut bench = Bench::new("gpt2", &["The nurse and the dog"]);
    bench.script("run\ndirection v -vector L0.resid_post[pos=1] -site L0.resid_post\ndirection erase v -orthogonal");
    let wanted = bench.bits("logits");
    bench.run(&format!("save edits {file}"));
    let mut other = Bench::new("gpt2", &["The nurse and the dog"]);
    other.script(&format!("run\nload edits {file}"));
    assert_eq!(other.bits("logits"), wanted);
    // They last: the pass of a generated token is changed too.
    bench.run("generate 2");
    let along = bench.number("absmax(sum(L0.resid_post * $v, axis=dim))");
    assert!(along < 1e-4 * bench.number("norm($v)"), "{along}");
}

#[test]
fn what_cannot_be_a_direction_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (one, few, texts) = (
        write("one.txt", b"The dog\n"),
        write("few.txt", b"The dog\nThe king\n"),
        write("texts.txt", b"The dog\nThe king\nThe nurse\nThe queen\n"),
    );
    let mut bench = Bench::new("gpt2", &["The nurse and the dog"]);
    bench.run("run");
    let from = |a: &str, b: &str| format!("direction d from texts {a} {b} -site L0.resid_post");
    let cases = [
        (from(&one, &texts), "has 1 text:"),
        (from(&few, &texts), "has 2 texts:"),
        (from(&texts, "no-such-file.txt"), "cannot read no-such-file.txt"),
        (from(&texts, &texts) + " -method lda", "no method lda"),
        (from(&texts, &texts) + " -c 1", "penalty of a logistic regression"),
        (from(&texts, &texts) + " -method logistic -c 0", "is not a penalty"),
        (from(&texts, &texts) + " -pos 77", "has no position 77"),
        (from(&texts, &texts) + " -pos first", "is not a position"),
        (from(&texts, &texts) + " -held-out 1", "is not a share"),
        (from(&texts, &texts).replace("L0.resid_post", "L0.attn.z"), "a direction needs pos and one more"),
        (from(&texts, &texts).replace("L0.resid_post", "tokens"), "a direction needs pos and one more"),
        (from(&texts, &texts).replace("direction d", "direction steer"), "takes the name of a direction"),
        (from(&texts, &texts).replace("direction d", "direction 3"), "is not a name"),
        ("direction v -vector L0.resid_post -site L0.resid_post".into(), "has vectors of 32"),
        ("direction v -vector L0.resid_post[0] * 0 -site L0.resid_post".into(), "has no direction"),
        ("direction v -vector L0.resid_post[0] / 0 -site L0.resid_post".into(), "has no direction"),
        ("direction erase v".into(), "no direction is called v"),
        (format!("direction c from gguf {texts}"), "GGUF"),
        ("dla -along v".into(), "no direction is called v"),
    ];
    for (line, wanted) in cases {
        let found = bench.fail(&line);
        assert!(found.contains(wanted), "{line}: {found}");
    }
    // The same texts on both sides: every vector is in both kinds, and there is nothing to erase.
    let text = bench.text(&format!("direction d from texts {texts} {texts} test {texts} {texts} -site L0.resid_post"));
    assert!(
        text.contains("4 texts are in both files") && text.contains("8 texts are both held out and fitted to"),
        "{text}"
    );
    let found = bench.fail("direction erase d");
    assert!(found.contains("there is nothing to erase"), "{found}");
    // Control vectors with other names, kinds and numbers.
    let good = fs::read(fixtures().join("control.gguf")).unwrap();
    let changed = |from: &[u8], to: &[u8]| {
        let at = good.windows(from.len()).position(|part| part == from).unwrap();
        [&good[..at], to, &good[at + from.len()..]].concat()
    };
    let cases = [
        (changed(b"direction.1", b"direction.0"), "llama.cpp would refuse it"),
        (changed(b"direction.1", b"direction.9"), "direction.9 belongs to block 9"),
        (changed(b"direction.1", b"velocity..1"), "is not direction.N"),
        (changed(b"controlvector", b"controlvictor"), "a GGUF file of controlvictor"),
        (good[..good.len() - 40].to_vec(), "direction.1"),
    ];
    for (number, (bytes, wanted)) in cases.into_iter().enumerate() {
        let file = write(&format!("{number}.gguf"), &bytes);
        let found = bench.fail(&format!("direction c from gguf {file}"));
        assert!(found.contains(wanted), "{number}: {found}");
    }
}
