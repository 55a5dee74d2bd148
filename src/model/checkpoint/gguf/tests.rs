//! What a GGUF file is presented as, against the checkpoint that it was made of; no family is needed for that.
//!
//! `LLMDBG_GGUF=FOLDER` names a different folder from `tests/fixtures/gguf`, made with `python -m fixtures.gguf.convert`.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::model::checkpoint::{TensorEntry, TensorFile, TensorReader, safetensors};

fn fixtures() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf");
    std::env::var_os("LLMDBG_GGUF").map_or(own, PathBuf::from)
}

/// A GGUF file with the weights and the configuration that it was made of.
struct Pair {
    gguf: PathBuf,
    weights: PathBuf,
    config: PathBuf,
}

fn pairs() -> Vec<Pair> {
    let folder = fixtures();
    let names = crate::model::checkpoint::files::names_in(&folder);
    let pair = |name: &String| {
        let stem = name.strip_suffix(".gguf").unwrap();
        let stem = stem.split_once("-00001-of-").map_or(stem, |(stem, _)| stem);
        let own = folder.join(stem);
        let model = stem.rsplit_once('.').unwrap().0;
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(model);
        let own_or_fixture = |file: &str| if own.join(file).exists() { own.clone() } else { fixture.clone() };
        let (weights, config) = (own_or_fixture("model.safetensors"), own_or_fixture("config.json"));
        Pair { gguf: folder.join(name), weights, config }
    };
    models_in(&names).into_iter().map(pair).collect()
}

fn values(file: &TensorFile, entry: &TensorEntry) -> Vec<f32> {
    let values = file.read_f32(entry).unwrap();
    match entry.shape[..] {
        [rows, columns] if entry.flipped => crate::tensor::transposed(values, rows, columns),
        _ => values,
    }
}

/// The tensors of a folder, without the beginnings of names that the format leaves out.
fn twin_tensors(folder: &Path) -> HashMap<String, (Vec<usize>, Vec<f32>)> {
    let mut all = HashMap::new();
    for name in crate::model::checkpoint::files::names_in(folder) {
        if !name.starts_with("model") || !name.ends_with(".safetensors") {
            continue;
        }
        let file = safetensors::open(&folder.join(name)).unwrap();
        for entry in &file.entries {
            let name =
                entry.name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias");
            all.extend(apart(&name, &entry.shape, values(&file, entry)));
        }
    }
    all
}

/// A tensor as it is; of Granite's, which join what llama.cpp has in several, the tensors that they are taken apart into.
fn apart(name: &str, shape: &[usize], values: Vec<f32>) -> Vec<(String, (Vec<usize>, Vec<f32>))> {
    let whole = || vec![(name.to_owned(), (shape.to_vec(), values.clone()))];
    let Some((block, part)) = name.split_once("block_sparse_moe.").or_else(|| name.split_once("shared_mlp.")) else {
        return whole();
    };
    let names: &[&str] = match (part, name.contains("block_sparse_moe.")) {
        ("input_linear.weight", true) => &["w1", "w3"],
        ("output_linear.weight", true) => &["w2"],
        ("input_linear.weight", false) => &["gate_proj", "up_proj"],
        ("output_linear.weight", false) => &["down_proj"],
        _ => return whole(),
    };
    let (stack, matrix) = shape.split_at(shape.len() - 2);
    let experts = stack.first().copied().unwrap_or(1);
    let own = vec![matrix[0] / names.len(), matrix[1]];
    let pieces = values.chunks(own[0] * own[1]).enumerate().map(|(at, piece)| {
        let (expert, name) = (at / names.len(), names[at % names.len()]);
        let name = match stack {
            [] => format!("{block}mlp.{name}.weight"),
            _ => format!("{block}block_sparse_moe.experts.{expert}.{name}.weight"),
        };
        (name, (own.clone(), piece.to_vec()))
    });
    let pieces: Vec<_> = pieces.collect();
    assert_eq!(pieces.len(), experts * names.len());
    pieces
}

