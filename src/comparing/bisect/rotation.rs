//! Guesses at rotations: their angles, directions and positions.

use super::Reason;
use super::guesses::Guesses;
use crate::model::spec::{Pairing, Rope, RopeScaling};
use crate::program::{Context, execute};
use crate::tensor::Value;

/// Bases of rotations in use.
const BASES: [f64; 9] = [1e4, 1e5, 2.5e5, 5e5, 1e6, 5e6, 8e6, 1e7, 1e8];

/// Divisors of frequencies in use.
const DIVISORS: [f64; 8] = [2.0, 4.0, 8.0, 16.0, 32.0, 0.5, 0.25, 0.125];

impl Guesses<'_> {
    /// The context of the pass with other rotations.
    fn turned_by(&self, rope: usize, other: Rope) -> Context {
        let mut spec = self.known.spec.clone();
        spec.ropes[rope] = other;
        Context::new(&spec, self.known.input, 0..self.known.input.length(), self.known.context.placement())
    }

    /// Of a rotation: base, pairs, scaling, how many features, direction, positions, or none at all.
    pub(super) fn of_rotation(&self, rope: usize) -> Option<Reason> {
        if self.alike(&|_, inputs| Some(inputs[0].clone())) {
            return Some(Reason::NotRotated);
        }
        let own = &self.known.spec.ropes[rope];
        let tried = |other: Rope| self.in_context(&self.turned_by(rope, other));
        let pairing = match own.pairing {
            Pairing::Half => Pairing::Interleaved,
            Pairing::Interleaved => Pairing::Half,
        };
        if tried(Rope { pairing, ..own.clone() }) {
            return Some(Reason::RotatedPairs(pairing));
        }
        if own.scaling != RopeScaling::None && tried(Rope { scaling: RopeScaling::None, ..own.clone() }) {
            return Some(Reason::FrequenciesNotScaled);
        }
        if let Some(reason) = self.of_positions() {
            return Some(reason);
        }
        let bases = BASES.into_iter().chain(self.base_in_numbers(own));
        let left = |other: Rope| self.left_in_context(&self.turned_by(rope, other));
        let base = |theta: f64| Reason::RotationBase { there: theta, here: own.theta };
        let bases =
            bases.filter(|theta| *theta != own.theta).map(|theta| (left(Rope { theta, ..own.clone() }), base(theta)));
        let divisors = DIVISORS.into_iter().map(|factor| {
            let scaling = RopeScaling::Linear { factor };
            (left(Rope { scaling, ..own.clone() }), Reason::FrequenciesDivided(factor))
        });
        if let Some(reason) = self.known.best(bases.chain(divisors)) {
            return Some(reason);
        }
        let head = self.shape.last().copied().unwrap_or(0).saturating_sub(own.first);
        for dim in [head, head / 2, head / 4, head * 3 / 4].into_iter().filter(|dim| *dim != own.dim && *dim > 1) {
            if tried(Rope { dim, ..own.clone() }) {
                return Some(Reason::RotatedFeatures { there: dim, here: own.dim, of: head });
            }
        }
        if self.backwards(own) {
            return Some(Reason::RotatedBackwards);
        }
        self.nearest_base(rope, own).map(base)
    }

    /// The base that comes nearest to the other side's value, if it gives that.
    fn nearest_base(&self, rope: usize, own: &Rope) -> Option<f64> {
        let left = |exponent: f64| {
            let other = Rope { theta: 10f64.powf(exponent), ..own.clone() };
            self.left_in_context(&self.turned_by(rope, other))
        };
        // Near the right one the distance grows with that of the exponents; far from it, it means nothing.
        let steps = 4 * 8;
        let coarse = (0..=steps).map(|step| 1.0 + f64::from(step) / 4.0);
        let best = coarse.map(|x| (x, left(x))).min_by(|a, b| a.1.total_cmp(&b.1))?.0;
        let (mut low, mut high) = (best - 0.25, best + 0.25);
        while high - low > 1e-4 {
            let third = (high - low) / 3.0;
            if left(low + third) < left(high - third) {
                high -= third;
            } else {
                low += third;
            }
        }
        let base = 10f64.powf((low + high) / 2.0);
        // Configurations have round numbers.
        [1, 2, 3, 4].into_iter().find_map(|digits| {
            let unit = 10f64.powi(base.log10().floor() as i32 + 1 - digits);
            let theta = (base / unit).round() * unit;
            self.in_context(&self.turned_by(rope, Rope { theta, ..own.clone() })).then_some(theta)
        })
    }

    /// Whether theirs is rotated against the direction of ours.
    fn backwards(&self, own: &Rope) -> bool {
        // A rotation by -a of x is x conjugated, rotated by a, and conjugated again.
        let second = |i: usize| match own.pairing {
            Pairing::Half => i < own.dim && i >= own.dim / 2,
            Pairing::Interleaved => i < own.dim && i % 2 == 1,
        };
        let second = |i: usize| i.checked_sub(own.first).is_some_and(second);
        let conjugated = |value: &Value| -> Option<Value> {
            let width = *value.shape().last()?;
            let flip = |(i, x): (usize, f32)| if second(i % width) { -x } else { x };
            let data = value.read_f32().ok()?.into_iter().enumerate().map(flip).collect();
            Some(Value::from_f32(data, value.shape(), &value.device()).with_axes(value.axes()))
        };
        self.alike(&|op, inputs| {
            conjugated(&execute(op, &[conjugated(&inputs[0])?], self.known.weights, self.known.context).ok()?)
        })
    }

    /// The base that the angle of the second pair at position 1 belongs to.
    fn base_in_numbers(&self, own: &Rope) -> Option<f64> {
        let [length, heads, width] = *self.shape else { return None };
        let before = self.inputs[0].read_f64().ok()?;
        let pair = |data: &[f64], head: usize| {
            let at = head + own.first;
            match own.pairing {
                Pairing::Half => (data[at + 1], data[at + 1 + own.dim / 2]),
                Pairing::Interleaved => (data[at + 2], data[at + 3]),
            }
        };
        let padded = self.known.input.rows.first().is_some_and(|row| row.mask.contains(&false));
        if length < 2 || own.dim < 4 || own.first + own.dim > width || padded {
            return None;
        }
        // The head where the pair is longest has the smallest error.
        let size = |head: &usize| {
            let (x, y) = pair(&before, (heads + head) * width);
            x * x + y * y
        };
        let head = (0..heads).max_by(|a, b| size(a).total_cmp(&size(b)))?;
        let ((x, y), (u, v)) = (pair(&before, (heads + head) * width), pair(self.theirs()?, (heads + head) * width));
        let angle = (x * v - y * u).atan2(x * u + y * v);
        let base = angle.powf(-(own.dim as f64) / 2.0);
        // Configurations have round numbers.
        let digits = 10f64.powf(base.log10().floor() - 2.0);
        (angle > 0.0 && base.is_finite() && base > 1.0).then(|| (base / digits).round() * digits)
    }
}
