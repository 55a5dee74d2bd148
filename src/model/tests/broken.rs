//! Every way in which a checkpoint can be wrong, with the words that it is refused with.

use serde_json::json;

use super::*;

#[test]
fn nothing_there() {
    assert_eq!(
        open(Path::new("no/such/model")).err().unwrap().to_string(),
        "no model at \"no/such/model\": no such file or directory; give a directory with config.json and \
         model.safetensors, a .safetensors, .gguf or .bin file, or the name of a model in the Hugging Face cache"
    );
}

#[test]
fn no_configuration() {
    let copy = Copy::of("gpt2");
    fs::remove_file(copy.file("config.json")).unwrap();
    let message = "no config.json in DIR; it names the architecture: copy it from where the weights come from";
    assert_eq!(copy.error(), message);
    let alone = open(&copy.file("model.safetensors")).err().unwrap().to_string();
    assert_eq!(alone.replace(&copy.0.path().display().to_string(), "DIR"), message);
}

#[test]
fn a_configuration_that_is_no_json() {
    let copy = Copy::of("gpt2");
    fs::write(copy.file("config.json"), "{\n  \"n_embd\": 32,\n}").unwrap();
    assert_eq!(copy.error(), "DIR/config.json is not valid JSON: line 3, column 1: trailing comma; get the file again");
}

#[test]
fn architectures_and_settings_that_are_not_supported() {
    let recurrent = Copy::of("gpt2").set("model_type", json!("rwkv")).error();
    assert_eq!(
        recurrent,
        "DIR/config.json: model_type \"rwkv\" is not supported: it is a recurrent network; \
         \"llmdbg models\" lists what is"
    );
    assert_eq!(
        Copy::of("gpt2").set("architectures", json!(["GPT2DoubleHeadsModel"])).error(),
        "DIR/config.json: architecture \"GPT2DoubleHeadsModel\" is not supported; supported for gpt2: GPT2LMHeadModel, \
         GPT2ForSequenceClassification, GPT2ForTokenClassification, GPT2ForQuestionAnswering and GPT2Model"
    );
    assert_eq!(
        Copy::of("bert-mlm").set("position_embedding_type", json!("relative_key")).error(),
        "DIR/config.json: position_embedding_type = \"relative_key\" is not supported: only \"absolute\" is"
    );
    assert_eq!(
        Copy::of("bert-mlm").set("is_decoder", json!(true)).error(),
        "DIR/config.json: is_decoder = true is not supported: this family is computed as an encoder only"
    );
    assert_eq!(
        Copy::of("gpt2").set("activation_function", json!("mish")).error(),
        "DIR/config.json: activation_function = \"mish\" is not supported: known activations are gelu, gelu_new, \
         gelu_pytorch_tanh, gelu_fast, quick_gelu, silu, swish, relu, relu2, tanh, sigmoid and linear"
    );
}

#[test]
fn sizes_that_contradict_each_other() {
    assert_eq!(
        Copy::of("gpt2").set("n_head", json!(5)).error(),
        "DIR/config.json: a width of 32 cannot be split into 5 heads"
    );
    assert_eq!(
        Copy::of("llama").set("num_key_value_heads", json!(3)).error(),
        "DIR/config.json: 4 heads cannot share 3 key/value heads evenly"
    );
    assert_eq!(
        Copy::of("llama").set("head_dim", json!(7)).error(),
        "DIR/config.json: RoPE cannot rotate 7 of 7 features in pairs"
    );
    assert_eq!(
        Copy::of("llama").set("vocab_size", json!(null)).error(),
        "DIR/config.json has no \"vocab_size\"; add it from the model's original configuration"
    );
}

#[test]
fn no_weights() {
    let copy = Copy::of("gpt2");
    fs::remove_file(copy.file("model.safetensors")).unwrap();
    let nothing = "no model.safetensors, pytorch_model.bin or index of one of them in DIR";
    assert_eq!(copy.error(), format!("{nothing}; get the weights too"));
    fs::write(copy.file("step-100.pt"), "").unwrap();
    assert_eq!(copy.error(), format!("{nothing}; it has step-100.pt: name that file to load it alone"));
}

#[test]
fn truncated_weights() {
    let copy = Copy::of("gpt2");
    let path = copy.file("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    assert_eq!(
        copy.error(),
        "DIR/model.safetensors is truncated: tensor \"transformer.wte.weight\" takes bytes 110080..159232 of the data, \
         the file has 159132; get it again"
    );
    fs::write(&path, &bytes[..500]).unwrap();
    assert_eq!(
        copy.error(),
        "DIR/model.safetensors is truncated or not a safetensors file: its header should be 2592 bytes long, the file \
         has 500 bytes; get it again"
    );
    fs::write(&path, "").unwrap();
    assert!(copy.error().starts_with("DIR/model.safetensors is truncated: 0 bytes"));
}

#[test]
fn shards_that_do_not_fit_their_index() {
    const LAST: &str = "model-00002-of-00002.safetensors";
    let missing = Copy::of("llama-legacy");
    fs::remove_file(missing.file(LAST)).unwrap();
    assert_eq!(
        missing.error(),
        "DIR/model.safetensors.index.json names the shard \"model-00002-of-00002.safetensors\", which is not there; \
         get it again, all 2 shards are needed"
    );
    let altered = |change: fn(&mut Vec<Raw>)| {
        let copy = Copy::of("llama-legacy");
        let mut all = tensors(&copy.file(LAST));
        change(&mut all);
        write(&copy.file(LAST), &all);
        copy.error()
    };
    assert_eq!(
        altered(|all| all.retain(|t| t.name != "model.norm.weight")),
        "DIR/model.safetensors.index.json puts tensor \"model.norm.weight\" into \"model-00002-of-00002.safetensors\", \
         which does not have it; get the index and the shard again"
    );
    assert_eq!(
        altered(|all| all.push(Raw::f32("extra", &[1], 0.0))),
        "shard \"model-00002-of-00002.safetensors\" has tensor \"extra\", which DIR/model.safetensors.index.json does \
         not list for it; get the index and the shard again"
    );
}

