//! Operations on each element alone.

use burn::tensor::{Bool, Int, Tensor, activation};

use crate::tensor::axes::Axis;
use crate::tensor::error::{TensorError, shape_text};
use crate::tensor::value::{Kind, Value, fixed, raw_shape};
use crate::tensor::with_rank;

/// A function of one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-x`.
    Neg,
    /// Magnitude.
    Abs,
    /// Square root.
    Sqrt,
    /// `e^x`.
    Exp,
    /// Natural logarithm.
    Log,
    /// Hyperbolic tangent.
    Tanh,
    /// `max(x, 0)`.
    Relu,
    /// -1, 0 or 1.
    Sign,
    /// Nearest whole number, halves to even.
    Round,
    /// Whether it is NaN.
    IsNan,
    /// Whether it is an infinity.
    IsInf,
    /// Whether it is neither NaN nor an infinity.
    IsFinite,
    /// Logical negation.
    Not,
}

/// A function of two elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient.
    Div,
    /// Power.
    Pow,
    /// Equality.
    Eq,
    /// Inequality.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Both.
    And,
    /// At least one.
    Or,
    /// The smaller one.
    Min,
    /// The larger one.
    Max,
}

impl BinaryOp {
    /// The operator as it is typed.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Pow => "**",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::And => "&&",
            BinaryOp::Or => "||",
            BinaryOp::Min => "min",
            BinaryOp::Max => "max",
        }
    }
}

impl Value {
    /// Applies a function to each element.
    ///
    /// # Errors
    /// If the function does not take elements of this kind.
    pub fn unary(&self, op: UnaryOp) -> Result<Value, TensorError> {
        let (shape, axes) = (self.shape().to_vec(), self.axes().to_vec());
        let rank = shape.len().max(1);
        if op == UnaryOp::Not {
            if self.kind() != Kind::Bool {
                return Err(TensorError::Kind { op: "!".into(), expected: "bool", found: self.kind().name() });
            }
            let raw = with_rank!(rank, D => self.bool_tensor::<D>().bool_not().into_dispatch());
            return Ok(Value::from_parts(raw, shape, axes, Kind::Bool));
        }
        if self.kind() == Kind::Int && matches!(op, UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Sign | UnaryOp::Round) {
            let raw = with_rank!(rank, D => {
                let x = self.int_tensor::<D>();
                match op {
                    UnaryOp::Neg => x.neg(),
                    UnaryOp::Abs => x.abs(),
                    UnaryOp::Sign => x.sign(),
                    _ => x,
                }.into_dispatch()
            });
            return Ok(Value::from_parts(raw, shape, axes, Kind::Int));
        }
        let x = self.to_float();
        let (raw, kind) = with_rank!(rank, D => {
            let x = x.tensor::<D>();
            match op {
                UnaryOp::IsNan => (x.is_nan().into_dispatch(), Kind::Bool),
                UnaryOp::IsInf => (x.is_inf().into_dispatch(), Kind::Bool),
                UnaryOp::IsFinite => (x.is_finite().into_dispatch(), Kind::Bool),
                UnaryOp::Neg => (x.neg().into_dispatch(), Kind::Float),
                UnaryOp::Abs => (x.abs().into_dispatch(), Kind::Float),
                UnaryOp::Sqrt => (x.sqrt().into_dispatch(), Kind::Float),
                UnaryOp::Exp => (x.exp().into_dispatch(), Kind::Float),
                UnaryOp::Log => (x.log().into_dispatch(), Kind::Float),
                UnaryOp::Tanh => (x.tanh().into_dispatch(), Kind::Float),
                UnaryOp::Relu => (activation::relu(x).into_dispatch(), Kind::Float),
                UnaryOp::Sign => (x.sign().into_dispatch(), Kind::Float),
                UnaryOp::Round => (x.round().into_dispatch(), Kind::Float),
                UnaryOp::Not => unreachable!("handled above"),
            }
        });
        Ok(Value::from_parts(raw, shape, axes, kind))
    }

