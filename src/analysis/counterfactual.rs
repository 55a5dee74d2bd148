//! What the pass would be with parts of several values replaced at once, and two questions that it answers: which heads
//! and MLPs a number needs (a circuit, by greedy ablation), and what one head gives to another directly (path patching;
//! Wang et al. 2022, Goldowsky-Dill et al. 2023).

use std::collections::HashMap;

use super::attention_everywhere;
use crate::debugger::params::head_results;
use crate::debugger::{Error, Mark, Result, RunScope, Session, Target, ops_of, row_of};
use crate::lang::Expr;
use crate::lang::eval::evaluate;
use crate::model::spec::Placement;
use crate::program::{Context, Keep, Part, Program, Replay, Values, Visitor};
use crate::tensor::ops::{BinaryOp, Slice};
use crate::tensor::{Value, step};

/// A part of a model that can be taken out: a head, or the MLP of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Component {
    pub layer: usize,
    /// `None` for the MLP.
    pub head: Option<usize>,
}

impl Component {
    /// `L2H3`, `L2 mlp`.
    pub fn name(&self) -> String {
        match self.head {
            Some(head) => format!("L{}H{head}", self.layer),
            None => format!("L{} mlp", self.layer),
        }
    }
}

/// The pass of the prompt, for the focused row, with other values where they are wanted.
pub struct Counterfactual<'a> {
    session: &'a mut Session,
    expr: &'a Expr,
    context: Context,
    /// What the run has.
    own: Vec<Value>,
    read: Vec<usize>,
}

impl<'a> Counterfactual<'a> {
    /// # Errors
    /// If the run is not in the pass of the prompt, or edits of values are in force, which are not made again here.
    pub fn new(session: &'a mut Session, expr: &'a Expr) -> Result<Counterfactual<'a>> {
        let pass = session.prompt_pass()?;
        let by_hand = session.run.branch().edits.iter().find(|edit| matches!(edit.target, Target::Op(_)));
        if let Some(edit) = by_hand {
            return Err(Error::refused(format!(
                "the edit \"{}\" of a value is in force, which is not made again here",
                edit.text
            )));
        }
        let context = pass.context(&session.run, 1)?;
        let ops = 0..session.run.program.ops.len();
        let own = ops.map(|op| pass.peek(&mut session.run, op)).collect::<Result<_>>()?;
        let read = ops_of(session, expr);
        Ok(Counterfactual { session, expr, context, own, read })
    }

    /// What the run has at an op, `[1, ...]`.
    pub fn own(&self, op: usize) -> &Value {
        &self.own[op]
    }

    /// Values of the pass where `change` gives others for some ops; it is asked for each op in turn, with what the op
    /// gives.
    fn values(&self, change: Change<'_>) -> Result<Values> {
        let program = &self.session.run.program;
        let weights = self.session.run.branch().weights();
        let changed = vec![false; program.ops.len()];
        let mut visitor = Changed { program, own: &self.own, change, changed };
        let replay = Replay { program, weights, context: &self.context };
        replay.run(0..program.ops.len(), Values::new(), Keep::All, &mut visitor)
    }

    pub fn number(&mut self, change: Change<'_>) -> Result<f64> {
        let values = self.values(change)?;
        let given: HashMap<usize, Value> = self.read.iter().map(|op| (*op, values[op].clone())).collect();
        let datum = evaluate(self.expr, &mut RunScope::tracked(self.session, given, 0))?;
        Ok(datum.number(self.expr.span)?)
    }

    /// The number with the components of `out` as they are in `other`: values of `attn.z` and `mlp_out` by op.
    fn without(&mut self, out: &[Component], other: &HashMap<usize, Value>) -> Result<f64> {
        let program = self.session.run.program.clone();
        let part = |one: &Component| if one.head.is_some() { Part::Z } else { Part::MlpOut };
        let place = |one: &Component| program.block_op(one.layer, part(one));
        let places: Vec<(Option<usize>, Component)> = out.iter().map(|one| (place(one), *one)).collect();
        self.number(&|op, value| {
            let here: Vec<Component> = places.iter().filter(|(at, _)| *at == Some(op)).map(|(_, one)| *one).collect();
            let (false, Some(theirs)) = (here.is_empty(), other.get(&op)) else { return Ok(None) };
            if here.iter().any(|one| one.head.is_none()) {
                return Ok(Some(theirs.clone()));
            }
            let heads: Vec<usize> = here.iter().filter_map(|one| one.head).collect();
            with_heads(value, theirs, &heads).map(Some)
        })
    }
}

