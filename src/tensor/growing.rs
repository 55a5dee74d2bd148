//! A tensor that grows along its positions without being copied each time.

use burn::tensor::{Slice, Tensor};

use super::graphics::first_columns;
use super::{Device, TensorError, Value};

/// Columns of free memory kept beyond those that are filled.
const ROOM: usize = 64;

/// The same at most: half of a long text would be a lot of memory for nothing.
const MOST_ROOM: usize = 4096;

/// Values `[B, T, K, h]` or `[B, T, n]` joined along `T`, in memory with room for more: what a key/value cache consists of.
///
/// Cloning increments a reference count; the next [`push`](Growing::push) to either of the two copies the memory once.
#[derive(Clone)]
pub struct Growing {
    /// `[B, T, 1, n]` for values of three axes.
    buffer: Tensor<4>,
    filled: usize,
    /// Whether the values have three axes.
    flat: bool,
}

impl Growing {
    pub fn new(first: &Value) -> Growing {
        let buffer = in_four_axes(first).held_tensor::<4>();
        let mut grown = Growing { buffer, filled: first.shape()[1], flat: first.shape().len() == 3 };
        grown.reserve(grown.filled);
        grown
    }

    pub fn len(&self) -> usize {
        self.filled
    }

    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Bytes of device memory, the free part included.
    pub fn bytes(&self) -> u64 {
        Value::float(self.buffer.clone()).bytes()
    }

    /// Appends columns, on the device of the first.
    ///
    /// # Errors
    /// If the other axes differ.
    pub fn push(&mut self, value: &Value) -> Result<(), TensorError> {
        let value = &in_four_axes(value);
        let [rows, room, heads, width] = self.buffer.dims();
        let count = match *value.shape() {
            [b, count, k, h] if (b, k, h) == (rows, heads, width) => count,
            _ => {
                let left = format!("{:?}", [rows, self.filled, heads, width]);
                return Err(TensorError::Shapes { op: "cache".into(), left, right: format!("{:?}", value.shape()) });
            }
        };
        if self.filled + count > room {
            let joined = [rows, self.filled + count, heads, width];
            value.may_make("cache", &joined, value.axes())?;
            self.reserve(self.filled + count);
        }
        let end = self.filled + count;
        let place = [0..rows, self.filled..end, 0..heads, 0..width].map(Slice::from);
        let value = value.on(&Device::of(self.buffer.device()))?;
        let part = value.tensor::<4>().cast(self.buffer.dtype());
        // The buffer is taken out so that there is one handle to it, and the columns are written in place.
        let none = Tensor::empty([0; 4], (&self.buffer.device(), self.buffer.dtype()));
        self.buffer = std::mem::replace(&mut self.buffer, none).slice_assign(place, part);
        self.filled = end;
        Ok(())
    }

    /// Forgets the columns from `length` on.
    pub fn truncate(&mut self, length: usize) {
        self.filled = self.filled.min(length);
    }

    /// The first `length` columns, `[B, length, K, h]` or `[B, length, n]`: a view that copies nothing of one row.
    ///
    /// # Panics
    /// If it has fewer.
    pub fn first(&self, length: usize) -> Value {
        assert!(length <= self.filled, "{length} of {} columns", self.filled);
        let view = first_columns(&self.buffer, length);
        let view = Value::float(view.unwrap_or_else(|| self.buffer.clone().narrow(1, 0, length)));
        let [rows, _, _, width] = self.buffer.dims();
        if self.flat { view.reshaped(&[rows, length, width]) } else { view }
    }

    /// Makes room for `columns` and more.
    fn reserve(&mut self, columns: usize) {
        let [rows, _, heads, width] = self.buffer.dims();
        let column = (rows * heads * width).max(1) as u64;
        let most = Device::of(self.buffer.device()).max_buffer_bytes() / (4 * column);
        let room = (columns + (columns / 2).clamp(ROOM, MOST_ROOM))
            .min(usize::try_from(most).unwrap_or(usize::MAX))
            .max(columns);
        let larger = Tensor::empty([rows, room, heads, width], (&self.buffer.device(), self.buffer.dtype()));
        let place = [0..rows, 0..self.filled, 0..heads, 0..width].map(Slice::from);
        self.buffer = larger.slice_assign(place, self.buffer.clone().narrow(1, 0, self.filled));
    }
}

/// The value, `[B, T, n]` as `[B, T, 1, n]`.
fn in_four_axes(value: &Value) -> Value {
    match *value.shape() {
        [rows, length, width] => value.clone().reshaped(&[rows, length, 1, width]),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Device;

    fn columns(from: usize, count: usize) -> Value {
        let data = (0..2 * count * 3 * 4).map(|i| (from * 1000 + i) as f32).collect();
        Value::from_f32(data, &[2, count, 3, 4], &Device::cpu())
    }

    #[test]
    fn what_was_pushed_is_there_in_order_and_clones_do_not_share() {
        let parts: Vec<Value> = [5, 1, 1, 70, 1].iter().enumerate().map(|(i, &count)| columns(i, count)).collect();
        let mut grown = Growing::new(&parts[0]);
        for part in &parts[1..4] {
            grown.push(part).unwrap();
        }
        let earlier = grown.clone();
        grown.push(&parts[4]).unwrap();
        assert_eq!((earlier.len(), grown.len()), (77, 78));
        let joined = Value::concat(&parts, 1).unwrap();
        assert_eq!(grown.first(78).read_f32().unwrap(), joined.read_f32().unwrap());
        let mut other = earlier;
        other.truncate(6);
        other.push(&columns(9, 1)).unwrap();
        let wanted = Value::concat(&[parts[0].clone(), parts[1].clone(), columns(9, 1)], 1).unwrap();
        assert_eq!(other.first(7).read_f32().unwrap(), wanted.read_f32().unwrap());
        assert_eq!(grown.first(78).read_f32().unwrap(), joined.read_f32().unwrap());
    }

    #[test]
    fn values_of_three_axes_stay_so() {
        let part = |from: usize, count: usize| columns(from, count).reshaped(&[2, count, 12]);
        let mut grown = Growing::new(&part(0, 5));
        grown.push(&part(1, 2)).unwrap();
        let wanted = Value::concat(&[part(0, 5), part(1, 2)], 1).unwrap();
        assert_eq!(grown.first(7).shape(), [2, 7, 12]);
        assert_eq!(grown.first(7).read_f32().unwrap(), wanted.read_f32().unwrap());
    }

    #[test]
    fn columns_of_a_different_shape_are_refused() {
        let mut grown = Growing::new(&columns(0, 2));
        let wrong = Value::from_f32(vec![0.0; 24], &[1, 2, 3, 4], &Device::cpu());
        assert_eq!(
            grown.push(&wrong).unwrap_err().to_string(),
            "cache: shapes [2, 2, 3, 4] and [1, 2, 3, 4] do not fit together"
        );
    }
}
