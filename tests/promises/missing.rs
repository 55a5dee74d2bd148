//! Promise: a weight that is not in the files is refused like any other missing tensor, or is made of another one as the
//! libraries that wrote the files do, and then said. Nothing is replaced in silence.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use llmdbg::model::role::{Role, WeightId};
use llmdbg::model::spec::Head;

use crate::altered::{Copy, Gguf, Tensor, open, ran, tensors, write};
use crate::common::batch;
use crate::parity::fixture;

/// Fixtures with logits, where their unembedding is, and whether `tie_word_embeddings` is true where a configuration does not say:
/// the defaults of the configurations of transformers 5.24.
const HEADS: &[(&str, &str, bool)] = &[
    ("albert", "predictions.decoder.weight", true),
    ("apertus", "lm_head.weight", false),
    ("bamba", "lm_head.weight", false),
    ("bart", "lm_head.weight", true),
    ("bert-mlm", "cls.predictions.decoder.weight", true),
    ("bloom", "lm_head.weight", true),
    ("cohere", "lm_head.weight", true),
    ("cohere-qknorm", "lm_head.weight", true),
    ("cwm", "lm_head.weight", false),
    ("data2vec-text", "lm_head.decoder.weight", true),
    ("deberta-v2", "cls.predictions.decoder.weight", true),
    ("deepseek_v2", "lm_head.weight", false),
    ("deepseek_v3", "lm_head.weight", false),
    ("dots1", "lm_head.weight", false),
    ("ernie", "cls.predictions.decoder.weight", true),
    ("ernie4_5_moe", "lm_head.weight", true),
    ("esm", "lm_head.decoder.weight", true),
    ("eurobert", "lm_head.weight", false),
    ("falcon", "lm_head.weight", true),
    ("falcon_h1", "lm_head.weight", false),
    ("falcon_mamba", "lm_head.weight", true),
    ("gemma2", "lm_head.weight", true),
    ("gemma3_text", "lm_head.weight", true),
    ("gemma4-moe", "lm_head.weight", true),
    ("gemma4_text", "lm_head.weight", true),
    ("glm4", "lm_head.weight", false),
    ("glm4_moe", "lm_head.weight", false),
    ("glm4_moe_lite", "lm_head.weight", false),
    ("gpt2", "lm_head.weight", true),
    ("gpt_neox", "embed_out.weight", false),
    ("gpt_oss", "lm_head.weight", false),
    ("gptj", "lm_head.weight", false),
    ("gte", "lm_head.decoder.weight", true),
    ("granite", "lm_head.weight", false),
    ("granite4-dense", "lm_head.weight", false),
    ("granite4-hybrid", "lm_head.weight", false),
    ("granite4-moe", "lm_head.weight", false),
    ("granitemoe", "lm_head.weight", false),
    ("hunyuan_v1_dense", "lm_head.weight", false),
    ("hunyuan_v1_moe", "lm_head.weight", false),
    ("lfm2", "lm_head.weight", true),
    ("jamba", "lm_head.weight", false),
    ("jais2", "lm_head.weight", false),
    ("llama", "lm_head.weight", false),
    ("llama4_text", "lm_head.weight", false),
    ("mamba", "lm_head.weight", true),
    ("mamba2", "lm_head.weight", false),
    ("m2m_100", "lm_head.weight", true),
    ("marian", "lm_head.weight", true),
    ("mbart", "lm_head.weight", true),
    ("megatron-bert", "cls.predictions.decoder.weight", true),
    ("minimax_m2", "lm_head.weight", false),
    ("ministral3", "lm_head.weight", false),
    ("mistral", "lm_head.weight", false),
    ("mixtral", "lm_head.weight", false),
    ("modernbert", "decoder.weight", true),
    ("mpnet", "lm_head.decoder.weight", true),
    ("nanochat", "lm_head.weight", false),
    ("nemotron_h", "lm_head.weight", false),
    ("nomic_bert", "cls.predictions.decoder.weight", true),
    ("olmo2", "lm_head.weight", false),
    ("opt", "lm_head.weight", true),
    ("pegasus", "lm_head.weight", true),
    ("phi", "lm_head.weight", false),
    ("phi3", "lm_head.weight", false),
    ("phimoe", "lm_head.weight", false),
    ("qwen2", "lm_head.weight", false),
    ("qwen3", "lm_head.weight", false),
    ("qwen3_moe", "lm_head.weight", false),
    ("qwen3-rerank", "lm_head.weight", false),
    ("qwen3_5_moe_text", "lm_head.weight", false),
    ("qwen3_5_text", "lm_head.weight", false),
    ("qwen3_next", "lm_head.weight", false),
    ("roberta-prelayernorm", "lm_head.decoder.weight", true),
    ("seed_oss", "lm_head.weight", false),
    ("smollm3", "lm_head.weight", true),
    ("stablelm", "lm_head.weight", false),
    ("starcoder2", "lm_head.weight", true),
    ("vaultgemma", "lm_head.weight", true),
    ("xlm-roberta-xl", "lm_head.decoder.weight", true),
    ("youtu", "lm_head.weight", true),
];

