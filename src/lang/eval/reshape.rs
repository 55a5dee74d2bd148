//! Functions that move elements without changing them.

use super::evaluator::Evaluator;
use super::functions::Bound;
use super::reduce::bare_name;
use super::{At, Datum};
use crate::lang::{ExprKind, LangError, Result};
use crate::tensor::{Axis, Value};

impl Evaluator<'_> {
    pub fn shape(&mut self, call: &Bound<'_>) -> Result<Datum> {
        let x = self.value(call.required(0))?;
        if x.shape().is_empty() {
            return Err(LangError::new("a scalar has no axes", call.required(0).span));
        }
        let lengths: Vec<i64> = x.shape().iter().map(|&n| n as i64).collect();
        Ok(Datum::Tensor(Value::from_i64(lengths, &[x.shape().len()], &x.device())))
    }

    pub fn transpose(&mut self, call: &Bound<'_>) -> Result<Datum> {
        let x = self.value(call.required(0))?.held().at(call.span)?;
        Ok(Datum::Tensor(x.transpose()))
    }

    pub fn reshape(&mut self, call: &Bound<'_>) -> Result<Datum> {
        let x = self.value(call.required(0))?;
        let mut lengths = Vec::new();
        let mut inferred = None;
        for (i, expr) in std::iter::once(call.required(1)).chain(call.more.iter().copied()).enumerate() {
            match self.eval(expr)?.integer(expr.span)? {
                -1 if inferred.is_none() => {
                    inferred = Some(i);
                    lengths.push(1);
                }
                n if n >= 1 => lengths.push(n as usize),
                n => {
                    let message = format!("reshape: {n} is not a length; one length may be -1");
                    return Err(LangError::new(message, expr.span));
                }
            }
        }
        let known = lengths.iter().try_fold(1usize, |all, &n| all.checked_mul(n));
        let Some(known) = known else { return Err(LangError::new("reshape: these lengths are too large", call.span)) };
        if let Some(i) = inferred {
            if x.count() % known != 0 {
                let message =
                    format!("reshape: {} with {} elements cannot be divided by {known}", x.shape_text(), x.count());
                return Err(LangError::new(message, call.span));
            }
            lengths[i] = x.count() / known;
        }
        x.reshape(&lengths).at(call.span).map(Datum::Tensor)
    }

    /// Joins values; the last argument may be the axis instead.
    pub fn concat(&mut self, call: &Bound<'_>) -> Result<Datum> {
        let mut exprs: Vec<_> =
            [call.required(0), call.required(1)].into_iter().chain(call.more.iter().copied()).collect();
        let names_axis = |e: &crate::lang::ast::Expr| {
            bare_name(e).is_some_and(|n| Axis::parse(n).is_some())
                || matches!(e.kind, ExprKind::Str(_) | ExprKind::Number(_))
        };
        let axis_expr = if exprs.len() > 2 && names_axis(exprs[exprs.len() - 1]) { exprs.pop() } else { None };
        let mut values = Vec::new();
        for expr in &exprs {
            let value = self.value(expr)?;
            // A number is joined to vectors as one more element.
            values.push(if value.shape().is_empty() { value.reshape(&[1]).at(expr.span)? } else { value });
        }
        let axis = axis_expr.map_or(Ok(0), |expr| self.axis(expr, &values[0]))?;
        Value::concat(&values, axis).at(call.span).map(Datum::Tensor)
    }
}

#[cfg(test)]
mod tests {
    use crate::lang::eval::testing::{fails, numbers, shape};

    #[test]
    fn shapes_are_values() {
        assert_eq!(numbers("shape(m)"), [2.0, 3.0]);
        assert_eq!(numbers("shape(L0.attn.pattern)"), [2.0, 4.0, 4.0]);
        assert_eq!(fails("shape(3)").message, "a scalar has no axes");
    }

    #[test]
    fn transposing_and_reshaping() {
        assert_eq!(numbers("transpose(m)"), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(shape("transpose(L0.attn.z)"), [4, 2, 2]);
        assert_eq!(shape("reshape(m, 3, 2)"), [3, 2]);
        assert_eq!(shape("reshape(m, -1)"), [6]);
        assert_eq!(numbers("reshape(m, 3, -1)[1]"), [3.0, 4.0]);
        assert_eq!(fails("reshape(m, 4)").message, "reshape: [pos=2, dim=3] has 6 elements, [4] needs 4");
        assert!(fails("reshape(m, 4, -1)").message.contains("cannot be divided by 4"));
        assert!(fails("reshape(m, 0)").message.contains("is not a length"));
        assert!(fails("reshape(m, -1, -1)").message.contains("is not a length"));
    }

    #[test]
    fn joining() {
        assert_eq!(numbers("concat(v, v)"), [1.0, -2.0, 3.0, 1.0, -2.0, 3.0]);
        assert_eq!(numbers("concat(1, v)"), [1.0, 1.0, -2.0, 3.0]);
        assert_eq!(shape("concat(m, m, dim)"), [2, 6]);
        assert_eq!(shape("concat(m, m, m, axis=dim)"), [2, 9]);
        assert_eq!(shape("concat(m, m, 1)"), [2, 6]);
        assert_eq!(shape("concat(m, m)"), [4, 3]);
        assert!(fails("concat(m, v)").message.contains("do not fit together"));
    }
}
