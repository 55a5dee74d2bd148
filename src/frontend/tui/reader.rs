//! The last answer, to be read in the whole window: scrolled with the keys of a pager, and filtered.

use tui_input::Input;

use super::text as shown;
use crate::answer::{Answer, text};

#[derive(Clone, Debug, Default)]
pub struct AnswerReader {
    /// The command, its answer, and what it printed before.
    answer: Option<(String, Answer, Vec<String>)>,
    /// Only lines that have this text are shown, whatever its case.
    pub filter: Input,
    /// Whether keys go to the filter.
    pub filtering: bool,
    /// The first row that is shown.
    pub at: usize,
}

impl AnswerReader {
    pub fn take(&mut self, line: &str, answer: &Answer, printed: &[String]) {
        self.answer = Some((line.trim().to_string(), answer.clone(), printed.to_vec()));
    }

    pub fn is_empty(&self) -> bool {
        self.answer.is_none()
    }

    /// Begins to read.
    pub fn open(&mut self) {
        (self.filter, self.filtering, self.at) = (Input::default(), false, 0);
    }

    /// The command.
    pub fn title(&self) -> &str {
        self.answer.as_ref().map_or("", |(line, ..)| line)
    }

    /// The rows in a window of so many columns, and how many there would be without the filter. The heading of a table
    /// stays whatever the filter is.
    pub fn rows(&self, columns: usize) -> (Vec<String>, usize) {
        let Some((_, answer, printed)) = &self.answer else { return (Vec::new(), 0) };
        let said = printed.iter().flat_map(|text| text.lines()).map(text::visible);
        let mut rows: Vec<String> = said.collect();
        let heading = rows.len();
        rows.extend(text::lines(answer, Some(columns)));
        let count = rows.len();
        let is_table = matches!(answer, Answer::Table(_));
        let wanted = self.filter.value().trim().to_lowercase();
        let mut kept: Vec<String> = Vec::new();
        for (at, row) in rows.into_iter().enumerate() {
            if wanted.is_empty() || (is_table && at == heading) || row.to_lowercase().contains(&wanted) {
                kept.extend(shown::wrap(&row, columns));
            }
        }
        (kept, count)
    }

    /// Scrolls so that `at` is the first row of `height`, as far as there are rows.
    pub fn scroll_to(&mut self, at: usize, columns: usize, height: usize) {
        let rows = self.rows(columns).0.len();
        self.at = at.min(rows.saturating_sub(height));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Table;

    #[test]
    fn a_filter_keeps_the_heading_and_the_lines_that_have_its_text() {
        let mut reader = AnswerReader::default();
        let rows = (0..40).map(|n| (format!("L{n}"), format!("Word{n}")));
        reader.take("lens", &Table::new(["At", "Token"]).rows(rows).into(), &["said before".to_string()]);
        assert_eq!(reader.rows(60).0.len(), 42);
        reader.filter = Input::new("word7".into());
        let (rows, all) = reader.rows(60);
        assert_eq!(all, 42);
        assert!(rows[0].starts_with("At") && rows[1].starts_with("L7"), "{rows:?}");
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn scrolling_ends_at_the_last_row() {
        let mut reader = AnswerReader::default();
        reader.take("help", &Answer::Text("line\n".repeat(50)), &[]);
        reader.scroll_to(usize::MAX, 80, 20);
        assert_eq!(reader.at, 30);
        reader.filter = Input::new("nothing like it".into());
        reader.scroll_to(reader.at, 80, 20);
        assert_eq!(reader.at, 0);
    }
}
