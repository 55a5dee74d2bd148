//! Values and answers to files.

pub mod safetensors;
