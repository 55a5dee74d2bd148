//! Statistics over all elements of a value, for the price of one small transfer.

use serde::{Deserialize, Serialize};

use super::graphics::census::{WORDS, census, of_ordered};
use super::host::{self, Census, PIECE};
use super::reading::FEW;
use super::{Kind, TensorError, Value};

/// Statistics over all elements of a value of any size. `min` to `l2` are over the finite elements, and NaN without
/// any.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    pub count: u64,
    pub nan: u64,
    pub pos_inf: u64,
    pub neg_inf: u64,
    /// How many are 0 (of either sign).
    pub zeros: u64,
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    pub std: f64,
    pub l2: f64,
    pub absmax: f64,
    /// Index of the first element of that magnitude, one number for each axis.
    pub absmax_index: Vec<usize>,
}

impl Summary {
    /// Summarises elements in host memory, accumulating in 64 bits. `shape` gives `absmax_index`.
    pub fn of_host(data: impl Iterator<Item = f64> + Clone, shape: &[usize]) -> Summary {
        let mut summary = Summary { min: f64::INFINITY, max: f64::NEG_INFINITY, ..Summary::default() };
        let (mut sum, mut squares, mut at) = (0.0, 0.0, None);
        for (i, x) in data.clone().enumerate() {
            summary.count += 1;
            if x.is_nan() {
                summary.nan += 1;
            } else if x == f64::INFINITY {
                summary.pos_inf += 1;
            } else if x == f64::NEG_INFINITY {
                summary.neg_inf += 1;
            } else {
                summary.zeros += u64::from(x == 0.0);
                summary.min = summary.min.min(x);
                summary.max = summary.max.max(x);
                sum += x;
                squares += x * x;
                if at.is_none() || x.abs() > summary.absmax {
                    summary.absmax = x.abs();
                    at = Some(i);
                }
            }
        }
        let finite = summary.finite();
        summary.mean = sum / finite as f64;
        let spread: f64 = data.filter(|x| x.is_finite()).map(|x| (x - summary.mean).powi(2)).sum();
        summary.std = (spread / finite as f64).sqrt();
        summary.l2 = squares.sqrt();
        summary.finish(at, shape)
    }

    /// The same for 32-bit floats, in one quick pass.
    pub fn of_f32(data: &[f32], shape: &[usize]) -> Summary {
        let census = host::censuses(data).into_iter().fold(Census::default(), Census::join);
        let at = if census.finite == 0 { None } else { host::first_of_magnitude(data, census.magnitude()) };
        Summary::of_census(&census, at, shape)
    }

    /// That of a census, and where its largest magnitude is first.
    fn of_census(census: &Census, at: Option<usize>, shape: &[usize]) -> Summary {
        let Census { finite, nan, pos_inf, neg_inf, zeros, .. } = *census;
        let count = finite + nan + pos_inf + neg_inf;
        let absmax = census.magnitude().into();
        let mut summary = Summary { count, nan, pos_inf, neg_inf, zeros, absmax, ..Summary::default() };
        (summary.min, summary.max, summary.l2) = (census.min.into(), census.max.into(), census.squares.sqrt());
        (summary.mean, summary.std) = (census.sum / finite as f64, (census.spread / finite as f64).sqrt());
        summary.finish(at, shape)
    }

    /// The same for a value in pieces, with the same bits.
    fn in_pieces(value: &Value) -> Result<Summary, TensorError> {
        let (mut all, mut largest) = (Census::default(), None);
        value.for_elements(|start, some| {
            for (i, census) in host::censuses(some).into_iter().enumerate() {
                let beyond = |(magnitude, _): (f32, usize)| census.magnitude() > magnitude;
                if census.finite > 0 && largest.is_none_or(beyond) {
                    largest = Some((census.magnitude(), start + i * PIECE));
                }
                all = all.join(census);
            }
        })?;
        let at = match largest {
            Some((magnitude, piece)) => {
                let part = value.elements(piece..value.count().min(piece + PIECE))?;
                host::first_of_magnitude(&part, magnitude).map(|at| piece + at)
            }
            None => None,
        };
        Ok(Summary::of_census(&all, at, value.shape()))
    }

    /// The statistics of several parts together, but for `absmax_index`, which is left empty.
    pub fn of_parts(parts: &[Summary]) -> Summary {
        let mut all = Summary { min: f64::INFINITY, max: f64::NEG_INFINITY, ..Summary::default() };
        let (mut sum, mut squares) = (0.0, 0.0);
        for part in parts {
            all.count += part.count;
            all.nan += part.nan;
            all.pos_inf += part.pos_inf;
            all.neg_inf += part.neg_inf;
            all.zeros += part.zeros;
            if part.finite() > 0 {
                all.min = all.min.min(part.min);
                all.max = all.max.max(part.max);
                all.absmax = all.absmax.max(part.absmax);
                sum += part.mean * part.finite() as f64;
                squares += part.l2 * part.l2;
            }
        }
        let finite = all.finite() as f64;
        all.mean = sum / finite;
        let about_mean = |part: &Summary| (part.std.powi(2) + (part.mean - all.mean).powi(2)) * part.finite() as f64;
        let spread: f64 = parts.iter().filter(|part| part.finite() > 0).map(about_mean).sum();
        all.std = (spread / finite).sqrt();
        all.l2 = squares.sqrt();
        let at = (all.finite() > 0).then_some(0);
        Summary { absmax_index: Vec::new(), ..all.finish(at, &[]) }
    }

    pub fn finite(&self) -> u64 {
        self.count - self.nan - self.pos_inf - self.neg_inf
    }

