//! One block: where its norms are and what is added to what.

use super::{Builder, Out};
use crate::model::role::{Role, WeightId};
use crate::model::spec::{LayerInputs, Placement};
use crate::program::{Kernel, Part};
use crate::tensor::Axis::Dim;

impl Builder<'_> {
    pub(super) fn block(&mut self, layer: usize, input: usize) -> usize {
        let spec = self.spec;
        let at = |part: Part| part.site(layer);
        let resid_pre = match layer {
            0 => input,
            _ => self.push(at(Part::ResidPre), Kernel::Same, &[input], vec![], self.stream()),
        };
        if spec.placement == Placement::Post {
            let attn_out = self.mixer(layer, resid_pre);
            let resid_mid = self.push(at(Part::ResidMid), Kernel::Add, &[resid_pre, attn_out], vec![], self.stream());
            let normed = self.block_norm(layer, "ln1", resid_mid, [Role::Ln1W, Role::Ln1B]);
            let mlp_out = self.mlp(layer, normed);
            let resid_post = self.push(at(Part::ResidPost), Kernel::Add, &[normed, mlp_out], vec![], self.stream());
            return self.block_norm(layer, "ln2", resid_post, [Role::Ln2W, Role::Ln2B]);
        }
        let ln1 = if spec.placement.has_ln1() && spec.layers[layer].ln1 {
            self.block_norm(layer, "ln1", resid_pre, [Role::Ln1W, Role::Ln1B])
        } else {
            resid_pre
        };
        let attn_out = self.mixer(layer, ln1);
        if spec.placement.is_parallel() {
            let read = match spec.placement {
                Placement::ParallelTwo => self.block_norm(layer, "ln2", resid_pre, [Role::Ln2W, Role::Ln2B]),
                _ => ln1,
            };
            let mlp_out = self.mlp(layer, read);
            let parts = [resid_pre, attn_out, mlp_out];
            return self.push(at(Part::ResidPost), Kernel::Add, &parts, vec![], self.stream());
        }
        let stream = |plain, normed| if spec.residual.from_norm { normed } else { plain };
        let parts = [stream(resid_pre, ln1), attn_out];
        let resid_mid = self.push(at(Part::ResidMid), Kernel::Add, &parts, vec![], self.stream());
        let ln2 = if spec.placement.has_ln2() {
            self.block_norm(layer, "ln2", resid_mid, [Role::Ln2W, Role::Ln2B])
        } else {
            resid_mid
        };
        let mlp_out = self.mlp(layer, ln2);
        let parts = [stream(resid_mid, ln2), mlp_out];
        let scaled = spec.residual.scaled_blocks;
        if spec.layer_inputs.is_none() && !scaled {
            return self.push(at(Part::ResidPost), Kernel::Add, &parts, vec![], self.stream());
        }
        let mut last = self.push(at(Part::ResidMlp), Kernel::Add, &parts, vec![], self.stream());
        if let (Some(LayerInputs { width, .. }), Some(inputs)) = (spec.layer_inputs, self.layer_inputs) {
            let part = if scaled { Part::ResidPle } else { Part::ResidPost };
            let added = self.layer_input(layer, last, inputs, width);
            last = self.push(at(part), Kernel::Add, &[last, added], vec![], self.stream());
        }
        if !scaled {
            return last;
        }
        let ids = vec![WeightId::block(spec.weights_of(layer), Role::BlockScale)];
        self.push(at(Part::ResidPost), Kernel::Times, &[last], ids, self.stream())
    }

    /// What a block makes of its part of what blocks get of the tokens.
    fn layer_input(&mut self, layer: usize, stream: usize, inputs: usize, width: usize) -> usize {
        let spec = self.spec;
        let at = |part: Part| part.site(layer);
        let id = |role| vec![WeightId::block(spec.weights_of(layer), role)];
        let rows = || Out::Rows(Dim, width);
        let linear = || Kernel::Linear { heads: None, clip: None };
        let features = Kernel::Features { start: layer * width, width };
        let own = self.push(at(Part::PleInput), features, &[inputs], vec![], rows());
        let pre = self.push(at(Part::PlePre), linear(), &[stream], id(Role::PleGateW), rows());
        let post = self.push(at(Part::PlePost), Kernel::Gated(spec.mlp.act), &[pre, own], vec![], rows());
        let out = self.push(at(Part::PleOutput), linear(), &[post], id(Role::PleOutW), self.stream());
        self.added(layer, "ple", out, Part::PleOut, [Role::PlePostLnW, Role::PlePostLnB])
    }

    /// A norm of a block, as wide as the residual stream.
    pub(super) fn block_norm(&mut self, layer: usize, name: &str, input: usize, roles: [Role; 2]) -> usize {
        let (spec, weights) = (self.spec, self.spec.weights_of(layer));
        self.norm(&format!("blocks.{layer}.{name}"), &spec.norm, &[input], roles, Some(weights), spec.d_model)
    }

    /// What attention or the MLP adds to the residual stream: its output, normed and scaled where that is so.
    pub(super) fn added(&mut self, layer: usize, name: &str, out: usize, to: Part, roles: [Role; 2]) -> usize {
        let spec = self.spec;
        let out = match spec.placement.has_post_norms() {
            true => self.block_norm(layer, &format!("{name}_post_ln"), out, roles),
            false => out,
        };
        let kernel = match spec.residual.scale {
            1.0 => Kernel::Same,
            factor => Kernel::Scale { factor },
        };
        self.push(to.site(layer), kernel, &[out], vec![], self.stream())
    }
}
