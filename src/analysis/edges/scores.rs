//! Scores of edges: what the node writes in the other run less what it writes here, times the gradient of the number at what
//! the reader reads of it. To first order that is what the number gains if the edge carries what it carries there.

use super::Scored;
use super::pass::{Pass, between, less};
use super::structure::Edge;
use crate::debugger::Result;
use crate::debugger::Session;
use crate::lang::Expr;
use crate::tensor::{Value, step};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The gradient in this run (Syed et al. 2023).
    Gradient,
    /// The mean of the gradients at so many points `k / m`, `k` from 1 to `m`, on the straight line from the embedding of the
    /// other run to that of this one (Hanna et al. 2024).
    Integrated { steps: usize },
}

/// The scores of all edges, where `branch` is the other run.
///
/// # Errors
/// As [`Pass::new`], and if the device fails or the user interrupts.
pub fn scores(session: &mut Session, expr: &Expr, branch: usize, method: Method) -> Result<Vec<Scored>> {
    let mut pass = Pass::new(session, expr, branch)?;
    let structure = pass.structure.clone();
    let mut differences = Vec::new();
    for writer in &structure.writers {
        let of = |values: &[Value]| pass.given(writer, &|op| values[op].clone());
        let (here, other) = (of(&pass.here)?, of(&pass.other)?);
        differences.push(here.iter().zip(&other).map(|(here, other)| less(other, here)).collect::<Vec<_>>());
    }
    let edges = structure.edges();
    let mut sums = vec![0.0; edges.len()];
    let steps = match method {
        Method::Gradient => 1,
        Method::Integrated { steps } => steps.max(1),
    };
    let embed = structure.writers[0].write;
    for number in 1..=steps {
        step("gradients", number as u64 - 1, steps as u64)?;
        let values = match method {
            Method::Gradient => pass.here.clone(),
            Method::Integrated { .. } => {
                let point = between(&pass.here[embed], &pass.other[embed], number as f64 / steps as f64)?;
                pass.with_embedding(point)?
            }
        };
        for (sum, found) in sums.iter_mut().zip(at_one_point(&mut pass, &values, &differences)?) {
            *sum += found / steps as f64;
        }
    }
    Ok(edges.into_iter().zip(sums).map(|(edge, score)| Scored { edge, score }).collect::<Vec<Scored>>())
}

/// The products with the gradients where ops have these values, in the order of the edges.
fn at_one_point(pass: &mut Pass<'_>, values: &[Value], differences: &[Vec<Vec<f64>>]) -> Result<Vec<f64>> {
    let structure = pass.structure.clone();
    let (_, gradients) = pass.gradients(values)?;
    let mut found = Vec::new();
    for reader in &structure.readers {
        let n = reader.inputs.len();
        // By input, then by writer: in the order of the edges.
        let mut rows: Vec<Vec<Vec<f64>>> = vec![vec![Vec::new(); reader.terms.len()]; n];
        let Some(gradient) = gradients.get(reader.entry).cloned() else {
            let zeros = reader.terms.iter().map(|(writer, _)| differences[*writer].len()).sum::<usize>() * n;
            found.extend(std::iter::repeat_n(0.0, zeros));
            continue;
        };
        let seeds = pass.seeds(reader, &gradient)?;
        let batch = pass.batch(&reader.between);
        for from in (0..n).step_by(batch) {
            let seed = seeds.rows(from..(from + batch).min(n));
            let axes = seeds.axes().to_vec();
            let read = pass.pulled((reader.stream, &reader.between), seed.with_axes(&axes).whole(), values)?; // [n, T, d]
            for (term, (writer, factor)) in reader.terms.iter().enumerate() {
                let of = &structure.writers[*writer];
                let at_sum = pass.pulled((of.sum, &of.between), read.clone(), values)?; // [n, T, d]
                let data = at_sum.read_f64()?;
                for (row, gradient) in data.chunks(data.len() / read.shape()[0]).enumerate() {
                    let product = |difference: &Vec<f64>| {
                        factor * difference.iter().zip(gradient).map(|(a, b)| a * b).sum::<f64>()
                    };
                    rows[from + row][term] = differences[*writer].iter().map(product).collect();
                }
            }
        }
        found.extend(rows.into_iter().flatten().flatten());
    }
    Ok(found)
}

impl Scored {
    /// Edges by the size of their score, the largest first, the first in the program first among equals.
    pub fn order(all: &[Scored]) -> Vec<Edge> {
        let mut order: Vec<&Scored> = all.iter().collect();
        order.sort_by(|a, b| b.score.abs().total_cmp(&a.score.abs()).then(a.edge.cmp(&b.edge)));
        order.into_iter().map(|one| one.edge).collect()
    }
}
