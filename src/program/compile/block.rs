//! One block: where its norms are and what is added to what.

use super::{Builder, Out};
use crate::model::role::{Role, WeightId};
use crate::model::site_name::in_block;
use crate::model::spec::{LayerInputs, Mixer, Placement};
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
        if spec.layers[layer].mixer == Mixer::None {
            let ln2 = self.block_norm(layer, "ln2", resid_pre, [Role::Ln2W, Role::Ln2B]);
            let mlp_out = self.mlp(layer, ln2, resid_pre);
            return self.push(at(Part::ResidPost), Kernel::Add, &[resid_pre, mlp_out], vec![], self.stream());
        }
        if spec.placement == Placement::Post {
            let parts = [&[resid_pre], &self.mixer(layer, resid_pre)[..]].concat();
            let resid_mid = self.push(at(Part::ResidMid), Kernel::Add, &parts, vec![], self.stream());
            let mut normed = self.block_norm(layer, "ln1", resid_mid, [Role::Ln1W, Role::Ln1B]);
            let mut resid = resid_mid;
            if let Some(encoder) = &spec.encoder {
                let parts = [normed, self.cross(layer, encoder, normed)];
                resid = self.push(at(Part::ResidCross), Kernel::Add, &parts, vec![], self.stream());
                normed = self.block_norm(layer, "ln_cross", resid, [Role::CrossLnW, Role::CrossLnB]);
            }
            let mlp_out = self.mlp(layer, normed, resid);
            let resid_post = self.push(at(Part::ResidPost), Kernel::Add, &[normed, mlp_out], vec![], self.stream());
            return self.block_norm(layer, "ln2", resid_post, [Role::Ln2W, Role::Ln2B]);
        }
        let ln1 = if spec.placement.has_ln1() && spec.layers[layer].ln1 {
            self.block_norm(layer, "ln1", resid_pre, [Role::Ln1W, Role::Ln1B])
        } else {
            resid_pre
        };
        let mixed = self.mixer(layer, ln1);
        if !spec.layers[layer].mlp {
            let parts = [&[resid_pre], &mixed[..]].concat();
            return self.push(at(Part::ResidPost), Kernel::Add, &parts, vec![], self.stream());
        }
        if spec.placement.is_parallel() {
            let read = match spec.placement {
                Placement::ParallelTwo => self.block_norm(layer, "ln2", resid_pre, [Role::Ln2W, Role::Ln2B]),
                _ => ln1,
            };
            let mlp_out = self.mlp(layer, read, resid_pre);
            let parts = [&[resid_pre], &mixed[..], &[mlp_out]].concat();
            return self.push(at(Part::ResidPost), Kernel::Add, &parts, vec![], self.stream());
        }
        let stream = |plain, normed| if spec.residual.from_norm { normed } else { plain };
        let parts = [&[stream(resid_pre, ln1)], &mixed[..]].concat();
        let mut resid_mid = self.push(at(Part::ResidMid), Kernel::Add, &parts, vec![], self.stream());
        if let Some(encoder) = &spec.encoder {
            let read = self.block_norm(layer, "ln_cross", resid_mid, [Role::CrossLnW, Role::CrossLnB]);
            let parts = [resid_mid, self.cross(layer, encoder, read)];
            resid_mid = self.push(at(Part::ResidCross), Kernel::Add, &parts, vec![], self.stream());
        }
        let ln2 = if spec.placement.has_ln2() {
            self.block_norm(layer, "ln2", resid_mid, [Role::Ln2W, Role::Ln2B])
        } else {
            resid_mid
        };
        let mlp_out = self.mlp(layer, ln2, resid_mid);
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
        let linear = || Kernel::Linear { heads: None, clip: None, factor: 1.0 };
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
        self.norm(&in_block(layer, name), &spec.norm, &[input], roles, Some(weights), spec.d_model)
    }

    /// What attention or the MLP adds to the residual stream: its output, normed and scaled where that is so.
    pub(super) fn added(&mut self, layer: usize, name: &str, out: usize, to: Part, roles: [Role; 2]) -> usize {
        let spec = self.spec;
        let out = match spec.placement.has_post_norms() {
            true => self.block_norm(layer, &format!("{name}_post_ln"), out, roles),
            false => out,
        };
        let factor = match to {
            Part::AttnOut => spec.residual.attention,
            Part::MixOut => spec.residual.mixer,
            _ => spec.residual.mlp,
        };
        let kernel = match factor {
            1.0 => Kernel::Same,
            factor => Kernel::Scale { factor },
        };
        self.push(to.site(layer), kernel, &[out], vec![], self.stream())
    }
}
