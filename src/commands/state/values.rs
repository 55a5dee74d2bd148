//! From evaluated values to what is shown of them.

use crate::answer::layout::{EDGE, edge_elements, edge_lines};
use crate::answer::{Answer, Cell, MapView, Scale, Style, Table, ValueView, numbers};
use crate::commands::state::Console;
use crate::debugger::Result;
use crate::lang::eval::Datum;
use crate::tensor::ops::Slice;
use crate::tensor::{Axis, Kind, Summary, Value, unravel};

/// Largest number of rows or columns of a map in text; larger ones are pooled.
const MAP_CELLS: usize = 64;

impl Console {
    /// A value as an answer, in a style. Strings and nothing are text.
    pub(crate) fn show(&self, datum: &Datum, number: Option<usize>, style: Style) -> Result<Answer> {
        let label = number.map_or(String::new(), |n| format!("${n} = "));
        Ok(match datum {
            Datum::Str(text) => Answer::Text(format!("{label}{text:?}")),
            Datum::Void => Answer::Text(format!("{label}void")),
            Datum::Num(n) => Answer::Value(scalar(*n, "f64", number, style)),
            Datum::Bool(b) => Answer::Value(scalar(f64::from(u8::from(*b)), "bool", number, style)),
            Datum::Tensor(value) => Answer::Value(view(value, number, style)?),
        })
    }

    /// The output of the op before the cursor for the focused row, put into the history.
    pub(crate) fn output_of_last_op(&mut self) -> Result<ValueView> {
        let op = self.session.run.cursor.saturating_sub(1);
        let value = self.session.run.value(op)?.slice(&[Slice::At(self.session.focus.row)])?;
        let number = self.session.remember(Datum::Tensor(value.clone()));
        view(&value, Some(number), Style::Summary)
    }

    /// The largest elements of a value: token text on a vocabulary axis and next to token positions.
    pub(crate) fn top(&self, value: &Value, k: usize) -> Result<Table> {
        let top = value.topk(k)?;
        let mut columns = vec!["rank".to_string()];
        let last = value.axes().last().copied().unwrap_or_default();
        let vector = value.shape().len() == 1;
        if !(vector && matches!(last, Axis::Vocab | Axis::Label)) {
            for (i, axis) in value.axes().iter().enumerate() {
                columns.push(if *axis == Axis::None { format!("axis {i}") } else { axis.to_string() });
            }
        }
        let rank = value.shape().len();
        let first = rank.checked_sub(1).and_then(|axis| self.first_entry(value, axis));
        let names = first.is_some() && (matches!(last, Axis::Vocab | Axis::Label) || last.is_position());
        if names {
            columns.push(if last == Axis::Label { "label" } else { "token" }.into());
        }
        columns.push("value".into());
        let mut table = Table::new(columns);
        for (rank, (&flat, &x)) in top.indices.iter().zip(&top.values).enumerate() {
            let index = unravel(flat, value.shape());
            let mut row: Vec<Cell> = vec![rank.into()];
            if table.columns.len() > 2 + usize::from(names) {
                let absolute = |(axis, &i): (usize, &usize)| self.first_entry(value, axis).unwrap_or(0) + i;
                row.extend(index.iter().enumerate().map(|entry| absolute(entry).into()));
            }
            if names {
                let at = index.last().copied().unwrap_or_default();
                row.push(self.name_of(last, first.unwrap_or(0) + at).into());
            }
            row.push(x.into());
            table.push(row);
        }
        Ok(table)
    }

    /// The first entry of an axis within the whole value: known for slices of sites, and for axes of full length. Without
    /// it entries have numbers only, since a wrong name is worse than none.
    fn first_entry(&self, value: &Value, axis: usize) -> Option<usize> {
        let run = &self.session.run;
        let full = match value.axes()[axis] {
            Axis::Vocab => Some(run.model.spec.vocab),
            Axis::Label => Some(run.model.spec.labels().len()),
            axis if axis.is_source() => Some(run.branch().text().source_length()),
            axis if axis.is_position() => Some(self.session.row_length()),
            _ => None,
        };
        match value.origin() {
            Some(origin) => Some(origin[axis]),
            None => (full == Some(value.shape()[axis])).then_some(0),
        }
    }

