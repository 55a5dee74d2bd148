//! DeepSeek-V2 and V3, and what follows them (Moonlight, GLM-4.7-Flash, Youtu-LLM): queries, keys and values made of latents,
//! and mixtures of experts after a few layers with a dense MLP, or dense MLPs alone.

use super::llama;
use super::prelude::*;

const ATTENTION: &[Entry] = &[
    weight("self_attn.q_proj", W_Q),
    both("self_attn.q_a_proj", W_DQ, b_DQ),
    weight("self_attn.q_a_layernorm", QLatentNormW),
    weight("self_attn.q_b_proj", W_UQ),
    Entry::Latent("self_attn.kv_a_proj_with_mqa"),
    weight("self_attn.kv_a_layernorm", KvLatentNormW),
    Entry::KeysValues("self_attn.kv_b_proj"),
    // As GGUF files have them apart.
    Entry::ByHead("self_attn.k_b_proj.weight", W_UK),
    weight("self_attn.v_b_proj", W_UV),
    both("self_attn.o_proj", W_O, b_O),
];
static FILES: Files = Files {
    block: &[llama::NORMS, ATTENTION, llama::MLP, llama::EXPERTS, llama::CHOICE, llama::SHARED],
    ..llama::NAMES
};

const V2: &str = "deepseek_v2";
const V3: &str = "deepseek_v3";
const LITE: &str = "glm4_moe_lite";
const YOUTU: &str = "youtu";

pub static FAMILY: Family = Family::new(&[V2, V3, LITE, YOUTU], &FILES, spec);

/// What the families differ in where a configuration does not say.
struct Defaults {
    class: &'static str,
    tasks: &'static [Task],
    eps: f64,
    max_positions: usize,
    /// Layers with a dense MLP.
    dense: usize,
    /// Width of the latent of queries.
    queries: usize,
    /// Widths of a head: features of queries and keys that do not rotate, and values.
    plain: usize,
    values: usize,
}

fn defaults(family: &str) -> (&'static str, Defaults) {
    const SOME_CLASSES: &[Task] = &[Task::Causal, Task::Sequence, Task::Bare];
    let v3 = Defaults {
        class: "DeepseekV3",
        tasks: Task::NO_QUESTION,
        eps: 1e-6,
        max_positions: 4096,
        dense: 3,
        queries: 1536,
        plain: 128,
        values: 128,
    };
    match family {
        V2 => (V2, Defaults { class: "DeepseekV2", tasks: SOME_CLASSES, max_positions: 2048, dense: 0, ..v3 }),
        LITE => {
            let (class, tasks, max_positions) = ("Glm4MoeLite", Task::NO_CLASSES, 202_752);
            let lite = Defaults { class, tasks, eps: 1e-5, max_positions, dense: 1, queries: 768, ..v3 };
            (LITE, Defaults { plain: 192, values: 256, ..lite })
        }
        YOUTU => (YOUTU, Defaults { class: "Youtu", tasks: Task::NO_CLASSES, max_positions: 1 << 17, ..v3 }),
        _ => (V3, v3),
    }
}

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let (family, defaults) = defaults(config.model_type()?);
    let width = |key: &str, default| Ok::<_, LoadError>(config.opt_size(&[key])?.unwrap_or(default));
    let (plain, shared) = (width("qk_nope_head_dim", defaults.plain)?, width("qk_rope_head_dim", 64)?);
    let rules = Rules { max_positions: defaults.max_positions, ..Rules::LLAMA.head_dim(shared) };
    let sizes = Sizes { head_dim: plain + shared, ..Sizes::read(config, &rules)? };
    if sizes.n_kv_heads != sizes.n_heads {
        let why = "keys and values of all heads are made of the latent: there are as many as of queries";
        return Err(config.unsupported("num_key_value_heads", sizes.n_kv_heads, why));
    }
    // A null is false in transformers.
    let interleaved =
        family == V2 || !config.is_null(&["rope_interleave"]) && config.flag(&["rope_interleave"], true)?;
    let pairing = if interleaved { Pairing::Interleaved } else { Pairing::Half };
    let rope = Rope { first: plain, ..rope(config, shared, &RopeRules { pairing, ..RopeRules::LLAMA })? };
    let scale = sizes.scale() * scaled(config, &rope)?;
    let bias = config.flag(&["attention_bias"], false)?;
    let latent = Latent {
        queries: config.size_or(&["q_lora_rank"], Some(defaults.queries))?,
        keys: width("kv_lora_rank", 512)?,
        shared,
        norm: Norm::rms(1e-6),
        bias,
    };
    const MLP_BIAS: &str = "mlp_bias";
    if family == V2 && config.flag(&[MLP_BIAS], false)? {
        return Err(config.unsupported(MLP_BIAS, true, "a shared expert with biases is not computed"));
    }
    let experts = match family {
        V2 => Some(of_v2(config)?),
        YOUTU => None,
        _ => Some(by_sigmoids(config, rules_of(family))?),
    };
    let sparse = match family {
        YOUTU => vec![false; sizes.n_layers],
        LITE => by_types(config, sizes.n_layers)?,
        _ => dense_first(config, sizes.n_layers, defaults.dense)?,
    };
    config.note_read(&["qk_head_dim", "ep_size", "seq_aux"]);
    let norm = Norm::rms(eps(config, "rms_norm_eps", defaults.eps)?);
    let heads = DecoderHead { tasks: defaults.tasks, tied: family == YOUTU, ..DecoderHead::of(defaults.class) };
    Ok(ModelSpec {
        v_head_dim: width("v_head_dim", defaults.values)?,
        ropes: vec![rope],
        attention: Attention { latent: Some(latent), out_bias: bias, ..attention() },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        experts,
        layers: sizes.layers(|i, layer| Layer { rope: Some(0), scale, experts: sparse[i], ..layer }),
        ..decoder(family, &sizes, norm, heads.read(from, &FILES)?)
    })
}

