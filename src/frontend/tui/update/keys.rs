//! Single keys.

use std::time::Instant;

use super::choose::{self, choose_op};
use super::{
    Dirty, Effect, Kind, Mode, Pane, Purpose, State, Step, Toward, interrupt, open_prompt, palette, quit, send,
    strings, take_key,
};
use crate::answer::text::lines;
use crate::frontend::tui::actions::Action;
use crate::frontend::tui::letters::Letter;
use crate::frontend::tui::view::{JUMPS, help, query};
use crate::model::site_name::InBlock;
use crate::term::{Chord, Key};

/// A key in key mode. Letters may turn out to begin a command.
pub fn key(state: &mut State, chord: Chord, now: Instant, effects: &mut Vec<Effect>) {
    let changes = state.keymap.action(chord).is_none_or(waits);
    let wait = state.key_wait();
    match state.letters.key(chord, changes, wait, now) {
        Letter::Waits => {}
        Letter::Acts(None) => alone(state, chord, now, effects),
        Letter::Acts(Some(first)) => {
            alone(state, first, now, effects);
            // What has the keyboard now may be something else.
            take_key(state, chord, now, effects);
        }
        Letter::Word { text, acted } => {
            if acted {
                let said =
                    format!("\"{text}\" begins a command, so the prompt is open; its letters have acted as keys. ");
                state.console.push(Kind::Notice, said + strings::KEYS_ACTED);
            }
            open_prompt(state, Purpose::Command, &text);
        }
    }
}

/// Carries out the letter that has waited long enough.
pub fn flush(state: &mut State, now: Instant, effects: &mut Vec<Effect>) {
    let wait = state.key_wait();
    if let Some(chord) = state.letters.due(wait, now) {
        state.dirty = Dirty::Now;
        alone(state, chord, now, effects);
    }
}

/// Whether a letter with this action waits. Moving the selection does no harm, and must be quick.
fn waits(action: Action) -> bool {
    !matches!(action, Action::Select(_))
}

/// A key by itself.
fn alone(state: &mut State, chord: Chord, now: Instant, effects: &mut Vec<Effect>) {
    match state.keymap.action(chord) {
        Some(action) => act(state, action, now, effects),
        None if !state.keymap.after(chord).is_empty() => state.mode = Mode::Prefix(chord),
        // Esc goes back and forth between the keys and the prompt.
        None if chord.key == Key::Esc => {
            state.typing = true;
            state.rest();
        }
        // As in gdb's single-key mode, any other letter starts a command.
        None => {
            if let Chord { key: Key::Char(c), ctrl: false, alt: false } = chord {
                open_prompt(state, Purpose::Command, &c.to_string());
            }
        }
    }
}

/// The second key of a sequence; a key without a meaning ends the sequence.
pub fn second_key(state: &mut State, lead: Chord, chord: Chord, now: Instant, effects: &mut Vec<Effect>) {
    state.rest();
    match state.keymap.action_after(lead, chord) {
        Some(action) => act(state, action, now, effects),
        None if chord.cancels() => {}
        None => state.console.push(Kind::Notice, format!("{lead} {chord} has no action. Press ? for the keys.")),
    }
}

pub fn act(state: &mut State, action: Action, now: Instant, effects: &mut Vec<Effect>) {
    match action {
        Action::Command(line) => send(state, line),
        Action::RunTo => run_to(state),
        Action::Break => toggle_breakpoint(state),
        Action::Edit => {
            if let Some((_, site)) = chosen(state) {
                let slice = state.value.slice(&site);
                open_prompt(state, Purpose::Command, &format!("set {site}{slice} = "));
            }
        }
        Action::View if state.focus == Pane::Heads => state.heads.cycle(),
        Action::View => {
            state.value.window = None;
            state.value.cycle();
        }
        Action::Scale => state.value.scaling = state.value.scaling.next(),
        Action::Heads => choose::heads(state),
        Action::Layout(name) => choose::layout(state, name),
        Action::Closer(step) => state.value.look_closer(step == Step::Next),
        Action::Jump => state.mode = Mode::Jump,
        Action::Picture => effects.push(Effect::Picture),
        Action::Palette => palette::open(state),
        Action::Gradient => state.value.gradient = !state.value.gradient,
        Action::Copy => match copied(state) {
            Some(text) if !text.is_empty() => effects.push(Effect::Copy(text)),
            _ => state.console.push(Kind::Notice, strings::NOTHING_TO_COPY),
        },
        Action::Search => palette::search(state),
        Action::Select(toward) => choose::select(state, toward),
        Action::Open => choose::open(state),
        Action::Pane(step) => choose::next_pane(state, step),
        Action::Zoom => {
            state.zoom = !state.zoom;
            state.keep_focus_in_sight();
        }
        Action::Layer(step) => next_layer(state, step),
        Action::Head(step) => next_head(state, step),
        Action::Position(step) => {
            state.next_position(step).into_iter().for_each(|position| choose::focus(state, "pos", position));
        }
        Action::Prompt => open_prompt(state, Purpose::Command, ""),
        Action::HistorySearch => {
            open_prompt(state, Purpose::Command, "");
            state.prompt.open_history_search();
        }
        Action::Help => state.mode = Mode::Help(0),
        Action::Repaint => effects.push(Effect::Repaint),
        Action::Suspend => effects.push(Effect::Suspend),
        Action::Interrupt => interrupt(state, now, effects),
        Action::Quit => quit(state, effects),
    }
}

