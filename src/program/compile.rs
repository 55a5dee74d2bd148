//! From a specification to ops, in the order of `docs/sites.md`.

use std::collections::HashMap;

use super::names;
use super::op::{Kernel, Module, Op, Program};
use crate::model::role::{Role, WeightId};
use crate::model::spec::{Head, ModelSpec, Norm, NormKind, Placement, Positions};
use crate::tensor::Axis::{self, Dim, K, Label, Neuron, Pos, Q, Row, Vocab};

/// Compiles a specification. The program does not depend on weights or input.
pub fn compile(spec: &ModelSpec) -> Program {
    let mut builder = Builder { spec, ops: Vec::new() };
    let embedded = builder.embedding();
    let last = (0..spec.n_layers).fold(embedded, |input, layer| builder.block(layer, input));
    builder.head(last);
    finish(builder.ops, spec)
}

struct Builder<'a> {
    spec: &'a ModelSpec,
    ops: Vec<Op>,
}

impl Builder<'_> {
    fn push(&mut self, site: String, kernel: Kernel, inputs: &[usize], weights: Vec<WeightId>, axes: &[Axis]) -> usize {
        let layer = names::layer_of(&site);
        let mut all = vec![Row];
        all.extend_from_slice(axes);
        let cached = match kernel {
            Kernel::Scores { .. } | Kernel::Mix => vec![inputs[1]],
            _ => Vec::new(),
        };
        self.ops.push(Op { site, module: 0, kernel, inputs: inputs.to_vec(), cached, weights, axes: all, layer });
        self.ops.len() - 1
    }

    fn embedding(&mut self) -> usize {
        let global = |role| vec![WeightId::global(role)];
        let tokens = self.push("tokens".into(), Kernel::Tokens, &[], vec![], &[Pos]);
        let mut parts = vec![self.push("embed".into(), Kernel::Embed, &[tokens], global(Role::W_E), &[Pos, Dim])];
        if self.spec.positions == Positions::Learned {
            let weights = global(Role::W_pos);
            parts.push(self.push("pos_embed".into(), Kernel::PositionEmbed, &[], weights, &[Pos, Dim]));
        }
        if self.spec.embed.token_types > 0 {
            let weights = global(Role::W_type);
            parts.push(self.push("type_embed".into(), Kernel::TypeEmbed, &[], weights, &[Pos, Dim]));
        }
        // The order of addition is transformers': BERT adds types before positions.
        if let [token, position, types] = parts[..] {
            parts = vec![token, types, position];
        }
        if self.spec.embed.norm {
            // The sum has no site of its own; `Gain` of its norm reads the parts through the norm's own ops.
            let norm = [WeightId::global(Role::EmbedLnW), WeightId::global(Role::EmbedLnB)];
            let normed = self.norm("embed_ln", &parts, norm);
            self.push("blocks.0.resid_pre".into(), Kernel::Same, &[normed], vec![], &[Pos, Dim])
        } else if let [only] = parts[..] {
            self.push("blocks.0.resid_pre".into(), Kernel::Same, &[only], vec![], &[Pos, Dim])
        } else {
            self.push("blocks.0.resid_pre".into(), Kernel::Add, &parts, vec![], &[Pos, Dim])
        }
    }

    /// The three ops of a norm over the sum of `inputs`; returns its output.
    fn norm(&mut self, path: &str, inputs: &[usize], [gain, bias]: [WeightId; 2]) -> usize {
        let Norm { kind, eps } = self.spec.norm;
        let (scale, normalized, weights) = match kind {
            NormKind::LayerNorm => (Kernel::LayerNormScale { eps }, Kernel::LayerNormNormalized, vec![gain, bias]),
            NormKind::Rms => (Kernel::RmsScale { eps }, Kernel::RmsNormalized, vec![gain]),
        };
        let scale = self.push(format!("{path}.scale"), scale, inputs, vec![], &[Pos, Axis::None]);
        let mut with_scale = vec![scale];
        with_scale.extend_from_slice(inputs);
        let normalized = self.push(format!("{path}.normalized"), normalized, &with_scale, vec![], &[Pos, Dim]);
        self.push(format!("{path}.out"), Kernel::Gain, &[normalized], weights, &[Pos, Dim])
    }

    fn block(&mut self, layer: usize, input: usize) -> usize {
        let at = |part: &str| format!("blocks.{layer}.{part}");
        let w = |role| WeightId::block(layer, role);
        let (ln1, ln2) = ([w(Role::Ln1W), w(Role::Ln1B)], [w(Role::Ln2W), w(Role::Ln2B)]);
        let resid_pre = match layer {
            0 => input,
            _ => self.push(at("resid_pre"), Kernel::Same, &[input], vec![], &[Pos, Dim]),
        };
        match self.spec.placement {
            Placement::Pre => {
                let normed = self.norm(&at("ln1"), &[resid_pre], ln1);
                let attn_out = self.attention(layer, normed);
                let resid_mid = self.push(at("resid_mid"), Kernel::Add, &[resid_pre, attn_out], vec![], &[Pos, Dim]);
                let normed = self.norm(&at("ln2"), &[resid_mid], ln2);
                let mlp_out = self.mlp(layer, normed);
                self.push(at("resid_post"), Kernel::Add, &[resid_mid, mlp_out], vec![], &[Pos, Dim])
            }
            Placement::Post => {
                let attn_out = self.attention(layer, resid_pre);
                let resid_mid = self.push(at("resid_mid"), Kernel::Add, &[resid_pre, attn_out], vec![], &[Pos, Dim]);
                let normed = self.norm(&at("ln1"), &[resid_mid], ln1);
                let mlp_out = self.mlp(layer, normed);
                let resid_post = self.push(at("resid_post"), Kernel::Add, &[normed, mlp_out], vec![], &[Pos, Dim]);
                self.norm(&at("ln2"), &[resid_post], ln2)
            }
        }
    }

    fn attention(&mut self, layer: usize, input: usize) -> usize {
        let spec = self.spec;
        let at = |part: &str| format!("blocks.{layer}.{part}");
        let w = |weight, bias, has_bias: bool| {
            let mut weights = vec![WeightId::block(layer, weight)];
            weights.extend(has_bias.then(|| WeightId::block(layer, bias)));
            weights
        };
        let heads = |n| Kernel::Linear { heads: Some(n) };
        let by_head = [Pos, Axis::Head, Dim];
        let bias = spec.attention.qkv_bias;
        let (h, kv) = (spec.n_heads, spec.n_kv_heads);
        let mut q = self.push(at("attn.q"), heads(h), &[input], w(Role::W_Q, Role::b_Q, bias), &by_head);
        let mut k = self.push(at("attn.k"), heads(kv), &[input], w(Role::W_K, Role::b_K, bias), &by_head);
        let v = self.push(at("attn.v"), heads(kv), &[input], w(Role::W_V, Role::b_V, bias), &by_head);
        if matches!(spec.positions, Positions::Rope(_)) {
            q = self.push(at("attn.rot_q"), Kernel::Rotate, &[q], vec![], &by_head);
            k = self.push(at("attn.rot_k"), Kernel::Rotate, &[k], vec![], &by_head);
        }
        let scores = Kernel::Scores { scale: spec.attention.scale[layer] };
        let scores = self.push(at("attn.scores"), scores, &[q, k], vec![], &[Axis::Head, Q, K]);
        let pattern = self.push(at("attn.pattern"), Kernel::Pattern, &[scores], vec![], &[Axis::Head, Q, K]);
        let z = self.push(at("attn.z"), Kernel::Mix, &[pattern, v], vec![], &by_head);
        let weights = w(Role::W_O, Role::b_O, spec.attention.out_bias);
        let out = self.push(at("attn.out"), Kernel::Output, &[z], weights, &[Pos, Dim]);
        self.push(at("attn_out"), Kernel::Same, &[out], vec![], &[Pos, Dim])
    }

    fn mlp(&mut self, layer: usize, input: usize) -> usize {
        let mlp = self.spec.mlp;
        let at = |part: &str| format!("blocks.{layer}.{part}");
        let linear = |weight, bias| {
            let mut weights = vec![WeightId::block(layer, weight)];
            weights.extend(mlp.bias.then(|| WeightId::block(layer, bias)));
            weights
        };
        let plain = Kernel::Linear { heads: None };
        let post = if mlp.gated {
            let gate = linear(Role::W_gate, Role::b_gate);
            let pre = self.push(at("mlp.pre"), plain.clone(), &[input], gate, &[Pos, Neuron]);
            let up = linear(Role::W_in, Role::b_in);
            let up = self.push(at("mlp.pre_linear"), plain.clone(), &[input], up, &[Pos, Neuron]);
            self.push(at("mlp.post"), Kernel::Gated(mlp.act), &[pre, up], vec![], &[Pos, Neuron])
        } else {
            let weights = linear(Role::W_in, Role::b_in);
            let pre = self.push(at("mlp.pre"), plain.clone(), &[input], weights, &[Pos, Neuron]);
            self.push(at("mlp.post"), Kernel::Activation(mlp.act), &[pre], vec![], &[Pos, Neuron])
        };
        let out = self.push(at("mlp.out"), plain, &[post], linear(Role::W_out, Role::b_out), &[Pos, Dim]);
        self.push(at("mlp_out"), Kernel::Same, &[out], vec![], &[Pos, Dim])
    }

    fn head(&mut self, last: usize) {
        let global = |roles: &[Role]| roles.iter().map(|&role| WeightId::global(role)).collect::<Vec<_>>();
        let hidden = match self.spec.placement {
            Placement::Pre => {
                let norm = [WeightId::global(Role::LnFinalW), WeightId::global(Role::LnFinalB)];
                self.norm("ln_final", &[last], norm)
            }
            Placement::Post => last,
        };
        match &self.spec.head {
            Head::CausalLm { .. } => {
                self.push("logits".into(), Kernel::Unembed, &[hidden], global(&[Role::W_U]), &[Pos, Vocab]);
            }
            Head::MaskedLm { act } => {
                let weights = global(&[Role::MlmW, Role::MlmB]);
                let pre = self.push("mlm.pre".into(), Kernel::Linear { heads: None }, &[hidden], weights, &[Pos, Dim]);
                let act = self.push("mlm.act".into(), Kernel::Activation(*act), &[pre], vec![], &[Pos, Dim]);
                let norm = [WeightId::global(Role::MlmLnW), WeightId::global(Role::MlmLnB)];
                let normed = self.norm("mlm_ln", &[act], norm);
                let weights = global(&[Role::W_U, Role::b_U]);
                self.push("logits".into(), Kernel::Unembed, &[normed], weights, &[Pos, Vocab]);
            }
            Head::SequenceClassification { .. } => {
                let weights = global(&[Role::PoolerW, Role::PoolerB]);
                let pre = self.push("pooler.pre".into(), Kernel::FirstLinear, &[hidden], weights, &[Dim]);
                let act = Kernel::Activation(crate::model::spec::Act::Tanh);
                let out = self.push("pooler.out".into(), act, &[pre], vec![], &[Dim]);
                let weights = global(&[Role::ClassifierW, Role::ClassifierB]);
                self.push("logits".into(), Kernel::VectorLinear, &[out], weights, &[Label]);
            }
            Head::Bare { sentence: true } => {
                self.push("sentence".into(), Kernel::MeanOfReal, &[hidden], vec![], &[Dim]);
            }
            Head::Bare { sentence: false } => {}
        }
    }
}

