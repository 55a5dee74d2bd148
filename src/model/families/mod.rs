//! The architectures that are supported, one small file each.
//!
//! A family says two things: what a configuration means as a [`ModelSpec`], and what its tensors are called. Adding one is
//! adding a file and a line in [`FAMILIES`].

mod bert;
mod gpt2;
mod llama;
mod names;
mod rope;

pub use names::{Ignored, Layout, Part, Source, TensorNames, Wanted};

use super::checkpoint::Checkpoint;
use super::config::{ACT, HfConfig};
use super::error::LoadError;
use super::spec::{Act, ModelSpec};

/// What a family reads.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// `config.json`.
    pub config: &'a HfConfig,
    /// The names (and, for duplicates, the bytes) of the tensors there are.
    pub checkpoint: &'a Checkpoint,
    /// Whether sentence-transformers modules ask for the mean over tokens.
    pub mean_pooling: bool,
}

/// One architecture.
pub trait Family: Sync {
    /// Values of `model_type` it is for.
    fn model_types(&self) -> &'static [&'static str];

    /// What the configuration means.
    fn spec(&self, from: &Sources) -> Result<ModelSpec, LoadError>;

    /// The tensors that a model of this specification needs, and those it has no use for.
    fn names(&self, spec: &ModelSpec, from: &Sources) -> Result<TensorNames, LoadError>;
}

/// Every supported architecture.
pub static FAMILIES: &[&dyn Family] = &[&gpt2::Gpt2, &llama::Llama, &bert::Bert];

/// The family of a configuration.
pub fn find(config: &HfConfig) -> Result<&'static dyn Family, LoadError> {
    let model_type = config.model_type()?;
    FAMILIES.iter().copied().find(|family| family.model_types().contains(&model_type)).ok_or_else(|| {
        let supported: Vec<&str> = FAMILIES.iter().flat_map(|family| family.model_types()).copied().collect();
        LoadError::UnknownModelType {
            path: config.path().to_owned(),
            model_type: model_type.to_owned(),
            why: why_not(model_type),
            supported: supported.join(", "),
        }
    })
}

/// Why an architecture cannot be described by a [`ModelSpec`], where that is known.
fn why_not(model_type: &str) -> Option<&'static str> {
    Some(match model_type {
        "t5" | "mt5" | "umt5" | "longt5" => "it is an encoder-decoder pair with relative position biases",
        "bart" | "mbart" | "pegasus" | "marian" | "blenderbot" | "m2m_100" | "whisper" => {
            "it is an encoder-decoder pair"
        }
        "deberta" | "deberta-v2" => "its attention is disentangled into contents and positions",
        "mamba" | "mamba2" | "falcon_mamba" => "it has state-space layers instead of attention",
        "rwkv" | "rwkv6" => "it is a recurrent network",
        "jamba" | "bamba" | "zamba" | "zamba2" | "nemotron_h" | "qwen3_next" | "qwen3_5" => {
            "some of its layers are recurrent instead of attention"
        }
        "deepseek_v2" | "deepseek_v3" => "its attention compresses keys and values into a latent vector",
        "gemma3n" | "gemma4" => "its residual stream has several parallel parts",
        "xlnet" => "its attention runs over permutations of the text",
        "reformer" | "longformer" | "big_bird" => "its attention is sparse",
        "mixtral" | "qwen2_moe" | "qwen3_moe" | "olmoe" | "gpt_oss" | "dbrx" => "its MLPs are mixtures of experts",
        _ => return None,
    })
}

/// The refusal of a head, naming those there are.
fn unsupported_head(config: &HfConfig, architecture: &str, model_type: &str, supported: &str) -> LoadError {
    LoadError::UnsupportedHead {
        path: config.path().to_owned(),
        architecture: architecture.to_owned(),
        model_type: model_type.to_owned(),
        supported: supported.to_owned(),
    }
}

