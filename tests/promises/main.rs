//! One module for each promise to the user, in one binary so that the crate is linked once.

#![allow(clippy::unwrap_used, reason = "what is wrong fails the test")]

mod documents;
mod layers;
mod manual;
mod parity;
mod starting;
mod tour;
