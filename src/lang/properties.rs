//! Tests of what holds for every tree and every line: printing is the inverse of parsing, nothing panics, and errors
//! point into the line.

use super::command::{split_command, strip_comment};
use super::location::{parse_location_prefix, resolve};
use super::site::tests::Small;
use super::words::{parse_numbers, take_options};
use super::{
    Arg, BinaryOp, Expr, ExprKind, History, IndexItem, IndexKind, LangError, SiteRef, Span, Spanned, UnaryOp, caret,
    parse_assignment, parse_break, parse_expr, parse_expr_prefix, parse_list, parse_location, parse_trace, parse_watch,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn bare(kind: ExprKind) -> Expr {
    Expr::new(kind, Span::default())
}

fn spanned(text: String) -> Spanned<String> {
    Spanned::new(text, Span::default())
}

/// Where a tree was written is not part of its meaning.
fn without_spans(expr: &Expr) -> Expr {
    let inner = |e: &Expr| Box::new(without_spans(e));
    let bound = |e: &Option<Expr>| e.as_ref().map(without_spans);
    let name = |n: &Spanned<String>| spanned(n.value.clone());
    bare(match &expr.kind {
        ExprKind::Site(site) => ExprKind::Site(SiteRef { span: Span::default(), ..site.clone() }),
        ExprKind::Unary(op, x) => ExprKind::Unary(*op, inner(x)),
        ExprKind::Binary(op, a, b) => ExprKind::Binary(*op, inner(a), inner(b)),
        ExprKind::Call { name: called, args } => ExprKind::Call {
            name: name(called),
            args: args
                .iter()
                .map(|a| Arg { name: a.name.as_ref().map(name), value: without_spans(&a.value) })
                .collect(),
        },
        ExprKind::Index { base, items } => ExprKind::Index {
            base: inner(base),
            items: items
                .iter()
                .map(|item| IndexItem {
                    axis: item.axis.as_ref().map(name),
                    span: Span::default(),
                    kind: match &item.kind {
                        IndexKind::At(x) => IndexKind::At(without_spans(x)),
                        IndexKind::Range { start, end, step } => {
                            IndexKind::Range { start: bound(start), end: bound(end), step: bound(step) }
                        }
                        other => other.clone(),
                    },
                })
                .collect(),
        },
        other => other.clone(),
    })
}

fn site() -> impl Strategy<Value = ExprKind> {
    let name = prop_oneof![
        Just("L5.attn.pattern"),
        Just("L-1.mlp.post"),
        Just("blocks.-2.resid_pre"),
        Just("logits"),
        Just("k"),
        Just("transformer.h.0.ln_1")
    ];
    let run = option::of(prop_oneof!["[a-z_][a-z0-9_]{0,5}", ".{0,6}"]);
    (name, run, option::of(0u32..9))
        .prop_map(|(text, run, pass)| ExprKind::Site(SiteRef { text: text.into(), run, pass, span: Span::default() }))
}

fn leaf() -> impl Strategy<Value = Expr> {
    prop_oneof![
        prop_oneof![Just(0.0), Just(f64::INFINITY), 0.0..1e3, proptest::num::f64::POSITIVE].prop_map(ExprKind::Number),
        ".{0,8}".prop_map(ExprKind::Str),
        any::<bool>().prop_map(ExprKind::Bool),
        site(),
        prop_oneof![Just(History::Last), (1u32..9).prop_map(History::Back), (0u32..99).prop_map(History::Number)]
            .prop_map(ExprKind::History),
        "[a-z_][a-z0-9_]{0,4}".prop_filter("the cursor has its own form", |n| n != "cursor").prop_map(ExprKind::Var),
        Just(ExprKind::Cursor),
    ]
    .prop_map(bare)
}

fn item(expr: impl Strategy<Value = Expr> + Clone) -> impl Strategy<Value = IndexItem> {
    let bound = || option::of(expr.clone());
    let range = (bound(), bound(), bound()).prop_map(|(start, end, step)| match (&start, &end, &step) {
        (None, None, None) => IndexKind::All,
        _ => IndexKind::Range { start, end, step },
    });
    (option::of("head|q|pos"), prop_oneof![expr.prop_map(IndexKind::At), range, Just(IndexKind::Rest)]).prop_map(
        |(axis, kind)| {
            let axis = axis.filter(|_| kind != IndexKind::Rest).map(spanned);
            IndexItem { axis, kind, span: Span::default() }
        },
    )
}

fn operator() -> impl Strategy<Value = BinaryOp> {
    use BinaryOp::*;
    proptest::sample::select(vec![Or, And, Eq, Ne, Lt, Le, Gt, Ge, Add, Sub, Mul, Div, Pow])
}

fn tree() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(5, 40, 4, |expr| {
        let expr = expr.boxed();
        let argument =
            (option::of("axis|k"), expr.clone()).prop_map(|(name, value)| Arg { name: name.map(spanned), value });
        prop_oneof![
            (prop_oneof![Just(UnaryOp::Neg), Just(UnaryOp::Not)], expr.clone())
                .prop_map(|(op, x)| ExprKind::Unary(op, Box::new(x))),
            (operator(), expr.clone(), expr.clone()).prop_map(|(op, a, b)| ExprKind::Binary(
                op,
                Box::new(a),
                Box::new(b)
            )),
            ("[a-z_]{1,6}", vec(argument, 0..3))
                .prop_map(|(name, args)| ExprKind::Call { name: spanned(format!("f{name}")), args }),
            (expr.clone(), vec(item(expr), 1..4))
                .prop_map(|(base, items)| ExprKind::Index { base: Box::new(base), items }),
        ]
        .prop_map(bare)
    })
}

