//! OPT: learned positions from row 2 on. The 350m model has its norms after the additions and a narrow embedding.

use super::prelude::*;

static FILES: Files = Files {
    body: "model.decoder.",
    before: &[weight("embed_tokens", W_E), weight("embed_positions", W_pos), weight("project_in", EmbedProjW)],
    blocks: "layers",
    block: &[&[
        both("self_attn_layer_norm", Ln1W, Ln1B),
        both("self_attn.q_proj", W_Q, b_Q),
        both("self_attn.k_proj", W_K, b_K),
        both("self_attn.v_proj", W_V, b_V),
        both("self_attn.out_proj", W_O, b_O),
        both("final_layer_norm", Ln2W, Ln2B),
        both("fc1", W_in, b_in),
        both("fc2", W_out, b_out),
    ]],
    linear: Layout::OutIn,
    after: &[both("final_layer_norm", LnFinalW, LnFinalB), weight("project_out", UnembedProjW)],
    heads: DECODER_HEADS,
    elsewhere: &[],
};

/// Rows before the one for position 0.
const OFFSET: usize = 2;

pub static FAMILY: Family = Family::new(&["opt"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { fourfold: false, ..Rules::GPT2 })?;
    let before = config.flag(&["do_layer_norm_before"], true)?;
    let final_norm = before && !config.flag(&["_remove_final_layer_norm"], false)?;
    let affine = config.flag(&["layer_norm_elementwise_affine"], true)?;
    let gain = if affine { Gain::Weight } else { Gain::None };
    let norm = Norm { gain, bias: affine, ..Norm::layer_norm(1e-5) };
    let width = config.opt_size(&["word_embed_proj_dim"])?.unwrap_or(sizes.d_model);
    let project = (width != sizes.d_model).then_some(Projection::OfTokens);
    let tasks = &[Task::Causal, Task::Sequence, Task::Question, Task::Bare];
    let heads = DecoderHead { tied: true, pad: Some(1), tasks, ..DecoderHead::of("OPT") };
    let bias = config.flag(&["enable_bias"], true)?;
    Ok(ModelSpec {
        placement: if before { Placement::Pre } else { Placement::Post },
        final_norm,
        embed: Embed { project, ..Embed::plain(width) },
        positions: Positions::Learned { rows: sizes.max_positions + OFFSET, count: Count::RealPlusTwo },
        attention: attention_with_bias(bias),
        mlp: Mlp { gated: false, act: act(config, "activation_function", Act::Relu)?, bias, out_bias: bias },
        ..decoder("opt", &sizes, norm, heads.read(from, &FILES)?)
    })
}
