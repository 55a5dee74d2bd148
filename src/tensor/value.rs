//! A tensor of any rank and kind, as a handle.

use std::sync::{Arc, OnceLock};

use burn::tensor::{Bool, DType, DispatchTensor, Element, FloatDType, Int, Shape, Tensor, TensorData};

use super::pieces::Pieces;
use super::{Axis, Device, Precision, Summary, TensorError, named, proceed, shape_text};

named! {
    /// What the elements of a value are.
    pub enum Kind, name {
        Float = "float",
        Int = "int",
        Bool = "bool",
    }
}

/// A tensor of any rank and kind on some device.
///
/// A clone counts one more reference and allocates nothing: a recording is a list of clones. Nothing is read from the
/// device except by the methods called `read_*` and `host_*`, which wait for it and can fail. A value of shape `[]` is
/// a scalar.
#[derive(Clone)]
pub struct Value(Arc<Parts>);

/// One allocation for all of it: a clone of burn's handle alone allocates, for the strides or the metadata of the
/// tensor.
#[derive(Clone)]
struct Parts {
    held: Held,
    shape: Vec<usize>,
    axes: Vec<Axis>,
    kind: Kind,
    /// The element type of the tensor: asking it costs a clone of its handle.
    dtype: DType,
    /// Where each axis begins in the whole value it was cut from; `None` if that is not known.
    origin: Option<Vec<usize>>,
    known: Known,
}

/// What has been found out about the elements, for whoever asks again: elements never change.
#[derive(Clone, Default)]
pub(super) struct Known {
    pub summary: OnceLock<Summary>,
    /// All of them in host memory.
    pub near: OnceLock<Value>,
}

/// Where the elements are.
#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "nearly all values are whole, and each is in one allocation")]
enum Held {
    Whole(DispatchTensor),
    /// Nowhere: they are computed when they are looked at.
    Pieces(Pieces),
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Value({} {})", self.dtype_name(), shape_text(self.shape(), self.axes()))
    }
}

impl Value {
    // Making values: a vector must have as many elements as the shape ----------------------------------------------

    /// Uploads 32-bit floats in row-major order. On the CPU the vector becomes the tensor's memory without a copy.
    pub fn from_f32(data: Vec<f32>, shape: &[usize], device: &Device) -> Value {
        let data = flat(data, shape);
        Value::float(Tensor::<1>::from_data(data, (device.burn(), DType::F32))).reshaped(shape)
    }

    /// Uploads a linear weight `[from, to]` that is laid out as `[to, from]`: it stays so, which is how products read
    /// it fastest.
    pub fn linear(data: Vec<f32>, from: usize, to: usize, device: &Device) -> Value {
        Value::from_f32(data, &[to, from], device).transpose()
    }

    /// Uploads whole numbers in row-major order.
    pub fn from_i64(data: Vec<i64>, shape: &[usize], device: &Device) -> Value {
        let (data, kind) = match device.is_cpu() {
            true => (flat(data, shape), DType::I64),
            // 32 bits are what every adapter has; ids and indices fit.
            false => (flat(data.into_iter().map(|x| x as i32).collect(), shape), DType::I32),
        };
        Value::int(Tensor::<1, Int>::from_data(data, (device.burn(), kind))).reshaped(shape)
    }

    /// Uploads truth values in row-major order.
    pub fn from_bool(data: Vec<bool>, shape: &[usize], device: &Device) -> Value {
        Value::boolean(Tensor::<1, Bool>::from_data(flat(data, shape), device.burn())).reshaped(shape)
    }

    pub fn float<const D: usize>(tensor: Tensor<D>) -> Value {
        let (shape, dtype) = (tensor.dims().to_vec(), tensor.dtype());
        Value::made(shape, tensor.into_dispatch(), Kind::Float, dtype)
    }

    pub fn int<const D: usize>(tensor: Tensor<D, Int>) -> Value {
        let (shape, dtype) = (tensor.dims().to_vec(), tensor.dtype());
        Value::made(shape, tensor.into_dispatch(), Kind::Int, dtype)
    }

