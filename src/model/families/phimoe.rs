//! Phi-3.5-MoE: Mixtral with layer norms and a sparse mixer, which weighs each of two experts among those near to it.

use super::prelude::*;
use super::{llama, mixtral};

const ROUTER: &[Entry] = &[weight("mlp.router", W_router)];
static FILES: Files =
    Files { block: &[llama::NORMS, llama::ATTENTION, mixtral::EXPERTS, ROUTER, llama::EXPERTS], ..llama::NAMES };

pub static FAMILY: Family = Family::new(&["phimoe"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 1 << 17, ..Rules::LLAMA.kv(8) })?;
    let reach = config.size_or(&["sliding_window"], None)?.map(Reach::window);
    let count = config.opt_size(&["num_local_experts", "num_experts"])?.unwrap_or(16);
    const CHOSEN: &str = "num_experts_per_tok";
    let chosen = config.opt_size(&[CHOSEN])?.unwrap_or(2);
    if chosen != 2 {
        return Err(config.unsupported(CHOSEN, chosen, "a sparse mixer chooses two experts"));
    }
    let jitter = config.number(&["router_jitter_noise"], 0.01)?;
    let router = Router { score: Score::SparseMixer { jitter }, ..Router::default() };
    let all = Experts { count, chosen, width: sizes.d_mlp, router, ..Experts::default() };
    config.note_read(&["input_jitter_noise"]);
    let norm = Norm::layer_norm(eps(config, "rms_norm_eps", 1e-5)?);
    const TASKS: &[Task] = &[Task::Causal, Task::Sequence, Task::Bare];
    let bias = config.flag(&["lm_head_bias"], false)?;
    let heads = DecoderHead { tasks: TASKS, bias, ..DecoderHead::of("Phimoe") };
    Ok(ModelSpec {
        ropes: vec![stretched(config, rope(config, sizes.head_dim, &RopeRules::LLAMA.theta(1e6))?)?],
        attention: attention_with_bias(config.flag(&["attention_bias"], false)?),
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        experts: Some(experts(config, all)?),
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), reach, experts: true, ..layer }),
        ..decoder("phimoe", &sizes, norm, heads.read(from, &FILES)?)
    })
}

/// The rotation as transformers computes it: frequencies are stretched by the short list whatever the length of the
/// text, and cosines and sines have a factor of their own.
fn stretched(config: &HfConfig, rope: Rope) -> Result<Rope, LoadError> {
    let RopeScaling::LongRope { short, original_max, .. } = &rope.scaling else {
        return match rope.scaling {
            RopeScaling::None => Ok(rope),
            other => {
                let why = "known types are default and longrope";
                Err(config.unsupported("rope_parameters.rope_type", format!("{:?}", other.name()), why))
            }
        };
    };
    let section = ["rope_scaling", "rope_parameters"].iter().find_map(|key| config.object(key).transpose());
    let Some(section) = section.transpose()? else { return Ok(rope) };
    let (factor, beyond) = (section.need_number("short_mscale")?, section.need_number("long_mscale")?);
    if factor != beyond {
        let why = "another factor for long texts than for short ones is not computed";
        return Err(section.unsupported("long_mscale", beyond, why));
    }
    let (short, original_max) = (short.clone(), *original_max);
    let scaling = RopeScaling::LongRope { long: short.clone(), short, attention_factor: factor, original_max };
    Ok(Rope { scaling, ..rope })
}
