//! Architectures with state spaces or short convolutions in the place of attention, in all layers or in some.

use serde_json::{Value as Json, json};

use super::moe::qwen2_moe_like;
use super::{Description, Done, further_blocks, rms_decoder};
use crate::model::checkpoint::arrange::RowOrder;
use crate::model::checkpoint::gguf::facts::Facts;
use crate::model::error::LoadError;

/// The names of the tensors of a state space below a module of transformers.
macro_rules! space {
    ($module:literal) => {
        &[
            ("blk.{}.ssm_in", concat!($module, ".in_proj")),
            ("blk.{}.ssm_conv1d", concat!($module, ".conv1d")),
            ("blk.{}.ssm_x", concat!($module, ".x_proj")),
            ("blk.{}.ssm_a", concat!($module, ".A_log")),
            ("blk.{}.ssm_d", concat!($module, ".D")),
            ("blk.{}.ssm_norm", concat!($module, ".norm")),
            ("blk.{}.ssm_out", concat!($module, ".out_proj")),
        ]
    };
}
pub(super) use space;

/// What models of such layers alone are called outside of these.
const BACKBONE: &[(&str, &str)] = &[
    ("token_embd", "backbone.embeddings"),
    ("output_norm", "backbone.norm_f"),
    ("output", "lm_head"),
    ("blk.{}.attn_norm", "backbone.layers.{}.norm"),
];

/// What the converter does to the tensors of a state space.
pub fn converted(description: Description) -> Description {
    description
        .done(&["blk.{}.ssm_conv1d"], &Done::Channels)
        .done(&["blk.{}.ssm_a"], &Done::Rates)
        .done(&["blk.{}.ssm_d", "blk.{}.ssm_norm"], &Done::Folded)
}

/// The width of the values of a state space, which is a multiple of that of the model.
pub fn expansion(facts: &Facts) -> Result<usize, LoadError> {
    let (inner, width) = (facts.need_size("ssm.inner_size")?, facts.need_size("embedding_length")?);
    match inner.is_multiple_of(width) {
        true => Ok(inner / width),
        false => Err(facts.bad(format!("a state space of width {inner} is not a multiple of {width}"))),
    }
}

/// Heads of a state space of Mamba-2's kind, and the width of each.
fn heads(facts: &Facts) -> Result<(usize, usize), LoadError> {
    let (inner, heads) = (facts.need_size("ssm.inner_size")?, facts.need_size("ssm.time_step_rank")?);
    match inner.is_multiple_of(heads) {
        true => Ok((heads, inner / heads)),
        false => Err(facts.bad(format!("{heads} heads cannot share a width of {inner} evenly"))),
    }
}

/// A model of state spaces alone.
fn alone(facts: &Facts, model_type: &str, class: &str) -> Result<Description, LoadError> {
    facts.note_read(&["attention.head_count", "attention.head_count_kv"]);
    Ok(Description::new(model_type, class)
        .set("hidden_size", facts.need_size("embedding_length")?)
        .set("num_hidden_layers", facts.blocks()?)
        .set("vocab_size", facts.vocab()?)
        .set("layer_norm_epsilon", facts.need_number("attention.layer_norm_rms_epsilon")?)
        .set("state_size", facts.need_size("ssm.state_size")?)
        .set("conv_kernel", facts.need_size("ssm.conv_kernel")?)
        .set("expand", expansion(facts)?)
        // llama.cpp refuses a file without them.
        .set("use_conv_bias", true)
        .set("tie_word_embeddings", !facts.has("output.weight"))
        .name(BACKBONE)
        .name(space!("backbone.layers.{}.mixer")))
}

