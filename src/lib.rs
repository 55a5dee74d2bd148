//! llmdbg: gdb for transformer language models.

pub mod answer;
pub mod engine;
pub mod lang;
pub mod model;
