//! Questions asked of runs. Nothing here changes a run.

pub mod attention;
pub mod attribution;
pub mod bisect;
mod difference;
pub mod direct;
mod dump;
pub mod health;
pub mod lens;
pub mod patching;
mod recompute;
pub mod repeated;
mod selfcheck;

pub use difference::{Difference, Tolerance, difference};
pub use dump::{Dump, Dumped};
pub use recompute::{Recomputed, recompute};
pub use selfcheck::{again, alone};
