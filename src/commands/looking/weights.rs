//! `info weights`: what the files hold, what became of it, and how far it is from another file.

use std::path::Path;

use super::check;
use crate::answer::{Answer, Cell, Cells, Table, numbers};
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console, by};
use crate::debugger::{Error, Result};
use crate::lang::LangError;
use crate::lang::glob::name_patterns;
use crate::lang::words::Word;
use crate::model::FileTensor;
use crate::model::checkpoint::step;
use crate::model::compare::{Comparison, Twin};
use crate::tensor::{self, Summary};

const USAGE: &str = "info weights [PATTERN...] [-against FILE | -block N | -check]";

/// Bytes of a stored block in one line.
const BYTES_IN_LINE: usize = 16;

pub fn info(console: &mut Console, call: Call<'_>) -> Done {
    let (given, patterns) = call.options()?;
    let chosen = chosen(console, &patterns)?;
    match given.iter().collect::<Vec<_>>()[..] {
        [] => list(console, &chosen),
        [only] => {
            let value =
                only.value.clone().unwrap_or_else(|| Word { text: String::new(), quoted: false, span: only.span });
            match only.name {
                "-against" => against(console, &chosen, &value),
                "-check" => check::report(console, &chosen),
                _ => block(console, &chosen, &value, &patterns),
            }
        }
        [_, second, ..] => {
            Err(LangError::new("one of -against, -block and -check at a time", second.span).help(USAGE).into())
        }
    }
}

/// The tensors that the patterns name, by their name in the file, that of transformers, or a role; all without patterns.
fn chosen(console: &Console, patterns: &[Word]) -> Result<Vec<FileTensor>> {
    let files = console.session.run.model.weights.files();
    if patterns.is_empty() {
        return Ok(files.to_vec());
    }
    let mut wanted = Vec::new();
    for word in patterns {
        let regexes = name_patterns(&word.text, word.span)?;
        let matches = |file: &FileTensor| {
            let roles = file.uses.iter().map(|id| id.to_string());
            let names = [file.name.clone(), file.file_name().to_owned()].into_iter().chain(roles);
            names.into_iter().any(|name| regexes.iter().any(|regex| regex.is_match(&name)))
        };
        if !files.iter().any(matches) {
            let error = LangError::new(format!("no weight matches {}", word.text), word.span);
            return Err(error.help("\"info weights\" lists names and roles; ** crosses dots, * does not").into());
        }
        wanted.extend(files.iter().filter(|file| matches(file)).map(|file| file.name.clone()));
    }
    Ok(files.iter().filter(|file| wanted.contains(&file.name)).cloned().collect())
}

fn roles(file: &FileTensor) -> String {
    match &file.ignored {
        Some(reason) => format!("ignored: {reason}"),
        None => file.uses.iter().map(|used| used.to_string()).collect::<Vec<_>>().join(", "),
    }
}

fn list(console: &mut Console, chosen: &[FileTensor]) -> Done {
    let mut table = Table::new(["Name", "Role", "Shape", "Stored", "Min", "Max", "Mean", "Std"]);
    for (done, file) in chosen.iter().enumerate() {
        tensor::step(file.file_name(), done as u64, chosen.len() as u64)?;
        let shape = by(&file.shape);
        let range = range(console, file)?;
        let of = |part: fn(&Summary) -> f64| range.as_ref().map(part);
        let [min, max, mean, std] = [of(|x| x.min), of(|x| x.max), of(|x| x.mean), of(|x| x.std)];
        table.push((file.file_name(), roles(file), shape, &file.dtype, min, max, mean, std));
    }
    Ok(table.into())
}

/// Statistics of all elements of the weights that a tensor became, edits included.
fn range(console: &Console, file: &FileTensor) -> Result<Option<Summary>> {
    let weights = console.session.run.branch().weights();
    let mut parts = Vec::new();
    for id in &file.uses {
        parts.extend(weights.summary(*id)?);
    }
    Ok((!parts.is_empty()).then(|| Summary::of_parts(&parts)))
}

