//! Moving the selection in the focused pane, and moving the focus.

use std::fmt::Display;

use super::{Pane, State, Step, Toward, send, send_quietly};
use crate::answer::Cell;
use crate::engine::messages::{PanelContent, Snapshot};
use crate::frontend::tui::query::QueryPane;
use crate::frontend::tui::tree::{Node, Row};
use crate::frontend::tui::view::multiples;
use crate::model::site_name::InBlock;
use crate::program::Part;

/// Selects `op` and makes it visible.
pub fn choose_op(state: &mut State, op: usize) {
    if let Some(snapshot) = &state.snapshot {
        state.tree.reveal(snapshot, op);
        state.tree.choose(Node::Op(op));
    }
}

/// Selects the op of a site; returns whether there is one.
fn choose_site(state: &mut State, site: &str) -> bool {
    let ops = state.snapshot.as_ref().map(|snapshot| &snapshot.ops);
    let found = ops.and_then(|ops| ops.iter().position(|op| op.site == site));
    found.into_iter().for_each(|op| choose_op(state, op));
    found.is_some()
}

/// Moves the focus of the session: its head or position.
pub fn focus(state: &mut State, what: &str, to: impl Display) {
    send_quietly(state, format!("focus {what}={to}"));
}

/// The next or the previous pane of the layout. In a small window this includes the hidden panes.
pub fn next_pane(state: &mut State, step: Step) {
    let mut order: Vec<Pane> = match state.layout() {
        Some(layout) if layout.areas.len() > 3 => layout.areas.iter().map(|(pane, _)| *pane).collect(),
        _ => {
            let arrangement = state.panes.layout(&state.layout_name);
            arrangement.panes.iter().chain(&[Pane::Tokens, Pane::Console]).copied().collect()
        }
    };
    if !order.contains(&state.focus) {
        order.push(state.focus);
    }
    let here = order.iter().position(|pane| *pane == state.focus).unwrap_or(0);
    state.focus = order[step.around(here, order.len())];
}

/// Shows another layout at once, and sends it to the session, so that `show layout` is right.
pub fn layout(state: &mut State, name: &str) {
    let names = state.panes.names();
    let at = names.iter().position(|known| *known == state.layout_name).unwrap_or(0);
    let to = match name {
        "next" => names[Step::Next.around(at, names.len())].clone(),
        "prev" => names[Step::Previous.around(at, names.len())].clone(),
        name => name.to_string(),
    };
    state.zoom = false;
    state.lay_out(&to);
    send_quietly(state, format!("layout {to}"));
}

/// Goes to the heads pane, in a layout that has one; from there, back to the program.
pub fn heads(state: &mut State) {
    if state.focus == Pane::Heads {
        state.focus = Pane::Program;
        return state.keep_focus_in_sight();
    }
    let is_seen = state.layout().is_some_and(|layout| layout.area(Pane::Heads).is_some());
    if let (false, Some(with)) = (is_seen, state.panes.with(Pane::Heads)) {
        let name = with.name.clone();
        layout(state, &name);
    }
    state.focus = Pane::Heads;
}

pub fn select(state: &mut State, toward: Toward) {
    match state.focus {
        Pane::Heads => select_head(state, toward),
        Pane::Query(number) => {
            let (rows, columns) = match (toward, state.queries.get(number).is_some_and(QueryPane::is_map)) {
                (Toward::First, false) => (isize::MIN, 0),
                (Toward::Last, false) => (isize::MAX, 0),
                _ => moves(toward, page(state, state.focus)),
            };
            if let Some(query) = state.queries.get_mut(number) {
                query.shift(rows, columns);
            }
        }
        Pane::Program => select_row(state, toward),
        Pane::Value => select_cell(state, toward),
        Pane::Tokens => select_token(state, toward),
        Pane::Console => scroll_console(state, toward),
    }
}

fn page(state: &State, pane: Pane) -> usize {
    state.layout().map_or(1, |layout| layout.inside(pane).1.saturating_sub(1)).max(1)
}

