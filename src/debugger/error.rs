//! What can go wrong with what a user asks for, from here up to the commands.

use super::RunError;
use crate::lang::{LangError, Span, Unavailable};
use crate::model::adapter::AdapterError;
use crate::model::compare::CompareError;
use crate::model::{InputError, LoadError};
use crate::program::NoRelevance;
use crate::tensor::TensorError;

/// Why what was asked for did not come about. The kinds are those that a caller treats differently; each shows as a
/// sentence.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// A mistake at a place of the line that was typed.
    #[error("{}", .0.message)]
    At(#[from] LangError),
    /// The run is not where it would have to be.
    #[error(transparent)]
    Run(RunError),
    /// A number was to be explained by a site that it does not depend on.
    #[error("the number does not depend on {0}")]
    Independent(String),
    /// What was asked for cannot be; the sentence says why, and what to do.
    #[error("{0}")]
    Refused(String),
    /// Values do not fit together, the device failed, or the user interrupted.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    #[error("{0}")]
    Assert(String),
}

/// What may fail for one of these reasons.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn refused(message: impl Into<String>) -> Error {
        Error::Refused(message.into())
    }

    /// The same error, with what it is about before its sentence: a line of a file, a prompt. Failures of the device
    /// and interruptions stay what they are.
    #[must_use]
    pub fn about(self, what: impl std::fmt::Display) -> Error {
        match self {
            Error::Tensor(error) if error.is_fault() || matches!(error, TensorError::Interrupted(_)) => error.into(),
            Error::Assert(message) => Error::Assert(format!("{what}: {message}")),
            error => Error::Refused(format!("{what}: {error}")),
        }
    }

    /// The same error as a mistake at a place of the line; failures of the device and interruptions stay what they are.
    #[must_use]
    pub fn at(self, span: Span) -> Error {
        match self {
            Error::Tensor(error) if error.is_fault() || matches!(error, TensorError::Interrupted(_)) => error.into(),
            error @ (Error::At(_) | Error::Assert(_)) => error,
            error => Error::At(LangError::new(error.to_string(), span)),
        }
    }

    /// The failed operation on tensors behind it, if there is one: also behind a mistake in an expression.
    pub fn cause(&self) -> Option<&TensorError> {
        match self {
            Error::Tensor(error) => Some(error),
            Error::At(error) => error.cause.as_deref(),
            _ => None,
        }
    }
}

impl From<RunError> for Error {
    fn from(error: RunError) -> Error {
        match error {
            RunError::Tensor(error) => Error::Tensor(error),
            error => Error::Run(error),
        }
    }
}

impl From<NoRelevance> for Error {
    fn from(error: NoRelevance) -> Error {
        match error {
            NoRelevance::Tensor(error) => Error::Tensor(error),
            error => Error::Refused(error.to_string()),
        }
    }
}

/// Sentences, and errors of the layers below that are mistakes of whoever asked, whatever their kind.
macro_rules! refused {
    ($($error:ty),*) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Error {
                Error::Refused(error.to_string())
            }
        })*
    };
}

refused!(InputError, LoadError, AdapterError, CompareError, String, &str);

impl From<Error> for Unavailable {
    fn from(error: Error) -> Unavailable {
        match error {
            Error::Tensor(error) => Unavailable::Tensor(error),
            error => Unavailable::Refused(error.to_string()),
        }
    }
}

impl From<Unavailable> for Error {
    fn from(error: Unavailable) -> Error {
        match error {
            Unavailable::Tensor(error) => Error::Tensor(error),
            Unavailable::Refused(message) => Error::Refused(message),
        }
    }
}