/// Gives another value for an op that gave this one; `None` leaves it.
type Change<'a> = &'a dyn Fn(usize, &Value) -> Result<Option<Value>>;

/// Runs only ops that read something that has changed; all others have the value that the run has.
struct Changed<'a> {
    program: &'a Program,
    own: &'a [Value],
    change: Change<'a>,
    changed: Vec<bool>,
}

impl Visitor for Changed<'_> {
    type Error = Error;

    fn instead(&mut self, op: usize, _: &[Value]) -> Result<Option<Value>> {
        self.changed[op] = self.program.ops[op].inputs.iter().any(|&input| self.changed[input]);
        Ok((!self.changed[op]).then(|| self.own[op].clone()))
    }

    fn made(&mut self, op: usize, value: Value) -> Result<Value> {
        let Some(other) = (self.change)(op, &value)? else { return Ok(value) };
        self.changed[op] = true;
        Ok(other.with_axes(&self.program.ops[op].axes))
    }
}

/// `[1, T, H, h]` with some heads of another value.
fn with_heads(value: &Value, other: &Value, heads: &[usize]) -> Result<Value> {
    let (count, width) = (value.shape()[2], value.shape()[3]);
    let (mut data, theirs) = (value.read_f32()?, other.read_f32()?);
    for (i, x) in data.iter_mut().enumerate() {
        if heads.contains(&(i / width % count)) {
            *x = theirs[i];
        }
    }
    Ok(Value::from_f32(data, value.shape(), &value.device()))
}

#[derive(Clone, Debug, PartialEq)]
pub struct Circuit {
    /// What is left, with how much of the number is lost without it alone, in the order of the loss.
    pub kept: Vec<(Component, f64)>,
    pub all: usize,
    /// The number with all of them, with none, and with those that are kept.
    pub numbers: [f64; 3],
    /// `(kept - none) / (all - none)`.
    pub faithfulness: f64,
}

/// Takes components out, the least needed first, as long as the number stays as near to what it is as `wanted` says: 1
/// is as with all of them, 0 as with none. What is taken out is as in branch `from`. Two passes for each component.
///
/// # Errors
/// If the number cannot be had, is the same in both branches, or their texts have different lengths.
pub fn circuit(session: &mut Session, expr: &Expr, from: usize, wanted: f64) -> Result<Circuit> {
    attention_everywhere(&session.run.model.spec, "a circuit of heads and MLPs")?;
    if session.run.model.spec.encoder.is_some() {
        return Err(Error::refused(
            "a circuit of heads and MLPs leaves out cross attention and the encoder, which this model has",
        ));
    }
    let (program, row) = (session.run.program.clone(), session.focus.row);
    let mut other = HashMap::new();
    let mut components = Vec::new();
    for layer in 0..program.n_layers() {
        for part in [Part::Z, Part::MlpOut] {
            let Some(op) = program.block_op(layer, part) else { continue };
            let value = row_of(&session.run.value_in(from, Mark { pass: 0, op })?, row)?;
            let heads = if part == Part::Z { (0..value.shape()[2]).map(Some).collect() } else { vec![None] };
            components.extend(heads.into_iter().map(|head| Component { layer, head }));
            other.insert(op, value);
        }
    }
    let mut pass = Counterfactual::new(session, expr)?;
    if other.iter().any(|(op, value)| value.shape() != pass.own(*op).shape()) {
        return Err("the two branches have texts of different lengths".into());
    }
    let here = pass.number(&|_, _| Ok(None))?;
    let none = pass.without(&components, &other)?;
    if (here - none).abs() < 1e-9 {
        return Err("the number is the same without any head and MLP: there is no circuit to find".into());
    }
    let total = 2 * components.len() as u64;
    let mut losses = Vec::with_capacity(components.len());
    for (number, one) in components.iter().enumerate() {
        step("taking out", number as u64, total)?;
        losses.push((*one, here - pass.without(&[*one], &other)?));
    }
    let mut order = losses.clone();
    order.sort_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
    let mut out: Vec<Component> = Vec::new();
    let mut kept_number = here;
    for (number, (one, _)) in order.iter().enumerate() {
        step("taking out", components.len() as u64 + number as u64, total)?;
        let mut tried = out.clone();
        tried.push(*one);
        let left = pass.without(&tried, &other)?;
        // As near above as below: a number that grows is not more faithful.
        if ((left - none) / (here - none) - 1.0).abs() <= 1.0 - wanted {
            (out, kept_number) = (tried, left);
        }
    }
    let mut kept: Vec<(Component, f64)> = losses.into_iter().filter(|(one, _)| !out.contains(one)).collect();
    kept.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    let faithfulness = (kept_number - none) / (here - none);
    Ok(Circuit { kept, all: components.len(), numbers: [here, none, kept_number], faithfulness })
}

