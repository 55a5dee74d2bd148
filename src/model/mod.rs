//! A checkpoint becomes a `Model`: specification, weights by role, tokenizer.

pub mod role;
pub mod spec;
