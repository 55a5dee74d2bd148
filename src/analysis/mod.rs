//! Questions asked of runs. Nothing here changes a run.

pub mod attribution;
mod difference;
mod dump;
mod recompute;
mod selfcheck;

pub use difference::{Difference, Tolerance, difference};
pub use dump::{Dump, Dumped};
pub use recompute::{Recomputed, recompute};
pub use selfcheck::{again, alone};
