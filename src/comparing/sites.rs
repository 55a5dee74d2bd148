//! Where do two sides part? Each site of both: how far its values are apart.

use super::Parts;
use crate::debugger::sides::{Elements, Has, Side, SideValue, level};
use crate::debugger::{Result, Session};
use crate::dumps::Change;
use crate::tensor::{Axis, Difference, Tolerance, Verdict, step};

/// How sites are compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    pub tolerance: Tolerance,
    /// What each site is divided into as well.
    pub parts: Option<Parts>,
    /// Whether the comparison ends at the first site beyond the tolerance.
    pub first: bool,
}

/// Why a site was not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The first side has none.
    Left,
    /// The second side has none.
    Right,
    /// The values lie in different ways: how.
    Other(String),
}

/// What else was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The sides have different lengths along an axis (`Pos` for queries and keys too), and what both have was compared.
    Cut { axis: Axis, lengths: [usize; 2] },
    /// The most likely tokens differ at `count` of `positions` positions; at the `first` of them they are `best`.
    Parting { count: usize, positions: usize, first: usize, best: [usize; 2] },
}

/// What a comparison has found.
#[derive(Debug, Default)]
pub struct SiteDifferences {
    pub sites: Vec<(String, Difference)>,
    /// The same, of parts of sites.
    pub parts: Vec<(String, Difference)>,
    /// Sites that were not compared, and why.
    pub apart: Vec<(String, Lack)>,
    /// What was done to values of a dump before they were compared.
    pub changes: Vec<Change>,
    pub notes: Vec<Note>,
}

/// Compares `sites` of two sides, which are at the pass of the cursor.
///
/// # Errors
///
/// If a value cannot be computed or read, or the comparison was interrupted.
pub fn site_differences(
    session: &mut Session,
    [a, b]: [&Side; 2],
    sites: &[String],
    how: How,
) -> Result<SiteDifferences> {
    let mut into = SiteDifferences::default();
    let mut tokens_differ = false;
    // Whether a position computes the same whatever comes after it.
    let looks_back_only = session.run.model.spec.attention.causal;
    for (number, site) in sites.iter().enumerate() {
        step(site, number as u64, sites.len() as u64)?;
        let [left, right] = [a, b].map(|side| session.value_of_side(side, site));
        let (mut left, mut right) = match (left?, right?) {
            (Has::Value(left), Has::Value(right)) => (left, right),
            (left, right) => {
                let lack = match (left, right) {
                    (Has::Other(why), _) | (_, Has::Other(why)) => Lack::Other(why),
                    (Has::Nothing, _) => Lack::Left,
                    _ => Lack::Right,
                };
                into.apart.push((site.clone(), lack));
                continue;
            }
        };
        for value in [&left, &right] {
            into.changes.extend(value.changes.iter().copied());
        }
        if left.shape != right.shape {
            // Another text, or no text that says which positions are the same.
            let why = format!("{:?} against {:?}", left.shape, right.shape);
            let allowed = !tokens_differ && looks_back_only;
            match allowed.then(|| common(&mut left, &mut right)).flatten() {
                Some(note) if into.notes.contains(&note) => {}
                Some(note) => into.notes.push(note),
                None => {
                    into.apart.push((site.clone(), Lack::Other(why)));
                    continue;
                }
            }
        }
        let (left, right) = level(left, right);
        if site == "logits" {
            into.notes.extend(parting(&left, &right));
        }
        let tolerance = left.tolerance(how.tolerance);
        let found = left.elements.difference(&right.elements, &left.shape, tolerance);
        tokens_differ |= site == "tokens" && found.beyond > 0;
        let is_first = how.first && found.verdict() == Verdict::Different;
        if let Some(parts) = how.parts {
            into.parts.extend(parts.of_site(site, &left, &right, tolerance));
        }
        into.sites.push((site.clone(), found));
        if is_first {
            break;
        }
    }
    into.changes.sort();
    into.changes.dedup();
    Ok(into)
}

/// The positions where the most likely tokens differ.
fn parting(a: &SideValue, b: &SideValue) -> Option<Note> {
    let [positions, width] = a.shape[..] else { return None };
    let (a, b) = (a.elements.double(), b.elements.double());
    let best = |data: &[f64], pos: usize| {
        let row = &data[pos * width..(pos + 1) * width];
        (0..width).fold(0, |best, i| if row[i] > row[best] { i } else { best })
    };
    let apart: Vec<usize> = (0..positions).filter(|&pos| best(&a, pos) != best(&b, pos)).collect();
    let first = *apart.first()?;
    Some(Note::Parting { count: apart.len(), positions, first, best: [best(&a, first), best(&b, first)] })
}

/// Cuts two values to the positions, and the part of the vocabulary, that both have. A note if that makes them one shape.
fn common(a: &mut SideValue, b: &mut SideValue) -> Option<Note> {
    if a.shape.len() != b.shape.len() {
        return None;
    }
    let mut note = None;
    let mut shape = a.shape.clone();
    for (at, axis) in a.axes.iter().enumerate() {
        let (ours, theirs) = (a.shape[at], b.shape[at]);
        if ours == theirs {
            continue;
        }
        shape[at] = ours.min(theirs);
        let axis = match axis {
            axis if axis.is_position() => Axis::Pos,
            Axis::Vocab => Axis::Vocab,
            _ => return None,
        };
        note.get_or_insert(Note::Cut { axis, lengths: [ours, theirs] });
    }
    for value in [a, b] {
        value.elements = Elements::Double(cut(&value.elements.double(), &value.shape, &shape));
        value.shape.clone_from(&shape);
    }
    note
}

/// The first elements along every axis.
fn cut(data: &[f64], from: &[usize], to: &[usize]) -> Vec<f64> {
    let [whole, rest_from @ ..] = from else { return data.to_vec() };
    let each = data.len() / (*whole).max(1);
    (0..to[0]).flat_map(|i| cut(&data[i * each..(i + 1) * each], rest_from, &to[1..])).collect()
}
