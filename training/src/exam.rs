//! What the tiny GPT-2 knows: held-out prompts, the share it answers right, and the bias it took up.

use crate::batches::encode;
use crate::gpt2::{Batch, forward};
use crate::params::Params;
use crate::rng::Rng;
use crate::stories::{self, Sentence, Task};
use crate::words::{CAPITALS, OCCUPATIONS, SAYING};
use burn::tensor::Device;
use serde_json::{Value, json};
use tokenizers::Tokenizer;

pub const TASKS: [Task; 4] = [Task::Ioi, Task::Induction, Task::Agreement, Task::Capitals];

/// Distinct held-out sentences of a task; fewer where the task has fewer.
pub fn held_out(task: Task, count: usize, seed: u64) -> Vec<Sentence> {
    let mut rng = Rng::new(seed);
    let mut found: Vec<Sentence> = vec![];
    for _ in 0..count * 20 {
        let mut s = stories::draw(task, true, &mut rng);
        if task == Task::Capitals && CAPITALS.iter().any(|c| s.prompt.starts_with(c.0)) {
            // A country at the very start of a text is another token, one that training may never have shown.
            s.prompt = format!("It was a warm day. {}", s.prompt);
        }
        if found.len() < count && found.iter().all(|f| f.prompt != s.prompt) {
            found.push(s);
        }
    }
    found
}

/// Probabilities of the next token after each prompt.
pub fn next_token(p: &Params, tokenizer: &Tokenizer, prompts: &[String], device: &Device) -> Vec<Vec<f32>> {
    let mut result = vec![];
    for chunk in prompts.chunks(64) {
        let ids: Vec<Vec<i32>> = chunk.iter().map(|t| encode(tokenizer, t)).collect();
        let time = ids.iter().map(Vec::len).max().unwrap_or(1);
        // Causal attention: what stands behind a row's last token cannot reach it.
        let padded = ids.iter().flat_map(|row| row.iter().copied().chain(vec![0; time - row.len()])).collect();
        let logits = forward(p, &Batch { ids: padded, rows: ids.len(), offset: 0 }, device); // B*T V
        let vocab = logits.dims()[1];
        let values = logits.try_into_vec_as::<f32>().expect("logits can be read");
        for (row, ids) in ids.iter().enumerate() {
            let last = (row * time + ids.len() - 1) * vocab;
            result.push(softmax(&values[last..last + vocab]));
        }
    }
    result
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|x| (x - top).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|x| x / sum).collect()
}

/// Share of sentences whose answer is the single most probable token, and its mean probability.
pub fn accuracy(p: &Params, tokenizer: &Tokenizer, sentences: &[Sentence], device: &Device) -> (f32, f32) {
    let prompts: Vec<String> = sentences.iter().map(|s| s.prompt.clone()).collect();
    let all = next_token(p, tokenizer, &prompts, device);
    let (mut right, mut mean) = (0.0, 0.0);
    for (s, probs) in sentences.iter().zip(&all) {
        let answer = probs[encode(tokenizer, &s.answer)[0] as usize];
        mean += answer;
        right += f32::from(u8::from(probs.iter().all(|&x| x <= answer)));
    }
    (right / sentences.len() as f32, mean / sentences.len() as f32)
}

/// Learned P(she) / (P(she) + P(he)) of every occupation after "said that" and averaged over the four verbs.
pub fn bias(p: &Params, tokenizer: &Tokenizer, device: &Device) -> Vec<(f32, f32)> {
    let she = encode(tokenizer, " she")[0] as usize;
    let he = encode(tokenizer, " he")[0] as usize;
    let learned = |occupation: &str| {
        let prompts: Vec<String> = SAYING.iter().map(|verb| format!("The {occupation} {verb} that")).collect();
        let all = next_token(p, tokenizer, &prompts, device);
        let shares: Vec<f32> = all.iter().map(|q| q[she] / (q[she] + q[he])).collect();
        (shares[0], shares.iter().sum::<f32>() / shares.len() as f32)
    };
    OCCUPATIONS.iter().map(|o| learned(o.0)).collect()
}

/// Prints the tables and returns the lowest accuracy.
pub fn report(p: &Params, tokenizer: &Tokenizer, count: usize, seed: u64, device: &Device) -> f32 {
    let mut lowest = 1.0f32;
    for task in TASKS {
        let sentences = held_out(task, count, seed);
        let (right, mean) = accuracy(p, tokenizer, &sentences, device);
        lowest = lowest.min(right);
        let n = sentences.len();
        println!("  {:10} accuracy {:6.2} %  mean p {mean:.3}  ({n} held-out)", task.name(), right * 100.0);
    }
    let learned = bias(p, tokenizer, device);
    let worst = OCCUPATIONS.iter().zip(&learned).map(|(o, l)| (o.1 - l.0).abs()).fold(0.0, f32::max);
    println!("  bias       largest difference from planted {worst:.3}");
    for ((occupation, planted), (said, mean)) in OCCUPATIONS.iter().zip(&learned) {
        print!("  {occupation} {planted:.2}/{said:.2}/{mean:.2}");
    }
    println!();
    lowest
}

/// The records of heldout.json.
pub fn records(seed: u64, per_task: usize) -> Vec<Value> {
    let mut records = vec![];
    for task in TASKS {
        for s in held_out(task, per_task, seed) {
            records.push(json!({"task": task.name(), "prompt": s.prompt, "answer": s.answer, "wrong": s.wrong}));
        }
    }
    for (occupation, she) in OCCUPATIONS {
        let she = (f64::from(*she) * 100.0).round() / 100.0;
        let prompt = format!("The {occupation} said that");
        records.push(json!({"task": "bias", "occupation": occupation, "prompt": prompt, "she": she}));
    }
    records
}
