//! Guesses at scores of attention: their factor and cap, positions, masks, and the order in which key/value heads are
//! repeated.

use super::guesses::Guesses;
use super::{Reason, ScoreScale, Seen};
use crate::model::spec::Reach;
use crate::program::{Context, Kernel, Op, execute};
use crate::tensor::{MASKED, Value};

/// Positions that an implementation may be off by.
const SHIFTS: [i64; 6] = [1, -1, 2, -2, 3, -3];

impl Guesses<'_> {
    /// Of what reads positions: that they are off by a few.
    pub(super) fn of_positions(&self) -> Option<Reason> {
        let input = self.known.input;
        let shifted =
            |by: i64| Context::shifted(self.known.spec, input, 0..input.length(), self.known.context.placement(), by);
        SHIFTS.into_iter().find(|by| self.in_context(&shifted(*by))).map(Reason::PositionsMoved)
    }

    /// Of scores: the factor, the cap, biases by position, and what is masked.
    pub(super) fn of_scores(&self, scale: f64, softcap: Option<f64>, reach: Option<Reach>) -> Option<Reason> {
        let tried = |scale, softcap| self.as_kernel(&Kernel::Scores { scale, softcap, reach });
        if softcap.is_some() && tried(scale, None) {
            return Some(Reason::ScoresNotCapped);
        }
        let head = self.inputs[0].shape().last().copied().unwrap_or(1) as f64;
        let width = self.known.spec.d_model as f64;
        let scales = [
            (1.0, ScoreScale::None),
            (scale * scale, ScoreScale::Twice),
            (head.powf(-0.5), ScoreScale::RootOfHead),
            (1.0 / head, ScoreScale::Head),
            (width.powf(-0.5), ScoreScale::RootOfModel),
        ];
        for (other, name) in scales {
            if (other - scale).abs() > 1e-9 && tried(other, softcap) {
                return Some(Reason::ScoresScaled(name));
            }
        }
        for cap in [20.0, 30.0, 50.0] {
            if softcap != Some(cap) && tried(scale, Some(cap)) {
                return Some(Reason::ScoresCapped(cap));
            }
        }
        let alone = |op: &Op, inputs: &[Value]| {
            let alone = inputs.get(..2).unwrap_or(inputs);
            execute(op, alone, self.known.weights, self.known.context).ok()
        };
        if self.in_context(&self.known.context.without_bias()) || self.inputs.len() > 2 && self.alike(&alone) {
            return Some(Reason::NoPositionBias);
        }
        self.of_positions().or_else(|| self.of_keys()).or_else(|| self.of_mask(reach))
    }

    /// Key/value heads that are repeated for the queries one after the other, not each in turn.
    pub(super) fn of_keys(&self) -> Option<Reason> {
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
            let mut inputs = inputs.to_vec();
            inputs[1] = tiled(&inputs[1])?;
            execute(op, &inputs, self.known.weights, self.known.context).ok()
        });
        tried.then_some(Reason::KeysTiled)
    }

    /// Whether the stretch ends in the softmax of these scores.
    fn ends_in_pattern(&self) -> bool {
        let last = &self.known.stretch.program().ops[self.known.stretch.last()];
        matches!(last.kernel, Kernel::Pattern { .. }) && last.inputs == [self.number]
    }

    /// What is masked: as their numbers say where these are scores or a pattern, else the usual mistakes. Tried on
    /// scores without a mask.
    fn of_mask(&self, reach: Option<Reach>) -> Option<Reason> {
        let length = *self.shape.last()?;
        let mut spec = self.known.spec.clone();
        spec.attention.causal = false;
        spec.layers.iter_mut().for_each(|layer| layer.reach = None);
        let open = Context::new(&spec, self.known.input, 0..self.known.input.length(), self.known.context.placement());
        let guess = self.run_in(self.op, &self.inputs, &open)?;
        let all = length as i64 - 1;
        let candidates = match (self.theirs(), self.ends_in_pattern()) {
            (Some(scores), _) => vec![Seen::of(scores, length, &|x| x <= MASKED)?],
            (None, true) => vec![Seen::of(self.known.theirs, length, &|x| x == 0.0)?],
            (None, false) => {
                let own = reach.map_or(all, |reach| reach.farthest() as i64);
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
            self.explains(&guess).then_some(Reason::Mask { seen, length })
        })
    }
}
