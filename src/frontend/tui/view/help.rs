//! The help: every key, from the same table as the key line.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::boxes::{self, Boxed};
use super::paint;
use crate::frontend::tui::actions::PROMPT_KEYS;
use crate::frontend::tui::glyphs::Glyphs;
use crate::frontend::tui::keymap::Keymap;
use crate::frontend::tui::state::State;
use crate::frontend::tui::text;
use crate::frontend::tui::theme::Role;

/// Columns of the keys.
const KEYS: usize = 14;

/// Widest box.
const WIDTH: u16 = 76;

/// The rows: keys with their descriptions, and marks with their meanings. A row without keys is a heading.
pub fn rows(keymap: &Keymap, glyphs: &Glyphs) -> Vec<(String, String)> {
    let mut rows = vec![(String::new(), "Keys".to_string())];
    for (info, keys) in keymap.bindings() {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        if !keys.is_empty() {
            rows.push((keys.join(" "), info.help.to_string()));
        }
    }
    rows.push((String::new(), "At the prompt".to_string()));
    rows.extend(PROMPT_KEYS.iter().map(|(keys, _, help)| (keys.to_string(), help.to_string())));
    rows.extend(marks(glyphs));
    rows
}

/// The meanings of the marks of the program pane.
fn marks(glyphs: &Glyphs) -> Vec<(String, String)> {
    let mark = |mark: &str, meaning: &str| (mark.to_string(), meaning.to_string());
    vec![
        mark("", "Marks of the program pane"),
        mark("B b", "stop point: B was hit, b was not; + enabled, - disabled"),
        mark(glyphs.arrow, "the op that runs next"),
        mark(glyphs.computed, "computed"),
        mark("E", "the value was edited"),
        mark("~", "the value depends on an edit"),
        mark("!", "the value contains NaN or infinities"),
    ]
}

pub fn draw(state: &State, scroll: usize, area: Rect, buffer: &mut Buffer) {
    let width = area.width.saturating_sub(2).min(WIDTH);
    let height = area.height.saturating_sub(2);
    let area = Rect { x: area.x + (area.width - width) / 2, y: area.y + 1, width, height };
    paint::clear(buffer, area);
    boxes::draw(state, &[Boxed { area, title: "help".to_string(), foot: String::new(), focused: true }], buffer);
    let inside = boxes::inside(area);
    let rows = rows(&state.keymap, state.glyphs);
    for (y, (keys, help)) in rows.iter().skip(scroll).take(inside.height.into()).enumerate() {
        if keys.is_empty() {
            paint::put(buffer, inside, 1, y, help, state.theme.style(Role::Title));
        } else {
            let keys = text::right(keys, KEYS, state.glyphs);
            paint::put(buffer, inside, 1, y, &keys, state.theme.style(Role::Key));
            paint::put(buffer, inside, KEYS + 3, y, help, state.theme.style(Role::Text));
        }
    }
}