fn select_row(state: &mut State, toward: Toward) {
    let Some(snapshot) = state.snapshot.clone() else { return };
    let rows = state.tree.rows(&snapshot);
    let row = state.tree.chosen_row(&snapshot, &rows);
    let page = page(state, Pane::Program);
    let row = match toward {
        Toward::Up => row.saturating_sub(1),
        Toward::Down => row + 1,
        Toward::PageUp => row.saturating_sub(page),
        Toward::PageDown => row + page,
        Toward::First => 0,
        Toward::Last => rows.len(),
        Toward::Left => return fold(state, true),
        Toward::Right => return fold(state, false),
    };
    state.tree.choose_row(&rows, row);
}

fn chosen_row(state: &State, snapshot: &Snapshot) -> Option<Row> {
    let rows = state.tree.rows(snapshot);
    rows.get(state.tree.chosen_row(snapshot, &rows)).copied()
}

/// Folds the selected module, or the one around the selection; or unfolds it.
fn fold(state: &mut State, folded: bool) {
    let Some(snapshot) = state.snapshot.clone() else { return };
    match chosen_row(state, &snapshot).map(|row| (row.node, row.folded)) {
        Some((Node::Module(module), was)) if was != folded => state.tree.fold(&snapshot, module, Some(folded)),
        Some((node, _)) if folded => {
            // It is already folded, or an op: go to the module around it.
            let parent = match node {
                Node::Module(module) => snapshot.modules[module].parent,
                Node::Op(op) => snapshot.ops.get(op).map(|op| op.module),
                Node::End => None,
            };
            if let Some(parent) = parent.filter(|parent| *parent > 0) {
                state.tree.choose(Node::Module(parent));
            }
        }
        _ => {}
    }
}

/// Enter: folds or unfolds, repeats, or follows the selection.
pub fn open(state: &mut State) {
    if matches!(state.focus, Pane::Heads | Pane::Query(_)) {
        return follow(state);
    }
    let Some(snapshot) = state.snapshot.clone() else { return };
    match (state.focus, chosen_row(state, &snapshot).map(|row| row.node)) {
        (Pane::Program, Some(Node::Module(module))) => {
            state.tree.choose(Node::Module(module));
            state.tree.fold(&snapshot, module, None);
        }
        // An empty line at the prompt repeats the last command.
        (Pane::Console, _) => send(state, ""),
        _ => {}
    }
}

/// Rows and columns that a key moves a crosshair by.
fn moves(toward: Toward, page: usize) -> (isize, isize) {
    let page = page as isize;
    match toward {
        Toward::Up => (-1, 0),
        Toward::Down => (1, 0),
        Toward::Left => (0, -1),
        Toward::Right => (0, 1),
        Toward::PageUp => (-page, 0),
        Toward::PageDown => (page, 0),
        Toward::First => (0, isize::MIN),
        Toward::Last => (0, isize::MAX),
    }
}

/// Selects another head: in the small maps the neighbour in that direction, in the grid the cell.
fn select_head(state: &mut State, toward: Toward) {
    if state.heads.metric.is_some() {
        let (rows, columns) = moves(toward, page(state, Pane::Heads));
        return state.heads.grid.shift(rows, columns);
    }
    let (Some(snapshot), Some(shown)) = (&state.snapshot, state.layout()) else { return };
    let (head, count) = (snapshot.focus.head, snapshot.heads);
    let plan = multiples::plan(multiples::room(shown.inside(Pane::Heads)), count, head, &state.theme, state.glyphs);
    let to = match toward {
        Toward::Left => head.checked_sub(1),
        Toward::Right => Some(head + 1),
        Toward::Up | Toward::PageUp => head.checked_sub(plan.columns),
        Toward::Down | Toward::PageDown => Some(head + plan.columns),
        Toward::First => Some(0),
        Toward::Last => Some(count.saturating_sub(1)),
    };
    if let Some(to) = to.filter(|to| *to < count && *to != head) {
        focus(state, "head", to);
    }
}

