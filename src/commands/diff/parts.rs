//! Parts of a site: one difference for each block, head, position or element.

use crate::analysis::{Difference, Tolerance};
use crate::commands::fail::Fail;
use crate::debugger::peers::{Elements, SideValue};
use crate::lang::LangError;
use crate::lang::words::Word;
use crate::tensor::{Axis, unravel};

/// What a difference is told for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The residual stream behind each block, and what is outside of blocks.
    Block,
    /// Each head.
    Head,
    /// Each position.
    Pos,
    /// The largest elements.
    Element,
}

/// Elements of a site that are told.
const ELEMENTS: usize = 10;

impl By {
    pub fn of(word: &Word) -> Result<By, Fail> {
        match word.text.as_str() {
            "block" => Ok(By::Block),
            "head" => Ok(By::Head),
            "pos" => Ok(By::Pos),
            "element" => Ok(By::Element),
            other => {
                let error = LangError::new(format!("no way to divide a site: {other}"), word.span);
                Err(Fail::At(error.help("-by block, head, pos or element")))
            }
        }
    }

    /// The parts of a site.
    pub fn of_site(self, site: &str, a: &SideValue, b: &SideValue, tolerance: Tolerance) -> Vec<(String, Difference)> {
        match self {
            By::Block => {
                let edge = site.ends_with(".resid_post") || !site.starts_with("blocks.");
                let whole = || a.elements.difference(&b.elements, &a.shape, tolerance);
                if edge { vec![(site.to_string(), whole())] } else { Vec::new() }
            }
            By::Head => along(site, Axis::Head, a, b, tolerance),
            By::Pos => {
                let axis = if a.axes.contains(&Axis::Q) { Axis::Q } else { Axis::Pos };
                along(site, axis, a, b, tolerance)
            }
            By::Element => elements(site, a, b, tolerance),
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
    let take = |elements: &Elements, index: usize| -> Vec<f64> {
        let data = elements.double();
        data.chunks(length * inner).flat_map(|part| part[index * inner..(index + 1) * inner].to_vec()).collect()
    };
    let one = |index: usize| {
        let (a, b) = (Elements::Double(take(&a.elements, index)), Elements::Double(take(&b.elements, index)));
        let mut found = a.difference(&b, &shape, tolerance);
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
    let off = |i: usize| {
        let off = (x[i] - y[i]).abs();
        if x[i] == y[i] || x[i].is_nan() && y[i].is_nan() {
            0.0
        } else if off.is_nan() {
            f64::INFINITY
        } else {
            off
        }
    };
    let mut order: Vec<usize> = (0..x.len()).filter(|&i| off(i) > 0.0).collect();
    order.sort_by(|&i, &j| off(j).total_cmp(&off(i)));
    order.truncate(ELEMENTS);
    let one = |i: usize| {
        let index = unravel(i, &a.shape);
        let mut found = Elements::Double(vec![x[i]]).difference(&Elements::Double(vec![y[i]]), &[1], tolerance);
        found.at.clone_from(&index);
        let index: Vec<String> = index.iter().map(usize::to_string).collect();
        (format!("{site}[{}]", index.join(", ")), found)
    };
    order.into_iter().map(one).collect()
}
