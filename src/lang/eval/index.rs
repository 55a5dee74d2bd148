//! Slices: numpy's rules, with axis names, and with tokens as indices.

use super::evaluator::Evaluator;
use super::{At, Datum, Scope};
use crate::lang::{Expr, ExprKind, IndexItem, IndexKind, LangError, Result, Span};
use crate::tensor::ops::Slice;
use crate::tensor::{Axis, Kind, TensorError, Value};

/// What is selected on one axis, and whether it is then reversed.
#[derive(Clone, Copy)]
struct Selection {
    slice: Slice,
    backwards: bool,
}

/// The part of `value` that `items` select, one entry for each axis: what an assignment to it changes.
pub fn slices(items: &[IndexItem], value: &Value, scope: &mut dyn Scope) -> Result<Vec<Slice>> {
    let selections = Evaluator { scope }.selections(items, value)?;
    let plain = |s: &Selection| !s.backwards && !matches!(s.slice, Slice::Range { step, .. } if step > 1);
    let stepped = |item: &&IndexItem| matches!(item.kind, IndexKind::Range { step: Some(_), .. });
    match items.iter().find(stepped) {
        Some(item) if !selections.iter().all(plain) => {
            Err(LangError::new("only slices with a step of 1 can be assigned to", item.span))
        }
        _ => Ok(selections.into_iter().map(|s| s.slice).collect()),
    }
}

impl Evaluator<'_> {
    pub fn index(&mut self, base: Datum, span: Span, items: &[IndexItem]) -> Result<Datum> {
        let Datum::Tensor(value) = base else {
            return Err(LangError::new(format!("{} has no axes to slice", base.described()), span));
        };
        let selections = self.selections(items, &value)?;
        let forward: Vec<Slice> = selections.iter().map(|s| s.slice).collect();
        let mut part = value.slice(&forward).at(span)?;
        let left = selections.iter().filter(|s| !matches!(s.slice, Slice::At(_)));
        for (axis, _) in left.enumerate().filter(|(_, s)| s.backwards) {
            part = backwards(&part, axis).at(span)?;
        }
        Ok(Datum::Tensor(part))
    }

    fn selections(&mut self, items: &[IndexItem], value: &Value) -> Result<Vec<Selection>> {
        let rank = value.shape().len();
        let mut chosen: Vec<Option<Selection>> = vec![None; rank];
        let counted = items.iter().filter(|i| i.axis.is_none() && i.kind != IndexKind::Rest).count();
        let mut next = 0;
        let mut rest = false;
        for item in items {
            if item.kind == IndexKind::Rest {
                if rest {
                    return Err(LangError::new("... can be used only once in a slice", item.span));
                }
                rest = true;
                next += rank.saturating_sub(counted);
                continue;
            }
            let axis = match &item.axis {
                Some(name) => value.axis(&name.value).at(name.span).map_err(|error| match name.value.as_str() {
                    "row" => error
                        .help("a value is that of the focused row: SITE[row=1] reads another, focus row=1 goes there"),
                    _ => error,
                })?,
                None => {
                    next += 1;
                    next - 1
                }
            };
            let Some(slot) = chosen.get(axis) else {
                let message = format!("too many indices: the value has shape {}", value.shape_text());
                return Err(LangError::new(message, item.span));
            };
            if slot.is_some() {
                return Err(LangError::new(format!("axis {} is sliced twice", value.axis_label(axis)), item.span));
            }
            chosen[axis] = Some(self.selection(item, value, axis)?);
        }
        let all = Selection { slice: Slice::All, backwards: false };
        Ok(chosen.into_iter().map(|s| s.unwrap_or(all)).collect())
    }

    fn selection(&mut self, item: &IndexItem, value: &Value, axis: usize) -> Result<Selection> {
        let len = value.shape()[axis] as i64;
        let forward = |slice| Ok(Selection { slice, backwards: false });
        match &item.kind {
            IndexKind::All | IndexKind::Rest => forward(Slice::All),
            IndexKind::At(expr) => {
                let at = self.element(expr, value, axis)?;
                let index = if at < 0 { at + len } else { at };
                if !(0..len).contains(&index) {
                    let message =
                        format!("index {at} is out of range: axis {} has {}", value.axis_label(axis), extent(len));
                    return Err(LangError::new(message, expr.span));
                }
                forward(Slice::At(index as usize))
            }
            IndexKind::Range { start, end, step } => {
                let step_by = match step {
                    Some(expr) => self.eval(expr)?.integer(expr.span)?,
                    None => 1,
                };
                if step_by == 0 {
                    return Err(LangError::new("a slice needs a step other than 0", item.span));
                }
                let mut bound = |expr: &Option<Expr>| -> Result<Option<i64>> {
                    let at = expr.as_ref().map(|expr| self.element(expr, value, axis)).transpose()?;
                    Ok(at.map(|at| if at < 0 { at + len } else { at }))
                };
                let (start, end) = (bound(start)?, bound(end)?);
                let taken = range(start, end, step_by, len);
                taken.ok_or_else(|| {
                    let message = format!("this slice is empty: axis {} has {}", value.axis_label(axis), extent(len));
                    LangError::new(message, item.span)
                })
            }
        }
    }

    /// An index: a whole number, or the text of a token, or a label.
    fn element(&mut self, expr: &Expr, value: &Value, axis: usize) -> Result<i64> {
        let text = match self.eval(expr)? {
            Datum::Str(text) => text,
            datum @ (Datum::Num(_) | Datum::Tensor(_)) => return datum.integer(expr.span),
            other => return Err(LangError::new(format!("expected an index, found {}", other.described()), expr.span)),
        };
        match value.axes()[axis] {
            Axis::Vocab => self.scope.token_id(&text).at(expr.span).map(|id| id as i64),
            Axis::Label => self.scope.label_index(&text).at(expr.span).map(|at| at as i64),
            name if name.is_position() => match self.scope.token_positions(&text, name).as_slice() {
                [at] => {
                    // The value may begin later in the text than its first token.
                    let start = value.origin().map_or(0, |origin| origin[axis]);
                    let within = at.checked_sub(start).filter(|at| *at < value.shape()[axis]);
                    within.map(|at| at as i64).ok_or_else(|| {
                        let here = match value.shape()[axis] {
                            1 => format!("position {start} only"),
                            n => format!("positions {start} to {}", start + n - 1),
                        };
                        LangError::new(format!("token {text:?} is at {at}; this value has {here}"), expr.span)
                    })
                }
                [] => {
                    let hint = self.scope.like_token(&text);
                    Err(LangError::new(format!("no token {text:?} on axis {name}"), expr.span)
                        .help(hint.unwrap_or_else(|| "\"info tokens\" lists them".into())))
                }
                several => {
                    let positions: Vec<String> = several.iter().map(usize::to_string).collect();
                    let message = format!("token {text:?} is ambiguous: it is at {}", positions.join(", "));
                    Err(LangError::new(message, expr.span))
                }
            },
            _ => {
                let what = if matches!(expr.kind, ExprKind::Str(_)) { "a token's text" } else { "a string" };
                let message =
                    format!("axis {} has no tokens, so {what} cannot be an index on it", value.axis_label(axis));
                Err(LangError::new(message, expr.span))
            }
        }
    }
}

