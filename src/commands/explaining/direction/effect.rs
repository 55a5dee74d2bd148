//! Steering along a direction and erasing it, and what that changes besides.

use super::made::refuse;
use super::texts::{changed, vectors};
use crate::analysis::directions::{Eraser, Method, Sample, Spread, accuracy, leace, orthogonal, shuffled};
use crate::answer::{Answer, Cell, Table};
use crate::commands::frame::{Done, Options, mistake, number};
use crate::commands::state::Console;
use crate::debugger::directions::{Direction, Place, Reading};
use crate::debugger::{Change, Edit, Error, Mark, Result, RunScope, Session, Target};
use crate::lang::eval::{self, Datum, evaluate};
use crate::lang::words::Word;
use crate::lang::{Expr, parse_expr};
use crate::model::site_name;
use crate::tensor::ops::{BinaryOp, Slice};
use crate::tensor::{Value, step};

/// Orders of the labels that a direction fitted again is compared with.
const SHUFFLES: usize = 20;

/// Options that belong to the making of a direction.
pub const OF_MAKING: [&str; 9] =
    ["-site", "-vector", "-method", "-c", "-pos", "-held-out", "-shuffles", "-seed", "-as-made"];

/// `direction steer NAME [SCALE] [-metric EXPR]`.
pub fn steer(console: &mut Console, given: &Options, name: &Word, scale: Option<&Word>, line: &str) -> Done {
    let usage = "direction steer NAME 4 -metric loss";
    refuse(given, &OF_MAKING, usage)?;
    refuse(given, &["-orthogonal"], usage)?;
    let direction = console.direction(name)?;
    let scale = scale.map_or(Ok(1.0), |word| number(word, |x| x.is_finite(), "scale: a number"))?;
    let edits = direction.places.iter().map(|place| {
        let op = console.op_of_place(place)?;
        // In 32 bits, as `steer SITE $NAME * SCALE` multiplies.
        let scaled: Vec<f64> = place.vector.iter().map(|x| f64::from(*x as f32 * scale as f32)).collect();
        let patch = console.vector(&scaled, op);
        let change = Change::Assign { slices: vec![Slice::All], op: Some(BinaryOp::Add), patch };
        Ok(edit(op, change, line))
    });
    let edits = edits.collect::<Result<Vec<Edit>>>()?;
    made(console, &direction, edits, given)
}

/// `direction erase NAME [-orthogonal] [-metric EXPR]`.
pub fn erase(console: &mut Console, given: &Options, name: &Word, line: &str) -> Done {
    refuse(given, &OF_MAKING, "direction erase NAME -metric loss")?;
    let direction = console.direction(name)?;
    let along = given.has("-orthogonal");
    if direction.texts.is_none() && !along {
        let message = "LEACE needs the texts that a direction was made of, and this one was made of none";
        return Err(mistake(
            message,
            name.span,
            "direction erase NAME -orthogonal takes away the part along the vector",
        ));
    }
    let mut edits: Vec<Edit> = Vec::new();
    for (done, place) in direction.places.iter().enumerate() {
        step("erasing", done as u64, direction.places.len() as u64)?;
        let op = console.op_of_place(place)?;
        // What was erased before is not there any more: each site is fitted after the ones before it.
        let sample = match &direction.texts {
            Some(texts) => {
                let of = [&texts.fitted[0][..], &texts.fitted[1][..]];
                Some(console.samples(of, &[op], texts.reading, &edits)?.swap_remove(0))
            }
            None => None,
        };
        let eraser = match (sample, along) {
            (Some(sample), false) => leace(&sample).map_err(|error| error.about(&place.site))?,
            (sample, _) => {
                let centre = sample.map_or_else(|| vec![0.0; place.vector.len()], |sample| mean(&sample));
                orthogonal(&place.vector, centre)
            }
        };
        edits.push(edit(op, console.projection(&eraser, op), line));
    }
    made(console, &direction, edits, given)
}

fn mean(sample: &Sample) -> Vec<f64> {
    let count = sample.x.len() as f64;
    (0..sample.x[0].len()).map(|j| sample.x.iter().map(|x| x[j]).sum::<f64>() / count).collect()
}

pub fn edit(op: usize, change: Change, line: &str) -> Edit {
    Edit { from: Mark { pass: 0, op }, target: Target::Op(op), change, lasting: true, text: line.to_string() }
}

/// Measures what edits change, then makes them.
pub fn made(console: &mut Console, direction: &Direction, edits: Vec<Edit>, given: &Options) -> Done {
    let mut table = console.effect(direction, &edits, given.expr("-metric")?)?;
    let pass = console.session.run.pass;
    let here = edits.into_iter().map(|edit| Edit { from: Mark { pass, ..edit.from }, ..edit }).collect();
    if let Answer::Text(text) = console.apply(here)? {
        table.title = format!("{text}\n{}", table.title);
    }
    Ok(table.into())
}

