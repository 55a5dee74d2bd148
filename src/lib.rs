//! llmdbg: gdb for transformer language models.

pub mod analysis;
pub mod answer;
pub mod cli;
pub mod commands;
pub mod comparing;
pub mod debugger;
pub mod dumps;
pub mod engine;
pub mod export;
pub mod frontend;
pub mod lang;
pub mod model;
pub mod program;
pub mod tensor;
pub mod term;
