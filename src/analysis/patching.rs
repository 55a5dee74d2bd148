//! Activation patching: a value of one run put into another, place by place, and how much of a number comes back
//! (Vig et al. 2020; Meng et al. 2022). The fast approximation is attribution patching, `sum(grad (a_clean - a_here))` (Nanda 2023).

use super::attribution::{Probe, Unexplained};
use crate::debugger::{Mark, Session};
use crate::lang::Expr;
use crate::tensor::ops::Slice;

/// What is put in at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A position.
    Position,
    /// A head, at every position.
    Head,
    /// A feature of the last axis, at every position: a neuron.
    Neuron,
    /// All of it.
    Whole,
}

/// What is put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The values of another branch.
    Branch(usize),
    /// Zero.
    Zero,
    /// The mean over positions, of each feature.
    Mean,
}

/// A number for each place: by layer, then by position or head.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// The layers, in order.
    pub layers: Vec<usize>,
    /// Positions or heads.
    pub width: usize,
    /// The number with the other run's value there; of the approximation, what it comes to.
    pub numbers: Vec<f64>,
    /// The number without any.
    pub here: f64,
}

/// Puts the value that `site` has in another branch into the current one, one layer and part at a time, and evaluates `expr` each time.
///
/// # Errors
/// If the number cannot be had, or the two branches have texts of different lengths.
pub fn sweep(
    session: &mut Session,
    expr: &Expr,
    site: &str,
    source: Source,
    part: Part,
    approximate: bool,
    told: &mut dyn FnMut(u64, u64),
) -> Result<Sweep, Unexplained> {
    let program = session.run.program.clone();
    let row = session.focus.row;
    let ops: Vec<(usize, usize)> = (0..program.n_layers())
        .filter_map(|layer| Some((layer, program.op_of(&format!("blocks.{layer}.{site}"))?)))
        .collect();
    let mut found = Sweep { layers: Vec::new(), width: 0, numbers: Vec::new(), here: f64::NAN };
    for (number, (layer, op)) in ops.iter().enumerate() {
        told(number as u64, ops.len() as u64);
        let at = Mark { pass: 0, op: *op };
        let value = match source {
            Source::Branch(from) => session.run.value_in(from, at)?,
            Source::Zero | Source::Mean => session.run.value_at(at)?,
        };
        let value = value.slice(&[Slice::At(row)])?;
        let shape = value.shape().to_vec();
        let mut clean = value.read_f32()?;
        match source {
            Source::Branch(_) => {}
            Source::Zero => clean.fill(0.0),
            Source::Mean => {
                let width = clean.len() / shape[0].max(1);
                let means: Vec<f32> = (0..width)
                    .map(|i| {
                        (clean.iter().skip(i).step_by(width).map(|x| f64::from(*x)).sum::<f64>() / shape[0] as f64)
                            as f32
                    })
                    .collect();
                clean.iter_mut().enumerate().for_each(|(i, x)| *x = means[i % width]);
            }
        }
        let mut probe = match Probe::new(session, expr, *op) {
            Ok(probe) => probe,
            // A block that comes after what was asked for brings nothing back.
            Err(Unexplained::Independent(_)) => continue,
            Err(error) => return Err(error),
        };
        let here = probe.here()?;
        if here.len() != clean.len() {
            return Err(Unexplained::Because("the two branches have texts of different lengths".into()));
        }
        // Elements of a part: [T, d], or [T, H, h].
        let row_size: usize = shape[1..].iter().product();
        let head_size = shape.last().copied().unwrap_or(1);
        let (width, part_of): (usize, Box<dyn Fn(usize) -> usize>) = match part {
            Part::Position => (shape[0], Box::new(move |i| i / row_size)),
            Part::Head => (row_size / head_size, Box::new(move |i| i % row_size / head_size)),
            Part::Neuron => (head_size, Box::new(move |i| i % head_size)),
            Part::Whole => (1, Box::new(|_| 0)),
        };
        let mut numbers = Vec::with_capacity(width);
        if approximate {
            let point = probe.gradients(std::slice::from_ref(&here), *op, &mut |_, _| ())?.remove(0);
            let mut moved = vec![0.0; width];
            for (i, (g, (a, b))) in point.gradient.iter().zip(clean.iter().zip(&here)).enumerate() {
                moved[part_of(i)] += f64::from(*g) * (f64::from(*a) - f64::from(*b));
            }
            found.here = probe.numbers(&[here], &mut |_, _| ())?[0];
            numbers.extend(moved.iter().map(|change| found.here + change));
        } else {
            let mut points = vec![here.clone()];
            points.extend((0..width).map(|which| {
                here.iter()
                    .zip(&clean)
                    .enumerate()
                    .map(|(i, (a, b))| if part_of(i) == which { *b } else { *a })
                    .collect()
            }));
            let mut all = probe.numbers(&points, &mut |_, _| ())?;
            found.here = all.remove(0);
            numbers = all;
        }
        found.width = width;
        found.layers.push(*layer);
        found.numbers.extend(numbers);
    }
    match found.layers.is_empty() {
        true => Err(Unexplained::Because(format!("no block has {site}, or the number depends on none"))),
        false => Ok(found),
    }
}
