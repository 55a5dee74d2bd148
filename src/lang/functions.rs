//! Functions that the user defines: a call of one is replaced by its body when it is read, so that every expression may have one,
//! conditions, targets of gradients and watched expressions among them.
//!
//! They belong to the thread, as sessions do.

use std::cell::RefCell;

use super::{Arg, Expr, ExprKind, IndexItem, IndexKind, LangError, Result, Span, Spanned};

/// Names and numbers that an expression may grow to.
const MOST: usize = 10_000;

#[derive(Clone, Debug, PartialEq)]
pub struct UserFunction {
    pub name: String,
    pub params: Vec<String>,
    pub body: Expr,
}

thread_local! {
    static DEFINED: RefCell<Vec<UserFunction>> = const { RefCell::new(Vec::new()) };
}

/// Defines a function, in place of one of the same name.
pub fn define(function: UserFunction) {
    DEFINED.with_borrow_mut(|all| {
        all.retain(|known| known.name != function.name);
        all.push(function);
    });
}

/// The functions that are defined, the oldest first.
pub fn defined() -> Vec<UserFunction> {
    DEFINED.with_borrow(Clone::clone)
}

/// A call, or what it stands for if the user defined its function.
pub(super) fn call(name: Spanned<String>, args: Vec<Arg>, span: Span) -> Result<Expr> {
    let found = DEFINED.with_borrow(|all| all.iter().find(|known| known.name == name.value).cloned());
    let Some(UserFunction { params, body, .. }) = found else {
        return Ok(Expr::new(ExprKind::Call { name, args }, span));
    };
    if args.len() != params.len() || args.iter().any(|arg| arg.name.is_some()) {
        let message = format!("{} takes {}, found {}", name.value, counted(params.len()), args.len());
        return Err(LangError::new(message, span).help(format!("{}({})", name.value, params.join(", "))));
    }
    let given: Vec<(String, Expr)> = params.into_iter().zip(args.into_iter().map(|arg| arg.value)).collect();
    let mut size = 0;
    let expr = filled(&body, &given, span, &mut size);
    match size > MOST {
        true => Err(LangError::new(format!("{} makes an expression of more than {MOST} parts", name.value), span)),
        false => Ok(expr),
    }
}

fn counted(arguments: usize) -> String {
    if arguments == 1 { "1 argument".into() } else { format!("{arguments} arguments") }
}

/// The body with what was given for its parameters. Mistakes in it are at the call.
fn filled(body: &Expr, given: &[(String, Expr)], span: Span, size: &mut usize) -> Expr {
    *size += 1;
    if *size > MOST {
        return Expr::new(ExprKind::Number(0.0), span);
    }
    let mut fill = |x: &Expr| filled(x, given, span, size);
    let kind = match &body.kind {
        ExprKind::Site(site) => {
            let param = given.iter().find(|(name, _)| *name == site.text && site.run.is_none() && site.pass.is_none());
            if let Some((_, value)) = param {
                value.walk(&mut |_| *size += 1);
                return value.clone();
            }
            ExprKind::Site(super::SiteRef { span, ..site.clone() })
        }
        ExprKind::Unary(op, x) => ExprKind::Unary(*op, Box::new(fill(x))),
        ExprKind::Binary(op, a, b) => ExprKind::Binary(*op, Box::new(fill(a)), Box::new(fill(b))),
        ExprKind::Call { name, args } => {
            let args = args.iter().map(|arg| Arg { name: arg.name.clone(), value: fill(&arg.value) }).collect();
            ExprKind::Call { name: Spanned::new(name.value.clone(), span), args }
        }
        ExprKind::Index { base, items } => {
            let base = Box::new(fill(base));
            let mut item = |item: &IndexItem| {
                let kind = match &item.kind {
                    IndexKind::At(x) => IndexKind::At(fill(x)),
                    IndexKind::Range { start, end, step } => {
                        let [start, end, step] = [start, end, step].map(|x| x.as_ref().map(&mut fill));
                        IndexKind::Range { start, end, step }
                    }
                    kind => kind.clone(),
                };
                IndexItem { axis: item.axis.clone(), kind, span }
            };
            ExprKind::Index { base, items: items.iter().map(&mut item).collect() }
        }
        kind => kind.clone(),
    };
    Expr::new(kind, span)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::parse_expr;

    #[test]
    fn a_call_is_its_body() {
        let read = |text: &str| parse_expr(text, 0).map(|expr| expr.to_string());
        let one = |name: &str, params: &[&str], body: &str| {
            let params = params.iter().map(|param| param.to_string()).collect();
            define(UserFunction { name: name.into(), params, body: parse_expr(body, 0).unwrap() });
        };
        one("gap", &["a", "b"], "logit(a) - logit(b)");
        assert_eq!(read("gap(\" he\", \" she\") > 1").unwrap(), "logit(\" he\") - logit(\" she\") > 1");
        one("peak", &["x"], "max(x[head=0]) + x@main[0]");
        assert_eq!(read("2 * peak(L1.attn.z)").unwrap(), "2 * (max(L1.attn.z[head=0]) + x@main[0])");
        // The body is read when it is defined, with the functions of then.
        one("twice", &["x"], "peak(x) * 2");
        one("peak", &["x"], "min(x)");
        assert!(read("twice(v)").unwrap().starts_with("(max(v[head=0])"));
        let error = parse_expr("1 + gap(\"a\")", 0).unwrap_err();
        assert_eq!((error.message.as_str(), error.span.start), ("gap takes 2 arguments, found 1", 4));
        one("d0", &["x"], "x + x");
        for i in 1..8 {
            let body = format!("d{0}(d{0}(x))", i - 1);
            if parse_expr(&body, 0).is_err_and(|error| error.message.contains("more than")) {
                return;
            }
            one(&format!("d{i}"), &["x"], &body);
        }
        panic!("no limit of size");
    }
}
