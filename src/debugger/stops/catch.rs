//! Catching what happens to values: at its producer, with its causes.
//!
//! A catch looks at the value just computed and at what it was computed from; it never stops where something is only
//! passed on.

use super::causes::magnitude;
use super::health::Health;
use super::{Catch, Crossing};
use crate::debugger::{Mark, Result, Session};
use crate::program::{Kernel, Op};
use crate::tensor::ops::{Reduction, Slice};
use crate::tensor::{Axis, Value, unravel};

/// The lines that say what a catch found; `None` if nothing happened.
type Lines = Result<Option<Vec<String>>>;

impl Session {
    /// Where a catch looks, if no location says so.
    pub fn caught_places(&self, catch: &Catch) -> Vec<Crossing> {
        let program = &self.run.program;
        match catch {
            Catch::Token(_) | Catch::Pass => {
                vec![Crossing { position: 0, ..Crossing::after(0) }]
            }
            // Token ids are not values.
            _ => (1..program.ops.len()).filter(|&op| self.can_happen(catch, op)).map(Crossing::after).collect(),
        }
    }

    /// Whether a catch can say anything about the output of an op.
    pub fn can_happen(&self, catch: &Catch, op: usize) -> bool {
        let op = &self.run.program.ops[op];
        // Another name for a value would only say the same again.
        match catch {
            Catch::Token(_) | Catch::Pass => false,
            Catch::NormJump(_) => op.kernel == Kernel::Add && op.inputs.len() > 1 && op.layer.is_some(),
            Catch::Saturated(_) => matches!(op.kernel, Kernel::Pattern { .. }) || op.site == "pooler.out",
            Catch::Vanish(_) | Catch::Explode(_) => op.is_stream(),
            _ => !matches!(op.kernel, Kernel::Same | Kernel::Tokens),
        }
    }

    /// What a catch finds at the present place, as lines; none if nothing happened.
    pub(in crate::debugger) fn caught(&mut self, catch: &Catch) -> Lines {
        let here = self.run.mark();
        match catch {
            Catch::Token(ids) => return Ok(self.chosen_among(ids)),
            Catch::Pass => return Ok((here.op == 0 && here.pass > 0).then(Vec::new)),
            _ => {}
        }
        let Some(op) = here.op.checked_sub(1) else { return Ok(None) };
        let at = Mark { op, ..here };
        let program = self.run.program.clone();
        let what = match catch {
            Catch::Nan => "NaN",
            Catch::Inf => "infinite",
            Catch::Overflow(_) => "too large",
            Catch::Diverge(tolerance) => return self.diverged(at, *tolerance),
            Catch::Dead => return self.died(at, &program.ops[op]),
            Catch::NormJump(factor) => return self.jumped(at, &program.ops[op], *factor),
            Catch::Saturated(share) => return self.saturated(at, &program.ops[op], *share),
            // Going forward there are no gradients; the others have been looked at.
            Catch::Vanish(_) | Catch::Explode(_) | Catch::Token(_) | Catch::Pass => return Ok(None),
        };
        let has = |health: Health| match catch {
            Catch::Nan => health.nan > 0,
            Catch::Inf => health.inf > 0,
            Catch::Overflow(limit) => health.absmax >= *limit || health.inf > 0,
            _ => false,
        };
        if !has(self.health(at)?) {
            return Ok(None);
        }
        for input in self.inputs_of(at) {
            if has(self.health(input)?) {
                self.passed_on.insert((self.run.current, at));
                return Ok(None);
            }
        }
        let bad = |x: f64| match catch {
            Catch::Nan => x.is_nan(),
            Catch::Inf => x.is_infinite(),
            Catch::Overflow(limit) => x.abs() >= *limit,
            _ => false,
        };
        let value = self.run.value_at(at)?;
        let mut lines = vec![self.where_bad(&value, &bad, what)?];
        lines.extend(self.causes(at, &program.ops[op], &bad, what)?);
        Ok(Some(lines))
    }

    /// Where an op makes a difference to the other side: nothing that it reads has one.
    fn diverged(&mut self, at: Mark, tolerance: f64) -> Lines {
        let Some(found) = self.diverges(at, tolerance)? else { return Ok(None) };
        for &input in &self.run.program.ops[at.op].inputs.clone() {
            if self.diverges(Mark { op: input, ..at }, tolerance)?.is_some() {
                self.passed_on.insert((self.run.current, at));
                return Ok(None);
            }
        }
        let value = self.run.value_at(at)?;
        let mut index = found.difference.at.clone();
        index.insert(0, self.focus.row);
        let place = self.place_name(&value, &index);
        let (name, (ours, theirs)) = (&found.name, found.difference.pair);
        let (ours, theirs) = (magnitude(ours), magnitude(theirs));
        Ok(Some(vec![format!("{name} has {theirs} where {ours} is here, at {place}")]))
    }

    /// The values that an op reads in a pass, those of the cache in earlier passes included.
    fn inputs_of(&self, at: Mark) -> Vec<Mark> {
        let op = &self.run.program.ops[at.op];
        let passes = |input: &usize| if op.cached.contains(input) { 0..=at.pass } else { at.pass..=at.pass };
        op.inputs.iter().flat_map(|input| passes(input).map(|pass| Mark { pass, op: *input })).collect()
    }

