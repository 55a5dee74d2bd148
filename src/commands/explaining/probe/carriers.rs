//! What carries the difference between two groups? Heads and MLPs of one prompt put into its counterpart.

use super::{Probed, divided, pairs};
use crate::analysis::patching::{Places, Source, approximate, sweep};
use crate::answer::Table;
use crate::answer::numbers::significant;
use crate::commands::frame::Done;
use crate::commands::state::Console;
use crate::debugger::Result;
use crate::tensor::{Axis, step};

const LISTED: usize = 12;

const UNEQUAL: &str = "their prompts have different numbers of tokens";

const HOW: &str = "two prompts are a pair if they come from one line with a slot, The {nurse|pilot} said that, or if a file of columns \
                   gives both the same value in a column called pair";

/// What is put in: the site, how it is cut, whether by gradients, and what a part is called.
const PARTS: [(&str, &[Axis], bool, &str); 3] =
    [("attn.z", &[Axis::Head], false, "H"), ("mlp_out", &[], false, " mlp"), ("mlp.post", &[Axis::Neuron], true, "N")];

/// A component, and by how much it moved the number, over all pairs.
struct Carrier {
    name: String,
    moved: f64,
    approximate: bool,
}

/// The components that bring the number of one group to that of the other.
pub fn report(console: &mut Console, found: &[Probed], metric: &str, names: &[String], lines: &[String]) -> Done {
    let two = |name: &&String| divided(found, name).len() == 2;
    let [name] = names.iter().filter(two).collect::<Vec<_>>()[..] else {
        return Err("-carriers compares two groups; name the field that defines them with -by FIELD".into());
    };
    let groups = divided(found, name);
    let (first, second) = (&groups[0].0, &groups[1].0);
    let pairs = pairs(found, name, first, second);
    let mut all: Vec<Carrier> = Vec::new();
    let (mut whole, mut used, mut unequal) = (0.0, 0, 0);
    for (done, (from, to)) in pairs.iter().enumerate() {
        step("patching pairs", done as u64, pairs.len() as u64)?;
        let (_, expr) = to.case.expr(metric)?;
        let session = console.on_texts(&[&to.case.prompt, &from.case.prompt])?;
        let length = |branch: usize| session.run.branches[branch].prompt().length();
        if length(0) != length(1) {
            unequal += 1;
            continue;
        }
        used += 1;
        whole += from.value - to.value;
        console.within(session, |console| -> Result<()> {
            for (site, over, by_gradient, letter) in PARTS {
                let places = Places::of_blocks(&console.session.run.program, site, over);
                let (session, source) = (&mut console.session, Source::Branch(1));
                let swept = match by_gradient {
                    true => approximate(session, &expr, &places, source),
                    false => sweep(session, &expr, &places, source, &mut Vec::new()),
                };
                // A model without such a site, or a number that depends on none, has no such carriers.
                let Ok(swept) = swept else { continue };
                for (i, number) in swept.numbers.iter().enumerate() {
                    let (layer, which) = (swept.sites[i / swept.width()].0.unwrap_or(0), i % swept.width());
                    let which = if over.is_empty() { String::new() } else { which.to_string() };
                    let name = format!("L{layer}{letter}{which}");
                    let moved = number - swept.here;
                    match all.iter_mut().find(|known| known.name == name) {
                        Some(known) => known.moved += moved,
                        None => all.push(Carrier { name, moved, approximate: by_gradient }),
                    }
                }
            }
            Ok(())
        })?;
    }
    if used == 0 {
        let why = if unequal > 0 { UNEQUAL.to_string() } else { format!("no prompt has a counterpart; {HOW}") };
        return Err(format!("there are no pairs of {name} {first} and {name} {second}: {why}").into());
    }
    all.sort_by(|a, b| b.moved.abs().total_cmp(&a.moved.abs()));
    let rows = all.into_iter().take(LISTED).map(|one| {
        let kind = if one.approximate { "approximate" } else { "measured" };
        (one.name, one.moved / used as f64, one.moved / whole, kind)
    });
    let mut title = vec![format!(
        "what of {first} put into {second} brings {metric} over, {used} pairs whose mean difference is {}",
        significant(whole / used as f64, 4)
    )];
    if unequal > 0 {
        title.push(format!("{unequal} pairs left out: {UNEQUAL}"));
    }
    title.extend(lines.iter().cloned());
    Ok(Table::new(["Component", "Moves", "Share", ""]).title(title.join("\n")).rows(rows).into())
}
