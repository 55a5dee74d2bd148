//! What moves information between positions in one block: attention, or what the layer has in its place.

use super::{Builder, Out};
use crate::model::role::{Role, WeightId};
use crate::model::spec::{
    Act, Delta, Gain, Learning, Mixer, Norm, NormKind, QkNormOver, ShortConvolution, SpaceNorm, StateSpace,
};
use crate::program::{Kernel, Part};
use crate::tensor::Axis::Dim;

/// Added to the squared length of queries and keys.
const UNIT_EPS: f64 = 1e-6;

impl Builder<'_> {
    /// What is added to the residual stream, in the order of its addition.
    pub(super) fn mixer(&mut self, layer: usize, input: usize) -> Vec<usize> {
        match self.spec.layers[layer].mixer {
            Mixer::Attention => vec![self.attention(layer, input)],
            Mixer::Delta(delta) => vec![self.delta(layer, input, delta)],
            Mixer::StateSpace(space) => vec![self.state_space(layer, input, space)],
            Mixer::Selective(space) => vec![self.selective(layer, input, space)],
            Mixer::Both(space) => vec![self.attention(layer, input), self.state_space(layer, input, space)],
            Mixer::Convolution(convolution) => vec![self.short_convolution(layer, input, convolution)],
            Mixer::None => Vec::new(),
        }
    }

    /// An op of the mixer of a block, with weights of the block.
    pub(super) fn of_mixer(
        &mut self,
        layer: usize,
        part: Part,
        kernel: Kernel,
        inputs: &[usize],
        roles: &[Role],
        out: Out,
    ) -> usize {
        let weights = self.spec.weights_of(layer);
        let ids = roles.iter().map(|role| WeightId::block(weights, *role)).collect();
        self.push(part.site(layer), kernel, inputs, ids, out)
    }

    fn delta(&mut self, layer: usize, input: usize, delta: Delta) -> usize {
        let Delta { key_heads, heads, key_dim, dim, act, eps, .. } = delta;
        let (keys, values) = (|| Out::Heads(key_heads, key_dim), || Out::Heads(heads, dim));
        let in_heads = |heads| Kernel::Linear { heads: Some(heads), clip: None, factor: 1.0 };
        let plain = || Kernel::Linear { heads: None, clip: None, factor: 1.0 };
        let convolution = Kernel::Convolution { act, real: false };
        let stream = self.stream();
        let mut op = |part, kernel, inputs: &[usize], roles: &[Role], out| {
            self.of_mixer(layer, part, kernel, inputs, roles, out)
        };
        let x = op(Part::MixIn, Kernel::Real, &[input], &[], stream);
        let q = op(Part::MixQIn, in_heads(key_heads), &[x], &[Role::MixQ], keys());
        let k = op(Part::MixKIn, in_heads(key_heads), &[x], &[Role::MixK], keys());
        let v = op(Part::MixVIn, in_heads(heads), &[x], &[Role::MixV], values());
        let gate = op(Part::MixGate, in_heads(heads), &[x], &[Role::MixGate], values());
        let a = op(Part::MixA, plain(), &[x], &[Role::MixA], Out::EachHead(heads));
        let decay = op(Part::MixDecay, Kernel::Decay, &[a], &[Role::MixRate, Role::MixStep], Out::EachHead(heads));
        let b = op(Part::MixB, plain(), &[x], &[Role::MixB], Out::EachHead(heads));
        let beta = op(Part::MixBeta, Kernel::Activation(Act::Sigmoid), &[b], &[], Out::EachHead(heads));
        let q = op(Part::MixQConv, convolution.clone(), &[q], &[Role::MixConvQ], keys());
        let k = op(Part::MixKConv, convolution.clone(), &[k], &[Role::MixConvK], keys());
        let unit = |factor| Kernel::Unit { eps: UNIT_EPS, factor };
        let q = op(Part::MixQ, unit(1.0 / (key_dim as f64).sqrt()), &[q], &[], keys());
        let k = op(Part::MixK, unit(1.0), &[k], &[], keys());
        let v = op(Part::MixV, convolution, &[v], &[Role::MixConvV], values());
        let z = op(Part::MixZ, Kernel::Read(Learning::Replaces), &[q, k, v, decay, beta], &[], values());
        let state = op(
            Part::MixState,
            Kernel::State(Learning::Replaces),
            &[k, v, decay, beta],
            &[],
            Out::State(heads, key_dim, dim),
        );
        let norm = Norm { kind: NormKind::Rms, eps, gain: Gain::Weight, bias: false };
        let kernel = Kernel::HeadNorm { norm, over: QkNormOver::Head, clip: None };
        let normed = op(Part::MixNorm, kernel, &[z], &[Role::MixNormW], values());
        let gated = op(Part::MixGated, Kernel::Gated(Act::Silu), &[gate, normed], &[], values());
        self.ops[z].carried = Some(state);
        self.ops[state].carried = Some(state);
        let stream = self.stream();
        let out = self.of_mixer(layer, Part::MixOutput, Kernel::Output, &[gated], &[Role::MixO], stream);
        self.added(layer, "mixer", out, Part::MixOut, [Role::AttnPostLnW, Role::AttnPostLnB])
    }

    fn state_space(&mut self, layer: usize, input: usize, space: StateSpace) -> usize {
        let StateSpace { key_heads, heads, key_dim, dim, act, norm_groups, eps, bias, norm, factors, .. } = space;
        let (keys, values) = (|| Out::Heads(key_heads, key_dim), || Out::Heads(heads, dim));
        let in_heads = |heads, factor| Kernel::Linear { heads: Some(heads), clip: None, factor };
        let convolution = Kernel::Convolution { act, real: true };
        let with = |weight, of_bias| {
            let mut roles = vec![weight];
            roles.extend(bias.then_some(of_bias));
            roles
        };
        let stream = self.stream();
        let mut op = |part, kernel, inputs: &[usize], roles: &[Role], out| {
            self.of_mixer(layer, part, kernel, inputs, roles, out)
        };
        let each = || Out::EachHead(heads);
        let x = op(Part::MixIn, Kernel::Real, &[input], &[], stream);
        let q = op(Part::MixQIn, in_heads(key_heads, factors.q), &[x], &[Role::MixQ], keys());
        let k = op(Part::MixKIn, in_heads(key_heads, factors.k), &[x], &[Role::MixK], keys());
        let v = op(Part::MixVIn, in_heads(heads, factors.v), &[x], &[Role::MixV], values());
        let gate = op(Part::MixGate, in_heads(heads, factors.gate), &[x], &[Role::MixGate], values());
        let kernel = Kernel::Linear { heads: None, clip: None, factor: factors.a };
        let a = op(Part::MixA, kernel, &[x], &[Role::MixA], each());
        let dt = op(Part::MixDt, Kernel::Step { least: space.least_step }, &[a], &[Role::MixStep], each());
        let decay = op(Part::MixDecay, Kernel::DecayBy, &[dt], &[Role::MixRate], each());
        let q = op(Part::MixQ, convolution.clone(), &[q], &with(Role::MixConvQ, Role::MixConvQB), keys());
        let k = op(Part::MixK, convolution.clone(), &[k], &with(Role::MixConvK, Role::MixConvKB), keys());
        let v = op(Part::MixV, convolution, &[v], &with(Role::MixConvV, Role::MixConvVB), values());
        let z = op(Part::MixZ, Kernel::Read(Learning::Adds), &[q, k, v, decay, dt], &[], values());
        let of_state = Out::State(heads, key_dim, dim);
        let state = op(Part::MixState, Kernel::State(Learning::Adds), &[k, v, decay, dt], &[], of_state);
        let skip = op(Part::MixSkip, Kernel::Skip, &[z, v], &[Role::MixSkip], values());
        let mut last = skip;
        for gates in [norm != SpaceNorm::First, norm == SpaceNorm::First] {
            if gates {
                last = op(Part::MixGated, Kernel::Gated(Act::Silu), &[gate, last], &[], values());
            } else if norm != SpaceNorm::None {
                let kernel = Kernel::GroupNorm { groups: norm_groups, eps };
                last = op(Part::MixNorm, kernel, &[last], &[Role::MixNormW], values());
            }
        }
        self.ops[z].carried = Some(state);
        self.ops[state].carried = Some(state);
        let stream = self.stream();
        let out = self.of_mixer(layer, Part::MixOutput, Kernel::Output, &[last], &[Role::MixO], stream);
        self.added(layer, "mixer", out, Part::MixOut, [Role::AttnPostLnW, Role::AttnPostLnB])
    }

    fn short_convolution(&mut self, layer: usize, input: usize, convolution: ShortConvolution) -> usize {
        let with = |weight, bias| {
            let mut roles = vec![weight];
            roles.extend(convolution.bias.then_some(bias));
            roles
        };
        let plain = Kernel::Linear { heads: None, clip: None, factor: 1.0 };
        let width = self.spec.d_model;
        let mut op = |part, kernel: &Kernel, inputs: &[usize], roles: &[Role]| {
            self.of_mixer(layer, part, kernel.clone(), inputs, roles, Out::Rows(Dim, width))
        };
        let input = op(Part::MixIn, &Kernel::Real, &[input], &[]);
        let x = op(Part::MixX, &plain, &[input], &with(Role::MixX, Role::MixXB));
        let gate = op(Part::MixGate, &plain, &[input], &with(Role::MixGate, Role::MixGateB));
        let behind = op(Part::MixOutGate, &plain, &[input], &with(Role::MixOutGate, Role::MixOutGateB));
        let product = Kernel::Gated(Act::Linear);
        let x = op(Part::MixIntoConv, &product, &[gate, x], &[]);
        let kernel = Kernel::Convolution { act: Act::Linear, real: false };
        let x = op(Part::MixConv, &kernel, &[x], &with(Role::MixConv, Role::MixConvB));
        let z = op(Part::MixGated, &product, &[behind, x], &[]);
        let out = op(Part::MixOutput, &plain, &[z], &with(Role::MixO, Role::MixOB));
        self.added(layer, "mixer", out, Part::MixOut, [Role::AttnPostLnW, Role::AttnPostLnB])
    }
}
