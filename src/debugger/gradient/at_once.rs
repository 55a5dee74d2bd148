//! The same gradients another way: the whole pass on one tape, with a zero added to every value, whose gradients they are.

use std::collections::HashMap;

use super::super::mark::Mark;
use super::super::session::Session;
use super::{Gradients, number_of, ops_of};
use crate::debugger::error::{Error, Result};
use crate::lang::Expr;
use crate::program::execute;
use crate::tensor::ops::{BinaryOp, Slice};
use crate::tensor::{Kind, Value, step};

impl Session {
    /// Takes the gradient of an expression at all sites of the current pass on one tape. It holds every intermediate of the pass
    /// at once; what it finds is what [`Session::backward`] finds.
    ///
    /// # Errors
    /// As [`Session::backward`].
    pub fn backward_at_once(&mut self, expr: &Expr, text: &str) -> Result<&Gradients> {
        // What the number is, and all that goes with it.
        let mut found = self.begin_backward(expr, text)?;
        let (program, pass, current) = (self.run.program.clone(), found.pass, self.run.current);
        let read = ops_of(self, expr);
        let last = found.reached;
        let mut probes: HashMap<usize, Value> = HashMap::new();
        let mut taped: Vec<Value> = Vec::with_capacity(last + 1);
        for op in 0..=last {
            step(&program.ops[op].site, op as u64, last as u64 + 1)?;
            let at = Mark { pass, op };
            let branch = &mut self.run.branches[current];
            let mut inputs = branch.inputs(&program, at)?;
            let start = branch.span(pass).start;
            for (&input, value) in program.ops[op].inputs.iter().zip(&mut inputs) {
                let own = taped[input].clone();
                *value = match program.ops[op].cached.contains(&input) && start > 0 {
                    // Columns of earlier passes are not followed.
                    true => {
                        found.cut = true;
                        let earlier = Slice::Range { start: 0, end: start, step: 1 };
                        Value::concat(&[value.slice(&[Slice::All, earlier])?, own], 1)?.with_axes(value.axes())
                    }
                    false => own,
                };
            }
            let value = execute(&program.ops[op], &inputs, branch.weights(), branch.context(pass))?;
            let value = branch.edited(at, value.beginning_at(start))?;
            taped.push(match value.kind() {
                Kind::Float => {
                    let probe = value.untracked().full_like(0.0).leaf();
                    probes.insert(op, probe.clone());
                    let (axes, origin) = (value.axes().to_vec(), value.origin().map(<[usize]>::to_vec));
                    value.binary(BinaryOp::Add, &probe)?.with_axes(&axes).with_origin(origin)
                }
                _ => value,
            });
        }
        let given = read.iter().map(|&op| (op, taped[op].clone())).collect();
        let number = number_of(self, expr, &given, self.focus.row)?;
        let one = Value::from_f32(vec![1.0], &[1], self.run.device());
        let pulled = number.pull(&one).ok_or_else(|| Error::Refused("nothing to follow back".into()))?;
        for (op, probe) in &probes {
            found.values[*op] = pulled.at(probe).map(|gradient| {
                gradient.with_axes(&program.ops[*op].axes).with_origin(taped[*op].origin().map(<[usize]>::to_vec))
            });
        }
        found.reached = 0;
        Ok(self.gradients.insert(found))
    }
}
