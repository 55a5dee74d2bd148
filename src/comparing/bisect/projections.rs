//! Guesses at what has weights: biases, layouts, the order of heads and of fused parts.

use super::Reason;
use super::guesses::Guesses;
use crate::comparing::weight_relation::Half;
use crate::program::{Kernel, Op, Part};
use crate::tensor::Value;

/// Pairs of heads that are tried in each other's place.
const PAIRS: usize = 120;

impl Guesses<'_> {
    /// Of what has weights: a bias left out, weights turned or rounded, heads exchanged, or the weights of another
    /// projection.
    pub(super) fn of_projection(&self) -> Option<Reason> {
        let op = self.op;
        let first = *op.weights.first()?;
        let linear = matches!(
            op.kernel,
            Kernel::Linear { .. } | Kernel::Output | Kernel::VectorLinear | Kernel::PooledLinear(_)
        );
        if op.weights.len() > 1 && (linear || matches!(op.kernel, Kernel::Gain { .. })) {
            let bare = Op { weights: op.weights[..1].to_vec(), ..op.clone() };
            if self.gives_theirs(&bare, &self.inputs) {
                return Some(Reason::NoBias);
            }
        }
        if linear {
            let turned = |data: &[f32], shape: &[usize]| match shape {
                [rows, width] if rows == width => {
                    Some((0..data.len()).map(|at| data[at % rows * width + at / rows]).collect())
                }
                _ => None,
            };
            if self.with_weight(first, &turned) {
                return Some(Reason::Transposed);
            }
            if let Some(reason) = self.siblings().or_else(|| self.interleaved()) {
                return Some(reason);
            }
        }
        if matches!(op.kernel, Kernel::Output)
            && let Some(reason) = self.exchanged_heads()
        {
            return Some(reason);
        }
        if self.known.faint {
            // That weights are rounded is what is usual.
            return None;
        }
        let rounded = |half: &Half| {
            let change = |data: &[f32], _: &[usize]| Some(data.iter().map(|x| half.rounded(*x)).collect());
            op.weights.iter().any(|id| self.with_weight(*id, &change))
        };
        Half::ALL.into_iter().find(rounded).map(Reason::WeightsRounded)
    }

    /// Theirs is what another projection of the same inputs gives here: queries, keys and values, or gate and up, in a
    /// different order.
    fn siblings(&self) -> Option<Reason> {
        let program = self.known.stretch.program();
        let same = |other: &&Op| {
            other.site != self.op.site && other.inputs == self.op.inputs && other.weights.len() == self.op.weights.len()
        };
        let count: usize = self.shape.iter().product();
        let mut fitting =
            program.ops.iter().filter(same).filter(|other| other.width * other.heads.max(1) * self.shape[0] == count);
        let other = fitting.find(|other| {
            let Some(theirs) = self.run(other, &self.inputs) else { return false };
            // In a longer stretch both change places.
            let number =
                program.op_of(&other.site).filter(|number| self.known.stretch.ops().any(|(op, _)| op == *number));
            match number {
                Some(number) => self.explain_together(&[(self.number, theirs), (number, self.ours.clone())]),
                None => self.explains(&theirs),
            }
        })?;
        Some(Reason::OtherProjection { site: other.site.clone() })
    }

    /// A fused projection that is read head by head there (`[H, 3, h]`) and part by part here (`[3, H, h]`), or the
    /// other way round; or head by head on both sides, by other heads.
    fn interleaved(&self) -> Option<Reason> {
        let layer = self.op.layer?;
        let program = self.known.stretch.program();
        let parts = [Part::Q, Part::K, Part::V].map(|part| program.block_op(layer, part));
        let parts: Vec<usize> = parts.into_iter().collect::<Option<_>>()?;
        if parts.iter().any(|part| program.ops[*part].inputs != self.op.inputs) {
            return None;
        }
        let [length, heads, width] = *self.shape else { return None };
        let run = |part: &usize| self.run(&program.ops[*part], &self.inputs);
        let run = |part: &usize| run(part).filter(|value| value.len() == self.ours.len());
        let all: Vec<Vec<f64>> = parts.iter().map(run).collect::<Option<_>>()?;
        let row = heads * width;
        // Feature `f` of position `t` of the fused output, part by part and head by head.
        let by_part = |t: usize, f: usize| all[f / row][t * row + f % row];
        let by_head = |t: usize, f: usize| all[f / width % 3][t * row + f / (3 * width) * width + f % width];
        // Of the parts that are in question, what they are if feature `i` of one is that feature of the fused output.
        let read = |fused: &dyn Fn(usize, usize) -> f64, feature: &dyn Fn(usize, usize) -> usize| {
            let is_in_question =
                |part: usize| part == self.number || self.known.stretch.ops().any(|(op, _)| op == part);
            let of = |index| (0..length * row).map(|i| fused(i / row, feature(index, i % row))).collect();
            let asked = parts.iter().enumerate().filter(|(_, part)| is_in_question(**part));
            self.explain_together(&asked.map(|(index, part)| (*part, of(index))).collect::<Vec<(usize, Vec<f64>)>>())
        };
        let head_by_head = |width: usize| move |index: usize, i: usize| (i / width * 3 + index) * width + i % width;
        if read(&by_part, &head_by_head(width)) {
            return Some(Reason::FusedHeadByHead);
        }
        if read(&by_head, &|index, i| index * row + i) {
            return Some(Reason::FusedPartByPart);
        }
        let other = (1..=row).filter(|other| *other != width && row.is_multiple_of(*other));
        let other = other.into_iter().find(|other| read(&by_head, &head_by_head(*other)))?;
        Some(Reason::Heads { there: (row / other, other), here: (heads, width) })
    }

    /// Two heads in each other's place before the output projection.
    fn exchanged_heads(&self) -> Option<Reason> {
        let [_, _, heads, width] = *self.inputs[0].shape() else { return None };
        let data = self.inputs[0].read_f32().ok()?;
        let pairs = (0..heads).flat_map(|a| (a + 1..heads).map(move |b| (a, b))).take(PAIRS);
        for (a, b) in pairs {
            let place = |i: usize| match i / width % heads {
                h if h == a => i + (b - a) * width,
                h if h == b => i - (b - a) * width,
                _ => i,
            };
            let swapped: Vec<f32> = (0..data.len()).map(|i| data[place(i)]).collect();
            let value = Value::from_f32(swapped, self.inputs[0].shape(), &self.device());
            let value = value.with_axes(self.inputs[0].axes());
            if self.gives_theirs(self.op, &[value]) {
                return Some(Reason::HeadsExchanged(a, b));
            }
        }
        None
    }
}
