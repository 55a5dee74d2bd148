//! Single keys.

use std::time::Instant;

use super::{interrupt, open_prompt, prompt, quit, send, send_quietly};
use crate::engine::messages::PanelContent;
use crate::frontend::tui::actions::{Action, Step, Toward};
use crate::frontend::tui::console::Kind;
use crate::frontend::tui::layout::Pane;
use crate::frontend::tui::message::Effect;
use crate::frontend::tui::prompt::Purpose;
use crate::frontend::tui::state::{Mode, State};
use crate::frontend::tui::strings;
use crate::frontend::tui::text;
use crate::frontend::tui::tree::Node;
use crate::frontend::tui::view::help;
use crate::term::{Chord, Key};

pub fn key(state: &mut State, chord: Chord, now: Instant, effects: &mut Vec<Effect>) {
    match state.keymap.action(chord) {
        Some(action) => act(state, action, now, effects),
        // As in gdb's single-key mode, any other letter starts a command.
        None => {
            if let Chord { key: Key::Char(c), ctrl: false, alt: false } = chord {
                open_prompt(state, Purpose::Command, &c.to_string());
            }
        }
    }
}

fn act(state: &mut State, action: Action, now: Instant, effects: &mut Vec<Effect>) {
    match action {
        Action::Command(line) => send(state, line),
        Action::RunTo => run_to(state),
        Action::Break => toggle_breakpoint(state),
        Action::Edit => match chosen_site(state) {
            Some(site) => open_prompt(state, Purpose::Command, &format!("set {site} = ")),
            None => state.console.push(Kind::Notice, strings::NO_CHOICE),
        },
        Action::View => state.value.cycle(),
        Action::Gradient => state.value.gradient = !state.value.gradient,
        Action::Copy => match copied(state) {
            Some(text) if !text.is_empty() => effects.push(Effect::Copy(text)),
            _ => state.console.push(Kind::Notice, strings::NOTHING_TO_COPY),
        },
        Action::Search => prompt::open_search(state),
        Action::Select(toward) => select(state, toward),
        Action::Open => open(state),
        Action::Pane(step) => next_pane(state, step),
        Action::Zoom => state.zoom = !state.zoom,
        Action::Layer(step) => next_layer(state, step),
        Action::Head(step) => next_head(state, step),
        Action::Position(step) => {
            if let Some(position) = state.next_position(step) {
                send_quietly(state, format!("focus pos={position}"));
            }
        }
        Action::Prompt => open_prompt(state, Purpose::Command, ""),
        Action::HistorySearch => {
            open_prompt(state, Purpose::Command, "");
            state.prompt.open_history_search();
        }
        Action::Help => state.mode = Mode::Help(0),
        Action::Repaint => effects.push(Effect::Repaint),
        Action::Suspend => effects.push(Effect::Suspend),
        Action::Interrupt => interrupt(state, now, effects),
        Action::Quit => quit(state, effects),
    }
}

/// While the help is shown: scroll it, or close it.
pub fn help_key(state: &mut State, chord: Chord, scroll: usize) {
    let page = usize::from(state.size.1).saturating_sub(4).max(1);
    state.mode = match state.keymap.action(chord) {
        Some(Action::Select(Toward::Down)) => Mode::Help(scroll + 1),
        Some(Action::Select(Toward::Up)) => Mode::Help(scroll.saturating_sub(1)),
        Some(Action::Select(Toward::PageDown)) => Mode::Help(scroll + page),
        Some(Action::Select(Toward::PageUp)) => Mode::Help(scroll.saturating_sub(page)),
        Some(Action::Select(Toward::First)) => Mode::Help(0),
        _ => Mode::Keys,
    };
    if let Mode::Help(scroll) = &mut state.mode {
        let rows = help::rows(&state.keymap, state.glyphs).len();
        *scroll = (*scroll).min(rows.saturating_sub(page));
    }
}

fn chosen_site(state: &State) -> Option<String> {
    let snapshot = state.snapshot.as_ref()?;
    snapshot.ops.get(state.chosen_op()?).map(|op| op.site.clone())
}

/// Forward with `until`; to an op that has run already, back with `goto`.
fn run_to(state: &mut State) {
    let Some((site, op)) = chosen_site(state).zip(state.chosen_op()) else {
        return state.console.push(Kind::Notice, strings::NO_CHOICE);
    };
    let behind = state.snapshot.as_ref().is_some_and(|snapshot| snapshot.live && op < snapshot.cursor);
    let command = if behind { "goto" } else { "until" };
    send(state, &format!("{command} {site}"));
}

fn toggle_breakpoint(state: &mut State) {
    let Some((site, op)) = chosen_site(state).zip(state.chosen_op()) else {
        return state.console.push(Kind::Notice, strings::NO_CHOICE);
    };
    let flags = state.snapshot.as_ref().and_then(|snapshot| snapshot.flags.get(op).copied()).unwrap_or_default();
    match flags.breakpoint {
        Some(breakpoint) => send(state, &format!("delete {}", breakpoint.number)),
        None => send(state, &format!("break {site}")),
    }
}

fn copied(state: &State) -> Option<String> {
    match state.focus {
        Pane::Program => chosen_site(state),
        Pane::Value => state.value.as_text(),
        Pane::Tokens => Some(state.snapshot.as_ref()?.tokens.iter().map(|token| token.text.as_str()).collect()),
        Pane::Console => Some(state.console.last_answer()),
    }
}

