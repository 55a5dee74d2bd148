//! What stays in pieces: parts of a value, functions of its elements, and assignments to parts of it.

use std::ops::Range;

use super::{Part, block_rows};
use crate::tensor::ops::Slice;
use crate::tensor::{Axis, Device, Kind, Precision, TensorError, Value, unravel};

impl Value {
    /// What a function makes of each block of this value in pieces. It must not change the shape.
    pub(in crate::tensor) fn mapped(
        &self,
        held: (Kind, Precision),
        function: impl Fn(&Value) -> Result<Value, TensorError> + Send + Sync + 'static,
    ) -> Value {
        let of = self.clone();
        let source = move |matrix, rows| function(&of.block(matrix, rows)?);
        Value::in_pieces(self.shape(), held, &self.device(), self.step(), source)
            .with_axes(self.axes())
            .with_origin(self.origin().map(<[usize]>::to_vec))
    }

    /// Parts of the axes of this value in pieces, of which those that are `kept` stay.
    pub(in crate::tensor) fn sliced(&self, parts: Vec<Part>, kept: &[usize]) -> Result<Value, TensorError> {
        let len = |&axis: &usize| {
            let (from, to, by) = parts[axis];
            (to - from).div_ceil(by)
        };
        let shape: Vec<usize> = kept.iter().map(len).collect();
        let [outer @ .., row_axis, _] = kept else { return Ok(self.taken(&parts)?.reshaped(&shape)) };
        if !super::is_large(&shape) {
            return Ok(self.taken(&parts)?.reshaped(&shape));
        }
        let (of, outer, row_axis, lens) = (self.clone(), outer.to_vec(), *row_axis, shape.clone());
        let (rank, width) = (shape.len(), shape[shape.len() - 1]);
        let step = if row_axis + 2 == self.shape().len() { self.step() } else { block_rows(width) };
        let source = move |matrix: usize, rows: Range<usize>| {
            let mut parts = parts.clone();
            for (at, axis) in unravel(matrix, &lens[..rank - 2]).into_iter().zip(&outer) {
                let (from, _, by) = parts[*axis];
                parts[*axis] = (from + at * by, from + at * by + 1, 1);
            }
            let (from, to, by) = parts[row_axis];
            parts[row_axis] = (from + rows.start * by, to.min(from + rows.end * by), by);
            Ok(of.taken(&parts)?.reshaped(&[rows.len(), width]))
        };
        Ok(Value::in_pieces(&shape, self.form(), &self.device(), step, source))
    }

    /// This value in pieces with `patch`, which broadcasts, in the place that the parts name, of whose axes `kept` are
    /// those of the patch. Only steps of 1.
    pub(in crate::tensor) fn patched(&self, parts: Vec<Part>, kept: Vec<usize>, patch: &Value) -> Value {
        let (of, patch) = (self.clone(), patch.clone());
        let shape = self.shape().to_vec();
        let target: Vec<usize> = kept.iter().map(|&axis| parts[axis].1 - parts[axis].0).collect();
        let source = move |matrix: usize, rows: Range<usize>| {
            let block = of.block(matrix, rows.clone())?;
            let rank = shape.len();
            let mut here: Vec<Range<usize>> =
                unravel(matrix, &shape[..rank - 2]).into_iter().map(|at| at..at + 1).collect();
            here.extend([rows.clone(), 0..shape[rank - 1]]);
            let both: Vec<Range<usize>> =
                here.iter().zip(&parts).map(|(here, part)| here.start.max(part.0)..here.end.min(part.1)).collect();
            if both.iter().any(|both| both.start >= both.end) {
                return Ok(block);
            }
            let within: Vec<Range<usize>> =
                kept.iter().map(|&axis| both[axis].start - parts[axis].0..both[axis].end - parts[axis].0).collect();
            let place = |axis: usize| Slice::Range {
                start: both[axis].start - here[axis].start,
                end: both[axis].end - here[axis].start,
                step: 1,
            };
            let part = patch.part_within(&target, &within)?;
            let [n, m] = [rank - 2, rank - 1].map(|axis| both[axis].len());
            // Where the rows or columns are one entry that disappears, the patch has no axis for them.
            let full = |axis: usize, len: usize| {
                let at = kept.iter().position(|kept| *kept == axis);
                let own = at.and_then(|at| (at + part.shape().len()).checked_sub(kept.len()));
                own.map_or(1, |own| part.shape()[own]).min(len)
            };
            let (part_rows, part_columns) = (full(rank - 2, n), full(rank - 1, m));
            let part = part.reshaped(&[part_rows, part_columns]);
            block.assign(&[place(rank - 2), place(rank - 1)], &part)
        };
        Value::in_pieces(self.shape(), self.form_assigned(), &self.device(), self.step(), source).with_axes(self.axes())
    }

