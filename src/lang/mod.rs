//! The language that users type: text in, trees with spans out, and their evaluation over a scope.
//!
//! Everything that a user types arrives here as text: command lines, locations to stop at, expressions to print,
//! targets to assign to. Each parser takes a piece of a line together with the offset of that piece, so that every tree
//! and every error points into the line as it was typed, wherever the line came from.
//!
//! Parsing does not depend on a model. Names become sites only when they are resolved against a [`SiteTable`], and
//! expressions become values only when they are evaluated over a scope; both are traits, so that this layer can be
//! tested without a debugger.

pub mod assign;
pub mod ast;
pub mod clauses;
pub mod command;
pub mod error;
pub mod eval;
pub mod functions;
pub mod glob;
mod lexer;
pub mod location;
pub mod parser;
mod postfix;
mod print;
pub mod site;
pub mod size;
pub mod span;
pub mod strings;
pub mod words;

#[cfg(test)]
mod properties;

pub use assign::{AssignOp, Assignment, LValue, parse_assignment};
pub use ast::{Arg, BinaryOp, Expr, ExprKind, History, IndexItem, IndexKind, SiteRef, UnaryOp};
pub use clauses::{parse_break, parse_trace, parse_watch};
pub use error::{LangError, Unavailable, caret, explained};
pub use location::{Location, Place, Target, When, parse_location};
pub use parser::{parse_expr, parse_expr_prefix, parse_list};
pub use site::{Resolved, SiteTable};
pub use span::{Span, Spanned};

/// What every parser of this layer returns.
pub type Result<T, E = LangError> = std::result::Result<T, E>;
