//! Queries, keys and values that are made of short vectors.
//!
//! Keys and values of all heads are sites and are what is kept of earlier tokens, as in any other attention, although
//! the latents alone would do and be smaller: each has a row for every token of its pass, which an edit can change for
//! all passes that follow.

use super::{Builder, Out, with_bias};
use crate::model::role::{Role, WeightId};
use crate::model::site_name::in_block;
use crate::model::spec::Latent;
use crate::program::{Kernel, Part};
use crate::tensor::Axis::Dim;

const PLAIN: Kernel = Kernel::Linear { heads: None, clip: None, factor: 1.0 };

impl Builder<'_> {
    /// The ops of queries, keys and values before the rotation.
    pub(super) fn latent(&mut self, layer: usize, input: usize, latent: &Latent) -> [usize; 3] {
        let spec = self.spec;
        let (weights, heads) = (spec.weights_of(layer), spec.n_heads);
        let at = |part: Part| part.site(layer);
        let id = |role| WeightId::block(weights, role);
        let w = |weight, bias| with_bias(id, weight, bias, latent.bias);
        let in_heads = || Kernel::Linear { heads: Some(heads), clip: None, factor: 1.0 };
        let (from, weight) = match latent.queries {
            Some(width) => {
                let rows = Out::Rows(Dim, width);
                let short = self.push(at(Part::QLatent), PLAIN, &[input], w(Role::W_DQ, Role::b_DQ), rows);
                let path = in_block(layer, "attn.q_latent_norm");
                let roles = [Role::QLatentNormW, Role::QLatentNormB];
                (self.norm(&path, &latent.norm, &[short], roles, Some(weights), width), Role::W_UQ)
            }
            None => (input, Role::W_Q),
        };
        let q = self.push(at(Part::Q), in_heads(), &[from], vec![id(weight)], Out::Heads(heads, spec.head_dim));
        let (keys, shared) = (latent.keys, latent.shared);
        let down = w(Role::W_DKV, Role::b_DKV);
        let short = self.push(at(Part::KvLatent), PLAIN, &[input], down, Out::Rows(Dim, keys));
        let path = in_block(layer, "attn.kv_latent_norm");
        let roles = [Role::KvLatentNormW, Role::KvLatentNormB];
        let normed = self.norm(&path, &latent.norm, &[short], roles, Some(weights), keys);
        let in_all = self.push(at(Part::KRope), PLAIN, &[input], w(Role::W_KR, Role::b_KR), Out::Rows(Dim, shared));
        let inputs = [normed, in_all];
        let k = Kernel::SharedKeys { heads };
        let k = self.push(at(Part::K), k, &inputs, vec![id(Role::W_UK)], Out::Heads(heads, spec.head_dim));
        let v = self.push(at(Part::V), in_heads(), &[normed], vec![id(Role::W_UV)], Out::Heads(heads, spec.v_head_dim));
        [q, k, v]
    }
}
