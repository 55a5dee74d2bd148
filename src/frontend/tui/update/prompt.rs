//! Keys while the prompt is open.

use std::time::Instant;

use super::choose::{choose_op, scroll_console};
use super::{Effect, Kind, Mode, Pane, Purpose, State, Toward, interrupt, open_prompt, quit, send, strings};
use crate::engine::messages::Request;
use crate::engine::script::opener;
use crate::frontend::tui::prompt::Outcome;
use crate::term::{Chord, Key};

pub fn key(state: &mut State, chord: Chord, now: Instant, effects: &mut Vec<Effect>) {
    let empty = state.prompt.input.value().is_empty();
    match chord {
        _ if chord == Chord::ctrl('d') && empty => {
            state.mode = Mode::Keys;
            return quit(state, effects);
        }
        _ if chord == Chord::ctrl('c') && (empty || state.queue.running().is_some()) => {
            interrupt(state, now, effects);
        }
        Chord { key: Key::PageUp, .. } => return scroll_console(state, Toward::PageUp),
        Chord { key: Key::PageDown, .. } => return scroll_console(state, Toward::PageDown),
        _ => {}
    }
    let purpose = state.prompt.purpose.clone();
    match state.prompt.key(chord) {
        Outcome::Edited | Outcome::Unused => {}
        Outcome::Left => {
            state.mode = Mode::Keys;
            if purpose == Purpose::Command && state.block.abandon().is_some() {
                state.console.push(Kind::Notice, strings::NO_BLOCK);
            }
        }
        Outcome::Complete(line, cursor) => effects.push(Effect::Request(Request::Complete { line, cursor })),
        Outcome::Accepted(line) => {
            state.mode = Mode::Keys;
            match purpose {
                Purpose::Site => search(state, &line),
                _ => run(state, line, effects),
            }
        }
    }
}

fn run(state: &mut State, line: String, effects: &mut Vec<Effect>) {
    if state.prompt.history.push(&line) {
        effects.push(Effect::Remember(line.trim().to_string()));
    }
    if state.block.is_open() || opener(&line).is_some() {
        return block(state, &line);
    }
    let word = line.split_whitespace().next().unwrap_or_default();
    if matches!(word, "q" | "quit" | "exit" | ":q") && state.is_live() {
        // The line may have an exit status, so it is kept until the question is answered.
        state.prompt.open(Purpose::Command, line.trim_start_matches(':'));
        state.mode = Mode::Confirm;
        return;
    }
    send(state, if word == ":q" { "quit" } else { &line });
}

/// Takes a line of a block as it is typed; the last line sends the block.
fn block(state: &mut State, line: &str) {
    let head = if state.block.is_open() { strings::BLOCK_PROMPT } else { strings::PROMPT };
    state.console.push(Kind::Echo, format!("{head}{line}"));
    match state.block.push(0, line) {
        Some(command) => state.queue.push_block(command.text),
        None => open_prompt(state, Purpose::Command, ""),
    }
}

/// Selects the next op whose site contains `text`; an empty text repeats the last search.
fn search(state: &mut State, text: &str) {
    let Some(snapshot) = state.snapshot.clone() else { return };
    let text = text.trim();
    if !text.is_empty() {
        state.sought = text.to_string();
    }
    let wanted = expand(&state.sought);
    let from = state.chosen_op().map_or(0, |op| op + 1);
    let mut order = (from..snapshot.ops.len()).chain(0..from.min(snapshot.ops.len()));
    match order.find(|op| !wanted.is_empty() && snapshot.ops[*op].site.contains(&wanted)) {
        Some(op) => choose_op(state, op),
        None => state.console.push(Kind::Notice, format!("No site contains \"{wanted}\".")),
    }
    if state.focus == Pane::Console {
        state.focus = Pane::Program;
    }
}

/// `L3.attn` is short for `blocks.3.attn`.
fn expand(text: &str) -> String {
    match text.strip_prefix('L') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => format!("blocks.{rest}"),
        _ => text.to_string(),
    }
}
