//! Where NaN and infinities come from: the first op that makes one of finite numbers, the element, the product that made it, and
//! the weight, down to its bytes in the file.

use crate::debugger::{Mark, Result, Session};
use crate::model::checkpoint::TensorReader;
use crate::model::role::WeightId;
use crate::program::{Kernel, Op};
use crate::tensor::{Precision, Value, step, unravel};

/// Elements of a tensor of a file that are decoded at a time.
const PIECE: usize = 1 << 16;

/// Terms of a sum that are listed.
const TERMS: usize = 3;

/// The first element that is not finite although what it was computed from is.
#[derive(Clone, Debug)]
pub struct Origin {
    pub at: Mark,
    pub value: Value,
    /// The place of the element in the value.
    pub index: Vec<usize>,
    pub element: f64,
    /// How many elements of the value are not finite.
    pub count: usize,
    pub cause: Cause,
}

#[derive(Clone, Debug)]
pub enum Cause {
    /// A weight has such an element itself.
    Weight { id: WeightId, index: Vec<usize>, element: f64, stored: Option<Stored> },
    /// A sum of products whose terms are finite: input, weight and product of the largest, and what all of them add up to
    /// in 64 bits.
    Sum { of: Vec<Term>, weight: WeightId, sum: f64, largest: f64 },
    /// Another op: what it read at the element, each input by its number and value.
    Op { read: Vec<(usize, f64)> },
}

/// One product of a sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    pub feature: usize,
    pub input: f64,
    pub weight: f64,
}

/// Where an element is in the files of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub tensor: String,
    pub index: Vec<usize>,
    pub file: String,
    /// The first byte of it, or of the block that it is in.
    pub byte: Option<usize>,
}

/// The origin of what is not finite in the passes so far; `None` if all is. Masked scores are minus infinity, and are meant.
///
/// # Errors
/// If a value or a weight cannot be read, or the user interrupts.
pub fn origin(session: &mut Session) -> Result<Option<Origin>> {
    let program = session.run.program.clone();
    let last = session.run.mark();
    for pass in 0..=last.pass {
        let ops = if pass == last.pass { last.op } else { program.ops.len() };
        for number in 0..ops {
            let op = &program.ops[number];
            step(&op.site, number as u64, ops as u64)?;
            let at = Mark { pass, op: number };
            let value = session.run.value_at(at)?;
            if !has_any(&value, op)? {
                continue;
            }
            return Ok(Some(found(session, at, op, value)?));
        }
    }
    Ok(None)
}

fn is_masked(op: &Op, x: f64) -> bool {
    matches!(op.kernel, Kernel::Scores { .. }) && x == f64::NEG_INFINITY
}

fn has_any(value: &Value, op: &Op) -> Result<bool> {
    let summary = value.summary()?;
    let masks = matches!(op.kernel, Kernel::Scores { .. });
    Ok(summary.nan + summary.pos_inf + if masks { 0 } else { summary.neg_inf } > 0)
}

fn found(session: &mut Session, at: Mark, op: &Op, value: Value) -> Result<Origin> {
    let data = value.read_f64()?;
    let bad = |x: f64| !x.is_finite() && !is_masked(op, x);
    let count = data.iter().filter(|x| bad(**x)).count();
    let first = data.iter().position(|x| bad(*x)).unwrap_or(0);
    let (index, element) = (unravel(first, value.shape()), data[first]);
    let cause = cause(session, at, op, &index)?;
    Ok(Origin { at, value, index, element, count, cause })
}

fn cause(session: &mut Session, at: Mark, op: &Op, index: &[usize]) -> Result<Cause> {
    for &id in &op.weights {
        if let Some(cause) = of_weight(session, id)? {
            return Ok(cause);
        }
    }
    let inputs = session.run.inputs_at(at)?;
    let sums = matches!(op.kernel, Kernel::Linear { .. } | Kernel::Output | Kernel::Project | Kernel::Unembed { .. });
    if let (true, Some(&weight), [first, ..]) = (sums, op.weights.first(), inputs.as_slice())
        && let Some(cause) = of_sum(session, first, weight, op, index)?
    {
        return Ok(cause);
    }
    // Ops of single elements read the same place of each input, or of what all features share.
    let mut read = Vec::new();
    for (input, &number) in inputs.iter().zip(&op.inputs) {
        let shape = input.shape();
        let same =
            shape.len() == index.len() && shape.iter().zip(index).all(|(length, at)| *length == 1 || at < length);
        if !same {
            continue;
        }
        let place =
            shape.iter().zip(index).fold(0, |place, (length, at)| place * length + if *length == 1 { 0 } else { *at });
        read.push((number, input.read_f64()?[place]));
    }
    Ok(Cause::Op { read })
}

