//! Baichuan 7B, as its own code has it: Llama with queries, keys and values in one matrix. The 13B, which has linear biases,
//! and Baichuan 2, whose unembedding has rows of unit length, are refused.

use super::llama;
use super::prelude::*;

const ATTENTION: &[Entry] = &[Entry::Qkv("self_attn.W_pack", Split::Concat), weight("self_attn.o_proj", W_O)];
static FILES: Files = Files { block: &[llama::NORMS, ATTENTION, llama::MLP], ..llama::NAMES };

pub static FAMILY: Family = Family::new(&["baichuan"], &FILES, spec);

/// Rows of the vocabulary of Baichuan 2, by which other implementations know it too.
const SECOND: usize = 125_696;

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    const LENGTH: &str = "max_position_embeddings";
    if let (None, Some((key, length))) = (config.find(&[LENGTH]), config.find(&["model_max_length"])) {
        return Err(config.unsupported(key, length, "without \"max_position_embeddings\" positions are linear biases"));
    }
    config.note_read(&["model_max_length"]);
    let sizes = Sizes::read(config, &Rules { kv: Kv::Heads, head_dim: HeadDim::Even, ..Rules::LLAMA })?;
    if sizes.vocab == SECOND {
        let why = "it is Baichuan 2, whose unembedding is normalised when it is used";
        return Err(config.unsupported("vocab_size", SECOND, why));
    }
    let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
    let heads = DecoderHead { tasks: Task::NO_CLASSES, ..DecoderHead::of("Baichuan") };
    let heads = DecoderHead { class: if is_upper(config)? { "BaiChuan" } else { "Baichuan" }, ..heads };
    Ok(ModelSpec {
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias: false, out_bias: false },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("baichuan", &sizes, norm, heads.read(from, &FILES)?)
    })
}

/// The two spellings of the class.
fn is_upper(config: &HfConfig) -> Result<bool, LoadError> {
    Ok(config.architecture()?.is_some_and(|name| name.starts_with("BaiChuan")))
}
