//! A table as a picture of a table.

use super::{BLACK, Canvas, Drawing, End, GAP, GREY, LETTER, LINE, MARGIN, folded, wide};
use crate::answer::text::visible;
use crate::answer::{Cell, Table, numbers};
use crate::export::ExportError;
use crate::export::report::plain;

/// Titles are not folded below this width.
const TITLE: usize = 480;

/// A table as text, with the width of each column in units.
pub struct Sheet {
    title: Vec<String>,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
    /// Whether a column holds numbers, which end at one place.
    numbers: Vec<bool>,
}

impl Sheet {
    pub fn of(table: &Table) -> Sheet {
        let text = |cell: &Cell| match cell {
            Cell::Num(x) => numbers::short(*x),
            other => visible(&plain(other)),
        };
        let rows: Vec<Vec<String>> = table.rows.iter().map(|row| row.iter().map(text).collect()).collect();
        let columns: Vec<String> = table.columns.iter().map(|name| visible(name)).collect();
        let width = |i: usize| {
            let cells = rows.iter().filter_map(|row| row.get(i));
            cells.chain([&columns[i]]).map(|text| wide(text)).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns.len()).map(width).collect();
        let is_text = |i: usize| table.rows.iter().any(|row| matches!(row.get(i), Some(Cell::Text(_))));
        let numbers = (0..columns.len()).map(|i| !is_text(i)).collect();
        let mut sheet = Sheet { title: Vec::new(), columns, rows, widths, numbers };
        sheet.title = folded(&table.title, (sheet.size().0 - 2 * MARGIN).max(TITLE));
        sheet
    }

    fn line(&self, on: &mut dyn Canvas, y: usize, cells: &[String], colour: super::Colour) {
        let mut x = MARGIN;
        for ((text, width), numbers) in cells.iter().zip(&self.widths).zip(&self.numbers) {
            match numbers {
                true => on.text((x + width, y), End::Right, text, colour),
                false => on.text((x, y), End::Left, text, colour),
            }
            x += width + 2 * LETTER;
        }
    }
}

impl Drawing for Sheet {
    fn size(&self) -> (usize, usize) {
        let between = self.columns.len().saturating_sub(1) * 2 * LETTER;
        let cells = self.widths.iter().sum::<usize>() + between;
        let title = self.title.iter().map(|line| wide(line)).max().unwrap_or(0);
        let lines = self.title.len() + 1 + self.rows.len();
        (cells.max(title) + 2 * MARGIN, lines * LINE + 2 * GAP + 2 * MARGIN)
    }

    fn draw(&self, on: &mut dyn Canvas) {
        for (i, line) in self.title.iter().enumerate() {
            on.text((MARGIN, MARGIN + i * LINE), End::Left, line, BLACK);
        }
        let top = MARGIN + self.title.len() * LINE + GAP;
        self.line(on, top, &self.columns, BLACK);
        on.rectangle((MARGIN, top + LINE + GAP / 3), (self.size().0 - 2 * MARGIN, 1), GREY, None);
        for (i, row) in self.rows.iter().enumerate() {
            self.line(on, top + (i + 1) * LINE + GAP, row, BLACK);
        }
    }

    fn too_large(&self, most: usize) -> ExportError {
        ExportError::TooManyRows { rows: self.rows.len(), most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Answer;
    use crate::export::picture;

    #[test]
    fn rows_are_lines_of_text_with_short_numbers() {
        let table = Table::new(["Head", "Value"]).title("heads <all>").row(("L0H1", 0.1 + 0.2)).row(("L2H0", f64::NAN));
        let page = picture::svg(&Answer::Table(table.clone())).unwrap();
        for text in [">heads &lt;all&gt;</text>", ">Head</text>", ">L0H1</text>", ">0.3</text>", ">NaN</text>"] {
            assert!(page.contains(text), "{text} is not in {page}");
        }
        assert!(picture::png(&Answer::Table(table)).unwrap().unwrap().starts_with(b"\x89PNG"));
        let long = Table::new(["x"]).rows((0..600usize).map(|i| (i,)));
        let error = picture::png(&Answer::Table(long)).unwrap().unwrap_err().to_string();
        assert!(error.starts_with("600 rows do not fit into 8192 pixels"), "{error}");
        assert_eq!(picture::svg(&Answer::Text("x".into())), None);
    }
}
