//! Commands that look at values.

use super::console::{Console, Done};
use super::histogram;
use super::table::Call;
use crate::answer::{Answer, Cell, ErrorView, Style, Table};
use crate::debugger::RunScope;
use crate::debugger::{Error, Result};
use crate::lang::command::{Format, parse_format, split_command};
use crate::lang::eval::{self, Datum};
use crate::lang::words::parse_numbers;
use crate::lang::{Expr, ExprKind, LangError, Span, parse_expr, parse_list, site, strings};
use crate::program::shape_of;
use crate::tensor::{Axis, interruptible};

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
    let datum = console.evaluate(&parse_expr(call.args.rest, call.args.offset)?)?;
    console.formatted(call.args.rest, &datum, None, &format)
}

pub fn printf(console: &mut Console, call: Call<'_>) -> Done {
    let args = parse_list(call.args.rest, call.args.offset)?;
    let Some((first, rest)) = args.split_first() else {
        return Err(Error::At(
            LangError::new("expected a format", Span::at(call.args.offset)).help("printf \"%f\\n\", EXPR"),
        ));
    };
    let Datum::Str(template) = console.evaluate(first)? else {
        return Err(Error::At(LangError::new("the format must be a string", first.span)));
    };
    let mut values = Vec::new();
    for expr in rest {
        values.push((console.evaluate(expr)?, expr.span));
    }
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
    let expr = parse_expr(call.args.rest, call.args.offset)?;
    eval::check(&expr, &*console.session.run.names, console.session.block())?;
    console.displays += 1;
    let number = console.displays;
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
        return Err(Error::At(LangError::new(format!("no display {}", number.value), number.span)));
    }
    displays.retain(|(n, _, _)| !numbers.iter().any(|number| number.value as usize == *n));
    Ok(Answer::Text(String::new()))
}

pub fn whatis(console: &mut Console, call: Call<'_>) -> Done {
    let datum = console.evaluate(&parse_expr(call.args.rest, call.args.offset)?)?;
    Ok(Answer::Text(match &datum {
        Datum::Tensor(value) => {
            format!(
                "{} {} on {}, {} bytes",
                value.dtype_name(),
                value.shape_text(),
                value.device().name(),
                value.bytes()
            )
        }
        datum => datum.described(),
    }))
}

/// `ptype EXPR`: of a site, what it is made of and what reads it; of anything else, what `whatis` says.
pub fn ptype(console: &mut Console, call: Call<'_>) -> Done {
    let expr = parse_expr(call.args.rest, call.args.offset)?;
    let ExprKind::Site(site) = &expr.kind else { return whatis(console, call) };
    let session = &console.session;
    let run = &session.run;
    let name = site::resolve(site, &*run.names, session.block())?.name;
    let Some(op) = run.program.op_of(&name) else { return whatis(console, call) };
    let span = run.branch().span(run.pass);
    let described = |op: usize| {
        let shape = &shape_of(&run.program.ops[op], 1, span.clone())[1..];
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
        if let Some(weight) = run.branch().weights().get(*id) {
            lines.push(format!("  reads weight {id} {:?}", weight.shape()));
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
            return Err(Error::At(
                LangError::new("expected a condition", Span::at(call.args.offset)).help("assert EXPR, \"MESSAGE\""),
            ));
        }
    };
    let holds = eval::condition(expr, &mut RunScope::new(&mut console.session))?;
    if holds {
        return Ok(Answer::Text(String::new()));
    }
    let said = match message {
        Some(message) => match console.evaluate(message)? {
            Datum::Str(text) => format!(": {text}"),
            _ => return Err(Error::At(LangError::new("the message must be a string", message.span))),
        },
        None => String::new(),
    };
    Err(Error::Assert(format!("assertion failed: {expr}{said}")))
}

/// What follows the slash of a command.
fn format(call: &Call<'_>) -> Result<Format> {
    match call.args.format {
        Some((text, span)) => {
            let format = parse_format(text, span)?;
            for letter in &format.letters {
                if !"sthgardxfe".contains(letter.value) {
                    let error = LangError::new(format!("no format {}", letter.value), letter.span);
                    let help = "s summary, t top-k, h heat map, g histogram, a all, r raw, d x f e numbers";
                    return Err(Error::At(error.help(help)));
                }
            }
            Ok(format)
        }
        None => Ok(Format { count: None, letters: Vec::new() }),
    }
}

