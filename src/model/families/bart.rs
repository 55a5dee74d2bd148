//! BART and what came of it: mBART, Pegasus, Marian and M2M-100 (NLLB). They differ in where the norms are, in their positions, and in
//! whether embeddings pass a norm and logits have a bias.

use super::pair::Pair;
use super::prelude::*;

const STACK: Files = Files {
    body: "model.",
    before: &[],
    blocks: "",
    block: &[&[
        both("self_attn.q_proj", W_Q, b_Q),
        both("self_attn.k_proj", W_K, b_K),
        both("self_attn.v_proj", W_V, b_V),
        both("self_attn.out_proj", W_O, b_O),
        both("self_attn_layer_norm", Ln1W, Ln1B),
        both("encoder_attn.q_proj", CrossQ, CrossQB),
        both("encoder_attn.k_proj", CrossK, CrossKB),
        both("encoder_attn.v_proj", CrossV, CrossVB),
        both("encoder_attn.out_proj", CrossO, CrossOB),
        both("encoder_attn_layer_norm", CrossLnW, CrossLnB),
        both("fc1", W_in, b_in),
        both("fc2", W_out, b_out),
        both("final_layer_norm", Ln2W, Ln2B),
    ]],
    linear: Layout::OutIn,
    after: &[],
    heads: &[],
    elsewhere: &[],
};

const ENCODER: Files = Files {
    before: &[
        weight("encoder.embed_tokens", W_E),
        weight("shared", W_E),
        weight("encoder.embed_positions", W_pos),
        both("encoder.layernorm_embedding", EmbedLnW, EmbedLnB),
    ],
    blocks: "encoder.layers",
    after: &[both("encoder.layer_norm", LnFinalW, LnFinalB)],
    ..STACK
};

const DECODER: Files = Files {
    before: &[
        weight("decoder.embed_tokens", W_E),
        weight("shared", W_E),
        weight("decoder.embed_positions", W_pos),
        both("decoder.layernorm_embedding", EmbedLnW, EmbedLnB),
    ],
    blocks: "decoder.layers",
    after: &[both("decoder.layer_norm", LnFinalW, LnFinalB)],
    heads: &[weight("lm_head", W_U), Entry::Named("final_logits_bias", b_U, Layout::Row)],
    elsewhere: &[
        ("encoder.version", VERSION),
        ("decoder.version", VERSION),
        ("encoder.embed_positions.", TABLE),
        ("decoder.embed_positions.", TABLE),
    ],
    ..STACK
};

static FILES: Files = DECODER;
static PAIR: Pair = Pair { encoder: ENCODER, decoder: DECODER };

const VERSION: &str = "the version of what wrote the file";
const TABLE: &str = "sines and cosines of positions, which are computed";

pub static FAMILY: Family = Family::new(&["bart", "mbart", "pegasus", "marian", "m2m_100"], &FILES, spec)
    .with_names(|spec, from| PAIR.names(spec, from));

/// What a model of the family has besides what all have.
struct Kind {
    /// The only architecture that is computed.
    architecture: &'static str,
    /// Norms before attention and MLP, and one after the last block; otherwise after each residual addition.
    norms_first: bool,
    /// Whether embeddings pass a norm.
    norms_embedding: bool,
    scales_embedding: bool,
    act: Act,
    sines: bool,
}

