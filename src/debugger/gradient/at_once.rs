//! The same gradients another way: the whole pass on one tape, with a zero added to every value, whose gradients they
//! are.

use std::collections::HashMap;

use super::{Gradients, number_of, ops_of};
use crate::debugger::{Branch, Error, Mark, Result, Session};
use crate::lang::Expr;
use crate::program::{Keep, Program, Values, Visitor};
use crate::tensor::ops::BinaryOp;
use crate::tensor::{Kind, TensorError, Value, step};

impl Session {
    /// Takes the gradient of an expression at all sites of the current pass on one tape. It holds every intermediate of
    /// the pass at once; what it finds is what [`Session::backward`] finds.
    pub fn backward_at_once(&mut self, expr: &Expr, text: &str) -> Result<&Gradients> {
        // What the number is, and all that goes with it.
        let mut found = self.begin_backward(expr, text)?;
        let (program, pass) = (self.run.program.clone(), found.pass);
        if program.first_of(pass) > 0 {
            let why =
                "one tape holds one pass, and the encoder was computed in that of the prompt: leave --at-once out";
            return Err(Error::refused(why));
        }
        let read = ops_of(self, expr);
        let last = found.reached;
        let branch = &mut self.run.branches[self.run.current];
        // Columns of earlier passes are read, and not followed.
        let mut earlier = HashMap::new();
        for &op in program.ops[..=last].iter().flat_map(|op| &op.cached) {
            if let Some(columns) = branch.cached(&program, op, pass)? {
                earlier.insert(op, columns);
            }
        }
        let states = branch.states_for(&program, pass, &(0..=last).collect::<Vec<_>>())?;
        found.cut |= !earlier.is_empty() || !states.is_empty();
        let branch = self.run.branch();
        let mut tape = Tape { program: &program, branch, pass, last, earlier, states, probes: HashMap::new() };
        let taped = branch.replay(&program, pass).run(0..=last, Values::new(), Keep::All, &mut tape)?;
        let probes = tape.probes;
        let given = read.iter().map(|&op| (op, taped[&op].clone())).collect();
        let number = number_of(self, expr, &given, self.focus.row)?;
        let one = Value::from_f32(vec![1.0], &[1], &number.device());
        let pulled = number.pull(&one).ok_or("nothing to follow back")?;
        for (op, probe) in &probes {
            if let Some(gradient) = pulled.at(probe) {
                let origin = taped[op].origin().map(<[usize]>::to_vec);
                found.values.set(*op, gradient.with_axes(&program.ops[*op].axes).with_origin(origin));
            }
        }
        found.reached = 0;
        Ok(self.gradients.insert(found))
    }
}

/// A pass all of whose values are on one tape.
struct Tape<'a> {
    program: &'a Program,
    branch: &'a Branch,
    pass: usize,
    last: usize,
    /// What attention reads of ops besides their values in this pass.
    earlier: HashMap<usize, Value>,
    /// The states that ops carry on from.
    states: Values,
    /// The zeros that were added.
    probes: HashMap<usize, Value>,
}

impl Visitor for Tape<'_> {
    type Error = TensorError;

    fn read(&mut self, reader: usize, input: usize, value: Value) -> Result<Value, TensorError> {
        let cached = self.program.ops[reader].cached.contains(&input);
        match self.earlier.get(&input).filter(|_| cached) {
            Some(earlier) => Ok(Value::concat(&[earlier.clone(), value], 1)?.with_axes(earlier.axes())),
            None => Ok(value),
        }
    }

    fn carried(&mut self, _: usize, op: usize) -> Result<Option<Value>, TensorError> {
        Ok(self.states.get(&op).cloned())
    }

    fn made(&mut self, op: usize, value: Value) -> Result<Value, TensorError> {
        step(&self.program.ops[op].site, op as u64 + 1, self.last as u64 + 1)?;
        let start = self.branch.span(self.pass).start;
        let value = self.branch.edited(Mark { pass: self.pass, op }, value.beginning_at(start))?;
        if value.kind() != Kind::Float {
            return Ok(value);
        }
        let probe = value.untracked().full_like(0.0).leaf();
        self.probes.insert(op, probe.clone());
        let (axes, origin) = (value.axes().to_vec(), value.origin().map(<[usize]>::to_vec));
        Ok(value.binary(BinaryOp::Add, &probe)?.with_axes(&axes).with_origin(origin))
    }
}
