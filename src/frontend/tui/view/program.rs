//! The program pane: the module tree with its marks.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::paint;
use crate::engine::messages::{OpFlags, Snapshot};
use crate::frontend::tui::state::State;
use crate::frontend::tui::text;
use crate::frontend::tui::theme::Role;
use crate::frontend::tui::tree::{Node, Row};

/// Columns of the breakpoint mark and the arrow.
const MARKS: usize = 4;

/// Columns of the flags at the right edge.
const FLAGS: usize = 2;

/// The width from which shapes are shown.
const SHAPES_FROM: usize = 30;

pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let Some(snapshot) = &state.snapshot else { return };
    let rows = state.tree.rows(snapshot);
    let chosen = state.tree.chosen_row(snapshot, &rows);
    for (y, (index, row)) in rows.iter().enumerate().skip(state.tree.scroll).take(area.height.into()).enumerate() {
        draw_row(state, snapshot, row, index == chosen, area, y, buffer);
    }
}

fn draw_row(state: &State, snapshot: &Snapshot, row: &Row, chosen: bool, area: Rect, y: usize, buffer: &mut Buffer) {
    let selection = state.theme.style(Role::Selection);
    // The bar of the selection has one style from edge to edge, because every move repaints it.
    let style = |role: Role| if chosen { selection } else { state.theme.style(role) };
    if chosen {
        paint::row(buffer, area, y, selection);
    }
    let flags = flags_of(snapshot, row);
    if let Some(mark) = flags.breakpoint {
        let word = format!("{}{}", if mark.hit { 'B' } else { 'b' }, if mark.enabled { '+' } else { '-' });
        let role = if mark.enabled { Role::Breakpoint } else { Role::BreakpointDisabled };
        paint::put(buffer, area, 0, y, &word, style(role));
    }
    if is_at_cursor(snapshot, row) {
        paint::put(buffer, area, 2, y, state.glyphs.arrow, style(Role::Arrow));
    }
    let (label, shape, role) = words(state, snapshot, row, &flags);
    let width = usize::from(area.width);
    let mut right = width.saturating_sub(FLAGS + 1);
    if width >= SHAPES_FROM && !shape.is_empty() {
        let start = right.saturating_sub(text::width(&shape));
        paint::put(buffer, area, start, y, &shape, style(Role::Shape));
        right = start.saturating_sub(1);
    }
    let x = MARKS + row.depth * 2;
    let label = text::fit(&label, right.saturating_sub(x), state.glyphs);
    paint::put(buffer, area, x, y, &label, style(role));
    draw_flags(state, &flags, &style, area, y, buffer);
}

fn draw_flags(
    state: &State,
    flags: &OpFlags,
    style: &impl Fn(Role) -> Style,
    area: Rect,
    y: usize,
    buffer: &mut Buffer,
) {
    let x = usize::from(area.width).saturating_sub(FLAGS);
    if flags.nonfinite {
        paint::put(buffer, area, x, y, "!", style(Role::Nonfinite));
    }
    let (mark, role) = match flags {
        OpFlags { edited: true, .. } => ("E", Role::Edited),
        OpFlags { affected: true, .. } => ("~", Role::Affected),
        OpFlags { computed: true, .. } => (state.glyphs.computed, Role::Computed),
        _ => return,
    };
    paint::put(buffer, area, x + 1, y, mark, style(role));
}

/// Label, shape and role of a row.
fn words(state: &State, snapshot: &Snapshot, row: &Row, flags: &OpFlags) -> (String, String, Role) {
    match row.node {
        Node::End => ("  end of pass".to_string(), String::new(), Role::Text),
        Node::Module(module) => {
            let fold = if row.folded { state.glyphs.folded } else { state.glyphs.unfolded };
            let line = snapshot.modules.get(module);
            // A block is shown by its path, because its name is only a number.
            let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
            let label = line.map_or("", |line| if is_number(&line.label) { &line.path } else { &line.label });
            (format!("{fold} {label}"), String::new(), Role::Module)
        }
        Node::Op(op) => {
            let (label, shape) = snapshot.ops.get(op).map_or(("", ""), |op| (&op.label, &op.shape));
            let role = if flags.computed || !snapshot.live { Role::Text } else { Role::Pending };
            (format!("  {label}"), shape.to_string(), role)
        }
    }
}

fn is_at_cursor(snapshot: &Snapshot, row: &Row) -> bool {
    let at = |op: usize| snapshot.live && op == snapshot.cursor;
    match row.node {
        Node::Op(op) => at(op),
        Node::End => true,
        Node::Module(module) => {
            let inside = |line: &crate::engine::messages::ModuleLine| (line.start..line.end).contains(&snapshot.cursor);
            row.folded && snapshot.live && snapshot.modules.get(module).is_some_and(inside)
        }
    }
}

/// The flags of an op, or those of all ops of a folded module. An open module has none, because its ops show them.
fn flags_of(snapshot: &Snapshot, row: &Row) -> OpFlags {
    let module = match row.node {
        Node::Op(op) => return snapshot.flags.get(op).copied().unwrap_or_default(),
        Node::Module(module) if row.folded => snapshot.modules.get(module),
        _ => None,
    };
    let inside = module.and_then(|line| snapshot.flags.get(line.start..line.end)).unwrap_or_default();
    let mut all = OpFlags { computed: !inside.is_empty(), ..OpFlags::default() };
    for flags in inside {
        all.computed &= flags.computed;
        all.edited |= flags.edited;
        all.affected |= flags.affected;
        all.nonfinite |= flags.nonfinite;
        all.breakpoint = match (all.breakpoint, flags.breakpoint) {
            (Some(mut one), Some(other)) => {
                one.hit |= other.hit;
                one.enabled |= other.enabled;
                Some(one)
            }
            (one, other) => one.or(other),
        };
    }
    all
}
