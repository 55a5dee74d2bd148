//! Values in pieces: what is too large to be held is computed when it is looked at, some rows at a time.
//!
//! The scores of attention over a long text, and its logits, are larger than everything else of a pass together, and
//! hardly any of them is ever read. Such a value is its shape and a function that gives rows of it. Slices, functions
//! of each element, and assignments of parts are values in pieces again; summaries, reductions and searches go through
//! it once, and give the same bits as they would over memory, because both work on pieces of one size in one order.
//! What needs all elements at once holds them if there is memory for it, and is refused by name otherwise.

mod reduce;
mod views;

use std::cell::Cell;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::host::PIECE;
use super::{Device, Kind, Precision, TensorError, Value, proceed};

pub(super) use views::elementwise;

/// Gives some rows of one of the matrices that the last two axes form, `[rows, width]`.
type Source = dyn Fn(usize, Range<usize>) -> Result<Value, TensorError> + Send + Sync;

/// What a value in pieces has in place of a tensor.
#[derive(Clone)]
pub(super) struct Pieces {
    source: Arc<Source>,
    pub precision: Precision,
    pub device: Device,
    /// Rows that are best asked for at once, from multiples of that on.
    step: usize,
}

/// Part of an axis: first entry, end, and step.
pub(super) type Part = (usize, usize, usize);

/// Bytes of a value that are made in the work of one task.
const BLOCK: usize = 2 << 20;

/// Bytes of blocks that are made side by side.
const SIDE_BY_SIDE: usize = 64 << 20;

/// Bytes up to which values are held unless that is changed.
pub const LARGEST_HELD: u64 = 256 << 20;

thread_local! {
    static LARGEST: Cell<u64> = const { Cell::new(LARGEST_HELD) };
}

static AVAILABLE: OnceLock<fn() -> Option<u64>> = OnceLock::new();

/// Says how the bytes of memory that are free are found, or that it is not known.
pub fn free_memory_by(available: fn() -> Option<u64>) {
    _ = AVAILABLE.set(available);
}

/// Bytes that the largest value takes that ops hold on this thread; larger ones are in pieces.
pub fn largest_held() -> u64 {
    LARGEST.get()
}

/// Changes that, for values that are made from now on.
pub fn hold_up_to(bytes: u64) {
    LARGEST.set(bytes);
}

/// Whether a value of that shape is in pieces on a device if its op can compute parts of it: it is larger than values
/// that are held, or than a buffer of the device.
pub fn is_large(shape: &[usize], device: &Device) -> bool {
    let elements = shape.iter().fold(1u64, |all, len| all.saturating_mul(*len as u64));
    shape.len() >= 2 && (elements.saturating_mul(4) > largest_held() || !device.holds(elements))
}

/// Rows that are computed together where rows have `width` elements: 2 MiB of them, 64 at least and 256 at most.
pub fn block_rows(width: usize) -> usize {
    (BLOCK / 4 / width.max(1) / 64 * 64).clamp(64, 256)
}

impl Value {
    /// A value of at least two axes whose elements `source` gives: rows of one of the matrices that its last two axes
    /// form, as `[rows, width]`. It must give the same bits each time, and for any rows; those of whole blocks of `step`
    /// rows are what is asked for most.
    pub fn in_pieces(
        shape: &[usize],
        (kind, precision): (Kind, Precision),
        device: &Device,
        step: usize,
        source: impl Fn(usize, Range<usize>) -> Result<Value, TensorError> + Send + Sync + 'static,
    ) -> Value {
        assert!(shape.len() >= 2, "rows and width, found {shape:?}");
        let pieces = Pieces { source: Arc::new(source), precision, device: device.clone(), step: step.max(1) };
        Value::of_pieces(shape, kind, pieces)
    }

    pub fn is_in_pieces(&self) -> bool {
        self.pieces().is_some()
    }

    /// Number of matrices, rows and width.
    ///
    /// # Panics
    /// If it has fewer than two axes.
    pub fn matrices(&self) -> [usize; 3] {
        let [outer @ .., rows, width] = self.shape() else { panic!("rows and width, found {self:?}") };
        [outer.iter().product(), *rows, *width]
    }

