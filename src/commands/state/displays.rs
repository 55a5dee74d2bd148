//! Evaluating expressions of a line, and showing what they give.

use super::console::Console;
use super::histogram;
use crate::answer::{Answer, ErrorView, Style};
use crate::commands::frame::Done;
use crate::debugger::{Error, Result, RunScope};
use crate::lang::command::{Format, parse_format, split_command};
use crate::lang::eval::{self, Datum};
use crate::lang::{Expr, Span, parse_expr};
use crate::tensor::interruptible;

impl Console {
    pub(crate) fn evaluate(&mut self, expr: &Expr) -> Result<Datum> {
        Ok(eval::evaluate(expr, &mut RunScope::new(&mut self.session))?)
    }

    /// Whether the condition after the first word of a line, an `if` or `while`, holds.
    pub fn condition(&mut self, line: &str) -> Result<bool, ErrorView> {
        let (rest, offset) = split_command(line).map_or(("", line.len()), |call| (call.rest, call.offset));
        let flag = self.session.interrupt.clone();
        let truth = parse_expr(rest, offset)
            .and_then(|expr| interruptible(&flag, || eval::condition(&expr, &mut RunScope::new(&mut self.session))));
        truth.map_err(|error| ErrorView::new(&Error::At(error), line))
    }

    /// A value in the format that a letter asks for.
    pub(crate) fn formatted(&self, text: &str, datum: &Datum, number: Option<usize>, format: &Format) -> Done {
        let letter = format.letters.first().map(|letter| letter.value);
        let count = format.count.map(|count| count.unsigned_abs() as usize);
        let title = number.map_or(String::new(), |n| format!("${n} ="));
        let tensor = |what: &str| match datum {
            Datum::Tensor(value) => Ok(value.clone()),
            datum => Err(Error::refused(format!("{what} needs a tensor, found {}", datum.described()))),
        };
        let style = match letter {
            Some('t') => return Ok(self.top(&tensor("top-k")?, count.unwrap_or(self.chosen.top))?.title(title).into()),
            Some('g') => {
                let bins = count.unwrap_or(histogram::BINS).clamp(1, 1000);
                return Ok(histogram::table(title, &tensor("a histogram")?, bins)?.into());
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

    pub(crate) fn displays(&mut self) -> Vec<(usize, String, Box<Answer>)> {
        let texts: Vec<(usize, String)> =
            self.session.displays.iter().map(|(number, _, text)| (*number, text.clone())).collect();
        let one = |(i, (number, text)): (usize, (usize, String))| {
            let answer = self.one_display(&text, i);
            (number, text, Box::new(answer))
        };
        texts.into_iter().enumerate().map(one).collect()
    }

    pub(crate) fn one_display(&mut self, text: &str, index: usize) -> Answer {
        let letters = self.session.displays.get(index).map(|(_, format, _)| format.clone()).unwrap_or_default();
        let done = parse_format(&letters, Span::at(0)).map_err(Error::from).and_then(|format| {
            let datum = self.evaluate(&parse_expr(text, 0)?)?;
            self.formatted(text, &datum, None, &format)
        });
        done.unwrap_or_else(|fail| Answer::Error(ErrorView::new(&fail, text)))
    }
}
