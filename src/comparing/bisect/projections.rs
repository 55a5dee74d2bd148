//! Guesses at what has weights: biases, layouts, the order of heads and of fused parts.

use super::guesses::Guesses;
use crate::program::{Kernel, Op};
use crate::tensor::Value;

/// Pairs of heads that are tried in each other's place.
const PAIRS: usize = 120;

impl Guesses<'_> {
    /// Of what has weights: a bias left out, weights turned or rounded, heads exchanged, or the weights of another projection.
    pub(super) fn of_projection(&self) -> Option<String> {
        let op = self.op;
        let first = *op.weights.first()?;
        let linear = matches!(
            op.kernel,
            Kernel::Linear { .. } | Kernel::Output | Kernel::VectorLinear | Kernel::PooledLinear(_)
        );
        if op.weights.len() > 1 && (linear || matches!(op.kernel, Kernel::Gain { .. })) {
            let bare = Op { weights: op.weights[..1].to_vec(), ..op.clone() };
            if self.run(&bare, &self.inputs).is_some_and(|guess| self.explains(&guess)) {
                return Some("the other side adds no bias".into());
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
                return Some("the weights are transposed there".into());
            }
            if let Some(words) = self.siblings().or_else(|| self.interleaved()) {
                return Some(words);
            }
        }
        if matches!(op.kernel, Kernel::Output)
            && let Some(words) = self.exchanged_heads()
        {
            return Some(words);
        }
        if self.known.faint {
            // That weights are rounded is what is usual.
            return None;
        }
        let round = |x: &f32| half::f16::from_f32(*x).to_f32();
        if op.weights.iter().any(|id| self.with_weight(*id, &|data, _| Some(data.iter().map(round).collect()))) {
            return Some("the weights are rounded to f16 there".into());
        }
        let round = |x: &f32| half::bf16::from_f32(*x).to_f32();
        op.weights
            .iter()
            .any(|id| self.with_weight(*id, &|data, _| Some(data.iter().map(round).collect())))
            .then(|| "the weights are rounded to bf16 there".into())
    }

    /// Theirs is what another projection of the same inputs gives here: queries, keys and values, or gate and up, in another order.
    fn siblings(&self) -> Option<String> {
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
        Some(match other.site.contains(".attn.") {
            true => format!("queries, keys and values stand in another order there: theirs is {} here", other.site),
            false => format!("gate and up are swapped there: theirs is {} here", other.site),
        })
    }

    /// A fused projection that is read head by head there (`[H, 3, h]`) and part by part here (`[3, H, h]`), or the other way round;
    /// or head by head on both sides, by other heads.
    fn interleaved(&self) -> Option<String> {
        let layer = self.op.layer?;
        let program = self.known.stretch.program();
        let mut parts = Vec::new();
        for part in ["q", "k", "v"] {
            parts.push(program.op_of(&format!("blocks.{layer}.attn.{part}"))?);
        }
        let [length, heads, width] = *self.shape else { return None };
        let mut all = Vec::new();
        for &part in &parts {
            let value = self.run(&program.ops[part], &self.inputs).filter(|value| value.len() == self.ours.len())?;
            all.push(value);
        }
        let row = heads * width;
        // Feature `f` of position `t` of the fused output, part by part and head by head.
        let by_part = |t: usize, f: usize| all[f / row][t * row + f % row];
        let by_head = |t: usize, f: usize| all[f / width % 3][t * row + f / (3 * width) * width + f % width];
        // Of the parts that are in question, what they are if feature `i` of one is that feature of the fused output.
        let read = |fused: &dyn Fn(usize, usize) -> f64, feature: &dyn Fn(usize, usize) -> usize| {
            let mut guesses = Vec::new();
            for (index, &part) in parts.iter().enumerate() {
                if part == self.number || self.known.stretch.ops().any(|(op, _)| op == part) {
                    let of = (0..length * row).map(|i| fused(i / row, feature(index, i % row)));
                    guesses.push((part, of.collect::<Vec<f64>>()));
                }
            }
            self.explain_together(&guesses)
        };
        let head_by_head = |width: usize| move |index: usize, i: usize| (i / width * 3 + index) * width + i % width;
        if read(&by_part, &head_by_head(width)) {
            return Some("queries, keys and values are fused head by head there, one behind the other here".into());
        }
        if read(&by_head, &|index, i| index * row + i) {
            return Some("queries, keys and values are fused one behind the other there, head by head here".into());
        }
        let other = (1..=row).filter(|other| *other != width && row.is_multiple_of(*other));
        let other = other.into_iter().find(|other| read(&by_head, &head_by_head(*other)))?;
        Some(format!("there are {} heads of {other} there, {heads} of {width} here", row / other))
    }

    /// Two heads in each other's place in front of the output projection.
    fn exchanged_heads(&self) -> Option<String> {
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
            if self.run(self.op, &[value]).is_some_and(|guess| self.explains(&guess)) {
                return Some(format!("heads {a} and {b} stand in each other's place there"));
            }
        }
        None
    }
}
