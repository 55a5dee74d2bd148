//! Names of weights by what they do, the same for every architecture.

use std::fmt;

/// What a weight does. Linear weights are kept as `[in, out]`, whatever the file's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(non_camel_case_types, reason = "the names are the field's own")]
pub enum Role {
    /// Token embedding, `[V, d]`; narrower than the model where it is projected.
    W_E,
    /// Position table, `[positions, d]`.
    W_pos,
    /// Token-type table, `[types, d]`.
    W_type,
    /// Gain `[d]` of the embedding's own norm.
    EmbedLnW,
    /// Bias `[d]` of the embedding's own norm.
    EmbedLnB,
    /// Projection of narrow embeddings to the width of the model.
    EmbedProjW,
    /// Its bias, `[d]`.
    EmbedProjB,
    /// Gain `[d]` of the first norm of a block.
    Ln1W,
    /// Bias `[d]` of the first norm of a block.
    Ln1B,
    /// Query projection, `[d, H h]`.
    W_Q,
    /// Key projection, `[d, K h]`.
    W_K,
    /// Value projection, `[d, K h]`.
    W_V,
    /// Bias `[H h]`.
    b_Q,
    /// Bias `[K h]`.
    b_K,
    /// Bias `[K h]`.
    b_V,
    /// Gain of the norm of queries: `[h]`, `[H, h]` or `[H h]`.
    QNormW,
    /// Its bias, `[h]`.
    QNormB,
    /// Gain of the norm of keys: `[h]`, `[K, h]` or `[K h]`.
    KNormW,
    /// Its bias, `[h]`.
    KNormB,
    /// Output projection of the attention, `[H h, d]`.
    W_O,
    /// Bias `[d]`.
    b_O,
    /// Gain `[d]` of the norm on what attention adds.
    AttnPostLnW,
    /// Its bias, `[d]`.
    AttnPostLnB,
    /// Gain `[d]` of the second norm of a block.
    Ln2W,
    /// Bias `[d]` of the second norm of a block.
    Ln2B,
    /// Router of a mixture of experts, `[d, E]`.
    W_router,
    /// Input projection of the MLP or of an expert (the up projection when gated), `[d, M]`.
    W_in,
    /// Gate projection of a gated MLP or of an expert, `[d, M]`.
    W_gate,
    /// Output (down) projection of the MLP or of an expert, `[M, d]`.
    W_out,
    /// Bias `[M]`.
    b_in,
    /// Bias `[M]`.
    b_gate,
    /// Bias `[d]`.
    b_out,
    /// Up projection of the shared expert.
    SharedIn,
    /// Gate projection of the shared expert.
    SharedGate,
    /// Down projection of the shared expert.
    SharedOut,
    /// How much of the shared expert is added, `[d, 1]`.
    SharedMix,
    /// Gain `[d]` of the norm on what the MLP adds.
    MlpPostLnW,
    /// Its bias, `[d]`.
    MlpPostLnB,
    /// Gain `[d]` of the final norm.
    LnFinalW,
    /// Bias `[d]` of the final norm.
    LnFinalB,
    /// Projection of the last hidden state to the width of a narrow token embedding.
    UnembedProjW,
    /// Unembedding. Kept as `[V, d]` like the token embedding, shown as `[d, V]`.
    W_U,
    /// Bias `[V]` of the logits.
    b_U,
    /// Dense layer of the masked-LM transform, `[d, d]`.
    MlmW,
    /// Its bias, `[d]`.
    MlmB,
    /// Gain `[d]` of the masked-LM norm.
    MlmLnW,
    /// Bias `[d]` of the masked-LM norm.
    MlmLnB,
    /// Dense layer in front of the class weights, `[d, d]`.
    PoolerW,
    /// Its bias, `[d]`.
    PoolerB,
    /// Gain `[d]` of the norm after it.
    PoolerLnW,
    /// Bias `[d]` of the norm after it.
    PoolerLnB,
    /// Class weights, `[d, C]`.
    ClassifierW,
    /// Class biases, `[C]`.
    ClassifierB,
}

