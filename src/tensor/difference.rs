//! How far two values are apart. All sums are in 64 bits and over all elements; definitions are those of
//! `numpy.allclose`, llama.cpp (NMSE) and torchlens.

use rayon::prelude::*;

use super::host::vectorised;
use super::summary::unravel;

/// When two elements agree: `|a - b| <= absolute + relative |b|`; NaN agrees with NaN, and an infinity with itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// `absolute`.
    pub absolute: f64,
    /// `relative`.
    pub relative: f64,
}

impl Default for Tolerance {
    /// The floor of one forward pass in f32 (TransformerLens), for numbers large and small.
    fn default() -> Tolerance {
        Tolerance { absolute: 5e-5, relative: 5e-5 }
    }
}

/// How far a value `a` is from a value `b` that it is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The largest `|a - b|`; infinite where one is finite and the other is not.
    pub max: f64,
    /// Where it is.
    pub at: Vec<usize>,
    /// The two elements there.
    pub pair: (f64, f64),
    /// The largest `|a - b| / |b|`, over elements of `b` that are not zero.
    pub relative: f64,
    /// `sqrt(mean((a - b)^2))` over elements that are finite in both.
    pub rms: f64,
    /// `mean((a - b)^2) / var(b)` over the same.
    pub nmse: f64,
    /// `a . b / (|a| |b|)` over the same; 1 where both are zero, NaN where one is.
    pub cosine: f64,
    /// The largest number of 32-bit floats between the two.
    pub ulp: u64,
    /// Elements of either that are not finite where those of the other are.
    pub broken: (usize, usize),
    /// Elements that do not agree.
    pub beyond: usize,
    /// Elements.
    pub count: usize,
}

/// Elements that a task takes.
const PIECE: usize = 1 << 15;

/// Elements that stay in the nearest cache from one loop to the next.
const BLOCK: usize = 1 << 10;

const LANES: usize = 8;

/// An element type that values are compared in.
pub trait Element: Copy + Into<f64> + Sync {
    /// As a 32-bit float, for counting floats between two.
    fn single(self) -> f32;
}

impl Element for f64 {
    #[inline(always)]
    fn single(self) -> f32 {
        self as f32
    }
}

impl Element for f32 {
    #[inline(always)]
    fn single(self) -> f32 {
        self
    }
}

/// Compares two values of one shape. The same numbers give the same bits on any number of threads.
pub fn difference<T: Element>(a: &[T], b: &[T], shape: &[usize], tolerance: Tolerance) -> Difference {
    let pieces = |a: &[T], b: &[T]| -> Vec<Sums> {
        a.par_chunks(PIECE).zip(b.par_chunks(PIECE)).map(|(a, b)| Sums::of(a, b, tolerance)).collect()
    };
    let parts = if a.len() <= PIECE { vec![Sums::of(a, b, tolerance)] } else { pieces(a, b) };
    let mut found = Difference {
        max: 0.0,
        at: Vec::new(),
        pair: (0.0, 0.0),
        relative: 0.0,
        rms: 0.0,
        nmse: 0.0,
        cosine: 1.0,
        ulp: 0,
        broken: (0, 0),
        beyond: 0,
        count: a.len(),
    };
    let mut all = Sums::default();
    let mut worst = 0;
    for (number, part) in parts.iter().enumerate() {
        if part.max > found.max {
            (found.max, worst) = (part.max, number);
        }
        all.join(part);
    }
    found.relative = all.relative;
    found.broken = (all.broken.0 as usize, all.broken.1 as usize);
    (found.beyond, found.ulp) = (all.beyond as usize, all.ulp as u64);
    let piece = a[worst * PIECE..].iter().zip(&b[worst * PIECE..]).take(PIECE);
    let largest = piece.enumerate().find(|(_, (x, y))| apart((**x).into(), (**y).into()) == found.max);
    if let Some((at, (x, y))) = largest {
        (found.pair, found.at) = (((*x).into(), (*y).into()), unravel(worst * PIECE + at, shape));
    }
    if all.finite > 0 {
        let count = all.finite as f64;
        let mean = all.sum / count;
        let spread: f64 = match all.squares {
            0.0 => 0.0,
            _ => a
                .par_chunks(PIECE)
                .zip(b.par_chunks(PIECE))
                .map(|(a, b)| spread(a, b, mean))
                .collect::<Vec<_>>()
                .iter()
                .sum(),
        };
        found.rms = (all.squares / count).sqrt();
        found.nmse = if all.squares == 0.0 { 0.0 } else { all.squares / spread };
        found.cosine = if all.aa == 0.0 && all.bb == 0.0 { 1.0 } else { all.ab / (all.aa * all.bb).sqrt() };
    }
    found
}