/// Goes to the site, head or position that the selected row or cell of an answer names.
fn follow(state: &mut State) {
    let mut words: Vec<String> = Vec::new();
    let mut position = None;
    match state.focus {
        Pane::Query(number) => {
            let Some(query) = state.queries.get(number) else { return };
            for (column, cell) in query.row() {
                match (column, cell) {
                    ("Pos", Cell::Int(pos)) => position = Some(*pos),
                    (_, Cell::Text(text)) => words.push(text.clone()),
                    _ => {}
                }
            }
            words.extend(query.cell().map(|(row, _)| row.to_string()));
        }
        _ => words.extend(state.heads.grid.cell().map(|(layer, head)| format!("{layer}H{head}"))),
    }
    for word in words {
        if let Some((layer, head)) = head_of(&word) {
            focus(state, "head", head);
            choose_site(state, &Part::Pattern.site(layer));
            return;
        }
        let site = word.split('#').next().unwrap_or_default();
        let site = match InBlock::parse_short(site) {
            Some(at) if at.part.is_empty() => InBlock { part: Part::ResidPre.path(), ..at }.to_string(),
            Some(at) => at.to_string(),
            None => site.to_string(),
        };
        if choose_site(state, &site) {
            return;
        }
    }
    if let Some(position) = position {
        focus(state, "pos", position);
    }
}

/// `L2H3`.
fn head_of(word: &str) -> Option<(usize, usize)> {
    let (layer, head) = word.strip_prefix('L')?.split_once('H')?;
    Some((layer.parse().ok()?, head.parse().ok()?))
}

fn select_cell(state: &mut State, toward: Toward) {
    let (rows, columns) = moves(toward, page(state, Pane::Value));
    let before = state.value.element().map(|(row, _)| row);
    state.value.shift(rows, columns);
    if state.value.element().map(|(row, _)| row) != before {
        focus_on_row(state);
    }
}

/// Moves the crosshair of the value pane to a cell, and the focus with it.
pub fn put_crosshair(state: &mut State, cell: (usize, usize)) {
    let before = state.value.element().map(|(row, _)| row);
    (state.value.row, state.value.column) = cell;
    if state.value.element().map(|(row, _)| row) != before {
        focus_on_row(state);
    }
}

/// A row of a map that is a position or a head becomes the focus of all panes.
fn focus_on_row(state: &mut State) {
    let Some(Ok(panel)) = &state.value.panel else { return };
    let PanelContent::Heat { map, .. } = &panel.content else { return };
    let Some((index, _)) = state.value.element() else { return };
    let what = match map.axes[0].as_str() {
        "pos" | "q" => "pos",
        "head" => "head",
        _ => return,
    };
    focus(state, what, index);
}

fn select_token(state: &mut State, toward: Toward) {
    let last = state.snapshot.as_ref().map_or(0, |snapshot| snapshot.tokens.len()).checked_sub(1);
    let position = match toward {
        Toward::Up | Toward::Left => state.next_position(Step::Previous),
        Toward::Down | Toward::Right => state.next_position(Step::Next),
        Toward::First | Toward::PageUp => last.map(|_| 0),
        Toward::Last | Toward::PageDown => last,
    };
    if let Some(position) = position.filter(|position| Some(*position) != state.position()) {
        focus(state, "pos", position);
    }
}

pub fn scroll_console(state: &mut State, toward: Toward) {
    let Some(layout) = state.layout() else { return };
    let (columns, height) = layout.inside(Pane::Console);
    let page = height.saturating_sub(1).max(1) as isize;
    let rows = match toward {
        Toward::Up => 1,
        Toward::Down => -1,
        Toward::PageUp => page,
        Toward::PageDown => -page,
        Toward::First => isize::MAX,
        Toward::Last => isize::MIN,
        Toward::Left | Toward::Right => 0,
    };
    state.console.scroll(rows, columns, height);
}