/// What is looked at in a text besides the vectors.
struct Outcome {
    /// Natural logarithms of the probabilities of the next token; `None` of a model that predicts none.
    logprobs: Option<Vec<f64>>,
    loss: Option<f64>,
}

fn outcome(session: &mut Session) -> Result<Outcome> {
    if !session.run.generates() {
        return Ok(Outcome { logprobs: None, loss: None });
    }
    let tokens = session.focused_row().map_or(0, |row| row.mask.iter().filter(|real| **real).count());
    let logprobs = match evaluate(&parse_expr("logprob", 0)?, &mut RunScope::new(session))? {
        Datum::Tensor(value) => Some(value.read_f64()?),
        _ => None,
    };
    let loss = parse_expr("loss", 0)?;
    let loss = (tokens > 1).then(|| eval::number(&loss, &mut RunScope::new(session))).transpose()?;
    Ok(Outcome { logprobs, loss })
}

/// `KL(before || after)` in nats.
fn divergence(before: &[f64], after: &[f64]) -> f64 {
    before.iter().zip(after).filter(|(p, _)| p.is_finite()).map(|(p, q)| p.exp() * (p - q)).sum()
}

/// Means over texts, before and after.
#[derive(Default)]
struct Means {
    texts: f64,
    loss: (f64, f64, f64),
    moved: (f64, f64),
}

impl Means {
    fn add(&mut self, before: &Outcome, after: &Outcome) {
        self.texts += 1.0;
        if let (Some(before), Some(after)) = (before.loss, after.loss) {
            self.loss = (self.loss.0 + before, self.loss.1 + after, self.loss.2 + 1.0);
        }
        if let (Some(before), Some(after)) = (&before.logprobs, &after.logprobs) {
            self.moved = (self.moved.0 + divergence(before, after), self.moved.1 + 1.0);
        }
    }

    fn rows(&self, table: &mut Table) {
        if self.loss.2 > 0.0 {
            table.push(("loss", self.loss.0 / self.loss.2, self.loss.1 / self.loss.2, Cell::Empty));
        }
        if self.moved.1 > 0.0 {
            let moved = self.moved.0 / self.moved.1;
            table.push(("divergence of the next token (KL, nats)", Cell::Empty, moved, Cell::Empty));
        }
    }
}

impl Console {
    pub(super) fn op_of_place(&self, place: &Place) -> Result<usize> {
        let op = self.session.run.program.op_of(&place.site);
        op.ok_or_else(|| Error::refused(format!("{} is not a site any more", place.site)))
    }

    /// `[d]`, on the device of an op.
    pub(super) fn vector(&self, numbers: &[f64], op: usize) -> Value {
        let data = numbers.iter().map(|x| *x as f32).collect();
        Value::from_f32(data, &[numbers.len()], self.session.run.device_of(op))
    }

    fn projection(&self, eraser: &Eraser, op: usize) -> Change {
        let (d, r) = (eraser.centre.len(), eraser.left.len());
        let device = self.session.run.device_of(op);
        let left = eraser.left.iter().flatten().map(|x| *x as f32).collect();
        let right = (0..d * r).map(|i| eraser.right[i % r][i / r] as f32).collect();
        Change::Project {
            centre: self.vector(&eraser.centre, op),
            right: Value::from_f32(right, &[d, r], device), // [d, r]
            left: Value::from_f32(left, &[r, d], device),   // [r, d]
        }
    }

    /// What edits change: how well the direction and one fitted again tell its held-out texts apart, the same of all other
    /// directions at the sites that the edits reach, the loss and the predictions of these texts, and a number of the current one.
    fn effect(&mut self, direction: &Direction, edits: &[Edit], metric: Option<(Expr, &str)>) -> Result<Table> {
        let mut table = Table::new(["", "Before", "After", "Shuffled labels"]);
        let first = edits.iter().map(|edit| edit.from.op).min().unwrap_or(0);
        let mut over = "the current text".to_string();
        let mut means = Means::default();
        if let Some(texts) = &direction.texts {
            self.accuracies(direction, edits, &mut table)?;
            let all = texts.held_out.concat();
            over = format!("{} held-out texts", all.len());
            for (done, text) in all.iter().enumerate() {
                step("measuring", done as u64, all.len() as u64)?;
                let mut session = self.on_text(text)?;
                let before = outcome(&mut session)?;
                changed(&mut session, edits)?;
                means.add(&before, &outcome(&mut session)?);
            }
        }
        let others: Vec<Direction> =
            self.session.directions.iter().filter(|other| other.name != direction.name).cloned().collect();
        for other in &others {
            let reached = |place: &&Place| self.op_of_place(place).is_ok_and(|op| op >= first);
            let places = other.places.iter().filter(reached).cloned().collect();
            self.held(&Direction { places, ..other.clone() }, edits, &mut table)?;
        }
        if direction.texts.is_none() {
            self.here(direction, edits, &mut means, &mut table)?;
        }
        means.rows(&mut table);
        if let Some((expr, text)) = metric {
            let mut session = self.on_prompt()?;
            let mut numbers = Vec::new();
            for edits in [&[][..], edits] {
                changed(&mut session, edits)?;
                numbers.push(eval::number(&expr, &mut RunScope::new(&mut session))?);
            }
            table.push((format!("{text} of the current prompt"), numbers[0], numbers[1], Cell::Empty));
        }
        Ok(table.title(format!("what changes, measured over {over}")))
    }

