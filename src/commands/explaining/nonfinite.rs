//! `why nan`: the first op that makes a NaN or an infinity, down to the product, the weight and its bytes in the file.

use crate::analysis::nonfinite::{Cause, Origin, Stored, Term, origin};
use crate::answer::Answer;
use crate::answer::numbers::significant;
use crate::commands::frame::Done;
use crate::commands::state::Console;
use crate::model::site_name;

/// Digits of the numbers that are named.
const DIGITS: usize = 6;

pub fn why_nan(console: &mut Console) -> Done {
    let Some(found) = origin(&mut console.session)? else {
        let reached = console.session.run.mark();
        return Ok(Answer::Text(format!("All values up to op {} of pass {} are finite.", reached.op, reached.pass)));
    };
    let ops = console.session.run.program.ops.clone();
    let site = &ops[found.at.op].site;
    let Origin { value, index, element, count, .. } = &found;
    let place = console.session.place_name(value, index);
    let all: usize = value.shape().iter().product();
    let mut lines = vec![
        format!(
            "{site} of pass {} is the first op with an element that is not finite: {count} of {all}",
            found.at.pass
        ),
        format!("{} at {place}", number(*element)),
    ];
    match &found.cause {
        Cause::Weight { id, index, element, stored } => {
            lines.push(format!("because weight {id} is {} at {index:?}", number(*element)));
            lines.push(match stored {
                Some(stored) => in_file(stored),
                None => "It is finite in the file: an edit or an adapter of this session made it so.".into(),
            });
        }
        Cause::Sum { of, weight, sum, largest } => {
            let beyond = match sum.abs() > *largest {
                true => format!("{} in 64 bits, beyond the largest number here, {}", number(*sum), number(*largest)),
                false => format!("{} in 64 bits, but a part of the sum is beyond {}", number(*sum), number(*largest)),
            };
            lines.push(format!("the sum of its products with {weight} is {beyond}; the largest are"));
            let input = site_name::short(&ops[ops[found.at.op].inputs[0]].site);
            lines.extend(of.iter().map(|term| product(term, &input)));
        }
        Cause::Op { read } => {
            for (op, x) in read {
                lines.push(format!("computed from {} = {}", ops[*op].site, number(*x)));
            }
        }
    }
    Ok(Answer::Text(lines.join("\n")))
}

fn number(x: f64) -> String {
    match x {
        x if x.is_nan() => "NaN".into(),
        x if x.is_infinite() => if x > 0.0 { "inf" } else { "-inf" }.into(),
        x => significant(x, DIGITS),
    }
}

fn product(term: &Term, input: &str) -> String {
    let Term { feature, input: x, weight } = term;
    format!("  {input}[{feature}] = {} times {} = {}", number(*x), number(*weight), number(x * weight))
}

fn in_file(stored: &Stored) -> String {
    let Stored { tensor, index, file, byte } = stored;
    let byte = byte.map(|byte| format!(", byte {byte}")).unwrap_or_default();
    format!("as it is stored: {tensor} {index:?} in {file}{byte}")
}
