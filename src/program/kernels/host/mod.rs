//! The same arithmetic over plain memory, for values that lie in it: on the CPU these loops replace chains of burn ops.
//!
//! Every function gives `None` where an input is not host memory (a graphics device, a tracked tensor), and the caller goes
//! on with burn. Work is cut into pieces of a size that does not depend on the number of threads, and no sum crosses a
//! piece, so the same input gives the same bits on every call.

mod attention;
mod elementwise;
mod linear;
mod matmul;
mod norm;
mod vector;

pub use attention::{mix, pattern, scores};
pub use elementwise::{gelu_tanh, silu};
pub use linear::{linear, unembed};
pub use norm::{centred_over, layer_norm_scale};

use rayon::prelude::*;

use crate::tensor::{Device, Value, vectorised};

/// Elements that one task works on where rows do not decide.
const PIECE: usize = 1 << 14;

/// A value on the CPU from its elements.
fn value(data: Vec<f32>, shape: &[usize]) -> Value {
    Value::from_f32(data, shape, &Device::cpu())
}

/// Fills rows of `width` elements of `out` from those of `x`, several rows to a task.
fn by_rows(out: &mut [f32], x: &[f32], width: usize, row: impl Fn(&mut [f32], &[f32]) + Sync) {
    let piece = (PIECE / width.max(1)).max(1) * width.max(1);
    let run = |(out, x): (&mut [f32], &[f32])| {
        vectorised(
            #[inline(always)]
            || {
                for (out, x) in out.chunks_exact_mut(width.max(1)).zip(x.chunks_exact(width.max(1))) {
                    row(out, x);
                }
            },
        );
    };
    if out.len() <= piece {
        run((out, x));
    } else {
        out.par_chunks_mut(piece).zip(x.par_chunks(piece)).for_each(run);
    }
}
