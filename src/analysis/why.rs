//! Where a number came from, as a tree whose levels add up.
//!
//! A node is what the number takes from one op at one position: a sum over the elements there, each with a factor. What
//! the op computed it from is the next level. Where an op is linear in what it reads (sums, products with weights, rotations)
//! the level is exact. A norm is linear once its scale is held at what it was, and a mix of values once its pattern is held, as
//! in direct logit attribution (Elhage et al. 2021). What is left, activations, gates and scores, is divided by the rules of
//! AttnLRP (Achtibat et al. 2024). In each case the parts, with what biases add and what a rule leaves over, add up to the node.

use std::collections::BTreeSet;

use crate::debugger::{Error, Result, Session, Share, Target};
use crate::lang::Expr;
use crate::program::{Kernel, Op, Rule};
use crate::tensor::{Axis, step};

/// Parts that a level keeps, the largest; the others are counted and summed.
const KEPT: usize = 64;

/// What is left of a level in which nothing but rounding is left, as a part of the sizes that were added.
const ROUNDING: f64 = 1e-5;

/// What a level holds constant, or how it divides what is not linear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// The scales of norms.
    ScaleHeld,
    /// Attention patterns.
    PatternHeld,
    /// The rules of AttnLRP.
    Rule,
    /// The gradient of an expression that is not linear.
    FirstOrder,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// What was asked about.
    Number,
    /// What it takes from an op at a position: from all of its elements there, from a head, or from a neuron.
    From { op: usize, column: Option<usize>, of: Of },
    /// The bias of an op.
    Bias(usize),
    /// What edits have put in the place of what an op computed.
    Edit(usize),
    /// What a rule, or the gradient of an expression, leaves over.
    Left(Option<usize>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    All,
    Head(usize),
    Neuron(usize),
}

#[derive(Clone, Debug)]
pub struct Node {
    pub parent: Option<usize>,
    pub part: Part,
    pub value: f64,
    /// What it was made of, once that is known.
    pub level: Option<Level>,
    share: Option<Share>,
}

#[derive(Clone, Debug, Default)]
pub struct Level {
    /// What all of it supposes; nothing where it is exact.
    pub how: BTreeSet<How>,
    /// Nodes, the largest first.
    pub parts: Vec<usize>,
    /// How many more there are, and what they add up to, rounding included.
    pub others: (usize, f64),
    /// Why there is nothing below.
    pub end: Option<String>,
}

/// The nodes that were looked at; the first is the number.
#[derive(Clone, Debug)]
pub struct Tree {
    pub nodes: Vec<Node>,
    /// The branch, pass and revision that it is about.
    of: (usize, usize, u64),
}

/// A level before its nodes have numbers.
#[derive(Default)]
struct Found {
    how: BTreeSet<How>,
    parts: Vec<Piece>,
    /// Pieces that are too small to be kept.
    others: (usize, f64),
    end: Option<String>,
}

/// A part, what it adds, and how that is made up; nothing is known of what has no share.
type Piece = (Part, f64, Option<Share>);

impl Tree {
    /// A tree of one node: the number that an expression is.
    ///
    /// # Errors
    /// As [`Session::backward`].
    pub fn new(session: &mut Session, expr: &Expr) -> Result<Tree> {
        let (value, shares) = session.shares(expr)?;
        let mut found = Found::default();
        let mut left = value;
        for share in shares {
            left -= share.value();
            found.parts.push(from(share));
        }
        let size = found.parts.iter().map(|(_, value, _)| value.abs()).sum::<f64>();
        if left.abs() > ROUNDING * size {
            found.how.insert(How::FirstOrder);
        }
        found.parts.push((Part::Left(None), left, None));
        let number = Node { parent: None, part: Part::Number, value, level: None, share: None };
        let mut tree = Tree { nodes: vec![number], of: now(session) };
        let found = followed(session, found)?;
        tree.put(0, found);
        Ok(tree)
    }

