//! States whose elements decay each on its own: Mamba.

use burn::tensor::Tensor;

use super::host;
use crate::program::Context;
use crate::tensor::Value;

/// What the rule reads: shapes for `B` rows, `T` positions, `n` features, and keys of width `dk`.
pub struct Scan<'a> {
    /// `[B, T, dk]`; none if the states are all that is wanted.
    pub q: Option<&'a Value>,
    /// `[B, T, dk]`.
    pub k: &'a Value,
    /// `[B, T, n]`.
    pub v: &'a Value,
    /// By how much each feature learns and decays, `[B, T, n]`.
    pub step: &'a Value,
    /// Logarithms of the rates of decay, `[n, dk]`.
    pub rate: &'a Value,
    /// States before the first position, `[B, n, dk]`; zeros if there are none.
    pub before: Option<&'a Value>,
    pub context: &'a Context,
}

impl<'a> Scan<'a> {
    /// Of inputs in the order of ops: keys, values, steps, states.
    pub fn of(q: Option<&'a Value>, rest: &'a [Value], rate: &'a Value, context: &'a Context) -> Scan<'a> {
        let [k, v, step, rest @ ..] = rest else { panic!("keys, values and steps are read") };
        Scan { q, k, v, step, rate, before: rest.first(), context }
    }

    /// Rows, positions, features, width of keys.
    pub fn sizes(&self) -> [usize; 4] {
        let ([rows, length, features], [_, _, key]) = (self.v.shape(), self.k.shape()) else {
            panic!("keys and values have three axes")
        };
        [*rows, *length, *features, *key]
    }

    /// Which columns that are computed are no padding behind the first token, of a row; none if all of all rows are not.
    pub fn real(&self, row: usize) -> Option<&[bool]> {
        let rows = self.context.columns.as_ref()?;
        Some(&rows[row][self.context.span().start..])
    }
}

/// What the queries read, `[B, T, n]`.
///
/// A padding position reads what it would read in transformers, where its steps are part of the states of padding after
/// it; tokens read states that only tokens are part of.
pub fn read(of: &Scan) -> Value {
    host::read_scan(of).unwrap_or_else(|| steps(of).0.expect("queries read"))
}

/// The states after the last token, `[B, n, dk]`.
pub fn states(of: &Scan) -> Value {
    host::scan_states(of).unwrap_or_else(|| steps(of).1)
}

/// Both, over burn.
fn steps(of: &Scan) -> (Option<Value>, Value) {
    let [rows, length, features, key] = of.sizes();
    let at = |x: &Value, position: usize| x.tensor::<3>().narrow(1, position, 1); // [B, 1, ...]
    let rate = of.rate.tensor::<2>().exp().neg().reshape([1, features, key]);
    let mut state: Tensor<3> = match of.before {
        Some(before) => before.tensor(),
        None => {
            let v = of.v.tensor::<3>();
            Tensor::zeros([rows, features, key], (&v.device(), v.dtype()))
        }
    };
    let mut padding = state.clone();
    let is_real = |row: usize, position: usize| of.real(row).is_none_or(|real| real[position]);
    let mask = |real: Vec<bool>| {
        let real = Value::from_bool(real, &[rows, 1, 1], &of.v.device()).bool_tensor::<3>();
        real.expand([rows, features, key])
    };
    // Whether the position before was a token, or there was none.
    let mut token_before = vec![true; rows];
    let mut read = Vec::with_capacity(length);
    for position in 0..length {
        let real: Vec<bool> = (0..rows).map(|row| is_real(row, position)).collect();
        let from_state: Vec<bool> = real.iter().zip(&token_before).map(|(real, before)| *real || *before).collect();
        let start = match from_state.contains(&false) {
            true => padding.clone().mask_where(mask(from_state), state.clone()),
            false => state.clone(),
        };
        let step = at(of.step, position).reshape([rows, features, 1]);
        let v = at(of.v, position).reshape([rows, features, 1]);
        let k = at(of.k, position).reshape([rows, 1, key]);
        let after = start * (rate.clone() * step.clone()).exp() + (step * v) * k; // [B, n, dk]
        if let Some(q) = of.q {
            let q = at(q, position).reshape([rows, 1, key]);
            read.push((after.clone() * q).sum_dim(2).reshape([rows, 1, features]));
        }
        state = match real.contains(&false) {
            true => state.mask_where(mask(real.clone()), after.clone()),
            false => after.clone(),
        };
        token_before = real;
        padding = after;
    }
    let read = of.q.map(|_| Value::float(Tensor::cat(read, 1))); // [B, T, n]
    (read, Value::float(state))
}
