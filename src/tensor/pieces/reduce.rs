//! What goes through all elements of a value in pieces: sums, extremes and searches, with the bits that they have over
//! memory.

use rayon::prelude::*;

use super::{PIECE, Part};
use crate::tensor::host::{LANES, extremes, key, sum_of};
use crate::tensor::ops::{Reduction, TopK};
use crate::tensor::{Axis, Kind, Precision, TensorError, Value, exact, unravel};

impl Value {
    /// Reduces all elements.
    pub(in crate::tensor) fn reduced_in_pieces(&self, op: Reduction) -> Result<f64, TensorError> {
        let count = self.count() as f64;
        let sum = |of: &(dyn Fn(&[f32]) -> f64 + Sync)| {
            let mut parts: Vec<f64> = Vec::new();
            self.for_elements(|_, some| parts.par_extend(some.par_chunks(PIECE).map(of)))?;
            Ok::<f64, TensorError>(parts.iter().sum())
        };
        Ok(match op {
            Reduction::Sum => sum(&|part| sum_of(part, |x| x))?,
            Reduction::Mean => sum(&|part| sum_of(part, |x| x))? / count,
            Reduction::Norm => sum(&|part| exact::dot(part, part))?.sqrt(),
            Reduction::Var | Reduction::Std => {
                let mean = sum(&|part| sum_of(part, |x| x))? / count;
                let var = sum(&|part| sum_of(part, |x| (x - mean) * (x - mean)))? / count;
                if op == Reduction::Std { var.sqrt() } else { var }
            }
            Reduction::Min | Reduction::Max | Reduction::AbsMax => {
                let mut all = Some((f32::INFINITY, f32::NEG_INFINITY));
                self.for_elements(|_, some| {
                    for part in some.chunks(PIECE) {
                        all = all.zip(extremes(part)).map(|((a, b), (c, d))| (lesser(a, c), greater(b, d)));
                    }
                })?;
                all.map_or(f64::NAN, |(min, max)| of_extremes(op, min, max))
            }
        })
    }

    /// Reduces one axis, which is not empty.
    pub(in crate::tensor) fn reduced_along(&self, op: Reduction, axis: usize) -> Result<Value, TensorError> {
        let rank = self.shape().len();
        match axis {
            _ if axis + 1 == rank => {
                let numbers = self.of_each_line(|block| block.to_float().reduce_axis(op, 1)?.read_f64())?;
                Ok(self.of_lines(numbers, axis))
            }
            _ if axis + 2 == rank && self.shape()[axis] <= PIECE => Ok(self.of_lines(self.columns(op)?, axis)),
            _ if axis + 2 == rank => self.held()?.reduce_axis(op, axis),
            _ => self.across(axis, Kind::Float, move |stack| stack.reduce_axis(op, 0)),
        }
    }

    /// What a function gives for each line along the last axis, several lines at a time.
    pub(in crate::tensor) fn of_each_line<T>(
        &self,
        mut of: impl FnMut(&Value) -> Result<Vec<T>, TensorError>,
    ) -> Result<Vec<T>, TensorError> {
        let mut all = Vec::new();
        self.for_blocks(|_, _, block| {
            all.extend(of(&block)?);
            Ok(())
        })?;
        Ok(all)
    }

    /// A number for each column of each matrix, of at most [`PIECE`] rows: sums add up in as many lanes as those of a
    /// line in memory.
    fn columns(&self, op: Reduction) -> Result<Vec<f64>, TensorError> {
        let [matrices, rows, width] = self.matrices();
        let count = rows as f64;
        let sums = |of: &dyn Fn(usize, f64) -> f64| {
            let mut lanes = vec![[0.0f64; LANES]; matrices * width];
            self.for_blocks(|matrix, some, block| {
                let block = block.to_float();
                let host = block.on_host()?;
                for (row, line) in some.zip(host.as_slice().chunks_exact(width)) {
                    let of_matrix = &mut lanes[matrix * width..][..width];
                    for (column, (lanes, x)) in of_matrix.iter_mut().zip(line).enumerate() {
                        lanes[row % LANES] += of(matrix * width + column, f64::from(*x));
                    }
                }
                Ok(())
            })?;
            Ok::<Vec<f64>, TensorError>(lanes.iter().map(|lanes| lanes.iter().sum()).collect())
        };
        let plain = || sums(&|_, x| x);
        Ok(match op {
            Reduction::Sum => plain()?,
            Reduction::Mean => plain()?.into_iter().map(|sum| sum / count).collect(),
            Reduction::Norm => sums(&|_, x| x * x)?.into_iter().map(f64::sqrt).collect(),
            Reduction::Var | Reduction::Std => {
                let means: Vec<f64> = plain()?.into_iter().map(|sum| sum / count).collect();
                let squares = sums(&|at, x| (x - means[at]) * (x - means[at]))?;
                let var = |squares: f64| squares / count;
                squares.into_iter().map(|x| if op == Reduction::Std { var(x).sqrt() } else { var(x) }).collect()
            }
            Reduction::Min | Reduction::Max | Reduction::AbsMax => {
                let mut all = vec![Some((f32::INFINITY, f32::NEG_INFINITY)); matrices * width];
                self.for_blocks(|matrix, _, block| {
                    let block = block.to_float();
                    let host = block.on_host()?;
                    for line in host.as_slice().chunks_exact(width) {
                        for (all, x) in all[matrix * width..].iter_mut().zip(line) {
                            *all = all.filter(|_| !x.is_nan()).map(|(a, b)| (lesser(a, *x), greater(b, *x)));
                        }
                    }
                    Ok(())
                })?;
                all.into_iter().map(|found| found.map_or(f64::NAN, |(min, max)| of_extremes(op, min, max))).collect()
            }
        })
    }

