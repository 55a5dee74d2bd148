//! The pass of the prompt, for what works there and in no other pass.

use super::{Error, Mark, Result, Run, Session};
use crate::model::Input;
use crate::program::Context;
use crate::tensor::ops::Slice;
use crate::tensor::{TensorError, Value};

/// The pass of the prompt as the focused row sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromptPass {
    pub row: usize,
}

impl Session {
    /// The pass of the prompt.
    ///
    /// # Errors
    /// If the cursor is in another pass.
    pub fn prompt_pass(&self) -> Result<PromptPass> {
        if self.run.pass > 0 {
            return Err(Error::refused("this works in the pass of the prompt: go back with \"goto #0\""));
        }
        Ok(PromptPass { row: self.focus.row })
    }
}

impl PromptPass {
    /// The value of an op before the cursor, for the row: `[1, ...]`.
    pub fn value(self, run: &mut Run, op: usize) -> Result<Value> {
        Ok(row_of(&run.value_at(Mark { pass: 0, op })?, self.row)?)
    }

    /// The same wherever the cursor is.
    pub fn peek(self, run: &mut Run, op: usize) -> Result<Value> {
        Ok(row_of(&run.peek(op)?, self.row)?)
    }

    /// The prompt of `copies` rows, each of which is the row.
    pub fn input(self, run: &Run, copies: usize) -> Result<Input> {
        let prompt = run.branch().prompt();
        let row = prompt.rows.get(self.row).cloned().ok_or_else(|| format!("there is no row {}", self.row))?;
        Ok(prompt.with_rows(&run.model, vec![row; copies])?)
    }

    /// What the ops of a pass over [`input`](PromptPass::input) read besides values and weights.
    pub fn context(self, run: &Run, copies: usize) -> Result<Context> {
        Ok(run.context_of(&self.input(run, copies)?))
    }
}

/// One row of a value for all rows: `[1, ...]`, with all of its elements.
///
/// # Errors
/// If there is no such row, or it is in pieces and there is no room for all of it.
pub fn row_of(value: &Value, row: usize) -> Result<Value, TensorError> {
    let part = value.slice(&[Slice::Range { start: row, end: row + 1, step: 1 }])?.held()?;
    Ok(part.with_axes(value.axes()).with_origin(None))
}
