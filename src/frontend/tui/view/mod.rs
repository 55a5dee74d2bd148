//! Drawing the state. Nothing here changes anything, and all drawing goes through [`paint`], which clips, so that it
//! works in a window of any size.

mod boxes;
mod busy;
mod console;
pub mod heat;
pub mod help;
mod keyline;
mod loading;
pub mod multiples;
mod paint;
mod palette;
mod pixels;
mod program;
pub mod query;
pub mod reader;
mod status;
pub mod tokens;
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
use crate::term::graphics::Picture;

/// The letters of rows, from the uppermost.
pub const JUMPS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Draws the whole screen; returns the pictures that can be shown over it.
pub fn view(state: &State, frame: &mut Frame) -> Vec<Picture> {
    let (area, mut pictures) = (frame.area(), Vec::new());
    if let Some(cursor) = draw_with(state, area, frame.buffer_mut(), &mut pictures) {
        frame.set_cursor_position(cursor);
    }
    pictures
}

/// Draws the whole screen into `buffer`; returns the place of the terminal's cursor, if it is visible.
pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    draw_with(state, area, buffer, &mut Vec::new())
}

/// Draws the whole screen, and collects the pictures of which nothing is covered.
pub fn draw_with(state: &State, area: Rect, buffer: &mut Buffer, pictures: &mut Vec<Picture>) -> Option<Position> {
    let canvas = &mut Canvas { state, area, buffer, pictures };
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
    let below = (!canvas.pictures.is_empty()).then(|| canvas.buffer.clone());
    if state.mode == Mode::Jump && matches!(state.focus, Pane::Program | Pane::Query(_)) {
        draw_jumps(canvas, &layout);
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
        Mode::Reader => cursor = reader::draw(canvas),
        Mode::Palette => cursor = palette::draw(canvas),
        Mode::Prefix(lead) => which::draw(canvas, lead),
        _ => {}
    }
    if let Some(below) = below {
        let (pictures, buffer) = (&mut *canvas.pictures, &*canvas.buffer);
        pictures.retain(|picture| picture.area.positions().all(|at| buffer[at] == below[at]));
    }
    cursor
}

/// Draws the letters of the rows of the focused pane.
fn draw_jumps(canvas: &mut Canvas, layout: &Layout) {
    let pane = canvas.state.focus;
    let Some(area) = layout.area(pane) else { return };
    let inside = &mut canvas.at(if layout.has_box(pane) { boxes::inside(area) } else { area });
    for (y, (at, _)) in JUMPS.char_indices().enumerate().take(inside.height()) {
        let is_row = match pane {
            Pane::Query(number) => query::row_at(inside.state, number, layout.inside(pane), y).is_some(),
            _ => true,
        };
        if is_row {
            inside.put(0, y, &JUMPS[at..=at], Role::Focus);
        }
    }
}

fn draw_boxes(canvas: &mut Canvas, layout: &Layout) {
    let state = canvas.state;
    let boxed = |(pane, area): &(Pane, Rect)| {
        // The lower line of a box may be the upper line of another one: captions are inside.
        let (title, right) = match *pane {
            Pane::Program => (program::title(state), String::new()),
            Pane::Value => (value::titles(state).0, String::new()),
            Pane::Heads => (multiples::titles(state).0, String::new()),
            Pane::Tokens => tokens::titles(state),
            Pane::Query(number) => (query::titles(state, number).0, String::new()),
            Pane::Console => (state.panes.name(*pane).to_string(), String::new()),
        };
        Boxed { area: *area, title, right, foot: String::new(), focused: state.focus == *pane }
    };
    let all: Vec<Boxed> = layout.areas.iter().filter(|(pane, _)| layout.has_box(*pane)).map(boxed).collect();
    boxes::draw(canvas, &all);
}
