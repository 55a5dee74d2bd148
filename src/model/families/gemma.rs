//! Gemma: Llama with gains of 1 + weight, a scaled embedding, and gelu in the gated MLP.

use super::llama;
use super::prelude::*;

pub static FAMILY: Family = Family::new(&["gemma"], &llama::FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    causal_only(config)?;
    // Early configurations say gelu and mean its approximation, which they sometimes say under another key.
    config.note_read(&["hidden_activation"]);
    let act = match config.str(&["hidden_act"])? {
        Some("gelu") => Act::GeluTanh,
        _ => act(config, "hidden_act", Act::GeluTanh)?,
    };
    let sizes = Sizes::read(config, &Rules { max_positions: 8192, ..Rules::LLAMA.kv(16).head_dim(256) })?;
    let heads = DecoderHead { tied: true, pad: Some(0), tasks: Task::NO_QUESTION, ..DecoderHead::of("Gemma") };
    Ok(ModelSpec {
        embed: embed(&sizes),
        ropes: vec![rope(config, sizes.head_dim, &RopeRules::LLAMA)?],
        attention: attention_with_bias(config.flag(&["attention_bias"], false)?),
        mlp: Mlp { gated: true, act, bias: false, out_bias: false },
        layers: sizes.layers(|_, layer| Layer { rope: Some(0), ..layer }),
        ..decoder("gemma", &sizes, norm(config)?, heads.read(from, &llama::FILES)?)
    })
}

/// The embedding of the Gemma models, times the root of the model's width.
pub fn embed(sizes: &Sizes) -> Embed {
    Embed { scale: (sizes.d_model as f64).sqrt(), ..Embed::plain(sizes.d_model) }
}

pub fn norm(config: &HfConfig) -> Result<Norm, LoadError> {
    Ok(Norm { gain: Gain::OnePlus, ..Norm::rms(eps(config, "rms_norm_eps", 1e-6)?) })
}

/// Refuses attention in both directions, which these models describe but do not compute.
pub fn causal_only(config: &HfConfig) -> Result<(), LoadError> {
    const KEY: &str = "use_bidirectional_attention";
    if config.flag(&[KEY], false)? {
        return Err(config.unsupported(KEY, true, "attention in both directions is computed for gemma3 only"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkpoint::Checkpoint;

    /// As transformers reads it: the legacy name is the approximation, and every other name is what it says.
    #[test]
    fn only_gelu_itself_means_its_approximation() {
        for (name, wanted) in [
            ("gelu", Act::GeluTanh),
            ("gelu_python", Act::Gelu),
            ("gelu_pytorch_tanh", Act::GeluTanh),
            ("relu", Act::Relu),
        ] {
            let text = format!(
                r#"{{"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 16, "intermediate_size": 8,
                    "vocab_size": 5, "hidden_act": "{name}"}}"#
            );
            let config = HfConfig::parse("config.json", text.as_bytes()).unwrap();
            let spec = FAMILY.spec(&Sources { config: &config, checkpoint: &Checkpoint::default(), sentence: None });
            assert_eq!(spec.unwrap().mlp.act, wanted, "{name}");
        }
    }
}
