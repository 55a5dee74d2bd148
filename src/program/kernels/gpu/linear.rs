//! Embeddings, linear layers and the unembedding.

use super::here;
use super::launch::{self, Batch, Epilogue, Operand, Order, Output};
use crate::model::weights::{StoredMatrix, Weight};
use crate::tensor::graphics::stored::Form;
use crate::tensor::graphics::{DeviceF32, DeviceWords};
use crate::tensor::{TensorError, Value};

/// A matrix of weights on a device: its rows one after another.
struct Rows {
    words: DeviceWords,
    form: Form,
    rows: usize,
    width: usize,
}

impl Rows {
    /// The rows of a weight `[n, m]` as it is laid out, and what they are in `x W`.
    fn of(weight: &Value) -> Option<(Rows, Order)> {
        let (words, form, by_columns) = weight.device_matrix()?;
        let [n, m] = *weight.shape() else { return None };
        Some(match by_columns {
            true => (Rows { words, form, rows: m, width: n }, Order::Outputs),
            false => (Rows { words, form, rows: n, width: m }, Order::Terms),
        })
    }

    fn stored(matrix: &StoredMatrix) -> Option<Rows> {
        let (words, form) = matrix.on_device()?;
        Some(Rows { words: words.clone(), form, rows: matrix.rows(), width: matrix.width() })
    }
}

/// `x w + b`, with what the rows of `w` are.
fn times(x: &Value, w: &Rows, order: Order, bias: Option<&Value>) -> Option<Value> {
    let (here, bias) = (x.device_f32()?, here(bias)?);
    let (n, m) = match order {
        Order::Outputs => (w.width, w.rows),
        Order::Terms => (w.rows, w.width),
    };
    let rows = here.len() / n.max(1);
    let out = here.empty(rows * m);
    into(
        &here,
        (w, order),
        [rows, m, n],
        Output { data: &out, start: 0, strides: [0, 0, m] },
        bias.as_ref().map(|b| (b, 0)),
    );
    let mut shape = x.shape().to_vec();
    *shape.last_mut()? = m;
    Some(out.value(&shape))
}

/// The same into memory that is there, with the part of a bias from its `start`-th element on.
fn into(
    x: &DeviceF32,
    (w, order): (&Rows, Order),
    [rows, m, n]: [usize; 3],
    out: Output,
    bias: Option<(&DeviceF32, usize)>,
) {
    launch::product(
        Operand { data: x, start: 0, strides: [0, 0, n] },
        (Operand { data: &w.words, start: 0, strides: [0, 0, w.width] }, w.form, order),
        [rows, m, n],
        out,
        Batch::ONE,
        Epilogue { more: bias.map(|(bias, start)| (bias, [start, 0, 0, 0])), ..Epilogue::default() },
    );
}

pub fn linear(x: &Value, weight: &Value, bias: Option<&Value>) -> Option<Value> {
    let (rows, order) = Rows::of(weight)?;
    times(x, &rows, order, bias)
}

/// The same with the transpose `[m, n]` of the weight as it is stored.
pub fn linear_stored(x: &Value, weight: &StoredMatrix, bias: Option<&Value>) -> Option<Value> {
    times(x, &Rows::stored(weight)?, Order::Outputs, bias)
}

/// What `x W` of [`linear_stored`] gives back for a gradient at its output, `[B, T, m]`: its product with the weight as
/// it is stored, `[m, n]`.
pub fn back_through_stored(seed: &Value, weight: &StoredMatrix) -> Option<Value> {
    times(seed, &Rows::stored(weight)?, Order::Terms, None)
}

/// Rows of the pieces of a table for token ids `[B, T]`: `[B, T, d]`. `None` if a piece is not stored on the device.
pub fn embed(tokens: &Value, pieces: &[Weight]) -> Option<Value> {
    let ids = tokens.device_i32()?;
    let stored = |piece: &Weight| match piece {
        Weight::Stored { matrix, transposed: false } => Rows::stored(matrix),
        _ => None,
    };
    let tables: Vec<Rows> = pieces.iter().map(stored).collect::<Option<_>>()?;
    let width = tables.first()?.width;
    let out = ids.empty(ids.len() * width);
    let mut start = 0;
    for table in &tables {
        launch::embed(&ids, (&table.words, table.form), &out, start, table.rows);
        start += table.rows;
    }
    Some(out.value(&[tokens.shape(), &[width]].concat()))
}

/// Products of `[B, T, d]` with the rows of matrices `[., d]`, one after the other: `[B, T, V]`.
///
/// # Errors
/// If a matrix cannot be read, or the user interrupts.
pub fn unembed(
    x: &Value,
    vocab: usize,
    pieces: impl Iterator<Item = Result<Weight, TensorError>>,
    bias: Option<&Value>,
) -> Option<Result<Value, TensorError>> {
    let (here, bias) = (x.device_f32()?, here(bias)?);
    let [batch, length, d] = *x.shape() else { return None };
    let out = here.empty(batch * length * vocab);
    let mut start = 0;
    for piece in pieces {
        let rows = match &piece {
            Ok(Weight::Stored { matrix, .. }) => Rows::stored(matrix)?,
            Ok(Weight::Dense(value)) => {
                let (rows, order) = Rows::of(&value.transpose())?;
                if order != Order::Outputs {
                    return None;
                }
                rows
            }
            Err(error) => return Some(Err(error.clone())),
        };
        let to = Output { data: &out, start, strides: [0, 0, vocab] };
        let bias = bias.as_ref().map(|bias| (bias, start));
        into(&here, (&rows, Order::Outputs), [batch * length, rows.rows, d], to, bias);
        start += rows.rows;
    }
    Some(Ok(out.value(&[batch, length, vocab])))
}
