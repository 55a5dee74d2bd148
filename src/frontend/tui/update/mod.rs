//! The reaction to messages: the pure core of the interface.

mod choose;
mod engine;
mod keys;
pub mod mouse;
mod palette;
mod prompt;
mod reader;

use std::time::{Duration, Instant};

use super::actions::{Step, Toward};
use super::console::Kind;
use super::message::{Effect, Msg};
use super::panes::Pane;
use super::prompt::Purpose;
use super::queue::Job;
use super::state::{Dirty, HELD, Mode, QUIET, State};
use super::strings;
use crate::engine::messages::Source;
use crate::term::graphics::query::Answer;
use crate::term::signals::{HANGUP_STATUS, TERMINATE_STATUS};
use crate::term::{Chord, Input, Key, Signal};

/// Exit status when loading is cancelled: 128 and the number of SIGINT.
const CANCELLED: i32 = 130;

/// Opens and closes the last answer, whatever has the keyboard.
const READ: Chord = Chord::plain(Key::F(3));

/// Two presses of Ctrl-C within this time show how to quit.
const TWICE: Duration = Duration::from_secs(1);

/// Applies a message to the state; returns the effects.
pub fn update(state: &mut State, msg: Msg) -> Vec<Effect> {
    let mut effects = Vec::new();
    state.now = msg.time().unwrap_or(state.now);
    match msg {
        Msg::Engine(event, now) => engine::event(state, *event, now, &mut effects),
        Msg::EngineGone => effects.push(Effect::Leave { status: 4, error: strings::ENGINE_GONE.to_string() }),
        Msg::Input(input, now) => take_input(state, input, now, &mut effects),
        Msg::Signal(signal, now) => take_signal(state, signal, now, &mut effects),
        Msg::Tick(now) => {
            if state.last_key.is_none_or(|last| now.saturating_duration_since(last) >= QUIET) {
                state.held = false;
            }
            keys::flush(state, now, &mut effects);
            if state.busy().is_some() {
                state.busy_drawn = Some(now);
                state.dirty = state.dirty.max(Dirty::Slow);
            }
        }
    }
    if state.snapshot.is_some() {
        effects.extend(state.pixels.follow(&state.screen.pixels, state.theme.colors_values(), state.now));
        let asks = effects.iter().any(|effect| matches!(effect, Effect::Ask(_)));
        effects.extend(state.background.ask(&state.screen.theme, state.theme.has_colours(), asks));
    }
    if let Some(complaint) = state.pixels.decide(state.now) {
        state.console.push(Kind::Notice, complaint);
        state.dirty = Dirty::Now;
    }
    if state.mouse != state.screen.mouse {
        state.mouse = state.screen.mouse;
        effects.push(Effect::Mouse(state.mouse));
    }
    effects.extend(state.settle());
    if let Some((columns, 1..)) = state.layout().map(|layout| layout.inside(Pane::Console)) {
        state.console.lay_out(columns);
    }
    effects
}

fn take_input(state: &mut State, input: Input, now: Instant, effects: &mut Vec<Effect>) {
    state.dirty = Dirty::Now;
    match input {
        Input::Resize(columns, rows) => {
            state.size = (columns, rows);
            state.keep_focus_in_sight();
            // The letters of the terminal may have another size now.
            effects.extend(state.pixels.ask_again(now));
        }
        Input::Paste(text) => {
            if state.mode != Mode::Prompt {
                open_prompt(state, Purpose::Command, "");
            }
            prompt::paste(state, &text, effects);
        }
        Input::Mouse(what) => mouse::mouse(state, what, now),
        Input::Answer(Answer::Background { light }) => state.on_background(light),
        Input::Answer(answer) => state.pixels.take(&answer, state.size, now),
        Input::Key(chord) => {
            state.held = state.last_key.is_some_and(|last| now.saturating_duration_since(last) < HELD);
            state.last_key = Some(now);
            take_key(state, chord, now, effects);
        }
    }
}