/// Scrolls the help, or closes it.
pub fn help_key(state: &mut State, chord: Chord, scroll: usize) {
    let page = usize::from(state.size.1).saturating_sub(4).max(1);
    let to = match state.keymap.action(chord) {
        Some(Action::Select(Toward::Down)) => scroll + 1,
        Some(Action::Select(Toward::Up)) => scroll.saturating_sub(1),
        Some(Action::Select(Toward::PageDown)) => scroll + page,
        Some(Action::Select(Toward::PageUp)) => scroll.saturating_sub(page),
        Some(Action::Select(Toward::First)) => 0,
        Some(Action::Select(Toward::Last)) => usize::MAX,
        _ => return state.rest(),
    };
    let rows = help::rows(&state.keymap, state.glyphs).len();
    state.mode = Mode::Help(to.min(rows.saturating_sub(page)));
}

/// The letter of a row of the focused pane selects it; any other key does nothing.
pub fn jump(state: &mut State, chord: Chord) {
    state.rest();
    let Chord { key: Key::Char(c), ctrl: false, alt: false } = chord else { return };
    let Some(at) = JUMPS.find(c) else { return };
    let Some(layout) = state.layout() else { return };
    let inside = layout.inside(state.focus);
    match state.focus {
        Pane::Program => {
            let Some(snapshot) = state.snapshot.clone() else { return };
            let rows = state.tree.rows(&snapshot);
            if let Some((row, _)) = state.tree.shown(&rows, inside.1).get(at) {
                state.tree.choose_row(&rows, *row);
            }
        }
        Pane::Query(number) => {
            if let Some(row) = query::row_at(state, number, inside, at) {
                state.queries[number].at.0 = row;
            }
        }
        _ => {}
    }
}

fn chosen_site(state: &State) -> Option<String> {
    let snapshot = state.snapshot.as_ref()?;
    snapshot.ops.get(state.chosen_op()?).map(|op| op.site.clone())
}

/// The selected op and its site; a notice if there is none.
fn chosen(state: &mut State) -> Option<(usize, String)> {
    let found = state.chosen_op().zip(chosen_site(state));
    if found.is_none() {
        state.console.push(Kind::Notice, strings::NO_CHOICE);
    }
    found
}

/// Runs to the selected op with `until`, or goes back with `goto` if it has already run.
fn run_to(state: &mut State) {
    let Some((op, site)) = chosen(state) else { return };
    let behind = state.snapshot.as_ref().is_some_and(|snapshot| snapshot.live && op < snapshot.cursor);
    let command = if behind { "goto" } else { "until" };
    send(state, &format!("{command} {site}"));
}

fn toggle_breakpoint(state: &mut State) {
    let Some((op, site)) = chosen(state) else { return };
    let flags = state.snapshot.as_ref().and_then(|snapshot| snapshot.flags.get(op).copied()).unwrap_or_default();
    match flags.breakpoint {
        Some(breakpoint) => send(state, &format!("delete {}", breakpoint.number)),
        None => send(state, &format!("break {site}")),
    }
}

fn copied(state: &State) -> Option<String> {
    match state.focus {
        Pane::Program => chosen_site(state),
        Pane::Value => state.value.as_text(),
        Pane::Tokens => Some(state.snapshot.as_ref()?.tokens.iter().map(|token| token.text.as_str()).collect()),
        Pane::Console => Some(state.console.last_answer()),
        Pane::Heads => match (&state.heads.metric, &state.heads.grid.answer) {
            (Some(_), Some(answer)) => Some(lines(answer, None).join("\n")),
            _ => None,
        },
        Pane::Query(number) => Some(lines(state.queries.get(number)?.answer.as_ref()?, None).join("\n")),
    }
}

/// Selects the same op in the next or previous block; from outside the blocks, the nearest op in a block.
fn next_layer(state: &mut State, step: Step) {
    let Some(snapshot) = state.snapshot.clone() else { return };
    let Some(op) = state.chosen_op() else { return };
    let Some(at) = InBlock::parse(&snapshot.ops[op].site) else {
        let inside = |op: &usize| InBlock::parse(&snapshot.ops[*op].site).is_some();
        let found = match step {
            Step::Next => (op..snapshot.ops.len()).find(inside),
            Step::Previous => (0..op).rev().find(inside),
        };
        return found.into_iter().for_each(|op| choose_op(state, op));
    };
    let Some(layer) = step.from(at.layer, usize::MAX) else { return };
    let wanted = InBlock { layer, ..at };
    let same = snapshot.ops.iter().position(|op| InBlock::parse(&op.site) == Some(wanted));
    let in_layer = |found: InBlock<'_>| (found.stack, found.layer) == (wanted.stack, wanted.layer);
    let any = || snapshot.ops.iter().position(|op| InBlock::parse(&op.site).is_some_and(in_layer));
    if let Some(op) = same.or_else(any) {
        choose_op(state, op);
    }
}

fn next_head(state: &mut State, step: Step) {
    let Some(snapshot) = &state.snapshot else { return };
    if let Some(head) = step.from(snapshot.focus.head, snapshot.heads) {
        choose::focus(state, "head", head);
    }
}