/// Mamba, and FalconMamba, whose inner norms have the epsilon of the others in llama.cpp.
pub fn mamba(facts: &Facts) -> Result<Description, LoadError> {
    let falcon = facts.flag(&facts.key("ssm.dt_b_c_rms"))?.unwrap_or(false);
    let (model_type, class) =
        if falcon { ("falcon_mamba", "FalconMambaForCausalLM") } else { ("mamba", "MambaForCausalLM") };
    let description = alone(facts, model_type, class)?
        .set("time_step_rank", facts.need_size("ssm.time_step_rank")?)
        .name(&[("blk.{}.ssm_dt", "backbone.layers.{}.mixer.dt_proj")]);
    let eps = falcon.then_some(description.config["layer_norm_epsilon"].clone());
    Ok(converted(description.set_some("mixer_rms_eps", eps)))
}

pub fn mamba2(facts: &Facts) -> Result<Description, LoadError> {
    let (heads, width) = heads(facts)?;
    let description = alone(facts, "mamba2", "Mamba2ForCausalLM")?
        .set("num_heads", heads)
        .set("head_dim", width)
        .set("n_groups", facts.arch_size("ssm.group_count")?.unwrap_or(1).max(1))
        .name(&[("blk.{}.ssm_dt", "backbone.layers.{}.mixer.dt_bias")])
        .done(&["blk.{}.ssm_dt"], &Done::Alone);
    Ok(converted(description))
}

/// The state spaces of a model that has attention too, in the words of Granite 4 and Falcon-H1.
pub fn beside_attention(facts: &Facts, description: Description) -> Result<Description, LoadError> {
    let (heads, width) = heads(facts)?;
    let biased = (0..facts.blocks()?).any(|block| facts.has(&format!("blk.{block}.ssm_conv1d.bias")));
    let description = description
        .set("mamba_n_heads", heads)
        .set("mamba_d_head", width)
        .set("mamba_n_groups", facts.arch_size("ssm.group_count")?.unwrap_or(1).max(1))
        .set("mamba_d_state", facts.need_size("ssm.state_size")?)
        .set("mamba_d_conv", facts.need_size("ssm.conv_kernel")?)
        .set("mamba_conv_bias", biased)
        .name(space!("model.layers.{}.mamba"))
        .name(&[("blk.{}.ssm_dt", "model.layers.{}.mamba.dt_bias")])
        .done(&["blk.{}.ssm_dt"], &Done::Alone);
    Ok(converted(description))
}

/// Falcon-H1, whose factors the converter multiplies its matrices by. llama.cpp norms after the gate, where there is a norm.
pub fn falcon_h1(facts: &Facts) -> Result<Description, LoadError> {
    let description = rms_decoder(facts, "falcon_h1", "FalconH1ForCausalLM")?
        .set("hidden_act", "silu")
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("mamba_d_ssm", facts.need_size("ssm.inner_size")?)
        .set("mamba_rms_norm", facts.has("blk.0.ssm_norm.weight"))
        .set("mamba_norm_before_gate", false)
        .name(&[
            ("output_norm", "model.final_layernorm"),
            // Files have this one without the ending that others have.
            ("blk.{}.ffn_norm", "model.layers.{}.pre_ff_layernorm.weight"),
            ("blk.{}.ffn_gate", "model.layers.{}.feed_forward.gate_proj"),
            ("blk.{}.ffn_up", "model.layers.{}.feed_forward.up_proj"),
            ("blk.{}.ffn_down", "model.layers.{}.feed_forward.down_proj"),
        ])
        .done(&["blk.{}.ffn_norm"], &Done::Alone);
    beside_attention(facts, description)
}

