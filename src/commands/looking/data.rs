//! Commands that look at values.

use crate::answer::numbers::significant;
use crate::answer::{Answer, Style, Table};
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console};
use crate::debugger::{Error, Result, RunScope};
use crate::lang::command::{Format, parse_format};
use crate::lang::eval::{self, Datum};
use crate::lang::words::parse_numbers;
use crate::lang::{BinaryOp, Expr, ExprKind, LangError, parse_expr, parse_list, site, strings};
use crate::program::shape_of;
use crate::tensor::Axis;

pub fn print(console: &mut Console, call: Call<'_>) -> Done {
    let format = format(&call)?;
    let rest = if call.args.rest.is_empty() { "$" } else { call.args.rest };
    let datum = console.evaluate(&parse_expr(rest, call.args.offset)?)?;
    if matches!(datum, Datum::Void) {
        return console.show(&datum, None, Style::Summary);
    }
    let answer = console.formatted(rest, &datum, Some(console.session.history.len() + 1), &format)?;
    console.session.remember(datum);
    Ok(answer)
}

pub fn output(console: &mut Console, call: Call<'_>) -> Done {
    let format = format(&call)?;
    let datum = console.evaluate(&call.expr()?)?;
    console.formatted(call.args.rest, &datum, None, &format)
}

pub fn printf(console: &mut Console, call: Call<'_>) -> Done {
    let args = parse_list(call.args.rest, call.args.offset)?;
    let (first, rest) = args.split_first().ok_or_else(|| call.expected("a format", "printf \"%f\\n\", EXPR"))?;
    let Datum::Str(template) = console.evaluate(first)? else {
        return Err(LangError::new("the format must be a string", first.span).into());
    };
    let values: Vec<_> = rest.iter().map(|expr| Ok((console.evaluate(expr)?, expr.span))).collect::<Result<_>>()?;
    let text = eval::format(&template, first.span, &values)?;
    Ok(Answer::Text(text.strip_suffix('\n').unwrap_or(&text).to_string()))
}

pub fn echo(_console: &mut Console, call: Call<'_>) -> Done {
    let text = strings::unescaped(call.args.rest, call.args.offset)?;
    Ok(Answer::Text(text.strip_suffix('\n').unwrap_or(&text).to_string()))
}

pub fn display(console: &mut Console, call: Call<'_>) -> Done {
    if call.args.rest.is_empty() {
        let rows = console.displays();
        if rows.is_empty() {
            return Err(Error::refused("there are no displays; display EXPR adds one"));
        }
        for (number, text, answer) in rows {
            console.printed.push(format!("{number}: {text}"));
            console.printed.extend(crate::answer::text::lines(&answer, None));
        }
        return Ok(Answer::Text(String::new()));
    }
    let format = call.args.format.map(|(text, _)| text.to_string()).unwrap_or_default();
    self::format(&call)?;
    let expr = call.expr()?;
    eval::check(&expr, &*console.session.run.names, console.session.block())?;
    console.memory.displays += 1;
    let number = console.memory.displays;
    console.session.displays.push((number, format, call.args.rest.to_string()));
    let answer = console.one_display(call.args.rest, console.session.displays.len() - 1);
    match answer {
        Answer::Error(_) => Ok(Answer::Text(format!("{number}: {} (not computed yet)", call.args.rest))),
        answer => {
            console.printed.push(format!("{number}: {}", call.args.rest));
            Ok(answer)
        }
    }
}

pub fn undisplay(console: &mut Console, call: Call<'_>) -> Done {
    if call.args.rest.is_empty() {
        console.session.displays.clear();
        return Ok(Answer::Text(String::new()));
    }
    let numbers = parse_numbers(call.args.rest, call.args.offset, &|_| None)?;
    let displays = &mut console.session.displays;
    if let Some(number) = numbers.iter().find(|number| !displays.iter().any(|(n, _, _)| *n == number.value as usize)) {
        return Err(LangError::new(format!("no display {}", number.value), number.span).into());
    }
    displays.retain(|(n, _, _)| !numbers.iter().any(|number| number.value as usize == *n));
    Ok(Answer::Text(String::new()))
}

pub fn whatis(console: &mut Console, call: Call<'_>) -> Done {
    let datum = console.evaluate(&call.expr()?)?;
    Ok(Answer::Text(match &datum {
        Datum::Tensor(value) => {
            let (dtype, shape, device) = (value.dtype_name(), value.shape_text(), value.device());
            format!("{dtype} {shape} on {}, {} bytes", device.name(), value.bytes())
        }
        datum => datum.described(),
    }))
}

