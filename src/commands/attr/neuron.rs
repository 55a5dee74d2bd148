//! `attr neuron`: what of the effect of each element goes through one neuron.

use super::super::console::{Console, Done};
use super::given::Given;
use super::table;
use crate::analysis::attribution::{Attribution, Probe, through_neuron};
use crate::answer::numbers::significant;
use crate::debugger::Error;
use crate::debugger::ops_of;
use crate::lang::eval::Datum;
use crate::lang::{Expr, LangError, Span, parse_expr};
use crate::tensor::Value;

/// The conductance of one neuron, by the elements of the site at `at`.
pub fn conductance(
    console: &mut Console,
    given: &Given,
    (expr, target): (&Expr, &str),
    at: usize,
    baseline: &[f32],
) -> Done {
    let Some((text, span)) = &given.through else {
        let error = LangError::new("neuron needs one", Span::at(0));
        return Err(Error::refused(error.help("attr neuron -through L1.mlp.post[-1, 12]").message));
    };
    let neuron = parse_expr(text, span.start)?;
    let of = match ops_of(&console.session, &neuron)[..] {
        [of] => of,
        _ => {
            let error = LangError::new("a neuron is one element of one site", *span);
            return Err(Error::At(error.help("-through L1.mlp.post[-1, 12]")));
        }
    };
    let which = {
        let mut probe = Probe::new(&mut console.session, &neuron, of)?;
        let here = probe.here()?;
        let slope = probe.gradients(&[here], of)?.remove(0).gradient;
        let mut reads = slope.iter().enumerate().filter(|(_, x)| **x != 0.0);
        match (reads.next(), reads.next()) {
            (Some((which, x)), None) if *x == 1.0 => which,
            _ => {
                let error = LangError::new("a neuron is one element of one site", *span);
                return Err(Error::At(error.help("-through L1.mlp.post[-1, 12]")));
            }
        }
    };
    let (rule, steps) = (given.rule, given.steps_or(50));
    let found = through_neuron(&mut console.session, (expr, &neuron), (at, of, which), baseline, (rule, steps))?;
    let Attribution { values, .. } = &found;
    let op = &console.session.run.program.ops[at];
    let (axes, site) = (op.axes[1..].to_vec(), op.site.clone());
    let shape = {
        let mut probe = Probe::new(&mut console.session, expr, at)?;
        probe.base(at)?.shape()[1..].to_vec()
    };
    let data = values.iter().map(|x| *x as f32).collect();
    let value = Value::from_f32(data, &shape, console.session.run.device()).with_axes(&axes).whole();
    let number = console.session.remember(Datum::Tensor(value.clone()));
    let sum: f64 = values.iter().sum();
    let lines = vec![
        format!("neuron {text} of {target} = {} at {site}: ${number}", significant(found.at_input, 6)),
        format!("approximated by {steps} points, {}", rule.name()),
        format!("sum {}: what the neuron carries of the difference to the baseline", significant(sum, 6)),
    ];
    table::answer(console, lines, &value, &found)
}
