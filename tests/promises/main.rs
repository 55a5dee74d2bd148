//! One module for each promise to the user, in one binary so that the crate is linked once.

#![allow(clippy::unwrap_used, reason = "what is wrong fails the test")]

mod adapters;
mod attribution;
mod batch;
mod bisection;
mod branches;
mod breakpoints;
mod chat;
mod common;
mod containers;
mod cookbook;
mod devices;
mod diagnosis;
mod diff;
mod documents;
mod edits;
mod expressions;
mod files;
mod generation;
mod golden;
mod gradients;
mod hostile;
mod hub;
mod interpretability;
mod journal;
mod layers;
mod manual;
mod mistakes;
mod nonsense;
mod parity;
mod precision;
mod pty;
mod pytorch;
mod schema;
mod scripts;
mod seeds;
mod settings;
mod silence;
mod starting;
mod stops;
mod tokens;
mod tour;
mod travel;
mod weights;
mod words;