/// Nemotron-H, dense or with experts: a block with keys and values has attention, one with neurons an MLP or experts, and
/// any other a state space. The converter reorders queries and keys, though they do not rotate.
pub fn nemotron_h(facts: &Facts) -> Result<Description, LoadError> {
    let (blocks, (space_heads, space_width)) = (facts.blocks()?, heads(facts)?);
    let (heads, kv_heads) = facts.heads()?;
    let attends = facts.attends()?.unwrap_or_else(|| vec![true; blocks]);
    let widths = facts.numbers(&facts.key("feed_forward_length"))?;
    if widths.len() < blocks {
        let key = facts.key("feed_forward_length");
        return Err(facts.bad(format!("{key:?} of its metadata is not a number for every block")));
    }
    let has = |block: usize, part: &str| facts.has(&format!("blk.{block}.{part}"));
    let kind = |block: usize| match (attends[block], widths[block] > 0.0) {
        (true, _) => "full_attention",
        (false, true) if has(block, "ffn_up_exps.weight") => "moe",
        (false, true) => "mlp",
        (false, false) => "linear_attention",
    };
    let description = further_blocks(facts, Description::new("nemotron_h", "NemotronHForCausalLM"))?;
    let further = facts.arch_size("nextn_predict_layers")?.unwrap_or(0);
    let kinds: Vec<&str> = (0..blocks - further).map(kind).collect();
    let of_kind = |wanted: &str| kinds.iter().position(|kind| *kind == wanted);
    let (dense, sparse) = (of_kind("mlp"), of_kind("moe"));
    let description = description
        .set("hidden_size", facts.need_size("embedding_length")?)
        .set("vocab_size", facts.vocab()?)
        .set("num_attention_heads", heads)
        .set("num_key_value_heads", kv_heads)
        .set("head_dim", facts.head_dim()?)
        .set_some("intermediate_size", dense.and_then(|block| facts.axis(&format!("blk.{block}.ffn_down.weight"), 1)))
        .set("mlp_bias", dense.is_some_and(|block| has(block, "ffn_down.bias")))
        .set("max_position_embeddings", facts.need_size("context_length")?)
        .set("layer_norm_epsilon", facts.need_number("attention.layer_norm_rms_epsilon")?)
        .set("mamba_num_heads", space_heads)
        .set("mamba_head_dim", space_width)
        .set("n_groups", facts.arch_size("ssm.group_count")?.unwrap_or(1).max(1))
        .set("ssm_state_size", facts.need_size("ssm.state_size")?)
        .set("conv_kernel", facts.need_size("ssm.conv_kernel")?)
        .set("use_conv_bias", (0..blocks).any(|block| has(block, "ssm_conv1d.bias")))
        // llama.cpp does not bound steps.
        .set("time_step_min", 0.0)
        .set("tie_word_embeddings", !facts.has("output.weight"))
        .name(BACKBONE)
        .name(space!("backbone.layers.{}.mixer"))
        .name(&[
            ("blk.{}.ssm_dt", "backbone.layers.{}.mixer.dt_bias"),
            ("blk.{}.attn_q", "backbone.layers.{}.mixer.q_proj"),
            ("blk.{}.attn_k", "backbone.layers.{}.mixer.k_proj"),
            ("blk.{}.attn_v", "backbone.layers.{}.mixer.v_proj"),
            ("blk.{}.attn_output", "backbone.layers.{}.mixer.o_proj"),
            ("blk.{}.ffn_up", "backbone.layers.{}.mixer.up_proj"),
            ("blk.{}.ffn_down", "backbone.layers.{}.mixer.down_proj"),
        ])
        .done(&["blk.{}.ssm_dt"], &Done::Alone)
        .done(&["blk.{}.attn_q"], &Done::Reordered(RowOrder::Pairs { heads }))
        .done(&["blk.{}.attn_k"], &Done::Reordered(RowOrder::Pairs { heads: kv_heads }));
    facts.note_read(&["rope.freq_base", "rope.dimension_count", "rope.scaling.type", "rope.scaling.factor"]);
    let description = converted(description.set("layers_block_type", kinds));
    match sparse {
        Some(block) => experts_of_nemotron(facts, description, block),
        None => Ok(description),
    }
}

