//! Falcon-H1: attention and a state space of Mamba-2's kind side by side in every block, a gated MLP after them, and
//! factors on nearly everything that is projected or added.

use super::llama;
use super::prelude::*;
use super::state_space::{self, Mamba2Keys};

const NORMS: &[Entry] = &[weight("input_layernorm", Ln1W), weight("pre_ff_layernorm", Ln2W)];
pub const MLP: &[Entry] = &[
    both("feed_forward.gate_proj", W_gate, b_gate),
    both("feed_forward.up_proj", W_in, b_in),
    both("feed_forward.down_proj", W_out, b_out),
];
static FILES: Files = Files {
    block: &[NORMS, llama::ATTENTION, state_space::mamba2!("mamba"), MLP],
    after: &[weight("final_layernorm", LnFinalW)],
    ..llama::NAMES
};

pub static FAMILY: Family = Family::new(&["falcon_h1"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules { max_positions: 8192, ..Rules::LLAMA.kv(8) })?;
    let factor = |key: &str| config.number(&[key], 1.0);
    let bias = config.flag(&["attention_bias"], false)?;
    let input = factor("attention_in_multiplier")?;
    if bias && input != 1.0 {
        let why = "with \"attention_bias\", only a factor of 1 is computed";
        return Err(config.unsupported("attention_in_multiplier", input, why));
    }
    let [gate, down] = factors(config, "mlp_multipliers")?;
    let factors = Factors { q: input, k: input * factor("key_multiplier")?, v: input, gate };
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-5)?);
    let space = space(config, &sizes)?;
    let heads = DecoderHead { tasks: Task::NO_CLASSES, ..DecoderHead::of("FalconH1") };
    let head = match heads.read(from, &FILES)? {
        Head::CausalLm(logits) => Head::CausalLm(Logits { scale: factor("lm_head_multiplier")?, ..logits }),
        other => {
            config.note_read(&["lm_head_multiplier"]);
            other
        }
    };
    Ok(ModelSpec {
        embed: Embed { scale: factor("embedding_multiplier")?, ..Embed::plain(sizes.d_model) },
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: attention_with_bias(bias),
        mlp: Mlp {
            gated: true,
            act: act(config, "hidden_act", Act::Silu)?,
            bias: config.flag(&["mlp_bias"], false)?,
            out_bias: config.flag(&["mlp_bias"], false)?,
        },
        layers: sizes.layers(|_, layer| Layer { mixer: Mixer::Both(space), rope: Some(0), factors, ..layer }),
        residual: Residual {
            attention: factor("attention_out_multiplier")?,
            mixer: factor("ssm_out_multiplier")?,
            mlp: down,
            ..Residual::default()
        },
        ..decoder("falcon_h1", &sizes, norm, head)
    })
}

fn space(config: &HfConfig, sizes: &Sizes) -> Result<StateSpace, LoadError> {
    let expanded = config.opt_size(&["mamba_expand"])?.unwrap_or(2) * sizes.d_model;
    let width = config.size_or(&["mamba_d_ssm"], Some(1024))?.unwrap_or(expanded);
    const BIAS: &str = "projectors_bias";
    if config.flag(&[BIAS], false)? {
        return Err(config.unsupported(BIAS, true, "biases of these projections are not computed"));
    }
    const FIRST: &[&str] = &["mamba_norm_before_gate"];
    // A null counts as false here.
    let first = !config.is_null(FIRST) && config.flag(FIRST, true)?;
    let norm = match config.flag(&["mamba_rms_norm"], false)? {
        false => SpaceNorm::None,
        true if first => SpaceNorm::First,
        true => SpaceNorm::Last,
    };
    let input = config.number(&["ssm_in_multiplier"], 1.0)?;
    let [gate, v, k, q, a] = factors(config, "ssm_multipliers")?.map(|factor| factor * input);
    let space = state_space::of_heads(config, &Mamba2Keys::HYBRID, Some(width))?;
    Ok(StateSpace { norm, factors: SpaceFactors { gate, v, k, q, a }, ..space })
}

/// So many factors; ones if they are not given.
fn factors<const N: usize>(config: &HfConfig, key: &'static str) -> Result<[f64; N], LoadError> {
    if config.find(&[key]).is_none() {
        config.note_read(&[key]);
        return Ok([1.0; N]);
    }
    let given = config.numbers(key)?;
    let count = given.len();
    given.try_into().map_err(|_| config.bad(format!("{key:?} has {count} numbers, and {N} are needed")))
}
