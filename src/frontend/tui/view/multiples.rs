//! The heads pane: a small map for each head, with one scale for all of them.

use ratatui::style::Style;

use super::{Canvas, Rect, Role, State, heat, pixels, strings, text};
use crate::answer::numbers::short;
use crate::answer::{Answer, MapView, Scale};
use crate::engine::messages::PanelContent;
use crate::frontend::tui::glyphs::{Glyphs, density};
use crate::frontend::tui::theme::Theme;
use crate::model::site_name;

/// How small maps are laid out in an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub columns: usize,
    /// The columns and rows of text of one map, without label and gap.
    size: (usize, usize),
    first: usize,
    rows: usize,
    /// The largest number of cells of a map, rows by columns.
    pub cells: (usize, usize),
}

/// The arrangement of `count` maps in `inside` columns and rows that shows most of each; the map `focus` is visible.
pub fn plan(inside: (usize, usize), count: usize, focus: usize, theme: &Theme, glyphs: &Glyphs) -> Plan {
    let (width, height) = inside;
    let per_row = if heat::can_halve(theme, glyphs) { 2 } else { 1 };
    let count = count.max(1);
    let fitting = |columns: usize| {
        let rows = count.div_ceil(columns).min((height / 2).max(1));
        let size = ((width / columns).saturating_sub(1).max(1), (height / rows).saturating_sub(1).max(1));
        (columns, rows, size)
    };
    let most = count.min((width / 2).max(1));
    let good = |(columns, rows, size): &(usize, usize, (usize, usize))| {
        (columns * rows >= count, size.0.min(size.1 * per_row), size.0)
    };
    let (columns, rows, size) = (1..=most).map(fitting).max_by_key(good).unwrap_or((1, 1, (1, 1)));
    let first = (focus / columns + 1).saturating_sub(rows) * columns;
    Plan { columns, size, first, rows, cells: (size.1 * per_row, size.0) }
}

/// The head whose map is at this column and row of a pane of this inside.
pub fn head_at(state: &State, inside: (usize, usize), (x, y): (usize, usize)) -> Option<usize> {
    let snapshot = state.snapshot.as_ref().filter(|_| state.heads.metric.is_none())?;
    let plan = plan(room(inside), snapshot.heads, snapshot.focus.head, &state.theme, state.glyphs);
    let (column, row) = (x / (plan.size.0 + 1), y / (plan.size.1 + 1));
    let head = plan.first + row * plan.columns + column;
    (column < plan.columns && row < plan.rows && head < snapshot.heads).then_some(head)
}

/// Columns and rows for the maps, without the caption below them.
pub fn room(inside: (usize, usize)) -> (usize, usize) {
    (inside.0, if inside.1 >= 3 { inside.1 - 1 } else { inside.1 })
}

/// The text in the upper line of the pane's box, and the caption.
pub fn titles(state: &State) -> (String, String) {
    if let Some(line) = state.heads.command() {
        let foot = match &state.heads.grid.answer {
            Some(Answer::Map(map)) => heat::legend(state, map, &[]),
            _ => String::new(),
        };
        return (line, foot);
    }
    match &state.heads.panel {
        Some(Ok(panel)) => {
            let PanelContent::Heads(maps) = &panel.content else { return (String::new(), String::new()) };
            let title = format!("all heads  {}  {}", site_name::short(&panel.title), panel.shape);
            let (low, high) = range(maps);
            let mut foot = match maps.first().map(|(map, _)| map.scale) {
                Some(Scale::Diverging) => format!("{}{} linear, one scale", state.glyphs.plus_minus, short(high)),
                _ => format!("{}..{} linear, one scale", short(low), short(high)),
            };
            if let Some((map, _)) = maps.first().filter(|(map, _)| map.pool != [1, 1]) {
                foot = format!("{foot}  max-abs pool {}x{}", map.pool[0], map.pool[1]);
            }
            (title, foot)
        }
        _ => ("all heads".to_string(), String::new()),
    }
}

/// The ends of the common scale.
fn range(maps: &[(MapView, Vec<bool>)]) -> (f64, f64) {
    let diverging = maps.iter().any(|(map, _)| map.scale == Scale::Diverging);
    let high = maps.iter().map(|(map, _)| if diverging { map.summary.absmax } else { map.summary.max });
    let low = maps.iter().map(|(map, _)| map.summary.min).fold(0.0, f64::min);
    (if diverging { 0.0 } else { low }, high.fold(0.0, f64::max))
}

