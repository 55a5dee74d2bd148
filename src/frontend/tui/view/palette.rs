//! The palette and the pickers: a line of input, and the entries that match it.

use ratatui::layout::Position;

use super::{Canvas, Role, boxes, strings, text};
use crate::frontend::tui::palette::{Subject, candidates};

/// Widest box.
const WIDTH: u16 = 76;

/// The largest number of entries shown.
const SHOWN: u16 = 16;

/// Columns of the keys and of the names.
const COLUMNS: (usize, usize) = (9, 26);

/// Draws it over everything else; returns the place of the cursor.
pub fn draw(canvas: &mut Canvas) -> Option<Position> {
    let state = canvas.state;
    let (found, count) = candidates(state);
    let is_search = state.palette.subject != Subject::Commands;
    let keys = if is_search { strings::SEARCH_FOOT } else { strings::PALETTE_FOOT };
    let foot = format!("{} of {count}  {keys}", found.len());
    let shown = if is_search { SHOWN / 2 } else { SHOWN };
    let mut area = boxes::centred(canvas.area, WIDTH, shown + 3);
    if is_search {
        // The panes above it show what is chosen.
        area.y = canvas.area.bottom().saturating_sub(area.height + 1);
    }
    let title = match state.palette.subject {
        Subject::Commands => "command",
        Subject::Sites { .. } => "site",
        Subject::Rows { .. } => "row",
    };
    let mut inside = boxes::open(canvas, area, title.to_string(), foot);
    inside.put(1, 0, "> ", Role::Prompt);
    inside.put(3, 0, state.palette.input.value(), Role::Text);
    let room = inside.height().saturating_sub(1);
    let chosen = state.palette.chosen.min(found.len().saturating_sub(1));
    let first = (chosen + 1).saturating_sub(room);
    let names = if state.palette.subject == Subject::Commands { COLUMNS.1 } else { inside.width() };
    for (y, (at, entry)) in found.iter().enumerate().skip(first).take(room).enumerate() {
        let role = |role: Role| if at == chosen { Role::Selection } else { role };
        if at == chosen {
            inside.row(y + 1, Role::Selection);
        }
        let name = text::left(&entry.name, names, state.glyphs);
        let x = inside.put(1, y + 1, &name, role(Role::Title)) + 1;
        let room = inside.width().saturating_sub(x + COLUMNS.0 + 1);
        inside.put(x, y + 1, &text::fit(&entry.about, room, state.glyphs), role(Role::Text));
        inside.put_right(y + 1, &entry.key, 1, role(Role::Key));
    }
    let x = inside.area.x + 3 + state.palette.input.visual_cursor() as u16;
    (x < inside.area.right()).then_some(Position { x, y: inside.area.y })
}