/// Chooses `op` and makes sure that it can be seen.
pub fn choose_op(state: &mut State, op: usize) {
    if let Some(snapshot) = &state.snapshot {
        state.tree.reveal(snapshot, op);
        state.tree.chosen = Node::Op(op);
        state.tree.follows = false;
    }
}

fn next_pane(state: &mut State, step: Step) {
    let count = Pane::ALL.len();
    let here = Pane::ALL.iter().position(|pane| *pane == state.focus).unwrap_or(0);
    state.focus = Pane::ALL[match step {
        Step::Next => (here + 1) % count,
        Step::Previous => (here + count - 1) % count,
    }];
}

fn select(state: &mut State, toward: Toward) {
    match state.focus {
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

/// Folds the module at the choice, or around it; or unfolds it.
fn fold(state: &mut State, folded: bool) {
    let Some(snapshot) = state.snapshot.clone() else { return };
    let rows = state.tree.rows(&snapshot);
    let row = rows.get(state.tree.chosen_row(&snapshot, &rows)).copied();
    match row.map(|row| (row.node, row.folded)) {
        Some((Node::Module(module), was)) if was != folded => state.tree.fold(&snapshot, module, Some(folded)),
        Some((node, _)) if folded => {
            // Already folded, or an op: go to the module around it.
            let parent = match node {
                Node::Module(module) => snapshot.modules[module].parent,
                Node::Op(op) => snapshot.ops.get(op).map(|op| op.module),
                Node::End => None,
            };
            if let Some(parent) = parent.filter(|parent| *parent > 0) {
                state.tree.chosen = Node::Module(parent);
                state.tree.follows = false;
            }
        }
        _ => {}
    }
}

fn open(state: &mut State) {
    let Some(snapshot) = state.snapshot.clone() else { return };
    let rows = state.tree.rows(&snapshot);
    let row = rows.get(state.tree.chosen_row(&snapshot, &rows)).copied();
    match (state.focus, row.map(|row| row.node)) {
        (Pane::Program, Some(Node::Module(module))) => {
            state.tree.chosen = Node::Module(module);
            state.tree.follows = false;
            state.tree.fold(&snapshot, module, None);
        }
        // An empty line at the prompt repeats the last command.
        (Pane::Console, _) => send(state, ""),
        _ => {}
    }
}

fn select_cell(state: &mut State, toward: Toward) {
    let page = page(state, Pane::Value) as isize;
    let (rows, columns) = match toward {
        Toward::Up => (-1, 0),
        Toward::Down => (1, 0),
        Toward::Left => (0, -1),
        Toward::Right => (0, 1),
        Toward::PageUp => (-page, 0),
        Toward::PageDown => (page, 0),
        Toward::First => (0, isize::MIN),
        Toward::Last => (0, isize::MAX),
    };
    let before = state.value.row;
    state.value.shift(rows, columns);
    if state.value.row != before {
        focus_on_row(state);
    }
}

/// A row of a map that is a position or a head becomes the focus of all panes.
fn focus_on_row(state: &mut State) {
    let Some(Ok(panel)) = &state.value.panel else { return };
    let PanelContent::Heat { map, .. } = &panel.content else { return };
    let index = state.value.row * map.pool[0].max(1);
    let what = match map.axes[0].as_str() {
        "pos" | "q" => "pos",
        "head" => "head",
        _ => return,
    };
    send_quietly(state, format!("focus {what}={index}"));
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
        send_quietly(state, format!("focus pos={position}"));
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

/// Chooses the same op one block on or back; from outside the blocks, the nearest one.
fn next_layer(state: &mut State, step: Step) {
    let Some(snapshot) = state.snapshot.clone() else { return };
    let Some(op) = state.chosen_op() else { return };
    let Some((layer, rest)) = text::layer_of(&snapshot.ops[op].site) else {
        let inside = |op: &usize| text::layer_of(&snapshot.ops[*op].site).is_some();
        let found = match step {
            Step::Next => (op..snapshot.ops.len()).find(inside),
            Step::Previous => (0..op).rev().find(inside),
        };
        return found.into_iter().for_each(|op| choose_op(state, op));
    };
    let wanted = match step {
        Step::Next => Some(layer + 1),
        Step::Previous => layer.checked_sub(1),
    };
    let Some(wanted) = wanted else { return };
    let same = snapshot.ops.iter().position(|op| text::layer_of(&op.site) == Some((wanted, rest)));
    let in_layer = |site: &str| text::layer_of(site).is_some_and(|(layer, _)| layer == wanted);
    let any = || snapshot.ops.iter().position(|op| in_layer(&op.site));
    if let Some(op) = same.or_else(any) {
        choose_op(state, op);
    }
}

fn next_head(state: &mut State, step: Step) {
    let Some(snapshot) = &state.snapshot else { return };
    let head = match step {
        Step::Next => Some(snapshot.focus.head + 1).filter(|head| *head < snapshot.heads),
        Step::Previous => snapshot.focus.head.checked_sub(1),
    };
    if let Some(head) = head {
        send_quietly(state, format!("focus head={head}"));
    }
}
