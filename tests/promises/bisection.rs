//! Promise: `bisect` names the op that introduces a difference, and the reason where it can be tried; of rounding it names none.

use std::fs;
use std::path::{Path, PathBuf};

use llmdbg::answer::{Cell, Table};
use llmdbg::model::{Input, ModelSource, load};
use llmdbg::tensor::Device;

use crate::common::{Bench, NURSE, vulkan};
use crate::parity::fixture;

/// Culprits: site and reason.
fn culprits(table: &Table) -> Vec<(String, String)> {
    let text = |cell: &Cell| if let Cell::Text(text) = cell { text.clone() } else { String::new() };
    let introduced = |row: &&Vec<Cell>| text(&row[4]) == "introduced";
    table.rows.iter().filter(introduced).map(|row| (text(&row[0]), text(&row[6]))).collect()
}

/// A copy of a fixture with another configuration.
pub fn recopied(name: &str, folder: &Path, change: &dyn Fn(&mut serde_json::Value)) -> PathBuf {
    let copy = folder.join(name);
    fs::create_dir_all(&copy).unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let path = copy.join("config.json");
    let mut config: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut config);
    fs::write(&path, config.to_string()).unwrap();
    copy
}

/// A fixture with another configuration, on the same text.
fn reconfigured(name: &str, folder: &Path, change: &dyn Fn(&mut serde_json::Value)) -> Bench {
    let copy = recopied(name, folder, change);
    let device = Device::cpu();
    let model = load(&ModelSource::Path(copy), &device).unwrap();
    let input = Input::from_texts(&model, &[NURSE], true).unwrap();
    Bench::of(name, model, input, 1 << 30)
}

/// The values of a faulty run in a file, and the sound model beside it.
fn against(name: &str, folder: &Path, mut faulty: Bench, fault: &str) -> Vec<(String, String)> {
    faulty.run("run");
    if !fault.is_empty() {
        faulty.script(fault);
        if !faulty.console.session.run.at_end() {
            faulty.run("continue");
        }
    }
    let file = folder.join("faulty.safetensors");
    faulty.run(&format!("save activations {}", file.display()));
    let mut sound = Bench::new(name, &[NURSE]);
    sound.run("run");
    culprits(&sound.table(&format!("bisect {}", file.display())))
}

#[test]
fn faults_of_weights_are_found_at_their_op_with_their_reason() {
    // Family, fault, the op, and a part of the reason.
    let faults = [
        ("gpt2", "set param(\"L1.attn.b_O\") = 0", "blocks.1.attn.out", "adds no bias"),
        ("gpt2", "set param(\"L0.mlp.b_out\") = 0", "blocks.0.mlp.out", "adds no bias"),
        ("gpt2", "set param(\"L0.mlp.b_in\") += 1", "blocks.0.mlp.pre", "a different bias"),
        (
            "gpt2",
            "set param(\"L1.mlp.W_out\") *= 0\nset param(\"L1.mlp.b_out\") *= 0",
            "blocks.1.mlp.out",
            "0.000000 times",
        ),
        ("gpt2", "set param(\"W_E\") *= 2", "embed", "2.000000 times ours"),
        ("gpt2", "set param(\"L0.ln1.w\") *= -1\nset param(\"L0.ln1.b\") *= -1", "blocks.0.ln1.out", "-1.000000 times"),
        ("gpt2", "set param(\"ln_final.b\") = 0", "ln_final.out", "adds no bias"),
        ("llama", "set param(\"L1.attn.W_V\") *= 0.5", "blocks.1.attn.v", "0.500000 times ours"),
        ("llama", "set param(\"L0.attn.W_O\") *= 1.1", "blocks.0.attn.out", "1.100000 times ours"),
        ("llama", "set param(\"L0.mlp.W_gate\") *= -1", "blocks.0.mlp.pre", "-1.000000 times ours"),
        ("llama", "set param(\"W_U\") *= 3", "logits", "3.000000 times ours"),
        ("llama", "set param(\"L1.mlp.W_out\")[5] = 0", "blocks.1.mlp.out", ""),
        ("qwen3", "set param(\"L1.attn.q_norm.w\") *= 2", "blocks.1.attn.q_norm", "2.000000 times ours"),
        ("mistral", "set L0.attn.z *= 2", "blocks.0.attn.z", "2.000000 times ours"),
        ("phi", "set param(\"L1.attn.b_K\") = 0", "blocks.1.attn.k", "adds no bias"),
        (
            "bloom",
            "set param(\"L0.attn.W_K\") *= 0.25\nset param(\"L0.attn.b_K\") *= 0.25",
            "blocks.0.attn.k",
            "0.250000 times",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, fault, site, reason) in faults {
        let found = against(name, folder.path(), Bench::new(name, &[NURSE]), fault);
        assert_eq!(found.iter().map(|one| one.0.as_str()).collect::<Vec<_>>(), [site], "{name}: {fault}: {found:?}");
        assert!(found[0].1.contains(reason), "{name}: {fault}: {}", found[0].1);
        assert_eq!(found[0].1.is_empty(), reason.is_empty(), "{name}: {fault}: {}", found[0].1);
    }
}

#[test]
fn faults_of_the_configuration_are_found_with_their_reason() {
    type Change = fn(&mut serde_json::Value);
    let faults: [(&str, Change, &str, &str); 6] = [
        ("gpt2", |c| c["layer_norm_epsilon"] = 1e-3.into(), "blocks.0.ln1.scale", ""),
        ("gpt2", |c| c["layer_norm_epsilon"] = 1e-6.into(), "blocks.0.ln1.scale", "eps is 1e-6 there"),
        ("gpt2", |c| c["activation_function"] = "relu".into(), "blocks.0.mlp.post", "the activation is Relu there"),
        ("gpt2", |c| c["activation_function"] = "gelu".into(), "blocks.0.mlp.post", "the activation is Gelu there"),
        ("llama", |c| c["hidden_act"] = "gelu".into(), "blocks.0.mlp.post", "the activation is Gelu there"),
        ("gemma2", |c| c["final_logit_softcapping"] = serde_json::Value::Null, "logits", "logits are not capped there"),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, change, site, reason) in faults {
        let faulty = reconfigured(name, folder.path(), &change);
        let found = against(name, folder.path(), faulty, "");
        assert_eq!(found.first().map(|one| one.0.as_str()), Some(site), "{name} {site}: {found:?}");
        // The same op of every block, and nothing else.
        let part = |site: &str| {
            site.split_once('.').map_or(site.to_string(), |(_, rest)| rest.rsplit('.').next().unwrap().into())
        };
        assert!(found.iter().all(|one| part(&one.0) == part(site)), "{name}: {found:?}");
        assert!(found.iter().all(|one| one.1.contains(reason)), "{name} {site}: {found:?}");
    }
}

#[test]
fn of_rounding_it_names_none() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["gpt2", "llama", "gemma2", "bloom", "qwen3_moe", "bert-mlm", "opt", "phi"];
    for name in names {
        // Another device, and the same bits again.
        let mut other = Bench::on(name, &[NURSE], &vulkan(), 1 << 30);
        other.run("run");
        let file = folder.path().join("other.safetensors");
        other.run(&format!("save activations {}", file.display()));
        let mut here = Bench::new(name, &[NURSE]);
        here.run("run");
        let table = here.table(&format!("bisect {} -fail", file.display()));
        assert_eq!(culprits(&table), [], "{name}");
        assert!(table.title.contains("nothing is introduced beyond rounding"), "{}", table.title);
        here.run(&format!("save activations {}", file.display()));
        let table = here.table(&format!("bisect {} -all", file.display()));
        assert!(table.rows.iter().all(|row| row[1] == Cell::Num(0.0)), "{name}");
    }
    // Weights rounded to f16 beside those in f32: every product errs, none is at fault.
    for name in ["gpt2", "llama", "opt", "gemma2"] {
        let copy = folder.path().join(format!("{name}-half"));
        let mut half = reconfigured(name, &copy, &|_| ());
        let model = copy.join(name).join("model.safetensors");
        fs::write(&model, halved(&fs::read(&model).unwrap())).unwrap();
        let device = Device::cpu();
        let loaded = load(&ModelSource::Path(copy.join(name)), &device).unwrap();
        let input = Input::from_texts(&loaded, &[NURSE], true).unwrap();
        half.console = Bench::of(name, loaded, input, 1 << 30).console;
        half.run("run");
        let file = folder.path().join("half.safetensors");
        half.run(&format!("save activations {}", file.display()));
        let mut full = Bench::new(name, &[NURSE]);
        full.run("run");
        let table = full.table(&format!("bisect {} -all", file.display()));
        assert!(table.rows.iter().any(|row| matches!(row[1], Cell::Num(x) if x > 5e-5)), "{name}: nothing was rounded");
        assert_eq!(culprits(&table), [], "{name}");
    }
}

