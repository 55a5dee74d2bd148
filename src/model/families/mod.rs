//! The architectures that are supported, one small file each.
//!
//! A family says two things: what a configuration means as a [`ModelSpec`], and what its tensors are called, as a
//! table. Adding one is adding a file and a line in [`FAMILIES`].

mod albert;
mod apertus;
mod arcee;
mod baichuan;
mod bamba;
mod bart;
mod bert;
mod bloom;
mod codegen;
mod cohere;
mod cohere2;
mod deberta_v2;
mod deepseek;
mod distilbert;
mod dots1;
mod electra;
mod encoder;
mod entry;
mod ernie4_5;
mod esm;
mod eurobert;
mod exaone4;
mod falcon;
mod falcon_h1;
mod files;
mod gemma;
mod gemma2;
mod gemma3;
mod gemma4;
mod glm;
mod glm4_moe;
mod gpt2;
mod gpt_bigcode;
mod gpt_neo;
mod gpt_neox;
mod gpt_oss;
mod gptj;
mod granite;
mod gte;
mod helium;
mod hunyuan;
mod internlm2;
mod jais2;
mod jamba;
mod leftovers;
mod lfm2;
mod llama;
mod llama4;
mod mamba;
mod mamba2;
mod minicpm;
mod minimax_m2;
mod mistral;
mod mixtral;
mod modernbert;
mod mpnet;
mod mpt;
mod names;
mod nanochat;
mod nemotron;
mod nemotron_h;
mod nomic_bert;
mod olmo;
mod olmo2;
mod olmo3;
mod olmoe;
mod opt;
mod pair;
mod persimmon;
mod phi;
mod phi3;
mod phimoe;
mod prelude;
mod prenorm;
mod qwen2;
mod qwen2_moe;
mod qwen3;
mod qwen3_moe;
mod qwen3_next;
mod read;
mod roberta;
mod rope;
mod seed_oss;
mod smollm3;
mod stablelm;
mod starcoder2;
mod state_space;
mod t5;
mod unsupported;
mod wrappers;

use super::checkpoint::Checkpoint;
use super::config::HfConfig;
use super::error::LoadError;
use super::spec::{ModelSpec, Sentence};

pub use files::Files;
pub use names::{Ignored, Layout, Part, Source, TensorNames, Wanted};
pub use read::torch_activation;
pub use wrappers::text_part;

#[derive(Clone, Copy)]
pub struct Sources<'a> {
    pub config: &'a HfConfig,
    /// The names (and, for duplicates, the bytes) of the tensors there are.
    pub checkpoint: &'a Checkpoint,
    pub sentence: Option<&'a Sentence>,
}

/// One architecture: what its configuration means, and where its weights are.
pub struct Family {
    model_types: &'static [&'static str],
    files: &'static Files,
    spec: fn(&Sources) -> Result<ModelSpec, LoadError>,
    names: Option<fn(&ModelSpec, &Sources) -> Result<TensorNames, LoadError>>,
}

impl Family {
    const fn new(
        model_types: &'static [&'static str],
        files: &'static Files,
        spec: fn(&Sources) -> Result<ModelSpec, LoadError>,
    ) -> Family {
        Family { model_types, files, spec, names: None }
    }

    /// The same for a family whose configuration decides where its weights are.
    const fn with_names(self, names: fn(&ModelSpec, &Sources) -> Result<TensorNames, LoadError>) -> Family {
        Family { names: Some(names), ..self }
    }

    pub fn model_types(&self) -> &'static [&'static str] {
        self.model_types
    }

    pub fn files(&self) -> &'static Files {
        self.files
    }

    /// What the configuration means: what the family makes of it, and what the configuration of any decoder may say.
    pub fn spec(&self, from: &Sources) -> Result<ModelSpec, LoadError> {
        let mut spec = (self.spec)(from)?;
        let text = from.config.nested("text_config")?;
        read::look_both_ways(text.as_ref().unwrap_or(from.config), &mut spec)?;
        read::scores(from.config, &mut spec)?;
        Ok(spec)
    }

    /// The tensors that a model of this specification needs, and those it has no use for.
    pub fn names(&self, spec: &ModelSpec, from: &Sources) -> Result<TensorNames, LoadError> {
        match self.names {
            Some(names) => names(spec, from),
            None => self.files.names(spec, from),
        }
    }
}

