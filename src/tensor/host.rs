//! Statistics of numbers in host memory: loops over eight lanes side by side, which the compiler turns into vector
//! instructions. Sums are kept in 64 bits, one for each lane, so the same numbers give the same bits on every machine.

const LANES: usize = 8;

/// Runs loops with the widest vectors that this processor has. No operation is fused by it, so the width changes no bit.
pub(crate) fn vectorised<R>(run: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(run)
}

/// What one pass over numbers tells. `min`, `max` and the sums are over the finite ones; without any, `min` is inf and `max`
/// is -inf.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Census {
    pub nan: u64,
    pub pos_inf: u64,
    pub neg_inf: u64,
    pub zeros: u64,
    pub min: f32,
    pub max: f32,
    pub sum: f64,
    pub squares: f64,
}

/// Counts and extremes, in one pass.
pub(super) fn census(data: &[f32]) -> Census {
    vectorised(
        #[inline(always)]
        || {
            let mut lanes = Lanes::default();
            let (pieces, rest) = data.as_chunks::<LANES>();
            for piece in pieces {
                lanes.take(piece);
            }
            let mut census = lanes.total();
            for x in rest {
                census.take(*x);
            }
            census
        },
    )
}

/// Sum of squared distances of the finite numbers from `mean`.
pub(super) fn spread(data: &[f32], mean: f64) -> f64 {
    let square = |x: f32| {
        let distance = f64::from(x) - mean;
        if x.is_finite() { distance * distance } else { 0.0 }
    };
    vectorised(
        #[inline(always)]
        || {
            let mut lanes = [0.0; LANES];
            let (pieces, rest) = data.as_chunks::<LANES>();
            for piece in pieces {
                for (lane, x) in lanes.iter_mut().zip(piece) {
                    *lane += square(*x);
                }
            }
            lanes.iter().sum::<f64>() + rest.iter().map(|x| square(*x)).sum::<f64>()
        },
    )
}

/// Smallest and largest of numbers, infinities included; none if there is a NaN or there are no numbers.
pub(super) fn extremes(data: &[f32]) -> Option<(f32, f32)> {
    let (min, max, nan) = vectorised(
        #[inline(always)]
        || {
            let mut lanes = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES], [0u32; LANES]);
            let mut take = |i: usize, x: f32| {
                lanes.0[i] = if x < lanes.0[i] { x } else { lanes.0[i] };
                lanes.1[i] = if x > lanes.1[i] { x } else { lanes.1[i] };
                lanes.2[i] |= u32::from(x.is_nan());
            };
            let (pieces, rest) = data.as_chunks::<LANES>();
            for piece in pieces {
                for (i, x) in piece.iter().enumerate() {
                    take(i, *x);
                }
            }
            for (i, x) in rest.iter().enumerate() {
                take(i, *x);
            }
            (
                lanes.0.into_iter().fold(f32::INFINITY, f32::min),
                lanes.1.into_iter().fold(f32::NEG_INFINITY, f32::max),
                lanes.2.iter().any(|nan| *nan > 0),
            )
        },
    );
    (!nan && !data.is_empty()).then_some((min, max))
}

/// Index of the first number of magnitude `magnitude`.
pub(super) fn first_of_magnitude(data: &[f32], magnitude: f32) -> Option<usize> {
    const PIECE: usize = 256;
    let holds = |piece: &[f32]| {
        vectorised(
            #[inline(always)]
            || piece.iter().fold(false, |found, x| found | (x.abs() == magnitude)),
        )
    };
    let piece = data.chunks(PIECE).position(holds)?;
    let within = data[piece * PIECE..].iter().position(|x| x.abs() == magnitude)?;
    Some(piece * PIECE + within)
}

struct Lanes {
    nan: [u32; LANES],
    pos_inf: [u32; LANES],
    neg_inf: [u32; LANES],
    zeros: [u32; LANES],
    min: [f32; LANES],
    max: [f32; LANES],
    sum: [f64; LANES],
    squares: [f64; LANES],
}

impl Default for Lanes {
    fn default() -> Self {
        let (none, zero) = ([0; LANES], [0.0; LANES]);
        Lanes {
            nan: none,
            pos_inf: none,
            neg_inf: none,
            zeros: none,
            min: [f32::INFINITY; LANES],
            max: [f32::NEG_INFINITY; LANES],
            sum: zero,
            squares: zero,
        }
    }
}

