//! The state as a picture. Nothing here changes anything; all drawing goes through [`paint`], which clips, so that no
//! size of the window can make it fail.

mod boxes;
mod console;
mod heat;
pub mod help;
mod keyline;
mod loading;
mod paint;
mod program;
mod status;
mod tokens;
pub mod value;
mod vector;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::layout::{Layout, Pane};
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

/// Draws the whole screen into `buffer`; gives the place of the terminal's cursor, if it is to be seen.
pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    let Some(layout) = Layout::new(area, state.focus, state.zoom) else {
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
    if let Some(area) = layout.program {
        program::draw(state, boxes::inside(area), buffer);
    }
    if let Some(area) = layout.value {
        value::draw(state, boxes::inside(area), buffer);
    }
    if let Some(area) = layout.tokens {
        tokens::draw(state, if layout.boxed { boxes::inside(area) } else { area }, buffer);
    }
    let mut cursor = None;
    if let Some(area) = layout.console {
        // A zoomed tokens pane has a box although the line of the prompt below it has none.
        let boxed = layout.boxed && area.height > 2;
        cursor = console::draw(state, if boxed { boxes::inside(area) } else { area }, buffer);
    }
    if let Mode::Help(scroll) = state.mode {
        help::draw(state, scroll, area, buffer);
        cursor = None;
    }
    cursor
}

fn draw_boxes(state: &State, layout: &Layout, buffer: &mut Buffer) {
    let mut all = Vec::new();
    for pane in Pane::ALL {
        let Some(area) = layout.area(pane) else { continue };
        let always = matches!(pane, Pane::Program | Pane::Value);
        if !always && (!layout.boxed || area.height < 3) {
            continue;
        }
        let (title, foot) = match pane {
            Pane::Value => value::titles(state),
            _ => (pane.name().to_string(), String::new()),
        };
        all.push(Boxed { area, title, foot, focused: state.focus == pane });
    }
    boxes::draw(state, &all, buffer);
}
