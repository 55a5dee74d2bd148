//! A pane that shows the answer of a command.

use super::{Canvas, Pane, Role, State, heat, strings, text};
use crate::answer::{Answer, Cell, Layout, Table, text as lines_of};
use crate::frontend::tui::query::QueryPane;

/// The shortest useful part of a text that is cut.
const LEAST_TEXT: usize = 10;

/// The shortest useful bar.
const LEAST_BAR: usize = 4;

/// The text in the upper line of the pane's box, and the caption.
pub fn titles(state: &State, number: usize) -> (String, String) {
    let name = state.panes.name(Pane::Query(number)).to_string();
    let Some(query) = state.queries.get(number) else { return (name, String::new()) };
    let (said, mut foot) = match &query.answer {
        Some(Answer::Table(table)) => {
            let mut lines = table.title.lines();
            let first = lines.next().unwrap_or_default().to_string();
            (first, lines.next().unwrap_or_default().to_string())
        }
        Some(Answer::Map(map)) => (map.title.clone(), heat::legend(state, map, &[])),
        _ => (String::new(), String::new()),
    };
    if query.asking.is_behind() && query.answer.is_some() {
        foot = format!("{} {foot}", state.glyphs.ellipsis);
    }
    let title = if said.is_empty() || said.starts_with(&name) { said } else { format!("{name}  {said}") };
    (if title.is_empty() { name } else { title }, foot.trim_end().to_string())
}

pub fn draw(canvas: &mut Canvas, number: usize) {
    let state = canvas.state;
    let Some(query) = state.queries.get(number) else { return };
    let area = canvas.caption(&titles(state, number).1);
    let canvas = &mut canvas.at(area);
    match &query.answer {
        None => canvas.say(strings::FETCHING, Role::Faint),
        Some(Answer::Error(error)) => canvas.say(&error.message, Role::Faint),
        Some(Answer::Map(map)) => {
            heat::draw(canvas, &heat::Heat { map, masked: &[], at: query.at, first: (0, 0) });
        }
        Some(Answer::Table(table)) => draw_table(canvas, query, number, table),
        Some(answer) => {
            let width = canvas.width().saturating_sub(1);
            let lines = lines_of::lines(answer, Some(width));
            let first = (query.at.0 + 1).saturating_sub(canvas.height());
            for (y, line) in lines.iter().skip(first).take(canvas.height()).enumerate() {
                canvas.put(1, y, &text::fit(line, width, state.glyphs), Role::Text);
            }
        }
    }
}

/// The row of a table at this row of a pane of this inside.
pub fn row_at(state: &State, number: usize, inside: (usize, usize), y: usize) -> Option<usize> {
    let query = state.queries.get(number)?;
    let Some(Answer::Table(table)) = &query.answer else { return None };
    let (bare, _) = fitting(table, inside.0.saturating_sub(1));
    let header = usize::from(lines_of::rows(&bare, inside.0).len() > table.rows.len());
    let caption = usize::from(!titles(state, number).1.is_empty() && inside.1 >= 3);
    let room = inside.1.saturating_sub(header + caption);
    let row = y.checked_sub(header)? + (query.at.0 + 1).saturating_sub(room);
    (y < header + room && row < table.rows.len()).then_some(row)
}

