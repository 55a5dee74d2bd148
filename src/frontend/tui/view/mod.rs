//! Drawing the state. Nothing here changes anything, and all drawing goes through [`paint`], which clips, so that it
//! works in a window of any size.

mod boxes;
mod console;
pub mod heat;
pub mod help;
mod keyline;
mod loading;
pub mod multiples;
mod paint;
mod palette;
mod program;
mod query;
mod status;
mod tokens;
mod tour;
pub mod value;
mod vector;
mod which;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::layout::Layout;
use super::panes::Pane;
use super::state::{Mode, State};
use super::strings;
use super::theme::Role;
use boxes::Boxed;

/// Draws the whole screen.
pub fn view(state: &State, frame: &mut Frame) {
    let area = frame.area();
    if let Some(cursor) = draw(state, area, frame.buffer_mut()) {
        frame.set_cursor_position(cursor);
    }
}

/// Draws the whole screen into `buffer`; returns the place of the terminal's cursor, if it is visible.
pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    let Some(layout) = state.layout() else {
        paint::put(buffer, area, 0, 0, strings::TOO_SMALL, state.theme.style(Role::Text));
        return None;
    };
    status::draw(state, layout.status, buffer);
    keyline::draw(state, layout.keys, buffer);
    if state.snapshot.is_none() {
        loading::draw(state, area, buffer);
        return None;
    }
    draw_boxes(state, &layout, buffer);
    let mut cursor = None;
    for (pane, area) in &layout.areas {
        let inside = if layout.has_box(*pane) { boxes::inside(*area) } else { *area };
        match *pane {
            Pane::Program => program::draw(state, inside, buffer),
            Pane::Value => value::draw(state, inside, buffer),
            Pane::Heads => multiples::draw(state, inside, buffer),
            Pane::Tokens => tokens::draw(state, inside, buffer),
            Pane::Console => cursor = console::draw(state, inside, buffer),
            Pane::Query(number) => query::draw(state, number, inside, buffer),
        }
    }
    let rows = state.tour_rows();
    if rows > 0 {
        let y = area.bottom().saturating_sub(rows);
        tour::draw(state, Rect { y, height: rows, ..area }.intersection(area), buffer);
    }
    if let Mode::Help(scroll) = state.mode {
        help::draw(state, scroll, area, buffer);
        cursor = None;
    }
    match state.mode {
        Mode::Palette => cursor = palette::draw(state, area, buffer),
        Mode::Prefix(lead) => which::draw(state, lead, area, buffer),
        _ => {}
    }
    cursor
}

fn draw_boxes(state: &State, layout: &Layout, buffer: &mut Buffer) {
    let mut all = Vec::new();
    for (pane, area) in &layout.areas {
        if !layout.has_box(*pane) {
            continue;
        }
        let (title, foot) = match *pane {
            Pane::Value => value::titles(state),
            Pane::Heads => multiples::titles(state),
            Pane::Tokens => tokens::titles(state),
            Pane::Query(number) => query::titles(state, number),
            _ => (state.panes.name(*pane).to_string(), String::new()),
        };
        all.push(Boxed { area: *area, title, foot, focused: state.focus == *pane });
    }
    boxes::draw(state, &all, buffer);
}
