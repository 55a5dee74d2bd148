//! Tests: evaluation of any expression over small values gives a value or an error and never panics.

use super::testing::{Small, evaluated};
use super::{Datum, FUNCTIONS};
use proptest::prelude::*;

fn leaf() -> impl Strategy<Value = String> {
    const LEAVES: &str = "0 1 -1 2 0.5 1e9 inf nan true v m odd long half tokens logits L0.attn.pattern L0H1 attn.z $ \
        $x $seven $never $cursor pos dim head k loss prob";
    let leaves: Vec<&str> = LEAVES.split_whitespace().chain(["\" Mary\"", "\" and\""]).collect();
    proptest::sample::select(leaves).prop_map(String::from)
}

/// A call with enough arguments, and sometimes too many.
fn call(function: usize, args: &[String], more: usize) -> String {
    let function = &FUNCTIONS[function];
    let count = (function.required + more).min(args.len());
    format!("{}({})", function.name, args[..count].join(", "))
}

fn text() -> impl Strategy<Value = String> {
    leaf().prop_recursive(4, 16, 3, |inner| {
        let operator = proptest::sample::select(vec!["+", "-", "*", "/", "**", "==", "<", "&&", "||"]);
        let item = prop_oneof![
            inner.clone(),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}:{b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, s)| format!("{a}::{s}")),
            Just("...".to_string()),
            inner.clone().prop_map(|x| format!("pos={x}")),
        ];
        prop_oneof![
            4 => (0..FUNCTIONS.len(), proptest::collection::vec(inner.clone(), 4), 0..3usize)
                .prop_map(|(f, args, more)| call(f, &args, more)),
            2 => (inner.clone(), operator, inner.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            1 => inner.clone().prop_map(|x| format!("!{x}")),
            2 => (inner, proptest::collection::vec(item, 1..3))
                .prop_map(|(x, items)| format!("{x}[{}]", items.join(", "))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn evaluation_never_panics(text in text(), tracked in any::<bool>()) {
        let mut scope = if tracked { Small::for_gradients() } else { Small::default() };
        match evaluated(&text, &mut scope) {
            Ok(Datum::Tensor(value)) => {
                value.read_f64().expect("reads");
            }
            Ok(_) => {}
            Err(error) => prop_assert!(error.span.end <= text.len(), "{}: {:?}", text, error),
        }
    }
}
