//! The line of keys, from the same table as the help.

use super::{Canvas, Mode, Role, strings, text};
use crate::frontend::tui::actions::PROMPT_KEYS;
use crate::frontend::tui::keymap::Keymap;
use crate::frontend::tui::palette::Subject;

/// The hints that are always shown, at the end of the line.
const ALWAYS: [&str; 3] = ["command", "single keys", "help"];

/// One or more keys, and the word for them.
type Hint = (String, String);

pub fn draw(canvas: &mut Canvas) {
    let state = canvas.state;
    let mode = match state.mode {
        Mode::Prompt => "PROMPT",
        _ => "KEYS",
    };
    let hint = |keys: &str, word: &str| (keys.to_string(), word.to_string());
    let hints = match state.mode {
        _ if state.snapshot.is_none() => vec![hint(strings::CANCEL_LOADING, "")],
        Mode::Keys => key_hints(&state.keymap, state.is_live()),
        Mode::Prompt => {
            let shown = PROMPT_KEYS.iter().filter(|(_, word, _)| !word.is_empty());
            shown.map(|(keys, word, _)| hint(keys, word)).collect()
        }
        Mode::Confirm => vec![hint("y", "quit"), hint("n", "stay")],
        Mode::Help(_) => vec![hint(strings::HELP_FOOT, "")],
        Mode::Reader if state.reader.filtering => vec![hint(strings::FILTER_FOOT, "")],
        Mode::Reader => vec![hint(strings::READER_FOOT, "")],
        Mode::Jump => vec![hint(strings::JUMP_FOOT, "")],
        Mode::Palette if state.palette.subject != Subject::Commands => vec![hint(strings::SEARCH_FOOT, "")],
        Mode::Palette => vec![hint(strings::PALETTE_FOOT, "")],
        Mode::Prefix(_) => vec![hint(strings::PREFIX_FOOT, "")],
    };
    let room = canvas.width().saturating_sub(mode.len() + 2);
    let mut x = canvas.put(1, 0, mode, Role::Faint) + 1;
    for (keys, word) in fitting(hints, room) {
        x = canvas.put(x, 0, &keys, Role::Key) + 1;
        x = canvas.put(x, 0, &word, Role::Text);
        x += if word.is_empty() { 1 } else { 2 };
    }
}

/// The hints of single keys; neighbours with the same word are joined. Before the first run, the key that starts it
/// comes first.
fn key_hints(keymap: &Keymap, live: bool) -> Vec<Hint> {
    let mut hints: Vec<Hint> = Vec::new();
    for (info, keys) in keymap.bindings() {
        let Some(key) = keys.first().filter(|_| !info.hint.is_empty()) else { continue };
        match hints.last_mut() {
            Some((keys, word)) if word == info.hint => {
                keys.push(' ');
                keys.push_str(&key.to_string());
            }
            _ => hints.push((key.to_string(), info.hint.to_string())),
        }
    }
    if !live {
        hints.sort_by_key(|(_, word)| word != "run");
    }
    hints
}

/// As many hints as fit, beginning with the first, and those that are always shown.
fn fitting(hints: Vec<Hint>, room: usize) -> Vec<Hint> {
    let columns = |(keys, word): &Hint| text::width(keys) + text::width(word) + 3;
    let is_last = |hint: &Hint| ALWAYS.contains(&hint.1.as_str());
    // The last hint needs no gap after it.
    let mut left = (room + 2).saturating_sub(hints.iter().filter(|hint| is_last(hint)).map(columns).sum());
    let mut full = false;
    let keep = |hint: &Hint| {
        if is_last(hint) {
            return true;
        }
        full |= columns(hint) > left;
        if !full {
            left -= columns(hint);
        }
        !full
    };
    hints.into_iter().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(room: usize) -> String {
        let (keymap, _) = Keymap::new(None);
        let hints: Vec<String> =
            fitting(key_hints(&keymap, true), room).into_iter().map(|(keys, word)| format!("{keys} {word}")).collect();
        hints.join("  ")
    }

    #[test]
    fn the_line_says_what_the_keymap_says() {
        assert!(line(200).starts_with("s step  n next  l layer  f finish  c continue  b break  S N L F C back  t to"));
        assert!(line(200).ends_with(": command  ? help"));
    }

    #[test]
    fn a_narrow_line_keeps_command_and_help() {
        assert_eq!(line(40), "s step  n next  : command  ? help");
        assert_eq!(line(0), ": command  ? help");
    }
}
