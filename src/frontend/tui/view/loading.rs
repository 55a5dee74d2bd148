//! The screen while the model is being loaded.

use super::{Canvas, Role, strings, text};

/// Widest bar.
const BAR: usize = 60;

pub fn draw(canvas: &mut Canvas) {
    let state = canvas.state;
    let bar = BAR.min(canvas.width().saturating_sub(4));
    let x = (canvas.width() - bar) / 2;
    let y = canvas.height() / 2 - 2;
    let mut line = |row: usize, words: &str, role: Role| {
        canvas.put(x, y + row, &text::fit(words, bar, state.glyphs), role);
    };
    line(0, &format!("loading {}", state.model), Role::Title);
    let (share, said, what) = match &state.progress {
        Some(progress) => (progress.share(), progress.in_bytes(), progress.what.as_str()),
        None => (0.0, String::new(), ""),
    };
    let filled = (share * bar as f64).round() as usize;
    let [full, empty] = state.glyphs.progress;
    let picture: String = full.repeat(filled) + &empty.repeat(bar - filled);
    line(1, &picture, Role::Positive);
    line(2, &format!("{:3.0} %  {said}", share * 100.0), Role::Text);
    line(3, what, Role::Faint);
    // Commands typed ahead wait for the model; there is no console yet to show them.
    canvas.put(x, y + 5, strings::CANCEL_LOADING, Role::Faint);
}
