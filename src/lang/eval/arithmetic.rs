//! Operators, functions of each element alone, and the choice between two.
//!
//! Two numbers are combined in 64 bits on the host; if one is a tensor, its device and its precision decide, with
//! numpy's broadcasting. A string compared with a token id means the id of its token, so that `tokens[3] == " Mary"`
//! works.

use super::evaluator::Evaluator;
use super::functions::Bound;
use super::{At, Datum};
use crate::lang::{BinaryOp, LangError, Result, Span, UnaryOp};
use crate::tensor::{Kind, Value, ops};

impl Evaluator<'_> {
    pub fn unary(&mut self, op: UnaryOp, x: Datum, span: Span) -> Result<Datum> {
        match (op, x) {
            (UnaryOp::Neg, Datum::Tensor(value)) if value.kind() == Kind::Bool => {
                value.to_float().unary(ops::UnaryOp::Neg).at(span).map(Datum::Tensor)
            }
            (UnaryOp::Neg, Datum::Tensor(value)) => value.unary(ops::UnaryOp::Neg).at(span).map(Datum::Tensor),
            (UnaryOp::Neg, x @ (Datum::Num(_) | Datum::Bool(_))) => Ok(Datum::Num(-x.number(span)?)),
            (UnaryOp::Neg, x) => Err(LangError::new(format!("cannot negate {}", x.described()), span)),
            (UnaryOp::Not, Datum::Bool(b)) => Ok(Datum::Bool(!b)),
            (UnaryOp::Not, x) => truths("!", x, span)?.unary(ops::UnaryOp::Not).at(span).map(Datum::Tensor),
        }
    }

    /// Combines two operands, each with its place.
    pub fn binary(&mut self, op: BinaryOp, a: (Datum, Span), b: (Datum, Span)) -> Result<Datum> {
        let both = a.1.to(b.1);
        let (left, right) = match (op, a.0, b.0) {
            (BinaryOp::Eq, Datum::Str(a), Datum::Str(b)) => return Ok(Datum::Bool(a == b)),
            (BinaryOp::Ne, Datum::Str(a), Datum::Str(b)) => return Ok(Datum::Bool(a != b)),
            (BinaryOp::Eq | BinaryOp::Ne, Datum::Str(text), other) if is_token_like(&other) => {
                (self.token(&text, a.1)?, other)
            }
            (BinaryOp::Eq | BinaryOp::Ne, other, Datum::Str(text)) if is_token_like(&other) => {
                let token = self.token(&text, b.1)?;
                (other, token)
            }
            (_, left, right) => (left, right),
        };
        for (operand, other, span) in [(&left, &right, a.1), (&right, &left, b.1)] {
            if matches!(operand, Datum::Str(_) | Datum::Void) {
                let message =
                    format!("cannot apply {} to {} and {}", op.symbol(), operand.described(), other.described());
                return Err(LangError::new(message, span));
            }
        }
        if matches!(op, BinaryOp::And | BinaryOp::Or) {
            return self.logical(op, (left, a.1), (right, b.1));
        }
        if !matches!((&left, &right), (Datum::Tensor(_), _) | (_, Datum::Tensor(_))) {
            return Ok(numbers(op, left.number(a.1)?, right.number(b.1)?));
        }
        let (x, y) = self.alike((left, a.1), (right, b.1))?;
        x.binary(op, &y).at(both).map(Datum::Tensor)
    }

    fn logical(&mut self, op: BinaryOp, a: (Datum, Span), b: (Datum, Span)) -> Result<Datum> {
        let both = a.1.to(b.1);
        match (a.0, b.0) {
            (Datum::Bool(a), Datum::Bool(b)) => Ok(Datum::Bool(if op == BinaryOp::And { a && b } else { a || b })),
            (left, right) => {
                let device = self.scope.device();
                let truth = |datum, span| match datum {
                    Datum::Bool(_) => datum.tensor(&device, Kind::Bool, span),
                    datum => truths(op.symbol(), datum, span),
                };
                let (x, y) = (truth(left, a.1)?, truth(right, b.1)?);
                x.binary(op, &y).at(both).map(Datum::Tensor)
            }
        }
    }

    /// Two operands as tensors on the device of the one that is a tensor.
    pub fn alike(&mut self, a: (Datum, Span), b: (Datum, Span)) -> Result<(Value, Value)> {
        let (device, kind) = match (&a.0, &b.0) {
            (Datum::Tensor(x), _) => (x.device(), x.kind()),
            (_, Datum::Tensor(y)) => (y.device(), y.kind()),
            _ => (self.scope.device(), Kind::Float),
        };
        Ok((a.0.tensor(&device, kind, a.1)?, b.0.tensor(&device, kind, b.1)?))
    }

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

    fn token(&mut self, text: &str, span: Span) -> Result<Datum> {
        self.scope.token_id(text).at(span).map(|id| Datum::Num(id as f64))
    }
}