#[test]
fn stray_files_beside_shards_are_not_read() {
    let copy = Copy::of("llama-legacy");
    fs::write(copy.file("model.safetensors"), "stray").unwrap();
    assert!(copy.load().is_ok());
}

#[test]
fn an_index_without_a_map() {
    let copy = Copy::of("llama-legacy");
    fs::write(copy.file("model.safetensors.index.json"), "{}").unwrap();
    assert_eq!(
        copy.error(),
        "DIR/model.safetensors.index.json has no \"weight_map\"; add it from the model's original configuration"
    );
}

#[test]
fn a_tensor_of_another_shape() {
    assert_eq!(
        Copy::of("gpt2").set("n_positions", json!(128)).error(),
        "tensor \"transformer.wpe.weight\" has shape [64, 32], DIR/config.json asks for [128, 32] (W_pos)"
    );
    assert_eq!(
        Copy::of("llama").set("num_key_value_heads", json!(4)).error(),
        "tensor \"model.layers.0.self_attn.k_proj.weight\" has shape [16, 32], DIR/config.json asks for [32, 32] \
         (blocks.0.attn.W_K)"
    );
    let transposed = Copy::of("gpt2").weights(|all| {
        let fused = all.iter_mut().find(|t| t.name.ends_with("h.0.attn.c_attn.weight")).unwrap();
        fused.shape = vec![96, 32];
    });
    assert_eq!(
        transposed.error(),
        "tensor \"transformer.h.0.attn.c_attn.weight\" has shape [96, 32], DIR/config.json asks for [32, 96] \
         (blocks.0.attn.W_Q, blocks.0.attn.W_K, blocks.0.attn.W_V); it is stored transposed"
    );
}

#[test]
fn missing_and_unknown_tensors() {
    let copy = Copy::of("gpt2").weights(|all| {
        all.retain(|t| t.name != "transformer.ln_f.bias");
        all.push(Raw::f32("transformer.h.0.attn.c_attn.lora_A", &[2], 0.0));
        all.push(Raw::f32("transformer.h.0.mlp.attn.bias", &[2], 0.0));
    });
    assert_eq!(
        copy.error(),
        "the tensors of DIR/model.safetensors do not fit the architecture GPT2LMHeadModel; 1 missing: \
         transformer.ln_f.bias; 2 unknown: transformer.h.0.attn.c_attn.lora_A, transformer.h.0.mlp.attn.bias"
    );
    let deeper = Copy::of("gpt2").set("n_layer", json!(3)).error();
    assert!(deeper.contains("; 12 missing: transformer.h.2.ln_1.weight, "), "{deeper}");
    assert!(deeper.ends_with(", and 2 more"), "{deeper}");
    let shallower = Copy::of("gpt2").set("n_layer", json!(1)).error();
    assert!(shallower.contains("GPT2LMHeadModel; 12 unknown: transformer.h.1."), "{shallower}");
}

#[test]
fn a_dtype_that_cannot_be_computed_with() {
    let copy = Copy::of("gpt2").weights(|all| {
        let gain = all.iter_mut().find(|t| t.name == "transformer.ln_f.weight").unwrap();
        (gain.dtype, gain.data) = (Dtype::I8, vec![1; 32]);
    });
    assert_eq!(
        copy.error(),
        "tensor \"transformer.ln_f.weight\" of DIR/model.safetensors is i8; only f32, f16, bf16, f64, q8_0, q4_0, \
         q4_1, q5_0, q5_1, q2_k, q3_k, q4_k, q5_k, q6_k, q8_k, iq4_nl, iq4_xs, iq3_xxs, iq3_s, iq2_xxs, iq2_xs, iq2_s, \
         iq1_s, iq1_m, tq1_0, tq2_0, mxfp4, f8_e4m3 and f8_e5m2 can be loaded: convert the checkpoint"
    );
}

#[test]
fn a_broken_tokenizer() {
    let copy = Copy::of("gpt2");
    fs::write(copy.file("tokenizer.json"), "{}").unwrap();
    let message = copy.error();
    assert!(message.starts_with("DIR/tokenizer.json is not a usable tokenizer: "), "{message}");
    assert!(message.ends_with("; get it again, or move it away and give token ids with --tokens"), "{message}");
}

#[test]
fn a_file_that_is_no_weights_file() {
    let copy = Copy::of("gpt2");
    let refused = |name: &str| {
        fs::write(copy.file(name), "").unwrap();
        let message = open(&copy.file(name)).err().unwrap().to_string();
        message.replace(&copy.0.path().display().to_string(), "DIR")
    };
    assert_eq!(
        refused("x.gguf"),
        "DIR/x.gguf is not a usable GGUF file: it has 0 bytes, a GGUF file starts with the letters GGUF; get it again, \
         or convert it again"
    );
    assert_eq!(
        refused("pytorch_model.bin"),
        "DIR/pytorch_model.bin is not a usable PyTorch checkpoint: invalid PyTorch file format: not a PyTorch \
         checkpoint: no ZIP, TAR, legacy or pickle header found; get it again, or the safetensors of the model"
    );
    assert_eq!(
        refused("notes.txt"),
        "DIR/notes.txt is not a weights file: name the directory that holds the model, or its .safetensors, .gguf, \
         .bin, .pt or .pth file"
    );
}
