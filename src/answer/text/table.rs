//! Tables as text: columns aligned by display width, numbers to the right.
//!
//! A table that is too wide is made to fit in this order: fewer digits and less space; the last column, if it is text, is wrapped
//! (bars are shortened); longer text in between is wrapped; columns are left out from the right, and named below. No number is ever
//! broken. Columns that are alike, such as one for each position, are shown in parts instead.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{visible, wrapped};
use crate::answer::numbers::{ELEMENT_DIGITS, short, significant};
use crate::answer::{Cell, Layout, More, Table};

/// Between two columns, and where there is little room.
const GAPS: [usize; 2] = [2, 1];

/// A text column is never narrowed below this where its text is cut.
const NARROWEST: usize = 8;

/// A column whose text is wrapped has this width at least, if it has so much text.
const WRAPPED: usize = 24;

/// The longest bar has this length at least.
const LEAST_BAR: usize = 5;

/// The name of a column of numbers is never cut below this.
const SHORTEST_NAME: usize = 5;

/// The lines of `table`: title, column names, the rows that it lists, and what is left out. They are made to
/// fit a `width`.
pub fn lines(table: &Table, width: Option<usize>) -> Vec<String> {
    let fitted = |line: String| match width {
        Some(width) => wrapped(&line, width),
        None => vec![line],
    };
    let mut lines: Vec<String> = table.title.lines().map(visible).flat_map(fitted).collect();
    if let Layout::Prose(words) = &table.layout {
        lines.extend(words.lines().map(visible).flat_map(fitted));
        return lines;
    }
    if table.rows.is_empty() && !lines.is_empty() {
        return lines;
    }
    let shown = table.shown();
    let rows: Vec<&[Cell]> = shown.iter().filter_map(|row| table.rows.get(*row)).map(Vec::as_slice).collect();
    let form = match width {
        Some(width) => Form::fitting(table, &rows, width),
        None => Form::new(table, &rows, 0),
    };
    match width.filter(|width| table.layout == Layout::Alike && form.total() > *width) {
        Some(width) => form.parts(width).iter().for_each(|part| lines.extend(form.lines(part))),
        None => lines.extend(form.lines(&form.columns)),
    }
    let hidden = (0..form.head.len()).filter(|i| !form.columns.contains(i)).map(|i| form.head[i].as_str());
    let hidden: Vec<&str> = hidden.filter(|name| !name.is_empty()).collect();
    if !hidden.is_empty() {
        let (count, them) = counted(hidden.len(), "column");
        lines.extend(fitted(format!("... {count}: {}; a wider window shows {them}", hidden.join(", "))));
    }
    if let Some(More { rows, sum, listable }) = table.rest() {
        let (count, them) = counted(rows, "row");
        let add = if rows == 1 { "is" } else { "add up to" };
        let sum = sum.map(|sum| format!(", which {add} {}", short(sum))).unwrap_or_default();
        let how = if listable { format!("; -all shows {them}") } else { String::new() };
        lines.push(format!("... {count}{sum}{how}"));
    }
    lines
}

/// `1 more row` and `it`, `2 more rows` and `them`.
fn counted(count: usize, noun: &str) -> (String, &'static str) {
    match count {
        1 => (format!("1 more {noun}"), "it"),
        _ => (format!("{count} more {noun}s"), "them"),
    }
}

/// The names of the columns and every row, each on one line, whose text is cut where it is too wide.
pub fn rows(table: &Table, width: usize) -> Vec<String> {
    let rows: Vec<&[Cell]> = table.rows.iter().map(Vec::as_slice).collect();
    let form = |closer: usize| {
        let mut form = Form::new(table, &rows, closer);
        form.narrow(width);
        form
    };
    let fitting = (0..=Form::CLOSEST).map(form).find(|form| form.total() <= width).unwrap_or_else(|| form(0));
    let line = |cells: &Vec<String>| fitting.line(&fitting.columns, |i| cells.get(i).map_or("", String::as_str));
    fitting.heading(&fitting.columns).into_iter().chain(fitting.rows.iter().map(line)).collect()
}

