//! Values that remember where they came from, and gradients back to them.
//!
//! A leaf is a value that gradients are wanted of. What is computed from it is tracked, until a gradient is taken;
//! values computed without a leaf stay plain.

use burn::tensor::{Gradients, Tensor};

use super::{Kind, Value};

/// The gradients of one number, or of the product of a value and a seed, with respect to leaves.
pub struct Pulled(Gradients);

impl Value {
    /// The same value as a leaf. Whole numbers and truth values stay as they are: nothing is differentiable in them.
    pub fn leaf(&self) -> Value {
        match self.kind() {
            Kind::Float => self.with_raw(|raw| raw.autodiff().require_grad()),
            _ => self.clone(),
        }
    }

    /// Whether it was computed from a leaf.
    pub fn is_tracked(&self) -> bool {
        self.kind() == Kind::Float && !self.is_in_pieces() && self.held_any_rank().is_tracked()
    }

    /// The same value, no longer connected to leaves.
    pub fn untracked(&self) -> Value {
        match self.kind() {
            Kind::Float if !self.is_in_pieces() => self.with_raw(Tensor::inner),
            _ => self.clone(),
        }
    }

    /// The gradients of `sum(self * seed)`; `None` if it was not computed from a leaf. The seed has the shape of the
    /// value.
    ///
    /// # Panics
    /// If the seed has a different number of elements.
    pub fn pull(&self, seed: &Value) -> Option<Pulled> {
        if !self.is_tracked() {
            return None;
        }
        assert_eq!(self.count(), seed.count(), "a seed for {self:?}");
        let seed = seed.clone().reshaped(self.shape()).any_rank();
        // Elements are seeded with one each: nothing is added up, and the order of a sum can make no difference.
        Some(Pulled((self.any_rank() * seed).backward()))
    }
}

impl Pulled {
    /// The gradient at a leaf, with its shape and axes; `None` if the number does not depend on it.
    pub fn at(&self, leaf: &Value) -> Option<Value> {
        let tensor = leaf.any_rank().grad(&self.0)?;
        Some(leaf.replaced(tensor))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Axis, Device};
    use super::*;
    use crate::tensor::ops::{BinaryOp, UnaryOp};

    fn numbers(value: &Value) -> Vec<f32> {
        value.read_f32().unwrap()
    }

    #[test]
    fn gradients_reach_the_leaves_with_their_axes() {
        let device = Device::cpu();
        let x = Value::from_f32(vec![1.0, -2.0, 3.0, 4.0], &[2, 2], &device).with_axes(&[Axis::Pos, Axis::Dim]);
        let seed = Value::from_f32(vec![1.0, 10.0, 100.0, 1000.0], &[2, 2], &device);
        let leaf = x.leaf();
        let square = leaf.binary(BinaryOp::Mul, &leaf).unwrap();
        assert!(leaf.is_tracked() && square.is_tracked() && !x.is_tracked());
        assert_eq!(numbers(&square), [1.0, 4.0, 9.0, 16.0]);
        let gradient = square.pull(&seed).unwrap().at(&leaf).unwrap();
        assert_eq!(numbers(&gradient), [2.0, -40.0, 600.0, 8000.0]);
        assert_eq!((gradient.shape(), gradient.axes()), (x.shape(), x.axes()));
        assert!(!gradient.is_tracked() && !square.untracked().is_tracked());
        assert_eq!(numbers(&square.untracked()), numbers(&square));
    }

    #[test]
    fn what_does_not_depend_on_a_leaf_has_no_gradient() {
        let device = Device::cpu();
        let x = Value::from_f32(vec![2.0], &[1], &device);
        let (a, b) = (x.leaf(), x.leaf());
        let out = a.unary(UnaryOp::Exp).unwrap();
        let pulled = out.pull(&x).unwrap();
        assert!(pulled.at(&b).is_none() && pulled.at(&a).is_some());
        assert!(x.pull(&x).is_none());
        let whole = Value::from_i64(vec![1, 2], &[2], &device);
        assert!(!whole.leaf().is_tracked() && whole.leaf().pull(&whole).is_none());
    }
}
