//! GPT-2's forward pass over plain tensors, with the parameter names of Hugging Face checkpoints.

use crate::layers::{Heads, attention, layer_norm};
use crate::params::{Init, Params};
use crate::rng::Rng;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData, activation::sigmoid};

pub const LAYERS: usize = 4;
pub const HEADS: usize = 4;
pub const WIDTH: usize = 128;
pub const POSITIONS: usize = 64;
pub const EPS: f32 = 1e-5;

/// A batch of token ids, all rows equally long, starting at one position.
pub struct Batch {
    pub ids: Vec<i32>,
    pub rows: usize,
    pub offset: usize,
}

pub fn init(vocab: usize, rng: &mut Rng, device: &Device) -> Params {
    let mut p = Params::default();
    let d = WIDTH;
    let out_std = 0.06 / (2.0 * LAYERS as f32).sqrt();
    p.add("transformer.wte.weight", &[vocab, d], Init::Normal(0.04), rng, device);
    p.add("transformer.wpe.weight", &[POSITIONS, d], Init::Normal(0.02), rng, device);
    for i in 0..LAYERS {
        let mut dense = |name: &str, n: usize, m: usize, std: f32| {
            p.add(&format!("transformer.h.{i}.{name}.weight"), &[n, m], Init::Normal(std), rng, device);
            p.add(&format!("transformer.h.{i}.{name}.bias"), &[m], Init::Constant(0.0), rng, device);
        };
        dense("attn.c_attn", d, 3 * d, 0.06);
        dense("attn.c_proj", d, d, out_std);
        dense("mlp.c_fc", d, 4 * d, 0.06);
        dense("mlp.c_proj", 4 * d, d, out_std);
        for norm in ["ln_1", "ln_2"] {
            p.add(&format!("transformer.h.{i}.{norm}.weight"), &[d], Init::Constant(1.0), rng, device);
            p.add(&format!("transformer.h.{i}.{norm}.bias"), &[d], Init::Constant(0.0), rng, device);
        }
    }
    p.add("transformer.ln_f.weight", &[d], Init::Constant(1.0), rng, device);
    p.add("transformer.ln_f.bias", &[d], Init::Constant(0.0), rng, device);
    p
}

/// Logits for every position of every row.
pub fn forward(p: &Params, batch: &Batch, device: &Device) -> Tensor<2> {
    let time = batch.ids.len() / batch.rows;
    let shape = Heads { batch: batch.rows, time, heads: HEADS };
    let count = batch.ids.len();
    let ids = Tensor::<1, Int>::from_data(TensorData::new(batch.ids.clone(), [count]), device); // B*T
    let places: Vec<i32> = (0..count).map(|n| (n % time + batch.offset) as i32).collect();
    let places = Tensor::<1, Int>::from_data(TensorData::new(places, [count]), device); // B*T
    let wte = p.get("transformer.wte.weight"); // V d
    let mut x = wte.clone().select(0, ids) + p.get("transformer.wpe.weight").select(0, places); // B*T d
    for i in 0..LAYERS {
        x = block(p, i, x, &shape, device);
    }
    let x = layer_norm(x, p.get("transformer.ln_f.weight"), p.get("transformer.ln_f.bias"), EPS); // B*T d
    x.matmul(wte.transpose()) // B*T V
}

fn block(p: &Params, i: usize, x: Tensor<2>, shape: &Heads, device: &Device) -> Tensor<2> {
    let get = |name: &str| p.get(&format!("transformer.h.{i}.{name}"));
    let dense = |x: Tensor<2>, name: &str| x.matmul(get(&format!("{name}.weight"))) + get(&format!("{name}.bias"));
    let norm =
        |x: Tensor<2>, name: &str| layer_norm(x, get(&format!("{name}.weight")), get(&format!("{name}.bias")), EPS);
    let d = WIDTH;
    let qkv = dense(norm(x.clone(), "ln_1"), "attn.c_attn"); // B*T 3d
    let part = |n: usize| qkv.clone().narrow(1, n * d, d); // B*T d
    let mask = Tensor::<2, Bool>::tril_mask([shape.time, shape.time], 0, device).unsqueeze::<4>(); // 1 1 T T
    let mask = mask.expand([shape.batch, shape.heads, shape.time, shape.time]); // B H T T
    let z = attention(part(0), part(1), part(2), mask, shape); // B*T d
    let x = x + dense(z, "attn.c_proj"); // B*T d
    let hidden = gelu_new(dense(norm(x.clone(), "ln_2"), "mlp.c_fc")); // B*T 4d
    x + dense(hidden, "mlp.c_proj") // B*T d
}

/// The tanh form of GELU, as GPT-2 uses it. `(1 + tanh(u)) / 2` is `sigmoid(2 u)`, which is cheaper on the CPU.
fn gelu_new(x: Tensor<2>) -> Tensor<2> {
    let twice = x.clone() * (x.clone() * x.clone() * 0.044715 + 1.0) * 1.595_769_1; // 2 sqrt(2 / pi)
    x * sigmoid(twice)
}