/// The words of a table, and how wide its columns are.
struct Form {
    /// The names of the columns, and the rows.
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    /// Those that are shown.
    columns: Vec<usize>,
    widths: Vec<usize>,
    /// Which columns hold numbers, and are set to the right.
    right: Vec<bool>,
    gap: usize,
}

impl Form {
    /// The closer, the fewer digits: as usual, and in two steps.
    const CLOSEST: usize = 2;

    fn new(table: &Table, rows: &[&[Cell]], closer: usize) -> Form {
        let word = |cell: &Cell| match cell {
            Cell::Num(number) => significant(*number, ELEMENT_DIGITS - closer),
            cell => cell_text(cell),
        };
        let head: Vec<String> = table.columns.iter().map(|name| visible(name)).collect();
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(word).collect()).collect();
        let columns = rows.iter().map(Vec::len).chain([head.len()]).max().unwrap_or(0);
        let right: Vec<bool> = (0..columns).map(|i| is_numeric(table, i)).collect();
        let width = |i: usize| {
            let name = head.get(i).map_or(0, |name| name.width());
            let name = if closer > 0 && right[i] { name.min(SHORTEST_NAME) } else { name };
            rows.iter().filter_map(|row| row.get(i)).map(|text| text.width()).max().unwrap_or(0).max(name)
        };
        let widths = (0..columns).map(width).collect();
        Form { head, rows, columns: (0..columns).collect(), widths, right, gap: GAPS[closer.min(1)] }
    }

    /// The widest form that fits. Of a table whose columns are alike it may be the usual one, which does not.
    fn fitting(table: &Table, rows: &[&[Cell]], width: usize) -> Form {
        let form = |closer: usize| Form::new(table, rows, closer);
        let fits = |form: &Form| form.total() <= width;
        if let Some(form) = (0..=Form::CLOSEST).map(form).find(fits) {
            return form;
        }
        if table.layout == Layout::Alike {
            return form(0);
        }
        let squeezed = |mut form: Form| {
            form.squeeze(width);
            form
        };
        if let Some(form) = [0, 1].map(form).map(squeezed).into_iter().find(fits) {
            return form;
        }
        let mut form = form(1);
        for i in 1..form.widths.len().saturating_sub(1) {
            if !form.right[i] {
                form.widths[i] = form.widths[i].min(WRAPPED);
            }
        }
        form.squeeze(width);
        while !fits(&form) && form.leave_out() {
            form.squeeze(width);
        }
        if !fits(&form) {
            // What is left is one or two columns of text.
            let first = form.columns[0];
            form.widths[first] = form.widths[first].min((width / form.columns.len()).max(1));
            form.squeeze(width);
        }
        form
    }

    fn total(&self) -> usize {
        self.columns.iter().map(|i| self.widths[*i]).sum::<usize>() + self.gap * self.columns.len().saturating_sub(1)
    }

    /// The last column, if it is text, takes the room that the others leave.
    fn squeeze(&mut self, width: usize) {
        let Some(&last) = self.columns.last().filter(|last| !self.right[**last] && self.columns.len() > 1) else {
            return;
        };
        let least = if self.is_bars(last) { LEAST_BAR } else { WRAPPED };
        let others = self.total() - self.widths[last];
        let room = width.saturating_sub(others).max(least.min(self.widths[last]));
        self.widths[last] = self.widths[last].min(room);
    }

    /// Leaves out the last column, or the one before it if the last is text; `false` if too few would be left.
    fn leave_out(&mut self) -> bool {
        let last = self.columns.len() - 1;
        let kept = self.columns.get(last).is_some_and(|&i| !self.right[i] && !self.is_bars(i) && last > 0);
        let at = if kept { last - 1 } else { last };
        if at == 0 {
            return false;
        }
        self.columns.remove(at);
        true
    }

    fn is_bars(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(column));
        self.head.get(column).is_some_and(String::is_empty) && cells.all(|cell| is_bar(cell))
    }

    /// Narrows the widest text column until the line fits `width` or no text column can be narrowed further. The first
    /// column names the row: up to half the width, it is narrowed last.
    fn narrow(&mut self, width: usize) {
        loop {
            let total = self.total();
            let (widths, right) = (&mut self.widths, &self.right);
            let gives = |i: &usize| !right[*i] && widths[*i] > NARROWEST;
            let first = |i: &usize| *i > 0 || widths[0] > width / 2;
            let widest = (0..widths.len()).filter(gives).filter(first).max_by_key(|&i| widths[i]);
            match widest.or_else(|| (0..widths.len()).find(gives)) {
                Some(i) if total > width => widths[i] -= 1,
                _ => return,
            }
        }
    }

    /// As many columns as fit at a time, the first one in each part.
    fn parts(&self, width: usize) -> Vec<Vec<usize>> {
        let Some(first) = self.widths.first() else { return Vec::new() };
        let (mut parts, mut used) = (vec![vec![0]], *first);
        for (i, wide) in self.widths.iter().enumerate().skip(1) {
            used += self.gap + wide;
            if used > width && parts.last().is_some_and(|part| part.len() > 1) {
                parts.push(vec![0]);
                used = first + self.gap + wide;
            }
            parts.last_mut().expect("there is one").push(i);
        }
        parts
    }

    fn heading(&self, columns: &[usize]) -> Option<String> {
        let name = |i: usize| self.head.get(i).map_or("", String::as_str);
        (!self.head.iter().all(String::is_empty)).then(|| self.line(columns, name))
    }

    /// The lines of some columns.
    fn lines(&self, columns: &[usize]) -> Vec<String> {
        let longest = |i: usize| self.rows.iter().filter_map(|row| row.get(i)).map(|bar| bar.width()).max();
        let bars: Vec<Option<usize>> = (0..self.widths.len())
            .map(|i| longest(i).filter(|longest| *longest > self.widths[i] && self.is_bars(i)))
            .collect();
        let pieces = |row: &Vec<String>, i: usize| {
            let text = row.get(i).map_or("", String::as_str);
            match bars[i] {
                Some(longest) => {
                    vec![text[..(text.len() * self.widths[i]).div_ceil(longest).min(text.len())].to_string()]
                }
                None if text.width() > self.widths[i] => wrapped(text, self.widths[i]),
                None => vec![text.to_string()],
            }
        };
        let mut lines: Vec<String> = self.heading(columns).into_iter().collect();
        for row in &self.rows {
            let cells: Vec<Vec<String>> = (0..self.widths.len()).map(|i| pieces(row, i)).collect();
            let height = columns.iter().map(|i| cells[*i].len()).max().unwrap_or(1);
            let line = |y: usize| self.line(columns, |i| cells[i].get(y).map_or("", String::as_str));
            lines.extend((0..height).map(line));
        }
        lines
    }

    fn line<'a>(&self, columns: &[usize], cell: impl Fn(usize) -> &'a str) -> String {
        let cells = columns.iter().map(|&i| fit(cell(i), self.widths[i], self.right[i]));
        cells.collect::<Vec<_>>().join(&" ".repeat(self.gap)).trim_end().to_string()
    }
}

