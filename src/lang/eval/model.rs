//! Functions that ask the model: tokens, classes, predictions, weights, contributions and gradients.

use super::evaluator::Evaluator;
use super::functions::Bound;
use super::{At, CachePart, Datum};
use crate::lang::site::{extent, head_index};
use crate::lang::{Expr, ExprKind, LangError, Result, SiteTable};
use crate::tensor::ops::Slice;
use crate::tensor::{Axis, TensorError, Value};

impl Evaluator<'_> {
    pub fn tok(&mut self, call: &Bound<'_>) -> Result<Datum> {
        let text = self.string(call.required(0))?;
        self.scope.token_id(&text).at(call.required(0).span).map(|id| Datum::Num(id as f64))
    }

    pub fn text(&mut self, call: &Bound<'_>) -> Result<Datum> {
        let id = call.required(0);
        let number = self.eval(id)?.integer(id.span)?;
        let number =
            usize::try_from(number).map_err(|_| LangError::new(format!("{number} is not a token id"), id.span))?;
        self.scope.token_text(number).at(id.span).map(Datum::Str)
    }

    pub fn label(&mut self, call: &Bound<'_>) -> Result<Datum> {
        let name = self.string(call.required(0))?;
        self.scope.label_index(&name).at(call.required(0).span).map(|at| Datum::Num(at as f64))
    }

    /// What `of` makes of the logits: all of it, or the entry that a token names.
    pub fn prediction(&mut self, call: &Bound<'_>, of: fn(Value) -> Result<Value, TensorError>) -> Result<Datum> {
        let vector = of(self.scope.logits().at(call.span)?).at(call.span)?;
        let Some(expr) = call.optional(0) else { return Ok(Datum::Tensor(vector)) };
        let at = self.entry(expr, &vector)?;
        let one = vector.slice(&[Slice::At(at)]).at(expr.span)?;
        self.scalar(one, expr.span)
    }

    /// How many entries are above each, or above the one asked for; equal ones share a rank.
    pub fn rank(&mut self, call: &Bound<'_>) -> Result<Datum> {
        self.ordered_on_host(call)?;
        let logits = self.scope.logits().at(call.span)?;
        let data = logits.read_f64().at(call.span)?;
        if let Some(expr) = call.optional(0) {
            let at = self.entry(expr, &logits)?;
            return Ok(Datum::Num(data.iter().filter(|x| **x > data[at]).count() as f64));
        }
        let mut falling = data.clone();
        falling.sort_by(|a, b| b.total_cmp(a));
        let ranks = data.iter().map(|x| falling.partition_point(|y| y > x) as i64).collect();
        Ok(Datum::Tensor(Value::from_i64(ranks, &[data.len()], &logits.device()).with_axes(logits.axes())))
    }

    /// The place of a token or label, by text or by number.
    fn entry(&mut self, expr: &Expr, vector: &Value) -> Result<usize> {
        let len = vector.shape()[0];
        let at = match self.eval(expr)? {
            Datum::Str(text) if vector.axes()[0] == Axis::Label => self.scope.label_index(&text).at(expr.span)? as i64,
            Datum::Str(text) => self.scope.token_id(&text).at(expr.span)? as i64,
            datum => datum.integer(expr.span)?,
        };
        usize::try_from(at)
            .ok()
            .filter(|&at| at < len)
            .ok_or_else(|| LangError::new(format!("no entry {at}; the entries are {}", extent(len)), expr.span))
    }

    pub fn param(&mut self, call: &Bound<'_>) -> Result<Datum> {
        let name = self.string(call.required(0))?;
        self.scope.param(&name).at(call.required(0).span).map(Datum::Tensor)
    }

    pub fn lens(&mut self, call: &Bound<'_>) -> Result<Datum> {
        let x = self.value(call.required(0))?;
        self.scope.lens(&x).at(call.required(0).span).map(Datum::Tensor)
    }

    pub fn result(&mut self, call: &Bound<'_>) -> Result<Datum> {
        let (layer, head) = (call.required(0), call.required(1));
        let (l, h) = (self.eval(layer)?.integer(layer.span)?, self.eval(head)?.integer(head.span)?);
        let table: &dyn SiteTable = self.scope.table(None).at(call.span)?;
        let (layers, at) = (table.n_layers(), layer.span);
        let l = in_model(l, layers)
            .ok_or_else(|| LangError::new(format!("no layer {l}: model has {}", extent(layers)), at))?;
        let h = head_index(h, l, table, head.span)?;
        self.scope.result(l, h).at(call.span).map(Datum::Tensor)
    }

    pub fn kv(&mut self, call: &Bound<'_>) -> Result<Datum> {
        let (layer, part) = (call.required(0), call.required(1));
        let l = self.eval(layer)?.integer(layer.span)?;
        let layers = self.scope.table(None).at(call.span)?.n_layers();
        let l = in_model(l, layers)
            .ok_or_else(|| LangError::new(format!("no layer {layer}: model has {}", extent(layers)), layer.span))?;
        self.scope.cache(l, CachePart::of(part)?).at(call.span).map(Datum::Tensor)
    }

    pub fn grad(&mut self, call: &Bound<'_>) -> Result<Datum> {
        let x = call.required(0);
        match &x.kind {
            ExprKind::Site(site) => self.site_with(site, |scope, site| scope.grad(site)).map(Datum::Tensor),
            ExprKind::Call { name, args } if name.value == "param" && args.len() == 1 => {
                let name = self.string(&args[0].value)?;
                self.scope.grad_param(&name).at(args[0].value.span).map(Datum::Tensor)
            }
            _ => Err(LangError::new("grad takes a site or param(\"...\")", x.span)
                .help("slice its result: grad(L5.attn.z)[head=3]")),
        }
    }

    fn string(&mut self, expr: &Expr) -> Result<String> {
        match self.eval(expr)? {
            Datum::Str(text) => Ok(text),
            other => Err(LangError::new(format!("expected a string, found {}", other.described()), expr.span)),
        }
    }
}

