//! The weights that a specification asks for, and their shapes.

use super::mixer_weights;
use super::role::{Role, Stack, WeightId};
use super::spec::{
    Act, Adds, Gain, Head, Latent, LayerInputs, Logits, Mixer, ModelSpec, Norm, Positions, Projection, QkNormOver,
    Relative, SharedExpert, Transform,
};

/// Every weight that a model of this specification uses, in the order of use: those of its encoder first. A tied unembedding
/// is among them.
pub fn needed(spec: &ModelSpec) -> Vec<WeightId> {
    let mut needs = Needs { spec, ids: Vec::new() };
    if let Some(encoder) = &spec.encoder {
        let shared = |id: &WeightId| encoder.shares_embedding && id.role == Role::W_E;
        let own = needed(&encoder.spec).into_iter().filter(|id| !shared(id));
        needs.ids.extend(own.map(|id| id.of(Stack::Encoder)));
    }
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
        if self.spec.layer_inputs.is_some() {
            self.ids.extend([Role::W_ple, Role::PleProjW, Role::PleNormW].map(WeightId::global));
        }
        if matches!(self.spec.positions, Positions::Learned { .. }) {
            self.global(Role::W_pos);
        }
        if embed.token_types > 0 {
            self.global(Role::W_type);
        }
        if let Some(relative) = &self.spec.relative {
            self.global(Role::W_rel);
            if let Adds::Products(products) = &relative.adds {
                let norm = products.norm.iter().flat_map(|norm| norm_roles(norm, Role::RelLnW, Role::RelLnB));
                self.ids.extend(norm.map(WeightId::global));
            }
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
        if placement.has_ln1() && this.ln1 && this.mixer != Mixer::None {
            self.ids.extend(norm(Role::Ln1W, Role::Ln1B));
        }
        if this.mixer.has_attention() {
            self.attention(layer);
        }
        self.ids.extend(mixer_weights::roles(this.mixer).into_iter().map(id));
        if placement.has_post_norms() {
            self.ids.extend(norm(Role::AttnPostLnW, Role::AttnPostLnB));
        }
        if spec.encoder.is_some() {
            self.ids.extend(norm(Role::CrossLnW, Role::CrossLnB));
            self.ids.extend([Role::CrossQ, Role::CrossK, Role::CrossV].map(id));
            let biases = [Role::CrossQB, Role::CrossKB, Role::CrossVB];
            self.ids.extend(biases.into_iter().filter(|_| spec.attention.qkv_bias).map(id));
            self.ids.push(id(Role::CrossO));
            self.ids.extend(spec.attention.out_bias.then(|| id(Role::CrossOB)));
        }
        if placement.has_ln2() && this.mlp {
            self.ids.extend(norm(Role::Ln2W, Role::Ln2B));
        }
        let beside = spec.experts.is_some_and(|experts| experts.beside);
        if this.mlp && (beside || !this.experts) {
            self.mlp(layer);
        }
        if this.mlp && this.experts {
            self.ids.extend([Role::DenseLnW, Role::RouterNormW].map(id).into_iter().filter(|_| beside));
            self.experts(layer);
            let norms = [Role::ExpertsLnW, Role::ExpertsPostLnW, Role::ExpertScale];
            self.ids.extend(norms.map(id).into_iter().filter(|_| beside));
        }
        if placement.has_post_norms() {
            self.ids.extend(norm(Role::MlpPostLnW, Role::MlpPostLnB));
        }
        if spec.layer_inputs.is_some() {
            self.ids.extend([Role::PleGateW, Role::PleOutW].map(id));
            let after = norm_roles(&spec.norm, Role::PlePostLnW, Role::PlePostLnB);
            self.ids.extend(after.filter(|_| placement.has_post_norms()).map(id));
        }
        self.ids.extend(spec.residual.scaled_blocks.then(|| id(Role::BlockScale)));
    }

    fn attention(&mut self, layer: usize) {
        let spec = self.spec;
        let attention = &spec.attention;
        let id = |role| WeightId::block(layer, role);
        let this = &spec.layers[layer];
        let (own_keys, own_values) = (this.keys_of.is_none(), this.keys_of.is_none() && !this.values_are_keys);
        let parts = |q, k, v| [(q, true), (k, own_keys), (v, own_values)].into_iter().filter(|part| part.1);
        if let Some(latent) = &attention.latent {
            self.ids.extend(latent_roles(latent).into_iter().map(id));
        } else {
            self.ids.extend(parts(Role::W_Q, Role::W_K, Role::W_V).map(|(role, _)| id(role)));
        }
        if attention.qkv_bias {
            self.ids.extend(parts(Role::b_Q, Role::b_K, Role::b_V).map(|(role, _)| id(role)));
        }
        if let Some(Adds::Products(products)) = spec.relative.map(|relative| relative.adds)
            && !products.shared
        {
            let of_keys = products.of_keys.then_some([Role::W_rel_Q, Role::b_rel_Q]);
            let of_queries = products.of_queries.then_some([Role::W_rel_K, Role::b_rel_K]);
            self.ids.extend(of_keys.into_iter().chain(of_queries).flatten().map(id));
        }
        if attention.gate {
            self.ids.push(id(Role::AttnGateW));
            self.ids.extend(attention.qkv_bias.then_some(id(Role::AttnGateB)));
        }
        if let Some(qk) = attention.qk_norm.as_ref().filter(|_| this.qk_norm) {
            let (q, k) = (spec.n_heads, spec.kv_heads_of(layer));
            let both = [(Role::QNormW, Role::QNormB, q), (Role::KNormW, Role::KNormB, k)];
            for (gain, bias, heads) in both.into_iter().take(1 + usize::from(own_keys)) {
                for role in norm_roles(&qk.norm, gain, bias) {
                    match qk.over {
                        QkNormOver::EachHead => self.ids.extend((0..heads).map(|h| WeightId::part(layer, h, role))),
                        _ => self.ids.push(id(role)),
                    }
                }
            }
        }
        self.ids.extend(attention.sinks.then(|| id(Role::Sinks)));
        self.ids.push(id(Role::W_O));
        if attention.out_bias {
            self.ids.push(id(Role::b_O));
        }
    }

    fn mlp(&mut self, layer: usize) {
        let mlp = &self.spec.mlp;
        let mut roles = vec![Role::W_in];
        roles.extend(XIELU.into_iter().filter(|_| mlp.act == Act::Xielu));
        roles.extend(mlp.gated.then_some(Role::W_gate));
        roles.push(Role::W_out);
        if mlp.bias {
            roles.push(Role::b_in);
            roles.extend(mlp.gated.then_some(Role::b_gate));
        }
        roles.extend(mlp.out_bias.then_some(Role::b_out));
        self.ids.extend(roles.into_iter().map(|role| WeightId::block(layer, role)));
    }

    fn experts(&mut self, layer: usize) {
        let Some(experts) = &self.spec.experts else { return };
        let gated = self.spec.mlp.gated;
        self.ids.push(WeightId::block(layer, Role::W_router));
        self.ids.extend(experts.router.correction.then_some(WeightId::block(layer, Role::b_choice)));
        self.ids.extend(experts.router_bias.then(|| WeightId::block(layer, Role::b_router)));
        for expert in 0..experts.count {
            let biases = if experts.biases { expert_biases(gated) } else { &[] };
            let roles = expert_roles(gated).iter().chain(biases);
            self.ids.extend(roles.map(|role| WeightId::part(layer, expert, *role)));
        }
        if let Some(shared) = &experts.shared {
            self.ids.extend(shared_roles(shared, gated).map(|role| WeightId::block(layer, role)));
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
                if let Some(transform) = transform {
                    self.transform(transform, [Role::MlmW, Role::MlmB], [Role::MlmLnW, Role::MlmLnB]);
                }
                self.logits(logits);
            }
            Head::Sequence { pooled, classes, .. } => self.classes(pooled.transform.as_ref(), classes.bias),
            Head::Token { transform, classes, .. } => self.classes(transform.as_ref(), classes.bias),
            Head::Bare { sentence } => {
                for (index, dense) in sentence.iter().flat_map(|sentence| &sentence.dense).enumerate() {
                    self.ids.push(WeightId::numbered(index, Role::DenseW));
                    self.ids.extend(dense.bias.then_some(WeightId::numbered(index, Role::DenseB)));
                }
            }
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

/// The weights of one expert: gate where there is one, up, down.
pub fn expert_roles(gated: bool) -> &'static [Role] {
    static ROLES: [Role; 3] = [Role::W_gate, Role::W_in, Role::W_out];
    if gated { &ROLES } else { &ROLES[1..] }
}

/// Its biases, in that order.
pub fn expert_biases(gated: bool) -> &'static [Role] {
    static ROLES: [Role; 3] = [Role::b_gate, Role::b_in, Role::b_out];
    if gated { &ROLES } else { &ROLES[1..] }
}

