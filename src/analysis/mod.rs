//! Questions asked of runs. Nothing here changes a run.

pub mod attribution;
mod recompute;

pub use recompute::{Recomputed, recompute};