fn take_key(state: &mut State, chord: Chord, now: Instant, effects: &mut Vec<Effect>) {
    if let (Some(tour), Key::F(number @ (1 | 2))) = (&mut state.tour, chord.key) {
        return tour.skip(number == 2);
    }
    match chord {
        _ if chord == Chord::ctrl('l') => effects.push(Effect::Repaint),
        _ if chord == Chord::ctrl('z') => effects.push(Effect::Suspend),
        _ if chord == READ => reader::toggle(state),
        _ if chord == Chord::alt('x') => palette::open(state),
        _ => match state.mode {
            Mode::Prompt => prompt::key(state, chord, now, effects),
            Mode::Confirm => confirm(state, chord),
            Mode::Keys => keys::key(state, chord, now, effects),
            Mode::Help(scroll) => keys::help_key(state, chord, scroll),
            Mode::Jump => keys::jump(state, chord),
            Mode::Reader => reader::key(state, chord, effects),
            Mode::Palette => palette::key(state, chord, now, effects),
            Mode::Prefix(lead) => keys::second_key(state, lead, chord, now, effects),
        },
    }
}

fn take_signal(state: &mut State, signal: Signal, now: Instant, effects: &mut Vec<Effect>) {
    match signal {
        Signal::Interrupt => interrupt(state, now, effects),
        Signal::Terminate => effects.push(Effect::leave(TERMINATE_STATUS)),
        Signal::Hangup => effects.push(Effect::leave(HANGUP_STATUS)),
        Signal::Suspend => effects.push(Effect::Suspend),
        Signal::Continue => effects.push(Effect::Retake),
    }
}

/// Ctrl-C: interrupts the running command and drops what was typed ahead; cancels loading; never quits a session.
fn interrupt(state: &mut State, now: Instant, effects: &mut Vec<Effect>) {
    state.dirty = Dirty::Now;
    let again = state.interrupted.is_some_and(|last| now.saturating_duration_since(last) < TWICE);
    state.interrupted = Some(now);
    if state.snapshot.is_none() {
        return cancel_loading(effects);
    }
    let running = state.queue.running().is_some();
    if running {
        state.queue.drop_waiting();
        effects.push(Effect::Interrupt);
    }
    let said = if running { strings::INTERRUPTING } else { strings::NOTHING_RUNS };
    state.console.push(Kind::Notice, if again { strings::HOW_TO_QUIT } else { said });
}

fn cancel_loading(effects: &mut Vec<Effect>) {
    effects.push(Effect::Interrupt);
    effects.push(Effect::leave(CANCELLED));
}

/// Quits, after a question if a run is live. The engine answers with the exit status.
fn quit(state: &mut State, effects: &mut Vec<Effect>) {
    match (&state.snapshot, state.is_live()) {
        (None, _) => cancel_loading(effects),
        (Some(_), true) => {
            state.mode = Mode::Confirm;
            state.prompt.open(Purpose::Command, "");
        }
        (Some(_), false) => send(state, "quit"),
    }
}

fn confirm(state: &mut State, chord: Chord) {
    let line = state.prompt.input.value().to_string();
    state.prompt.input.reset();
    state.rest();
    if chord == Chord::char('y') || chord == Chord::char('Y') {
        send(state, if line.is_empty() { "quit" } else { &line });
    }
}

/// Queues a command as if it were typed.
fn send(state: &mut State, line: &str) {
    enqueue(state, line, false);
}

/// Queues a command whose success is visible elsewhere on the screen.
fn send_quietly(state: &mut State, line: String) {
    enqueue(state, &line, true);
}

fn enqueue(state: &mut State, line: &str, quiet: bool) {
    // The tour continues if it waits for this command.
    if let Some(tour) = &mut state.tour {
        tour.note(line);
    }
    state.queue.push(Job::Line(line.to_string(), Source::Prompt), quiet);
}

fn open_prompt(state: &mut State, purpose: Purpose, text: &str) {
    state.mode = Mode::Prompt;
    state.prompt.open(purpose, text);
    // The prompt is below the console. A zoomed pane leaves a line for it, but the tokens do not.
    if state.zoom && state.focus == Pane::Tokens {
        state.zoom = false;
    }
}
