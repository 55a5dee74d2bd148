//! Directions that tell two kinds of vectors apart, and how such a difference is taken out of them.

mod erase;
mod fit;

pub use erase::{Eraser, leace, orthogonal};
pub use fit::{Fitted, Method, Spread, accuracy, shuffled};

use crate::debugger::{Error, Result};

/// Vectors of two kinds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Each `[d]`.
    pub x: Vec<Vec<f64>>,
    /// Which of them are of the first kind.
    pub first: Vec<bool>,
}

impl Sample {
    /// How many there are of the first and of the second kind.
    pub fn counts(&self) -> [usize; 2] {
        let first = self.first.iter().filter(|first| **first).count();
        [first, self.first.len() - first]
    }

    /// An error unless every element is finite and there are `least` of each kind.
    fn check(&self, least: usize) -> Result<()> {
        if let Some(few) = self.counts().into_iter().find(|count| *count < least) {
            return Err(Error::refused(format!("a direction needs {least} vectors of each kind, found {few}")));
        }
        match self.x.iter().flatten().all(|x| x.is_finite()) {
            true => Ok(()),
            false => Err(Error::refused(
                "some of the vectors have elements that are not finite (NaN or infinite); \"why\" says where they come from",
            )),
        }
    }

    /// The mean of those for which `of` holds.
    fn mean(&self, of: impl Fn(bool) -> bool) -> Vec<f64> {
        let width = self.x.first().map_or(0, Vec::len);
        let mut sum = vec![0.0; width];
        let mut count = 0.0;
        for (x, _) in self.x.iter().zip(&self.first).filter(|(_, first)| of(**first)) {
            sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += x);
            count += 1.0;
        }
        sum.into_iter().map(|x| x / count).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
