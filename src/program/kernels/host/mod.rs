//! The same arithmetic over plain memory, for values that lie in it: on the CPU these loops replace chains of burn ops.
//!
//! Every function gives `None` where an input is not host memory (a graphics device, a tracked tensor), and the caller
//! goes on with burn. Work is cut into pieces of a size that does not depend on the number of threads, and no sum
//! crosses a piece, so the same input gives the same bits on every call.

mod activation;
mod attention;
mod convolution;
mod elementwise;
mod experts;
mod linear;
mod matmul;
mod norm;
mod recurrence;
mod recurrence_slope;
mod rotation;
mod selective;
mod slope;
mod special;
mod stored;
mod stored_row;
mod tiles;
mod vector;

pub use activation::{activation, clamped_gate, gated, xielu};
pub use attention::{mix, pattern, scores};
pub use convolution::convolution;
pub use elementwise::{add, bounded, capped, scale};
pub use experts::{add_rows, top_experts};
pub use linear::{TOGETHER, back_through_stored, linear, linear_stored, unembed};
pub use norm::{centred_over, gain, layer_norm_scale, over, rms_scale};
pub use recurrence::{read_states, states};
pub use recurrence_slope::pull_recurrence;
pub use rotation::rotate;
pub use selective::{read_scan, scan_states};
pub use slope::{pull_activation, pull_gated};

use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::tensor::{Device, HostF32, Value, inlined, vectorised};

/// Elements that one task works on where rows do not decide.
const PIECE: usize = 1 << 14;

pub fn value(data: Vec<f32>, shape: &[usize]) -> Value {
    Value::from_f32(data, shape, &Device::cpu())
}

/// A bias in host memory; `None` if it is elsewhere.
fn on_host(bias: Option<&Value>) -> Option<Option<HostF32>> {
    bias.map_or(Some(None), |bias| bias.host_f32().map(Some))
}

/// Numbers that `fill` writes, without clearing their memory first: for a large product, that would take a tenth of its
/// time. `fill` must write every one of them, as [`matmul::product`] does.
fn filled(len: usize, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut out = Vec::with_capacity(len);
    fill(&mut out.spare_capacity_mut()[..len]);
    #[expect(unsafe_code, reason = "the numbers have just been written")]
    // SAFETY: the capacity is there, and `fill` has written every element.
    unsafe {
        out.set_len(len);
    }
    out
}

/// Rows of `width` elements made from those of `x`, several rows to a task; `row` finds zeros to write to.
fn by_rows(x: &[f32], width: usize, row: impl Fn(&mut [f32], &[f32]) + Sync) -> Vec<f32> {
    by_rows_in(PIECE, x, width, row)
}

/// The same, so many elements to a task. That does not show in the bits.
fn by_rows_in(piece: usize, x: &[f32], width: usize, row: impl Fn(&mut [f32], &[f32]) + Sync) -> Vec<f32> {
    let width = width.max(1);
    let piece = (piece / width).max(1) * width;
    let run = |(out, x): (&mut [MaybeUninit<f32>], &[f32])| {
        vectorised(inlined!(|| {
            for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                // Cleared here and not as a whole, a row is in the nearest cache when it is written.
                out.fill(MaybeUninit::new(0.0));
                #[expect(unsafe_code, reason = "cleared in the line before")]
                // SAFETY: every element has just been written.
                row(unsafe { out.assume_init_mut() }, x);
            }
        }));
    };
    assert!(x.len().is_multiple_of(width), "whole rows");
    filled(x.len(), |out| {
        if x.len() <= piece {
            run((out, x));
        } else {
            out.par_chunks_mut(piece).zip(x.par_chunks(piece)).for_each(run);
        }
    })
}
