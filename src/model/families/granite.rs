//! Granite: Llama with factors on the embedding, the scores, what is added to the residual stream, and the logits.
//! Granite 3 has models with mixtures of experts, whose chosen weights always add up to 1. Granite 4 names its MLP
//! otherwise, and may leave out the rotation; its layers with a state space or experts are refused.

use super::llama;
use super::prelude::*;

const SHARED_MLP: &[Entry] = &[Entry::GateUp("shared_mlp.input_linear"), weight("shared_mlp.output_linear", W_out)];
const EXPERTS: &[Entry] = &[
    weight("block_sparse_moe.router.layer", W_router),
    Entry::Merged(["block_sparse_moe.input_linear.weight", "block_sparse_moe.output_linear.weight"]),
    // As llama.cpp takes them apart, under Mixtral's names.
    Entry::Experts("block_sparse_moe.experts", ["w1", "w3", "w2"]),
];
static FILES: Files =
    Files { block: &[llama::NORMS, llama::ATTENTION, llama::MLP, SHARED_MLP, EXPERTS], ..llama::NAMES };

/// The `model_type` of Granite 4, and of Granite 3 with mixtures of experts.
const HYBRID: &str = "granitemoehybrid";
const MIXTURE: &str = "granitemoe";

pub static FAMILY: Family = Family::new(&["granite", MIXTURE, HYBRID], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let hybrid = config.model_type()? == HYBRID;
    let sizes = Sizes::read(config, &Rules::LLAMA)?;
    let (sizes, rotates) = if hybrid { dense(config, sizes)? } else { (sizes, true) };
    let factor = |key: &str| config.number(&[key], 1.0);
    let (scale, divisor) = (factor("attention_multiplier")?, factor("logits_scaling")?);
    if divisor == 0.0 {
        return Err(config.bad("\"logits_scaling\" is 0"));
    }
    let mixture = config.model_type()? == MIXTURE;
    let class = match (hybrid, mixture) {
        (true, _) => "GraniteMoeHybrid",
        (_, true) => "GraniteMoe",
        _ => "Granite",
    };
    let experts = if mixture { Some(mixtures(config, &sizes)?) } else { None };
    let heads = DecoderHead { tasks: Task::NO_CLASSES, ..DecoderHead::of(class) };
    let head = match heads.read(from, &FILES)? {
        Head::CausalLm(logits) => Head::CausalLm(Logits { scale: 1.0 / divisor, ..logits }),
        other => other,
    };
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    let bias = !mixture && config.flag(&["mlp_bias"], false)?;
    Ok(ModelSpec {
        embed: Embed { scale: factor("embedding_multiplier")?, ..Embed::plain(sizes.d_model) },
        ropes: if rotates { vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?] } else { Vec::new() },
        attention: attention_with_bias(config.flag(&["attention_bias"], false)?),
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias },
        layers: sizes.layers(|_, layer| Layer { rope: rotates.then_some(0), scale, experts: mixture, ..layer }),
        experts,
        residual: Residual { scale: factor("residual_multiplier")?, ..Residual::default() },
        ..decoder(config.model_type()?, &sizes, norm, head)
    })
}

fn mixtures(config: &HfConfig, sizes: &Sizes) -> Result<Experts, LoadError> {
    let count = config.opt_size(&["num_local_experts"])?.unwrap_or(8);
    let chosen = config.opt_size(&["num_experts_per_tok"])?.unwrap_or(2);
    let router = Router { normalize: true, ..Router::default() };
    experts(config, Experts { count, chosen, width: sizes.d_mlp, router, ..Experts::default() })
}

/// Granite 4 without its hybrid layers: its sizes, and whether it rotates queries and keys.
fn dense(config: &HfConfig, sizes: Sizes) -> Result<(Sizes, bool), LoadError> {
    const TYPES: &[&str] = &["layer_types", "layers_block_type"];
    let types = config.find(TYPES).and_then(|(key, types)| Some((key, types.as_array()?)));
    let Some((key, types)) = types else { return Err(config.missing(TYPES)) };
    if types.len() != sizes.n_layers {
        return Err(config.bad(format!("{key:?} has {} entries for {} layers", types.len(), sizes.n_layers)));
    }
    if let Some(other) = types.iter().find(|kind| *kind != "attention" && *kind != "full_attention") {
        return Err(config.unsupported(
            key,
            other,
            "layers that have a state space instead of attention are not computed",
        ));
    }
    const EXPERTS: &str = "num_local_experts";
    if let Some(count) = config.opt_count(&[EXPERTS])?.or(Some(8)).filter(|count| *count > 0) {
        return Err(config.unsupported(EXPERTS, count, "experts in addition to the shared MLP are not computed"));
    }
    // They are about layers that are not there.
    let others = config.json().keys().map(String::as_str).filter(|key| key.starts_with("mamba_"));
    config.note_read(&others.chain(["time_step_limit", "num_experts_per_tok"]).collect::<Vec<_>>());
    const POSITIONS: &str = "position_embedding_type";
    let rotates = match config.str(&[POSITIONS])? {
        None | Some("nope") => false,
        Some("rope") => true,
        Some(other) => {
            return Err(config.unsupported(POSITIONS, other, "known values are rope, and null for no positions"));
        }
    };
    if !rotates {
        config.note_read(&["rope_parameters", "rope_scaling", "rope_theta"]);
    }
    let d_mlp = config.opt_size(&["shared_intermediate_size"])?.unwrap_or(1024);
    Ok((Sizes { d_mlp, ..sizes }, rotates))
}
