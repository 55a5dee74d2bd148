//! Which change makes one weight of another.
//!
//! A relation is named only if it explains the whole difference: what the change makes of ours is theirs, to rounding.

use std::collections::HashMap;

use half::{bf16, f16};

use super::quantised::{Quantised, quantised};
use crate::model::role::WeightId;
use crate::tensor::Rms;

/// What is left of a difference that a relation explains, at most, as a part of the size of the weight.
const EXPLAINED: f64 = 1e-5;

/// What theirs is, given ours.
#[derive(Clone, Debug, PartialEq)]
pub enum Relation {
    MissingHere,
    MissingThere,
    Shape { here: Vec<usize>, there: Vec<usize>, transposed: bool },
    TheirsRounded(Half),
    OursRounded(Half),
    TheirsQuantised(Quantised),
    OursQuantised(Quantised),
    Zero,
    NotFinite, // One of them has elements that are not finite, and the other has none.
    Times(f64),
    Plus(f64),
    Transposed,
    Heads(Vec<usize>), // The head of ours that each of theirs is.
    // Features that rotate together follow each other in each head of one side, and are half a head apart in the other.
    PairsThere,
    HalvesThere,
    // Whole pieces in a different order, and few pieces that differ: which ones, of so many.
    Moved { piece: Piece, moved: Vec<usize>, of: usize },
    Changed { piece: Piece, at: Vec<usize>, of: usize },
    Is(WeightId), // It is this weight of ours.
    // The unembedding is the token table on this side, and separate on the other.
    TiedHere,
    TiedThere,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    Row,
    Column,
    Element,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    F16,
    Bf16,
}

impl Half {
    pub const ALL: [Half; 2] = [Half::F16, Half::Bf16];

    /// The number of this format that is nearest.
    pub fn rounded(self, x: f32) -> f32 {
        match self {
            Half::F16 => f16::from_f32(x).to_f32(),
            Half::Bf16 => bf16::from_f32(x).to_f32(),
        }
    }
}

/// A weight as it is held; a vector has one axis.
pub struct Matrix {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

impl Matrix {
    /// A number that only the same weight has, but for a chance in 2^64.
    pub fn key(&self) -> u64 {
        hash(self.data.iter())
    }

    fn width(&self) -> usize {
        self.shape.last().copied().unwrap_or(1).max(1)
    }

    pub fn turned(&self) -> Matrix {
        let (rows, width) = (self.shape[0], self.shape[1]);
        let data = (0..self.data.len()).map(|at| self.data[at % rows * width + at / rows]).collect();
        Matrix { shape: vec![width, rows], data }
    }
}

fn hash<'a>(data: impl Iterator<Item = &'a f32>) -> u64 {
    data.fold(0xcbf2_9ce4_8422_2325, |hash, x| {
        // Zero has two signs.
        let bits = if *x == 0.0 { 0 } else { x.to_bits() };
        (hash ^ u64::from(bits)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29)
    })
}

/// What makes theirs of ours, the simplest first; `None` if nothing simple does.
pub fn relation(ours: &Matrix, theirs: &Matrix, heads_in_rows: bool, heads: usize) -> Option<Relation> {
    let (a, b) = (ours, theirs);
    let all = |holds: &dyn Fn(f32, f32) -> bool| a.data.iter().zip(&b.data).all(|(x, y)| holds(*x, *y));
    for half in Half::ALL {
        if all(&|x, y| half.rounded(x) == y) {
            return Some(Relation::TheirsRounded(half));
        }
        if all(&|x, y| half.rounded(y) == x) {
            return Some(Relation::OursRounded(half));
        }
    }
    if all(&|_, y| y == 0.0) {
        return Some(Relation::Zero);
    }
    if b.data.iter().any(|x| !x.is_finite()) != a.data.iter().any(|x| !x.is_finite()) {
        return Some(Relation::NotFinite);
    }
    if let Some(of_numbers) = times_or_plus(&a.data, &b.data) {
        return Some(of_numbers);
    }
    if a.shape.len() == 2 && a.shape[0] == a.shape[1] && a.turned().data == b.data {
        return Some(Relation::Transposed);
    }
    if let Some(found) = quantised(a, b) {
        return Some(Relation::TheirsQuantised(found));
    }
    if let Some(found) = quantised(b, a) {
        return Some(Relation::OursQuantised(found));
    }
    if a.shape.len() != 2 {
        return of_pieces(Piece::Element, (&a.data, &b.data), 1, heads);
    }
    let (in_rows, in_columns) = if heads_in_rows { (heads, 1) } else { (1, heads) };
    of_pieces(Piece::Row, (&a.data, &b.data), a.width(), in_rows).or_else(|| {
        let (x, y) = (a.turned(), b.turned());
        of_pieces(Piece::Column, (&x.data, &y.data), x.width(), in_columns)
    })
}

fn times_or_plus(a: &[f32], b: &[f32]) -> Option<Relation> {
    let pairs = || a.iter().zip(b).map(|(x, y)| (f64::from(*x), f64::from(*y)));
    let explained = |guess: &dyn Fn(f64) -> f64| {
        let mut rms = Rms::default();
        pairs().for_each(|(x, y)| _ = rms.add(guess(x), y));
        rms.relative().unwrap_or_else(|| rms.absolute()) <= EXPLAINED
    };
    let (ab, aa) = pairs().fold((0.0, 0.0), |(ab, aa), (x, y)| (ab + x * y, aa + x * x));
    let factor = ab / aa;
    if factor.is_finite() && explained(&|x| x * factor) {
        return Some(Relation::Times(factor));
    }
    let shift = pairs().map(|(x, y)| y - x).sum::<f64>() / a.len() as f64;
    explained(&|x| x + shift).then_some(Relation::Plus(shift))
}

