//! Functions of many elements: to one number, or along an axis, which is removed.

use super::arithmetic::numbers;
use super::evaluator::Evaluator;
use super::functions::Bound;
use super::{At, Datum};
use crate::lang::{Expr, ExprKind, LangError, Result, SiteRef, Span};
use crate::tensor::ops::{BinaryOp, Pairing, Reduction, UnaryOp};
use crate::tensor::{Axis, Kind, TensorError, Value};

impl Evaluator<'_> {
    /// The axis an argument names: by name, by a string, or by number.
    pub fn axis(&mut self, expr: &Expr, value: &Value) -> Result<usize> {
        let name = match (&expr.kind, bare_name(expr)) {
            (_, Some(name)) => name.to_string(),
            (ExprKind::Str(name), _) => name.clone(),
            _ => self.eval(expr)?.integer(expr.span)?.to_string(),
        };
        value.axis(&name).at(expr.span)
    }

    /// The axis that an argument names, the last one without it.
    pub fn axis_or_last(&mut self, expr: Option<&Expr>, value: &Value, call: &Bound<'_>) -> Result<usize> {
        match expr {
            Some(expr) => self.axis(expr, value),
            None => value.shape().len().checked_sub(1).ok_or_else(|| {
                LangError::new(format!("{} needs a value with at least one axis", call.function.name), call.span)
            }),
        }
    }

    /// As [`reduced`], but the result stays a tensor if a gradient will be taken.
    pub fn reduce(&self, op: Reduction, x: &Value, axis: Option<usize>, span: Span) -> Result<Datum> {
        if self.scope.tracked() {
            return super::tracked::reduce(op, x, axis).at(span).map(Datum::Tensor);
        }
        reduced(op, x, axis, span)
    }

    pub fn reduction(&mut self, call: &Bound<'_>, op: Reduction) -> Result<Datum> {
        let x = call.required(0);
        match self.eval(x)? {
            Datum::Tensor(value) => {
                let axis = call.optional(1).map(|axis| self.axis(axis, &value)).transpose()?;
                self.reduce(op, &value, axis, x.span)
            }
            datum => {
                let n = datum.number(x.span)?;
                Ok(Datum::Num(match op {
                    Reduction::Var | Reduction::Std if n.is_finite() => 0.0,
                    Reduction::Var | Reduction::Std => f64::NAN,
                    Reduction::AbsMax | Reduction::Norm => n.abs(),
                    _ => n,
                }))
            }
        }
    }

    /// `min` and `max`: a reduction, unless the second argument is a value and not an axis.
    pub fn extreme(&mut self, call: &Bound<'_>, op: Reduction) -> Result<Datum> {
        let (a, Some(b)) = (call.required(0), call.optional(1)) else { return self.reduction(call, op) };
        if bare_name(b).is_some_and(|name| Axis::parse(name).is_some()) || matches!(b.kind, ExprKind::Str(_)) {
            return self.reduction(call, op);
        }
        let (left, right) = (self.eval(a)?, self.eval(b)?);
        let extreme = if op == Reduction::Min { BinaryOp::Min } else { BinaryOp::Max };
        match (&left, &right) {
            (Datum::Tensor(value), Datum::Num(_)) if !value.shape().is_empty() => {
                let axis = self.axis(b, value)?;
                self.reduce(op, value, Some(axis), a.span)
            }
            (Datum::Tensor(_), _) | (_, Datum::Tensor(_)) => {
                let (x, y) = self.alike((left, a.span), (right, b.span))?;
                x.binary(extreme, &y).at(call.span).map(Datum::Tensor)
            }
            _ => Ok(numbers(extreme, left.number(a.span)?, right.number(b.span)?)),
        }
    }

    pub fn mean_over(&mut self, call: &Bound<'_>) -> Result<Datum> {
        let x = call.required(0);
        let mut value = self.value(x)?;
        let mut axes = Vec::new();
        for expr in call.optional(1).into_iter().chain(call.more.iter().copied()) {
            let axis = self.axis(expr, &value)?;
            if axes.contains(&axis) {
                return Err(LangError::new("this axis is given twice", expr.span));
            }
            axes.push(axis);
        }
        axes.sort_unstable();
        let mut result = Datum::Tensor(value.clone());
        for axis in axes.into_iter().rev() {
            result = self.reduce(Reduction::Mean, &value, Some(axis), x.span)?;
            if let Datum::Tensor(left) = &result {
                value = left.clone();
            }
        }
        Ok(result)
    }

    pub fn arg_extreme(&mut self, call: &Bound<'_>, largest: bool) -> Result<Datum> {
        let x = call.required(0);
        let value = self.value(x)?;
        let axis = call.optional(1).map(|axis| self.axis(axis, &value)).transpose()?;
        match axis {
            Some(axis) if value.shape().len() > 1 => value.arg_extreme(axis, largest).at(x.span).map(Datum::Tensor),
            _ => value.arg_extreme_of_all(largest).at(x.span).map(Datum::Num),
        }
    }

    /// Whether all elements are true; of a bare site, its value for every row.
    pub fn all(&mut self, call: &Bound<'_>) -> Result<Datum> {
        if let (ExprKind::Site(site), None) = (&call.required(0).kind, call.optional(1)) {
            return self.site_with(site, |scope, site| scope.all_rows(site)).map(Datum::Tensor);
        }
        self.quantified(call, Reduction::Min)
    }

    /// Whether the largest or the smallest of some truth values is true.
    pub fn quantified(&mut self, call: &Bound<'_>, op: Reduction) -> Result<Datum> {
        let span = call.required(0).span;
        match self.over_truths(call, op)? {
            Datum::Tensor(found) => found.binary(BinaryOp::Gt, &found.full_like(0.0)).at(span).map(Datum::Tensor),
            found => Ok(Datum::Bool(found.number(span)? > 0.0)),
        }
    }

    /// Evaluates the first argument to truth values, numbers other than 0 being true, and reduces them as floats.
    pub fn over_truths(&mut self, call: &Bound<'_>, op: Reduction) -> Result<Datum> {
        let x = call.required(0);
        let value = self.value(x)?;
        let axis = call.optional(1).map(|axis| self.axis(axis, &value)).transpose()?;
        let truths = match value.kind() {
            Kind::Bool => value,
            _ => value.binary(BinaryOp::Ne, &value.full_like(0.0)).at(x.span)?,
        };
        reduced(op, &truths.to_float(), axis, x.span)
    }

    /// `dot`, `dist` and `cos`.
    pub fn pairing(&mut self, call: &Bound<'_>, op: Pairing) -> Result<Datum> {
        let (a, b, axis) = self.pair(call)?;
        if !self.scope.tracked() {
            return paired(op, (&a, &b), axis, call.span);
        }
        let reduce = |e: &Self, op, x: &Value| e.reduce(op, x, axis, call.span);
        if op == Pairing::Distance {
            let difference = a.binary(BinaryOp::Sub, &b).at(call.span)?;
            return reduce(self, Reduction::Norm, &difference);
        }
        let product = a.binary(BinaryOp::Mul, &b).at(call.span)?;
        let dot = reduce(self, Reduction::Sum, &product)?;
        if op == Pairing::Dot {
            return Ok(dot);
        }
        let (a, b) = (reduce(self, Reduction::Norm, &a)?, reduce(self, Reduction::Norm, &b)?);
        let by_a = self.binary(BinaryOp::Div, (dot, call.span), (a, call.span))?;
        self.binary(BinaryOp::Div, (by_a, call.span), (b, call.span))
    }

    /// Two values of the same shape, and the axis of the third argument.
    pub fn pair(&mut self, call: &Bound<'_>) -> Result<(Value, Value, Option<usize>)> {
        let (a, b) = (self.value(call.required(0))?, self.value(call.required(1))?);
        if a.shape() != b.shape() {
            let message = format!("{}: shapes {} and {} differ", call.function.name, a.shape_text(), b.shape_text());
            return Err(LangError::new(message, call.required(1).span));
        }
        let axis = call.optional(2).map(|axis| self.axis(axis, &a)).transpose()?;
        Ok((a.to_float(), b.to_float(), axis))
    }

    /// `entropy(p)`: an element of 0 adds nothing.
    pub fn entropy(&mut self, call: &Bound<'_>) -> Result<Datum> {
        let p = self.value(call.required(0))?.to_float();
        let axis = self.axis_or_last(call.optional(1), &p, call)?;
        if !self.scope.tracked() {
            return Ok(of_lines(&p, p.entropy(axis).at(call.span)?, Some(axis)));
        }
        let terms = p
            .binary(BinaryOp::Mul, &log_or_zero(&p).at(call.span)?)
            .and_then(|t| t.unary(UnaryOp::Neg))
            .at(call.span)?;
        self.reduce(Reduction::Sum, &terms, Some(axis), call.span)
    }

    /// `kl(p, q)`: an element of p that is 0 adds nothing, whatever that of q is.
    pub fn kl(&mut self, call: &Bound<'_>) -> Result<Datum> {
        let (p, q, _) = self.pair(call)?;
        let axis = self.axis_or_last(call.optional(2), &p, call)?;
        if !self.scope.tracked() {
            return paired(Pairing::Divergence, (&p, &q), Some(axis), call.span);
        }
        let terms = (|| {
            let zero = p.full_like(0.0);
            let nothing = p.binary(BinaryOp::Eq, &zero)?;
            let q = Value::choose(&nothing, &p.full_like(1.0), &q)?;
            p.binary(BinaryOp::Mul, &log_or_zero(&p)?.binary(BinaryOp::Sub, &q.unary(UnaryOp::Log)?)?)
        })();
        self.reduce(Reduction::Sum, &terms.at(call.span)?, Some(axis), call.span)
    }
}

