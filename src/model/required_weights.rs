//! The weights that a specification asks for, and their shapes.

use super::role::{Role, WeightId};
use super::spec::{Gain, Head, Logits, ModelSpec, Norm, Positions, Projection, QkNormOver, Transform};

/// Every weight that a model of this specification uses, in the order of use. A tied unembedding is among them.
pub fn needed(spec: &ModelSpec) -> Vec<WeightId> {
    let mut needs = Needs { spec, ids: Vec::new() };
    needs.before_blocks();
    for layer in 0..spec.n_layers {
        // Blocks that share weights ask for them once.
        if spec.weights_of(layer) == layer {
            needs.block(layer);
        }
    }
    needs.after_blocks();
    needs.ids
}

struct Needs<'a> {
    spec: &'a ModelSpec,
    ids: Vec<WeightId>,
}

impl Needs<'_> {
    fn global(&mut self, role: Role) {
        self.ids.push(WeightId::global(role));
    }

    fn global_norm(&mut self, norm: &Norm, gain: Role, bias: Role) {
        self.ids.extend(norm_roles(norm, gain, bias).map(WeightId::global));
    }

    fn before_blocks(&mut self) {
        let embed = &self.spec.embed;
        self.global(Role::W_E);
        if matches!(self.spec.positions, Positions::Learned { .. }) {
            self.global(Role::W_pos);
        }
        if embed.token_types > 0 {
            self.global(Role::W_type);
        }
        if embed.norm {
            self.global_norm(&self.spec.norm, Role::EmbedLnW, Role::EmbedLnB);
        }
        match embed.project {
            Some(Projection::OfSum) => self.ids.extend([Role::EmbedProjW, Role::EmbedProjB].map(WeightId::global)),
            Some(Projection::OfTokens) => self.global(Role::EmbedProjW),
            None => {}
        }
    }

    fn block(&mut self, layer: usize) {
        let spec = self.spec;
        let (this, placement) = (&spec.layers[layer], spec.placement);
        let id = |role| WeightId::block(layer, role);
        let norm = |gain, bias| norm_roles(&spec.norm, gain, bias).map(id);
        if placement.has_ln1() && this.ln1 {
            self.ids.extend(norm(Role::Ln1W, Role::Ln1B));
        }
        self.attention(layer);
        if placement.has_post_norms() {
            self.ids.extend(norm(Role::AttnPostLnW, Role::AttnPostLnB));
        }
        if placement.has_ln2() {
            self.ids.extend(norm(Role::Ln2W, Role::Ln2B));
        }
        if this.experts {
            self.experts(layer)
        } else {
            self.mlp(layer)
        }
        if placement.has_post_norms() {
            self.ids.extend(norm(Role::MlpPostLnW, Role::MlpPostLnB));
        }
    }

    fn attention(&mut self, layer: usize) {
        let spec = self.spec;
        let attention = &spec.attention;
        let id = |role| WeightId::block(layer, role);
        self.ids.extend([Role::W_Q, Role::W_K, Role::W_V].map(id));
        if attention.qkv_bias {
            self.ids.extend([Role::b_Q, Role::b_K, Role::b_V].map(id));
        }
        if let Some(qk) = &attention.qk_norm {
            let both = [(Role::QNormW, Role::QNormB, spec.n_heads), (Role::KNormW, Role::KNormB, spec.n_kv_heads)];
            for (gain, bias, heads) in both {
                for role in norm_roles(&qk.norm, gain, bias) {
                    match qk.over {
                        QkNormOver::EachHead => self.ids.extend((0..heads).map(|h| WeightId::part(layer, h, role))),
                        _ => self.ids.push(id(role)),
                    }
                }
            }
        }
        self.ids.push(id(Role::W_O));
        if attention.out_bias {
            self.ids.push(id(Role::b_O));
        }
    }

    fn mlp(&mut self, layer: usize) {
        let mlp = &self.spec.mlp;
        let mut roles = vec![Role::W_in];
        roles.extend(mlp.gated.then_some(Role::W_gate));
        roles.push(Role::W_out);
        if mlp.bias {
            roles.push(Role::b_in);
            roles.extend(mlp.gated.then_some(Role::b_gate));
            roles.push(Role::b_out);
        }
        self.ids.extend(roles.into_iter().map(|role| WeightId::block(layer, role)));
    }

    fn experts(&mut self, layer: usize) {
        let Some(experts) = &self.spec.experts else { return };
        self.ids.push(WeightId::block(layer, Role::W_router));
        for expert in 0..experts.count {
            self.ids.extend(EXPERT.map(|role| WeightId::part(layer, expert, role)));
        }
        if experts.shared.is_some() {
            self.ids.extend(SHARED.map(|role| WeightId::block(layer, role)));
        }
    }

    fn after_blocks(&mut self) {
        let spec = self.spec;
        if spec.final_norm {
            self.global_norm(&spec.norm, Role::LnFinalW, Role::LnFinalB);
        }
        if spec.embed.project == Some(Projection::OfTokens) {
            self.global(Role::UnembedProjW);
        }
        match &spec.head {
            Head::CausalLm(logits) => self.logits(logits),
            Head::MaskedLm { transform, logits } => {
                self.transform(transform, [Role::MlmW, Role::MlmB], [Role::MlmLnW, Role::MlmLnB]);
                self.logits(logits);
            }
            Head::Sequence { pooled, classes } => self.classes(pooled.transform.as_ref(), classes.bias),
            Head::Token { transform, classes, .. } => self.classes(transform.as_ref(), classes.bias),
            Head::Bare { .. } => {}
        }
    }

    fn logits(&mut self, logits: &Logits) {
        self.global(Role::W_U);
        if logits.bias {
            self.global(Role::b_U);
        }
    }

    fn transform(&mut self, transform: &Transform, [weight, bias]: [Role; 2], [gain, norm_bias]: [Role; 2]) {
        self.global(weight);
        if transform.bias {
            self.global(bias);
        }
        if let Some(norm) = &transform.norm {
            self.global_norm(norm, gain, norm_bias);
        }
    }

    fn classes(&mut self, transform: Option<&Transform>, bias: bool) {
        if let Some(transform) = transform {
            self.transform(transform, [Role::PoolerW, Role::PoolerB], [Role::PoolerLnW, Role::PoolerLnB]);
        }
        self.global(Role::ClassifierW);
        if bias {
            self.global(Role::ClassifierB);
        }
    }
}

