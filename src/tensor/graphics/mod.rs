//! Memory of graphics devices, and what is computed there by kernels of our own, written with cubecl: the statistics of
//! a value, weights widened from the form in which they are stored, and what the kernels of ops share.
//!
//! Sums are trees of a fixed form through the memory that the units of a cube share, not through subgroups, whose width
//! differs from card to card: the form of a sum depends on the shape alone. What a driver may do to NaN, infinities and
//! negative zero is not relied upon where a result depends on them: those are distinguished by their bits.

#![allow(
    clippy::unnecessary_cast,
    clippy::manual_div_ceil,
    clippy::too_many_arguments,
    reason = "the language of kernels is a part of Rust, and a kernel takes no structures of memory"
)]

pub mod census;
mod memory;
pub mod stored;

use cubecl::prelude::*;

pub use memory::{DeviceF32, DeviceWords, first_columns};

/// Units of a cube that work on one row, or on elements one by one.
pub const UNITS: u32 = 128;

/// Sums of a cube that are added up last.
const LAST: usize = 16;

/// Elements of the shared memory of `sum_of_cube`.
pub const SHARED: usize = UNITS as usize + LAST;

/// Cubes along the first axis of a launch: every device takes as many along each axis.
const ALONG: usize = 1 << 15;

/// A launch of so many cubes. The last ones may be too many: a kernel compares `CUBE_POS` with what there is to do.
pub fn cubes(count: usize) -> CubeCount {
    let along = count.clamp(1, ALONG);
    CubeCount::Static(along as u32, count.div_ceil(along).max(1) as u32, 1)
}

/// The same for elements one by one.
pub fn units(count: usize) -> CubeCount {
    cubes(count.div_ceil(UNITS as usize))
}

/// The sum of what each of the [`UNITS`] units of a cube has.
#[cube]
pub fn sum_of_cube<N: Numeric>(own: N, shared: &mut Shared<[N]>) -> N {
    let unit = UNIT_POS as usize;
    // Whoever read an earlier sum has it now.
    sync_cube();
    shared[unit] = own;
    sync_cube();
    if unit < LAST {
        let mut sum = shared[unit];
        #[unroll]
        for i in 1..8usize {
            sum += shared[unit + i * LAST];
        }
        shared[UNITS as usize + unit] = sum;
    }
    sync_cube();
    let mut sum = shared[UNITS as usize];
    #[unroll]
    for i in 1..16usize {
        sum += shared[UNITS as usize + i];
    }
    sum
}

/// The largest of what each of the [`UNITS`] units of a cube has, as whole numbers.
#[cube]
pub fn max_of_cube(own: u32, shared: &mut Shared<[u32]>) -> u32 {
    let unit = UNIT_POS as usize;
    sync_cube();
    shared[unit] = own;
    sync_cube();
    if unit < LAST {
        let mut most = shared[unit];
        #[unroll]
        for i in 1..8usize {
            most = max(most, shared[unit + i * LAST]);
        }
        shared[UNITS as usize + unit] = most;
    }
    sync_cube();
    let mut most = shared[UNITS as usize];
    #[unroll]
    for i in 1..16usize {
        most = max(most, shared[UNITS as usize + i]);
    }
    most
}

/// A float as a whole number of the same order: NaN and signs of zero apart, `a < b` as `ordered(a) < ordered(b)`.
#[cube]
pub fn ordered(x: f32) -> u32 {
    let bits = u32::reinterpret(x);
    if bits >= 0x8000_0000u32 { bits ^ 0xffff_ffffu32 } else { bits | 0x8000_0000u32 }
}

/// The float of which `ordered` made a number.
#[cube]
pub fn unordered(x: u32) -> f32 {
    let bits = if x >= 0x8000_0000u32 { x ^ 0x8000_0000u32 } else { x ^ 0xffff_ffffu32 };
    f32::reinterpret(bits)
}

/// The bits of the magnitude: above those of infinity for NaN.
#[cube]
pub fn magnitude(x: f32) -> u32 {
    u32::reinterpret(x) & 0x7fff_ffffu32
}