    /// What entry `i` of an axis is called: a token of the vocabulary, the token at a position, a class.
    pub(crate) fn name_of(&self, axis: Axis, i: usize) -> String {
        let run = &self.session.run;
        let token = |id: u32| self.token_text(id);
        match axis {
            Axis::Vocab => token(i as u32),
            Axis::Label => run.model.spec.labels().get(i).cloned().unwrap_or_else(|| i.to_string()),
            axis if axis.is_position() => {
                let row = self.session.focused_row();
                let ids = match axis.is_source() {
                    true => row.and_then(|row| row.source.as_ref()).map(|source| &source.ids),
                    false => row.map(|row| &row.ids),
                };
                ids.and_then(|ids| ids.get(i)).map_or_else(|| i.to_string(), |&id| token(id))
            }
            _ => i.to_string(),
        }
    }

    /// A two-dimensional value as a map, pooled by largest magnitude to at most `cells` rows and columns.
    pub(crate) fn map(&self, title: String, value: &Value, cells: (usize, usize)) -> Result<MapView> {
        let value = match value.shape().len() {
            0 => value.reshape(&[1, 1])?,
            1 => {
                let axis = value.axes()[0];
                let origin = value.origin().map(|origin| vec![0, origin[0]]);
                value.reshape(&[1, value.count()])?.with_axes(&[Axis::None, axis]).with_origin(origin)
            }
            2 => value.clone(),
            _ => {
                let shape = value.shape_text();
                return Err(format!("a heat map needs two axes, found {shape}: take a slice, such as [head=0]").into());
            }
        };
        let (rows, columns) = (value.shape()[0], value.shape()[1]);
        let pool = [rows.div_ceil(cells.0.max(1)).max(1), columns.div_ceil(cells.1.max(1)).max(1)];
        let (out_rows, out_columns) = (rows.div_ceil(pool[0]), columns.div_ceil(pool[1]));
        let mut best: Vec<Option<f64>> = vec![None; out_rows * out_columns];
        value.for_blocks(|_, some, block| {
            for (i, line) in some.zip(block.read_f64()?.chunks(columns.max(1))) {
                let cells = best[i / pool[0] * out_columns..].iter_mut();
                for (best, part) in cells.zip(line.chunks(pool[1])) {
                    *best = part.iter().fold(*best, |best, x| Some(best.map_or(*x, |best| more_telling(best, *x))));
                }
            }
            Ok(())
        })?;
        let summary = value.summary()?;
        let pooled = best.into_iter().map(|best| best.unwrap_or(f64::NAN)).collect();
        let [row_axis, column_axis] = [value.axes()[0], value.axes()[1]];
        let label = |axis: usize, i: usize| match (self.first_entry(&value, axis), value.axes()[axis]) {
            (
                Some(first),
                Axis::Head | Axis::Dim | Axis::Neuron | Axis::Feature | Axis::Expert | Axis::Row | Axis::None,
            ) => (first + i).to_string(),
            (Some(first), named) => self.name_of(named, first + i),
            (None, _) => i.to_string(),
        };
        let scale = if summary.min >= 0.0 { Scale::Sequential } else { Scale::Diverging };
        let rows = (row_axis.to_string(), (0..out_rows).map(|r| label(0, r * pool[0])).collect());
        let columns = (column_axis.to_string(), (0..out_columns).map(|c| label(1, c * pool[1])).collect());
        Ok(MapView::grid(title, rows, columns, pooled).pooled(pool, value.shape(), summary).scale(scale))
    }