#[test]
fn tensors_have_the_names_shapes_and_numbers_of_the_checkpoint() {
    for Pair { gguf, weights: twin, .. } in pairs() {
        let checkpoint = GgufModel::open(&gguf).unwrap().checkpoint().unwrap();
        let theirs = twin_tensors(&twin);
        let mut found = 0;
        for file in &checkpoint.files {
            for entry in &file.entries {
                let wanted = theirs
                    .iter()
                    .find(|(name, _)| {
                        let short = entry.name.split_once('.').map_or("", |(_, short)| short);
                        **name == entry.name || name.ends_with(&format!(".{}", entry.name)) || **name == short
                    })
                    .unwrap_or_else(|| panic!("{}: {}", gguf.display(), entry.name));
                let (shape, numbers) = wanted.1;
                let ours = values(file, entry);
                let mut own_shape = entry.shape.clone();
                if entry.flipped {
                    own_shape.reverse();
                }
                assert_eq!(&own_shape, shape, "{}: {}", gguf.display(), entry.name);
                let reader = TensorReader::new(file, entry).unwrap();
                for (at, (a, b)) in ours.iter().zip(numbers).enumerate() {
                    if reader.stored_index(at).is_none() {
                        continue; // The converter left this row out.
                    }
                    // Gains to which the converter adds 1 lose the digits that do not fit.
                    // Rates of decay are logarithms of their exponentials.
                    let arrange = entry.arrange;
                    let exact = !arrange.log && (arrange.shift == 0.0 || twin.starts_with(fixtures()));
                    let bound = if arrange.log { 3e-7 * (1.0 + b.abs()) } else { 1.2e-7 };
                    let close = if exact { a == b } else { (a - b).abs() < bound };
                    assert!(close, "{}: {}: {a} {b}", gguf.display(), entry.name);
                }
                found += 1;
            }
        }
        let aside = checkpoint.aside.iter().any(|(entry, _)| entry.name.starts_with("cls.output"));
        // The converter knows no pooler, and no head of ModernBERT or Nomic BERT that is for masked tokens.
        let masked = theirs.contains_key("decoder.bias") && theirs.contains_key("head.dense.weight");
        let others = |name: &&String| {
            let of_head = masked && (name.starts_with("decoder.") || name.starts_with("head."))
                || name.starts_with("cls.predictions.");
            let of_classifier = aside && name.starts_with("classifier.");
            !(of_head || of_classifier || name.contains("pooler.") || name.ends_with(".attn.bias"))
        };
        assert_eq!(found, theirs.keys().filter(others).count(), "{}", gguf.display());
    }
}