    fn finish(mut self, at: Option<usize>, shape: &[usize]) -> Summary {
        match at {
            Some(at) => self.absmax_index = unravel(at, shape),
            None => {
                (self.min, self.max, self.mean, self.std) = (f64::NAN, f64::NAN, f64::NAN, f64::NAN);
                (self.l2, self.absmax) = (f64::NAN, f64::NAN);
            }
        }
        self
    }
}

/// The index on each axis of the `flat`-th element in row-major order.
pub fn unravel(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, len) in shape.iter().enumerate().rev() {
        index[i] = flat % (*len).max(1);
        flat /= (*len).max(1);
    }
    index
}

impl Value {
    /// Statistics over all elements. On the CPU they are computed in place in 64 bits; elsewhere on the device, by
    /// one launch and one read. They are remembered. A few elements, and what a device cannot add up in 32 bits, are read instead.
    pub fn summary(&self) -> Result<Summary, TensorError> {
        if let Some(known) = self.known().summary.get() {
            return Ok(known.clone());
        }
        let found = self.summarised()?;
        Ok(self.known().summary.get_or_init(|| found).clone())
    }

    fn summarised(&self) -> Result<Summary, TensorError> {
        if self.is_in_pieces() {
            return Summary::in_pieces(self);
        }
        if let Some(host) = self.host_f32() {
            return Ok(Summary::of_f32(host.as_slice(), self.shape()));
        }
        // Whole numbers that 32 bits hold, and truth values, as those of a value in pieces.
        const EXACT: f64 = 16_777_216.0;
        if self.kind() != Kind::Float {
            let data = self.read_f64()?;
            if data.iter().all(|x| x.abs() <= EXACT) {
                let data: Vec<f32> = data.into_iter().map(|x| x as f32).collect();
                return Ok(Summary::of_f32(&data, self.shape()));
            }
            return Ok(Summary::of_host(data.iter().copied(), self.shape()));
        }
        if self.device().is_cpu() {
            let data = self.read_f64()?;
            return Ok(Summary::of_host(data.iter().copied(), self.shape()));
        }
        if self.count() > FEW
            && let Some((census, at)) = self.census_there()?
        {
            let summary = Summary::of_census(&census, at, self.shape());
            // Squares of large numbers overflow there, and those of small ones vanish.
            if summary.finite() == 0 || reliable([summary.mean, summary.std, summary.l2], summary.absmax) {
                return Ok(summary);
            }
        }
        Ok(Summary::of_f32(self.near()?.on_host()?.as_slice(), self.shape()))
    }

    /// A census of a float value on a graphics device, and where its largest magnitude is first; `None` if it is
    /// elsewhere.
    pub(super) fn census_there(&self) -> Result<Option<(Census, Option<usize>)>, TensorError> {
        let Some(memory) = self.device_f32() else { return Ok(None) };
        let found = census(&memory);
        let words = found.len();
        let bits = found.value(&[words]).read_f32()?;
        let (mut all, mut largest) = (Census::default(), None);
        for words in bits.chunks_exact(WORDS) {
            let (part, magnitude, place) = census_of(words);
            if part.finite > 0 && largest.is_none_or(|(most, _)| magnitude > most) {
                largest = Some((magnitude, place));
            }
            all = all.join(part);
        }
        Ok(Some((all, largest.map(|(_, place)| place))))
    }
}

/// What one cube has found, the largest magnitude, and its place among all elements.
fn census_of(words: &[f32]) -> (Census, f32, usize) {
    let word = |i: usize| words[i].to_bits();
    let count = |i: usize| u64::from(word(i));
    let finite = count(0);
    let extremes = match finite {
        0 => (f32::INFINITY, f32::NEG_INFINITY),
        _ => (of_ordered(word(5)), of_ordered(word(6))),
    };
    let [sum, squares, spread] = [9, 10, 11].map(|i| f64::from(words[i]));
    let census = Census {
        finite,
        nan: count(1),
        pos_inf: count(2),
        neg_inf: count(3),
        zeros: count(4),
        min: extremes.0,
        max: extremes.1,
        sum,
        squares,
        spread,
    };
    (census, f32::from_bits(word(7)), word(8) as usize)
}

/// Whether sums over finite elements, of which the largest magnitude is `absmax`, are what they are in 64 bits: neither
/// they nor their squares have left the range of 32 bits.
fn reliable(sums: [f64; 3], absmax: f64) -> bool {
    sums.iter().all(|sum| sum.is_finite()) && (absmax == 0.0 || (1e-12..1e19).contains(&absmax))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn same(a: f64, b: f64) -> bool {
        (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-12 * (1.0 + a.abs())
    }

    proptest! {
        #[test]
        fn quick_summaries_are_summaries(numbers in prop::collection::vec(-20i32..20, 0..300)) {
            let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
            let of = |n: &i32| match n { 15..=17 => special[*n as usize - 15], n => *n as f32 / 8.0 };
            let data: Vec<f32> = numbers.iter().map(of).collect();
            let quick = Summary::of_f32(&data, &[data.len()]);
            let plain = Summary::of_host(data.iter().map(|x| f64::from(*x)), &[data.len()]);
            prop_assert!(same(quick.mean, plain.mean) && same(quick.std, plain.std) && same(quick.l2, plain.l2));
            let exact = |s: &Summary| format!("{:?}", Summary { mean: 0.0, std: 0.0, l2: 0.0, ..s.clone() });
            prop_assert_eq!(exact(&quick), exact(&plain));
        }
    }

    #[test]
    fn a_summary_of_nothing_finite_has_no_numbers() {
        for data in [&[][..], &[f32::NAN, f32::INFINITY][..]] {
            let summary = Summary::of_f32(data, &[data.len()]);
            assert!([summary.min, summary.max, summary.mean, summary.std, summary.l2].iter().all(|x| x.is_nan()));
            assert!(summary.absmax_index.is_empty());
        }
    }
}