/// The factor on scores that comes with a stretched rotation: the square of `0.1 mscale_all_dim ln(factor) + 1`.
fn scaled(config: &HfConfig, rope: &Rope) -> Result<f64, LoadError> {
    if rope.scaling == RopeScaling::None {
        return Ok(1.0);
    }
    let section = ["rope_scaling", "rope_parameters"].iter().find_map(|key| config.object(key).transpose());
    let Some(section) = section.transpose()? else { return Ok(1.0) };
    let all = section.number(&["mscale_all_dim"], 0.0)?;
    if all == 0.0 {
        return Ok(1.0);
    }
    let factor = section.need_number("factor")?;
    let scale = if factor <= 1.0 { 1.0 } else { 0.1 * all * factor.ln() + 1.0 };
    Ok(scale * scale)
}

fn rules_of(family: &str) -> &'static SigmoidRules {
    const THREE: SigmoidRules = SigmoidRules {
        count: Some(256),
        chosen: Some(8),
        width: 2048,
        shared: Some(1),
        normalize: true,
        scale: 2.5,
        groups: 8,
        kept: 4,
    };
    const FLASH: SigmoidRules =
        SigmoidRules { count: Some(64), chosen: Some(4), width: 1536, scale: 1.8, groups: 1, kept: 1, ..THREE };
    if family == LITE { &FLASH } else { &THREE }
}

/// The mixture of experts of DeepSeek-V2: softmax over all experts, of which the best are chosen, perhaps of the groups
/// that have the best.
fn of_v2(config: &HfConfig) -> Result<Experts, LoadError> {
    const METHOD: &str = "topk_method";
    const SCORES: &str = "scoring_func";
    const NORMALIZED: &str = "norm_topk_prob";
    if let Some(other) = config.str(&[SCORES])?.filter(|score| *score != "softmax") {
        return Err(config.unsupported(SCORES, format!("{other:?}"), "scores of this family are a softmax"));
    }
    if config.flag(&[NORMALIZED], false)? {
        let why = "transformers does not divide weights of experts by their sum in this family";
        return Err(config.unsupported(NORMALIZED, true, why));
    }
    let size = |key: &str| config.size(&[key]);
    let groups = match config.str(&[METHOD])?.unwrap_or("greedy") {
        "greedy" => {
            config.note_read(&["n_group", "topk_group"]);
            None
        }
        "group_limited_greedy" => {
            Some(Groups { count: size("n_group")?, kept: size("topk_group")?, by: GroupScore::Best })
        }
        other => {
            let why = "known methods are greedy and group_limited_greedy";
            return Err(config.unsupported(METHOD, format!("{other:?}"), why));
        }
    };
    let router = Router { groups, scale: config.number(&["routed_scaling_factor"], 1.0)?, ..Router::default() };
    let width = config.opt_size(&["moe_intermediate_size"])?.unwrap_or(1407);
    let shared = config.opt_size(&["n_shared_experts"])?.unwrap_or(2);
    let all = Experts {
        count: config.opt_size(&["n_routed_experts", "num_experts"])?.unwrap_or(64),
        chosen: size("num_experts_per_tok")?,
        width,
        router,
        shared: Some(shared_of(config, shared, width)?),
        ..Experts::default()
    };
    experts(config, all)
}

/// Which layers have experts, by a list; without one, all but the first.
fn by_types(config: &HfConfig, n_layers: usize) -> Result<Vec<bool>, LoadError> {
    const KEY: &str = "mlp_layer_types";
    let Some(types) = config.list(KEY)? else {
        const DENSE: &str = "first_k_dense_replace";
        if let Some(other) = config.opt_count(&[DENSE])?.filter(|count| *count != 1) {
            return Err(config.unsupported(DENSE, other, "without mlp_layer_types, the first layer alone is dense"));
        }
        return Ok((0..n_layers).map(|layer| layer > 0).collect());
    };
    if types.len() < n_layers {
        return Err(config.bad(format!("{KEY:?} has {} entries for {n_layers} layers", types.len())));
    }
    let sparse = |kind: &serde_json::Value| match kind.as_str() {
        Some("dense") => Ok(false),
        Some("sparse") => Ok(true),
        _ => Err(config.unsupported(KEY, kind, "known types are dense and sparse")),
    };
    types.iter().take(n_layers).map(sparse).collect()
}
