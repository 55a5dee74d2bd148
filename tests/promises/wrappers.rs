//! Of a model that reads images too, the text part is opened, and computes what transformers computes with the whole model
//! for a text alone; and a family under another name is that family.

use std::fs;
use std::path::{Path, PathBuf};

use llmdbg::model::{Input, ModelSource, Row, load};
use llmdbg::tensor::Device;
use serde_json::{Value as Json, json};

use super::common::Bench;

/// `|a - b| / (1 + |b|)` between two implementations in f32, as for all sites of the fixture models.
const TOLERANCE: f64 = 5e-5;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn open(path: &Path, ids: &[u32]) -> Bench {
    let device = Device::cpu();
    let model = load(&ModelSource::Path(path.to_owned()), &device)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let count = ids.len();
    let row = Row { ids: ids.to_vec(), mask: vec![true; count], type_ids: vec![0; count], ..Row::default() };
    let input = Input::from_rows(&model, vec![row]).unwrap();
    let mut bench = Bench::of("model", model, input, 1 << 30);
    bench.run("run");
    bench
}

fn read(path: &Path) -> Json {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_text_part_of_a_model_that_reads_images_has_the_logits_of_the_whole() {
    let mut count = 0;
    for entry in fs::read_dir(folder("wrappers")).unwrap() {
        let path = entry.unwrap().path();
        let reference = read(&path.join("logits.json"));
        let ids: Vec<u32> = serde_json::from_value(reference["ids"].clone()).unwrap();
        let wanted: Vec<Vec<f64>> = serde_json::from_value(reference["logits"].clone()).unwrap();
        let mut bench = open(&path, &ids);
        let found = bench.numbers("logits");
        let far = |(a, b): (&f64, &f64)| (a - b).abs() / (1.0 + b.abs());
        let worst = found.iter().zip(wanted.iter().flatten()).map(far).fold(0.0, f64::max);
        assert_eq!(found.len(), wanted.iter().map(Vec::len).sum::<usize>());
        assert!(worst < TOLERANCE, "{}: {worst:e}", path.display());
        let said = bench.text("info model");
        assert!(said.contains("for images and sound, which are not computed"), "{said}");
        count += 1;
    }
    assert!(count >= 7, "{count}");
}

#[test]
fn a_family_under_another_name_computes_the_same() {
    for (fixture, model_type) in [("llama", "code_llama"), ("gpt2", "gpt-sw3")] {
        let original = folder("models").join(fixture);
        let copy = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(&original).unwrap() {
            let from = entry.unwrap().path();
            fs::copy(&from, copy.path().join(from.file_name().unwrap())).unwrap();
        }
        let mut config = read(&original.join("config.json"));
        config["model_type"] = json!(model_type);
        fs::write(copy.path().join("config.json"), config.to_string()).unwrap();
        let ids = [5, 9, 3, 12, 7];
        assert_eq!(open(copy.path(), &ids).bits("logits"), open(&original, &ids).bits("logits"), "{model_type}");
    }
}

#[test]
fn a_text_part_that_is_not_known_is_refused_by_its_own_name() {
    let original = folder("wrappers/llava");
    let copy = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(original.join(name), copy.path().join(name)).unwrap();
    }
    let mut config = read(&original.join("config.json"));
    config["text_config"]["model_type"] = json!("gemma3n_text");
    fs::write(copy.path().join("config.json"), config.to_string()).unwrap();
    let error =
        load(&ModelSource::Path(copy.path().to_owned()), &Device::cpu()).expect_err("it is refused").to_string();
    assert!(error.contains("\"gemma3n_text\" is not supported: its residual stream"), "{error}");
}
