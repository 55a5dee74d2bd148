//! Writing into the buffer, clipped to an area.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Writes `text` at column `x` and row `y` of `area`, clipped to it; returns the column after it.
pub fn put(buffer: &mut Buffer, area: Rect, x: usize, y: usize, text: &str, style: Style) -> usize {
    let area = area.intersection(buffer.area);
    if x >= area.width.into() || y >= area.height.into() {
        return x;
    }
    let (column, row) = (area.x + x as u16, area.y + y as u16);
    let (end, _) = buffer.set_stringn(column, row, text, usize::from(area.width) - x, style);
    usize::from(end - area.x)
}

/// Writes `text` so that it ends at the right edge of row `y`.
pub fn put_right(buffer: &mut Buffer, area: Rect, y: usize, text: &str, style: Style) {
    let columns = crate::frontend::tui::text::width(text).min(area.width.into());
    put(buffer, area, usize::from(area.width) - columns, y, text, style);
}

/// Sets the style of every cell of row `y`.
pub fn row(buffer: &mut Buffer, area: Rect, y: usize, style: Style) {
    if y < area.height.into() {
        buffer.set_style(Rect { y: area.y + y as u16, height: 1, ..area }, style);
    }
}

pub fn clear(buffer: &mut Buffer, area: Rect) {
    let area = area.intersection(buffer.area);
    for position in area.positions() {
        buffer[position].reset();
    }
}
