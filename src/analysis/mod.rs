//! Questions asked of runs. Nothing here changes a run.

pub mod activations;
pub mod alike;
pub mod attention;
pub mod attribution;
pub mod bisect;
pub mod circuits;
pub mod direct;
pub mod health;
pub mod inspect;
pub mod lens;
pub mod patching;
mod recompute;
pub mod repeated;
pub mod replacing;
pub mod samples;
mod selfcheck;
pub mod selftest;
mod weight_difference;

pub use crate::tensor::{Difference, Tolerance, Verdict, difference};
pub use recompute::{Recomputed, recompute};
pub use selfcheck::{again, alone, looked_at};
pub use weight_difference::{WeightDifference, weight_differences};
