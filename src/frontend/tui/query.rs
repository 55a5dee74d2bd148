//! State of a pane that shows the answer of a command: what was received, and which row or cell is chosen.

use super::asking::Asking;
use crate::answer::{Answer, Cell};

/// The pane's state.
#[derive(Clone, Debug, Default)]
pub struct QueryPane {
    /// The last answer.
    pub answer: Option<Answer>,
    /// The chosen row, and in a map the chosen column.
    pub at: (usize, usize),
    asking: Asking<String>,
}

impl QueryPane {
    /// Notes that the answer may have changed.
    pub fn invalidate(&mut self) {
        self.asking.invalidate();
    }

    /// Whether a newer answer is to come.
    pub fn is_behind(&self) -> bool {
        self.asking.is_behind()
    }

    /// The command to send so that the answer to `line` comes to be shown, if any. One is under way at a time.
    pub fn request(&mut self, line: &str) -> Option<String> {
        self.asking.request(line.to_string())
    }

    /// Takes the answer, if it is to what this pane asked.
    pub fn receive(&mut self, line: &str, answer: &Answer) {
        if self.asking.asked.as_deref() == Some(line) {
            self.asking.answered();
            self.answer = Some(answer.clone());
            self.shift(0, 0);
        }
    }

    /// Rows and columns that can be chosen.
    fn extent(&self) -> (usize, usize) {
        match &self.answer {
            Some(Answer::Table(table)) => (table.rows.len(), 1),
            Some(Answer::Map(map)) => (map.rows, map.columns),
            Some(Answer::Text(text)) => (text.lines().count(), 1),
            Some(Answer::Tokens(tokens)) => (tokens.len(), 1),
            _ => (1, 1),
        }
    }

    /// Moves the choice.
    pub fn shift(&mut self, rows: isize, columns: isize) {
        let (height, width) = self.extent();
        self.at.0 = self.at.0.saturating_add_signed(rows).min(height.saturating_sub(1));
        self.at.1 = self.at.1.saturating_add_signed(columns).min(width.saturating_sub(1));
    }

    /// The cells of the chosen row of a table, with the names of their columns.
    pub fn row(&self) -> Vec<(&str, &Cell)> {
        let Some(Answer::Table(table)) = &self.answer else { return Vec::new() };
        let cells = table.rows.get(self.at.0).map_or(&[][..], Vec::as_slice);
        table.columns.iter().map(String::as_str).zip(cells).collect()
    }

    /// The label of the chosen row and column of a map.
    pub fn cell(&self) -> Option<(&str, &str)> {
        let Some(Answer::Map(map)) = &self.answer else { return None };
        Some((map.row_labels.get(self.at.0)?, map.column_labels.get(self.at.1)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_is_under_way_and_answers_to_others_are_passed_over() {
        let mut pane = QueryPane::default();
        assert_eq!(pane.request("lens").as_deref(), Some("lens"));
        assert_eq!(pane.request("lens"), None);
        pane.receive("heads", &Answer::Text("no".into()));
        assert_eq!(pane.answer, None);
        pane.receive("lens", &Answer::Text("yes\nno".into()));
        assert_eq!(pane.request("lens"), None);
        pane.shift(5, 5);
        assert_eq!(pane.at, (1, 0));
        pane.invalidate();
        assert_eq!(pane.request("lens").as_deref(), Some("lens"));
        pane.receive("lens", &Answer::Text("one".into()));
        assert_eq!(pane.at, (0, 0), "the choice stays inside");
    }
}