/// How a weight is used, which decides how it lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleKind {
    /// Rows that are looked up, or multiplied with: `[rows, width]`.
    Table,
    /// A linear layer, `[in, out]`.
    Linear,
    /// A gain or a bias.
    Vector,
}

/// Where in a model a weight is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RolePlace {
    /// In front of the blocks.
    Before,
    /// In each block.
    Block,
    /// After the blocks.
    After,
}

impl Role {
    /// Every role, in the order in which a model uses them.
    pub const ALL: [Role; 53] = {
        use Role::*;
        [
            W_E,
            W_pos,
            W_type,
            EmbedLnW,
            EmbedLnB,
            EmbedProjW,
            EmbedProjB,
            Ln1W,
            Ln1B,
            W_Q,
            W_K,
            W_V,
            b_Q,
            b_K,
            b_V,
            QNormW,
            QNormB,
            KNormW,
            KNormB,
            W_O,
            b_O,
            AttnPostLnW,
            AttnPostLnB,
            Ln2W,
            Ln2B,
            W_router,
            W_in,
            W_gate,
            W_out,
            b_in,
            b_gate,
            b_out,
            SharedIn,
            SharedGate,
            SharedOut,
            SharedMix,
            MlpPostLnW,
            MlpPostLnB,
            LnFinalW,
            LnFinalB,
            UnembedProjW,
            W_U,
            b_U,
            MlmW,
            MlmB,
            MlmLnW,
            MlmLnB,
            PoolerW,
            PoolerB,
            PoolerLnW,
            PoolerLnB,
            ClassifierW,
            ClassifierB,
        ]
    };

    /// The spelling after `blocks.{i}.` (or alone, outside blocks).
    pub fn name(self) -> &'static str {
        match self {
            Role::W_E => "W_E",
            Role::W_pos => "W_pos",
            Role::W_type => "W_type",
            Role::EmbedLnW => "embed_ln.w",
            Role::EmbedLnB => "embed_ln.b",
            Role::EmbedProjW => "embed_proj.W",
            Role::EmbedProjB => "embed_proj.b",
            Role::Ln1W => "ln1.w",
            Role::Ln1B => "ln1.b",
            Role::W_Q => "attn.W_Q",
            Role::W_K => "attn.W_K",
            Role::W_V => "attn.W_V",
            Role::b_Q => "attn.b_Q",
            Role::b_K => "attn.b_K",
            Role::b_V => "attn.b_V",
            Role::QNormW => "attn.q_norm.w",
            Role::QNormB => "attn.q_norm.b",
            Role::KNormW => "attn.k_norm.w",
            Role::KNormB => "attn.k_norm.b",
            Role::W_O => "attn.W_O",
            Role::b_O => "attn.b_O",
            Role::AttnPostLnW => "attn_post_ln.w",
            Role::AttnPostLnB => "attn_post_ln.b",
            Role::Ln2W => "ln2.w",
            Role::Ln2B => "ln2.b",
            Role::W_router => "mlp.W_router",
            Role::W_in => "mlp.W_in",
            Role::W_gate => "mlp.W_gate",
            Role::W_out => "mlp.W_out",
            Role::b_in => "mlp.b_in",
            Role::b_gate => "mlp.b_gate",
            Role::b_out => "mlp.b_out",
            Role::SharedIn => "mlp.shared.W_in",
            Role::SharedGate => "mlp.shared.W_gate",
            Role::SharedOut => "mlp.shared.W_out",
            Role::SharedMix => "mlp.shared.W_mix",
            Role::MlpPostLnW => "mlp_post_ln.w",
            Role::MlpPostLnB => "mlp_post_ln.b",
            Role::LnFinalW => "ln_final.w",
            Role::LnFinalB => "ln_final.b",
            Role::UnembedProjW => "unembed_proj.W",
            Role::W_U => "W_U",
            Role::b_U => "b_U",
            Role::MlmW => "mlm.W",
            Role::MlmB => "mlm.b",
            Role::MlmLnW => "mlm_ln.w",
            Role::MlmLnB => "mlm_ln.b",
            Role::PoolerW => "pooler.W",
            Role::PoolerB => "pooler.b",
            Role::PoolerLnW => "pooler_ln.w",
            Role::PoolerLnB => "pooler_ln.b",
            Role::ClassifierW => "classifier.W",
            Role::ClassifierB => "classifier.b",
        }
    }

    /// How it is used.
    pub fn kind(self) -> RoleKind {
        use Role::*;
        match self {
            W_E | W_pos | W_type | W_U => RoleKind::Table,
            EmbedProjW | W_Q | W_K | W_V | W_O | W_router | W_in | W_gate | W_out | SharedIn | SharedGate
            | SharedOut | SharedMix | UnembedProjW | MlmW | PoolerW | ClassifierW => RoleKind::Linear,
            _ => RoleKind::Vector,
        }
    }

    /// Where it is used.
    pub fn place(self) -> RolePlace {
        match self {
            role if role <= Role::EmbedProjB => RolePlace::Before,
            role if role >= Role::LnFinalW => RolePlace::After,
            _ => RolePlace::Block,
        }
    }
}