    pub fn boolean<const D: usize>(tensor: Tensor<D, Bool>) -> Value {
        let (shape, dtype) = (tensor.dims().to_vec(), tensor.dtype());
        Value::made(shape, tensor.into_dispatch(), Kind::Bool, dtype)
    }

    fn made(shape: Vec<usize>, raw: DispatchTensor, kind: Kind, dtype: DType) -> Value {
        // Callers refuse what is too large; in tests, this names the one that forgot.
        #[cfg(test)]
        super::device::limited::assert_held(&shape);
        Value::of_parts(Held::Whole(raw), shape, kind, dtype)
    }

    pub(super) fn of_pieces(shape: &[usize], kind: Kind, pieces: Pieces) -> Value {
        let dtype = if pieces.precision == Precision::F16 { DType::F16 } else { DType::F32 };
        Value::of_parts(Held::Pieces(pieces), shape.to_vec(), kind, dtype)
    }

    fn of_parts(held: Held, shape: Vec<usize>, kind: Kind, dtype: DType) -> Value {
        let (axes, known) = (vec![Axis::None; shape.len()], Known::default());
        Value(Arc::new(Parts { held, axes, shape, kind, dtype, origin: None, known }))
    }

    pub(super) fn known(&self) -> &Known {
        &self.0.known
    }

    pub(super) fn pieces(&self) -> Option<&Pieces> {
        match &self.0.held {
            Held::Pieces(pieces) => Some(pieces),
            Held::Whole(_) => None,
        }
    }

    /// The tensor. What is in pieces is put together for it: whoever may meet a value that memory does not hold asks
    /// for [`Value::held`] first.
    ///
    /// # Panics
    /// If the memory that is free does not hold a value in pieces.
    pub(super) fn raw(&self) -> DispatchTensor {
        match &self.0.held {
            Held::Whole(raw) => raw.clone(),
            Held::Pieces(_) => self.held().unwrap_or_else(|error| panic!("{error}")).raw(),
        }
    }

    /// For changing axes and origin; clones of this value keep theirs.
    fn parts(&mut self) -> &mut Parts {
        Arc::make_mut(&mut self.0)
    }

    /// The same value with names for its axes.
    ///
    /// # Panics
    /// If the number of names is not the number of axes.
    pub fn with_axes(mut self, axes: &[Axis]) -> Value {
        assert_eq!(axes.len(), self.shape().len(), "axis names for shape {:?}", self.shape());
        self.parts().axes = axes.to_vec();
        self
    }

    /// The same value, known to be whole: its slices know where they begin.
    pub fn whole(mut self) -> Value {
        self.parts().origin = Some(vec![0; self.shape().len()]);
        self
    }

    /// The same value, known to be whole but for its positions, which begin at a column of the text.
    pub fn beginning_at(mut self, column: usize) -> Value {
        // A source begins at its first token in every pass.
        let begins = |axis: &Axis| if matches!(axis, Axis::Pos | Axis::Q) { column } else { 0 };
        self.parts().origin = Some(self.axes().iter().map(begins).collect());
        self
    }

    /// Where each axis begins in the whole value that this one was cut from, if that is known.
    pub fn origin(&self) -> Option<&[usize]> {
        self.0.origin.as_deref()
    }

    /// The same value with different beginnings of its axes.
    pub fn with_origin(mut self, origin: Option<Vec<usize>>) -> Value {
        self.parts().origin = origin;
        self
    }

