//! `check core`: does this session compute what another session did?

use std::path::Path;

use crate::answer::numbers::significant;
use crate::answer::{Answer, Table, text};
use crate::commands::frame::Done;
use crate::commands::state::Console;
use crate::comparing::core_file::{Core, Imprint, imprints, weights};
use crate::debugger::Error;
use crate::lang::words::Word;

/// How many differences are listed.
const LISTED: usize = 10;

/// `check core FILE`: whether this session has computed the same bits.
pub fn check(console: &mut Console, file: &Word) -> Done {
    let core = Core::read(Path::new(&file.text)).map_err(|error| Error::refused(error.to_string()))?;
    let rows: Vec<Vec<u32>> = console.session.run.branch().text().rows.iter().map(|row| row.ids.clone()).collect();
    let now = imprints(&mut console.session.run)?;
    let mut differences: Vec<(String, String)> = Vec::new();
    if rows != core.tokens {
        differences.push(("tokens".into(), "the text is another".into()));
    }
    if let Some(then) = &core.weights
        && weights(&console.session.run)?.is_some_and(|now| now != *then)
    {
        differences.push(("weights".into(), "the weights differ".into()));
    }
    let at = |one: &Imprint| format!("{}#{}", one.site, one.pass);
    differences.extend(core.imprints.iter().zip(&now).filter_map(|(then, now)| Some((at(then), differs(then, now)?))));
    if now.len() != core.imprints.len() {
        let (now, then) = (now.len(), core.imprints.len());
        differences.push(("cursor".into(), format!("{now} values are computed, and {then} were then")));
    }
    let (count, all) = (differences.len(), core.imprints.len());
    let Some((first, why)) = differences.first().cloned() else {
        return Ok(Answer::Text(format!("{all} values have the same bits as in {}", file.text)));
    };
    let table = Table::new(["Value", "Differs"]).rows(differences.into_iter().take(LISTED));
    let lines = text::lines(&table.into(), None).join("\n");
    let of =
        if core.version == env!("CARGO_PKG_VERSION") { String::new() } else { format!(" (llmdbg {})", core.version) };
    let head = format!("{count} of {all} values differ from {}{of}, written on {}", file.text, core.device);
    Err(Error::refused(format!("{head}; the first is {first}: {why}\n{lines}")))
}

/// What of a value is not as it was; nothing if its bits are.
fn differs(then: &Imprint, now: &Imprint) -> Option<String> {
    if (&then.site, then.pass) != (&now.site, now.pass) {
        return Some(format!("{} of pass {} is there now", now.site, now.pass));
    }
    if then.shape != now.shape {
        return Some(format!("shape {:?} instead of {:?}", now.shape, then.shape));
    }
    if then.digest == now.digest {
        return None;
    }
    let six = |x| significant(x, 6);
    let (a, b) = (&now.summary, &then.summary);
    Some(format!("mean {} instead of {}, norm {} instead of {}", six(a.mean), six(b.mean), six(a.l2), six(b.l2)))
}
