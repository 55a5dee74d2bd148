//! Operations on each element alone.

use burn::tensor::kind::Ordered;
use burn::tensor::{Tensor, activation};

use crate::tensor::pieces::elementwise;
use crate::tensor::value::fixed;
use crate::tensor::{Axis, Kind, MAX_RANK, TensorError, Value, named, shape_text};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    Neg,
    Abs,
    Sqrt,
    Exp,
    /// Natural logarithm.
    Log,
    Tanh,
    Relu,
    /// -1, 0 or 1.
    Sign,
    /// Nearest whole number, halves to even.
    Round,
    IsNan,
    IsInf,
    IsFinite,
    Not,
}

named! {
    /// A function of two elements, by its operator or its name in expressions.
    pub enum BinaryOp, symbol {
        Or = "||",
        And = "&&",
        Eq = "==",
        Ne = "!=",
        Lt = "<",
        Le = "<=",
        Gt = ">",
        Ge = ">=",
        Add = "+",
        Sub = "-",
        Mul = "*",
        Div = "/",
        Pow = "**",
        Min = "min",
        Max = "max",
    }
}

impl Value {
    /// Applies a function to each element.
    ///
    /// # Errors
    /// If the function does not take elements of this kind.
    pub fn unary(&self, op: UnaryOp) -> Result<Value, TensorError> {
        let (shape, axes) = (self.shape().to_vec(), self.axes().to_vec());
        if self.is_in_pieces() {
            return elementwise(&[self], (&shape, &axes), move |block| block[0].unary(op));
        }
        let flat = self.clone().reshaped(&[self.count()]);
        let out = match (op, self.kind()) {
            (UnaryOp::Not, Kind::Bool) => Value::boolean(flat.bool_tensor::<1>().bool_not()),
            (UnaryOp::Not, kind) => {
                return Err(TensorError::Kind { op: "!".into(), expected: "bool", found: kind.name() });
            }
            (UnaryOp::Neg, Kind::Int) => Value::int(flat.int_tensor::<1>().neg()),
            (UnaryOp::Abs, Kind::Int) => Value::int(flat.int_tensor::<1>().abs()),
            (UnaryOp::Sign, Kind::Int) => Value::int(flat.int_tensor::<1>().sign()),
            (UnaryOp::Round, Kind::Int) => flat,
            _ => {
                let x = flat.to_float().tensor::<1>();
                match op {
                    UnaryOp::IsNan => Value::boolean(x.is_nan()),
                    UnaryOp::IsInf => Value::boolean(x.is_inf()),
                    UnaryOp::IsFinite => Value::boolean(x.is_finite()),
                    UnaryOp::Neg => Value::float(x.neg()),
                    UnaryOp::Abs => Value::float(x.abs()),
                    UnaryOp::Sqrt => Value::float(x.sqrt()),
                    UnaryOp::Exp => Value::float(x.exp()),
                    UnaryOp::Log => Value::float(x.log()),
                    UnaryOp::Tanh => Value::float(x.tanh()),
                    UnaryOp::Relu => Value::float(activation::relu(x)),
                    UnaryOp::Sign => Value::float(x.sign()),
                    UnaryOp::Round => Value::float(x.round()),
                    UnaryOp::Not => unreachable!("handled above"),
                }
            }
        };
        Ok(out.reshaped(&shape).with_axes(&axes))
    }

    /// Combines two values element by element, with numpy's broadcasting. Arithmetic between an int and a float is done
    /// in floats; `/` and `**` always are. The result is on the device of this value.
    ///
    /// # Errors
    /// If the shapes do not broadcast, or a logical operator meets numbers.
    pub fn binary(&self, op: BinaryOp, other: &Value) -> Result<Value, TensorError> {
        let (shape, axes) = broadcast(op.symbol(), self, other)?;
        if self.is_in_pieces() || other.is_in_pieces() {
            return elementwise(&[self, other], (&shape, &axes), move |parts| parts[0].binary(op, &parts[1]));
        }
        self.may_make(op.symbol(), &shape, &axes)?;
        let count = shape.iter().product();
        let flat = |value: &Value| value.expand_to(&shape).reshaped(&[count]);
        let (a, b) = (flat(self), flat(&other.on_device_of(self)?));
        let logical = matches!(op, BinaryOp::And | BinaryOp::Or);
        let compares = matches!(op, BinaryOp::Eq | BinaryOp::Ne);
        let out = if logical || (compares && a.kind() == Kind::Bool && b.kind() == Kind::Bool) {
            for side in [&a, &b] {
                if side.kind() != Kind::Bool {
                    let found = side.kind().name();
                    return Err(TensorError::Kind { op: op.symbol().into(), expected: "bool", found });
                }
            }
            let (a, b) = (a.bool_tensor::<1>(), b.bool_tensor::<1>());
            Value::boolean(match op {
                BinaryOp::And => a.bool_and(b),
                BinaryOp::Or => a.bool_or(b),
                BinaryOp::Eq => a.equal(b),
                _ => a.not_equal(b),
            })
        } else if a.kind() == Kind::Int && b.kind() == Kind::Int && !matches!(op, BinaryOp::Div | BinaryOp::Pow) {
            numbers(op, a.int_tensor(), b.int_tensor(), Value::int)
        } else {
            let (a, b) = (a.to_float().tensor(), b.to_float().tensor());
            match op {
                BinaryOp::Div => Value::float::<1>(a.div(b)),
                BinaryOp::Pow => Value::float::<1>(a.powf(b)),
                op => numbers(op, a, b, Value::float),
            }
        };
        Ok(out.reshaped(&shape).with_axes(&axes))
    }