pub static FAMILIES: &[&Family] = &[
    &gpt2::FAMILY,
    &gpt_neo::FAMILY,
    &gptj::FAMILY,
    &codegen::FAMILY,
    &gpt_neox::FAMILY,
    &gpt_bigcode::FAMILY,
    &opt::FAMILY,
    &bloom::FAMILY,
    &falcon::FAMILY,
    &mpt::FAMILY,
    &llama::FAMILY,
    &llama4::FAMILY,
    &mistral::FAMILY,
    &mixtral::FAMILY,
    &minimax_m2::FAMILY,
    &qwen2::FAMILY,
    &qwen2_moe::FAMILY,
    &seed_oss::FAMILY,
    &qwen3::FAMILY,
    &qwen3_moe::FAMILY,
    &qwen3_next::FAMILY,
    &lfm2::FAMILY,
    &mamba::FAMILY,
    &mamba2::FAMILY,
    &falcon_h1::FAMILY,
    &nemotron_h::FAMILY,
    &bamba::FAMILY,
    &jamba::FAMILY,
    &gemma::FAMILY,
    &gemma2::FAMILY,
    &gemma3::FAMILY,
    &gemma4::FAMILY,
    &phi::FAMILY,
    &phi3::FAMILY,
    &phimoe::FAMILY,
    &stablelm::FAMILY,
    &starcoder2::FAMILY,
    &olmo::FAMILY,
    &olmo2::FAMILY,
    &olmo3::FAMILY,
    &olmoe::FAMILY,
    &cohere::FAMILY,
    &cohere2::FAMILY,
    &granite::FAMILY,
    &smollm3::FAMILY,
    &glm::FAMILY,
    &glm4_moe::FAMILY,
    &dots1::FAMILY,
    &deepseek::FAMILY,
    &nemotron::FAMILY,
    &helium::FAMILY,
    &arcee::FAMILY,
    &jais2::FAMILY,
    &exaone4::FAMILY,
    &ernie4_5::FAMILY,
    &persimmon::FAMILY,
    &gpt_oss::FAMILY,
    &hunyuan::FAMILY,
    &nanochat::FAMILY,
    &internlm2::FAMILY,
    &minicpm::FAMILY,
    &baichuan::FAMILY,
    &apertus::FAMILY,
    &bert::FAMILY,
    &bert::ERNIE_FAMILY,
    &roberta::FAMILY,
    &roberta::DATA2VEC_FAMILY,
    &distilbert::FAMILY,
    &electra::FAMILY,
    &albert::FAMILY,
    &modernbert::FAMILY,
    &nomic_bert::FAMILY,
    &gte::FAMILY,
    &mpnet::FAMILY,
    &t5::FAMILY,
    &bart::FAMILY,
    &eurobert::FAMILY,
    &esm::FAMILY,
    &deberta_v2::FAMILY,
    &prenorm::MEGATRON,
    &prenorm::ROBERTA,
    &prenorm::XLM_ROBERTA_XL,
];

/// The family of a configuration.
///
/// # Errors
/// If there is none, with the reason where it is known.
pub fn find(config: &HfConfig) -> Result<&'static Family, LoadError> {
    let model_type = config.model_type()?;
    FAMILIES.iter().copied().find(|family| family.model_types().contains(&model_type)).ok_or_else(|| {
        let (path, model_type) = (config.path().to_owned(), model_type.to_owned());
        LoadError::UnknownModelType { path, why: reason(&model_type), model_type }
    })
}

/// Every `model_type` that is supported: those of the families in their order, then those whose text part is one of them.
pub fn model_types() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().flat_map(|family| family.model_types()).copied().chain(wrappers::model_types())
}

/// Every `model_type` of a model that reads images too, whose text part is opened.
pub fn with_text_part() -> impl Iterator<Item = &'static str> {
    wrappers::model_types()
}

/// The architectures that are known and not supported: why, and what they are called.
pub fn refused() -> impl Iterator<Item = (&'static str, impl Iterator<Item = &'static str>)> {
    unsupported::REASONS.iter().map(|(reason, names)| (*reason, names.split_whitespace()))
}

/// Why an architecture that is not supported is not: `model_type`, or what a GGUF file calls it.
pub fn reason(name: &str) -> &'static str {
    unsupported::reason(name).unwrap_or("llmdbg does not know this architecture")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        find(&HfConfig::parse("config.json", text.as_bytes()).unwrap()).err().unwrap().to_string()
    }

    #[test]
    fn families_that_do_not_fit_are_refused_with_the_reason() {
        let blenderbot = refusal(r#"{"model_type": "blenderbot"}"#);
        assert_eq!(
            blenderbot,
            "config.json: model_type \"blenderbot\" is not supported: it is an encoder-decoder pair; \
             \"llmdbg models\" lists what is"
        );
        let nobody = refusal(r#"{"model_type": "flux_capacitor"}"#);
        assert!(nobody.contains("llmdbg does not know this architecture"), "{nobody}");
        assert_eq!(refusal("{}"), "config.json has no \"model_type\"; add it from the model's original configuration");
    }

    #[test]
    fn no_type_belongs_to_two_families_or_is_refused_too() {
        let mut types: Vec<&str> = model_types().collect();
        let count = types.len();
        assert!(types.iter().all(|name| unsupported::reason(name).is_none()));
        types.sort_unstable();
        types.dedup();
        assert_eq!(types.len(), count);
    }
}
