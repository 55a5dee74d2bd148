//! Boxes that share their lines with their neighbours.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::merge::MergeStrategy;
use ratatui::widgets::{Block, Widget};

use super::{Canvas, Role, text};

pub struct Boxed {
    /// Its area, with the lines.
    pub area: Rect,
    /// The text in its upper line.
    pub title: String,
    /// The text at the right end of its upper line, if there is room.
    pub right: String,
    /// The text in its lower line, which must not be that of another box.
    pub foot: String,
    pub focused: bool,
}

/// The area inside the lines.
pub fn inside(area: Rect) -> Rect {
    Rect {
        x: area.x + 1.min(area.width),
        y: area.y + 1.min(area.height),
        width: area.width.saturating_sub(2),
        height: area.height.saturating_sub(2),
    }
}

/// Draws `all` boxes. The focused one is drawn last, so that its lines are whole; texts are drawn after all lines.
pub fn draw(canvas: &mut Canvas, all: &[Boxed]) {
    let (theme, glyphs) = (&canvas.state.theme, canvas.state.glyphs);
    let line = |boxed: &Boxed| theme.style(if boxed.focused { Role::BorderFocus } else { Role::Border });
    let merge = if glyphs.blocks { MergeStrategy::Exact } else { MergeStrategy::Replace };
    for focused in [false, true] {
        for boxed in all.iter().filter(|boxed| boxed.focused == focused) {
            let block = Block::bordered().border_set(glyphs.border).border_style(line(boxed)).merge_borders(merge);
            block.render(boxed.area, canvas.buffer);
        }
    }
    if !glyphs.blocks {
        all.iter().for_each(|boxed| mend_corners(canvas, boxed.area));
    }
    for boxed in all {
        let y = usize::from(boxed.area.height) - 1;
        write_in_line(&mut canvas.at(boxed.area), y, &boxed.foot, true, theme.style(Role::Shape));
    }
    for boxed in all {
        // The focused one has a mark too, for terminals without colours.
        let title = theme.style(Role::Title);
        let (style, mark) = match boxed.focused {
            true => (title.patch(line(boxed)), glyphs.focus),
            false => (title, ""),
        };
        let gap = if mark.is_empty() || boxed.title.is_empty() { "" } else { " " };
        write_in_line(&mut canvas.at(boxed.area), 0, &format!("{mark}{gap}{}", boxed.title), false, style);
        if text::width(&boxed.title) + text::width(&boxed.right) + 8 <= boxed.area.width.into() {
            write_in_line(&mut canvas.at(boxed.area), 0, &boxed.right, true, theme.style(Role::Shape));
        }
    }
}

fn write_in_line(canvas: &mut Canvas, y: usize, words: &str, at_end: bool, style: Style) {
    let room = canvas.width().saturating_sub(4);
    if !words.is_empty() && room > 2 {
        let words = format!(" {} ", text::fit(words, room - 2, canvas.state.glyphs));
        // A foot is aligned to the right, because the title of the box below begins at the left.
        let x = if at_end { canvas.width().saturating_sub(2 + text::width(&words)) } else { 2 };
        canvas.put_in(x, y, &words, style);
    }
}

/// Draws the corners again that the line of a neighbour has crossed, because ASCII lines do not merge.
fn mend_corners(canvas: &mut Canvas, area: Rect) {
    let (right, bottom) = (area.right().saturating_sub(1), area.bottom().saturating_sub(1));
    for position in [(area.x, area.y), (right, area.y), (area.x, bottom), (right, bottom)] {
        if let Some(cell) = canvas.buffer.cell_mut(position) {
            cell.set_symbol("+");
        }
    }
}

/// Clears `area`, draws a focused box there, and returns its inside.
pub fn open<'c>(canvas: &'c mut Canvas, area: Rect, title: String, foot: String) -> Canvas<'c> {
    canvas.at(area).clear();
    draw(canvas, &[Boxed { area, title, right: String::new(), foot, focused: true }]);
    canvas.at(inside(area))
}

/// The place of a box of at most `width` by `height` in the middle of the upper rows of `area`.
pub fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let width = area.width.saturating_sub(2).min(width);
    let height = area.height.saturating_sub(2).min(height);
    Rect { x: area.x + (area.width - width) / 2, y: area.y + 1, width, height }
}
