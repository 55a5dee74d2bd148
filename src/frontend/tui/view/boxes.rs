//! Boxes that share their lines with their neighbours.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::symbols::merge::MergeStrategy;
use ratatui::widgets::{Block, Widget};

use super::paint;
use crate::frontend::tui::state::State;
use crate::frontend::tui::text;
use crate::frontend::tui::theme::Role;

pub struct Boxed {
    /// Its area, with the lines.
    pub area: Rect,
    /// The text in its upper line.
    pub title: String,
    /// The text in its lower line.
    pub foot: String,
    /// Whether it has the focus.
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
pub fn draw(state: &State, all: &[Boxed], buffer: &mut Buffer) {
    for focused in [false, true] {
        for boxed in all.iter().filter(|boxed| boxed.focused == focused) {
            let role = if focused { Role::BorderFocus } else { Role::Border };
            let merge = if state.glyphs.blocks { MergeStrategy::Exact } else { MergeStrategy::Replace };
            Block::bordered()
                .border_set(state.glyphs.border)
                .border_style(state.theme.style(role))
                .merge_borders(merge)
                .render(boxed.area, buffer);
        }
    }
    if !state.glyphs.blocks {
        all.iter().for_each(|boxed| mend_corners(boxed.area, buffer));
    }
    for boxed in all {
        let room = usize::from(boxed.area.width).saturating_sub(4);
        let style = state.theme.style(Role::Shape);
        write_in_line(state, boxed, usize::from(boxed.area.height) - 1, (&boxed.foot, true), room, style, buffer);
    }
    // The title of the box below is in the same line, and has precedence over a foot.
    for boxed in all {
        let room = usize::from(boxed.area.width).saturating_sub(4);
        let style = state.theme.style(if boxed.focused { Role::BorderFocus } else { Role::Border });
        write_in_line(
            state,
            boxed,
            0,
            (&boxed.title, false),
            room,
            style.patch(state.theme.style(Role::Title)),
            buffer,
        );
    }
}

fn write_in_line(
    state: &State,
    boxed: &Boxed,
    y: usize,
    (words, at_end): (&str, bool),
    room: usize,
    style: ratatui::style::Style,
    buffer: &mut Buffer,
) {
    if !words.is_empty() && room > 2 {
        let words = format!(" {} ", text::fit(words, room - 2, state.glyphs));
        // A foot is aligned to the right, because the title of the box below begins at the left.
        let x = if at_end { usize::from(boxed.area.width).saturating_sub(2 + text::width(&words)) } else { 2 };
        paint::put(buffer, boxed.area, x, y, &words, style);
    }
}

/// Draws the corners again that the line of a neighbour has crossed, because ASCII lines do not merge.
fn mend_corners(area: Rect, buffer: &mut Buffer) {
    let (right, bottom) = (area.right().saturating_sub(1), area.bottom().saturating_sub(1));
    for position in [(area.x, area.y), (right, area.y), (area.x, bottom), (right, bottom)] {
        if let Some(cell) = buffer.cell_mut(position) {
            cell.set_symbol("+");
        }
    }
}
