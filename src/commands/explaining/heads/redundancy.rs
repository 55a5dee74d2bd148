//! Heads that look at the same and move the same.

use crate::analysis::circuits;
use crate::analysis::pattern_similarity::{Pair, pairs};
use crate::answer::Table;
use crate::commands::frame::Done;
use crate::commands::state::Console;
use crate::lang::words::Word;

const LISTED: usize = 12;

/// Heads whose patterns are nearer than this, and which move the same, can stand for each other.
const SAME: f64 = 0.05;

/// Cosine from which on two heads move the same.
const ALIKE: f64 = 0.5;

/// `heads [LAYER...] -redundant [-over FILE]`.
pub fn report(console: &mut Console, layers: &[usize], file: Option<&Word>) -> Done {
    let (mut found, text) = match file {
        None => (pairs(&mut console.session, layers)?, "on this text".to_string()),
        Some(file) => {
            let mut sums: Vec<Pair> = Vec::new();
            let count = console.over_texts(file, &mut |console| {
                let one = pairs(&mut console.session, layers)?;
                match sums.is_empty() {
                    true => sums = one,
                    false => sums.iter_mut().zip(one).for_each(|(sum, one)| sum.divergence += one.divergence),
                }
                Ok(())
            })?;
            sums.iter_mut().for_each(|sum| sum.divergence /= count as f64);
            (sums, format!("on {count} lines of {}, means", file.text))
        }
    };
    if found.is_empty() {
        return Err("there is no pair of heads".into());
    }
    found.sort_by(|a, b| a.divergence.total_cmp(&b.divergence));
    let run = &console.session.run;
    let heads = circuits::heads(&run.model.spec, run.branch().weights())?;
    let weights = |(layer, head): (usize, usize)| heads.iter().find(|one| (one.layer, one.head) == (layer, head));
    let name = |(layer, head): (usize, usize)| format!("L{layer}H{head}");
    let likeness = |pair: &Pair| Some(circuits::likeness(weights(pair.a)?, weights(pair.b)?));
    let count = found.len();
    let rows = found.iter().take(LISTED).map(|pair| {
        let alike = likeness(pair);
        let same = pair.divergence < SAME && alike.is_some_and(|alike| alike > ALIKE);
        (name(pair.a), name(pair.b), pair.divergence, alike, if same { "redundant" } else { "" })
    });
    let title = format!(
        "the nearest of {count} pairs of heads {text}: Jensen-Shannon divergence of their patterns in bits, measured; cosine of what they move (OV), derived\n\
         redundant: below {SAME} and above {ALIKE}"
    );
    Ok(Table::new(["Head", "Head", "Divergence", "OV cosine", ""]).title(title).rows(rows).into())
}
