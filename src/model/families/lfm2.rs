//! LFM2: short convolutions between two gates in most layers, attention in the others; names of its own for everything,
//! and an MLP whose width is computed from the one that the configuration gives.

use super::llama;
use super::prelude::*;
use crate::model::role::Role;

const NORMS: &[Entry] = &[weight("operator_norm", Ln1W), weight("ffn_norm", Ln2W)];
const ATTENTION: &[Entry] = &[
    weight("self_attn.q_proj", W_Q),
    weight("self_attn.k_proj", W_K),
    weight("self_attn.v_proj", W_V),
    weight("self_attn.out_proj", W_O),
    weight("self_attn.q_layernorm", QNormW),
    weight("self_attn.k_layernorm", KNormW),
];
const CONVOLUTION: &[Entry] = &[
    Entry::Joined("conv.in_proj.weight", |spec, _| three(spec, [MixGate, MixOutGate, MixX])),
    Entry::Joined("conv.in_proj.bias", |spec, _| three(spec, [MixGateB, MixOutGateB, MixXB])),
    both("conv.conv", MixConv, MixConvB),
    both("conv.out_proj", MixO, MixOB),
];
const MLP: &[Entry] =
    &[weight("feed_forward.w1", W_gate), weight("feed_forward.w3", W_in), weight("feed_forward.w2", W_out)];
static FILES: Files = Files {
    block: &[NORMS, ATTENTION, CONVOLUTION, MLP],
    after: &[weight("embedding_norm", LnFinalW)],
    ..llama::NAMES
};

pub static FAMILY: Family = Family::new(&["lfm2"], &FILES, spec);

/// What the configurations of published models say about their training, or a second time.
const SAID_AGAIN: &[&str] = &[
    "block_dim",
    "block_mlp_init_scale",
    "block_norm_eps",
    "block_out_dim",
    "block_use_swiglu",
    "block_use_xavier_init",
    "conv_dim",
    "conv_dim_out",
    "conv_use_xavier_init",
    "theta",
    "use_pos_enc",
];

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    config.note_read(SAID_AGAIN);
    let sizes = Sizes::read(config, &Rules { max_positions: 128_000, ..Rules::LLAMA.kv(8) })?;
    let sizes = Sizes { d_mlp: width(config, sizes.d_mlp)?, ..sizes };
    let norm = Norm::rms(eps(config, "norm_eps", 1e-5)?);
    const TIED: &str = "tie_embedding";
    let tied = config.flag(&[TIED], true)?;
    if config.find(&[TIED]).is_some() && config.flag(&["tie_word_embeddings"], tied)? != tied {
        return Err(config.unsupported(TIED, tied, "\"tie_word_embeddings\" says otherwise"));
    }
    let heads = DecoderHead { tied, pad: Some(0), tasks: Task::NO_CLASSES, ..DecoderHead::of("Lfm2") };
    let convolution = ShortConvolution {
        taps: config.opt_size(&["conv_L_cache"])?.unwrap_or(3),
        bias: config.flag(&["conv_bias"], false)?,
    };
    let attends = attention_layers(config, sizes.n_layers)?;
    let layer = |i: usize, layer: Layer| match attends[i] {
        true => Layer { rope: Some(0), ..layer },
        false => Layer { mixer: Mixer::Convolution(convolution), ..layer },
    };
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.theta(1e6))?],
        attention: Attention { qk_norm: Some(QkNorm { norm, over: QkNormOver::Head }), ..attention() },
        mlp: Mlp { gated: true, act: Act::Silu, bias: false, out_bias: false },
        layers: sizes.layers(layer),
        ..decoder("lfm2", &sizes, norm, heads.read(from, &FILES)?)
    })
}

/// Which layers have attention: `layer_types`, or those of `full_attn_idxs`, or all.
fn attention_layers(config: &HfConfig, n_layers: usize) -> Result<Vec<bool>, LoadError> {
    let named = config.list("full_attn_idxs")?;
    if let Some(kinds) = layer_kinds(config, n_layers, &["conv", "full_attention"])? {
        return Ok(kinds.into_iter().map(|kind| kind == 1).collect());
    }
    let named = named.map(|list| list.iter().filter_map(serde_json::Value::as_u64).collect::<Vec<u64>>());
    Ok((0..n_layers).map(|i| named.as_ref().is_none_or(|named| named.contains(&(i as u64)))).collect())
}

/// The width of the MLP: two thirds of what is given, times a factor, as a multiple of a number.
fn width(config: &HfConfig, given: usize) -> Result<usize, LoadError> {
    let given = config.opt_size(&["block_ff_dim"])?.unwrap_or(given);
    let adjusts = config.flag(&["block_auto_adjust_ff_dim"], true)?;
    let factor = config.number_or(&["block_ffn_dim_multiplier"], Some(1.0))?;
    let multiple = config.opt_size(&["block_multiple_of"])?.unwrap_or(256);
    let thirds = (2.0 * given as f64 / 3.0) as usize;
    Ok(match factor {
        _ if !adjusts => given,
        Some(factor) => ((factor * thirds as f64) as usize).next_multiple_of(multiple),
        None => thirds,
    })
}

fn three(spec: &ModelSpec, roles: [Role; 3]) -> Option<Joined> {
    Some(Joined { roles: roles.to_vec(), sizes: vec![spec.d_model; 3], rounds: 1 })
}
