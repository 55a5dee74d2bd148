//! Which op introduces a difference, and why?
//!
//! Each op that the other side has a value of is run with the *other side's* inputs: what differs then was introduced here, what does
//! not was inherited. Where the other side lacks an input it is computed from those that it has, so a difference is charged to
//! the stretch of ops between two values that it has. Guesses at the reason are tried: a guess is told only if the op, run as
//! guessed, gives the other side's value.

use super::difference::{Difference, Tolerance, difference};
use crate::debugger::{Mark, Session};
use crate::model::spec::Act;
use crate::program::{Context, Kernel, Op, execute};
use crate::tensor::ops::Slice;
use crate::tensor::{Kind, Value};

/// Relative errors below this are rounding, whatever the others are: sums of some hundred products in f32.
const FLOOR: f64 = 3e-6;

/// An op that errs so many times more than the usual one is no rounding: weights in f16 make all of them err alike.
const ABOVE_USUAL: f64 = 20.0;

/// No number format that is computed with rounds as coarsely as this.
const COARSE: f64 = 1e-2;

/// A guess is right if what it leaves is so much smaller than what was.
const EXPLAINS: f64 = 0.02;

/// What one op introduces.
#[derive(Clone, Debug, PartialEq)]
pub struct Introduced {
    /// The site.
    pub site: String,
    /// Its op.
    pub op: usize,
    /// Root of the mean square of the difference beside that of the other side's value.
    pub relative: f64,
    /// The whole of it.
    pub difference: Difference,
    /// The sites of the other side that it was computed from.
    pub from: Vec<String>,
    /// Whether it is beyond rounding.
    pub culprit: bool,
    /// What explains it, if a guess does.
    pub reason: Option<String>,
}

/// The values of the other side: of an op for the focused row, without the row axis; none if it has none.
pub type Other<'a> = &'a mut dyn FnMut(usize, &[usize]) -> Result<Option<Vec<f64>>, String>;

/// Runs every op of the current pass with the other side's inputs. Results come in program order.
///
/// # Errors
/// In a sentence, if nothing can be compared or the device fails.
pub fn bisect(
    session: &Session,
    other: Other<'_>,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<Vec<Introduced>, String> {
    let run = &session.run;
    if run.pass > 0 {
        return Err("bisect works in the pass of the prompt: go back with \"goto #0\"".into());
    }
    let program = run.program.clone();
    let row = session.focus.row;
    let prompt = run.branch().prompt();
    let alone = prompt.rows.get(row).cloned().ok_or("there is no such row")?;
    let input = prompt.with_rows(&run.model, vec![alone]).map_err(|error| error.to_string())?;
    let context = Context::new(&run.model.spec, &input, 0..input.length(), run.device());
    let weights = run.branch().weights();
    let mut values: Vec<Option<Value>> = vec![None; program.ops.len()];
    let mut origins: Vec<Vec<usize>> = vec![Vec::new(); program.ops.len()];
    let mut found = Vec::new();
    for (number, op) in program.ops.iter().enumerate() {
        progress(&op.site, number as u64, program.ops.len() as u64);
        let inputs: Vec<Value> = op
            .inputs
            .iter()
            .map(|&input| values[input].clone().ok_or("an input is missing"))
            .collect::<Result<_, _>>()?;
        let mut own = execute(op, &inputs, weights, &context);
        // Edits in force are part of what this side computes; those of a batch are for all of its rows.
        for edit in run.branch().edits.iter().filter(|_| prompt.rows.len() == 1) {
            if edit.applies_to(Mark { pass: 0, op: number }) {
                own = edit.change.apply(&own).map_err(|error| error.to_string())?;
            }
        }
        let shape = own.shape()[1..].to_vec();
        let mut from: Vec<usize> = op.inputs.iter().flat_map(|&input| origins[input].clone()).collect();
        from.sort_unstable();
        from.dedup();
        // Token ids and chosen experts are no numbers to be near to: they are computed, from the other side's values.
        let theirs = if own.kind() == Kind::Float { other(number, &shape)? } else { None };
        let Some(theirs) = theirs else {
            values[number] = Some(own);
            origins[number] = from;
            continue;
        };
        let ours = own.read_f64().map_err(|error| error.to_string())?;
        let relative = beside(&ours, &theirs);
        let reason = match relative > FLOOR {
            true => guesses(op, &inputs, weights, &context, (&ours, &theirs), &shape),
            false => None,
        };
        found.push(Introduced {
            site: op.site.clone(),
            op: number,
            relative,
            difference: difference(&ours, &theirs, &shape, Tolerance::default()),
            from: from.iter().map(|&op| program.ops[op].site.clone()).collect(),
            culprit: false,
            reason,
        });
        let mut whole = vec![1];
        whole.extend(&shape);
        let data = theirs.iter().map(|x| *x as f32).collect();
        values[number] = Some(Value::from_f32(data, &whole, run.device()).with_axes(own.axes()));
        origins[number] = vec![number];
    }
    if found.is_empty() {
        return Err("the other side has no site of this model".into());
    }
    // Weights that are stored in fewer bits make every op that reads some err alike.
    let reads_weights = |one: &&Introduced| !program.ops[one.op].weights.is_empty();
    let mut usual: Vec<f64> = found.iter().filter(reads_weights).map(|one| one.relative).collect();
    usual.sort_by(f64::total_cmp);
    let usual = usual.get(usual.len() / 2).copied().unwrap_or(0.0);
    for one in &mut found {
        // Where most ops are wrong the usual one says nothing.
        let usual = if usual > COARSE { 0.0 } else { usual };
        one.culprit = one.relative.is_nan() || one.relative > FLOOR && one.relative > ABOVE_USUAL * usual;
        if !one.culprit {
            one.reason = None;
        }
    }
    Ok(found)
}

