//! Expressions as trees.
//!
//! A tree holds what was written and where, nothing about what it means: whether `attn.z` names a site, whether `k` is
//! an axis and what `"nurse"` selects is decided when the expression is evaluated. Its `Display` prints text that
//! parses back to the same tree, so that a breakpoint's condition can be saved and loaded again.

use super::{Span, Spanned};
pub use crate::tensor::ops::BinaryOp;

#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `1.5`, `0x10`, `inf`, `nan`; never negative, as `-1` is a [`UnaryOp::Neg`].
    Number(f64),
    /// `"text"`
    Str(String),
    /// `true`, `false`
    Bool(bool),
    /// `L5.attn.pattern`, `logits@clean#2`; also an axis name where one is expected
    Site(SiteRef),
    /// `$`, `$$`, `$$3`, `$3`
    History(History),
    /// `$name`
    Var(String),
    /// `$cursor`
    Cursor,
    /// `-x`, `!x`
    Unary(UnaryOp, Box<Expr>),
    /// `a + b`
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `max(x, axis=k)`
    Call { name: Spanned<String>, args: Vec<Arg> },
    /// `x[3, -1, :]`, one item for each axis, by name or in order.
    Index { base: Box<Expr>, items: Vec<IndexItem> },
}

/// A site as it was typed, with the run and the pass that it is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteRef {
    /// The name without `@RUN` and `#PASS`, in any spelling.
    pub text: String,
    /// After `@`: a run or branch.
    pub run: Option<String>,
    /// After `#`: the decode pass, 0 being the prefill.
    pub pass: Option<u32>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// `$`: the last value; in a condition the value just computed.
    Last,
    /// `$$N`: the N-th value before the last; `$$` is `$$1`.
    Back(u32),
    /// `$N`
    Number(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    Neg,
    Not,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Arg {
    pub name: Option<Spanned<String>>,
    pub value: Expr,
}

#[derive(Clone, Debug, PartialEq)]
pub struct IndexItem {
    /// `head` of `head=3`; without it the item is for the axis at its place.
    pub axis: Option<Spanned<String>>,
    pub kind: IndexKind,
    /// Where it was written, the axis included.
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub enum IndexKind {
    /// One element; the axis is removed. A string is the token with that text.
    At(Expr),
    /// `start:end:step`, at least one of them given; the axis is kept. A negative step goes backwards.
    Range { start: Option<Expr>, end: Option<Expr>, step: Option<Expr> },
    /// `:`
    All,
    /// `...`: all axes that no other item selects, whole.
    Rest,
}

impl BinaryOp {
    /// Whether it is a comparison, such as `==` or `<`: these give a truth value and do not chain.
    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Eq | Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge)
    }
}

impl Expr {
    pub fn new(kind: ExprKind, span: Span) -> Self {
        Self { kind, span }
    }

    /// Visits this expression and everything inside it, in the order of writing.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        visit(self);
        match &self.kind {
            ExprKind::Unary(_, x) => x.walk(visit),
            ExprKind::Binary(_, a, b) => {
                a.walk(visit);
                b.walk(visit);
            }
            ExprKind::Call { args, .. } => args.iter().for_each(|arg| arg.value.walk(visit)),
            ExprKind::Index { base, items } => {
                base.walk(visit);
                for item in items {
                    match &item.kind {
                        IndexKind::At(x) => x.walk(visit),
                        IndexKind::Range { start, end, step } => {
                            [start, end, step].into_iter().flatten().for_each(|x| x.walk(visit));
                        }
                        IndexKind::All | IndexKind::Rest => {}
                    }
                }
            }
            _ => {}
        }
    }

    /// Every name in it that may be a site, in the order of writing. Axis names given by position are among them.
    pub fn sites(&self) -> Vec<&SiteRef> {
        let mut found = Vec::new();
        self.walk(&mut |e| {
            if let ExprKind::Site(site) = &e.kind {
                found.push(site);
            }
        });
        found
    }
}
