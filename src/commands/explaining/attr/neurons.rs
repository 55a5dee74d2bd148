//! `attr neurons`: the neurons that count most for a number, and what feeds each of them.

use super::given::Given;
use crate::analysis::attribution::{Fed, Neuron, neurons};
use crate::answer::Table;
use crate::answer::numbers::significant;
use crate::commands::explaining::shown::Bars;
use crate::commands::frame::Done;
use crate::commands::state::Console;
use crate::model::site_name;
use crate::tensor::Axis;

/// Neurons listed where no number is given.
const LISTED: usize = 10;

pub fn ranked(console: &mut Console, given: &Given) -> Done {
    let (expr, target) = given.target(console)?;
    let count = given.samples.unwrap_or(LISTED);
    let found = neurons(&mut console.session, &expr, &target, count)?;
    let bars = Bars::of(found.first().map(|neuron| neuron.counts));
    let rows = found.iter().map(|Neuron { site, pos, index, value, slope, counts, fed }| {
        let name = format!("{}[{pos},{index}]", site_name::short(site));
        let from =
            fed.iter().map(|Fed { site, share }| format!("{} {}", site_name::short(site), significant(*share, 3)));
        let from = from.collect::<Vec<_>>().join(", ");
        (name, console.name_of(Axis::Pos, *pos), *value, *slope, *counts, bars.bar(*counts), from)
    });
    let title = format!(
        "neurons for {target}: value times gradient, to first order, the {} largest of all blocks\n\
         fed by: relevance for the neuron, by the rules of AttnLRP, of what earlier parts add to the stream; the three largest",
        found.len()
    );
    let table = Table::new(["Neuron", "Token", "Value", "Gradient", "Counts", "", "Fed by"]);
    Ok(table.title(title).rows(rows).into())
}
