//! What a side has of a site.

use std::borrow::Cow;
use std::sync::Arc;

use crate::debugger::{Result, Run};
use crate::dumps::{Change, Dump, Fitted};
use crate::program::{Kernel, Op, shape_of};
use crate::tensor::ops::Slice;
use crate::tensor::{Axis, Device, Difference, HostF32, Tolerance, Value, difference};

/// The value of a site on one side, for the focused row.
#[derive(Clone)]
pub struct SideValue {
    /// Without a row axis.
    pub shape: Vec<usize>,
    pub axes: Vec<Axis>,
    pub elements: Elements,
    /// What was done to a value of a file so that it is laid out as it is here.
    pub changes: Vec<Change>,
    /// Whether the mean over the last axis is missing in it: see [`Processed`](crate::dumps::Processed).
    pub lacks_mean: bool,
    pub meaning: Meaning,
}

/// What the elements of a value are, as far as it matters when they are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Numbers, which may be off by rounding.
    Numbers,
    /// Scores of attention: numbers, of which very low ones stand for a mask.
    Scores,
    /// Names of something, tokens or experts: they are the same or different, and never near to each other.
    Ids,
}

impl SideValue {
    /// When its elements agree with others, if numbers may be so far apart.
    pub fn tolerance(&self, of_numbers: Tolerance) -> Tolerance {
        if self.meaning == Meaning::Ids { Tolerance::of(0.0) } else { of_numbers }
    }

    /// As a value on the CPU, with its axes.
    pub fn value(&self) -> Value {
        let data = self.elements.double().iter().map(|x| *x as f32).collect();
        Value::from_f32(data, &self.shape, &Device::cpu()).with_axes(&self.axes)
    }
}

#[derive(Clone)]
pub enum Elements {
    /// As they are in memory.
    Single(Arc<HostF32>),
    Double(Vec<f64>),
}

impl Elements {
    /// How far they are from others of the same shape.
    pub fn difference(&self, other: &Elements, shape: &[usize], tolerance: Tolerance) -> Difference {
        match (self, other) {
            (Elements::Single(a), Elements::Single(b)) => difference(a.as_slice(), b.as_slice(), shape, tolerance),
            (a, b) => difference(&a.double(), &b.double(), shape, tolerance),
        }
    }

    pub fn double(&self) -> Cow<'_, [f64]> {
        match self {
            Elements::Single(host) => Cow::Owned(host.as_slice().iter().map(|x| f64::from(*x)).collect()),
            Elements::Double(data) => Cow::Borrowed(data),
        }
    }
}

/// What a side has of a site.
pub enum Has {
    Value(SideValue),
    /// A value that is laid out differently, and cannot be laid out as it is here: why.
    Other(String),
    Nothing,
}

pub(super) fn meaning(op: &Op) -> Meaning {
    match op.kernel {
        Kernel::Tokens | Kernel::TopExperts { .. } => Meaning::Ids,
        Kernel::Scores { .. } => Meaning::Scores,
        _ => Meaning::Numbers,
    }
}

pub(super) fn of_row(value: &Value, row: usize) -> Result<SideValue> {
    let value = value.slice(&[Slice::At(row)])?.held()?;
    Ok(SideValue {
        shape: value.shape().to_vec(),
        axes: value.axes().to_vec(),
        elements: match value.host_f32() {
            Some(host) => Elements::Single(Arc::new(host)),
            None => Elements::Double(value.read_f64()?),
        },
        changes: Vec::new(),
        lacks_mean: false,
        meaning: Meaning::Numbers,
    })
}

/// What a dump has of a site of a run's program.
pub(super) fn of_dump(dump: &Dump, site: &str, run: &Run, row: usize) -> Result<Has> {
    let Some(op) = run.program.op_of(site).map(|op| &run.program.ops[op]) else { return Ok(Has::Nothing) };
    let wanted = shape_of(op, 1, run.branch().span(run.pass), run.branch().text().source_length());
    Ok(match dump.value(op, &wanted[1..], row)? {
        None => Has::Nothing,
        Some(Err(why)) => Has::Other(why),
        Some(Ok(Fitted { found, changes })) => {
            let (shape, axes, elements) = (found.shape, op.axes[1..].to_vec(), Elements::Double(found.data));
            Has::Value(SideValue { shape, axes, elements, changes, lacks_mean: false, meaning: meaning(op) })
        }
    })
}
