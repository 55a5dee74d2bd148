//! Parts of a site: one difference for each block, head, position or element.

use crate::debugger::sides::SideValue;
use crate::model::site_name::InBlock;
use crate::program::Part;
use crate::tensor::{Axis, Difference, Rows, Tolerance, difference_by, distance, unravel};

/// What a difference is reported for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// The residual stream after each block, and what is outside of blocks.
    Block,
    Head,
    Pos,
    Element,
}

/// Elements of a site that are reported.
const ELEMENTS: usize = 10;

impl Parts {
    /// The parts of a site.
    pub(super) fn of_site(
        self,
        site: &str,
        a: &SideValue,
        b: &SideValue,
        tolerance: Tolerance,
    ) -> Vec<(String, Difference)> {
        match self {
            Parts::Block => {
                let edge = InBlock::parse(site).is_none_or(|at| at.part == Part::ResidPost.path());
                let whole = || a.elements.difference(&b.elements, &a.shape, tolerance);
                if edge { vec![(site.to_string(), whole())] } else { Vec::new() }
            }
            Parts::Head => along(site, Axis::Head, a, b, tolerance),
            Parts::Pos => {
                let known = [Axis::Q, Axis::Pos, Axis::SourceQ, Axis::SourcePos];
                let axis = known.into_iter().find(|axis| a.axes.contains(axis)).unwrap_or(Axis::Pos);
                along(site, axis, a, b, tolerance)
            }
            Parts::Element => elements(site, a, b, tolerance),
        }
    }
}

/// One difference for each index of an axis.
fn along(site: &str, axis: Axis, a: &SideValue, b: &SideValue, tolerance: Tolerance) -> Vec<(String, Difference)> {
    let Some(at) = a.axes.iter().position(|known| *known == axis) else { return Vec::new() };
    let inner: usize = a.shape[at + 1..].iter().product();
    let length = a.shape[at];
    let mut shape = a.shape.clone();
    shape[at] = 1;
    let (x, y) = (a.elements.double(), b.elements.double());
    let rows = Rows::of(&y, &b.shape);
    let one = |index: usize| {
        let starts = (index * inner..x.len()).step_by((length * inner).max(1));
        let taken: Vec<usize> = starts.flat_map(|start| start..start + inner).collect();
        let of = |data: &[f64]| -> Vec<f64> { taken.iter().map(|&i| data[i]).collect() };
        let mut found = difference_by(&of(&x), &of(&y), &shape, &rows.at(taken.iter().copied()), tolerance);
        if let Some(place) = found.at.get_mut(at) {
            *place = index;
        }
        (format!("{site}[{axis}={index}]"), found)
    };
    (0..length).map(one).collect()
}

/// The elements that are furthest apart.
fn elements(site: &str, a: &SideValue, b: &SideValue, tolerance: Tolerance) -> Vec<(String, Difference)> {
    let (x, y) = (a.elements.double(), b.elements.double());
    let rows = Rows::of(&y, &b.shape);
    let off = |i: usize| distance(x[i], y[i]);
    let mut order: Vec<usize> = (0..x.len()).filter(|&i| off(i) > 0.0).collect();
    order.sort_by(|&i, &j| off(j).total_cmp(&off(i)));
    order.truncate(ELEMENTS);
    let one = |i: usize| {
        let index = unravel(i, &a.shape);
        let mut found = difference_by(&x[i..=i], &y[i..=i], &[1], &rows.at(std::iter::once(i)), tolerance);
        found.at.clone_from(&index);
        let index: Vec<String> = index.iter().map(usize::to_string).collect();
        (format!("{site}[{}]", index.join(", ")), found)
    };
    order.into_iter().map(one).collect()
}
