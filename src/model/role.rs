//! Names of weights by what they do, the same for every architecture.

use super::site_name::InBlock;
use std::fmt;

/// How a weight is used, which decides its layout in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleKind {
    /// Rows that are looked up, or multiplied with: `[rows, width]`.
    Table,
    Linear,
    Vector,
}

/// Which stack of blocks a weight or an op belongs to, in a model that has an encoder besides its decoder. All others have
/// one, which is the main stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stack {
    /// The encoder of a model that has a decoder too.
    Encoder,
    #[default]
    Main,
}

/// What the names of an encoder's weights, sites and modules begin with.
pub const ENCODER: &str = "encoder.";

/// Where in a model a weight is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RolePlace {
    Before,
    Block,
    After,
}

/// Declares the roles once: what each is called, and how and where it is used.
macro_rules! roles {
    ($($place:ident { $($(#[$doc:meta])* $role:ident: $kind:ident = $name:literal,)* })*) => {
        /// What a weight does. Linear weights are kept as `[in, out]`, whatever the file's layout; a bias is as wide as
        /// what it is added to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(non_camel_case_types, reason = "the names are the field's own")]
        pub enum Role {
            $($($(#[$doc])* $role,)*)*
        }

        impl Role {
            /// Every role, in the order in which a model uses them.
            pub const ALL: [Role; [$($(Role::$role,)*)*].len()] = [$($(Role::$role,)*)*];

            /// The spelling after `blocks.{i}.` (or alone, outside blocks).
            pub fn name(self) -> &'static str {
                match self {
                    $($(Role::$role => $name,)*)*
                }
            }

            pub fn kind(self) -> RoleKind {
                match self {
                    $($(Role::$role => RoleKind::$kind,)*)*
                }
            }

            pub fn place(self) -> RolePlace {
                match self {
                    $($(Role::$role)|* => RolePlace::$place,)*
                }
            }
        }
    };
}

roles! {
    Before {
        /// Token embedding, `[V, d]`; narrower than the model where it is projected.
        W_E: Table = "W_E",
        /// Second table of tokens, of which each block has a part, `[tokens, layers p]`.
        W_ple: Table = "W_ple",
        /// Projection of the token embedding to as many features, `[d, layers p]`.
        PleProjW: Linear = "ple_proj.W",
        /// Gain `[p]` of the norm of each part.
        PleNormW: Vector = "ple_norm.w",
        /// Position table, `[positions, d]`.
        W_pos: Table = "W_pos",
        /// Token-type table, `[types, d]`.
        W_type: Table = "W_type",
        /// Table by distance: numbers that are added to scores, `[rows, H]`, or vectors, `[rows, d]`.
        W_rel: Table = "W_rel",
        /// Gain `[d]` of the norm of its vectors.
        RelLnW: Vector = "rel_ln.w",
        RelLnB: Vector = "rel_ln.b",
        /// Gain `[d]` of the embedding's own norm.
        EmbedLnW: Vector = "embed_ln.w",
        EmbedLnB: Vector = "embed_ln.b",
        /// Projection of narrow embeddings to the width of the model.
        EmbedProjW: Linear = "embed_proj.W",
        EmbedProjB: Vector = "embed_proj.b",
    }
    Block {
        /// Gain `[d]` of the first norm of a block.
        Ln1W: Vector = "ln1.w",
        Ln1B: Vector = "ln1.b",
        /// Projection to the latent of queries, `[d, q]`.
        W_DQ: Linear = "attn.W_DQ",
        b_DQ: Vector = "attn.b_DQ",
        /// Gain `[q]` of the norm of the latent of queries.
        QLatentNormW: Vector = "attn.q_latent_norm.w",
        QLatentNormB: Vector = "attn.q_latent_norm.b",
        /// Queries from their latent, `[q, H h]`.
        W_UQ: Linear = "attn.W_UQ",
        /// Projection to the latent of keys and values, `[d, c]`.
        W_DKV: Linear = "attn.W_DKV",
        b_DKV: Vector = "attn.b_DKV",
        /// Gain `[c]` of the norm of the latent of keys and values.
        KvLatentNormW: Vector = "attn.kv_latent_norm.w",
        KvLatentNormB: Vector = "attn.kv_latent_norm.b",
        /// Projection to the features that the keys of all heads share, `[d, r]`.
        W_KR: Linear = "attn.W_KR",
        b_KR: Vector = "attn.b_KR",
        /// The other features of keys, from the latent: `[c, H (h - r)]`.
        W_UK: Linear = "attn.W_UK",
        /// Values from the latent, `[c, H v]`.
        W_UV: Linear = "attn.W_UV",
        /// Query projection, `[d, H h]`.
        W_Q: Linear = "attn.W_Q",
        /// Key projection, `[d, K h]`.
        W_K: Linear = "attn.W_K",
        /// Value projection, `[d, K h]`.
        W_V: Linear = "attn.W_V",
        /// Projection to the gates of what heads mix, `[d, H h]`.
        AttnGateW: Linear = "attn.W_gate",
        AttnGateB: Vector = "attn.b_gate",
        b_Q: Vector = "attn.b_Q",
        b_K: Vector = "attn.b_K",
        b_V: Vector = "attn.b_V",
        /// Query projection of the table by distance, `[d, H h]`, where it is not that of content.
        W_rel_Q: Linear = "attn.W_rel_Q",
        /// Key projection of the table by distance, `[d, H h]`.
        W_rel_K: Linear = "attn.W_rel_K",
        b_rel_Q: Vector = "attn.b_rel_Q",
        b_rel_K: Vector = "attn.b_rel_K",
        /// Gain of the norm of queries: `[h]`, `[H, h]` or `[H h]`.
        QNormW: Vector = "attn.q_norm.w",
        QNormB: Vector = "attn.q_norm.b",
        /// Gain of the norm of keys: `[h]`, `[K, h]` or `[K h]`.
        KNormW: Vector = "attn.k_norm.w",
        KNormB: Vector = "attn.k_norm.b",
        /// The logit of each head's sink, `[H]`.
        Sinks: Vector = "attn.sinks",
        /// Output projection of the attention, `[H h, d]`, or `[H v, d]` where values are of another width.
        W_O: Linear = "attn.W_O",
        b_O: Vector = "attn.b_O",
        /// Projection to queries of layers without softmax attention, before the convolution, `[d, K dk]`.
        MixQ: Linear = "mixer.W_Q",
        /// The same to keys, `[d, K dk]`.
        MixK: Linear = "mixer.W_K",
        /// The same to values, `[d, H dv]`.
        MixV: Linear = "mixer.W_V",
        /// Projection to the gates of the output, `[d, H dv]`.
        MixGate: Linear = "mixer.W_gate",
        /// Projection to what a convolution reads, `[d, d]`.
        MixX: Linear = "mixer.W_x",
        /// Projection to the gates after a convolution, `[d, d]`.
        MixOutGate: Linear = "mixer.W_out_gate",
        MixXB: Vector = "mixer.b_x",
        MixGateB: Vector = "mixer.b_gate",
        MixOutGateB: Vector = "mixer.b_out_gate",
        /// Projection to what the decay of a state follows from, `[d, H]`.
        MixA: Linear = "mixer.W_a",
        /// Projection to how much of a value is learned, `[d, H]`.
        MixB: Linear = "mixer.W_b",
        /// Convolutions of the features of queries, `[K dk, taps]`, the present position last.
        MixConvQ: Vector = "mixer.conv_q.w",
        MixConvK: Vector = "mixer.conv_k.w",
        MixConvV: Vector = "mixer.conv_v.w",
        MixConvQB: Vector = "mixer.conv_q.b",
        MixConvKB: Vector = "mixer.conv_k.b",
        MixConvVB: Vector = "mixer.conv_v.b",
        /// Convolution of each feature, `[n, taps]`, the present position last.
        MixConv: Vector = "mixer.conv.w",
        MixConvB: Vector = "mixer.conv.b",
        /// Logarithm of the rate of decay, `[H]`.
        MixRate: Vector = "mixer.A_log",
        /// What is added before the softplus of a decay, `[H]`.
        MixStep: Vector = "mixer.dt_bias",
        /// Projection from a narrow vector to what steps are made of, `[r, n]`.
        MixStepW: Linear = "mixer.W_dt",
        /// Gains of the norms of that vector, of keys and of queries.
        MixANormW: Vector = "mixer.a_norm.w",
        MixKNormW: Vector = "mixer.k_norm.w",
        MixQNormW: Vector = "mixer.q_norm.w",
        /// What is added of a value to what is read of the state, `[H]`.
        MixSkip: Vector = "mixer.D",
        /// Gain of the norm of the output, `[dv]`.
        MixNormW: Vector = "mixer.norm.w",
        /// Output projection, `[H dv, d]`.
        MixO: Linear = "mixer.W_O",
        MixOB: Vector = "mixer.b_O",
        /// Gain `[d]` of the norm on what attention adds.
        AttnPostLnW: Vector = "attn_post_ln.w",
        AttnPostLnB: Vector = "attn_post_ln.b",
        /// Gain `[d]` of the norm of cross attention.
        CrossLnW: Vector = "ln_cross.w",
        CrossLnB: Vector = "ln_cross.b",
        /// Query projection of cross attention, `[d, H h]`; keys and values are projected of what the encoder gives.
        CrossQ: Linear = "cross.W_Q",
        CrossK: Linear = "cross.W_K",
        CrossV: Linear = "cross.W_V",
        CrossQB: Vector = "cross.b_Q",
        CrossKB: Vector = "cross.b_K",
        CrossVB: Vector = "cross.b_V",
        /// Output projection of cross attention, `[H h, d]`.
        CrossO: Linear = "cross.W_O",
        CrossOB: Vector = "cross.b_O",
        /// Gain `[d]` of the second norm of a block.
        Ln2W: Vector = "ln2.w",
        Ln2B: Vector = "ln2.b",
        /// Router of a mixture of experts, `[d, E]`.
        W_router: Linear = "mlp.W_router",
        /// What is added to the scores of experts for the choice of them, `[E]`.
        b_choice: Vector = "mlp.b_choice",
        /// Bias of the router, `[E]`.
        b_router: Vector = "mlp.b_router",
        /// Input projection of the MLP or of an expert (the up projection when gated), `[d, M]`.
        W_in: Linear = "mlp.W_in",
        /// Gate projection of a gated MLP or of an expert, `[d, M]`.
        W_gate: Linear = "mlp.W_gate",
        /// Output (down) projection of the MLP or of an expert, `[M, d]`.
        W_out: Linear = "mlp.W_out",
        b_in: Vector = "mlp.b_in",
        b_gate: Vector = "mlp.b_gate",
        b_out: Vector = "mlp.b_out",
        /// Four numbers of xIELU, `[1]` each: the curvature above zero, that below it, the slope at zero, and where `exp(x) - 1`
        /// ends.
        XieluP: Vector = "mlp.act.alpha_p",
        XieluN: Vector = "mlp.act.alpha_n",
        XieluBeta: Vector = "mlp.act.beta",
        XieluEps: Vector = "mlp.act.eps",
        /// Gain `[d]` of the norm on what a dense MLP adds that is next to experts.
        DenseLnW: Vector = "mlp.dense_ln.w",
        /// Gain `[d]` of the norm in front of a router that is next to a dense MLP.
        RouterNormW: Vector = "mlp.router_norm.w",
        /// Gains `[d]` of the norms in front of experts that are next to a dense MLP, and on what they add.
        ExpertsLnW: Vector = "mlp.experts_ln.w",
        ExpertsPostLnW: Vector = "mlp.experts_post_ln.w",
        /// Factors on the weights of experts, `[E]`.
        ExpertScale: Vector = "mlp.expert_scale",
        SharedIn: Linear = "mlp.shared.W_in",
        SharedGate: Linear = "mlp.shared.W_gate",
        SharedOut: Linear = "mlp.shared.W_out",
        /// How much of the shared expert is added, `[d, 1]`.
        SharedMix: Linear = "mlp.shared.W_mix",
        /// Gain `[d]` of the norm on what the MLP adds.
        MlpPostLnW: Vector = "mlp_post_ln.w",
        MlpPostLnB: Vector = "mlp_post_ln.b",
        /// Gate of what the block gets of the tokens, `[d, p]`.
        PleGateW: Linear = "ple.W_gate",
        /// Projection back to the stream, `[p, d]`.
        PleOutW: Linear = "ple.W_out",
        /// Gain `[d]` of the norm on what is added then.
        PlePostLnW: Vector = "ple_post_ln.w",
        PlePostLnB: Vector = "ple_post_ln.b",
        /// What the output of the block is multiplied by, `[1]`.
        BlockScale: Vector = "block_scale",
        /// Encoder of a dictionary of features, `[d, n]`, by the number of the dictionary.
        DictEnc: Linear = "dict.W_enc",
        /// What is added before the choice of features, `[n]`.
        DictEncB: Vector = "dict.b_enc",
        /// What the product with the encoder is multiplied by, `[n]`.
        DictGain: Vector = "dict.gain",
        /// Thresholds `[n]` above which features are active.
        DictThreshold: Vector = "dict.threshold",
        /// Bias `[n]` of the gates of features.
        DictGateB: Vector = "dict.b_gate",
        /// Decoder of a dictionary of features, a row for each, `[n, d]`.
        DictDec: Table = "dict.W_dec",
        DictDecB: Vector = "dict.b_dec",
        /// What a transcoder adds of its input, `[d, d]`.
        DictSkip: Linear = "dict.W_skip",
    }
    After {
        /// Gain `[d]` of the final norm.
        LnFinalW: Vector = "ln_final.w",
        LnFinalB: Vector = "ln_final.b",
        /// Projection of the last hidden state to the width of a narrow token embedding.
        UnembedProjW: Linear = "unembed_proj.W",
        /// Unembedding. Kept as `[V, d]` like the token embedding, shown as `[d, V]`.
        W_U: Table = "W_U",
        /// Bias `[V]` of the logits.
        b_U: Vector = "b_U",
        /// Dense layer of the masked-LM transform, `[d, d]`.
        MlmW: Linear = "mlm.W",
        MlmB: Vector = "mlm.b",
        /// Gain `[d]` of the masked-LM norm.
        MlmLnW: Vector = "mlm_ln.w",
        MlmLnB: Vector = "mlm_ln.b",
        /// Dense layer before the class weights, `[d, d]`.
        PoolerW: Linear = "pooler.W",
        PoolerB: Vector = "pooler.b",
        /// Gain `[d]` of the norm after it.
        PoolerLnW: Vector = "pooler_ln.w",
        PoolerLnB: Vector = "pooler_ln.b",
        /// Linear layer after the pooling of a sentence embedding, `[in, out]`, by its number.
        DenseW: Linear = "dense.W",
        DenseB: Vector = "dense.b",
        /// Class weights, `[d, C]`.
        ClassifierW: Linear = "classifier.W",
        ClassifierB: Vector = "classifier.b",
    }
}

impl Role {
    /// Whether it is a weight of a dictionary of features, and not of a model.
    pub fn is_of_dictionary(self) -> bool {
        (Role::DictEnc..=Role::DictSkip).contains(&self)
    }

    /// Whether it is a convolution of each channel, `[channels, taps]`.
    pub fn is_convolution(self) -> bool {
        matches!(self, Role::MixConv | Role::MixConvQ | Role::MixConvK | Role::MixConvV)
    }
}

/// One weight of one model: a role, the block it belongs to if it belongs to one, and a number where a block has
/// several of the role: that of an expert, or of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WeightId {
    /// An encoder's blocks are numbered like those of the decoder.
    pub stack: Stack,
    /// The block, for roles inside blocks.
    pub layer: Option<u16>,
    /// The expert or the head.
    pub index: Option<u16>,
    pub role: Role,
}

impl WeightId {
    /// A weight outside blocks.
    pub fn global(role: Role) -> Self {
        WeightId { stack: Stack::Main, layer: None, index: None, role }
    }

    /// One of several weights of a role outside blocks.
    pub fn numbered(index: usize, role: Role) -> Self {
        WeightId { index: Some(index as u16), ..WeightId::global(role) }
    }

    /// A weight of block `layer`.
    pub fn block(layer: usize, role: Role) -> Self {
        WeightId { layer: Some(layer as u16), ..WeightId::global(role) }
    }

    /// A weight of an expert of block `layer`, or of the norm of one of its heads.
    pub fn part(layer: usize, index: usize, role: Role) -> Self {
        WeightId { index: Some(index as u16), ..WeightId::block(layer, role) }
    }

    /// The same weight of another stack.
    pub fn of(self, stack: Stack) -> Self {
        WeightId { stack, ..self }
    }

    /// Reads `W_E`, `blocks.3.attn.W_Q`, `L3.attn.W_Q` or `blocks.3.mlp.experts.7.W_in`; of an encoder `encoder.W_E`,
    /// `encoder.blocks.3.attn.W_Q` or `E3.attn.W_Q`.
    pub fn parse(text: &str) -> Option<Self> {
        let (stack, layer, name) = match InBlock::parse(text).or_else(|| InBlock::parse_short(text)) {
            Some(at) => (at.stack, Some(u16::try_from(at.layer).ok()?), at.part),
            None => match text.strip_prefix(ENCODER) {
                Some(rest) => (Stack::Encoder, None, rest),
                None => (Stack::Main, None, text),
            },
        };
        let named = |name: &str| Role::ALL.into_iter().find(|role| role.name() == name);
        if let Some(role) = named(name) {
            return Some(WeightId { layer, ..WeightId::global(role) }.of(stack));
        }
        let mut parts: Vec<&str> = name.split('.').collect();
        let at = parts.len().checked_sub(2)?;
        let index = parts.remove(at).parse().ok()?;
        parts.retain(|part| *part != "experts");
        Some(WeightId { layer, index: Some(index), ..WeightId::global(named(&parts.join("."))?) }.of(stack))
    }
}

impl fmt::Display for WeightId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.role.name();
        let part = match (self.index, name.rsplit_once('.')) {
            (Some(index), Some(("mlp", weight))) => format!("mlp.experts.{index}.{weight}"),
            (Some(index), Some((path, weight))) => format!("{path}.{index}.{weight}"),
            _ => name.to_string(),
        };
        match self.layer {
            Some(layer) => InBlock { stack: self.stack, layer: layer.into(), part: &part }.fmt(f),
            None if self.stack == Stack::Encoder => write!(f, "{ENCODER}{part}"),
            None => f.write_str(&part),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_can_be_named() {
        for role in Role::ALL {
            for id in [WeightId::global(role), WeightId::block(3, role), WeightId::part(3, 7, role)] {
                if id.index.is_none() || role.name().contains('.') {
                    assert_eq!(WeightId::parse(&id.to_string()), Some(id), "{id}");
                    let id = id.of(Stack::Encoder);
                    assert_eq!(WeightId::parse(&id.to_string()), Some(id), "{id}");
                }
            }
        }
        assert_eq!(WeightId::part(3, 7, Role::W_in).to_string(), "blocks.3.mlp.experts.7.W_in");
        assert_eq!(WeightId::part(0, 2, Role::QNormW).to_string(), "blocks.0.attn.q_norm.2.w");
        assert_eq!(WeightId::parse("L3.attn.W_Q"), Some(WeightId::block(3, Role::W_Q)));
        assert_eq!(WeightId::parse("E3.attn.W_Q"), Some(WeightId::block(3, Role::W_Q).of(Stack::Encoder)));
        assert_eq!(WeightId::parse("EmbedLnW"), None);
        assert_eq!(WeightId::parse("blocks.x.attn.W_Q"), None);
    }

    #[test]
    fn roles_are_in_the_order_of_use() {
        assert!(Role::ALL.windows(2).all(|pair| pair[0] < pair[1] && pair[0].place() <= pair[1].place()));
    }
}
