//! Promises: weights are held as the file has them, and read when they are used; no bit of any value depends on that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use half::{bf16, f16};
use llmdbg::model::{Input, Model, ModelSource, WeightCache, load_within};
use llmdbg::tensor::{Device, Precision};
use safetensors::Dtype;
use serde_json::json;
use tempfile::TempDir;

use crate::altered::{self, Copy, Gguf, Tensor};
use crate::common::{Bench, llmdbg_in};
use crate::parity::fixture;
use crate::walking::gradients;

/// Numbers that look like weights, the same on every run.
fn numbers(seed: u64, count: usize) -> impl Iterator<Item = f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count).map(move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u64 << 24) as f32 - 0.5) * 0.25
    })
}

/// The llama fixture with matrices that are large enough to be held as they are stored.
fn wide(dtype: Dtype) -> Copy {
    let wide = |name: &str, shape: &[usize]| match name.rsplit('.').nth(1).unwrap_or_default() {
        "embed_tokens" | "lm_head" => vec![384, 256],
        "q_proj" | "o_proj" => vec![256, 256],
        "k_proj" | "v_proj" => vec![128, 256],
        "gate_proj" | "up_proj" => vec![512, 256],
        "down_proj" => vec![256, 512],
        _ if shape.len() == 1 => vec![256],
        other => panic!("{other}"),
    };
    let sizes = [("hidden_size", 256), ("intermediate_size", 512), ("head_dim", 64)];
    let copy = sizes.iter().fold(Copy::of("llama"), |copy, (key, size)| copy.set(key, json!(size)));
    copy.tensors(|all| {
        for (seed, tensor) in all.iter_mut().enumerate() {
            tensor.shape = wide(&tensor.name, &tensor.shape);
            let norm = tensor.shape.len() == 1;
            let numbers = numbers(seed as u64, tensor.shape.iter().product()).map(|x| if norm { 1.0 + x } else { x });
            tensor.dtype = dtype;
            tensor.data = match dtype {
                Dtype::BF16 => numbers.flat_map(|x| bf16::from_f32(x).to_le_bytes()).collect(),
                Dtype::F16 => numbers.flat_map(|x| f16::from_f32(x).to_le_bytes()).collect(),
                _ => numbers.flat_map(f32::to_le_bytes).collect(),
            };
        }
    })
}

/// Quantised types: their number in a GGUF file, elements and bytes of a block, and where its scales are.
const QUANTISED: [(&str, u32, usize, usize, &[usize]); 10] = [
    ("q4_0", 2, 32, 18, &[0]),
    ("q4_1", 3, 32, 20, &[0, 2]),
    ("q5_0", 6, 32, 22, &[0]),
    ("q5_1", 7, 32, 24, &[0, 2]),
    ("q8_0", 8, 32, 34, &[0]),
    ("q2_k", 10, 256, 84, &[80, 82]),
    ("q3_k", 11, 256, 110, &[108]),
    ("q4_k", 12, 256, 144, &[0, 2]),
    ("q5_k", 13, 256, 176, &[0, 2]),
    ("q6_k", 14, 256, 210, &[208]),
];

