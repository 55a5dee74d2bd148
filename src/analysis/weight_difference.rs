//! How are the weights of two models related? For each weight: the same, or which change makes one of the other.
//!
//! A relation is told only if it explains the whole difference: what the change makes of ours is theirs, to rounding.

use std::collections::HashMap;

use half::{bf16, f16};

use crate::debugger::Result;
use crate::model::role::{Role, WeightId};
use crate::model::weights::Weights;
use crate::tensor::{Difference, Tolerance, Verdict, difference, step};

/// What is left of a difference that a relation explains, at most, beside the size of the weight.
const EXPLAINED: f64 = 1e-5;

/// A weight of two models.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightDifference {
    /// The weight.
    pub id: WeightId,
    /// Root mean square of the difference beside that of the other side's; infinite where it cannot be compared.
    pub relative: f64,
    /// The whole of it, where shapes agree.
    pub difference: Option<Difference>,
    /// What makes one of the other.
    pub relation: String,
}

struct Matrix {
    shape: Vec<usize>,
    data: Vec<f32>,
}

impl Matrix {
    fn of(weights: &Weights, id: WeightId) -> Result<Option<Matrix>> {
        let Some(weight) = weights.get(id) else { return Ok(None) };
        let data = weight.whole().and_then(|value| value.read_f32())?;
        Ok(Some(Matrix { shape: weight.shape(), data }))
    }

    fn key(&self) -> u64 {
        hash(self.data.iter())
    }

    fn width(&self) -> usize {
        self.shape.last().copied().unwrap_or(1).max(1)
    }

    fn turned(&self) -> Matrix {
        let (rows, width) = (self.shape[0], self.shape[1]);
        let data = (0..self.data.len()).map(|at| self.data[at % rows * width + at / rows]).collect();
        Matrix { shape: vec![width, rows], data }
    }
}

/// A number for a list of floats: other lists have another one, but for a chance in 2^64.
fn hash<'a>(data: impl Iterator<Item = &'a f32>) -> u64 {
    data.fold(0xcbf2_9ce4_8422_2325, |hash, x| {
        // Zero has two signs.
        let bits = if *x == 0.0 { 0 } else { x.to_bits() };
        (hash ^ u64::from(bits)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29)
    })
}

/// Compares the weights of two models, the most changed first; what is the same is left out. `heads` are the attention heads and
/// key/value heads of ours. Gives the number of weights that were compared, too.
///
/// # Errors
/// In words, if a weight cannot be read.
pub fn weight_differences(
    ours: &Weights,
    theirs: &Weights,
    heads: (usize, usize),
) -> Result<(Vec<WeightDifference>, usize)> {
    let mut ids = ours.ids();
    ids.extend(theirs.ids().into_iter().filter(|id| ours.get(*id).is_none()));
    let mut found = Vec::new();
    let mut lost: Vec<(WeightId, u64)> = Vec::new();
    for (number, id) in ids.iter().enumerate() {
        step(&id.to_string(), number as u64, ids.len() as u64)?;
        let (a, b) = (Matrix::of(ours, *id)?, Matrix::of(theirs, *id)?);
        let (a, b) = match (a, b) {
            (Some(a), Some(b)) => (a, b),
            (None, _) => {
                found.push(apart(*id, "missing here"));
                continue;
            }
            (_, None) => {
                found.push(apart(*id, "missing there"));
                continue;
            }
        };
        if a.shape != b.shape {
            let turned = a.shape.len() == 2 && a.shape.iter().rev().eq(&b.shape) && a.turned().data == b.data;
            let words =
                format!("shape {:?} against {:?}{}", a.shape, b.shape, if turned { ", transposed" } else { "" });
            found.push(apart(*id, &words));
            continue;
        }
        if a.data.iter().zip(&b.data).all(|(x, y)| x.to_bits() == y.to_bits()) {
            continue;
        }
        lost.push((*id, b.key()));
        let heads = match id.role {
            Role::W_Q | Role::W_O | Role::b_Q => heads.0,
            Role::W_K | Role::W_V | Role::b_K | Role::b_V => heads.1,
            _ => 1,
        };
        let whole = difference(&a.data, &b.data, &a.shape, Tolerance::of(0.0));
        // Zeros of two signs, and NaN of two kinds.
        if whole.verdict() == Verdict::Same {
            lost.pop();
            continue;
        }
        let size = (b.data.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / b.data.len().max(1) as f64).sqrt();
        let relative = if size == 0.0 { f64::INFINITY } else { whole.rms / size };
        let relation = relation(&a, &b, id.role == Role::W_O, heads).unwrap_or_default();
        found.push(WeightDifference { id: *id, relative, difference: Some(whole), relation });
    }
    elsewhere(ours, &lost, &mut found)?;
    if ours.tied() != theirs.tied() {
        let words = if ours.tied() { "tied to W_E here, its own there" } else { "its own here, tied to W_E there" };
        match found.iter_mut().find(|one| one.id.role == Role::W_U) {
            Some(one) => one.relation = words.into(),
            None => found.push(apart(WeightId::global(Role::W_U), words)),
        }
    }
    found.sort_by(|a, b| b.relative.total_cmp(&a.relative));
    Ok((found, ids.len()))
}

