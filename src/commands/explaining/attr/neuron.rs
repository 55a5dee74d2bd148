//! `attr neuron`: what of the effect of each element goes through one neuron.

use super::given::Given;
use super::table;
use crate::analysis::attribution::{Probe, through_neuron};
use crate::answer::numbers::significant;
use crate::commands::frame::{Done, mistake};
use crate::commands::state::Console;
use crate::debugger::ops_of;
use crate::lang::eval::Datum;
use crate::lang::{Expr, parse_expr};

/// The conductance of one neuron, by the elements of the site at `at`.
pub fn conductance(
    console: &mut Console,
    given: &Given,
    (expr, target): (&Expr, &str),
    at: usize,
    baseline: &[f32],
) -> Done {
    let (text, span) = given.through.as_ref().ok_or("neuron needs one")?;
    let neuron = parse_expr(text, span.start)?;
    let wrong = || mistake("a neuron is one element of one site", *span, "-through L1.mlp.post[-1, 12]");
    let [of] = ops_of(&console.session, &neuron)[..] else { return Err(wrong()) };
    let which = {
        let mut probe = Probe::new(&mut console.session, &neuron, of)?;
        let here = probe.here()?;
        let slope = probe.gradients(&[here], of)?.remove(0).gradient;
        let mut reads = slope.iter().enumerate().filter(|(_, x)| **x != 0.0);
        match (reads.next(), reads.next()) {
            (Some((which, x)), None) if *x == 1.0 => which,
            _ => return Err(wrong()),
        }
    };
    let (rule, steps) = (given.rule, given.steps());
    let found = through_neuron(&mut console.session, (expr, &neuron), (at, of, which), baseline, (rule, steps))?;
    let op = &console.session.run.program.ops[at];
    let (axes, site) = (op.axes[1..].to_vec(), op.site.clone());
    let shape = Probe::new(&mut console.session, expr, at)?.base(at)?.shape()[1..].to_vec();
    let value = console.value_of(&found.values, &shape, &axes).whole();
    let number = console.session.remember(Datum::Tensor(value.clone()));
    let sum: f64 = found.values.iter().sum();
    let lines = vec![
        format!("neuron {text} of {target} = {} at {site}: ${number}", significant(found.at_input, 6)),
        format!("approximated by {steps} points, {}", rule.name()),
        format!("sum {}: what the neuron carries of the difference to the baseline", significant(sum, 6)),
    ];
    table::answer(console, lines, &value, &found)
}
