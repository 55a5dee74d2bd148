//! Catching what happens to values: at its producer, with its causes.
//!
//! A catch looks at the value just computed and at what it was computed from; it never stops where something is only passed on.

use super::super::mark::Mark;
use super::super::session::Session;
use super::{Catch, Crossing};
use crate::debugger::Result;
use crate::program::{Kernel, Op};
use crate::tensor::ops::{Reduction, Slice};
use crate::tensor::{Axis, Kind, Value, unravel};

/// What a catch found, as lines; none if nothing happened.
type Found = Result<Option<Vec<String>>>;

/// Inputs and weights that are told of.
const TOLD: usize = 6;

/// What is wrong with a value, as far as catches care.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Health {
    /// NaN elements.
    pub nan: u64,
    /// Infinite elements that no mask explains.
    pub inf: u64,
    /// Largest finite magnitude.
    pub absmax: f64,
    /// Whether all elements are zero.
    pub zero: bool,
}

impl Session {
    /// Where a catch looks, if no location says so.
    pub fn caught_places(&self, catch: &Catch) -> Vec<Crossing> {
        let program = &self.run.program;
        match catch {
            Catch::Token(_) | Catch::Pass => {
                let start = Crossing { position: 0, ..Crossing::after(0) };
                vec![start]
            }
            // Token ids are no values.
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
            Catch::Vanish(_) | Catch::Explode(_) => is_stream(&op.site),
            _ => op.kernel != Kernel::Same,
        }
    }

