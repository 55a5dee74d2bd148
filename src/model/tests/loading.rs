//! What a loaded model says about itself.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::*;
use crate::model::families::FAMILIES;
use crate::model::hub::HubName;
use crate::model::load_in;
use crate::model::required_weights::{needed, shape_of};
use crate::model::role::{Role, WeightId};
use crate::model::spec::{
    Act, Count, Head, Layer, Logits, NormKind, Pairing, Placement, Pooling, Positions, Rope, RopeScaling, Sentence,
};
use crate::tensor::{Precision, Report, interruptible, reporting};

#[test]
fn every_fixture_loads_with_weights_of_the_shapes_of_its_specification() {
    for name in fixtures() {
        let model = model(&name);
        for id in model.weights.ids() {
            assert_eq!(model.weights.shape(id), Some(&*shape_of(&model.spec, id)), "{name} {id}");
            assert_eq!(model.weights.value(id).unwrap().shape(), shape_of(&model.spec, id), "{name} {id}");
        }
        let (mut wanted, mut found) = (needed(&model.spec), model.weights.ids());
        wanted.sort();
        found.sort();
        assert_eq!(wanted, found, "{name}");
        assert!(model.tokenizer.is_some() && model.report.parameters > 10_000, "{name}");
        assert_eq!(model.report.bytes, model.report.parameters * 4, "{name}");
    }
}

#[test]
fn gpt2() {
    let model = model("gpt2");
    let spec = &model.spec;
    assert_eq!(
        (spec.family.as_str(), spec.d_model, spec.n_layers, spec.n_heads, spec.n_kv_heads),
        ("gpt2", 32, 2, 4, 4)
    );
    assert_eq!((spec.head_dim, spec.d_mlp, spec.vocab, spec.max_positions), (8, 128, 384, 64));
    assert_eq!((spec.norm.kind, spec.norm.eps, spec.placement), (NormKind::LayerNorm, 1e-5, Placement::Pre));
    assert_eq!(
        (&spec.positions, spec.mlp.act, &spec.head),
        (&Positions::Learned { rows: 64, count: Count::Seen }, Act::GeluTanh, &Head::CausalLm(Logits::plain(true)))
    );
    assert_eq!(spec.layers, [0, 1].map(|i| Layer::plain(i, 1.0 / 8f64.sqrt())));
    assert_eq!((model.special.eos.as_slice(), model.special.pad), (&[383][..], Some(383)));
    assert_eq!(model.report.dtypes, [("f32".to_owned(), 28)]);
    assert_eq!(model.summary(), "gpt2 causal LM: 2 layers, 4 heads, width 32, vocabulary 384, 39808 parameters");
}

#[test]
fn gpt2_scales() {
    let plain = Copy::of("gpt2").set("scale_attn_weights", json!(false)).load().unwrap();
    let scales = |model: &Model| model.spec.layers.iter().map(|layer| layer.scale).collect::<Vec<_>>();
    assert_eq!(scales(&plain), [1.0, 1.0]);
    let by_layer = Copy::of("gpt2").set("scale_attn_by_inverse_layer_idx", json!(true)).load().unwrap();
    assert_eq!(scales(&by_layer), [1.0 / 8f64.sqrt(), 1.0 / 8f64.sqrt() / 2.0]);
}

#[test]
fn half_precision_is_widened_and_stored_masks_are_ignored() {
    let model = model("gpt2-f16");
    assert_eq!(model.spec.d_mlp, 48);
    assert_eq!(model.report.dtypes, [("f16".to_owned(), 28)]);
    assert!(model.report.notes.contains(&"28 tensors widened from f16 to f32, exactly".to_owned()));
    let masks = ["h.0.attn.bias", "h.1.attn.bias"]
        .map(|name| (name.to_owned(), "a stored causal mask, not a weight".to_owned()));
    assert_eq!(model.report.ignored, masks);
    assert_eq!(model.weights.file("h.0.attn.bias").unwrap().ignored.as_deref(), Some(masks[0].1.as_str()));
    assert_eq!(model.weights.file("h.0.attn.c_attn.bias").unwrap().uses.len(), 3);
}

fn rope(theta: f64, scaling: RopeScaling) -> Rope {
    Rope { theta, first: 0, dim: 8, pairing: Pairing::Half, scaling, backwards: false, tabled: false }
}

