//! The tokens pane: the tokens of the focused row with their positions, coloured by a number for each.

use ratatui::style::Style;

use super::{Canvas, Pane, Role, State, text};
use crate::answer::Scale;
use crate::answer::numbers::short;
use crate::engine::messages::Shades;
use crate::frontend::tui::glyphs::density;

/// Columns between tokens.
const GAP: usize = 2;

/// The columns of the word for what colours the tokens.
const BY: usize = 14;

/// The texts in the lines of the pane's box.
pub fn titles(state: &State) -> (String, String) {
    let shades = state.snapshot.as_ref().and_then(|snapshot| snapshot.screen.shades.as_ref());
    let Some(shades) = shades else { return ("tokens".into(), String::new()) };
    let (scale, most) = scale(shades);
    let range = match (shades.values.is_empty(), scale) {
        (true, _) => String::new(),
        (_, Scale::Diverging) => format!("{}{} linear", state.glyphs.plus_minus, short(most)),
        (_, Scale::Sequential) => format!("0..{} linear", short(most)),
    };
    (format!("tokens  by {}", shades.title), range)
}

/// A token on the screen: its column and row in the pane, its number, and its word.
struct Placed {
    x: usize,
    y: usize,
    index: usize,
    word: String,
}

/// The tokens in a pane of this inside, and the word before them for what colours them.
fn placed(state: &State, (width, height): (usize, usize)) -> (String, Vec<Placed>) {
    let Some(snapshot) = &state.snapshot else { return (String::new(), Vec::new()) };
    let shades = shades(state);
    let words = snapshot.tokens.iter().enumerate().map(|(index, token)| {
        let mark = shades.map_or_else(String::new, |shades| mark(state, shades, index));
        format!("{mark}{} {}", token.pos, text::token(&token.text, state.glyphs))
    });
    let words: Vec<String> = words.collect();
    // Without a box the line itself begins with a word for what colours the tokens.
    let boxed = state.layout().is_some_and(|layout| layout.has_box(Pane::Tokens));
    let by = shades.and_then(|shades| shades.title.split_whitespace().next()).filter(|_| !boxed);
    let by = by.map_or_else(String::new, |word| format!("by {} ", text::fit(word, BY, state.glyphs)));
    let left = text::width(&by);
    let lines = broken(&words, width.saturating_sub(left + 1));
    let focus = state.position();
    let line_of_focus = lines.iter().position(|line| focus.is_some_and(|focus| line.contains(&focus))).unwrap_or(0);
    let first = (line_of_focus + 1).saturating_sub(height);
    let mut all = Vec::new();
    for (y, line) in lines.iter().skip(first).take(height).enumerate() {
        let mut x = left + 1;
        for index in line.clone() {
            let word = words[index].clone();
            let columns = text::width(&word);
            all.push(Placed { x, y, index, word });
            x += columns + GAP;
        }
    }
    (by, all)
}

fn shades(state: &State) -> Option<&Shades> {
    let shades = state.snapshot.as_ref()?.screen.shades.as_ref();
    shades.filter(|shades| !shades.values.is_empty())
}

/// The position of the token at this column and row of a pane of this inside.
pub fn position_at(state: &State, inside: (usize, usize), (x, y): (usize, usize)) -> Option<usize> {
    let on = |token: &Placed| token.y == y && (token.x..token.x + text::width(&token.word) + GAP).contains(&x);
    placed(state, inside).1.into_iter().find(on).map(|token| token.index)
}

pub fn draw(canvas: &mut Canvas) {
    let state = canvas.state;
    let Some(snapshot) = &state.snapshot else { return };
    let (focus, shades) = (state.position(), shades(state));
    let (by, words) = placed(state, (canvas.width(), canvas.height()));
    canvas.put(0, 0, &by, Role::Faint);
    for Placed { x, y, index, word } in words {
        let shade = shades.map_or(Style::new(), |shades| shade(state, shades, index));
        let style = match &snapshot.tokens[index] {
            _ if Some(index) == focus => state.theme.style(Role::Focus),
            token if token.real => state.theme.style(Role::Text).patch(shade),
            _ => state.theme.style(Role::Padding),
        };
        canvas.put_in(x, y, &word, style);
    }
}

/// The scale of the numbers, and its end.
fn scale(shades: &Shades) -> (Scale, f64) {
    let finite = || shades.values.iter().flatten().filter(|x| x.is_finite());
    let scale = if finite().any(|x| *x < 0.0) { Scale::Diverging } else { Scale::Sequential };
    (scale, finite().fold(0.0, |most: f64, x| most.max(x.abs())))
}

fn level(shades: &Shades, index: usize) -> Option<(Scale, f64)> {
    let value = shades.values.get(index).copied().flatten().filter(|x| x.is_finite())?;
    let (scale, most) = scale(shades);
    Some((scale, if most > 0.0 { value / most } else { 0.0 }))
}

/// The background of a token, if there are colours for values.
fn shade(state: &State, shades: &Shades, index: usize) -> Style {
    let Some((scale, t)) = level(shades, index).filter(|_| state.theme.colors_values()) else { return Style::new() };
    state.theme.heat_ground(scale, t)
}

/// Without colours: the sign and magnitude before the token.
fn mark(state: &State, shades: &Shades, index: usize) -> String {
    match level(shades, index) {
        Some((_, t)) if !state.theme.colors_values() => {
            let symbol = density(t);
            if symbol == ' ' { String::new() } else { format!("{}{symbol}", if t < 0.0 { '-' } else { '+' }) }
        }
        _ => String::new(),
    }
}

/// The ranges of words that fit on a line of `width`.
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
