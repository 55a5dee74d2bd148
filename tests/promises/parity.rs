//! Every site of every fixture model has the value that transformers computes, on the CPU and through wgpu.
//!
//! `LLMDBG_FIXTURES=DIR/models` checks other models instead: `python -m fixtures models --out DIR --seed N` makes them.
//! `--nocapture` shows a table of how far apart the values are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use llmdbg::debugger::{Direction, Motion, Session, Settings};
use llmdbg::model::{Input, Model, ModelSource, Row, Source, load_in};
use llmdbg::tensor::{Device, DeviceChoice, Kind, Precision};
use safetensors::SafeTensors;
use serde_json::Value as Json;

pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name)
}

pub fn session(model: Model, input: Input) -> Session {
    let settings = Settings { record_budget: 1 << 30 };
    Session::new(model, input, &settings, Arc::new(AtomicBool::new(false)))
}

fn numbers(value: &Json) -> Vec<u32> {
    value.as_array().into_iter().flatten().map(|n| n.as_u64().expect("a number") as u32).collect()
}

/// The row of a prompt, as transformers was given it.
fn row(prompt: &Json, last_type: u32) -> Row {
    let ids = numbers(&prompt["token_ids"]);
    // Where a model has no types of tokens, transformers passes over them.
    let types = numbers(&prompt["token_type_ids"]).into_iter().map(|kind| kind.min(last_type)).collect::<Vec<_>>();
    Row {
        mask: numbers(&prompt["attention_mask"]).into_iter().map(|m| m == 1).collect(),
        type_ids: if types.is_empty() { vec![0; ids.len()] } else { types },
        ids,
        source: prompt["source_ids"].is_array().then(|| Source {
            ids: numbers(&prompt["source_ids"]),
            mask: numbers(&prompt["source_mask"]).into_iter().map(|m| m == 1).collect(),
        }),
        ..Row::default()
    }
}

/// How far a model's values are from transformers'.
#[derive(Default)]
pub struct Report {
    /// Sites compared, over all prompts.
    pub sites: usize,
    /// The largest difference, and where it is.
    pub worst: f64,
    pub worst_site: String,
    /// What is wrong, in words.
    pub faults: Vec<String>,
}

impl Report {
    fn fault(&mut self, text: String) {
        self.faults.push(text);
    }
}

/// `|a - b| / (1 + |b|)`; -inf must be -inf, and NaN is never right.
fn distance(found: f32, wanted: f32) -> f64 {
    if found == wanted {
        return 0.0;
    }
    let error = f64::from(found - wanted).abs() / (1.0 + f64::from(wanted).abs());
    if error.is_nan() { f64::INFINITY } else { error }
}

/// Runs each prompt of a folder and compares every site, and what the head makes of it. The model is loaded from `source`,
/// which is the folder itself or the same model in another container, which has all that the prompts that are `kept` ask for.
pub fn check(source: &Path, folder: &Path, kept: &dyn Fn(&Json) -> bool, device: &Device, tolerance: f64) -> Report {
    check_held(source, folder, kept, (device, Precision::F32), tolerance)
}

fn check_held(
    source: &Path,
    folder: &Path,
    kept: &dyn Fn(&Json) -> bool,
    (device, precision): (&Device, Precision),
    tolerance: f64,
) -> Report {
    let mut report = Report::default();
    let text = std::fs::read_to_string(folder.join("reference.json")).expect("reference.json");
    let json: Json = serde_json::from_str(&text).expect("JSON");
    let bytes = std::fs::read(folder.join("reference.safetensors")).expect("reference.safetensors");
    let reference = SafeTensors::deserialize(&bytes).expect("safetensors");
    for (number, prompt) in json["prompts"].as_array().expect("prompts").iter().enumerate() {
        if !kept(prompt) {
            continue;
        }
        let model = match load_in(&ModelSource::Path(source.to_owned()), device, precision) {
            Ok(model) => model,
            Err(error) => {
                report.fault(error.to_string());
                return report;
            }
        };
        let input =
            match Input::from_rows(&model, vec![row(prompt, model.spec.embed.token_types.saturating_sub(1) as u32)]) {
                Ok(input) => input,
                Err(error) => {
                    report.fault(format!("prompt {number}: {error}"));
                    continue;
                }
            };
        let mut session = session(model, input);
        session.start();
        session.travel(&Motion::Continue, Direction::Forward).expect("the pass runs");
        check_sites(&mut report, &mut session, &reference, prompt, number, tolerance);
        check_head(&mut report, &mut session, prompt, number, tolerance);
    }
    report
}