fn against(console: &mut Console, chosen: &[FileTensor], path: &Word) -> Done {
    let model = &console.session.run.model;
    let twin = Twin::open(model, Path::new(&path.text))?;
    let used: Vec<&FileTensor> = chosen.iter().filter(|file| !file.uses.is_empty()).collect();
    let mut table = Table::new([
        "Name",
        "Stored",
        "Other",
        "Max error",
        "At",
        "This",
        "Other value",
        "RMS error",
        "Relative",
        "Step",
        "Max step",
    ]);
    let mut found = 0;
    for (done, file) in used.iter().enumerate() {
        tensor::step(file.file_name(), done as u64, used.len() as u64)?;
        let mut row: Vec<Cell> = vec![file.file_name().into(), (&file.dtype).into()];
        match twin.compare(&model.files, &file.name, &file.uses)? {
            Some(comparison) => {
                row.extend(compared(&comparison));
                found += 1;
            }
            None => row.push("not there".into()),
        }
        row.resize(table.columns.len(), Cell::Empty);
        table.push(row);
    }
    if found == 0 {
        let message = format!("{} has none of these weights: name a file of the same architecture", path.text);
        return Err(Error::refused(message));
    }
    Ok(table.into())
}

fn compared(found: &Comparison) -> Vec<Cell> {
    let at: Vec<String> = found.at.iter().map(usize::to_string).collect();
    let at = format!("[{}]", at.join(", "));
    let (here, there) = found.values;
    (&found.dtype, found.max, at, here, there, found.rms, found.relative, found.step, found.largest_step).into_cells()
}

/// One stored block: its bytes as they are in the file, and the numbers that they become.
fn block(console: &Console, chosen: &[FileTensor], number: &Word, patterns: &[Word]) -> Done {
    let ([file], [_]) = (chosen, patterns) else {
        let at = patterns.last().map_or(number.span, |word| word.span);
        return Err(LangError::new("a block is of one tensor: name it", at).help(USAGE).into());
    };
    let files = &console.session.run.model.files;
    let Some((from, entry)) = files.find(&file.name) else {
        return Err(Error::refused(format!("{} is not among the tensors that can be read", file.file_name())));
    };
    let Some((elements, size)) = entry.dtype.block() else {
        return Err(Error::refused(format!("{} is {}, which has no blocks", file.file_name(), file.dtype)));
    };
    let stored = from.stored(entry)?;
    let blocks = stored.len() / size;
    let index = number.text.parse::<usize>().ok().filter(|index| *index < blocks).ok_or_else(|| {
        let there = if blocks == 1 { "0".to_owned() } else { format!("0..{}", blocks.saturating_sub(1)) };
        LangError::new(format!("no block {:?}; choose from {there}", number.text), number.span)
    })?;
    let mut bytes = vec![0; size];
    stored.read(index * size, &mut bytes)?;
    let within = |length: usize| format!("{}..{}", index * length, (index + 1) * length - 1);
    let (name, dtype, places) = (file.file_name(), &file.dtype, within(elements));
    let head = format!("{name} block {index} of {blocks}, {dtype}: bytes {}", within(size));
    let mut lines = vec![format!("{head}, elements {places} as they are stored")];
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    lines.extend(digits.chunks(BYTES_IN_LINE).map(|line| line.join(" ")));
    let mut values = vec![0.0; elements];
    crate::model::checkpoint::decode(entry.dtype, &bytes, &mut values);
    let shown = values.iter().map(|value| numbers::short((*value).into())).collect::<Vec<_>>();
    lines.extend(shown.chunks(8).map(|row| row.join(" ")));
    if let Some(step) = step(entry.dtype, &bytes, 0) {
        lines.push(format!("neighbouring numbers at its first element are {} apart", numbers::short(step.into())));
    }
    Ok(Answer::Text(lines.join("\n")))
}