    fn chosen_among(&self, ids: &[u32]) -> Option<Vec<String>> {
        let Mark { pass, op: 0 } = self.run.mark() else { return None };
        let branch = self.run.branch();
        let tokens = &branch.chosen(pass)?.tokens;
        let words = |(row, token): (usize, &Option<u32>)| {
            let id = token.filter(|token| ids.contains(token))?;
            let text = self.run.model.tokenizer.as_ref().map_or(id.to_string(), |t| t.token_text(id));
            let of_row = if tokens.len() > 1 { format!(" in row {row}") } else { String::new() };
            Some(format!("token {id} {text:?} was chosen{of_row}"))
        };
        let found: Vec<String> = tokens.iter().enumerate().filter_map(words).collect();
        (!found.is_empty()).then_some(found)
    }

    /// Zero throughout, or a head that is, though nothing that it is made of is.
    fn died(&mut self, at: Mark, op: &Op) -> Lines {
        let whole = self.health(at)?.zero;
        let heads = match whole || matches!(op.kernel, Kernel::Scores { .. } | Kernel::Pattern { .. }) {
            true => Vec::new(),
            false => zero_heads(&self.run.value_at(at)?)?,
        };
        if !whole && heads.is_empty() {
            return Ok(None);
        }
        // Only now, as attention reads the values of all passes.
        for input in self.inputs_of(at) {
            if self.health(input)?.zero || !whole && !zero_heads(&self.run.value_at(input)?)?.is_empty() {
                return Ok(None);
            }
        }
        let names: Vec<String> = heads.iter().map(usize::to_string).collect();
        let what = if whole { op.site.clone() } else { format!("head {} of {}", names.join(", "), op.site) };
        Ok(Some(vec![format!("{what} is zero throughout")]))
    }

    /// A position whose norm grows by more than a factor over an addition to the residual stream.
    fn jumped(&mut self, at: Mark, op: &Op, factor: f64) -> Lines {
        let after = self.run.value_at(at)?;
        let before = self.run.value_at(Mark { op: op.inputs[0], ..at })?;
        let norms = |value: &Value| value.reduce_axis(Reduction::Norm, value.shape().len() - 1)?.read_f64();
        let (after_norms, before_norms) = (norms(&after)?, norms(&before)?);
        let ratios = after_norms.iter().zip(&before_norms).map(|(a, b)| a / b.max(f64::MIN_POSITIVE));
        let largest = ratios.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((i, ratio)) = largest.filter(|(_, ratio)| *ratio > factor) else { return Ok(None) };
        let mut index = unravel(i, &after.shape()[..after.shape().len() - 1]);
        index.push(0);
        let place = self.place_name(&after, &index);
        let place = place.rsplit_once(", ").map_or(place.as_str(), |(place, _)| place);
        Ok(Some(vec![format!(
            "the norm grows {ratio:.1} times at {place}: from {:.4} to {:.4}",
            before_norms[i], after_norms[i]
        )]))
    }

    /// A head that looks at one key from every query that sees several, or a tanh at its ends.
    fn saturated(&mut self, at: Mark, op: &Op, share: f64) -> Lines {
        let value = self.run.value_at(at)?;
        if !matches!(op.kernel, Kernel::Pattern { .. }) {
            let data = value.read_f64()?;
            let near = data.iter().filter(|x| x.abs() >= share).count();
            let most = near as f64 >= share * data.len() as f64;
            return Ok(most.then(|| vec![format!("{near} of {} outputs are at least {share} from zero", data.len())]));
        }
        let [rows, heads, queries, _] = *value.shape() else { return Ok(None) };
        let start = self.run.branch().span(at.pass).start;
        let most = value.reduce_axis(Reduction::Max, 3)?.read_f64()?; // [B, H, Q]
        let mut found = Vec::new();
        for row in 0..rows {
            let mask = &self.run.branch().text().rows[row].mask;
            let sees =
                |query: &usize| mask[start + query] && mask[..start + query].iter().filter(|real| **real).count() > 0;
            let seeing: Vec<usize> = (0..queries).filter(sees).collect();
            for head in 0..heads {
                let of = |query: &usize| most[(row * heads + head) * queries + query];
                if seeing.len() > 1 && seeing.iter().all(|query| of(query) >= share) {
                    let of_row = if rows > 1 { format!(" in row {row}") } else { String::new() };
                    found.push(format!(
                        "head {head}{of_row} gives at least {share} of its attention to one key from every query"
                    ));
                }
            }
        }
        Ok((!found.is_empty()).then_some(found))
    }
}

fn zero_heads(value: &Value) -> Result<Vec<usize>> {
    let Some(axis) = value.axes().iter().position(|axis| *axis == Axis::Head) else { return Ok(Vec::new()) };
    let mut zero = Vec::new();
    for head in 0..value.shape()[axis] {
        let mut slices = vec![Slice::All; axis];
        slices.push(Slice::At(head));
        let summary = value.slice(&slices)?.summary()?;
        if summary.zeros == summary.count {
            zero.push(head);
        }
    }
    Ok(zero)
}