fn check_sites(
    report: &mut Report,
    session: &mut Session,
    reference: &SafeTensors,
    prompt: &Json,
    number: usize,
    tolerance: f64,
) {
    let ours: Vec<String> = session.run.program.sites().to_vec();
    let theirs: Vec<&String> = prompt["sites"].as_object().expect("sites").keys().collect();
    if theirs != ours.iter().collect::<Vec<_>>() {
        let missing: Vec<_> = theirs.iter().filter(|site| !ours.contains(site)).collect();
        let extra: Vec<_> = ours.iter().filter(|site| !theirs.contains(site)).collect();
        report.fault(format!("prompt {number}: sites missing {missing:?}, sites too many {extra:?}, or another order"));
    }
    let mut first = true;
    for (op, site) in ours.iter().enumerate() {
        let Ok(view) = reference.tensor(&format!("p{number}/{site}")) else { continue };
        let value = session.run.value(op).expect("computed");
        report.sites += 1;
        if &value.shape()[1..] != view.shape() {
            report.fault(format!("prompt {number}, {site}: shape {:?}, not {:?}", &value.shape()[1..], view.shape()));
            continue;
        }
        if value.kind() == Kind::Int {
            let wanted: Vec<i64> =
                view.data().chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().expect("8 bytes"))).collect();
            if value.read_i64().expect("read") != wanted {
                report.fault(format!("prompt {number}, {site}: other numbers"));
            }
            continue;
        }
        let wanted = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes")));
        let found = value.read_f32().expect("read");
        let error = found.into_iter().zip(wanted).map(|(found, wanted)| distance(found, wanted)).fold(0.0, f64::max);
        if error > report.worst {
            (report.worst, report.worst_site) = (error, site.clone());
        }
        // The values after the first wrong one are wrong because of it.
        if error > tolerance && first {
            report.fault(format!("prompt {number}, {site}: off by {error:e}"));
            first = false;
        }
    }
}

/// Classes and the best tokens at masks, as they come from the logits.
fn check_head(report: &mut Report, session: &mut Session, prompt: &Json, number: usize, tolerance: f64) {
    let Some(op) = session.run.program.op_of("logits") else { return };
    let logits = session.run.value(op).expect("computed").read_f32().expect("read");
    if let Some(classes) = prompt.get("classes") {
        let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).expect("a class");
        let label = &session.run.model.spec.labels()[best];
        if classes["label_id"] != best || classes["label"] != label.as_str() {
            report.fault(format!("prompt {number}: class {label}, not {}", classes["label"]));
        }
    }
    let vocab = session.run.model.spec.vocab;
    for (position, best) in prompt.get("masked").and_then(Json::as_object).into_iter().flatten() {
        let position: usize = position.parse().expect("a position");
        let logits = &logits[position * vocab..(position + 1) * vocab];
        let mut order: Vec<usize> = (0..vocab).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        for (rank, pair) in best.as_array().expect("five tokens").iter().enumerate() {
            let (id, logit) = (pair[0].as_u64().expect("an id") as usize, pair[1].as_f64().expect("a logit") as f32);
            // Near ties may change places.
            let tied = distance(logits[order[rank]], logit) <= tolerance;
            if (order[rank] != id && !tied) || distance(logits[id], logit) > tolerance {
                report.fault(format!(
                    "prompt {number}, mask {position}: token {} is number {rank}, not {id}",
                    order[rank]
                ));
            }
        }
    }
}

/// The references are off float64 by at most 2e-5; another float32 implementation may be as far on its side.
pub const CPU: f64 = 5e-5;