/// A safetensors file with its f32 tensors in f16.
pub fn halved(bytes: &[u8]) -> Vec<u8> {
    let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
    let mut tensors = Vec::new();
    for (name, view) in file.tensors() {
        if view.dtype() != safetensors::Dtype::F32 {
            tensors.push((name, view.dtype(), view.shape().to_vec(), view.data().to_vec()));
            continue;
        }
        let numbers = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
        let data: Vec<u8> = numbers.flat_map(|x| half::f16::from_f32(x).to_le_bytes()).collect();
        tensors.push((name, safetensors::Dtype::F16, view.shape().to_vec(), data));
    }
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        let view = safetensors::tensor::TensorView::new(*dtype, shape.clone(), data).unwrap();
        (name.clone(), view)
    });
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn what_a_file_lacks_is_computed_between_and_the_stretch_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("some.safetensors");
    let mut faulty = Bench::new("llama", &[NURSE]);
    faulty.script("run\nset param(\"L1.attn.W_V\") *= 2");
    faulty.run(&format!("save activations {} L*.resid_pre L*.resid_mid L*.resid_post logits", file.display()));
    let mut sound = Bench::new("llama", &[NURSE]);
    sound.run("run");
    let table = sound.table(&format!("bisect {}", file.display()));
    let found = culprits(&table);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "blocks.1.resid_mid");
    assert_eq!(table.rows[0][5], Cell::Text("blocks.1.resid_pre".into()));
    assert!(sound.fail(&format!("bisect {} -fail", file.display())).starts_with("blocks.1.resid_mid differ"));
}

#[test]
fn branches_are_bisected_too_and_what_does_not_fit_is_refused() {
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.script("run\nset param(\"L1.mlp.W_in\") *= 2");
    if !b.console.session.run.at_end() {
        b.run("continue");
    }
    let found = culprits(&b.table("bisect main"));
    assert_eq!(found.iter().map(|one| one.0.as_str()).collect::<Vec<_>>(), ["blocks.1.mlp.pre"]);
    let before = b.everything();
    b.run("bisect main");
    assert_eq!(b.everything(), before);
    assert!(b.fail("bisect").contains("expected the side to compare with"));
    assert!(b.fail("bisect nowhere").contains("nowhere is not a branch"));
    b.run("generate 1");
    assert!(b.fail("bisect main").contains("goto #0"));
}