    /// Elements of `a` where the condition holds, of `b` elsewhere; all three broadcast. The result is on the device of
    /// `a`.
    ///
    /// # Errors
    /// If the condition is not boolean or the shapes do not broadcast.
    pub fn choose(condition: &Value, a: &Value, b: &Value) -> Result<Value, TensorError> {
        if condition.kind() != Kind::Bool {
            return Err(TensorError::Kind { op: "where".into(), expected: "bool", found: condition.kind().name() });
        }
        let (shape, axes) = broadcast("where", a, b)?;
        if [condition, a, b].iter().any(|value| value.is_in_pieces()) {
            let (shape, axes) = broadcast_shapes("where", (&shape, &axes), (condition.shape(), condition.axes()))?;
            let all = [condition, a, b];
            return elementwise(&all, (&shape, &axes), |parts| Value::choose(&parts[0], &parts[1], &parts[2]));
        }
        a.may_make("where", &shape, &axes)?;
        let widest = a.expand_to(&shape);
        let (shape, axes) = broadcast("where", &widest, condition)?;
        a.may_make("where", &shape, &axes)?;
        let count = shape.iter().product();
        let flat = |value: &Value| value.expand_to(&shape).reshaped(&[count]);
        let (mask, b) = (flat(&condition.on_device_of(a)?), flat(&b.on_device_of(a)?).to_float());
        let a = flat(a).to_float();
        let out = b.tensor::<1>().mask_where(mask.bool_tensor::<1>(), a.tensor::<1>());
        Ok(Value::float(out).reshaped(&shape).with_axes(&axes))
    }

    /// The value repeated to `shape`; the caller has checked that it broadcasts, and that the device holds as much.
    pub(crate) fn expand_to(&self, shape: &[usize]) -> Value {
        if self.shape() == shape {
            return self.clone();
        }
        let padded = self.padded();
        let mut to = vec![1; MAX_RANK - shape.len()];
        to.extend_from_slice(shape);
        let to = fixed::<MAX_RANK>(&to);
        let out = match self.kind() {
            Kind::Float => Value::float(padded.held_tensor::<MAX_RANK>().expand::<MAX_RANK, _>(to)),
            Kind::Int => Value::int(padded.int_tensor::<MAX_RANK>().expand::<MAX_RANK, _>(to)),
            Kind::Bool => Value::boolean(padded.bool_tensor::<MAX_RANK>().expand::<MAX_RANK, _>(to)),
        };
        out.reshaped(shape)
    }
}

fn numbers<K: Ordered>(op: BinaryOp, a: Tensor<1, K>, b: Tensor<1, K>, number: fn(Tensor<1, K>) -> Value) -> Value {
    let truth = Value::boolean::<1>;
    match op {
        BinaryOp::Eq => truth(a.equal(b)),
        // Shaders compare for being less or greater, so that NaN would not be unequal to anything.
        BinaryOp::Ne => truth(a.equal(b).bool_not()),
        BinaryOp::Lt => truth(a.lower(b)),
        BinaryOp::Le => truth(a.lower_equal(b)),
        BinaryOp::Gt => truth(a.greater(b)),
        BinaryOp::Ge => truth(a.greater_equal(b)),
        BinaryOp::Add => number(a.add(b)),
        BinaryOp::Sub => number(a.sub(b)),
        BinaryOp::Mul => number(a.mul(b)),
        BinaryOp::Min => number(a.min_pair(b)),
        BinaryOp::Max => number(a.max_pair(b)),
        BinaryOp::Div | BinaryOp::Pow | BinaryOp::And | BinaryOp::Or => unreachable!("{op:?} is handled before"),
    }
}

/// The common shape of two values under numpy's rule, with the axis names of whichever side has the axis.
fn broadcast(op: &str, a: &Value, b: &Value) -> Result<(Vec<usize>, Vec<Axis>), TensorError> {
    broadcast_shapes(op, (a.shape(), a.axes()), (b.shape(), b.axes()))
}

type Named<'a> = (&'a [usize], &'a [Axis]);

fn broadcast_shapes(op: &str, a: Named<'_>, b: Named<'_>) -> Result<(Vec<usize>, Vec<Axis>), TensorError> {
    let rank = a.0.len().max(b.0.len());
    let (mut shape, mut axes) = (vec![1; rank], vec![Axis::None; rank]);
    for i in 0..rank {
        let at = |(shape, axes): Named<'_>| (i + shape.len()).checked_sub(rank).map(|j| (shape[j], axes[j]));
        let (x, x_axis) = at(a).unwrap_or((1, Axis::None));
        let (y, y_axis) = at(b).unwrap_or((1, Axis::None));
        shape[i] = match (x, y) {
            (x, y) if x == y => x,
            (1, y) => y,
            (x, 1) => x,
            _ => {
                let (left, right) = (shape_text(a.0, a.1), shape_text(b.0, b.1));
                return Err(TensorError::Shapes { op: op.into(), left, right });
            }
        };
        axes[i] = if x_axis != Axis::None && (x != 1 || y_axis == Axis::None) { x_axis } else { y_axis };
    }
    Ok((shape, axes))
}
