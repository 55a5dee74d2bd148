//! What expressions do with values: every operation runs on the value's own device, checks kinds and shapes first, and
//! keeps the names of axes where they still mean something.

mod elementwise;
mod order;
mod reduce;
mod shape;

pub use elementwise::{BinaryOp, UnaryOp};
pub use order::TopK;
pub use reduce::Reduction;
pub use shape::Slice;
