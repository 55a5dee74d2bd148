//! Expressions as text that parses back to the same tree, with as few brackets as that needs.

use super::lexer::is_name_part;
use super::strings::quoted;
use super::{Arg, BinaryOp, Expr, ExprKind, History, IndexItem, IndexKind, SiteRef, UnaryOp};
use std::fmt::{self, Display, Formatter};

const UNARY: u8 = 6;
const POWER: u8 = 7;
const POSTFIX: u8 = 8;

impl BinaryOp {
    /// How tightly it binds; larger is tighter.
    pub fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            op if op.is_comparison() => 3,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div => 5,
            _ => POWER,
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(n) if n.is_nan() => f.write_str("nan"),
            ExprKind::Number(n) => f.write_str(format!("{n:?}").trim_end_matches(".0")),
            ExprKind::Str(s) => f.write_str(&quoted(s)),
            ExprKind::Bool(b) => write!(f, "{b}"),
            ExprKind::Site(site) => site.fmt(f),
            ExprKind::History(history) => history.fmt(f),
            ExprKind::Var(name) => write!(f, "${name}"),
            ExprKind::Cursor => f.write_str("$cursor"),
            ExprKind::Unary(op, x) => {
                f.write_str(if *op == UnaryOp::Neg { "-" } else { "!" })?;
                bracketed(x, UNARY, f)
            }
            ExprKind::Binary(BinaryOp::Pow, base, exponent) => {
                bracketed(base, POSTFIX, f)?;
                f.write_str(" ** ")?;
                bracketed(exponent, UNARY, f)
            }
            ExprKind::Binary(op, a, b) => {
                let (left, right) = (op.precedence() + u8::from(op.is_comparison()), op.precedence() + 1);
                bracketed(a, left, f)?;
                write!(f, " {} ", op.symbol())?;
                bracketed(b, right, f)
            }
            ExprKind::Call { name, args } => {
                write!(f, "{}(", name.value)?;
                separated(args, f)?;
                f.write_str(")")
            }
            ExprKind::Index { base, items } => {
                bracketed(base, POSTFIX, f)?;
                index(items, f)
            }
        }
    }
}

impl Display for Arg {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{}={}", name.value, self.value),
            None => self.value.fmt(f),
        }
    }
}

impl Display for IndexItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(axis) = &self.axis {
            write!(f, "{}=", axis.value)?;
        }
        match &self.kind {
            IndexKind::At(x) => x.fmt(f),
            IndexKind::All => f.write_str(":"),
            IndexKind::Rest => f.write_str("..."),
            IndexKind::Range { start, end, step } => {
                start.iter().try_for_each(|x| x.fmt(f))?;
                f.write_str(":")?;
                end.iter().try_for_each(|x| x.fmt(f))?;
                step.iter().try_for_each(|x| write!(f, ":{x}"))
            }
        }
    }
}

impl Display for SiteRef {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.run {
            Some(run) if !run.is_empty() && run.chars().all(is_name_part) => write!(f, "@{run}")?,
            Some(run) => write!(f, "@{}", quoted(run))?,
            None => {}
        }
        self.pass.iter().try_for_each(|pass| write!(f, "#{pass}"))
    }
}

impl Display for History {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last => f.write_str("$"),
            Self::Back(1) => f.write_str("$$"),
            Self::Back(n) => write!(f, "$${n}"),
            Self::Number(n) => write!(f, "${n}"),
        }
    }
}

/// Prints `x`, in brackets unless it binds at least as tightly as `tightness`.
fn bracketed(x: &Expr, tightness: u8, f: &mut Formatter<'_>) -> fmt::Result {
    let own = match &x.kind {
        ExprKind::Unary(..) => UNARY,
        ExprKind::Binary(op, ..) => op.precedence(),
        _ => POSTFIX,
    };
    if own < tightness { write!(f, "({x})") } else { x.fmt(f) }
}

/// The slices of an index, nothing if there are none.
pub(super) fn index(items: &[IndexItem], f: &mut Formatter<'_>) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    f.write_str("[")?;
    separated(items, f)?;
    f.write_str("]")
}

fn separated<T: Display>(items: &[T], f: &mut Formatter<'_>) -> fmt::Result {
    items.iter().enumerate().try_for_each(|(i, item)| write!(f, "{}{item}", if i == 0 { "" } else { ", " }))
}

#[cfg(test)]
mod tests {
    use crate::lang::parse_expr;

    #[test]
    fn brackets_only_where_they_matter() {
        for text in [
            "-x ** 2",
            "(-x) ** 2",
            "(a + b) * c",
            "a + b * c",
            "a - (b - c)",
            "(a ** b) ** c",
            "!(a && b)",
            "(a < b) == c",
            "max(x, axis=k)",
            "x[head=3, q=\"nurse\", 1:2, ::-1, :, ...]",
            "(a + b)[0]",
            "logits@clean#2",
            "logits@\"my run\"",
            "1e-7",
            "$$",
        ] {
            assert_eq!(parse_expr(text, 0).expect(text).to_string(), text);
        }
        assert_eq!(parse_expr("((a))+(b*c)", 0).expect("parses").to_string(), "a + b * c");
    }
}