impl Console {
    /// Evaluates an expression in the session.
    pub(super) fn evaluate(&mut self, expr: &Expr) -> Result<Datum> {
        Ok(eval::evaluate(expr, &mut RunScope::new(&mut self.session))?)
    }

    /// Whether the condition after the first word of a line, an `if` or `while`, holds.
    ///
    /// # Errors
    /// As it is shown, where there is none or it cannot be evaluated.
    pub fn condition(&mut self, line: &str) -> Result<bool, ErrorView> {
        let (rest, offset) = split_command(line).map_or(("", line.len()), |call| (call.rest, call.offset));
        let flag = self.session.interrupt.clone();
        let truth = parse_expr(rest, offset)
            .and_then(|expr| interruptible(&flag, || eval::condition(&expr, &mut RunScope::new(&mut self.session))));
        truth.map_err(|error| ErrorView::new(&Error::At(error), line))
    }

    /// A value in the format that a letter asks for.
    pub(super) fn formatted(&self, text: &str, datum: &Datum, number: Option<usize>, format: &Format) -> Done {
        let letter = format.letters.first().map(|letter| letter.value);
        let count = format.count.map_or(self.chosen.top, |count| count.unsigned_abs() as usize);
        let tensor = |what: &str| match datum {
            Datum::Tensor(value) => Ok(value.clone()),
            datum => Err(Error::refused(format!("{what} needs a tensor, found {}", datum.described()))),
        };
        let style = match letter {
            Some('t') => {
                let mut table = self.top(&tensor("top-k")?, count)?;
                table.title = number.map_or(String::new(), |n| format!("${n} ="));
                return Ok(Answer::Table(table));
            }
            Some('g') => {
                let bins = format.count.map_or(histogram::BINS, |bins| bins.unsigned_abs() as usize).clamp(1, 1000);
                let title = number.map_or(String::new(), |n| format!("${n} ="));
                return Ok(Answer::Table(histogram::table(title, &tensor("a histogram")?, bins)?));
            }
            Some('h') => return self.text_map(text, &tensor("a heat map")?),
            Some('a') => Style::All,
            Some('r') => Style::Raw,
            Some('d') => Style::Decimal,
            Some('x') => Style::Hex,
            Some('f') => Style::Fixed,
            Some('e') => Style::Scientific,
            _ => Style::Summary,
        };
        self.show(datum, number, style)
    }

    /// All displays, evaluated now.
    pub(super) fn displays(&mut self) -> Vec<(usize, String, Box<Answer>)> {
        let texts: Vec<(usize, String)> =
            self.session.displays.iter().map(|(number, _, text)| (*number, text.clone())).collect();
        let mut all = Vec::new();
        for (i, (number, text)) in texts.into_iter().enumerate() {
            let answer = self.one_display(&text, i);
            all.push((number, text, Box::new(answer)));
        }
        all
    }

    fn one_display(&mut self, text: &str, index: usize) -> Answer {
        let letters = self.session.displays.get(index).map(|(_, format, _)| format.clone()).unwrap_or_default();
        let done = parse_format(&letters, Span::at(0)).map_err(Error::from).and_then(|format| {
            let datum = self.evaluate(&parse_expr(text, 0)?)?;
            self.formatted(text, &datum, None, &format)
        });
        match done {
            Ok(answer) => answer,
            Err(fail) => Answer::Error(ErrorView::new(&fail, text)),
        }
    }

    /// The answer of `info display`: with what each gives now, in a line.
    pub(super) fn display_table(&mut self) -> Answer {
        if self.session.displays.is_empty() {
            return Answer::Text("There are no displays.".into());
        }
        let formats: Vec<String> = self.session.displays.iter().map(|(_, format, _)| format.clone()).collect();
        let rows = self.displays().into_iter().zip(formats).map(|((number, text, answer), format)| {
            let now = crate::answer::text::lines(&answer, None).into_iter().next().unwrap_or_default();
            vec![Cell::Int(number as i64), Cell::Text(format), Cell::Text(text), Cell::Text(now)]
        });
        let columns = ["Num", "Format", "Expression", "Now"].map(String::from).to_vec();
        Answer::Table(Table { title: String::new(), columns, rows: rows.collect() })
    }
}
