//! Llama 4: attention in chunks with rotated queries and keys, which pass a norm after that; every fourth layer sees
//! everything and has no positions but queries that grow. Mixtures of experts weigh what their experts read.

use super::llama;
use super::prelude::*;

static FILES: Files = Files { block: &[llama::NORMS, llama::ATTENTION, MLP, EXPERTS], ..llama::NAMES };

const MLP: &[Entry] = &[
    weight("feed_forward.gate_proj", W_gate),
    weight("feed_forward.up_proj", W_in),
    weight("feed_forward.down_proj", W_out),
];
const EXPERTS: &[Entry] = &[
    weight("feed_forward.router", W_router),
    Entry::Merged(["feed_forward.experts.gate_up_proj", "feed_forward.experts.down_proj"], Layout::InOut),
    // As GGUF files and packed matrices have them.
    Entry::Experts("feed_forward.experts", ["gate_proj", "up_proj", "down_proj"]),
    weight("feed_forward.shared_expert.gate_proj", SharedGate),
    weight("feed_forward.shared_expert.up_proj", SharedIn),
    weight("feed_forward.shared_expert.down_proj", SharedOut),
];

pub static FAMILY: Family = Family::new(&["llama4_text"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 1 << 17, ..Rules::LLAMA.kv(8).head_dim(128) })?;
    let rotates = rotating_layers(config, sizes.n_layers, 4)?;
    let reach = chunks(config, &rotates)?;
    let sparse = layers_with_experts(config, sizes.n_layers)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-5)?);
    let normed = config.flag(&["use_qk_norm"], true)?;
    let qk_norm = normed.then_some(QkNorm { norm: Norm { gain: Gain::None, ..norm }, over: QkNormOver::Head });
    // In a mixture both kinds of experts have the width that is called the MLP's.
    let all = Experts {
        count: config.opt_size(&["num_local_experts", "num_experts"])?.unwrap_or(16),
        chosen: config.opt_size(&["num_experts_per_tok"])?.unwrap_or(1),
        width: sizes.d_mlp,
        router: Router { score: Score::Sigmoid, ..Router::default() },
        shared: Some(SharedExpert { width: sizes.d_mlp, mixed: false }),
        weighs_input: true,
        ..Experts::default()
    };
    let dense = Sizes { d_mlp: config.opt_size(&["intermediate_size_mlp"])?.unwrap_or(16384), ..sizes };
    let heads = DecoderHead { tasks: Task::NO_CLASSES, ..DecoderHead::of("Llama4") };
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA.theta(5e5).interleaved())?],
        attention: Attention {
            qk_norm,
            rotates_first: true,
            growth: growth(config)?,
            ..attention_with_bias(config.flag(&["attention_bias"], false)?)
        },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        experts: Some(experts(config, all)?),
        layers: sizes.layers(|i, layer| Layer {
            rope: rotates[i].then_some(0),
            qk_norm: rotates[i],
            grows: !rotates[i],
            reach: reach[i],
            experts: sparse[i],
            ..layer
        }),
        ..decoder("llama4", &dense, norm, heads.read(from, &FILES)?)
    })
}

/// How far each layer sees: its chunk, by default where it rotates.
fn chunks(config: &HfConfig, rotates: &[bool]) -> Result<Vec<Option<Reach>>, LoadError> {
    let size = config.size_or(&["attention_chunk_size"], Some(8192))?;
    let kinds = layer_kinds(config, rotates.len(), &["full_attention", "chunked_attention"])?;
    let chunked = |i: usize| kinds.as_ref().map_or(rotates[i] && size.is_some(), |kinds| kinds[i] == 1);
    let of = |i: usize| match size {
        Some(size) if chunked(i) => Ok(Some(Reach::Chunk(size))),
        None if chunked(i) => {
            Err(config.bad("\"layer_types\" has layers with chunks, and there is no \"attention_chunk_size\""))
        }
        _ => Ok(None),
    };
    (0..rotates.len()).map(of).collect()
}

/// Which layers have experts: those of `moe_layers`, or every `interleave_moe_layer_step`th.
fn layers_with_experts(config: &HfConfig, n_layers: usize) -> Result<Vec<bool>, LoadError> {
    let every = config.opt_size(&["interleave_moe_layer_step"])?.unwrap_or(1);
    let Some(list) = config.list("moe_layers")? else {
        return Ok((0..n_layers).map(|i| (i + 1).is_multiple_of(every)).collect());
    };
    Ok((0..n_layers).map(|i| list.iter().any(|number| number.as_u64() == Some(i as u64))).collect())
}

/// How queries grow in layers without rotation. It counts columns, padding among them.
fn growth(config: &HfConfig) -> Result<Option<Growth>, LoadError> {
    const KEY: &str = "attn_temperature_tuning";
    const EVERY: &[&str] = &["floor_scale"];
    // Some of the first files have a number here.
    let tuned = match config.find(&[KEY]) {
        Some((_, value)) if value.is_number() => value.as_f64() != Some(0.0),
        _ => config.flag(&[KEY], true)?,
    };
    let (every, beta) = (config.number(EVERY, 8192.0)?, config.number(&["attn_scale"], 0.1)?);
    if every <= 0.0 {
        return Err(config.bad(format!("{:?} is {every}, not above zero", EVERY[0])));
    }
    Ok(tuned.then_some(Growth { beta, every, first: 1.0, by_column: true }))
}
