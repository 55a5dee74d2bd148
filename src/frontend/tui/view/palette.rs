//! The palette: a line of input, and the commands and actions that match it.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::boxes::{self, Boxed};
use super::paint;
use crate::frontend::tui::palette::{entries, found};
use crate::frontend::tui::state::State;
use crate::frontend::tui::strings;
use crate::frontend::tui::text;
use crate::frontend::tui::theme::Role;

/// Widest box.
const WIDTH: u16 = 76;

/// The largest number of entries shown.
const SHOWN: u16 = 16;

/// Columns of the keys and of the names.
const COLUMNS: (usize, usize) = (9, 20);

/// Draws it over everything else; returns the place of the cursor.
pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    let width = area.width.saturating_sub(2).min(WIDTH);
    let height = area.height.saturating_sub(2).min(SHOWN + 3);
    let area = Rect { x: area.x + (area.width - width) / 2, y: area.y + 1, width, height };
    paint::clear(buffer, area);
    let all = entries(&state.keymap);
    let count = all.len();
    let found = found(all, state.palette.input.value());
    let title = "command".to_string();
    let foot = format!("{} of {count}  {}", found.len(), strings::PALETTE_FOOT);
    boxes::draw(state, &[Boxed { area, title, foot, focused: true }], buffer);
    let inside = boxes::inside(area);
    paint::put(buffer, inside, 1, 0, "> ", state.theme.style(Role::Prompt));
    paint::put(buffer, inside, 3, 0, state.palette.input.value(), state.theme.style(Role::Text));
    let room = usize::from(inside.height).saturating_sub(1);
    let chosen = state.palette.chosen.min(found.len().saturating_sub(1));
    let first = (chosen + 1).saturating_sub(room);
    let columns = usize::from(inside.width);
    for (y, (at, entry)) in found.iter().enumerate().skip(first).take(room).enumerate() {
        let style = |role: Role| state.theme.style(if at == chosen { Role::Selection } else { role });
        if at == chosen {
            paint::row(buffer, inside, y + 1, style(Role::Selection));
        }
        let name = text::left(&entry.name, COLUMNS.1, state.glyphs);
        let x = paint::put(buffer, inside, 1, y + 1, &name, style(Role::Title)) + 1;
        let room = columns.saturating_sub(x + COLUMNS.0 + 1);
        paint::put(buffer, inside, x, y + 1, &text::fit(&entry.about, room, state.glyphs), style(Role::Text));
        let end = Rect { width: inside.width.saturating_sub(1), ..inside };
        paint::put_right(buffer, end, y + 1, &entry.key, style(Role::Key));
    }
    let x = inside.x + 3 + state.palette.input.visual_cursor() as u16;
    (x < inside.right()).then_some(Position { x, y: inside.y })
}