/// What makes theirs of ours, of one weight with so many heads; none if nothing simple does.
pub(super) fn related(
    id: WeightId,
    (ours, theirs): (Vec<f32>, Vec<f32>),
    shape: Vec<usize>,
    heads: usize,
) -> Option<String> {
    let (a, b) = (Matrix { shape: shape.clone(), data: ours }, Matrix { shape, data: theirs });
    relation(&a, &b, id.role == Role::W_O, heads)
}

fn apart(id: WeightId, relation: &str) -> WeightDifference {
    WeightDifference { id, relative: f64::INFINITY, difference: None, relation: relation.into() }
}

/// Names weights that are another weight of ours: exchanged, or a block in the place of another.
fn elsewhere(ours: &Weights, lost: &[(WeightId, u64)], found: &mut [WeightDifference]) -> Result<()> {
    if lost.is_empty() {
        return Ok(());
    }
    let mut known: HashMap<u64, WeightId> = HashMap::new();
    for id in ours.ids() {
        if let Some(matrix) = Matrix::of(ours, id)? {
            known.entry(matrix.key()).or_insert(id);
        }
    }
    for (id, key) in lost {
        let Some(other) = known.get(key).filter(|other| *other != id) else { continue };
        if let Some(one) = found.iter_mut().find(|one| one.id == *id) {
            one.relation = format!("theirs is {other} of ours");
        }
    }
    Ok(())
}

