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

use boxes::Boxed;
use paint::Canvas;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::layout::Layout;
use super::panes::Pane;
use super::state::{Mode, State};
use super::theme::Role;
use super::{strings, text};

pub fn view(state: &State, frame: &mut Frame) {
    let area = frame.area();
    if let Some(cursor) = draw(state, area, frame.buffer_mut()) {
        frame.set_cursor_position(cursor);
    }
}

/// Draws the whole screen into `buffer`; returns the place of the terminal's cursor, if it is visible.
pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    let canvas = &mut Canvas { state, area, buffer };
    let Some(layout) = state.layout() else {
        canvas.put(0, 0, strings::TOO_SMALL, Role::Text);
        return None;
    };
    status::draw(&mut canvas.at(layout.status));
    keyline::draw(&mut canvas.at(layout.keys));
    if state.snapshot.is_none() {
        loading::draw(canvas);
        return None;
    }
    draw_boxes(canvas, &layout);
    let mut cursor = None;
    for (pane, area) in &layout.areas {
        let inside = &mut canvas.at(if layout.has_box(*pane) { boxes::inside(*area) } else { *area });
        match *pane {
            Pane::Program => program::draw(inside),
            Pane::Value => value::draw(inside),
            Pane::Heads => multiples::draw(inside),
            Pane::Tokens => tokens::draw(inside),
            Pane::Console => cursor = console::draw(inside),
            Pane::Query(number) => query::draw(inside, number),
        }
    }
    let rows = state.tour_rows();
    if rows > 0 {
        let y = area.bottom().saturating_sub(rows);
        tour::draw(&mut canvas.at(Rect { y, height: rows, ..area }.intersection(area)));
    }
    match state.mode {
        Mode::Help(scroll) => {
            help::draw(canvas, scroll);
            cursor = None;
        }
        Mode::Palette => cursor = palette::draw(canvas),
        Mode::Prefix(lead) => which::draw(canvas, lead),
        _ => {}
    }
    cursor
}

fn draw_boxes(canvas: &mut Canvas, layout: &Layout) {
    let state = canvas.state;
    let boxed = |(pane, area): &(Pane, Rect)| {
        let (title, foot) = match *pane {
            Pane::Value => value::titles(state),
            Pane::Heads => multiples::titles(state),
            Pane::Tokens => tokens::titles(state),
            Pane::Query(number) => query::titles(state, number),
            _ => (state.panes.name(*pane).to_string(), String::new()),
        };
        Boxed { area: *area, title, foot, focused: state.focus == *pane }
    };
    let all: Vec<Boxed> = layout.areas.iter().filter(|(pane, _)| layout.has_box(*pane)).map(boxed).collect();
    boxes::draw(canvas, &all);
}
