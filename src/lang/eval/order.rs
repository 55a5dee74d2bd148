//! Functions along an axis that keep it: softmax, running sums, and functions that order elements.

use super::evaluator::Evaluator;
use super::functions::Bound;
use super::{At, Datum};
use crate::lang::{LangError, Result};
use crate::tensor::{Axis, TensorError, Value};

impl Evaluator<'_> {
    /// A function along the axis of the second argument, or the last one.
    pub fn along(&mut self, call: &Bound<'_>, f: fn(&Value, usize) -> Result<Value, TensorError>) -> Result<Datum> {
        let x = self.value(call.required(0))?;
        let axis = self.axis_or_last(call.optional(1), &x, call)?;
        f(&x, axis).at(call.span).map(Datum::Tensor)
    }

    pub fn sort(&mut self, call: &Bound<'_>) -> Result<Datum> {
        self.ordered_on_host(call)?;
        self.along(call, Value::sort)
    }

    pub fn topk(&mut self, call: &Bound<'_>) -> Result<Datum> {
        self.ordered_on_host(call)?;
        let x = self.value(call.required(0))?;
        let axis = self.axis_or_last(None, &x, call)?;
        let wanted = call.required(1);
        let k = self.eval(wanted)?.integer(wanted.span)?;
        let len = x.shape()[axis];
        if k < 1 || k > len as i64 {
            let message = format!("topk: k is {k}, the last axis of {} has {len} elements", x.shape_text());
            return Err(LangError::new(message, wanted.span));
        }
        let mut top = Vec::new();
        let of_lines = |block: &Value| -> Result<(), TensorError> {
            for line in lines(block, block.shape().len() - 1)? {
                top.extend(line.topk(k as usize)?.values.into_iter().map(|v| v as f32));
            }
            Ok(())
        };
        let mut of_lines = of_lines;
        match x.is_in_pieces() {
            true => x.for_blocks(|_, _, block| of_lines(&block)),
            false => of_lines(&x),
        }
        .at(call.span)?;
        let (mut shape, mut axes) = (x.shape().to_vec(), x.axes().to_vec());
        shape[axis] = k as usize;
        axes[axis] = Axis::None;
        Ok(Datum::Tensor(Value::from_f32(top, &shape, &x.device()).with_axes(&axes)))
    }

    pub fn quantile(&mut self, call: &Bound<'_>) -> Result<Datum> {
        self.ordered_on_host(call)?;
        let x = self.value(call.required(0))?;
        let (q, span) = (self.eval(call.required(1))?.number(call.required(1).span)?, call.required(1).span);
        if !(0.0..=1.0).contains(&q) {
            return Err(LangError::new(format!("quantile: q is {q}; it must be between 0 and 1"), span));
        }
        let axis = call.optional(2).map(|axis| self.axis(axis, &x)).transpose()?;
        let Some(axis) = axis.filter(|_| x.shape().len() > 1) else {
            return x.quantile(q).at(call.span).map(Datum::Num);
        };
        let last = x.shape().len() - 1;
        let order: Vec<usize> = (0..=last).filter(|&i| i != axis).chain([axis]).collect();
        let mut found = Vec::new();
        for line in lines(&x.held().at(call.span)?.permute(&order), last).at(call.span)? {
            found.push(line.quantile(q).at(call.span)?);
        }
        Ok(Datum::Tensor(x.of_lines(found, axis)))
    }

    /// Refuses if a gradient will be taken.
    pub fn ordered_on_host(&self, call: &Bound<'_>) -> Result<()> {
        if !self.scope.tracked() {
            return Ok(());
        }
        Err(LangError::new(format!("{} orders elements and has no gradient", call.function.name), call.span))
    }
}

/// The lines of a value along its last axis, read once.
fn lines(x: &Value, last: usize) -> Result<Vec<Value>, TensorError> {
    let len = x.shape()[last];
    if len == 0 {
        return Ok(Vec::new());
    }
    let host = crate::tensor::Device::cpu();
    let data = x.read_f32()?;
    Ok(data.chunks(len).map(|line| Value::from_f32(line.to_vec(), &[len], &host)).collect())
}

#[cfg(test)]
mod tests {
    use crate::lang::eval::testing::{fails, near, num, numbers};

    #[test]
    fn softmax_along_any_axis() {
        let total: f64 = [1.0f64, -2.0, 3.0].iter().map(|x| x.exp()).sum();
        near("softmax(v)", &[1f64.exp() / total, (-2f64).exp() / total, 3f64.exp() / total]);
        near("log_softmax(v)", &[1.0 - total.ln(), -2.0 - total.ln(), 3.0 - total.ln()]);
        near("sum(softmax(m, pos), pos)", &[1.0, 1.0, 1.0]);
        near("softmax(m, pos)[1]", &[1.0 / (1.0 + (-3f64).exp()); 3]);
        assert!(fails("softmax(1)").message.contains("at least one axis"));
    }

    #[test]
    fn running_sums() {
        assert_eq!(numbers("cumsum(v)"), [1.0, -1.0, 2.0]);
        assert_eq!(numbers("cumsum(m, pos)"), [1.0, 2.0, 3.0, 5.0, 7.0, 9.0]);
    }

    #[test]
    fn order() {
        assert_eq!(numbers("sort(v)"), [-2.0, 1.0, 3.0]);
        assert_eq!(numbers("sort(-m, pos)"), [-4.0, -5.0, -6.0, -1.0, -2.0, -3.0]);
        assert_eq!(numbers("topk(v, 2)"), [3.0, 1.0]);
        assert_eq!(numbers("topk(m, 1)"), [3.0, 6.0]);
        assert_eq!(num("topk(odd, 1)[0]"), f64::INFINITY);
        assert_eq!(fails("topk(v, 4)").message, "topk: k is 4, the last axis of [dim=3] has 3 elements");
    }

    #[test]
    fn quantiles_are_linear_between_elements() {
        assert_eq!(num("quantile(m, 0.5)"), 3.5);
        assert_eq!(num("quantile(v, 0)"), -2.0);
        assert_eq!(num("quantile(v, 0.75)"), 2.0);
        assert_eq!(numbers("quantile(m, 0.5, pos)"), [2.5, 3.5, 4.5]);
        assert_eq!(numbers("quantile(m, 0.5, axis=dim)"), [2.0, 5.0]);
        assert!(num("quantile(odd, 0.5)").is_nan());
        assert!(fails("quantile(v, 2)").message.contains("between 0 and 1"));
    }
}