/// GPU reductions run in other orders, and their exponentials are a few units in the last place off.
const WGPU: f64 = 1e-4;

/// Checks folders, prints the table, and fails if anything is wrong.
fn check_all(folders: &[PathBuf], device: &Device, tolerance: f64) {
    check_all_held(folders, (device, Precision::F32), tolerance);
}

#[expect(clippy::print_stdout, reason = "a table for those who ask for it")]
fn check_all_held(folders: &[PathBuf], held: (&Device, Precision), tolerance: f64) {
    let mut faults: BTreeMap<String, Vec<String>> = BTreeMap::new();
    println!("{:24} {:>6}  {:36} {:>9}", "model", "sites", "worst site", "worst");
    for folder in folders {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let report = check_held(folder, folder, &|_| true, held, tolerance);
        println!("{name:24} {:>6}  {:36} {:>9.1e}", report.sites, report.worst_site, report.worst);
        if report.sites == 0 || !report.faults.is_empty() {
            faults.insert(name, report.faults);
        }
    }
    let lines = faults.iter().flat_map(|(name, faults)| faults.iter().map(move |fault| format!("{name}: {fault}")));
    assert!(faults.is_empty(), "{}", lines.collect::<Vec<_>>().join("\n"));
}

fn all_folders() -> Vec<PathBuf> {
    let root = match std::env::var_os("LLMDBG_FIXTURES") {
        Some(folder) => PathBuf::from(folder),
        None => fixture(""),
    };
    let entries = std::fs::read_dir(root).expect("a folder of models").map(|entry| entry.expect("an entry").path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.join("reference.json").exists()).collect();
    folders.sort();
    folders
}

#[test]
fn every_site_equals_transformers_on_the_cpu() {
    let folders = all_folders();
    assert!(!folders.is_empty());
    check_all(&folders, &Device::cpu(), CPU);
}

/// Models that between them have every kernel.
const TELLING: [&str; 41] = [
    "gpt2",
    "gpt2-f16",
    "gpt2-seqcls",
    "llama",
    "llama-legacy",
    "gemma2",
    "gemma3_text",
    "phi3",
    "gptj",
    "bloom",
    "falcon",
    "olmo2",
    "cohere",
    "granite",
    "llama4_text",
    "qwen3_moe",
    "qwen3-rerank",
    "deepseek_v3",
    "gpt_oss",
    "apertus",
    "ministral3",
    "qwen3_5_text",
    "lfm2",
    "granite4-hybrid",
    "granite4-moe",
    "gemma4-moe",
    "falcon_h1",
    "jamba",
    "nemotron_h",
    "bert-seqcls",
    "bert-mlm",
    "bert-sentence",
    "bert-colbert",
    "albert",
    "modernbert",
    "t5-encoder",
    "deberta-v3",
    "esm",
    "t5",
    "bart",
    "m2m_100",
];

#[test]
fn every_site_equals_transformers_through_wgpu() {
    let device = Device::open(DeviceChoice::Vulkan(0)).expect("a Vulkan adapter (Mesa's software one will do)");
    assert!(!device.is_cpu());
    let folders: Vec<PathBuf> = TELLING.iter().map(|name| fixture(name)).collect();
    check_all(&folders, &device, WGPU);
}

/// Values held in 16 bits are off by 5e-4 of themselves when they are rounded, and weights too; dozens of ops pass that on, and sums
/// in which large terms cancel enlarge it. That each op by itself is right to half a unit is another test.
const HALVES: f64 = 1e-1;

#[test]
fn held_in_f16_every_site_is_near_transformers_on_both_devices() {
    check_all_held(&all_folders(), (&Device::cpu(), Precision::F16), HALVES);
    let device = Device::open(DeviceChoice::Vulkan(0)).expect("a Vulkan adapter (Mesa's software one will do)");
    let folders: Vec<PathBuf> = TELLING.iter().map(|name| fixture(name)).collect();
    check_all_held(&folders, (&device, Precision::F16), HALVES);
}