fn paired(op: Pairing, (a, b): (&Value, &Value), axis: Option<usize>, span: Span) -> Result<Datum> {
    Ok(of_lines(a, a.paired(op, b, axis).at(span)?, axis))
}

/// Reduces all of `x`, or one axis of it; the result is a number if no axis is left.
fn reduced(op: Reduction, x: &Value, axis: Option<usize>, span: Span) -> Result<Datum> {
    match axis {
        Some(axis) if x.shape().len() > 1 => x.reduce_axis(op, axis).at(span).map(Datum::Tensor),
        _ => x.reduce(op).at(span).map(Datum::Num),
    }
}

/// Numbers for the lines of `x`: one number if no axis is left.
fn of_lines(x: &Value, numbers: Vec<f64>, axis: Option<usize>) -> Datum {
    match axis.filter(|_| x.shape().len() > 1) {
        Some(axis) => Datum::Tensor(x.of_lines(numbers, axis)),
        None => Datum::Num(numbers[0]),
    }
}

/// The name, if the expression is only a name without dots.
pub fn bare_name(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Site(SiteRef { text, run: None, pass: None, .. }) if !text.contains('.') => Some(text),
        _ => None,
    }
}

/// The logarithm, 0 where `p` is 0: the factor that keeps `p log p` finite, and its gradient too.
fn log_or_zero(p: &Value) -> Result<Value, TensorError> {
    let nothing = p.binary(BinaryOp::Eq, &p.full_like(0.0))?;
    Value::choose(&nothing, &p.full_like(1.0), p)?.unary(UnaryOp::Log)
}

