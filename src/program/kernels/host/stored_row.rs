//! Products of one row with a weight as it is stored: bound by memory, unless much has to be computed for each number.
//!
//! Where the processor has the vectors, numbers are multiplied as soon as they are decoded, and are never in memory.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::stored::StoredRows;
use super::vector::{columns_times, pieces};
use crate::model::checkpoint::decode::decode;

/// Numbers that stay in the nearest cache between widening and multiplying them.
const NEAR: usize = 1 << 12;

/// `out = x bᵀ`, plus a bias.
pub fn row_times_stored(out: &mut [MaybeUninit<f32>], x: &[f32], b: StoredRows, bias: Option<&[f32]>) {
    let rows = pieces(x.len(), out.len());
    out.par_chunks_mut(rows).enumerate().for_each(|(p, out)| {
        let first = p * rows;
        let b = StoredRows { bytes: &b.bytes[first * b.stride..], rows: out.len(), ..b };
        let product = Product { out, x, b, bias: bias.map(|bias| &bias[first..]) };
        #[cfg(target_arch = "x86_64")]
        let product = match crate::model::checkpoint::decode::x86::run(b.kind, product) {
            Some(product) => product,
            None => return,
        };
        product.by_widening();
    });
}

/// `out = x bᵀ`, plus a bias.
struct Product<'a> {
    out: &'a mut [MaybeUninit<f32>],
    x: &'a [f32],
    b: StoredRows<'a>,
    bias: Option<&'a [f32]>,
}

impl Product<'_> {
    /// Widens a few rows at a time.
    fn by_widening(self) {
        let k = self.x.len();
        let some = (NEAR / k).max(1);
        let mut wide = vec![0.0; some * k];
        for (i, out) in self.out.chunks_mut(some).enumerate() {
            for (j, wide) in wide.chunks_exact_mut(k).take(out.len()).enumerate() {
                decode(self.b.kind, self.b.row(i * some + j), wide);
            }
            columns_times(out, self.x, &wide, k, (1.0, self.bias.map(|bias| &bias[i * some..])));
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::vector::{dot_from, prefetch};
    use super::{Product, decode};
    use crate::model::checkpoint::decode::x86::{Job, Unit, Vectors};
    use crate::tensor::inlined;

    /// How far ahead of the arithmetic memory is asked for, in bytes.
    const AHEAD: usize = 4096;

    /// Bytes that memory is fetched in.
    const LINE: usize = 64;

    impl Job for Product<'_> {
        #[inline(always)]
        fn run<U: Unit<SIZE, V>, S: Vectors, const SIZE: usize, const V: usize>(self, simd: S) {
            let Product { out, x, b, bias } = self;
            for (j, out) in out.iter_mut().enumerate() {
                let (units, rest) = b.row(j).as_chunks::<SIZE>();
                let mut sums = [simd.splat_f32s(0.0); 4];
                for (unit, x) in units.iter().zip(x.as_chunks::<16>().0.as_chunks::<V>().0) {
                    for line in (0..SIZE).step_by(LINE) {
                        prefetch(unit.as_ptr().wrapping_add(AHEAD + line).cast());
                    }
                    U::each(simd, unit, inlined!(|i, w| simd.multiply(i, pulp::cast(x[i]), w, &mut sums)));
                }
                let x = &x[units.len() * 16 * V..];
                // What is not a whole unit is less than four vectors of sixteen.
                let mut wide = [0.0; 64];
                let wide = &mut wide[..x.len()];
                if !rest.is_empty() {
                    decode(b.kind, rest, wide);
                }
                out.write(dot_from(simd, sums, x, wide, 0) + bias.map_or(0.0, |bias| bias[j]));
            }
        }
    }
}
