//! The line that says what is running, how far it is, and how to stop it.

use std::time::Duration;

use super::{State, strings, text};

/// The line for the running command, if it has been running for a while; at most `columns` wide.
pub fn line(state: &State, columns: usize) -> Option<String> {
    let took = state.busy()?;
    let running = state.queue.running()?.shown();
    let far = match state.progress.as_ref().filter(|progress| progress.total > 0) {
        Some(progress) => progress.in_units(),
        None => duration(took),
    };
    let waiting: Vec<String> = state.queue.waiting().collect();
    let next = match waiting.as_slice() {
        [] => String::new(),
        [one] => format!("  Next: {one}"),
        [first, others @ ..] => format!("  Next: {first} and {} more", others.len()),
    };
    let tail = format!("  {far}  {}{next}", strings::STOPS);
    let room = columns.saturating_sub(text::width(&tail) + 2).max(8);
    Some(text::fit(
        &format!("{} {}{tail}", state.glyphs.arrow, text::fit(&running, room, state.glyphs)),
        columns,
        state.glyphs,
    ))
}

fn duration(took: Duration) -> String {
    crate::frontend::progress::duration(took)
}