    /// The part of a value that broadcasts to `shape`, at these ranges of the axes of that shape; in memory.
    fn part_within(&self, shape: &[usize], ranges: &[Range<usize>]) -> Result<Value, TensorError> {
        let missing = shape.len() - self.shape().len();
        let one = |(axis, &len): (usize, &usize)| {
            let range = &ranges[missing + axis];
            if len == 1 { (0, 1, 1) } else { (range.start, range.end, 1) }
        };
        let parts: Vec<Part> = self.shape().iter().enumerate().map(one).collect();
        if self.is_in_pieces() {
            return self.taken(&parts);
        }
        let range = |&(start, end, step): &Part| Slice::Range { start, end, step };
        self.slice(&parts.iter().map(range).collect::<Vec<_>>())
    }

    fn form(&self) -> (Kind, Precision) {
        (self.kind(), if self.dtype_name() == "f16" { Precision::F16 } else { Precision::F32 })
    }

    /// What an assignment makes: it is done in 32 bits.
    fn form_assigned(&self) -> (Kind, Precision) {
        (self.kind(), Precision::F32)
    }

    /// One number throughout, in pieces as this value is.
    pub(in crate::tensor) fn full_in_pieces(&self, number: f64) -> Value {
        let (device, width) = (self.device(), self.matrices()[2]);
        let source = move |_, rows: Range<usize>| {
            let one = Value::from_f32(vec![number as f32], &[1, 1], &device);
            Ok(one.expand_to(&[rows.len(), width]))
        };
        Value::in_pieces(self.shape(), (Kind::Float, Precision::F32), &self.device(), self.step(), source)
            .with_axes(self.axes())
    }
}

/// A function of the elements of values that broadcast to `shape`, of which one at least is in pieces.
///
/// # Errors
/// If the function does not take such elements.
pub(in crate::tensor) fn elementwise(
    values: &[&Value],
    (shape, axes): (&[usize], &[Axis]),
    function: impl Fn(&[Value]) -> Result<Value, TensorError> + Send + Sync + 'static,
) -> Result<Value, TensorError> {
    // What kinds it takes and gives, one element tells.
    let sample = |value: &&Value| match value.kind() {
        Kind::Float => Value::from_f32(vec![1.0], &[1], &Device::cpu()),
        Kind::Int => Value::from_i64(vec![1], &[1], &Device::cpu()),
        Kind::Bool => Value::from_bool(vec![true], &[1], &Device::cpu()),
    };
    let kind = function(&values.iter().map(sample).collect::<Vec<_>>())?.kind();
    let first = values.iter().find(|value| value.is_in_pieces()).expect("one is in pieces");
    let step = if first.shape().ends_with(&shape[shape.len() - 2..]) {
        first.step()
    } else {
        block_rows(shape[shape.len() - 1])
    };
    let device = first.device();
    let of = values.iter().map(|value| if value.is_in_pieces() { Ok((*value).clone()) } else { value.on(&device) });
    let (whole, of) = (shape.to_vec(), of.collect::<Result<Vec<_>, _>>()?);
    let source = move |matrix: usize, rows: Range<usize>| {
        let rank = whole.len();
        let mut here: Vec<Range<usize>> =
            unravel(matrix, &whole[..rank - 2]).into_iter().map(|at| at..at + 1).collect();
        here.extend([rows.clone(), 0..whole[rank - 1]]);
        let part = |value: &Value| {
            let part = value.part_within(&whole, &here)?;
            let lens = part.shape();
            let (rows, width) = match lens {
                [] => (1, 1),
                [width] => (1, *width),
                [.., rows, width] => (*rows, *width),
            };
            Ok(part.reshaped(&[rows, width]))
        };
        let parts = of.iter().map(part).collect::<Result<Vec<_>, TensorError>>()?;
        Ok(function(&parts)?.expand_to(&[rows.len(), whole[rank - 1]]))
    };
    Ok(Value::in_pieces(shape, (kind, Precision::F32), &device, step, source).with_axes(axes))
}
