//! Promise: `save activations` writes every site of a pass, as transformers computes it, through the program itself.

use std::collections::BTreeSet;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::common::{NURSE, batch};
use crate::parity::fixture;

/// Ours and the reference are float32 sums in other orders; both are off float64 by at most 2e-5 (1 + |v|).
const TOLERANCE: f32 = 5e-5;

const MODELS: [&str; 7] = ["gpt2", "gpt2-f16", "llama", "llama-legacy", "bert-seqcls", "bert-mlm", "bert-sentence"];

fn prompts(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(fixture(name).join("reference.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["prompts"].as_array().unwrap().clone()
}

/// The elements of `view` at the leading `shape` of its axes, for row `row` if it has rows.
fn leading(data: &[u8], whole: &[usize], shape: &[usize], row: Option<usize>, size: usize) -> Vec<u8> {
    let (mut offset, mut axes) = (0, whole.to_vec());
    if let Some(row) = row {
        let rest: usize = axes[1..].iter().product();
        offset = row * rest * size;
        axes.remove(0);
    }
    assert_eq!(axes.len(), shape.len(), "{whole:?} against {shape:?}");
    let mut out = Vec::new();
    let count: usize = shape.iter().product();
    for flat in 0..count {
        let (mut left, mut at, mut stride) = (flat, 0, 1);
        for (&len, &take) in axes.iter().zip(shape).rev() {
            assert!(take <= len, "{whole:?} against {shape:?}");
            at += left % take * stride;
            left /= take;
            stride *= len;
        }
        let start = offset + at * size;
        out.extend_from_slice(&data[start..start + size]);
    }
    out
}

/// Compares a written file with prompt `number` of the reference; `row` is the row of the file, none if it has no rows.
fn check(name: &str, number: usize, file: &Path, row: Option<usize>) {
    let (ours, reference) = (std::fs::read(file).unwrap(), fixture(name).join("reference.safetensors"));
    let reference = std::fs::read(reference).unwrap();
    let ours = SafeTensors::deserialize(&ours).unwrap();
    let reference = SafeTensors::deserialize(&reference).unwrap();
    let prefix = format!("p{number}/");
    let wanted: BTreeSet<&str> = reference.names().into_iter().filter_map(|name| name.strip_prefix(&prefix)).collect();
    let found: BTreeSet<&str> = ours.names().into_iter().collect();
    assert!(wanted.len() > 40);
    assert_eq!(found, wanted, "{name}, prompt {number}: the sites");
    for site in wanted {
        let at = format!("{name}, prompt {number}, {site}");
        let (a, b) = (ours.tensor(site).unwrap(), reference.tensor(&format!("{prefix}{site}")).unwrap());
        assert_eq!(a.dtype(), b.dtype(), "{at}");
        if row.is_none() {
            assert_eq!(a.shape(), b.shape(), "{at}");
        }
        match a.dtype() {
            Dtype::I64 => assert_eq!(leading(a.data(), a.shape(), b.shape(), row, 8), b.data(), "{at}"),
            Dtype::F32 => {
                let data = leading(a.data(), a.shape(), b.shape(), row, 4);
                for (x, y) in data.chunks_exact(4).zip(b.data().chunks_exact(4)) {
                    let (x, y) = (f32::from_le_bytes(x.try_into().unwrap()), f32::from_le_bytes(y.try_into().unwrap()));
                    assert!(x == y || (x - y).abs() <= TOLERANCE + TOLERANCE * y.abs(), "{at}: {x} against {y}");
                }
            }
            other => panic!("{at}: {other:?}"),
        }
    }
}

#[test]
fn saved_activations_equal_transformers_for_every_prompt_of_every_fixture() {
    let folder = tempfile::tempdir().unwrap();
    for name in MODELS {
        for (number, prompt) in prompts(name).iter().enumerate() {
            let file = folder.path().join("out.safetensors");
            let save = format!("save activations {}", file.display());
            let length = prompt["token_ids"].as_array().unwrap().len().to_string();
            let mut arguments = vec!["-p", prompt["text"].as_str().unwrap(), "--pad-to", &length];
            if let Some(second) = prompt["second_text"].as_str() {
                arguments.extend(["--pair", second]);
            }
            arguments.extend(["-ex", "run", "-ex", &save]);
            let ran = batch(name, &arguments);
            assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{name}, prompt {number}");
            check(name, number, &file, None);
            std::fs::remove_file(&file).unwrap();
        }
    }
}

#[test]
fn a_batch_saved_with_all_rows_equals_its_prompts_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    for name in MODELS {
        let prompts = prompts(name);
        let single: Vec<usize> = (0..prompts.len()).filter(|&i| prompts[i]["second_text"].is_null()).collect();
        let file = folder.path().join("rows.safetensors");
        let save = format!("save activations {} -all-rows", file.display());
        let mut arguments: Vec<&str> =
            single.iter().flat_map(|&i| ["-p", prompts[i]["text"].as_str().unwrap()]).collect();
        arguments.extend(["-ex", "run", "-ex", &save]);
        let ran = batch(name, &arguments);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{name}");
        for (row, &number) in single.iter().enumerate() {
            check(name, number, &file, Some(row));
        }
    }
}

#[test]
fn chosen_sites_are_saved_and_those_not_computed_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (some, early) = (path("some.safetensors"), path("early.safetensors"));
    let saves =
        [format!("save activations {some} L*.attn.z tokens L1.attn.result"), format!("save activations {early}")];
    let ran = batch("gpt2", &["-p", NURSE, "-ex", "run", "-ex", &saves[0], "-ex", "goto L0.attn.q", "-ex", &saves[1]]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains(&format!("Wrote 4 sites to {some}\n")), "{}", ran.out);
    assert!(ran.out.contains(&format!("Wrote 8 sites to {early} (41 more are not computed yet)\n")), "{}", ran.out);
    let bytes = std::fs::read(&some).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let names: BTreeSet<&str> = file.names().into_iter().collect();
    assert_eq!(names, BTreeSet::from(["blocks.0.attn.z", "blocks.1.attn.result", "blocks.1.attn.z", "tokens"]));
    assert_eq!(file.tensor("blocks.1.attn.result").unwrap().shape(), [8, 4, 32]);
}
