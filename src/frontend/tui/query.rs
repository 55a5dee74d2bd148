//! The state of a pane that shows the answer of a command: the answer, and the selected row or cell.

use super::asking::Asking;
use crate::answer::{Answer, Cell};

#[derive(Clone, Debug, Default)]
pub struct QueryPane {
    pub answer: Option<Answer>,
    /// The selected row, and in a map the selected column.
    pub at: (usize, usize),
    pub asking: Asking<String>,
    /// Whether the last row of the first answer is selected.
    from_end: bool,
}

impl QueryPane {
    pub fn new(from_end: bool) -> Self {
        Self { from_end, ..Self::default() }
    }

    /// Takes the answer, if it is the answer to the request of this pane.
    pub fn receive(&mut self, line: &str, answer: &Answer) {
        if self.asking.asked.as_deref() == Some(line) {
            self.asking.answered();
            self.answer = Some(answer.clone());
            let is_there = !matches!(answer, Answer::Error(_));
            let down = if is_there && std::mem::take(&mut self.from_end) { isize::MAX } else { 0 };
            self.shift(down, 0);
        }
    }

    pub fn is_map(&self) -> bool {
        matches!(self.answer, Some(Answer::Map(_)))
    }

    fn extent(&self) -> (usize, usize) {
        match &self.answer {
            Some(Answer::Table(table)) => (table.rows.len(), 1),
            Some(Answer::Map(map)) => (map.rows, map.columns),
            Some(Answer::Text(text)) => (text.lines().count(), 1),
            Some(Answer::Tokens(tokens)) => (tokens.len(), 1),
            _ => (1, 1),
        }
    }

    pub fn shift(&mut self, rows: isize, columns: isize) {
        let (height, width) = self.extent();
        self.at.0 = self.at.0.saturating_add_signed(rows).min(height.saturating_sub(1));
        self.at.1 = self.at.1.saturating_add_signed(columns).min(width.saturating_sub(1));
    }

    /// The cells of the selected row of a table, with the names of their columns.
    pub fn row(&self) -> Vec<(&str, &Cell)> {
        let Some(Answer::Table(table)) = &self.answer else { return Vec::new() };
        let cells = table.rows.get(self.at.0).map_or(&[][..], Vec::as_slice);
        table.columns.iter().map(String::as_str).zip(cells).collect()
    }

    /// The labels of the selected row and column of a map.
    pub fn cell(&self) -> Option<(&str, &str)> {
        let Some(Answer::Map(map)) = &self.answer else { return None };
        Some((map.row_labels.get(self.at.0)?, map.column_labels.get(self.at.1)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_is_pending_and_answers_to_others_are_ignored() {
        let mut pane = QueryPane::default();
        assert_eq!(pane.asking.request("lens".into()).as_deref(), Some("lens"));
        assert_eq!(pane.asking.request("lens".into()), None);
        pane.receive("heads", &Answer::Text("no".into()));
        assert_eq!(pane.answer, None);
        pane.receive("lens", &Answer::Text("yes\nno".into()));
        assert_eq!(pane.asking.request("lens".into()), None);
        pane.shift(5, 5);
        assert_eq!(pane.at, (1, 0));
        pane.asking.invalidate();
        assert_eq!(pane.asking.request("lens".into()).as_deref(), Some("lens"));
        pane.receive("lens", &Answer::Text("one".into()));
        assert_eq!(pane.at, (0, 0), "the choice stays inside");
    }
}
