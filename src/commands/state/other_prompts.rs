//! Other texts than the one under control: each in a separate session, with the model and the edits of the current branch.

use std::path::Path;

use crate::commands::state::{Console, rows};
use crate::debugger::{Error, Result, Session};
use crate::lang::words::Word;
use crate::model::{Input, Model};
use crate::tensor::step;

/// A text, or token ids where the model has no tokenizer.
fn input(model: &Model, text: &str) -> Result<Input> {
    if model.tokenizer.is_some() {
        return Ok(Input::from_texts(model, &[text], true)?);
    }
    let ids =
        text.split([' ', ',']).filter(|word| !word.is_empty()).map(str::parse::<u32>).collect::<Result<Vec<_>, _>>();
    let ids = ids.map_err(|_| format!("{text:?} is not a list of token ids, and the model has no tokenizer"))?;
    Ok(Input::from_tokens(model, vec![ids])?)
}

type Each<'a> = &'a mut dyn FnMut(&mut Console) -> Result<()>;

impl Console {
    /// A session of the same model, as it is edited, on other texts, each in a separate branch whose pass is computed.
    pub(crate) fn on_texts(&self, texts: &[&str]) -> Result<Session> {
        self.on(texts, true)
    }

    fn on(&self, texts: &[&str], with_values: bool) -> Result<Session> {
        let run = &self.session.run;
        let inputs: Result<Vec<Input>> = texts.iter().map(|text| input(&run.model, text)).collect();
        let mut other = run.with_prompts(&inputs?, with_values)?;
        for branch in (0..texts.len()).rev() {
            let end = other.end_of(0);
            other.jump(branch, end)?;
        }
        Ok(Session::from_run(other, self.session.interrupt.clone()))
    }

    /// Something done with another session, in a console with the settings of this one. What it prints is printed here.
    pub(crate) fn within<T>(&mut self, other: Session, what: impl FnOnce(&mut Console) -> T) -> T {
        let mut console = Console::new(other, self.model_name.clone());
        (console.chat, console.chosen) = (self.chat, self.chosen.clone());
        let found = what(&mut console);
        self.printed.append(&mut console.printed);
        found
    }

    /// Something done with the complete pass of each text of a file, which is a text in each line, or a table or objects with a column of
    /// texts. How many there are.
    pub(crate) fn over_texts(&mut self, file: &Word, each: Each<'_>) -> Result<usize> {
        self.over(file, true, each)
    }

    /// The same with the weights alone as they are edited: edits of values belong to the text under control.
    pub(crate) fn over_references(&mut self, file: &Word, each: Each<'_>) -> Result<usize> {
        self.over(file, false, each)
    }

    /// The texts of a file, each with its place there: one in each line, or a column of a table or of objects.
    ///
    /// # Errors
    /// If it cannot be read, or has no text.
    pub(crate) fn texts_of(&self, file: &Word) -> Result<Vec<(String, String)>> {
        let text = crate::model::file::read_text(Path::new(&file.text))
            .map_err(|error| Error::refused(format!("cannot read {}: {error}", file.text)))?;
        let rows = rows::parse(&text, &file.text).map_err(|error| Error::refused(format!("{}: {error}", file.text)))?;
        let lines: Vec<(String, String)> = match rows {
            Some(rows) => rows.all.into_iter().map(|row| (row.place, row.text)).collect(),
            None => {
                let lines = rows::unmarked(&text).lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
                lines.map(|(number, line)| (format!("line {}", number + 1), line.to_string())).collect()
            }
        };
        match lines.is_empty() {
            true => Err(Error::refused(format!("{} has no text: a text in each line", file.text))),
            false => Ok(lines),
        }
    }

    fn over(&mut self, file: &Word, with_values: bool, each: Each<'_>) -> Result<usize> {
        let lines = self.texts_of(file)?;
        for (done, (place, line)) in lines.iter().enumerate() {
            step("reading", done as u64, lines.len() as u64)?;
            let other = self.on(&[line], with_values).map_err(|why| Error::refused(format!("{place}: {why}")))?;
            self.within(other, |console| each(console))?;
        }
        Ok(lines.len())
    }
}
