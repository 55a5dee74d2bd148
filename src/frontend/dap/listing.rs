//! The program of the model as a source: a line for each op, under the modules that it is in.

use std::path::PathBuf;

use super::Failure;
use crate::answer::{Answer, text};
use crate::engine::messages::Snapshot;
use crate::engine::state_folder;
use crate::frontend::client::Client;

/// What is known of an op beyond its name.
#[derive(Clone, Debug, Default)]
pub struct Op {
    pub site: String,
    /// `[pos=14, dim=128]`.
    pub axes: String,
    /// Sites that it reads.
    pub reads: Vec<String>,
    /// Weights that it reads.
    pub weights: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Listing {
    pub name: String,
    pub lines: Vec<String>,
    /// The op of each line; for the line of a module, its first.
    pub ops_of_lines: Vec<usize>,
    /// The line of each op, from 0.
    pub lines_of_ops: Vec<usize>,
    /// The line of each module, from 0.
    pub lines_of_modules: Vec<usize>,
    pub ops: Vec<Op>,
    /// The file that has it, so that an editor keeps its breakpoints; `None` if it cannot be written.
    pub path: Option<PathBuf>,
}

impl Listing {
    /// Makes the listing of a session, and writes it to the folder of what the program remembers.
    pub fn new(client: &mut Client) -> Result<Listing, Failure> {
        let snapshot = client.snapshot().clone();
        let mut ops = Vec::new();
        for op in snapshot.ops.iter() {
            let answer = client.query(&format!("ptype {}", op.site))?;
            ops.push(described(&op.site, &answer));
        }
        let mut listing = Listing { name: name_of(&snapshot), ops, ..Listing::default() };
        listing.write_lines(&snapshot);
        let folder = state_folder().map(|folder| folder.join("listings"));
        listing.path = folder.and_then(|folder| {
            let path = folder.join(&listing.name);
            let text = listing.text();
            // An editor has it open: it is not written if it is the same.
            let same = std::fs::read_to_string(&path).is_ok_and(|found| found == text);
            let written = same || (std::fs::create_dir_all(&folder).is_ok() && std::fs::write(&path, text).is_ok());
            written.then_some(path)
        });
        Ok(listing)
    }

    fn write_lines(&mut self, snapshot: &Snapshot) {
        self.lines_of_modules = vec![0; snapshot.modules.len()];
        for (number, op) in self.ops.iter().enumerate() {
            // The modules that begin here, the outermost first.
            for (index, module) in snapshot.modules.iter().enumerate() {
                if module.start == number && module.end > module.start && !module.path.is_empty() {
                    self.lines_of_modules[index] = self.lines.len();
                    self.lines.push(format!("{}{}:", "    ".repeat(module.depth - 1), module.path));
                    self.ops_of_lines.push(number);
                }
            }
            let inside = snapshot.ops.get(number).and_then(|op| snapshot.modules.get(op.module));
            let depth = inside.map_or(0, |module| module.depth);
            let reads: Vec<&str> = op.reads.iter().chain(&op.weights).map(String::as_str).collect();
            self.lines_of_ops.push(self.lines.len());
            self.lines.push(format!("{}{} <- {}  # {}", "    ".repeat(depth), op.site, reads.join(", "), op.axes));
            self.ops_of_lines.push(number);
        }
    }

    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// The source, as the protocol describes it.
    pub fn source(&self) -> serde_json::Value {
        match &self.path {
            Some(path) => serde_json::json!({"name": self.name, "path": path.display().to_string()}),
            None => serde_json::json!({"name": self.name, "sourceReference": 1}),
        }
    }

    /// Whether a source of the protocol is this one.
    pub fn is(&self, source: &serde_json::Value) -> bool {
        let name = |path: &str| path.rsplit(['/', '\\']).next().unwrap_or_default().to_string();
        let by_path = source["path"].as_str().map(name).is_some_and(|found| found == self.name);
        by_path || source["sourceReference"].as_i64() == Some(1) || source["name"].as_str() == Some(&self.name)
    }
}

/// A name for a file.
fn name_of(snapshot: &Snapshot) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    format!("{}.llm", snapshot.model.chars().take(80).map(plain).collect::<String>().trim_start_matches('.'))
}

/// What `ptype` says of a site: its axes, and what it reads.
fn described(site: &str, answer: &Answer) -> Op {
    let mut op = Op { site: site.into(), ..Op::default() };
    for line in text::lines(answer, None) {
        if let Some(read) = line.strip_prefix("  reads weight ") {
            op.weights.extend(read.split_whitespace().next().map(String::from));
        } else if let Some(read) = line.strip_prefix("  reads ") {
            op.reads.extend(read.split_whitespace().next().map(String::from));
        } else if let Some((_, rest)) = line.split_once(" [").filter(|(name, _)| *name == site) {
            op.axes = format!("[{}]", rest.split(']').next().unwrap_or_default());
        }
    }
    op
}
