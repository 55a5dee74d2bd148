//! Tables as text: columns aligned by display width, numbers to the right.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::visible;
use crate::answer::numbers::short;
use crate::answer::{Cell, Table};

/// Between two columns.
const GAP: &str = "  ";

/// A text column is never narrowed below this.
const NARROWEST: usize = 8;

/// The lines of `table`: title, column names, rows. With a `width`, the widest text columns are cut until the lines
/// fit.
pub fn lines(table: &Table, width: Option<usize>) -> Vec<String> {
    let head: Vec<String> = table.columns.iter().map(|name| visible(name)).collect();
    let rows: Vec<Vec<String>> = table.rows.iter().map(|row| row.iter().map(cell_text).collect()).collect();
    let columns = rows.iter().map(Vec::len).chain([head.len()]).max().unwrap_or(0);
    let right: Vec<bool> = (0..columns).map(|i| is_numeric(table, i)).collect();
    let mut widths: Vec<usize> = (0..columns)
        .map(|i| rows.iter().chain([&head]).filter_map(|row| row.get(i)).map(|text| text.width()).max().unwrap_or(0))
        .collect();
    if let Some(width) = width {
        narrow(&mut widths, &right, width);
    }
    let line = |row: &Vec<String>| {
        let cell = |(i, &width): (usize, &usize)| fit(row.get(i).map_or("", String::as_str), width, right[i]);
        widths.iter().enumerate().map(cell).collect::<Vec<_>>().join(GAP).trim_end().to_string()
    };
    let title = table.title.lines().map(visible);
    let head = (!head.iter().all(String::is_empty)).then(|| line(&head));
    title.chain(head).chain(rows.iter().map(line)).collect()
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

/// Narrows the widest text column until the line fits `width` or no text column can be narrowed further. The first
/// column names the row: up to half the width, it is narrowed last.
fn narrow(widths: &mut [usize], right: &[bool], width: usize) {
    loop {
        let total = widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1);
        let gives = |i: &usize| !right[*i] && widths[*i] > NARROWEST;
        let first = |i: &usize| *i > 0 || widths[0] > width / 2;
        let widest = (0..widths.len()).filter(gives).filter(first).max_by_key(|&i| widths[i]);
        match widest.or_else(|| (0..widths.len()).find(gives)) {
            Some(i) if total > width => widths[i] -= 1,
            _ => return,
        }
    }
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

    #[test]
    fn the_name_of_a_row_is_cut_last() {
        let table = Table::new(["Site", "By", "Reason"]).row(("blocks.0.attn.pattern", 0.5, "x".repeat(60)));
        let cut = lines(&table, Some(60));
        assert!(cut[1].starts_with("blocks.0.attn.pattern  0.5  xxxx") && cut[1].width() == 60, "{cut:?}");
        assert!(lines(&table, Some(24))[1].starts_with("blocks.0~"), "it is cut when nothing else is left to cut");
    }

    #[test]
    fn empty_tables() {
        assert!(lines(&Table::default(), None).is_empty());
        let short = Table { rows: vec![vec![Cell::Empty]], ..Table::new(["a", "b"]) };
        assert_eq!(lines(&short, None), ["a  b", ""]);
    }

    proptest! {
        #[test]
        fn narrowed_lines_fit(texts in proptest::collection::vec("[a-z日本\u{1b}]{0,40}", 1..5), width in 24_usize..60) {
            let table = Table::new(["n", "a", "b"]).rows(texts.iter().map(|text| (1, text, text)));
            for line in lines(&table, Some(width)) {
                prop_assert!(line.width() <= width, "{line:?}");
            }
        }
    }
}
