//! Granite: Llama with factors on the embedding, the scores, what is added to the residual stream, and the logits.

use super::super::error::LoadError;
use super::super::spec::{Act, Embed, Head, Layer, Logits, Mlp, ModelSpec, Norm, Residual};
use super::read::{DecoderHead, Rules, Sizes, Task, act, attention_with_bias, decoder, eps};
use super::rope::{RopeRules, rope};
use super::{Family, Files, Sources, llama};

pub struct Granite;

impl Family for Granite {
    fn model_types(&self) -> &'static [&'static str] {
        &["granite"]
    }

    fn files(&self) -> &'static Files {
        &llama::FILES
    }

    fn spec(&self, from: &Sources) -> Result<ModelSpec, LoadError> {
        let config = from.config;
        let sizes = Sizes::read(config, &Rules::LLAMA)?;
        let factor = |key: &str| config.number(&[key], 1.0);
        let (scale, divisor) = (factor("attention_multiplier")?, factor("logits_scaling")?);
        if divisor == 0.0 {
            return Err(config.bad("\"logits_scaling\" is 0"));
        }
        let heads = DecoderHead { tasks: &[Task::Causal, Task::Bare], ..DecoderHead::of("Granite") };
        let head = match heads.read(from, self.files())? {
            Head::CausalLm(logits) => Head::CausalLm(Logits { scale: 1.0 / divisor, ..logits }),
            other => other,
        };
        let norm = Norm::rms(eps(config, "rms_norm_eps", 1e-6)?);
        let bias = config.flag(&["mlp_bias"], false)?;
        Ok(ModelSpec {
            embed: Embed { scale: factor("embedding_multiplier")?, ..Embed::plain(sizes.d_model) },
            ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
            attention: attention_with_bias(config.flag(&["attention_bias"], false)?),
            mlp: Mlp { gated: true, act: act(config, "hidden_act", Act::Silu)?, bias },
            layers: sizes.layers(|_, layer| Layer { rope: Some(0), scale, ..layer }),
            residual: Residual { scale: factor("residual_multiplier")?, ..Residual::default() },
            ..decoder("granite", &sizes, norm, head)
        })
    }
}
