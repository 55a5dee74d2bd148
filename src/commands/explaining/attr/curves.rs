//! `attr METHOD,METHOD -curves`: which method knows best what the number depends on.

use super::given::Given;
use super::methods::{Run, Work};
use crate::analysis::attribution::{Probe, Random, area, curves};
use crate::answer::Table;
use crate::answer::numbers::significant;
use crate::commands::frame::Done;
use crate::commands::state::{Call, Console};
use crate::lang::LangError;
use crate::lang::eval::Datum;
use crate::tensor::Axis;

/// Random orders that methods are compared with.
const ORDERS: usize = 10;

/// Every method's order of the tokens, and random ones, by what hiding and showing them in that order does to the number.
pub fn compared(console: &mut Console, all: &[Given], call: Call<'_>) -> Done {
    let refused = |message: String| Err(LangError::new(message, call.span()).into());
    let Some(first) = all.first() else { return refused("expected a method".into()) };
    if let Some(given) = all.iter().find(|given| !matches!(given.method.run, Run::Elements(_) | Run::Hiding(_))) {
        let name = given.method.name;
        return refused(format!("{name} gives no number for each position, which -curves needs"));
    }
    let (expr, target) = first.target(console)?;
    if all.iter().any(|given| given.has_target() && given.target(console).is_ok_and(|(_, text)| text != target)) {
        return refused("-curves compares methods for one target".into());
    }
    let site = super::site_of(console, first)?;
    super::begins_with_positions(console, site, "-curves")?;
    let hidden = console.baselines(first, &expr, site, true, usize::MAX)?;
    let positions = console.session.row_length();
    let segments = console.segments(first, positions, positions)?;
    let mut orders = Vec::new();
    for given in all {
        let hides = matches!(given.method.run, Run::Hiding(_));
        let baselines = console.baselines(given, &expr, site, hides, usize::MAX)?;
        let mut probe = Probe::new(&mut console.session, &expr, site)?;
        let work = Work { given, site, baselines: &baselines, players: &segments.players };
        let found = work.carried_out(&mut probe)?;
        let values = if hides { found.values } else { segments.players.sums(&found.values) };
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
        orders.push(order);
    }
    let mut random = Random::new(first.seed);
    orders.extend((0..ORDERS).map(|_| random.order(segments.players.count)));
    let mut probe = Probe::new(&mut console.session, &expr, site)?;
    let found = curves(&mut probe, &hidden[0], &segments.players, &orders)?;
    let mean = |of: &dyn Fn(usize) -> f64| (all.len()..found.len()).map(of).sum::<f64>() / ORDERS as f64;
    let areas = |i: usize| [area(&found[i].deletion), area(&found[i].insertion)];
    let mut rows: Vec<(String, f64, f64, f64)> = all
        .iter()
        .enumerate()
        .map(|(i, given)| {
            let [deletion, insertion] = areas(i);
            (given.method.name.to_string(), deletion, insertion, insertion - deletion)
        })
        .collect();
    let [deletion, insertion] = [0, 1].map(|which| mean(&|i| areas(i)[which]));
    rows.push((format!("random, mean of {ORDERS}"), deletion, insertion, insertion - deletion));
    rows.sort_by(|a, b| b.3.total_cmp(&a.3));
    let number =
        kept(console, &found.iter().take(all.len()).flat_map(|c| [&c.deletion, &c.insertion]).collect::<Vec<_>>());
    let (whole, none) = (found[0].deletion[0], found[0].insertion[0]);
    let units = if first.segments.is_some() { "segments" } else { "tokens" };
    let title = format!(
        "curves of {target}: {} with all {} {units}, {} with none; ${number} has two rows for each method as given, by how many \
         {units} are hidden, and shown\ndeletion: mean of the number while the most important are hidden one after the other, small is good; \
         insertion: while they are shown, large is good; measured, random orders of seed {}",
        significant(whole, 6),
        segments.players.count,
        significant(none, 6),
        first.seed
    );
    Ok(Table::new(["Method", "Deletion", "Insertion", "Difference"]).title(title).rows(rows).into())
}

/// The curves as a value of the history.
fn kept(console: &mut Console, curves: &[&Vec<f64>]) -> usize {
    let width = curves.first().map_or(0, |curve| curve.len());
    let data: Vec<f64> = curves.iter().flat_map(|curve| curve.iter().copied()).collect();
    let value = console.value_of(&data, &[curves.len(), width], &[Axis::None, Axis::None]);
    console.session.remember(Datum::Tensor(value))
}
