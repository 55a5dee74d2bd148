//! `circuits` and `spectrum`: what weights say by themselves.

use super::console::{Console, Done};
use super::table::Call;
use crate::analysis::circuits::{Circuits, Reads, circuits, composition, heads, singular_values, tables};
use crate::answer::numbers::significant;
use crate::answer::{Answer, Cell, MapView, Scale, Table};
use crate::debugger::{Error, Result};
use crate::lang::eval::Datum;
use crate::lang::words::{OptionSpec, Word, take_options, words};
use crate::lang::{LangError, Span, parse_expr};
use crate::tensor::{Axis, Summary, step};

const OPTIONS: [OptionSpec; 1] = [OptionSpec { name: "-composition", takes_value: true }];

/// Eigenvalues and singular values that are listed.
const LISTED: usize = 8;

/// `circuits [HEAD]`, `circuits -composition q|k|v`.
pub fn run(console: &mut Console, call: Call<'_>) -> Done {
    let (given, left) = take_options(words(call.args.rest, call.args.offset)?, &OPTIONS)?;
    let run = &console.session.run;
    let (spec, weights) = (run.model.spec.clone(), run.branch().weights().clone());
    let all = heads(&spec, &weights)?;
    if all.is_empty() {
        return Err(Error::refused("the model has no attention heads"));
    }
    if let Some(word) = given.first().and_then(|option| option.value.as_ref()) {
        let reads = match word.text.as_str() {
            "q" => Reads::Q,
            "k" => Reads::K,
            "v" => Reads::V,
            _ => {
                return Err(Error::At(
                    LangError::new(format!("{} is no input of a head", word.text), word.span).help("q, k or v"),
                ));
            }
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
        let count = all.len();
        return Ok(Answer::Map(MapView {
            title: format!(
                "how much of what a head writes (rows) the {} of a later head (columns) read, by weights: |OV M| / (|OV| |M|)",
                match reads {
                    Reads::Q => "queries",
                    Reads::K => "keys",
                    Reads::V => "values",
                }
            ),
            rows: count,
            columns: count,
            summary: Summary::of_host(data.iter().copied(), &[count, count]),
            shape: vec![count, count],
            data,
            row_labels: names.clone(),
            column_labels: names,
            pool: [1, 1],
            axes: ["writes".into(), "reads".into()],
            scale: Scale::Sequential,
        }));
    }
    step("token tables", 0, 0)?;
    let tables = tables(&spec, &weights)?;
    match left.as_slice() {
        [] => {
            let found = all.iter().map(|head| circuits(head, tables.as_ref())).collect::<Result<Vec<_>, _>>()?;
            Ok(Answer::Table(of_all(&found, tables.is_some())))
        }
        [word] => {
            let (layer, number) = head_of(word)?;
            let head = all.iter().find(|head| (head.layer, head.head) == (layer, number)).ok_or_else(|| {
                Error::At(LangError::new(format!("no head {}", word.text), word.span).help("circuits lists all heads"))
            })?;
            Ok(Answer::Table(of_one(&circuits(head, tables.as_ref())?, tables.is_some())))
        }
        [_, extra, ..] => Err(Error::At(LangError::new("unexpected word", extra.span).help("circuits, circuits L2H3"))),
    }
}

const FOLDED: &str =
    "weights as they are: gains of norms are not folded in, rotations are those of a distance of zero; derived";

fn of_all(found: &[Circuits], over_tokens: bool) -> Table {
    let optional = |x: Option<f64>| x.map_or(Cell::Empty, Cell::Num);
    let row = |one: &Circuits| {
        let largest = |values: &[(f64, f64)]| Cell::Num(values.first().map_or(0.0, |(re, im)| re.hypot(*im)));
        vec![
            Cell::Text(format!("L{}H{}", one.layer, one.head)),
            optional(one.copying),
            optional(one.matching),
            largest(&one.ov),
            largest(&one.qk),
            Cell::Num(one.ov_norm),
            Cell::Num(one.qk_norm),
        ]
    };
    let columns =
        ["Head", "Copying", "Matching", "OV largest", "QK largest", "|OV|", "|QK|"].map(String::from).to_vec();
    let over =
        if over_tokens { "over tokens" } else { "over the residual stream: there is no vocabulary on both sides" };
    let title =
        format!("eigenvalues of W_V W_O and W_Q W_K^T {over}; copying and matching: sum Re / sum | |\n{FOLDED}");
    Table { title, columns, rows: found.iter().map(row).collect() }
}

fn of_one(one: &Circuits, over_tokens: bool) -> Table {
    let shown = |(re, im): &(f64, f64)| match *im {
        im if im.abs() < 1e-12 * re.abs().max(1e-300) => significant(*re, 4),
        im => format!("{} {} {}i", significant(*re, 4), if im < 0.0 { "-" } else { "+" }, significant(im.abs(), 4)),
    };
    let cell = |values: &[(f64, f64)], i: usize| values.get(i).map_or(Cell::Empty, |value| Cell::Text(shown(value)));
    let rows = (0..LISTED.min(one.ov.len())).map(|i| vec![Cell::Int(i as i64), cell(&one.ov, i), cell(&one.qk, i)]);
    let score = |name: &str, x: Option<f64>| x.map_or(String::new(), |x| format!(", {name} {}", significant(x, 4)));
    let over = if over_tokens { " over tokens" } else { "" };
    let title = format!(
        "L{}H{}: largest eigenvalues{over}{}{}\n{FOLDED}",
        one.layer,
        one.head,
        score("copying", one.copying),
        score("matching", one.matching)
    );
    Table { title, columns: ["#", "OV", "QK"].map(String::from).to_vec(), rows: rows.collect() }
}

/// `L2H3`.
fn head_of(word: &Word) -> Result<(usize, usize)> {
    let parts = word.text.strip_prefix('L').and_then(|rest| rest.split_once('H'));
    let found = parts.and_then(|(layer, head)| Some((layer.parse().ok()?, head.parse().ok()?)));
    found.ok_or_else(|| Error::At(LangError::new(format!("{} is no head", word.text), word.span).help("L2H3")))
}

/// `spectrum EXPR`: singular values of a matrix.
pub fn spectrum(console: &mut Console, call: Call<'_>) -> Done {
    if call.args.rest.is_empty() {
        let error = LangError::new("expected a matrix", Span::at(call.args.offset));
        return Err(Error::At(error.help("spectrum param(\"L0.mlp.W_in\")")));
    }
    let expr = parse_expr(call.args.rest, call.args.offset)?;
    let Datum::Tensor(value) = console.evaluate(&expr)? else {
        return Err(Error::At(LangError::new("a spectrum is of a matrix", expr.span)));
    };
    let [rows, columns] = *value.shape() else {
        let message = format!("a spectrum is of a matrix, found shape {}", value.shape_text());
        return Err(Error::At(
            LangError::new(message, expr.span).help("take one head of it: param(\"L0.attn.W_Q\")[0]"),
        ));
    };
    let data = value.read_f64()?;
    if data.iter().any(|x| !x.is_finite()) || data.is_empty() {
        return Err(Error::refused("it has elements that are not finite, or none: there are no singular values"));
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
    let numbered = values.iter().map(|x| *x as f32).collect();
    let kept = crate::tensor::Value::from_f32(numbered, &[values.len()], console.session.run.device());
    let number = console.session.remember(Datum::Tensor(kept.with_axes(&[Axis::None])));
    let mut sum = 0.0;
    let mut rows = Vec::new();
    for (i, x) in values.iter().enumerate() {
        sum += x * x;
        if i < LISTED || i + 1 == values.len() {
            rows.push(vec![Cell::Int(i as i64), Cell::Num(*x), Cell::Num(sum / squares)]);
        }
    }
    let columns = ["#", "Singular value", "Share of the norm so far"].map(String::from).to_vec();
    Ok(Answer::Table(Table { title: format!("${number} = {title}"), columns, rows }))
}
