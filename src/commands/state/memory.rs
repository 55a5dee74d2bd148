//! What commands keep for the next one.

use std::collections::VecDeque;

use crate::analysis::graph::Graph;
use crate::analysis::why::Tree;
use crate::answer::{Answer, Cell, Style, Table};
use crate::tensor::Value;

/// What commands keep for the next one.
#[derive(Default)]
pub struct Memory {
    /// Where the last `x` ended.
    pub dump: Option<Dump>,
    pub displays: usize,
    pub highest_checkpoint: usize,
    /// The last attribution to positions: its title, and each token's share.
    pub attributed: Option<(String, Vec<(String, f64)>)>,
    /// What an interrupted sweep of patches has found, and what it was of.
    pub swept: Option<(String, Vec<f64>)>,
    pub compared: Option<Table>,
    /// The last attribution graph, and the nodes that were walked to; the last of them is shown.
    pub graph: Option<(Graph, Vec<usize>)>,
    /// The tree of the last `why`, and the node that it shows.
    pub why: Option<(String, Tree, usize)>,
    /// The last investigation.
    pub investigation: Option<Investigation>,
    /// Commands and what they answered, for tables and reports.
    pub record: Record,
    /// The folder and the arguments that the program was started with, and the commands since, as a journal has them.
    pub story: Option<(String, Vec<String>, String)>,
}

/// Where a dump of elements is.
pub struct Dump {
    pub text: String,
    pub value: Value,
    pub at: usize,
    pub count: usize,
    pub style: Style,
}

/// What an investigation has found, for pages and scripts.
pub struct Investigation {
    /// The command.
    pub line: String,
    pub table: Table,
    /// Every command that it ran, and what that answered.
    pub steps: Vec<(String, Answer)>,
    /// The same as lines of a script, with its measurements as assertions.
    pub script: Vec<String>,
}

const COMMANDS: usize = 4096;

/// Most memory that their answers take: a map of all heads is a megabyte, and a session of a day has thousands of commands.
const BYTES: usize = 32 << 20;

/// Commands and what they answered; the oldest are forgotten.
#[derive(Default)]
pub struct Record {
    all: VecDeque<(String, Answer)>,
    bytes: usize,
}

impl Record {
    pub fn keep(&mut self, line: &str, answer: &Answer) {
        self.all.push_back((line.trim().to_string(), answer.clone()));
        self.bytes += size(answer);
        // The last one stays, whatever its size: it is what "save table" writes.
        while self.all.len() > 1 && (self.all.len() > COMMANDS || self.bytes > BYTES) {
            if let Some((_, answer)) = self.all.pop_front() {
                self.bytes -= size(&answer);
            }
        }
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &(String, Answer)> {
        self.all.iter()
    }
}

fn size(answer: &Answer) -> usize {
    const EACH: usize = 48;
    match answer {
        Answer::Text(text) => text.len() + EACH,
        Answer::Value(value) => 8 * value.data.as_ref().map_or(0, Vec::len) + texts(&value.edge) + EACH,
        Answer::Table(table) => table
            .rows
            .iter()
            .flatten()
            .map(|cell| if let Cell::Text(text) = cell { text.len() + EACH } else { EACH })
            .sum(),
        Answer::Map(map) => 8 * map.data.len() + texts(&map.row_labels) + texts(&map.column_labels) + EACH,
        Answer::Tokens(tokens) => tokens.iter().map(|token| token.text.len() + token.bytes.len() + 2 * EACH).sum(),
        Answer::Stop(stop) => {
            texts(&stop.lines) + stop.displays.iter().map(|(_, _, answer)| size(answer)).sum::<usize>() + 2 * EACH
        }
        Answer::Error(error) => error.message.len() + EACH,
    }
}

fn texts(all: &[String]) -> usize {
    all.iter().map(|text| text.len() + 24).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_kept_up_to_so_many_bytes_and_the_last_one_always() {
        let mut record = Record::default();
        let large = Answer::Text("x".repeat(BYTES / 4));
        for number in 0..10 {
            record.keep(&format!("print {number}"), &large);
        }
        let lines: Vec<&str> = record.iter().map(|(line, _)| line.as_str()).collect();
        assert_eq!(lines, ["print 7", "print 8", "print 9"]);
        record.keep("print all", &Answer::Text("x".repeat(2 * BYTES)));
        assert_eq!(record.iter().map(|(line, _)| line.as_str()).collect::<Vec<_>>(), ["print all"]);
        for _ in 0..2 * COMMANDS {
            record.keep("step", &Answer::Text(String::new()));
        }
        assert_eq!(record.iter().count(), COMMANDS);
    }
}