#[test]
fn llama() {
    let spec = model("llama").spec;
    assert_eq!((spec.n_heads, spec.n_kv_heads, spec.head_dim, spec.d_mlp), (4, 2, 8, 64));
    assert_eq!((spec.norm.kind, spec.norm.eps, spec.mlp.gated, spec.mlp.act), (NormKind::Rms, 1e-6, true, Act::Silu));
    let scaling = RopeScaling::Llama3 { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_max: 128.0 };
    assert_eq!(spec.ropes, [rope(10000.0, scaling)]);
    assert_eq!((&spec.positions, spec.layers[1].rope), (&Positions::None, Some(0)));
    assert_eq!(spec.head, Head::CausalLm(Logits::plain(false)));
}

#[test]
fn llama_of_2023_in_two_shards_without_a_head() {
    let model = model("llama-legacy");
    assert_eq!((model.spec.n_kv_heads, model.spec.norm.eps), (4, 1e-3));
    let scaling = RopeScaling::Linear { factor: 2.5 };
    assert_eq!(model.spec.ropes, [rope(5000.0, scaling)]);
    assert_eq!(model.spec.head, Head::CausalLm(Logits::plain(true)));
    assert_eq!(model.report.files.len(), 2);
    assert!(model.weights.tied() && model.weights.has(WeightId::global(Role::W_U)));
    assert_eq!(model.weights.file_of(WeightId::global(Role::W_U)).unwrap().name, "model.embed_tokens.weight");
}

#[test]
fn llama_with_biases() {
    let copy = Copy::of("llama").set("attention_bias", json!(true)).set("mlp_bias", json!(true)).weights(|all| {
        for i in 0..2 {
            let block = format!("model.layers.{i}");
            for (name, size) in [("q", 32), ("k", 16), ("v", 16), ("o", 32)] {
                all.push(Raw::f32(&format!("{block}.self_attn.{name}_proj.bias"), &[size], 0.5));
            }
            for (name, size) in [("gate", 64), ("up", 64), ("down", 32)] {
                all.push(Raw::f32(&format!("{block}.mlp.{name}_proj.bias"), &[size], 0.5));
            }
            all.push(Raw::f32(&format!("{block}.self_attn.rotary_emb.inv_freq"), &[4], 1.0));
        }
    });
    let model = copy.load().unwrap();
    assert!(model.spec.attention.qkv_bias && model.spec.attention.out_bias && model.spec.mlp.bias);
    for role in [Role::b_Q, Role::b_K, Role::b_V, Role::b_O, Role::b_in, Role::b_gate, Role::b_out] {
        assert!(model.weights.has(WeightId::block(1, role)), "{role:?}");
    }
    assert_eq!(model.report.ignored.len(), 2);
}

#[test]
fn bert_heads() {
    let classifier = model("bert-seqcls");
    assert_eq!(classifier.spec.labels(), ["negative", "neutral", "positive"]);
    assert_eq!((classifier.spec.placement, classifier.spec.embed.token_types), (Placement::Post, 2));
    assert!(!classifier.spec.attention.causal && classifier.spec.embed.norm);
    assert!(classifier.takes_pairs());

    let masked = model("bert-mlm");
    let Head::MaskedLm { transform, logits } = &masked.spec.head else { panic!("a masked LM") };
    assert_eq!((transform.unwrap().act, masked.spec.norm.eps, logits.bias), (Act::Gelu, 1e-3, true));
    assert_eq!(masked.special.mask, Some(4));
    assert_eq!(
        masked.report.ignored,
        [("bert.embeddings.position_ids".into(), "stored position numbers, not weights".into())]
    );
    let gain = masked.weights.file_of(WeightId::global(Role::EmbedLnW)).unwrap();
    assert_eq!(gain.name, "bert.embeddings.LayerNorm.gamma");

    let sentence = model("bert-sentence");
    let mean = Sentence { poolings: vec![Pooling::Mean], dense: vec![], normalize: false, skip: 0 };
    assert_eq!(sentence.spec.head, Head::Bare { sentence: Some(mean) });
    assert_eq!(sentence.report.ignored.len(), 2);
    assert!(sentence.report.ignored.iter().all(|(name, _)| name.starts_with("pooler.dense.")));
    assert_eq!(sentence.spec.norm.eps, 1e-12);
}

