//! Gemma 4: layers with and without a window have heads of their own widths, values pass a norm, the last layers read keys
//! and values of earlier ones, and each block gets a part of a second embedding of the token. Some models have experts next to the MLP of each block.

use serde_json::{Value as Json, json};

use super::names::Ignored;
use super::prelude::*;
use super::{gemma, gemma2, llama};

static FILES: Files = Files {
    before: &[
        weight("embed_tokens", W_E),
        weight("embed_tokens_per_layer", W_ple),
        weight("per_layer_model_projection", PleProjW),
        weight("per_layer_projection_norm", PleNormW),
    ],
    block: BLOCK,
    ..llama::NAMES
};

const BLOCK: &[&[Entry]] =
    &[gemma2::BLOCK[0], gemma2::BLOCK[1], llama::ATTENTION, llama::QK_NORMS, llama::MLP, EXPERTS, LAYER_INPUTS];
const EXPERTS: &[Entry] = &[
    weight("router.proj", W_router),
    Entry::Named("router.scale", RouterNormW, Layout::Vector),
    Entry::Named("router.per_expert_scale", ExpertScale, Layout::Vector),
    weight("post_feedforward_layernorm_1", DenseLnW),
    weight("pre_feedforward_layernorm_2", ExpertsLnW),
    weight("post_feedforward_layernorm_2", ExpertsPostLnW),
    Entry::Merged(["experts.gate_up_proj", "experts.down_proj"], Layout::OutIn),
    Entry::Experts("experts", ["gate_proj", "up_proj", "down_proj"]),
];
const LAYER_INPUTS: &[Entry] = &[
    weight("per_layer_input_gate", PleGateW),
    weight("per_layer_projection", PleOutW),
    weight("post_per_layer_input_norm", PlePostLnW),
    Entry::Named("layer_scalar", BlockScale, Layout::Vector),
];

const ROPES: ByLayerTypeRules =
    ByLayerTypeRules { full: ("rope_theta", 1e6), sliding: ("rope_local_base_freq", 1e4), scaling_of_both: false };