fn fixtures() -> Vec<String> {
    let folders = fs::read_dir(fixture("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut all: Vec<String> = folders.filter(|name| fixture(name).join("config.json").exists()).collect();
    all.sort();
    all
}

/// A fixture without the tensor of its head, and what its configuration says of tying.
fn headless(name: &str, head: &str, tied: Option<bool>) -> Copy {
    Copy::of(name).tensors(|all| all.retain(|tensor| tensor.name != head)).config(|config| {
        config.remove("tie_word_embeddings");
        config.extend(tied.map(|tied| ("tie_word_embeddings".to_owned(), tied.into())));
    })
}

#[test]
fn a_head_that_is_not_in_the_file_is_the_embedding_only_where_the_configuration_ties_them() {
    for (name, head, default) in HEADS {
        let refusal = |tied: Option<bool>| {
            let message = headless(name, head, tied).refused();
            assert!(message.contains(&format!("missing: {head}")), "{name}: {message}");
            let says = if tied.is_some() { "is false in DIR" } else { "is not given, which means false for" };
            let way = "save the model again with it, or set tie_word_embeddings to true";
            assert!(message.contains(&format!("tie_word_embeddings {says}")) && message.contains(way), "{message}");
        };
        refusal(Some(false));
        match default {
            true => drop(headless(name, head, None).load().unwrap()),
            false => refusal(None),
        }
        let tied = headless(name, head, Some(true)).load().unwrap();
        assert!(tied.weights.tied(), "{name}");
        let whole = |role| tied.weights.value(WeightId::global(role)).unwrap().read_f32().unwrap();
        assert_eq!(whole(Role::W_U), whole(Role::W_E), "{name}");
    }
}

#[test]
fn every_fixture_with_logits_is_in_the_list() {
    let listed: BTreeSet<&str> = HEADS.iter().map(|(name, ..)| *name).collect();
    for name in fixtures() {
        let model = open(&fixture(&name)).unwrap();
        let logits = matches!(model.spec.head, Head::CausalLm(_) | Head::MaskedLm { .. });
        // The same models under other names of tensors, and in half precision.
        // The head of T5 is the embedding if there is no other, whatever the configuration says.
        let again = ["gpt2-f16", "llama-legacy", "t5", "t5-gated", "mt5"].contains(&name.as_str());
        assert_eq!(logits && !again, listed.contains(name.as_str()), "{name}");
    }
}

#[test]
fn the_program_refuses_a_missing_head_and_says_both_ways_out() {
    let copy = headless("llama", "lm_head.weight", Some(false));
    let ran = batch(copy.path().to_str().unwrap(), &["--tokens", "5,17,33", "-ex", "run"]);
    let said = ran.err.replace(&copy.path().display().to_string(), "DIR");
    assert_eq!(
        (ran.status, ran.out.as_str(), said.as_str()),
        (
            4,
            "",
            "llmdbg: the tensors of DIR/model.safetensors do not fit the architecture LlamaForCausalLM; 1 missing: \
             lm_head.weight; tie_word_embeddings is false in DIR/config.json, so the head is a separate tensor: save the \
             model again with it, or set tie_word_embeddings to true if the head is the token embedding\n"
        )
    );
}

#[test]
fn every_tensor_that_a_model_uses_is_missed() {
    let single = |name: &String| fixture(name).join("model.safetensors").exists();
    for name in fixtures().into_iter().filter(single) {
        let path = fixture(&name).join("model.safetensors");
        let (model, all) = (open(&fixture(&name)).unwrap(), tensors(&path));
        let copy = Copy::of(&name);
        // Those of other files are checked elsewhere.
        let here = |name: &String| all.iter().any(|tensor| tensor.name == *name);
        // Without these, logits have no bias, the head of T5 is its embedding, and sines are computed: in transformers too.
        let optional = |tensor: &str| match name.as_str() {
            "t5-gated" => tensor == "lm_head.weight",
            "pegasus" if tensor.ends_with("embed_positions.weight") => true,
            _ => tensor == "final_logits_bias",
        };
        let wanted = |name: &String| here(name) && !optional(name);
        for file in model.weights.files().iter().filter(|file| !file.uses.is_empty() && wanted(&file.name)) {
            let rest: Vec<Tensor> = all.iter().filter(|tensor| tensor.name != file.name).cloned().collect();
            write(&copy.file("model.safetensors"), &rest);
            // Where the tensor has several names, the first of them is missed; without the embedding, all that it tells of.
            let (message, module) = (copy.refused(), file.name.rsplit('.').nth(1).unwrap());
            let named = message.contains(module)
                || [".ln_attn.", ".ln_mlp.", ".shared_mlp.", "shared.weight"]
                    .iter()
                    .any(|name| file.name.contains(name));
            assert!(message.contains("missing: ") && named, "{name} without {}: {message}", file.name);
        }
    }
}

#[test]
fn a_tied_model_of_which_only_the_head_was_saved_is_whole() {
    for (name, embedding, head) in [
        ("gpt2", "wte.weight", "lm_head.weight"),
        ("gpt2-f16", "wte.weight", "lm_head.weight"),
        ("qwen2", "embed_tokens.weight", "lm_head.weight"),
        ("gemma2", "embed_tokens.weight", "lm_head.weight"),
        ("opt", "embed_tokens.weight", "lm_head.weight"),
        ("bert-mlm", "word_embeddings.weight", "cls.predictions.decoder.weight"),
    ] {
        let renamed = |copy: Copy| {
            copy.tensors(|all| {
                let found = all.iter_mut().find(|tensor| tensor.name.ends_with(embedding)).unwrap();
                found.name = head.to_owned();
            })
        };
        let copy = renamed(Copy::of(name));
        let (mut whole, mut found) = (ran(open(&fixture(name)).unwrap()), ran(copy.load().unwrap()));
        assert_eq!(found.everything(), whole.everything(), "{name}");
        let said = found.text("info model");
        assert!(said.contains(&format!("it is tied to {head:?}, which is, and is taken from there")), "{name}: {said}");
        assert!(found.text("diagnose").contains("taken from there"), "{name}");
        // What is saved of it is the same model again.
        let folder = tempfile::tempdir().unwrap();
        let twin = folder.path().join("twin");
        found.run(&format!("export model {}", twin.display()));
        assert_eq!(ran(open(&twin).unwrap()).everything(), whole.everything(), "{name}");
        assert!(renamed(Copy::of(name)).set("tie_word_embeddings", false).load().is_err(), "{name}");
    }
}

/// Logits of a masked LM with these biases, and what is said of them.
fn with_biases(tied: bool, outer: Option<f32>, beside: Option<f32>) -> Copy {
    Copy::of("bert-mlm").set("tie_word_embeddings", tied).tensors(|all| {
        all.retain(|tensor| tensor.name != "cls.predictions.bias");
        let mut add = |name: &str, value: Option<f32>| {
            all.extend(value.map(|value| Tensor::f32(name, &[440], &[value; 440])));
        };
        add("cls.predictions.bias", outer);
        add("cls.predictions.decoder.bias", beside);
        if !tied {
            let mut head = all.iter().find(|tensor| tensor.name.ends_with("word_embeddings.weight")).unwrap().clone();
            head.name = "cls.predictions.decoder.weight".into();
            all.push(head);
        }
    })
}

#[test]
fn of_two_biases_of_a_masked_lm_the_one_that_transformers_adds_counts() {
    let logits = |copy: &Copy| ran(copy.load().unwrap()).numbers("logits");
    let plain = logits(&with_biases(true, Some(0.0), None));
    let off = |copy: &Copy| {
        let found = logits(copy);
        let off: Vec<f64> = found.iter().zip(&plain).map(|(a, b)| a - b).collect();
        // All logits are moved by one number, but for the rounding of 32-bit floats of this size.
        assert!(off.iter().all(|x| (x - off[0]).abs() < 1e-5), "{off:?}");
        off[0]
    };
    let near = |a: f64, b: f64| (a - b).abs() < 1e-5;
    assert!(near(off(&with_biases(true, Some(3.0), None)), 3.0));
    assert!(near(off(&with_biases(true, None, Some(2.0))), 2.0));
    assert!(near(off(&with_biases(true, Some(3.0), Some(2.0))), 2.0));
    assert!(near(off(&with_biases(false, Some(3.0), Some(2.0))), 2.0));
    let both = with_biases(true, Some(3.0), Some(2.0)).load().unwrap();
    let reason = &both.report.ignored.iter().find(|(name, _)| name == "cls.predictions.bias").unwrap().1;
    assert_eq!(reason, "cls.predictions.decoder.bias is used in its place, and differs");
    let message = with_biases(false, Some(3.0), None).refused();
    assert!(message.contains("1 missing: cls.predictions.decoder.bias"), "{message}");
}

#[test]
fn no_head_stands_in_for_another_one() {
    // Of each, the class weights of another architecture with the right shape.
    for (name, architecture, theirs) in [
        ("bert-seqcls", "BertForSequenceClassification", "cls.seq_relationship"),
        ("bert-seqcls", "BertForTokenClassification", "qa_outputs"),
        ("bert-seqcls", "BertForNextSentencePrediction", "classifier"),
        ("bert-seqcls", "BertForQuestionAnswering", "classifier"),
        ("roberta-seqcls", "RobertaForQuestionAnswering", "classifier"),
        ("roberta-seqcls", "RobertaForTokenClassification", "classifier.out_proj"),
        ("distilbert-seqcls", "DistilBertForQuestionAnswering", "classifier"),
        ("electra", "ElectraForQuestionAnswering", "discriminator_predictions.dense_prediction"),
        ("electra", "ElectraForTokenClassification", "qa_outputs"),
        ("albert", "AlbertForSequenceClassification", "sop_classifier.classifier"),
        ("llama", "LlamaForSequenceClassification", "qa_outputs"),
        ("llama", "LlamaForQuestionAnswering", "score"),
        ("llama", "LlamaForSequenceClassification", "classifier"),
        ("gpt2", "GPT2ForQuestionAnswering", "classifier"),
        ("gpt_neox", "GPTNeoXForSequenceClassification", "qa_outputs"),
    ] {
        let copy = Copy::of(name).config(|config| {
            config.insert("architectures".into(), [architecture].as_slice().into());
            for key in ["id2label", "label2id"] {
                config.remove(key);
            }
        });
        let copy = copy.tensors(|all| {
            let ours = ["classifier", "qa_outputs", "score", "discriminator_predictions", "cls.seq"];
            all.retain(|tensor| !ours.iter().any(|head| tensor.name.starts_with(head)));
            all.push(Tensor::f32(&format!("{theirs}.weight"), &[2, 32], &[0.1; 64]));
            all.push(Tensor::f32(&format!("{theirs}.bias"), &[2], &[0.1; 2]));
        });
        let message = copy.refused();
        assert!(message.contains("missing: ") && !message.contains(&format!("{theirs}.weight")), "{name}: {message}");
    }
}

#[test]
fn the_index_decides_between_shards_that_hold_the_same_tensor() {
    let name = "model.layers.0.mlp.down_proj.weight";
    let all = tensors(&fixture("llama").join("model.safetensors"));
    let changed = |tensor: &Tensor| {
        let half: Vec<f32> = tensor.numbers().iter().map(|x| x * 0.5).collect();
        Tensor::f32(name, &tensor.shape, &half)
    };
    let overlay = changed(all.iter().find(|tensor| tensor.name == name).unwrap());
    let merged = Copy::of("llama").tensors(|all| {
        let at = all.iter().position(|tensor| tensor.name == name).unwrap();
        all[at] = overlay.clone();
    });
    let mut wanted = ran(merged.load().unwrap());
    let mut plain = ran(open(&fixture("llama")).unwrap());
    // Whichever shard comes first by name.
    for extra in ["model-00000-extra.safetensors", "overlay.safetensors"] {
        let copy = Copy::of("llama");
        fs::rename(copy.file("model.safetensors"), copy.file("model-00001-of-00001.safetensors")).unwrap();
        write(&copy.file(extra), std::slice::from_ref(&overlay));
        let index = |of: &str| {
            let map: serde_json::Map<String, serde_json::Value> = all
                .iter()
                .map(|t| (t.name.clone(), if t.name == name { of } else { "model-00001-of-00001.safetensors" }.into()))
                .collect();
            let text = serde_json::json!({"metadata": {}, "weight_map": map}).to_string();
            fs::write(copy.file("model.safetensors.index.json"), text).unwrap();
        };
        index(extra);
        let ran_ = batch(
            copy.path().to_str().unwrap(),
            &["--tokens", "5,17,33,60,101,7,250,12", "-ex", "run", "-ex", "info model", "-ex", "print/r logits[-1]"],
        );
        let note = format!(
            "not used: {name} (the one in model-00001-of-00001.safetensors; the index takes this tensor from {extra})"
        );
        assert!(ran_.status == 0 && ran_.out.contains(&note), "{}{}", ran_.out, ran_.err);
        let mut found = ran(copy.load().unwrap());
        assert_eq!(found.everything(), wanted.everything(), "{extra}");
        assert_ne!(found.bits("logits"), plain.bits("logits"));
        // A shard that adds nothing is not opened, and what the index does not know is refused still.
        index("model-00001-of-00001.safetensors");
        assert_eq!(ran(copy.load().unwrap()).everything(), plain.everything());
        index(extra);
        write(&copy.file(extra), &[overlay.clone(), Tensor::f32("stray", &[1], &[0.0])]);
        let message = copy.refused();
        assert!(message.contains(&format!("shard {extra:?} has tensor \"stray\", which ")), "{message}");
    }
}

#[test]
fn a_table_of_another_size_than_the_vocabulary_is_refused_with_both_shapes() {
    let message = Copy::of("llama").set("vocab_size", 386).refused();
    let shapes = "has shape [384, 32], DIR/config.json asks for [386, 32] (W_E)";
    assert_eq!(message, format!("tensor \"model.embed_tokens.weight\" {shapes}"));
}

#[test]
fn matrices_of_nanogpt_are_turned_and_said_to_be() {
    let turned = |name: &str| ["c_attn.weight", "c_proj.weight", "c_fc.weight"].iter().any(|end| name.ends_with(end));
    let copy = Copy::of("gpt2").tensors(|all| {
        for tensor in all.iter_mut() {
            if turned(&tensor.name) {
                *tensor = tensor.transposed();
            }
            tensor.name = format!("_orig_mod.{}", tensor.name);
        }
    });
    let (mut found, mut wanted) = (ran(copy.load().unwrap()), ran(open(&fixture("gpt2")).unwrap()));
    assert_eq!(found.everything(), wanted.everything());
    assert!(found.text("info model").contains("stored as [out, in], as nanoGPT's Linear layers are"));
    assert!(!wanted.text("info model").contains("nanoGPT"));
    // Half of it is neither.
    let half = Copy::of("gpt2").tensors(|all| {
        let one = all.iter_mut().find(|tensor| tensor.name.ends_with("h.1.mlp.c_fc.weight")).unwrap();
        *one = one.transposed();
    });
    let message = half.refused();
    assert!(message.ends_with("(blocks.1.mlp.W_in); it is stored transposed"), "{message}");
}

fn gguf(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf").join(name)
}

/// What files of llama.cpp may leave out, tried with llama.cpp itself: the head where it is the embedding then, and factors and biases that
/// a model need not have. Everything else it refuses, too.
const OPTIONAL: &[(&str, &str)] = &[
    ("apertus", "rope_freqs.weight"),
    ("deepseek2", "output.weight"),
    ("deepseek3", "output.weight"),
    ("exaone4", "output.weight"),
    ("exaone4", "rope_freqs.weight"),
    ("falcon-h1", "blk.*.ssm_conv1d.bias"),
    ("falcon-h1", "blk.*.ssm_norm.weight"),
    ("falcon-h1", "output.weight"),
    ("glm", "output.weight"),
    ("glm4", "output.weight"),
    ("glm4_moe", "output.weight"),
    ("granite4-hybrid", "blk.*.ssm_conv1d.bias"),
    ("granite4-moe", "blk.*.ssm_conv1d.bias"),
    ("hunyuan_v1_dense", "output.weight"),
    ("jais2", "output.weight"),
    ("llama", "output.weight"),
    ("llama", "rope_freqs.weight"),
    ("llama4", "output.weight"),
    ("mamba2", "output.weight"),
    ("minicpm", "output.weight"),
    ("mistral", "output.weight"),
    ("mistral3", "output.weight"),
    ("mixtral", "output.weight"),
    ("nemotron-h", "blk.*.ssm_conv1d.bias"),
    ("nemotron-h", "output.weight"),
    ("nemotron-h-moe", "blk.*.ssm_conv1d.bias"),
    ("nemotron-h-moe", "output.weight"),
    ("phi3", "output.weight"),
    ("qwen3", "output.weight"),
    ("qwen35", "output.weight"),
    ("qwen3_moe", "output.weight"),
    ("qwen3next", "output.weight"),
    ("seed_oss", "output.weight"),
];

#[test]
fn every_tensor_of_a_gguf_file_is_missed_that_llama_cpp_misses() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dropped.gguf");
    let mut computed = Vec::new();
    for entry in fs::read_dir(gguf("")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let Some(model) = file.strip_suffix(".f32.gguf") else { continue };
        let bytes = fs::read(gguf(&file)).unwrap();
        let kind = |name: &str| -> String {
            let part = |part: &str| if part.parse::<u32>().is_ok() { "*" } else { part }.to_owned();
            name.split('.').map(part).collect::<Vec<_>>().join(".")
        };
        let parsed = Gguf::parse(&bytes);
        let kinds: BTreeSet<String> = parsed.tensors.iter().map(|(name, _)| kind(name)).collect();
        for dropped in kinds {
            fs::write(&path, parsed.without(|name| kind(name) == dropped)).unwrap();
            if open(&path).is_ok() {
                computed.push((model.to_owned(), dropped));
            }
        }
    }
    computed.sort();
    let optional: Vec<(String, String)> = OPTIONAL.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!(computed, optional);
}

#[test]
fn a_gguf_file_says_that_it_lacks_its_head_or_that_the_head_is_the_embedding() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("headless.gguf");
    for (model, tied) in
        [("llama", true), ("gpt_neox", false), ("phi", false), ("stablelm", false), ("qwen2_moe", false)]
    {
        let bytes = fs::read(gguf(&format!("{model}.f32.gguf"))).unwrap();
        fs::write(&path, Gguf::parse(&bytes).without(|name| name == "output.weight")).unwrap();
        let ran = batch(path.to_str().unwrap(), &["--tokens", "5,17", "-ex", "info model"]);
        match tied {
            true => assert!(ran.out.contains("the head is the token embedding (tied)"), "{}{}", ran.out, ran.err),
            false => assert!(ran.err.contains("it has no tensor \"output.weight\", the head"), "{model}: {}", ran.err),
        }
    }
}
