//! The logit lens: what the model would predict if it stopped at a block (nostalgebraist 2020).
//!
//! `logits_l = W_U norm_final(resid_l) + b_U`, where the statistics of the norm are those of `resid_l`. The last point
//! is the model's own output. For an encoder the head of masked tokens takes the place of norm and unembedding.
//!
//! A Jacobian lens puts `h J^T` there, where `J` says how the model's last state follows from it on average.
//! A tuned lens (Belrose et al. 2023) puts `resid_l + resid_l A_l + b_l` in place of what block `l` reads; `A` and `b`
//! were trained for the model, and come from a file.

use crate::debugger::{Mark, RunError, Session};
use crate::model::Placement;
use crate::model::jacobian_lens::JacobianLens;
use crate::model::role::RolePlace;
use crate::model::tuned_lens::TunedLens;
use crate::program::{Part, Program, lens, lens_start};
use crate::tensor::ops::{BinaryOp, Slice};
use crate::tensor::{TensorError, Value, step};

/// Rows that are unembedded at once: logits are large.
const CHUNK: usize = 64;

#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// `L3.resid_pre`, or `final`.
    pub name: String,
    pub op: usize,
    /// The block that reads it; `None` for states between attention and MLP, and for what the head reads.
    pub read_by: Option<usize>,
}

/// The map that a lens puts on what a block reads, on the device of the block.
struct Map {
    /// `[d, d]`, for row vectors.
    weight: Value,
    /// `[d]`.
    bias: Option<Value>,
    /// Whether what is read is added to what the map makes of it.
    added: bool,
}

/// The maps of a trained lens by the block that reads what they are put on.
pub struct Tuned(Vec<Option<Map>>);

impl Tuned {
    /// A tuned lens: `h + h A + b`.
    pub fn new(lens: &TunedLens, placement: &Placement) -> Tuned {
        let one = |(block, translator): (usize, &crate::model::tuned_lens::Translator)| {
            let device = placement.device(RolePlace::Block, Some(block));
            let weight = Value::from_f32(translator.weight.clone(), &[lens.width, lens.width], device);
            let bias = Value::from_f32(translator.bias.clone(), &[lens.width], device);
            Some(Map { weight, bias: Some(bias), added: true })
        };
        Tuned(lens.translators.iter().enumerate().map(one).collect())
    }

    /// A Jacobian lens: `h J^T`, where a block reads the output of the one before it.
    pub fn jacobian(lens: &JacobianLens, placement: &Placement, layers: usize) -> Tuned {
        let one = |block: usize| {
            let map = lens.maps.get(&block.checked_sub(1)?)?;
            let device = placement.device(RolePlace::Block, Some(block));
            let weight = Value::from_f32(map.clone(), &[lens.width, lens.width], device).transpose();
            Some(Map { weight, bias: None, added: false })
        };
        Tuned((0..layers).map(one).collect())
    }

    /// Whether there is a map for a point, or none is needed: what the model predicts in the end is read as it is.
    pub fn reads(&self, point: &Point) -> bool {
        point.read_by.is_none_or(|block| self.0.get(block).is_some_and(Option::is_some))
    }
}

/// The hidden states that a lens is put on, in the order of the program: what every block reads, and what the head
/// reads; with `middle`, the states between attention and MLP too. Empty if the model predicts no tokens.
pub fn points(program: &Program, middle: bool) -> Vec<Point> {
    let Some(head) = lens_start(program) else { return Vec::new() };
    let mut found = Vec::new();
    for layer in 0..program.n_layers() {
        for (part, read_by) in [(Part::ResidPre, Some(layer)), (Part::ResidMid, None), (Part::ResidCross, None)] {
            let op = program.block_op(layer, part).filter(|_| middle || part == Part::ResidPre);
            found.extend(op.map(|op| Point { name: format!("L{layer}.{part}"), op, read_by }));
        }
    }
    found.extend(program.ops[head].inputs.first().map(|&op| Point { name: "final".into(), op, read_by: None }));
    found
}

#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub name: String,
    /// Natural logarithms of the probabilities of all tokens.
    pub logprobs: Vec<f64>,
}

impl Reading {
    /// The `k` likeliest tokens, the likeliest first, the lower number first among equals.
    pub fn top(&self, k: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.logprobs.len()).collect();
        let by = |a: &usize, b: &usize| self.logprobs[*b].total_cmp(&self.logprobs[*a]).then(a.cmp(b));
        if k < order.len() {
            order.select_nth_unstable_by(k, by);
            order.truncate(k);
        }
        order.sort_by(by);
        order
    }

    /// How many tokens are likelier than this one.
    pub fn rank(&self, token: usize) -> usize {
        self.logprobs.iter().filter(|x| **x > self.logprobs[token]).count()
    }

    /// `-sum p ln p`, in nats.
    pub fn entropy(&self) -> f64 {
        -self.logprobs.iter().filter(|x| x.is_finite()).map(|x| x.exp() * x).sum::<f64>()
    }

    /// `KL(other || self)` in nats: how far this prediction is from that of `other`.
    pub fn divergence(&self, other: &Reading) -> f64 {
        let terms = other.logprobs.iter().zip(&self.logprobs).filter(|(p, _)| p.is_finite());
        terms.map(|(p, q)| p.exp() * (p - q)).sum()
    }
}