pub fn draw(canvas: &mut Canvas) {
    let state = canvas.state;
    let area = canvas.caption(&titles(state).1);
    let canvas = &mut canvas.at(Rect { height: room((0, canvas.height())).1 as u16, ..area });
    if state.heads.metric.is_some() {
        return match &state.heads.grid.answer {
            Some(Answer::Map(map)) => {
                let heat = heat::Heat { map, masked: &[], at: state.heads.grid.at, first: (0, 0) };
                heat::draw(canvas, &heat);
            }
            Some(Answer::Error(error)) => canvas.say(&error.message, Role::Faint),
            _ => canvas.say(strings::FETCHING, Role::Faint),
        };
    }
    let area = canvas.area;
    let maps = match &state.heads.panel {
        Some(Ok(panel)) => match &panel.content {
            PanelContent::Heads(maps) => maps,
            _ => return,
        },
        Some(Err(error)) => return canvas.say(&error.message, Role::Error),
        None => return canvas.say(strings::NO_PATTERN, Role::Faint),
    };
    let focus = state.snapshot.as_ref().map_or(0, |snapshot| snapshot.focus.head);
    let plan = plan((canvas.width(), canvas.height()), maps.len(), focus, &state.theme, state.glyphs);
    let (low, high) = range(maps);
    for (at, (map, masked)) in maps.iter().enumerate().skip(plan.first).take(plan.columns * plan.rows) {
        let place = at - plan.first;
        let (x, y) = (place % plan.columns * (plan.size.0 + 1), place / plan.columns * (plan.size.1 + 1));
        let role = if at == focus { Role::Focus } else { Role::Label };
        // The number of the head, and the kind of its pattern.
        let label = map.title.strip_prefix("head ").map_or_else(|| at.to_string(), str::to_string);
        canvas.put(x, y, &text::take(&label, plan.size.0), role);
        let (corner, size) = ((area.x + x as u16, area.y + y as u16 + 1), (plan.size.0 as u16, plan.size.1 as u16));
        let place = Rect::new(corner.0, corner.1, size.0, size.1).intersection(area);
        small(&mut canvas.at(place), (map, masked), (low, high));
    }
}

/// The largest factor by which a small map is enlarged.
const LARGEST: usize = 6;

/// One map without labels.
fn small(canvas: &mut Canvas, (map, masked): (&MapView, &[bool]), (low, high): (f64, f64)) {
    let state = canvas.state;
    let half = heat::can_halve(&state.theme, state.glyphs);
    let span = if high > low { high - low } else { 1.0 };
    let level = |row: usize, column: usize| -> Option<f64> {
        let index = row * map.columns + column;
        let value = *map.data.get(index).filter(|_| row < map.rows)?;
        (value.is_finite() && !masked.get(index).copied().unwrap_or(false)).then(|| (value - low) / span)
    };
    let rows_per_line = if half { 2 } else { 1 };
    // Small maps are enlarged by a whole number.
    let fit = |room: usize, count: usize| (room / count.max(1)).clamp(1, LARGEST);
    let across = fit(canvas.width(), map.columns);
    let zoom = across.min(fit(canvas.height() * rows_per_line, map.rows) * 2 / rows_per_line).max(1);
    let (wide, high) = (zoom, (zoom * rows_per_line / 2).max(1));
    for line in 0..canvas.height() {
        for x in 0..(map.columns * wide).min(canvas.width()) {
            let (column, first) = (x / wide, line * rows_per_line);
            let (upper, lower) =
                (level(first / high, column), if half { level((first + 1) / high, column) } else { None });
            let (symbol, style) = match (upper, lower) {
                (None, None) => continue,
                (Some(t), _) if !half && state.theme.colors_values() => {
                    (" ".to_string(), state.theme.heat_fill(map.scale, t))
                }
                (Some(t), _) if !half => (density(t).to_string(), Style::new()),
                (Some(t), lower) => ("▀".to_string(), state.theme.heat_pair(map.scale, t, lower)),
                (None, Some(t)) => ("▄".to_string(), state.theme.heat_pair(map.scale, t, None)),
            };
            canvas.put_in(x, line, &symbol, style);
        }
    }
    pixels::small(canvas, map, (wide, high * 2 / rows_per_line), level);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::tui::glyphs::UNICODE;
    use crate::term::ColorDepth;

    #[test]
    fn every_head_has_its_place_and_the_focused_one_is_to_be_seen() {
        let (theme, _) = Theme::new(ColorDepth::Indexed, None);
        for inside in [(76, 12), (38, 9), (20, 4), (2, 2), (150, 50)] {
            for count in [1, 4, 12, 64, 128] {
                for focus in [0, count / 2, count - 1] {
                    let plan = plan(inside, count, focus, &theme, &UNICODE);
                    assert!(plan.columns * (plan.size.0 + 1) <= inside.0.max(2), "{inside:?} {count} {plan:?}");
                    assert!(plan.rows * (plan.size.1 + 1) <= inside.1.max(2), "{inside:?} {count} {plan:?}");
                    let shown = plan.first..plan.first + plan.columns * plan.rows;
                    assert!(shown.contains(&focus), "{inside:?} {count} {focus} {plan:?}");
                }
            }
        }
        assert_eq!(plan((76, 12), 12, 0, &theme, &UNICODE).columns, 6);
    }
}
