//! States that decay and learn, position by position: gated DeltaNet and Mamba-2.

use burn::tensor::{Tensor, activation as act};

use super::host;
use crate::model::spec::Learning;
use crate::program::Context;
use crate::tensor::Value;

/// `exp(-exp(A) softplus(x + b))` of `[B, T, H]`, with `A` and `b` `[H]`: what is left of a state after a position.
pub fn decay(x: &Value, weights: &[Value]) -> Value {
    let heads = x.shape()[2];
    let of_heads = |weight: &Value| weight.tensor::<1>().reshape([1, 1, heads]);
    let x = x.tensor::<3>() + of_heads(&weights[1]);
    Value::float((of_heads(&weights[0]).exp() * softplus(x)).neg().exp())
}

/// `max(softplus(x + b), least)` of `[B, T, H]`.
pub fn step(x: &Value, bias: &Value, least: f64) -> Value {
    let step = softplus(x.tensor::<3>() + bias.tensor::<1>().reshape([1, 1, x.shape()[2]]));
    // A softplus is above zero.
    Value::float(if least > 0.0 { step.clamp_min(least) } else { step })
}

/// `exp(-exp(A) x)` of `[B, T, H]`.
pub fn decay_by(x: &Value, rate: &Value) -> Value {
    Value::float((rate.tensor::<1>().reshape([1, 1, x.shape()[2]]).exp() * x.tensor::<3>()).neg().exp())
}

/// `ln(1 + e^x)` without overflow, and exact for steps near zero too: graphics devices compute `ln(1 + y)` by adding 1.
fn softplus(x: Tensor<3>) -> Tensor<3> {
    let y = x.clone().abs().neg().exp();
    // ln(1 + y) = 2 artanh(s) with s = y / (2 + y), at most 1/3: nine terms of its series are exact in 32 bits.
    let s = y.clone() / (y + 2.0);
    let square = s.clone() * s.clone();
    let terms = [15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0];
    let series = terms.into_iter().fold(square.zeros_like() + 1.0 / 17.0, |sum, odd| sum * square.clone() + 1.0 / odd);
    act::relu(x) + s * series * 2.0
}

/// `z + D v` of `[B, T, H, dv]`, with `D` `[H]`, or of `[B, T, n]`, with `D` `[n]`.
pub fn skip(z: &Value, v: &Value, by: &Value) -> Value {
    let heads = z.shape()[2];
    if z.shape().len() == 3 {
        return Value::float(z.tensor::<3>() + v.tensor::<3>() * by.tensor::<1>().reshape([1, 1, heads]));
    }
    Value::float(z.tensor::<4>() + v.tensor::<4>() * by.tensor::<1>().reshape([1, 1, heads, 1]))
}

/// What the rules read: shapes for `B` rows, `T` positions, `H` heads, of which `H / K` share a key.
pub struct Recurrence<'a> {
    pub learning: Learning,
    /// `[B, T, K, dk]`; none if the states are all that is wanted.
    pub q: Option<&'a Value>,
    /// `[B, T, K, dk]`.
    pub k: &'a Value,
    /// `[B, T, H, dv]`.
    pub v: &'a Value,
    /// What is left of a state, `[B, T, H]`.
    pub decay: &'a Value,
    /// How much of a value is learned, `[B, T, H]`.
    pub beta: &'a Value,
    /// States before the first position, `[B, H, dk, dv]`; zeros if there are none.
    pub before: Option<&'a Value>,
    pub context: &'a Context,
}

