//! What an expression needs, without evaluating it, so that a misspelt name in a condition is an error when the
//! breakpoint is set, and a watchpoint is evaluated only after ops that can change it.

use super::functions::{Call, function_of};
use crate::lang::site::{NameKind, resolve};
use crate::lang::{Expr, ExprKind, Result, SiteRef, SiteTable};
use crate::tensor::Axis;

/// Checks the names in `expr`: functions, the number of their arguments, and sites of the current run. Sites of other
/// runs are left for evaluation.
pub fn check(expr: &Expr, table: &dyn SiteTable, block: Option<usize>) -> Result<()> {
    let mut first = Ok(());
    expr.walk(&mut |e| {
        if first.is_ok() {
            first = match &e.kind {
                ExprKind::Call { name, args } => {
                    let call = Call { name: &name.value, name_span: name.span, span: e.span, args };
                    function_of(&call).and_then(|function| call.bind(function)).map(drop)
                }
                ExprKind::Site(site) if site.run.is_none() && !names_something_else(site) => {
                    resolve(site, table, block).map(drop)
                }
                _ => Ok(()),
            };
        }
    });
    first
}

/// The canonical names of the sites of the current run that the value of `expr` depends on, each once. Predictions and
/// the loss depend on `logits`.
pub fn sites_used(expr: &Expr, table: &dyn SiteTable, block: Option<usize>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut add = |name: String| {
        if !found.contains(&name) {
            found.push(name);
        }
    };
    expr.walk(&mut |e| match &e.kind {
        ExprKind::Site(site) if predicts(&site.text) => add("logits".to_string()),
        ExprKind::Site(site) if site.run.is_none() => {
            if let Ok(resolved) = resolve(site, table, block)
                && resolved.kind != NameKind::Module
            {
                add(resolved.name);
            }
        }
        ExprKind::Call { name, args } if name.value == "result" => {
            let layer = args.first().map(|a| format!("L{}.attn.z", a.value));
            let site = layer.map(|text| SiteRef { text, run: None, pass: None, span: e.span });
            if let Some(Ok(resolved)) = site.map(|site| resolve(&site, table, None)) {
                add(resolved.name);
            }
        }
        ExprKind::Call { name, .. } if predicts(&name.value) => add("logits".to_string()),
        _ => {}
    });
    found
}

fn predicts(name: &str) -> bool {
    matches!(name, "logit" | "prob" | "logprob" | "rank" | "loss")
}

/// Whether a bare name may be an axis or a function without arguments.
fn names_something_else(site: &SiteRef) -> bool {
    // The second argument of `kv` is `v`, or `k`, which is an axis too.
    Axis::parse(&site.text).is_some() || site.text == "v" || predicts(&site.text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::eval::testing::Small;
    use crate::lang::parse_expr;

    fn checked(text: &str) -> Result<()> {
        check(&parse_expr(text, 0).expect(text), &Small::default(), Some(1))
    }

    fn used(text: &str) -> Vec<String> {
        sites_used(&parse_expr(text, 0).expect(text), &Small::default(), Some(1))
    }

    #[test]
    fn names_are_checked_before_anything_runs() {
        assert_eq!(checked("max(entropy(attn.pattern), head) > 1 && prob(\" Mary\") < loss"), Ok(()));
        assert_eq!(checked("m@other - m#2"), Ok(()));
        assert_eq!(checked("max(enthropy($)) > 1").expect_err("unknown").message, "no function enthropy");
        assert_eq!(checked("max() > 1").expect_err("no argument").message, "max needs x");
        assert_eq!(checked("1 + L9.attn.z").expect_err("no layer").span.start, 4);
    }

    #[test]
    fn a_value_depends_on_its_sites() {
        assert_eq!(
            used("max(L0.attn.pattern, k) + attn.z[0, \"x\"] + L0.attn.pattern"),
            ["blocks.0.attn.pattern", "blocks.1.attn.z"]
        );
        assert_eq!(used("prob(\" Mary\") - loss"), ["logits"]);
        assert_eq!(used("result(-1, 0)"), ["blocks.1.attn.z"]);
        assert!(used("$x + 1 + m@other").is_empty());
    }
}
