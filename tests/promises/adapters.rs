//! Promises: a LoRA adapter over a model computes what PEFT computes; base and fine-tune are two branches of one load; a merged
//! twin agrees.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use llmdbg::model::{Input, Model, ModelSource, adapter as adapters, load};
use llmdbg::tensor::Device;
use safetensors::SafeTensors;

use crate::altered::{Copy, Tensor, ran, tensors, write};
use crate::common::{Bench, batch, llmdbg_in, model, vulkan};
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

/// The model that an adapter is of, by the name of its folder: `llama-dora` is of llama.
fn base(name: &str) -> &str {
    if name == "bert-seqcls" { name } else { name.split_once('-').map_or(name, |(base, _)| base) }
}

fn bench(name: &str, device: &Device) -> Bench {
    bench_of(model(base(name), device), name)
}

fn bench_of(model: Model, name: &str) -> Bench {
    let tokens = reference(name, "tokens").into_iter().map(|id| id as u32).collect();
    let input = Input::from_tokens(&model, vec![tokens]).unwrap();
    let mut bench = Bench::of(name, model, input, 1 << 30);
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
    for name in ["gpt2", "llama", "gpt_neox", "bloom", "phi3", "falcon", "bert-seqcls", "gpt2-pickled"] {
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
fn weights_with_lengths_and_rows_of_their_own_are_those_of_peft() {
    for name in ["gpt2-dora", "phi3-dora", "gpt_neox-dora", "llama-dora", "llama-tokens", "qwen2-tokens"] {
        let mut bench = bench(name, &Device::cpu());
        check(&bench.numbers("logits"), &reference(name, "base"), name);
        let base = bench.everything();
        bench.run(&format!("lora load {}", adapter(name).display()));
        check(&bench.numbers("logits"), &reference(name, "adapted"), name);
        let adapted = bench.everything();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("edits.json");
        bench.script(&format!("save edits {}\nlora off", file.display()));
        assert_eq!(bench.everything(), base, "{name}: the base is as it was");
        bench.run(&format!("load edits {}", file.display()));
        assert_eq!(bench.everything(), adapted, "{name}: edits are data");
    }
    let mut bench = bench("llama-dora", &Device::cpu());
    bench.run(&format!("lora load {}", adapter("llama-dora").display()));
    let said = bench.text("lora");
    assert!(said.contains("blocks.0.attn.W_O: rank 2, times 2, then scaled to trained lengths"), "{said}");
    let mut bench = self::bench("llama-tokens", &Device::cpu());
    let said = bench.text(&format!("lora load {}", adapter("llama-tokens").display()));
    assert!(said.contains("3 weights changed"), "{said}");
    let said = bench.text("lora");
    assert!(said.contains("W_E: row 88 replaced") && said.contains("W_E: rows 270 to 272 replaced"), "{said}");
}

#[test]
fn lengths_and_rows_that_do_not_fit_are_refused() {
    let refused = |name: &str, config: &dyn Fn(&mut serde_json::Value), tensor: &dyn Fn(&mut Vec<Tensor>)| {
        let folder = tempfile::tempdir().unwrap();
        let text = std::fs::read_to_string(adapter(name).join("adapter_config.json")).unwrap();
        let mut json = serde_json::from_str(&text).unwrap();
        config(&mut json);
        std::fs::write(folder.path().join("adapter_config.json"), json.to_string()).unwrap();
        let mut all = tensors(&adapter(name).join("adapter_model.safetensors"));
        tensor(&mut all);
        write(&folder.path().join("adapter_model.safetensors"), &all);
        adapters::read(folder.path(), &model(base(name), &Device::cpu())).map(|_| ()).unwrap_err().to_string()
    };
    let lengths = |tensor: &&mut Tensor| tensor.name.ends_with("o_proj.lora_magnitude_vector");
    let said = refused("llama-dora", &|_| (), &|all| {
        let tensor = all.iter_mut().find(lengths).unwrap();
        *tensor = Tensor::f32(&tensor.name, &[3], &[1.0; 3]);
    });
    assert!(said.contains("lora_magnitude_vector has 3 lengths, the module 32 outputs"), "{said}");
    let said = refused("llama-dora", &|_| (), &|all| all.retain(|tensor| !tensor.name.contains("magnitude")));
    assert!(said.contains("no lora_magnitude_vector, though \"use_dora\" is set"), "{said}");
    let said = refused("llama-dora", &|config| config["use_dora"] = false.into(), &|_| ());
    assert!(said.contains("though \"use_dora\" is not set"), "{said}");
    let tokens = |tokens: serde_json::Value| {
        refused("llama-tokens", &|config| config["trainable_token_indices"] = tokens.clone(), &|_| ())
    };
    let said = tokens([1, 2, 3, 384].as_slice().into());
    assert!(said.contains("the row of token 384, and the vocabulary has 384 rows"), "{said}");
    let said = tokens([1, 2].as_slice().into());
    assert!(said.contains("trainable_tokens_delta is [2, 32] in the model, and [4, 32] here"), "{said}");
    let said = tokens(serde_json::Value::Null);
    assert!(said.contains("rows of tokens that \"trainable_token_indices\" does not name"), "{said}");
}

#[test]
fn an_adapter_computes_the_same_through_wgpu() {
    for name in ["llama", "llama-dora"] {
        let mut bench = bench(name, &vulkan());
        bench.run(&format!("lora load {}", adapter(name).display()));
        check(&bench.numbers("logits"), &reference(name, "adapted"), name);
    }
}

#[test]
fn an_exported_adapted_model_is_the_merged_twin() {
    for name in ["gpt2", "gpt_neox", "bloom", "phi3", "bert-seqcls"] {
        let folder = tempfile::tempdir().unwrap();
        let twin = folder.path().join("merged");
        let mut adapted = bench(name, &Device::cpu());
        adapted.script(&format!("lora load {}\nexport model {}", adapter(name).display(), twin.display()));
        let copy = load(&ModelSource::Path(twin), &Device::cpu()).unwrap();
        let tokens = reference(name, "tokens").into_iter().map(|id| id as u32).collect();
        let input = Input::from_tokens(&copy, vec![tokens]).unwrap();
        let mut merged = Bench::of(name, copy, input, 1 << 30);
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

#[test]
fn heads_and_embeddings_of_a_tied_base_are_adapted_apart() {
    // Both trained whole; the head alone adapted; both adapted alike.
    for name in ["qwen2-whole", "qwen2-head", "qwen2-alike"] {
        let mut bench = bench(name, &Device::cpu());
        check(&bench.numbers("logits"), &reference(name, "base"), name);
        bench.run(&format!("lora load {}", adapter(name).display()));
        check(&bench.numbers("logits"), &reference(name, "adapted"), name);
        bench.run("lora off");
        check(&bench.numbers("logits"), &reference(name, "base"), name);
    }
}

#[test]
fn a_vocabulary_that_grew_with_the_adapter_is_the_models_from_the_start() {
    let name = "qwen2-grown";
    let mut small = bench(name, &Device::cpu());
    let message = small.fail(&format!("lora load {}", adapter(name).display()));
    assert!(message.contains("W_U has 386 rows here and 384 in the model: start with --lora"), "{message}");
    let mut grown = model("qwen2", &Device::cpu());
    adapters::fit(&adapter(name), &mut grown).unwrap();
    let mut bench = bench_of(grown, name);
    let base: Vec<f64> = bench.numbers("logits").chunks(386).flat_map(|row| row[..384].to_vec()).collect();
    check(&base, &reference(name, "base"), "the base is as it was");
    bench.run(&format!("lora load {}", adapter(name).display()));
    check(&bench.numbers("logits"), &reference(name, "adapted"), name);
    // The program does the same, and takes the new tokens.
    let tokens = reference(name, "tokens").iter().map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    let lora = adapter(name);
    let run = |tokens: &str, commands: &[&str]| {
        let mut all = vec!["--tokens", tokens, "--lora", lora.to_str().unwrap()];
        all.extend(commands.iter().flat_map(|command| ["-ex", *command]));
        batch("qwen2", &all)
    };
    let ran = run(&tokens, &["run", "info model", "print/r logits[-1, 385]"]);
    let note = "the vocabulary has 386 rows with the adapter, 384 without it: there the new rows are zeros";
    assert!(ran.status == 0 && ran.out.contains(note) && ran.err.contains(note), "{}{}", ran.out, ran.err);
    let wanted = *reference(name, "adapted").last().unwrap();
    let found: f64 = ran.out.lines().last().unwrap().parse().unwrap();
    assert!((found - wanted).abs() <= TOLERANCE * wanted.abs().max(1.0), "{found} and {wanted}");
    assert_eq!(run("5,385", &["run"]).status, 0);
    assert_eq!(run("5,386", &["run"]).status, 4);
}

#[test]
fn a_part_of_a_grown_vocabulary_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(adapter("qwen2-grown").join("adapter_config.json"), folder.path().join("adapter_config.json"))
        .unwrap();
    let mut all = tensors(&adapter("qwen2-grown").join("adapter_model.safetensors"));
    all.retain(|tensor| !tensor.name.contains("lm_head"));
    write(&folder.path().join("adapter_model.safetensors"), &all);
    let message = adapters::fit(folder.path(), &mut model("qwen2", &Device::cpu())).unwrap_err().to_string();
    assert!(
        message.contains("its vocabulary has 386 rows, the model's has 384, and the adapter has no W_U with that many"),
        "{message}"
    );
}

#[test]
fn modules_are_found_whatever_is_in_front_of_the_body() {
    // A model that reads images has its text part under one of two paths, by the age of what saved it; so has its adapter.
    let base = tensors(&fixture("gemma3_text").join("model.safetensors"));
    let modules = ["layers.0.self_attn.q_proj", "layers.1.mlp.down_proj"];
    let number = |seed: usize, i: usize| (((i * 37 + seed * 101) % 61) as f32 - 30.0) / 200.0;
    let factor = |seed: usize, shape: [usize; 2]| {
        Tensor::f32("", &shape, &(0..shape[0] * shape[1]).map(|i| number(seed, i)).collect::<Vec<_>>())
    };
    let shape_of = |module: &str| {
        let name = format!("model.{module}.weight");
        base.iter().find(|tensor| tensor.name == name).unwrap().shape.clone()
    };
    let factors: Vec<(Tensor, Tensor)> = modules
        .iter()
        .enumerate()
        .map(|(i, module)| {
            let shape = shape_of(module);
            (factor(2 * i, [2, shape[1]]), factor(2 * i + 1, [shape[0], 2]))
        })
        .collect();
    // Merged by hand in 64 bits: W + 2 B A.
    let merged = Copy::of("gemma3_text").tensors(|all| {
        for (module, (a, b)) in modules.iter().zip(&factors) {
            let tensor = all.iter_mut().find(|tensor| tensor.name == format!("model.{module}.weight")).unwrap();
            let (a, b, width) = (a.numbers(), b.numbers(), tensor.shape[1]);
            let add = |(at, w): (usize, &f32)| {
                let (row, column) = (at / width, at % width);
                let product: f64 = (0..2).map(|k| f64::from(b[row * 2 + k]) * f64::from(a[k * width + column])).sum();
                (f64::from(*w) + 2.0 * product) as f32
            };
            let numbers: Vec<f32> = tensor.numbers().iter().enumerate().map(add).collect();
            *tensor = Tensor::f32(&tensor.name, &tensor.shape, &numbers);
        }
    });
    let wanted = ran(merged.load().unwrap()).numbers("logits");
    let paths = ["language_model.model.", "model.language_model."];
    let lora = |path: &str| {
        let folder = tempfile::tempdir().unwrap();
        let config = r#"{"peft_type":"LORA","r":2,"lora_alpha":4,"target_modules":["q_proj","down_proj"]}"#;
        std::fs::write(folder.path().join("adapter_config.json"), config).unwrap();
        let named = |tensor: &Tensor, module: &str, part: &str| Tensor {
            name: format!("base_model.model.{path}{module}.lora_{part}.weight"),
            ..tensor.clone()
        };
        let all: Vec<Tensor> = modules
            .iter()
            .zip(&factors)
            .flat_map(|(module, (a, b))| [named(a, module, "A"), named(b, module, "B")])
            .collect();
        write(&folder.path().join("adapter_model.safetensors"), &all);
        folder
    };
    for path in paths {
        let copy = Copy::of("gemma3_text").tensors(|all| {
            for tensor in all.iter_mut() {
                if let Some(rest) = tensor.name.strip_prefix("model.") {
                    tensor.name = format!("{path}{rest}");
                }
            }
        });
        let copy = copy.config(|config| {
            let text = std::mem::take(config);
            config.insert("architectures".into(), ["Gemma3ForConditionalGeneration"].as_slice().into());
            config.insert("model_type".into(), "gemma3".into());
            config.insert("text_config".into(), text.into());
        });
        for other in paths {
            let folder = lora(other);
            let mut bench = ran(copy.load().unwrap());
            bench.run(&format!("lora load {}", folder.path().display()));
            check(&bench.numbers("logits"), &wanted, &format!("{path} and {other}"));
        }
        // What belongs to the part for images is not laid over the text.
        let images = lora("model.vision_tower.vision_model.encoder.");
        let message = ran(copy.load().unwrap()).fail(&format!("lora load {}", images.path().display()));
        assert!(message.contains("for images and sound, which are not computed"), "{message}");
    }
}