/// `ptype EXPR`: of a site, what it is made of and what reads it; of anything else, what `whatis` says.
pub fn ptype(console: &mut Console, call: Call<'_>) -> Done {
    let expr = call.expr()?;
    let ExprKind::Site(site) = &expr.kind else { return whatis(console, call) };
    let session = &console.session;
    let run = &session.run;
    let name = site::resolve(site, &*run.names, session.block())?.name;
    let Some(op) = run.program.op_of(&name) else { return whatis(console, call) };
    let span = run.branch().span(run.pass);
    let described = |op: usize| {
        let source = run.branch().text().source_length();
        let shape = &shape_of(&run.program.ops[op], 1, span.clone(), source)[1..];
        let axes = &run.program.ops[op].axes[1..];
        let entry = |(axis, length): (&Axis, &usize)| match axis.name() {
            "" => length.to_string(),
            name => format!("{name}={length}"),
        };
        let shape: Vec<String> = axes.iter().zip(shape).map(entry).collect();
        format!("{} [{}]", run.program.ops[op].site, shape.join(", "))
    };
    let mut lines = vec![format!("{}, op {op} of {}", described(op), run.program.ops.len())];
    lines.extend(run.program.ops[op].inputs.iter().map(|&input| format!("  reads {}", described(input))));
    for id in &run.program.ops[op].weights {
        if let Some(shape) = run.branch().weights().shape(*id) {
            lines.push(format!("  reads weight {id} {shape:?}"));
        }
    }
    lines.extend(run.program.readers(op).iter().map(|&reader| format!("  read by {}", described(reader))));
    Ok(Answer::Text(lines.join("\n")))
}

pub fn assert(console: &mut Console, call: Call<'_>) -> Done {
    let args = parse_list(call.args.rest, call.args.offset)?;
    let (expr, message) = match args.as_slice() {
        [expr] => (expr, None),
        [expr, message] => (expr, Some(message)),
        _ => {
            return Err(call.expected("a condition", "assert EXPR, \"MESSAGE\""));
        }
    };
    if eval::condition(expr, &mut RunScope::new(&mut console.session))? {
        return Ok(Answer::Text(String::new()));
    }
    let said = match message {
        Some(message) => match console.evaluate(message)? {
            Datum::Str(text) => format!(": {text}"),
            _ => return Err(LangError::new("the message must be a string", message.span).into()),
        },
        None => String::new(),
    };
    let found = sides(expr, console)?;
    Err(Error::Assert(format!("assertion failed: {expr}{said}{found}")))
}

/// What the sides of the comparison that does not hold are, for a message: ` (max(x) is 0.98)`. Nothing for other
/// conditions, and nothing of literals and of what is not one number or text.
fn sides(condition: &Expr, console: &mut Console) -> Result<String> {
    let ExprKind::Binary(op, left, right) = &condition.kind else { return Ok(String::new()) };
    if *op == BinaryOp::And {
        let first = eval::condition(left, &mut RunScope::new(&mut console.session))?;
        return sides(if first { right } else { left }, console);
    }
    let mut found = Vec::new();
    for side in [left, right].into_iter().filter(|_| op.is_comparison()) {
        if matches!(side.kind, ExprKind::Number(_) | ExprKind::Str(_) | ExprKind::Bool(_)) {
            continue;
        }
        let value = match console.evaluate(side)? {
            Datum::Str(text) => strings::quoted(&text),
            datum => match datum.number(side.span) {
                // Enough digits that what does not hold is seen not to.
                Ok(number) => significant(number, 9),
                Err(_) => continue,
            },
        };
        found.push(format!("{side} is {value}"));
    }
    Ok(if found.is_empty() { String::new() } else { format!(" ({})", found.join(", ")) })
}

/// What follows the slash of a command.
fn format(call: &Call<'_>) -> Result<Format> {
    let Some((text, span)) = call.args.format else { return Ok(Format { count: None, letters: Vec::new() }) };
    let format = parse_format(text, span)?;
    if let Some(letter) = format.letters.iter().find(|letter| !"sthgardxfe".contains(letter.value)) {
        let error = LangError::new(format!("no format {}", letter.value), letter.span);
        return Err(error.help("s summary, t top-k, h heat map, g histogram, a all, r raw, d x f e numbers").into());
    }
    Ok(format)
}

impl Console {
    /// The answer of `info display`: with what each gives now, in a line.
    pub(crate) fn display_table(&mut self) -> Answer {
        if self.session.displays.is_empty() {
            return Answer::Text("There are no displays.".into());
        }
        let formats: Vec<String> = self.session.displays.iter().map(|(_, format, _)| format.clone()).collect();
        let rows = self.displays().into_iter().zip(formats).map(|((number, text, answer), format)| {
            let now = crate::answer::text::lines(&answer, None).into_iter().next().unwrap_or_default();
            (number, format, text, now)
        });
        Table::new(["Num", "Format", "Expression", "Now"]).rows(rows).into()
    }
}
