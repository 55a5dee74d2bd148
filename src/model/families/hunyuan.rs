//! Hunyuan: Llama with norms of each query and key after the rotation; dense, or with experts and an MLP of their width that
//! every token passes.

use super::llama;
use super::prelude::*;

static FILES: Files =
    Files { block: &[llama::NORMS, llama::ATTENTION, QK_NORMS, llama::MLP, EXPERTS, llama::EXPERTS], ..llama::NAMES };

const QK_NORMS: &[Entry] = &[weight("self_attn.query_layernorm", QNormW), weight("self_attn.key_layernorm", KNormW)];

const EXPERTS: &[Entry] = &[
    weight("mlp.gate.wg", W_router),
    weight("mlp.shared_mlp.gate_proj", SharedGate),
    weight("mlp.shared_mlp.up_proj", SharedIn),
    weight("mlp.shared_mlp.down_proj", SharedOut),
];

const MIXTURE: &str = "hunyuan_v1_moe";

pub static FAMILY: Family = Family::new(&["hunyuan_v1_dense", MIXTURE], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules::LLAMA)?;
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-5)?);
    let tasks = &[Task::Causal, Task::Sequence, Task::Bare];
    let experts = mixture(config, &sizes)?;
    let class = if experts.is_some() { "HunYuanMoEV1" } else { "HunYuanDenseV1" };
    let heads = DecoderHead { pad: Some(0), tasks, ..DecoderHead::of(class) };
    let qk_norm = Some(QkNorm { norm, over: QkNormOver::Head });
    let attention = attention_with_bias(config.flag(&["attention_bias"], false)?);
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules { alpha: true, ..RopeRules::LLAMA })?],
        attention: Attention { qk_norm, rotates_first: true, ..attention },
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), experts: experts.is_some(), ..layer }),
        experts,
        ..decoder(config.model_type()?, &sizes, norm, heads.read(from, &FILES)?)
    })
}

/// The experts of a model that has any: the same number of them in all layers, one of which every token passes besides.
fn mixture(config: &HfConfig, sizes: &Sizes) -> Result<Option<Experts>, LoadError> {
    if config.model_type()? != MIXTURE {
        return Ok(None);
    }
    const CHOSEN: &str = "moe_topk";
    let same = |key: &'static str| match config.list(key) {
        Ok(Some([first, rest @ ..])) if rest.iter().all(|other| other == first) => {
            let number = first.as_u64().and_then(|number| usize::try_from(number).ok());
            number.ok_or_else(|| config.bad(format!("{key:?} is not a list of numbers")))
        }
        Ok(Some(_)) => Err(config.unsupported(key, "...", "layers have the same numbers of experts")),
        Ok(None) | Err(_) => Ok(config.opt_size(&[key])?.unwrap_or(1)),
    };
    let router = Router { normalize: true, ..Router::default() };
    let shared = Some(SharedExpert { width: sizes.d_mlp, mixed: false });
    let (count, chosen) = (config.opt_size(&["num_experts"])?.unwrap_or(1), same(CHOSEN)?);
    experts(config, Experts { count, chosen, width: sizes.d_mlp, router, shared, ..Experts::default() }).map(Some)
}
