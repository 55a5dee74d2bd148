//! What commands have in common and what knows none of them: options of a line, and what a line did.

mod mistake;
mod options;
mod outcome;

pub use mistake::{mistake, no_more, number};
pub use options::{ALL, Options, SORT, TOP, declared, expression, takes_expression};
pub use outcome::{Done, Follow, Outcome};