/// Whether a cell has plus or minus signs alone, or nothing.
fn is_bar(cell: &str) -> bool {
    cell.chars().all(|c| c == '+') || cell.chars().all(|c| c == '-')
}

fn cell_text(cell: &Cell) -> String {
    match cell {
        Cell::Int(number) => number.to_string(),
        Cell::Num(number) => short(*number),
        Cell::Text(text) => visible(text),
        Cell::Bool(yes) => if *yes { "yes" } else { "no" }.to_string(),
        Cell::Empty => String::new(),
    }
}

/// Whether column `i` holds only numbers.
fn is_numeric(table: &Table, i: usize) -> bool {
    let cells = table.rows.iter().filter_map(|row| row.get(i));
    let mut filled = cells.filter(|cell| **cell != Cell::Empty).peekable();
    filled.peek().is_some() && filled.all(|cell| matches!(cell, Cell::Int(_) | Cell::Num(_)))
}

/// `text` in exactly `width` columns, its end replaced by `~` if it is longer.
fn fit(text: &str, width: usize, right: bool) -> String {
    let have = text.width();
    if have <= width {
        let space = " ".repeat(width - have);
        return if right { space + text } else { text.to_string() + &space };
    }
    let mut cut = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        cut.push(c);
        used += wide;
    }
    cut.push('~');
    cut + &" ".repeat(width.saturating_sub(used + 1))
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