/// The number where queries, keys or values of one head read what heads of earlier blocks are in branch `from`, each
/// directly: what is between them stays as it is. By layer, then head; and the number as it is.
///
/// # Errors
/// If the number cannot be had, or the model does not add the output of attention to the stream as it is.
pub fn paths(
    session: &mut Session,
    expr: &Expr,
    from: usize,
    (layer, head, part): (usize, usize, &str),
) -> Result<(Vec<f64>, f64)> {
    let (program, row) = (session.run.program.clone(), session.focus.row);
    let spec = session.run.model.spec.clone();
    if spec.placement.has_post_norms() || spec.placement == Placement::Post {
        return Err(Error::refused(
            "what attention adds passes a norm in this model: it is not added head by head, and has no direct paths",
        ));
    }
    let op_of = |layer: usize, part: Part| {
        program.block_op(layer, part).ok_or_else(|| format!("the model has no {}", part.site(layer)))
    };
    let stream = op_of(layer, Part::ResidPre)?;
    // Query heads share key/value heads.
    let shared = head / (spec.n_heads / spec.kv_heads_of(layer).max(1)).max(1);
    let (receiver, reader) = match part {
        "q" => (op_of(layer, Part::Q)?, head),
        "k" => (op_of(layer, Part::K)?, shared),
        _ => (op_of(layer, Part::V)?, shared),
    };
    let mut theirs = Vec::new();
    for sender in 0..layer {
        let op = op_of(sender, Part::Z)?;
        theirs.push((op, row_of(&session.run.value_in(from, Mark { pass: 0, op })?, row)?));
    }
    let weights = session.run.branch().weights().clone();
    let mut pass = Counterfactual::new(session, expr)?;
    let here = pass.number(&|_, _| Ok(None))?;
    let mut found = Vec::new();
    for (sender, (op, clean)) in theirs.iter().enumerate() {
        step("paths", sender as u64, layer as u64)?;
        let own = pass.own(*op).clone();
        if own.shape() != clean.shape() {
            return Err("the two branches have texts of different lengths".into());
        }
        let results = |z: &Value| head_results(z, &weights, sender);
        let moved = results(clean)?.binary(BinaryOp::Sub, &results(&own)?)?; // [1, T, H, d]
        for which in 0..spec.n_heads {
            let part = moved.slice(&[Slice::All, Slice::All, Slice::At(which)])?.read_f32()?; // [1, T, d]
            let scale = spec.residual.attention as f32;
            let before = pass.own(stream).read_f32()?;
            let sum = before.iter().zip(&part).map(|(x, y)| x + scale * y).collect();
            let changed = Value::from_f32(sum, pass.own(stream).shape(), &pass.own(stream).device());
            // What the receiver reads then, and nothing else of it.
            let values = pass.values(&|op, _| Ok((op == stream).then(|| changed.clone())))?;
            let mixed = with_heads(pass.own(receiver), &values[&receiver], &[reader])?;
            found.push(pass.number(&|op, _| Ok((op == receiver).then(|| mixed.clone())))?);
        }
    }
    Ok((found, here))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Axis, Device};

    const AXES: [Axis; 4] = [Axis::Row, Axis::Pos, Axis::Head, Axis::Dim];

    #[test]
    fn heads_are_exchanged_one_by_one() {
        let of = |from: usize| {
            let data = (0..12).map(|i| (i + from) as f32).collect();
            Value::from_f32(data, &[1, 2, 3, 2], &Device::cpu()).with_axes(&AXES)
        };
        let mixed = with_heads(&of(0), &of(100), &[1]).unwrap().read_f32().unwrap();
        assert_eq!(mixed, [0., 1., 102., 103., 4., 5., 6., 7., 108., 109., 10., 11.]);
    }
}