fn draw_table(canvas: &mut Canvas, query: &QueryPane, number: usize, table: &Table) {
    let state = canvas.state;
    let width = canvas.width().saturating_sub(1);
    let (bare, hidden) = fitting(table, width);
    let lines = lines_of::rows(&bare, width);
    if hidden > 0 && lines.len() < canvas.height() {
        let columns = if hidden == 1 { "column" } else { "columns" };
        let said = format!("{hidden} more {columns}: press {} to zoom", state.keymap.key_of("zoom"));
        canvas.put(1, canvas.height() - 1, &said, Role::Faint);
    }
    let header = usize::from(lines.len() > table.rows.len());
    let focused = state.focus == Pane::Query(number);
    for line in lines.iter().take(header) {
        canvas.put(1, 0, &text::fit(line, width, state.glyphs), Role::Label);
    }
    let room = canvas.height().saturating_sub(header);
    let first = (query.at.0 + 1).saturating_sub(room);
    for (y, (row, line)) in lines.iter().skip(header).enumerate().skip(first).take(room).enumerate() {
        let chosen = focused && row == query.at.0;
        let line = text::fit(line, width, state.glyphs);
        let y = y + header;
        if chosen {
            canvas.row(y, Role::Selection);
        }
        canvas.put(1, y, &line, if chosen { Role::Selection } else { Role::Text });
        if let (Some(bar), false) = (bare.rows.get(row).and_then(|cells| cells.last()).and_then(bar_of), chosen) {
            // The bar is at the end of the line, and is drawn again in its colour.
            if line.ends_with(bar) {
                let role = if bar.starts_with('-') { Role::Negative } else { Role::Positive };
                canvas.put(1 + text::width(&line) - bar.len(), y, bar, role);
            }
        }
    }
}

/// The table without its title, and without columns from the right while it is too wide for `width` and has more than
/// three; and the number of columns left out. A last column of bars or of text stays: the bars are shortened first if that
/// is enough, and the text may be cut.
fn fitting(table: &Table, width: usize) -> (Table, usize) {
    let mut table = Table { title: String::new(), layout: Layout::Columns, listed: None, more: None, ..table.clone() };
    let mut hidden = 0;
    let wide = |table: &Table| {
        let lines = lines_of::lines(&Answer::Table(table.clone()), None);
        lines.iter().map(|line| text::width(line)).max().unwrap_or(0)
    };
    shorten_bars(&mut table, width, &wide);
    while wide(&table) > width && table.columns.len() > 3 {
        let mut others = table.clone();
        others.columns.pop();
        others.rows.iter_mut().for_each(|row| row.truncate(others.columns.len()));
        let is_text =
            table.rows.iter().any(|row| matches!(row.last(), Some(Cell::Text(text)) if text.len() > LEAST_TEXT));
        if is_text && wide(&others) + 2 + LEAST_TEXT <= width {
            break;
        }
        let bars = table.columns.last().is_some_and(String::is_empty);
        let at = table.columns.len() - 1 - usize::from(bars || is_text);
        table.columns.remove(at);
        table.rows.iter_mut().filter(|row| row.len() > at).for_each(|row| drop(row.remove(at)));
        hidden += 1;
    }
    (table, hidden)
}

/// Scales the bars of the last column so that the table fits, if the other columns leave enough room for them.
fn shorten_bars(table: &mut Table, width: usize, wide: &impl Fn(&Table) -> usize) {
    let last = table.columns.len().saturating_sub(1);
    let lengths = table.rows.iter().filter_map(|row| row.get(last).and_then(bar_of)).map(str::len);
    let Some(longest) = lengths.max().filter(|_| wide(table) > width) else { return };
    let mut bare = table.clone();
    bare.columns.truncate(last);
    bare.rows.iter_mut().for_each(|row| row.truncate(last));
    let room = width.saturating_sub(wide(&bare) + 2);
    if room < LEAST_BAR {
        return;
    }
    for cell in table.rows.iter_mut().filter_map(|row| row.get_mut(last)) {
        if let Some(bar) = bar_of(cell) {
            let length = (bar.len() * room).div_ceil(longest);
            *cell = Cell::Text(bar[..length.min(bar.len())].to_string());
        }
    }
}

/// A bar of plus or minus signs.
fn bar_of(cell: &Cell) -> Option<&str> {
    let Cell::Text(bar) = cell else { return None };
    let same = |sign: char| !bar.is_empty() && bar.chars().all(|c| c == sign);
    (same('+') || same('-')).then_some(bar)
}
