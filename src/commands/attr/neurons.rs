//! `attr neurons`: the neurons that count most for a number, and what feeds each of them.

use super::super::console::{Console, Done};
use super::given::Given;
use super::table;
use crate::analysis::attribution::{Fed, Neuron, neurons};
use crate::answer::numbers::significant;
use crate::answer::{Answer, Cell, Table};
use crate::tensor::Axis;

/// Neurons listed where no number is given.
const LISTED: usize = 10;

/// The answer.
pub fn ranked(console: &mut Console, given: &Given) -> Done {
    let (expr, target) = given.target(console)?;
    let count = given.samples.unwrap_or(LISTED);
    let found = neurons(&mut console.session, &expr, &target, count)?;
    let largest = found.first().map_or(0.0, |neuron| neuron.counts.abs());
    let mut rows = Vec::new();
    for Neuron { site, pos, index, value, slope, counts, fed } in &found {
        let from = fed.iter().map(|Fed { site, share }| format!("{} {}", short(site), significant(*share, 3)));
        rows.push(vec![
            Cell::Text(format!("{}[{pos},{index}]", short(site))),
            Cell::Text(console.name_of(Axis::Pos, *pos)),
            Cell::Num(*value),
            Cell::Num(*slope),
            Cell::Num(*counts),
            Cell::Text(table::bar(*counts, largest)),
            Cell::Text(from.collect::<Vec<_>>().join(", ")),
        ]);
    }
    let columns = ["Neuron", "Token", "Value", "Gradient", "Counts", "", "Fed by"].map(String::from).to_vec();
    let title = format!(
        "neurons for {target}: value times gradient, to first order, the {} largest of all blocks\n\
         fed by: relevance for the neuron, by the rules of AttnLRP, of what earlier parts add to the stream; the three largest",
        found.len()
    );
    Ok(Answer::Table(Table { title, columns, rows }))
}

/// `L0.mlp.post` for `blocks.0.mlp.post`: on a narrow screen the numbers behind it are what tells neurons apart.
fn short(site: &str) -> String {
    site.replacen("blocks.", "L", 1)
}
