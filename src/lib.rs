//! llmdbg is gdb for transformer language models: it stops inside a forward pass, shows what is computed there, changes it and goes
//! on. This crate is the program and, with [`Debugger`], a small library for doing the same from Rust.
//!
//! ```
//! use llmdbg::Debugger;
//!
//! // A folder, a GGUF file, or org/name would do as well: tiny-gpt2 is part of the program.
//! let mut model = Debugger::open("tiny-gpt2", "When Mary and John went to the store, John gave a drink to")?;
//!
//! // Run to a site, and read it: what does head 3 of block 2 look at from the last position?
//! model.run_to("L2.attn.pattern")?;
//! let row = model.value("L2.attn.pattern[head=3, q=-1]")?;
//! assert_eq!(row.shape, [14]);
//! assert!((row.data.iter().sum::<f32>() - 1.0).abs() < 1e-6);
//!
//! // Go on, and look at the answer.
//! model.command("continue")?;
//! let before = model.number("logit(\" Mary\") - logit(\" John\")")?;
//! assert!(before > 5.0);
//!
//! // Switch a head off. What depends on it is computed again, in a new branch.
//! model.command("ablate L0H0")?;
//! let after = model.number("logit(\" Mary\") - logit(\" John\")")?;
//! assert!(after < before);
//! # Ok::<(), llmdbg::Error>(())
//! ```
//!
//! [`Debugger`], [`Tensor`], [`Answer`] and [`Error`] are the library. The modules are public for the program's own tests and are not
//! promised to anybody; `docs/architecture.md` describes them.

// rustdoc looks through the types of wgpu, which are nested deeper than it does by default.
#![recursion_limit = "256"]

mod library;

#[doc(hidden)]
pub mod analysis;
#[doc(hidden)]
pub mod answer;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod commands;
#[doc(hidden)]
pub mod comparing;
#[doc(hidden)]
pub mod debugger;
#[doc(hidden)]
pub mod dumps;
#[doc(hidden)]
pub mod engine;
#[doc(hidden)]
pub mod export;
#[doc(hidden)]
pub mod frontend;
#[doc(hidden)]
pub mod lang;
#[doc(hidden)]
pub mod model;
#[doc(hidden)]
pub mod program;
#[doc(hidden)]
pub mod remote;
#[doc(hidden)]
pub mod tensor;
#[doc(hidden)]
pub mod term;

pub use answer::Answer;
pub use debugger::Error;
pub use library::{Debugger, Tensor};
pub use model::DeviceList;
pub use tensor::DeviceChoice;