impl<'a> Recurrence<'a> {
    /// Of inputs in the order of ops: keys, values, decays, learning rates, states.
    pub fn of(learning: Learning, q: Option<&'a Value>, rest: &'a [Value], context: &'a Context) -> Recurrence<'a> {
        let [k, v, decay, beta, rest @ ..] = rest else { panic!("keys, values, decays and learning rates are read") };
        Recurrence { learning, q, k, v, decay, beta, before: rest.first(), context }
    }

    /// Rows, positions, heads of keys, heads, and the widths of keys and values.
    pub fn sizes(&self) -> [usize; 6] {
        let ([rows, length, kv, key], [_, _, heads, width]) = (self.k.shape(), self.v.shape()) else {
            panic!("keys and values have four axes")
        };
        [*rows, *length, *kv, *heads, *key, *width]
    }

    /// Which columns that are computed are no padding behind the first token, of a row; none if all of all rows are not.
    pub fn real(&self, row: usize) -> Option<&[bool]> {
        let rows = self.context.columns.as_ref()?;
        Some(&rows[row][self.context.span().start..])
    }
}

/// What the queries read, `[B, T, H, dv]`.
///
/// A padding position reads what it would read in transformers, where its features are part of the states of padding
/// after it; tokens read states that only tokens are part of.
pub fn read(of: &Recurrence) -> Value {
    host::read_states(of).unwrap_or_else(|| steps(of).0.expect("queries read"))
}

/// The states after the last token, `[B, H, dk, dv]`.
pub fn states(of: &Recurrence) -> Value {
    host::states(of).unwrap_or_else(|| steps(of).1)
}

/// Both, over burn.
fn steps(of: &Recurrence) -> (Option<Value>, Value) {
    let [rows, length, kv, heads, key, width] = of.sizes();
    let repeated = |x: &Value| {
        let x = x.tensor::<4>().reshape([rows, length, kv, 1, key]);
        x.expand([rows, length, kv, heads / kv, key]).reshape([rows, length, heads, key, 1]) // [B, T, H, dk, 1]
    };
    let (q, k) = (of.q.map(repeated), repeated(of.k));
    let v = of.v.tensor::<4>().reshape([rows, length, heads, 1, width]);
    let factor = |x: &Value| x.tensor::<3>().reshape([rows, length, heads, 1, 1]);
    let (decay, beta) = (factor(of.decay), factor(of.beta));
    let at = |x: &Tensor<5>, position: usize| {
        let [_, _, _, a, b] = x.dims();
        x.clone().narrow(1, position, 1).reshape([rows, heads, a, b])
    };
    let mut state: Tensor<4> = match of.before {
        Some(before) => before.tensor(),
        None => Tensor::zeros([rows, heads, key, width], (&v.device(), v.dtype())),
    };
    let mut padding = state.clone();
    let is_real = |position: usize| -> Option<Vec<bool>> {
        let of = (0..rows).map(|row| Some(of.real(row)?[position])).collect::<Option<Vec<bool>>>()?;
        of.contains(&false).then_some(of)
    };
    let mask = |real: Vec<bool>| {
        let real = Value::from_bool(real, &[rows, 1, 1, 1], &of.v.device()).bool_tensor::<4>();
        real.expand([rows, heads, key, width])
    };
    // Whether the position before was a token, or there was none.
    let mut token_before = vec![true; rows];
    let mut read = Vec::with_capacity(length);
    for position in 0..length {
        let real = is_real(position);
        let from_state: Vec<bool> =
            (0..rows).map(|row| token_before[row] || real.as_ref().is_none_or(|real| real[row])).collect();
        let start = match from_state.contains(&false) {
            true => padding.clone().mask_where(mask(from_state), state.clone()),
            false => state.clone(),
        };
        let k = at(&k, position); // [B, H, dk, 1]
        let decayed = start * at(&decay, position); // [B, H, dk, dv]
        let fresh = match of.learning {
            Learning::Replaces => at(&v, position) - (decayed.clone() * k.clone()).sum_dim(2), // [B, H, 1, dv]
            Learning::Adds => at(&v, position),
        };
        let learned = fresh * at(&beta, position);
        let after = decayed + k * learned;
        if let Some(q) = &q {
            read.push((after.clone() * at(q, position)).sum_dim(2).reshape([rows, 1, heads, width]));
        }
        match real {
            Some(real) => {
                state = state.mask_where(mask(real.clone()), after.clone());
                token_before = real;
            }
            None => {
                state = after.clone();
                token_before = vec![true; rows];
            }
        }
        padding = after;
    }
    let read = q.map(|_| Value::float(Tensor::cat(read, 1))); // [B, T, H, dv]
    (read, Value::float(state))
}
