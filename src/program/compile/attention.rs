//! The attention of one block.

use super::{Builder, Out, with_bias};
use crate::model::required_weights::norm_roles;
use crate::model::role::{Role, WeightId};
use crate::model::spec::{Act, Adds, Disentangled, QkNormOver};
use crate::program::{Kernel, Part, Side};

impl Builder<'_> {
    pub(super) fn attention(&mut self, layer: usize, input: usize) -> usize {
        let spec = self.spec;
        let (attention, this, weights) = (&spec.attention, &spec.layers[layer], spec.weights_of(layer));
        let at = |part: Part| part.site(layer);
        let id = |role| WeightId::block(weights, role);
        let w = |weight, bias, has_bias| with_bias(id, weight, bias, has_bias);
        let (h, kv) = (spec.n_heads, spec.kv_heads_of(layer));
        let (width, value_width) = (spec.head_dim_of(layer), spec.value_dim_of(layer));
        let (out, values) = (|heads| Out::Heads(heads, width), |heads| Out::Heads(heads, value_width));
        let normed = attention.qk_norm.is_some() && this.qk_norm;
        let own = this.keys_of.is_none();
        let [mut q, mut k, v] = match &attention.latent {
            Some(latent) => self.latent(layer, input, latent),
            None => self.projections(layer, input),
        };
        let gate = attention.gate.then(|| {
            let weights = w(Role::AttnGateW, Role::AttnGateB, attention.qkv_bias);
            self.push(
                at(Part::Gate),
                Kernel::Linear { heads: Some(h), clip: None, factor: 1.0 },
                &[input],
                weights,
                values(h),
            )
        });
        for rotates in [attention.rotates_first, !attention.rotates_first] {
            if let (true, Some(rope)) = (rotates, this.rope) {
                q = self.push(at(Part::RotQ), Kernel::Rotate { rope }, &[q], vec![], out(h));
                k = if own { self.push(at(Part::RotK), Kernel::Rotate { rope }, &[k], vec![], out(kv)) } else { k };
            }
            if !rotates && normed {
                q = self.head_norm(layer, Part::QNorm, q, h, [Role::QNormW, Role::QNormB]);
                k = if own { self.head_norm(layer, Part::KNorm, k, kv, [Role::KNormW, Role::KNormB]) } else { k };
            }
        }
        self.keys.insert(layer, [k, v]);
        if attention.growth.is_some() && this.grows {
            q = self.push(at(Part::GrownQ), Kernel::Grow, &[q], vec![], out(h));
        }
        let reach = this.reach;
        let scores = Kernel::Scores { scale: this.scale, softcap: attention.softcap, reach };
        let mut read = vec![q, k];
        read.extend(self.pos_bias);
        read.extend(self.relative_scores(layer, q, k));
        let scores = self.push(at(Part::Scores), scores, &read, vec![], Out::Scores);
        let sinks = attention.sinks;
        let ids = sinks.then(|| id(Role::Sinks)).into_iter().collect();
        let pattern = self.push(at(Part::Pattern), Kernel::Pattern { reach, sinks }, &[scores], ids, Out::Scores);
        let mut z = self.push(at(Part::Z), Kernel::Mix, &[pattern, v], vec![], values(h));
        if let Some(gate) = gate {
            z = self.push(at(Part::Gated), Kernel::Gated(Act::Sigmoid), &[gate, z], vec![], values(h));
        }
        let ids = w(Role::W_O, Role::b_O, attention.out_bias);
        let output = self.push(at(Part::AttnOutput), Kernel::Output, &[z], ids, self.stream());
        self.added(layer, "attn", output, Part::AttnOut, [Role::AttnPostLnW, Role::AttnPostLnB])
    }

    /// Queries, keys and values before rotations and the norm of queries and keys; or the keys and values of another block.
    fn projections(&mut self, layer: usize, input: usize) -> [usize; 3] {
        let spec = self.spec;
        let (attention, this, weights) = (&spec.attention, &spec.layers[layer], spec.weights_of(layer));
        let at = |part: Part| part.site(layer);
        let w = |weight, bias| with_bias(|role| WeightId::block(weights, role), weight, bias, attention.qkv_bias);
        let (h, kv) = (spec.n_heads, spec.kv_heads_of(layer));
        let (width, value_width) = (spec.head_dim_of(layer), spec.value_dim_of(layer));
        // The bound is on what scores are made of: after the norm where there is one.
        let clip = attention.clip.filter(|_| attention.qk_norm.is_none());
        let factors = this.factors;
        let linear = |heads, clip, factor| Kernel::Linear { heads: Some(heads), clip, factor };
        let q = w(Role::W_Q, Role::b_Q);
        let q = self.push(at(Part::Q), linear(h, clip, factors.q), &[input], q, Out::Heads(h, width));
        if let Some([k, v]) = this.keys_of.map(|other| self.keys[&other]) {
            return [q, k, v];
        }
        let k = self.push(
            at(Part::K),
            linear(kv, clip, factors.k),
            &[input],
            w(Role::W_K, Role::b_K),
            Out::Heads(kv, width),
        );
        let values = || Out::Heads(kv, value_width);
        let mut v = match this.values_are_keys {
            true => self.push(at(Part::V), Kernel::Same, &[k], vec![], values()),
            false => {
                let kernel = linear(kv, attention.clip, factors.v);
                self.push(at(Part::V), kernel, &[input], w(Role::W_V, Role::b_V), values())
            }
        };
        if let Some(norm) = attention.value_norm {
            let kernel = Kernel::HeadNorm { norm, over: QkNormOver::Head, clip: None };
            v = self.push(at(Part::VNorm), kernel, &[v], vec![], values());
        }
        [q, k, v]
    }

    /// What scores get of the distance, by products with a table.
    fn relative_scores(&mut self, layer: usize, q: usize, k: usize) -> Vec<usize> {
        let spec = self.spec;
        let Some((buckets, Adds::Products(products))) = spec.relative.map(|of| (of.buckets, of.adds)) else {
            return Vec::new();
        };
        let Disentangled { of_queries, of_keys, shared, norm } = products;
        let own = |content: [Role; 2], own: [Role; 2]| if shared { content } else { own };
        let keys = own([Role::W_K, Role::b_K], [Role::W_rel_K, Role::b_rel_K]);
        let queries = own([Role::W_Q, Role::b_Q], [Role::W_rel_Q, Role::b_rel_Q]);
        let both = [
            (of_queries, Part::ContentToPosition, q, Side::Query, keys),
            (of_keys, Part::PositionToContent, k, Side::Key, queries),
        ];
        let made = both.into_iter().filter(|(wanted, ..)| *wanted).map(|(_, part, input, of, roles)| {
            let rows = norm.iter().flat_map(|norm| norm_roles(norm, Role::RelLnW, Role::RelLnB));
            let table = [Role::W_rel].into_iter().chain(rows).map(WeightId::global);
            let ids = table.chain(roles.map(|role| WeightId::block(spec.weights_of(layer), role))).collect();
            let kernel = Kernel::RelativeScores { buckets, of, norm, scale: spec.layers[layer].scale };
            self.push(part.site(layer), kernel, &[input], ids, Out::Scores)
        });
        made.collect()
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
        self.push(part.site(layer), kernel, &[input], ids.collect(), Out::Heads(heads, spec.head_dim_of(layer)))
    }
}
