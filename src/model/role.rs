//! Names of weights by what they do, the same for every architecture.

use std::fmt;

/// What a weight does. Linear weights are kept as `[in, out]`, whatever the file's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(non_camel_case_types, reason = "the names are the field's own")]
pub enum Role {
    /// Token embedding, `[V, d]`.
    W_E,
    /// Position table, `[positions, d]`.
    W_pos,
    /// Token-type table, `[types, d]`.
    W_type,
    /// Gain `[d]` of the embedding's own norm.
    EmbedLnW,
    /// Bias `[d]` of the embedding's own norm.
    EmbedLnB,
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
    /// Output projection of the attention, `[H h, d]`.
    W_O,
    /// Bias `[H h]`.
    b_Q,
    /// Bias `[K h]`.
    b_K,
    /// Bias `[K h]`.
    b_V,
    /// Bias `[d]`.
    b_O,
    /// Gain `[d]` of the second norm of a block.
    Ln2W,
    /// Bias `[d]` of the second norm of a block.
    Ln2B,
    /// Input projection of the MLP (the up projection when gated), `[d, M]`.
    W_in,
    /// Gate projection of a gated MLP, `[d, M]`.
    W_gate,
    /// Output (down) projection of the MLP, `[M, d]`.
    W_out,
    /// Bias `[M]`.
    b_in,
    /// Bias `[M]`.
    b_gate,
    /// Bias `[d]`.
    b_out,
    /// Gain `[d]` of the final norm.
    LnFinalW,
    /// Bias `[d]` of the final norm.
    LnFinalB,
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
    /// Dense layer on the pooled token, `[d, d]`.
    PoolerW,
    /// Its bias, `[d]`.
    PoolerB,
    /// Class weights, `[d, C]`.
    ClassifierW,
    /// Class biases, `[C]`.
    ClassifierB,
}

impl Role {
    /// Every role, in the order in which a model uses them.
    pub const ALL: [Role; 35] = {
        use Role::*;
        [
            W_E,
            W_pos,
            W_type,
            EmbedLnW,
            EmbedLnB,
            Ln1W,
            Ln1B,
            W_Q,
            W_K,
            W_V,
            W_O,
            b_Q,
            b_K,
            b_V,
            b_O,
            Ln2W,
            Ln2B,
            W_in,
            W_gate,
            W_out,
            b_in,
            b_gate,
            b_out,
            LnFinalW,
            LnFinalB,
            W_U,
            b_U,
            MlmW,
            MlmB,
            MlmLnW,
            MlmLnB,
            PoolerW,
            PoolerB,
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
            Role::Ln1W => "ln1.w",
            Role::Ln1B => "ln1.b",
            Role::W_Q => "attn.W_Q",
            Role::W_K => "attn.W_K",
            Role::W_V => "attn.W_V",
            Role::W_O => "attn.W_O",
            Role::b_Q => "attn.b_Q",
            Role::b_K => "attn.b_K",
            Role::b_V => "attn.b_V",
            Role::b_O => "attn.b_O",
            Role::Ln2W => "ln2.w",
            Role::Ln2B => "ln2.b",
            Role::W_in => "mlp.W_in",
            Role::W_gate => "mlp.W_gate",
            Role::W_out => "mlp.W_out",
            Role::b_in => "mlp.b_in",
            Role::b_gate => "mlp.b_gate",
            Role::b_out => "mlp.b_out",
            Role::LnFinalW => "ln_final.w",
            Role::LnFinalB => "ln_final.b",
            Role::W_U => "W_U",
            Role::b_U => "b_U",
            Role::MlmW => "mlm.W",
            Role::MlmB => "mlm.b",
            Role::MlmLnW => "mlm_ln.w",
            Role::MlmLnB => "mlm_ln.b",
            Role::PoolerW => "pooler.W",
            Role::PoolerB => "pooler.b",
            Role::ClassifierW => "classifier.W",
            Role::ClassifierB => "classifier.b",
        }
    }
}

/// One weight of one model: a role, and the block it belongs to if it belongs to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WeightId {
    /// The block, for roles inside blocks.
    pub layer: Option<u16>,
    /// What the weight does.
    pub role: Role,
}

impl WeightId {
    /// A weight outside blocks.
    pub fn global(role: Role) -> Self {
        WeightId { layer: None, role }
    }

    /// A weight of block `layer`.
    pub fn block(layer: usize, role: Role) -> Self {
        WeightId { layer: Some(layer as u16), role }
    }

    /// Reads `W_E`, `blocks.3.attn.W_Q` or `L3.attn.W_Q`.
    pub fn parse(text: &str) -> Option<Self> {
        let (layer, name) = match text.strip_prefix("blocks.").or_else(|| text.strip_prefix('L')) {
            Some(rest) => {
                let (number, name) = rest.split_once('.')?;
                (Some(number.parse().ok()?), name)
            }
            None => (None, text),
        };
        let role = Role::ALL.into_iter().find(|role| role.name() == name)?;
        Some(WeightId { layer, role })
    }
}

impl fmt::Display for WeightId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layer {
            Some(layer) => write!(f, "blocks.{layer}.{}", self.role.name()),
            None => f.write_str(self.role.name()),
        }
    }
}
