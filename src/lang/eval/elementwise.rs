//! Functions of each element alone, and the choice between two.

use super::arithmetic::truths;
use super::evaluator::Evaluator;
use super::functions::Bound;
use super::{At, Datum};
use crate::lang::Result;
use crate::tensor::ops;
use crate::tensor::{Kind, Value};

impl Evaluator<'_> {
    pub fn map(&mut self, call: &Bound<'_>, op: ops::UnaryOp, host: fn(f64) -> f64) -> Result<Datum> {
        self.each(call, op, |x| Datum::Num(host(x)))
    }

    pub fn mask(&mut self, call: &Bound<'_>, op: ops::UnaryOp, host: fn(f64) -> bool) -> Result<Datum> {
        self.each(call, op, |x| Datum::Bool(host(x)))
    }

    fn each(&mut self, call: &Bound<'_>, op: ops::UnaryOp, host: impl Fn(f64) -> Datum) -> Result<Datum> {
        let x = call.required(0);
        match self.eval(x)? {
            Datum::Tensor(value) => value.unary(op).at(x.span).map(Datum::Tensor),
            datum => datum.number(x.span).map(host),
        }
    }

    /// `where(c, a, b)`; under one truth value only the chosen side is evaluated.
    pub fn choose(&mut self, call: &Bound<'_>) -> Result<Datum> {
        let (c, a, b) = (call.required(0), call.required(1), call.required(2));
        let mask = match self.eval(c)? {
            Datum::Bool(chosen) => return self.eval(if chosen { a } else { b }),
            condition => truths("where", condition, c.span)?,
        };
        let (left, right) = (self.eval(a)?, self.eval(b)?);
        let device = mask.device();
        let (x, y) = (left.tensor(&device, Kind::Float, a.span)?, right.tensor(&device, Kind::Float, b.span)?);
        Value::choose(&mask, &x, &y).at(call.span).map(Datum::Tensor)
    }
}

#[cfg(test)]
mod tests {
    use crate::lang::eval::testing::{fails, near, num, numbers};
    use std::f64::consts::{E, LN_2};

    #[test]
    fn functions_of_numbers() {
        for (text, expected) in [
            ("abs(-3)", 3.0),
            ("sqrt(16)", 4.0),
            ("exp(1)", E),
            ("log(2)", LN_2),
            ("tanh(0.5)", 0.5f64.tanh()),
            ("relu(-1)", 0.0),
            ("relu(2)", 2.0),
            ("sign(-7)", -1.0),
            ("sign(0)", 0.0),
            ("round(2.5)", 2.0),
            ("round(-1.6)", -2.0),
            ("nan(0 / 0)", 1.0),
            ("inf(-1 / 0)", 1.0),
            ("finite(1)", 1.0),
        ] {
            assert_eq!(num(text), expected, "{text}");
        }
    }

    #[test]
    fn functions_of_tensors() {
        assert_eq!(numbers("abs(v)"), [1.0, 2.0, 3.0]);
        assert_eq!(numbers("sqrt(v * v)"), [1.0, 2.0, 3.0]);
        near("exp(v)", &[E, (-2.0f64).exp(), 3f64.exp()]);
        near("log(m)", &[0.0, LN_2, 3f64.ln(), 4f64.ln(), 5f64.ln(), 6f64.ln()]);
        near("tanh(v)", &[1f64.tanh(), (-2f64).tanh(), 3f64.tanh()]);
        assert_eq!(numbers("relu(v)"), [1.0, 0.0, 3.0]);
        assert_eq!(numbers("sign(v)"), [1.0, -1.0, 1.0]);
        assert_eq!(numbers("round(v * 0.4)"), [0.0, -1.0, 1.0]);
        assert_eq!(numbers("nan(odd)"), [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(numbers("inf(odd)"), [0.0, 0.0, 1.0, 1.0]);
        assert_eq!(numbers("finite(odd)"), [1.0, 0.0, 0.0, 0.0]);
        assert!(fails("abs(\"x\")").message.contains("expected a number"));
    }

    #[test]
    fn a_choice_is_made_for_each_element() {
        assert_eq!(numbers("where(v > 0, v, 0)"), [1.0, 0.0, 3.0]);
        assert_eq!(numbers("where(v > 0, 1, -1)"), [1.0, -1.0, 1.0]);
        assert_eq!(numbers("where(m > v, m, v)"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(num("where(1 < 2, 5, nonsense)"), 5.0);
        assert!(fails("where(v, 1, 2)").message.starts_with("where needs truth values"));
    }
}
