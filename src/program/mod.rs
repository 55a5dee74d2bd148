//! A specification becomes a program: small named ops in execution order, nested in modules.
//!
//! The model is not run and looked at afterwards; it is compiled into a flat list that a cursor can walk. Each op is a
//! pure function of earlier values, of weights and of the pass's context, so a value that was dropped can be computed
//! again bit by bit, and an edit needs only the ops that depend on it.

pub mod bare;
mod compile;
mod context;
mod dictionaries;
mod interpreter;
mod kernels;
mod lens;
mod op;
mod part;
mod pulled;
mod relevance;
mod replay;
mod shape;
mod vjp;

pub use compile::compile;
pub use context::Context;
pub use dictionaries::with_dictionaries;
pub use interpreter::execute;
pub use lens::{lens, lens_start};
pub use op::{Along, Kernel, Mixing, Module, Op, Program, Side};
pub use part::Part;
pub use pulled::{OpGradients, Rule};
pub use relevance::{NoRelevance, pull_relevance};
pub use replay::{Keep, Made, Replay, Values, Visitor};
pub use shape::{comes_in_pieces, shape_of};
pub use vjp::{After, pull_back};
