//! Llama: pre-norm decoder with RMS norms, rotary positions, grouped key/value heads and a gated MLP.

use super::super::config::{D_MLP, D_MODEL, EPS, MAX_POSITIONS, N_HEADS, N_KV_HEADS, N_LAYERS};
use super::super::error::LoadError;
use super::super::role::{Role, WeightId};
use super::super::spec::{Act, Attention, Embed, Head, Mlp, ModelSpec, Norm, NormKind, Placement, Positions};
use super::rope::rope;
use super::{Family, Layout, Sources, TensorNames, act, even_head_dim, prefix, tied, unsupported_head};

pub struct Llama;

impl Family for Llama {
    fn model_types(&self) -> &'static [&'static str] {
        &["llama"]
    }

    fn spec(&self, from: &Sources) -> Result<ModelSpec, LoadError> {
        let config = from.config;
        let (d_model, n_heads, n_layers) = (config.size(D_MODEL)?, config.size(N_HEADS)?, config.size(N_LAYERS)?);
        let n_kv_heads = config.opt_size(N_KV_HEADS)?.unwrap_or(n_heads);
        if !n_heads.is_multiple_of(n_kv_heads) {
            return Err(config.bad(format!("{n_heads} heads cannot share {n_kv_heads} key/value heads evenly")));
        }
        let head_dim = match config.opt_size(&["head_dim"])? {
            Some(width) => width,
            None => even_head_dim(config, d_model, n_heads)?,
        };
        let attention_bias = config.flag(&["attention_bias"], false)?;
        Ok(ModelSpec {
            family: "llama".into(),
            d_model,
            n_layers,
            n_heads,
            n_kv_heads,
            head_dim,
            d_mlp: config.size(D_MLP)?,
            vocab: config.size(&["vocab_size"])?,
            max_positions: config.size(MAX_POSITIONS)?,
            norm: Norm { kind: NormKind::Rms, eps: config.number(EPS, 1e-6)? },
            placement: Placement::Pre,
            embed: Embed { token_types: 0, norm: false },
            positions: Positions::Rope(rope(config, head_dim, 10000.0)?),
            attention: Attention {
                causal: true,
                scale: vec![1.0 / (head_dim as f64).sqrt(); n_layers],
                qkv_bias: attention_bias,
                out_bias: attention_bias,
            },
            mlp: Mlp { gated: true, act: act(config, Act::Silu)?, bias: config.flag(&["mlp_bias"], false)? },
            head: head(from)?,
        })
    }

    fn names(&self, spec: &ModelSpec, from: &Sources) -> Result<TensorNames, LoadError> {
        let Files { body, embedding, head } = files(from);
        let mut names = TensorNames::default();
        names.table(Role::W_E, embedding);
        for i in 0..spec.n_layers {
            let block = format!("{body}layers.{i}");
            let id = |role| WeightId::block(i, role);
            let attention = |role| spec.attention.qkv_bias.then(|| id(role));
            names.vector(id(Role::Ln1W), format!("{block}.input_layernorm.weight"));
            for (weight, bias, name) in [
                (id(Role::W_Q), attention(Role::b_Q), "q_proj"),
                (id(Role::W_K), attention(Role::b_K), "k_proj"),
                (id(Role::W_V), attention(Role::b_V), "v_proj"),
                (id(Role::W_O), spec.attention.out_bias.then(|| id(Role::b_O)), "o_proj"),
            ] {
                names.linear(weight, bias, &format!("{block}.self_attn.{name}"), Layout::OutIn);
            }
            names.vector(id(Role::Ln2W), format!("{block}.post_attention_layernorm.weight"));
            for (weight, bias, name) in [
                (Role::W_gate, Role::b_gate, "gate_proj"),
                (Role::W_in, Role::b_in, "up_proj"),
                (Role::W_out, Role::b_out, "down_proj"),
            ] {
                let bias = spec.mlp.bias.then(|| id(bias));
                names.linear(id(weight), bias, &format!("{block}.mlp.{name}"), Layout::OutIn);
            }
        }
        names.vector(WeightId::global(Role::LnFinalW), format!("{body}norm.weight"));
        names.causal_head(spec, from, &head);
        names.ignore(from.checkpoint, "stored RoPE frequencies, computed from the configuration", |name| {
            name.ends_with("rotary_emb.inv_freq")
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
    let body = prefix(from.checkpoint, "embed_tokens.weight", "model.");
    let outer = body.strip_suffix("model.").unwrap_or(&body);
    Files { embedding: format!("{body}embed_tokens.weight"), head: format!("{outer}lm_head.weight"), body }
}

fn head(from: &Sources) -> Result<Head, LoadError> {
    match from.config.architecture()? {
        None | Some("LlamaForCausalLM") => {
            let files = files(from);
            Ok(Head::CausalLm { tied: tied(from, false, &files.head, &files.embedding)? })
        }
        Some("LlamaModel") => Ok(Head::Bare { sentence: from.mean_pooling }),
        Some(other) => Err(unsupported_head(from.config, other, "llama", "LlamaForCausalLM and LlamaModel")),
    }
}
