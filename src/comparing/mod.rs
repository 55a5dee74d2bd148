//! Whether two runs agree, and where they part: another model or dump, the same pass again, the same ops in 64 bits.
//! Nothing here changes a run.

mod anew;
pub mod bisect;
pub mod core_file;
mod parts;
pub mod probes;
mod quantised;
mod recompute;
mod selfcheck;
pub mod selftest;
mod sites;
mod weight_difference;
mod weight_relation;

pub use parts::Parts;
pub use quantised::Quantised;
pub use recompute::{Recomputed, recompute};
pub use selfcheck::{again, alone, looked_at};
pub use sites::{How, Lack, Note, SiteDifferences, site_differences};
pub use weight_difference::{WeightDifference, weight_differences};
pub use weight_relation::{Half, Piece, Relation};