#[test]
fn bert_as_it_was_pretrained_has_two_more_heads_and_duplicates() {
    let copy = Copy::of("bert-mlm").set("architectures", json!(["BertForPreTraining"])).weights(|all| {
        let mut decoder = all.iter().find(|t| t.name.ends_with("word_embeddings.weight")).unwrap().clone();
        decoder.name = "cls.predictions.decoder.weight".into();
        all.push(decoder);
        all.push(Raw::f32("cls.predictions.decoder.bias", &[440], 0.0));
        all.push(Raw::f32("cls.seq_relationship.weight", &[2, 32], 0.0));
        all.push(Raw::f32("cls.seq_relationship.bias", &[2], 0.0));
        all.push(Raw::f32("bert.pooler.dense.weight", &[32, 32], 0.0));
        all.push(Raw::f32("bert.pooler.dense.bias", &[32], 0.0));
    });
    let model = copy.load().unwrap();
    assert!(model.weights.tied());
    assert_eq!(model.report.ignored.len(), 7);
}

#[test]
fn an_untied_masked_lm_has_an_unembedding_of_its_own() {
    let copy = Copy::of("bert-mlm").set("tie_word_embeddings", json!(false)).weights(|all| {
        all.push(Raw::f32("cls.predictions.decoder.weight", &[440, 32], 2.0));
        all.retain(|t| t.name != "cls.predictions.bias");
        all.push(Raw::f32("cls.predictions.decoder.bias", &[440], 3.0));
    });
    let model = copy.load().unwrap();
    assert!(!model.weights.tied());
    let first = |role| model.weights.value(WeightId::global(role)).unwrap().read_f32().unwrap()[0];
    assert_eq!((first(Role::W_U), first(Role::b_U)), (2.0, 3.0));
}

#[test]
fn a_bare_bert_does_not_need_the_masked_lm_head_it_comes_with() {
    let model = Copy::of("bert-mlm").set("architectures", json!(["BertModel"])).load().unwrap();
    assert_eq!(model.spec.head, Head::Bare { sentence: None });
    assert_eq!(model.report.ignored.len(), 6);
}

#[test]
fn a_configuration_without_architectures_is_read_off_the_tensors() {
    for (name, head) in [("bert-mlm", "masked LM"), ("bert-seqcls", "3 classes"), ("gpt2", "causal LM")] {
        let copy = Copy::of(name).config(|config| {
            config.remove("architectures");
        });
        assert!(copy.load().unwrap().summary().contains(head), "{name}");
    }
}

#[test]
fn prefixes_are_found_by_probing() {
    for (name, from, to) in [
        ("gpt2", "transformer.", ""),
        ("gpt2-f16", "", "transformer."),
        ("gpt2", "", "_orig_mod."),
        ("llama", "", "base."),
        ("bert-seqcls", "", "module."),
    ] {
        let copy = Copy::of(name).weights(|all| {
            for tensor in all {
                let rest = tensor.name.strip_prefix(from).unwrap();
                tensor.name = format!("{to}{rest}");
            }
        });
        let (original, renamed) = (model(name), copy.load().unwrap());
        assert_eq!(original.spec, renamed.spec, "{name}");
        assert_eq!(original.weights.ids(), renamed.weights.ids(), "{name}");
    }
}

#[test]
fn a_bare_decoder_has_no_unembedding() {
    let model = Copy::of("llama").set("architectures", json!(["LlamaModel"])).load().unwrap();
    assert_eq!(model.spec.head, Head::Bare { sentence: None });
    assert!(!model.weights.has(WeightId::global(Role::W_U)));
    assert_eq!(model.report.ignored[0].0, "lm_head.weight");
    let gpt2 = Copy::of("gpt2").set("architectures", json!(["GPT2Model"])).load().unwrap();
    assert_eq!(gpt2.spec.head, Head::Bare { sentence: None });
}

