//! Keys while the palette is open.

use std::time::Instant;

use super::{Effect, Mode, Purpose, State, keys, open_prompt, send};
use crate::frontend::tui::palette::{Choice, Palette, entries, found};
use crate::frontend::tui::prompt::{C_N, C_P, edit};
use crate::term::{Chord, Key};

pub fn open(state: &mut State) {
    state.palette = Palette::default();
    state.mode = Mode::Palette;
}

pub fn key(state: &mut State, chord: Chord, now: Instant, effects: &mut Vec<Effect>) {
    let all = || found(entries(&state.keymap), state.palette.input.value());
    let page = usize::from(state.size.1).saturating_sub(6).max(1);
    let last = all().len().saturating_sub(1);
    let chosen = state.palette.chosen.min(last);
    match chord {
        _ if chord.cancels() => state.mode = Mode::Keys,
        Chord { key: Key::Up, .. } | C_P => state.palette.chosen = chosen.saturating_sub(1),
        Chord { key: Key::Down | Key::Tab, .. } | C_N => state.palette.chosen = (chosen + 1).min(last),
        Chord { key: Key::PageUp, .. } => state.palette.chosen = chosen.saturating_sub(page),
        Chord { key: Key::PageDown, .. } => state.palette.chosen = (chosen + page).min(last),
        Chord { key: Key::Enter, .. } => {
            let Some(entry) = all().into_iter().nth(chosen) else { return };
            state.mode = Mode::Keys;
            match entry.choice {
                Choice::Act(action) => keys::act(state, action, now, effects),
                Choice::Run(line) => send(state, line),
                Choice::Type(name) => open_prompt(state, Purpose::Command, &format!("{name} ")),
            }
        }
        _ => {
            let changed = edit(chord).and_then(|request| state.palette.input.handle(request));
            if changed.is_some_and(|changed| changed.value) {
                state.palette.chosen = 0;
            }
        }
    }
}
