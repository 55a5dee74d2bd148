//! One module for each promise to the user, in one binary so that the crate is linked once.

#![allow(clippy::unwrap_used, reason = "what is wrong fails the test")]

mod adapters;
mod batch;
mod branches;
mod breakpoints;
mod common;
mod cookbook;
mod devices;
mod documents;
mod edits;
mod expressions;
mod files;
mod generation;
mod layers;
mod manual;
mod mistakes;
mod nonsense;
mod parity;
mod pty;
mod schema;
mod scripts;
mod settings;
mod silence;
mod starting;
mod stops;
mod tour;
mod travel;
mod words;