    /// Whether the run is still what the tree is about.
    pub fn fits(&self, session: &Session) -> bool {
        self.of == now(session)
    }

    /// Finds what a node was made of, unless that is known.
    ///
    /// # Errors
    /// If the device fails or the user interrupts.
    pub fn open(&mut self, session: &mut Session, node: usize) -> Result<()> {
        if self.nodes[node].level.is_some() {
            return Ok(());
        }
        let found = match self.nodes[node].share.clone() {
            None => Found { end: Some("it is not computed from anything".into()), ..Found::default() },
            Some(share) => {
                let found = level(session, &share)?;
                followed(session, found)?
            }
        };
        self.put(node, found);
        Ok(())
    }

    fn put(&mut self, node: usize, mut found: Found) {
        found.parts.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        let size: f64 = found.parts.iter().map(|(_, value, _)| value.abs()).sum();
        let mut level = Level { how: found.how, end: found.end, others: found.others, ..Level::default() };
        for (part, value, share) in found.parts {
            // Of a sum without a bias what is left over is rounding, and no part.
            let is_rounding = share.is_none() && value.abs() <= ROUNDING * size;
            if is_rounding || level.parts.len() == KEPT {
                level.others.0 += usize::from(!is_rounding);
                level.others.1 += value;
                continue;
            }
            level.parts.push(self.nodes.len());
            self.nodes.push(Node { parent: Some(node), part, value, level: None, share });
        }
        self.nodes[node].level = Some(level);
    }
}

fn now(session: &Session) -> (usize, usize, u64) {
    (session.run.current, session.run.pass, session.run.revision())
}

fn from(share: Share) -> Piece {
    (Part::From { op: share.op, column: share.column, of: Of::All }, share.value(), Some(share))
}

/// Replaces parts that are sums or copies by what they were made of; and a part that is alone by its own parts, so that
/// no level has a single one.
fn followed(session: &mut Session, mut found: Found) -> Result<Found> {
    loop {
        let ops = &session.run.program.ops;
        // Norms of what attention and MLPs add are on the way of the stream, as in direct attribution.
        let is_plain = |share: &Share| {
            use Kernel::{Add, Gain, LayerNormNormalized, RmsNormalized, Same, Scale};
            let kernel = &ops[share.op].kernel;
            matches!(kernel, Add | Same | Scale { .. } | Gain { .. } | LayerNormNormalized | RmsNormalized)
        };
        let open = |(_, _, share): &Piece| share.as_ref().is_some_and(is_plain);
        let plain = found.parts.iter().position(open);
        let mut shares = (0..found.parts.len()).filter(|at| found.parts[*at].2.is_some());
        let only = match (shares.next(), shares.next()) {
            (Some(at), None) => Some(at),
            _ => None,
        };
        let Some(at) = plain.or(only) else { return Ok(found) };
        let Some(share) = found.parts[at].2.clone() else { return Ok(found) };
        step(&session.run.program.ops[share.op].site, 0, 1)?;
        let next = level(session, &share)?;
        if let Some(end) = next.end {
            // What cannot be followed stays as it is; alone, it is the end.
            if found.parts.len() == 1 {
                found.end = Some(end);
            }
            return Ok(found);
        }
        found.parts.swap_remove(at);
        found.how.extend(next.how);
        found.others = (found.others.0 + next.others.0, found.others.1 + next.others.1);
        for (part, value, share) in next.parts {
            add(&mut found.parts, part, value, share);
        }
    }
}

/// Adds a part; what the same op and position give by several ways is one part.
fn add(parts: &mut Vec<Piece>, part: Part, value: f64, share: Option<Share>) {
    let same = |(of, _, known): &&mut Piece| *of == part && known.is_some() == share.is_some();
    match parts.iter_mut().find(same) {
        Some((_, sum, known)) => {
            *sum += value;
            if let (Some(known), Some(share)) = (known, share) {
                known.r.iter_mut().zip(&share.r).for_each(|(sum, r)| *sum += r);
            }
        }
        None => parts.push((part, value, share)),
    }
}

