//! Promises: a Jacobian lens is fitted as its definition says and read from the file of TransformerLens
//! (`tools/fixtures/interpretability/jacobian.py`); the vectors of tokens follow from it, and a swap exchanges coordinates.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::Bench;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/interpretability")
}

fn truth() -> Value {
    serde_json::from_str(&fs::read_to_string(folder().join("jacobian.json")).unwrap()).unwrap()
}

fn texts(truth: &Value) -> Vec<String> {
    truth["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_string()).collect()
}

fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(all) => all.iter().flat_map(flat).collect(),
        other => vec![other.as_f64().unwrap()],
    }
}

fn furthest(found: &[f64], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Derivatives of two blocks are of order 1 and come from 32 bits here, from 64 there.
#[test]
fn a_lens_is_the_mean_derivative_of_the_last_state() {
    let truth = truth();
    let here = tempfile::tempdir().unwrap();
    for name in ["gpt2", "llama"] {
        let texts = texts(&truth);
        let (file, lens) = (here.path().join("texts.txt"), here.path().join(format!("{name}.safetensors")));
        fs::write(&file, texts.join("\n")).unwrap();
        let mut bench = Bench::new(name, &[&texts[0]]);
        let said = bench.text(&format!("save jacobian {} {} -skip {}", lens.display(), file.display(), truth["skip"]));
        assert!(said.contains("1 blocks over 2 texts") && said.ends_with("1 are too short"), "{said}");
        let bytes = fs::read(&lens).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let data = tensors.tensor("J.0").unwrap();
        let found: Vec<f64> =
            data.data().chunks(4).map(|x| f64::from(f32::from_le_bytes(x.try_into().unwrap()))).collect();
        let off = furthest(&found, &flat(&truth[name]["J"]));
        assert!(off < 1e-4, "{name}: {off}");
        // What is read through it, at the last position: log-probabilities through a norm, from a file in 16 bits.
        bench.run("run");
        let theirs = folder().join(format!("{name}-jacobian.pt"));
        let wanted = flat(&truth[name]["read"]);
        for token in [3, 200, 300] {
            let table = bench.table(&format!("lens -jacobian {} -target {token}", theirs.display()));
            assert!(table.title.starts_with("Jacobian lens"), "{}", table.title);
            assert_eq!(table.rows.len(), 2, "what block 1 reads, and the end: {table:?}");
            let llmdbg::answer::Cell::Num(chance) = table.rows[0][1] else { panic!("{table:?}") };
            assert!((chance.ln() - wanted[token]).abs() < 1e-4, "{name}, {token}: {} {}", chance.ln(), wanted[token]);
        }
    }
}

#[test]
fn vectors_of_tokens_are_exchanged() {
    let truth = truth();
    let texts = texts(&truth);
    let lens = folder().join("gpt2-jacobian.pt").display().to_string();
    let mut bench = Bench::new("gpt2", &[&texts[0]]);
    bench.run("run");
    for (name, token) in [("a", 5), ("b", 77)] {
        bench.run(&format!("direction {name} from jacobian {lens} {token} -site L0.resid_post"));
        // v_j = sum over i of W_U[i] J[i, j], with J in 16 bits.
        let (unembed, j) = (bench.numbers(&format!("param(\"W_U\")[:, {token}]")), flat(&truth["gpt2"]["J"]));
        let d = unembed.len();
        let wanted: Vec<f64> = (0..d).map(|col| (0..d).map(|row| unembed[row] * j[row * d + col]).sum()).collect();
        let off = furthest(&bench.numbers(&format!("${name}")), &wanted);
        assert!(off < 1e-3 * bench.number(&format!("norm(${name})")).max(1.0), "{off}");
    }
    let before = (bench.numbers("$a"), bench.numbers("$b"), bench.numbers("L0.resid_post[-1]"));
    bench.run("direction swap a b 1");
    let after = bench.numbers("L0.resid_post[-1]");
    // The least squares that the formula stands for, solved here: c = (V^T V)^-1 V^T h.
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let coordinates = |h: &[f64]| {
        let (aa, ab, bb) = (dot(&before.0, &before.0), dot(&before.0, &before.1), dot(&before.1, &before.1));
        let (ah, bh) = (dot(&before.0, h), dot(&before.1, h));
        let det = aa * bb - ab * ab;
        ((bb * ah - ab * bh) / det, (aa * bh - ab * ah) / det)
    };
    let (was, is) = (coordinates(&before.2), coordinates(&after));
    let size = was.0.abs().max(was.1.abs()).max(1.0);
    assert!((was.0 - is.1).abs() < 1e-4 * size && (was.1 - is.0).abs() < 1e-4 * size, "{was:?} {is:?}");
    // Nothing else of the vector has moved.
    let rest = |h: &[f64], c: (f64, f64)| -> Vec<f64> {
        (0..h.len()).map(|i| h[i] - c.0 * before.0[i] - c.1 * before.1[i]).collect()
    };
    assert!(furthest(&rest(&before.2, was), &rest(&after, is)) < 1e-4);
    bench.run("undo");
    bench.run("direction c -vector $a * 2 -site L0.resid_post");
    assert!(bench.fail("direction swap a c").contains("are parallel"));
}

#[test]
fn what_is_no_lens_of_the_model_is_refused_by_name() {
    let here = tempfile::tempdir().unwrap();
    let lens = folder().join("gpt2-jacobian.pt").display().to_string();
    let mut bench = Bench::new("tiny-gpt2", &["When Mary"]);
    bench.run("run");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/gpt2/model.safetensors");
    let garbage = here.path().join("garbage.pt");
    fs::write(&garbage, b"PK\x03\x04 nothing").unwrap();
    let short = here.path().join("short.txt");
    fs::write(&short, "Mary\n").unwrap();
    let cases = [
        (format!("lens -jacobian {lens}"), "of a different model"),
        (format!("lens -jacobian {}", model.display()), "is not a Jacobian lens"),
        (format!("lens -jacobian {}", garbage.display()), "garbage.pt"),
        ("lens -jacobian nowhere.pt".into(), "nowhere.pt"),
        (format!("lens -jacobian {lens} -mid"), "of a different model"),
        (format!("lens -jacobian {lens} -tuned {lens}"), "not both"),
        (format!("lens L0.attn_out -jacobian {lens}"), "only the plain logit lens"),
        (format!("direction d from jacobian {lens} 5 -site L0.resid_post"), "of a different model"),
        (format!("save jacobian {}/x.pt {}", here.path().display(), short.display()), "is not a .safetensors file"),
        (format!("save jacobian {}/x.safetensors {}", here.path().display(), short.display()), "no text of"),
    ];
    for (line, wanted) in cases {
        let found = bench.fail(&line);
        assert!(found.contains(wanted), "{line}: {found}");
    }
}
