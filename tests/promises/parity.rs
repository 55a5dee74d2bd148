//! Every site of every fixture model has the value that transformers computes, on the CPU and through wgpu.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use llmdbg::debugger::{Direction, Motion, Session, Settings};
use llmdbg::model::{Input, Model, ModelSource, Row, load};
use llmdbg::tensor::{Device, DeviceChoice, Kind};
use safetensors::SafeTensors;

pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name)
}

pub fn open(name: &str, device: &Device) -> Model {
    load(&ModelSource::Path(fixture(name)), device, &mut |_| true).expect("the fixture loads")
}

pub fn session(model: Model, input: Input, device: &Device) -> Session {
    let settings = Settings { record_budget: 1 << 30 };
    Session::new(model, input, device.clone(), &settings, Arc::new(AtomicBool::new(false)))
}

/// The rows of the fixture's prompts, as transformers was given them.
fn prompts(name: &str) -> Vec<(Row, Vec<String>)> {
    let text = std::fs::read_to_string(fixture(name).join("reference.json")).expect("reference.json");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let numbers = |value: &serde_json::Value| -> Vec<u32> {
        value.as_array().into_iter().flatten().map(|n| n.as_u64().expect("a number") as u32).collect()
    };
    let prompt = |prompt: &serde_json::Value| {
        let ids = numbers(&prompt["token_ids"]);
        let types = numbers(&prompt["token_type_ids"]);
        let row = Row {
            mask: numbers(&prompt["attention_mask"]).into_iter().map(|m| m == 1).collect(),
            type_ids: if types.is_empty() { vec![0; ids.len()] } else { types },
            ids,
            ..Row::default()
        };
        (row, prompt["sites"].as_object().expect("sites").keys().cloned().collect())
    };
    json["prompts"].as_array().expect("prompts").iter().map(prompt).collect()
}

/// Runs each prompt and compares every site. Tolerance: |a - b| <= tolerance * (1 + |b|); -inf must be -inf.
fn check(name: &str, device: &Device, tolerance: f64) {
    let bytes = std::fs::read(fixture(name).join("reference.safetensors")).expect("reference.safetensors");
    let reference = SafeTensors::deserialize(&bytes).expect("safetensors");
    for (number, (row, sites)) in prompts(name).into_iter().enumerate() {
        let model = open(name, device);
        let input = Input::from_rows(&model, vec![row]).expect("the prompt fits");
        let mut session = session(model, input, device);
        session.start();
        session.travel(&Motion::Continue, Direction::Forward, &mut |_, _, _| {}).expect("the pass runs");
        let ours: Vec<String> = session.run.program.sites().to_vec();
        assert_eq!(ours, sites, "{name}, prompt {number}: the sites, in program order");
        let mut worst: BTreeMap<String, f64> = BTreeMap::new();
        for (op, site) in ours.iter().enumerate() {
            let view = reference.tensor(&format!("p{number}/{site}")).expect("the reference has the site");
            let value = session.run.value(op).expect("computed");
            assert_eq!(&value.shape()[1..], view.shape(), "{name}, {site}: shape");
            if value.kind() == Kind::Int {
                let wanted: Vec<i64> =
                    view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().expect("8 bytes"))).collect();
                assert_eq!(value.read_i64().expect("read"), wanted, "{name}, {site}");
                continue;
            }
            let wanted = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes")));
            for (found, wanted) in value.read_f32().expect("read").into_iter().zip(wanted) {
                let error = if found == wanted {
                    0.0
                } else {
                    f64::from(found - wanted).abs() / (1.0 + f64::from(wanted).abs())
                };
                let entry = worst.entry(site.clone()).or_default();
                // A NaN difference (one side infinite or NaN) must fail, so it must not lose a comparison.
                *entry = if error.is_nan() { f64::INFINITY } else { entry.max(error) };
            }
        }
        for (site, error) in worst {
            assert!(error <= tolerance, "{name}, prompt {number}, {site}: off by {error:e}");
        }
    }
}

/// The references are off float64 by at most 2e-5; another float32 implementation may be as far on its side.
const CPU: f64 = 5e-5;

/// GPU reductions run in other orders, and their exponentials are a few units in the last place off.
const WGPU: f64 = 1e-4;

const MODELS: [&str; 7] = ["gpt2", "gpt2-f16", "llama", "llama-legacy", "bert-seqcls", "bert-mlm", "bert-sentence"];

#[test]
fn every_site_equals_transformers_on_the_cpu() {
    for name in MODELS {
        check(name, &Device::cpu(), CPU);
    }
}

#[test]
fn every_site_equals_transformers_through_wgpu() {
    let device = Device::open(DeviceChoice::Vulkan(0)).expect("a Vulkan adapter (Mesa's software one will do)");
    assert!(!device.is_cpu());
    for name in MODELS {
        check(name, &device, WGPU);
    }
}
