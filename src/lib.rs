//! llmdbg: gdb for transformer language models.

pub mod answer;
pub mod commands;
pub mod engine;
pub mod frontend;
pub mod lang;
pub mod model;
pub mod tensor;
pub mod term;
