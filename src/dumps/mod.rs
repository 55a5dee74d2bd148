//! Files of values that other tools have written, read as values of the sites of a program.

mod dump;
mod layout;
mod paths;
mod processed;
mod tensors;

use crate::tensor::TensorError;

pub use dump::{Dump, Reading};
pub use layout::{Change, Fitted, divided};
pub use paths::reader;
pub use processed::Processed;
pub use tensors::Tensors;

/// Why a dump, or a value of it, cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DumpError {
    /// The file is not what it should be, or does not fit the program; the sentence says why.
    #[error("{0}")]
    Unusable(String),
    /// A weight could not be read, or the user interrupted.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl From<String> for DumpError {
    fn from(message: String) -> DumpError {
        DumpError::Unusable(message)
    }
}

type Result<T, E = DumpError> = std::result::Result<T, E>;