/// Settings that both have are equal; numbers but for the 32 bits that the file has of them.
#[test]
fn the_configuration_is_that_of_the_checkpoint() {
    for Pair { gguf, config: twin, .. } in pairs() {
        let model = GgufModel::open(&gguf).unwrap();
        let ours: Json = serde_json::from_slice(&model.file("config.json").unwrap().unwrap()).unwrap();
        let theirs: Json = serde_json::from_slice(&fs::read(twin.join("config.json")).unwrap()).unwrap();
        let (ours, mut theirs) = (ours.as_object().unwrap().clone(), theirs.as_object().unwrap().clone());
        if let Some(rope) = theirs.get("rope_parameters").cloned() {
            let full = rope.get("full_attention").unwrap_or(&rope).clone();
            for key in ["rope_theta", "partial_rotary_factor"] {
                full.get(key).map(|value| theirs.insert(key.into(), value.clone()));
            }
            if full["rope_type"] != "default" {
                let mut full = full.as_object().unwrap().clone();
                full.remove("rope_theta");
                theirs.insert("rope_scaling".into(), Json::Object(full));
            }
        }
        // The MLP of Granite 4 is called after the one that its mixtures have next to the experts.
        if let (Some(width), Some(0)) =
            (theirs.get("shared_intermediate_size").cloned(), theirs.get("num_local_experts").and_then(Json::as_u64))
        {
            theirs.insert("intermediate_size".into(), width);
        }
        let mut compared = 0;
        for (key, value) in &ours {
            let Some(wanted) = theirs.get(key) else { continue };
            // Where all heads share one key, Falcon's number of them means nothing.
            if key == "num_kv_heads" && theirs["new_decoder_architecture"] == false {
                continue;
            }
            // Some checkpoints keep ids of a vocabulary that they do not have.
            if key.ends_with("_token_id") && wanted.as_u64() >= theirs["vocab_size"].as_u64() {
                continue;
            }
            let same = match (value.as_f64(), wanted.as_f64()) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-7 * b.abs(),
                _ => value == wanted || key == "rope_scaling" && same_scaling(value, wanted, &theirs),
            };
            // llama.cpp's converters guess these, or take them from elsewhere.
            let unsaid = [
                "tie_word_embeddings",
                "max_position_embeddings",
                "id2label",
                "architectures",
                "head_dim",
                "n_inner",
                "pad_token_id",
            ];
            // llama.cpp does not tell Mistral without a window from Llama, nor a dense Granite 4 from Granite, and neither
            // need anyone.
            let alike = [("llama", "mistral"), ("granite", "granitemoehybrid")];
            let same = same || (key == "model_type" && alike.iter().any(|(a, b)| value == a && wanted == b));
            assert!(same || unsaid.contains(&key.as_str()), "{}: {key}: {value} {wanted}", gguf.display());
            compared += 1;
        }
        assert!(compared > 6, "{}: {compared} of {ours:?}", gguf.display());
        assert!(ours["architectures"][0].as_str().is_some_and(|name| !name.is_empty()));
    }
}

/// Whether two scalings do the same to the angles of this configuration. Files have the factors of llama3's and not what they were made of,
/// of which several kinds may give the same few factors.
fn same_scaling(ours: &Json, theirs: &Json, config: &Map<String, Json>) -> bool {
    let kind = |scaling: &Json| scaling.get("rope_type").or(scaling.get("type")).cloned();
    if kind(ours) == kind(theirs) && kind(ours).as_ref().and_then(Json::as_str) == Some("llama3") {
        let number = |key: &str| config.get(key).and_then(Json::as_f64);
        let width = number("head_dim")
            .unwrap_or_else(|| number("hidden_size").unwrap() / number("num_attention_heads").unwrap());
        let factors = [ours, theirs].map(|scaling| llama3_factors(scaling, number("rope_theta").unwrap(), width));
        return factors[0].iter().zip(&factors[1]).all(|(a, b)| (a - b).abs() <= 1e-5 * b);
    }
    kind(ours) == kind(theirs)
        && ours.as_object().unwrap().iter().all(|(key, value)| match (theirs.get(key), value.as_f64()) {
            (Some(wanted), Some(value)) => (value - wanted.as_f64().unwrap()).abs() <= 1e-6 * value.abs(),
            _ => true,
        })
}