pub static FAMILY: Family = Family::new(&["gemma4_text"], &FILES, spec).with_names(names);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = &from.config.with_default_rope(json!({
        "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    }));
    let causal = !both_ways(config)?;
    refused(config)?;
    let sizes = Sizes::read(config, &Rules { max_positions: 1 << 17, ..Rules::LLAMA.kv(4).head_dim(256) })?;
    let window = config.opt_size(&["sliding_window"])?.unwrap_or(512);
    // In both directions half of it to each side, and one more.
    let window = Some(if causal { window } else { window / 2 + 2 });
    let mut sliding = sliding_layers(config, sizes.n_layers, |i| !(i + 1).is_multiple_of(6))?;
    // The last layer sees everything, whatever the configuration says.
    sliding[sizes.n_layers - 1] = false;
    let reach = reach(config, &sliding, window)?;
    let heads = heads_of_layers(config, &sizes, &sliding)?;
    let shared = shared_keys(config, &sliding)?;
    let wide = if config.flag(&["use_double_wide_mlp"], false)? { 2 } else { 1 };
    let width_of = |sliding_ones: bool| {
        let of_kind = sliding.iter().position(|sliding| *sliding == sliding_ones);
        of_kind.map_or(sizes.head_dim, |layer| heads[layer].0)
    };
    let ByLayerType { full, sliding: local } = by_layer_type_of(config, [width_of(false), width_of(true)], &ROPES)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    let head = DecoderHead { tied: true, pad: Some(0), tasks: Task::NO_CLASSES, ..DecoderHead::of("Gemma4") };
    let softcap = config.number_or(&["final_logit_softcapping"], None)?;
    let head = match head.read(&Sources { config, ..*from }, &FILES)? {
        Head::CausalLm(logits) => Head::CausalLm(Logits { softcap, ..logits }),
        other => other,
    };
    let experts = mixture(config)?;
    let keys_are_values = config.flag(&["attention_k_eq_v"], false)?;
    let attention = attention_with_bias(config.flag(&["attention_bias"], false)?);
    let qk_norm = Some(QkNorm { norm, over: QkNormOver::Head });
    Ok(ModelSpec {
        placement: Placement::Sandwich,
        embed: gemma::embed(&sizes),
        layer_inputs: layer_inputs(config, &sizes)?,
        ropes: vec![full, local],
        attention: Attention { causal, qk_norm, value_norm: Some(Norm { gain: Gain::None, ..norm }), ..attention },
        mlp: Mlp { gated: true, act: act(config, "hidden_activation", Act::GeluTanh)?, bias: false, out_bias: false },
        layers: sizes.layers(|i, layer| Layer {
            rope: Some(usize::from(sliding[i])),
            reach: reach[i],
            scale: 1.0,
            head_dim: Some(heads[i].0),
            n_kv_heads: Some(heads[i].1),
            d_mlp: shared[i].map(|_| wide * sizes.d_mlp),
            keys_of: shared[i],
            values_are_keys: keys_are_values && !sliding[i],
            experts: experts.is_some(),
            ..layer
        }),
        experts,
        residual: Residual { scaled_blocks: true, ..Residual::default() },
        ..decoder("gemma4", &sizes, norm, head)
    })
}

/// Whether all tokens see each other; those of images always do.
fn both_ways(config: &HfConfig) -> Result<bool, LoadError> {
    const KEY: &str = "use_bidirectional_attention";
    match config.find(&[KEY]).map(|(_, value)| value) {
        None | Some(Json::Bool(false)) => Ok(false),
        Some(Json::String(which)) if which == "vision" => Ok(false),
        Some(Json::String(which)) if which == "all" => Ok(true),
        Some(other) => Err(config.unsupported(KEY, other, "known values are all and vision")),
    }
}

/// What the family can be asked for and is not computed.
fn refused(config: &HfConfig) -> Result<(), LoadError> {
    match config.find(&["rope_scaling"]) {
        Some((key, _)) => Err(config.unsupported(key, "...", "this family has a rotation for each layer type")),
        None => Ok(()),
    }
}

/// The experts next to the MLPs, where there are any.
fn mixture(config: &HfConfig) -> Result<Option<Experts>, LoadError> {
    if !config.flag(&["enable_moe_block"], false)? {
        config.note_read(&["num_experts", "top_k_experts", "moe_intermediate_size"]);
        return Ok(None);
    }
    let router = Router { normalize: true, ..Router::default() };
    let (count, chosen) = (config.size(&["num_experts"])?, config.size(&["top_k_experts"])?);
    let width = config.size(&["moe_intermediate_size"])?;
    experts(config, Experts { count, chosen, width, router, beside: true, ..Experts::default() }).map(Some)
}

/// Width of a head and number of key/value heads of each layer.
fn heads_of_layers(config: &HfConfig, sizes: &Sizes, sliding: &[bool]) -> Result<Vec<(usize, usize)>, LoadError> {
    const EACH: &str = "per_layer_config";
    const OLDER: [&str; 2] = ["global_head_dim", "num_global_key_value_heads"];
    let mut heads = vec![(sizes.head_dim, sizes.n_kv_heads); sizes.n_layers];
    if config.json().contains_key(EACH) {
        config.note_read(&OLDER);
        config.note_read(&[EACH]);
        if let Some(each) = config.object(EACH)? {
            for key in each.json().keys() {
                let Some(heads) = key.parse().ok().and_then(|layer: usize| heads.get_mut(layer)) else {
                    return Err(each.unsupported(key, "...", "layers have the numbers of the model"));
                };
                let Some(own) = each.object(key)? else { continue };
                heads.0 = own.opt_size(&["head_dim"])?.unwrap_or(heads.0);
                heads.1 = own.opt_size(&["num_key_value_heads"])?.unwrap_or(heads.1);
                if let Some((other, value)) =
                    own.json().iter().find(|(key, _)| !["head_dim", "num_key_value_heads"].contains(&key.as_str()))
                {
                    return Err(own.unsupported(other, value, "layers differ in heads only"));
                }
            }
        }
    } else {
        let width = config.opt_size(&OLDER[..1])?.unwrap_or(512);
        let of_keys =
            config.opt_size(&OLDER[1..])?.filter(|_| config.flag(&["attention_k_eq_v"], false).unwrap_or(false));
        for (heads, _) in heads.iter_mut().zip(sliding).filter(|(_, sliding)| !**sliding) {
            *heads = (width, of_keys.unwrap_or(heads.1));
        }
    }
    for kind in [true, false] {
        let mut of_kind = heads.iter().zip(sliding).filter(|(_, sliding)| **sliding == kind).map(|(heads, _)| *heads);
        let Some(first) = of_kind.next() else { continue };
        if of_kind.any(|other| other != first) {
            return Err(config.unsupported(EACH, "...", "layers of the same type have the same heads"));
        }
        if !sizes.n_heads.is_multiple_of(first.1) {
            let (all, kv) = (sizes.n_heads, first.1);
            return Err(config.bad(format!("{all} heads cannot share {kv} key/value heads evenly")));
        }
    }
    Ok(heads)
}

/// For each of the last layers the layer before them whose keys and values it reads: the last one of its type.
fn shared_keys(config: &HfConfig, sliding: &[bool]) -> Result<Vec<Option<usize>>, LoadError> {
    const KEY: &str = "num_kv_shared_layers";
    let shared = config.opt_count(&[KEY])?.unwrap_or(0);
    let first = sliding.len().checked_sub(shared).filter(|first| *first > 0);
    let Some(first) = first else {
        return Err(config.bad(format!("{KEY:?} is {shared} of {} layers", sliding.len())));
    };
    let of = |layer: usize| {
        if layer < first {
            return Ok(None);
        }
        let found = sliding[..first].iter().rposition(|kind| *kind == sliding[layer]);
        found.map(Some).ok_or_else(|| {
            config.bad(format!("no layer before the last {shared} has keys and values for layer {layer}"))
        })
    };
    (0..sliding.len()).map(of).collect()
}

fn layer_inputs(config: &HfConfig, sizes: &Sizes) -> Result<Option<LayerInputs>, LoadError> {
    const VOCAB: &str = "vocab_size_per_layer_input";
    let width = match config.opt_count(&["hidden_size_per_layer_input"])? {
        Some(width) => width,
        None if config.is_null(&["hidden_size_per_layer_input"]) => 0,
        None => 256,
    };
    let vocab = config.opt_size(&[VOCAB])?.unwrap_or(262_144);
    if width == 0 {
        return Ok(None);
    }
    if vocab < sizes.vocab {
        let why = format!("{} tokens need as many rows", sizes.vocab);
        return Err(config.unsupported(VOCAB, vocab, why));
    }
    Ok(Some(LayerInputs { width, vocab }))
}

/// Files may have projections and norms of keys and values for layers that read those of others.
fn names(spec: &ModelSpec, from: &Sources) -> Result<TensorNames, LoadError> {
    let mut names = FILES.names(spec, from)?;
    let sharing = |name: &str| {
        let (before, path) = name.split_once(".self_attn.")?;
        let layer: usize = before.rsplit_once('.')?.1.parse().ok()?;
        let unused =
            ["k_proj", "v_proj", "k_norm", "v_norm"].iter().any(|module| path.split('.').next() == Some(module));
        spec.layers.get(layer)?.keys_of.filter(|_| unused)
    };
    for entry in from.checkpoint.entries() {
        if let Some(other) = sharing(&entry.name) {
            let reason = format!("keys and values are those of layer {other}");
            names.ignored.push(Ignored { name: entry.name.clone(), reason });
        }
    }
    Ok(names)
}
