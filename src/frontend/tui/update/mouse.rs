//! The mouse, if `set mouse on`: a click selects, a second one opens, the wheel scrolls the pane below the pointer, a line
//! between panes can be dragged, and the crosshair follows the pointer.

use std::time::Instant;

use super::{Mode, State, Toward, choose, send_quietly};
use crate::frontend::tui::layout::{Layout, MINIMUM};
use crate::frontend::tui::panes::Pane;
use crate::frontend::tui::view;
use crate::term::{Mouse, Pointer};

/// Rows that a notch of the wheel scrolls.
const NOTCH: usize = 3;

/// The rows of the panes above the console that dragging leaves, with the lines around them.
const LEAST: u16 = 9;

/// A line between panes that is being dragged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// Above the console.
    Console,
    /// At the right of the left column.
    Column,
}

pub fn mouse(state: &mut State, mouse: Mouse, now: Instant) {
    if state.snapshot.is_none() || !matches!(state.mode, Mode::Keys | Mode::Prompt) {
        return wheel_in_boxes(state, mouse);
    }
    let Some(layout) = state.layout() else { return };
    let at = (mouse.column, mouse.row);
    match mouse.what {
        Pointer::Press => match border(state, &layout, at) {
            Some(border) => state.dragged = Some(border),
            None => press(state, &layout, at, now),
        },
        Pointer::Drag => {
            if let Some(border) = state.dragged {
                drag(state, &layout, border, at);
            }
        }
        Pointer::Release => state.dragged = None,
        Pointer::Move => hover(state, &layout, at),
        Pointer::WheelUp | Pointer::WheelDown => {
            let toward = if mouse.what == Pointer::WheelUp { Toward::Up } else { Toward::Down };
            let Some(pane) = pane_at(&layout, at) else { return };
            let before = std::mem::replace(&mut state.focus, pane);
            (0..NOTCH).for_each(|_| choose::select(state, toward));
            state.focus = before;
        }
    }
}

/// The wheel scrolls the help and the last answer too.
fn wheel_in_boxes(state: &mut State, mouse: Mouse) {
    let by = match mouse.what {
        Pointer::WheelUp => -(NOTCH as isize),
        Pointer::WheelDown => NOTCH as isize,
        _ => return,
    };
    match state.mode {
        Mode::Reader => {
            let (columns, height) = view::reader::inside(state.size);
            let to = state.reader.at.saturating_add_signed(by);
            state.reader.scroll_to(to, columns, height);
        }
        Mode::Help(scroll) => {
            let page = usize::from(state.size.1).saturating_sub(4).max(1);
            let rows = view::help::rows(&state.keymap, state.glyphs).len();
            state.mode = Mode::Help(scroll.saturating_add_signed(by).min(rows.saturating_sub(page)));
        }
        _ => {}
    }
}

fn pane_at(layout: &Layout, (column, row): (u16, u16)) -> Option<Pane> {
    // A line that two boxes share belongs to the lower one, whose title is there.
    let inside = layout.areas.iter().rev().find(|(_, area)| area.contains((column, row).into()));
    inside.map(|(pane, _)| *pane)
}

fn border(state: &State, layout: &Layout, (column, row): (u16, u16)) -> Option<Border> {
    let console = layout.area(Pane::Console)?;
    if state.zoom {
        return None;
    }
    if row == console.y && (layout.boxed || layout.has_box(Pane::Console)) {
        return Some(Border::Console);
    }
    let (_, left) = layout.areas.first().filter(|_| layout.areas.len() > 3)?;
    let is_line = column == left.right() - 1 && row > left.y && row + 1 < left.bottom();
    is_line.then_some(Border::Column)
}

fn drag(state: &mut State, layout: &Layout, border: Border, (column, row): (u16, u16)) {
    match border {
        Border::Column => {
            state.column = Some(column.clamp(MINIMUM.0 / 2, state.size.0.saturating_sub(MINIMUM.0 / 2)) + 1);
        }
        Border::Console => {
            let Some(console) = layout.area(Pane::Console) else { return };
            let lines = if layout.boxed { 2 } else { 0 };
            let rows = console.bottom().saturating_sub(row.max(LEAST)).saturating_sub(lines).max(1);
            if usize::from(rows) != state.screen.console_rows {
                send_quietly(state, format!("set console-rows {rows}"));
            }
        }
    }
}

fn press(state: &mut State, layout: &Layout, at: (u16, u16), now: Instant) {
    let Some(pane) = pane_at(layout, at) else { return };
    let twice = state.pressed.is_some_and(|(place, when)| place == at && now.duration_since(when) < super::TWICE);
    state.pressed = Some((at, now));
    state.focus = pane;
    if pane == Pane::Console {
        state.typing = true;
        return state.rest();
    }
    if twice {
        return choose::open(state);
    }
    let Some(inside) = inside(layout, pane, at) else { return };
    match pane {
        Pane::Program => {
            let Some(snapshot) = state.snapshot.clone() else { return };
            let rows = state.tree.rows(&snapshot);
            let shown = state.tree.shown(&rows, layout.inside(pane).1);
            if let Some((row, _)) = shown.get(inside.1) {
                state.tree.choose_row(&rows, *row);
            }
        }
        Pane::Value => {
            if let Some(cell) = view::value::cell_at(state, layout.inside(pane), inside) {
                choose::put_crosshair(state, cell);
            }
        }
        Pane::Tokens => {
            if let Some(position) = view::tokens::position_at(state, layout.inside(pane), inside) {
                choose::focus(state, "pos", position);
            }
        }
        Pane::Heads => {
            if let Some(head) = view::multiples::head_at(state, layout.inside(pane), inside) {
                choose::focus(state, "head", head);
            }
        }
        Pane::Query(number) => {
            if let Some(row) = view::query::row_at(state, number, layout.inside(pane), inside.1) {
                state.queries[number].at.0 = row;
            }
        }
        Pane::Console => {}
    }
}

/// The crosshair of a map follows the pointer; the focus of the session does not.
fn hover(state: &mut State, layout: &Layout, at: (u16, u16)) {
    if pane_at(layout, at) == Some(Pane::Value)
        && let Some(inside) = inside(layout, Pane::Value, at)
        && let Some((row, column)) = view::value::cell_at(state, layout.inside(Pane::Value), inside)
    {
        (state.value.row, state.value.column) = (row, column);
    }
}

/// Column and row inside the box of a pane.
fn inside(layout: &Layout, pane: Pane, (column, row): (u16, u16)) -> Option<(usize, usize)> {
    let area = layout.area(pane)?;
    let line = u16::from(layout.has_box(pane));
    let (x, y) = (column.checked_sub(area.x + line)?, row.checked_sub(area.y + line)?);
    Some((x.into(), y.into()))
}
