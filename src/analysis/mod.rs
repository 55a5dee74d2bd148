//! Questions asked of runs. Nothing here changes a run.

mod recompute;

pub use recompute::{Recomputed, recompute};