/// Pieces of so many elements in a different order, or few that differ.
fn of_pieces(piece: Piece, (a, b): (&[f32], &[f32]), width: usize, heads: usize) -> Option<Relation> {
    if let Some(order) = order(a, b, width) {
        return Some(reordered(piece, &order, heads));
    }
    let pieces = a.chunks(width).zip(b.chunks(width)).enumerate();
    let at: Vec<usize> = pieces.filter(|(_, (x, y))| x != y).map(|(at, _)| at).collect();
    let of = a.len() / width;
    (at.len() * 4 <= of).then_some(Relation::Changed { piece, at, of })
}

/// The row of ours that each row of theirs is, if each is one, and all are there once.
fn order(a: &[f32], b: &[f32], width: usize) -> Option<Vec<usize>> {
    let mut places: HashMap<u64, Vec<usize>> = HashMap::new();
    for (at, row) in a.chunks(width).enumerate().rev() {
        places.entry(hash(row.iter())).or_default().push(at);
    }
    let found = b.chunks(width).map(|row| places.get_mut(&hash(row.iter())).and_then(Vec::pop));
    found.collect()
}

/// Whole heads, halves and pairs, or which pieces moved.
fn reordered(piece: Piece, order: &[usize], heads: usize) -> Relation {
    let width = order.len() / heads.max(1);
    if heads > 1 && order.len().is_multiple_of(heads) {
        let starts: Vec<usize> = order.iter().step_by(width).copied().collect();
        let whole = |(head, start): (usize, &usize)| {
            start.is_multiple_of(width) && (0..width).all(|i| order[head * width + i] == start + i)
        };
        if starts.iter().enumerate().all(whole) {
            return Relation::Heads(starts.iter().map(|start| start / width).collect());
        }
        let half = width / 2;
        let in_each_head = |change: &dyn Fn(usize) -> usize| {
            (0..order.len()).all(|i| order[i] == i / width * width + change(i % width))
        };
        if width.is_multiple_of(2) && in_each_head(&|i| i / 2 + i % 2 * half) {
            return Relation::PairsThere;
        }
        if width.is_multiple_of(2) && in_each_head(&|i| i % half * 2 + i / half) {
            return Relation::HalvesThere;
        }
    }
    let moved = (0..order.len()).filter(|&i| order[i] != i).collect();
    Relation::Moved { piece, moved, of: order.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(shape: &[usize], of: impl Fn(usize) -> f32) -> Matrix {
        Matrix { shape: shape.to_vec(), data: (0..shape.iter().product()).map(of).collect() }
    }

    fn found(change: impl Fn(&Matrix, usize) -> f32, heads: usize) -> Option<Relation> {
        let a = matrix(&[8, 8], |i| ((i * 37 + 11) % 101) as f32 / 7.0 - 6.0);
        let b = matrix(&[8, 8], |i| change(&a, i));
        relation(&a, &b, false, heads)
    }

    #[test]
    fn each_change_is_found() {
        let near = |found: Option<Relation>, wanted: f64| match found {
            Some(Relation::Times(x) | Relation::Plus(x)) => assert!((x - wanted).abs() < 1e-6, "{x}"),
            other => panic!("{other:?}"),
        };
        let times = found(|a, i| a.data[i] * 1.5, 1);
        assert!(matches!(times, Some(Relation::Times(_))));
        near(times, 1.5);
        let plus = found(|a, i| a.data[i] + 0.25, 1);
        assert!(matches!(plus, Some(Relation::Plus(_))));
        near(plus, 0.25);
        for half in Half::ALL {
            assert_eq!(found(|a, i| half.rounded(a.data[i]), 1), Some(Relation::TheirsRounded(half)));
        }
        assert_eq!(found(|a, i| a.data[i % 8 * 8 + i / 8], 1), Some(Relation::Transposed));
        let changed = |piece, at| Some(Relation::Changed { piece, at: vec![at], of: 8 });
        assert_eq!(found(|a, i| if i / 8 == 3 { 9.0 } else { a.data[i] }, 1), changed(Piece::Row, 3));
        assert_eq!(found(|a, i| if i % 8 == 5 { 9.0 } else { a.data[i] }, 1), changed(Piece::Column, 5));
        let all = Relation::Moved { piece: Piece::Row, moved: (0..8).collect(), of: 8 };
        assert_eq!(found(|a, i| a.data[(i + 8) % 64], 1), Some(all));
        assert_eq!(found(|a, i| a.data[i ^ 4], 2), Some(Relation::Heads(vec![1, 0])));
        let pairs = |i: usize| i / 2 + i % 2 * 2;
        assert_eq!(found(|a, i| a.data[i / 4 * 4 + pairs(i % 4)], 2), Some(Relation::PairsThere));
        assert_eq!(found(|_, _| 0.0, 1), Some(Relation::Zero));
        assert_eq!(found(|a, i| a.data[i] * if i % 2 == 0 { 2.0 } else { 3.0 }, 1), None);
    }
}
