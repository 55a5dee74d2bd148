//! Heat maps.
//!
//! The lower line of the box shows range, scale and pooling. Masked cells, NaN and infinities are characters, never
//! colours, and the exact value under the crosshair is printed below. Without enough colours, a ramp of characters
//! shows magnitudes, and a minus sign marks negative values.

use std::ops::Range;

use ratatui::style::{Modifier, Style};

use super::{Canvas, Rect, Role, State, pixels, text};
use crate::answer::numbers::{short, significant};
use crate::answer::{MapView, Scale};
use crate::frontend::tui::glyphs::{Glyphs, density};
use crate::frontend::tui::scales::Measure;
use crate::frontend::tui::theme::Theme;

/// The columns of the row labels, with the mark of the focus and the gap after them.
pub(super) const LABELS: usize = 10;

/// The largest number of columns and text rows of a map, so that frames stay small on slow connections; more could not
/// be distinguished.
const LARGEST: (usize, usize) = (64, 32);

/// The largest number of columns for one value.
const WIDEST: usize = 6;

/// The significant digits of the value under the crosshair.
const DIGITS: usize = 7;

/// A map with its masked cells and the crosshair.
pub struct Heat<'a> {
    pub map: &'a MapView,
    pub masked: &'a [bool],
    pub at: (usize, usize),
    /// The first row and column of the part that is shown.
    pub first: (usize, usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell {
    /// A number, normalised for its scale, and whether it is beyond the end of that.
    Level(f64, bool),
    Masked,
    /// NaN or an infinity, as a letter.
    Special(char),
    Absent,
}

/// How a map is laid out in an area.
pub(super) struct Plan {
    /// The columns of one value.
    pub cell: usize,
    /// Whether two rows of the map share a row of text.
    pub half: bool,
    /// The first row and column that is shown.
    pub first: (usize, usize),
    /// The number of rows and columns that are shown.
    pub shown: (usize, usize),
}

/// The largest number of cells, rows by columns, that `area` can show.
pub fn capacity(area: Rect, theme: &Theme, glyphs: &Glyphs) -> (usize, usize) {
    let per_row = if can_halve(theme, glyphs) { 2 } else { 1 };
    let per_column = if theme.colors_values() { 1 } else { 2 };
    let rows = text_rows(area).min(LARGEST.1) * per_row;
    let columns = (usize::from(area.width).saturating_sub(LABELS + 1) / per_column).min(LARGEST.0);
    (rows.max(1), columns.max(1))
}

/// The range, scale and pooling: `0..0.83 linear  max-abs pool 2x1`.
pub fn legend(state: &State, map: &MapView, masked: &[bool]) -> String {
    let summary = &map.summary;
    let mut said = state.value.scaling.measure(map, masked).legend(state.glyphs);
    if map.pool != [1, 1] {
        said = format!("{said}  max-abs pool {}x{}", map.pool[0], map.pool[1]);
    }
    for (count, word) in [(summary.nan, "NaN"), (summary.pos_inf, "+inf")] {
        if count > 0 {
            said = format!("{said}  {word} {count}");
        }
    }
    said
}

pub fn draw(canvas: &mut Canvas, heat: &Heat<'_>) {
    let (state, area, map) = (canvas.state, canvas.area, heat.map);
    if map.rows == 0 || map.columns == 0 || area.height < 2 {
        return;
    }
    let (row, column) = (heat.at.0.min(map.rows - 1), heat.at.1.min(map.columns - 1));
    let plan = plan(state, map, (row, column), area);
    let measure = state.value.scaling.measure(map, heat.masked);
    draw_column_labels(canvas, heat, column, &plan);
    let step = if plan.half { 2 } else { 1 };
    for y in 0..plan.shown.0.div_ceil(step) {
        let upper = plan.first.0 + y * step;
        draw_row_label(canvas, map, row, upper..(upper + step).min(map.rows), y + 1);
        for x in 0..plan.shown.1 {
            let at = plan.first.1 + x;
            let lower = if plan.half { cell(heat, &measure, upper + 1, at) } else { Cell::Absent };
            let cells = (cell(heat, &measure, upper, at), lower);
            let (symbols, style) = picture(state, map.scale, cells, &plan);
            canvas.put_in(LABELS + x * plan.cell, y + 1, &symbols, style);
        }
    }
    draw_value(canvas, heat, (row, column));
    pixels::map(canvas, heat, &measure, &plan);
}

/// Columns of a number.
const NUMBER: usize = 9;

/// How many numbers fit, rows by columns.
pub fn numbers_capacity(inside: (usize, usize)) -> (usize, usize) {
    let rows = inside.1.saturating_sub(2 + usize::from(inside.1 >= 12));
    (rows.max(1), (inside.0.saturating_sub(LABELS + 1) / NUMBER).max(1))
}

/// Draws the numbers of a map; the one under the crosshair is highlighted.
pub fn draw_numbers(canvas: &mut Canvas, heat: &Heat<'_>) {
    let (state, area, map) = (canvas.state, canvas.area, heat.map);
    if map.rows == 0 || map.columns == 0 || area.height < 2 {
        return;
    }
    let at = (heat.at.0.min(map.rows - 1), heat.at.1.min(map.columns - 1));
    let measure = state.value.scaling.measure(map, heat.masked);
    for column in 0..map.columns {
        let label = text::right(&label(&map.column_labels, column, state), NUMBER - 1, state.glyphs);
        let role = if column == at.1 { Role::Focus } else { Role::Label };
        canvas.put(LABELS + column * NUMBER, 0, &label, role);
    }
    for row in 0..map.rows.min(text_rows(area)) {
        draw_row_label(canvas, map, at.0, row..row + 1, row + 1);
        for column in 0..map.columns {
            let number = |role| (short(map.data[row * map.columns + column]), role);
            let (said, role) = match cell(heat, &measure, row, column) {
                Cell::Masked => (state.glyphs.masked.to_string(), Role::Masked),
                Cell::Absent => (String::new(), Role::Text),
                Cell::Special(_) => number(Role::Nonfinite),
                Cell::Level(t, _) if t < 0.0 => number(Role::Negative),
                Cell::Level(..) => number(Role::Text),
            };
            let role = if (row, column) == at { Role::Selection } else { role };
            let said = text::right(&said, NUMBER - 1, state.glyphs);
            canvas.put(LABELS + column * NUMBER, row + 1, &said, role);
        }
    }
    draw_value(canvas, heat, at);
}

/// The cell of a map at this column and row of its area.
pub fn cell_at(
    state: &State,
    heat: &Heat<'_>,
    area: Rect,
    numbers: bool,
    (x, y): (usize, usize),
) -> Option<(usize, usize)> {
    let map = heat.map;
    let (x, y) = (x.checked_sub(LABELS)?, y.checked_sub(1)?);
    let (row, column) = if numbers {
        (y, x / NUMBER)
    } else {
        if map.rows == 0 || map.columns == 0 || y >= text_rows(area) {
            return None;
        }
        let at = (heat.at.0.min(map.rows - 1), heat.at.1.min(map.columns - 1));
        let plan = plan(state, map, at, area);
        (plan.first.0 + y * if plan.half { 2 } else { 1 }, plan.first.1 + x / plan.cell)
    };
    (row < map.rows && column < map.columns).then_some((row, column))
}

/// Whether two rows of a map can share a row of text.
pub fn can_halve(theme: &Theme, glyphs: &Glyphs) -> bool {
    theme.colors_values() && glyphs.blocks
}

/// The rows of text for cells, without those of the column labels and the value under the crosshair.
fn text_rows(area: Rect) -> usize {
    usize::from(area.height).saturating_sub(2)
}

fn plan(state: &State, map: &MapView, crosshair: (usize, usize), area: Rect) -> Plan {
    let rows = text_rows(area);
    let columns = usize::from(area.width).saturating_sub(LABELS + 1);
    let half = can_halve(&state.theme, state.glyphs) && map.rows > rows;
    let least = if state.theme.colors_values() { 1 } else { 2 };
    let cell = (columns / map.columns).clamp(least, WIDEST);
    let room = (if half { rows * 2 } else { rows }, columns / cell);
    // A map that does not fit is scrolled so that the crosshair is visible; a pair of rows stays together.
    let scrolled = |at: usize, room: usize| (at + 1).saturating_sub(room);
    let mut first = (scrolled(crosshair.0, room.0), scrolled(crosshair.1, room.1));
    if half {
        first.0 += first.0 % 2;
    }
    let shown = (room.0.min(map.rows - first.0.min(map.rows)), room.1.min(map.columns - first.1));
    Plan { cell, half, first, shown }
}

pub(super) fn cell(heat: &Heat<'_>, measure: &Measure, row: usize, column: usize) -> Cell {
    let map = heat.map;
    if row >= map.rows || column >= map.columns {
        return Cell::Absent;
    }
    let index = row * map.columns + column;
    match map.data.get(index) {
        _ if heat.masked.get(index).copied().unwrap_or(false) => Cell::Masked,
        None => Cell::Absent,
        Some(value) if value.is_finite() => Cell::Level(measure.level(row, *value), measure.is_beyond(*value)),
        Some(value) => Cell::Special(special(*value)),
    }
}

/// The letter for NaN or an infinity.
pub fn special(value: f64) -> char {
    match value {
        f64::INFINITY => '+',
        f64::NEG_INFINITY => '-',
        _ => 'N',
    }
}

/// The label of a row or column, made visible; empty without one.
fn label(labels: &[String], at: usize, state: &State) -> String {
    text::label(labels.get(at).map_or("", String::as_str), state.glyphs)
}

/// The symbols and the style of one value, or of two that share a row of text.
fn picture(state: &State, scale: Scale, cells: (Cell, Cell), plan: &Plan) -> (String, Style) {
    let reverse = Style::new().add_modifier(Modifier::REVERSED);
    let width = plan.cell;
    match cells {
        (Cell::Absent, Cell::Absent) => (" ".repeat(width), Style::new()),
        (Cell::Special(letter), _) | (_, Cell::Special(letter)) => (placed(&letter.to_string(), width), reverse),
        (Cell::Masked, Cell::Masked | Cell::Absent) => {
            (placed(state.glyphs.masked, width), state.theme.style(Role::Masked))
        }
        (Cell::Level(t, beyond), Cell::Absent) if !plan.half => match (state.theme.colors_values(), beyond) {
            (true, false) => (" ".repeat(width), state.theme.heat_fill(scale, t)),
            (true, true) => (placed(BEYOND, width), state.theme.heat_ground(scale, t)),
            (false, false) => (glyph(t, width), Style::new()),
            (false, true) => (placed(&format!("{}{BEYOND}", if t < 0.0 { '-' } else { ' ' }), width), Style::new()),
        },
        // Only one half may have a value: the other keeps the background of the terminal, as a masked or missing cell
        // does.
        (upper, lower) => {
            let t = |cell| if let Cell::Level(t, _) = cell { Some(t) } else { None };
            let beyond = |cell| matches!(cell, Cell::Level(_, true));
            let mark = state.theme.style(Role::Beyond).fg;
            match (t(upper), t(lower)) {
                (None, Some(t)) => {
                    let style = state.theme.heat_pair(scale, t, None);
                    ("▄".repeat(width), if beyond(lower) { Style { fg: mark, ..style } } else { style })
                }
                (Some(t), under) => {
                    let mut style = state.theme.heat_pair(scale, t, under);
                    style.fg = if beyond(upper) { mark } else { style.fg };
                    style.bg = if beyond(lower) { mark } else { style.bg };
                    ("▀".repeat(width), style)
                }
                (None, None) => (" ".repeat(width), Style::new()),
            }
        }
    }
}

/// What marks a value beyond the end of the scale where there is room for a character.
pub(super) const BEYOND: &str = "^";

/// The magnitude as a character of the ramp, with a minus sign for negative values.
fn glyph(t: f64, width: usize) -> String {
    let symbol = density(t);
    let sign = if t < 0.0 && symbol != ' ' { '-' } else { ' ' };
    placed(&format!("{sign}{symbol}"), width)
}

/// `symbols` at the end of a cell, with a gap after them if there is room.
fn placed(symbols: &str, width: usize) -> String {
    let gap = usize::from(width > 2);
    format!("{symbols:>width$}", width = width - gap) + &" ".repeat(gap)
}

fn draw_column_labels(canvas: &mut Canvas, heat: &Heat<'_>, chosen: usize, plan: &Plan) {
    let (state, map) = (canvas.state, heat.map);
    let is_number = |label: &String| label.parse::<usize>().is_ok();
    // A label of the first of several columns would say little about them.
    let ticks = plan.cell == 1 || map.pool[1] > 1 || (plan.cell < 5 && map.column_labels.iter().all(is_number));
    for x in 0..plan.shown.1 {
        let column = plan.first.1 + x;
        let place = LABELS + x * plan.cell;
        if ticks {
            // There is no room for words: draw a number now and then, and a mark at the crosshair.
            if column.is_multiple_of((10 / plan.cell).max(1)) && column != chosen {
                let number = (heat.first.1 + column * map.pool[1].max(1)).to_string();
                canvas.put(place, 0, &number, Role::Label);
            }
            continue;
        }
        let label = text::take(&label(&map.column_labels, column, state), plan.cell - 1);
        let label = text::right(&label, plan.cell - 1, state.glyphs);
        let role = if column == chosen { Role::Focus } else { Role::Label };
        canvas.put(place + usize::from(plan.cell == 2), 0, &label, role);
    }
    if ticks && (plan.first.1..plan.first.1 + plan.shown.1).contains(&chosen) {
        let place = LABELS + (chosen - plan.first.1 + 1) * plan.cell - 1;
        canvas.put(place, 0, state.glyphs.column, Role::Focus);
    }
}

/// Draws the label of a row of text: that of the row with the crosshair if it is there, or else of its first row.
fn draw_row_label(canvas: &mut Canvas, map: &MapView, chosen: usize, rows: Range<usize>, y: usize) {
    let state = canvas.state;
    let focused = rows.contains(&chosen);
    let row = if focused { chosen } else { rows.start };
    let label = text::right(&label(&map.row_labels, row, state), LABELS - 2, state.glyphs);
    if focused {
        canvas.put(0, y, state.glyphs.focus, Role::Arrow);
    }
    canvas.put(1, y, &label, if focused { Role::Focus } else { Role::Label });
}

/// Draws row, column and exact value under the crosshair.
fn draw_value(canvas: &mut Canvas, heat: &Heat<'_>, (row, column): (usize, usize)) {
    let (state, map) = (canvas.state, heat.map);
    let index = row * map.columns + column;
    let name = |axis: usize, index: usize, labels: &[String], first: usize| {
        let number = (first + index * map.pool[axis].max(1)).to_string();
        let label = label(labels, index, state);
        let gap = if label.is_empty() || label == number { String::new() } else { format!(" {label}") };
        format!("{} {number}{gap}", map.axes[axis])
    };
    let row_name = name(0, row, &map.row_labels, heat.first.0);
    let column_name = name(1, column, &map.column_labels, heat.first.1);
    let mut value = map.data.get(index).map_or_else(String::new, |value| significant(*value, DIGITS));
    if heat.masked.get(index).copied().unwrap_or(false) {
        value = format!("{value} masked");
    }
    if map.pool != [1, 1] {
        value = format!("{value} (largest of {}x{})", map.pool[0], map.pool[1]);
    }
    // If there is no room, the pooling is cut off; the lower line of the box shows it too.
    let y = canvas.height() - 1;
    let x = canvas.put(1, y, &format!("{row_name}  {column_name}  "), Role::Label);
    let room = canvas.width().saturating_sub(x + 1);
    canvas.put(x, y, &text::fit(&value, room, state.glyphs), Role::Title);
}