/// The weights of one expert: gate, up, down.
pub const EXPERT: [Role; 3] = [Role::W_gate, Role::W_in, Role::W_out];

/// Those of the shared expert, and how much of it is added.
pub const SHARED: [Role; 4] = [Role::SharedGate, Role::SharedIn, Role::SharedOut, Role::SharedMix];

pub fn norm_roles(norm: &Norm, gain: Role, bias: Role) -> impl Iterator<Item = Role> + use<> {
    let gain = (norm.gain != Gain::None).then_some(gain);
    let bias = norm.bias.then_some(bias);
    gain.into_iter().chain(bias)
}

/// Shape of a weight as the model uses it: `[in, out]` for linear layers.
pub fn shape_of(spec: &ModelSpec, id: WeightId) -> Vec<usize> {
    use Role::*;
    let (d, v, h, narrow) = (spec.d_model, spec.vocab, spec.head_dim, spec.embed.width);
    let (q, kv) = (spec.n_heads * h, spec.n_kv_heads * h);
    let experts = spec.experts.unwrap_or_default();
    let m = if id.index.is_some() { experts.width } else { spec.d_mlp };
    let shared = experts.shared.map_or(0, |shared| shared.width);
    // What the embedding's norm and the position table are as wide as.
    let embedded = if spec.embed.project == Some(Projection::OfSum) { narrow } else { d };
    let per_head = |heads: usize| match spec.attention.qk_norm.map(|qk| qk.over) {
        Some(QkNormOver::OwnHead) => vec![heads, h],
        Some(QkNormOver::All) => vec![heads * h],
        _ => vec![h],
    };
    match id.role {
        W_E | W_U => vec![v, narrow],
        W_pos => match spec.positions {
            Positions::Learned { rows, .. } => vec![rows, embedded],
            _ => vec![0, embedded],
        },
        W_type => vec![spec.embed.token_types, embedded],
        EmbedLnW | EmbedLnB => vec![embedded],
        EmbedProjW => vec![narrow, d],
        UnembedProjW => vec![d, narrow],
        W_Q => vec![d, q],
        W_K | W_V => vec![d, kv],
        W_O => vec![q, d],
        b_Q => vec![q],
        b_K | b_V => vec![kv],
        QNormW | QNormB => per_head(spec.n_heads),
        KNormW | KNormB => per_head(spec.n_kv_heads),
        W_router => vec![d, experts.count],
        W_in | W_gate => vec![d, m],
        W_out => vec![m, d],
        b_in | b_gate => vec![m],
        SharedIn | SharedGate => vec![d, shared],
        SharedOut => vec![shared, d],
        SharedMix => vec![d, 1],
        b_U => vec![v],
        MlmW => vec![d, narrow],
        MlmB | MlmLnW | MlmLnB => vec![narrow],
        PoolerW => vec![d, d],
        ClassifierW => vec![last_width(spec), spec.labels().len()],
        ClassifierB => vec![spec.labels().len()],
        Ln1W | Ln1B | b_O | AttnPostLnW | AttnPostLnB | Ln2W | Ln2B | b_out | MlpPostLnW | MlpPostLnB | LnFinalW
        | LnFinalB | EmbedProjB | PoolerB | PoolerLnW | PoolerLnB => vec![d],
    }
}

/// Width of what a classifier reads: the last hidden state, after the projection that some decoders have after it.
pub fn last_width(spec: &ModelSpec) -> usize {
    if spec.embed.project == Some(Projection::OfTokens) { spec.embed.width } else { spec.d_model }
}
