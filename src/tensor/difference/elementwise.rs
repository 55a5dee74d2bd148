//! Two values compared element by element. All sums are in 64 bits and over all elements; definitions are those of
//! `numpy.allclose`, llama.cpp (NMSE) and torchlens.

use rayon::prelude::*;

use super::distance;
use super::tolerance::{Element, LANES, PIECE, Rows, Tolerance, Verdict, larger, share};
use crate::tensor::{inlined, unravel, vectorised};

/// How far a value `a` is from a value `b` that it is compared with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// The largest `|a - b|`; infinite where one is finite and the other is not.
    pub max: f64,
    /// The largest `|a - b| / max(|b|, s)`, what a [`Tolerance`] bounds.
    pub relative: f64,
    pub at: Vec<usize>,
    pub pair: (f64, f64),
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
    pub beyond: usize,
    pub count: usize,
}

impl Difference {
    pub fn verdict(&self) -> Verdict {
        match (self.beyond, self.max) {
            (1.., _) => Verdict::Different,
            (0, 0.0) => Verdict::Same,
            (0, _) => Verdict::Rounding,
        }
    }
}

/// Elements that stay in the first-level cache from one loop to the next.
const BLOCK: usize = 1 << 10;

/// Compares two values of one shape. The same numbers give the same bits on any number of threads.
pub fn difference<T: Element>(a: &[T], b: &[T], shape: &[usize], tolerance: Tolerance) -> Difference {
    difference_by(a, b, shape, &Rows::of(b, shape), tolerance)
}

/// The same for a part of two values, measured by the rows of the whole.
pub fn difference_by<T: Element>(a: &[T], b: &[T], shape: &[usize], rows: &Rows, tolerance: Tolerance) -> Difference {
    let pieces = || -> Vec<Sums> {
        let pairs = a.par_chunks(PIECE).zip(b.par_chunks(PIECE)).enumerate();
        pairs.map(|(number, (a, b))| Sums::of(a, b, number * PIECE, rows, tolerance)).collect()
    };
    let parts = if a.len() <= PIECE { vec![Sums::of(a, b, 0, rows, tolerance)] } else { pieces() };
    let mut found = Difference { cosine: 1.0, count: a.len(), ..Difference::default() };
    let mut all = Sums::default();
    let mut worst = 0;
    for part in &parts {
        if part.relative > found.relative {
            (found.relative, worst) = (part.relative, part.worst);
        }
        all.join(part);
    }
    found.max = all.max;
    found.broken = (all.broken.0 as usize, all.broken.1 as usize);
    (found.beyond, found.ulp) = (all.beyond as usize, all.ulp as u64);
    let block = a[worst..].iter().zip(&b[worst..]).take(BLOCK).enumerate();
    let mut block = block.map(|(i, (x, y))| (worst + i, (*x).into(), (*y).into()));
    if let Some((at, x, y)) = block.find(|(at, x, y)| share(*x, *y, rows.size(*at)) == found.relative) {
        (found.pair, found.at) = ((x, y), unravel(at, shape));
    }
    if all.finite > 0 {
        let count = all.finite as f64;
        let mean = all.sum / count;
        let pieces =
            || a.par_chunks(PIECE).zip(b.par_chunks(PIECE)).map(|(a, b)| spread(a, b, mean)).collect::<Vec<_>>();
        found.rms = (all.squares / count).sqrt();
        found.nmse = if all.squares == 0.0 { 0.0 } else { all.squares / pieces().iter().sum::<f64>() };
        found.cosine = if all.aa == 0.0 && all.bb == 0.0 { 1.0 } else { all.ab / (all.aa * all.bb).sqrt() };
    }
    found
}

#[derive(Clone, Copy, Default)]
struct Sums {
    max: f64,
    relative: f64,
    /// Where the block begins that has `relative`.
    worst: usize,
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
    fn of<T: Element>(a: &[T], b: &[T], from: usize, rows: &Rows, tolerance: Tolerance) -> Sums {
        let mut sums = Sums::default();
        let mut sizes = [0.0; BLOCK];
        for (number, (a, b)) in a.chunks(BLOCK).zip(b.chunks(BLOCK)).enumerate() {
            let sizes = &mut sizes[..a.len()];
            let before = sums.relative;
            vectorised(inlined!(|| {
                rows.fill(from + number * BLOCK, sizes);
                sums.add(a, b, sizes, tolerance);
            }));
            if sums.relative > before {
                sums.worst = from + number * BLOCK;
            }
        }
        sums
    }

