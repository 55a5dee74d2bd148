//! The help: every key, from the same table as the key line.

use super::{Canvas, Role, boxes, text};
use crate::frontend::tui::actions::PROMPT_KEYS;
use crate::frontend::tui::glyphs::Glyphs;
use crate::frontend::tui::keymap::Keymap;

/// Columns of the keys.
const KEYS: usize = 14;

/// Widest box.
const WIDTH: u16 = 96;

/// The rows: keys with their descriptions, and the marks of the program pane with their meanings. A row without keys is
/// a heading.
pub fn rows(keymap: &Keymap, glyphs: &Glyphs) -> Vec<(String, String)> {
    let row = |keys: &str, help: &str| (keys.to_string(), help.to_string());
    let mut rows = vec![row("", "Keys")];
    for (info, keys) in keymap.bindings().filter(|(_, keys)| !keys.is_empty()) {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        rows.push(row(&keys.join(" "), info.help));
    }
    if !keymap.lines().is_empty() {
        rows.push(row("", "Your commands"));
        rows.extend(keymap.lines().iter().map(|(keys, line)| row(&keys.to_string(), line)));
    }
    rows.push(row("", "At the prompt"));
    rows.extend(PROMPT_KEYS.iter().map(|(keys, _, help)| row(keys, help)));
    rows.extend([
        row("", "Marks of the program pane"),
        row("B b", "stop point: B was hit, b was not; + enabled, - disabled"),
        row(glyphs.arrow, "the op that runs next"),
        row(glyphs.computed, "computed"),
        row("E", "the value was edited"),
        row("~", "the value depends on an edit"),
        row("!", "the value contains NaN or infinities"),
    ]);
    rows
}

pub fn draw(canvas: &mut Canvas, scroll: usize) {
    let state = canvas.state;
    let area = boxes::centred(canvas.area, WIDTH, u16::MAX);
    let mut inside = boxes::open(canvas, area, "help".to_string(), String::new());
    let rows = rows(&state.keymap, state.glyphs);
    for (y, (keys, help)) in rows.iter().skip(scroll).take(inside.height()).enumerate() {
        if keys.is_empty() {
            inside.put(1, y, help, Role::Title);
        } else {
            inside.put(1, y, &text::right(keys, KEYS, state.glyphs), Role::Key);
            let room = inside.width().saturating_sub(KEYS + 3);
            inside.put(KEYS + 3, y, &text::fit(help, room, state.glyphs), Role::Text);
        }
    }
}