/// A GGUF file whose matrices are blocks of another type, of arbitrary bytes with scales of a usual size.
fn quantised(original: &[u8], (_, kind, elements, size, scales): (&str, u32, usize, usize, &[usize])) -> Vec<u8> {
    let gguf = Gguf::parse(original);
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (seed, (name, entry)) in gguf.tensors.iter().enumerate() {
        let axes = u32::from_le_bytes(entry[..4].try_into().unwrap()) as usize;
        let lengths = entry[4..4 + 8 * axes].as_chunks::<8>().0.iter().map(|n| u64::from_le_bytes(*n) as usize);
        let lengths: Vec<usize> = lengths.collect();
        let count: usize = lengths.iter().product();
        let mut entry = entry.to_vec();
        // A row that is not whole blocks is stored in another type.
        let bytes: Vec<u8> = if axes == 1 || !lengths[0].is_multiple_of(elements) {
            entry[4 + 8 * axes..][..4].copy_from_slice(&0u32.to_le_bytes());
            numbers(seed as u64, count).flat_map(|x| (1.0 + x).to_le_bytes()).collect()
        } else {
            entry[4 + 8 * axes..][..4].copy_from_slice(&kind.to_le_bytes());
            let mut bytes: Vec<u8> =
                numbers(seed as u64, count / elements * size).map(|x| (x * 65_536.0) as i64 as u8).collect();
            for (i, block) in bytes.chunks_exact_mut(size).enumerate() {
                for at in scales {
                    let scale = f16::from_f32(2e-4 * (1 + (i + at) % 7) as f32);
                    block[*at..at + 2].copy_from_slice(&scale.to_le_bytes());
                }
            }
            bytes
        };
        data.resize(data.len().next_multiple_of(32), 0);
        let offset = entry.len() - 8;
        entry[offset..].copy_from_slice(&(data.len() as u64).to_le_bytes());
        data.extend(bytes);
        entries.push((name.clone(), entry));
    }
    let tensors: Vec<(String, &[u8])> = entries.iter().map(|(name, entry)| (name.clone(), &entry[..])).collect();
    let mut file = gguf.with(&gguf.metadata, &tensors);
    let old = original.len() - gguf.data_start();
    file.truncate(file.len() - old);
    file.extend(data);
    file
}

fn open(path: &Path, cache: &WeightCache) -> Model {
    load_within(&ModelSource::Path(path.to_owned()), &(&Device::cpu()).into(), Precision::F32, cache).unwrap()
}

fn bench(model: Model) -> Bench {
    let tokens = [5, 17, 33, 60, 101, 7, 250, 12, 9].map(|id| id % model.spec.vocab as u32);
    let input = Input::from_tokens(&model, vec![tokens.to_vec()]).unwrap();
    Bench::of("stored", model, input, 1 << 30)
}

/// Every value of a prompt, of two tokens after it and of as many tokens as tiles take, and every gradient.
fn everything(model: Model) -> (Vec<Vec<u64>>, Vec<(String, Vec<f64>)>) {
    let mut bench = bench(model);
    bench.script("set generation stop off\nrun\ngenerate 2");
    let values = bench.everything();
    bench.script("goto #0\nrun\nbackward logits[-1, 7]");
    (values, gradients(&mut bench))
}

/// The checkpoint, the same widened to f32, and the same with memory for one weight: whether all give the same bits.
fn check(path: &Path, held: &str) {
    let cache = WeightCache::unlimited();
    let model = open(path, &cache);
    let bytes = model.report.bytes;
    assert!(
        model.report.notes.iter().any(|note| note.contains(&format!("kept in {held}"))),
        "{:?}",
        model.report.notes
    );
    assert!(bytes * 4 < model.report.parameters * 10, "{held}: {bytes} bytes of {}", model.report.parameters);
    let folder = tempfile::tempdir().unwrap();
    let widened = folder.path().join("widened");
    let mut saving = bench(open(path, &cache));
    saving.run(&format!("export model \"{}\"", widened.display()));
    let file = widened.join("model.safetensors");
    let mut all = altered::tensors(&file);
    for tensor in &mut all {
        let halves = tensor.data.as_chunks::<2>().0;
        tensor.data = match tensor.dtype {
            Dtype::BF16 => halves.iter().flat_map(|x| bf16::from_le_bytes(*x).to_f32().to_le_bytes()).collect(),
            Dtype::F16 => halves.iter().flat_map(|x| f16::from_le_bytes(*x).to_f32().to_le_bytes()).collect(),
            _ => continue,
        };
        tensor.dtype = Dtype::F32;
    }
    altered::write(&file, &all);
    let single = open(&widened, &WeightCache::unlimited());
    assert_eq!(single.report.bytes, single.report.parameters * 4);
    let wanted = everything(single);
    assert!(wanted.0.len() > 60 && wanted.1.len() > 15, "{} {}", wanted.0.len(), wanted.1.len());
    assert!(everything(model) == wanted, "{held} differs from its widened form");
    let largest = open(path, &cache).weights.store().sizes().map(|(.., bytes)| bytes).max().unwrap();
    let tight = open(path, &WeightCache::new(largest));
    let weights = tight.weights.clone();
    assert!(everything(tight) == wanted, "{held} differs where only a weight fits into memory");
    let found = weights.residency();
    assert!(found.resident <= largest && found.read_again > found.held, "{found:?}");
}