    /// Loops over numbers that are in the cache, each simple enough to become vector instructions.
    #[inline(always)]
    fn add<T: Element>(&mut self, a: &[T], b: &[T], sizes: &[f64], tolerance: Tolerance) {
        let pairs = || a.iter().zip(b).map(|(x, y)| ((*x).into(), (*y).into()));
        // Most blocks are finite throughout.
        let finite = |x: f64| x.abs() < f64::INFINITY;
        let whole = pairs().fold(true, |whole, (x, y)| whole & finite(x) & finite(y));
        if whole {
            let mut lanes = [[0.0f64; LANES]; 7];
            let mut one = |lane: usize, x: f64, y: f64, size: f64| {
                let off = (x - y).abs();
                let relative = if off == 0.0 { 0.0 } else { off / larger(y.abs(), size) };
                lanes[0][lane] = larger(off, lanes[0][lane]);
                lanes[1][lane] = larger(relative, lanes[1][lane]);
                lanes[2][lane] += off * off;
                lanes[3][lane] += y;
                lanes[4][lane] += x * x;
                lanes[5][lane] += y * y;
                lanes[6][lane] += x * y;
            };
            let (first, first_rest) = a.as_chunks::<LANES>();
            let (second, second_rest) = b.as_chunks::<LANES>();
            let (size, size_rest) = sizes.as_chunks::<LANES>();
            for ((a, b), size) in first.iter().zip(second).zip(size) {
                for lane in 0..LANES {
                    one(lane, a[lane].into(), b[lane].into(), size[lane]);
                }
            }
            for (lane, ((x, y), size)) in first_rest.iter().zip(second_rest).zip(size_rest).enumerate() {
                one(lane, (*x).into(), (*y).into(), *size);
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
            let beyond = |((x, y), size): ((f64, f64), &f64)| {
                (x - y).abs() > tolerance.absolute + tolerance.relative * larger(y.abs(), *size)
            };
            self.beyond += pairs().zip(sizes).fold(0u32, |count, pair| count + u32::from(beyond(pair)));
            let between = |(x, y): (&T, &T)| (ordered(x.single()) - ordered(y.single())).abs();
            self.ulp = a.iter().zip(b).fold(self.ulp, |most, pair| most.max(between(pair)));
            return;
        }
        for (((x, y), (single, other)), size) in pairs().zip(a.iter().zip(b)).zip(sizes) {
            let off = distance(x, y);
            self.max = self.max.max(off);
            self.relative = self.relative.max(share(x, y, *size));
            self.beyond += u32::from(!tolerance.agree(x, y, *size));
            if finite(x) && finite(y) {
                self.squares += off * off;
                self.sum += y;
                self.finite += 1;
                (self.aa, self.bb, self.ab) = (self.aa + x * x, self.bb + y * y, self.ab + x * y);
                self.ulp = self.ulp.max((ordered(single.single()) - ordered(other.single())).abs());
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

/// A whole number for each float, in the same order.
#[inline(always)]
fn ordered(x: f32) -> i64 {
    let bits = i64::from(x.to_bits() as i32);
    if bits < 0 { i64::from(i32::MIN) - bits } else { bits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::difference::tolerance::sizes;

    fn of(a: &[f64], b: &[f64]) -> Difference {
        difference(a, b, &[a.len()], Tolerance::default())
    }

    #[test]
    fn distances_are_those_of_their_formulas() {
        let found = of(&[1.0, 2.0, 3.5, 0.0], &[1.0, 2.0, 4.0, 0.0]);
        assert_eq!((found.max, found.at.as_slice(), found.pair), (0.5, &[2][..], (3.5, 4.0)));
        assert_eq!((found.relative, found.rms, found.beyond), (0.125, 0.25, 1));
        assert_eq!(found.verdict(), Verdict::Different);
        // var(1, 2, 4, 0) = 2.1875.
        assert!((found.nmse - 0.0625 / 2.1875).abs() < 1e-15);
        let wanted = (1.0 + 4.0 + 14.0) / (17.25f64 * 21.0).sqrt();
        assert!((found.cosine - wanted).abs() < 1e-15);
        assert_eq!(of(&[1.0], &[f64::from(1.0f32.next_up())]).ulp, 1);
        assert_eq!(of(&[f64::from(f32::from_bits(1))], &[-f64::from(f32::from_bits(1))]).ulp, 2);
        assert_eq!(of(&[0.0], &[-0.0]).ulp, 0);
    }

    /// A row is measured by its own root mean square, a small one by the median of those there are.
    #[test]
    fn elements_are_measured_by_the_size_of_their_row() {
        // Rows of rms 1000 (one large element of four), 1, 1, 0 and 0.01; the median of those that are not zero is 1.
        let b = [
            2000.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, -1.0, 1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.01, 0.01, 0.01, 0.01,
        ];
        assert_eq!(sizes(&b, &[5, 4]), [1000.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(sizes(&[3.0, 0.0, -0.5, f64::NAN], &[4]), [3.0, 3.0, 3.0, 3.0]);
        assert_eq!(sizes(&[f64::INFINITY, 3.0, 4.0, f64::NAN], &[1, 4]), [12.5f64.sqrt()]);
        assert_eq!(sizes::<f64>(&[], &[0, 4]), [0.0; 0]);
        let with = |at: usize, off: f64| {
            let mut a = b;
            a[at] += off;
            difference(&a, &b, &[5, 4], Tolerance::default())
        };
        // 0.05 next to 2000 is rounding, in a row of ones it is not; nor is 5e-4 in a small row.
        assert_eq!((with(1, 0.05).verdict(), with(4, 0.05).verdict()), (Verdict::Rounding, Verdict::Different));
        assert_eq!((with(1, 0.5).verdict(), with(17, 5e-4).verdict()), (Verdict::Different, Verdict::Different));
        assert!((with(1, 0.05).relative - 5e-5).abs() < 1e-12 && with(0, 0.0).verdict() == Verdict::Same);
        // The place reported is the one that is furthest beyond, not the one with the largest distance.
        let mut a = b;
        (a[0], a[9]) = (2000.1, -1.01);
        let found = difference(&a, &b, &[5, 4], Tolerance::default());
        assert_eq!((found.at.as_slice(), found.pair, found.beyond), (&[2, 1][..], (-1.01, -1.0), 1));
        assert!((found.max - 0.1).abs() < 1e-9);
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
