//! Cross attention: each block attends to what the encoder of another text gives.

use super::{Builder, Out, with_bias};
use crate::model::role::{Role, WeightId};
use crate::model::spec::Encoder;
use crate::program::{Along, Kernel, Part};

impl Builder<'_> {
    /// Keys and values of all blocks, of the last hidden state `source` of the encoder. They follow from the source alone, so they are
    /// computed once, before anything of the text.
    pub(super) fn source_keys(&mut self, source: usize) {
        let spec = self.spec;
        for layer in 0..spec.n_layers {
            let out = || Out::Heads(spec.n_heads, spec.head_dim);
            let mut made = |part: Part, weight, bias| {
                let id = |role| WeightId::block(spec.weights_of(layer), role);
                let weights = with_bias(id, weight, bias, spec.attention.qkv_bias);
                let kernel = Kernel::Linear { heads: Some(spec.n_heads), clip: None, factor: 1.0 };
                self.push_along(Along::Source, part.site(layer), kernel, &[source], weights, out())
            };
            let k = made(Part::CrossK, Role::CrossK, Role::CrossKB);
            let v = made(Part::CrossV, Role::CrossV, Role::CrossVB);
            self.source_keys.push([k, v]);
        }
    }

    /// What the cross attention of a block adds to the stream.
    pub(super) fn cross(&mut self, layer: usize, encoder: &Encoder, input: usize) -> usize {
        let spec = self.spec;
        let at = |part: Part| part.site(layer);
        let id = |role| WeightId::block(spec.weights_of(layer), role);
        let (h, [k, v]) = (spec.n_heads, self.source_keys[layer]);
        let heads = || Out::Heads(h, spec.head_dim);
        let weights = with_bias(id, Role::CrossQ, Role::CrossQB, spec.attention.qkv_bias);
        let q = self.push(
            at(Part::CrossQ),
            Kernel::Linear { heads: Some(h), clip: None, factor: 1.0 },
            &[input],
            weights,
            heads(),
        );
        let scores = Kernel::Scores { scale: encoder.cross_scale, softcap: None, reach: None };
        let scores = self.push_along(Along::Across, at(Part::CrossScores), scores, &[q, k], vec![], Out::Scores);
        let pattern = Kernel::Pattern { reach: None, sinks: false };
        let pattern = self.push_along(Along::Across, at(Part::CrossPattern), pattern, &[scores], vec![], Out::Scores);
        let z = self.push_along(Along::Across, at(Part::CrossZ), Kernel::Mix, &[pattern, v], vec![], heads());
        let weights = with_bias(id, Role::CrossO, Role::CrossOB, spec.attention.out_bias);
        let output = self.push(at(Part::CrossOutput), Kernel::Output, &[z], weights, self.stream());
        self.push(at(Part::CrossOut), Kernel::Same, &[output], vec![], self.stream())
    }
}
