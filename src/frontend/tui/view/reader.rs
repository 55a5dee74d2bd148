//! The last answer in the whole window.

use ratatui::layout::Position;

use super::{Canvas, Rect, Role, boxes, strings, text};

/// The rows of the window that are not for the box: the status line above it and the line of keys below it.
const LINES: u16 = 2;

/// Columns and rows for text in a window of this size.
pub fn inside(size: (u16, u16)) -> (usize, usize) {
    (usize::from(size.0.saturating_sub(4)).max(1), usize::from(size.1.saturating_sub(LINES + 2)).max(1))
}

/// Draws it over everything else; returns the place of the cursor.
pub fn draw(canvas: &mut Canvas) -> Option<Position> {
    let state = canvas.state;
    let (columns, height) = inside(state.size);
    let (rows, all) = state.reader.rows(columns);
    let last = (state.reader.at + height).min(rows.len());
    let filter = state.reader.filter.value();
    let place = format!("{}-{last} of {}", (state.reader.at + 1).min(last), rows.len());
    let foot = match filter.is_empty() {
        true => place,
        false => format!("{place}, filtered from {all}"),
    };
    let area = Rect { y: canvas.area.y + 1, height: canvas.area.height.saturating_sub(LINES), ..canvas.area };
    let mut inside = boxes::open(canvas, area, state.reader.title().to_string(), foot);
    for (y, row) in rows.iter().skip(state.reader.at).take(height).enumerate() {
        inside.put(1, y, row, Role::Text);
    }
    if !state.reader.filtering {
        return None;
    }
    let y = inside.height().saturating_sub(1);
    inside.row(y, Role::Status);
    let x = inside.put(1, y, strings::FILTER_PROMPT, Role::Prompt);
    inside.put(x, y, &text::fit(filter, columns, state.glyphs), Role::Text);
    let x = inside.area.x + (x + state.reader.filter.visual_cursor()) as u16;
    Some(Position { x: x.min(inside.area.right().saturating_sub(1)), y: inside.area.y + y as u16 })
}