impl Lanes {
    #[inline(always)]
    fn take(&mut self, piece: &[f32; LANES]) {
        for (i, x) in piece.iter().enumerate() {
            let x = *x;
            self.nan[i] += u32::from(x.is_nan());
            self.pos_inf[i] += u32::from(x == f32::INFINITY);
            self.neg_inf[i] += u32::from(x == f32::NEG_INFINITY);
            self.zeros[i] += u32::from(x == 0.0);
            let finite = x.abs() <= f32::MAX;
            let (low, high) = (if finite { x } else { f32::INFINITY }, if finite { x } else { f32::NEG_INFINITY });
            self.min[i] = if low < self.min[i] { low } else { self.min[i] };
            self.max[i] = if high > self.max[i] { high } else { self.max[i] };
            let wide = f64::from(if finite { x } else { 0.0 });
            self.sum[i] += wide;
            self.squares[i] += wide * wide;
        }
    }

    fn total(self) -> Census {
        let count = |lanes: [u32; LANES]| lanes.into_iter().map(u64::from).sum();
        Census {
            nan: count(self.nan),
            pos_inf: count(self.pos_inf),
            neg_inf: count(self.neg_inf),
            zeros: count(self.zeros),
            min: self.min.into_iter().fold(f32::INFINITY, f32::min),
            max: self.max.into_iter().fold(f32::NEG_INFINITY, f32::max),
            sum: self.sum.iter().sum(),
            squares: self.squares.iter().sum(),
        }
    }
}

impl Census {
    fn take(&mut self, x: f32) {
        self.nan += u64::from(x.is_nan());
        self.pos_inf += u64::from(x == f32::INFINITY);
        self.neg_inf += u64::from(x == f32::NEG_INFINITY);
        self.zeros += u64::from(x == 0.0);
        if x.is_finite() {
            (self.min, self.max) = (self.min.min(x), self.max.max(x));
            self.sum += f64::from(x);
            self.squares += f64::from(x) * f64::from(x);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Numbers with many repetitions, zeros, infinities and NaN among them.
    fn numbers() -> impl Strategy<Value = Vec<f32>> {
        let special = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN, f32::MIN_POSITIVE];
        let one = prop_oneof![
            6 => (-8i32..8).prop_map(|x| x as f32 / 4.0),
            3 => -1e3f32..1e3,
            1 => (0..special.len()).prop_map(move |i| special[i]),
        ];
        prop::collection::vec(one, 0..600)
    }

    proptest! {
        #[test]
        fn a_census_counts_as_one_would(data in numbers()) {
            let count = |holds: fn(&f32) -> bool| data.iter().filter(|x| holds(x)).count() as u64;
            let finite: Vec<f32> = data.iter().copied().filter(|x| x.is_finite()).collect();
            let census = census(&data);
            prop_assert_eq!(census.nan, count(|x| x.is_nan()));
            prop_assert_eq!(census.pos_inf, count(|x| *x == f32::INFINITY));
            prop_assert_eq!(census.neg_inf, count(|x| *x == f32::NEG_INFINITY));
            prop_assert_eq!(census.zeros, count(|x| *x == 0.0));
            prop_assert_eq!(census.min, finite.iter().copied().fold(f32::INFINITY, f32::min));
            prop_assert_eq!(census.max, finite.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let near = |found: f64, wanted: f64, size: f64| (found - wanted).abs() <= 1e-12 * size;
            let size: f64 = finite.iter().map(|x| f64::from(x.abs())).sum();
            prop_assert!(near(census.sum, finite.iter().map(|x| f64::from(*x)).sum(), size));
            let squares: f64 = finite.iter().map(|x| f64::from(*x).powi(2)).sum();
            prop_assert!(near(census.squares, squares, squares));
            let mean = census.sum / finite.len().max(1) as f64;
            let wanted: f64 = finite.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum();
            prop_assert!(near(spread(&data, mean), wanted, wanted));
        }

        #[test]
        fn extremes_are_those_of_a_plain_loop(data in numbers()) {
            let wanted = match data.iter().any(|x| x.is_nan()) || data.is_empty() {
                true => None,
                false => Some((
                    data.iter().copied().fold(f32::INFINITY, f32::min),
                    data.iter().copied().fold(f32::NEG_INFINITY, f32::max),
                )),
            };
            prop_assert_eq!(extremes(&data), wanted);
        }

        #[test]
        fn the_first_of_a_magnitude_is_found(data in numbers(), magnitude in 0i32..9) {
            let magnitude = magnitude as f32 / 4.0;
            prop_assert_eq!(first_of_magnitude(&data, magnitude), data.iter().position(|x| x.abs() == magnitude));
        }
    }
}
