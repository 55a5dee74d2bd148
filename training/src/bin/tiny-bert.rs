//! Trains the bundled tiny BERT from nothing: text, tokenizer, weights, held-out evaluation.
//!
//! `cargo run --release -p llmdbg-training --bin tiny-bert -- [OUT_DIR] [STEPS]`. One fixed seed decides everything.

use burn::tensor::{Device, Int, Tensor, TensorData, activation::log_softmax};
use llmdbg_training::params::Params;
use llmdbg_training::reviews::Review;
use llmdbg_training::rng::Rng;
use llmdbg_training::{adamw, bert, halves, reviews, save, verdicts, wordpiece};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tokenizers::Tokenizer;

const SEED: u64 = 20_261_125;
const STEPS: usize = 800;
const ROWS: usize = 48;
const WARMUP: usize = 80;
const PEAK: f32 = 1e-3;
const WEIGHT_DECAY: f32 = 0.02;

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().unwrap_or_else(|| "models/tiny-bert".into()));
    let steps = args.next().map_or(STEPS, |s| s.parse().expect("STEPS is a number"));
    std::fs::create_dir_all(&dir).expect("output directory can be made");

    let tokenizer = wordpiece::build(SEED);
    let vocab = tokenizer.get_vocab_size(true);
    describe(&tokenizer, &dir);
    save::json_lines(&verdicts::records(120, SEED + 1), &dir, "heldout.json");

    let device = Device::flex();
    let mut rng = Rng::new(SEED + 2);
    let mut params = bert::init(vocab, &mut rng, &device);
    println!("{vocab} tokens, {} parameters, {steps} steps", params.count());
    let mut optimiser = adamw::AdamW::new(&params, WEIGHT_DECAY);
    let start = Instant::now();
    for step in 0..steps {
        let mut part = || (0..ROWS / 2).map(|_| reviews::train(&mut rng)).collect::<Vec<_>>();
        let parts = [part(), part()];
        let (loss, grads) = halves::gradients(&params, &parts, |p, part| loss(p, &tokenizer, part, &device));
        optimiser.update(&mut params, grads, adamw::schedule(step, steps, WARMUP, PEAK));
        if step % 50 == 0 {
            println!("step {step:5}  loss {loss:.4}  {:.0} s", start.elapsed().as_secs_f32());
        }
        if step % 200 == 199 {
            verdicts::report(&params, &tokenizer, 200, SEED + 1, &device);
            save::weights(&params, &dir);
        }
    }
    save::weights(&params, &dir);
    println!("trained in {:.1} minutes", start.elapsed().as_secs_f32() / 60.0);
    verdicts::report(&params, &tokenizer, 600, SEED + 1, &device);
    let texts = ["I love this movie.", "I hate this movie.", "I hate this movie. We ate popcorn."].map(String::from);
    for (text, p) in texts.iter().zip(verdicts::positive(&params, &tokenizer, &texts, &device)) {
        println!("  {text:?} P(positive) {p:.4}");
    }
}

/// Cross-entropy of one half batch as a share of the whole batch.
fn loss(params: &Params, tokenizer: &Tokenizer, part: &[Review], device: &Device) -> Tensor<1> {
    let logits = bert::forward(params, &verdicts::batch(tokenizer, part.iter().map(|r| r.text.as_str())), device); // B 2
    let labels: Vec<i32> = part.iter().map(|r| i32::from(r.label)).collect();
    let labels = Tensor::<2, Int>::from_data(TensorData::new(labels, [part.len(), 1]), device); // B 1
    log_softmax(logits, 1).gather(1, labels).sum() / -(ROWS as f32)
}

/// tokenizer.json and the configuration files, in the usual Hugging Face layout.
fn describe(tokenizer: &Tokenizer, dir: &Path) {
    tokenizer.save(dir.join("tokenizer.json"), true).expect("tokenizer can be written");
    let config = json!({
        "architectures": ["BertForSequenceClassification"], "model_type": "bert",
        "vocab_size": tokenizer.get_vocab_size(true), "hidden_size": bert::WIDTH, "num_hidden_layers": bert::LAYERS,
        "num_attention_heads": bert::HEADS, "intermediate_size": bert::HIDDEN, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "max_position_embeddings": bert::POSITIONS,
        "type_vocab_size": 2, "initializer_range": 0.02, "layer_norm_eps": 1e-12, "pad_token_id": 0,
        "position_embedding_type": "absolute", "id2label": {"0": "NEGATIVE", "1": "POSITIVE"},
        "label2id": {"NEGATIVE": 0, "POSITIVE": 1}, "torch_dtype": "float32"
    });
    save::json(&config, dir, "config.json");
    let [pad, unk, cls, sep, mask] = wordpiece::SPECIAL;
    let tokenizer_config = json!({
        "tokenizer_class": "BertTokenizerFast", "do_lower_case": true, "model_max_length": bert::POSITIONS,
        "pad_token": pad, "unk_token": unk, "cls_token": cls, "sep_token": sep, "mask_token": mask
    });
    save::json(&tokenizer_config, dir, "tokenizer_config.json");
}
