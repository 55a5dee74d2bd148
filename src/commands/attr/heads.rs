//! `attr heads` and `attr rollout`.

use super::super::console::{Console, Done};
use super::given::Given;
use super::table;
use crate::analysis::attribution::{attention_gradient, heads, rollout};
use crate::answer::numbers::significant;
use crate::answer::{Answer, Cell, Table};
use crate::lang::eval::Datum;
use crate::tensor::{Axis, Value};

/// Heads listed, those that count most first.
const LISTED: usize = 20;

/// What each head counts for the number; `$N` is what taking it out changes, by layer and head.
pub fn importance(console: &mut Console, given: &Given) -> Done {
    let (expr, target) = given.target(console)?;
    let mut found = heads(&mut console.session, &expr)?;
    let layers = found.iter().map(|score| score.layer + 1).max().unwrap_or(0);
    let width = found.iter().map(|score| score.head + 1).max().unwrap_or(0);
    let mut grid = vec![0.0f32; layers * width];
    found.iter().for_each(|score| grid[score.layer * width + score.head] = score.by_ablation as f32);
    let value = Value::from_f32(grid, &[layers, width], console.session.run.device());
    let value = value.with_axes(&[Axis::None, Axis::Head]);
    let number = console.session.remember(Datum::Tensor(value));
    found.sort_by(|a, b| b.by_ablation.abs().total_cmp(&a.by_ablation.abs()));
    let largest = found.first().map_or(0.0, |score| score.by_ablation.abs());
    let all = found.len();
    let rows = found.into_iter().take(LISTED).map(|score| {
        vec![
            Cell::Text(format!("L{}H{}", score.layer, score.head)),
            Cell::Num(score.by_ablation),
            Cell::Num(score.by_gradient),
            Cell::Num(score.of_pattern),
            Cell::Text(table::bar(score.by_ablation, largest)),
        ]
    });
    let columns = ["Head", "Ablated", "By gradient", "Pattern", ""].map(String::from).to_vec();
    let shown = if all > LISTED { format!(", the first {LISTED} of {all}") } else { String::new() };
    let title = format!(
        "heads for {target}: ${number} by layer and head{shown}\n\
         ablated: measured change when z is set to zero; by gradient: sum(z grad(z)), the same to first order; pattern: \
         sum|A grad(A)|"
    );
    Ok(Answer::Table(Table { title, columns, rows: rows.collect() }))
}

/// How much of each position reaches the focused one through attention.
pub fn flow(console: &mut Console, given: &Given) -> Done {
    let weighted = given.method == "attnxgradient";
    let (found, what) = match weighted {
        true => {
            let (expr, target) = given.target(console)?;
            let found = attention_gradient(&mut console.session, &expr)?;
            (found, format!(" for {target}"))
        }
        false => (rollout(&mut console.session)?, String::new()),
    };
    let (data, length) = found;
    let floats = data.iter().map(|x| *x as f32).collect();
    let value = Value::from_f32(floats, &[length, length], console.session.run.device());
    let value = value.with_axes(&[Axis::Q, Axis::K]).whole();
    let number = console.session.remember(Datum::Tensor(value));
    let pos = console.session.focus_pos();
    let row = &data[pos * length..(pos + 1) * length];
    let largest = row.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
    let rows = row.iter().enumerate().map(|(k, x)| {
        vec![
            Cell::Int(k as i64),
            Cell::Text(console.name_of(Axis::K, k)),
            Cell::Num(*x),
            Cell::Text(table::bar(*x, largest)),
        ]
    });
    let rows = rows.collect();
    let columns = ["K", "Token", "Value", ""].map(String::from).to_vec();
    let sum = significant(row.iter().sum(), 6);
    let title = format!(
        "{}{what} to pos {pos} {:?}: ${number} by query and key\nderived from the patterns{}, sum {sum}: values and MLPs are not in it",
        given.method,
        console.name_of(Axis::Pos, pos),
        if weighted { " and their gradients" } else { " alone" }
    );
    Ok(Answer::Table(Table { title, columns, rows }))
}
