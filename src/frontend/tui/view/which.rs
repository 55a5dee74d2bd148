//! The box after the first key of a sequence: the keys that may follow, with their descriptions.

use super::{Canvas, Rect, Role, boxes, text};
use crate::term::Chord;

/// Widest box.
const WIDTH: u16 = 56;

/// Columns of the keys.
const KEYS: usize = 8;

pub fn draw(canvas: &mut Canvas, lead: Chord) {
    let (state, area) = (canvas.state, canvas.area);
    let after = state.keymap.after(lead);
    let width = area.width.saturating_sub(2).min(WIDTH);
    let height = (after.len() as u16 + 2).min(area.height.saturating_sub(2));
    let (x, y) = (area.right().saturating_sub(width + 1), area.bottom().saturating_sub(height + 1));
    let mut inside = boxes::open(canvas, Rect { x, y, width, height }, lead.to_string(), String::new());
    for (y, (key, info)) in after.iter().take(inside.height()).enumerate() {
        inside.put(0, y, &text::right(&key.to_string(), KEYS, state.glyphs), Role::Key);
        inside.put(KEYS + 2, y, info.help, Role::Text);
    }
}
