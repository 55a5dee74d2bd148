//! What can go wrong while a tokenizer is read or used.

use serde::{Deserialize, Serialize};
use tokenizers::Error as LibraryError;

use crate::model::error::LoadError;
use crate::model::sandbox::Ended;

/// Why a tokenizer cannot be read or does not answer. It passes between processes, so it holds the words of other
/// errors rather than the errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum TokenizerError {
    /// What the tokenizers library says, or this program instead of it.
    #[error("{0}")]
    Refused(String),
    #[error("the tokenizers library cannot go on: {0}")]
    Panicked(String),
    #[error("{0}")]
    NotStarted(String),
    #[error("it was stopped: {0}; its file is broken or hostile, or the text is very long")]
    Stopped(String),
    #[error("it is not running")]
    NotRunning,
    #[error("it failed before")]
    FailedBefore,
    #[error("the tokenizer answered a different request")]
    OtherAnswer,
    #[error("token {id} has {bytes} bytes, and at most {most} are read")]
    LongToken { id: u32, bytes: usize, most: usize },
    #[error("its tokens have {bytes} bytes, more than {most}")]
    LongText { bytes: usize, most: usize },
}

impl TokenizerError {
    /// The same as an error of loading the file `path`.
    pub(super) fn of_file(&self, path: &str) -> LoadError {
        LoadError::Tokenizer { path: path.to_owned(), message: self.to_string() }
    }
}

impl From<LibraryError> for TokenizerError {
    fn from(error: LibraryError) -> TokenizerError {
        TokenizerError::Refused(error.to_string())
    }
}

impl From<serde_json::Error> for TokenizerError {
    fn from(error: serde_json::Error) -> TokenizerError {
        TokenizerError::Refused(error.to_string())
    }
}

impl From<Ended> for TokenizerError {
    fn from(ended: Ended) -> TokenizerError {
        match ended {
            Ended::NotStarted(_) => TokenizerError::NotStarted(ended.to_string()),
            _ => TokenizerError::Stopped(ended.to_string()),
        }
    }
}
