//! Promises: a LoRA adapter over a model computes what PEFT computes; base and fine-tune are two branches of one load; a merged
//! twin agrees.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use llmdbg::model::{Input, ModelSource, load};
use llmdbg::tensor::Device;
use safetensors::SafeTensors;

use crate::common::{Bench, llmdbg_in, model, vulkan};
use crate::parity::fixture;

/// PEFT adds `x A B` to `x W`, this program `A B` to `W`: sums of 32-bit floats in another order. transformers' own merged and
/// unmerged logits differ by up to 8e-6 here, at magnitudes of 16.
const TOLERANCE: f64 = 5e-5;

fn adapter(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lora").join(name)
}

fn reference(name: &str, of: &str) -> Vec<f64> {
    let bytes = std::fs::read(adapter(name).join("reference.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let data = tensors.tensor(of).unwrap().data().to_vec();
    match of {
        "tokens" => data.chunks(8).map(|x| i64::from_le_bytes(x.try_into().unwrap()) as f64).collect(),
        _ => data.chunks(4).map(|x| f32::from_le_bytes(x.try_into().unwrap()).into()).collect(),
    }
}

fn bench(name: &str, device: &Device) -> Bench {
    let model = model(name, device);
    let tokens = reference(name, "tokens").into_iter().map(|id| id as u32).collect();
    let input = Input::from_tokens(&model, vec![tokens]).unwrap();
    let mut bench = Bench::of(name, model, input, device, 1 << 30);
    bench.run("run");
    bench
}

fn check(found: &[f64], wanted: &[f64], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let scale = |x: f64| x.abs().max(1.0);
    let worst = found.iter().zip(wanted).map(|(a, b)| (a - b).abs() / scale(*b)).fold(0.0, f64::max);
    assert!(worst <= TOLERANCE, "{what}: {worst:e}");
}

#[test]
fn an_adapter_computes_what_peft_computes_in_a_branch_of_its_own() {
    for name in ["gpt2", "llama", "gpt_neox", "bloom", "phi3", "falcon", "bert-seqcls"] {
        let mut bench = bench(name, &Device::cpu());
        check(&bench.numbers("logits"), &reference(name, "base"), name);
        let base = bench.everything();
        let said = bench.text(&format!("lora load {}", adapter(name).display()));
        assert!(said.contains("branch lora;"), "{said}");
        check(&bench.numbers("logits"), &reference(name, "adapted"), name);
        check(&bench.numbers("logits@main"), &reference(name, "base"), name);
        bench.run("lora off");
        assert_eq!(bench.everything(), base, "{name}: the base is as it was");
        assert!(bench.fail("lora off").contains("no adapter is on"));
        bench.run("lora on");
        check(&bench.numbers("logits"), &reference(name, "adapted"), name);
        assert!(bench.fail("lora on").contains("is on in branch"));
    }
}

#[test]
fn an_adapter_computes_the_same_through_wgpu() {
    let mut bench = bench("llama", &vulkan());
    bench.run(&format!("lora load {}", adapter("llama").display()));
    check(&bench.numbers("logits"), &reference("llama", "adapted"), "llama");
}

#[test]
fn an_exported_adapted_model_is_the_merged_twin() {
    for name in ["gpt2", "gpt_neox", "bloom", "phi3", "bert-seqcls"] {
        let folder = tempfile::tempdir().unwrap();
        let twin = folder.path().join("merged");
        let mut adapted = bench(name, &Device::cpu());
        adapted.script(&format!("lora load {}\nexport model {}", adapter(name).display(), twin.display()));
        let copy = load(&ModelSource::Path(twin), &Device::cpu(), &mut |_| true).unwrap();
        let tokens = reference(name, "tokens").into_iter().map(|id| id as u32).collect();
        let input = Input::from_tokens(&copy, vec![tokens]).unwrap();
        let mut merged = Bench::of(name, copy, input, &Device::cpu(), 1 << 30);
        merged.run("run");
        assert_eq!(merged.everything(), adapted.everything(), "{name}");
        check(&merged.numbers("logits"), &reference(name, "merged"), name);
    }
}

#[test]
fn an_edit_of_an_adapted_model_stays_when_the_adapter_goes() {
    let mut bench = bench("gpt2", &Device::cpu());
    bench.script(&format!("lora load {}\nablate L0H1\nlora off", adapter("gpt2").display()));
    let found = bench.everything();
    let mut other = self::bench("gpt2", &Device::cpu());
    other.run("ablate L0H1");
    assert_eq!(found, other.everything());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lora.json");
    bench.script(&format!("lora on\nsave edits {}", file.display()));
    other.run(&format!("load edits {}", file.display()));
    assert_eq!(other.everything(), bench.everything(), "an adapter is edits, and edits are data");
}

#[test]
fn the_command_line_takes_an_adapter() {
    let tokens = reference("gpt2", "tokens").iter().map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    let (model, lora) = (fixture("gpt2"), adapter("gpt2"));
    let fixed = ["-batch", "-nx", "--device", "cpu", model.to_str().unwrap(), "--tokens", &tokens, "--lora"];
    let run = |lora: &str, commands: &[&str]| {
        let mut all: Vec<&str> = fixed.to_vec();
        all.push(lora);
        commands.iter().for_each(|command| all.extend(["-ex", command]));
        llmdbg_in(Path::new("."), &all, Stdio::null())
    };
    let ran = run(lora.to_str().unwrap(), &["run", "info branches", "lora", "print/r logits[-1, 0]"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.contains("└─ lora") && ran.out.contains("blocks.0.attn.W_Q: rank 4, times 2"), "{}", ran.out);
    let wanted = reference("gpt2", "adapted");
    let first = wanted[wanted.len() - 384];
    let found: f64 = ran.out.lines().last().unwrap().parse().unwrap();
    assert!((found - first).abs() <= TOLERANCE * first.abs().max(1.0), "{found} and {first}");
    let missing = run("nowhere", &["run"]);
    assert_eq!(missing.status, 4);
    assert!(missing.err.contains("cannot apply the adapter nowhere: adapter_config.json: "), "{}", missing.err);
}

#[test]
fn an_adapter_of_another_model_is_refused() {
    let mut bench = bench("gpt2", &Device::cpu());
    let message = bench.fail(&format!("lora load {}", adapter("llama").display()));
    assert!(message.contains("the model has no such module"), "{message}");
    let message = bench.fail("lora load nowhere");
    assert!(message.contains("cannot apply the adapter nowhere"), "{message}");
    assert!(bench.fail("lora on").contains("no adapter is loaded"));
    assert_eq!(bench.text("lora"), "No adapter is loaded.");
}
