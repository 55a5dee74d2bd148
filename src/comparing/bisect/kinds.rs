//! Guesses at ops of one kind: embeddings, norms, sums, the head; and what both programs show if both sides run here.

use super::guesses::Guesses;
use super::{Live, Reason};
use crate::comparing::weight_relation::{Matrix, relation};
use crate::model::role::{Role, WeightId};
use crate::program::{Kernel, Op, execute};

impl Guesses<'_> {
    /// Of a token table: a factor that architectures have.
    pub(super) fn of_embedding(&self) -> Option<Reason> {
        let Kernel::Embed { scale, masks } = self.op.kernel else { return None };
        let root = (self.known.spec.d_model as f64).sqrt();
        let scaled = |scale| self.as_kernel(&Kernel::Embed { scale, masks });
        if scale != 1.0 && scaled(1.0) || masks.is_some() && self.as_kernel(&Kernel::Embed { scale, masks: None }) {
            return Some(Reason::EmbeddingsNotScaled);
        }
        (scale != root && scaled(root)).then_some(Reason::EmbeddingsScaled)
    }

    /// Of an unembedding: its factor, cap, bias, and whether it is the token table.
    pub(super) fn of_head(&self) -> Option<Reason> {
        let Kernel::Unembed { project, scale, softcap } = self.op.kernel else { return None };
        if scale != 1.0 && self.as_kernel(&Kernel::Unembed { project, scale: 1.0, softcap }) {
            return Some(Reason::LogitsNotScaled);
        }
        for cap in [20.0, 30.0, 50.0] {
            if softcap != Some(cap) && self.as_kernel(&Kernel::Unembed { project, scale, softcap: Some(cap) }) {
                return Some(Reason::LogitsCapped(cap));
            }
        }
        let mut op = self.op.clone();
        op.weights.retain(|id| id.role != Role::b_U);
        if op.weights.len() < self.op.weights.len() && self.gives_theirs(&op, &self.inputs) {
            return Some(Reason::NoBias);
        }
        let table = WeightId::global(Role::W_E);
        let shape = |id: WeightId| self.known.weights.shape(id);
        if self.known.weights.tied() || shape(table) != shape(self.op.weights[0]) {
            return None;
        }
        op.clone_from(self.op);
        op.weights[0] = table;
        self.gives_theirs(&op, &self.inputs).then_some(Reason::TiedHead)
    }

    /// Of norms: a step that is left out, or in a longer stretch the other kind of norm, which is two ops.
    pub(super) fn of_norm(&self) -> Option<Reason> {
        if self.theirs().is_none() {
            let other = |kernel: &Kernel| match *kernel {
                Kernel::LayerNormScale { eps } => Some(Kernel::RmsScale { eps }),
                Kernel::RmsScale { eps } => Some(Kernel::LayerNormScale { eps }),
                Kernel::LayerNormNormalized => Some(Kernel::RmsNormalized),
                Kernel::RmsNormalized => Some(Kernel::LayerNormNormalized),
                _ => None,
            };
            let ops = &self.known.stretch.program().ops;
            let tried = self.known.explains(&|number| other(&ops[number].kernel).is_some(), &|_, op, inputs| {
                let op = Op { kernel: other(&op.kernel)?, ..op.clone() };
                execute(&op, inputs, self.known.weights, self.known.context).ok()
            });
            if tried {
                let is_rms = self.op.kernel == Kernel::RmsNormalized;
                return Some(if is_rms { Reason::LayerNorm } else { Reason::RmsNorm });
            }
        }
        let input = self.inputs.last()?.read_f64().ok()?;
        let left_out = if matches!(self.op.kernel, Kernel::Gain { .. }) { Reason::NoGain } else { Reason::NoNorm };
        self.explains(&input).then_some(left_out)
    }

    /// Of a sum: a term that is left out, or has a factor.
    pub(super) fn of_sum(&self) -> Option<Reason> {
        let terms: Vec<Vec<f64>> = self.inputs.iter().map(|input| input.read_f64().ok()).collect::<Option<_>>()?;
        let ops = &self.known.stretch.program().ops;
        let name = |i: usize| self.op.inputs.get(i).map_or_else(String::new, |&input| ops[input].site.clone());
        for (left_out, term) in terms.iter().enumerate() {
            let rest: Vec<f64> = self.ours.iter().zip(term).map(|(sum, x)| sum - x).collect();
            if self.explains(&rest) {
                return Some(Reason::NotAdded { site: name(left_out) });
            }
            let Some(theirs) = self.theirs().filter(|_| !self.known.faint) else { continue };
            let wanted = theirs.iter().zip(&rest).map(|(y, x)| y - x);
            let (product, square) = wanted.zip(term).fold((0.0, 0.0), |(p, s), (y, x)| (p + y * x, s + x * x));
            let factor = product / square;
            let guess: Vec<f64> = rest.iter().zip(term).map(|(rest, x)| rest + factor * x).collect();
            if factor.is_finite() && self.explains(&guess) {
                return Some(Reason::AddedTimes { site: name(left_out), factor });
            }
        }
        None
    }

    /// The op of the same site on the other side, if that runs here.
    fn op_there(&self) -> Option<(&Live, &Op)> {
        let live = self.known.live?;
        self.theirs()?;
        Some((live, &live.program.ops[live.program.op_of(&self.op.site)?]))
    }

    /// Where the other side runs here: the weights of its op that are different, if its arithmetic is ours.
    pub(super) fn weights_there(&self) -> Option<Reason> {
        let (live, other) = self.op_there()?;
        if other.kernel != self.op.kernel || other.weights.len() != self.op.weights.len() {
            return None;
        }
        let mut differ = Vec::new();
        for (ours, theirs) in self.op.weights.iter().zip(&other.weights) {
            let heads = match ours.role {
                Role::W_K | Role::W_V | Role::b_K | Role::b_V => {
                    self.known.spec.kv_heads_of(ours.layer.map_or(0, usize::from))
                }
                Role::W_DQ | Role::W_DKV | Role::W_KR => 1,
                _ => self.known.spec.n_heads,
            };
            let (a, b) = (self.known.weights.value(*ours).ok()?, live.weights.value(*theirs).ok()?);
            let (here, there) = (a.shape().to_vec(), b.shape().to_vec());
            if here != there {
                return Some(Reason::WeightShape { id: *ours, here, there });
            }
            let (x, y) = (a.read_f32().ok()?, b.read_f32().ok()?);
            if x != y {
                let (x, y) = (Matrix { shape: here, data: x }, Matrix { shape: there, data: y });
                differ.push((*ours, relation(&x, &y, ours.role == Role::W_O, heads)));
            }
        }
        // Of a mixture of experts there may be hundreds.
        let more = differ.len().saturating_sub(2);
        differ.truncate(2);
        (!differ.is_empty()).then_some(Reason::Weights { first: differ, more })
    }

    /// Where the other side runs here: that its op is a different one.
    pub(super) fn other_kernel_there(&self) -> Option<Reason> {
        let (_, other) = self.op_there()?;
        let (there, here) = (&other.kernel, &self.op.kernel);
        let differ = || Reason::OtherKernel { there: Box::new(there.clone()), here: Box::new(here.clone()) };
        (there != here).then(differ)
    }
}
