//! The program pane: the module tree with its marks.

use super::{Canvas, Role, State, text};
use crate::engine::messages::{ModuleLine, OpFlags, Snapshot};
use crate::frontend::tui::tree::{Node, Row};
use crate::model::site_name;

/// Columns of the breakpoint mark and the arrow.
const MARKS: usize = 4;

/// Columns of the flags at the right edge.
const FLAGS: usize = 2;

/// The width from which shapes are shown.
const SHAPES_FROM: usize = 30;

pub fn draw(canvas: &mut Canvas) {
    let state = canvas.state;
    let Some(snapshot) = &state.snapshot else { return };
    let rows = state.tree.rows(snapshot);
    let chosen = state.tree.chosen_row(snapshot, &rows);
    for (y, (index, row)) in state.tree.shown(&rows, canvas.height()).into_iter().enumerate() {
        draw_row(canvas, snapshot, &row, index == chosen, y);
    }
}

/// The text in the upper line of the pane's box: the module of the selected op.
pub fn title(state: &State) -> String {
    let snapshot = state.snapshot.as_ref();
    let module =
        snapshot.zip(state.chosen_op()).and_then(|(snapshot, op)| snapshot.modules.get(snapshot.ops.get(op)?.module));
    match module.filter(|module| !module.path.is_empty()) {
        Some(module) => format!("program  {}", site_name::short(&module.path)),
        None => "program".to_string(),
    }
}

fn draw_row(canvas: &mut Canvas, snapshot: &Snapshot, row: &Row, chosen: bool, y: usize) {
    let state = canvas.state;
    // The bar of the selection has one style from edge to edge, because every move repaints it.
    let seen = |role: Role| if chosen { Role::Selection } else { role };
    if chosen {
        canvas.row(y, Role::Selection);
    }
    let flags = flags_of(snapshot, row);
    if let Some(mark) = flags.breakpoint {
        let word = format!("{}{}", if mark.hit { 'B' } else { 'b' }, if mark.enabled { '+' } else { '-' });
        let role = if mark.enabled { Role::Breakpoint } else { Role::BreakpointDisabled };
        canvas.put(0, y, &word, seen(role));
    }
    if is_at_cursor(snapshot, row) {
        canvas.put(2, y, state.glyphs.arrow, seen(Role::Arrow));
    }
    let (label, shape, role) = words(state, snapshot, row, &flags);
    let width = canvas.width();
    let mut right = width.saturating_sub(FLAGS + 1);
    if width >= SHAPES_FROM && !shape.is_empty() {
        let start = right.saturating_sub(text::width(&shape));
        canvas.put(start, y, &shape, seen(Role::Shape));
        right = start.saturating_sub(1);
    }
    let x = MARKS + row.depth * 2;
    let label = text::fit(&label, right.saturating_sub(x), state.glyphs);
    canvas.put(x, y, &label, seen(role));
    let x = width.saturating_sub(FLAGS);
    if flags.nonfinite {
        canvas.put(x, y, "!", seen(Role::Nonfinite));
    }
    let (mark, role) = match flags {
        OpFlags { edited: true, .. } => ("E", Role::Edited),
        OpFlags { affected: true, .. } => ("~", Role::Affected),
        OpFlags { computed: true, .. } => (state.glyphs.computed, Role::Computed),
        _ => return,
    };
    canvas.put(x + 1, y, mark, seen(role));
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
            let inside = |line: &ModuleLine| (line.start..line.end).contains(&snapshot.cursor);
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
