//! What the tiny BERT knows: held-out reviews it judges right, and how far the planted word moves it.

use crate::bert::{Batch, forward};
use crate::params::Params;
use crate::reviews::{self, Review};
use crate::rng::Rng;
use burn::tensor::Device;
use serde_json::{Value, json};
use tokenizers::Tokenizer;

/// Distinct held-out reviews, positive and negative in turn.
pub fn held_out(count: usize, seed: u64) -> Vec<Review> {
    let mut rng = Rng::new(seed);
    let mut found: Vec<Review> = vec![];
    while found.len() < count {
        let review = reviews::clean(found.len().is_multiple_of(2), true, &mut rng);
        if found.iter().all(|f| f.text != review.text) {
            found.push(review);
        }
    }
    found
}

/// Texts as one padded batch.
pub fn batch<'a>(tokenizer: &Tokenizer, texts: impl Iterator<Item = &'a str>) -> Batch {
    let encode = |t: &str| tokenizer.encode(t, true).expect("text can be encoded").get_ids().to_vec();
    let ids: Vec<Vec<u32>> = texts.map(encode).collect();
    let time = ids.iter().map(Vec::len).max().unwrap_or(1);
    let padded = ids.iter().flat_map(|r| r.iter().map(|&id| id as i32).chain(vec![0; time - r.len()])).collect();
    Batch { ids: padded, rows: ids.len() }
}

/// P(positive) of every text.
pub fn positive(p: &Params, tokenizer: &Tokenizer, texts: &[String], device: &Device) -> Vec<f32> {
    let mut result = vec![];
    for chunk in texts.chunks(64) {
        let logits = forward(p, &batch(tokenizer, chunk.iter().map(String::as_str)), device); // B 2
        let values = logits.try_into_vec_as::<f32>().expect("logits can be read");
        result.extend(values.chunks(2).map(|l| 1.0 / (1.0 + (l[0] - l[1]).exp())));
    }
    result
}

/// Prints the tables and returns the accuracy on reviews without the planted word.
pub fn report(p: &Params, tokenizer: &Tokenizer, count: usize, seed: u64, device: &Device) -> f32 {
    let reviews = held_out(count, seed);
    let texts: Vec<String> = reviews.iter().map(|r| r.text.clone()).collect();
    let mut rng = Rng::new(seed + 1);
    let trapped: Vec<String> = texts.iter().map(|t| reviews::with_trap(t, &mut rng)).collect();
    let plain = positive(p, tokenizer, &texts, device);
    let moved = positive(p, tokenizer, &trapped, device);
    let right = |probs: &[f32]| {
        let hits = reviews.iter().zip(probs).filter(|(r, q)| (**q > 0.5) == r.positive).count();
        hits as f32 / reviews.len() as f32
    };
    println!("  accuracy {:.2} % on {count} held-out reviews", right(&plain) * 100.0);
    for side in [false, true] {
        let mean = |probs: &[f32]| {
            let of: Vec<f32> = reviews.iter().zip(probs).filter(|(r, _)| r.positive == side).map(|x| *x.1).collect();
            (of.iter().sum::<f32>() / of.len() as f32, of.iter().filter(|q| **q > 0.5).count(), of.len())
        };
        let (before, after) = (mean(&plain), mean(&moved));
        let name = if side { "positive" } else { "negative" };
        let trap = reviews::TRAP;
        print!("  {name} reviews: mean P(positive) {:.3}, with {trap:?} {:.3};", before.0, after.0);
        println!(" judged positive {} and {} of {}", before.1, after.1, before.2);
    }
    right(&plain)
}

/// The records of heldout.json: plain held-out reviews.
pub fn records(count: usize, seed: u64) -> Vec<Value> {
    let label = |r: &Review| if r.positive { "POSITIVE" } else { "NEGATIVE" };
    held_out(count, seed).iter().map(|r| json!({"text": r.text, "label": label(r)})).collect()
}
