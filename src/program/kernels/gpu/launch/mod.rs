//! The kernels themselves, over memory of a device: one launch for each op.

#![allow(
    clippy::unnecessary_cast,
    clippy::manual_abs_diff,
    clippy::manual_div_ceil,
    clippy::too_many_arguments,
    reason = "the language of kernels is a part of Rust, and a kernel takes no structures of memory"
)]

mod attention;
mod elementwise;
mod embed;
mod few;
mod norm;
mod product;
mod rotation;
mod tile;

pub use attention::{Seen, Sinks, pattern};
pub use elementwise::{Map, gated, map, sum};
pub use embed::embed;
pub use norm::{Gains, centred_over, gain, layer_norm_scale, over, rms_scale};
pub use product::{Batch, Epilogue, Operand, Order, Output, product};
pub use rotation::{Pairs, rotate};