/// Root mean square of `a - b` beside that of `b`, over what is finite in both; infinite if other elements are finite.
fn beside(a: &[f64], b: &[f64]) -> f64 {
    let (mut apart, mut size) = (0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        match (x.is_finite(), y.is_finite()) {
            (true, true) => {
                apart += (x - y) * (x - y);
                size += y * y;
            }
            (false, false) => {}
            // A mask in Python is often the least number there is, not minus infinity.
            _ if (*x == f64::NEG_INFINITY && *y < -1e4) || (*y == f64::NEG_INFINITY && *x < -1e4) => {}
            _ => return f64::INFINITY,
        }
    }
    match size {
        _ if apart == 0.0 => 0.0,
        // Beside nothing but zeros the difference itself is what there is to say.
        0.0 => (apart / a.len().max(1) as f64).sqrt(),
        size => (apart / size).sqrt(),
    }
}

/// The first guess that turns ours into theirs.
fn guesses(
    op: &Op,
    inputs: &[Value],
    weights: &crate::model::weights::Weights,
    context: &Context,
    (ours, theirs): (&[f64], &[f64]),
    shape: &[usize],
) -> Option<String> {
    let was = beside(ours, theirs);
    let explains = |guess: &[f64]| beside(guess, theirs) <= (was * EXPLAINS).max(FLOOR);
    let tried = |op: &Op, inputs: &[Value]| -> bool {
        execute(op, inputs, weights, context).read_f64().is_ok_and(|guess| explains(&guess))
    };
    let with = |kernel: Kernel| Op { kernel, ..op.clone() };
    for (kernel, words) in variants(&op.kernel) {
        if tried(&with(kernel), inputs) {
            return Some(words);
        }
    }
    if let (Kernel::Gated(_), [gate, up]) = (&op.kernel, inputs)
        && tried(op, &[up.clone(), gate.clone()])
    {
        return Some("gate and up are swapped".into());
    }
    if op.weights.len() > 1
        && matches!(op.kernel, Kernel::Linear { .. } | Kernel::Output | Kernel::Gain { .. })
        && tried(&Op { weights: op.weights[..1].to_vec(), ..op.clone() }, inputs)
    {
        return Some("the other side adds no bias".into());
    }
    let heads = if op.heads > 1 { op.heads } else { 1 };
    of_data(ours, theirs, shape, heads, &explains)
}

/// A norm with each usual epsilon but its own.
fn epsilons(own: f64, norm: impl Fn(f64) -> Kernel) -> impl Iterator<Item = (Kernel, String)> {
    const USUAL: [f64; 6] = [1e-5, 1e-6, 1e-12, 1e-8, 1e-7, 0.0];
    USUAL.into_iter().filter(move |eps| *eps != own).map(move |eps| (norm(eps), format!("eps is {eps:e} there")))
}

/// Other arithmetic of the same kind.
fn variants(kernel: &Kernel) -> Vec<(Kernel, String)> {
    const ACTS: [Act; 6] = [Act::Gelu, Act::GeluTanh, Act::QuickGelu, Act::Silu, Act::Relu, Act::Relu2];
    match kernel {
        Kernel::LayerNormScale { eps } => {
            let other = (Kernel::RmsScale { eps: *eps }, "the norm is RMS there, without a mean".into());
            epsilons(*eps, |eps| Kernel::LayerNormScale { eps }).chain([other]).collect()
        }
        Kernel::RmsScale { eps } => {
            let other = (Kernel::LayerNormScale { eps: *eps }, "the norm takes the mean off there".into());
            epsilons(*eps, |eps| Kernel::RmsScale { eps }).chain([other]).collect()
        }
        Kernel::LayerNormNormalized => vec![(Kernel::RmsNormalized, "the norm takes no mean off there".into())],
        Kernel::RmsNormalized => vec![(Kernel::LayerNormNormalized, "the norm takes the mean off there".into())],
        Kernel::Gain { one_plus } => {
            let words = if *one_plus { "the gain is w there, not 1 + w" } else { "the gain is 1 + w there" };
            vec![(Kernel::Gain { one_plus: !one_plus }, words.into())]
        }
        Kernel::Activation(act) => {
            let others = ACTS.into_iter().filter(|other| other != act);
            others.map(|act| (Kernel::Activation(act), format!("the activation is {act:?} there"))).collect()
        }
        Kernel::Gated(act) => {
            let others = ACTS.into_iter().filter(|other| other != act);
            others.map(|act| (Kernel::Gated(act), format!("the activation is {act:?} there"))).collect()
        }
        Kernel::Scores { scale, softcap: Some(_), reach } => {
            vec![(Kernel::Scores { scale: *scale, softcap: None, reach: *reach }, "scores are not capped there".into())]
        }
        Kernel::Unembed { project, scale, softcap: Some(_) } => vec![(
            Kernel::Unembed { project: *project, scale: *scale, softcap: None },
            "logits are not capped there".into(),
        )],
        _ => Vec::new(),
    }
}

