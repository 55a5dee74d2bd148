//! Whether a weight is another weight in few bits: in each block of a row, its numbers are steps on an even grid (the integer
//! formats of GGUF, GPTQ, AWQ, MLX, int8), or they are few (the code books of nf4, IQ4_NL and MXFP4).

use super::weight_relation::Matrix;

/// What a weight in few bits has in common with the one that it was made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantised {
    /// Bits that the numbers of each block need, without its scale and offset.
    pub bits: u32,
    /// Neighbouring inputs of a row that share a scale.
    pub block: usize,
    /// The part of the elements that are not the number of their block that is nearest to the original.
    pub not_nearest: f64,
}

/// Sizes of blocks that formats have, beginning with the whole row; the largest that fits is the one.
const BLOCKS: [usize; 6] = [usize::MAX, 256, 128, 64, 32, 16];
/// Steps of a grid of 8 bits.
const MOST_STEPS: u32 = 255;
/// Numbers in a code book of 4 bits.
const CODES: usize = 16;
/// How far from the grid a number may be, in steps: scales are multiplied in f32.
const OFF_GRID: f64 = 2e-3;
/// Beyond this rounding alone could put any number on the grid.
const TOO_FINE: f64 = 0.05;
/// A weight of fewer elements says too little.
const FEWEST: usize = 256;

/// What `coded` is of `original`, if all its blocks are in few bits and those of `original` are not. Rows of a file are
/// columns where weights are held as `x W` wants them, so both directions are tried.
pub fn quantised(original: &Matrix, coded: &Matrix) -> Option<Quantised> {
    if coded.shape.len() != 2 || coded.data.len() < FEWEST {
        return None;
    }
    along(&coded.turned(), || original.turned().data).or_else(|| along(coded, || original.data.clone()))
}

fn along(coded: &Matrix, original: impl Fn() -> Vec<f32>) -> Option<Quantised> {
    let width = coded.shape[1];
    let sizes = BLOCKS.iter().map(|block| *block.min(&width)).filter(|block| width.is_multiple_of(*block));
    let grid = sizes.clone().find_map(|block| Some((block, bits_of_grid(&coded.data, block)?)));
    // A block must be larger than its code book.
    let codes = || {
        let mut large = sizes.filter(|block| *block >= 2 * CODES);
        large.find_map(|block| Some((block, bits_of_codes(&coded.data, block)?)))
    };
    let (block, bits) = grid.or_else(codes)?;
    let original = original();
    let pairs = || original.chunks(block).zip(coded.data.chunks(block));
    // What is coded alike is no original.
    if pairs().all(|(a, _)| grid_of(a).is_some()) {
        return None;
    }
    let missed: usize = pairs().map(|(a, b)| not_nearest(a, b)).sum();
    Some(Quantised { bits, block, not_nearest: missed as f64 / original.len() as f64 })
}

fn bits_of_grid(data: &[f32], block: usize) -> Option<u32> {
    let mut most = 0;
    for one in data.chunks(block) {
        most = most.max(grid_of(one)?.0);
    }
    (most > 0).then(|| (most + 1).next_power_of_two().ilog2())
}

/// The fewest steps from the smallest to the largest number of a block such that all are on the grid, and their length.
fn grid_of(block: &[f32]) -> Option<(u32, f64)> {
    let (low, high) = block
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(f64::from(*x)), high.max(f64::from(*x))));
    if !(high - low).is_finite() {
        return None;
    }
    if low == high {
        return Some((0, 0.0));
    }
    let size = low.abs().max(high.abs());
    (1..=MOST_STEPS).find_map(|steps| {
        let step = (high - low) / f64::from(steps);
        let off = OFF_GRID + 8.0 * f64::from(f32::EPSILON) * size / step;
        let on = |x: &f32| {
            let at = (f64::from(*x) - low) / step;
            (at - at.round()).abs() <= off
        };
        (off <= TOO_FINE && block.iter().all(on)).then_some((steps, step))
    })
}

fn bits_of_codes(data: &[f32], block: usize) -> Option<u32> {
    let mut most = 0;
    for one in data.chunks(block) {
        most = most.max(codes_of(one)?.len());
    }
    (most > 1).then(|| most.next_power_of_two().ilog2())
}

/// The different numbers of a block, if they are few.
fn codes_of(block: &[f32]) -> Option<Vec<f32>> {
    let mut codes: Vec<f32> = Vec::new();
    for x in block {
        if !x.is_finite() {
            return None;
        }
        if !codes.contains(x) {
            codes.push(*x);
        }
        if codes.len() > CODES {
            return None;
        }
    }
    Some(codes)
}

