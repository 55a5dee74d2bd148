//! The pieces both models share: layer norm, multi-head attention, and the conversion between rows and heads.
//!
//! Shapes: `B` sequences, `T` positions, `d` width, `H` heads, `h` head width.

use burn::tensor::{Bool, Tensor, activation::softmax};

pub struct Heads {
    pub batch: usize,
    pub time: usize,
    pub heads: usize,
}

pub fn layer_norm(x: Tensor<2>, gain: Tensor<2>, bias: Tensor<2>, eps: f32) -> Tensor<2> {
    let centred = x.clone() - x.mean_dim(1); // B*T d
    let var = (centred.clone() * centred.clone()).mean_dim(1); // B*T 1
    centred / (var + eps).sqrt() * gain + bias
}

/// softmax(q k^T / sqrt(h)) v, with `mask` true where a key may not be read.
pub fn attention(q: Tensor<2>, k: Tensor<2>, v: Tensor<2>, mask: Tensor<4, Bool>, s: &Heads) -> Tensor<2> {
    let d = q.dims()[1];
    let h = d / s.heads;
    let split = |x: Tensor<2>| x.reshape([s.batch, s.time, s.heads, h]).swap_dims(1, 2); // B H T h
    let scores = split(q).matmul(split(k).swap_dims(2, 3)) / (h as f32).sqrt(); // B H T T
    let pattern = softmax(scores.mask_fill(mask, -1e9), 3); // B H T T
    let z = pattern.matmul(split(v)); // B H T h
    z.swap_dims(1, 2).reshape([s.batch * s.time, d]) // B*T d
}