    /// What a catch finds at the present place, as lines; none if nothing happened.
    ///
    /// # Errors
    /// If the device fails.
    pub(in crate::debugger) fn caught(&mut self, catch: &Catch) -> Found {
        let here = self.run.mark();
        match catch {
            Catch::Token(ids) => return Ok(self.chosen_among(ids)),
            Catch::Pass => return Ok((here.op == 0 && here.pass > 0).then(Vec::new)),
            // These are about gradients, which there are none of going forward.
            Catch::Vanish(_) | Catch::Explode(_) => return Ok(None),
            Catch::Diverge(tolerance) => return self.diverged(here, *tolerance),
            _ => {}
        }
        let Some(op) = here.op.checked_sub(1) else { return Ok(None) };
        let at = Mark { op, ..here };
        let health = self.health(at)?;
        let program = self.run.program.clone();
        let (happened, what): (bool, &str) = match catch {
            Catch::Nan => (health.nan > 0, "NaN"),
            Catch::Inf => (health.inf > 0, "infinite"),
            Catch::Overflow(limit) => (health.absmax >= *limit || health.inf > 0, "too large"),
            Catch::Dead => return self.died(at, &program.ops[op]),
            Catch::NormJump(factor) => return self.jumped(at, &program.ops[op], *factor),
            Catch::Saturated(share) => return self.saturated(at, &program.ops[op], *share),
            Catch::Vanish(_) | Catch::Explode(_) | Catch::Diverge(_) | Catch::Token(_) | Catch::Pass => (false, ""),
        };
        if !happened {
            return Ok(None);
        }
        for input in self.inputs_of(at) {
            let health = self.health(input)?;
            let passed_on = match catch {
                Catch::Nan => health.nan > 0,
                Catch::Inf => health.inf > 0,
                Catch::Overflow(limit) => health.absmax >= *limit || health.inf > 0,
                _ => false,
            };
            if passed_on {
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
    fn diverged(&mut self, here: Mark, tolerance: f64) -> Found {
        let Some(op) = here.op.checked_sub(1) else { return Ok(None) };
        let at = Mark { op, ..here };
        let Some(found) = self.diverges(at, tolerance)? else { return Ok(None) };
        for &input in &self.run.program.ops[op].inputs.clone() {
            if self.diverges(Mark { op: input, ..at }, tolerance)?.is_some() {
                self.passed_on.insert((self.run.current, at));
                return Ok(None);
            }
        }
        let value = self.run.value_at(at)?;
        let mut index = found.difference.at.clone();
        index.insert(0, self.focus.row);
        let place = self.place_name(&value, &index);
        let line = format!(
            "{} has {} where {} is here, at {place}",
            found.name,
            magnitude(found.difference.pair.1),
            magnitude(found.difference.pair.0)
        );
        Ok(Some(vec![line]))
    }

    /// The values that an op reads in a pass, those of the cache in earlier passes included.
    fn inputs_of(&self, at: Mark) -> Vec<Mark> {
        let op = &self.run.program.ops[at.op];
        let passes = |input: &usize| if op.cached.contains(input) { 0..=at.pass } else { at.pass..=at.pass };
        op.inputs.iter().flat_map(|input| passes(input).map(|pass| Mark { pass, op: *input })).collect()
    }

    /// Whether a value of the current branch that is kept holds NaN or infinities that no mask explains; false of one that is not
    /// kept, for which nothing is computed. Remembered until something is changed.
    ///
    /// # Errors
    /// If the device fails.
    pub fn holds_nonfinite(&mut self, at: Mark) -> Result<bool> {
        self.forget_healths();
        let key = (self.run.current, at);
        if let Some(&sound) = self.sound.get(&key) {
            return Ok(!sound);
        }
        let Some(value) = self.run.branch().kept(at).filter(|value| value.kind() == Kind::Float) else {
            return Ok(false);
        };
        let masks = matches!(self.run.program.ops[at.op].kernel, Kernel::Scores { .. });
        let sound = match value.host_f32() {
            Some(data) => data.as_slice().iter().all(|x| x.is_finite() || masks && *x == f32::NEG_INFINITY),
            None => {
                let summary = value.summary()?;
                summary.nan + summary.pos_inf + if masks { 0 } else { summary.neg_inf } == 0
            }
        };
        self.sound.insert(key, sound);
        Ok(!sound)
    }

    fn forget_healths(&mut self) {
        let revision = self.run.revision();
        if self.healths_of != revision {
            self.healths.clear();
            self.sound.clear();
            self.healths_of = revision;
        }
    }

    /// What is wrong with a value; remembered until something is changed.
    fn health(&mut self, at: Mark) -> Result<Health> {
        self.forget_healths();
        let key = (self.run.current, at);
        if let Some(health) = self.healths.get(&key) {
            return Ok(*health);
        }
        let summary = self.run.value_at(at)?.summary()?;
        let masks = matches!(self.run.program.ops[at.op].kernel, Kernel::Scores { .. });
        let inf = summary.pos_inf + if masks { 0 } else { summary.neg_inf };
        let health = Health { nan: summary.nan, inf, absmax: summary.absmax, zero: summary.zeros == summary.count };
        self.healths.insert(key, health);
        Ok(health)
    }

    /// How many elements are bad, and where the first one is.
    fn where_bad(&self, value: &Value, bad: &dyn Fn(f64) -> bool, what: &str) -> Result<String> {
        let data = value.read_f64()?;
        let count = data.iter().filter(|x| bad(**x)).count();
        let first = data.iter().position(|x| bad(*x)).unwrap_or(0);
        let place = self.place_name(value, &unravel(first, value.shape()));
        Ok(format!(
            "{count} of {} elements {} {what}, the first at {place}",
            data.len(),
            if count == 1 { "is" } else { "are" }
        ))
    }

    /// What an op was computed from: the values it read, and its weights.
    fn causes(&mut self, at: Mark, op: &Op, bad: &dyn Fn(f64) -> bool, what: &str) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for &input in op.inputs.iter().take(TOLD) {
            let site = self.run.program.ops[input].site.clone();
            let value = self.run.value_at(Mark { op: input, ..at })?;
            let summary = value.summary()?;
            let masks = matches!(self.run.program.ops[input].kernel, Kernel::Scores { .. });
            let inf = summary.pos_inf + if masks { 0 } else { summary.neg_inf };
            let mut told = Vec::new();
            if summary.nan + inf > 0 {
                let broken = |x: f64| x.is_nan() || x.is_infinite() && !(masks && x < 0.0);
                told.push(self.where_bad(&value, &broken, &broken_words(summary.nan, inf))?);
            }
            // Of nothing but what is not finite there is no largest.
            if summary.nan + summary.pos_inf + summary.neg_inf < summary.count {
                let place = self.place_name(&value, &summary.absmax_index);
                let finite = if told.is_empty() { "" } else { "finite " };
                told.push(format!("largest {finite}magnitude {} at {place}", magnitude(summary.absmax)));
            }
            lines.push(format!("from {site}: {}", told.join("; ")));
        }
        for &id in op.weights.iter().take(TOLD) {
            let Some(weight) = self.run.branch().weights().get(id) else { continue };
            let value = weight.whole()?;
            let data = value.read_f64()?;
            let (nan, inf) = data
                .iter()
                .fold((0, 0), |(nan, inf), x| (nan + u64::from(x.is_nan()), inf + u64::from(x.is_infinite())));
            let worse = |x: f64| if nan + inf > 0 { !x.is_finite() } else { bad(x) };
            let what = if nan + inf > 0 { broken_words(nan, inf) } else { what.to_string() };
            let count = data.iter().filter(|x| worse(**x)).count();
            lines.push(match data.iter().position(|x| worse(*x)) {
                Some(first) => {
                    let at = unravel(first, value.shape());
                    format!(
                        "from weight {id}: {count} of its elements {} {what}, the first at {at:?}",
                        if count == 1 { "is" } else { "are" }
                    )
                }
                None => {
                    let largest = data.iter().fold(0.0f64, |most, x| most.max(x.abs()));
                    format!("from weight {id}: largest magnitude {}", magnitude(largest))
                }
            });
        }
        Ok(lines)
    }

    /// `row 0, head 2, q 3 " to", k 1 " Mary"`: what the place of an element is called.
    fn place_name(&self, value: &Value, index: &[usize]) -> String {
        let rows = self.run.branch().text().rows.len();
        let mut parts = Vec::new();
        for ((axis, &i), start) in value.axes().iter().zip(index).zip(value.origin().unwrap_or(&vec![0; index.len()])) {
            let i = i + start;
            match axis {
                Axis::Row if rows == 1 => {}
                axis if axis.is_position() => {
                    let row = index.first().copied().unwrap_or(0);
                    let id = self.run.branch().text().rows.get(row).and_then(|row| row.ids.get(i));
                    let tokenizer = self.run.model.tokenizer.as_ref();
                    let token = id.zip(tokenizer).map(|(&id, tokenizer)| format!(" {:?}", tokenizer.token_text(id)));
                    parts.push(format!("{axis} {i}{}", token.unwrap_or_default()));
                }
                Axis::None => {}
                axis => parts.push(format!("{axis} {i}")),
            }
        }
        parts.join(", ")
    }

    fn chosen_among(&self, ids: &[u32]) -> Option<Vec<String>> {
        let Mark { pass, op: 0 } = self.run.mark() else { return None };
        let branch = self.run.branch();
        let tokens = &branch.chosen(pass)?.tokens;
        let found: Vec<String> = tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| token.is_some_and(|token| ids.contains(&token)))
            .map(|(row, token)| {
                let id = token.unwrap_or_default();
                let text = self.run.model.tokenizer.as_ref().map_or(id.to_string(), |t| t.token_text(id));
                let of_row = if tokens.len() > 1 { format!(" in row {row}") } else { String::new() };
                format!("token {id} {text:?} was chosen{of_row}")
            })
            .collect();
        (!found.is_empty()).then_some(found)
    }

    /// Zero throughout, or a head that is, though nothing that it is made of is.
    fn died(&mut self, at: Mark, op: &Op) -> Found {
        let inputs = self.inputs_of(at);
        for input in &inputs {
            if self.health(*input)?.zero {
                return Ok(None);
            }
        }
        if self.health(at)?.zero {
            return Ok(Some(vec![format!("{} is zero throughout", op.site)]));
        }
        if matches!(op.kernel, Kernel::Scores { .. } | Kernel::Pattern { .. }) {
            return Ok(None);
        }
        let value = self.run.value_at(at)?;
        let heads = zero_heads(&value)?;
        for input in inputs {
            let value = self.run.value_at(input)?;
            if heads.is_empty() || !zero_heads(&value)?.is_empty() {
                return Ok(None);
            }
        }
        let names: Vec<String> = heads.iter().map(usize::to_string).collect();
        Ok((!heads.is_empty()).then(|| vec![format!("head {} of {} is zero throughout", names.join(", "), op.site)]))
    }

    /// A position whose norm grows by more than a factor over an addition to the residual stream.
    fn jumped(&mut self, at: Mark, op: &Op, factor: f64) -> Found {
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
    fn saturated(&mut self, at: Mark, op: &Op, share: f64) -> Found {
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

/// What elements are that are not finite.
fn broken_words(nan: u64, inf: u64) -> String {
    match (nan, inf) {
        (_, 0) => "NaN".into(),
        (0, _) => "infinite".into(),
        _ => "NaN or infinite".into(),
    }
}

/// Whether a site is the residual stream at the edge of a block.
pub fn is_stream(site: &str) -> bool {
    site == "embed" || site.ends_with(".resid_pre") || site.ends_with(".resid_post")
}

/// The heads of a value that are zero throughout.
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

/// Five digits; with an exponent where there would be many zeros.
fn magnitude(x: f64) -> String {
    match x {
        x if x != 0.0 && !(1e-4..1e6).contains(&x) => format!("{x:.4e}"),
        x => {
            let whole = x.max(1.0).log10() as usize;
            format!("{x:.*}", 4_usize.saturating_sub(whole))
        }
    }
}
