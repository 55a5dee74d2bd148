//! One module for each promise to the user, in one binary so that the crate is linked once.

#![allow(clippy::unwrap_used, reason = "what is wrong fails the test")]

mod batch;
mod common;
mod documents;
mod files;
mod layers;
mod manual;
mod parity;
mod silence;
mod starting;
mod tour;
mod travel;
