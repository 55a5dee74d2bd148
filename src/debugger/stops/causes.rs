//! Where elements are that a catch is about, and what the op that made them read.

use crate::debugger::{Mark, Result, Session};
use crate::program::{Kernel, Op};
use crate::tensor::{Axis, Value, unravel};

const LISTED: usize = 6;

impl Session {
    /// How many elements are bad, and where the first one is.
    pub(super) fn where_bad(&self, value: &Value, bad: &dyn Fn(f64) -> bool, what: &str) -> Result<String> {
        let data = value.read_f64()?;
        let count = data.iter().filter(|x| bad(**x)).count();
        let first = data.iter().position(|x| bad(*x)).unwrap_or(0);
        let place = self.place_name(value, &unravel(first, value.shape()));
        let are = if count == 1 { "is" } else { "are" };
        Ok(format!("{count} of {} elements {are} {what}, the first at {place}", data.len()))
    }

    /// What an op was computed from: the values it read, and its weights.
    pub(super) fn causes(&mut self, at: Mark, op: &Op, bad: &dyn Fn(f64) -> bool, what: &str) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for &input in op.inputs.iter().take(LISTED) {
            let site = self.run.program.ops[input].site.clone();
            let value = self.run.value_at(Mark { op: input, ..at })?;
            let summary = value.summary()?;
            let masks = matches!(self.run.program.ops[input].kernel, Kernel::Scores { .. });
            let inf = summary.pos_inf + if masks { 0 } else { summary.neg_inf };
            let mut found = Vec::new();
            if summary.nan + inf > 0 {
                let broken = |x: f64| x.is_nan() || x.is_infinite() && !(masks && x < 0.0);
                found.push(self.where_bad(&value, &broken, &broken_words(summary.nan, inf))?);
            }
            // Without a finite element there is no largest magnitude.
            if summary.nan + summary.pos_inf + summary.neg_inf < summary.count {
                let place = self.place_name(&value, &summary.absmax_index);
                let finite = if found.is_empty() { "" } else { "finite " };
                found.push(format!("largest {finite}magnitude {} at {place}", magnitude(summary.absmax)));
            }
            lines.push(format!("from {site}: {}", found.join("; ")));
        }
        for &id in op.weights.iter().take(LISTED) {
            let Some(value) = self.run.branch().weights().whole(id)? else { continue };
            let (data, summary) = (value.read_f64()?, value.summary()?);
            let (nan, inf) = (summary.nan, summary.pos_inf + summary.neg_inf);
            let worse = |x: f64| if nan + inf > 0 { !x.is_finite() } else { bad(x) };
            let what = if nan + inf > 0 { broken_words(nan, inf) } else { what.to_string() };
            let count = data.iter().filter(|x| worse(**x)).count();
            lines.push(match data.iter().position(|x| worse(*x)) {
                Some(first) => {
                    let (are, at) = (if count == 1 { "is" } else { "are" }, unravel(first, value.shape()));
                    format!("from weight {id}: {count} of its elements {are} {what}, the first at {at:?}")
                }
                None => format!("from weight {id}: largest magnitude {}", magnitude(summary.absmax)),
            });
        }
        Ok(lines)
    }

    /// `row 0, head 2, q 3 " to", k 1 " Mary"`: what the place of an element is called.
    pub fn place_name(&self, value: &Value, index: &[usize]) -> String {
        let rows = self.run.branch().text().rows.len();
        let mut parts = Vec::new();
        for ((axis, &i), start) in value.axes().iter().zip(index).zip(value.origin().unwrap_or(&vec![0; index.len()])) {
            let i = i + start;
            match axis {
                Axis::Row if rows == 1 => {}
                axis if axis.is_position() => {
                    let row = index.first().copied().unwrap_or(0);
                    let row = self.run.branch().text().rows.get(row);
                    let ids = match axis.is_source() {
                        true => row.and_then(|row| row.source.as_ref()).map(|source| &source.ids),
                        false => row.map(|row| &row.ids),
                    };
                    let id = ids.and_then(|ids| ids.get(i));
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
}

/// What elements are that are not finite.
fn broken_words(nan: u64, inf: u64) -> String {
    match (nan, inf) {
        (_, 0) => "NaN".into(),
        (0, _) => "infinite".into(),
        _ => "NaN or infinite".into(),
    }
}

/// Five digits; with an exponent where there would be many zeros.
pub(super) fn magnitude(x: f64) -> String {
    match x {
        x if x != 0.0 && !(1e-4..1e6).contains(&x) => format!("{x:.4e}"),
        x => {
            let whole = x.max(1.0).log10() as usize;
            format!("{x:.*}", 4_usize.saturating_sub(whole))
        }
    }
}