/// One weight of one model: a role, the block it belongs to if it belongs to one, and a number where a block has several of
/// the role: that of an expert, or of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WeightId {
    /// The block, for roles inside blocks.
    pub layer: Option<u16>,
    /// The expert or the head.
    pub index: Option<u16>,
    /// What the weight does.
    pub role: Role,
}

impl WeightId {
    /// A weight outside blocks.
    pub fn global(role: Role) -> Self {
        WeightId { layer: None, index: None, role }
    }

    /// A weight of block `layer`.
    pub fn block(layer: usize, role: Role) -> Self {
        WeightId { layer: Some(layer as u16), index: None, role }
    }

    /// A weight of an expert of block `layer`, or of the norm of one of its heads.
    pub fn part(layer: usize, index: usize, role: Role) -> Self {
        WeightId { index: Some(index as u16), ..WeightId::block(layer, role) }
    }

    /// Reads `W_E`, `blocks.3.attn.W_Q`, `L3.attn.W_Q` or `blocks.3.mlp.experts.7.W_in`.
    pub fn parse(text: &str) -> Option<Self> {
        let (layer, name) = match text.strip_prefix("blocks.").or_else(|| text.strip_prefix('L')) {
            Some(rest) => {
                let (number, name) = rest.split_once('.')?;
                (Some(number.parse().ok()?), name)
            }
            None => (None, text),
        };
        let named = |name: &str| Role::ALL.into_iter().find(|role| role.name() == name);
        if let Some(role) = named(name) {
            return Some(WeightId { layer, index: None, role });
        }
        let mut parts: Vec<&str> = name.split('.').collect();
        let at = parts.len().checked_sub(2)?;
        let index = parts.remove(at).parse().ok()?;
        parts.retain(|part| *part != "experts");
        Some(WeightId { layer, index: Some(index), role: named(&parts.join("."))? })
    }
}

impl fmt::Display for WeightId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(layer) = self.layer {
            write!(f, "blocks.{layer}.")?;
        }
        let name = self.role.name();
        match (self.index, name.rsplit_once('.')) {
            (Some(index), Some(("mlp", weight))) => write!(f, "mlp.experts.{index}.{weight}"),
            (Some(index), Some((path, weight))) => write!(f, "{path}.{index}.{weight}"),
            _ => f.write_str(name),
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
                }
            }
        }
        assert_eq!(WeightId::part(3, 7, Role::W_in).to_string(), "blocks.3.mlp.experts.7.W_in");
        assert_eq!(WeightId::part(0, 2, Role::QNormW).to_string(), "blocks.0.attn.q_norm.2.w");
        assert_eq!(WeightId::parse("L3.attn.W_Q"), Some(WeightId::block(3, Role::W_Q)));
        assert_eq!(WeightId::parse("blocks.x.attn.W_Q"), None);
    }

    #[test]
    fn roles_are_in_the_order_of_use() {
        assert!(Role::ALL.windows(2).all(|pair| pair[0] < pair[1] && pair[0].place() <= pair[1].place()));
    }
}