    /// Rows of one of its matrices, `[rows, width]`; computed where it is in pieces.
    ///
    /// # Panics
    /// If it has fewer than two axes, or the rows are outside.
    pub fn block(&self, matrix: usize, rows: Range<usize>) -> Result<Value, TensorError> {
        let [matrices, all, width] = self.matrices();
        assert!(matrix < matrices && rows.end <= all, "rows {rows:?} of matrix {matrix} of {self:?}");
        let count = rows.len();
        let block = match self.pieces() {
            Some(pieces) => (pieces.source)(matrix, rows)?,
            None => {
                self.clone().reshaped(&[matrices * all, width]).rows(matrix * all + rows.start..matrix * all + rows.end)
            }
        };
        Ok(block.reshaped(&[count, width]))
    }

    /// Goes through the value once, in blocks of rows in their order. Several are made side by side.
    pub fn for_blocks(
        &self,
        look: impl FnMut(usize, Range<usize>, Value) -> Result<(), TensorError>,
    ) -> Result<(), TensorError> {
        let [matrices, rows, _] = self.matrices();
        let step = self.step();
        let blocks = (0..matrices)
            .flat_map(|matrix| (0..rows).step_by(step).map(move |first| (matrix, first..rows.min(first + step))));
        self.blocks(blocks, look)
    }

    /// The same for some blocks.
    fn blocks(
        &self,
        blocks: impl Iterator<Item = (usize, Range<usize>)>,
        mut look: impl FnMut(usize, Range<usize>, Value) -> Result<(), TensorError>,
    ) -> Result<(), TensorError> {
        let bytes = 4 * self.step() * self.matrices()[2];
        // A graphics device works on one block at a time anyway.
        let most = if self.device().is_cpu() { rayon::current_num_threads() } else { 1 };
        let at_once = (SIDE_BY_SIDE / bytes.max(1)).clamp(1, most);
        let mut blocks = blocks.peekable();
        while blocks.peek().is_some() {
            proceed()?;
            let some: Vec<_> = blocks.by_ref().take(at_once).collect();
            let make = |(matrix, rows): (usize, Range<usize>)| Ok((matrix, rows.clone(), self.block(matrix, rows)?));
            let made: Vec<_> = match some.len() {
                1 => some.into_iter().map(make).collect::<Result<_, TensorError>>()?,
                _ => some.into_par_iter().map(make).collect::<Result<_, TensorError>>()?,
            };
            for (matrix, rows, block) in made {
                look(matrix, rows, block)?;
            }
        }
        Ok(())
    }

    /// Rows that are best asked for at once.
    pub(super) fn step(&self) -> usize {
        self.pieces().map_or_else(|| block_rows(self.matrices()[2]), |pieces| pieces.step)
    }

    /// All elements as 32-bit floats in row-major order, in parts: each is a multiple of [`PIECE`] but the last.
    pub(super) fn for_elements(&self, mut look: impl FnMut(usize, &[f32])) -> Result<(), TensorError> {
        let (mut start, mut left) = (0, Vec::new());
        self.for_blocks(|_, _, block| {
            left.extend_from_slice(block.to_float().on_host()?.as_slice());
            let whole = left.len() / PIECE * PIECE;
            if whole > 0 {
                look(start, &left[..whole]);
                start += whole;
                left.drain(..whole);
            }
            Ok(())
        })?;
        if !left.is_empty() {
            look(start, &left);
        }
        Ok(())
    }

    /// Elements `range` of all in row-major order, as 32-bit floats.
    pub(super) fn elements(&self, range: Range<usize>) -> Result<Vec<f32>, TensorError> {
        let [_, rows, width] = self.matrices();
        let mut found = Vec::with_capacity(range.len());
        for row in range.start / width..range.end.div_ceil(width) {
            let block = self.block(row / rows, row % rows..row % rows + 1)?.to_float();
            let (from, to) = (range.start.max(row * width), range.end.min((row + 1) * width));
            found.extend_from_slice(&block.on_host()?.as_slice()[from - row * width..to - row * width]);
        }
        Ok(found)
    }

