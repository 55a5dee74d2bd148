//! The encoder of T5: norms before attention and MLP, no biases, scores that are not scaled, and a number for each distance
//! and head that all layers add to them. The table of these numbers is that of the first layer. T5 1.1 and FLAN-T5 have
//! gated MLPs. The decoder of a whole T5 is not computed.

use super::prelude::*;

static FILES: Files = Files {
    body: "",
    before: &[
        // The encoder's own name of the embedding counts where a file has both.
        weight("encoder.embed_tokens", W_E),
        weight("shared", W_E),
        weight("encoder.block.0.layer.0.SelfAttention.relative_attention_bias", W_rel),
    ],
    blocks: "encoder.block",
    block: &[&[
        weight("layer.0.layer_norm", Ln1W),
        weight("layer.0.SelfAttention.q", W_Q),
        weight("layer.0.SelfAttention.k", W_K),
        weight("layer.0.SelfAttention.v", W_V),
        weight("layer.0.SelfAttention.o", W_O),
        weight("layer.1.layer_norm", Ln2W),
        weight("layer.1.DenseReluDense.wi_0", W_gate),
        weight("layer.1.DenseReluDense.wi_1", W_in),
        weight("layer.1.DenseReluDense.wi", W_in),
        weight("layer.1.DenseReluDense.wo", W_out),
    ]],
    linear: Layout::OutIn,
    after: &[weight("encoder.final_layer_norm", LnFinalW)],
    heads: &[classes(TOKEN, "classifier")],
    elsewhere: &[
        ("shared.", "the token embedding of encoder and decoder, of which the encoder has its own copy"),
        ("decoder.", "of the decoder, which is not computed: this is the encoder alone"),
        ("lm_head.", "the head of the decoder, which is not computed: this is the encoder alone"),
    ],
};

pub static FAMILY: Family = Family::new(&["t5"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    // About the decoder, or about training.
    config.note_read(&["is_encoder_decoder", "num_decoder_layers", "tie_word_embeddings", "decoder_start_token_id"]);
    if config.flag(&["is_decoder"], false)? {
        return Err(config.unsupported("is_decoder", true, "of this family, the encoder alone is computed"));
    }
    let head = head(from)?;
    let sizes = Sizes::read(config, &Rules { fourfold: false, max_positions: 512, ..Rules::GPT2.head_dim(64) })?;
    let sizes = Sizes { head_dim: config.opt_size(&["d_kv", "head_dim"])?.unwrap_or(64), ..sizes };
    let norm = Norm::rms(eps(config, "layer_norm_epsilon", 1e-6)?);
    let (count, farthest) = buckets(config)?;
    Ok(ModelSpec {
        relative: Some(Relative { rows: count, buckets: Buckets::Halves { count, farthest }, adds: Adds::Numbers }),
        attention: Attention { causal: false, ..attention() },
        mlp: mlp(config)?,
        layers: sizes.layers(|_, layer| Layer { scale: 1.0, ..layer }),
        ..decoder("t5", &sizes, norm, head)
    })
}

/// Rows of the table, and the distance from which on there is one.
fn buckets(config: &HfConfig) -> Result<(usize, usize), LoadError> {
    const COUNT: &str = "relative_attention_num_buckets";
    const FARTHEST: &str = "relative_attention_max_distance";
    let count = config.opt_size(&[COUNT])?.unwrap_or(32);
    let farthest = config.opt_size(&[FARTHEST])?.unwrap_or(128);
    if count < 4 {
        return Err(config.unsupported(COUNT, count, "distances are put into 4 buckets at least"));
    }
    if farthest <= count / 4 {
        let why = format!("{} of {count} buckets are for one distance each, and larger ones need more", count / 4);
        return Err(config.unsupported(FARTHEST, farthest, why));
    }
    Ok((count, farthest))
}

/// `relu`, or `gated-gelu` and the like. What configurations say in two other keys counts where they have them.
fn mlp(config: &HfConfig) -> Result<Mlp, LoadError> {
    const KEY: &str = "feed_forward_proj";
    let name = config.str(&[KEY])?.unwrap_or("relu");
    let (gated, function) = match name.split_once('-') {
        Some(("gated", function)) => (true, function),
        Some(_) => return Err(config.unsupported(KEY, name, "known are gated-ACTIVATION and ACTIVATION")),
        None => (false, name),
    };
    let usual = act_named(config, KEY, if name == "gated-gelu" { "gelu_new" } else { function })?;
    let act = act(config, "dense_act_fn", usual)?;
    Ok(Mlp { gated: config.flag(&["is_gated_act"], gated)?, act, bias: false })
}

fn head(from: &Sources) -> Result<Head, LoadError> {
    let config = from.config;
    match config.architecture()? {
        _ if from.sentence.is_some() => {}
        Some(name) if name.ends_with("ForTokenClassification") => {
            let classes = Classes { labels: config.labels()?, bias: true };
            return Ok(Head::Token { transform: None, classes, question: false });
        }
        Some(name) if !name.ends_with("EncoderModel") => {
            let why = "this is an encoder with a decoder, and the encoder alone can be computed: set architectures to \
                       [\"T5EncoderModel\"] to open that";
            return Err(config.unsupported("architectures", name, why));
        }
        _ => {}
    }
    Ok(Head::Bare { sentence: from.sentence.cloned() })
}
