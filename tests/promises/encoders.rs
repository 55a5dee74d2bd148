//! Promise: encoders are computed as transformers computes them, with what their checkpoints carry beside a configuration; what
//! is not computed is refused by name.
//!
//! Numbers are those of transformers 5.24 on the same files.

use llmdbg::model::Input;
use serde_json::json;

use crate::altered::{Copy, Tensor, open, ran};
use crate::common::batch;
use crate::parity::fixture;

/// Llama's rotation is computed from the configuration; ESM's is stored, and may have been rounded.
#[test]
fn the_frequencies_that_esm_stores_are_those_of_its_rotation() {
    let with = |factor: f32| {
        Copy::of("esm").tensors(|all| {
            let stored = all.iter_mut().find(|tensor| tensor.name.ends_with("inv_freq")).unwrap();
            let numbers: Vec<f32> = stored.numbers().iter().map(|x| x * factor).collect();
            *stored = Tensor::f32(&stored.name.clone(), &stored.shape.clone(), &numbers);
        })
    };
    let rotated = |copy: &Copy| ran(copy.load().unwrap()).numbers("L0.attn.rot_q");
    let (same, other) = (rotated(&with(1.0)), rotated(&with(1.5)));
    assert_ne!(same, other);
    // Without them, they are computed, and are the same.
    let without = Copy::of("esm").tensors(|all| all.retain(|tensor| !tensor.name.ends_with("inv_freq")));
    assert_eq!(rotated(&without), same);
    let told = ran(with(1.5).load().unwrap()).text("info model");
    assert!(told.contains("stored RoPE frequencies, which are those of the rotation"), "{told}");
    // What is saved of the model has them too.
    let folder = tempfile::tempdir().unwrap();
    let twin = folder.path().join("twin");
    ran(with(1.5).load().unwrap()).run(&format!("export model {}", twin.display()));
    assert_eq!(ran(open(&twin).unwrap()).numbers("L0.attn.rot_q"), other);
}

#[test]
fn other_heads_of_a_t5_are_refused_and_its_encoder_opens_where_that_is_said() {
    let whole = |architecture: &str| {
        let copy = Copy::of("t5-encoder").set("architectures", json!([architecture])).tensors(|all| {
            all.push(Tensor::f32("decoder.final_layer_norm.weight", &[32], &[1.0; 32]));
            all.push(Tensor::f32("lm_head.weight", &[400, 32], &[0.1; 400 * 32]));
        });
        std::fs::remove_file(copy.file("modules.json")).unwrap();
        copy
    };
    for name in ["T5Model", "T5ForSequenceClassification"] {
        let message = whole(name).refused();
        assert!(
            message.contains("known are T5ForConditionalGeneration, and of the encoder alone T5EncoderModel"),
            "{message}"
        );
    }
    let mut encoder = ran(whole("T5EncoderModel").load().unwrap());
    let told = encoder.text("info model");
    assert!(told.contains("of the decoder, which is not computed: this is the encoder alone"), "{told}");
    assert!(told.contains("the head of the decoder, which is not computed"), "{told}");
}

#[test]
fn what_is_not_computed_of_deberta_is_refused_by_name() {
    for (key, value, why) in [
        ("conv_kernel_size", json!(3), "the convolution after the first layer is not computed"),
        ("embedding_size", json!(16), "only 32 is"),
        ("attention_head_size", json!(16), "only 8 is"),
        ("position_buckets", json!(1), "2 buckets at least"),
        ("max_relative_positions", json!(3), "larger ones need more"),
        ("is_decoder", json!(true), "computed as an encoder only"),
    ] {
        let message = Copy::of("deberta-v3").set(key, value).refused();
        assert!(message.contains(key) && message.contains(why), "{message}");
    }
}

#[test]
fn mpnet_has_32_buckets_whatever_its_configuration_says() {
    let rows = |count: usize| {
        Copy::of("mpnet").set("relative_attention_num_buckets", count).tensors(|all| {
            let table = all.iter_mut().find(|tensor| tensor.name.ends_with("relative_attention_bias.weight")).unwrap();
            let mut numbers = table.numbers();
            numbers.resize(count * 4, 7.0);
            *table = Tensor::f32(&table.name.clone(), &[count, 4], &numbers);
        })
    };
    let logits = |copy: &Copy| ran(copy.load().unwrap()).bits("logits");
    assert_eq!(logits(&rows(32)), logits(&rows(48)));
    let message = rows(16).refused();
    assert!(message.contains("relative_attention_num_buckets") && message.contains("32 buckets"), "{message}");
}

