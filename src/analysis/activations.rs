//! What the values of each block are like: norms and their growth, the largest magnitudes, outlier features, neurons
//! that are silent or saturated; and how far that is from what it is on other texts.
//!
//! Outlier features are those of Dettmers et al. 2022 (LLM.int8): magnitudes of at least 6 at 6 % of positions or more,
//! in 25 % of the blocks or more. Massive activations are those of Sun et al. 2024: far above the median magnitude of
//! the stream.

use crate::debugger::{Mark, RunError, Session};
use crate::program::{Kernel, Part, Program};
use crate::tensor::ops::Slice;
use crate::tensor::{Kind, step};

/// Magnitude of an outlier feature, the share of positions it must have it at, and of blocks.
pub const OUTLIER: (f64, f64, f64) = (6.0, 0.06, 0.25);

/// Input above which an activation function is flat (tanh and sigmoid, at their upper end) or the identity (all others,
/// within 2 %).
const SATURATED: f64 = 6.0;

/// Magnitudes below this share of the largest are silence of a neuron.
const SILENT: f64 = 1e-6;

pub const F16: f64 = 65504.0;

/// What a block's values are like in the current pass of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    pub layer: usize,
    /// Norm of the residual stream after it, median over tokens.
    pub norm: f64,
    /// That divided by the norm before it.
    pub growth: f64,
    /// Largest magnitude of any of its values.
    pub largest: f64,
    pub largest_at: String,
    /// Largest magnitude of the stream divided by the median one.
    pub massive: f64,
    /// Position and feature of that.
    pub massive_at: (usize, usize),
    pub outliers: Vec<usize>,
    /// Share of neurons that are silent at every token; NaN if a block has none.
    pub silent: f64,
    /// Share of neurons whose activation function is flat or the identity at every token; NaN if a block has none.
    pub saturated: f64,
}

/// A number of a block by its name.
pub struct Measure {
    pub name: &'static str,
    pub of: fn(&Block) -> f64,
}

/// Every number that is compared with other texts.
pub const MEASURES: [Measure; 7] = [
    Measure { name: "norm", of: |block| block.norm },
    Measure { name: "growth", of: |block| block.growth },
    Measure { name: "largest", of: |block| block.largest },
    Measure { name: "massive", of: |block| block.massive },
    Measure { name: "outliers", of: |block| block.outliers.len() as f64 },
    Measure { name: "silent", of: |block| block.silent },
    Measure { name: "saturated", of: |block| block.saturated },
];

/// Every block of the current pass, in the focused row.
pub fn blocks(session: &mut Session) -> Result<Vec<Block>, RunError> {
    let program = session.run.program.clone();
    let (real, start) = (real(session), session.run.branch().span(session.run.pass).start);
    (0..program.n_layers())
        .map(|layer| {
            step(&format!("block {layer}"), layer as u64, program.n_layers() as u64)?;
            block(session, &program, layer, (&real, start))
        })
        .collect()
}

/// Which tokens of the current pass are not padding.
fn real(session: &Session) -> Vec<bool> {
    let span = session.run.branch().span(session.run.pass);
    session.focused_row().map_or_else(Vec::new, |row| row.mask[span].to_vec())
}