#[cfg(test)]
mod tests {
    use crate::lang::eval::testing::{fails, near, num, numbers, shape};
    use std::f64::consts::LN_2;

    #[test]
    fn reductions_over_everything() {
        for (text, expected) in [
            ("min(m)", 1.0),
            ("max(m)", 6.0),
            ("mean(m)", 3.5),
            ("sum(m)", 21.0),
            ("var(m)", 35.0 / 12.0),
            ("std(m)", (35.0f64 / 12.0).sqrt()),
            ("absmax(v)", 3.0),
            ("absmax(-v)", 3.0),
            ("norm(v)", 14f64.sqrt()),
            ("argmax(m)", 5.0),
            ("argmin(v)", 1.0),
            ("argmax(v)", 2.0),
            ("sum(5)", 5.0),
            ("norm(-5)", 5.0),
            ("std(5)", 0.0),
            ("count(v > 0)", 2.0),
            ("count(nan(odd))", 1.0),
            ("count(v)", 3.0),
            ("any(v > 2)", 1.0),
            ("all(v > 2)", 0.0),
            ("all(v != 0)", 1.0),
            ("any(nan(v))", 0.0),
        ] {
            assert_eq!(num(text), expected, "{text}");
        }
        assert!(num("max(odd)").is_nan());
    }

