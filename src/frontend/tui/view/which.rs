//! The box after the first key of a sequence: the keys that may follow, with their descriptions.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::boxes::{self, Boxed};
use super::paint;
use crate::frontend::tui::state::State;
use crate::frontend::tui::text;
use crate::frontend::tui::theme::Role;
use crate::term::Chord;

/// Widest box.
const WIDTH: u16 = 56;

/// Columns of the keys.
const KEYS: usize = 8;

pub fn draw(state: &State, lead: Chord, area: Rect, buffer: &mut Buffer) {
    let after = state.keymap.after(lead);
    let width = area.width.saturating_sub(2).min(WIDTH);
    let height = (after.len() as u16 + 2).min(area.height.saturating_sub(2));
    let area =
        Rect { x: area.right().saturating_sub(width + 1), y: area.bottom().saturating_sub(height + 1), width, height };
    paint::clear(buffer, area);
    boxes::draw(state, &[Boxed { area, title: lead.to_string(), foot: String::new(), focused: true }], buffer);
    let inside = boxes::inside(area);
    for (y, (key, info)) in after.iter().take(inside.height.into()).enumerate() {
        let keys = text::right(&key.to_string(), KEYS, state.glyphs);
        paint::put(buffer, inside, 0, y, &keys, state.theme.style(Role::Key));
        paint::put(buffer, inside, KEYS + 2, y, info.help, state.theme.style(Role::Text));
    }
}