/// `|a - b|`; nothing between what is the same, infinite where only one is finite.
#[inline(always)]
fn apart(x: f64, y: f64) -> f64 {
    let same = x == y || x.is_nan() && y.is_nan();
    let off = (x - y).abs();
    match same {
        true => 0.0,
        // The difference of two numbers may be beyond the largest; of what is none it is no number.
        false if off.is_nan() => f64::INFINITY,
        false => off,
    }
}

/// Sums over a piece.
#[derive(Clone, Copy, Default)]
struct Sums {
    max: f64,
    relative: f64,
    squares: f64,
    sum: f64,
    aa: f64,
    bb: f64,
    ab: f64,
    ulp: i64,
    broken: (u32, u32),
    beyond: u32,
    finite: u64,
}

impl Sums {
    fn of<T: Element>(a: &[T], b: &[T], tolerance: Tolerance) -> Sums {
        let mut sums = Sums::default();
        for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
            vectorised(
                #[inline(always)]
                || sums.add(a, b, tolerance),
            );
        }
        sums
    }

    /// Loops over numbers that lie in the cache, each simple enough to become vector instructions.
    #[inline(always)]
    fn add<T: Element>(&mut self, a: &[T], b: &[T], tolerance: Tolerance) {
        let pairs = || a.iter().zip(b).map(|(x, y)| ((*x).into(), (*y).into()));
        // Whole of finite numbers, as most are, or with exceptions.
        let finite = |x: f64| x.abs() < f64::INFINITY;
        let whole = pairs().fold(true, |whole, (x, y)| whole & finite(x) & finite(y));
        if whole {
            let mut lanes = [[0.0f64; LANES]; 7];
            let mut one = |lane: usize, x: f64, y: f64| {
                let off = (x - y).abs();
                let relative = if y == 0.0 { 0.0 } else { off / y.abs() };
                lanes[0][lane] = if off > lanes[0][lane] { off } else { lanes[0][lane] };
                lanes[1][lane] = if relative > lanes[1][lane] { relative } else { lanes[1][lane] };
                lanes[2][lane] += off * off;
                lanes[3][lane] += y;
                lanes[4][lane] += x * x;
                lanes[5][lane] += y * y;
                lanes[6][lane] += x * y;
            };
            let (first, first_rest) = a.as_chunks::<LANES>();
            let (second, second_rest) = b.as_chunks::<LANES>();
            for (a, b) in first.iter().zip(second) {
                for lane in 0..LANES {
                    one(lane, a[lane].into(), b[lane].into());
                }
            }
            for (lane, (x, y)) in first_rest.iter().zip(second_rest).enumerate() {
                one(lane, (*x).into(), (*y).into());
            }
            let largest = |lanes: [f64; LANES]| lanes.into_iter().fold(0.0, f64::max);
            self.max = self.max.max(largest(lanes[0]));
            self.relative = self.relative.max(largest(lanes[1]));
            self.squares += lanes[2].iter().sum::<f64>();
            self.sum += lanes[3].iter().sum::<f64>();
            self.aa += lanes[4].iter().sum::<f64>();
            self.bb += lanes[5].iter().sum::<f64>();
            self.ab += lanes[6].iter().sum::<f64>();
            self.finite += a.len() as u64;
            let beyond = |(x, y): (f64, f64)| (x - y).abs() > tolerance.absolute + tolerance.relative * y.abs();
            self.beyond += pairs().fold(0u32, |count, pair| count + u32::from(beyond(pair)));
            let between = |(x, y): (&T, &T)| (ordered(x.single()) - ordered(y.single())).abs();
            self.ulp = a.iter().zip(b).fold(self.ulp, |most, pair| most.max(between(pair)));
            return;
        }
        for ((x, y), (single, other)) in pairs().zip(a.iter().zip(b)) {
            let off = apart(x, y);
            self.max = self.max.max(off);
            match finite(x) && finite(y) {
                true => {
                    self.squares += off * off;
                    self.sum += y;
                    self.finite += 1;
                    (self.aa, self.bb, self.ab) = (self.aa + x * x, self.bb + y * y, self.ab + x * y);
                    self.ulp = self.ulp.max((ordered(single.single()) - ordered(other.single())).abs());
                    if y != 0.0 {
                        self.relative = self.relative.max(off / y.abs());
                    }
                    self.beyond += u32::from(off > tolerance.absolute + tolerance.relative * y.abs());
                }
                false if off > 0.0 => {
                    self.relative = f64::INFINITY;
                    self.beyond += 1;
                }
                false => {}
            }
            self.broken.0 += u32::from(!finite(x) && finite(y));
            self.broken.1 += u32::from(finite(x) && !finite(y));
        }
    }

    fn join(&mut self, other: &Sums) {
        self.max = self.max.max(other.max);
        self.relative = self.relative.max(other.relative);
        self.squares += other.squares;
        self.sum += other.sum;
        (self.aa, self.bb, self.ab) = (self.aa + other.aa, self.bb + other.bb, self.ab + other.ab);
        self.ulp = self.ulp.max(other.ulp);
        self.broken = (self.broken.0 + other.broken.0, self.broken.1 + other.broken.1);
        self.beyond += other.beyond;
        self.finite += other.finite;
    }
}

