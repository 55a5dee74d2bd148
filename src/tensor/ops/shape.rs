//! Operations that move elements without changing them.

use burn::tensor::{Bool, Int, Tensor};

use crate::tensor::pieces::Part;
use crate::tensor::{Axis, Kind, MAX_RANK, TensorError, Value, shape_text};

/// What is taken of one axis. Indices are resolved: not negative, and within the axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice {
    /// The whole axis.
    All,
    /// One entry; the axis disappears.
    At(usize),
    /// Entries `start, start + step, ...` below `end`; the step is at least 1.
    Range { start: usize, end: usize, step: usize },
}

/// What slices leave of a value: a part of each axis, and of the axes that stay which they are, their lengths, names
/// and beginnings.
struct Cut {
    parts: Vec<Part>,
    kept: Vec<usize>,
    shape: Vec<usize>,
    axes: Vec<Axis>,
    origin: Option<Vec<usize>>,
}

impl Value {
    /// The axis of that name or number (negative counts from the last).
    ///
    /// # Errors
    /// If there is none.
    pub fn axis(&self, name: &str) -> Result<usize, TensorError> {
        let rank = self.shape().len() as i64;
        let found = match name.parse::<i64>() {
            Ok(n) if (-rank..rank).contains(&n) => Some(n.rem_euclid(rank.max(1)) as usize),
            Ok(_) => None,
            Err(_) => self.axes().iter().position(|axis| *axis != Axis::None && axis.name() == name),
        };
        found.ok_or_else(|| TensorError::Axis { axis: name.into(), axes: self.shape_text() })
    }

    /// The name of an axis, or its number.
    pub fn axis_label(&self, axis: usize) -> String {
        match self.axes()[axis] {
            Axis::None => axis.to_string(),
            name => name.to_string(),
        }
    }

    /// Takes a part of each axis; missing trailing entries mean all of the axis.
    ///
    /// # Errors
    /// If there are more slices than axes, or one is outside its axis.
    pub fn slice(&self, slices: &[Slice]) -> Result<Value, TensorError> {
        let Cut { parts, kept, shape, axes, origin } = self.cut(slices)?;
        if self.is_in_pieces() {
            return Ok(self.sliced(parts, &kept)?.with_axes(&axes).with_origin(origin));
        }
        let mut value = self.clone();
        for (axis, (start, end, step)) in parts.into_iter().enumerate() {
            if (start, end, step) != (0, self.shape()[axis], 1) {
                value = value.narrow(axis, start, end, step);
            }
        }
        Ok(value.reshaped(&shape).with_axes(&axes).with_origin(origin))
    }

