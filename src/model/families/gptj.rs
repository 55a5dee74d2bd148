//! GPT-J: attention and MLP side by side after one norm, rotation of neighbouring features, a bias on the logits.

use super::gpt2;
use super::prelude::*;

static FILES: Files = Files {
    before: &[weight("wte", W_E)],
    block: &[&[
        both("ln_1", Ln1W, Ln1B),
        weight("attn.q_proj", W_Q),
        weight("attn.k_proj", W_K),
        weight("attn.v_proj", W_V),
        weight("attn.out_proj", W_O),
        both("mlp.fc_in", W_in, b_in),
        both("mlp.fc_out", W_out, b_out),
    ]],
    ..gpt2::NAMES
};

pub static FAMILY: Family = Family::new(&["gptj"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    spec_of(from, "gptj", &FILES, "GPTJ", &[Task::Causal, Task::Sequence, Task::Question, Task::Bare])
}

pub fn spec_of(
    from: &Sources,
    family: &str,
    files: &Files,
    class: &str,
    tasks: &[Task],
) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules::GPT2)?;
    let heads = DecoderHead { bias: true, tasks, ..DecoderHead::of(class) };
    let norm = Norm::layer_norm(eps(config, "layer_norm_epsilon", 1e-5)?);
    Ok(ModelSpec {
        placement: Placement::ParallelOne,
        ropes: vec![rope(config, sizes.head_dim)?],
        attention: attention(),
        mlp: Mlp { gated: false, act: act(config, "activation_function", Act::GeluTanh)?, bias: true, out_bias: true },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder(family, &sizes, norm, heads.read(from, files)?)
    })
}

fn rope(config: &HfConfig, head_dim: usize) -> Result<Rope, LoadError> {
    let Some(dim) = config.size_or(&["rotary_dim"], Some(64))? else {
        return Err(config.unsupported("rotary_dim", "null", "say how many features of a head rotate"));
    };
    if dim > head_dim || !dim.is_multiple_of(2) {
        return Err(config.bad(format!("RoPE cannot rotate {dim} of {head_dim} features in pairs")));
    }
    let (pairing, scaling) = (Pairing::Interleaved, RopeScaling::None);
    Ok(Rope { theta: 10000.0, first: 0, dim, pairing, scaling, backwards: false, tabled: true })
}