fn block(
    session: &mut Session,
    program: &Program,
    layer: usize,
    (real, start): (&[bool], usize),
) -> Result<Block, RunError> {
    let (pass, row) = (session.run.pass, session.focus.row);
    let mut largest = (0.0, String::new());
    for (number, op) in program.ops.iter().enumerate().filter(|(_, op)| op.layer == Some(layer)) {
        // Scores are masked with infinities, which are not numbers of the model.
        if matches!(op.kernel, Kernel::Scores { .. } | Kernel::Pattern { .. }) {
            continue;
        }
        let value = session.run.value_at(Mark { pass, op: number })?;
        if value.kind() == Kind::Float {
            let size = value.slice(&[Slice::At(row)])?.summary()?.absmax;
            if size > largest.0 {
                largest = (size, op.site.clone());
            }
        }
    }
    let mut read = |part: Part| -> Result<Option<(Vec<f64>, usize)>, RunError> {
        let Some(op) = program.block_op(layer, part) else { return Ok(None) };
        let value = session.run.value_at(Mark { pass, op })?.slice(&[Slice::At(row)])?;
        let width = value.shape().last().copied().unwrap_or(1);
        Ok(Some((of_real(&value.read_f64()?, width, real), width)))
    };
    let before = read(Part::ResidPre)?.map(|(data, width)| median_norm(&data, width));
    let (stream, width) = read(Part::ResidPost)?.unwrap_or_default();
    let norm = median_norm(&stream, width);
    let (massive, at) = over_median(&stream);
    let (post, pre) = (read(Part::MlpPost)?, read(Part::MlpPre)?);
    Ok(Block {
        layer,
        norm,
        growth: before.map_or(f64::NAN, |before| norm / before),
        largest: largest.0,
        largest_at: largest.1,
        massive,
        massive_at: (start + position_of(real, at / width.max(1)), at % width.max(1)),
        outliers: outliers(&stream, width),
        silent: post.map_or(f64::NAN, |(data, width)| silent(&data, width)),
        saturated: pre.map_or(f64::NAN, |(data, width)| saturated(&data, width)),
    })
}

fn of_real(data: &[f64], width: usize, real: &[bool]) -> Vec<f64> {
    let rows = data.chunks(width.max(1)).zip(real);
    rows.filter(|(_, real)| **real).flat_map(|(row, _)| row.iter().copied()).collect()
}

fn position_of(real: &[bool], n: usize) -> usize {
    real.iter().enumerate().filter(|(_, real)| **real).nth(n).map_or(0, |(position, _)| position)
}

fn median_norm(data: &[f64], width: usize) -> f64 {
    median(&data.chunks(width.max(1)).map(|row| row.iter().map(|x| x * x).sum::<f64>().sqrt()).collect::<Vec<_>>())
}

/// The largest magnitude divided by the median one, and where it is.
fn over_median(data: &[f64]) -> (f64, usize) {
    let sizes: Vec<f64> = data.iter().map(|x| x.abs()).collect();
    let at = (0..sizes.len()).fold(0, |best, i| if sizes[i] > sizes[best] { i } else { best });
    (sizes.get(at).copied().unwrap_or(f64::NAN) / median(&sizes), at)
}

/// Features of `[T, d]` that are at least 6 at 6 % of positions or more.
fn outliers(data: &[f64], width: usize) -> Vec<usize> {
    let (size, share, _) = OUTLIER;
    let rows = data.len() / width.max(1);
    let large = |feature: usize| data.iter().skip(feature).step_by(width).filter(|x| x.abs() >= size).count();
    (0..width).filter(|&feature| large(feature) as f64 >= share * rows as f64 && large(feature) > 0).collect()
}

/// Share of the neurons `[T, M]` that are silent at every position.
pub(super) fn silent(data: &[f64], width: usize) -> f64 {
    let width = width.max(1);
    let mut largest = vec![0.0f64; width];
    data.iter().enumerate().for_each(|(i, x)| largest[i % width] = largest[i % width].max(x.abs()));
    let most = largest.iter().copied().fold(0.0, f64::max);
    largest.iter().filter(|x| **x <= SILENT * most).count() as f64 / width as f64
}

fn saturated(data: &[f64], width: usize) -> f64 {
    let stuck = |neuron: usize| data.iter().skip(neuron).step_by(width).all(|x| *x > SATURATED);
    (0..width).filter(|&neuron| stuck(neuron)).count() as f64 / width.max(1) as f64
}