/// The activation function of a configuration. Only `gelu` itself is the exact one.
fn act(config: &HfConfig, default: Act) -> Result<Act, LoadError> {
    let Some(name) = config.str(ACT)? else { return Ok(default) };
    Ok(match name {
        "gelu" | "gelu_python" => Act::Gelu,
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_python_tanh" | "gelu_fast" | "gelu_accurate" => Act::GeluTanh,
        "silu" | "swish" => Act::Silu,
        "relu" => Act::Relu,
        "tanh" => Act::Tanh,
        _ => {
            let key = config.find(ACT).map_or(ACT[0], |(key, _)| key);
            let why = "known activations are gelu, gelu_new, gelu_pytorch_tanh, gelu_fast, silu, swish, relu and tanh";
            return Err(config.unsupported(key, format!("{name:?}"), why));
        }
    })
}

/// Width of one head where it follows from the width of the model.
fn even_head_dim(config: &HfConfig, d_model: usize, n_heads: usize) -> Result<usize, LoadError> {
    if d_model.is_multiple_of(n_heads) {
        Ok(d_model / n_heads)
    } else {
        Err(config.bad(format!("a width of {d_model} cannot be split into {n_heads} heads")))
    }
}

/// What stands in front of `probe` in the checkpoint's names: checkpoints of the same model have no prefix, that of the
/// model with a head, or that of a wrapper. The shortest wins; `usual` if the tensor is missing.
fn prefix(checkpoint: &Checkpoint, probe: &str, usual: &str) -> String {
    checkpoint
        .entries()
        .iter()
        .filter_map(|entry| entry.name.strip_suffix(probe))
        .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
        .min_by_key(|prefix| prefix.len())
        .unwrap_or(usual)
        .to_owned()
}

/// Whether the unembedding is the token embedding: the configuration says so or the head is not in the file, and the file
/// does not hold a head that differs.
fn tied(from: &Sources, default: bool, head: &str, embedding: &str) -> Result<bool, LoadError> {
    if !from.checkpoint.has(head) {
        return Ok(true);
    }
    Ok(from.config.flag(&["tie_word_embeddings"], default)? && from.checkpoint.same_values(head, embedding))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> HfConfig {
        HfConfig::parse("config.json", text.as_bytes()).unwrap()
    }

    fn refusal(text: &str) -> String {
        find(&config(text)).err().unwrap().to_string()
    }

    #[test]
    fn families_that_do_not_fit_are_refused_with_the_reason() {
        assert_eq!(
            refusal(r#"{"model_type": "t5"}"#),
            "config.json: model_type \"t5\" is not supported: it is an encoder-decoder pair with relative position biases; \
             supported: gpt2, llama, bert"
        );
        assert_eq!(
            refusal(r#"{"model_type": "clip"}"#),
            "config.json: model_type \"clip\" is not supported; supported: gpt2, llama, bert"
        );
        assert_eq!(refusal("{}"), "config.json has no \"model_type\"; add it from the model's original configuration");
    }

    #[test]
    fn activations_are_known_by_all_their_names() {
        let read = |name: &str| act(&config(&format!("{{\"hidden_act\": {name:?}}}")), Act::Relu);
        assert_eq!(read("gelu").unwrap(), Act::Gelu);
        for name in ["gelu_new", "gelu_pytorch_tanh", "gelu_fast"] {
            assert_eq!(read(name).unwrap(), Act::GeluTanh);
        }
        assert_eq!(read("swish").unwrap(), Act::Silu);
        assert_eq!(act(&config("{}"), Act::Relu).unwrap(), Act::Relu);
        assert_eq!(
            read("quick_gelu").unwrap_err().to_string(),
            "config.json: hidden_act = \"quick_gelu\" is not supported: known activations are gelu, gelu_new, \
             gelu_pytorch_tanh, gelu_fast, silu, swish, relu and tanh"
        );
    }
}
