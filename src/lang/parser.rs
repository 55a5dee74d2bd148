//! Tokens to expressions, by precedence climbing.
//!
//! From loosest to tightest: `||`, `&&`, comparisons (which do not chain), `+ -`, `* /`, unary `- !`, `**` (right to
//! left, and tighter than a minus on its left: `-x**2` is `-(x**2)`), then calls and slices. Nesting and length are
//! bounded, so that no line can exhaust the stack here or in anything that walks the tree.

use super::lexer::{Lexer, Token};
use super::{BinaryOp, Expr, ExprKind, History, LangError, Result, SiteRef, Span, Spanned, UnaryOp};

const MAX_NESTING: usize = 100;
const MAX_TOKENS: usize = 1000;

/// Parses all of `text`, which starts at byte `offset` of the line, as one expression.
pub fn parse_expr(text: &str, offset: usize) -> Result<Expr> {
    let mut parser = Parser::new(text, offset)?;
    let expr = parser.expr()?;
    parser.end()?;
    Ok(expr)
}

/// Parses the expression at the start of `text` and gives the byte of the line at which what follows it begins.
///
/// The expression ends before the first token that cannot continue it, such as a comma or the word `if`.
pub fn parse_expr_prefix(text: &str, offset: usize) -> Result<(Expr, usize)> {
    let mut parser = Parser::new(text, offset)?;
    let expr = parser.expr()?;
    Ok((expr, parser.span.start))
}

/// Parses all of `text` as expressions separated by commas; only spaces are an empty list.
pub fn parse_list(text: &str, offset: usize) -> Result<Vec<Expr>> {
    let mut parser = Parser::new(text, offset)?;
    let mut all = Vec::new();
    if parser.token == Token::End {
        return Ok(all);
    }
    loop {
        all.push(parser.expr()?);
        if !parser.eat(",")? {
            parser.end()?;
            return Ok(all);
        }
    }
}

pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    pub(super) token: Token,
    pub(super) span: Span,
    /// Where the token before this one ended.
    pub(super) last_end: usize,
    nesting: usize,
    taken: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, offset: usize) -> Result<Self> {
        let mut lexer = Lexer::new(text, offset);
        let (token, span) = lexer.next()?;
        Ok(Self { lexer, token, span, last_end: offset, nesting: 0, taken: 0 })
    }

    pub(super) fn advance(&mut self) -> Result<Token> {
        self.taken += 1;
        if self.taken > MAX_TOKENS {
            return Err(self.error("this expression is too long").help("keep a part of it: set $x = ..."));
        }
        let (token, span) = self.lexer.next()?;
        self.last_end = self.span.end;
        self.span = span;
        Ok(std::mem::replace(&mut self.token, token))
    }

    pub(super) fn at(&self, text: &str) -> bool {
        matches!(self.token, Token::Punct(p) if p == text)
    }

    pub(super) fn eat(&mut self, text: &str) -> Result<bool> {
        let found = self.at(text);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub(super) fn expect(&mut self, text: &str, after: &str) -> Result<()> {
        let found = self.eat(text)?;
        if found { Ok(()) } else { Err(self.error(format!("expected {text} {after}, found {}", self.found()))) }
    }

    /// An error at the token at the cursor.
    pub(super) fn error(&self, message: impl Into<String>) -> LangError {
        LangError::new(message, self.span)
    }

    /// The token at the cursor, in words.
    pub(super) fn found(&self) -> String {
        match &self.token {
            Token::Number(n) => n.to_string(),
            Token::Str(s) => format!("the string {s:?}"),
            Token::Name { text, .. } => text.clone(),
            Token::Dollar(name) => format!("${name}"),
            Token::DollarDollar(n) => format!("$${n}"),
            Token::Punct(p) => (*p).to_string(),
            Token::End => "the end of the line".to_string(),
        }
    }

    pub(super) fn end(&self) -> Result<()> {
        let error = self.error(format!("unexpected {} after the expression", self.found()));
        let help = match &self.token {
            Token::End => return Ok(()),
            Token::Punct("=") => "comparison is written ==",
            Token::Punct("&") => "\"and\" is written &&",
            Token::Punct("|") => "\"or\" is written ||",
            Token::Punct(")" | "]") => "there is one closing bracket too many",
            Token::Name { text, .. } if text == "and" => "\"and\" is written &&",
            Token::Name { text, .. } if text == "or" => "\"or\" is written ||",
            _ => return Err(error),
        };
        Err(error.help(help))
    }

    pub(super) fn expr(&mut self) -> Result<Expr> {
        self.nested(|p| p.binary(1))
    }

    fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Result<Expr>) -> Result<Expr> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(self.error("this expression is nested too deeply"));
        }
        let expr = parse(self);
        self.nesting -= 1;
        expr
    }

    fn operator(&self) -> Option<BinaryOp> {
        let Token::Punct(text) = self.token else { return None };
        BinaryOp::ALL.iter().copied().find(|op| op.symbol() == text && *op != BinaryOp::Pow)
    }

    fn binary(&mut self, loosest: u8) -> Result<Expr> {
        let mut left = self.unary()?;
        while let Some(op) = self.operator().filter(|op| op.precedence() >= loosest) {
            self.advance()?;
            let right = self.binary(op.precedence() + 1)?;
            let span = left.span.to(right.span);
            left = Expr::new(ExprKind::Binary(op, Box::new(left), Box::new(right)), span);
            if op.is_comparison() && self.operator().is_some_and(BinaryOp::is_comparison) {
                return Err(self.error("comparisons do not chain").help("write a < b && b < c"));
            }
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr> {
        let op = match self.token {
            Token::Punct("-") => UnaryOp::Neg,
            Token::Punct("!") => UnaryOp::Not,
            Token::Punct("+") => {
                self.advance()?;
                return self.nested(Self::unary);
            }
            _ => return self.power(),
        };
        let start = self.span;
        self.advance()?;
        let x = self.nested(Self::unary)?;
        let span = start.to(x.span);
        Ok(Expr::new(ExprKind::Unary(op, Box::new(x)), span))
    }

    fn power(&mut self) -> Result<Expr> {
        let base = self.postfix()?;
        if !self.eat("**")? {
            return Ok(base);
        }
        let exponent = self.nested(Self::unary)?;
        let span = base.span.to(exponent.span);
        Ok(Expr::new(ExprKind::Binary(BinaryOp::Pow, Box::new(base), Box::new(exponent)), span))
    }

    pub(super) fn postfix(&mut self) -> Result<Expr> {
        let mut base = self.primary()?;
        while self.at("[") {
            let start = base.span.start;
            let items = self.index()?;
            base = Expr::new(ExprKind::Index { base: Box::new(base), items }, Span::new(start, self.last_end));
        }
        Ok(base)
    }

    fn primary(&mut self) -> Result<Expr> {
        let span = self.span;
        let missing = || LangError::new(format!("expected an expression, found {}", self.found()), span);
        let kind = match &self.token {
            Token::End | Token::Punct(_) if !self.at("(") => return Err(missing()),
            Token::Name { text, .. } if text == "if" => return Err(missing()),
            _ => match self.advance()? {
                Token::Number(n) => ExprKind::Number(n),
                Token::Str(s) => ExprKind::Str(s),
                Token::Dollar(name) => dollar(&name, span)?,
                Token::DollarDollar(digits) if digits.is_empty() => ExprKind::History(History::Back(1)),
                Token::DollarDollar(digits) => ExprKind::History(History::Back(history_number(&digits, span)?)),
                Token::Name { text, run: None, pass: None } if self.at("(") => {
                    return self.call(Spanned::new(text, span));
                }
                Token::Name { text, run, pass } => match (text.as_str(), &run, pass) {
                    ("true", None, None) => ExprKind::Bool(true),
                    ("false", None, None) => ExprKind::Bool(false),
                    ("inf", None, None) => ExprKind::Number(f64::INFINITY),
                    ("nan", None, None) => ExprKind::Number(f64::NAN),
                    _ => ExprKind::Site(SiteRef { text, run, pass, span }),
                },
                Token::Punct(_) | Token::End => {
                    let mut inner = self.expr()?;
                    self.expect(")", "to close this bracket")?;
                    inner.span = Span::new(span.start, self.last_end);
                    return Ok(inner);
                }
            },
        };
        Ok(Expr::new(kind, span))
    }
}

fn dollar(name: &str, span: Span) -> Result<ExprKind> {
    Ok(match name {
        "" => ExprKind::History(History::Last),
        "cursor" => ExprKind::Cursor,
        name if name.starts_with(|c: char| c.is_ascii_digit()) => {
            ExprKind::History(History::Number(history_number(name, span)?))
        }
        name => ExprKind::Var(name.to_string()),
    })
}

fn history_number(digits: &str, span: Span) -> Result<u32> {
    digits.parse().map_err(|_| LangError::new("history has no such number", span))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::ast::IndexKind;

    /// The tree with every operation in brackets.
    fn shape(text: &str) -> String {
        fn show(e: &Expr) -> String {
            match &e.kind {
                ExprKind::Unary(UnaryOp::Neg, x) => format!("(-{})", show(x)),
                ExprKind::Unary(UnaryOp::Not, x) => format!("(!{})", show(x)),
                ExprKind::Binary(op, a, b) => format!("({} {} {})", show(a), op.symbol(), show(b)),
                _ => e.to_string(),
            }
        }
        show(&parse_expr(text, 0).unwrap_or_else(|e| panic!("{text}: {e}")))
    }

    fn fails(text: &str) -> LangError {
        parse_expr(text, 0).expect_err(text)
    }

    #[test]
    fn precedence() {
        assert_eq!(shape("-x**2"), "(-(x ** 2))");
        assert_eq!(shape("2**3**2"), "(2 ** (3 ** 2))");
        assert_eq!(shape("2**-x"), "(2 ** (-x))");
        assert_eq!(shape("a - b - c * d"), "((a - b) - (c * d))");
        assert_eq!(shape("a < 1 && !b || c >= 2"), "(((a < 1) && (!b)) || (c >= 2))");
        assert_eq!(shape("-x[0] + (1 + 2) * 3"), "((-x[0]) + ((1 + 2) * 3))");
    }

    #[test]
    fn comparisons_do_not_chain() {
        let error = fails("a < b < c");
        assert_eq!(error.span, Span::new(6, 7));
        assert!(error.help.expect("advice").contains("&&"));
        assert_eq!(shape("(a < b) == c"), "((a < b) == c)");
    }

    #[test]
    fn slices() {
        let parsed = parse_expr("L5.attn.pattern[head=3, q=\"nurse\", -4:, ::2, :, ...]", 0).expect("parses");
        let ExprKind::Index { items, .. } = parsed.kind else { panic!("no index") };
        assert_eq!(items[0].axis.as_ref().map(|a| a.value.as_str()), Some("head"));
        assert!(matches!(&items[1].kind, IndexKind::At(Expr { kind: ExprKind::Str(s), .. }) if s == "nurse"));
        assert!(matches!(&items[2].kind, IndexKind::Range { start: Some(_), end: None, step: None }));
        assert!(matches!(&items[3].kind, IndexKind::Range { start: None, end: None, step: Some(_) }));
        assert_eq!(items[4].kind, IndexKind::All);
        assert_eq!(items[5].kind, IndexKind::Rest);
    }

    #[test]
    fn calls_take_axes_by_place_and_by_name() {
        let parsed = parse_expr("max(L5.attn.pattern, axis=k)", 0).expect("parses");
        let ExprKind::Call { name, args } = parsed.kind else { panic!("no call") };
        assert_eq!((name.value.as_str(), args.len()), ("max", 2));
        assert_eq!(args[1].name.as_ref().map(|n| n.value.as_str()), Some("axis"));
        assert!(parse_expr("loss()", 0).is_ok());
    }

    #[test]
    fn names_histories_and_constants() {
        let kind = |text| parse_expr(text, 0).expect("parses").kind;
        assert_eq!(kind("$$"), ExprKind::History(History::Back(1)));
        assert_eq!(kind("$$7"), ExprKind::History(History::Back(7)));
        assert_eq!(kind("$12"), ExprKind::History(History::Number(12)));
        assert_eq!(kind("$cursor"), ExprKind::Cursor);
        assert_eq!(kind("$bpnum"), ExprKind::Var("bpnum".into()));
        assert_eq!(kind("inf"), ExprKind::Number(f64::INFINITY));
        assert_eq!(kind("true"), ExprKind::Bool(true));
    }

    #[test]
    fn spans_point_into_the_line() {
        let parsed = parse_expr("max( x ) + 1", 6).expect("parses");
        assert_eq!(parsed.span, Span::new(6, 18));
        let error = parse_expr("max(x", 6).expect_err("no bracket");
        assert_eq!(error.span, Span::new(11, 11));
        assert_eq!(fails("1 + ").span, Span::new(4, 4));
    }

    #[test]
    fn what_is_left_is_an_error_with_advice() {
        assert_eq!(fails("a = b").help.as_deref(), Some("comparison is written =="));
        assert_eq!(fails("a and b").help.as_deref(), Some("\"and\" is written &&"));
        assert!(fails("a) b").help.is_some());
    }

    #[test]
    fn a_prefix_ends_where_the_expression_does() {
        let (expr, rest) = parse_expr_prefix("max($) > 1 if x", 6).expect("parses");
        assert_eq!((expr.to_string().as_str(), rest), ("max($) > 1", 17));
        assert_eq!(parse_list("\"%d\", 1, x", 0).expect("parses").len(), 3);
        assert!(parse_list("  ", 0).expect("nothing").is_empty());
    }

    #[test]
    fn strange_lines_do_not_exhaust_the_stack() {
        assert!(fails(&"(".repeat(100_000)).message.contains("nested"));
        assert!(fails(&"-".repeat(100_000)).message.contains("nested"));
        assert!(fails(&"1+".repeat(100_000)).message.contains("too long"));
        assert!(fails(&format!("x{}", "[0]".repeat(100_000))).message.contains("too long"));
    }
}
