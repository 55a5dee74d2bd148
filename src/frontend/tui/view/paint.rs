//! Writing into the buffer, clipped to an area.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{Role, State, text};
use crate::term::graphics::Picture;

/// An area to draw the state on. Columns and rows count from its upper left corner, and everything is clipped to it.
pub struct Canvas<'a> {
    pub state: &'a State,
    pub area: Rect,
    pub buffer: &'a mut Buffer,
    /// What can be shown in pixels over what is drawn.
    pub pictures: &'a mut Vec<Picture>,
}

impl Canvas<'_> {
    /// The same screen with another area.
    pub fn at(&mut self, area: Rect) -> Canvas<'_> {
        Canvas { state: self.state, area, buffer: self.buffer, pictures: self.pictures }
    }

    pub fn width(&self) -> usize {
        self.area.width.into()
    }

    pub fn height(&self) -> usize {
        self.area.height.into()
    }

    /// Writes `text` at column `x` and row `y`; returns the column after it.
    pub fn put(&mut self, x: usize, y: usize, text: &str, role: Role) -> usize {
        self.put_in(x, y, text, self.state.theme.style(role))
    }

    /// Writes `text` in a style that is not that of a role.
    pub fn put_in(&mut self, x: usize, y: usize, text: &str, style: Style) -> usize {
        let area = self.area.intersection(self.buffer.area);
        if x >= area.width.into() || y >= area.height.into() {
            return x;
        }
        let (column, row) = (area.x + x as u16, area.y + y as u16);
        let (end, _) = self.buffer.set_stringn(column, row, text, usize::from(area.width) - x, style);
        usize::from(end - area.x)
    }

    /// Writes `text` so that `gap` columns of row `y` remain after it.
    pub fn put_right(&mut self, y: usize, text: &str, gap: u16, role: Role) {
        let area = Rect { width: self.area.width.saturating_sub(gap), ..self.area };
        let x = usize::from(area.width).saturating_sub(text::width(text));
        self.at(area).put(x, y, text, role);
    }

    /// Writes a caption at the right end of the last row, and returns the area above it.
    pub fn caption(&mut self, text: &str) -> Rect {
        if text.is_empty() || self.area.height < 3 {
            return self.area;
        }
        let y = self.height() - 1;
        let text = text::fit(text, self.width().saturating_sub(2), self.state.glyphs);
        self.put_right(y, &text, 1, Role::Shape);
        Rect { height: self.area.height - 1, ..self.area }
    }

    /// Writes `message` from row 0 in lines that leave a column free at each side.
    pub fn say(&mut self, message: &str, role: Role) {
        let width = self.width().saturating_sub(2);
        for (y, line) in message.lines().flat_map(|line| text::wrap(line, width)).enumerate() {
            self.put(1, y, &line, role);
        }
    }

    /// Sets the style of every cell of row `y`.
    pub fn row(&mut self, y: usize, role: Role) {
        if y < self.height() {
            let row = Rect { y: self.area.y + y as u16, height: 1, ..self.area };
            self.buffer.set_style(row, self.state.theme.style(role));
        }
    }

    pub fn clear(&mut self) {
        for position in self.area.intersection(self.buffer.area).positions() {
            self.buffer[position].reset();
        }
    }
}
