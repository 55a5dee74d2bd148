//! BERT's forward pass with a classification head, with the parameter names of Hugging Face checkpoints.

use crate::layers::{Heads, attention, layer_norm};
use crate::params::{Init, Params};
use crate::rng::Rng;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData, activation::gelu};

pub const LAYERS: usize = 3;
pub const HEADS: usize = 4;
pub const WIDTH: usize = 96;
pub const HIDDEN: usize = 384;
pub const POSITIONS: usize = 64;
pub const EPS: f32 = 1e-12;

/// Rows of token ids, padded with 0 to one length.
pub struct Batch {
    pub ids: Vec<i32>,
    pub rows: usize,
}

pub fn init(vocab: usize, rng: &mut Rng, device: &Device) -> Params {
    let mut p = Params::default();
    let (d, m) = (WIDTH, HIDDEN);
    for (name, count) in [("word", vocab), ("position", POSITIONS), ("token_type", 2)] {
        let name = format!("bert.embeddings.{name}_embeddings.weight");
        p.add(&name, &[count, d], Init::Normal(0.05), rng, device);
    }
    norm(&mut p, "bert.embeddings.LayerNorm", rng, device);
    for i in 0..LAYERS {
        let name = |part: &str| format!("bert.encoder.layer.{i}.{part}");
        for part in ["query", "key", "value"] {
            dense(&mut p, &name(&format!("attention.self.{part}")), d, d, rng, device);
        }
        dense(&mut p, &name("attention.output.dense"), d, d, rng, device);
        norm(&mut p, &name("attention.output.LayerNorm"), rng, device);
        dense(&mut p, &name("intermediate.dense"), m, d, rng, device);
        dense(&mut p, &name("output.dense"), d, m, rng, device);
        norm(&mut p, &name("output.LayerNorm"), rng, device);
    }
    dense(&mut p, "bert.pooler.dense", d, d, rng, device);
    dense(&mut p, "classifier", 2, d, rng, device);
    p
}

/// A linear layer in the `[out, in]` layout of the file.
fn dense(p: &mut Params, name: &str, out: usize, inn: usize, rng: &mut Rng, device: &Device) {
    p.add(&format!("{name}.weight"), &[out, inn], Init::Normal(0.05), rng, device);
    p.add(&format!("{name}.bias"), &[out], Init::Constant(0.0), rng, device);
}

fn norm(p: &mut Params, name: &str, rng: &mut Rng, device: &Device) {
    p.add(&format!("{name}.weight"), &[WIDTH], Init::Constant(1.0), rng, device);
    p.add(&format!("{name}.bias"), &[WIDTH], Init::Constant(0.0), rng, device);
}

/// Two logits for every row.
pub fn forward(p: &Params, batch: &Batch, device: &Device) -> Tensor<2> {
    let count = batch.ids.len();
    let shape = Heads { batch: batch.rows, time: count / batch.rows, heads: HEADS };
    let int = |v: Vec<i32>| Tensor::<1, Int>::from_data(TensorData::new(v, [count]), device); // B*T
    let places = (0..count).map(|n| (n % shape.time) as i32).collect();
    let table = |name: &str| p.get(&format!("bert.embeddings.{name}_embeddings.weight"));
    let normed =
        |x: Tensor<2>, name: &str| layer_norm(x, p.get(&format!("{name}.weight")), p.get(&format!("{name}.bias")), EPS);
    let linear = |x: Tensor<2>, name: &str| {
        x.matmul(p.get(&format!("{name}.weight")).transpose()) + p.get(&format!("{name}.bias"))
    };
    let x = table("word").select(0, int(batch.ids.clone()))
        + table("position").select(0, int(places))
        + table("token_type").select(0, int(vec![0; count])); // B*T d
    let mut x = normed(x, "bert.embeddings.LayerNorm");
    for i in 0..LAYERS {
        let name = |part: &str| format!("bert.encoder.layer.{i}.{part}");
        let of = |part: &str| linear(x.clone(), &name(&format!("attention.self.{part}"))); // B*T d
        let z = attention(of("query"), of("key"), of("value"), padding(batch, &shape, device), &shape); // B*T d
        let out = linear(z, &name("attention.output.dense"));
        let mid = normed(x.clone() + out, &name("attention.output.LayerNorm")); // B*T d
        let hidden = gelu(linear(mid.clone(), &name("intermediate.dense"))); // B*T m
        let out = linear(hidden, &name("output.dense")); // B*T d
        x = normed(mid + out, &name("output.LayerNorm"));
    }
    let first = x.reshape([shape.batch, shape.time, WIDTH]).narrow(1, 0, 1).reshape([shape.batch, WIDTH]); // B d
    linear(linear(first, "bert.pooler.dense").tanh(), "classifier") // B 2
}

/// True where the key is padding.
fn padding(batch: &Batch, s: &Heads, device: &Device) -> Tensor<4, Bool> {
    let pad: Vec<bool> = batch.ids.iter().map(|&id| id == 0).collect();
    let mask = Tensor::<4, Bool>::from_data(TensorData::new(pad, [s.batch, 1, 1, s.time]), device);
    mask.expand([s.batch, s.heads, s.time, s.time]) // B H T T
}
