//! Vectors as bars, and lists of largest elements.

use std::ops::Range;

use ratatui::style::Modifier;

use super::heat::special;
use super::{Canvas, Role, text};
use crate::answer::numbers::{short, significant};
use crate::engine::messages::TopItem;

/// Columns of the scale at the left.
const SCALE: usize = 9;

/// Steps of a bar within one row.
const STEPS: usize = 8;

/// The range and the pooling.
pub fn legend(data: &[f64], pool: usize) -> String {
    let (low, high) = range(data);
    let mut said = format!("{}..{} linear", short(low), short(high));
    if pool > 1 {
        said = format!("{said}  max-abs pool {pool}");
    }
    said
}

/// The smallest and the largest finite value, and 0 if it is outside of them.
fn range(data: &[f64]) -> (f64, f64) {
    let finite = data.iter().copied().filter(|value| value.is_finite());
    finite.fold((0.0, 0.0), |(low, high): (f64, f64), value| (low.min(value), high.max(value)))
}

/// Draws bars upwards from zero for positive values and downwards for negative ones, and the exact value under the
/// crosshair.
pub fn draw(canvas: &mut Canvas, axis: &str, data: &[f64], pool: usize) {
    let state = canvas.state;
    let height = canvas.height().saturating_sub(2);
    let width = canvas.width().saturating_sub(SCALE + 1);
    if height == 0 || width == 0 || data.is_empty() {
        return;
    }
    let (low, high) = range(data);
    let span = if high > low { high - low } else { 1.0 };
    // The rows above and below zero, in proportion; each side that has values gets at least one row.
    let mut above = ((high / span) * height as f64).round() as usize;
    above = above.clamp(usize::from(high > 0.0), height - usize::from(low < 0.0 && height > 1));
    let below = height - above;
    let chosen = state.value.column.min(data.len() - 1);
    let bar = (width / data.len()).clamp(1, 4);
    let room = width / bar;
    let first = (chosen + 1).saturating_sub(room);
    for (y, end) in [(0, high), (height - 1, low)] {
        canvas.put(0, y, &text::right(&short(end), SCALE - 1, state.glyphs), Role::Label);
    }
    for (x, value) in data.iter().enumerate().skip(first).take(room).map(|(at, value)| (at - first, *value)) {
        let place = SCALE + x * bar;
        if !value.is_finite() {
            let letter = special(value).to_string();
            canvas.put_in(place, above.min(height - 1), &letter, Modifier::REVERSED.into());
        } else if value >= 0.0 {
            let filled = if high > 0.0 { value / high * (above * STEPS) as f64 } else { 0.0 };
            column(canvas, filled.round() as usize, (place, bar), 0..above, true);
        } else {
            let filled = value / low * (below * STEPS) as f64;
            column(canvas, filled.round() as usize, (place, bar), above..height, false);
        }
    }
    if chosen >= first {
        let place = SCALE + (chosen - first) * bar;
        canvas.put(place, height, state.glyphs.bar, Role::Arrow);
    }
    let pooled = if pool > 1 { format!(" (largest of {pool})") } else { String::new() };
    let said = format!("{axis} {}  {}{pooled}", chosen * pool.max(1), significant(data[chosen], 7));
    canvas.put(1, height + 1, &said, Role::Title);
}

/// Draws one bar of `filled` eighths over the rows, upwards from their end or downwards from their start.
fn column(canvas: &mut Canvas, filled: usize, (x, bar): (usize, usize), rows: Range<usize>, upward: bool) {
    let state = canvas.state;
    let style = state.theme.style(if upward { Role::Positive } else { Role::Negative });
    let bar = if bar > 1 { bar - 1 } else { 1 };
    for (index, y) in rows.clone().enumerate() {
        let from_zero = if upward { rows.len() - 1 - index } else { index };
        let part = filled.saturating_sub(from_zero * STEPS).min(STEPS);
        if part == 0 {
            continue;
        }
        // A bar downwards is the unfilled part of a reversed block, except in whole rows.
        let (symbol, style) = match (upward, part, state.glyphs.blocks) {
            (false, 1..STEPS, true) => (state.glyphs.bars[STEPS - part], style.add_modifier(Modifier::REVERSED)),
            (false, 1..STEPS, false) => ("'", style),
            _ => (state.glyphs.bars[part], style),
        };
        canvas.put_in(x, y, &symbol.repeat(bar), style);
    }
}

/// Draws rank, label, value and a bar for each of the largest elements.
pub fn draw_largest(canvas: &mut Canvas, items: &[TopItem]) {
    let state = canvas.state;
    let height = canvas.height();
    let chosen = state.value.row.min(items.len().saturating_sub(1));
    let first = (chosen + 1).saturating_sub(height);
    let largest = items.iter().map(|item| item.value.abs()).filter(|value| value.is_finite()).fold(0.0, f64::max);
    let width = canvas.width();
    let label_width = (width / 3).clamp(6, 20);
    for (y, (rank, item)) in items.iter().enumerate().skip(first).take(height).enumerate() {
        let focused = rank == chosen;
        if focused {
            canvas.put(0, y, state.glyphs.focus, Role::Arrow);
        }
        let label = if item.label.is_empty() { item.index.to_string() } else { text::token(&item.label, state.glyphs) };
        let label = text::left(&label, label_width, state.glyphs);
        canvas.put(1, y, &text::right(&rank.to_string(), 3, state.glyphs), Role::Shape);
        let mut x = canvas.put(5, y, &label, if focused { Role::Focus } else { Role::Label }) + 1;
        let said = text::right(&significant(item.value, 6), 10, state.glyphs);
        x = canvas.put(x, y, &said, Role::Text) + 1;
        if let Some(chance) = item.chance {
            x = canvas.put(x, y, &text::right(&significant(chance, 3), 9, state.glyphs), Role::Title) + 1;
        }
        let room = width.saturating_sub(x + 1);
        // Logits all look alike, and a negative one may be the largest: their bars are those of the probabilities.
        let share = match item.chance {
            Some(chance) => chance,
            None if largest > 0.0 && item.value.is_finite() => item.value.abs() / largest,
            None => 0.0,
        };
        let full = state.glyphs.bars[STEPS];
        let role = if item.value < 0.0 { Role::Negative } else { Role::Positive };
        canvas.put(x, y, &full.repeat((share * room as f64).round() as usize), role);
    }
}
