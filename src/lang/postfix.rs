//! What may follow a name in brackets: the arguments of a call and the slices of an index.

use super::functions;
use super::lexer::Token;
use super::parser::Parser;
use super::{Arg, Expr, ExprKind, IndexItem, IndexKind, Result, SiteRef, Span, Spanned};

impl Parser<'_> {
    /// The arguments of `name` and their brackets; the cursor is at the opening one.
    pub(super) fn call(&mut self, name: Spanned<String>) -> Result<Expr> {
        self.advance()?;
        let mut args = Vec::new();
        if !self.at(")") {
            loop {
                args.push(self.argument()?);
                if !self.eat(",")? {
                    break;
                }
            }
        }
        self.expect(")", &format!("or a comma in the arguments of {}", name.value))?;
        let span = Span::new(name.span.start, self.last_end);
        functions::call(name, args, span)
    }

    fn argument(&mut self) -> Result<Arg> {
        let value = self.expr()?;
        match axis_name(&value) {
            Some(name) if self.eat("=")? => Ok(Arg { name: Some(name), value: self.expr()? }),
            _ => Ok(Arg { name: None, value }),
        }
    }

    /// The slices between brackets; the cursor is at the opening one.
    pub(super) fn index(&mut self) -> Result<Vec<IndexItem>> {
        self.advance()?;
        let mut items = Vec::new();
        loop {
            items.push(self.index_item()?);
            if !self.eat(",")? {
                break;
            }
        }
        self.expect("]", "or a comma in the slice")?;
        Ok(items)
    }

    fn index_item(&mut self) -> Result<IndexItem> {
        let start = self.span.start;
        let mut axis = None;
        let mut first = self.bound()?;
        if let Some(name) = first.as_ref().and_then(axis_name)
            && self.eat("=")?
        {
            axis = Some(name);
            first = self.bound()?;
        }
        let kind = if self.eat(":")? {
            let end = self.bound()?;
            let step = if self.eat(":")? { self.bound()? } else { None };
            match (first, end, step) {
                (None, None, None) => IndexKind::All,
                (start, end, step) => IndexKind::Range { start, end, step },
            }
        } else if let Some(at) = first {
            IndexKind::At(at)
        } else if axis.is_none() && self.eat("...")? {
            IndexKind::Rest
        } else {
            let error = self.error(format!("expected an index, found {}", self.found()));
            return Err(error.help("an index is a number, \"a token\", start:end:step or :"));
        };
        Ok(IndexItem { axis, kind, span: Span::new(start, self.last_end) })
    }

    /// An expression in a slice; `None` where it is left out.
    fn bound(&mut self) -> Result<Option<Expr>> {
        match self.token {
            Token::Punct(":" | "," | "]" | "...") | Token::End => Ok(None),
            _ => self.expr().map(Some),
        }
    }
}

/// The name, if the expression is only a name without dots.
fn axis_name(expr: &Expr) -> Option<Spanned<String>> {
    match &expr.kind {
        ExprKind::Site(SiteRef { text, run: None, pass: None, span })
            if !text.contains(['.', '-']) && *span == expr.span =>
        {
            Some(Spanned::new(text.clone(), *span))
        }
        _ => None,
    }
}