#[test]
fn dense_layers_after_a_pooling_are_checked() {
    let config = |name: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let copy = Copy::of("t5-encoder");
        let file = copy.file(name);
        let mut value: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        change(&mut value);
        std::fs::write(&file, value.to_string()).unwrap();
        copy
    };
    let message = config("3_Dense/config.json", &|config| config["in_features"] = json!(20)).refused();
    assert!(message.contains("3_Dense/config.json: \"in_features\" is 20, and what it reads is 24 wide"), "{message}");
    let copy = Copy::of("t5-encoder");
    std::fs::remove_file(copy.file("2_Dense/model.safetensors")).unwrap();
    let message = copy.refused();
    assert!(message.contains("modules.json asks for a Dense step there: get its weights too"), "{message}");
    // What is not computed is named, and there is no embedding then.
    for (key, value, why) in [
        ("activation_function", json!("torch.nn.modules.activation.Softsign"), "the activation \"torch.nn"),
        ("use_residual", json!(true), "a Dense step that adds what it reads"),
        ("module_input_name", json!("token_embeddings"), "a Dense step of token_embeddings"),
    ] {
        let copy = config("2_Dense/config.json", &|config| config[key] = value.clone());
        let mut bench = ran(copy.load().unwrap());
        let told = bench.text("info model");
        assert!(
            told.contains(why) && told.contains("this is not computed, so there is no sentence embedding"),
            "{told}"
        );
        bench.fail("print sentence");
    }
    // Their weights have names, of which those of the file are shown.
    let told =
        batch(&fixture("t5-encoder").display().to_string(), &["--tokens", "5,6", "-ex", "info weights dense.*.W"]).out;
    assert!(told.contains("dense.1.W") && told.contains("linear.weight"), "{told}");
}

/// Encoders without token types take pairs too, with what their tokenizer puts between the two texts.
#[test]
fn a_pair_of_texts_is_one_input_of_every_encoder() {
    let model = open(&fixture("roberta-seqcls")).unwrap();
    let input = Input::from_pairs(&model, &[("The dog", "the king")]).unwrap();
    let ids = &input.rows[0].ids;
    let ends = ids.iter().filter(|id| **id == 2).count();
    assert_eq!((ids[0], ends, ids.last()), (0, 3, Some(&2)), "{ids:?}");
    assert!(input.rows[0].type_ids.iter().all(|of| *of == 0));
}

/// What CrossEncoder of sentence-transformers gives: its activation function of the logits, by either name of the key.
#[test]
fn a_reranker_has_the_scores_that_its_configuration_names() {
    const SIGMOID: &str = "torch.nn.modules.activation.Sigmoid";
    let given = [
        ("sentence_transformers", json!({"activation_fn": SIGMOID, "version": "6.2.0"})),
        ("sbert_ce_default_activation_function", json!(SIGMOID)),
    ];
    for (key, value) in given {
        let mut bench = ran(Copy::of("roberta-seqcls").set(key, value).load().unwrap());
        let (logits, scores) = (bench.numbers("logits"), bench.numbers("scores"));
        let expected = logits.iter().map(|x| 1.0 / (1.0 + (-x).exp()));
        assert!(scores.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{logits:?} {scores:?}");
    }
    let message = Copy::of("roberta-seqcls").set("sbert_ce_default_activation_function", "torch.nn.Softmax").refused();
    assert!(message.contains("known are Identity, Tanh"), "{message}");
    ran(Copy::of("roberta-seqcls").load().unwrap()).fail("print scores");
}

/// Amino acids are tokens wherever they stand, as in EsmTokenizer of transformers; other letters are unknown.
#[test]
fn texts_of_esm_are_amino_acids() {
    let copy = Copy::of("esm");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::remove_file(copy.file(name)).unwrap();
    }
    let words = "<cls> <pad> <eos> <unk> L A G V S E R T I D P K Q N F Y M H W C X B U Z O . - <null_1> <mask>";
    std::fs::write(copy.file("vocab.txt"), words.replace(' ', "\n")).unwrap();
    std::fs::write(copy.file("tokenizer_config.json"), r#"{"tokenizer_class": "EsmTokenizer"}"#).unwrap();
    let model = copy.load().unwrap();
    let ids = |text: &str| Input::from_texts(&model, &[text], true).unwrap().rows[0].ids.clone();
    assert_eq!(ids("MKT<mask>VL xx"), [0, 20, 15, 11, 32, 7, 4, 3, 2]);
    assert_eq!(ids("M K T"), [0, 20, 15, 11, 2]);
    let pair = Input::from_pairs(&model, &[("MK", "LA")]).unwrap();
    assert_eq!(pair.rows[0].ids, [0, 20, 15, 2, 4, 5, 2]);
}