    /// What slices leave of this value.
    fn cut(&self, slices: &[Slice]) -> Result<Cut, TensorError> {
        if slices.len() > self.shape().len() {
            let op = format!("a slice with {} indices", slices.len());
            return Err(TensorError::rank(op, "as many axes", self.shape_text()));
        }
        let (mut parts, mut kept, mut shape, mut axes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut origin = self.origin().map(|_| Vec::new());
        for (i, &len) in self.shape().iter().enumerate() {
            let slice = slices.get(i).copied().unwrap_or(Slice::All);
            let (start, end, step) = match slice {
                Slice::All => (0, len, 1),
                Slice::At(at) => (at, at + 1, 1),
                Slice::Range { start, end, step } => (start, end, step.max(1)),
            };
            if end > len || (start > end) || (matches!(slice, Slice::At(_)) && start >= len) {
                let index = if start >= len { start } else { end } as i64;
                return Err(TensorError::Index { index, axis: self.axis_label(i), len });
            }
            parts.push((start, end, step));
            if !matches!(slice, Slice::At(_)) {
                kept.push(i);
                shape.push((end - start).div_ceil(step));
                axes.push(self.axes()[i]);
                origin = match (origin, self.origin()) {
                    (Some(mut cut), Some(whole)) if step == 1 => {
                        cut.push(whole[i] + start);
                        Some(cut)
                    }
                    _ => None,
                };
            }
        }
        Ok(Cut { parts, kept, shape, axes, origin })
    }

    /// The value with leading axes of length 1 up to [`MAX_RANK`]: what operations on any rank work on.
    pub(crate) fn padded(&self) -> Value {
        let mut shape = vec![1; MAX_RANK - self.shape().len()];
        shape.extend_from_slice(self.shape());
        self.clone().reshaped(&shape)
    }

    /// The value as `[outer, axis, inner]`: what operations along one axis work on.
    pub(crate) fn along(&self, axis: usize) -> Value {
        let (outer, rest) = self.shape().split_at(axis);
        let (len, inner) = (rest[0], &rest[1..]);
        self.clone().reshaped(&[outer.iter().product(), len, inner.iter().product()])
    }

    /// Entries `start..end` by `step` of one axis, which stays.
    fn narrow(&self, axis: usize, start: usize, end: usize, step: usize) -> Value {
        let mut shape = self.shape().to_vec();
        shape[axis] = (end - start).div_ceil(step);
        let lines = self.along(axis);
        let part = burn::tensor::Slice::new(start as isize, Some(end as isize), step as isize);
        let out = match self.kind() {
            Kind::Float => Value::float(lines.held_tensor::<3>().slice_dim(1, part)),
            Kind::Int => Value::int(lines.int_tensor::<3>().slice_dim(1, part)),
            Kind::Bool => Value::boolean(lines.bool_tensor::<3>().slice_dim(1, part)),
        };
        out.reshaped(&shape).with_axes(self.axes())
    }

    /// Rows `start..end` of the first axis.
    ///
    /// # Panics
    /// If the range is outside the axis.
    pub fn rows(&self, range: std::ops::Range<usize>) -> Value {
        assert!(range.end <= self.shape()[0], "rows {range:?} of {self:?}");
        self.narrow(0, range.start, range.end, 1)
    }

    /// The same elements with `patch` in the place that the slices name (`At` entries are axes the patch lacks). The
    /// patch broadcasts. Only steps of 1.
    ///
    /// # Errors
    /// If a slice is outside its axis or the patch does not broadcast to the place.
    pub fn assign(&self, slices: &[Slice], patch: &Value) -> Result<Value, TensorError> {
        let Cut { parts, kept, shape: target, axes, .. } = self.cut(slices)?;
        let fits = target.len() >= patch.shape().len()
            && patch.shape().iter().rev().zip(target.iter().rev()).all(|(&p, &t)| p == t || p == 1);
        if !fits {
            let (left, right) = (shape_text(&target, &axes), patch.shape_text());
            return Err(TensorError::Shapes { op: "assignment".into(), left, right });
        }
        if parts.iter().any(|(_, _, step)| *step > 1) {
            let op = "assignment to a slice with a step";
            return Err(TensorError::rank(op, "a contiguous slice", self.shape_text()));
        }
        if self.is_in_pieces() && self.kind() == Kind::Float {
            return Ok(self.patched(parts, kept, patch));
        }
        let patch = &patch.held()?.on_device_of(self)?;
        let ranges: Vec<_> = parts.into_iter().map(|(start, end, _)| start..end).collect();
        let full: Vec<usize> = ranges.iter().map(ExactSizeIterator::len).collect();
        let missing = MAX_RANK - ranges.len();
        let ranges: [std::ops::Range<usize>; MAX_RANK] =
            std::array::from_fn(|i| if i < missing { 0..1 } else { ranges[i - missing].clone() });
        let patch = patch.expand_to(&target).reshaped(&full).padded();
        let out = match self.kind() {
            Kind::Float => {
                let patch = patch.to_float().tensor::<MAX_RANK>();
                Value::float(self.padded().tensor::<MAX_RANK>().slice_assign(ranges, patch))
            }
            Kind::Int if patch.kind() == Kind::Int => {
                let patch = patch.int_tensor::<MAX_RANK>();
                Value::int(self.padded().int_tensor::<MAX_RANK>().slice_assign(ranges, patch))
            }
            Kind::Int => {
                let found = patch.kind().name();
                return Err(TensorError::Kind { op: "assignment".into(), expected: "int", found });
            }
            Kind::Bool => {
                return Err(TensorError::Kind { op: "assignment".into(), expected: "float or int", found: "bool" });
            }
        };
        Ok(out.reshaped(self.shape()).with_axes(self.axes()))
    }

    /// The same elements in row-major order under a different shape.
    ///
    /// # Errors
    /// If the number of elements differs or there are too many axes.
    pub fn reshape(&self, shape: &[usize]) -> Result<Value, TensorError> {
        let needs = shape.iter().product();
        if needs != self.count() {
            let (from, to, count) = (self.shape_text(), shape_text(shape, &[]), self.count());
            return Err(TensorError::Reshape { from, to, count, needs });
        }
        if shape.len() > MAX_RANK {
            return Err(TensorError::rank("reshape", "at most 6 axes", shape_text(shape, &[])));
        }
        Ok(self.held_unless_last_two(shape)?.reshaped(shape))
    }

    /// In memory, unless it is in pieces and a shape has the same rows and width.
    fn held_unless_last_two(&self, shape: &[usize]) -> Result<Value, TensorError> {
        let same = shape.len() >= 2 && self.shape().ends_with(&shape[shape.len() - 2..]);
        if same { Ok(self.clone()) } else { self.held() }
    }

    /// The last two axes swapped; a view. A vector stays as it is.
    pub fn transpose(&self) -> Value {
        let rank = self.shape().len();
        if rank < 2 {
            return self.clone();
        }
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(rank - 2, rank - 1);
        self.permute(&order)
    }

    /// The axes in a different order; a view.
    ///
    /// # Panics
    /// If `order` is not a permutation of the axes.
    pub fn permute(&self, order: &[usize]) -> Value {
        if self.shape().is_empty() {
            return self.clone();
        }
        let axes: Vec<Axis> = order.iter().map(|&i| self.axes()[i]).collect();
        // By rank, not padded: padding a view would copy it, and weights are views.
        let out = match (self.kind(), order) {
            (Kind::Float, [a, b]) => Value::float(self.held_tensor::<2>().permute([*a, *b])),
            (Kind::Float, [a, b, c]) => Value::float(self.held_tensor::<3>().permute([*a, *b, *c])),
            (Kind::Float, [a, b, c, d]) => Value::float(self.held_tensor::<4>().permute([*a, *b, *c, *d])),
            _ => self.permuted_padded(order),
        };
        out.with_axes(&axes)
    }

    fn permuted_padded(&self, order: &[usize]) -> Value {
        let missing = MAX_RANK - order.len();
        let shape: Vec<usize> = order.iter().map(|&i| self.shape()[i]).collect();
        let order: [usize; MAX_RANK] =
            std::array::from_fn(|i| if i < missing { i } else { order[i - missing] + missing });
        let padded = self.padded();
        let out = match self.kind() {
            Kind::Float => Value::float(padded.held_tensor::<MAX_RANK>().permute(order)),
            Kind::Int => Value::int(padded.int_tensor::<MAX_RANK>().permute(order)),
            Kind::Bool => Value::boolean(padded.bool_tensor::<MAX_RANK>().permute(order)),
        };
        out.reshaped(&shape)
    }

    /// Values joined along an axis, on the device of the first; all other axes must agree, numbers of mixed kinds become
    /// floats.
    ///
    /// # Errors
    /// If there are no values, or shapes do not agree.
    pub fn concat(values: &[Value], axis: usize) -> Result<Value, TensorError> {
        if values.iter().any(Value::is_in_pieces) {
            let held: Vec<Value> = values.iter().map(Value::held).collect::<Result<_, _>>()?;
            return Value::concat(&held, axis);
        }
        let [first, rest @ ..] = values else { return Err(TensorError::Empty { op: "concat".into() }) };
        if first.shape().len() <= axis {
            return Err(TensorError::Axis { axis: axis.to_string(), axes: first.shape_text() });
        }
        for value in rest {
            let agree = value.shape().len() == first.shape().len()
                && (0..value.shape().len()).all(|i| i == axis || value.shape()[i] == first.shape()[i]);
            if !agree {
                return Err(TensorError::shapes("concat", first, value));
            }
        }
        let mut shape = first.shape().to_vec();
        shape[axis] = values.iter().map(|value| value.shape()[axis]).sum();
        first.may_make("concat", &shape, first.axes())?;
        let values: Vec<Value> = values.iter().map(|value| value.on_device_of(first)).collect::<Result<_, _>>()?;
        let kind = if values.iter().all(|value| value.kind() == first.kind()) { first.kind() } else { Kind::Float };
        let lines = values.iter().map(|value| value.along(axis));
        let out = match kind {
            Kind::Float => {
                let one_type = values.iter().all(|value| value.dtype_name() == first.dtype_name());
                let part = |value: Value| if one_type { value.held_tensor() } else { value.to_float().tensor() };
                let parts: Vec<Tensor<3>> = lines.map(part).collect();
                Value::float(Tensor::cat(parts, 1))
            }
            Kind::Int => {
                let parts: Vec<Tensor<3, Int>> = lines.map(|value| value.int_tensor()).collect();
                Value::int(Tensor::cat(parts, 1))
            }
            Kind::Bool => {
                let parts: Vec<Tensor<3, Bool>> = lines.map(|value| value.bool_tensor()).collect();
                Value::boolean(Tensor::cat(parts, 1))
            }
        };
        Ok(out.reshaped(&shape).with_axes(first.axes()))
    }

    /// A tensor of one number throughout, with the shape, axes and device of this one.
    pub fn full_like(&self, number: f64) -> Value {
        if self.is_in_pieces() {
            return self.full_in_pieces(number);
        }
        let device = self.device();
        let one = Value::from_f32(vec![number as f32], &vec![1; self.shape().len()], &device);
        one.expand_to(self.shape()).with_axes(self.axes())
    }

    /// A single number repeated to a shape.
    ///
    /// # Errors
    /// If the value has more than one element.
    pub fn full_shape(&self, shape: &[usize]) -> Result<Value, TensorError> {
        if self.count() != 1 {
            return Err(TensorError::rank("repeat", "one element", self.shape_text()));
        }
        self.may_make("repeat", shape, &[])?;
        Ok(self.clone().reshaped(&vec![1; shape.len()]).expand_to(shape))
    }

    /// Matrix product of the last two axes, on the device of this value; leading axes must agree.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn matmul(&self, other: &Value) -> Result<Value, TensorError> {
        let (a, b) = (self.shape(), other.shape());
        let rank = a.len();
        if rank < 2 || b.len() != rank || a[rank - 1] != b[rank - 2] || a[..rank - 2] != b[..rank - 2] {
            return Err(TensorError::shapes("matmul", self, other));
        }
        let mut shape = a.to_vec();
        shape[rank - 1] = b[rank - 1];
        let mut axes = self.axes().to_vec();
        axes[rank - 1] = other.axes()[rank - 1];
        self.may_make("matmul", &shape, &axes)?;
        if self.is_in_pieces() || other.is_in_pieces() {
            return self.held()?.matmul(&other.held()?);
        }
        let outer: usize = a[..rank - 2].iter().product();
        let other = &other.on_device_of(self)?;
        let flat = |value: &Value| {
            let (rows, columns) = (value.shape()[rank - 2], value.shape()[rank - 1]);
            let value = value.to_float();
            if rank == 3 { value.tensor::<3>() } else { value.reshaped(&[outer, rows, columns]).tensor::<3>() }
        };
        Ok(Value::float(flat(self).matmul(flat(other))).reshaped(&shape).with_axes(&axes))
    }
}
