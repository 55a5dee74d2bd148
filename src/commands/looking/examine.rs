//! `x`: raw elements, some at a time.

use crate::answer::{Answer, Style, numbers};
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console, Dump};
use crate::debugger::Error;
use crate::lang::LangError;
use crate::lang::command::parse_format;
use crate::lang::eval::Datum;
use crate::tensor::ops::Slice;
use crate::tensor::unravel;

const COUNT: usize = 16;
const PER_LINE: usize = 8;

/// `x/NF EXPR` dumps the first N elements; `x` alone goes on.
pub fn examine(console: &mut Console, call: Call<'_>) -> Done {
    let format = call.args.format.map(|(text, span)| parse_format(text, span)).transpose()?;
    let letter = format.as_ref().and_then(|format| format.letters.first());
    let style = letter.map(|letter| match letter.value {
        'f' => Ok(Style::Fixed),
        'e' => Ok(Style::Scientific),
        'x' => Ok(Style::Hex),
        'd' => Ok(Style::Decimal),
        'r' => Ok(Style::Raw),
        other => Err(LangError::new(format!("no format {other}"), letter.span)
            .help("x/8f: f fixed, e scientific, x hexadecimal, d integers, r raw")),
    });
    let style = style.transpose()?;
    let count = format.and_then(|format| format.count).map(|count| count.unsigned_abs() as usize);
    if !call.args.rest.is_empty() {
        let value = match console.evaluate(&call.expr()?)? {
            Datum::Tensor(value) => value,
            datum => return Err(Error::refused(format!("x dumps tensors, found {}", datum.described()))),
        };
        let text = call.args.rest.to_string();
        console.memory.dump = Some(Dump { text, value, at: 0, count: COUNT, style: Style::Raw });
    }
    let Some(dump) = &mut console.memory.dump else {
        return Err(call.expected("an expression", "x/8 L0.attn.q"));
    };
    dump.count = count.unwrap_or(dump.count).max(1);
    dump.style = style.unwrap_or(dump.style);
    let total = dump.value.count();
    if dump.at >= total {
        let text = dump.text.clone();
        return Err(Error::refused(format!("{text} ends here: it has {total} elements")));
    }
    let end = (dump.at + dump.count).min(total);
    let flat = dump.value.reshape(&[total])?;
    let part = flat.slice(&[Slice::Range { start: dump.at, end, step: 1 }])?;
    let (data, dtype) = (part.read_f64()?, dump.value.dtype_name());
    let mut lines = Vec::new();
    for (i, line) in data.chunks(PER_LINE).enumerate() {
        let index: Vec<String> =
            unravel(dump.at + i * PER_LINE, dump.value.shape()).iter().map(usize::to_string).collect();
        let elements: Vec<String> =
            line.iter().map(|&x| numbers::element(x, dtype, dump.style, numbers::ELEMENT_DIGITS)).collect();
        lines.push(format!("[{}]:  {}", index.join(","), elements.join("  ")));
    }
    dump.at = end;
    Ok(Answer::Text(lines.join("\n")))
}