    #[test]
    fn reductions_along_an_axis() {
        assert_eq!(numbers("max(m, dim)"), [3.0, 6.0]);
        assert_eq!(numbers("max(m, axis=pos)"), [4.0, 5.0, 6.0]);
        assert_eq!(numbers("min(m, 0)"), [1.0, 2.0, 3.0]);
        assert_eq!(numbers("mean(m, -1)"), [2.0, 5.0]);
        assert_eq!(numbers("sum(m, \"dim\")"), [6.0, 15.0]);
        near("std(m, dim)", &[(2f64 / 3.0).sqrt(); 2]);
        assert_eq!(numbers("absmax(m - 4, dim)"), [3.0, 2.0]);
        near("norm(m, pos)", &[17f64.sqrt(), 29f64.sqrt(), 45f64.sqrt()]);
        assert_eq!(numbers("argmax(m, dim)"), [2.0, 2.0]);
        assert_eq!(numbers("argmin(m, pos)"), [0.0, 0.0, 0.0]);
        assert_eq!(numbers("any(m > 4, dim)"), [0.0, 1.0]);
        assert_eq!(numbers("all(m > 3, dim)"), [0.0, 1.0]);
        assert_eq!(numbers("count(m > 2, dim)"), [1.0, 3.0]);
        assert_eq!(num("mean(v, dim)"), 2.0 / 3.0);
        assert_eq!(shape("max(L0.attn.pattern, k)"), [2, 4]);
        assert_eq!(fails("max(m, head)").message, "no axis head: the value has [pos=2, dim=3]");
        assert_eq!(fails("sum(m, 2)").message, "no axis 2: the value has [pos=2, dim=3]");
    }

    #[test]
    fn mean_over_several_axes() {
        assert_eq!(numbers("mean_over(m, pos)"), [2.5, 3.5, 4.5]);
        assert_eq!(num("mean_over(m, pos, dim)"), 3.5);
        assert_eq!(num("mean_over(m, dim, pos)"), 3.5);
        assert_eq!(shape("mean_over(L0.attn.pattern, q, head)"), [4]);
        assert!(fails("mean_over(m, pos, pos)").message.contains("twice"));
    }

    #[test]
    fn min_and_max_of_two_values() {
        assert_eq!(num("max(2, 3)"), 3.0);
        assert_eq!(num("min(2, 3)"), 2.0);
        assert_eq!(numbers("max(v, v * 0)"), [1.0, 0.0, 3.0]);
        assert_eq!(numbers("min(v, $seven)"), [1.0, -2.0, 3.0]);
    }

    #[test]
    fn all_of_a_site_is_every_row() {
        assert_eq!(shape("all(m)"), [2, 2, 3]);
        assert_eq!(numbers("all(m)[row=1, pos=0]"), [10.0, 20.0, 30.0]);
        assert_eq!(numbers("mean(all(m), row)[0]"), [5.5, 11.0, 16.5]);
    }

    #[test]
    fn products_angles_and_distances() {
        assert_eq!(num("dot(v, v)"), 14.0);
        assert_eq!(num("dist(v, v + 2)"), 12f64.sqrt());
        assert!((num("cos(v, -2 * v)") + 1.0).abs() < 1e-6);
        assert!((num("cos(v, v)") - 1.0).abs() < 1e-6);
        assert_eq!(numbers("dot(m, m, dim)"), [14.0, 77.0]);
        near("cos(m, 3 * m, dim)", &[1.0, 1.0]);
        near("dist(m, m + 1, pos)", &[2f64.sqrt(); 3]);
        let error = fails("dot(v, m)");
        assert_eq!((error.message.as_str(), error.span.start), ("dot: shapes [dim=3] and [pos=2, dim=3] differ", 7));
    }

    #[test]
    fn entropy_and_divergence() {
        assert!((num("entropy(half)") - LN_2).abs() < 1e-7);
        near("entropy(L0.attn.pattern[0])", &[0.0, LN_2, 3f64.ln(), 4f64.ln()]);
        assert!(num("kl(half, half)").abs() < 1e-7);
        let expected = 0.5 * (0.5f64 / 0.25).ln() + 0.5 * (0.5f64 / 0.75).ln();
        assert!((num("kl(half, skewed)") - expected).abs() < 1e-6);
        assert_eq!(num("kl(half, half * 0)"), f64::INFINITY);
        assert_eq!(shape("kl(L0.attn.pattern, L0.attn.pattern)"), [2, 4]);
        assert!(fails("entropy(3)").message.contains("at least one axis"));
    }
}