    /// What a function makes of the entries of an axis before the last two, which disappears: of `[entries, rows,
    /// width]`, it gives `[rows, width]`.
    fn across(
        &self,
        axis: usize,
        kind: Kind,
        function: impl Fn(&Value) -> Result<Value, TensorError> + Send + Sync + 'static,
    ) -> Result<Value, TensorError> {
        let (mut shape, mut axes) = (self.shape().to_vec(), self.axes().to_vec());
        let entries = shape.remove(axis);
        axes.remove(axis);
        let (of, lens) = (self.to_float(), shape.clone());
        let (rank, width) = (shape.len(), shape[shape.len() - 1]);
        let source = move |matrix: usize, rows: std::ops::Range<usize>| {
            let mut parts: Vec<Part> =
                unravel(matrix, &lens[..rank - 2]).into_iter().map(|at| (at, at + 1, 1)).collect();
            parts.insert(axis, (0, entries, 1));
            parts.extend([(rows.start, rows.end, 1), (0, width, 1)]);
            function(&of.taken(&parts)?.reshaped(&[entries, rows.len(), width]))
        };
        let step = (self.step() / entries.max(1)).max(1);
        let found = Value::in_pieces(&shape, (kind, Precision::F32), &self.device(), step, source).with_axes(&axes);
        found.settled()
    }

    /// Index of the first largest (or smallest) element along an axis, which is not empty; the first NaN wins.
    pub(in crate::tensor) fn arg_extreme_along(&self, axis: usize, largest: bool) -> Result<Value, TensorError> {
        let rank = self.shape().len();
        let (shape, axes): (Vec<usize>, Vec<Axis>) =
            (0..rank).filter(|&i| i != axis).map(|i| (self.shape()[i], self.axes()[i])).unzip();
        let found = match axis {
            _ if axis + 1 == rank => self.of_each_line(|block| block.arg_extreme(1, largest)?.read_i64())?,
            _ if axis + 2 == rank => {
                let [matrices, _, width] = self.matrices();
                let mut best = vec![(0i64, f64::NAN); matrices * width];
                self.for_blocks(|matrix, rows, block| {
                    let block = block.read_f64()?;
                    for (row, line) in rows.zip(block.chunks_exact(width)) {
                        for (best, x) in best[matrix * width..].iter_mut().zip(line) {
                            if row == 0 || wins(*x, best.1, largest) {
                                *best = (row as i64, *x);
                            }
                        }
                    }
                    Ok(())
                })?;
                best.into_iter().map(|(at, _)| at).collect()
            }
            _ => return self.across(axis, Kind::Int, move |stack| stack.arg_extreme(0, largest)),
        };
        Ok(Value::from_i64(found, &shape, &self.device()).with_axes(&axes))
    }

    /// Index of the first largest (or smallest) of all elements; the first NaN wins.
    pub(in crate::tensor) fn arg_extreme_in_pieces(&self, largest: bool) -> Result<usize, TensorError> {
        let [_, rows, width] = self.matrices();
        let mut best: Option<(usize, f64)> = None;
        self.for_blocks(|matrix, some, block| {
            let numbers = block.read_f64()?;
            let at = block.reshaped(&[numbers.len()]).arg_extreme(0, largest)?.read_scalar()? as usize;
            let (place, x) = ((matrix * rows + some.start) * width + at, numbers[at]);
            if best.is_none_or(|(_, best)| wins(x, best, largest)) {
                best = Some((place, x));
            }
            Ok(())
        })?;
        best.map(|(at, _)| at).ok_or_else(|| TensorError::Empty { op: "argmax".into() })
    }

    /// The `k` largest of all elements.
    pub(in crate::tensor) fn topk_in_pieces(&self, k: usize) -> Result<TopK, TensorError> {
        let [_, rows, width] = self.matrices();
        let mut best: Vec<(usize, f64)> = Vec::new();
        self.for_blocks(|matrix, some, block| {
            let start = (matrix * rows + some.start) * width;
            let top = block.topk(k)?;
            best.extend(top.indices.into_iter().map(|at| start + at).zip(top.values));
            let key = |x: f64| if x.is_nan() { f64::NEG_INFINITY } else { x };
            best.sort_by(|a, b| {
                let nan = a.1.is_nan().cmp(&b.1.is_nan());
                nan.then(key(b.1).total_cmp(&key(a.1))).then(a.0.cmp(&b.0))
            });
            best.truncate(k);
            Ok(())
        })?;
        let (indices, values) = best.into_iter().unzip();
        Ok(TopK { indices, values })
    }
}

/// Whether an element takes the place of the best before it.
fn wins(x: f64, best: f64, largest: bool) -> bool {
    !best.is_nan() && (x.is_nan() || if largest { x > best } else { x < best })
}

/// By the order of `extremes`, in which -0 is below 0.
fn lesser(a: f32, b: f32) -> f32 {
    if key(b) < key(a) { b } else { a }
}

fn greater(a: f32, b: f32) -> f32 {
    if key(b) > key(a) { b } else { a }
}

fn of_extremes(op: Reduction, min: f32, max: f32) -> f64 {
    f64::from(match op {
        Reduction::Min => min,
        Reduction::Max => max,
        _ => min.abs().max(max.abs()),
    })
}
