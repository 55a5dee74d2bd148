//! The walk over the tree.

use super::functions::{Call, function_of};
use super::{At, Datum, Scope};
use crate::lang::site::{NameKind, resolve};
use crate::lang::{BinaryOp, Expr, ExprKind, IndexItem, IndexKind, LangError, Result, SiteRef, Span, Unavailable};
use crate::tensor::Value;
use crate::tensor::ops::Slice;

pub struct Evaluator<'a> {
    pub scope: &'a mut dyn Scope,
}

impl Evaluator<'_> {
    pub fn eval(&mut self, expr: &Expr) -> Result<Datum> {
        match &expr.kind {
            ExprKind::Number(n) => Ok(Datum::Num(*n)),
            ExprKind::Str(s) => Ok(Datum::Str(s.clone())),
            ExprKind::Bool(b) => Ok(Datum::Bool(*b)),
            ExprKind::Site(site) => self.name(site),
            ExprKind::History(entry) => self.scope.history(*entry).at(expr.span),
            ExprKind::Var(name) => Ok(self.scope.variable(name)),
            ExprKind::Cursor => self.scope.cursor().at(expr.span).map(Datum::Tensor),
            ExprKind::Unary(op, x) => {
                let x_datum = self.eval(x)?;
                self.unary(*op, x_datum, x.span)
            }
            ExprKind::Binary(op, a, b) => {
                let left = self.eval(a)?;
                // If the left side decides, the right side is not computed, and cannot fail.
                match (op, &left) {
                    (BinaryOp::And, Datum::Bool(false)) => return Ok(Datum::Bool(false)),
                    (BinaryOp::Or, Datum::Bool(true)) => return Ok(Datum::Bool(true)),
                    _ => {}
                }
                let right = self.eval(b)?;
                self.binary(*op, (left, a.span), (right, b.span))
            }
            ExprKind::Call { name, args } => {
                let call = Call { name: &name.value, name_span: name.span, span: expr.span, args };
                let function = function_of(&call)?;
                (function.call)(self, &call.bind(function)?)
            }
            ExprKind::Index { base, items } => match (&base.kind, self.row_of(items)) {
                (ExprKind::Site(site), Some((row, others))) => {
                    // SITE[row=1]: another row than the focused one.
                    let all = self.site_with(site, |scope, site| scope.all_rows(site))?;
                    let value = self.index(Datum::Tensor(all), base.span, &[row])?;
                    if others.is_empty() { Ok(value) } else { self.index(value, base.span, &others) }
                }
                _ => {
                    let datum = self.eval(base)?;
                    self.index(datum, base.span, items)
                }
            },
        }
    }

    /// The item of a slice that names a row, and the other items.
    fn row_of(&self, items: &[IndexItem]) -> Option<(IndexItem, Vec<IndexItem>)> {
        let is_row = |item: &&IndexItem| item.axis.as_ref().is_some_and(|axis| axis.value == "row");
        let row = items.iter().find(is_row).filter(|item| matches!(item.kind, IndexKind::At(_)))?;
        Some((row.clone(), items.iter().filter(|item| !is_row(item)).cloned().collect()))
    }

    /// A bare name: a site, or a function that needs no arguments, such as `loss` and `prob`.
    fn name(&mut self, site: &SiteRef) -> Result<Datum> {
        let call = Call { name: &site.text, name_span: site.span, span: site.span, args: &[] };
        match function_of(&call) {
            Ok(found) if found.bare && site.run.is_none() && site.pass.is_none() => {
                (found.call)(self, &call.bind(found)?)
            }
            _ => self.site_with(site, |scope, site| scope.site(site)).map(Datum::Tensor),
        }
    }

    /// Resolves a name, gets its value from `fetch`, and selects the head if the name is one such as `L5H3`.
    pub fn site_with(
        &mut self,
        site: &SiteRef,
        fetch: impl FnOnce(&mut dyn Scope, &SiteRef) -> Result<Value, Unavailable>,
    ) -> Result<Value> {
        let block = self.scope.block();
        let resolved = resolve(site, self.scope.table(site.run.as_deref()).at(site.span)?, block)?;
        if resolved.kind == NameKind::Module {
            let prefix = format!("{}.", resolved.name);
            let table = self.scope.table(site.run.as_deref()).at(site.span)?;
            let inside: Vec<&str> =
                table.names().iter().filter(|n| n.starts_with(&prefix)).map(String::as_str).collect();
            let error = LangError::new(format!("{} is a module, which has no value", resolved.name), site.span);
            return Err(match inside.as_slice() {
                [] => error,
                [only] => error.help(format!("its site is {only}")),
                [first, .., last] => error.help(format!("its sites are {first} to {last}")),
            });
        }
        let canonical = SiteRef { text: resolved.name, ..site.clone() };
        let value = fetch(self.scope, &canonical).at(site.span)?;
        match resolved.head {
            Some(head) => {
                let axis = value.axis("head").at(site.span)?;
                let mut slices = vec![Slice::All; axis];
                slices.push(Slice::At(head));
                value.slice(&slices).at(site.span)
            }
            None => Ok(value),
        }
    }

    /// Evaluates to a tensor; numbers become tensors without axes.
    pub fn value(&mut self, expr: &Expr) -> Result<Value> {
        self.eval(expr)?.tensor(&self.scope.device(), crate::tensor::Kind::Float, expr.span)
    }

    /// A scalar as a result: the tensor itself if a gradient will be taken, else a number.
    pub fn scalar(&self, value: Value, span: Span) -> Result<Datum> {
        if self.scope.tracked() { Ok(Datum::Tensor(value)) } else { value.read_scalar().at(span).map(Datum::Num) }
    }
}

