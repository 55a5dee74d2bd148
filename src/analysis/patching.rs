//! Activation patching: a value of one run put into another, place by place, and how much of a number comes back (Vig
//! et al. 2020; Meng et al. 2022). The fast approximation is attribution patching, `sum(grad (a_clean - a_here))`
//! (Nanda 2023).

use super::attribution::Probe;
use crate::debugger::sides::{Has, Side};
use crate::debugger::{Error, Mark, Result, Session};
use crate::lang::Expr;
use crate::program::Program;
use crate::tensor::ops::Slice;
use crate::tensor::{Axis, TensorError, step};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Branch(usize),
    /// The values of another model or a dump, by its number in [`Session::peers`].
    Peer(usize),
    Zero,
    /// The mean over positions, of each feature.
    Mean,
}

/// Where values are put in, one place after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Ops with the same axes, each with its block.
    pub sites: Vec<(Option<usize>, usize)>,
    /// The axes that places are entries of, all of one entry at once: heads, positions, neurons. Empty is the whole
    /// value.
    pub over: Vec<Axis>,
}

impl Places {
    /// The same site of every block that has it.
    pub fn of_blocks(program: &Program, site: &str, over: &[Axis]) -> Places {
        let ops = program.ops.iter().enumerate();
        let sites = ops.filter(|(_, op)| op.part.is_some_and(|part| part.path() == site)).map(|(i, op)| (op.layer, i));
        Places { sites: sites.collect(), over: over.to_vec() }
    }
}

/// A number for each place: by site, then along the axes that places are entries of.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// The ops that the number depends on, each with its block.
    pub sites: Vec<(Option<usize>, usize)>,
    pub over: Vec<(Axis, usize)>,
    /// The number with the other value there; of the approximation, what it comes to.
    pub numbers: Vec<f64>,
    /// The number without any.
    pub here: f64,
}

impl Sweep {
    pub fn width(&self) -> usize {
        self.over.iter().map(|(_, length)| length).product()
    }
}

/// Puts another value into the current run, one place at a time, and evaluates `expr` each time. `done` is what an
/// interrupted sweep of the same places has found so far, and grows with each place.
///
/// # Errors
/// If the number cannot be had, the two branches have texts of different lengths, or the user interrupts.
pub fn sweep(
    session: &mut Session,
    expr: &Expr,
    places: &Places,
    source: Source,
    done: &mut Vec<f64>,
) -> Result<Sweep> {
    walk(session, expr, places, source, &mut |probe, here, clean, parts, (before, all)| {
        let stopped = |done: usize, error: TensorError| match error {
            TensorError::Interrupted(_) => {
                Error::refused(format!("interrupted after {done} of {all} places: the same command goes on from there"))
            }
            error => error.into(),
        };
        while done.len() < before + parts.count {
            step("patching", done.len() as u64, all as u64).map_err(|error| stopped(done.len(), error))?;
            let from = done.len() - before;
            let points: Vec<Vec<f32>> =
                (from..(from + probe.batch()).min(parts.count)).map(|which| parts.mixed(here, clean, which)).collect();
            match probe.numbers(&points) {
                Ok(numbers) => done.extend(numbers),
                Err(Error::Tensor(error)) => return Err(stopped(done.len(), error)),
                Err(error) => return Err(error),
            }
        }
        Ok(done[before..before + parts.count].to_vec())
    })
}

/// What a sweep comes to by first order, from one gradient for each site.
///
/// # Errors
/// If the number or its gradient cannot be had, or the two branches have texts of different lengths.
pub fn approximate(session: &mut Session, expr: &Expr, places: &Places, source: Source) -> Result<Sweep> {
    walk(session, expr, places, source, &mut |probe, here, clean, parts, (before, all)| {
        step("patching", before as u64, all as u64)?;
        let point = probe.gradients(std::slice::from_ref(here), probe.at)?.remove(0);
        let mut moved = vec![0.0; parts.count];
        for (i, (g, (a, b))) in point.gradient.iter().zip(clean.iter().zip(here)).enumerate() {
            moved[parts.of[i] as usize] += f64::from(*g) * (f64::from(*a) - f64::from(*b));
        }
        Ok(moved.into_iter().map(|change| point.number + change).collect())
    })
}

/// The place that each element of a value belongs to.
struct Parts {
    of: Vec<u32>,
    count: usize,
}

impl Parts {
    fn new(shape: &[usize], over: &[usize]) -> Parts {
        let stride = |axis: usize| shape[axis + 1..].iter().product::<usize>();
        let of = |i: usize| over.iter().fold(0, |part, &axis| part * shape[axis] + i / stride(axis) % shape[axis]);
        let all: usize = shape.iter().product();
        Parts { of: (0..all).map(|i| of(i) as u32).collect(), count: over.iter().map(|&axis| shape[axis]).product() }
    }