/// Sum of squared distances from `mean` of the numbers of `b` that are finite in both.
fn spread<T: Element>(a: &[T], b: &[T], mean: f64) -> f64 {
    let mut lanes = [0.0f64; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for (lane, (x, y)) in a.iter().zip(b).enumerate() {
            let (x, y): (f64, f64) = ((*x).into(), (*y).into());
            let both = x.is_finite() && y.is_finite();
            lanes[lane] += if both { (y - mean) * (y - mean) } else { 0.0 };
        }
    }
    lanes.iter().sum()
}

/// The floats in their order, as whole numbers.
#[inline(always)]
fn ordered(x: f32) -> i64 {
    let bits = i64::from(x.to_bits() as i32);
    if bits < 0 { i64::from(i32::MIN) - bits } else { bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(a: &[f64], b: &[f64]) -> Difference {
        difference(a, b, &[a.len()], Tolerance::default())
    }

    #[test]
    fn distances_are_those_of_their_formulas() {
        let found = of(&[1.0, 2.0, 3.5, 0.0], &[1.0, 2.0, 4.0, 0.0]);
        assert_eq!((found.max, found.at.as_slice(), found.pair), (0.5, &[2][..], (3.5, 4.0)));
        assert_eq!((found.relative, found.rms, found.beyond), (0.125, 0.25, 1));
        // var(1, 2, 4, 0) = 2.1875.
        assert!((found.nmse - 0.0625 / 2.1875).abs() < 1e-15);
        let wanted = (1.0 + 4.0 + 14.0) / (17.25f64 * 21.0).sqrt();
        assert!((found.cosine - wanted).abs() < 1e-15);
        assert_eq!(of(&[1.0], &[f64::from(1.0f32.next_up())]).ulp, 1);
        assert_eq!(of(&[f64::from(f32::from_bits(1))], &[-f64::from(f32::from_bits(1))]).ulp, 2);
        assert_eq!(of(&[0.0], &[-0.0]).ulp, 0);
    }

    /// The same numbers in one piece, in many, and in 32 bits.
    #[test]
    fn pieces_and_types_make_no_difference() {
        let count = 3 * PIECE + 5;
        let a: Vec<f32> = (0..count).map(|i| ((i * 7919) % 1000) as f32 / 64.0 - 5.0).collect();
        let mut b = a.clone();
        (b[PIECE + 17], b[9]) = (100.0, a[9] + 0.25);
        let wide = |data: &[f32]| data.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
        let narrow = difference(&a, &b, &[count], Tolerance::default());
        assert_eq!(narrow, difference(&wide(&a), &wide(&b), &[count], Tolerance::default()));
        assert_eq!((narrow.at.as_slice(), narrow.beyond, narrow.pair.1), (&[PIECE + 17][..], 2, 100.0));
        let plain: f64 = wide(&a).iter().zip(wide(&b)).map(|(x, y)| (x - y).powi(2)).sum();
        assert!((narrow.rms - (plain / count as f64).sqrt()).abs() < 1e-12);
        b[PIECE * 2] = f32::NAN;
        let broken = difference(&a, &b, &[count], Tolerance::default());
        assert_eq!((broken.max, broken.broken, broken.beyond, broken.at[0]), (f64::INFINITY, (0, 1), 3, PIECE * 2));
        assert!((broken.rms - narrow.rms).abs() < 1e-4);
    }

    #[test]
    fn what_is_not_finite_agrees_only_with_itself() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let same = of(&[-inf, nan, 1.0], &[-inf, nan, 1.0]);
        assert_eq!((same.max, same.beyond, same.broken, same.cosine), (0.0, 0, (0, 0), 1.0));
        let off = of(&[inf, 1.0, nan], &[1.0, inf, 1.0]);
        assert_eq!((off.max, off.beyond, off.broken), (inf, 3, (2, 1)));
        assert_eq!(of(&[inf], &[-inf]).beyond, 1);
        assert_eq!(of(&[], &[]).count, 0);
        assert!(of(&[1.0], &[0.0]).cosine.is_nan());
        assert_eq!(of(&[0.0], &[0.0]).cosine, 1.0);
    }
}
