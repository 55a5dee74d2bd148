//! What expressions do with values: every operation runs on the value's own device, or that of the first of several,
//! checks kinds and shapes first, and keeps the names of axes where they still mean something.

mod elementwise;
#[cfg(test)]
mod exactness;
mod fold;
mod order;
mod reduce;
mod shape;

pub use elementwise::{BinaryOp, UnaryOp};
pub use fold::Pairing;
pub use order::TopK;
pub use reduce::Reduction;
pub use shape::Slice;
