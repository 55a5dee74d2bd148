//! Events of the engine.

use std::sync::Arc;
use std::time::Instant;

use super::{Dirty, Effect, Kind, Mode, Pane, State};
use crate::answer::{Answer, text};
use crate::engine::messages::{Answered, Event, PanelView, Snapshot};
use crate::frontend::progress::Progress;

pub fn event(state: &mut State, event: Event, now: Instant, effects: &mut Vec<Effect>) {
    match event {
        Event::Progress { what, done, total } => {
            state.progress = Some(Progress::after(state.progress.as_ref(), &what, done, total, now));
            state.dirty = state.dirty.max(Dirty::Slow);
            return;
        }
        Event::Ready(snapshot) => {
            state.progress = None;
            state.console.extend(Kind::Notice, snapshot.device_reason.lines());
            state.console.extend(Kind::Error, &snapshot.notices);
            begin(state, snapshot.screen.keys_first);
            moved(state, snapshot);
        }
        Event::LoadFailed(message) => effects.push(Effect::Leave { status: 4, error: message }),
        Event::Moved(snapshot) => moved(state, snapshot),
        Event::Answer(Answered { line, answer, printed, in_script: true, .. }) => {
            state.echo(&line);
            show_answer(state, &line, &answer, &printed, false);
        }
        Event::Answer(Answered { id, line, answer, printed, .. }) => {
            state.progress = None;
            let pending = state.queue.finish(id);
            let quiet = pending.as_ref().is_some_and(|pending| pending.quiet);
            // For an empty line, only the engine knows the command that it repeats.
            if pending.is_some_and(|pending| pending.shown().is_empty()) && !line.trim().is_empty() {
                state.echo(&line);
            }
            show_answer(state, &line, &answer, &printed, quiet);
        }
        Event::Panel { request, panel } => match request.view {
            PanelView::Heads => state.heads.receive(panel),
            _ => state.value.receive(panel),
        },
        Event::Queried { line, answer } => {
            // The request of a pane may have reported progress.
            if state.queue.running().is_none() {
                state.progress = None;
            }
            state.queries.iter_mut().for_each(|query| query.receive(&line, &answer));
            state.heads.grid.receive(&line, &answer);
        }
        Event::Checked { line, fault } => state.prompt.checked(&line, fault),
        Event::Completions { start, candidates } => {
            let listed = state.prompt.completed(start, &candidates);
            if !listed.is_empty() {
                let columns = state.layout().map_or(80, |layout| layout.inside(Pane::Console).0);
                state.console.extend(Kind::Notice, in_columns(&listed, columns));
            }
        }
        Event::Quit(status) => effects.push(Effect::leave(status)),
    }
    state.dirty = Dirty::Now;
}

/// Gives the keyboard to the keys at the start, if the settings ask for it and nothing has been typed.
fn begin(state: &mut State, keys_first: bool) {
    if keys_first && state.mode == Mode::Prompt && state.prompt.input.value().is_empty() {
        state.typing = false;
        state.rest();
    }
}

/// Takes a new state of the session. The selection follows the cursor if that has moved, and otherwise stays.
fn moved(state: &mut State, snapshot: Arc<Snapshot>) {
    let place = |at: &Snapshot| (at.cursor, at.pass, at.live, at.branch.clone());
    let still = state.snapshot.as_ref().is_some_and(|old| place(old) == place(&snapshot));
    state.snapshot = Some(Arc::clone(&snapshot));
    state.follow(&snapshot.screen);
    state.invalidate();
    if !still {
        state.tree.follow(&snapshot);
    }
}

fn show_answer(state: &mut State, line: &str, answer: &Answer, printed: &[String], quiet: bool) {
    let inside = state.layout().map(|layout| layout.inside(Pane::Console));
    if let Answer::Stop(_) = answer {
        state.last_stop = text::lines(answer, inside.map(|inside| inside.0));
    }
    state.console.extend(Kind::Output, printed.iter().flat_map(|text| text.lines()).map(text::visible));
    match answer {
        Answer::Error(_) => state.console.answer(Kind::Error, answer),
        _ if quiet => {}
        _ => state.console.answer(Kind::Output, answer),
    }
    if !quiet {
        state.reader.take(line, answer, printed);
    }
    if let Some((columns, height)) = inside {
        state.console.open_at_start(columns, height);
    }
}

/// `words` in columns of equal width.
fn in_columns(words: &[String], columns: usize) -> Vec<String> {
    let width = words.iter().map(|word| word.chars().count()).max().unwrap_or(0) + 2;
    let per_line = (columns / width.max(1)).max(1);
    let row = |words: &[String]| {
        let row: String = words.iter().map(|word| format!("{word:width$}")).collect();
        row.trim_end().to_string()
    };
    words.chunks(per_line).map(row).collect()
}
