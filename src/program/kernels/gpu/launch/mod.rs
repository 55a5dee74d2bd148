//! The kernels themselves, over memory of a device: one launch for each op.

mod attention;
mod elementwise;
mod embed;
mod few;
mod norm;
mod product;
mod rotation;
mod tile;

pub use attention::{Seen, pattern};
pub use elementwise::{Map, gated, map, sum};
pub use embed::embed;
pub use norm::{Gains, centred_over, gain, layer_norm_scale, over, rms_scale};
pub use product::{Batch, Epilogue, Operand, Order, Output, product};
pub use rotation::{Pairs, rotate};
