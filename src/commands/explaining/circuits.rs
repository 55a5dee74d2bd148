//! `circuits` and `spectrum`: what weights say by themselves.

use crate::analysis::circuits::{Circuits, Reads, circuits, composition, heads, singular_values, tables};
use crate::answer::numbers::significant;
use crate::answer::{MapView, Table};
use crate::commands::explaining::shown::indexed;
use crate::commands::frame::{Done, mistake};
use crate::commands::state::{Call, Console};
use crate::debugger::Result;
use crate::lang::eval::Datum;
use crate::lang::{LangError, Span, parse_expr};
use crate::tensor::{Axis, step};

/// Eigenvalues and singular values that are listed.
const LISTED: usize = 8;

/// Heads that are listed: those that copy most, or most of all do not.
const SHOWN: usize = 15;

/// `circuits [HEAD]`, `circuits -composition q|k|v`.
pub fn run(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = call.options()?;
    let run = &console.session.run;
    let (spec, weights) = (run.model.spec.clone(), run.branch().weights().clone());
    let all = heads(&spec, &weights)?;
    if all.is_empty() {
        return Err("the model has no attention heads".into());
    }
    if let Some(word) = given.value("-composition") {
        let (reads, inputs) = match word.text.as_str() {
            "q" => (Reads::Q, "queries"),
            "k" => (Reads::K, "keys"),
            "v" => (Reads::V, "values"),
            _ => return Err(mistake(format!("{} is not an input of a head", word.text), word.span, "q, k or v")),
        };
        let names: Vec<String> = all.iter().map(|head| format!("L{}H{}", head.layer, head.head)).collect();
        let mut data = Vec::with_capacity(all.len() * all.len());
        for (number, earlier) in all.iter().enumerate() {
            step(&names[number], number as u64, all.len() as u64)?;
            data.extend(all.iter().map(|later| match earlier.layer < later.layer {
                true => composition(earlier, later, reads),
                // What a later head writes nobody before it reads.
                false => 0.0,
            }));
        }
        let title = format!(
            "how much of what a head writes (rows) the {inputs} of a later head (columns) read, by weights: |OV M| / (|OV| |M|)"
        );
        return Ok(MapView::grid(title, ("writes", names.clone()), ("reads", names), data).into());
    }
    step("token tables", 0, 0)?;
    let tables = tables(&spec, &weights)?;
    match left.as_slice() {
        [] => {
            let found = all.iter().map(|head| circuits(head, tables.as_ref())).collect::<Result<Vec<_>, _>>()?;
            Ok(given.rows(of_all(&found, tables.is_some()))?.into())
        }
        [word] => {
            let none = || mistake(format!("{} is not a head", word.text), word.span, "L2H3");
            let (layer, number) = indexed(&word.text, 'H').ok_or_else(none)?;
            let head = all
                .iter()
                .find(|head| (head.layer, head.head) == (layer, number))
                .ok_or_else(|| mistake(format!("no head {}", word.text), word.span, "circuits lists all heads"))?;
            Ok(of_one(&circuits(head, tables.as_ref())?, tables.is_some()).into())
        }
        [_, extra, ..] => Err(mistake("unexpected word", extra.span, "circuits, circuits L2H3")),
    }
}

const FOLDED: &str =
    "weights as they are: gains of norms are not folded in, rotations are those of a distance of zero; derived";

fn of_all(found: &[Circuits], over_tokens: bool) -> Table {
    let rows = found.iter().map(|one| {
        let [ov, qk] = [&one.ov, &one.qk].map(|values| values.first().map_or(0.0, |(re, im)| re.hypot(*im)));
        let name = format!("L{}H{}", one.layer, one.head);
        (name, one.copying, one.matching, ov, qk, one.ov_norm, one.qk_norm)
    });
    let stream = "over the residual stream: there is no vocabulary on both sides";
    let over = if over_tokens { "over tokens" } else { stream };
    let title =
        format!("eigenvalues of W_V W_O and W_Q W_K^T {over}; copying and matching: sum Re / sum | |\n{FOLDED}");
    let columns = ["Head", "Copying", "Matching", "OV largest", "QK largest", "|OV|", "|QK|"];
    let mut table = Table::new(columns).title(title).rows(rows).by_size(1, SHOWN);
    table.listed.iter_mut().for_each(|listed| listed.sums = None);
    table
}

fn of_one(one: &Circuits, over_tokens: bool) -> Table {
    let shown = |(re, im): &(f64, f64)| match *im {
        im if im.abs() < 1e-12 * re.abs().max(1e-300) => significant(*re, 4),
        im => format!("{} {} {}i", significant(*re, 4), if im < 0.0 { "-" } else { "+" }, significant(im.abs(), 4)),
    };
    let rows = (0..LISTED.min(one.ov.len())).map(|i| (i, one.ov.get(i).map(shown), one.qk.get(i).map(shown)));
    let score = |name: &str, x: Option<f64>| x.map_or(String::new(), |x| format!(", {name} {}", significant(x, 4)));
    let over = if over_tokens { " over tokens" } else { "" };
    let title = format!(
        "L{}H{}: largest eigenvalues{over}{}{}\n{FOLDED}",
        one.layer,
        one.head,
        score("copying", one.copying),
        score("matching", one.matching)
    );
    Table::new(["#", "OV", "QK"]).title(title).rows(rows)
}

/// `spectrum EXPR`: singular values of a matrix.
pub fn spectrum(console: &mut Console, call: Call<'_>) -> Done {
    if call.args.rest.is_empty() {
        return Err(mistake("expected a matrix", Span::at(call.args.offset), "spectrum param(\"L0.mlp.W_in\")"));
    }
    let expr = parse_expr(call.args.rest, call.args.offset)?;
    let Datum::Tensor(value) = console.evaluate(&expr)? else {
        return Err(LangError::new("a spectrum is of a matrix", expr.span).into());
    };
    let [rows, columns] = *value.shape() else {
        let message = format!("a spectrum is of a matrix, found shape {}", value.shape_text());
        return Err(mistake(message, expr.span, "take one head of it: param(\"L0.attn.W_Q\")[0]"));
    };
    let data = value.read_f64()?;
    if data.iter().any(|x| !x.is_finite()) || data.is_empty() {
        return Err("it has elements that are not finite, or none: there are no singular values".into());
    }
    let values = singular_values(&data, rows, columns)?;
    let squares: f64 = values.iter().map(|x| x * x).sum();
    let largest = values.first().copied().unwrap_or(0.0);
    let entropy: f64 = values.iter().map(|x| x * x / squares).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum();
    let rank = values.iter().filter(|x| **x > largest * 1e-6).count();
    let title = format!(
        "{} singular values of {}: norm {}, rank {rank} (above 1e-6 of the largest), stable rank {}, effective rank {}",
        values.len(),
        value.shape_text(),
        significant(squares.sqrt(), 4),
        significant(squares / (largest * largest), 4),
        significant(entropy.exp(), 4)
    );
    let kept = console.value_of(&values, &[values.len()], &[Axis::None]);
    let number = console.session.remember(Datum::Tensor(kept));
    let mut table =
        Table::new(["#", "Singular value", "Share of the norm so far"]).title(format!("${number} = {title}"));
    let mut sum = 0.0;
    for (i, x) in values.iter().enumerate() {
        sum += x * x;
        if i < LISTED || i + 1 == values.len() {
            table.push((i, *x, sum / squares));
        }
    }
    Ok(table.into())
}
