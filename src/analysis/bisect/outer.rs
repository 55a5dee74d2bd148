//! Guesses at what an op reads besides values and weights: angles, positions, masks, biases on scores.

use super::guesses::Guesses;
use super::masks::Seen;
use crate::model::spec::{Pairing, Rope, RopeScaling};
use crate::program::{Context, Kernel, Op};
use crate::tensor::Value;

/// Bases of rotations in use.
const BASES: [f64; 9] = [1e4, 1e5, 2.5e5, 5e5, 1e6, 5e6, 8e6, 1e7, 1e8];

/// Divisors of frequencies in use.
const DIVISORS: [f64; 8] = [2.0, 4.0, 8.0, 16.0, 32.0, 0.5, 0.25, 0.125];

/// Positions that an implementation may be off by.
const SHIFTS: [i64; 6] = [1, -1, 2, -2, 3, -3];

impl Guesses<'_> {
    /// The context of the pass with other rotations.
    fn turned_by(&self, rope: usize, other: Rope) -> Context {
        let mut spec = self.spec.clone();
        spec.ropes[rope] = other;
        Context::new(&spec, self.input, 0..self.input.length(), &self.device())
    }

    fn shifted(&self, by: i64) -> Context {
        Context::shifted(self.spec, self.input, 0..self.input.length(), &self.device(), by)
    }

    /// Of a rotation: base, pairs, scaling, how many features, direction, positions, or none at all.
    pub(super) fn of_rotation(&self, rope: usize) -> Option<String> {
        if self.explains(&self.inputs[0].read_f64().ok()?) {
            return Some("queries and keys are not rotated there".into());
        }
        let own = &self.spec.ropes[rope];
        let tried = |other: Rope| self.in_context(&self.turned_by(rope, other));
        let pairing = match own.pairing {
            Pairing::Half => Pairing::Interleaved,
            Pairing::Interleaved => Pairing::Half,
        };
        let style = |pairing: Pairing| match pairing {
            Pairing::Half => "halves are rotated with each other there, not neighbours",
            Pairing::Interleaved => "neighbours are rotated with each other there, not halves",
        };
        if tried(Rope { pairing, ..own.clone() }) {
            return Some(style(pairing).into());
        }
        if own.scaling != RopeScaling::None && tried(Rope { scaling: RopeScaling::None, ..own.clone() }) {
            return Some("the frequencies of the rotation are not scaled there".into());
        }
        for by in SHIFTS {
            if self.in_context(&self.shifted(by)) {
                return Some(format!("positions are {} there", moved(by)));
            }
        }
        let bases = BASES.into_iter().chain(self.base_in_numbers(own));
        for theta in bases.filter(|theta| *theta != own.theta) {
            if tried(Rope { theta, ..own.clone() }) {
                return Some(format!("the base of the rotation is {theta} there, {} here", own.theta));
            }
        }
        for factor in DIVISORS {
            if tried(Rope { scaling: RopeScaling::Linear { factor }, ..own.clone() }) {
                return Some(format!("frequencies of the rotation are divided by {factor} there"));
            }
        }
        let head = self.shape.last().copied().unwrap_or(0);
        for dim in [head, head / 2, head / 4, head * 3 / 4].into_iter().filter(|dim| *dim != own.dim && *dim > 1) {
            if tried(Rope { dim, ..own.clone() }) {
                return Some(format!("{dim} of {head} features are rotated there, {} here", own.dim));
            }
        }
        self.backwards(own).then(|| "rotations go the other way there".into())
    }

    /// Whether theirs is rotated against the direction of ours: then rotating it twice as far our way gives ours.
    fn backwards(&self, own: &Rope) -> bool {
        // A rotation by -a of x is x conjugated, rotated by a, and conjugated again.
        let Ok(data) = self.inputs[0].read_f32() else { return false };
        let width = self.shape.last().copied().unwrap_or(1);
        let second = |i: usize| match own.pairing {
            Pairing::Half => i < own.dim && i >= own.dim / 2,
            Pairing::Interleaved => i < own.dim && i % 2 == 1,
        };
        let flip = |i: usize, x: f64| if second(i % width) { -x } else { x };
        let flipped: Vec<f32> = data.iter().enumerate().map(|(i, x)| flip(i, f64::from(*x)) as f32).collect();
        let value = Value::from_f32(flipped, self.inputs[0].shape(), &self.device()).with_axes(self.inputs[0].axes());
        let Some(turned) = self.run(self.op, &[value], self.context) else { return false };
        self.explains(&turned.iter().enumerate().map(|(i, x)| flip(i, *x)).collect::<Vec<_>>())
    }

    /// The base that the angle of the second pair at position 1 belongs to.
    fn base_in_numbers(&self, own: &Rope) -> Option<f64> {
        let [length, heads, width] = *self.shape else { return None };
        let before = self.inputs[0].read_f64().ok()?;
        let pair = |data: &[f64], at: usize| match own.pairing {
            Pairing::Half => (data[at + 1], data[at + 1 + own.dim / 2]),
            Pairing::Interleaved => (data[at + 2], data[at + 3]),
        };
        if length < 2
            || own.dim < 4
            || own.dim > width
            || self.input.rows.first().is_some_and(|row| row.mask.contains(&false))
        {
            return None;
        }
        // The head where the pair is longest has the smallest error.
        let size = |head: &usize| {
            let (x, y) = pair(&before, (heads + head) * width);
            x * x + y * y
        };
        let head = (0..heads).max_by(|a, b| size(a).total_cmp(&size(b)))?;
        let ((x, y), (u, v)) = (pair(&before, (heads + head) * width), pair(self.theirs, (heads + head) * width));
        let angle = (x * v - y * u).atan2(x * u + y * v);
        let base = angle.powf(-(own.dim as f64) / 2.0);
        // Configurations have round numbers.
        let digits = 10f64.powf(base.log10().floor() - 2.0);
        (angle > 0.0 && base.is_finite() && base > 1.0).then(|| (base / digits).round() * digits)
    }

    /// Of rows of a position table: which row the first position has.
    pub(super) fn of_positions(&self) -> Option<String> {
        let by = SHIFTS.into_iter().find(|by| self.in_context(&self.shifted(*by)))?;
        Some(format!("positions are {} there", moved(by)))
    }

    /// Of scores: the factor, the cap, biases by position, and what is masked.
    pub(super) fn of_scores(&self, scale: f64, softcap: Option<f64>, reach: Option<usize>) -> Option<String> {
        let with = |scale, softcap| Op { kernel: Kernel::Scores { scale, softcap, reach }, ..self.op.clone() };
        let tried = |op: &Op| self.run(op, self.inputs, self.context).is_some_and(|guess| self.explains(&guess));
        if softcap.is_some() && tried(&with(scale, None)) {
            return Some("scores are not capped there".into());
        }
        let head = self.inputs[0].shape().last().copied().unwrap_or(1) as f64;
        let width = self.spec.d_model as f64;
        let scales = [
            (1.0, "not scaled".to_string()),
            (scale * scale, "scaled twice".into()),
            (head.powf(-0.5), "divided by the root of the head's width".into()),
            (1.0 / head, "divided by the head's width".into()),
            (width.powf(-0.5), "divided by the root of the model's width".into()),
        ];
        for (other, words) in scales {
            if (other - scale).abs() > 1e-9 && tried(&with(other, softcap)) {
                return Some(format!("scores are {words} there"));
            }
        }
        for cap in [20.0, 30.0, 50.0] {
            if softcap != Some(cap) && tried(&with(scale, Some(cap))) {
                return Some(format!("scores are capped at {cap} there"));
            }
        }
        if self.in_context(&self.context.without_bias()) {
            return Some("scores have no bias by position there".into());
        }
        for by in SHIFTS {
            if self.in_context(&self.shifted(by)) {
                return Some(format!("positions are {} there", moved(by)));
            }
        }
        self.of_keys(self.op).or_else(|| self.of_mask())
    }

    /// Key/value heads that are repeated for the queries one after the other, not each in turn.
    pub(super) fn of_keys(&self, op: &Op) -> Option<String> {
        let [_, _, heads, width] = *self.inputs[1].shape() else { return None };
        let queries = self.spec.n_heads;
        if heads < 2 || queries == heads || !queries.is_multiple_of(heads) {
            return None;
        }
        let data = self.inputs[1].read_f32().ok()?;
        let tiled: Vec<f32> = data
            .chunks(heads * width)
            .flat_map(|row| (0..queries).flat_map(|h| row[h % heads * width..(h % heads + 1) * width].to_vec()))
            .collect();
        let mut shape = self.inputs[1].shape().to_vec();
        shape[2] = queries;
        let tiled = Value::from_f32(tiled, &shape, &self.device()).with_axes(self.inputs[1].axes());
        let inputs = [self.inputs[0].clone(), tiled];
        let guess = self.run(op, &inputs, self.context)?;
        self.explains(&guess)
            .then(|| "key/value heads are repeated one after the other there (0, 1, 0, 1), not each in turn".into())
    }

    /// What is masked, as their numbers say: tried on scores without a mask.
    pub(super) fn of_mask(&self) -> Option<String> {
        let length = *self.shape.last()?;
        let seen = Seen::of(self.theirs, length)?;
        let mut spec = self.spec.clone();
        spec.attention.causal = false;
        spec.layers.iter_mut().for_each(|layer| layer.reach = None);
        let open = Context::new(&spec, self.input, 0..self.input.length(), &self.device());
        let guess = self.run(self.op, self.inputs, &open)?;
        let masked = |(i, x): (usize, f64)| match seen.has(i / length % length, i % length) {
            true => x,
            false => f64::NEG_INFINITY,
        };
        let guess: Vec<f64> = guess.into_iter().enumerate().map(masked).collect();
        self.explains(&guess).then(|| seen.words(length))
    }
}

fn moved(by: i64) -> String {
    let words = if by > 0 { "later" } else { "earlier" };
    format!("{} {words}", by.abs())
}
