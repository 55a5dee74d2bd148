//! Layer-wise relevance, op by op: the rules of AttnLRP (Achtibat and others 2024, "AttnLRP: Attention-Aware Layer-Wise
//! Relevance Propagation for Transformers").
//!
//! The relevance of a value is the value times what is pulled back here, so every rule is a derivative that is taken
//! otherwise:
//!
//! - linear ops and sums: as it is (the epsilon rule, epsilon going to 0);
//! - norms: the scale counts as a constant (the identity rule);
//! - an activation, a soft-cap or a bound `f`: by the factor `f(x) / x` (the identity rule);
//! - products of two values, in gates, scores and mixing: half to each (the uniform rule);
//! - products with a table by distance: as any product with weights;
//! - softmax: as it is, which is the Taylor rule of the paper.

use super::context::at_op;
use super::interpreter::dense;
use super::kernels::attention::{self, Scoring};
use super::kernels::{basic, heads, norm};
use super::vjp::pulled;
use super::{After, Context, Kernel, Op, execute};
use crate::model::spec::{Act, Learning, Sentence, Transform};
use crate::model::weights::Weights;
use crate::tensor::ops::BinaryOp;
use crate::tensor::{TensorError, Value, proceed};

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoRelevance {
    #[error("AttnLRP has no rule for {what} ({site})")]
    NoRule { what: &'static str, site: String },
    /// The device failed, or an edit did not fit.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// As [`pull_back`](super::pull_back), by the rules above: a value times what is given here is its relevance.
///
/// # Errors
/// If there is no rule for the op, `after` fails, or the user interrupts.
///
/// # Panics
/// As [`execute`] does.
pub fn pull_relevance(
    op: &Op,
    inputs: &[Value],
    weights: &Weights,
    context: &Context,
    after: Option<After<'_>>,
    seed: &Value,
) -> Result<Vec<Option<Value>>, NoRelevance> {
    proceed()?;
    let at = at_op(op, inputs, weights, context)?;
    let leaves: Vec<Value> = at.inputs.iter().map(Value::leaf).collect();
    let Some(out) = forward(op, &leaves, &at.weights, at.context)? else { return Ok(vec![None; inputs.len()]) };
    let found = pulled(&leaves, out, after, &seed.on(at.context.device())?)?;
    Ok(at.back(inputs, found)?)
}

/// What the op gives, tracked so that its derivative is the rule. None if nothing goes back through it.
fn forward(op: &Op, x: &[Value], weights: &Weights, context: &Context) -> Result<Option<Value>, NoRelevance> {
    let no_rule = |what| Err(NoRelevance::NoRule { what, site: op.site.clone() });
    let all = || op.weights.iter().map(|&id| dense(weights, id)).collect::<Result<Vec<Value>, TensorError>>();
    // A bound counts as a factor of what the same op gives without it.
    let unbounded = |kernel| {
        let free = execute(&Op { kernel, ..op.clone() }, x, weights, context)?;
        by_factor(&free, |_| execute(op, &untracked(x), weights, context))
    };
    Ok(Some(match &op.kernel {
        Kernel::LayerNormScale { .. } | Kernel::RmsScale { .. } => return Ok(None),
        Kernel::LayerNormNormalized | Kernel::RmsNormalized => {
            let mut constant = x.to_vec();
            constant[0] = x[0].untracked();
            execute(op, &constant, weights, context)?
        }
        Kernel::LayerInputs { norm, factor, width } => {
            norm::layer_inputs([&x[0], &x[1]], norm, (*factor, *width), &all()?, norm::whole_detached)
        }
        Kernel::HeadNorm { norm, over, clip: None } => norm::of_heads_detached(&x[0], norm, *over, &all()?),
        Kernel::HeadNorm { .. } => return no_rule("a norm of queries and keys with a bound"),
        Kernel::Unit { eps, factor } => norm::unit_detached(&x[0], *eps, *factor),
        Kernel::Convolution { act, real } => {
            let linear = Op { kernel: Kernel::Convolution { act: Act::Linear, real: *real }, ..op.clone() };
            by_factor(&execute(&linear, x, weights, context)?, |x| Ok(basic::activation(x, *act)))?
        }
        Kernel::GroupNorm { groups, eps } => norm::of_groups_detached(&x[0], *groups, *eps, &all()?[0]),
        Kernel::Read(Learning::Replaces) | Kernel::State(Learning::Replaces) | Kernel::Decay => {
            return no_rule("the gated delta rule");
        }
        Kernel::Read(Learning::Adds)
        | Kernel::State(Learning::Adds)
        | Kernel::Scan
        | Kernel::ScanState
        | Kernel::Step { .. }
        | Kernel::DecayBy => {
            return no_rule("a state space");
        }
        Kernel::Activation(act) => by_factor(&x[0], |x| Ok(basic::activation(x, *act)))?,
        Kernel::Xielu => {
            let numbers = all()?;
            by_factor(&x[0], |x| Ok(basic::xielu(x, &numbers)))?
        }
        Kernel::Gated(act) => {
            let gate = by_factor(&x[0], |x| Ok(basic::activation(x, *act)))?;
            halves(&gate, &x[1], |a, b| a.binary(BinaryOp::Mul, b))?
        }
        Kernel::Linear { heads, clip: Some(_), factor } => {
            unbounded(Kernel::Linear { heads: *heads, clip: None, factor: *factor })?
        }
        Kernel::Scores { scale, softcap, .. } => {
            let products = halves(&x[0], &x[1], |q, k| Ok(attention::scores(q, k, Scoring::plain(*scale))))?;
            let capped = match softcap {
                Some(cap) => by_factor(&products, |x| {
                    let by = |op, x: &Value, number: f64| x.binary(op, &x.full_like(number));
                    let inner = by(BinaryOp::Div, x, *cap)?.unary(crate::tensor::ops::UnaryOp::Tanh)?;
                    by(BinaryOp::Mul, &inner, *cap)
                })?,
                None => products,
            };
            x[2..].iter().try_fold(capped, |sum, more| sum.binary(BinaryOp::Add, more))?
        }
        Kernel::Mix => halves(&x[0], &x[1], attention::mix)?,
        Kernel::Unembed { project, scale, softcap: Some(_) } => {
            unbounded(Kernel::Unembed { project: *project, scale: *scale, softcap: None })?
        }
        Kernel::ActivationNorm(act, of) => {
            let out = by_factor(&x[0], |x| Ok(basic::activation(x, *act)))?;
            heads::norm_of_vector(&out, of.as_ref(), &all()?, norm::whole_detached)
        }
        Kernel::Classify { transform: Some(transform), .. } => classified(&x[0], transform, op, &all()?)?,
        Kernel::TopExperts { .. } | Kernel::ExpertWeights { .. } | Kernel::Experts(_) => {
            return no_rule("the router of a mixture of experts");
        }
        Kernel::Sentence(Sentence { normalize: true, .. }) | Kernel::UnitLength => {
            return no_rule("an embedding of unit length");
        }
        _ => execute(op, x, weights, context)?,
    }))
}

/// Dense layer, activation, norm and classifier, as the head of a token classifier has them in one op.
fn classified(x: &Value, transform: &Transform, op: &Op, all: &[Value]) -> Result<Value, TensorError> {
    let bias = op.weights.last().is_some_and(|id| id.role == crate::model::role::Role::ClassifierB);
    let (front, classifier) = all.split_at(all.len() - 1 - usize::from(bias));
    let (dense, norm_weights) = front.split_at(1 + usize::from(transform.bias));
    let out = basic::linear(x, &dense[0], dense.get(1));
    let out = by_factor(&out, |x| Ok(basic::activation(x, transform.act)))?;
    let out = match &transform.norm {
        Some(of) => norm::whole_detached(&out, of, norm_weights),
        None => out,
    };
    Ok(basic::linear(&out, &classifier[0], classifier.get(1)))
}

fn untracked(values: &[Value]) -> Vec<Value> {
    values.iter().map(Value::untracked).collect()
}

/// `f(x)`, whose derivative counts as `f(x) / x`; where `x` is zero, as zero.
fn by_factor(x: &Value, f: impl Fn(&Value) -> Result<Value, TensorError>) -> Result<Value, TensorError> {
    let plain = x.untracked();
    let y = f(&plain)?;
    let zero = plain.full_like(0.0);
    let none = plain.binary(BinaryOp::Eq, &zero)?;
    let divisor = Value::choose(&none, &plain.full_like(1.0), &plain)?;
    let factor = y.binary(BinaryOp::Div, &divisor)?;
    let factor = Value::choose(&none, &zero, &factor)?;
    // The value is f(x) also where x is zero and f is not.
    let product = x.binary(BinaryOp::Mul, &factor)?;
    let rest = y.binary(BinaryOp::Sub, &product.untracked())?;
    product.binary(BinaryOp::Add, &rest)
}

/// `f(a, b)` of a product, of which half goes back to each.
fn halves(
    a: &Value,
    b: &Value,
    f: impl Fn(&Value, &Value) -> Result<Value, TensorError>,
) -> Result<Value, TensorError> {
    let sum = f(a, &b.untracked())?.binary(BinaryOp::Add, &f(&a.untracked(), b)?)?;
    sum.binary(BinaryOp::Mul, &sum.untracked().full_like(0.5))
}