/// What makes theirs of ours, the simplest first.
fn relation(a: &Matrix, b: &Matrix, heads_in_rows: bool, heads: usize) -> Option<String> {
    let all = |holds: &dyn Fn(f32, f32) -> bool| a.data.iter().zip(&b.data).all(|(x, y)| holds(*x, *y));
    for (name, round) in
        [("f16", (|x| f16::from_f32(x).to_f32()) as fn(f32) -> f32), ("bf16", |x| bf16::from_f32(x).to_f32())]
    {
        if all(&|x, y| round(x) == y) {
            return Some(format!("theirs is ours rounded to {name}"));
        }
        if all(&|x, y| round(y) == x) {
            return Some(format!("ours is theirs rounded to {name}"));
        }
    }
    if all(&|_, y| y == 0.0) {
        return Some("theirs is zero".into());
    }
    if b.data.iter().any(|x| !x.is_finite()) != a.data.iter().any(|x| !x.is_finite()) {
        return Some("one of them has elements that are not finite".into());
    }
    let size = b.data.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let left = |guess: &dyn Fn(usize) -> f64| -> bool {
        let off = b.data.iter().enumerate().map(|(i, y)| (guess(i) - f64::from(*y)).powi(2)).sum::<f64>().sqrt();
        off <= EXPLAINED * size
    };
    let (ab, aa) = a
        .data
        .iter()
        .zip(&b.data)
        .fold((0.0, 0.0), |(ab, aa), (x, y)| (ab + f64::from(*x) * f64::from(*y), aa + f64::from(*x).powi(2)));
    let factor = ab / aa;
    if factor.is_finite() && left(&|i| f64::from(a.data[i]) * factor) {
        return Some(format!("theirs is {factor:.6} times ours"));
    }
    let shift =
        a.data.iter().zip(&b.data).map(|(x, y)| f64::from(*y) - f64::from(*x)).sum::<f64>() / a.data.len() as f64;
    if left(&|i| f64::from(a.data[i]) + shift) {
        return Some(format!("theirs is ours plus {shift:.6}"));
    }
    if a.shape.len() == 2 && a.shape[0] == a.shape[1] && a.turned().data == b.data {
        return Some("transposed".into());
    }
    if let [_, _] = a.shape[..] {
        for (what, by_rows) in [("rows", true), ("columns", false)] {
            let (x, y) = if by_rows { (None, None) } else { (Some(a.turned()), Some(b.turned())) };
            let (x, y) = (x.as_ref().unwrap_or(a), y.as_ref().unwrap_or(b));
            if let Some(order) = order(&x.data, &y.data, x.width()) {
                return Some(reordered(what, &order, if by_rows == heads_in_rows { heads } else { 1 }));
            }
            let changed = changed_rows(&x.data, &y.data, x.width());
            if changed.len() * 4 <= x.shape[0] {
                return Some(format!("{} of {} {what} differ: {}", changed.len(), x.shape[0], some(&changed)));
            }
        }
    } else {
        if let Some(order) = order(&a.data, &b.data, 1) {
            return Some(reordered("elements", &order, heads));
        }
        let changed = changed_rows(&a.data, &b.data, 1);
        if changed.len() * 4 <= a.data.len() {
            return Some(format!("{} of {} elements differ: {}", changed.len(), a.data.len(), some(&changed)));
        }
    }
    None
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

/// In words: whole heads, halves and pairs, or how many moved.
fn reordered(what: &str, order: &[usize], heads: usize) -> String {
    let width = order.len() / heads.max(1);
    if heads > 1 && order.len().is_multiple_of(heads) {
        let starts: Vec<usize> = order.iter().step_by(width).copied().collect();
        let whole = |(head, start): (usize, &usize)| {
            start.is_multiple_of(width) && (0..width).all(|i| order[head * width + i] == start + i)
        };
        if starts.iter().enumerate().all(whole) {
            let heads: Vec<usize> = starts.iter().map(|start| start / width).collect();
            return format!("heads stand in another order there: {heads:?}");
        }
        let half = width / 2;
        let within = |change: &dyn Fn(usize) -> usize| {
            (0..order.len()).all(|i| order[i] == i / width * width + change(i % width))
        };
        if width.is_multiple_of(2) && within(&|i| i / 2 + i % 2 * half) {
            return "pairs stand beside each other in each head there, halves behind each other here".into();
        }
        if width.is_multiple_of(2) && within(&|i| i % half * 2 + i / half) {
            return "halves stand behind each other in each head there, pairs beside each other here".into();
        }
    }
    let moved: Vec<usize> = (0..order.len()).filter(|&i| order[i] != i).collect();
    format!("{} of {} {what} stand in another order: {}", moved.len(), order.len(), some(&moved))
}

fn changed_rows(a: &[f32], b: &[f32], width: usize) -> Vec<usize> {
    let rows = a.chunks(width).zip(b.chunks(width)).enumerate();
    rows.filter(|(_, (x, y))| x != y).map(|(at, _)| at).collect()
}

fn some(places: &[usize]) -> String {
    let shown: Vec<String> = places.iter().take(4).map(usize::to_string).collect();
    format!("{}{}", shown.join(", "), if places.len() > 4 { ", ..." } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(shape: &[usize], of: impl Fn(usize) -> f32) -> Matrix {
        Matrix { shape: shape.to_vec(), data: (0..shape.iter().product()).map(of).collect() }
    }

    fn told(change: impl Fn(&Matrix, usize) -> f32, heads: usize) -> String {
        let a = matrix(&[8, 8], |i| ((i * 37 + 11) % 101) as f32 / 7.0 - 6.0);
        let b = matrix(&[8, 8], |i| change(&a, i));
        relation(&a, &b, false, heads).unwrap_or_default()
    }

    #[test]
    fn each_change_is_told_by_its_name() {
        assert_eq!(told(|a, i| a.data[i] * 1.5, 1), "theirs is 1.500000 times ours");
        assert_eq!(told(|a, i| a.data[i] + 0.25, 1), "theirs is ours plus 0.250000");
        assert_eq!(told(|a, i| f16::from_f32(a.data[i]).to_f32(), 1), "theirs is ours rounded to f16");
        assert_eq!(told(|a, i| bf16::from_f32(a.data[i]).to_f32(), 1), "theirs is ours rounded to bf16");
        assert_eq!(told(|a, i| a.data[i % 8 * 8 + i / 8], 1), "transposed");
        assert_eq!(told(|a, i| if i / 8 == 3 { 9.0 } else { a.data[i] }, 1), "1 of 8 rows differ: 3");
        assert_eq!(told(|a, i| if i % 8 == 5 { 9.0 } else { a.data[i] }, 1), "1 of 8 columns differ: 5");
        assert_eq!(told(|a, i| a.data[(i + 8) % 64], 1), "8 of 8 rows stand in another order: 0, 1, 2, 3, ...");
        assert_eq!(told(|a, i| a.data[i ^ 4], 2), "heads stand in another order there: [1, 0]");
        let pairs = |i: usize| i / 2 + i % 2 * 2;
        let paired = told(|a, i| a.data[i / 4 * 4 + pairs(i % 4)], 2);
        assert!(paired.starts_with("pairs stand beside each other in each head there"), "{paired}");
        assert_eq!(told(|_, _| 0.0, 1), "theirs is zero");
        assert_eq!(told(|a, i| a.data[i] * if i % 2 == 0 { 2.0 } else { 3.0 }, 1), "");
    }
}
