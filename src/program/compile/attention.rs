//! The attention of one block.

use super::{Builder, Out, with_bias};
use crate::model::required_weights::norm_roles;
use crate::model::role::{Role, WeightId};
use crate::model::spec::QkNormOver;
use crate::program::{Kernel, Part};

impl Builder<'_> {
    pub(super) fn attention(&mut self, layer: usize, input: usize) -> usize {
        let spec = self.spec;
        let (attention, this, weights) = (&spec.attention, &spec.layers[layer], spec.weights_of(layer));
        let at = |part: Part| part.site(layer);
        let id = |role| WeightId::block(weights, role);
        let w = |weight, bias, has_bias| with_bias(id, weight, bias, has_bias);
        let (h, kv, bias) = (spec.n_heads, spec.n_kv_heads, attention.qkv_bias);
        // The bound is on what scores are made of: after the norm where there is one.
        let clip = |normed: bool| if normed { None } else { attention.clip };
        let normed = attention.qk_norm.is_some();
        let linear = |heads, clip| Kernel::Linear { heads: Some(heads), clip };
        let mut q =
            self.push(at(Part::Q), linear(h, clip(normed)), &[input], w(Role::W_Q, Role::b_Q, bias), Out::Heads(h));
        let mut k =
            self.push(at(Part::K), linear(kv, clip(normed)), &[input], w(Role::W_K, Role::b_K, bias), Out::Heads(kv));
        let v =
            self.push(at(Part::V), linear(kv, clip(false)), &[input], w(Role::W_V, Role::b_V, bias), Out::Heads(kv));
        if attention.qk_norm.is_some() {
            q = self.head_norm(layer, Part::QNorm, q, h, [Role::QNormW, Role::QNormB]);
            k = self.head_norm(layer, Part::KNorm, k, kv, [Role::KNormW, Role::KNormB]);
        }
        if let Some(rope) = this.rope {
            q = self.push(at(Part::RotQ), Kernel::Rotate { rope }, &[q], vec![], Out::Heads(h));
            k = self.push(at(Part::RotK), Kernel::Rotate { rope }, &[k], vec![], Out::Heads(kv));
        }
        let reach = this.reach;
        let scores = Kernel::Scores { scale: this.scale, softcap: attention.softcap, reach };
        let scores = self.push(at(Part::Scores), scores, &[q, k], vec![], Out::Scores);
        let pattern = self.push(at(Part::Pattern), Kernel::Pattern { reach }, &[scores], vec![], Out::Scores);
        let z = self.push(at(Part::Z), Kernel::Mix, &[pattern, v], vec![], Out::Heads(h));
        let ids = w(Role::W_O, Role::b_O, attention.out_bias);
        let out = self.push(at(Part::AttnOutput), Kernel::Output, &[z], ids, self.stream());
        self.added(layer, "attn", out, Part::AttnOut, [Role::AttnPostLnW, Role::AttnPostLnB])
    }

    fn head_norm(&mut self, layer: usize, part: Part, input: usize, heads: usize, [gain, bias]: [Role; 2]) -> usize {
        let spec = self.spec;
        let Some(qk) = spec.attention.qk_norm else { return input };
        let weights = spec.weights_of(layer);
        let ids = norm_roles(&qk.norm, gain, bias).flat_map(|role| match qk.over {
            QkNormOver::EachHead => (0..heads).map(|head| WeightId::part(weights, head, role)).collect(),
            _ => vec![WeightId::block(weights, role)],
        });
        let kernel = Kernel::HeadNorm { norm: qk.norm, over: qk.over, clip: spec.attention.clip };
        self.push(part.site(layer), kernel, &[input], ids.collect(), Out::Heads(heads))
    }
}
