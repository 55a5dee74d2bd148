//! `activations`: what the values of each block are like, and what of that is not as on other texts.

use crate::analysis::activations::{Block, Deviation, F16, OUTLIER, blocks, deviations, features};
use crate::answer::Table;
use crate::answer::numbers::significant;
use crate::answer::text::quoted;
use crate::commands::frame::{Done, no_more};
use crate::commands::state::{Call, Console, rules};
use crate::debugger::Result;
use crate::lang::LangError;
use crate::lang::words::Word;
use crate::tensor::Axis;

/// Outlier features that are named.
const NAMED: usize = 12;

/// Blocks that are listed.
const LISTED: usize = 15;

/// Texts that say what is usual, at least.
const TEXTS: usize = 3;

/// `activations [-against FILE] [-top N] [-sort COLUMN] [-all]`.
pub fn run(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    no_more(&left, "activations, or activations -against FILE with a text in each line")?;
    let against = given.value("-against");
    if !console.session.run.at_end() {
        return Err("activations are of a complete pass: \"run\" or \"continue\" to its end first".into());
    }
    let here = blocks(&mut console.session)?;
    let table = match against {
        None => plain(console, &here),
        Some(file) => {
            let (count, found) = console.unlike(&here, file)?;
            compared(&found, count, file, given.has("-all"))
        }
    };
    Ok(given.rows(table)?.into())
}

/// A row for each block.
fn plain(console: &Console, here: &[Block]) -> Table {
    let (size, positions, share) = OUTLIER;
    let found = features(here);
    let mut named = found.iter().take(NAMED).map(usize::to_string).collect::<Vec<_>>().join(", ");
    match found.len() {
        0 => named = "none".into(),
        count if count > NAMED => named += &format!(" and {} more", count - NAMED),
        _ => {}
    }
    let highest = here.iter().max_by(|a, b| a.largest.total_cmp(&b.largest));
    let highest = highest.map_or_else(String::new, |Block { largest, largest_at, .. }| {
        let of_f16 = percent(largest / F16);
        format!("; largest {} at {largest_at}, {of_f16} of what f16 holds", significant(*largest, 4))
    });
    let title = format!(
        "values of every block (measured){highest}\noutlier features (at least {size} at {} of positions in {} of blocks): {named}",
        percent(positions),
        percent(share)
    );
    let rows = here.iter().map(|block| {
        let (pos, dim) = block.massive_at;
        let at = format!("{pos} {} dim {dim}", quoted(&console.name_of(Axis::Pos, pos)));
        let [silent, saturated] = [block.silent, block.saturated].map(|x| (!x.is_nan()).then_some(x));
        let Block { layer, norm, growth, largest, massive, outliers, .. } = block;
        (format!("L{layer}"), *norm, *growth, *largest, *massive, at, outliers.len(), silent, saturated)
    });
    let columns = ["Block", "Norm", "Growth", "Largest", "Massive", "At", "Outliers", "Silent", "Saturated"];
    let change = here.iter().map(|block| block.growth.ln().abs()).collect::<Vec<_>>();
    Table::new(columns).title(title).rows(rows).by_change(&change, LISTED)
}

fn percent(share: f64) -> String {
    format!("{} %", significant(100.0 * share, 2))
}

/// What is not as on other texts.
fn compared(found: &[Deviation], count: usize, file: &Word, all: bool) -> Table {
    let limit = rules::limit("unusual");
    let unusual = found.iter().filter(|one| one.off > limit).count();
    let shown = found.iter().filter(|one| all || one.off > limit);
    let title = format!(
        "{unusual} of {} numbers are more than {} deviations from their median over {count} texts of {}",
        found.len(),
        significant(limit, 3),
        file.text
    );
    let rows = shown.map(|one| (format!("L{}", one.layer), one.name, one.here, one.usual, one.off));
    Table::new(["Block", "What", "Here", "Usually", "Deviations"]).title(title).rows(rows)
}

impl Console {
    /// How many texts a file has, and how far what is here is from what it is on them.
    pub(crate) fn unlike(&mut self, here: &[Block], file: &Word) -> Result<(usize, Vec<Deviation>)> {
        let mut others = Vec::new();
        let count = self.over_references(file, &mut |console| {
            others.push(blocks(&mut console.session)?);
            Ok(())
        })?;
        if count < TEXTS {
            let message = format!("{} has {count} texts: what is usual takes {TEXTS} or more", file.text);
            return Err(LangError::new(message, file.span).into());
        }
        Ok((count, deviations(here, &others)))
    }
}