/// The experts of Nemotron-H, of which `block` has some: plain ones, chosen by sigmoids.
fn experts_of_nemotron(facts: &Facts, description: Description, block: usize) -> Result<Description, LoadError> {
    let width = |part: &str, axis: usize| facts.axis(&format!("blk.{block}.{part}.weight"), axis);
    let stacks = ["blk.{}.ffn_up_exps", "blk.{}.ffn_down_exps"];
    Ok(description
        .set("n_routed_experts", facts.need_size("expert_count")?)
        .set("num_experts_per_tok", facts.need_size("expert_used_count")?)
        .set_some("moe_intermediate_size", width("ffn_down_exps", 2))
        .set_some("moe_shared_expert_intermediate_size", width("ffn_down_shexp", 1))
        .set_some("moe_latent_size", facts.arch_size("moe_latent_size")?.filter(|latent| *latent > 0))
        .set("norm_topk_prob", facts.flag(&facts.key("expert_weights_norm"))?.unwrap_or(false))
        .set("routed_scaling_factor", facts.arch_number("expert_weights_scale")?.filter(|x| *x != 0.0).unwrap_or(1.0))
        .set("n_group", 1)
        .set("topk_group", 1)
        .name(&[
            ("blk.{}.ffn_gate_inp", "backbone.layers.{}.mixer.gate"),
            ("blk.{}.exp_probs_b", "backbone.layers.{}.mixer.gate.e_score_correction_bias"),
            ("blk.{}.ffn_up_shexp", "backbone.layers.{}.mixer.shared_experts.up_proj"),
            ("blk.{}.ffn_down_shexp", "backbone.layers.{}.mixer.shared_experts.down_proj"),
            (stacks[0], "backbone.layers.{}.mixer.experts.{e}.up_proj"),
            (stacks[1], "backbone.layers.{}.mixer.experts.{e}.down_proj"),
        ])
        .done(&["blk.{}.exp_probs_b"], &Done::Alone)
        .done(&stacks, &Done::Stacked))
}

/// LFM2: a layer without keys and values has a short convolution.
pub fn lfm2(facts: &Facts) -> Result<Description, LoadError> {
    let blocks = facts.blocks()?;
    let attends = facts.attends()?.unwrap_or_else(|| vec![true; blocks]);
    let kind = |attends: bool| if attends { "full_attention" } else { "conv" };
    let width = facts.mlp_width()?;
    let mut description = rms_decoder(facts, "lfm2", "Lfm2ForCausalLM")?;
    let eps = description.config.remove("rms_norm_eps").unwrap_or(Json::Null);
    Ok(description
        .set("norm_eps", eps)
        .set("intermediate_size", width)
        .set("block_auto_adjust_ff_dim", false)
        .set("layer_types", json!(attends.iter().take(blocks).map(|attends| kind(*attends)).collect::<Vec<_>>()))
        .set("conv_L_cache", facts.need_size("shortconv.l_cache")?)
        .set("conv_bias", (0..blocks).any(|block| facts.has(&format!("blk.{block}.shortconv.conv.bias"))))
        .name(&[
            ("token_embd_norm", "model.embedding_norm"),
            ("output_norm", "model.embedding_norm"),
            ("blk.{}.attn_norm", "model.layers.{}.operator_norm"),
            ("blk.{}.attn_output", "model.layers.{}.self_attn.out_proj"),
            ("blk.{}.attn_q_norm", "model.layers.{}.self_attn.q_layernorm"),
            ("blk.{}.attn_k_norm", "model.layers.{}.self_attn.k_layernorm"),
            ("blk.{}.shortconv.conv", "model.layers.{}.conv.conv"),
            ("blk.{}.shortconv.in_proj", "model.layers.{}.conv.in_proj"),
            ("blk.{}.shortconv.out_proj", "model.layers.{}.conv.out_proj"),
            ("blk.{}.ffn_norm", "model.layers.{}.ffn_norm"),
            ("blk.{}.ffn_gate", "model.layers.{}.feed_forward.w1"),
            ("blk.{}.ffn_up", "model.layers.{}.feed_forward.w3"),
            ("blk.{}.ffn_down", "model.layers.{}.feed_forward.w2"),
        ])
        .done(&["blk.{}.shortconv.conv"], &Done::Channels))
}

