//! T5, mT5 and FLAN-T5: norms before attention and MLP, no biases, scores that are not scaled, and a number for each distance and
//! head that all layers of a stack add to the scores of their attention (not of cross attention). The table of these numbers is
//! that of the first layer. T5 1.1, mT5 and FLAN-T5 have gated MLPs. An encoder alone is one of a T5EncoderModel.

use super::pair::Pair;
use super::prelude::*;

/// Entries of a block: of attention, cross attention where there is any, and MLP, which is the last of its parts.
const ATTENTION: &[Entry] = &[
    weight("layer.0.layer_norm", Ln1W),
    weight("layer.0.SelfAttention.q", W_Q),
    weight("layer.0.SelfAttention.k", W_K),
    weight("layer.0.SelfAttention.v", W_V),
    weight("layer.0.SelfAttention.o", W_O),
];

const ENCODER: Files = Files {
    body: "",
    before: &[
        // The encoder's own name of the embedding counts where a file has both.
        weight("encoder.embed_tokens", W_E),
        weight("shared", W_E),
        weight("encoder.block.0.layer.0.SelfAttention.relative_attention_bias", W_rel),
    ],
    blocks: "encoder.block",
    block: &[
        ATTENTION,
        &[
            weight("layer.1.layer_norm", Ln2W),
            weight("layer.1.DenseReluDense.wi_0", W_gate),
            weight("layer.1.DenseReluDense.wi_1", W_in),
            weight("layer.1.DenseReluDense.wi", W_in),
            weight("layer.1.DenseReluDense.wo", W_out),
        ],
    ],
    linear: Layout::OutIn,
    after: &[weight("encoder.final_layer_norm", LnFinalW)],
    heads: &[classes(TOKEN, "classifier")],
    elsewhere: &[
        ("shared.", "the token embedding of encoder and decoder, of which the encoder has its own copy"),
        ("decoder.", "of the decoder, which is not computed: this is the encoder alone"),
        ("lm_head.", "the head of the decoder, which is not computed: this is the encoder alone"),
    ],
};

const DECODER: Files = Files {
    body: "",
    before: &[
        weight("decoder.embed_tokens", W_E),
        weight("shared", W_E),
        weight("decoder.block.0.layer.0.SelfAttention.relative_attention_bias", W_rel),
    ],
    blocks: "decoder.block",
    block: &[
        ATTENTION,
        &[
            weight("layer.1.layer_norm", CrossLnW),
            weight("layer.1.EncDecAttention.q", CrossQ),
            weight("layer.1.EncDecAttention.k", CrossK),
            weight("layer.1.EncDecAttention.v", CrossV),
            weight("layer.1.EncDecAttention.o", CrossO),
            weight("layer.2.layer_norm", Ln2W),
            weight("layer.2.DenseReluDense.wi_0", W_gate),
            weight("layer.2.DenseReluDense.wi_1", W_in),
            weight("layer.2.DenseReluDense.wi", W_in),
            weight("layer.2.DenseReluDense.wo", W_out),
        ],
    ],
    linear: Layout::OutIn,
    after: &[weight("decoder.final_layer_norm", LnFinalW)],
    heads: &[weight("lm_head", W_U)],
    elsewhere: &[(
        "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.",
        "numbers by distance for cross attention, which has none; the first T5 has them in its files",
    )],
};

static FILES: Files = DECODER;
static PAIR: Pair = Pair { encoder: ENCODER, decoder: DECODER };

pub static FAMILY: Family = Family::new(&["t5", "mt5"], &FILES, spec).with_names(|spec, from| PAIR.names(spec, from));

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    config.note_read(&["is_encoder_decoder", "num_decoder_layers", "tie_word_embeddings", "scale_decoder_outputs"]);
    if config.flag(&["is_decoder"], false)? {
        return Err(config.unsupported(
            "is_decoder",
            true,
            "of this family, an encoder alone or both halves are computed",
        ));
    }
    let sizes = Sizes::read(config, &Rules { fourfold: false, max_positions: 512, ..Rules::GPT2.head_dim(64) })?;
    let sizes = Sizes { head_dim: config.opt_size(&["d_kv", "head_dim"])?.unwrap_or(64), ..sizes };
    let norm = Norm::rms(eps(config, "layer_norm_epsilon", 1e-6)?);
    let (model_type, mlp) = (config.model_type()?, mlp(config)?);
    let (count, farthest) = buckets(config)?;
    let stack = |sizes: &Sizes, causal: bool, buckets: Buckets, head: Head| ModelSpec {
        relative: Some(Relative { rows: count, buckets, adds: Adds::Numbers }),
        attention: Attention { causal, ..attention() },
        mlp,
        layers: sizes.layers(|_, layer| Layer { scale: 1.0, ..layer }),
        ..decoder(model_type, sizes, norm, head)
    };
    let halves = Buckets::Halves { count, farthest };
    let Some(logits) = logits(from)? else { return Ok(stack(&sizes, false, halves, head(from)?)) };
    if farthest <= count / 2 {
        let why = format!("{} of {count} buckets are for one distance each, and larger ones need more", count / 2);
        return Err(config.unsupported(FARTHEST, farthest, why));
    }
    let encoder = stack(&sizes, false, halves, Head::Bare { sentence: None });
    let layers = config.opt_size(&["num_decoder_layers"])?.unwrap_or(sizes.n_layers);
    let sizes = Sizes { n_layers: layers, ..sizes };
    let logits = Logits { scale: if scales(config)? { (sizes.d_model as f64).powf(-0.5) } else { 1.0 }, ..logits };
    let main = stack(&sizes, true, Buckets::Before { count, farthest }, Head::CausalLm(logits));
    Ok(ModelSpec { encoder: PAIR.encoder(from, encoder, 1.0), ..main })
}

/// The head of a model that has a decoder; none of an encoder alone. The head is the embedding unless the file has both, and they
/// differ, whatever the configuration says.
fn logits(from: &Sources) -> Result<Option<Logits>, LoadError> {
    let whole = |name: &str| ["ForConditionalGeneration", "WithLMHeadModel"].iter().any(|end| name.ends_with(end));
    let asked = from.sentence.is_none() && from.config.architecture()?.is_some_and(whole);
    Ok(asked.then(|| Logits::plain(PAIR.decoder.may_tie(from))))
}

/// Whether the last hidden state of the decoder is divided by the root of its width: in T5 unless the configuration says that the
/// head is not the embedding, and never in mT5.
fn scales(config: &HfConfig) -> Result<bool, LoadError> {
    if config.model_type()? == "mt5" {
        return Ok(false);
    }
    let tied = config.flag(&["tie_word_embeddings"], true)?;
    config.flag(&["scale_decoder_outputs"], tied)
}

const COUNT: &str = "relative_attention_num_buckets";
const FARTHEST: &str = "relative_attention_max_distance";

/// Rows of the table, and the distance from which on there is one.
fn buckets(config: &HfConfig) -> Result<(usize, usize), LoadError> {
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
    Ok(Mlp { gated: config.flag(&["is_gated_act"], gated)?, act, bias: false, out_bias: false })
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
            let why = "known are T5ForConditionalGeneration, and of the encoder alone T5EncoderModel and T5ForTokenClassification";
            return Err(config.unsupported("architectures", name, why));
        }
        _ => {}
    }
    Ok(Head::Bare { sentence: from.sentence.cloned() })
}
