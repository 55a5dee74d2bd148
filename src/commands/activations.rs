//! `activations`: what the values of each block are like, and what of that is not as on other texts.

use super::console::{Console, Done};
use super::diagnose;
use super::table::Call;
use crate::analysis::activations::{Block, F16, OUTLIER, Unlike, beside, blocks, features};
use crate::answer::numbers::significant;
use crate::answer::text::quoted;
use crate::answer::{Answer, Cell, Table};
use crate::debugger::{Error, Result};
use crate::lang::LangError;
use crate::lang::words::{OptionSpec, Word, take_options, words};
use crate::tensor::Axis;

const OPTIONS: [OptionSpec; 2] =
    [OptionSpec { name: "-against", takes_value: true }, OptionSpec { name: "-all", takes_value: false }];

/// Outlier features that are named.
const NAMED: usize = 12;

/// Texts that say what is usual, at least.
const TEXTS: usize = 3;

/// `activations [-against FILE [-all]]`.
pub fn run(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = take_options(words(call.args.rest, call.args.offset)?, &OPTIONS)?;
    if let Some(extra) = left.first() {
        let error = LangError::new("unexpected word", extra.span);
        return Err(Error::At(error.help("activations, or activations -against FILE with a text in each line")));
    }
    let against = given.iter().find(|option| option.name == "-against").and_then(|option| option.value.as_ref());
    if let Some(option) = given.iter().find(|option| option.name == "-all" && against.is_none()) {
        let error = LangError::new("-all is of what is compared", option.span);
        return Err(Error::At(error.help("activations -against FILE -all")));
    }
    if !console.session.run.at_end() {
        return Err(Error::refused("activations are of a complete pass: \"run\" or \"continue\" to its end first"));
    }
    let here = blocks(&mut console.session)?;
    match against {
        None => Ok(Answer::Table(plain(console, &here))),
        Some(file) => {
            let (count, found) = console.unlike(&here, file)?;
            let all = given.iter().any(|option| option.name == "-all");
            Ok(Answer::Table(compared(&found, count, file, all)))
        }
    }
}

/// A row for each block.
fn plain(console: &Console, here: &[Block]) -> Table {
    let (size, positions, share) = OUTLIER;
    let found = features(here);
    let named = match found.as_slice() {
        [] => "none".to_string(),
        some => {
            let more = if some.len() > NAMED { format!(" and {} more", some.len() - NAMED) } else { String::new() };
            some.iter().take(NAMED).map(usize::to_string).collect::<Vec<_>>().join(", ") + &more
        }
    };
    let highest = here.iter().max_by(|a, b| a.largest.total_cmp(&b.largest));
    let highest = highest.map_or_else(String::new, |block| {
        format!(
            "; largest {} at {}, {} of what f16 holds",
            significant(block.largest, 4),
            block.largest_at,
            percent(block.largest / F16)
        )
    });
    let title = format!(
        "values of every block (measured){highest}\noutlier features (at least {size} at {} of positions in {} of blocks): {named}",
        percent(positions),
        percent(share)
    );
    let rows = here.iter().map(|block| {
        let (pos, dim) = block.massive_at;
        vec![
            Cell::Text(format!("L{}", block.layer)),
            Cell::Num(block.norm),
            Cell::Num(block.growth),
            Cell::Num(block.largest),
            Cell::Num(block.massive),
            Cell::Text(format!("{pos} {} dim {dim}", quoted(&console.name_of(Axis::Pos, pos)))),
            Cell::Int(block.outliers.len() as i64),
            number(block.silent),
            number(block.saturated),
        ]
    });
    let columns = ["Block", "Norm", "Growth", "Largest", "Massive", "At", "Outliers", "Silent", "Saturated"];
    Table { title, columns: columns.map(String::from).to_vec(), rows: rows.collect() }
}

fn number(x: f64) -> Cell {
    if x.is_nan() { Cell::Empty } else { Cell::Num(x) }
}

fn percent(share: f64) -> String {
    format!("{} %", significant(100.0 * share, 2))
}

/// What is not as on other texts.
fn compared(found: &[Unlike], count: usize, file: &Word, all: bool) -> Table {
    let limit = diagnose::limit("unusual");
    let unusual = found.iter().filter(|one| one.off > limit).count();
    let shown: Vec<&Unlike> = found.iter().filter(|one| all || one.off > limit).collect();
    let title = format!(
        "{unusual} of {} numbers are more than {} deviations from their median over {count} texts of {}",
        found.len(),
        significant(limit, 3),
        file.text
    );
    let rows = shown.into_iter().map(|one| {
        vec![
            Cell::Text(format!("L{}", one.layer)),
            Cell::Text(one.name.into()),
            Cell::Num(one.here),
            Cell::Num(one.usual),
            Cell::Num(one.off),
        ]
    });
    let columns = ["Block", "What", "Here", "Usually", "Deviations"].map(String::from).to_vec();
    Table { title, columns, rows: rows.collect() }
}

impl Console {
    /// How many texts a file has, and how far what is here is from what it is on them.
    pub(super) fn unlike(&mut self, here: &[Block], file: &Word) -> Result<(usize, Vec<Unlike>)> {
        let mut others = Vec::new();
        let count = self.over_references(file, &mut |console| {
            others.push(blocks(&mut console.session)?);
            Ok(())
        })?;
        if count < TEXTS {
            let message = format!("{} has {count} texts: what is usual takes {TEXTS} or more", file.text);
            return Err(Error::At(LangError::new(message, file.span)));
        }
        Ok((count, beside(here, &others)))
    }
}