    /// A session on the prompt of the focused row.
    fn on_prompt(&self) -> Result<Session> {
        let run = &self.session.run;
        let prompt = run.branch().prompt();
        let row = prompt.rows.get(self.session.focus.row).cloned().ok_or("there is no text")?;
        let mut other = run.with_prompts(&[prompt.with_rows(&run.model, vec![row])?], true)?;
        let end = other.end_of(0);
        other.jump(0, end)?;
        let mut session = Session::from_run(other, self.session.interrupt.clone());
        session.focus.pos = self.session.focus.pos;
        Ok(session)
    }

    /// A direction without texts: how far the current prompt lies along it.
    fn here(&self, direction: &Direction, edits: &[Edit], means: &mut Means, table: &mut Table) -> Result<()> {
        let ops = direction.places.iter().map(|place| self.op_of_place(place)).collect::<Result<Vec<usize>>>()?;
        let mut session = self.on_prompt()?;
        let before = (vectors(&mut session, &ops, Reading::Last)?, outcome(&mut session)?);
        changed(&mut session, edits)?;
        let after = (vectors(&mut session, &ops, Reading::Last)?, outcome(&mut session)?);
        for (place, (before, after)) in direction.places.iter().zip(before.0.iter().zip(&after.0)) {
            let along = |x: &[Vec<f64>]| place.along(&x[0]) / place.norm();
            let what = format!("along ${} at {}, last token", direction.name, site_name::short(&place.site));
            table.push((what, along(before), along(after), Cell::Empty));
        }
        means.add(&before.1, &after.1);
        Ok(())
    }

    /// How well a direction tells its held-out texts apart: rows of a table.
    fn held(&self, direction: &Direction, edits: &[Edit], table: &mut Table) -> Result<()> {
        let Some(texts) = &direction.texts else { return Ok(()) };
        let ops = direction.places.iter().map(|place| self.op_of_place(place)).collect::<Result<Vec<usize>>>()?;
        if ops.is_empty() {
            return Ok(());
        }
        let held_out = [&texts.held_out[0][..], &texts.held_out[1][..]];
        let before = self.samples(held_out, &ops, texts.reading, &[])?;
        let after = self.samples(held_out, &ops, texts.reading, edits)?;
        for (place, (before, after)) in direction.places.iter().zip(before.iter().zip(&after)) {
            let Some(probe) = &place.probe else { continue };
            let fitted = crate::analysis::directions::Fitted { vector: place.vector.clone(), offset: probe.offset };
            let what = format!("accuracy of ${} at {}", direction.name, site_name::short(&place.site));
            table.push((what, accuracy(&fitted, before), accuracy(&fitted, after), Cell::Empty));
        }
        Ok(())
    }

    /// The same, and of a logistic regression fitted again to the texts that the direction was made of.
    fn accuracies(&self, direction: &Direction, edits: &[Edit], table: &mut Table) -> Result<()> {
        let Some(texts) = &direction.texts else { return Ok(()) };
        self.held(direction, edits, table)?;
        let ops = direction.places.iter().map(|place| self.op_of_place(place)).collect::<Result<Vec<usize>>>()?;
        let kinds =
            |all: &[Vec<String>; 2], edits: &[Edit]| self.samples([&all[0], &all[1]], &ops, texts.reading, edits);
        let before = (kinds(&texts.fitted, &[])?, kinds(&texts.held_out, &[])?);
        let after = (kinds(&texts.fitted, edits)?, kinds(&texts.held_out, edits)?);
        let method = Method::Logistic { c: 1.0 };
        for (at, place) in direction.places.iter().enumerate() {
            let fit = |fitted: &Sample, held: &Sample| -> Result<(f64, Spread)> {
                let spread = Spread::of(fitted)?;
                Ok((accuracy(&spread.fit(&fitted.first, method)?, held), spread))
            };
            let (was, _) = fit(&before.0[at], &before.1[at])?;
            let (is, spread) = fit(&after.0[at], &after.1[at])?;
            let by_chance = shuffled(&spread, &after.0[at].first, (method, &after.1[at]), (SHUFFLES, 0))?;
            let chance = by_chance.iter().sum::<f64>() / by_chance.len() as f64;
            let what = format!("accuracy of a logistic regression fitted again at {}", site_name::short(&place.site));
            table.push((what, was, is, chance));
        }
        Ok(())
    }
}