    /// The same elements under a different shape of the same size; axis names are lost. For internal use where the
    /// sizes are known to agree.
    pub(crate) fn reshaped(self, shape: &[usize]) -> Value {
        debug_assert_eq!(self.count(), shape.iter().product::<usize>());
        if let (Some(pieces), [.., rows, width]) = (self.pieces(), shape)
            && self.shape().ends_with(&[*rows, *width])
        {
            return Value::of_pieces(shape, self.kind(), pieces.clone());
        }
        let to = Shape::from(raw_shape(shape));
        let (kind, dtype) = (self.kind(), self.dtype());
        let raw = self.into_raw();
        // A reshape given as a `Shape` looks at run-time shapes only, so rank 1 stands for every rank here.
        let raw = match kind {
            Kind::Float => Tensor::<1>::from_dispatch(raw).reshape::<1, _>(to).into_dispatch(),
            Kind::Int => Tensor::<1, Int>::from_dispatch(raw).reshape::<1, _>(to).into_dispatch(),
            Kind::Bool => Tensor::<1, Bool>::from_dispatch(raw).reshape::<1, _>(to).into_dispatch(),
        };
        Value::of_parts(Held::Whole(raw), shape.to_vec(), kind, dtype)
    }

    /// The tensor without a second handle to it, if this is the only one.
    fn into_raw(self) -> DispatchTensor {
        let held = if self.is_in_pieces() { Held::Whole(self.raw()) } else { Arc::unwrap_or_clone(self.0).held };
        let Held::Whole(raw) = held else { unreachable!("what is in pieces has been put together") };
        raw
    }

    // Looking at them without reading -------------------------------------------------------------------------------

    /// Length of each axis; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    pub fn axes(&self) -> &[Axis] {
        &self.0.axes
    }

    pub fn count(&self) -> usize {
        self.shape().iter().product()
    }

    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Bytes of device memory that its elements take, shared ones included; 0 for a value in pieces.
    pub fn bytes(&self) -> u64 {
        if self.is_in_pieces() { 0 } else { self.bytes_of_all() }
    }

    /// Bytes that its elements take, or would take if they were held.
    pub fn bytes_of_all(&self) -> u64 {
        let size = match (self.kind(), self.dtype()) {
            (Kind::Bool, _) => 1,
            (_, DType::F64 | DType::I64) => 8,
            (_, DType::F16 | DType::BF16) => 2,
            _ => 4,
        };
        (self.count() * size) as u64
    }

    fn dtype(&self) -> DType {
        self.0.dtype
    }

    /// The element type as it is shown: whole numbers are `i64` whatever the device holds.
    pub fn dtype_name(&self) -> &'static str {
        match self.kind() {
            Kind::Int => "i64",
            Kind::Bool => "bool",
            Kind::Float => match self.dtype() {
                DType::F64 => "f64",
                DType::F16 => "f16",
                DType::BF16 => "bf16",
                _ => "f32",
            },
        }
    }

    /// Shape with axis names: `[head=4, q=15, k=15]`.
    pub fn shape_text(&self) -> String {
        shape_text(self.shape(), self.axes())
    }

    /// Called before a result of that shape is computed on the device of this value: refuses one that no buffer holds,
    /// and any if the user interrupts.
    pub(super) fn may_make(&self, op: &str, shape: &[usize], axes: &[Axis]) -> Result<(), TensorError> {
        proceed()?;
        if Device::any_holds(shape) {
            return Ok(());
        }
        self.device().check(op, shape, axes)
    }

    /// Its float tensor in 32 bits, for operations that do not depend on the rank.
    pub(super) fn any_rank(&self) -> Tensor<1> {
        let held = self.held_any_rank();
        self.widened_on_host(held.dtype()).map_or_else(|| widened(held), |wide| wide.held_any_rank())
    }

    /// The same as it is held.
    pub(super) fn held_any_rank(&self) -> Tensor<1> {
        Tensor::from_dispatch(self.raw())
    }

    /// The same value with what `change` makes of its float tensor.
    pub(super) fn with_raw(&self, change: impl FnOnce(Tensor<1>) -> Tensor<1>) -> Value {
        self.replaced(change(self.any_rank()))
    }

    /// The same shape and axes with a different float tensor of that shape.
    pub(super) fn replaced(&self, tensor: Tensor<1>) -> Value {
        let dtype = tensor.dtype();
        let (held, known) = (Held::Whole(tensor.into_dispatch()), Known::default());
        Value(Arc::new(Parts { held, dtype, known, ..Parts::clone(&self.0) }))
    }

    // Taking the tensor out: the value must have the rank and the kind ---------------------------------------------

    fn expect(&self, kind: Kind, rank: usize) {
        let found = (self.kind(), self.shape().len().max(1));
        assert!(found == (kind, rank), "expected a tensor of kind {} and rank {rank}, found {self:?}", kind.name());
    }

    /// The float tensor of rank `D` (rank 1 for a scalar), in 32 bits: what is computed with.
    pub fn tensor<const D: usize>(&self) -> Tensor<D> {
        let held = self.held_tensor();
        self.widened_on_host(held.dtype()).map_or_else(|| widened(held), |wide| wide.held_tensor())
    }

    /// The float tensor of rank `D` as it is held: for operations that move elements without computing.
    pub fn held_tensor<const D: usize>(&self) -> Tensor<D> {
        self.expect(Kind::Float, D);
        Tensor::from_dispatch(self.raw())
    }

    /// The int tensor of rank `D` (rank 1 for a scalar).
    pub fn int_tensor<const D: usize>(&self) -> Tensor<D, Int> {
        self.expect(Kind::Int, D);
        Tensor::from_dispatch(self.raw())
    }

    /// The bool tensor of rank `D` (rank 1 for a scalar).
    pub fn bool_tensor<const D: usize>(&self) -> Tensor<D, Bool> {
        self.expect(Kind::Bool, D);
        Tensor::from_dispatch(self.raw())
    }

    /// As floats: whole numbers and truth values (0 and 1) are converted on the device.
    pub fn to_float(&self) -> Value {
        if self.is_in_pieces() && self.kind() != Kind::Float {
            return self.mapped((Kind::Float, Precision::F32), |block| Ok(block.to_float()));
        }
        let tensor = match self.kind() {
            Kind::Float => return self.clone(),
            Kind::Int => Tensor::<1, Int>::from_dispatch(self.raw()).float(),
            Kind::Bool => Tensor::<1, Bool>::from_dispatch(self.raw()).float(),
        };
        let dtype = tensor.dtype();
        let held = Held::Whole(tensor.into_dispatch());
        let known = Known::default();
        Value(Arc::new(Parts { held, origin: None, kind: Kind::Float, dtype, known, ..Parts::clone(&self.0) }))
    }

    pub(super) fn flat_raw(&self) -> DispatchTensor {
        self.clone().reshaped(&[self.count()]).into_raw()
    }
}