fn of_weight(session: &mut Session, id: WeightId) -> Result<Option<Cause>> {
    let Some(value) = session.run.branch().weights().whole(id)? else { return Ok(None) };
    let data = value.read_f64()?;
    let Some(at) = data.iter().position(|x| !x.is_finite()) else { return Ok(None) };
    let stored = in_files(session, id)?;
    Ok(Some(Cause::Weight { id, index: unravel(at, value.shape()), element: data[at], stored }))
}

/// The first element that is not finite of the tensors that a weight was made of; `None` if all are finite there, so that an edit
/// or an adapter made it.
fn in_files(session: &Session, id: WeightId) -> Result<Option<Stored>> {
    let model = &session.run.model;
    for tensor in model.weights.files().iter().filter(|tensor| tensor.uses.contains(&id)) {
        let Some((file, entry)) = model.files.find(&tensor.name) else { continue };
        let reader = TensorReader::new(file, entry)?;
        let count = entry.count();
        let mut piece = Vec::new();
        for start in (0..count).step_by(PIECE) {
            step(&tensor.name, start as u64, count as u64)?;
            piece.resize(PIECE.min(count - start), 0.0);
            reader.decode(start, &mut piece)?;
            let Some(inside) = piece.iter().position(|x| !x.is_finite()) else { continue };
            let at = start + inside;
            let block = entry.dtype.block().zip(reader.stored_index(at)).zip(entry.begins());
            let byte = block.map(|(((elements, bytes), stored), begins)| begins + stored / elements * bytes);
            let (name, index) = (tensor.file_name().to_string(), unravel(at, &entry.shape));
            return Ok(Some(Stored { tensor: name, index, file: file.path.clone(), byte }));
        }
    }
    Ok(None)
}

/// The products that an element is the sum of, in 64 bits.
fn of_sum(session: &Session, x: &Value, id: WeightId, op: &Op, index: &[usize]) -> Result<Option<Cause>> {
    let weights = session.run.branch().weights();
    let (Some(&row), Some(&position)) = (index.first(), index.get(1)) else { return Ok(None) };
    // Heads and their features are one axis of the weight.
    let column = match index[2..] {
        [head, feature] => head * op.width + feature,
        [feature] => feature,
        _ => return Ok(None),
    };
    let shape = x.shape();
    let width: usize = shape[2..].iter().product();
    let x = x.read_f64()?;
    let x = &x[(row * shape[1] + position) * width..][..width];
    let Some(weight) = weights.whole(id)? else { return Ok(None) };
    let (w, rows) = (weight.read_f64()?, weight.shape().to_vec());
    let [a, b] = rows[..] else { return Ok(None) };
    // Tables have a row for each output.
    let of = |i: usize| if matches!(op.kernel, Kernel::Unembed { .. }) { w[column * b + i] } else { w[i * b + column] };
    if width != if matches!(op.kernel, Kernel::Unembed { .. }) { b } else { a } {
        return Ok(None);
    }
    let mut terms: Vec<Term> = (0..width).map(|i| Term { feature: i, input: x[i], weight: of(i) }).collect();
    let sum = terms.iter().map(|term| term.input * term.weight).sum();
    terms.sort_by(|a, b| (b.input * b.weight).abs().total_cmp(&(a.input * a.weight).abs()));
    terms.truncate(TERMS);
    let largest = match session.run.model.weights.precision() {
        Precision::F16 => 65504.0,
        Precision::F32 => f64::from(f32::MAX),
    };
    Ok(Some(Cause::Sum { of: terms, weight: id, sum, largest }))
}
