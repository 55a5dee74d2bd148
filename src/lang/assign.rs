//! `LVALUE OP EXPR`, the argument of `set`.

use super::eval::CachePart;
use super::lexer::Token;
use super::parser::Parser;
use super::strings::quoted;
use super::{BinaryOp, Expr, ExprKind, IndexItem, LangError, Result, SiteRef, Span, Spanned, print};
use crate::tensor::named;
use std::fmt::{self, Display, Formatter};

/// An assignment as it was typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    pub target: LValue,
    pub target_span: Span,
    pub op: AssignOp,
    pub value: Expr,
}

/// What can be assigned to. An empty index means all of it.
#[derive(Clone, Debug, PartialEq)]
pub enum LValue {
    /// The value at a site.
    Site { site: SiteRef, index: Vec<IndexItem> },
    /// The tokens of the prompt.
    Tokens { index: Vec<IndexItem> },
    /// A weight, by its name in the file or its role.
    Param { name: Spanned<String>, index: Vec<IndexItem> },
    /// Keys or values in the cache of a block.
    Cache { layer: Expr, part: CachePart, index: Vec<IndexItem> },
    /// The value at the cursor.
    Cursor { index: Vec<IndexItem> },
    /// A convenience variable, always whole.
    Var(String),
}

named! {
    /// How a target is changed.
    pub enum AssignOp, text {
        Set = "=",
        Add = "+=",
        Sub = "-=",
        Mul = "*=",
        Div = "/=",
    }
}

impl AssignOp {
    /// The operation between the old value and the given one; `None` for `=`.
    pub fn operation(self) -> Option<BinaryOp> {
        match self {
            Self::Set => None,
            Self::Add => Some(BinaryOp::Add),
            Self::Sub => Some(BinaryOp::Sub),
            Self::Mul => Some(BinaryOp::Mul),
            Self::Div => Some(BinaryOp::Div),
        }
    }
}

/// Parses all of `text`, which starts at byte `offset` of the line.
pub fn parse_assignment(text: &str, offset: usize) -> Result<Assignment> {
    let mut parser = Parser::new(text, offset)?;
    let target = parser.postfix()?;
    let Some(op) = AssignOp::ALL.iter().copied().find(|op| parser.at(op.text())) else {
        let error = parser.error(format!("expected =, +=, -=, *= or /=, found {}", parser.found()));
        return Err(match parser.token {
            Token::Punct("==") => error.help("== compares; = assigns"),
            _ => error.help("set TARGET = EXPRESSION"),
        });
    };
    parser.eat(op.text())?;
    let value = parser.expr()?;
    parser.end()?;
    Ok(Assignment { target_span: target.span, target: lvalue(target)?, op, value })
}

fn lvalue(target: Expr) -> Result<LValue> {
    let span = target.span;
    let (base, index) = match target.kind {
        ExprKind::Index { base, items } => (*base, items),
        _ => (target, Vec::new()),
    };
    match base.kind {
        ExprKind::Site(SiteRef { text, run: None, pass: None, .. }) if text == "tokens" => Ok(LValue::Tokens { index }),
        ExprKind::Site(site) => Ok(LValue::Site { site, index }),
        ExprKind::Cursor => Ok(LValue::Cursor { index }),
        ExprKind::Var(name) if index.is_empty() => Ok(LValue::Var(name)),
        ExprKind::Var(_) => Err(LangError::new("a variable is set as a whole, not by parts", span)),
        ExprKind::Call { name, args } if name.value == "param" => match args.as_slice() {
            [arg] if arg.name.is_none() => match &arg.value.kind {
                ExprKind::Str(text) => Ok(LValue::Param { name: Spanned::new(text.clone(), arg.value.span), index }),
                _ => Err(LangError::new("param takes the name of a weight in quotes", arg.value.span)),
            },
            _ => Err(LangError::new("param takes one name", base.span)),
        },
        ExprKind::Call { name, args } if name.value == "kv" => match args.as_slice() {
            [layer, part] if layer.name.is_none() && part.name.is_none() => {
                let part = CachePart::of(&part.value)?;
                Ok(LValue::Cache { layer: layer.value.clone(), part, index })
            }
            _ => Err(LangError::new("kv takes a layer and k or v", base.span).help("kv(0, k)")),
        },
        ExprKind::Index { .. } => {
            Err(LangError::new("a target has one slice", span).help("write x[1, 2] rather than x[1][2]"))
        }
        ExprKind::History(_) => {
            Err(LangError::new("the value history cannot be changed", span).help("set $name = ... keeps a value"))
        }
        _ => Err(LangError::new("this cannot be assigned to", span)
            .help("a target is a site, tokens[...], param(\"...\"), kv(L, k), $cursor or $name")),
    }
}

impl Display for LValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (target, index) = match self {
            Self::Site { site, index } => (site.to_string(), index),
            Self::Tokens { index } => ("tokens".to_string(), index),
            Self::Param { name, index } => (format!("param({})", quoted(&name.value)), index),
            Self::Cache { layer, part, index } => (format!("kv({layer}, {part})"), index),
            Self::Cursor { index } => ("$cursor".to_string(), index),
            Self::Var(name) => return write!(f, "${name}"),
        };
        f.write_str(&target)?;
        print::index(index, f)
    }
}

impl Display for Assignment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.target, self.op.text(), self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(text: &str) -> LangError {
        parse_assignment(text, 0).expect_err(text)
    }

    #[test]
    fn every_target_prints_as_it_was_typed() {
        for text in [
            "L5.attn.pattern[head=3, q=\"nurse\", :] = 0",
            "kv(-1, v)[pos=3] = 0",
            "tokens[3] = \" Paris\"",
            "param(\"blocks.0.attn.W_Q\")[0, :] *= 2",
            "$cursor[0] -= 1",
            "$x = a == b",
            "L5.mlp.post += $v * 3",
            "resid_post /= 2",
        ] {
            assert_eq!(parse_assignment(text, 4).unwrap_or_else(|e| panic!("{text}: {e}")).to_string(), text);
        }
    }

    #[test]
    fn a_comparison_is_not_an_assignment() {
        assert_eq!(fails("$x == 1").help.as_deref(), Some("== compares; = assigns"));
        assert_eq!(fails("$x == 1").span, Span::new(3, 5));
        assert_eq!(fails("$x").span, Span::new(2, 2));
    }

    #[test]
    fn what_cannot_change_is_said() {
        assert!(fails("$3 = 1").message.contains("history"));
        assert!(fails("$ = 1").message.contains("history"));
        assert!(fails("1 = 2").message.contains("cannot be assigned"));
        assert!(fails("max(x) = 2").message.contains("cannot be assigned"));
        assert!(fails("x[0][1] = 2").help.expect("advice").contains("x[1, 2]"));
        assert!(fails("$x[0] = 2").message.contains("whole"));
        assert!(fails("param(x) = 2").message.contains("quotes"));
    }
}
