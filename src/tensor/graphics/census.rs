//! Statistics of all elements of a value, in one launch and one read.
//!
//! Each cube looks at a part of the elements, and what it finds is joined on the host in 64 bits. Counts and extremes
//! are found in the bits of the numbers, so that they are exact whatever a driver does to NaN and denormals.

use cubecl::prelude::*;

use super::{DeviceF32, SHARED, UNITS, cubes, magnitude, max_of_cube, ordered, sum_of_cube};
use crate::tensor::TensorError;

/// Elements that one cube looks at.
const PART: usize = 1 << 14;

/// Words that a cube writes: finite, NaN, inf, -inf and zero elements; the smallest and the largest finite one as
/// `ordered` numbers; the bits of the largest finite magnitude, and the first place of it among all; and as floats the sum, the
/// sum of squares, and that of squared distances from the mean.
pub const WORDS: usize = 12;

const INFINITE: u32 = 0x7f80_0000;

#[cube(launch)]
fn census_kernel(x: &[f32], out: &mut [u32], count: u32) {
    let mut shared = Shared::<[f32]>::new_slice(SHARED);
    let mut words = Shared::<[u32]>::new_slice(SHARED);
    let (unit, cube) = (UNIT_POS as usize, CUBE_POS);
    let (start, count) = (cube * PART, count as usize);
    if start < count {
        let end = min(start + PART, count);
        let mut nan = 0u32;
        let mut pos_inf = 0u32;
        let mut neg_inf = 0u32;
        let mut zeros = 0u32;
        let mut finite = 0u32;
        // Numbers of the opposite order, of which the largest is that of the smallest element.
        let mut least = 0u32;
        let mut most = 0u32;
        let mut largest = 0u32;
        let mut sum = 0.0f32;
        let mut squares = 0.0f32;
        let mut at = start + unit;
        while at < end {
            let number = x[at];
            let size = magnitude(number);
            if size < INFINITE {
                let place = ordered(number);
                finite += 1u32;
                zeros += u32::cast_from(size == 0u32);
                least = max(least, place ^ 0xffff_ffffu32);
                most = max(most, place);
                largest = max(largest, size);
                sum += number;
                squares += number * number;
            } else if size > INFINITE {
                nan += 1u32;
            } else if u32::reinterpret(number) == INFINITE {
                pos_inf += 1u32;
            } else {
                neg_inf += 1u32;
            }
            at += UNITS as usize;
        }
        let finite = sum_of_cube(finite, &mut words);
        let nan = sum_of_cube(nan, &mut words);
        let pos_inf = sum_of_cube(pos_inf, &mut words);
        let neg_inf = sum_of_cube(neg_inf, &mut words);
        let zeros = sum_of_cube(zeros, &mut words);
        let least = max_of_cube(least, &mut words) ^ 0xffff_ffffu32;
        let most = max_of_cube(most, &mut words);
        let largest = max_of_cube(largest, &mut words);
        let sum = sum_of_cube(sum, &mut shared);
        let squares = sum_of_cube(squares, &mut shared);
        let mean = sum / f32::cast_from(max(finite, 1u32));
        let mut spread = 0.0f32;
        // The first place, as the largest of the numbers counted back from the end.
        let mut first = 0u32;
        let mut at = start + unit;
        while at < end {
            let number = x[at];
            let size = magnitude(number);
            if size < INFINITE {
                spread += (number - mean) * (number - mean);
                if size == largest {
                    first = max(first, (end - at) as u32);
                }
            }
            at += UNITS as usize;
        }
        let spread = sum_of_cube(spread, &mut shared);
        let first = max_of_cube(first, &mut words);
        if unit == 0 {
            let to = cube * WORDS;
            out[to] = finite;
            out[to + 1] = nan;
            out[to + 2] = pos_inf;
            out[to + 3] = neg_inf;
            out[to + 4] = zeros;
            out[to + 5] = least;
            out[to + 6] = most;
            out[to + 7] = largest;
            out[to + 8] = end as u32 - first;
            out[to + 9] = u32::reinterpret(sum);
            out[to + 10] = u32::reinterpret(squares);
            out[to + 11] = u32::reinterpret(spread);
        }
    }
}

/// The float of which `ordered` made a number.
pub fn of_ordered(word: u32) -> f32 {
    f32::from_bits(if word >= 0x8000_0000 { word ^ 0x8000_0000 } else { !word })
}

/// What the cubes find, [`WORDS`] bits each, in the order of their parts.
pub fn census(x: &DeviceF32) -> DeviceF32 {
    let parts = x.len().div_ceil(PART);
    let out = x.empty(parts * WORDS);
    let dim = CubeDim::new_1d(UNITS);
    census_kernel::launch(x.client(), cubes(parts), dim, x.arg(), out.arg(), x.len() as u32);
    out
}

#[cube(launch)]
fn different_kernel(a: &[u32], b: &[u32], out: &mut [u32], count: u32) {
    let mut words = Shared::<[u32]>::new_slice(SHARED);
    let cube = CUBE_POS;
    let (start, count) = (cube * PART, count as usize);
    if start < count {
        let end = min(start + PART, count);
        let mut found = 0u32;
        let mut at = start + UNIT_POS as usize;
        while at < end {
            found |= a[at] ^ b[at];
            at += UNITS as usize;
        }
        let found = max_of_cube(found, &mut words);
        if UNIT_POS == 0 {
            out[cube] = found;
        }
    }
}

/// Whether a bit of two tensors of as many elements differs.
///
/// # Errors
/// If the device fails.
pub fn different(a: &DeviceF32, b: &DeviceF32) -> Result<bool, TensorError> {
    let parts = a.len().div_ceil(PART);
    let out = a.empty(parts);
    let dim = CubeDim::new_1d(UNITS);
    different_kernel::launch(a.client(), cubes(parts), dim, a.arg(), b.arg(), out.arg(), a.len() as u32);
    Ok(out.value(&[parts]).read_f32()?.iter().any(|word| word.to_bits() != 0))
}
