//! Rotary embeddings as configurations describe them, in the keys of transformers 5 and in those before.

use super::super::config::{HfConfig, MAX_POSITIONS, Section};
use super::super::error::LoadError;
use super::super::spec::{Rope, RopeScaling};

/// Reads `rope_parameters`, or `rope_scaling` with `rope_theta` beside it.
pub fn rope(config: &HfConfig, head_dim: usize, default_theta: f64) -> Result<Rope, LoadError> {
    let outer_theta = config.number(&["rope_theta"], default_theta)?;
    let section = config.object(&["rope_parameters", "rope_scaling"])?;
    let (mut theta, mut partial, mut scaling) =
        (outer_theta, config.number(&["partial_rotary_factor"], 1.0)?, RopeScaling::None);
    if let Some(section) = section {
        theta = section.opt_number(&["rope_theta"])?.unwrap_or(outer_theta);
        partial = section.opt_number(&["partial_rotary_factor"])?.unwrap_or(partial);
        scaling = rope_scaling(config, &section)?;
    }
    let dim = (head_dim as f64 * partial) as usize;
    if theta <= 0.0 || !theta.is_finite() {
        return Err(config.bad(format!("a RoPE base of {theta} is not above zero")));
    }
    if dim == 0 || dim > head_dim || !dim.is_multiple_of(2) {
        return Err(config.bad(format!("RoPE cannot rotate {dim} of {head_dim} features in pairs")));
    }
    Ok(Rope { theta, dim, scaling })
}

fn rope_scaling(config: &HfConfig, section: &Section) -> Result<RopeScaling, LoadError> {
    let kind = section.str(&["rope_type", "type"])?.unwrap_or("default");
    let factor = || {
        let factor = section.number(&["factor"])?;
        if factor > 0.0 { Ok(factor) } else { Err(config.bad(format!("a RoPE factor of {factor} is not above zero"))) }
    };
    match kind {
        "default" => Ok(RopeScaling::None),
        "linear" => Ok(RopeScaling::Linear { factor: factor()? }),
        "llama3" => Ok(RopeScaling::Llama3 {
            factor: factor()?,
            low_freq_factor: section.number(&["low_freq_factor"])?,
            high_freq_factor: section.number(&["high_freq_factor"])?,
            original_max: match section.opt_number(&["original_max_position_embeddings"])? {
                Some(length) => length,
                None => config.size(MAX_POSITIONS)? as f64,
            },
        }),
        other => {
            let key = format!("{}.rope_type", section.name());
            Err(config.unsupported(&key, format!("{other:?}"), "known types are default, linear and llama3"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Rope, LoadError> {
        rope(&HfConfig::parse("config.json", text.as_bytes()).unwrap(), 8, 10000.0)
    }

    #[test]
    fn both_generations_of_keys_mean_the_same() {
        let new = read(r#"{"rope_parameters": {"rope_theta": 5e5, "rope_type": "linear", "factor": 4}}"#).unwrap();
        let old = read(r#"{"rope_theta": 500000, "rope_scaling": {"type": "linear", "factor": 4.0}}"#).unwrap();
        assert_eq!(new, old);
        assert_eq!(new, Rope { theta: 5e5, dim: 8, scaling: RopeScaling::Linear { factor: 4.0 } });
    }

    #[test]
    fn nothing_said_means_the_family_default() {
        let plain = Rope { theta: 10000.0, dim: 8, scaling: RopeScaling::None };
        assert_eq!(read(r#"{"rope_scaling": null}"#).unwrap(), plain);
        assert_eq!(read(r#"{"rope_parameters": {"rope_type": "default"}}"#).unwrap(), plain);
    }

    #[test]
    fn llama3_takes_its_original_length_from_the_positions_if_it_is_not_given() {
        let text = r#"{"max_position_embeddings": 64, "rope_scaling":
            {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}}"#;
        let expected =
            RopeScaling::Llama3 { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_max: 64.0 };
        assert_eq!(read(text).unwrap().scaling, expected);
    }

    #[test]
    fn other_types_are_refused_by_name() {
        assert_eq!(
            read(r#"{"rope_scaling": {"type": "yarn", "factor": 2}}"#).unwrap_err().to_string(),
            "config.json: rope_scaling.rope_type = \"yarn\" is not supported: known types are default, linear and llama3"
        );
        assert_eq!(
            read(r#"{"rope_parameters": {"rope_type": "linear"}}"#).unwrap_err().to_string(),
            "config.json has no \"rope_parameters.factor\"; add it from the model's original configuration"
        );
    }
}
