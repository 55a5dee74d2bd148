//! Mixtures of experts: what the chosen ones make of each token. Only those are computed.

use burn::tensor::{IndexingUpdateOp, Tensor, activation};

use super::{basic, host};
use crate::model::spec::{Act, ClampedGate};
use crate::model::weights::Weight;
use crate::tensor::{TensorError, Value};

/// How experts combine gate and up.
#[derive(Clone, Copy)]
pub struct Form {
    pub act: Act,
    /// What takes the place of the activation.
    pub clamped: Option<ClampedGate>,
}

/// The projections of one expert.
pub struct Projections {
    /// None where the activation is that of `up`.
    pub gate: Option<Weight>,
    pub up: Weight,
    pub down: Weight,
    /// Those of the others in their order; empty without.
    pub biases: Vec<Value>,
}

pub struct Mixture<'a> {
    /// An expert by its number, which is read if it is not in memory: only those that are chosen are asked for.
    pub experts: &'a dyn Fn(usize) -> Result<Projections, TensorError>,
    pub count: usize,
    /// The expert that every token uses, and how much of it is added, `[d, 1]`, where that is not all.
    pub shared: Option<(Projections, Option<Value>)>,
    pub form: Form,
    /// Whether shares multiply what an expert reads, not what it makes.
    pub weighs_input: bool,
}

/// The weighted sum of what the chosen experts make of `x`, `[B, T, d]`, with the shared expert where there is one.
pub fn mix(x: &Value, chosen: &Value, shares: &Value, mixture: &Mixture) -> Result<Value, TensorError> {
    let [rows, length, width] = *x.shape() else { panic!("hidden states have three axes") };
    let per_token = chosen.shape()[2];
    let chosen = chosen.read_i64()?;
    let flat = x.clone().reshaped(&[1, rows * length, width]);
    let shares = shares.clone().reshaped(&[rows * length * per_token]);
    let mut sum = Sum::new(&flat, &shares);
    for number in 0..mixture.count {
        let uses: Vec<usize> = (0..chosen.len()).filter(|&use_| chosen[use_] == number as i64).collect();
        if !uses.is_empty() {
            let tokens: Vec<usize> = uses.iter().map(|use_| use_ / per_token).collect();
            sum = sum.add(&flat, &(mixture.experts)(number)?, mixture, &tokens, &shares, &uses);
        }
    }
    let mut out = sum.finish();
    if let Some((shared, share)) = &mixture.shared {
        let all = expert(&flat, shared, mixture.form).tensor::<3>(); // [1, B T, d]
        out = Value::float(match share {
            Some(share) => {
                let share = activation::sigmoid(basic::linear(&flat, share, None).tensor::<3>()); // [1, B T, 1]
                out.tensor::<3>() + all * share
            }
            None => out.tensor::<3>() + all,
        });
    }
    Ok(out.reshaped(&[rows, length, width]))
}

/// `down(act(gate(x)) * up(x))`, or without a gate `down(act(up(x)))`.
fn expert(x: &Value, weights: &Projections, form: Form) -> Value {
    let mut biases = weights.biases.iter();
    let gate = weights.gate.as_ref().map(|gate| basic::weighted(x, gate, biases.next()));
    let up = basic::weighted(x, &weights.up, biases.next());
    let hidden = match (gate, form.clamped) {
        (Some(gate), Some(clamped)) => clamped_gate(&gate, &up, clamped),
        (Some(gate), None) => basic::gated(&gate, &up, form.act),
        (None, _) => basic::activation(&up, form.act),
    };
    basic::weighted(&hidden, &weights.down, biases.next())
}

/// `(up + 1) gate sigmoid(alpha gate)` of what is bounded, `[1, n, M]`.
fn clamped_gate(gate: &Value, up: &Value, clamped: ClampedGate) -> Value {
    if let Some(out) = host::clamped_gate(gate, up, clamped) {
        return out;
    }
    let ClampedGate { limit, alpha } = clamped;
    let gate = gate.tensor::<3>().clamp_max(limit);
    let up = up.tensor::<3>().clamp(-limit, limit);
    Value::float(up.add_scalar(1.0) * (gate.clone() * activation::sigmoid(gate.mul_scalar(alpha))))
}

/// A growing sum over experts, in host memory while everything is there.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
enum Sum {
    Host(Vec<f32>, Vec<usize>),
    Device(Tensor<2>),
}

impl Sum {
    fn new(x: &Value, shares: &Value) -> Sum {
        match (x.host_f32(), shares.host_f32()) {
            (Some(_), Some(_)) => Sum::Host(vec![0.0; x.count()], x.shape().to_vec()),
            _ => Sum::Device(x.tensor::<3>().zeros_like().squeeze_dim(0)), // [N, d]
        }
    }

    /// Adds what an expert makes of some tokens of `x`, times the shares at `uses`.
    fn add(
        self,
        x: &Value,
        weights: &Projections,
        mixture: &Mixture,
        tokens: &[usize],
        shares: &Value,
        uses: &[usize],
    ) -> Sum {
        let width = x.shape()[2];
        let index = |list: &[usize]| {
            Value::from_i64(list.iter().map(|&i| i as i64).collect(), &[list.len()], &x.device()).int_tensor::<1>()
        };
        let rows = x.tensor::<3>().squeeze_dim::<2>(0).select(0, index(tokens)); // [n, d]
        let own_shares = || shares.tensor::<1>().select(0, index(uses)).reshape([uses.len(), 1]); // [n, 1]
        let rows = if mixture.weighs_input { rows * own_shares() } else { rows };
        let made = expert(&Value::float(rows.unsqueeze::<3>()), weights, mixture.form); // [1, n, d]
        let sum = match (self, made.host_f32(), shares.host_f32()) {
            (Sum::Host(mut sum, shape), Some(made), Some(shares)) => {
                let shares = uses.iter().map(|&use_| if mixture.weighs_input { 1.0 } else { shares.as_slice()[use_] });
                host::add_rows(&mut sum, made.as_slice(), width, tokens, shares);
                return Sum::Host(sum, shape);
            }
            (sum, ..) => sum.finish().tensor::<3>().squeeze_dim::<2>(0),
        };
        let made = made.tensor::<3>().squeeze_dim::<2>(0); // [n, d]
        let made = if mixture.weighs_input { made } else { made * own_shares() };
        Sum::Device(sum.select_assign(0, index(tokens), made, IndexingUpdateOp::Add))
    }

    /// The sum, `[1, N, d]`.
    fn finish(self) -> Value {
        match self {
            Sum::Host(sum, shape) => host::value(sum, &shape),
            Sum::Device(sum) => Value::float(sum.unsqueeze::<3>()),
        }
    }
}
