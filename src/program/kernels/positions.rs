//! What layers without softmax attention make of neighbouring positions.

use burn::tensor::Tensor;

use super::host;
use crate::model::spec::Waves;
use crate::program::Context;
use crate::tensor::{TensorError, Value};

/// Sines, then cosines, of the row of the position table that each token would have, `[B, T, d]`.
///
/// # Errors
/// If the device fails.
pub fn sines(waves: Waves, width: usize, context: &Context) -> Result<Value, TensorError> {
    let pairs = width / 2;
    let angle = |position: i64, pair: usize| match waves {
        Waves::Even => position as f64 / 10000f64.powf(2.0 * pair as f64 / width as f64),
        Waves::ToTheEnd { .. } => {
            let step = (10000f64.ln() / (pairs.max(2) - 1) as f64) as f32;
            f64::from(position as f32 * f64::from(pair as f32 * -step).exp() as f32)
        }
    };
    let zero = |position: i64| matches!(waves, Waves::ToTheEnd { zero } if zero as i64 == position);
    let rows = context.table_rows.read_i64()?;
    let of = |&position: &i64| {
        let of_pair = move |f: fn(f64) -> f64| {
            (0..pairs).map(move |pair| if zero(position) { 0.0 } else { f(angle(position, pair)) as f32 })
        };
        of_pair(f64::sin).chain(of_pair(f64::cos))
    };
    let data: Vec<f32> = rows.iter().flat_map(of).collect();
    let value = Value::from_f32(data, &[context.rows(), context.length(), width], context.device());
    let dtype = context.real.dtype();
    Ok(Value::float(value.tensor::<3>().cast(dtype)))
}

/// `[B, T, d]` or `[B, T, H, h]` with zeros at padding.
pub fn real(x: &Value, context: &Context) -> Value {
    match context.padded {
        true if x.shape().len() == 4 => {
            let real = context.real.clone();
            let [rows, length, one] = real.dims();
            Value::float(x.tensor::<4>() * real.reshape([rows, length, one, 1]))
        }
        true => Value::float(x.tensor::<3>() * context.real.clone()),
        false => x.clone(),
    }
}

/// For each row and each column of the span, the columns whose features a convolution with so many taps sees there,
/// oldest first; none before the beginning. Padding behind the first token is passed over by tokens, and sees the columns
/// before it, as in transformers.
pub fn seen(context: &Context, row: usize, column: usize, taps: usize) -> Vec<Option<usize>> {
    let real = context.columns.as_ref().and_then(|rows| rows.get(row)).filter(|row| row[column]);
    let mut seen: Vec<Option<usize>> = match real {
        Some(real) => (0..=column).rev().filter(|&at| real[at]).take(taps).map(Some).collect(),
        None => (0..=column).rev().take(taps).map(Some).collect(),
    };
    seen.resize(taps, None);
    seen.reverse();
    seen
}

/// A convolution of each feature over the columns that it sees: `[B, S, K, h]` or `[B, S, n]` of all columns up to the
/// end of the span to the columns of the span; weights `[n, taps]`, the present column last, and a bias `[n]`.
pub fn convolution(x: &Value, weight: &Value, bias: Option<&Value>, context: &Context) -> Value {
    if let Some(out) = host::convolution(x, weight, bias, context) {
        return out;
    }
    let (rows, columns, length) = (x.shape()[0], x.shape()[1], context.length());
    let width: usize = x.shape()[2..].iter().product();
    let taps = weight.shape()[1];
    let start = columns - length;
    let all = x.clone().reshaped(&[rows, columns, width]).tensor::<3>();
    let padding = Tensor::zeros([rows, taps - 1, width], (&all.device(), all.dtype()));
    let all: Tensor<3> = Tensor::cat(vec![padding, all], 1);
    let weight = weight.tensor::<2>(); // [n, taps]
    let mut sum: Option<Tensor<3>> = None;
    for tap in 0..taps {
        // Column c of the input is column c + taps - 1 here.
        let part = match &context.columns {
            None => all.clone().narrow(1, start + tap, length),
            Some(_) => {
                let of = |row: usize, column: usize| match seen(context, row, start + column, taps)[tap] {
                    Some(column) => (column + taps - 1) as i64,
                    None => 0,
                };
                let found = (0..rows).flat_map(|row| (0..length).map(move |column| of(row, column))).collect();
                let index = Value::from_i64(found, &[rows, length, 1], &x.device()).int_tensor::<3>();
                all.clone().gather(1, index.expand([rows, length, width]))
            }
        };
        let by = weight.clone().narrow(1, tap, 1).reshape([1, 1, width]);
        let more = part * by; // [B, T, n]
        sum = Some(match sum {
            Some(sum) => sum + more,
            None => more,
        });
    }
    let sum = sum.expect("a convolution has a tap");
    let out = match bias {
        Some(bias) => sum + bias.tensor::<1>().reshape([1, 1, width]),
        None => sum,
    };
    let shape = [&[rows, length], &x.shape()[2..]].concat();
    Value::float(out).reshaped(&shape)
}