/// Builds the module tree from the site names and the tables that look things up.
fn finish(mut ops: Vec<Op>, spec: &ModelSpec) -> Program {
    let mut modules = vec![Module { path: String::new(), parent: None, depth: 0, start: 0, end: ops.len() }];
    let mut index = HashMap::new();
    let mut readers = vec![Vec::new(); ops.len()];
    for (i, op) in ops.iter_mut().enumerate() {
        index.insert(op.site.clone(), i);
        for &input in &op.inputs {
            if readers[input].last() != Some(&i) {
                readers[input].push(i);
            }
        }
        for path in names::modules_around(&op.site) {
            let found = modules.iter().rposition(|module| module.path == path);
            op.module = found.unwrap_or_else(|| {
                let parent = op.module;
                let depth = modules[parent].depth + 1;
                modules.push(Module { path, parent: Some(parent), depth, start: i, end: i + 1 });
                modules.len() - 1
            });
            modules[op.module].end = i + 1;
        }
    }
    let sites = ops.iter().map(|op| op.site.clone()).collect();
    let module_paths = modules.iter().skip(1).map(|module| module.path.clone()).collect();
    let (n_layers, n_heads) = (spec.n_layers, spec.n_heads);
    Program { ops, modules, sites, module_paths, index, readers, n_layers, n_heads }
}
