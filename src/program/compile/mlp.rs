//! The MLP of one block, dense or a mixture of experts.

use super::{Builder, Out, with_bias};
use crate::model::required_weights::{EXPERT, EXPERT_BIASES, XIELU, shared_roles};
use crate::model::role::{Role, WeightId};
use crate::model::spec::{Act, Experts};
use crate::program::{Kernel, Part};
use crate::tensor::Axis::{Expert, Neuron};

const PLAIN: Kernel = Kernel::Linear { heads: None, clip: None };

impl Builder<'_> {
    pub(super) fn mlp(&mut self, layer: usize, input: usize) -> usize {
        let out = match self.spec.experts.filter(|_| self.spec.layers[layer].experts) {
            Some(experts) => self.experts(layer, input, &experts),
            None => self.dense(layer, input),
        };
        self.added(layer, "mlp", out, Part::MlpOut, [Role::MlpPostLnW, Role::MlpPostLnB])
    }

    fn dense(&mut self, layer: usize, input: usize) -> usize {
        let (mlp, weights, width) = (self.spec.mlp, self.spec.weights_of(layer), self.spec.mlp_of(layer));
        let at = |part: Part| part.site(layer);
        let id = |role| WeightId::block(weights, role);
        let linear = |weight, bias| with_bias(id, weight, bias, mlp.bias);
        let neurons = || Out::Rows(Neuron, width);
        let post = if mlp.gated {
            let pre = self.push(at(Part::MlpPre), PLAIN, &[input], linear(Role::W_gate, Role::b_gate), neurons());
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
        self.push(at(Part::MlpOutput), PLAIN, &[post], linear(Role::W_out, Role::b_out), self.stream())
    }

    fn experts(&mut self, layer: usize, input: usize, experts: &Experts) -> usize {
        let weights = self.spec.weights_of(layer);
        let at = |part: Part| part.site(layer);
        let id = |role| WeightId::block(weights, role);
        let router = with_bias(id, Role::W_router, Role::b_router, experts.router_bias);
        let router = self.push(at(Part::Router), PLAIN, &[input], router, Out::Rows(Expert, experts.count));
        let top = Kernel::TopExperts { chosen: experts.chosen, router: experts.router };
        let rows = || Out::Rows(Expert, experts.chosen);
        let correction = experts.router.correction.then_some(id(Role::b_choice)).into_iter().collect();
        let chosen = self.push(at(Part::Experts), top, &[router], correction, rows());
        let kernel = Kernel::ExpertWeights { router: experts.router };
        let shares = self.push(at(Part::ExpertWeights), kernel, &[router, chosen], vec![], rows());
        let biases = if experts.biases { &EXPERT_BIASES[..] } else { &[] };
        let roles = || EXPERT.iter().chain(biases);
        let mut ids: Vec<WeightId> = (0..experts.count)
            .flat_map(|expert| roles().map(move |role| WeightId::part(weights, expert, *role)))
            .collect();
        if let Some(shared) = &experts.shared {
            ids.extend(shared_roles(shared).iter().map(|role| id(*role)));
        }
        let Experts { biases, clamped, shared, .. } = *experts;
        let kernel = Kernel::Experts { act: self.spec.mlp.act, shared, biases, clamped };
        self.push(at(Part::MlpOutput), kernel, &[input, chosen, shares], ids, self.stream())
    }
}
