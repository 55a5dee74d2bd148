//! Guesses at what an op reads besides values and weights: angles, positions, masks, biases on scores.

use super::guesses::Guesses;
use super::masks::Seen;
use crate::model::spec::{Pairing, Rope, RopeScaling};
use crate::program::{Context, Kernel, execute};
use crate::tensor::{MASKED, Value};

/// Bases of rotations in use.
const BASES: [f64; 9] = [1e4, 1e5, 2.5e5, 5e5, 1e6, 5e6, 8e6, 1e7, 1e8];

/// Divisors of frequencies in use.
const DIVISORS: [f64; 8] = [2.0, 4.0, 8.0, 16.0, 32.0, 0.5, 0.25, 0.125];

/// Positions that an implementation may be off by.
const SHIFTS: [i64; 6] = [1, -1, 2, -2, 3, -3];

impl Guesses<'_> {
    /// The context of the pass with other rotations.
    fn turned_by(&self, rope: usize, other: Rope) -> Context {
        let mut spec = self.known.spec.clone();
        spec.ropes[rope] = other;
        Context::new(&spec, self.known.input, 0..self.known.input.length(), &self.device())
    }

    fn shifted(&self, by: i64) -> Context {
        Context::shifted(self.known.spec, self.known.input, 0..self.known.input.length(), &self.device(), by)
    }

    /// Of a rotation: base, pairs, scaling, how many features, direction, positions, or none at all.
    pub(super) fn of_rotation(&self, rope: usize) -> Option<String> {
        if self.alike(&|_, inputs| Some(inputs[0].clone())) {
            return Some("queries and keys are not rotated there".into());
        }
        let own = &self.known.spec.ropes[rope];
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
        let left = |other: Rope| self.left_in_context(&self.turned_by(rope, other));
        let bases = bases.filter(|theta| *theta != own.theta).map(|theta| {
            let words = format!("the base of the rotation is {theta} there, {} here", own.theta);
            (left(Rope { theta, ..own.clone() }), words)
        });
        let divisors = DIVISORS.into_iter().map(|factor| {
            let words = format!("frequencies of the rotation are divided by {factor} there");
            (left(Rope { scaling: RopeScaling::Linear { factor }, ..own.clone() }), words)
        });
        if let Some(words) = self.known.best(bases.chain(divisors)) {
            return Some(words);
        }
        let head = self.shape.last().copied().unwrap_or(0);
        for dim in [head, head / 2, head / 4, head * 3 / 4].into_iter().filter(|dim| *dim != own.dim && *dim > 1) {
            if tried(Rope { dim, ..own.clone() }) {
                return Some(format!("{dim} of {head} features are rotated there, {} here", own.dim));
            }
        }
        if self.backwards(own) {
            return Some("rotations go the other way there".into());
        }
        let theta = self.nearest_base(rope, own)?;
        Some(format!("the base of the rotation is {theta} there, {} here", own.theta))
    }

    /// The base that comes nearest to the other side's value, if it gives that.
    fn nearest_base(&self, rope: usize, own: &Rope) -> Option<f64> {
        let left = |exponent: f64| {
            let other = Rope { theta: 10f64.powf(exponent), ..own.clone() };
            self.left_in_context(&self.turned_by(rope, other))
        };
        // Near the right one the distance grows with that of the exponents; far from it, it says nothing.
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
        let pair = |data: &[f64], at: usize| match own.pairing {
            Pairing::Half => (data[at + 1], data[at + 1 + own.dim / 2]),
            Pairing::Interleaved => (data[at + 2], data[at + 3]),
        };
        if length < 2
            || own.dim < 4
            || own.dim > width
            || self.known.input.rows.first().is_some_and(|row| row.mask.contains(&false))
        {
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

    /// Of rows of a position table: which row the first position has.
    pub(super) fn of_positions(&self) -> Option<String> {
        let by = SHIFTS.into_iter().find(|by| self.in_context(&self.shifted(*by)))?;
        Some(format!("positions are {} there", moved(by)))
    }

    /// Of scores: the factor, the cap, biases by position, and what is masked.
    pub(super) fn of_scores(&self, scale: f64, softcap: Option<f64>, reach: Option<usize>) -> Option<String> {
        let tried = |scale, softcap| self.as_kernel(&Kernel::Scores { scale, softcap, reach });
        if softcap.is_some() && tried(scale, None) {
            return Some("scores are not capped there".into());
        }
        let head = self.inputs[0].shape().last().copied().unwrap_or(1) as f64;
        let width = self.known.spec.d_model as f64;
        let scales = [
            (1.0, "not scaled".to_string()),
            (scale * scale, "scaled twice".into()),
            (head.powf(-0.5), "divided by the root of the head's width".into()),
            (1.0 / head, "divided by the head's width".into()),
            (width.powf(-0.5), "divided by the root of the model's width".into()),
        ];
        for (other, words) in scales {
            if (other - scale).abs() > 1e-9 && tried(other, softcap) {
                return Some(format!("scores are {words} there"));
            }
        }
        for cap in [20.0, 30.0, 50.0] {
            if softcap != Some(cap) && tried(scale, Some(cap)) {
                return Some(format!("scores are capped at {cap} there"));
            }
        }
        if self.in_context(&self.known.context.without_bias()) {
            return Some("scores have no bias by position there".into());
        }
        for by in SHIFTS {
            if self.in_context(&self.shifted(by)) {
                return Some(format!("positions are {} there", moved(by)));
            }
        }
        self.of_keys().or_else(|| self.of_mask(reach))
    }

    /// Key/value heads that are repeated for the queries one after the other, not each in turn.
    pub(super) fn of_keys(&self) -> Option<String> {
        let [_, _, heads, width] = *self.inputs[1].shape() else { return None };
        let queries = self.known.spec.n_heads;
        if heads < 2 || queries == heads || !queries.is_multiple_of(heads) {
            return None;
        }
        let tiled = |value: &Value| -> Option<Value> {
            let data = value.read_f32().ok()?;
            let repeated = |row: &[f32]| -> Vec<f32> {
                (0..queries).flat_map(|h| row[h % heads * width..(h % heads + 1) * width].to_vec()).collect()
            };
            let mut shape = value.shape().to_vec();
            shape[2] = queries;
            value.device().check("repeated keys", &shape, value.axes()).ok()?;
            let tiled = data.chunks(heads * width).flat_map(repeated).collect();
            Some(Value::from_f32(tiled, &shape, &value.device()).with_axes(value.axes()))
        };
        let ops = &self.known.stretch.program().ops;
        let reads = |number: usize| matches!(ops[number].kernel, Kernel::Scores { .. } | Kernel::Mix);
        let tried = self.known.explains(&reads, &|_, op, inputs| {
            let inputs = [inputs[0].clone(), tiled(&inputs[1])?];
            execute(op, &inputs, self.known.weights, self.known.context).ok()
        });
        tried.then(|| "key/value heads are repeated one after the other there (0, 1, 0, 1), not each in turn".into())
    }

    /// Whether the stretch ends in the softmax of these scores.
    fn ends_in_pattern(&self) -> bool {
        let last = &self.known.stretch.program().ops[self.known.stretch.last()];
        matches!(last.kernel, Kernel::Pattern { .. }) && last.inputs == [self.number]
    }

    /// What is masked: as their numbers say where these are scores or a pattern, else the usual mistakes. Tried on scores without a mask.
    fn of_mask(&self, reach: Option<usize>) -> Option<String> {
        let length = *self.shape.last()?;
        let mut spec = self.known.spec.clone();
        spec.attention.causal = false;
        spec.layers.iter_mut().for_each(|layer| layer.reach = None);
        let open = Context::new(&spec, self.known.input, 0..self.known.input.length(), &self.device());
        let guess = self.run_in(self.op, &self.inputs, &open)?;
        let all = length as i64 - 1;
        let candidates = match (self.theirs(), self.ends_in_pattern()) {
            (Some(scores), _) => vec![Seen::of(scores, length, &|x| x <= MASKED)?],
            (None, true) => vec![Seen::of(self.known.theirs, length, &|x| x == 0.0)?],
            (None, false) => {
                let own = reach.map_or(all, |reach| reach as i64);
                let ends = [own, own + 1, own - 1, all].into_iter();
                ends.flat_map(|farthest| [0, -1, 1, -all].map(|nearest| Seen { nearest, farthest })).collect()
            }
        };
        candidates.into_iter().find_map(|seen| {
            let masked = |(i, x): (usize, &f64)| match seen.has(i / length % length, i % length) {
                true => *x,
                false => f64::NEG_INFINITY,
            };
            let guess: Vec<f64> = guess.iter().enumerate().map(masked).collect();
            self.explains(&guess).then(|| seen.words(length))
        })
    }
}

fn moved(by: i64) -> String {
    let words = if by > 0 { "later" } else { "earlier" };
    format!("{} {words}", by.abs())
}
