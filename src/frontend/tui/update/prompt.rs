//! Keys while the prompt is open.

use std::time::Instant;

use super::choose::scroll_console;
use super::{Effect, Kind, Mode, Purpose, State, Toward, interrupt, open_prompt, quit, send, strings};
use crate::engine::messages::Request;
use crate::engine::script::opener;
use crate::frontend::tui::prompt::Outcome;
use crate::term::{Chord, Key};

pub fn key(state: &mut State, chord: Chord, now: Instant, effects: &mut Vec<Effect>) {
    let empty = state.prompt.input.value().is_empty();
    match chord {
        _ if chord == Chord::ctrl('d') && empty => {
            state.rest();
            return quit(state, effects);
        }
        _ if chord == Chord::char('q') && empty && state.snapshot.is_none() => return quit(state, effects),
        _ if chord == Chord::ctrl('c') && (empty || state.queue.running().is_some()) => {
            interrupt(state, now, effects);
            if state.typing {
                return;
            }
        }
        // The key that opens the prompt from key mode is not a part of a command.
        _ if empty && at_command(state) && chord == Chord::char(':') => return,
        _ if empty && at_command(state) && chord == Chord::char('?') => return state.mode = Mode::Help(0),
        // As in a pager, while there is more to read.
        _ if empty && at_command(state) && chord == Chord::char(' ') && state.console.back > 0 => {
            return scroll_console(state, Toward::PageDown);
        }
        // An empty prompt that has the keyboard for good is not left by deleting.
        Chord { key: Key::Backspace, .. } if empty && state.typing && at_command(state) => return,
        Chord { key: Key::PageUp, .. } => return scroll_console(state, Toward::PageUp),
        Chord { key: Key::PageDown, .. } => return scroll_console(state, Toward::PageDown),
        _ => {}
    }
    let purpose = state.prompt.purpose.clone();
    match state.prompt.key(chord) {
        Outcome::Edited | Outcome::Unused => {}
        Outcome::Left if purpose != Purpose::Command => state.rest(),
        Outcome::Left if state.block.abandon().is_some() => {
            state.console.push(Kind::Notice, strings::NO_BLOCK);
            state.rest();
        }
        Outcome::Left => {
            state.typing = false;
            state.rest();
        }
        Outcome::Complete(line, cursor) => effects.push(Effect::Request(Request::Complete { line, cursor })),
        Outcome::Accepted(line) => {
            state.rest();
            run(state, line, effects);
        }
    }
}

/// Whether the prompt waits for a command, rather than for a line of a block or something to search for.
fn at_command(state: &State) -> bool {
    state.prompt.purpose == Purpose::Command && !state.block.is_open()
}

/// Pastes a text. Each whole line of several runs, as if it were typed; the prompt may be part of what was copied.
pub fn paste(state: &mut State, text: &str, effects: &mut Vec<Effect>) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    let rest = lines.pop().unwrap_or_default();
    if lines.is_empty() || state.prompt.purpose != Purpose::Command {
        return state.prompt.paste(&text);
    }
    for line in lines {
        state.prompt.paste(bare(line));
        let line = state.prompt.input.value_and_reset();
        if !line.trim().is_empty() || state.block.is_open() {
            state.rest();
            run(state, line, effects);
        }
        if state.mode == Mode::Confirm {
            return;
        }
    }
    if state.mode != Mode::Prompt && !rest.is_empty() {
        open_prompt(state, Purpose::Command, "");
    }
    state.prompt.paste(bare(rest));
}

/// A line without the prompt that it was copied with.
fn bare(line: &str) -> &str {
    let line = line.strip_prefix(strings::PROMPT).unwrap_or(line);
    line.strip_prefix(strings::BLOCK_PROMPT).unwrap_or(line)
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
