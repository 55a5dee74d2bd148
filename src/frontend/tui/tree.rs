//! The program as a tree of modules: the rows, the selection, and scrolling.

use std::collections::HashMap;

use crate::engine::messages::Snapshot;
use crate::model::site_name::InBlock;

/// The rows between the selection and the edge of the pane, where possible.
const MARGIN: usize = 1;

/// The number of modules that stay visible above the rows inside them, in a pane of at least that many rows.
const STICKY: usize = 2;
const STICKY_FROM: usize = 7;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    Module(usize),
    Op(usize),
    /// The end of the pass; shown when the cursor is there.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    pub node: Node,
    pub depth: usize,
    /// Whether it is a module whose ops are hidden.
    pub folded: bool,
}

#[derive(Clone, Debug)]
pub struct Tree {
    /// The selection, whose value the value pane shows.
    pub chosen: Node,
    /// Whether the selection moves with the cursor; any stop sets it again.
    pub follows: bool,
    pub scroll: usize,
    /// Modules that the user folded (true) or unfolded.
    folds: HashMap<usize, bool>,
}

impl Default for Tree {
    fn default() -> Self {
        Self { chosen: Node::Op(0), follows: true, scroll: 0, folds: HashMap::new() }
    }
}

impl Tree {
    /// All rows that are not hidden, in program order.
    pub fn rows(&self, snapshot: &Snapshot) -> Vec<Row> {
        let mut rows = Vec::new();
        if snapshot.modules.is_empty() {
            rows.extend((0..snapshot.ops.len()).map(|op| Row { node: Node::Op(op), depth: 0, folded: false }));
        } else {
            self.list(snapshot, 0, &mut rows);
        }
        if snapshot.live && snapshot.cursor >= snapshot.ops.len() {
            rows.push(Row { node: Node::End, depth: 0, folded: false });
        }
        rows
    }

    /// The inside of `module`: its ops and child modules in program order.
    fn list(&self, snapshot: &Snapshot, module: usize, rows: &mut Vec<Row>) {
        let modules = &snapshot.modules;
        let inside = modules[module].depth;
        let end = modules[module].end.min(snapshot.ops.len());
        let mut child = module + 1;
        let mut op = modules[module].start;
        while op < end {
            // Skip grandchildren that are already listed, and modules without ops.
            while child < modules.len()
                && modules[child].depth > inside
                && (modules[child].depth > inside + 1 || modules[child].end <= op)
            {
                child += 1;
            }
            match modules.get(child) {
                Some(next) if next.depth == inside + 1 && next.start <= op => {
                    let folded = self.is_folded(snapshot, child);
                    rows.push(Row { node: Node::Module(child), depth: inside, folded });
                    if !folded {
                        self.list(snapshot, child, rows);
                    }
                    op = next.end;
                    child += 1;
                }
                _ => {
                    rows.push(Row { node: Node::Op(op), depth: inside, folded: false });
                    op += 1;
                }
            }
        }
    }

    /// Whether a module is folded: as the user chose, or else if it is a block without the cursor.
    fn is_folded(&self, snapshot: &Snapshot, module: usize) -> bool {
        let Some(line) = snapshot.modules.get(module) else { return false };
        let holds_cursor = (line.start..line.end).contains(&snapshot.cursor);
        self.folds.get(&module).copied().unwrap_or(is_block(&line.path) && !holds_cursor)
    }

    /// Folds or unfolds `module`; `None` toggles it.
    pub fn fold(&mut self, snapshot: &Snapshot, module: usize, folded: Option<bool>) {
        let folded = folded.unwrap_or(!self.is_folded(snapshot, module));
        self.folds.insert(module, folded);
    }

    pub fn reveal(&mut self, snapshot: &Snapshot, op: usize) {
        for (index, module) in snapshot.modules.iter().enumerate() {
            if (module.start..module.end).contains(&op) && self.is_folded(snapshot, index) {
                self.folds.insert(index, false);
            }
        }
    }

    /// Selects the op just computed. Blocks that the user folded or unfolded stay so.
    pub fn follow(&mut self, snapshot: &Snapshot) {
        self.follows = true;
        self.chosen = Node::Op(snapshot.cursor.min(snapshot.ops.len()).saturating_sub(1));
    }

    /// The row of the selection, or of the folded module that hides it.
    pub fn chosen_row(&self, snapshot: &Snapshot, rows: &[Row]) -> usize {
        if let Some(row) = rows.iter().position(|row| row.node == self.chosen) {
            return row;
        }
        let hides = |row: &Row| match (row.node, self.chosen) {
            (Node::Module(module), Node::Op(op)) => {
                snapshot.modules.get(module).is_some_and(|line| (line.start..line.end).contains(&op))
            }
            (Node::Module(module), Node::Module(inner)) => {
                let (outer, inner) = (snapshot.modules.get(module), snapshot.modules.get(inner));
                outer.zip(inner).is_some_and(|(outer, inner)| outer.start <= inner.start && inner.end <= outer.end)
            }
            _ => false,
        };
        rows.iter().rposition(hides).unwrap_or(rows.len().saturating_sub(1))
    }

    /// Moves the selection to row `row`.
    pub fn choose_row(&mut self, rows: &[Row], row: usize) {
        if let Some(row) = rows.get(row.min(rows.len().saturating_sub(1))) {
            self.choose(row.node);
        }
    }

