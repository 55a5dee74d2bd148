//! Backwards through a program: what the output of an op is worth to a number, summed over the ops that read it.

use std::collections::HashMap;

use super::{After, NoRelevance, Replay, pull_back, pull_relevance};
use crate::tensor::ops::BinaryOp;
use crate::tensor::{TensorError, Value};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    #[default]
    Gradient,
    /// What gives relevance when it is multiplied by the value, by the rules of AttnLRP.
    Relevance,
}

/// Gradients by op. The gradient of an op is whole when all ops that read it have been pulled back.
#[derive(Clone, Default)]
pub struct OpGradients {
    by_op: HashMap<usize, Value>,
}

impl OpGradients {
    /// The gradient at an op; `None` if the number does not depend on it.
    pub fn get(&self, op: usize) -> Option<&Value> {
        self.by_op.get(&op)
    }

    /// Takes the gradient of an op out, so that its memory is free when it has been used.
    pub fn take(&mut self, op: usize) -> Option<Value> {
        self.by_op.remove(&op)
    }

    pub fn set(&mut self, op: usize, gradient: Value) {
        self.by_op.insert(op, gradient);
    }

    /// Adds to the gradient of an op what one more reader of it gives. The sum has the axes and the origin of `more`.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn add(&mut self, op: usize, more: Value) -> Result<(), TensorError> {
        let sum = match self.by_op.remove(&op) {
            Some(sum) => {
                let (axes, origin) = (more.axes().to_vec(), more.origin().map(<[usize]>::to_vec));
                sum.binary(BinaryOp::Add, &more)?.with_axes(&axes).with_origin(origin)
            }
            None => more,
        };
        self.set(op, sum);
        Ok(())
    }
}

impl FromIterator<(usize, Value)> for OpGradients {
    fn from_iter<T: IntoIterator<Item = (usize, Value)>>(gradients: T) -> OpGradients {
        OpGradients { by_op: gradients.into_iter().collect() }
    }
}

impl Replay<'_> {
    /// Pulls the gradient at an op, which must be whole, back to the ops that it read. `inputs` are what it read,
    /// `after` what edits make of its output. `onto` is given each input with what is pulled back to it, and returns
    /// what counts of that: `None` if the op is not followed. Nothing happens where the number does not depend on the
    /// op.
    ///
    /// # Errors
    /// If there is no rule for the op, the device fails, an edit does not fit, or the user interrupts.
    pub fn pull(
        &self,
        number: usize,
        inputs: &[Value],
        after: Option<After<'_>>,
        rule: Rule,
        pulled: &mut OpGradients,
        mut onto: impl FnMut(usize, Value) -> Result<Option<Value>, TensorError>,
    ) -> Result<(), NoRelevance> {
        let Some(seed) = pulled.get(number).cloned() else { return Ok(()) };
        let (op, weights, context) = (&self.program.ops[number], self.weights, self.context);
        let found = match rule {
            Rule::Gradient => pull_back(op, inputs, weights, context, after, &seed)?,
            Rule::Relevance => pull_relevance(op, inputs, weights, context, after, &seed)?,
        };
        for (&input, gradient) in op.inputs.iter().zip(found) {
            let Some(gradient) = gradient else { continue };
            if let Some(gradient) = onto(input, gradient)? {
                pulled.add(input, gradient)?;
            }
        }
        Ok(())
    }
}