/// The elements of `start:end:step` on an axis of `len`, bounds clamped as in numpy; `None` if it is empty.
fn range(start: Option<i64>, end: Option<i64>, step: i64, len: i64) -> Option<Selection> {
    if step > 0 {
        let (start, end) = (start.unwrap_or(0).clamp(0, len), end.unwrap_or(len).clamp(0, len));
        let slice = Slice::Range { start: start as usize, end: end as usize, step: step as usize };
        return (start < end).then_some(Selection { slice, backwards: false });
    }
    let (first, stop) = (start.unwrap_or(len - 1).clamp(-1, len - 1), end.unwrap_or(-1).clamp(-1, len - 1));
    if first <= stop {
        return None;
    }
    let step = step.unsigned_abs() as usize;
    let steps = (first - stop - 1) as usize / step;
    let slice = Slice::Range { start: first as usize - steps * step, end: first as usize + 1, step };
    Some(Selection { slice, backwards: true })
}

/// The same elements with one axis reversed: joined from single entries if there are few, so that a gradient can follow
/// them, and through the host if there are many.
fn backwards(value: &Value, axis: usize) -> Result<Value, TensorError> {
    const FEW: usize = 64;
    let len = value.shape()[axis];
    if len <= FEW {
        let entry = |i| {
            let mut slices = vec![Slice::All; axis];
            slices.push(Slice::Range { start: i, end: i + 1, step: 1 });
            value.slice(&slices)
        };
        let entries: Vec<Value> = (0..len).rev().map(entry).collect::<Result<_, _>>()?;
        return Value::concat(&entries, axis).map(|v| v.with_axes(value.axes()));
    }
    let inner: usize = value.shape()[axis + 1..].iter().product();
    let (shape, device) = (value.shape(), value.device());
    let turned = match value.kind() {
        Kind::Float => Value::from_f32(reversed(&value.read_f32()?, len, inner), shape, &device),
        Kind::Int => Value::from_i64(reversed(&value.read_i64()?, len, inner), shape, &device),
        Kind::Bool => Value::from_bool(reversed(&value.read_bool()?, len, inner), shape, &device),
    };
    Ok(turned.with_axes(value.axes()))
}

