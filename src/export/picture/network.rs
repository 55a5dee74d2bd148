//! A graph as a picture: boxes in the cells of a grid, and lines between them.

use super::{BLACK, Canvas, Colour, Drawing, End, GAP, GREY, LINE, MARGIN, folded, wide};
use crate::export::ExportError;

/// Lines of something positive, and of something negative.
const POSITIVE: Colour = [33, 102, 172];
const NEGATIVE: Colour = [178, 24, 43];

/// Units between the rows of cells, in which lines are seen.
const BETWEEN: usize = 28;

/// The widest line, in units; the thinnest has one.
const THICKEST: f64 = 5.0;

/// Titles are not folded below this width.
const TITLE: usize = 480;

/// What a node is, as its colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Feature,
    Token,
    Output,
    /// What is not explained.
    Error,
    Bias,
}

impl Kind {
    const ALL: [(Kind, &'static str); 5] = [
        (Kind::Feature, "neuron"),
        (Kind::Token, "token"),
        (Kind::Output, "logit"),
        (Kind::Error, "not explained"),
        (Kind::Bias, "bias"),
    ];

    fn colour(self) -> Colour {
        match self {
            Kind::Feature => [198, 219, 239],
            Kind::Token => [217, 217, 217],
            Kind::Output => [253, 216, 118],
            Kind::Error => [252, 187, 161],
            Kind::Bias => [229, 245, 224],
        }
    }
}

pub struct Point {
    /// The column and the row of its cell, from the upper left.
    pub cell: (usize, usize),
    pub kind: Kind,
    pub label: String,
    /// What is said of it where a pointer rests.
    pub about: String,
}

pub struct Link {
    /// Nodes, by their numbers.
    pub from: usize,
    pub to: usize,
    pub weight: f64,
}

pub struct Network {
    pub title: String,
    /// What is written below the columns, and before the rows.
    pub columns: Vec<String>,
    pub rows: Vec<String>,
    pub points: Vec<Point>,
    pub links: Vec<Link>,
}

/// Where everything is, in units.
struct Plan {
    title: Vec<String>,
    /// Where the grid begins, and the place and the width of each column.
    top: usize,
    columns: Vec<(usize, usize)>,
    /// The left edge of each node, and its upper one.
    corners: Vec<(usize, usize)>,
    size: (usize, usize),
}

impl Network {
    fn width(&self, point: usize) -> usize {
        wide(&self.points[point].label) + GAP
    }

    fn plan(&self) -> Plan {
        let names = self.rows.iter().map(|row| wide(row)).max().unwrap_or(0);
        let mut filled = vec![vec![0; self.rows.len()]; self.columns.len()];
        let mut along = Vec::new();
        for (number, point) in self.points.iter().enumerate() {
            let cell = &mut filled[point.cell.0][point.cell.1];
            along.push(*cell);
            *cell += self.width(number) + GAP;
        }
        let (mut x, mut columns) = (MARGIN + names + 2 * GAP, Vec::new());
        for (label, cells) in self.columns.iter().zip(&filled) {
            let width = cells.iter().copied().max().unwrap_or(0).max(wide(label));
            columns.push((x, width));
            x += width + 2 * GAP;
        }
        let title = folded(&self.title, x.max(TITLE));
        let top = MARGIN + title.len() * LINE + 2 * GAP;
        let height = top + self.rows.len() * (LINE + BETWEEN) + 3 * LINE + MARGIN;
        let legend: usize = Kind::ALL.iter().map(|(_, name)| wide(name) + LINE + 3 * GAP).sum();
        let widest = title.iter().map(|line| wide(line)).max().unwrap_or(0).max(legend);
        let corner =
            |(point, along): (&Point, usize)| (columns[point.cell.0].0 + along, top + point.cell.1 * (LINE + BETWEEN));
        let corners = self.points.iter().zip(along).map(corner).collect();
        Plan { title, top, columns, corners, size: (x.max(widest + 2 * MARGIN), height) }
    }
}

impl Drawing for Network {
    fn size(&self) -> (usize, usize) {
        self.plan().size
    }