    pub(crate) fn text_map(&self, title: &str, value: &Value) -> Result<Answer> {
        Ok(Answer::Map(self.map(title.into(), value, (MAP_CELLS, MAP_CELLS))?))
    }
}

/// The one of two numbers that represents both in a map. NaN must show; -inf of a mask must not hide what is next to it.
fn more_telling(best: f64, x: f64) -> f64 {
    match best {
        _ if best.is_nan() || x.is_nan() => f64::NAN,
        f64::NEG_INFINITY => x,
        best if x != f64::NEG_INFINITY && x.abs() > best.abs() => x,
        best => best,
    }
}

fn scalar(x: f64, dtype: &'static str, number: Option<usize>, style: Style) -> ValueView {
    let summary = Summary::of_host(std::iter::once(x), &[]);
    let edge = vec![numbers::element(x, dtype, style, numbers::SCALAR_DIGITS)];
    ValueView { number, shape: vec![], axes: vec![], dtype: dtype.into(), summary, data: Some(vec![x]), style, edge }
}

pub(crate) fn view(value: &Value, number: Option<usize>, style: Style) -> Result<ValueView> {
    let whole = value.count() <= ValueView::DATA_LIMIT || matches!(style, Style::All | Style::Raw);
    let dtype = value.dtype_name();
    let format = |x: f64| numbers::element(x, dtype, style, numbers::ELEMENT_DIGITS);
    let (data, elements) = if whole {
        let data = value.read_f64()?;
        let elements = edge_elements(&data, value.shape(), EDGE);
        (Some(data), elements)
    } else {
        (None, edges(value)?.read_f64()?)
    };
    Ok(ValueView {
        number,
        shape: value.shape().to_vec(),
        axes: value.axes().iter().map(Axis::to_string).collect(),
        dtype: dtype.into(),
        summary: value.summary()?,
        data,
        style,
        edge: edge_lines(&elements, value.shape(), EDGE, format),
    })
}

/// The first and last few entries along every axis, cut on the device.
fn edges(value: &Value) -> Result<Value> {
    let mut out = value.clone();
    for axis in 0..value.shape().len() {
        let len = out.shape()[axis];
        if len > 2 * EDGE {
            let part = |start, end| {
                let mut slices = vec![Slice::All; axis];
                slices.push(Slice::Range { start, end, step: 1 });
                out.slice(&slices)
            };
            out = Value::concat(&[part(0, EDGE)?, part(len - EDGE, len)?], axis)?;
        }
    }
    Ok(out)
}

/// A shape as it is listed: `4x15x15`.
pub(crate) fn by(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

/// A shape as it is read: `9 heads x 5 q x 5 k`. In brackets it would look like an index.
fn in_words(value: &Value) -> String {
    let one = |(length, axis): (&usize, &Axis)| match (axis.name(), length) {
        ("", length) => length.to_string(),
        (name @ ("head" | "neuron" | "expert" | "label"), 2..) => format!("{length} {name}s"),
        (name, length) => format!("{length} {name}"),
    };
    match value.shape() {
        [] => value.shape_text(),
        shape => shape.iter().zip(value.axes()).map(one).collect::<Vec<_>>().join(" x "),
    }
}

/// One line about a value: shape and statistics.
pub(crate) fn summary_line(value: &Value) -> Result<String> {
    let shape = in_words(value);
    if value.kind() != Kind::Float {
        return Ok(shape);
    }
    let s = value.near()?.summary()?;
    let [min, max, mean, std] = [s.min, s.max, s.mean, s.std].map(numbers::short);
    let mut line = format!("{shape}  min {min}  max {max}  mean {mean}  std {std}");
    for (count, what) in [(s.nan, "nan"), (s.pos_inf, "+inf"), (s.neg_inf, "-inf")] {
        if count > 0 {
            line.push_str(&format!("  {what} {count}"));
        }
    }
    Ok(line)
}