/// Those of the shared expert, and how much of it is added where that is not all.
pub fn shared_roles(shared: &SharedExpert, gated: bool) -> impl Iterator<Item = Role> + use<> {
    let gate = gated.then_some(Role::SharedGate);
    let mix = shared.mixed.then_some(Role::SharedMix);
    gate.into_iter().chain([Role::SharedIn, Role::SharedOut]).chain(mix)
}

/// The weights that make queries, keys and values of latents.
fn latent_roles(latent: &Latent) -> Vec<Role> {
    let bias = |role| latent.bias.then_some(role);
    let mut roles = Vec::new();
    if latent.queries.is_some() {
        roles.push(Role::W_DQ);
        roles.extend(bias(Role::b_DQ));
        roles.extend(norm_roles(&latent.norm, Role::QLatentNormW, Role::QLatentNormB));
        roles.push(Role::W_UQ);
    } else {
        roles.push(Role::W_Q);
    }
    roles.push(Role::W_DKV);
    roles.extend(bias(Role::b_DKV));
    roles.extend(norm_roles(&latent.norm, Role::KvLatentNormW, Role::KvLatentNormB));
    roles.push(Role::W_KR);
    roles.extend(bias(Role::b_KR));
    roles.extend([Role::W_UK, Role::W_UV]);
    roles
}
/// The numbers of xIELU.
pub const XIELU: [Role; 4] = [Role::XieluP, Role::XieluN, Role::XieluBeta, Role::XieluEps];

