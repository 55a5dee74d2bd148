//! Keys while the last answer is read in the whole window.

use super::{Effect, Mode, State, Toward, strings};
use crate::frontend::tui::console::Kind;
use crate::frontend::tui::prompt::edit;
use crate::frontend::tui::view::reader::inside;
use crate::term::{Chord, Key};

/// Opens the last answer, or closes it.
pub fn toggle(state: &mut State) {
    if state.mode == Mode::Reader {
        return state.rest();
    }
    if state.reader.is_empty() {
        return state.console.push(Kind::Notice, strings::NO_ANSWER);
    }
    state.reader.open();
    state.mode = Mode::Reader;
}

/// Opens the last answer and begins to filter it.
pub fn filter(state: &mut State) {
    toggle(state);
    state.reader.filtering = state.mode == Mode::Reader;
}

pub fn key(state: &mut State, chord: Chord, effects: &mut Vec<Effect>) {
    let (columns, height) = inside(state.size);
    if state.reader.filtering {
        match chord {
            _ if chord.cancels() => state.reader.open(),
            Chord { key: Key::Enter, .. } => state.reader.filtering = false,
            _ => drop(edit(chord).and_then(|request| state.reader.filter.handle(request))),
        }
        return state.reader.scroll_to(state.reader.at, columns, height);
    }
    let page = height.saturating_sub(1).max(1);
    let at = state.reader.at;
    let to = match chord {
        _ if chord.cancels() || chord == Chord::char('q') => return state.rest(),
        _ if chord == Chord::char('/') => return state.reader.filtering = true,
        _ if chord == Chord::char('y') => {
            return effects.push(Effect::Copy(state.reader.rows(columns).0.join("\n")));
        }
        _ => match toward(chord) {
            Some(Toward::Up) => at.saturating_sub(1),
            Some(Toward::Down) => at + 1,
            Some(Toward::PageUp) => at.saturating_sub(page),
            Some(Toward::PageDown) => at + page,
            Some(Toward::First) => 0,
            Some(Toward::Last) => usize::MAX,
            _ => return,
        },
    };
    state.reader.scroll_to(to, columns, height);
}

/// The keys of a pager.
fn toward(chord: Chord) -> Option<Toward> {
    Some(match chord.key {
        Key::Up | Key::Char('k') => Toward::Up,
        Key::Down | Key::Enter | Key::Char('j') => Toward::Down,
        Key::PageUp | Key::Char('b') => Toward::PageUp,
        Key::PageDown | Key::Char(' ' | 'f') => Toward::PageDown,
        Key::Home | Key::Char('g') => Toward::First,
        Key::End | Key::Char('G') => Toward::Last,
        _ => return None,
    })
}
