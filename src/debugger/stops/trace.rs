//! Counting and printing without stopping.

use super::{Crossing, Keep, Kind};
use crate::debugger::{Result, RunScope, Session};
use crate::lang::eval::{self, Datum};
use crate::lang::{Expr, LangError, Span, explained};

/// Bins of a histogram to either side of zero: powers of two from 2^-16 to 2^16 and beyond.
const SIDE: usize = 34;

#[derive(Clone, Debug, PartialEq)]
pub enum Tally {
    Crossed,
    Number(f64),
    /// How many elements were in each bin of [`Tally::bin`], and how many were NaN.
    Bins(Vec<u64>, u64),
}

impl Tally {
    pub const BINS: usize = 2 * SIDE + 1;

    /// The bin of a number: the middle one is zero, and each of the others spans a power of two.
    pub fn bin(x: f64) -> usize {
        if x == 0.0 {
            return SIDE;
        }
        let power = if x.is_infinite() { SIDE as i64 - 1 } else { x.abs().log2().floor() as i64 + 17 };
        let power = power.clamp(0, SIDE as i64 - 1) as usize;
        if x > 0.0 { SIDE + 1 + power } else { SIDE - 1 - power }
    }

    /// The numbers of a bin: from, and up to but without.
    pub fn range(bin: usize) -> (f64, f64) {
        let side = |power: usize| {
            let from = if power == 0 { 0.0 } else { 2f64.powi(power as i32 - 17) };
            let to = if power == SIDE - 1 { f64::INFINITY } else { 2f64.powi(power as i32 - 16) };
            (from, to)
        };
        match bin {
            SIDE => (0.0, 0.0),
            bin if bin > SIDE => side(bin - SIDE - 1),
            bin => {
                let (from, to) = side(SIDE - 1 - bin);
                (-to, -from)
            }
        }
    }
}

impl Session {
    /// Keeps or prints what a trace or dprintf asks for at the present place.
    ///
    /// # Errors
    /// In the words of the line that set it, with a caret.
    pub(in crate::debugger) fn note(&mut self, number: usize, crossing: &Crossing) -> Result<()> {
        let row = crossing.row.map(|row| self.row(row));
        let Some(point) = self.stops.get(number) else { return Ok(()) };
        // What a trace has kept grows with every crossing, and is left where it is.
        match &point.kind {
            Kind::Trace(trace) => {
                let (keep, text) = (trace.keep.clone(), trace.text.clone());
                let mut scope = RunScope::at_stop(self, crossing.head, row);
                let tally = match &keep {
                    Keep::Count => Ok(Tally::Crossed),
                    Keep::Number(expr) => eval::number(expr, &mut scope).map(Tally::Number),
                    Keep::Histogram(expr) => eval::evaluate(expr, &mut scope).and_then(|datum| bins(&datum, expr.span)),
                };
                let tally = tally.map_err(|error| explained(&text, &error))?;
                let place = (self.run.current, self.run.mark());
                if let Some(Kind::Trace(trace)) = self.stops.get_mut(number).map(|point| &mut point.kind) {
                    trace.seen.insert(place, tally);
                }
            }
            Kind::Print(print) => {
                let print = print.clone();
                let line =
                    self.printed_line(&print.args, crossing, row).map_err(|error| explained(&print.text, &error))?;
                self.printed.push(line);
            }
            _ => {}
        }
        Ok(())
    }

    fn printed_line(&mut self, args: &[Expr], crossing: &Crossing, row: Option<usize>) -> Result<String, LangError> {
        let mut scope = RunScope::at_stop(self, crossing.head, row);
        let Some((first, rest)) = args.split_first() else { return Ok(String::new()) };
        let template = match eval::evaluate(first, &mut scope)? {
            Datum::Str(template) => template,
            other => {
                let message = format!("the format must be a string, found {}", other.described());
                return Err(LangError::new(message, first.span));
            }
        };
        let values = rest.iter().map(|expr| Ok((eval::evaluate(expr, &mut scope)?, expr.span)));
        let values = values.collect::<Result<Vec<_>, LangError>>()?;
        let text = eval::format(&template, first.span, &values)?;
        Ok(text.strip_suffix('\n').unwrap_or(&text).to_string())
    }
}

fn bins(datum: &Datum, span: Span) -> Result<Tally, LangError> {
    let numbers = match datum {
        Datum::Tensor(value) => value.read_f64().map_err(|error| LangError::because(error, span))?,
        datum => vec![datum.number(span)?],
    };
    let mut bins = vec![0; Tally::BINS];
    let mut nan = 0;
    for x in numbers {
        match x.is_nan() {
            true => nan += 1,
            false => bins[Tally::bin(x)] += 1,
        }
    }
    Ok(Tally::Bins(bins, nan))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_in_the_range_of_its_bin() {
        for x in [0.0, 1.0, 1.5, 2.0, -1.0, -0.3, 1e-9, -1e-9, 1e9, -1e9, f64::INFINITY, f64::NEG_INFINITY, 65504.0] {
            let (from, to) = Tally::range(Tally::bin(x));
            let inside = match x {
                0.0 => from == 0.0 && to == 0.0,
                x if x > 0.0 => from <= x && (x < to || x.is_infinite()),
                x => from < x && x <= to || x.is_infinite() && from.is_infinite(),
            };
            assert!(inside, "{x}: {from} to {to}");
        }
        let edges: Vec<(f64, f64)> = (0..Tally::BINS).map(Tally::range).collect();
        assert!(edges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{edges:?}");
    }
}
