//! Why something was not written to a file.

use std::io;
use std::path::{Path, PathBuf};

use crate::debugger::Error;
use crate::tensor::TensorError;

/// A file that was not written; what was at its place before is still there.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file or folder cannot be written, or not with this content.
    #[error("cannot write {}: {cause}", .path.display())]
    File { path: PathBuf, cause: Cause },
    #[error("{} by {} elements do not fit into {most} pixels: take a part", .shape[0], .shape[1])]
    TooManyPixels {
        shape: [usize; 2],
        /// The most pixels that a side may have.
        most: usize,
    },
    #[error("{rows} rows do not fit into {most} pixels: save FILE.svg or FILE.csv, or show fewer rows")]
    TooManyRows { rows: usize, most: usize },
    #[error("{nodes} nodes do not fit into {most} pixels: save FILE.svg, or attribute fewer neurons")]
    TooManyNodes { nodes: usize, most: usize },
    /// There is nothing to draw.
    #[error(transparent)]
    Png(#[from] png::EncodingError),
    /// The user interrupted before anything was written.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

#[derive(Debug, thiserror::Error)]
pub enum Cause {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The tensors do not fit the format.
    #[error(transparent)]
    Safetensors(#[from] safetensors::SafeTensorError),
    /// The configuration does not fit the format.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error("{name}: {error}")]
    Tensor { name: String, error: Box<TensorError> },
    /// The request makes no such file.
    #[error("{0}")]
    Refused(String),
}

impl Cause {
    pub fn at(self, path: &Path) -> ExportError {
        ExportError::File { path: path.to_path_buf(), cause: self }
    }
}

impl From<String> for Cause {
    fn from(message: String) -> Cause {
        Cause::Refused(message)
    }
}

impl From<&str> for Cause {
    fn from(message: &str) -> Cause {
        Cause::Refused(message.to_string())
    }
}

impl ExportError {
    /// The failed operation on tensors, if that is what went wrong: the device failed, or the user interrupted.
    pub fn tensor(&self) -> Option<&TensorError> {
        match self {
            ExportError::Tensor(error) => Some(error),
            ExportError::File { cause: Cause::Tensor { error, .. }, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<ExportError> for String {
    fn from(error: ExportError) -> String {
        error.to_string()
    }
}

impl From<ExportError> for Error {
    fn from(error: ExportError) -> Error {
        match error.tensor() {
            Some(cause) => Error::Tensor(cause.clone()),
            None => Error::Refused(error.to_string()),
        }
    }
}
