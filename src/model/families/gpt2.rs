//! GPT-2: pre-norm decoder, learned positions, fused query/key/value stored as `[in, out]`, tied head.

use super::super::config::{D_MLP, D_MODEL, EPS, MAX_POSITIONS, N_HEADS, N_LAYERS};
use super::super::error::LoadError;
use super::super::role::{Role, WeightId};
use super::super::spec::{Act, Attention, Embed, Head, Mlp, ModelSpec, Norm, NormKind, Placement, Positions};
use super::{Family, Layout, Sources, TensorNames, act, even_head_dim, prefix, tied, unsupported_head};

pub struct Gpt2;

impl Family for Gpt2 {
    fn model_types(&self) -> &'static [&'static str] {
        &["gpt2"]
    }

    fn spec(&self, from: &Sources) -> Result<ModelSpec, LoadError> {
        let config = from.config;
        if config.flag(&["add_cross_attention"], false)? {
            return Err(config.unsupported("add_cross_attention", true, "the model would need an encoder beside it"));
        }
        let (d_model, n_heads, n_layers) = (config.size(D_MODEL)?, config.size(N_HEADS)?, config.size(N_LAYERS)?);
        let head_dim = even_head_dim(config, d_model, n_heads)?;
        let scaled = config.flag(&["scale_attn_weights"], true)?;
        let by_layer = config.flag(&["scale_attn_by_inverse_layer_idx"], false)?;
        let scale = |layer: usize| {
            let scale = if scaled { 1.0 / (head_dim as f64).sqrt() } else { 1.0 };
            if by_layer { scale / (layer + 1) as f64 } else { scale }
        };
        Ok(ModelSpec {
            family: "gpt2".into(),
            d_model,
            n_layers,
            n_heads,
            n_kv_heads: n_heads,
            head_dim,
            d_mlp: config.opt_size(D_MLP)?.unwrap_or(4 * d_model),
            vocab: config.size(&["vocab_size"])?,
            max_positions: config.size(MAX_POSITIONS)?,
            norm: Norm { kind: NormKind::LayerNorm, eps: config.number(EPS, 1e-5)? },
            placement: Placement::Pre,
            embed: Embed { token_types: 0, norm: false },
            positions: Positions::Learned,
            attention: Attention {
                causal: true,
                scale: (0..n_layers).map(scale).collect(),
                qkv_bias: true,
                out_bias: true,
            },
            mlp: Mlp { gated: false, act: act(config, Act::GeluTanh)?, bias: true },
            head: head(from)?,
        })
    }

    fn names(&self, spec: &ModelSpec, from: &Sources) -> Result<TensorNames, LoadError> {
        let Files { body, head, .. } = files(from);
        let mut names = TensorNames::default();
        let d = spec.d_model;
        names.table(Role::W_E, format!("{body}wte.weight"));
        names.table(Role::W_pos, format!("{body}wpe.weight"));
        for i in 0..spec.n_layers {
            let block = format!("{body}h.{i}");
            let id = |role| WeightId::block(i, role);
            names.layer_norm(from.checkpoint, id(Role::Ln1W), id(Role::Ln1B), &format!("{block}.ln_1"));
            let weights = [(id(Role::W_Q), d), (id(Role::W_K), d), (id(Role::W_V), d)];
            let biases = [(id(Role::b_Q), d), (id(Role::b_K), d), (id(Role::b_V), d)];
            names.fused(&weights, &format!("{block}.attn.c_attn.weight"), Layout::InOut);
            names.fused(&biases, &format!("{block}.attn.c_attn.bias"), Layout::Vector);
            let projection = format!("{block}.attn.c_proj");
            names.linear(id(Role::W_O), Some(id(Role::b_O)), &projection, Layout::InOut);
            names.layer_norm(from.checkpoint, id(Role::Ln2W), id(Role::Ln2B), &format!("{block}.ln_2"));
            names.linear(id(Role::W_in), Some(id(Role::b_in)), &format!("{block}.mlp.c_fc"), Layout::InOut);
            names.linear(id(Role::W_out), Some(id(Role::b_out)), &format!("{block}.mlp.c_proj"), Layout::InOut);
        }
        let ln_final = (WeightId::global(Role::LnFinalW), WeightId::global(Role::LnFinalB));
        names.layer_norm(from.checkpoint, ln_final.0, ln_final.1, &format!("{body}ln_f"));
        names.causal_head(spec, from, &head);
        names.ignore(from.checkpoint, "a stored causal mask, not a weight", |name| {
            let segments: Vec<&str> = name.rsplit('.').take(4).collect();
            matches!(segments[..], ["bias" | "masked_bias", "attn", number, "h"] if number.parse::<usize>().is_ok())
        });
        Ok(names)
    }
}

/// Prefix of the body, and the names of embedding and head.
struct Files {
    body: String,
    embedding: String,
    head: String,
}

fn files(from: &Sources) -> Files {
    let body = prefix(from.checkpoint, "wte.weight", "transformer.");
    let outer = body.strip_suffix("transformer.").unwrap_or(&body);
    Files { embedding: format!("{body}wte.weight"), head: format!("{outer}lm_head.weight"), body }
}

fn head(from: &Sources) -> Result<Head, LoadError> {
    match from.config.architecture()? {
        None | Some("GPT2LMHeadModel") => {
            let files = files(from);
            Ok(Head::CausalLm { tied: tied(from, true, &files.head, &files.embedding)? })
        }
        Some("GPT2Model") => Ok(Head::Bare { sentence: from.mean_pooling }),
        Some(other) => Err(unsupported_head(from.config, other, "gpt2", "GPT2LMHeadModel and GPT2Model")),
    }
}