/// What a share was made of: its heads or neurons if it is of several, and else what the op read.
fn level(session: &mut Session, share: &Share) -> Result<Found> {
    let op = session.run.program.ops[share.op].clone();
    if let Some(found) = pieces(&op, share) {
        return Ok(found);
    }
    if op.inputs.is_empty() || matches!(op.kernel, Kernel::Embed { .. } | Kernel::PositionEmbed | Kernel::TypeEmbed) {
        return Ok(Found { end: Some(format!("{} is read from a table", op.site)), ..Found::default() });
    }
    let mut found = Found::default();
    // What is held is the first input: the scale, or the pattern.
    let (rule, held, how): (Rule, &[usize], Option<How>) = match &op.kernel {
        Kernel::LayerNormNormalized | Kernel::RmsNormalized => (Rule::Gradient, &[0], Some(How::ScaleHeld)),
        Kernel::Mix => (Rule::Gradient, &[0], Some(How::PatternHeld)),
        kernel if kernel.is_affine() => (Rule::Gradient, &[], None),
        Kernel::HeadNorm { .. } => (Rule::Relevance, &[], Some(How::ScaleHeld)),
        _ => (Rule::Relevance, &[], Some(How::Rule)),
    };
    let shares = match session.pull_share(share, rule, held) {
        Ok(shares) => shares,
        Err(error @ Error::Tensor(_)) => return Err(error),
        Err(error) => return Ok(Found { end: Some(error.to_string()), ..Found::default() }),
    };
    found.how.extend(how);
    let mut left = share.value();
    for share in shares {
        left -= share.value();
        let (part, value, share) = from(share);
        add(&mut found.parts, part, value, share);
    }
    let edited = session.run.branch().edits.iter().any(|edit| edit.target == Target::Op(share.op));
    let part = match (edited, how) {
        (true, _) => Part::Edit(share.op),
        (false, None | Some(How::ScaleHeld | How::PatternHeld)) => Part::Bias(share.op),
        (false, _) => Part::Left(Some(share.op)),
    };
    found.parts.push((part, left, None));
    Ok(found)
}

/// The heads of a mix, or the neurons of an MLP, of which a share takes something, if those are several.
fn pieces(op: &Op, share: &Share) -> Option<Found> {
    let (width, of): (usize, fn(usize) -> Of) = match &op.kernel {
        Kernel::Mix => (op.width, Of::Head),
        Kernel::Activation(_) | Kernel::Gated(_) if op.axes.last() == Some(&Axis::Neuron) => (1, Of::Neuron),
        _ => return None,
    };
    let value = |at: usize| -> f64 {
        let range = at * width..(at + 1) * width;
        share.x[range.clone()].iter().zip(&share.r[range]).map(|(x, r)| x * r).sum()
    };
    let taken = |r: &[f64]| r.iter().any(|r| *r != 0.0);
    let pieces = share.r.chunks(width).enumerate().filter(|(_, r)| taken(r));
    let mut pieces: Vec<(usize, f64)> = pieces.map(|(at, _)| (at, value(at))).collect();
    if pieces.len() < 2 {
        return None;
    }
    pieces.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    let others = pieces.split_off(KEPT.min(pieces.len()));
    let piece = |(at, value): (usize, f64)| {
        let range = at * width..(at + 1) * width;
        let mut r = vec![0.0; share.r.len()];
        r[range.clone()].copy_from_slice(&share.r[range]);
        let part = Part::From { op: share.op, column: share.column, of: of(at) };
        (part, value, Some(Share { r, ..share.clone() }))
    };
    let others = (others.len(), others.iter().map(|(_, value)| value).sum());
    Some(Found { parts: pieces.into_iter().map(piece).collect(), others, ..Found::default() })
}