#[test]
fn chat_templates_can_be_reached() {
    let mut bytes = fs::read(fixtures_own().join("gpt2.f32.gguf")).unwrap();
    let name = b"general.name";
    let stored =
        |model: &GgufModel| Facts::of(model).unwrap().text("tokenizer.chat_template").unwrap().map(String::from);
    assert_eq!(stored(&GgufModel::from_vec("m", bytes.clone()).unwrap()), None);
    // A key of another length would move everything after it; this one is put first, in the place of the counts.
    let entries = u64::from_le_bytes(bytes[16..24].try_into().unwrap());
    bytes[16..24].copy_from_slice(&(entries + 1).to_le_bytes());
    let mut entry = Vec::new();
    let text = |entry: &mut Vec<u8>, text: &str| {
        entry.extend((text.len() as u64).to_le_bytes());
        entry.extend(text.as_bytes());
    };
    text(&mut entry, "tokenizer.chat_template");
    entry.extend(8u32.to_le_bytes());
    // The entry takes a multiple of 32 bytes, so that the tensors stay aligned.
    let template = format!("{{{{ messages[0].content }}}}{}", " ".repeat(32));
    let length = template.len() - (entry.len() + 8 + template.len()) % 32;
    text(&mut entry, &template[..length]);
    assert!(entry.len() % 32 == 0 && name.len() == 12);
    bytes.splice(24..24, entry);
    let model = GgufModel::from_vec("m", bytes).unwrap();
    assert_eq!(stored(&model).as_deref().map(str::trim), Some("{{ messages[0].content }}"));
    let config: Json = serde_json::from_slice(&model.file("tokenizer_config.json").unwrap().unwrap()).unwrap();
    assert_eq!(config["chat_template"].as_str().map(str::trim), Some("{{ messages[0].content }}"));
    assert_eq!(config["eos_token"], "<|endoftext|>");
    assert_eq!(model.architecture().unwrap(), "gpt2");
}

fn fixtures_own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf")
}

#[test]
fn names_of_shards_are_understood() {
    assert_eq!(shard_name("m-q4-00002-of-00003.gguf"), Some(("m-q4", 3)));
    assert_eq!(shard_name("m-00001-of-00000.gguf"), None);
    assert_eq!(shard_name("m-1-of-2.gguf"), None);
    assert_eq!(shard_file("m", 2, 12), "m-00002-of-00012.gguf");
    let names = ["b-00002-of-00002.gguf", "b-00001-of-00002.gguf", "a.gguf", "c.txt"].map(String::from);
    assert_eq!(models_in(&names), ["a.gguf", "b-00001-of-00002.gguf"]);
}

/// Everything that is made of a file.
fn everything(bytes: Vec<u8>) {
    let Ok(model) = GgufModel::from_vec("m.gguf", bytes) else { return };
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "modules.json"] {
        let _ = model.file(name);
    }
    let _ = model.why_no_tokenizer();
    if let Ok(checkpoint) = model.checkpoint() {
        for file in &checkpoint.files {
            for entry in &file.entries {
                let _ = file.read_f32(entry);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_changed_file_is_loaded_or_refused(changes in proptest::collection::vec((0usize..20_000, any::<u8>()), 1..6)) {
        let mut bytes = fs::read(fixtures_own().join("llama-legacy.f32.gguf")).unwrap();
        for (at, to) in changes {
            bytes[at] = to;
        }
        everything(bytes);
    }

    #[test]
    fn a_file_cut_anywhere_is_refused(cut in 0usize..150_000) {
        let bytes = fs::read(fixtures_own().join("llama-legacy.f32.gguf")).unwrap();
        prop_assert!(GgufModel::from_vec("m.gguf", bytes[..cut].to_vec()).is_err());
    }
}

/// By what the wavelength of each angle is multiplied (`_compute_llama3_parameters` of transformers).
fn llama3_factors(scaling: &Json, base: f64, width: f64) -> Vec<f64> {
    let of = |key: &str| scaling[key].as_f64().unwrap();
    let (factor, low, high) = (of("factor"), of("low_freq_factor"), of("high_freq_factor"));
    let length = of("original_max_position_embeddings");
    (0..width as usize / 2)
        .map(|i| {
            let wave = 2.0 * std::f64::consts::PI * base.powf(2.0 * i as f64 / width);
            match wave {
                wave if wave < length / high => 1.0,
                wave if wave > length / low => factor,
                wave => {
                    let smooth = (length / wave - low) / (high - low);
                    1.0 / ((1.0 - smooth) / factor + smooth)
                }
            }
        })
        .collect()
}
