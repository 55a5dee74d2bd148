//! A selective state space in which every element of the state has a decay.

use super::{Builder, Out};
use crate::model::role::Role;
use crate::model::site_name::in_block;
use crate::model::spec::{Act, Selective};
use crate::program::{Kernel, Part};
use crate::tensor::Axis::Dim;

impl Builder<'_> {
    pub(super) fn selective(&mut self, layer: usize, input: usize, space: Selective) -> usize {
        let Selective { width, key_dim, rank, bias, act, .. } = space;
        let plain = || Kernel::Linear { heads: None, clip: None, factor: 1.0 };
        let (features, keys) = (|| Out::Rows(Dim, width), || Out::Rows(Dim, key_dim));
        let stream = self.stream();
        let x = self.of_mixer(layer, Part::MixIn, Kernel::Real, &[input], &[], stream);
        let v = self.of_mixer(layer, Part::MixVIn, plain(), &[x], &[Role::MixV], features());
        let gate = self.of_mixer(layer, Part::MixGate, plain(), &[x], &[Role::MixGate], features());
        let mut convolution = vec![Role::MixConvV];
        convolution.extend(bias.then_some(Role::MixConvVB));
        let v =
            self.of_mixer(layer, Part::MixV, Kernel::Convolution { act, real: true }, &[v], &convolution, features());
        let a = self.of_mixer(layer, Part::MixA, plain(), &[v], &[Role::MixA], Out::Rows(Dim, rank));
        let a = self.inner_norm(layer, &space, "a", a, Role::MixANormW, rank);
        let dt = self.of_mixer(layer, Part::MixDtIn, plain(), &[a], &[Role::MixStepW], features());
        let dt = self.of_mixer(layer, Part::MixDt, Kernel::Step { least: 0.0 }, &[dt], &[Role::MixStep], features());
        let q = self.of_mixer(layer, Part::MixQ, plain(), &[v], &[Role::MixQ], keys());
        let q = self.inner_norm(layer, &space, "q", q, Role::MixQNormW, key_dim);
        let k = self.of_mixer(layer, Part::MixK, plain(), &[v], &[Role::MixK], keys());
        let k = self.inner_norm(layer, &space, "k", k, Role::MixKNormW, key_dim);
        let z = self.of_mixer(layer, Part::MixZ, Kernel::Scan, &[q, k, v, dt], &[Role::MixRate], features());
        let of_state = Out::FeatureStates(width, key_dim);
        let state = self.of_mixer(layer, Part::MixState, Kernel::ScanState, &[k, v, dt], &[Role::MixRate], of_state);
        self.ops[z].carried = Some(state);
        self.ops[state].carried = Some(state);
        let skip = self.of_mixer(layer, Part::MixSkip, Kernel::Skip, &[z, v], &[Role::MixSkip], features());
        let gated = self.of_mixer(layer, Part::MixGated, Kernel::Gated(Act::Silu), &[gate, skip], &[], features());
        let stream = self.stream();
        let out = self.of_mixer(layer, Part::MixOutput, plain(), &[gated], &[Role::MixO], stream);
        self.added(layer, "mixer", out, Part::MixOut, [Role::AttnPostLnW, Role::AttnPostLnB])
    }

    fn inner_norm(
        &mut self,
        layer: usize,
        space: &Selective,
        name: &str,
        input: usize,
        gain: Role,
        width: usize,
    ) -> usize {
        let Some(norm) = space.norm else { return input };
        let path = in_block(layer, &format!("mixer.{name}_norm"));
        // None has a bias.
        self.norm(&path, &norm, &[input], [gain; 2], Some(self.spec.weights_of(layer)), width)
    }
}
