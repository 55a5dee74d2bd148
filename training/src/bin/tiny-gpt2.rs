//! Trains the bundled tiny GPT-2 from nothing: text, tokenizer, weights, held-out evaluation.
//!
//! `cargo run --release -p llmdbg-training --bin tiny-gpt2 -- [OUT_DIR] [STEPS]`. One fixed seed decides everything.

use burn::tensor::{Device, Int, Tensor, TensorData, activation::log_softmax};
use llmdbg_training::batches::{Batcher, Lesson};
use llmdbg_training::params::Params;
use llmdbg_training::rng::Rng;
use llmdbg_training::{adamw, batches, bpe, exam, gpt2, halves, save, words};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tokenizers::Tokenizer;

const SEED: u64 = 20_261_124;
const STEPS: usize = 2400;
const ROWS: usize = 32;
const WARMUP: usize = 100;
const PEAK: f32 = 2.5e-3;
const WEIGHT_DECAY: f32 = 0.05;

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().unwrap_or_else(|| "models/tiny-gpt2".into()));
    let steps = args.next().map_or(STEPS, |s| s.parse().expect("STEPS is a number"));
    std::fs::create_dir_all(&dir).expect("output directory can be made");

    let tokenizer = bpe::train(SEED);
    let vocab = tokenizer.get_vocab_size(true);
    check_words(&tokenizer);
    describe(&tokenizer, &dir);
    save::json_lines(&exam::records(SEED + 1, 60), &dir, "heldout.json");

    let device = Device::flex();
    let mut rng = Rng::new(SEED + 2);
    let mut params = gpt2::init(vocab, &mut rng, &device);
    println!("{vocab} tokens, {} parameters, {steps} steps", params.count());
    let mut optimiser = adamw::AdamW::new(&params, WEIGHT_DECAY);
    let mut batcher = Batcher::new(&tokenizer);
    let start = Instant::now();
    for step in 0..steps {
        let parts = [batcher.lesson(ROWS / 2, &mut rng), batcher.lesson(ROWS / 2, &mut rng)];
        let total: f32 = parts.iter().flat_map(|l| &l.weights).sum();
        let (loss, grads) = halves::gradients(&params, &parts, |p, lesson| loss(p, lesson, total, &device));
        optimiser.update(&mut params, grads, adamw::schedule(step, steps, WARMUP, PEAK));
        if step % 50 == 0 {
            println!("step {step:5}  loss {loss:.4}  {:.0} s", start.elapsed().as_secs_f32());
        }
        if step % 300 == 299 {
            exam::report(&params, &tokenizer, 100, SEED + 1, &device);
            save::weights(&params, &dir);
        }
    }
    save::weights(&params, &dir);
    println!("trained in {:.1} minutes", start.elapsed().as_secs_f32() / 60.0);
    exam::report(&params, &tokenizer, 400, SEED + 1, &device);
    show(&params, &tokenizer, "When Mary and John went to the store, John gave a drink to", &device);
}

/// Cross-entropy of the next token, each position by its weight, as a share of the whole batch's weight.
fn loss(params: &Params, lesson: &Lesson, total: f32, device: &Device) -> Tensor<1> {
    let count = lesson.targets.len();
    let logits = gpt2::forward(params, &lesson.batch, device); // B*T V
    let targets = Tensor::<2, Int>::from_data(TensorData::new(lesson.targets.clone(), [count, 1]), device); // B*T 1
    let weights = Tensor::<2>::from_data(TensorData::new(lesson.weights.clone(), [count, 1]), device); // B*T 1
    let right = log_softmax(logits, 1).gather(1, targets); // B*T 1
    (right * weights).sum() / -total
}

/// Every name, country and so on must be one token with its leading space: prompts of one skill then align.
fn check_words(tokenizer: &Tokenizer) {
    let capitals = words::CAPITALS.iter().flat_map(|c| [c.0, c.1]);
    let nouns = words::NOUNS.iter().flat_map(|n| [n.0, n.1]);
    let lists = [words::NAMES, words::PLACES, words::OBJECTS, words::ADJECTIVES, words::SAYING];
    let single = lists.iter().flat_map(|l| l.iter().copied());
    let occupations = words::OCCUPATIONS.iter().map(|o| o.0);
    for word in single.chain(capitals).chain(nouns).chain(occupations).chain(["she", "he", "is", "are"]) {
        let ids = batches::encode(tokenizer, &format!(" {word}"));
        assert_eq!(ids.len(), 1, "{word:?} is more than one token");
    }
}

fn show(params: &Params, tokenizer: &Tokenizer, prompt: &str, device: &Device) {
    let count = batches::encode(tokenizer, prompt).len();
    let probs = &exam::next_token(params, tokenizer, &[prompt.to_string()], device)[0];
    let mut order: Vec<usize> = (0..probs.len()).collect();
    order.sort_by(|a, b| probs[*b].total_cmp(&probs[*a]));
    println!("{prompt:?} ({count} tokens)");
    for id in order.into_iter().take(3) {
        println!("  {:?} {:.4}", tokenizer.id_to_token(id as u32).unwrap_or_default(), probs[id]);
    }
}

/// tokenizer.json and the configuration files, in the usual Hugging Face layout.
fn describe(tokenizer: &Tokenizer, dir: &Path) {
    let end = tokenizer.token_to_id(bpe::END).expect("end token");
    tokenizer.save(dir.join("tokenizer.json"), true).expect("tokenizer can be written");
    let config = json!({
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "activation_function": "gelu_new",
        "vocab_size": tokenizer.get_vocab_size(true), "n_positions": gpt2::POSITIONS, "n_ctx": gpt2::POSITIONS,
        "n_embd": gpt2::WIDTH, "n_layer": gpt2::LAYERS, "n_head": gpt2::HEADS, "n_inner": null,
        "layer_norm_epsilon": 1e-5, "initializer_range": 0.02, "tie_word_embeddings": true,
        "scale_attn_weights": true, "attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0,
        "bos_token_id": end, "eos_token_id": end, "use_cache": true, "torch_dtype": "float32"
    });
    save::json(&config, dir, "config.json");
    let tokenizer_config = json!({
        "tokenizer_class": "GPT2TokenizerFast", "add_prefix_space": false, "model_max_length": gpt2::POSITIONS,
        "bos_token": bpe::END, "eos_token": bpe::END, "unk_token": bpe::END, "clean_up_tokenization_spaces": false
    });
    save::json(&tokenizer_config, dir, "tokenizer_config.json");
    let generation =
        json!({"bos_token_id": end, "eos_token_id": end, "do_sample": false, "max_length": gpt2::POSITIONS});
    save::json(&generation, dir, "generation_config.json");
}