/// The trajectory of one position of the focused row, as far as the pass has computed it.
pub fn trajectory(
    session: &mut Session,
    pos: usize,
    points: &[Point],
    tuned: Option<&Tuned>,
) -> Result<Vec<Reading>, RunError> {
    let (pass, at) = session.run.branch().column(pos);
    let mut found = Vec::new();
    for point in points {
        let Some(state) = state(session, pass, point.op)? else { break };
        let logprobs = read(session, pass, &seen(tuned, point, &state.rows(at..at + 1))?)?.remove(0);
        found.push(Reading { name: point.name.clone(), logprobs });
    }
    Ok(found)
}

/// Calls `each` with the number of a point, a position and its log-probabilities, for every position of the current
/// pass of the focused row and every point that is computed.
pub fn everywhere(
    session: &mut Session,
    points: &[Point],
    tuned: Option<&Tuned>,
    each: &mut dyn FnMut(usize, usize, &[f64]),
) -> Result<usize, RunError> {
    let pass = session.run.pass;
    let start = session.run.branch().span(pass).start;
    for (number, point) in points.iter().enumerate() {
        step("lens", number as u64, points.len() as u64)?;
        let Some(state) = state(session, pass, point.op)? else { return Ok(number) };
        let count = state.shape()[0];
        for from in (0..count).step_by(CHUNK) {
            let rows = from..(from + CHUNK).min(count);
            for (i, logprobs) in rows.clone().zip(read(session, pass, &seen(tuned, point, &state.rows(rows))?)?) {
                each(number, start + i, &logprobs);
            }
        }
    }
    Ok(points.len())
}

/// Hidden states `[N, d]` as the lens sees them.
fn seen(tuned: Option<&Tuned>, point: &Point, states: &Value) -> Result<Value, TensorError> {
    let map = tuned.zip(point.read_by).and_then(|(tuned, layer)| tuned.0.get(layer)?.as_ref());
    let Some(Map { weight, bias, added }) = map else { return Ok(states.clone()) };
    let mut seen = states.matmul(weight)?;
    if *added {
        seen = states.binary(BinaryOp::Add, &seen)?;
    }
    bias.as_ref().map_or(Ok(seen.clone()), |bias| seen.binary(BinaryOp::Add, bias))
}

/// A hidden state of the focused row `[T, d]`; `None` if the pass has not come to it.
fn state(session: &mut Session, pass: usize, op: usize) -> Result<Option<Value>, RunError> {
    let value = session.run.value_if_reached(Mark { pass, op })?;
    Ok(value.map(|value| value.slice(&[Slice::At(session.focus.row)])).transpose()?)
}

/// Log-probabilities of `[N, d]`, a list for each row.
fn read(session: &Session, pass: usize, states: &Value) -> Result<Vec<Vec<f64>>, TensorError> {
    let run = &session.run;
    let branch = run.branch();
    let Some(logits) = lens(&run.program, states, branch.weights(), branch.context(pass))? else {
        return Ok(vec![Vec::new(); states.shape()[0]]);
    };
    let logprobs = logits.log_softmax(1)?;
    let vocab = logprobs.shape()[1];
    Ok(logprobs.read_f64()?.chunks(vocab).map(<[f64]>::to_vec).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(probabilities: &[f64]) -> Reading {
        Reading { name: "x".into(), logprobs: probabilities.iter().map(|p| p.ln()).collect() }
    }

    #[test]
    fn ranks_and_distances_have_their_closed_forms() {
        let (a, b) = (reading(&[0.5, 0.25, 0.25]), reading(&[0.25, 0.25, 0.5]));
        assert_eq!((a.top(2), b.top(3)), (vec![0, 1], vec![2, 0, 1]));
        assert_eq!((a.rank(0), a.rank(1), a.rank(2)), (0, 1, 1));
        assert!((a.entropy() - 1.5 * 2f64.ln()).abs() < 1e-12);
        // KL(b || a) = 0.25 ln(0.5) + 0 + 0.5 ln(2).
        assert!((a.divergence(&b) - 0.25 * 2f64.ln()).abs() < 1e-12);
        assert_eq!(a.divergence(&a), 0.0);
        assert_eq!(reading(&[1.0, 0.0]).entropy(), 0.0);
    }
}
