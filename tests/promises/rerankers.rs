//! Promises: what sentence-transformers makes of a decoder that answers yes or no, and of a model of which every token keeps a
//! vector (ColBERT), is computed too.
//!
//! The values are those of sentence-transformers 6.2 (CrossEncoder with LogitScore, MultiVectorEncoder) over transformers 5.24.

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::common::{batch, json};
use crate::sentences::{copy, place, write};

/// At the last of these tokens, the logit of token 17 and that less the one of token 33.
const YES: f64 = -1.323568;
const YES_LESS_NO: f64 = -1.225114;

/// Values are printed with six digits behind the point; the sums of both are in 32 bits, in other orders.
const TOLERANCE: f64 = 1e-5;

const TEXT: &str = "The dog sat on the mat";

fn numbers(model: &str, input: &[&str], expr: &str) -> Vec<f64> {
    let (objects, ran) = json(model, &[input, &["-ex", "run", "-ex", expr]].concat());
    let data = objects.last().and_then(|object| object["value"]["data"].as_array().cloned());
    let data = data.unwrap_or_else(|| panic!("{} {}", ran.out, ran.err));
    data.iter().map(|x| x.as_f64().unwrap()).collect()
}

fn near(found: &[f64], expected: &[f64]) {
    let same = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < TOLERANCE);
    assert!(same && found.len() == expected.len(), "{found:?}, expected {expected:?}");
}

fn step(number: usize, path: &str, kind: &str) -> Json {
    json!({"idx": number, "name": number.to_string(), "path": path, "type": format!("sentence_transformers.{kind}")})
}

/// A decoder whose score is the logit of token 17, less that of token 33.
fn with_answers(last: &Json) -> TempDir {
    let folder = copy("qwen3");
    let steps = json!([
        step(0, "", "base.modules.transformer.Transformer"),
        step(1, "1_LogitScore", "cross_encoder.modules.logit_score.LogitScore"),
    ]);
    write(&folder, "modules.json", &steps);
    write(&folder, "1_LogitScore/config.json", last);
    let own = json!({
        "transformer_task": "text-generation",
        "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
        "module_output_name": "causal_logits",
    });
    write(&folder, "sentence_bert_config.json", &own);
    let whole = json!({"model_type": "CrossEncoder", "activation_fn": "torch.nn.modules.activation.Sigmoid"});
    write(&folder, "config_sentence_transformers.json", &whole);
    folder
}

#[test]
fn a_decoder_that_answers_yes_or_no_has_scores() {
    let input = ["--tokens", "5,17,33,60,101,7,250,12"];
    let both = with_answers(&json!({"true_token_id": 17, "false_token_id": 33}));
    near(&numbers(&place(&both), &input, "output/r yes_no"), &[YES_LESS_NO]);
    near(&numbers(&place(&both), &input, "output/r scores"), &[1.0 / (1.0 + (-YES_LESS_NO).exp())]);
    // What the logits are changed to is what the score is of.
    let edited = ["--tokens", "5,17,33,60,101,7,250,12", "-ex", "run", "-ex", "set logits[-1, 17] = 3"];
    let no = numbers(&place(&both), &edited, "output/r logits[-1, 33:34]")[0];
    near(&numbers(&place(&both), &edited, "output/r yes_no"), &[3.0 - no]);
    // Padding behind a text is passed over.
    let padded = ["--tokens", "5,17,33,60,101,7,250,12", "--tokens", "5,17,33,60,101,7,250,12,9,9"];
    near(&numbers(&place(&both), &padded, "output/r yes_no"), &[YES_LESS_NO]);
    let one = with_answers(&json!({"true_token_id": 17, "false_token_id": null}));
    near(&numbers(&place(&one), &input, "output/r yes_no"), &[YES]);
    let beyond = with_answers(&json!({"true_token_id": 1700, "false_token_id": 33}));
    let refusal = batch(&place(&beyond), &["--tokens", "5"]).err;
    assert!(refusal.contains("a LogitScore step reads token 1700 of 384"), "{refusal}");
}

/// The matrix that vectors of tokens are projected with, 6 x 32.
fn projection() -> Vec<u8> {
    let entry = |i: usize, j: usize| ((7 * i + 3 * j) % 11) as f32 - 5.0;
    (0..6 * 32).flat_map(|at| (entry(at / 32, at % 32) / 8.0).to_le_bytes()).collect()
}

#[test]
fn every_token_of_a_late_interaction_model_has_a_vector_of_unit_length() {
    let bytes = projection();
    let view = || TensorView::new(Dtype::F32, vec![6, 32], &bytes).unwrap();
    let check = |folder: &TempDir| {
        let of = |at: &str| numbers(&place(folder), &["-p", TEXT], &format!("output/r vectors[{at}, 0:3]"));
        near(&of("0"), &[0.178534, -0.588561, -0.248402]);
        near(&of("2"), &[0.123907, -0.490029, -0.426808]);
        near(&of("-1"), &[0.195327, -0.483627, -0.37949]);
    };
    // As sentence-transformers saves it, and PyLate before it, which has no step for the length.
    let kept = copy("bert-sentence");
    std::fs::create_dir_all(kept.path().join("1_Dense")).unwrap();
    let file = kept.path().join("1_Dense/model.safetensors");
    safetensors::serialize_to_file([("linear.weight", view())], None, &file).unwrap();
    let dense = json!({
        "in_features": 32, "out_features": 6, "bias": false,
        "activation_function": "torch.nn.modules.linear.Identity",
        "module_input_name": "token_embeddings", "module_output_name": "token_embeddings",
    });
    write(&kept, "1_Dense/config.json", &dense);
    write(&kept, "3_Normalize/config.json", &json!({"module_input_name": "token_embeddings"}));
    let steps = json!([
        step(0, "", "base.modules.transformer.Transformer"),
        step(1, "1_Dense", "base.modules.dense.Dense"),
        step(2, "2_MultiVectorMask", "multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask"),
        step(3, "3_Normalize", "base.modules.normalize.Normalize"),
    ]);
    write(&kept, "modules.json", &steps);
    write(&kept, "config_sentence_transformers.json", &json!({"model_type": "MultiVectorEncoder"}));
    check(&kept);
    let told = batch(&place(&kept), &["-p", TEXT, "-ex", "info model"]).out;
    assert!(told.contains("every token of a text has a vector"), "{told}");
    let mut older = dense.clone();
    let of = older.as_object_mut().unwrap();
    of.remove("module_input_name");
    of.remove("module_output_name");
    write(&kept, "1_Dense/config.json", &older);
    write(
        &kept,
        "modules.json",
        &json!([steps[0], {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"}]),
    );
    write(&kept, "config_sentence_transformers.json", &json!({"model_type": "ColBERT"}));
    check(&kept);
    // As ColBERT itself has it: the projection among the weights of BERT.
    let own = copy("bert-sentence");
    std::fs::remove_file(own.path().join("modules.json")).unwrap();
    let path = own.path().join("model.safetensors");
    let stored = std::fs::read(&path).unwrap();
    let mut all = SafeTensors::deserialize(&stored).unwrap().tensors();
    all.push(("linear.weight".into(), view()));
    safetensors::serialize_to_file(all, None, &path).unwrap();
    let mut config: Json = serde_json::from_slice(&std::fs::read(own.path().join("config.json")).unwrap()).unwrap();
    config["architectures"] = json!(["HF_ColBERT"]);
    write(&own, "config.json", &config);
    check(&own);
}
