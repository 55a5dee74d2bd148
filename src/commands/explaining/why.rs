//! `why`: where a number came from, level by level; `why nan` is in [`super::nonfinite`].

use crate::analysis::why::{How, Level, Of, Part, Tree};
use crate::answer::Table;
use crate::answer::numbers::significant;
use crate::answer::text::quoted;
use crate::commands::explaining::nonfinite::why_nan;
use crate::commands::frame::{Done, mistake};
use crate::commands::state::{ANALYSING, Call, Command, Console, Takes};
use crate::debugger::{Error, Result};
use crate::lang::{Span, parse_expr};
use crate::model::site_name;
use crate::program::Along;
use crate::tensor::Axis;

pub const COMMAND: Command = Command {
    name: "why",
    usage: "why [-depth N] [-top N] [-not TOKEN] EXPR\nwhy N\nwhy up\nwhy nan",
    about: "where a number came from: a tree whose levels add up, from the number back to the tokens",
    help: "Each level lists the largest parts of the one above it, and what the others add up to. Level says what it supposes: \
           exact where an op is linear in what it reads, scale held and pattern held where the scales of norms and attention \
           patterns count as constants, AttnLRP where activations, gates and scores are divided by those rules, first order \
           where the expression itself is not linear. why N goes on from the part with this number, why up goes back. Edits in \
           force are part of the run, and listed where they replace what an op computed. why nan finds the first op of the passes so \
           far that makes a NaN or an infinity: the element, the products that it is the sum of, or the weight and its place in \
           the file.",
    options: &[
        ("-depth N", "levels that are shown, 2 by default"),
        ("-top N", "parts of each level, 4 by default"),
        ("-not TOKEN", "explain the difference to this token's logit"),
    ],
    examples: &[
        "run\nwhy logit(\" Mary\") - logit(\" John\")\nwhy 1",
        "run\nwhy -not \" John\" logit(\" Mary\")",
        "run\nwhy -depth 1 -top 10 L2.resid_post[pos=-1, dim=5]",
        "set param(\"L2.mlp.W_out\")[5] = nan\nrun\nwhy nan",
    ],
    takes: Takes::Expression,
    run: why,
    ..ANALYSING
};

/// Levels that are shown, and parts of each.
const DEPTH: usize = 2;
const PARTS: usize = 4;

/// `why [-depth N] [-top N] [-not TOKEN] EXPR`, `why N`, `why up`.
pub fn why(console: &mut Console, call: Call<'_>) -> Done {
    let (given, text, offset) = call.options_before()?;
    let depth = given.count("-depth")?.unwrap_or(DEPTH);
    let top = given.count("-top")?.unwrap_or(PARTS);
    let foil = console.token_of(&given, "-not")?;
    let text = text.trim_end();
    let span = Span::new(offset, offset + text.len());
    if text == "nan" {
        return why_nan(console);
    }
    let (name, mut tree, root) = match (text, text.parse::<usize>(), foil) {
        ("", _, None) => console.last_why(span)?,
        ("up", _, None) => {
            let (name, tree, at) = console.last_why(span)?;
            let up = tree.nodes[at]
                .parent
                .ok_or_else(|| Error::refused("this is what was asked about: nothing is above it"))?;
            (name, tree, up)
        }
        (_, Ok(number), None) => {
            let (name, tree, _) = console.last_why(span)?;
            if number >= tree.nodes.len() {
                let message = format!("the last why has no part {number}; its parts are 0 to {}", tree.nodes.len() - 1);
                return Err(mistake(message, span, "why N shows the part with this number, why up what it is part of"));
            }
            (name, tree, number)
        }
        _ => {
            let expression = match foil {
                Some(token) if text.is_empty() => {
                    return Err(expected_number(span, &format!("why -not {token} logit(5)")));
                }
                Some(token) => format!("{text} - logit({token})"),
                None => text.to_string(),
            };
            let expr = match foil {
                Some(_) => parse_expr(&expression, 0)
                    .map_err(|error| mistake(error.message, span, "a number, such as logit(5)"))?,
                None => parse_expr(text, offset)?,
            };
            let name = match foil {
                Some(token) => format!("{text} - logit({})", quoted(&console.name_of(Axis::Vocab, token))),
                None => text.to_string(),
            };
            (name, Tree::new(&mut console.session, &expr)?, 0)
        }
    };
    let mut rows = Vec::new();
    let shown = console.listed(&mut tree, (root, 0), (depth, top), &mut rows);
    let title = console.why_title(&name, &tree, root);
    console.memory.why = Some((name, tree, root));
    shown?;
    Ok(Table::new(["Value", "Part", "N", "Level"]).title(title).rows(rows).into())
}