    /// Combines two values element by element, with numpy's broadcasting. Arithmetic between an int and a float is done
    /// in floats; `/` and `**` always are.
    ///
    /// # Errors
    /// If the shapes do not broadcast, or a logical operator meets numbers.
    pub fn binary(&self, op: BinaryOp, other: &Value) -> Result<Value, TensorError> {
        let (shape, axes) = broadcast(op.symbol(), self, other)?;
        let (a, b) = (self.expand_to(&shape), other.expand_to(&shape));
        let rank = shape.len().max(1);
        let logical = matches!(op, BinaryOp::And | BinaryOp::Or);
        let compares = matches!(op, BinaryOp::Eq | BinaryOp::Ne);
        if logical || (compares && a.kind() == Kind::Bool && b.kind() == Kind::Bool) {
            for side in [&a, &b] {
                if side.kind() != Kind::Bool {
                    let found = side.kind().name();
                    return Err(TensorError::Kind { op: op.symbol().into(), expected: "bool", found });
                }
            }
            let raw = with_rank!(rank, D => {
                let (a, b) = (a.bool_tensor::<D>(), b.bool_tensor::<D>());
                match op {
                    BinaryOp::And => a.bool_and(b),
                    BinaryOp::Or => a.bool_or(b),
                    BinaryOp::Eq => a.equal(b),
                    _ => a.not_equal(b),
                }.into_dispatch()
            });
            return Ok(Value::from_parts(raw, shape, axes, Kind::Bool));
        }
        let whole = a.kind() == Kind::Int && b.kind() == Kind::Int && !matches!(op, BinaryOp::Div | BinaryOp::Pow);
        let (raw, kind) = if whole {
            with_rank!(rank, D => whole_numbers(op, a.int_tensor::<D>(), b.int_tensor::<D>()))
        } else {
            let (a, b) = (a.to_float(), b.to_float());
            with_rank!(rank, D => real_numbers(op, a.tensor::<D>(), b.tensor::<D>()))
        };
        Ok(Value::from_parts(raw, shape, axes, kind))
    }

    /// Elements of `a` where the condition holds, of `b` elsewhere; all three broadcast.
    ///
    /// # Errors
    /// If the condition is not boolean or the shapes do not broadcast.
    pub fn choose(condition: &Value, a: &Value, b: &Value) -> Result<Value, TensorError> {
        if condition.kind() != Kind::Bool {
            return Err(TensorError::Kind { op: "where".into(), expected: "bool", found: condition.kind().name() });
        }
        let (shape, _) = broadcast("where", a, b)?;
        let widest = a.expand_to(&shape);
        let (shape, axes) = broadcast("where", &widest, condition)?;
        let (mask, a, b) =
            (condition.expand_to(&shape), a.expand_to(&shape).to_float(), b.expand_to(&shape).to_float());
        let raw = with_rank!(shape.len().max(1), D => b
            .tensor::<D>()
            .mask_where(mask.bool_tensor::<D>(), a.tensor::<D>())
            .into_dispatch());
        Ok(Value::from_parts(raw, shape, axes, Kind::Float))
    }

    /// The value repeated to `shape`; the caller has checked that it broadcasts.
    pub(crate) fn expand_to(&self, shape: &[usize]) -> Value {
        if self.shape() == shape {
            return self.clone();
        }
        let mut padded = vec![1; shape.len() - self.shape().len()];
        padded.extend_from_slice(self.shape());
        let same_rank = self.clone().reshaped(&padded);
        let to = raw_shape(shape);
        let raw = match self.kind() {
            Kind::Float => {
                with_rank!(to.len(), D => same_rank.tensor::<D>().expand::<D, _>(fixed::<D>(&to)).into_dispatch())
            }
            Kind::Int => {
                with_rank!(to.len(), D => same_rank.int_tensor::<D>().expand::<D, _>(fixed::<D>(&to)).into_dispatch())
            }
            Kind::Bool => {
                with_rank!(to.len(), D => same_rank.bool_tensor::<D>().expand::<D, _>(fixed::<D>(&to)).into_dispatch())
            }
        };
        Value::from_parts(raw, shape.to_vec(), vec![Axis::None; shape.len()], self.kind())
    }
}