pub fn norm_roles(norm: &Norm, gain: Role, bias: Role) -> impl Iterator<Item = Role> + use<> {
    let gain = (norm.gain != Gain::None).then_some(gain);
    let bias = norm.bias.then_some(bias);
    gain.into_iter().chain(bias)
}

/// Shape of a weight as the model uses it: `[in, out]` for linear layers.
pub fn shape_of(spec: &ModelSpec, id: WeightId) -> Vec<usize> {
    use Role::*;
    if id.stack == Stack::Encoder && spec.encoder.is_some() {
        return shape_of(spec.of_stack(id.stack), id.of(Stack::Main));
    }
    // What cross attention reads.
    let from = spec.encoder.as_ref().map_or(0, |encoder| encoder.spec.d_model);
    let (d, vocab, narrow) = (spec.d_model, spec.vocab, spec.embed.width);
    let layer = id.layer.map_or(0, usize::from);
    let (h, v, kv_heads) = (spec.head_dim_of(layer), spec.value_dim_of(layer), spec.kv_heads_of(layer));
    let (q, kv) = (spec.n_heads * h, kv_heads * h);
    let inputs = spec.layer_inputs.unwrap_or(LayerInputs { width: 0, vocab: 0 });
    let latent = spec.attention.latent;
    let [from_q, from_kv, shared_keys] =
        latent.map_or([0; 3], |latent| [latent.queries.unwrap_or(0), latent.keys, latent.shared]);
    let experts = spec.experts.unwrap_or_default();
    let m = if id.index.is_some() { experts.width } else { spec.mlp_of(layer) };
    let shared = experts.shared.map_or(0, |shared| shared.width);
    // What the embedding's norm and the position table are as wide as.
    let embedded = if spec.embed.project == Some(Projection::OfSum) { narrow } else { d };
    let mixer = id.layer.and_then(|layer| spec.layers.get(usize::from(layer))).map(|layer| layer.mixer);
    if let Some(shape) = mixer.and_then(|mixer| mixer_weights::shape_of(mixer, id.role, d)) {
        return shape;
    }
    let per_head = |heads: usize| match spec.attention.qk_norm.map(|qk| qk.over) {
        Some(QkNormOver::OwnHead) => vec![heads, h],
        Some(QkNormOver::All) => vec![heads * h],
        _ => vec![h],
    };
    let dense = || match (&spec.head, id.index) {
        (Head::Bare { sentence: Some(sentence) }, Some(index)) => sentence.dense.get(usize::from(index)),
        _ => None,
    };
    match id.role {
        DenseW => dense().map_or(vec![0, 0], |dense| vec![dense.input, dense.output]),
        DenseB => vec![dense().map_or(0, |dense| dense.output)],
        W_E | W_U => vec![vocab, narrow],
        W_ple => vec![inputs.vocab, spec.n_layers * inputs.width],
        PleProjW => vec![d, spec.n_layers * inputs.width],
        PleNormW => vec![inputs.width],
        PleGateW => vec![d, inputs.width],
        PleOutW => vec![inputs.width, d],
        BlockScale => vec![1],
        W_pos => match spec.positions {
            Positions::Learned { rows, .. } => vec![rows, embedded],
            _ => vec![0, embedded],
        },
        W_type => vec![spec.embed.token_types, embedded],
        W_rel => match spec.relative {
            Some(Relative { rows, adds: Adds::Numbers, .. }) => vec![rows, spec.n_heads],
            of => vec![of.map_or(0, |of| of.rows), d],
        },
        EmbedLnW | EmbedLnB => vec![embedded],
        EmbedProjW => vec![narrow, d],
        UnembedProjW => vec![d, narrow],
        W_DQ => vec![d, from_q],
        b_DQ | QLatentNormW | QLatentNormB => vec![from_q],
        W_UQ => vec![from_q, q],
        W_DKV => vec![d, from_kv],
        b_DKV | KvLatentNormW | KvLatentNormB => vec![from_kv],
        W_KR => vec![d, shared_keys],
        b_KR => vec![shared_keys],
        W_UK => vec![from_kv, spec.n_heads * (h - shared_keys)],
        W_UV => vec![from_kv, spec.n_heads * v],
        CrossQ => vec![d, q],
        CrossK | CrossV => vec![from, q],
        CrossO => vec![q, d],
        CrossQB | CrossKB | CrossVB => vec![q],
        W_Q | W_rel_Q => vec![d, q],
        AttnGateW => vec![d, spec.n_heads * v],
        W_K | W_rel_K => vec![d, kv],
        W_V => vec![d, kv_heads * v],
        W_O => vec![spec.n_heads * v, d],
        b_Q | b_rel_Q => vec![q],
        b_K | b_rel_K => vec![kv],
        AttnGateB => vec![spec.n_heads * v],
        b_V => vec![kv_heads * v],
        // Of another mixer than the layer has.
        MixQ | MixK | MixV | MixGate | MixX | MixOutGate | MixXB | MixGateB | MixOutGateB | MixA | MixB | MixConvQ
        | MixConvK | MixConvV | MixConvQB | MixConvKB | MixConvVB | MixConv | MixConvB | MixRate | MixStep
        | MixSkip | MixNormW | MixO | MixOB | MixStepW | MixANormW | MixKNormW | MixQNormW => vec![0],
        // Of dictionaries, whose files say it.
        DictEnc | DictEncB | DictGain | DictThreshold | DictGateB | DictDec | DictDecB | DictSkip => vec![0],
        QNormW | QNormB => per_head(spec.n_heads),
        KNormW | KNormB => per_head(kv_heads),
        Sinks => vec![spec.n_heads],
        W_router => vec![d, experts.count],
        b_choice | ExpertScale => vec![experts.count],
        DenseLnW | RouterNormW | ExpertsLnW | ExpertsPostLnW => vec![d],
        b_router => vec![experts.count],
        W_in | W_gate => vec![d, m],
        W_out => vec![m, d],
        b_in | b_gate => vec![m],
        XieluP | XieluN | XieluBeta | XieluEps => vec![1],
        SharedIn | SharedGate => vec![d, shared],
        SharedOut => vec![shared, d],
        SharedMix => vec![d, 1],
        b_U => vec![vocab],
        MlmW => vec![d, narrow],
        MlmB | MlmLnW | MlmLnB => vec![narrow],
        PoolerW => vec![d, d],
        ClassifierW => vec![last_width(spec), spec.labels().len()],
        ClassifierB => vec![spec.labels().len()],
        Ln1W | Ln1B | CrossLnW | CrossLnB | CrossOB | b_O | AttnPostLnW | AttnPostLnB | Ln2W | Ln2B | b_out
        | MlpPostLnW | MlpPostLnB | PlePostLnW | PlePostLnB | LnFinalW | LnFinalB | RelLnW | RelLnB | EmbedProjB
        | PoolerB | PoolerLnW | PoolerLnB => vec![d],
    }
}

/// Width of what a classifier reads: the last hidden state, after the projection that some decoders have after it.
pub fn last_width(spec: &ModelSpec) -> usize {
    if spec.embed.project == Some(Projection::OfTokens) { spec.embed.width } else { spec.d_model }
}