/// Elements of the original that another number of the block would be nearer to.
fn not_nearest(original: &[f32], coded: &[f32]) -> usize {
    let off = |a: f32, b: f32| (f64::from(a) - f64::from(b)).abs();
    let pairs = original.iter().zip(coded);
    if let Some((_, step)) = grid_of(coded) {
        let low = coded.iter().copied().fold(f32::INFINITY, f32::min);
        let high = coded.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // Beyond the ends of the grid the end is the nearest.
        let missed = |(a, b): &(&f32, &f32)| off(a.clamp(low, high), **b) > 0.51 * step;
        return pairs.filter(missed).count();
    }
    let Some(codes) = codes_of(coded) else { return 0 };
    let missed = |(a, b): &(&f32, &f32)| codes.iter().any(|code| off(**a, *code) < 0.98 * off(**a, **b));
    pairs.filter(missed).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize) -> Vec<f32> {
        let mut state = 7u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (f64::from(state) / f64::from(u32::MAX) - 0.5) as f32
        };
        (0..count).map(|_| next() + next() + next()).collect()
    }

    fn matrix(data: Vec<f32>, width: usize) -> Matrix {
        Matrix { shape: vec![data.len() / width, width], data }
    }

    /// Rounds each block to `2^bits` even steps between its ends.
    fn affine(data: &[f32], block: usize, bits: u32) -> Vec<f32> {
        let round = |block: &[f32]| -> Vec<f32> {
            let low = block.iter().copied().fold(f32::INFINITY, f32::min);
            let high = block.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let scale = (high - low) / (2f32.powi(bits as i32) - 1.0);
            block.iter().map(|x| ((x - low) / scale).round() * scale + low).collect()
        };
        data.chunks(block).flat_map(round).collect()
    }

    #[test]
    fn bits_and_blocks_of_rounding_are_found_in_both_directions() {
        let original = numbers(64 * 256);
        for bits in [2, 3, 4, 5, 6, 8] {
            for block in [16, 32, 64, 128, 256] {
                let wanted = Some(Quantised { bits, block, not_nearest: 0.0 });
                let (a, b) = (matrix(original.clone(), 256), matrix(affine(&original, block, bits), 256));
                assert_eq!(quantised(&a, &b), wanted);
                assert_eq!(quantised(&a.turned(), &b.turned()), wanted, "held as x W");
                assert_eq!(quantised(&b, &a), None, "the original is not in few bits");
            }
        }
        assert_eq!(quantised(&matrix(original.clone(), 256), &matrix(numbers(64 * 256), 256)), None);
        let half = original.iter().map(|x| half::bf16::from_f32(*x).to_f32()).collect();
        assert_eq!(quantised(&matrix(original, 256), &matrix(half, 256)), None, "bf16 has no blocks");
    }

    #[test]
    fn code_books_are_found() {
        let book = [
            -1.0, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 0.0, 0.0796, 0.1609, 0.2461, 0.3379, 0.4407,
            0.5626, 0.723, 1.0f32,
        ];
        let original = numbers(32 * 128);
        let round = |block: &[f32]| -> Vec<f32> {
            let most = block.iter().fold(0f32, |most, x| most.max(x.abs()));
            let nearest = |x: &f32| {
                let codes = book.iter().map(|code| code * most);
                codes.min_by(|a, b| (a - x).abs().total_cmp(&(b - x).abs())).unwrap()
            };
            block.iter().map(nearest).collect()
        };
        let coded: Vec<f32> = original.chunks(64).flat_map(round).collect();
        let found = quantised(&matrix(original, 128), &matrix(coded, 128)).unwrap();
        assert_eq!((found.bits, found.block), (4, 64));
        assert!(found.not_nearest < 1e-3, "{found:?}");
    }

    #[test]
    fn what_is_not_the_nearest_number_is_counted() {
        let original = numbers(64 * 128);
        let rounded = affine(&original, 32, 4);
        let mut coded = rounded.clone();
        // As a method that corrects errors of earlier columns has it: a tenth goes to a neighbour.
        for at in (0..coded.len()).step_by(10) {
            let block = &rounded[at / 32 * 32..at / 32 * 32 + 32];
            let low = block.iter().copied().fold(f32::INFINITY, f32::min);
            let step = (block.iter().copied().fold(f32::NEG_INFINITY, f32::max) - low) / 15.0;
            coded[at] = if rounded[at] > low + 7.0 * step { rounded[at] - step } else { rounded[at] + step };
        }
        let found = quantised(&matrix(original, 128), &matrix(coded, 128)).unwrap();
        assert_eq!((found.bits, found.block), (4, 32));
        assert!((0.05..0.12).contains(&found.not_nearest), "{found:?}");
    }
}
