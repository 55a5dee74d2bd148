//! Dictionaries of features: where their files belong in a model, and how well they fit it.

mod fit;
mod place;

pub use fit::{Fit, Losses, fits};
pub use place::{Wanted, place};