type Raw = burn::tensor::DispatchTensor;

fn whole_numbers<const D: usize>(op: BinaryOp, a: Tensor<D, Int>, b: Tensor<D, Int>) -> (Raw, Kind) {
    let truth = |x: Tensor<D, Bool>| (x.into_dispatch(), Kind::Bool);
    match op {
        BinaryOp::Eq => truth(a.equal(b)),
        BinaryOp::Ne => truth(a.not_equal(b)),
        BinaryOp::Lt => truth(a.lower(b)),
        BinaryOp::Le => truth(a.lower_equal(b)),
        BinaryOp::Gt => truth(a.greater(b)),
        BinaryOp::Ge => truth(a.greater_equal(b)),
        BinaryOp::Add => (a.add(b).into_dispatch(), Kind::Int),
        BinaryOp::Sub => (a.sub(b).into_dispatch(), Kind::Int),
        BinaryOp::Mul => (a.mul(b).into_dispatch(), Kind::Int),
        BinaryOp::Min => (a.min_pair(b).into_dispatch(), Kind::Int),
        BinaryOp::Max => (a.max_pair(b).into_dispatch(), Kind::Int),
        BinaryOp::Div | BinaryOp::Pow | BinaryOp::And | BinaryOp::Or => unreachable!("not for whole numbers"),
    }
}

fn real_numbers<const D: usize>(op: BinaryOp, a: Tensor<D>, b: Tensor<D>) -> (Raw, Kind) {
    let truth = |x: Tensor<D, Bool>| (x.into_dispatch(), Kind::Bool);
    let number = |x: Tensor<D>| (x.into_dispatch(), Kind::Float);
    match op {
        BinaryOp::Eq => truth(a.equal(b)),
        BinaryOp::Ne => truth(a.not_equal(b)),
        BinaryOp::Lt => truth(a.lower(b)),
        BinaryOp::Le => truth(a.lower_equal(b)),
        BinaryOp::Gt => truth(a.greater(b)),
        BinaryOp::Ge => truth(a.greater_equal(b)),
        BinaryOp::Add => number(a.add(b)),
        BinaryOp::Sub => number(a.sub(b)),
        BinaryOp::Mul => number(a.mul(b)),
        BinaryOp::Div => number(a.div(b)),
        BinaryOp::Pow => number(a.powf(b)),
        BinaryOp::Min => number(a.min_pair(b)),
        BinaryOp::Max => number(a.max_pair(b)),
        BinaryOp::And | BinaryOp::Or => unreachable!("not for numbers"),
    }
}

/// The common shape of two values under numpy's rule, with the axis names of whichever side has the axis.
fn broadcast(op: &str, a: &Value, b: &Value) -> Result<(Vec<usize>, Vec<Axis>), TensorError> {
    let rank = a.shape().len().max(b.shape().len());
    let (mut shape, mut axes) = (vec![1; rank], vec![Axis::None; rank]);
    for i in 0..rank {
        let at = |v: &Value| (i + v.shape().len()).checked_sub(rank).map(|j| (v.shape()[j], v.axes()[j]));
        let (x, x_axis) = at(a).unwrap_or((1, Axis::None));
        let (y, y_axis) = at(b).unwrap_or((1, Axis::None));
        shape[i] = match (x, y) {
            (x, y) if x == y => x,
            (1, y) => y,
            (x, 1) => x,
            _ => {
                return Err(TensorError::Shapes {
                    op: op.into(),
                    left: shape_text(a.shape(), a.axes()),
                    right: shape_text(b.shape(), b.axes()),
                });
            }
        };
        axes[i] = if x_axis != Axis::None && (x != 1 || y_axis == Axis::None) { x_axis } else { y_axis };
    }
    Ok((shape, axes))
}