#[test]
fn halves_are_held_as_stored_and_give_the_bits_of_their_widened_form() {
    for (dtype, name) in [(Dtype::BF16, "bf16"), (Dtype::F16, "f16")] {
        check(wide(dtype).path(), name);
    }
}

#[test]
fn halves_stored_as_in_by_out_are_turned_and_give_the_same_bits() {
    // GPT-2 has fused projections, and all of them the other way round.
    let numbers = |seed: usize, count: usize| numbers(seed as u64, count);
    let widths = |n: usize| match n {
        32 => 256,
        96 => 768,
        128 => 512,
        other => other,
    };
    let copy = Copy::of("gpt2").set("n_embd", json!(256)).set("n_inner", json!(512)).tensors(|all| {
        for (seed, tensor) in all.iter_mut().enumerate() {
            tensor.shape.iter_mut().for_each(|n| *n = widths(*n));
            let count = tensor.shape.iter().product();
            tensor.data = numbers(seed, count).flat_map(|x| bf16::from_f32(x).to_le_bytes()).collect();
            tensor.dtype = Dtype::BF16;
        }
    });
    check(copy.path(), "bf16");
}

#[test]
fn every_quantised_type_is_held_as_stored_and_gives_the_bits_of_its_widened_form() {
    let original =
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf/llama-wide.k.gguf")).unwrap();
    for kind in QUANTISED {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.gguf");
        fs::write(&path, quantised(&original, kind)).unwrap();
        check(&path, kind.0);
    }
}

