//! Mixtures of experts as configurations describe them.

use crate::model::config::HfConfig;
use crate::model::error::LoadError;
use crate::model::spec::{Experts, GroupScore, Groups, Router, Score, SharedExpert};

/// Mixtures of experts, checked.
///
/// # Errors
/// If more experts are chosen than there are, or their groups do not come out even.
pub fn experts(config: &HfConfig, experts: Experts) -> Result<Experts, LoadError> {
    let Experts { count, chosen, .. } = experts;
    let mut among = count;
    if let Some(groups) = &experts.router.groups {
        if groups.count == 0 || !count.is_multiple_of(groups.count) || groups.kept > groups.count {
            let (groups, kept) = (groups.count, groups.kept);
            return Err(config.bad(format!("{kept} of {groups} equal groups cannot be made of {count} experts")));
        }
        let each = count / groups.count;
        if each < 2 && groups.by == GroupScore::TwoBest {
            return Err(config.bad(format!("groups of {each} expert cannot be weighed by their two best")));
        }
        among = each * groups.kept;
    }
    if chosen <= among { Ok(experts) } else { Err(config.bad(format!("{chosen} of {among} experts cannot be chosen"))) }
}

/// Which layers have a mixture of experts: every `decoder_sparse_step`th, those of `mlp_only_layers` excepted.
pub fn sparse_layers(config: &HfConfig, n_layers: usize) -> Result<Vec<bool>, LoadError> {
    let step = config.opt_size(&["decoder_sparse_step"])?.unwrap_or(1);
    let dense: Vec<u64> =
        config.list("mlp_only_layers")?.unwrap_or_default().iter().filter_map(|i| i.as_u64()).collect();
    Ok((0..n_layers).map(|i| !dense.contains(&(i as u64)) && (i + 1).is_multiple_of(step)).collect())
}

/// What a family of DeepSeek-V3's kind has where a configuration does not say; `None` where it has to.
#[derive(Clone, Copy, Debug)]
pub struct SigmoidRules {
    pub count: Option<usize>,
    pub chosen: Option<usize>,
    pub width: usize,
    /// Experts that every token passes, as many times as wide as the others.
    pub shared: Option<usize>,
    pub normalize: bool,
    pub scale: f64,
    pub groups: usize,
    /// Groups whose experts may be chosen.
    pub kept: usize,
}

/// The mixture of experts of DeepSeek-V3 and those after it: sigmoids as scores, numbers added to them for the choice,
/// groups of experts, and experts that every token passes.
pub fn by_sigmoids(config: &HfConfig, rules: &SigmoidRules) -> Result<Experts, LoadError> {
    const SCORES: &str = "scoring_func";
    if let Some(other) = config.str(&[SCORES])?.filter(|score| *score != "sigmoid") {
        return Err(config.unsupported(SCORES, format!("{other:?}"), "scores of this family are sigmoids"));
    }
    const NORMALIZED: &[&str] = &["norm_topk_prob"];
    const METHOD: &str = "topk_method";
    if let Some(other) = config.str(&[METHOD])?.filter(|method| *method != "noaux_tc") {
        return Err(config.unsupported(METHOD, format!("{other:?}"), "this family chooses experts by noaux_tc"));
    }
    let count = |keys: &[&str], default: Option<usize>| match (config.opt_size(keys)?, default) {
        (Some(given), _) => Ok(given),
        (None, Some(default)) => Ok(default),
        (None, None) => Err(config.missing(keys)),
    };
    let groups = count(&["n_group"], Some(rules.groups))?;
    let kept = count(&["topk_group"], Some(rules.kept))?;
    let router = Router {
        score: Score::Sigmoid,
        correction: true,
        groups: (groups > 1 || kept > 1).then_some(Groups { count: groups, kept, by: GroupScore::TwoBest }),
        // A null is false in transformers.
        normalize: !config.is_null(NORMALIZED) && config.flag(NORMALIZED, rules.normalize)?,
        added: 1e-20,
        scale: config.number(&["routed_scaling_factor"], rules.scale)?,
        ..Router::default()
    };
    let width = count(&["moe_intermediate_size"], Some(rules.width))?;
    let shared = count(&["n_shared_experts"], rules.shared)?;
    experts(
        config,
        Experts {
            count: count(&["n_routed_experts", "num_local_experts"], rules.count)?,
            chosen: count(&["num_experts_per_tok"], rules.chosen)?,
            width,
            router,
            shared: Some(shared_of(config, shared, width)?),
            ..Experts::default()
        },
    )
}

/// Several experts of this width that every token passes.
pub fn shared_of(config: &HfConfig, count: usize, width: usize) -> Result<SharedExpert, LoadError> {
    match count.checked_mul(width) {
        Some(width) => Ok(SharedExpert { width, mixed: false }),
        None => Err(config.bad(format!("{count} shared experts of {width} neurons are more than any model has"))),
    }
}

/// Which layers have experts where the first ones have a dense MLP.
pub fn dense_first(config: &HfConfig, n_layers: usize, dense: usize) -> Result<Vec<bool>, LoadError> {
    const EVERY: &str = "moe_layer_freq";
    if let Some(every) = config.opt_count(&[EVERY])?.filter(|every| *every != 1) {
        return Err(config.unsupported(EVERY, every, "all layers of this family but the first ones have experts"));
    }
    let dense = config.opt_count(&["first_k_dense_replace"])?.unwrap_or(dense);
    Ok((0..n_layers).map(|layer| layer >= dense).collect())
}