fn expected_number(span: Span, example: &str) -> Error {
    mistake("expected a number to explain", span, example.to_string())
}

/// A row: the number of a node, its value and its name, and what its level supposes.
type Row = (f64, String, Option<usize>, String);

impl Console {
    /// The tree of the last `why`, if it is about the run as it is now.
    fn last_why(&mut self, span: Span) -> Result<(String, Tree, usize)> {
        let Some(last) = self.memory.why.clone() else {
            return Err(expected_number(span, "why logit(\" Mary\"), why L2.resid_post[pos=-1, dim=5]"));
        };
        if !last.1.fits(&self.session) {
            let message = format!(
                "the last why was about another branch or pass, or before an edit; \"why {}\" asks again",
                last.0
            );
            return Err(Error::refused(message));
        }
        Ok(last)
    }

    /// The rows of a node's level and of those below.
    fn listed(
        &mut self,
        tree: &mut Tree,
        (node, depth): (usize, usize),
        (most, top): (usize, usize),
        rows: &mut Vec<Row>,
    ) -> Result<()> {
        if depth == most {
            return Ok(());
        }
        tree.open(&mut self.session, node)?;
        let Some(level) = tree.nodes[node].level.clone() else { return Ok(()) };
        let indent = "  ".repeat(depth);
        for &part in level.parts.iter().take(top) {
            let at = rows.len();
            let name = format!("{indent}{}", self.part_name(&tree.nodes[part].part));
            rows.push((tree.nodes[part].value, name, Some(part), String::new()));
            self.listed(tree, (part, depth + 1), (most, top), rows)?;
            let below = tree.nodes[part].level.as_ref();
            rows[at].3 = below.map(supposed).unwrap_or_default();
        }
        let left = level.parts.iter().skip(top).map(|part| tree.nodes[*part].value).sum::<f64>() + level.others.1;
        let count = level.parts.len().saturating_sub(top) + level.others.0;
        if count > 0 {
            let others = if count == 1 { "1 other".to_string() } else { format!("{count} others") };
            rows.push((left, format!("{indent}{others}"), None, String::new()));
        }
        Ok(())
    }

    fn why_title(&self, name: &str, tree: &Tree, root: usize) -> String {
        let value = significant(tree.nodes[root].value, 6);
        let what = match &tree.nodes[root].part {
            Part::Number => format!("{name} = {value}"),
            part => format!("{} adds {value} to {name}", self.part_name(part)),
        };
        let level = tree.nodes[root].level.as_ref();
        match level.map(|level| (supposed(level), level.parts.is_empty())) {
            Some((how, true)) => format!("{what}: {how}"),
            Some((how, false)) => format!("{what}, the sum of ({how}):"),
            None => what,
        }
    }

    fn part_name(&self, part: &Part) -> String {
        let ops = &self.session.run.program.ops;
        let site = |op: usize| site_name::short(&ops[op].site);
        match part {
            Part::Number => "the number".into(),
            Part::Bias(op) => format!("bias of {}", site(*op)),
            Part::Edit(op) => format!("edit of {}", site(*op)),
            Part::Left(Some(op)) => format!("left over by the rule at {}", site(*op)),
            Part::Left(None) => "what is not linear in it".into(),
            Part::From { op, column, of } => {
                let axis = if ops[*op].along == Along::Source { Axis::SourcePos } else { Axis::Pos };
                let token = |column: usize| format!(" at {column} {}", quoted(&self.name_of(axis, column)));
                let of = match of {
                    Of::All => String::new(),
                    Of::Head(head) => format!(" head {head}"),
                    Of::Neuron(neuron) => format!(" neuron {neuron}"),
                };
                format!("{}{of}{}", site(*op), column.map(token).unwrap_or_default())
            }
        }
    }
}

/// What a level supposes, in words.
fn supposed(level: &Level) -> String {
    if let Some(end) = &level.end {
        return end.clone();
    }
    let words: Vec<&str> = level.how.iter().map(|how| how_name(*how)).collect();
    if words.is_empty() { "exact".into() } else { words.join(", ") }
}

fn how_name(how: How) -> &'static str {
    match how {
        How::ScaleHeld => "scale held",
        How::PatternHeld => "pattern held",
        How::Rule => "AttnLRP",
        How::FirstOrder => "first order",
    }
}