    /// One value, with the elements of a place from the other.
    fn mixed(&self, here: &[f32], clean: &[f32], which: usize) -> Vec<f32> {
        let both = here.iter().zip(clean).zip(&self.of);
        both.map(|((a, b), part)| if *part as usize == which { *b } else { *a }).collect()
    }
}

/// Finds the number for each place of a site, given how many places come before it, and how many there are in all.
type OfSite<'a> = &'a mut dyn FnMut(&mut Probe<'_>, &Vec<f32>, &[f32], &Parts, (usize, usize)) -> Result<Vec<f64>>;

fn walk(session: &mut Session, expr: &Expr, places: &Places, source: Source, of_site: OfSite<'_>) -> Result<Sweep> {
    let program = session.run.program.clone();
    let mut found = Sweep { sites: Vec::new(), over: Vec::new(), numbers: Vec::new(), here: f64::NAN };
    for &(layer, op) in &places.sites {
        let (site, axes) = (&program.ops[op].site, &program.ops[op].axes[1..]);
        let (clean, shape) = put_in(session, source, op, site, axes)?;
        // A block that comes after what was asked for brings nothing back.
        let Some(mut probe) = Probe::if_dependent(session, expr, op)? else { continue };
        let here = probe.here()?;
        if here.len() != clean.len() {
            return Err("the two sides have texts of different lengths".into());
        }
        let over: Vec<usize> =
            places.over.iter().filter_map(|axis| axes.iter().position(|known| known == axis)).collect();
        let parts = Parts::new(&shape, &over);
        let all = parts.count * places.sites.len();
        if found.sites.is_empty() {
            found.here = probe.numbers(std::slice::from_ref(&here))?[0];
        }
        let numbers = of_site(&mut probe, &here, &clean, &parts, (found.numbers.len(), all))?;
        found.over = over.iter().map(|&axis| (axes[axis], shape[axis])).collect();
        found.sites.push((layer, op));
        found.numbers.extend(numbers);
    }
    match (found.sites.is_empty(), places.sites.first()) {
        (false, _) => Ok(found),
        (true, Some((_, op))) => {
            let site = &program.ops[*op].site;
            Err(format!("the number does not depend on {site}, nor on others of its name").into())
        }
        (true, None) => Err("the model has no such site".into()),
    }
}

/// The elements that are put in, and their shape, without a row axis.
fn put_in(
    session: &mut Session,
    source: Source,
    op: usize,
    site: &str,
    axes: &[Axis],
) -> Result<(Vec<f32>, Vec<usize>)> {
    let at = Mark { pass: 0, op };
    let value = match source {
        Source::Branch(from) => session.run.value_in(from, at)?,
        Source::Zero | Source::Mean => session.run.value_at(at)?,
        Source::Peer(peer) => {
            let Has::Value(value) = session.value_of_side(&Side::Peer(peer), site)? else {
                let name = session.side_name(&Side::Peer(peer));
                return Err(format!("{name} has no {site} of this shape").into());
            };
            return Ok((value.elements.double().iter().map(|x| *x as f32).collect(), value.shape));
        }
    };
    let value = value.slice(&[Slice::At(session.focus.row)])?;
    let shape = value.shape().to_vec();
    let mut clean = value.read_f32()?;
    match source {
        Source::Branch(_) | Source::Peer(_) => {}
        Source::Zero => clean.fill(0.0),
        Source::Mean if axes.first() != Some(&Axis::Pos) => {
            return Err(format!("{site} has no mean over positions: zero, or the values of another branch").into());
        }
        Source::Mean => {
            let length = shape[0];
            let width = clean.len() / length.max(1);
            let mean = |i: usize| {
                (clean.iter().skip(i).step_by(width).map(|x| f64::from(*x)).sum::<f64>() / length as f64) as f32
            };
            let means: Vec<f32> = (0..width).map(mean).collect();
            clean.iter_mut().enumerate().for_each(|(i, x)| *x = means[i % width]);
        }
    }
    Ok((clean, shape))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_belong_to_the_entries_of_the_axes_asked_for() {
        let shape = [2, 3, 2];
        assert_eq!(Parts::new(&shape, &[1]).of, [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2]);
        assert_eq!(Parts::new(&shape, &[1, 0]).of, [0, 0, 2, 2, 4, 4, 1, 1, 3, 3, 5, 5]);
        let whole = Parts::new(&shape, &[]);
        assert_eq!((whole.count, whole.of), (1, vec![0; 12]));
        let one = Parts::new(&[2, 2], &[0, 1]);
        assert_eq!(one.mixed(&[1., 2., 3., 4.], &[9., 9., 9., 9.], 2), [1., 2., 9., 4.]);
    }
}