/// Elements for a shape, as one line.
pub(super) fn flat<E: Element>(data: Vec<E>, shape: &[usize]) -> TensorData {
    assert_eq!(data.len(), shape.iter().product::<usize>(), "elements for shape {shape:?}");
    let count = data.len();
    TensorData::new(data, [count])
}

/// In 32 bits, exactly; wider tensors stay as they are.
fn widened<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    match tensor.dtype() {
        DType::F16 | DType::BF16 => tensor.cast(FloatDType::F32),
        _ => tensor,
    }
}

/// The shape burn sees: a scalar is one element on one axis.
pub(crate) fn raw_shape(shape: &[usize]) -> Vec<usize> {
    if shape.is_empty() { vec![1] } else { shape.to_vec() }
}

pub(crate) fn fixed<const D: usize>(shape: &[usize]) -> [usize; D] {
    let mut out = [1; D];
    out.copy_from_slice(shape);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_shares_everything_and_changes_by_itself() {
        let value = Value::from_f32(vec![1.0; 6], &[2, 3], &Device::cpu()).with_axes(&[Axis::Pos, Axis::Dim]).whole();
        let clone = value.clone();
        assert_eq!(size_of::<Value>(), size_of::<usize>());
        assert!(Arc::ptr_eq(&value.0, &clone.0));
        let named = clone.with_axes(&[Axis::Q, Axis::K]).beginning_at(4);
        assert_eq!((value.axes(), value.origin()), (&[Axis::Pos, Axis::Dim][..], Some(&[0, 0][..])));
        assert_eq!((named.axes(), named.origin()), (&[Axis::Q, Axis::K][..], Some(&[4, 0][..])));
        assert_eq!(named.read_f32().unwrap(), value.read_f32().unwrap());
    }
}
