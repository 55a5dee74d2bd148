//! Promise: every key of a configuration, of its sections and of a GGUF file's architecture is used, known to have no bearing,
//! or told; one that would change the arithmetic and is not computed is refused by name.
//!
//! Numbers are those of transformers 5.24 on the same weights in 32 bits, with eager attention, for the tokens of [`IDS`]: the
//! first four logits at the first and at the last position.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use llmdbg::model::{Input, ModelSource, Row, load};
use llmdbg::tensor::Device;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::common::{Bench, batch, llmdbg_in};
use crate::parity::fixture;

const IDS: [u32; 8] = [5, 17, 33, 60, 101, 7, 250, 12];

/// The numbers were printed with five decimals, and both sums are off float64 by up to 2e-5 (1 + |v|).
const TOLERANCE: f64 = 5e-5;

/// A fixture with another configuration.
fn changed(name: &str, change: impl FnOnce(&mut Json)) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_file() && !name.starts_with("reference.") {
            fs::copy(&path, copy.path().join(name)).unwrap();
        }
    }
    let path = copy.path().join("config.json");
    let mut config: Json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    fs::write(path, config.to_string()).unwrap();
    copy
}

fn with(name: &str, key: &str, value: Json) -> TempDir {
    changed(name, |config| config[key] = value)
}

