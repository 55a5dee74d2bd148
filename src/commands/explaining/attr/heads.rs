//! `attr heads` and `attr rollout`.

use super::given::Given;
use crate::analysis::attribution::{attention_gradient, heads, rollout};
use crate::answer::Table;
use crate::answer::numbers::significant;
use crate::commands::explaining::shown::Bars;
use crate::commands::frame::Done;
use crate::commands::state::Console;
use crate::lang::eval::Datum;
use crate::tensor::Axis;

/// Heads listed, those that count most first.
const LISTED: usize = 20;

/// What each head counts for the number; `$N` is what taking it out changes, by layer and head.
pub fn importance(console: &mut Console, given: &Given) -> Done {
    let (expr, target) = given.target(console)?;
    let mut found = heads(&mut console.session, &expr)?;
    let layers = found.iter().map(|score| score.layer + 1).max().unwrap_or(0);
    let width = found.iter().map(|score| score.head + 1).max().unwrap_or(0);
    let mut grid = vec![0.0; layers * width];
    found.iter().for_each(|score| grid[score.layer * width + score.head] = score.by_ablation);
    let value = console.value_of(&grid, &[layers, width], &[Axis::None, Axis::Head]);
    let number = console.session.remember(Datum::Tensor(value));
    found.sort_by(|a, b| b.by_ablation.abs().total_cmp(&a.by_ablation.abs()));
    let bars = Bars::of(found.first().map(|score| score.by_ablation));
    let all = found.len();
    let rows = found.into_iter().take(LISTED).map(|score| {
        let name = format!("L{}H{}", score.layer, score.head);
        (name, score.by_ablation, score.by_gradient, score.of_pattern, bars.bar(score.by_ablation))
    });
    let shown = if all > LISTED { format!(", the first {LISTED} of {all}") } else { String::new() };
    let title = format!(
        "heads for {target}: ${number} by layer and head{shown}\n\
         ablated: measured change when z is set to zero; by gradient: sum(z grad(z)), the same to first order; pattern: \
         sum|A grad(A)|"
    );
    Ok(Table::new(["Head", "Ablated", "By gradient", "Pattern", ""]).title(title).rows(rows).into())
}

/// How much of each position reaches the focused one through attention.
pub fn rollout_of(console: &mut Console, given: &Given) -> Done {
    flow(console, given, false)
}

/// The same, where patterns are weighted by their gradients.
pub fn weighted_rollout(console: &mut Console, given: &Given) -> Done {
    flow(console, given, true)
}

fn flow(console: &mut Console, given: &Given, weighted: bool) -> Done {
    let ((data, length), what) = match weighted {
        true => {
            let (expr, target) = given.target(console)?;
            (attention_gradient(&mut console.session, &expr)?, format!(" for {target}"))
        }
        false => (rollout(&mut console.session)?, String::new()),
    };
    let value = console.value_of(&data, &[length, length], &[Axis::Q, Axis::K]).whole();
    let number = console.session.remember(Datum::Tensor(value));
    let pos = console.session.focus_pos();
    let row = &data[pos * length..(pos + 1) * length];
    let bars = Bars::of(row.iter().copied());
    let rows = row.iter().enumerate().map(|(k, x)| (k, console.name_of(Axis::K, k), *x, bars.bar(*x)));
    let sum = significant(row.iter().sum(), 6);
    let title = format!(
        "{}{what} to pos {pos} {:?}: ${number} by query and key\nderived from the patterns{}, sum {sum}: values and MLPs are not in it",
        given.method.name,
        console.name_of(Axis::Pos, pos),
        if weighted { " and their gradients" } else { " alone" }
    );
    Ok(Table::new(["K", "Token", "Value", ""]).title(title).rows(rows).into())
}
