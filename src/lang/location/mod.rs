//! Where to stop, look or change: the locations of `break`, `goto`, `ablate`, `diff` and similar commands.
//!
//! Parsing gives a [`Location`], which is what was typed; resolving it against the names of a program gives [`Place`]s.
//! The two are separate because a breakpoint outlives the model it was set in: it is resolved again after every `load`.

mod parse;
mod resolve;

pub use parse::{parse_location, parse_location_prefix};
pub use resolve::{resolve, resolve_sites};

use super::ast::{IndexItem, SiteRef};
use super::span::{Span, Spanned};
use std::fmt::{self, Display, Formatter};

/// A location as it was typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Location {
    /// The name or the pattern.
    pub what: What,
    /// `-before` or `-after`, if given.
    pub when: Option<When>,
    /// After `@`: a run or branch.
    pub run: Option<String>,
    /// After `#`: a decode pass.
    pub pass: Option<u32>,
    /// The slice in brackets; empty without one.
    pub index: Vec<IndexItem>,
    /// `head=3`
    pub head: Option<Spanned<Choice>>,
    /// `pos=17`, `pos="nurse"`
    pub pos: Option<Spanned<Choice>>,
    /// `row=1`
    pub row: Option<Spanned<Choice>>,
    /// Where it was written, the focus included.
    pub span: Span,
}

/// The main part of a location.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// `L5.attn.pattern`, `L5.attn`, `L5H3`
    Name(Spanned<String>),
    /// `L*.mlp.post`
    Glob(Spanned<String>),
    /// `/resid_(pre|post)/`
    Regex(Spanned<String>),
    /// `+3`, `-3`: ops from the cursor
    Offset(i64),
    /// `#2`: the start of a decode pass
    Pass(u32),
}

/// On which side of an op or module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Nothing of it has run.
    Before,
    /// It has its value.
    After,
}

/// One element of an axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// By number; negative counts from the end.
    Index(i64),
    /// The position of the token with this text.
    Text(String),
}

/// A location that exists in a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub target: Target,
    /// Which side of it: by default after sites and before modules.
    pub when: When,
    /// The run, if one was given.
    pub run: Option<String>,
    /// The pass, if one was given.
    pub pass: Option<u32>,
    pub head: Option<usize>,
    pub pos: Option<Choice>,
    pub row: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The canonical name of a site that an op produces.
    Site(String),
    /// The name of a module.
    Module(String),
    /// A number of ops from the cursor.
    Offset(i64),
    /// The start of a pass.
    Pass(u32),
}

impl Display for Location {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.when {
            Some(When::Before) => f.write_str("-before ")?,
            Some(When::After) => f.write_str("-after ")?,
            None => {}
        }
        let text = match &self.what {
            What::Name(text) | What::Glob(text) => text.value.clone(),
            What::Regex(text) => format!("/{}/", text.value.replace('/', "\\/")),
            What::Offset(ops) => format!("{ops:+}"),
            What::Pass(pass) => format!("#{pass}"),
        };
        SiteRef { text, run: self.run.clone(), pass: self.pass, span: self.span }.fmt(f)?;
        if !self.index.is_empty() {
            let items: Vec<String> = self.index.iter().map(IndexItem::to_string).collect();
            write!(f, "[{}]", items.join(", "))?;
        }
        for (key, choice) in [("head", &self.head), ("pos", &self.pos), ("row", &self.row)] {
            match choice.as_ref().map(|c| &c.value) {
                Some(Choice::Index(n)) => write!(f, " {key}={n}")?,
                Some(Choice::Text(text)) => {
                    write!(f, " {key}=")?;
                    super::strings::quote(text, f)?;
                }
                None => {}
            }
        }
        Ok(())
    }
}