#[cfg(test)]
mod tests {
    use crate::lang::eval::testing::{fails, num, numbers, void};
    use crate::tensor::TensorError;

    #[test]
    fn names_are_sites_histories_and_variables() {
        assert_eq!(numbers("v"), [1.0, -2.0, 3.0]);
        assert_eq!(numbers("blocks.0.resid_post[pos=0]"), numbers("L0.resid_post[0]"));
        assert_eq!(numbers("resid_post[0]"), numbers("L1.resid_post[0]"));
        assert_eq!(num("$"), 7.0);
        assert_eq!(num("$$"), 6.0);
        assert_eq!(num("$x + 1"), 43.0);
        assert!(void("$never"));
        assert_eq!(numbers("$cursor"), [5.0, 6.0]);
        assert_eq!(num("loss"), 0.25);
        assert_eq!(num("loss()"), 0.25);
    }

    #[test]
    fn a_head_is_a_slice_of_its_site() {
        assert_eq!(numbers("L0H1"), numbers("L0.attn.z[head=1]"));
        assert_eq!(fails("L0H2").message, "no head 2: blocks.0.attn has heads 0..1");
    }

    #[test]
    fn modules_have_no_value() {
        let error = fails("L0.attn");
        assert_eq!(error.message, "blocks.0.attn is a module, which has no value");
        assert_eq!(error.help.as_deref(), Some("its sites are blocks.0.attn.pattern to blocks.0.attn.z"));
    }

    #[test]
    fn a_decided_left_side_spares_the_right() {
        assert_eq!(num("false && nonsense"), 0.0);
        assert_eq!(num("true || nonsense"), 1.0);
        assert!(fails("true && nonsense").message.starts_with("no site or module nonsense"));
    }

    #[test]
    fn a_failure_of_the_device_stays_one() {
        let error = fails("1 + sum(param(\"lost\"))");
        assert_eq!(error.message, "cannot read from the device: device lost");
        assert!(matches!(error.cause.as_deref(), Some(TensorError::Read { .. })), "{:?}", error.cause);
        assert!(matches!(fails("v + long").cause.as_deref(), Some(TensorError::Shapes { .. })));
        assert_eq!(fails("param(\"none\")").cause, None);
    }

    #[test]
    fn errors_point_at_the_name() {
        let error = fails("1 + L7.resid_post");
        assert_eq!((error.span.start, error.message.as_str()), (4, "no layer 7: model has 0..1"));
        let error = fails("1 + mux(v)");
        assert_eq!((error.span.start, error.span.end), (4, 7));
        assert_eq!(error.message, "no function mux");
        assert!(error.help.expect("advice").contains("max"));
    }
}