/// The elements of `[outer, len, inner]` with the middle axis reversed.
fn reversed<T: Copy>(data: &[T], len: usize, inner: usize) -> Vec<T> {
    let inner = inner.max(1);
    data.chunks(len * inner).flat_map(|block| block.chunks(inner).rev().flatten()).copied().collect()
}

fn extent(len: i64) -> String {
    crate::lang::site::extent(len.max(0) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::eval::testing::{Small, fails, num, numbers, shape};
    use crate::lang::parse_expr;

    #[test]
    fn slices_are_numpys() {
        assert_eq!(num("m[1, -1]"), 6.0);
        assert_eq!(numbers("m[0]"), [1.0, 2.0, 3.0]);
        assert_eq!(numbers("m[:, 1:]"), [2.0, 3.0, 5.0, 6.0]);
        assert_eq!(numbers("m[..., 0]"), [1.0, 4.0]);
        assert_eq!(numbers("long[-4:]"), [96.0, 97.0, 98.0, 99.0]);
        assert_eq!(numbers("long[90:200:4]"), [90.0, 94.0, 98.0]);
        assert_eq!(numbers("long[5:2:-1]"), [5.0, 4.0, 3.0]);
        assert_eq!(numbers("long[:-6:-2]"), [99.0, 97.0, 95.0]);
        assert_eq!(numbers("long[::-1]")[..2], [99.0, 98.0]);
        assert_eq!(numbers("m[::-1, ::-1]"), [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]);
        assert_eq!(shape("L0.attn.z[:, 0]"), [4, 2]);
        assert_eq!(num("(m * 2)[0, 1]"), 4.0);
    }

    #[test]
    fn axes_have_names_and_positions_have_tokens() {
        assert_eq!(numbers("m[dim=1]"), [2.0, 5.0]);
        assert_eq!(numbers("L0.attn.pattern[head=1, q=\" and\"]"), numbers("L0.attn.pattern[1, 2]"));
        assert_eq!(num("logits[-1, \" and\"]"), num("logits[3, 2]"));
        assert_eq!(num("logits[pos=0, vocab=tok(\" and\")]"), num("logits[0, 2]"));
        assert_eq!(numbers("tokens[\" and\":]"), [2.0, 1.0]);
        assert_eq!(fails("logits[\" Mary\"]").message, "token \" Mary\" is ambiguous: it is at 1, 3");
        assert_eq!(fails("logits[\"nurse\"]").message, "no token \"nurse\" on axis pos");
        assert!(fails("v[\"nurse\"]").message.contains("axis dim has no tokens"));
    }

    #[test]
    fn mistakes_name_the_axis_and_its_range() {
        let error = fails("m[0, 3]");
        assert_eq!(error.message, "index 3 is out of range: axis dim has 0..2");
        assert_eq!((error.span.start, error.span.end), (5, 6));
        assert_eq!(fails("m[-3]").message, "index -3 is out of range: axis pos has 0..1");
        assert_eq!(fails("m[head=0]").message, "no axis head: the value has [pos=2, dim=3]");
        assert_eq!(fails("m[0, 0, 0]").message, "too many indices: the value has shape [pos=2, dim=3]");
        assert_eq!(fails("m[0, pos=1]").message, "axis pos is sliced twice");
        assert_eq!(fails("long[5:5]").message, "this slice is empty: axis 0 has 0..99");
        assert!(fails("m[0.5]").message.contains("whole number"));
        assert!(fails("m[::0]").message.contains("step other than 0"));
        assert!(fails("m[true]").message.contains("expected an index"));
        assert_eq!(fails("3[0]").message, "the number 3 has no axes to slice");
    }

    #[test]
    fn an_assignment_gets_its_slices() {
        let mut scope = Small::default();
        let expr = parse_expr("m[-1, 0:2]", 0).expect("parses");
        let ExprKind::Index { items, .. } = expr.kind else { panic!("no index") };
        let value = scope.named("m");
        let found = slices(&items, &value, &mut scope).expect("resolves");
        assert_eq!(found, [Slice::At(1), Slice::Range { start: 0, end: 2, step: 1 }]);
        for text in ["m[::-1]", "m[dim=::-1]", "m[:, ::2]", "m[dim=::2]"] {
            let expr = parse_expr(text, 0).expect("parses");
            let ExprKind::Index { items, .. } = expr.kind else { panic!("no index") };
            let error = slices(&items, &value, &mut scope).expect_err(text);
            assert_eq!(error.message, "only slices with a step of 1 can be assigned to");
        }
    }
}
