//! The screen while the model is being loaded.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::paint;
use crate::frontend::tui::state::State;
use crate::frontend::tui::strings;
use crate::frontend::tui::text;
use crate::frontend::tui::theme::Role;

/// Widest bar.
const BAR: usize = 60;

pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let width = usize::from(area.width);
    let bar = BAR.min(width.saturating_sub(4));
    let x = (width - bar) / 2;
    let y = usize::from(area.height) / 2 - 2;
    let style = state.theme.style(Role::Text);
    let heading = format!("loading {}", state.model);
    paint::put(buffer, area, x, y, &text::fit(&heading, bar, state.glyphs), state.theme.style(Role::Title));
    let (share, said, what) = match &state.progress {
        Some(progress) => (progress.share(), progress.in_bytes(), progress.what.as_str()),
        None => (0.0, String::new(), ""),
    };
    let filled = (share * bar as f64).round() as usize;
    let percent = format!("{:3.0} %", share * 100.0);
    let [full, empty] = state.glyphs.progress;
    let picture: String = full.repeat(filled) + &empty.repeat(bar - filled);
    paint::put(buffer, area, x, y + 1, &picture, state.theme.style(Role::Positive));
    paint::put(buffer, area, x, y + 2, &text::fit(&format!("{percent}  {said}"), bar, state.glyphs), style);
    paint::put(buffer, area, x, y + 3, &text::fit(what, bar, state.glyphs), state.theme.style(Role::Faint));
    // Commands typed ahead wait for the model; there is no console yet to show them.
    paint::put(buffer, area, x, y + 5, strings::CANCEL_LOADING, state.theme.style(Role::Faint));
}
