//! Reductions that keep their value connected to its elements.
//!
//! Ordinary reductions of all elements read what they reduce and end the graph that a gradient would follow, and so do
//! those that take one element. The reductions here consist of selections and sums of tensors only.

use crate::tensor::ops::{BinaryOp, Reduction, Slice, UnaryOp};
use crate::tensor::{TensorError, Value};

/// Reduces all of `x`, or one axis of it, to a tensor.
pub fn reduce(op: Reduction, x: &Value, axis: Option<usize>) -> Result<Value, TensorError> {
    let x = x.to_float();
    let Some(axis) = axis else {
        return reduce(op, &x.reshape(&[x.count()])?, Some(0));
    };
    match op {
        Reduction::Min => selected(&x, axis, &x.arg_extreme(axis, false)?),
        Reduction::Max => selected(&x, axis, &x.arg_extreme(axis, true)?),
        Reduction::AbsMax => reduce(Reduction::Max, &x.unary(UnaryOp::Abs)?, Some(axis)),
        _ => x.reduce_axis(op, axis),
    }
}

/// The element of each line at the index that `at` holds for it.
fn selected(x: &Value, axis: usize, at: &Value) -> Result<Value, TensorError> {
    let len = x.shape()[axis];
    if x.shape().len() == 1 {
        return x.slice(&[Slice::At(at.read_scalar()? as usize)]);
    }
    let (mut kept, mut counting) = (x.shape().to_vec(), vec![1; x.shape().len()]);
    kept[axis] = 1;
    counting[axis] = len;
    let counted = Value::from_i64((0..len as i64).collect(), &counting, &x.device());
    let chosen = counted.binary(BinaryOp::Eq, &at.reshape(&kept)?)?;
    let only = Value::choose(&chosen, x, &x.full_like(0.0))?;
    Ok(only.reduce_axis(Reduction::Sum, axis)?.with_axes(at.axes()))
}

#[cfg(test)]
mod tests {
    use crate::lang::eval::testing::{Small, evaluated};
    use crate::lang::eval::{Datum, Scope};

    #[test]
    fn tracked_and_plain_reductions_agree() {
        for text in [
            "sum(m)",
            "mean(m, pos)",
            "norm(m, dim)",
            "var(m)",
            "std(m, pos)",
            "min(m, dim)",
            "max(m)",
            "absmax(v)",
            "dot(v, v)",
            "cos(m, m, dim)",
            "entropy(L0.attn.pattern)",
            "mean_over(m, pos, dim)",
            "logprob(\" and\")",
            "loss * 2 + sum(v)",
            "max(L0.attn.pattern, q)",
        ] {
            let mut tracked = Small::for_gradients();
            assert!(tracked.tracked());
            let Datum::Tensor(with) = evaluated(text, &mut tracked).expect(text) else {
                panic!("{text} left the device")
            };
            let plain = match evaluated(text, &mut Small::default()).expect(text) {
                Datum::Tensor(value) => value.read_f64().expect("reads"),
                other => vec![other.number(Default::default()).expect("a number")],
            };
            let with = with.read_f64().expect("reads");
            assert_eq!(with.len(), plain.len(), "{text}");
            assert!(with.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-5), "{text}: {with:?} {plain:?}");
        }
    }

    #[test]
    fn what_the_host_orders_cannot_be_tracked() {
        for text in ["sort(v)", "topk(v, 2)", "quantile(v, 0.5)", "rank(\" and\")"] {
            let mut tracked = Small::for_gradients();
            assert!(evaluated(text, &mut tracked).expect_err(text).message.contains("has no gradient"), "{text}");
        }
    }
}