/// Qwen 3.5, dense, with as many keys as values in its DeltaNet. With fewer keys the converter puts the heads of values in
/// another order, columns of matrices among them.
pub fn qwen35(facts: &Facts) -> Result<Description, LoadError> {
    const KEYS: &str = "ssm.group_count";
    let (keys, (heads, _)) = (facts.need_size(KEYS)?, heads(facts)?);
    if keys != heads {
        let why = format!("heads of values are stored in another order where {keys} keys serve {heads} of them");
        return Err(facts.unsupported(&facts.key(KEYS), keys, &why));
    }
    let description = further_blocks(facts, rms_decoder(facts, "qwen3_5_text", "Qwen3_5ForCausalLM")?)?;
    delta(facts, description.set("hidden_act", "silu"))
}

/// Qwen3-Next: gates and queries, keys and values are taken apart, and the heads of values stay where they are.
pub fn qwen3_next(facts: &Facts) -> Result<Description, LoadError> {
    if !facts.has("blk.0.attn_gate.weight") {
        return Err(
            facts.bad("it has no tensor \"blk.0.attn_gate.weight\": files of 2025 had it together with other matrices")
        );
    }
    let description = qwen2_moe_like(facts, "qwen3_next", "Qwen3NextForCausalLM")?.set("norm_topk_prob", true);
    let description =
        further_blocks(facts, description)?.name(&[("blk.{}.ssm_ba", "model.layers.{}.linear_attn.in_proj_ba")]);
    delta(facts, description)
}

/// The layers of gated DeltaNet, and gains without the 1 that the model adds.
fn delta(facts: &Facts, description: Description) -> Result<Description, LoadError> {
    let (keys, (heads, width)) = (facts.need_size("ssm.group_count")?, heads(facts)?);
    facts.numbers(&facts.key("rope.dimension_sections"))?;
    Ok(description
        .set("attention_bias", facts.has("blk.0.attn_q.bias"))
        .set("full_attention_interval", facts.arch_size("full_attention_interval")?.unwrap_or(4))
        .set("linear_num_key_heads", keys)
        .set("linear_num_value_heads", heads)
        .set("linear_key_head_dim", facts.need_size("ssm.state_size")?)
        .set("linear_value_head_dim", width)
        .set("linear_conv_kernel_dim", facts.need_size("ssm.conv_kernel")?)
        .name(&[
            ("blk.{}.post_attention_norm", "model.layers.{}.post_attention_layernorm"),
            ("blk.{}.attn_qkv", "model.layers.{}.linear_attn.in_proj_qkv"),
            ("blk.{}.attn_gate", "model.layers.{}.linear_attn.in_proj_z"),
            ("blk.{}.ssm_alpha", "model.layers.{}.linear_attn.in_proj_a"),
            ("blk.{}.ssm_beta", "model.layers.{}.linear_attn.in_proj_b"),
            ("blk.{}.ssm_conv1d", "model.layers.{}.linear_attn.conv1d"),
            ("blk.{}.ssm_a", "model.layers.{}.linear_attn.A_log"),
            ("blk.{}.ssm_dt", "model.layers.{}.linear_attn.dt_bias"),
            ("blk.{}.ssm_norm", "model.layers.{}.linear_attn.norm"),
            ("blk.{}.ssm_out", "model.layers.{}.linear_attn.out_proj"),
        ])
        .done(&["output_norm", "blk.{}.attn_norm", "blk.{}.post_attention_norm"], &Done::OneAdded)
        .done(&["blk.{}.attn_q_norm", "blk.{}.attn_k_norm"], &Done::OneAdded)
        .done(&["blk.{}.ssm_conv1d"], &Done::Channels)
        .done(&["blk.{}.ssm_a"], &Done::Rates)
        .done(&["blk.{}.ssm_dt"], &Done::Alone))
}