    /// The same value with all of its elements in memory.
    ///
    /// # Errors
    /// [`TensorError::NoRoom`] if it is in pieces, and larger than the memory that is free, or [`TensorError::TooBig`]
    /// than a buffer of its device.
    pub fn held(&self) -> Result<Value, TensorError> {
        let Some(pieces) = self.pieces() else { return Ok(self.clone()) };
        pieces.device.check("all of it", self.shape(), self.axes())?;
        // It is collected in 32 bits, and then rounded.
        self.check_memory(if pieces.precision == Precision::F16 { 6 } else { 4 })?;
        let all: Vec<Part> = self.shape().iter().map(|&len| (0, len, 1)).collect();
        Ok(self.taken(&all)?.with_axes(self.axes()).with_origin(self.origin().map(<[usize]>::to_vec)))
    }

    /// Refuses a value in pieces of which memory does not hold so many bytes for each element.
    ///
    /// # Errors
    /// [`TensorError::NoRoom`] with both sizes.
    pub(super) fn check_memory(&self, each: u64) -> Result<(), TensorError> {
        let bytes = self.count() as u64 * each;
        match AVAILABLE.get().and_then(|available| available()).filter(|free| self.is_in_pieces() && bytes > *free) {
            Some(available) => {
                super::task::note_failure();
                Err(TensorError::NoRoom { shape: self.shape_text(), bytes, available })
            }
            None => Ok(()),
        }
    }

    /// A part of each axis, in memory; no axis disappears.
    fn taken(&self, parts: &[Part]) -> Result<Value, TensorError> {
        let [outer @ .., (first, end, by), (left, right, across)] = parts else { panic!("a part of each axis") };
        let lens = |parts: &[Part]| parts.iter().map(|(from, to, by)| (to - from).div_ceil(*by)).collect::<Vec<_>>();
        let (shape, step) = (lens(parts), self.step());
        let numbers = lens(outer);
        let matrices: Vec<usize> = (0..numbers.iter().product())
            .map(|i| {
                let at = super::unravel(i, &numbers);
                let entry = at.iter().zip(outer).map(|(at, (from, _, by))| from + at * by);
                entry.zip(self.shape()).fold(0, |all, (entry, len)| all * len + entry)
            })
            .collect();
        // The first row that is taken from `row` on.
        let next = |row: usize| first + row.saturating_sub(*first).next_multiple_of(*by);
        let blocks = matrices.into_iter().flat_map(|matrix| {
            (first / step..end.div_ceil(step)).filter_map(move |block| {
                let (from, to) = (next((block * step).max(*first)), (*end).min((block + 1) * step));
                (from < to).then_some((matrix, from..to))
            })
        });
        let kept = |block: &Value| {
            let (rows, width) = (block.shape()[0], block.shape()[1]);
            let all = (*by, *left, *right, *across) == (1, 0, width, 1);
            let part = |start, end, step| super::ops::Slice::Range { start, end, step };
            if all { Ok(block.clone()) } else { block.slice(&[part(0, rows, *by), part(*left, *right, *across)]) }
        };
        let (count, device) = (shape.iter().product(), self.device());
        Ok(match self.kind() {
            Kind::Float => {
                let mut data = Vec::with_capacity(count);
                self.blocks(blocks, |_, _, block| {
                    data.extend_from_slice(kept(&block)?.on_host()?.as_slice());
                    Ok(())
                })?;
                let precision = self.pieces().map_or(Precision::F32, |pieces| pieces.precision);
                Value::from_f32(data, &shape, &device).held_in(precision)
            }
            Kind::Int => {
                let mut data = Vec::with_capacity(count);
                self.blocks(blocks, |_, _, block| {
                    data.extend(kept(&block)?.read_i64()?);
                    Ok(())
                })?;
                Value::from_i64(data, &shape, &device)
            }
            Kind::Bool => {
                let mut data = Vec::with_capacity(count);
                self.blocks(blocks, |_, _, block| {
                    data.extend(kept(&block)?.read_bool()?);
                    Ok(())
                })?;
                Value::from_bool(data, &shape, &device)
            }
        })
    }

    /// In memory if it is small enough for that, or has a single axis.
    fn settled(self) -> Result<Value, TensorError> {
        if self.is_in_pieces() && !is_large(self.shape(), &self.device()) { self.held() } else { Ok(self) }
    }
}