#[test]
fn a_duplicate_head_is_ignored_and_another_one_is_used() {
    let with_head = |tie: bool, fill: Option<f32>| {
        Copy::of("gpt2").set("tie_word_embeddings", json!(tie)).weights(|all| {
            let mut head = all.iter().find(|t| t.name.ends_with("wte.weight")).unwrap().clone();
            head.name = "lm_head.weight".into();
            all.push(fill.map_or(head, |fill| Raw::f32("lm_head.weight", &[384, 32], fill)));
        })
    };
    let same = with_head(true, None).load().unwrap();
    assert_eq!(same.spec.head, Head::CausalLm(Logits::plain(true)));
    assert_eq!(
        same.report.ignored,
        [("lm_head.weight".into(), "a duplicate of the token embedding, which is the head".into())]
    );
    let other = with_head(true, Some(7.0)).load().unwrap();
    assert_eq!(other.spec.head, Head::CausalLm(Logits::plain(false)));
    assert!(other.report.replaced[0].contains("differs from the token embedding"));
    let untied = with_head(false, None).load().unwrap();
    assert_eq!(untied.spec.head, Head::CausalLm(Logits::plain(false)));
    assert!(!untied.weights.tied());
}

#[test]
fn a_single_file_is_loaded_with_what_is_beside_it() {
    let copy = Copy::of("gpt2");
    fs::rename(copy.file("model.safetensors"), copy.file("step-100.safetensors")).unwrap();
    assert_eq!(
        copy.error(),
        "no model.safetensors, pytorch_model.bin or index of one of them in DIR; it has step-100.safetensors: name \
         that file to load it alone"
    );
    let model = open(&copy.file("step-100.safetensors")).unwrap();
    assert!(model.tokenizer.is_some());
    assert_eq!(model.spec, super::model("gpt2").spec);
}

#[test]
fn files_in_memory_are_a_checkpoint_too() {
    let leak = |name: &str| &*fs::read(fixture("bert-seqcls").join(name)).unwrap().leak();
    let files = ["config.json", "model.safetensors", "tokenizer.json"].map(|name| (name, leak(name)));
    let source = ModelSource::Memory { name: "tiny", files: Vec::from(files).leak() };
    let model = load(&source, &Device::cpu()).unwrap();
    assert_eq!(model.spec, super::model("bert-seqcls").spec);
    assert_eq!(model.origin.to_string(), "tiny");
    // No file names it: it is what BERT's class in transformers calls it.
    assert_eq!(model.special.cls, Some(2));
}

#[test]
fn a_model_without_a_tokenizer_loads_and_says_so() {
    let copy = Copy::of("gpt2");
    fs::remove_file(copy.file("tokenizer.json")).unwrap();
    let model = copy.load().unwrap();
    assert!(model.tokenizer.is_none());
    assert!(model.report.notes[0].ends_with("prompts must be token ids (--tokens)"));
}

#[test]
fn progress_counts_bytes_and_can_cancel() {
    let source = ModelSource::Path(fixture("llama-legacy"));
    let (seen, flag) = (Rc::new(RefCell::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let (inside, setting) = (seen.clone(), flag.clone());
    let report: Report = Rc::new(move |what, done, total| {
        inside.borrow_mut().push((what.to_owned(), done, total));
        setting.store(done > 0, Ordering::SeqCst);
    });
    // Rounded, all weights are read at once.
    let half = || load_in(&source, &Device::cpu(), Precision::F16);
    reporting(report.clone(), half).unwrap();
    let all = seen.take();
    assert_eq!(all.len(), 21);
    assert_eq!(all[0], ("loading model.embed_tokens.weight".into(), 0, all[0].2));
    let (what, done, total) = all.last().unwrap();
    assert!(what == "loading" && done == total);
    flag.store(false, Ordering::SeqCst);
    let cancelled = reporting(report, || interruptible(&flag, half));
    assert_eq!(cancelled.err().unwrap().to_string(), "loading was cancelled after 1 of 20 tensors");
}

#[test]
fn sources_are_what_they_look_like() {
    let parse = |text: &str| ModelSource::parse(text);
    for name in ["gpt2", "org/name@v1", "org/name:q4.gguf", "org/name@v1:model.safetensors"] {
        assert_eq!(parse(name), ModelSource::Hub(HubName::parse(name).unwrap()));
    }
    assert_eq!(parse("src"), ModelSource::Path("src".into()));
    assert_eq!(parse("./nowhere"), ModelSource::Path("./nowhere".into()));
    for file in ["model.safetensors", "dir/model.gguf", "pytorch_model.bin"] {
        assert_eq!(parse(file), ModelSource::Path(file.into()));
    }
    assert_eq!(parse("org/name@v1").to_string(), "org/name@v1");
}

#[test]
fn forty_families_and_more_are_known() {
    assert!(FAMILIES.len() >= 40);
}
