//! The status line: the model, the run, and the focus.

use super::{Canvas, Role, State, text};
use crate::answer::text::quoted;
use crate::engine::messages::Snapshot;
use crate::model::site_name;

/// A part of the line and its rank: if there is no room, parts with the highest rank are left out first, those of rank
/// 0 never.
type Part = (u8, String);

pub fn draw(canvas: &mut Canvas) {
    let state = canvas.state;
    canvas.row(0, Role::Status);
    let (right, role) = right_part(state);
    let room = canvas.width().saturating_sub(text::width(&right) + 3);
    let parts = match &state.snapshot {
        Some(snapshot) => parts(state, snapshot),
        None => vec![(0, "llmdbg".to_string()), (1, format!("loading {}", state.model))],
    };
    let line = joined(parts, room, &format!(" {} ", state.glyphs.dot));
    canvas.put(1, 0, &text::fit(&line, room, state.glyphs), Role::Status);
    if !right.is_empty() {
        canvas.put_right(0, &right, 1, role);
    }
}

fn parts(state: &State, snapshot: &Snapshot) -> Vec<Part> {
    let mut parts = vec![(0, snapshot.model.clone()), (6, snapshot.dimensions.clone()), (5, snapshot.device.clone())];
    if !snapshot.live {
        parts.push((1, "no run".to_string()));
        return parts;
    }
    if !snapshot.weights.is_empty() {
        parts.push((5, format!("weights {}", snapshot.weights)));
    }
    parts.push((4, format!("run {}", snapshot.branch)));
    parts.push((3, format!("pass {}", snapshot.pass)));
    let place = match snapshot.ops.get(snapshot.cursor) {
        Some(op) => snapshot.modules.get(op.module).map(|module| module.path.clone()).filter(|path| !path.is_empty()),
        None => Some("end of pass".to_string()),
    };
    parts.extend(place.map(|place| (1, place)));
    if let Some(token) = state.position().and_then(|position| snapshot.tokens.get(position)) {
        parts.push((2, format!("pos {} {}", token.pos, quoted(&token.text))));
    }
    if snapshot.heads > 1 {
        parts.push((2, format!("head {}", snapshot.focus.head)));
    }
    if snapshot.rows > 1 {
        parts.push((2, format!("row {}", snapshot.focus.row)));
    }
    parts
}

/// The parts that fit in `room`, without a mark between model and dimensions.
fn joined(mut parts: Vec<Part>, room: usize, mark: &str) -> String {
    loop {
        let mut line = String::new();
        for (index, (rank, part)) in parts.iter().enumerate() {
            if index > 0 {
                line.push_str(if *rank == 6 { "  " } else { mark });
            }
            line.push_str(part);
        }
        let expendable = parts.iter().enumerate().max_by_key(|(_, (rank, _))| *rank).filter(|(_, (rank, _))| *rank > 1);
        match expendable.map(|(index, _)| index) {
            Some(index) if text::width(&line) > room => drop(parts.remove(index)),
            _ => return line,
        }
    }
}

/// The running command, or else the number of breakpoints and edits.
fn right_part(state: &State) -> (String, Role) {
    let Some(snapshot) = &state.snapshot else { return (String::new(), Role::Status) };
    if let Some(running) = state.queue.running() {
        return match &state.progress {
            Some(progress) if progress.total > 0 => {
                let what = site_name::short(&progress.what);
                (format!(" {what} {}/{} ", progress.done, progress.total), Role::Running)
            }
            _ if running.quiet => (String::new(), Role::Status),
            _ => (format!(" {} ", running.shown().split_whitespace().next().unwrap_or_default()), Role::Running),
        };
    }
    let count = |number: usize, word: &str| match number {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{number} {word}s")),
    };
    let breakpoints = count(snapshot.breakpoints, "breakpoint").map(|said| format!("{} {said}", state.glyphs.bullet));
    let edits = count(snapshot.edits, "edit");
    (breakpoints.into_iter().chain(edits).collect::<Vec<_>>().join("  "), Role::Status)
}