/// The number of a layer, negative ones counted from the last; `None` if the model does not have it.
fn in_model(layer: i64, layers: usize) -> Option<usize> {
    let wanted = if layer < 0 { layer + layers as i64 } else { layer };
    usize::try_from(wanted).ok().filter(|&layer| layer < layers)
}

#[cfg(test)]
mod tests {
    use crate::lang::eval::testing::{Small, evaluated, fails, near, num, numbers, shape, string};

    #[test]
    fn tokens_and_labels() {
        assert_eq!(num("tok(\" Mary\")"), 1.0);
        assert_eq!(string("text(2)"), " and");
        assert_eq!(string("text(tokens[1])"), " Mary");
        assert_eq!(num("label(\"POSITIVE\")"), 1.0);
        assert_eq!(fails("label(\"GOOD\")").message, "no label GOOD");
        assert!(fails("tok(3)").message.starts_with("expected a string"));
        assert!(fails("text(-1)").message.contains("is not a token id"));
    }

    #[test]
    fn predictions_at_the_focused_position() {
        // The logits there are 0, 1, 2, 3.
        let total: f64 = (0..4).map(|x| f64::from(x).exp()).sum();
        assert_eq!(num("logit(\" and\")"), 2.0);
        assert_eq!(numbers("logit"), [0.0, 1.0, 2.0, 3.0]);
        assert!((num("prob(\" and\")") - 2f64.exp() / total).abs() < 1e-6);
        near("logprob()", &[-total.ln(), 1.0 - total.ln(), 2.0 - total.ln(), 3.0 - total.ln()]);
        assert_eq!(num("rank(\" and\")"), 1.0);
        assert_eq!(num("rank(3)"), 0.0);
        assert_eq!(numbers("rank"), [3.0, 2.0, 1.0, 0.0]);
        assert_eq!(fails("logit(9)").message, "no entry 9; the entries are 0..3");
        assert_eq!(num("logit(\" and\") - logit(\" Mary\")"), 1.0);
    }

    #[test]
    fn weights_lenses_and_contributions() {
        assert_eq!(numbers("param(\"W_U\")[0]"), [1.0, 2.0]);
        assert_eq!(fails("param(\"W_X\")").message, "no weight W_X");
        assert_eq!(numbers("lens(v)"), [2.0, -4.0, 6.0]);
        assert_eq!(numbers("result(-1, 1)"), [1.0, 1.0]);
        assert_eq!(fails("result(5, 0)").message, "no layer 5: model has 0..1");
        assert_eq!(fails("result(0, 2)").message, "no head 2: blocks.0.attn has heads 0..1");
    }

    #[test]
    fn gradients() {
        assert_eq!(numbers("grad(v)"), [0.5, 0.5, 0.5]);
        assert_eq!(shape("grad(L0H1)"), [4, 2]);
        assert!(fails("grad(v * 2)").help.is_some());
        assert!(evaluated("grad(m)", &mut Small::default()).expect_err("none").message.contains("backward"));
    }
}
