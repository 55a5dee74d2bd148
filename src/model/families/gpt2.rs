//! GPT-2: pre-norm decoder, learned positions, fused query/key/value stored as `[in, out]`, tied head.

use super::prelude::*;

static FILES: Files = Files { linear: Layout::InOut, ..NAMES };

/// The modules of a block; those of GPT-BigCode too.
pub const BLOCK: &[Entry] = &[
    both("ln_1", Ln1W, Ln1B),
    Entry::Qkv("attn.c_attn", Split::Concat),
    both("attn.c_proj", W_O, b_O),
    both("ln_2", Ln2W, Ln2B),
    both("mlp.c_fc", W_in, b_in),
    both("mlp.c_proj", W_out, b_out),
];

/// The names of GPT-2, for families that have other modules in the blocks and linear layers as `[out, in]`.
pub const NAMES: Files = Files {
    body: "transformer.",
    before: &[weight("wte", W_E), weight("wpe", W_pos)],
    blocks: "h",
    block: &[BLOCK],
    linear: Layout::OutIn,
    after: &[both("ln_f", LnFinalW, LnFinalB)],
    heads: DECODER_HEADS,
    elsewhere: &[],
};

pub static FAMILY: Family = Family::new(&["gpt2", "gpt-sw3"], &FILES, spec).with_names(names);

fn names(spec: &ModelSpec, from: &Sources) -> Result<TensorNames, LoadError> {
    if !of_linear(spec, from) {
        return FILES.names(spec, from);
    }
    let mut names = Files { linear: Layout::OutIn, ..FILES }.names(spec, from)?;
    names.notes.push(
        "its matrices are stored as [out, in], as nanoGPT's Linear layers are, not as [in, out] like GPT-2's own: they \
         are transposed; nanoGPT's activation is the exact gelu unless it was trained with new_gelu"
            .to_owned(),
    );
    Ok(names)
}

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    if config.flag(&["add_cross_attention"], false)? {
        return Err(config.unsupported("add_cross_attention", true, "the model would need a separate encoder"));
    }
    let sizes = Sizes::read(config, &Rules { max_positions: 1024, ..Rules::GPT2 })?;
    let scaled = config.flag(&["scale_attn_weights"], true)?;
    let by_layer = config.flag(&["scale_attn_by_inverse_layer_idx"], false)?;
    let scale = |layer: usize| {
        let scale = if scaled { sizes.scale() } else { 1.0 };
        if by_layer { scale / (layer + 1) as f64 } else { scale }
    };
    let heads = DecoderHead { tied: true, causal: "LMHeadModel", ..DecoderHead::of("GPT2") };
    let norm = Norm::layer_norm(eps(config, "layer_norm_epsilon", 1e-5)?);
    Ok(ModelSpec {
        positions: Positions::Learned { rows: sizes.max_positions, count: Count::Seen },
        attention: attention_with_bias(true),
        mlp: Mlp { gated: false, act: act(config, "activation_function", Act::GeluTanh)?, bias: true, out_bias: true },
        layers: sizes.layers(|i, layer| Layer { scale: scale(i), ..layer }),
        ..decoder("gpt2", &sizes, norm, heads.read(from, &FILES)?)
    })
}

/// Whether the linear layers are stored the other way round: all matrices that are wider than the model show it.
fn of_linear(spec: &ModelSpec, from: &Sources) -> bool {
    let turned = |layer: usize, name: &str, wide: usize| {
        let name = format!("{}{}.{layer}.{name}.weight", FILES.prefix(from.checkpoint), FILES.blocks);
        let found = from.checkpoint.find(&name);
        wide != spec.d_model && found.is_some_and(|(_, entry)| !entry.flipped && entry.shape == [wide, spec.d_model])
    };
    (0..spec.n_layers).all(|layer| {
        turned(layer, "attn.c_attn", 3 * spec.d_model)
            && (spec.d_mlp == spec.d_model || turned(layer, "mlp.c_fc", spec.d_mlp))
    })
}
