//! The tokens pane: positions and texts of the focused row.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::paint;
use crate::frontend::tui::state::State;
use crate::frontend::tui::text;
use crate::frontend::tui::theme::Role;

/// Columns between tokens.
const GAP: usize = 2;

pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let Some(snapshot) = &state.snapshot else { return };
    let focus = state.position();
    let words: Vec<String> = snapshot
        .tokens
        .iter()
        .map(|token| format!("{} {}", token.pos, text::token(&token.text, state.glyphs)))
        .collect();
    let width = usize::from(area.width).saturating_sub(1);
    let lines = broken(&words, width);
    let line_of_focus = lines.iter().position(|line| focus.is_some_and(|focus| line.contains(&focus))).unwrap_or(0);
    let height = usize::from(area.height);
    let first = (line_of_focus + 1).saturating_sub(height);
    for (y, line) in lines.iter().skip(first).take(height).enumerate() {
        let mut x = 1;
        for index in line.clone() {
            let role = match &snapshot.tokens[index] {
                _ if Some(index) == focus => Role::Focus,
                token if token.real => Role::Text,
                _ => Role::Padding,
            };
            x = paint::put(buffer, area, x, y, &words[index], state.theme.style(role)) + GAP;
        }
    }
}

/// Ranges of words that fit on a line of `width`.
fn broken(words: &[String], width: usize) -> Vec<std::ops::Range<usize>> {
    let mut lines = Vec::new();
    let (mut start, mut used) = (0, 0);
    for (index, word) in words.iter().enumerate() {
        let columns = text::width(word) + GAP;
        if index > start && used + columns > width + GAP {
            lines.push(start..index);
            (start, used) = (index, 0);
        }
        used += columns;
    }
    if start < words.len() {
        lines.push(start..words.len());
    }
    lines
}