    /// Moves the selection, which no longer follows the cursor.
    pub fn choose(&mut self, node: Node) {
        self.chosen = node;
        self.follows = false;
    }

    /// The op whose value is shown for the selection: of a module, its last op.
    pub fn chosen_op(&self, snapshot: &Snapshot) -> Option<usize> {
        let op = match self.chosen {
            Node::Op(op) => op,
            Node::Module(module) => snapshot.modules.get(module)?.end.checked_sub(1)?,
            Node::End => snapshot.ops.len().checked_sub(1)?,
        };
        (op < snapshot.ops.len()).then_some(op)
    }

    /// The rows that `height` rows show, with their numbers: the modules around the first one stay above it.
    pub fn shown(&self, rows: &[Row], height: usize) -> Vec<(usize, Row)> {
        let around = |at: usize| -> Vec<(usize, Row)> {
            let mut found = Vec::new();
            let mut depth = rows.get(at).map_or(0, |row| row.depth);
            for (number, row) in rows.iter().enumerate().take(at).rev() {
                if row.depth < depth && matches!(row.node, Node::Module(_)) {
                    depth = row.depth;
                    found.push((number, *row));
                }
            }
            found.reverse();
            found
        };
        let most = if height < STICKY_FROM { 0 } else { STICKY };
        let mut heads = Vec::new();
        for count in 0..=most {
            heads = around(self.scroll + count);
            heads.truncate(most);
            if heads.len() <= count {
                break;
            }
        }
        let first = self.scroll + heads.len();
        heads.into_iter().chain(rows.iter().copied().enumerate().skip(first)).take(height).collect()
    }

    /// Scrolls as little as possible so that the selection, and the cursor if there is room, is visible in `height`
    /// rows.
    pub fn settle(&mut self, snapshot: &Snapshot, height: usize) {
        let rows = self.rows(snapshot);
        let chosen = self.chosen_row(snapshot, &rows);
        let cursor = match self.follows {
            true => rows.iter().position(|row| row.node == Node::Op(snapshot.cursor) || row.node == Node::End),
            false => None,
        };
        let last = cursor.filter(|cursor| *cursor > chosen && cursor - chosen < height).unwrap_or(chosen);
        let margin = MARGIN.min(height.saturating_sub(1) / 2);
        let lowest = (last + margin + 1).saturating_sub(height);
        let heads = if height < STICKY_FROM { 0 } else { rows.get(chosen).map_or(0, |row| row.depth.min(STICKY)) };
        let highest = chosen.saturating_sub(margin + heads);
        self.scroll = self.scroll.max(lowest).min(highest).min(rows.len().saturating_sub(height));
    }
}

/// Whether `path` is that of a block: `blocks.3`.
fn is_block(path: &str) -> bool {
    InBlock::parse(path).is_some_and(|at| at.part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::tui::fixture;

    fn labels(tree: &Tree, snapshot: &Snapshot) -> Vec<String> {
        let label = |row: &Row| match row.node {
            Node::Module(module) => snapshot.modules[module].path.clone() + if row.folded { " +" } else { "" },
            Node::Op(op) => snapshot.ops[op].site.clone(),
            Node::End => "end".to_string(),
        };
        tree.rows(snapshot).iter().map(label).collect()
    }

    #[test]
    fn only_the_block_of_the_cursor_is_open() {
        let snapshot = fixture::snapshot_at("blocks.2.attn.pattern");
        let labels = labels(&Tree::default(), &snapshot);
        assert!(labels.contains(&"blocks.1 +".to_string()));
        assert!(labels.contains(&"blocks.2.attn.scores".to_string()));
        assert!(!labels.contains(&"blocks.1.attn.scores".to_string()));
        assert!(labels.contains(&"logits".to_string()));
    }

    #[test]
    fn everything_unfolded_lists_every_op_once_in_order() {
        let snapshot = fixture::snapshot_at("blocks.2.attn.pattern");
        let mut tree = Tree::default();
        (0..snapshot.ops.len()).for_each(|op| tree.reveal(&snapshot, op));
        let ops: Vec<Node> =
            tree.rows(&snapshot).iter().map(|row| row.node).filter(|node| matches!(node, Node::Op(_))).collect();
        assert_eq!(ops, (0..snapshot.ops.len()).map(Node::Op).collect::<Vec<_>>());
    }

    #[test]
    fn a_hidden_choice_shows_at_the_module_that_hides_it() {
        let snapshot = fixture::snapshot_at("blocks.2.attn.pattern");
        let mut tree = Tree::default();
        let op = snapshot.ops.iter().position(|op| op.site == "blocks.1.attn.z").expect("the op");
        tree.chosen = Node::Op(op);
        let rows = tree.rows(&snapshot);
        let row = tree.chosen_row(&snapshot, &rows);
        assert!(matches!(rows[row].node, Node::Module(module) if snapshot.modules[module].path == "blocks.1"));
        assert_eq!(tree.chosen_op(&snapshot), Some(op));
    }

    #[test]
    fn the_choice_stays_in_view() {
        let snapshot = fixture::snapshot_at("blocks.2.attn.pattern");
        let mut tree = Tree::default();
        for height in [0, 1, 3, 10, 100] {
            for row in 0..tree.rows(&snapshot).len() {
                let rows = tree.rows(&snapshot);
                tree.choose_row(&rows, row);
                tree.settle(&snapshot, height);
                assert!(height == 0 || (tree.scroll..tree.scroll + height).contains(&row), "{row} in {height}");
            }
        }
    }
}
