//! ModernBERT: pre-norm encoder with rotary positions, a gated MLP, and a window to both sides in two of three layers.

use super::encoder::EncoderHead;
use super::prelude::*;

static FILES: Files = Files {
    body: "model.",
    before: &[weight("embeddings.tok_embeddings", W_E), both("embeddings.norm", EmbedLnW, EmbedLnB)],
    blocks: "layers",
    block: &[&[
        both("attn_norm", Ln1W, Ln1B),
        Entry::Qkv("attn.Wqkv", Split::Concat),
        both("attn.Wo", W_O, b_O),
        both("mlp_norm", Ln2W, Ln2B),
        Entry::GateUp("mlp.Wi"),
        both("mlp.Wo", W_out, b_out),
    ]],
    linear: Layout::OutIn,
    after: &[both("final_norm", LnFinalW, LnFinalB)],
    heads: &[
        both("head.dense", MlmW, MlmB),
        both("head.norm", MlmLnW, MlmLnB),
        both("head.dense", PoolerW, PoolerB),
        both("head.norm", PoolerLnW, PoolerLnB),
        both("decoder", W_U, b_U),
        both("classifier", ClassifierW, ClassifierB),
    ],
    elsewhere: &[],
};

const ROPES: ByLayerTypeRules = ByLayerTypeRules {
    full: ("global_rope_theta", 160_000.0),
    sliding: ("local_rope_theta", 10_000.0),
    scaling_of_both: true,
};

pub static FAMILY: Family = Family::new(&["modernbert"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    // Written by old versions next to what counts, or about training and speed only.
    config.note_read(&["layer_norm_eps", "position_embedding_type", "deterministic_flash_attn"]);
    let sizes = Sizes::read(config, &Rules { fourfold: false, max_positions: 8192, ..Rules::GPT2 })?;
    let every = config.opt_size(&["global_attn_every_n_layers"])?.unwrap_or(3);
    let sliding = sliding_layers(config, sizes.n_layers, |i| !i.is_multiple_of(every))?;
    // So many tokens in all, half of them to each side.
    let reach = config.opt_count(&["local_attention"])?.unwrap_or(128) / 2;
    if let Some(window) = config.opt_count(&["sliding_window"])?.filter(|window| *window != reach) {
        let why = "local_attention says how many tokens layers with a window see";
        return Err(config.unsupported("sliding_window", window, why));
    }
    let ByLayerType { full, sliding: local } = by_layer_type(config, sizes.head_dim, &ROPES)?;
    let norm = Norm { bias: config.flag(&["norm_bias"], false)?, ..Norm::layer_norm(eps(config, "norm_eps", 1e-5)?) };
    let transform = Transform {
        bias: config.flag(&["classifier_bias"], false)?,
        act: act(config, "classifier_activation", Act::Gelu)?,
        norm: Some(norm),
    };
    let pool = match config.str(&["classifier_pooling"])?.unwrap_or("cls") {
        "cls" => Pool::First,
        "mean" => Pool::Mean,
        other => return Err(config.unsupported("classifier_pooling", other, "known values are cls and mean")),
    };
    let heads = EncoderHead {
        class: "ModernBert",
        masked: transform,
        bias: config.flag(&["decoder_bias"], true)?,
        pooled: Pooled { pool, transform: Some(transform), late: false },
        token: Some(transform),
    };
    let bias = config.flag(&["attention_bias"], false)?;
    let mlp = Mlp {
        gated: true,
        act: act(config, "hidden_activation", Act::Gelu)?,
        bias: config.flag(&["mlp_bias"], false)?,
        out_bias: config.flag(&["mlp_bias"], false)?,
    };
    Ok(ModelSpec {
        embed: Embed { norm: true, ..Embed::plain(sizes.d_model) },
        ropes: vec![full, local],
        attention: Attention { causal: false, ..attention_with_bias(bias) },
        mlp,
        layers: sizes.layers(|i, layer| Layer {
            rope: Some(usize::from(sliding[i])),
            reach: sliding[i].then_some(Reach::Within(reach)),
            // The embedding has been normed already.
            ln1: i > 0,
            ..layer
        }),
        ..decoder("modernbert", &sizes, norm, heads.read(from, &FILES)?)
    })
}