/// Guesses that the numbers themselves suggest: a factor, a vector added everywhere, heads or features in another order.
fn of_data(
    ours: &[f64],
    theirs: &[f64],
    shape: &[usize],
    heads: usize,
    explains: &dyn Fn(&[f64]) -> bool,
) -> Option<String> {
    let both = |x: &f64, y: &f64| x.is_finite() && y.is_finite();
    let (product, square) = ours
        .iter()
        .zip(theirs)
        .filter(|(x, y)| both(x, y))
        .fold((0.0, 0.0), |(product, square), (x, y)| (product + x * y, square + x * x));
    let factor = product / square;
    if factor.is_finite() && explains(&ours.iter().map(|x| x * factor).collect::<Vec<_>>()) {
        return Some(format!("theirs is {factor:.6} times ours"));
    }
    let width = shape.last().copied().unwrap_or(1).max(1);
    let rows = ours.len() / width;
    if rows > 1 {
        let mut shift = vec![0.0; width];
        for (i, (x, y)) in ours.iter().zip(theirs).enumerate() {
            shift[i % width] += (y - x) / rows as f64;
        }
        if explains(&ours.iter().enumerate().map(|(i, x)| x + shift[i % width]).collect::<Vec<_>>()) {
            return Some("theirs has another bias: the same vector is added at every position".into());
        }
    }
    // Positions shifted by one.
    for (by, words) in [(1, "one position later"), (-1, "one position earlier")] {
        let place = |i: usize| (i as i64 - by * width as i64 * shape.get(1).map_or(1, |_| 1)) as usize;
        if shape.len() == 2 && rows > 2 {
            let guess: Vec<f64> = (0..ours.len()).map(|i| ours.get(place(i)).copied().unwrap_or(theirs[i])).collect();
            if explains(&guess) {
                return Some(format!("theirs is ours {words}"));
            }
        }
    }
    permuted(ours, theirs, shape, heads, explains)
}

/// Whole heads, or halves and neighbours of the last axis, in another order.
fn permuted(
    ours: &[f64],
    theirs: &[f64],
    shape: &[usize],
    heads: usize,
    explains: &dyn Fn(&[f64]) -> bool,
) -> Option<String> {
    let width = shape.last().copied().unwrap_or(1);
    if shape.len() == 3 && heads > 1 && shape[1] == heads {
        // For each of their heads, which of ours is it?
        let head = |data: &[f64], h: usize| -> Vec<f64> {
            data.chunks(heads * width).flat_map(|row| row[h * width..(h + 1) * width].to_vec()).collect()
        };
        let mut order = Vec::new();
        for wanted in 0..heads {
            let target = head(theirs, wanted);
            let best = (0..heads)
                .min_by(|a, b| beside(&head(ours, *a), &target).total_cmp(&beside(&head(ours, *b), &target)))?;
            order.push(best);
        }
        let guess: Vec<f64> = ours
            .chunks(heads * width)
            .flat_map(|row| order.iter().flat_map(|&h| row[h * width..(h + 1) * width].to_vec()).collect::<Vec<_>>())
            .collect();
        if order.iter().enumerate().any(|(at, h)| at != *h) && explains(&guess) {
            return Some(format!("heads stand in another order there: {order:?}"));
        }
    }
    if width.is_multiple_of(2) && width > 2 {
        let half = width / 2;
        let orders: [(&str, Box<dyn Fn(usize) -> usize>); 3] = [
            (
                "pairs stand beside each other there, halves behind each other here",
                Box::new(move |i| i / 2 + i % 2 * half),
            ),
            (
                "halves stand behind each other there, pairs beside each other here",
                Box::new(move |i| i % half * 2 + i / half),
            ),
            ("the two halves are swapped there", Box::new(move |i| (i + half) % width)),
        ];
        for (words, order) in orders {
            let guess: Vec<f64> =
                ours.chunks(width).flat_map(|row| (0..row.len()).map(|i| row[order(i)]).collect::<Vec<_>>()).collect();
            if explains(&guess) {
                return Some(words.to_string());
            }
        }
    }
    None
}

impl Introduced {
    /// The value of the focused row that an op is compared at.
    pub fn of_row(value: &Value, row: usize) -> Result<Vec<f64>, String> {
        value.slice(&[Slice::At(row)]).and_then(|value| value.read_f64()).map_err(|error| error.to_string())
    }
}