    fn draw(&self, on: &mut dyn Canvas) {
        let plan = self.plan();
        for (i, line) in plan.title.iter().enumerate() {
            on.text((MARGIN, MARGIN + i * LINE), End::Left, line, BLACK);
        }
        for (i, row) in self.rows.iter().enumerate() {
            on.text((MARGIN, plan.top + i * (LINE + BETWEEN)), End::Left, row, GREY);
        }
        let largest = self.links.iter().fold(0.0f64, |largest, link| largest.max(link.weight.abs()));
        // The strongest are drawn last, over the others.
        let mut order: Vec<&Link> = self.links.iter().collect();
        order.sort_by(|a, b| a.weight.abs().total_cmp(&b.weight.abs()));
        for link in order {
            let end = |node: usize, down: usize| {
                let (x, y) = plan.corners[node];
                (x + self.width(node) / 2, y + down)
            };
            let share = if largest > 0.0 { link.weight.abs() / largest } else { 0.0 };
            let colour = if link.weight < 0.0 { NEGATIVE } else { POSITIVE };
            let [from, to] = [link.from, link.to].map(|node| &self.points[node].about);
            let tip = format!("{from} to {to}: {}", super::number(link.weight));
            on.line(end(link.from, 0), end(link.to, LINE), 1.0 + (THICKEST - 1.0) * share, colour, &tip);
        }
        for (number, (point, &(x, y))) in self.points.iter().zip(&plan.corners).enumerate() {
            on.rectangle((x, y), (self.width(number), LINE), point.kind.colour(), Some(&point.about));
            on.text((x + GAP / 2, y), End::Left, &point.label, BLACK);
        }
        let foot = plan.top + self.rows.len() * (LINE + BETWEEN) - BETWEEN + GAP;
        for (label, &(x, _)) in self.columns.iter().zip(&plan.columns) {
            on.text((x, foot), End::Left, label, GREY);
        }
        let mut x = MARGIN;
        for (kind, name) in Kind::ALL {
            on.rectangle((x, foot + 2 * LINE), (LINE, LINE), kind.colour(), None);
            on.text((x + LINE + GAP, foot + 2 * LINE), End::Left, name, BLACK);
            x += LINE + 3 * GAP + wide(name);
        }
    }

    fn too_large(&self, most: usize) -> ExportError {
        ExportError::TooManyNodes { nodes: self.points.len(), most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::picture;

    fn network(nodes: usize) -> Network {
        let point = |i: usize| Point {
            cell: (i % 2, i % 3),
            kind: Kind::Feature,
            label: format!("<{i}>"),
            about: format!("node {i}"),
        };
        Network {
            title: "a graph".into(),
            columns: vec!["one".into(), "two".into()],
            rows: vec!["logits".into(), "L0".into(), "tokens".into()],
            points: (0..nodes).map(point).collect(),
            links: vec![Link { from: 0, to: 1, weight: -2.0 }, Link { from: 2, to: 1, weight: 1.0 }],
        }
    }

    #[test]
    fn nodes_are_boxes_and_edges_are_lines_as_thick_as_they_are_large() {
        let page = picture::network_svg(&network(6));
        assert!(page.contains(">&lt;3&gt;</text>") && page.contains("<title>node 5</title>"), "{page}");
        let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("<line")).collect();
        assert!(lines[0].contains("stroke-width=\"3.0\"") && lines[0].contains("node 2 to node 1: 1"), "{lines:?}");
        assert!(lines[1].contains("stroke-width=\"5.0\"") && lines[1].contains("rgb(178,24,43)"), "{lines:?}");
        // No box covers another.
        let plan = network(6).plan();
        let boxes: Vec<_> = (0..6).map(|i| (plan.corners[i], network(6).width(i))).collect();
        for (i, &((x, y), width)) in boxes.iter().enumerate() {
            for &((other, line), _) in &boxes[i + 1..] {
                assert!(y != line || other >= x + width || other < x, "{boxes:?}");
            }
        }
        assert!(picture::network_png(&network(6)).unwrap().starts_with(b"\x89PNG"));
        let error = picture::network_png(&network(3000)).unwrap_err().to_string();
        assert!(error.starts_with("3000 nodes do not fit into 8192 pixels"), "{error}");
    }
}
