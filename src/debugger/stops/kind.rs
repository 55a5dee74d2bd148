//! What stop points stop on.

use std::collections::BTreeMap;

use super::{Condition, Tally};
use crate::debugger::Mark;
use crate::lang::Expr;

#[derive(Clone, Debug)]
pub enum Kind {
    Break,
    Watch(Watch),
    /// The value of an op is read, or read or computed: its places say where.
    Access {
        op: usize,
        written: bool,
    },
    /// Something that happens.
    Catch(Catch),
    /// Nothing: it counts.
    Trace(Trace),
    /// Nothing: it prints.
    Print(Print),
}

impl Kind {
    /// The word in `info breakpoints`.
    pub fn word(&self) -> &'static str {
        match self {
            Kind::Break => "breakpoint",
            Kind::Watch(_) => "watchpoint",
            Kind::Access { written: false, .. } => "read watchpoint",
            Kind::Access { written: true, .. } => "access watchpoint",
            Kind::Catch(_) => "catchpoint",
            Kind::Trace(_) => "trace",
            Kind::Print(_) => "dprintf",
        }
    }

    /// Whether it can end a motion.
    pub fn stops(&self) -> bool {
        !matches!(self, Kind::Trace(_) | Kind::Print(_))
    }
}

#[derive(Clone, Debug)]
pub struct Watch {
    /// As parsed, and the line that its spans point into.
    pub expr: Condition,
}

/// Something that happens to the value just computed, or to the text.
#[derive(Clone, Debug, PartialEq)]
pub enum Catch {
    /// An op produces NaN: its output has some, none of the values that it reads has.
    Nan,
    /// An op produces an infinity in the same sense. Minus infinity in scores is a mask.
    Inf,
    /// An op produces a magnitude of at least this, where all that it reads are below.
    Overflow(f64),
    /// A position of the residual stream grows by more than this factor over an addition.
    NormJump(f64),
    /// A value, or a head of it, is zero throughout, though what it is made of is not.
    Dead,
    /// A head whose every query gives this share of its attention to one key, or a tanh with so many of its outputs
    /// this near to one.
    Saturated(f64),
    /// On the way back: a gradient of the residual stream whose norm is below this, where those it comes from are not.
    Vanish(f64),
    /// On the way back: one whose norm is above this.
    Explode(f64),
    /// An op makes a difference to the side that is compared with: its output is further from its counterpart than
    /// this, absolute or relative, and nothing that it reads is.
    Diverge(f64),
    Token(Vec<u32>),
    /// A pass begins after that of the prompt.
    Pass,
}

impl Catch {
    pub fn word(&self) -> &'static str {
        match self {
            Catch::Nan => "nan",
            Catch::Inf => "inf",
            Catch::Overflow(_) => "overflow",
            Catch::Diverge(_) => "diverge",
            Catch::NormJump(_) => "norm-jump",
            Catch::Dead => "dead",
            Catch::Saturated(_) => "saturated",
            Catch::Vanish(_) => "vanish",
            Catch::Explode(_) => "explode",
            Catch::Token(_) => "token",
            Catch::Pass => "pass",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Keep {
    Count,
    /// A number at each crossing: how often, its smallest, mean and largest.
    Number(Expr),
    /// The elements of a value at each crossing, as a histogram.
    Histogram(Expr),
}

#[derive(Clone, Debug)]
pub struct Trace {
    pub keep: Keep,
    /// The line that spans point into.
    pub text: String,
    /// What was kept at each place, by branch and mark. Crossing a place again, in either direction, replaces it.
    pub seen: BTreeMap<(usize, Mark), Tally>,
}

#[derive(Clone, Debug)]
pub struct Print {
    /// The format and its values, as parsed.
    pub args: Vec<Expr>,
    /// The line that spans point into.
    pub text: String,
}
