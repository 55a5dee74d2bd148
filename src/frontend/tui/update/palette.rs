//! Keys while the palette or a picker is open.

use std::time::Instant;

use super::{Effect, Mode, Pane, Purpose, State, choose, keys, open_prompt, reader, send};
use crate::frontend::tui::palette::{Choice, Entry, Palette, Subject, candidates};
use crate::frontend::tui::prompt::{C_N, C_P, edit};
use crate::term::{Chord, Key};
use tui_input::Input;

pub fn open(state: &mut State) {
    begin(state, Subject::Commands);
}

/// Searches what the focused pane lists: the rows of an answer, the lines of the console, or else the sites.
pub fn search(state: &mut State) {
    match state.focus {
        Pane::Console => reader::filter(state),
        Pane::Query(number) => {
            let before = state.queries.get(number).map_or(0, |query| query.at.0);
            begin(state, Subject::Rows { pane: state.focus, before });
        }
        _ => begin(state, Subject::Sites { before: state.tree.chosen }),
    }
}

fn begin(state: &mut State, subject: Subject) {
    state.palette = Palette { subject, ..Palette::default() };
    state.mode = Mode::Palette;
}

pub fn key(state: &mut State, chord: Chord, now: Instant, effects: &mut Vec<Effect>) {
    let page = usize::from(state.size.1).saturating_sub(6).max(1);
    let last = candidates(state).0.len().saturating_sub(1);
    let chosen = state.palette.chosen.min(last);
    match chord {
        _ if chord.cancels() => return restore(state),
        Chord { key: Key::Up, .. } | C_P => state.palette.chosen = chosen.saturating_sub(1),
        Chord { key: Key::Down | Key::Tab, .. } | C_N => state.palette.chosen = (chosen + 1).min(last),
        Chord { key: Key::PageUp, .. } => state.palette.chosen = chosen.saturating_sub(page),
        Chord { key: Key::PageDown, .. } => state.palette.chosen = (chosen + page).min(last),
        Chord { key: Key::Enter, .. } => {
            if state.palette.input.value().trim().is_empty() && again(state) {
                return;
            }
            let Some(entry) = candidates(state).0.into_iter().nth(chosen) else { return };
            state.sought = state.palette.input.value().to_string();
            state.rest();
            match entry.choice {
                Choice::Act(action) => keys::act(state, action, now, effects),
                Choice::Run(line) => send(state, line),
                Choice::Type(line) => open_prompt(state, Purpose::Command, &line),
                choice => show(state, &choice),
            }
            return;
        }
        _ => {
            let changed = edit(chord).and_then(|request| state.palette.input.handle(request));
            if changed.is_some_and(|changed| changed.value) {
                state.palette.chosen = 0;
            }
        }
    }
    preview(state);
}

/// Enter without a text: the next op that the last search finds. Returns whether it was a search for sites.
fn again(state: &mut State) -> bool {
    let Subject::Sites { .. } = state.palette.subject else { return false };
    let sought = std::mem::take(&mut state.sought);
    state.palette.input = Input::new(sought.clone());
    let here = state.chosen_op();
    let op = |entry: Entry| if let Choice::Op(op) = entry.choice { Some(op) } else { None };
    let mut ops: Vec<usize> = candidates(state).0.into_iter().filter_map(op).collect();
    ops.sort_unstable();
    let next = ops.iter().find(|op| here.is_none_or(|here| **op > here)).or(ops.first());
    if let Some(op) = next.filter(|_| !sought.is_empty()) {
        choose::choose_op(state, *op);
    }
    state.sought = sought;
    state.rest();
    true
}

/// Shows what is chosen in the panes while the search goes on.
fn preview(state: &mut State) {
    if state.palette.subject == Subject::Commands || state.palette.input.value().trim().is_empty() {
        return;
    }
    let entry = candidates(state).0.into_iter().nth(state.palette.chosen);
    entry.into_iter().for_each(|entry| show(state, &entry.choice));
}

fn show(state: &mut State, choice: &Choice) {
    match (choice, state.palette.subject) {
        (Choice::Op(op), _) => choose::choose_op(state, *op),
        (Choice::Row(row), Subject::Rows { pane: Pane::Query(number), .. }) => {
            if let Some(query) = state.queries.get_mut(number) {
                query.at.0 = *row;
            }
        }
        _ => {}
    }
}

/// Ends a search with what was selected before it.
fn restore(state: &mut State) {
    match state.palette.subject {
        Subject::Sites { before } => state.tree.choose(before),
        Subject::Rows { pane: Pane::Query(number), before } => {
            if let Some(query) = state.queries.get_mut(number) {
                query.at.0 = before;
            }
        }
        _ => {}
    }
    state.rest();
}
