//! Expressions to values.
//!
//! Evaluation asks a [`Scope`] for everything that is not in the expression itself: sites, history, tokens, the model's
//! head. It runs on the device of the values; what leaves the device is one number for a reduction over everything, and
//! what the host has to order (`sort`, `topk`, `quantile`). Nothing is cached and nothing changes: evaluating an
//! expression leaves the run as it was.

mod arithmetic;
mod datum;
mod evaluator;
mod format;
mod functions;
mod index;
mod model;
mod order;
mod reduce;
mod reshape;
mod tracked;
mod uses;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod testing;

pub use datum::Datum;
pub use format::format;
pub use functions::{FUNCTIONS, Function};
pub use index::slices;
pub use uses::{check, sites_used};

use super::{Expr, ExprKind, History, LangError, Result, SiteRef, SiteTable, Span, Unavailable};
use crate::tensor::{Axis, Device, Value, named};
use evaluator::Evaluator;

named! {
    /// Which half of a key/value cache.
    pub enum CachePart, name {
        /// Keys, as scores read them: after the rotation, if the model has one.
        Keys = "k",
        Values = "v",
    }
}

impl CachePart {
    /// What the second argument of `kv` means: `k` or `v`.
    pub fn of(expr: &Expr) -> Result<CachePart> {
        let named = |part: &&CachePart| matches!(&expr.kind, ExprKind::Site(site) if site.text == part.name());
        let wrong = || LangError::new("kv takes a layer and k or v", expr.span).help("kv(0, k)");
        CachePart::ALL.iter().find(named).copied().ok_or_else(wrong)
    }
}

/// Where an expression finds what it names.
///
/// Sites come with canonical names in [`SiteRef::text`]: spellings, layers and the block at the cursor are resolved
/// before. Errors are [`Unavailable`]; evaluation adds the place in the line.
pub trait Scope {
    /// Where new values are made.
    fn device(&self) -> Device;
    /// The names of the program of `run`, or of the current one.
    fn table(&self, run: Option<&str>) -> Result<&dyn SiteTable, Unavailable>;
    /// The block that bare names are relative to.
    fn block(&self) -> Option<usize>;
    /// A site's value for the focused row, without a row axis.
    fn site(&mut self, site: &SiteRef) -> Result<Value, Unavailable>;
    /// A site's value for the whole batch, its first axis being the row.
    fn all_rows(&mut self, site: &SiteRef) -> Result<Value, Unavailable>;
    /// The gradient at a site, for the focused row, after `backward`.
    fn grad(&mut self, site: &SiteRef) -> Result<Value, Unavailable>;
    /// The gradient at a weight, by its role, after `backward`.
    fn grad_param(&mut self, name: &str) -> Result<Value, Unavailable>;
    /// An entry of the value history. In a condition, `$` is the value just computed.
    fn history(&mut self, entry: History) -> Result<Datum, Unavailable>;
    /// A convenience variable; [`Datum::Void`] if it was never set.
    fn variable(&mut self, name: &str) -> Datum;
    /// The value that the op before the cursor has just computed, for the focused row.
    fn cursor(&mut self) -> Result<Value, Unavailable>;
    /// A weight, by its name in the file or by role.
    fn param(&mut self, name: &str) -> Result<Value, Unavailable>;
    /// The indices on `axis` (`pos`, `q` or `k`) of the tokens with this text in the focused row.
    fn token_positions(&mut self, text: &str, axis: Axis) -> Vec<usize>;
    /// A suggestion for a text that is not a token of the focused row.
    fn like_token(&mut self, _text: &str) -> Option<String> {
        None
    }
    /// The id of the one token that `text` is.
    fn token_id(&mut self, text: &str) -> Result<usize, Unavailable>;
    fn token_text(&mut self, id: usize) -> Result<String, Unavailable>;
    /// The index of a class by its name.
    fn label_index(&mut self, text: &str) -> Result<usize, Unavailable>;
    /// The logits at the focused position: a vector over the vocabulary or the labels.
    fn logits(&mut self) -> Result<Value, Unavailable>;
    /// Keys or values of all positions that the cache of block `layer` holds, for the focused row.
    fn cache(&mut self, layer: usize, part: CachePart) -> Result<Value, Unavailable>;
    /// The loss of the text so far.
    fn loss(&mut self) -> Result<Datum, Unavailable>;
    /// Final norm and unembedding of `x`, whose last axis is the residual stream.
    fn lens(&mut self, x: &Value) -> Result<Value, Unavailable>;
    /// What head `head` of block `layer` adds to the residual stream, at every position.
    fn result(&mut self, layer: usize, head: usize) -> Result<Value, Unavailable>;
    /// Whether the result has to stay connected to the values it came from, because a gradient will be taken. Then
    /// every reduction gives a tensor without axes instead of a number, and functions that order on the host refuse.
    fn tracked(&self) -> bool {
        false
    }
}

pub fn evaluate(expr: &Expr, scope: &mut dyn Scope) -> Result<Datum> {
    Evaluator { scope }.eval(expr)
}

pub fn number(expr: &Expr, scope: &mut dyn Scope) -> Result<f64> {
    evaluate(expr, scope)?.number(expr.span)
}

/// Evaluates `expr` as a condition: a truth value, or a number that is not zero.
pub fn condition(expr: &Expr, scope: &mut dyn Scope) -> Result<bool> {
    let needs = |what| LangError::new(format!("a condition needs {what}"), expr.span);
    let x = match evaluate(expr, scope)? {
        Datum::Tensor(value) if !value.shape().is_empty() => {
            let error = needs(format!("one truth value, found shape {}", value.shape_text()));
            return Err(error.help(format!("any({expr}) holds if one element does, all({expr}) if every one does")));
        }
        datum @ (Datum::Str(_) | Datum::Void) => {
            return Err(needs(format!("a truth value, found {}", datum.described())));
        }
        datum => datum.number(expr.span)?,
    };
    if x.is_nan() {
        return Err(
            LangError::new("the condition is NaN, neither true nor false", expr.span).help("any(nan(x)) asks for NaN")
        );
    }
    Ok(x != 0.0)
}

/// Adds the place in the line to an error of a layer that does not know it.
trait At<T> {
    fn at(self, span: Span) -> Result<T>;
}

impl<T, E: Into<Unavailable>> At<T> for Result<T, E> {
    fn at(self, span: Span) -> Result<T> {
        self.map_err(|error| LangError::because(error, span))
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{fails, holds};

    #[test]
    fn a_condition_is_one_truth_value() {
        assert!(holds("max(v) > 2"));
        assert!(!holds("v[0] > 2"));
        assert!(holds("sum(v)"));
        assert!(holds("any(v > 2) && !all(v > 2)"));
        let error = fails("v > 2");
        assert_eq!(error.message, "a condition needs one truth value, found shape [dim=3]");
        assert!(error.help.expect("advice").starts_with("any(v > 2)"));
        assert!(fails("0 / 0").message.contains("NaN"));
        assert!(fails("log(-1)").message.contains("NaN"));
        assert_eq!(fails("\"x\"").message, "a condition needs a truth value, found the string \"x\"");
        assert_eq!(fails("$unset").message, "a condition needs a truth value, found void");
    }
}
