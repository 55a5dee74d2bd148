//! GPT-Neo: learned positions, unscaled attention, alternating with and without a window.

use serde_json::Value;

use super::gpt2;
use super::prelude::*;

static FILES: Files = Files {
    block: &[&[
        both("ln_1", Ln1W, Ln1B),
        weight("attn.attention.q_proj", W_Q),
        weight("attn.attention.k_proj", W_K),
        weight("attn.attention.v_proj", W_V),
        both("attn.attention.out_proj", W_O, b_O),
        both("ln_2", Ln2W, Ln2B),
        both("mlp.c_fc", W_in, b_in),
        both("mlp.c_proj", W_out, b_out),
    ]],
    ..gpt2::NAMES
};

pub static FAMILY: Family = Family::new(&["gpt_neo"], &FILES, spec);

fn spec(from: &Sources) -> Result<ModelSpec, LoadError> {
    let config = from.config;
    let sizes = Sizes::read(config, &Rules::GPT2)?;
    if !config.flag(&["is_causal"], true)? {
        return Err(config.unsupported("is_causal", false, "transformers computes gpt_neo causally anyway"));
    }
    let window = config.size_or(&["window_size"], Some(256))?.unwrap_or(256);
    let local = local_layers(config, sizes.n_layers)?;
    let heads = DecoderHead { tied: true, ..DecoderHead::of("GPTNeo") };
    let norm = Norm::layer_norm(eps(config, "layer_norm_epsilon", 1e-5)?);
    let reach = |i: usize| local[i].then_some(Reach::window(window));
    Ok(ModelSpec {
        positions: Positions::Learned { rows: sizes.max_positions, count: Count::Seen },
        attention: Attention { out_bias: true, blind: Blind::Visible, ..attention() },
        mlp: Mlp { gated: false, act: act(config, "activation_function", Act::GeluTanh)?, bias: true, out_bias: true },
        layers: sizes.layers(|i, layer| Layer { scale: 1.0, reach: reach(i), ..layer }),
        ..decoder("gpt_neo", &sizes, norm, heads.read(from, &FILES)?)
    })
}

/// Which layers have a window: `attention_layers`, one for each, or else `attention_types`, a list such as
/// `[[["global", "local"], 12]]`.
fn local_layers(config: &HfConfig, n_layers: usize) -> Result<Vec<bool>, LoadError> {
    let is_local = |key: &str, name: &Value| match name.as_str() {
        Some("global") => Ok(false),
        Some("local") => Ok(true),
        _ => Err(config.unsupported(key, name, "known types are global and local")),
    };
    let wrong = || config.bad("\"attention_types\" is not a list such as [[[\"global\", \"local\"], 12]]");
    let mut local = Vec::new();
    match (config.list("attention_layers")?, config.list("attention_types")?) {
        (Some(layers), _) => {
            local = layers.iter().map(|name| is_local("attention_layers", name)).collect::<Result<_, _>>()?;
        }
        (None, None) => local = (0..24).map(|i| i % 2 == 1).collect(),
        (None, Some(groups)) => {
            for group in groups {
                let names = group.get(0).and_then(|names| names.as_array()).ok_or_else(wrong)?;
                let times = group.get(1).and_then(|times| times.as_u64()).ok_or_else(wrong)?;
                for _ in 0..times.min(n_layers as u64) {
                    for name in names {
                        local.push(is_local("attention_types", name)?);
                    }
                }
            }
        }
    }
    if local.len() == n_layers {
        Ok(local)
    } else {
        let key = if config.list("attention_layers")?.is_some() { "attention_layers" } else { "attention_types" };
        Err(config.bad(format!("{key:?} is for {} layers, the model has {n_layers}", local.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkpoint::Checkpoint;

    fn spec(more: &str) -> Result<ModelSpec, LoadError> {
        let text = format!(r#"{{"hidden_size": 8, "num_heads": 2, "num_layers": 2, "vocab_size": 5, {more}}}"#);
        let config = HfConfig::parse("config.json", text.as_bytes()).unwrap();
        FAMILY.spec(&Sources { config: &config, checkpoint: &Checkpoint::default(), sentence: None })
    }

    #[test]
    fn layers_with_a_window_are_said_one_by_one_or_by_pattern() {
        let reaches = |more| spec(more).unwrap().layers.iter().map(|layer| layer.reach).collect::<Vec<_>>();
        let patterned = reaches(r#""attention_types": [[["global", "local"], 1]], "window_size": 4"#);
        assert_eq!(patterned, [None, Some(Reach::Within(3))]);
        let said = r#""attention_types": null, "attention_layers": ["local", "global"], "window_size": 4"#;
        assert_eq!(reaches(said), [Some(Reach::Within(3)), None]);
        let both = r#""attention_types": [[["global"], 9]], "attention_layers": ["global", "global"]"#;
        assert_eq!(reaches(both), [None, None]);
        let few = spec(r#""attention_layers": ["global"]"#).unwrap_err().to_string();
        assert_eq!(few, "config.json: \"attention_layers\" is for 1 layers, the model has 2");
    }

    #[test]
    fn it_is_causal_or_refused() {
        let refused = spec(r#""attention_layers": ["global", "global"], "is_causal": false"#).unwrap_err().to_string();
        assert!(refused.starts_with("config.json: is_causal = false is not supported"), "{refused}");
    }
}
