//! Tables as text: columns aligned by display width, numbers to the right.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::visible;
use crate::answer::numbers::{ELEMENT_DIGITS, short, significant};
use crate::answer::{Cell, Table};

/// Between two columns, and where there is little room.
const GAPS: [usize; 2] = [2, 1];

/// A text column is never narrowed below this.
const NARROWEST: usize = 8;

/// The name of a column of numbers is never cut below this.
const SHORTEST_NAME: usize = 5;

/// What becomes of a table that is too wide: it is set more closely first, with fewer digits, in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub width: usize,
    /// Text is cut.
    pub cut: bool,
    /// Columns that still do not fit come below, each time behind the first column.
    pub fold: bool,
}

/// The lines of `table`: title, column names, rows. With `room`, they are made to fit its width.
pub fn lines(table: &Table, room: Option<Room>) -> Vec<String> {
    let mut lines: Vec<String> = table.title.lines().map(visible).collect();
    let form = room.map_or_else(|| Form::new(table, 0), |room| Form::fitting(table, room));
    let every: Vec<usize> = (0..form.widths.len()).collect();
    match room.filter(|room| room.fold && form.total() > room.width) {
        Some(room) => form.parts(room.width).iter().for_each(|part| lines.extend(form.lines(part))),
        None => lines.extend(form.lines(&every)),
    }
    lines
}

/// The words of a table, and how wide its columns are.
struct Form {
    /// The names of the columns, and the rows.
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
    /// Which columns hold numbers, and are set to the right.
    right: Vec<bool>,
    gap: usize,
}

impl Form {
    /// The closer, the fewer digits: as usual, and in two steps.
    const CLOSEST: usize = 2;

    /// The widest form that fits. If none does, the usual one.
    fn fitting(table: &Table, Room { width, cut, .. }: Room) -> Form {
        let form = |closer: usize| {
            let mut form = Form::new(table, closer);
            if cut {
                form.narrow(width);
            }
            form
        };
        (0..=Form::CLOSEST).map(form).find(|form| form.total() <= width).unwrap_or_else(|| form(0))
    }

    fn new(table: &Table, closer: usize) -> Form {
        let word = |cell: &Cell| match cell {
            Cell::Num(number) => significant(*number, ELEMENT_DIGITS - closer),
            cell => cell_text(cell),
        };
        let head: Vec<String> = table.columns.iter().map(|name| visible(name)).collect();
        let rows: Vec<Vec<String>> = table.rows.iter().map(|row| row.iter().map(word).collect()).collect();
        let columns = rows.iter().map(Vec::len).chain([head.len()]).max().unwrap_or(0);
        let right: Vec<bool> = (0..columns).map(|i| is_numeric(table, i)).collect();
        let width = |i: usize| {
            let name = head.get(i).map_or(0, |name| name.width());
            let name = if closer > 0 && right[i] { name.min(SHORTEST_NAME) } else { name };
            rows.iter().filter_map(|row| row.get(i)).map(|text| text.width()).max().unwrap_or(0).max(name)
        };
        let widths = (0..columns).map(width).collect();
        Form { head, rows, widths, right, gap: GAPS[closer.min(1)] }
    }

    fn total(&self) -> usize {
        self.widths.iter().sum::<usize>() + self.gap * self.widths.len().saturating_sub(1)
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

    /// The lines of some columns.
    fn lines(&self, columns: &[usize]) -> impl Iterator<Item = String> {
        let line = |row: &Vec<String>| {
            let (widths, right) = (&self.widths, &self.right);
            let cell = |&i: &usize| {
                let text = row.get(i).map_or("", String::as_str);
                fit(text, widths[i], right[i])
            };
            columns.iter().map(cell).collect::<Vec<_>>().join(&" ".repeat(self.gap)).trim_end().to_string()
        };
        let head = (!self.head.iter().all(String::is_empty)).then(|| line(&self.head));
        head.into_iter().chain(self.rows.iter().map(line))
    }
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table() -> Table {
        Table::new(["rank", "token", "value", "kept"])
            .title("next token")
            .row((0, " Mary", 0.91, true))
            .row((1, " 日本語", 0.012_345, false))
            .row((10, "\x1b[2J", 1e-9, false))
    }

    #[test]
    fn columns_align() {
        insta::assert_snapshot!(lines(&table(), None).join("\n"), @r"
        next token
        rank  token        value  kept
           0   Mary         0.91  yes
           1   日本語    0.01235  no
          10  \u{1b}[2J     1e-9  no
        ");
    }

    const fn pane(width: usize) -> Option<Room> {
        Some(Room { width, cut: true, fold: false })
    }

    #[test]
    fn the_name_of_a_row_is_cut_last() {
        let table = Table::new(["Site", "By", "Reason"]).row(("blocks.0.attn.pattern", 0.5, "x".repeat(60)));
        let cut = lines(&table, pane(60));
        assert!(cut[1].starts_with("blocks.0.attn.pattern  0.5  xxxx") && cut[1].width() == 60, "{cut:?}");
        assert!(lines(&table, pane(24))[1].starts_with("blocks.0~"), "it is cut when nothing else is left to cut");
    }

    #[test]
    fn empty_tables() {
        assert!(lines(&Table::default(), None).is_empty());
        let short = Table { rows: vec![vec![Cell::Empty]], ..Table::new(["a", "b"]) };
        assert_eq!(lines(&short, None), ["a  b", ""]);
    }

    fn wide() -> Table {
        Table::new(["Head", "Kind", "previous", "first", "duplicate", "distance"])
            .title("heads")
            .row(("L0H0", "concentrated", 0.001_685, 0.1118, 1.226e-5, 12.3))
            .row(("L0H1", "", 0.75, 0.2, 0.25, 1.976))
    }

    #[test]
    fn a_table_is_set_more_closely_before_it_is_folded() {
        let shown = |width| lines(&wide(), Some(Room { width, cut: false, fold: true })).join("\n");
        assert_eq!(shown(57), lines(&wide(), None).join("\n"));
        insta::assert_snapshot!(shown(56), @r"
        heads
        Head Kind         previo~ first duplic~ dist~
        L0H0 concentrated 0.00169 0.112 1.23e-5  12.3
        L0H1                 0.75   0.2    0.25  1.98
        ");
        insta::assert_snapshot!(shown(44), @r"
        heads
        Head Kind         previ~ first dupli~ dist~
        L0H0 concentrated 0.0017  0.11 1.2e-5    12
        L0H1                0.75   0.2   0.25     2
        ");
        insta::assert_snapshot!(shown(42), @r"
        heads
        Head  Kind          previous   first
        L0H0  concentrated  0.001685  0.1118
        L0H1                    0.75     0.2
        Head  duplicate  distance
        L0H0   1.226e-5      12.3
        L0H1       0.25     1.976
        ");
        // One column next to the first is the least, whatever its width.
        assert_eq!(shown(3).lines().count(), 1 + 5 * 3);
    }

    proptest! {
        #[test]
        fn narrowed_lines_fit(texts in proptest::collection::vec("[a-z日本\u{1b}]{0,40}", 1..5), width in 24_usize..60) {
            let table = Table::new(["n", "a", "b"]).rows(texts.iter().map(|text| (1, text, text)));
            for line in lines(&table, pane(width)) {
                prop_assert!(line.width() <= width, "{line:?}");
            }
        }
    }
}
