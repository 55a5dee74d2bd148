//! Where to stop, look or change: the locations of `break`, `goto`, `ablate`, `diff` and similar commands.
//!
//! Parsing gives a [`Location`], which is what was typed; resolving it against the names of a program gives [`Place`]s.
//! The two are separate because a breakpoint outlives the model it was set in: it is resolved again after every `load`.

mod parse;
mod resolve;

pub use parse::{parse_location, parse_location_prefix};
pub use resolve::{resolve, resolve_sites};

use super::strings::quoted;
use super::{IndexItem, SiteRef, Span, Spanned, print};
use crate::tensor::named;
use std::fmt::{self, Display, Formatter};

#[derive(Clone, Debug, PartialEq)]
pub struct Location {
    pub what: What,
    /// `-before` or `-after`, if given.
    pub when: Option<When>,
    /// After `@`: a run or branch.
    pub run: Option<String>,
    /// After `#`: a decode pass.
    pub pass: Option<u32>,
    /// The slice in brackets; empty without one.
    pub index: Vec<IndexItem>,
    pub head: Option<Spanned<Choice>>,
    /// `pos=17`, `pos="nurse"`
    pub pos: Option<Spanned<Choice>>,
    pub row: Option<Spanned<Choice>>,
    /// Where it was written, the focus included.
    pub span: Span,
}

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

named! {
    /// On which side of an op or module.
    pub enum When, option {
        /// Nothing of it has run.
        Before = "-before",
        /// It has its value.
        After = "-after",
    }
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
    pub run: Option<String>,
    pub pass: Option<u32>,
    pub head: Option<usize>,
    pub pos: Option<Choice>,
    pub row: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The canonical name of a site that an op produces.
    Site(String),
    Module(String),
    /// A number of ops from the cursor.
    Offset(i64),
    /// The start of a pass.
    Pass(u32),
}

impl Display for Location {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.when.iter().try_for_each(|when| write!(f, "{when} "))?;
        let text = match &self.what {
            What::Name(text) | What::Glob(text) => text.value.clone(),
            What::Regex(text) => format!("/{}/", text.value.replace('/', "\\/")),
            What::Offset(ops) => format!("{ops:+}"),
            What::Pass(pass) => format!("#{pass}"),
        };
        SiteRef { text, run: self.run.clone(), pass: self.pass, span: self.span }.fmt(f)?;
        print::index(&self.index, f)?;
        for (key, choice) in [("head", &self.head), ("pos", &self.pos), ("row", &self.row)] {
            match choice.as_ref().map(|c| &c.value) {
                Some(Choice::Index(n)) => write!(f, " {key}={n}")?,
                Some(Choice::Text(text)) => write!(f, " {key}={}", quoted(text))?,
                None => {}
            }
        }
        Ok(())
    }
}
