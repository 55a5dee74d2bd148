//! `x`: raw elements, some at a time.

use super::console::{Console, Done};
use super::table::Call;
use crate::answer::{Answer, Style, numbers};
use crate::debugger::Error;
use crate::lang::command::parse_format;
use crate::lang::eval::Datum;
use crate::lang::{LangError, Span, parse_expr};
use crate::tensor::{Value, unravel};

/// Elements shown where no count is given.
const COUNT: usize = 16;
/// Elements on one line.
const PER_LINE: usize = 8;

/// Where a dump stands.
pub struct Dump {
    text: String,
    value: Value,
    at: usize,
    count: usize,
    style: Style,
}

/// `x/NF EXPR` dumps the first N elements; `x` alone goes on.
pub fn examine(console: &mut Console, call: Call<'_>) -> Done {
    let format = match call.args.format {
        Some((text, span)) => Some(parse_format(text, span)?),
        None => None,
    };
    let style = match format.as_ref().and_then(|format| format.letters.first()) {
        None => None,
        Some(letter) => Some(match letter.value {
            'f' => Style::Fixed,
            'e' => Style::Scientific,
            'x' => Style::Hex,
            'd' => Style::Decimal,
            'r' => Style::Raw,
            other => {
                let error = LangError::new(format!("no format {other}"), letter.span);
                return Err(Error::At(error.help("x/8f: f fixed, e scientific, x hexadecimal, d integers, r raw")));
            }
        }),
    };
    let count = format.and_then(|format| format.count).map(|count| count.unsigned_abs() as usize);
    if !call.args.rest.is_empty() {
        let expr = parse_expr(call.args.rest, call.args.offset)?;
        let value = match console.evaluate(&expr)? {
            Datum::Tensor(value) => value,
            datum => return Err(Error::refused(format!("x dumps tensors, found {}", datum.described()))),
        };
        let text = call.args.rest.to_string();
        console.dump = Some(Dump { text, value, at: 0, count: COUNT, style: Style::Raw });
    }
    let Some(dump) = &mut console.dump else {
        return Err(Error::At(
            LangError::new("expected an expression", Span::at(call.args.offset)).help("x/8 L0.attn.q"),
        ));
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
    let part = flat.slice(&[crate::tensor::ops::Slice::Range { start: dump.at, end, step: 1 }])?;
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
