//! The palette: a line of input, and the commands and actions that match it.

use ratatui::layout::Position;

use super::{Canvas, Role, boxes, strings, text};
use crate::frontend::tui::palette::{entries, found};

/// Widest box.
const WIDTH: u16 = 76;

/// The largest number of entries shown.
const SHOWN: u16 = 16;

/// Columns of the keys and of the names.
const COLUMNS: (usize, usize) = (9, 20);

/// Draws it over everything else; returns the place of the cursor.
pub fn draw(canvas: &mut Canvas) -> Option<Position> {
    let state = canvas.state;
    let all = entries(&state.keymap);
    let count = all.len();
    let found = found(all, state.palette.input.value());
    let foot = format!("{} of {count}  {}", found.len(), strings::PALETTE_FOOT);
    let area = boxes::centred(canvas.area, WIDTH, SHOWN + 3);
    let mut inside = boxes::open(canvas, area, "command".to_string(), foot);
    inside.put(1, 0, "> ", Role::Prompt);
    inside.put(3, 0, state.palette.input.value(), Role::Text);
    let room = inside.height().saturating_sub(1);
    let chosen = state.palette.chosen.min(found.len().saturating_sub(1));
    let first = (chosen + 1).saturating_sub(room);
    for (y, (at, entry)) in found.iter().enumerate().skip(first).take(room).enumerate() {
        let role = |role: Role| if at == chosen { Role::Selection } else { role };
        if at == chosen {
            inside.row(y + 1, Role::Selection);
        }
        let name = text::left(&entry.name, COLUMNS.1, state.glyphs);
        let x = inside.put(1, y + 1, &name, role(Role::Title)) + 1;
        let room = inside.width().saturating_sub(x + COLUMNS.0 + 1);
        inside.put(x, y + 1, &text::fit(&entry.about, room, state.glyphs), role(Role::Text));
        inside.put_right(y + 1, &entry.key, 1, role(Role::Key));
    }
    let x = inside.area.x + 3 + state.palette.input.visual_cursor() as u16;
    (x < inside.area.right()).then_some(Position { x, y: inside.area.y })
}