/// Lines made of the pieces of the language get deeper into the parsers than random characters do.
fn line() -> impl Strategy<Value = String> {
    const PIECES: &str = "L5 L-1 b2 L5H3 .attn .z blocks. { } * ** ? / \\ [ ] ( ) , : ... . = == += - + ! && | < $ $$ \
        $1 $x $cursor 1 2.5e3 0x \" a if head= pos=\" row=1 # @ -before -- max é 日 param(\"W\") tokens";
    let pieces: Vec<&str> = PIECES.split_whitespace().chain([" ", " ", "\t", "-after "]).collect();
    let pieces = proptest::sample::select(pieces);
    prop_oneof![".{0,40}", vec(pieces, 0..14).prop_map(|p| p.concat())]
}

fn points_into(line: &str, error: &LangError) {
    let span = error.span;
    assert!(span.start <= span.end && span.end <= line.len(), "{line:?}: {error:?}");
    assert!(line.is_char_boundary(span.start) && line.is_char_boundary(span.end), "{line:?}: {error:?}");
    caret(line, error);
    error.column(line);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn printing_is_the_inverse_of_parsing(expr in tree()) {
        let text = expr.to_string();
        match parse_expr(&text, 0) {
            Ok(parsed) => prop_assert_eq!(without_spans(&parsed), expr, "{}", text),
            Err(error) => prop_assert!(false, "{}: {}", text, error),
        }
    }

    #[test]
    fn no_line_panics_and_every_error_points_into_it(line in line(), block in option::of(0usize..3)) {
        let table = Small::new(3);
        let check = |error: Option<LangError>| if let Some(error) = error { points_into(&line, &error) };
        check(parse_expr(&line, 0).err());
        check(parse_expr_prefix(&line, 0).err());
        check(parse_list(&line, 0).err());
        check(parse_assignment(&line, 0).err());
        check(parse_break(&line, 0).err());
        check(parse_watch(&line, 0).err());
        check(parse_trace(&line, 0).err());
        check(parse_location_prefix(&line, 0).err());
        check(take_options(&line, 0, &[]).err());
        check(parse_numbers(&line, 0, &|_| None).err());
        match parse_location(&line, 0) {
            Ok(location) => {
                let again = parse_location(&location.to_string(), 0).map(|l| l.to_string());
                prop_assert_eq!(again, Ok(location.to_string()));
                check(resolve(&location, &table, block).err());
            }
            Err(error) => points_into(&line, &error),
        }
        strip_comment(&line);
        if let Some(command) = split_command(&line) {
            prop_assert_eq!(&line[command.offset..command.offset + command.rest.len()], command.rest);
            command.subcommand();
        }
    }
}
