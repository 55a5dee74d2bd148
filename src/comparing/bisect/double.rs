//! One op in 64 bits, on the CPU: what is left of a difference there is not rounding.

use super::{Live, Stretch};
use crate::debugger::{Error, Result};
use crate::model::spec::ModelSpec;
use crate::model::{Input, Weights};
use crate::program::{Context, Op, Program, execute, shape_of};
use crate::tensor::{Device, Kind, Precision, Value, proceed};

/// What ops in 64 bits read besides their inputs.
pub struct Double<'a> {
    weights: &'a Weights,
    context: Context,
    input: &'a Input,
    device: Device,
}

impl<'a> Double<'a> {
    pub fn new(spec: &ModelSpec, weights: &'a Weights, input: &'a Input) -> Double<'a> {
        let device = Device::cpu();
        let context = Context::new(spec, input, 0..input.length(), &(&device).into()).in_double();
        Double { weights, context, input, device }
    }

    /// What an op gives in 64 bits.
    pub fn of(&self, op: &Op, inputs: &[Value]) -> Result<Vec<f64>> {
        let value = self.executed(op, inputs, self.weights, &self.context)?;
        Ok(value.read_f64()?)
    }

    /// What the last op of a stretch gives if all of it is computed in 64 bits.
    pub fn of_stretch(&self, stretch: &Stretch<'_>) -> Result<Vec<f64>> {
        let mut failed = None;
        let last = stretch.again((self.weights, &self.context), &|_| true, &mut |_, op, inputs| {
            let value = self.executed(op, inputs, self.weights, &self.context);
            value.map_err(|error| failed = Some(error)).ok()
        });
        match (last, failed) {
            (Some(last), _) => Ok(last.read_f64()?),
            (None, Some(failed)) => Err(failed),
            (None, None) => Err(proceed().err().map_or_else(|| "nothing was computed".into(), Error::from)),
        }
    }

    /// What the op that a stretch ends in gives on the other side, if it reads there what it reads here, and the other
    /// side's values of that are known.
    pub fn of_other(&self, live: &Live, stretch: &Stretch<'_>) -> Option<Vec<f64>> {
        let (program, last) = (stretch.program(), stretch.last());
        if stretch.ops().count() > 1 {
            return None;
        }
        let op = &program.ops[last];
        let other = &live.program.ops[live.program.op_of(&op.site)?];
        let name = |program: &Program, input: usize| program.ops[input].site.clone();
        let theirs = other.inputs.iter().map(|&input| name(&live.program, input));
        if !op.inputs.iter().map(|&input| name(program, input)).eq(theirs) {
            return None;
        }
        if self.input.rows.iter().flat_map(|row| &row.ids).any(|id| *id as usize >= live.spec.vocab) {
            return None;
        }
        let context =
            Context::new(&live.spec, self.input, 0..self.input.length(), self.context.placement()).in_double();
        // Heads may be divided differently there.
        let span = 0..self.input.length();
        let laid = |(at, value): (usize, Value)| {
            let source = self.input.source_length();
            let shape = shape_of(&live.program.ops[other.inputs[at]], 1, span.clone(), source);
            value.reshape(&shape).ok().map(|laid| laid.with_axes(value.axes()))
        };
        let inputs: Vec<Value> = stretch.inputs(last).into_iter().enumerate().map(laid).collect::<Option<_>>()?;
        self.executed(other, &inputs, &live.weights, &context).ok()?.read_f64().ok()
    }

    fn executed(&self, op: &Op, inputs: &[Value], weights: &Weights, context: &Context) -> Result<Value> {
        let wide = |value: &Value| -> Result<Value> {
            Ok(match value.kind() {
                Kind::Float => Value::from_f64(value.read_f64()?, value.shape(), &self.device),
                _ => Value::from_i64(value.read_i64()?, value.shape(), &self.device),
            }
            .with_axes(value.axes()))
        };
        let mut all = weights.computing_in(Precision::F32);
        for &id in &op.weights {
            all = all.standing_in(id, &wide(&weights.value(id)?)?);
        }
        let inputs: Vec<Value> = inputs.iter().map(wide).collect::<Result<_, _>>()?;
        Ok(execute(op, &inputs, &all, context)?)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::debugger::{Mark, Session, Settings};
    use crate::model::{ModelSource, load};

    /// Every op of every fixture in 64 bits is the op in 32, within the rounding of a few hundred products.
    #[test]
    fn ops_in_64_bits_are_those_in_32_without_their_rounding() {
        let fixtures = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/models"));
        let device = Device::cpu();
        let mut ops = 0;
        for entry in std::fs::read_dir(fixtures).unwrap() {
            let path = entry.unwrap().path();
            let Ok(model) = load(&ModelSource::Path(path.clone()), &device) else { continue };
            let ids = (0..9u32).map(|i| (i * 7 + 3) % model.spec.vocab as u32).collect();
            let input = Input::from_tokens(&model, vec![ids]).unwrap();
            let settings = Settings { record_budget: 1 << 30 };
            let mut session = Session::new(model, input.clone(), &settings, Default::default());
            session.run.restart();
            while !session.run.at_end() {
                session.run.advance().unwrap();
            }
            let program = session.run.program.clone();
            let (spec, weights) = (session.run.model.spec.clone(), session.run.branch().weights().clone());
            let double = Double::new(&spec, &weights, &input);
            for (number, op) in program.ops.iter().enumerate() {
                let mut value = |op| session.run.value_at(Mark { pass: 0, op }).unwrap();
                let single = value(number);
                if single.kind() != Kind::Float {
                    continue;
                }
                let inputs: Vec<Value> = op.inputs.iter().map(|&input| value(input)).collect();
                let exact = double.of(op, &inputs).unwrap();
                let left = crate::tensor::relative_rms(&single.read_f64().unwrap(), &exact);
                assert!(left < 2e-6, "{} {}: {left}", path.display(), op.site);
                ops += 1;
            }
        }
        assert!(ops > 1500, "{ops}");
    }
}
