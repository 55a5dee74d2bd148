//! Why a command failed.

use crate::analysis::circuits::NoSpectrum;
use crate::answer::{ErrorView, Fault};
use crate::debugger::params::ParamError;
use crate::debugger::{NoGradient, RunError};
use crate::lang::{LangError, explained};
use crate::tensor::TensorError;

/// Why a command failed. Nothing was changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Fail {
    /// A mistake at a place of the line.
    At(LangError),
    /// Something else, in a sentence or two.
    Because(String),
    /// An `assert` did not hold.
    Assert(String),
    /// The device failed.
    Device(String),
}

impl Fail {
    /// A failure in words.
    pub fn because(message: impl Into<String>) -> Fail {
        Fail::Because(message.into())
    }

    /// As it is shown, with the place underlined in `line`.
    pub fn view(&self, line: &str) -> ErrorView {
        match self {
            Fail::At(error) => {
                ErrorView { message: explained(line, error), column: Some(error.column(line)), ..ErrorView::default() }
            }
            Fail::Because(message) => ErrorView { message: message.clone(), ..ErrorView::default() },
            Fail::Assert(message) => {
                ErrorView { message: message.clone(), fault: Fault::Assert, ..ErrorView::default() }
            }
            Fail::Device(message) => {
                ErrorView { message: message.clone(), fault: Fault::Model, ..ErrorView::default() }
            }
        }
    }
}

impl From<LangError> for Fail {
    fn from(error: LangError) -> Fail {
        Fail::At(error)
    }
}

impl From<NoGradient> for Fail {
    fn from(error: NoGradient) -> Fail {
        match error {
            NoGradient::At(error) => Fail::At(error),
            NoGradient::Because(message) => Fail::Because(message),
        }
    }
}

impl From<TensorError> for Fail {
    fn from(error: TensorError) -> Fail {
        match error {
            TensorError::Read { .. } | TensorError::Device { .. } | TensorError::TooBig { .. } => {
                Fail::Device(error.to_string())
            }
            error => Fail::Because(error.to_string()),
        }
    }
}

impl From<NoSpectrum> for Fail {
    fn from(error: NoSpectrum) -> Fail {
        match error {
            NoSpectrum::Tensor(error) => error.into(),
            error => Fail::Because(error.to_string()),
        }
    }
}

impl From<RunError> for Fail {
    fn from(error: RunError) -> Fail {
        match error {
            RunError::Tensor(error) => error.into(),
            error => Fail::Because(error.to_string()),
        }
    }
}

impl From<ParamError> for Fail {
    fn from(error: ParamError) -> Fail {
        match error {
            ParamError::Tensor(error) => error.into(),
            error => Fail::Because(error.to_string()),
        }
    }
}