fn is_token_like(datum: &Datum) -> bool {
    match datum {
        Datum::Num(_) => true,
        Datum::Tensor(value) => value.kind() == Kind::Int,
        _ => false,
    }
}

fn truths(op: &str, datum: Datum, span: Span) -> Result<Value> {
    match datum {
        Datum::Tensor(value) if value.kind() == Kind::Bool => Ok(value),
        other => {
            let error = LangError::new(format!("{op} needs truth values, found {}", other.described()), span);
            Err(error.help("a comparison gives truth values: x != 0"))
        }
    }
}

pub fn numbers(op: BinaryOp, a: f64, b: f64) -> Datum {
    match op {
        BinaryOp::Add => Datum::Num(a + b),
        BinaryOp::Sub => Datum::Num(a - b),
        BinaryOp::Mul => Datum::Num(a * b),
        BinaryOp::Div => Datum::Num(a / b),
        BinaryOp::Pow => Datum::Num(a.powf(b)),
        BinaryOp::Eq => Datum::Bool(a == b),
        BinaryOp::Ne => Datum::Bool(a != b),
        BinaryOp::Lt => Datum::Bool(a < b),
        BinaryOp::Le => Datum::Bool(a <= b),
        BinaryOp::Gt => Datum::Bool(a > b),
        BinaryOp::Ge => Datum::Bool(a >= b),
        BinaryOp::And => Datum::Bool(a != 0.0 && b != 0.0),
        BinaryOp::Or => Datum::Bool(a != 0.0 || b != 0.0),
        BinaryOp::Min => Datum::Num(if a.is_nan() || a < b { a } else { b }),
        BinaryOp::Max => Datum::Num(if a.is_nan() || a > b { a } else { b }),
    }
}

#[cfg(test)]
mod tests {
    use crate::lang::eval::testing::{fails, near, num, numbers, shape};
    use std::f64::consts::{E, LN_2};

    #[test]
    fn numbers_are_combined_in_64_bits() {
        assert_eq!(num("0.1 + 0.2"), 0.1 + 0.2);
        assert_eq!(num("-2 ** 2"), -4.0);
        assert_eq!(num("7 / 2 - 1"), 2.5);
        assert_eq!(num("true + true"), 2.0);
        assert_eq!(num("1 < 2"), 1.0);
        assert_eq!(num("!(1 >= 2) && 1 != 2"), 1.0);
    }

    #[test]
    fn tensors_broadcast() {
        assert_eq!(numbers("v * 2 + 1"), [3.0, -3.0, 7.0]);
        assert_eq!(numbers("m + v"), [2.0, 0.0, 6.0, 5.0, 3.0, 9.0]);
        assert_eq!(shape("m + v"), [2, 3]);
        assert_eq!(numbers("-v"), [-1.0, 2.0, -3.0]);
        assert_eq!(numbers("2 ** v"), [2.0, 0.25, 8.0]);
        assert_eq!(numbers("v > 0"), [1.0, 0.0, 1.0]);
        assert_eq!(numbers("!(v > 0) || v == 3"), [0.0, 1.0, 1.0]);
        assert_eq!(numbers("1 / v"), [1.0, -0.5, f64::from(1.0f32 / 3.0)]);
    }

    #[test]
    fn a_string_compared_with_ids_is_a_token() {
        assert_eq!(numbers("tokens == \" Mary\""), [0.0, 1.0, 0.0, 1.0]);
        assert_eq!(num("tokens[2] != \" Mary\""), 1.0);
        assert_eq!(num("\"a\" == \"a\""), 1.0);
        assert!(fails("tokens == \"nowhere\"").message.contains("nowhere"));
    }

    #[test]
    fn mistakes_show_both_sides_and_the_place() {
        let error = fails("1 + (m + L0.attn.z)");
        assert_eq!(error.message, "+: shapes [pos=2, dim=3] and [pos=4, head=2, dim=2] do not fit together");
        assert_eq!((error.span.start, error.span.end), (5, 18));
        assert_eq!(fails("v + \"x\"").message, "cannot apply + to the string \"x\" and a float value of shape [dim=3]");
        assert!(fails("$never + 1").message.contains("void"));
        let error = fails("v && true");
        assert_eq!(error.help.as_deref(), Some("a comparison gives truth values: x != 0"));
        assert!(fails("!3").message.contains("needs truth values"));
        assert!(fails("-\"x\"").message.contains("cannot negate"));
    }

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
