//! The MLP of one block, dense or a mixture of experts.

use super::{Builder, Out, with_bias};
use crate::model::required_weights::{XIELU, expert_biases, expert_roles, shared_roles};
use crate::model::role::{Role, WeightId};
use crate::model::spec::{Act, Experts};
use crate::program::{Kernel, Mixing, Part};
use crate::tensor::Axis::{Expert, Neuron};

const PLAIN: Kernel = Kernel::Linear { heads: None, clip: None, factor: 1.0 };

impl Builder<'_> {
    /// What the MLP adds to the residual stream, of its input, which is mostly a norm of `stream`.
    pub(super) fn mlp(&mut self, layer: usize, input: usize, stream: usize) -> usize {
        let out = match self.spec.experts.filter(|_| self.spec.layers[layer].experts) {
            Some(experts) if experts.beside => self.both(layer, input, stream, &experts),
            Some(experts) => self.experts(layer, [input; 2], Part::MlpOutput, &experts),
            None => self.dense(layer, input, Part::MlpOutput),
        };
        self.added(layer, "mlp", out, Part::MlpOut, [Role::MlpPostLnW, Role::MlpPostLnB])
    }

    fn dense(&mut self, layer: usize, input: usize, to: Part) -> usize {
        let (mlp, weights, width) = (self.spec.mlp, self.spec.weights_of(layer), self.spec.mlp_of(layer));
        let at = |part: Part| part.site(layer);
        let id = |role| WeightId::block(weights, role);
        let linear = |weight, bias| with_bias(id, weight, bias, mlp.bias);
        let neurons = || Out::Rows(Neuron, width);
        let post = if mlp.gated {
            let kernel = Kernel::Linear { heads: None, clip: None, factor: self.spec.layers[layer].factors.gate };
            let pre = self.push(at(Part::MlpPre), kernel, &[input], linear(Role::W_gate, Role::b_gate), neurons());
            let up = self.push(at(Part::MlpPreLinear), PLAIN, &[input], linear(Role::W_in, Role::b_in), neurons());
            self.push(at(Part::MlpPost), Kernel::Gated(mlp.act), &[pre, up], vec![], neurons())
        } else {
            let pre = self.push(at(Part::MlpPre), PLAIN, &[input], linear(Role::W_in, Role::b_in), neurons());
            let (kernel, numbers) = match mlp.act {
                Act::Xielu => (Kernel::Xielu, XIELU.map(id).to_vec()),
                act => (Kernel::Activation(act), vec![]),
            };
            self.push(at(Part::MlpPost), kernel, &[pre], numbers, neurons())
        };
        self.push(at(to), PLAIN, &[post], with_bias(id, Role::W_out, Role::b_out, mlp.out_bias), self.stream())
    }

    /// A dense MLP, and experts that read the stream through a norm of their own, as their router does.
    fn both(&mut self, layer: usize, input: usize, stream: usize, experts: &Experts) -> usize {
        // None of these norms has a bias.
        let norm =
            |this: &mut Self, name: &str, input, gain| this.block_norm(layer, &format!("mlp.{name}"), input, [gain; 2]);
        let dense = self.dense(layer, input, Part::DenseOutput);
        let dense = norm(self, "dense_ln", dense, Role::DenseLnW);
        let router = norm(self, "router_norm", stream, Role::RouterNormW);
        let mixed = self.experts(layer, [router, stream], Part::ExpertsOutput, experts);
        let mixed = norm(self, "experts_post_ln", mixed, Role::ExpertsPostLnW);
        self.push(Part::MlpOutput.site(layer), Kernel::Add, &[dense, mixed], vec![], self.stream())
    }

    /// A mixture whose router reads the first input, and whose experts the second.
    fn experts(&mut self, layer: usize, [routed, input]: [usize; 2], to: Part, experts: &Experts) -> usize {
        let weights = self.spec.weights_of(layer);
        let at = |part: Part| part.site(layer);
        let id = |role| WeightId::block(weights, role);
        let router = with_bias(id, Role::W_router, Role::b_router, experts.router_bias);
        let factor = if experts.beside { 1.0 / (self.spec.d_model as f64).sqrt() } else { 1.0 };
        let kernel = Kernel::Linear { heads: None, clip: None, factor };
        let router = self.push(at(Part::Router), kernel, &[routed], router, Out::Rows(Expert, experts.count));
        let top = Kernel::TopExperts { chosen: experts.chosen, router: experts.router };
        let rows = || Out::Rows(Expert, experts.chosen);
        let correction = experts.router.correction.then_some(id(Role::b_choice)).into_iter().collect();
        let chosen = self.push(at(Part::Experts), top, &[router], correction, rows());
        let kernel = Kernel::ExpertWeights { router: experts.router };
        let scale = experts.beside.then_some(id(Role::ExpertScale)).into_iter().collect();
        let shares = self.push(at(Part::ExpertWeights), kernel, &[router, chosen], scale, rows());
        let input = match experts.beside {
            true => self.block_norm(layer, "mlp.experts_ln", input, [Role::ExpertsLnW; 2]),
            false => input,
        };
        let gated = self.spec.mlp.gated;
        let biases = if experts.biases { expert_biases(gated) } else { &[] };
        let roles = || expert_roles(gated).iter().chain(biases);
        let mut ids: Vec<WeightId> = (0..experts.count)
            .flat_map(|expert| roles().map(move |role| WeightId::part(weights, expert, *role)))
            .collect();
        if let Some(shared) = &experts.shared {
            ids.extend(shared_roles(shared, gated).map(id));
        }
        let Experts { biases, clamped, shared, weighs_input, .. } = *experts;
        let kernel = Kernel::Experts(Mixing { act: self.spec.mlp.act, gated, shared, biases, clamped, weighs_input });
        self.push(at(to), kernel, &[input, chosen, shares], ids, self.stream())
    }
}
