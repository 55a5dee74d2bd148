//! Causal convolutions of each feature.

use rayon::prelude::*;

use super::super::positions::seen;
use super::{on_host, value};
use crate::program::Context;
use crate::tensor::{Value, inlined, vectorised};

/// `[B, S, ...]` to the columns of the span, by weights `[n, taps]`; the sum goes from the oldest column to the present
/// one, and the bias comes last.
pub fn convolution(x: &Value, weight: &Value, bias: Option<&Value>, context: &Context) -> Option<Value> {
    let (host, weight, bias) = (x.host_view()?, weight.host_f32()?, on_host(bias)?);
    let (rows, columns, length) = (x.shape()[0], x.shape()[1], context.length());
    let width: usize = x.shape()[2..].iter().product();
    let dense = match (host.strides.as_slice(), x.shape()) {
        ([_, _, 1], _) => true,
        (&[_, _, of_head, 1], [_, _, _, h]) => of_head == *h,
        _ => false,
    };
    if !dense || rows * length * width == 0 {
        return None;
    }
    let (of_row, of_column) = (host.strides[0], host.strides[1]);
    let taps = weight.as_slice().len() / width;
    // Weights by tap: [taps, n].
    let by_tap: Vec<f32> =
        (0..taps).flat_map(|tap| weight.as_slice().iter().skip(tap).step_by(taps)).copied().collect();
    let start = columns.checked_sub(length)?;
    let mut out = vec![0.0; rows * length * width];
    out.par_chunks_mut(width).enumerate().for_each(|(at, out)| {
        let (row, column) = (at / length, start + at % length);
        for (tap, from) in seen(context, row, column, taps).into_iter().enumerate() {
            let Some(from) = from else { continue };
            let x = &host.data()[row * of_row + from * of_column..][..width];
            let by = &by_tap[tap * width..(tap + 1) * width];
            vectorised(inlined!(|| {
                for ((out, x), by) in out.iter_mut().zip(x).zip(by) {
                    *out += *x * *by;
                }
            }));
        }
        if let Some(bias) = &bias {
            for (out, bias) in out.iter_mut().zip(bias.as_slice()) {
                *out += *bias;
            }
        }
    });
    Some(value(out, &[&[rows, length], &x.shape()[2..]].concat()))
}