/// Features that are outliers in a quarter of the blocks or more.
pub fn features(blocks: &[Block]) -> Vec<usize> {
    let mut all: Vec<usize> = blocks.iter().flat_map(|block| block.outliers.iter().copied()).collect();
    all.sort_unstable();
    let often = |same: &&[usize]| same.len() as f64 >= OUTLIER.2 * blocks.len() as f64;
    all.chunk_by(|a, b| a == b).filter(often).map(|same| same[0]).collect()
}

/// The middle one; the mean of the two in the middle of an even number; NaN of none.
pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// A number of a block compared with the same on other texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Deviation {
    pub layer: usize,
    pub name: &'static str,
    pub here: f64,
    pub usual: f64,
    /// How many median deviations it is off by.
    pub off: f64,
}

/// How far every number is from what it is on other texts: `|x - median| / max(1.4826 MAD, 5 % of the median)`, where
/// MAD is the median distance from the median, and 1.4826 makes it a standard deviation of a normal distribution.
pub fn deviations(here: &[Block], others: &[Vec<Block>]) -> Vec<Deviation> {
    let mut found = Vec::new();
    for (at, block) in here.iter().enumerate() {
        for Measure { name, of } in &MEASURES {
            let usual: Vec<f64> = others.iter().filter_map(|text| text.get(at)).map(of).collect();
            let (number, middle) = (of(block), median(&usual));
            let spread = median(&usual.iter().map(|x| (x - middle).abs()).collect::<Vec<_>>());
            let unit = (1.4826 * spread).max(0.05 * middle.abs());
            let off = if number == middle { 0.0 } else { (number - middle).abs() / unit };
            if !off.is_nan() {
                found.push(Deviation { layer: block.layer, name, here: number, usual: middle, off });
            }
        }
    }
    found.sort_by(|a, b| b.off.total_cmp(&a.off));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neurons_that_are_silent_or_stuck_are_so_everywhere() {
        assert_eq!(silent(&[1.0, 0.0, 0.0, 0.0, 0.0, 2.0], 3), 1.0 / 3.0);
        assert_eq!(silent(&[0.0, 0.0], 2), 1.0, "all neurons are silent");
        assert_eq!(saturated(&[7.0, 7.0, -9.0, 8.0, 1.0, -9.0], 3), 1.0 / 3.0);
    }

    #[test]
    fn outlier_features_are_those_of_their_definition() {
        // 20 positions, 3 features: 6 % is 1.2 positions.
        let mut data = vec![0.5; 60];
        (data[0], data[1], data[4]) = (7.0, -6.0, 6.5);
        assert_eq!(outliers(&data, 3), [1], "one position is too few, two are enough");
        assert_eq!(over_median(&data), (14.0, 0));
        let block = |outliers: &[usize]| Block {
            layer: 0,
            norm: 1.0,
            growth: 1.0,
            largest: 1.0,
            largest_at: String::new(),
            massive: 1.0,
            massive_at: (0, 0),
            outliers: outliers.to_vec(),
            silent: 0.0,
            saturated: f64::NAN,
        };
        let all: Vec<Block> = (0..8)
            .map(|i| {
                block(if i < 2 {
                    &[3, 5]
                } else if i == 2 {
                    &[5, 9]
                } else {
                    &[]
                })
            })
            .collect();
        assert_eq!(features(&all), [3, 5], "a quarter of the blocks or more");
        // Robust distances: the median of 1..5 is 3, its deviations 2 1 0 1 2.
        let with = |norm: f64| vec![Block { norm, ..block(&[]) }];
        let others: Vec<Vec<Block>> = (1..=5).map(|i| with(f64::from(i))).collect();
        let found = deviations(&with(10.0), &others);
        assert_eq!((found[0].name, found[0].usual), ("norm", 3.0));
        assert!((found[0].off - 7.0 / 1.4826).abs() < 1e-12);
        assert!(found[1..].iter().all(|one| one.off == 0.0) && found.len() == 6, "{found:?}");
    }
}
