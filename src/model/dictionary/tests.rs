//! What files of dictionaries say and do not say. What the tools compute is compared in tests/promises/dictionaries.rs.

use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use super::{Choice, Found, Scaling, read};

/// Writes a safetensors file of numbers that count up.
fn write(path: &Path, tensors: &[(&str, &[usize])]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, shape)| {
            let count = shape.iter().product::<usize>();
            (0..count).flat_map(|i| (i as f32 * 0.5 + 0.25).to_le_bytes()).collect()
        })
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape), bytes)| {
        ((*name).to_owned(), TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap())
    });
    fs::write(path, safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap()).unwrap();
}

const PLAIN: [(&str, &[usize]); 4] = [("W_enc", &[3, 5]), ("W_dec", &[5, 3]), ("b_enc", &[5]), ("b_dec", &[3])];

/// What is read of SAELens' files with these settings and more tensors.
fn saelens(settings: &str, more: &[(&'static str, &'static [usize])]) -> Result<Found, String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("cfg.json"), settings).unwrap();
    write(&folder.path().join("sae_weights.safetensors"), &[&PLAIN[..], more].concat());
    read(folder.path()).map(|mut all| all.remove(0)).map_err(|error| error.to_string())
}

#[test]
fn settings_of_saelens_are_followed_or_refused_by_name() {
    let found = saelens("{}", &[]).unwrap();
    assert_eq!((found.coding.choice, found.coding.subtracts, found.reads), (Choice::Relu, true, None));
    assert_eq!((found.width, found.features, found.out), (3, 5, 3));
    let old = r#"{"hook_point": "blocks.1.hook_resid_pre", "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 2},
        "normalize_activations": true, "apply_b_dec_to_input": false, "model_name": "gpt2"}"#;
    let found = saelens(old, &[]).unwrap();
    assert_eq!((found.coding.choice, found.coding.subtracts), (Choice::TopK(2), false));
    assert_eq!((found.reads.as_deref(), found.model.as_deref()), (Some("blocks.1.hook_resid_pre"), Some("gpt2")));
    assert!(found.notes[0].contains("expected_average_only_in"), "{:?}", found.notes);
    let new = r#"{"architecture": "jumprelu", "normalize_activations": "layer_norm",
        "metadata": {"hook_name": "x", "model_from_pretrained_kwargs": {"center_writing_weights": true}}}"#;
    let found = saelens(new, &[("threshold", &[5])]).unwrap();
    assert_eq!((found.coding.choice, found.coding.scaling), (Choice::JumpRelu { relu: true }, Scaling::LayerNorm));
    assert!(found.coding.centred && found.reads.as_deref() == Some("x"));
    for (settings, more, what) in [
        (r#"{"architecture": "temporal"}"#, &[][..], "architecture in "),
        (r#"{"architecture": "topk"}"#, &[], "has no k"),
        (r#"{"architecture": "topk", "k": 0}"#, &[], "no feature would ever be active"),
        (r#"{"architecture": "topk", "k": "many"}"#, &[], "not a count"),
        (r#"{"normalize_activations": "covariance_whitening"}"#, &[], "normalize_activations in "),
        (r#"{"hook_point_head_index": 3}"#, &[], "single heads"),
        (r#"{"activation_fn_str": "tanh-relu"}"#, &[], "activation_fn_str in "),
        (r#"{"architecture": "jumprelu"}"#, &[], "no tensor threshold"),
        ("{}", &[("threshold", &[5][..])], "threshold in "),
        ("{}", &[("scaling_factor", &[5][..])], "not all ones"),
        ("[]", &[], "not an object"),
        ("{", &[], "cannot read"),
    ] {
        let said = saelens(settings, more).expect_err(settings);
        assert!(said.contains(what), "{settings}: {said}");
    }
}

#[test]
fn files_that_lack_what_is_needed_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let said = |path: &Path| read(path).expect_err("refused").to_string();
    write(
        &at("square/layer_0.safetensors"),
        &[("W_enc", &[3, 3]), ("W_dec", &[3, 3]), ("b_enc", &[3]), ("b_dec", &[3])],
    );
    assert!(said(&at("square")).contains("square matrix"));
    write(&at("rows/layer_0.safetensors"), &PLAIN);
    assert!(said(&at("rows")).contains("a row for each feature"));
    write(&at("clt/W_enc_0.safetensors"), &[("W_enc_0", &[5, 3])]);
    assert!(said(&at("clt")).contains("cross-layer"));
    fs::create_dir_all(at("llama/checkpoints")).unwrap();
    write(
        &at("llama/checkpoints/final.safetensors"),
        &[("encoder.weight", &[5, 3]), ("encoder.bias", &[5]), ("decoder.weight", &[3, 5]), ("decoder.bias", &[3])],
    );
    fs::write(at("llama/hyperparams.json"), r#"{"d_model": 3, "jump_relu_threshold": 1.0}"#).unwrap();
    assert!(said(&at("llama")).contains("dataset_average_activation_norm"));
    for (settings, what) in [
        (r#""act_fn": "topk""#, "jumprelu is read"),
        (r#""norm_activation": "token-wise""#, "dataset-wise is read"),
        (r#""use_glu_encoder": true"#, "use_glu_encoder"),
        (r#""sparsity_include_decoder_norm": true"#, "not of length 1"),
    ] {
        let known = r#""d_model": 3, "jump_relu_threshold": 1.0, "dataset_average_activation_norm": {"in": 2.0}"#;
        fs::write(at("llama/hyperparams.json"), format!("{{{known}, {settings}}}")).unwrap();
        assert!(said(&at("llama")).contains(what), "{settings}: {}", said(&at("llama")));
    }
    fs::create_dir_all(at("empty")).unwrap();
    assert!(said(&at("empty")).contains("not a dictionary of features of a kind that is read"));
    assert!(said(&at("nothing")).contains("is not there"));
    write(&at("other.safetensors"), &[("weight", &[2, 2])]);
    assert!(said(&at("other.safetensors")).contains("not a dictionary of features"));
    write(
        &at("params.safetensors"),
        &[("w_enc", &[3, 5]), ("w_dec", &[5, 2, 3]), ("b_enc", &[5]), ("threshold", &[5])],
    );
    assert!(said(&at("params.safetensors")).contains("cross-layer"));
}

#[test]
fn a_yaml_file_gives_its_plain_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    let text =
        "model_name: \"google/gemma-2-2b\" # whose\nk: 32\nscan:\n  - a\nnested:\n  k: 7\nskip: true\nempty: null\n";
    fs::write(&file, text).unwrap();
    let config = super::config::Config::yaml(&file).unwrap();
    assert_eq!(config.text("model_name").unwrap().as_deref(), Some("google/gemma-2-2b"));
    assert_eq!((config.count("k").unwrap(), config.flag("skip").unwrap()), (Some(32), Some(true)));
    assert!(!config.has("empty") && !config.has("scan"));
    assert!(config.count("model_name").unwrap_err().to_string().contains("not a count"));
}