#[test]
fn a_checkpoint_that_changes_under_the_session_is_an_error_and_the_session_goes_on() {
    let copy = wide(Dtype::BF16);
    let path = copy.file("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let mut bench = bench(open(copy.path(), &WeightCache::unlimited()));
    bench.run("until L0.attn.q");
    let before = bench.bits("L0.attn.q");
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let message = bench.fail("continue");
    assert!(message.contains("has changed since it was opened"), "{message}");
    assert_eq!(bench.bits("L0.attn.q"), before);
    let again = bench.fail("step");
    assert!(again.contains("start again"), "{again}");
    assert!(bench.text("info model").contains("weights in memory"));
    // In batch, that is a failure of the model and not of the user.
    let script = copy.file("cut.ldb");
    let cut = format!("until L0.attn.q\nshell truncate -s 1000 \"{}\"\nrun\n", path.display());
    fs::write(&path, &bytes).unwrap();
    fs::write(&script, cut).unwrap();
    let arguments = ["-batch", "-nx", "--device", "cpu", copy.path().to_str().unwrap(), "--tokens", "1,2,3", "-ex"];
    let set = "set shell on";
    let ran =
        llmdbg_in(Path::new("."), &[&arguments[..], &[set, "-x", script.to_str().unwrap()]].concat(), Stdio::null());
    assert_eq!(ran.status, 4, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("has changed since it was opened"), "{}{}", ran.out, ran.err);
}

#[test]
fn an_adapter_for_every_layer_takes_no_more_memory_than_the_budget() {
    let copy = wide(Dtype::BF16);
    let folder = tempfile::tempdir().unwrap();
    let modules = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.up_proj"];
    let mut all = Vec::new();
    for (layer, module) in (0..2).flat_map(|layer| modules.map(|module| (layer, module))) {
        let (from, to) = match module {
            "self_attn.k_proj" | "self_attn.v_proj" => (256, 128),
            "mlp.up_proj" => (256, 512),
            _ => (256, 256),
        };
        for (part, shape) in [("lora_A", [4, from]), ("lora_B", [to, 4])] {
            let name = format!("base_model.model.model.layers.{layer}.{module}.{part}.weight");
            all.push(Tensor::f32(&name, &shape, &numbers(all.len() as u64, shape[0] * shape[1]).collect::<Vec<_>>()));
        }
    }
    altered::write(&folder.path().join("adapter_model.safetensors"), &all);
    let names: Vec<&str> = modules.iter().map(|module| module.rsplit('.').next().unwrap()).collect();
    let config = json!({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": names, "bias": "none"});
    fs::write(folder.path().join("adapter_config.json"), config.to_string()).unwrap();
    let adapted = |cache: &WeightCache| {
        let mut bench = bench(open(copy.path(), cache));
        bench.run("run");
        bench.run(&format!("lora load \"{}\"", folder.path().display()));
        bench.everything()
    };
    let wanted = adapted(&WeightCache::unlimited());
    let unadapted = {
        let mut bench = bench(open(copy.path(), &WeightCache::unlimited()));
        bench.run("run");
        bench.everything()
    };
    assert!(wanted != unadapted);
    // An adapted weight is in 32 bits: twice what the stored one takes.
    let tight = WeightCache::new(512 << 10);
    assert!(adapted(&tight) == wanted, "the bits do not depend on the budget");
    let found = tight.residency();
    assert!(found.resident <= found.budget && found.read_again > 0, "{found:?}");
}

#[test]
fn only_what_is_used_is_read() {
    // A table of embeddings is looked up by rows, and of the experts those that are chosen are read.
    for (name, unread) in [("llama", "W_E"), ("qwen3_moe", "mlp")] {
        let model = open(&fixture(name), &WeightCache::unlimited());
        assert_eq!(model.weights.residency().read, 0, "{name}: nothing is read before it is used");
        let weights = model.weights.clone();
        let mut bench = bench(model);
        bench.run("until L0.resid_mid");
        bench.script("set tokens[0:8] = 5\nrun");
        let read = weights.residency();
        assert!(read.read < read.held, "{name}: {read:?}, and {unread} need not be read whole");
    }
}

#[test]
fn a_budget_that_is_smaller_than_a_weight_is_refused_by_name() {
    let copy = wide(Dtype::BF16);
    let path = copy.path().to_str().unwrap();
    let run = |budget: &str| {
        let arguments = ["-batch", "-nx", "--device", "cpu", path, "--tokens", "1,2,3", "--weight-budget", budget];
        llmdbg_in(Path::new("."), &[&arguments[..], &["-ex", "run", "-ex", "info model"]].concat(), Stdio::null())
    };
    let refused = run("100KiB");
    assert_eq!(refused.status, 4, "{}{}", refused.out, refused.err);
    assert!(refused.err.contains("alone takes 256.0 KiB"), "{}", refused.err);
    assert!(refused.err.contains("give --weight-budget at least 256.0 KiB"), "{}", refused.err);
    let fits = run("256KiB");
    assert_eq!(fits.status, 0, "{}{}", fits.out, fits.err);
    assert!(fits.out.contains("of a budget of 256.0 KiB"), "{}", fits.out);
}

#[test]
fn tensors_that_are_not_edited_are_written_byte_for_byte() {
    let copy = wide(Dtype::BF16);
    let mut bench = bench(open(copy.path(), &WeightCache::unlimited()));
    bench.run("set param(\"L1.mlp.W_in\")[0, 0] = 3");
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("written");
    bench.run(&format!("export model \"{}\"", written.display()));
    let sorted = |path: PathBuf| {
        let mut all = altered::tensors(&path);
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    };
    let (before, after) = (sorted(copy.file("model.safetensors")), sorted(written.join("model.safetensors")));
    let changed: Vec<&Tensor> = before.iter().zip(&after).filter(|(a, b)| a != b).map(|(a, _)| a).collect();
    assert_eq!(changed.iter().map(|t| &*t.name).collect::<Vec<_>>(), ["model.layers.1.mlp.up_proj.weight"]);
}

/// A checkpoint with the shapes of Llama-3 70B in bf16: files of holes, which take no room on the disk.
fn seventy_billion() -> TempDir {
    let (d, m, kv, vocab, layers) = (8192_usize, 28672_usize, 1024_usize, 128_256_usize, 80);
    let folder = tempfile::tempdir().unwrap();
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": d, "intermediate_size": m,
        "num_attention_heads": 64, "num_key_value_heads": 8, "num_hidden_layers": layers, "vocab_size": vocab,
        "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": false,
        "torch_dtype": "bfloat16", "rope_theta": 500000.0
    });
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let mut shards: Vec<Vec<(String, Vec<usize>)>> = (0..layers)
        .map(|i| {
            let shapes = [
                ("input_layernorm", vec![d]),
                ("self_attn.q_proj", vec![d, d]),
                ("self_attn.k_proj", vec![kv, d]),
                ("self_attn.v_proj", vec![kv, d]),
                ("self_attn.o_proj", vec![d, d]),
                ("post_attention_layernorm", vec![d]),
                ("mlp.gate_proj", vec![m, d]),
                ("mlp.up_proj", vec![m, d]),
                ("mlp.down_proj", vec![d, m]),
            ];
            shapes.map(|(name, shape)| (format!("model.layers.{i}.{name}.weight"), shape)).to_vec()
        })
        .collect();
    shards.push(vec![
        ("model.embed_tokens.weight".into(), vec![vocab, d]),
        ("model.norm.weight".into(), vec![d]),
        ("lm_head.weight".into(), vec![vocab, d]),
    ]);
    let mut index = serde_json::Map::new();
    let count = shards.len();
    for (number, shard) in shards.into_iter().enumerate() {
        let file = format!("model-{:05}-of-{count:05}.safetensors", number + 1);
        let (mut header, mut end) = (serde_json::Map::new(), 0);
        for (name, shape) in shard {
            let begin = end;
            end += shape.iter().product::<usize>() * 2;
            header.insert(name.clone(), json!({"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}));
            index.insert(name, json!(file));
        }
        let header = serde_json::Value::Object(header).to_string();
        let path = folder.path().join(&file);
        fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()).unwrap();
        let all = fs::OpenOptions::new().write(true).open(&path).unwrap();
        all.set_len((8 + header.len() + end) as u64).unwrap();
    }
    let index = json!({"metadata": {}, "weight_map": index});
    fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    folder
}

#[test]
fn seventy_billion_parameters_reach_the_first_block_in_little_memory() {
    let folder = seventy_billion();
    let status = "shell grep VmHWM /proc/$PPID/status";
    let arguments = ["-batch", "-nx", "--device", "cpu", folder.path().to_str().unwrap(), "--tokens", "1,2,3"];
    let commands = ["-ex", "break L0.attn.pattern", "-ex", "run", "-ex", status, "-ex", "info model"];
    let ran = llmdbg_in(Path::new("."), &[&arguments[..], &commands].concat(), Stdio::null());
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("blocks.0.attn.pattern"), "{}", ran.out);
    assert!(ran.out.contains("70553706496 parameters, 131.4 GiB"), "{}", ran.out);
    let peak = ran.out.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kilobytes: u64 = peak.trim().trim_end_matches("kB").trim().parse().unwrap();
    assert!(kilobytes < 1_000_000, "{kilobytes} kB");
}
