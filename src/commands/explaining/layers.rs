//! `layers`: one expression in every block.

use crate::answer::Table;
use crate::answer::numbers::significant;
use crate::commands::explaining::shown::Bars;
use crate::commands::frame::{Done, mistake};
use crate::commands::state::{Call, Console};
use crate::debugger::{Result, RunScope};
use crate::lang::eval::{Datum, evaluate};
use crate::lang::{LangError, parse_expr};
use crate::tensor::{Axis, Value, step};

/// What is shown without an expression: how long the residual stream is at the focused position.
const USUAL: &str = "norm(resid_pre[-1])";

/// Blocks that are listed: those at which the number changes most, the first and the last.
const LISTED: usize = 15;

/// `layers [EXPR]`: names without a layer are those of each block in turn.
pub fn layers(console: &mut Console, call: Call<'_>) -> Done {
    let (given, text, offset) = call.options_before()?;
    let usual = text.is_empty();
    let (text, offset) = if usual { (USUAL, 0) } else { (text, offset) };
    let expr = parse_expr(text, offset)?;
    let count = console.session.run.program.n_layers();
    let mut found: Vec<Value> = Vec::new();
    let device = console.session.run.device().clone();
    for layer in 0..count {
        step(&format!("L{layer}"), layer as u64, count as u64)?;
        let mut scope = RunScope::new(&mut console.session).in_block(layer);
        let datum = match evaluate(&expr, &mut scope) {
            Ok(datum) => datum,
            // The blocks that the pass has not come to yet are left out.
            Err(_) if scope.missed() && layer > 0 => break,
            Err(error) if usual => return Err(error.to_string().into()),
            Err(error) => return Err(error.into()),
        };
        found.push(match datum {
            Datum::Tensor(value) => value.to_float(),
            Datum::Num(x) => Value::from_f32(vec![x as f32], &[], &device),
            Datum::Bool(x) => Value::from_f32(vec![f32::from(u8::from(x))], &[], &device),
            Datum::Str(_) | Datum::Void => {
                return Err(LangError::new("expected numbers in every block", expr.span).into());
            }
        });
    }
    let shape = found.first().map_or(Vec::new(), |value| value.shape().to_vec());
    if found.iter().any(|value| value.shape() != shape) {
        return Err("the blocks give values of different shapes: reduce them, for example with norm(...)".into());
    }
    match shape.as_slice() {
        [] => Ok(given.rows(numbers(text, &found)?)?.into()),
        [_] => {
            let axis = found[0].axes()[0];
            let origin = found[0].origin().map(|origin| vec![0, origin[0]]);
            let stacked: Vec<Value> =
                found.iter().map(|value| value.reshape(&[1, shape[0]])).collect::<Result<_, _>>()?;
            let value = Value::concat(&stacked, 0)?.with_axes(&[Axis::None, axis]).with_origin(origin);
            let mut map = console.map(format!("{text} by layer"), &value, (usize::MAX, 64))?;
            map.axes[0] = "layer".into();
            map.row_labels = (0..found.len()).map(|layer| format!("L{layer}")).collect();
            Ok(map.into())
        }
        _ => {
            let message = format!("a number or a vector for each layer is wanted, found {}", found[0].shape_text());
            Err(mistake(message, expr.span, "reduce an axis, or take a slice of it"))
        }
    }
}

fn numbers(text: &str, found: &[Value]) -> Result<Table> {
    let numbers = found.iter().map(Value::read_scalar).collect::<Result<Vec<f64>, _>>()?;
    let bars = Bars::of(numbers.iter().copied().filter(|x| x.is_finite()));
    let rows = numbers
        .iter()
        .enumerate()
        .map(|(layer, x)| (format!("L{layer}"), *x, if x.is_finite() { bars.bar(*x) } else { String::new() }));
    let change = numbers.windows(2).map(|pair| (pair[1] - pair[0]).abs());
    let change: Vec<f64> = [f64::INFINITY].into_iter().chain(change).collect();
    let at = |x: f64| numbers.iter().position(|y| *y == x).unwrap_or(0);
    let finite = || numbers.iter().copied().filter(|x| x.is_finite());
    let extremes = finite().reduce(f64::min).zip(finite().reduce(f64::max));
    let title = match extremes {
        Some((least, most)) => {
            let [least, most] = [least, most].map(|x| format!("{} at L{}", significant(x, 4), at(x)));
            format!("{text} by layer: from {least} to {most}")
        }
        None => format!("{text} by layer"),
    };
    Ok(Table::new(["Layer", "Value", ""]).title(title).rows(rows).by_change(&change, LISTED))
}
