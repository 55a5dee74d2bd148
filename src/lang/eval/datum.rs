//! What expressions give: a number, a truth value, text, a tensor, or nothing.

use super::At;
use crate::lang::{LangError, Result, Span};
use crate::tensor::{Device, Kind, Value};

#[derive(Clone, Debug)]
pub enum Datum {
    /// A number, such as a reduction of a whole value, in 64 bits.
    Num(f64),
    Bool(bool),
    Str(String),
    /// A tensor, perhaps with one element and no axes.
    Tensor(Value),
    /// The content of a convenience variable that was never set.
    Void,
}

impl Datum {
    pub fn described(&self) -> String {
        match self {
            Datum::Num(n) => format!("the number {n}"),
            Datum::Bool(b) => b.to_string(),
            Datum::Str(s) => format!("the string {s:?}"),
            Datum::Tensor(value) if value.shape().is_empty() => format!("a {} scalar", value.kind().name()),
            Datum::Tensor(value) => format!("a {} value of shape {}", value.kind().name(), value.shape_text()),
            Datum::Void => "void".to_string(),
        }
    }

    /// The number it is; truth values count as 0 and 1, and a tensor with one element is read.
    pub fn number(&self, span: Span) -> Result<f64> {
        match self {
            Datum::Num(n) => Ok(*n),
            Datum::Bool(b) => Ok(f64::from(u8::from(*b))),
            Datum::Tensor(value) if value.count() == 1 => value.read_scalar().at(span),
            other => Err(LangError::new(format!("expected a number, found {}", other.described()), span)),
        }
    }

    pub fn integer(&self, span: Span) -> Result<i64> {
        let n = self.number(span)?;
        if n.fract() == 0.0 && n.abs() < 9e15 {
            return Ok(n as i64);
        }
        Err(LangError::new(format!("expected a whole number, found {n}"), span))
    }

    /// As a tensor on `device`; `like` decides whether a whole number becomes an int.
    pub fn tensor(&self, device: &Device, like: Kind, span: Span) -> Result<Value> {
        match self {
            Datum::Tensor(value) => Ok(value.clone()),
            Datum::Bool(b) => Ok(Value::from_bool(vec![*b], &[], device)),
            Datum::Num(n) if like == Kind::Int && n.fract() == 0.0 && n.abs() < 2e9 => {
                Ok(Value::from_i64(vec![*n as i64], &[], device))
            }
            Datum::Num(n) => Ok(Value::from_f32(vec![*n as f32], &[], device)),
            other => Err(LangError::new(format!("expected a number or a value, found {}", other.described()), span)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::eval::testing::{Small, evaluated};

    fn datum(text: &str) -> Datum {
        evaluated(text, &mut Small::default()).expect(text)
    }

    #[test]
    fn numbers_are_what_they_can_be() {
        let span = Span::new(1, 2);
        assert_eq!(datum("m[0, 1]").integer(span), Ok(2));
        assert_eq!(datum("true").number(span), Ok(1.0));
        assert_eq!(datum("2.5").integer(span).expect_err("a half").message, "expected a whole number, found 2.5");
        assert_eq!(
            datum("v").number(span).expect_err("three").message,
            "expected a number, found a float value of shape [dim=3]"
        );
        assert!(datum("inf").integer(span).is_err());
    }
}
