//! One module for each promise to the user, in one binary so that the crate is linked once.

mod documents;
mod layers;
mod starting;