/// A value of GGUF metadata.
enum Meta<'a> {
    Flag(bool),
    Size(u32),
    Number(f32),
    Text(&'a str),
    Flags(&'a [bool]),
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn entry(key: &str, value: &Meta) -> Vec<u8> {
    let mut bytes = Vec::new();
    text(&mut bytes, key);
    let mut typed = |kind: u32, value: &[u8]| {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(value);
    };
    match value {
        Meta::Size(n) => typed(4, &n.to_le_bytes()),
        Meta::Number(x) => typed(6, &x.to_le_bytes()),
        Meta::Flag(flag) => typed(7, &[u8::from(*flag)]),
        Meta::Text(value) => {
            typed(8, &[]);
            text(&mut bytes, value);
        }
        Meta::Flags(flags) => {
            typed(9, &7u32.to_le_bytes());
            bytes.extend((flags.len() as u64).to_le_bytes());
            bytes.extend(flags.iter().map(|flag| u8::from(*flag)));
        }
    }
    bytes
}

/// A GGUF fixture with more keys, put in front of its own. The file has 24 bytes before its first key, and its tensors stay
/// aligned to 32 bytes.
fn gguf(name: &str, keys: &[(&str, Meta)]) -> (TempDir, PathBuf) {
    let mut bytes = fs::read(format!("{}/tests/fixtures/gguf/{name}.gguf", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut more: Vec<u8> = keys.iter().flat_map(|(key, value)| entry(key, value)).collect();
    let padding = entry("general.padding", &Meta::Text("")).len();
    let spaces = " ".repeat((more.len() + padding).next_multiple_of(32) - more.len() - padding);
    more.extend(entry("general.padding", &Meta::Text(&spaces)));
    let entries = u64::from_le_bytes(bytes[16..24].try_into().unwrap()) + keys.len() as u64 + 1;
    bytes[16..24].copy_from_slice(&entries.to_le_bytes());
    bytes.splice(24..24, more);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// The pass over [`IDS`], computed.
fn pass(path: &Path) -> Bench {
    let device = Device::cpu();
    let model = load(&ModelSource::Path(path.to_owned()), &device)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let row = Row { ids: IDS.to_vec(), mask: vec![true; 8], type_ids: vec![0; 8], ..Row::default() };
    let input = Input::from_rows(&model, vec![row]).unwrap();
    let mut bench = Bench::of("model", model, input, 1 << 30);
    bench.run("run");
    bench
}

fn refusal(path: &Path) -> String {
    let error = load(&ModelSource::Path(path.to_owned()), &Device::cpu());
    error.expect_err("it is refused").to_string()
}

/// The first four logits at a position.
fn logits(bench: &mut Bench, position: i32) -> Vec<f64> {
    bench.numbers(&format!("logits[pos={position}, vocab=0:4]"))
}

#[track_caller]
fn close(ours: &[f64], theirs: &[f64]) {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= TOLERANCE * (1.0 + b.abs());
    assert!(ours.len() == theirs.len() && ours.iter().zip(theirs).all(near), "{ours:?} instead of {theirs:?}");
}

#[track_caller]
fn computes(path: &Path, first: [f64; 4], last: [f64; 4]) {
    let mut bench = pass(path);
    close(&logits(&mut bench, 0), &first);
    close(&logits(&mut bench, -1), &last);
}

#[test]
fn a_decoder_that_is_not_causal_looks_both_ways() {
    for (name, first, last) in [
        ("qwen3", [-0.8554, 2.31346, -0.38449, 2.67079], [-1.5245, 1.75844, 0.61513, -0.0227]),
        // A window of 5, to both sides.
        ("mistral", [1.43221, -3.02168, 0.03854, 2.30245], [0.01347, -2.01298, 3.35178, -2.14066]),
        // Windows in two of three layers.
        ("gemma3_text", [-0.5136, -0.85544, -2.60469, -1.88148], [2.09963, -0.8123, -0.36034, 0.13722]),
        // Positions in a table, and by linear biases.
        ("gpt2", [-0.2384, 2.4362, 0.75989, 0.16346], [-1.11668, 1.6202, -0.77551, 0.46753]),
        ("opt", [-0.6497, 0.40749, -1.72333, -0.13039], [-1.81452, 1.53746, -2.32841, -0.59111]),
        ("bloom", [-1.13933, -0.05423, 0.90927, 0.68996], [-0.12695, -0.60494, 0.53824, -0.15211]),
    ] {
        let model = with(name, "is_causal", json!(false));
        computes(model.path(), first, last);
        let mut bench = pass(model.path());
        let refused = bench.fail("generate 1");
        assert!(refused.contains("only a causal language model can go on"), "{name}: {refused}");
        assert!(bench.text("info model").contains("looks both ways"), "{name}");
    }
    let (_folder, file) = gguf("qwen3.f32", &[("qwen3.attention.causal", Meta::Flag(false))]);
    computes(&file, [-0.8554, 2.31346, -0.38449, 2.67079], [-1.5245, 1.75844, 0.61513, -0.0227]);

    for name in ["gemma2", "bloom"] {
        let key = format!("{name}.attention.causal");
        let (_folder, file) = gguf(&format!("{name}.f32"), &[(key.as_str(), Meta::Flag(false))]);
        assert!(refusal(&file).contains(&format!("{key} = false is not supported")), "{}", refusal(&file));
    }
}

#[test]
fn a_padded_row_of_a_decoder_that_looks_both_ways_is_computed_as_if_alone() {
    for name in ["opt", "llama"] {
        let model = with(name, "is_causal", json!(false));
        let of = |more: &[&str]| {
            let mut all = vec!["--tokens", "5,17,33", "--tokens", "60,101,7,250,12", "-ex", "run"];
            all.extend(more);
            batch(model.path().to_str().unwrap(), &all).out
        };
        let show = ["-ex", "print logits[pos=2, vocab=0:4]"];
        let right = of(&show);
        let left = of(&["--pad-side", "left", "-ex", "print logits[pos=4, vocab=0:4]"]);
        assert_eq!(right.lines().last(), left.lines().last(), "{name}");
    }
}

#[test]
fn rotations_of_gguf_files_are_stretched_as_llama_cpp_does_it() {
    let typed = |kind| ("llama.rope.scaling.type", Meta::Text(kind));
    // Beside a tensor with a factor for each frequency, which files of Llama 3 have. The numbers are of rope type longrope, with
    // these factors times those that the key makes.
    let (_folder, file) = gguf("llama.f32", &[typed("linear"), ("llama.rope.scaling.factor", Meta::Number(4.0))]);
    computes(&file, [-0.19188, 4.66888, 0.2359, -2.87264], [1.27407, 0.76634, -1.49876, 1.37028]);
    let (_folder, file) = gguf("llama.f32", &[("llama.rope.scaling.attn_factor", Meta::Number(0.7))]);
    computes(&file, [-0.19188, 4.66888, 0.2359, -2.87264], [-0.49604, 3.57398, 0.199, -2.66772]);
    let yarn = [
        typed("yarn"),
        ("llama.rope.scaling.factor", Meta::Number(4.0)),
        ("llama.rope.scaling.original_context_length", Meta::Size(16)),
    ];
    let (_folder, file) = gguf("llama.f32", &yarn);
    computes(&file, [-0.19188, 4.66888, 0.2359, -2.87264], [-0.10236, 2.95345, 0.24524, -1.15965]);

    let (_folder, file) = gguf(
        "gpt_neox.f32",
        &[("gptneox.rope.scaling.type", Meta::Text("linear")), ("gptneox.rope.scaling.factor", Meta::Number(4.0))],
    );
    computes(&file, [-1.72003, 0.63713, -1.65384, -0.25868], [3.24983, 0.36214, -0.18251, -0.864]);

    // What the converter makes of a key that transformers does not read, and llama.cpp does not either.
    let yarn = |more: (&'static str, f32)| {
        gguf(
            "qwen3.f32",
            &[
                ("qwen3.rope.scaling.type", Meta::Text("yarn")),
                ("qwen3.rope.scaling.factor", Meta::Number(4.0)),
                ("qwen3.rope.scaling.original_context_length", Meta::Size(16)),
                (more.0, Meta::Number(more.1)),
            ],
        )
    };
    let first = [-1.41751, 0.49732, -0.65438, 0.8179];
    let (_folder, file) = yarn(("qwen3.rope.scaling.yarn_attn_factor", 0.878_248_9));
    computes(&file, first, [-2.16568, 1.43787, 0.74787, 0.06612]);
    assert!(pass(&file).text("info model").contains("model.gguf: qwen3.rope.scaling.yarn_attn_factor"));
    // This one multiplies the factor that YaRN has for itself.
    let (_folder, file) = yarn(("qwen3.rope.scaling.attn_factor", 0.7));
    computes(&file, first, [-1.8675, 1.65492, 1.00063, 0.04911]);
}

/// A twin of a GGUF fixture with another setting in a section of its configuration.
fn twin(name: &str, section: &str, key: &str, value: Json) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(format!("{}/tests/fixtures/gguf/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let path = folder.path().join("config.json");
    let mut config: Json = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    config[section][key] = value;
    fs::write(&path, config.to_string()).unwrap();
    folder
}

#[test]
fn rotations_of_mistral_3_and_granite_are_those_of_llama_cpp() {
    // As for YaRN with `mscale` and `mscale_all_dim` 1: nothing multiplies cosine and sine.
    let (_folder, file) = gguf("mistral3.f32", &[("mistral3.rope.scaling.yarn_log_multiplier", Meta::Number(1.0))]);
    let theirs = twin("mistral3.f32", "rope_parameters", "attention_factor", json!(1.0));
    let (mut ours, mut theirs) = (pass(&file), pass(theirs.path()));
    close(&logits(&mut ours, -1), &logits(&mut theirs, -1));
    assert!(!ours.text("info model").contains("not used of"), "{}", ours.text("info model"));
    // A Granite whose positions are said not to be rotated has none.
    let (_folder, file) = gguf("granite4-dense.f32", &[("granite.rope.scaling.finetuned", Meta::Flag(false))]);
    let theirs = with("granite4-dense", "position_embedding_type", Json::Null);
    let (mut ours, mut theirs) = (pass(&file), pass(theirs.path()));
    close(&logits(&mut ours, -1), &logits(&mut theirs, -1));
    let (_folder, file) = gguf("granitemoe.f32", &[("granitemoe.rope.scaling.finetuned", Meta::Flag(false))]);
    assert!(refusal(&file).contains("granitemoe.rope.scaling.finetuned = false"), "{}", refusal(&file));
}

#[test]
fn windows_of_gguf_files_are_those_of_llama_cpp() {
    // The fixture has windows in its first and third layer; the file alone does not say so.
    let pattern = ("gemma3.attention.sliding_window_pattern", Meta::Flags(&[true, false, true]));
    let (_folder, file) = gguf("gemma3_text.f32", &[pattern]);
    // llama.cpp divides scores by the root of the width of a head.
    let fixture = with("gemma3_text", "query_pre_attn_scalar", json!(10));
    let (mut ours, mut theirs) = (pass(&file), pass(fixture.path()));
    close(&logits(&mut ours, -1), &logits(&mut theirs, -1));
    // llama.cpp reads no windows of these, and says nothing; here they are told.
    for (name, key) in [
        ("llama.f32", "llama.attention.sliding_window"),
        ("mistral.f32", "llama.attention.sliding_window"),
        ("mixtral.f32", "llama.attention.sliding_window"),
        ("qwen2.f32", "qwen2.attention.sliding_window"),
        ("starcoder2.f32", "starcoder2.attention.sliding_window"),
        ("mistral3.f32", "mistral3.attention.sliding_window"),
        // Of EXAONE 4 it does in files of 64 layers.
        ("exaone4.f32", "exaone4.attention.sliding_window"),
    ] {
        let (_folder, file) = gguf(name, &[(key, Meta::Size(3))]);
        let plain = format!("{}/tests/fixtures/gguf/{name}.gguf", env!("CARGO_MANIFEST_DIR"));
        let (mut with, mut without) = (pass(&file), pass(Path::new(&plain)));
        assert_eq!(with.bits("logits"), without.bits("logits"), "{name}");
        assert!(with.text("info model").contains(&format!("model.gguf: {key}")), "{name}");
    }
}

#[test]
fn keys_that_are_not_used_are_told() {
    let (_folder, file) = gguf(
        "llama.f32",
        &[
            ("llama.attention.some_new_setting", Meta::Number(0.5)),
            ("llama.attention.temperature_scale", Meta::Number(0.3)),
            ("llama.list", Meta::Flags(&[true])),
        ],
    );
    let told = pass(&file).text("info model");
    let keys = "llama.attention.some_new_setting, llama.attention.temperature_scale, llama.list";
    assert!(told.contains(&format!("not used of {}: {keys}", file.display())), "{told}");
    // The fixtures have no key that is not known.
    for name in "llama gemma3_text modernbert qwen2_moe bert-sentence exaone4 ernie4_5 glm granitemoe granite4-dense \
        jais2 mistral3 nomic_bert seed_oss gemma-embedding"
        .split_whitespace()
    {
        let (_folder, file) = gguf(&format!("{name}.f32"), &[]);
        let told = pass(&file).text("info model");
        assert!(!told.contains("not used of"), "{name}: {told}");
    }

    let yarn = json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "rope_theta": 1e6,
        "attn_factor": 0.878});
    let model = changed("qwen3", |config| {
        config["rope_parameters"] = yarn;
        config["max_position_embeddings"] = json!(64);
    });
    computes(model.path(), [-1.41751, 0.49732, -0.65438, 0.8179], [-2.16568, 1.43787, 0.74787, 0.06612]);
    let told = pass(model.path()).text("info model");
    assert!(told.contains("config.json: rope_parameters.attn_factor"), "{told}");

    let wrapped = changed("gemma3_text", |config| {
        let mut text = config.clone();
        text["model_type"] = json!("gemma3_text");
        text["warp"] = json!(9);
        *config = json!({"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "text_config": text,
            "vision_config": {"depth": 3}, "boi_token_index": 1});
    });
    let told = pass(wrapped.path()).text("info model");
    assert!(told.contains("config.json: ") && told.contains("text_config.warp"), "{told}");

    let model = changed("llama", |_| {});
    let generation = r#"{"do_sample": true, "temperature": 0.6, "top_p": 0.9, "max_length": 40, "eos_token_id": 2,
        "repetition_penalty": 1.0, "suppress_tokens": [3]}"#;
    fs::write(model.path().join("generation_config.json"), generation).unwrap();
    let told = pass(model.path()).text("info model");
    assert!(
        told.contains("generation_config.json: do_sample true, temperature 0.6, top_p 0.9, suppress_tokens;"),
        "{told}"
    );
}

#[test]
fn settings_that_are_not_computed_are_refused_by_name() {
    for (name, key, value, why) in [
        ("llama", "per_layer_config", json!({"0": {"head_dim": 4}}), "per_layer_config = ..."),
        ("llama", "quantization", json!({"bits": 4}), "quantised weights"),
        ("llama", "compression_config", json!({"quant_method": "compressed-tensors"}), "quantised weights"),
        ("gemma3_text", "attn_logit_softcapping", json!(30.0), "transformers computes gemma3 without it"),
        ("gemma3_text", "query_pre_attn_scalar", json!(-14), "\"query_pre_attn_scalar\" is -14, not above zero"),
        ("gemma2", "query_pre_attn_scalar", json!(0), "\"query_pre_attn_scalar\" is 0, not above zero"),
        ("gpt_neox", "head_dim", json!(8), "head_dim = 8"),
        ("modernbert", "sliding_window", json!(1), "sliding_window = 1"),
        ("deepseek_v2", "topk_method", json!("noaux_tc"), "known methods are greedy and group_limited_greedy"),
        ("deepseek_v2", "norm_topk_prob", json!(true), "norm_topk_prob = true"),
        ("deepseek_v2", "mlp_bias", json!(true), "a shared expert with biases is not computed"),
        ("deepseek_v3", "topk_method", json!("greedy"), "chooses experts by noaux_tc"),
        ("deepseek_v3", "scoring_func", json!("softmax"), "scores of this family are sigmoids"),
        ("deepseek_v3", "moe_layer_freq", json!(2), "moe_layer_freq = 2"),
        ("deepseek_v3", "num_key_value_heads", json!(2), "num_key_value_heads = 2"),
        ("deepseek_v3", "n_group", json!(3), "2 of 3 equal groups cannot be made of 8 experts"),
        ("deepseek_v3", "num_experts_per_tok", json!(5), "5 of 4 experts cannot be chosen"),
        ("glm4_moe_lite", "mlp_layer_types", json!(["dense", "wide"]), "known types are dense and sparse"),
        ("ernie4_5_moe", "use_bias", json!(true), "a shared expert with biases is not computed"),
        ("phimoe", "num_experts_per_tok", json!(3), "a sparse mixer chooses two experts"),
        ("minimax_m2", "use_qk_norm", json!(false), "use_qk_norm = false"),
        (
            "llama",
            "rope_scaling",
            json!({"rope_type": "linear", "factor": 2.0, "llama_4_scaling_beta": 0.1}),
            "rope_scaling.llama_4_scaling_beta = 0.1",
        ),
    ] {
        let refused = refusal(with(name, key, value).path());
        assert!(refused.contains(why), "{name}: {refused}");
    }
    let (_folder, file) = gguf("bert-sentence.f32", &[]);
    let mut bytes = fs::read(&file).unwrap();
    let key = b"bert.attention.causal";
    let value = bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len() + 4;
    bytes[value] = 1;
    fs::write(&file, bytes).unwrap();
    assert!(refusal(&file).contains("bert.attention.causal = true is not supported"), "{}", refusal(&file));
    let (_folder, file) = gguf("gemma3_text.f32", &[("gemma3.rope.scaling.attn_factor", Meta::Number(0.7))]);
    assert!(refusal(&file).contains("gemma3.rope.scaling.attn_factor = 0.7"), "{}", refusal(&file));
    let (_folder, file) = gguf("gemma2.f32", &[("gemma2.rope.freq_base_swa", Meta::Number(77.0))]);
    assert!(refusal(&file).contains("gemma2.rope.freq_base_swa = 77"), "{}", refusal(&file));
    let unscaled =
        [("gemma2.rope.scaling.type", Meta::Text("none")), ("gemma2.rope.scaling.factor", Meta::Number(4.0))];
    let (_folder, file) = gguf("gemma2.f32", &unscaled);
    assert!(refusal(&file).contains("gemma2.rope.scaling.factor = 4"), "{}", refusal(&file));
    let (_folder, file) = gguf("qwen2_moe.f32", &[("qwen2moe.expert_group_count", Meta::Size(2))]);
    assert!(refusal(&file).contains("qwen2moe.expert_group_count = 2"), "{}", refusal(&file));
    let (_folder, file) = gguf("qwen3.f32", &[("qwen3.rope.dimension_count", Meta::Size(8))]);
    assert!(refusal(&file).contains("partial_rotary_factor = 0.5"), "{}", refusal(&file));
}

#[test]
fn reasons_for_what_cannot_be_opened_are_true() {
    let of = |model_type: &str| refusal(with("llama", "model_type", json!(model_type)).path());
    for (model_type, reason) in [
        ("gemma4_unified", "take a part of the token embedding"),
        ("gemma3n", "several parallel parts"),
        ("kosmos-2", "it reads images"),
        ("kimi_linear", "linear attention"),
        ("granite_swa", "sinks"),
        ("t5gemma", "it is an encoder-decoder pair; "),
        ("neobert", "rotary positions"),
        ("rembert", "two widths"),
        ("bitnet", "three values"),
        ("flux_capacitor", "llmdbg does not know this architecture"),
    ] {
        let refused = of(model_type);
        assert!(refused.contains(&format!("model_type {model_type:?} is not supported: ")), "{refused}");
        assert!(refused.contains(reason) && refused.ends_with("\"llmdbg models\" lists what is"), "{refused}");
    }
    let folder = tempfile::tempdir().unwrap();
    let listed = llmdbg_in(folder.path(), &["models"], Stdio::null()).out;
    for name in ["gpt2", "granitemoehybrid", "modernbert", "xlm-roberta", "command-r", "modern-bert"] {
        assert!(listed.split_whitespace().any(|word| word == name), "{name}: {listed}");
    }
}

#[test]
fn gemma_4_is_computed_and_what_its_other_sizes_have_besides_is_refused() {
    for (key, value, why) in [
        ("use_bidirectional_attention", json!("audio"), "known values are all and vision"),
        ("vocab_size_per_layer_input", json!(64), "vocab_size_per_layer_input = 64 is not supported"),
        ("per_layer_config", json!({"1": {"intermediate_size": 8}}), "layers differ in heads only"),
        ("num_kv_shared_layers", json!(4), "\"num_kv_shared_layers\" is 4 of 4 layers"),
    ] {
        let refused = refusal(with("gemma4_text", key, value).path());
        assert!(refused.contains(why), "{refused}");
    }
    let images = with("gemma4_text", "use_bidirectional_attention", json!("vision"));
    assert_eq!(pass(images.path()).bits("logits"), pass(&fixture("gemma4_text")).bits("logits"));
}

#[test]
fn what_state_spaces_can_be_asked_for_and_is_not_computed_is_refused() {
    for (name, key, value, why) in [
        ("granite4-hybrid", "mamba_proj_bias", json!(true), "mamba_proj_bias = true is not supported: biases"),
        ("granite4-hybrid", "time_step_limit", json!([0.0, 0.5]), "time_step_limit = ... is not supported: only steps"),
        ("mamba2", "use_bias", json!(true), "use_bias = true is not supported: biases"),
        ("mamba", "use_bias", json!(true), "use_bias = true is not supported: biases"),
        ("mamba", "rescale_prenorm_residual", json!(true), "transformers divides output projections when it loads"),
        ("jamba", "mamba_proj_bias", json!(true), "mamba_proj_bias = true is not supported: biases"),
        ("falcon_h1", "projectors_bias", json!(true), "projectors_bias = true is not supported: biases"),
        ("falcon_h1", "attention_bias", json!(true), "attention_in_multiplier = 1.3 is not supported: with"),
        ("falcon_h1", "mlp_multipliers", json!([1.0]), "\"mlp_multipliers\" has 1 numbers, and 2 are needed"),
        ("nemotron_h", "moe_latent_size", json!(8), "moe_latent_size = 8 is not supported: experts of a projected"),
        ("nemotron_h", "mlp_bias", json!(true), "mlp_bias = true is not supported: biases next to experts"),
    ] {
        let refused = refusal(with(name, key, value).path());
        assert!(refused.contains(why), "{refused}");
    }
    // `mamba` and `attention` are what versions before transformers 5 write.
    let old = with("granite4-hybrid", "layer_types", json!(["mamba", "attention"]));
    assert_eq!(pass(old.path()).bits("logits"), pass(&fixture("granite4-hybrid")).bits("logits"));
    // A block may have a letter instead of a word.
    let letters = changed("nemotron_h", |config| {
        config["hybrid_override_pattern"] = json!("ME*-");
        config.as_object_mut().unwrap().remove("layers_block_type");
    });
    assert_eq!(pass(letters.path()).bits("logits"), pass(&fixture("nemotron_h")).bits("logits"));
    // Its steps have a least one.
    let bounded = with("nemotron_h", "time_step_min", json!(0.05));
    let (steps, free) =
        (pass(bounded.path()).numbers("L0.mixer.dt"), pass(&fixture("nemotron_h")).numbers("L0.mixer.dt"));
    assert!(free.iter().any(|step| *step < 0.05));
    assert!(steps.iter().zip(&free).all(|(step, free)| (step - free.max(0.05)).abs() < 1e-8));
    let old = with("granite4-dense", "layer_types", json!(["attention", "attention"]));
    assert_eq!(pass(old.path()).bits("logits"), pass(&fixture("granite4-dense")).bits("logits"));
}