fn kind(model_type: &str) -> Kind {
    let bart = Kind {
        architecture: "BartForConditionalGeneration",
        norms_first: false,
        norms_embedding: true,
        scales_embedding: false,
        act: Act::Gelu,
        sines: false,
    };
    match model_type {
        "mbart" => Kind { architecture: "MBartForConditionalGeneration", norms_first: true, ..bart },
        "pegasus" => Kind {
            architecture: "PegasusForConditionalGeneration",
            norms_first: true,
            norms_embedding: false,
            sines: true,
            ..bart
        },
        "marian" => Kind { architecture: "MarianMTModel", norms_embedding: false, sines: true, ..bart },
        "m2m_100" => Kind {
            architecture: "M2M100ForConditionalGeneration",
            norms_first: true,
            norms_embedding: false,
            scales_embedding: true,
            act: Act::Relu,
            sines: true,
        },
        _ => bart,
    }
}

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let model_type = config.model_type()?;
    let kind = kind(model_type);
    // About training, and what attention of one half alone would be. Names that all models have are those of the encoder.
    config.note_read(&["is_encoder_decoder", "num_hidden_layers", "encoder_layerdrop", "decoder_layerdrop"]);
    let known = [kind.architecture, "MarianForConditionalGeneration"];
    if let Some(name) = config.architecture()?.filter(|name| !known.contains(name)) {
        let why = format!("of this family, {} is computed", kind.architecture);
        return Err(config.unsupported("architectures", name, why));
    }
    if config.flag(&["is_decoder"], false)? {
        return Err(config.unsupported("is_decoder", true, "of this family, both halves are computed"));
    }
    let shares = config.flag(&["share_encoder_decoder_embeddings"], true)?;
    let vocab = config.size(&["vocab_size"])?;
    let of_decoder = config.opt_size(&["decoder_vocab_size"])?.filter(|_| !shares).unwrap_or(vocab);
    let encoder = stack(from, &kind, "encoder", vocab, Head::Bare { sentence: None })?;
    let logits =
        Logits { bias: PAIR.decoder.has_head(from.checkpoint, b_U), ..Logits::plain(PAIR.decoder.tied(from, true)?) };
    let main = stack(from, &kind, "decoder", of_decoder, Head::CausalLm(logits))?;
    let scale = main.layers.first().map_or(1.0, |layer| layer.scale);
    Ok(ModelSpec { encoder: PAIR.encoder(from, encoder, scale), ..main })
}

fn stack(from: &Sources, kind: &Kind, half: &str, vocab: usize, head: Head) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let size = |name: &str| config.size(&[&format!("{half}_{name}")]);
    let (d_model, n_heads) = (config.size(&["d_model"])?, size("attention_heads")?);
    if !d_model.is_multiple_of(n_heads) {
        return Err(config.bad(format!("a width of {d_model} cannot be split into {n_heads} heads")));
    }
    let max_positions = config.opt_size(&["max_position_embeddings"])?.unwrap_or(1024);
    let sizes = Sizes {
        d_model,
        n_layers: size("layers")?,
        n_heads,
        n_kv_heads: n_heads,
        head_dim: d_model / n_heads,
        d_mlp: size("ffn_dim")?,
        vocab,
        max_positions,
    };
    let scales = config.flag(&["scale_embedding"], kind.scales_embedding)?;
    let files = if half == "encoder" { &PAIR.encoder } else { &PAIR.decoder };
    Ok(ModelSpec {
        placement: if kind.norms_first { Placement::Pre } else { Placement::Post },
        final_norm: kind.norms_first,
        embed: Embed {
            norm: kind.norms_embedding,
            scale: if scales { (d_model as f64).sqrt() } else { 1.0 },
            ..Embed::plain(d_model)
        },
        positions: positions(from, kind, files, max_positions)?,
        attention: attention_with_bias(true),
        mlp: Mlp { gated: false, act: act(config, "activation_function", kind.act)?, bias: true, out_bias: true },
        ..decoder(config.model_type()?, &sizes, Norm::layer_norm(1e-5), head)
    })
}

fn positions(from: &Sources, kind: &Kind, files: &Files, most: usize) -> Result<Positions, LoadError> {
    let config = from.config;
    if config.model_type()? == "m2m_100" {
        let pad = config.token_ids("pad_token_id").first().copied().unwrap_or(1);
        let waves = Waves::ToTheEnd { zero: pad as usize };
        return Ok(Positions::Sines { waves, count: Count::ById { pad }, most: None });
    }
    Ok(match kind.sines {
        false => Positions::Learned { rows: most + 2, count: Count::ColumnPlusTwo },
        // Files of Marian and Pegasus may have the table.
        true if files.has_before(from.checkpoint, W_pos) => Positions::Learned { rows: most, count: Count::Column },
        true => Positions::Sines { waves: Waves::Even, count: Count::Column, most: Some(most) },
    })
}
