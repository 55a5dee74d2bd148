//! Rotary embeddings of GGUF files: a base, a kind of stretching, and factors for each frequency in tensors of their own.

use serde_json::{Map, Value as Json, json};

use super::super::super::super::error::LoadError;
use super::super::facts::{Facts, decimal};
use super::Description;

/// What is said of tensors that hold RoPE factors.
const USED: &str = "RoPE factors, read as part of the configuration";

/// Adds `rope_theta`, and `rope_scaling` where frequencies are stretched.
pub fn rope(facts: &Facts, description: &mut Description) -> Result<(), LoadError> {
    let theta = facts.arch_number("rope.freq_base")?.unwrap_or(10000.0);
    description.set("rope_theta", theta);
    let scaling = match (facts.floats("rope_freqs.weight")?, long_and_short(facts)?) {
        (Some(factors), _) => {
            description.aside.insert("rope_freqs", USED);
            Some(of_factors(facts, &factors, theta)?)
        }
        (None, Some((long, short))) => {
            description.aside.insert("rope_factors_long", USED);
            description.aside.insert("rope_factors_short", USED);
            Some(longrope(facts, &long, &short)?)
        }
        (None, None) => named(facts)?,
    };
    if let Some(scaling) = scaling {
        description.config.insert("rope_scaling".into(), Json::Object(scaling));
    }
    Ok(())
}

/// The kinds that are only named.
fn named(facts: &Facts) -> Result<Option<Map<String, Json>>, LoadError> {
    let factor = match facts.arch_number("rope.scaling.factor")? {
        Some(factor) => Some(factor),
        None => facts.arch_number("rope.scale_linear")?,
    };
    let kind = facts.text(&facts.key("rope.scaling.type"))?;
    let Some(factor) = factor.filter(|factor| *factor != 0.0 && *factor != 1.0) else { return Ok(None) };
    let mut scaling = Map::new();
    match kind.unwrap_or("linear") {
        "none" => return Ok(None),
        "linear" => {
            scaling.insert("rope_type".into(), "linear".into());
            scaling.insert("factor".into(), json!(factor));
        }
        "yarn" => {
            scaling.insert("rope_type".into(), "yarn".into());
            scaling.insert("factor".into(), json!(factor));
            for (key, name) in [
                ("original_max_position_embeddings", "original_context_length"),
                ("attention_factor", "yarn_attn_factor"),
                ("beta_fast", "yarn_beta_fast"),
                ("beta_slow", "yarn_beta_slow"),
                ("mscale_all_dim", "yarn_log_multiplier"),
            ] {
                if let Some(value) = facts.arch_number(&format!("rope.scaling.{name}"))? {
                    scaling.insert(key.into(), whole_or_real(value));
                }
            }
        }
        other => return Err(facts.bad(format!("the RoPE scaling {other:?} of its metadata is not known"))),
    }
    Ok(Some(scaling))
}

fn long_and_short(facts: &Facts) -> Result<Option<(Vec<f32>, Vec<f32>)>, LoadError> {
    Ok(facts.floats("rope_factors_long.weight")?.zip(facts.floats("rope_factors_short.weight")?))
}

/// Phi-3's two lists of factors. What multiplies the cosines follows from the lengths, so it is said only if it is another.
fn longrope(facts: &Facts, long: &[f32], short: &[f32]) -> Result<Map<String, Json>, LoadError> {
    let mut scaling = Map::new();
    scaling.insert("rope_type".into(), "longrope".into());
    scaling.insert("long_factor".into(), decimals(long));
    scaling.insert("short_factor".into(), decimals(short));
    let longest = facts.need_size("context_length")? as f64;
    let original = facts.arch_size("rope.scaling.original_context_length")?.map_or(longest, |n| n as f64);
    scaling.insert("original_max_position_embeddings".into(), whole_or_real(original));
    let ratio = longest / original;
    let usual = if ratio > 1.0 { (1.0 + ratio.ln() / original.ln()).sqrt() } else { 1.0 };
    if let Some(said) = facts.arch_number("rope.scaling.attn_factor")?
        && (said - usual).abs() > 1e-5
    {
        scaling.insert("attention_factor".into(), json!(said));
    }
    Ok(scaling)
}

/// Factors for each frequency, without saying where they come from. If the formula of Llama 3 gives them for lengths and
/// limits in use, they come from there; else they are factors that hold for every length.
fn of_factors(facts: &Facts, factors: &[f32], theta: f64) -> Result<Map<String, Json>, LoadError> {
    let mut scaling = Map::new();
    if let Some(found) = llama3(factors, theta) {
        scaling.insert("rope_type".into(), "llama3".into());
        scaling.insert("factor".into(), json!(found.factor));
        scaling.insert("low_freq_factor".into(), json!(found.low));
        scaling.insert("high_freq_factor".into(), json!(found.high));
        scaling.insert("original_max_position_embeddings".into(), whole_or_real(found.original));
        return Ok(scaling);
    }
    scaling.insert("rope_type".into(), "longrope".into());
    scaling.insert("long_factor".into(), decimals(factors));
    scaling.insert("short_factor".into(), decimals(factors));
    scaling.insert("original_max_position_embeddings".into(), json!(facts.need_size("context_length")?));
    scaling.insert("attention_factor".into(), json!(1.0));
    Ok(scaling)
}

struct Llama3 {
    factor: f64,
    low: f64,
    high: f64,
    original: f64,
}

impl Llama3 {
    /// What the frequency `theta^(-2i/dim)` is divided by.
    fn divisor(&self, frequency: f64) -> f64 {
        let length = 2.0 * std::f64::consts::PI / frequency;
        if length < self.original / self.high {
            return 1.0;
        }
        if length > self.original / self.low {
            return self.factor;
        }
        let smooth = (self.original / length - self.low) / (self.high - self.low);
        1.0 / ((1.0 - smooth) / self.factor + smooth)
    }
}

/// Lengths that models were trained for before they were stretched: powers of two from 2^5 to 2^20.
const LENGTHS: std::ops::RangeInclusive<u32> = 5..=20;

/// What the factors were computed in: 32 bits, with powers and divisions.
const ROUNDING: f64 = 1e-4;

fn llama3(factors: &[f32], theta: f64) -> Option<Llama3> {
    let factor = decimal(factors.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    if factors.is_empty() || !factor.is_finite() || factor <= 1.0 {
        return None;
    }
    let frequency = |i: usize| theta.powf(-(i as f64) / factors.len() as f64);
    let gives = |guess: &Llama3| {
        factors.iter().enumerate().all(|(i, &said)| {
            let divisor = guess.divisor(frequency(i));
            (f64::from(said) - divisor).abs() <= ROUNDING * divisor
        })
    };
    LENGTHS
        .flat_map(|power| [2.0, 4.0, 8.0, 16.0, 32.0].map(|high| (2f64.powi(power as i32), high)))
        .map(|(original, high)| Llama3 { factor, low: 1.0, high, original })
        .find(|guess| gives(guess))
}

fn decimals(factors: &[f32]) -> Json {
    factors.iter().map(|factor| json!(decimal(*factor))).collect()
}

/// A length as configurations have it: without a decimal point if it is whole.
fn whole_or_real(value: f64) -> Json {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_llama_3_are_found_again() {
        for (factor, high, original, theta, pairs) in
            [(8.0, 4.0, 8192.0, 500_000f64, 64), (32.0, 4.0, 8192.0, 500_000.0, 32), (8.0, 4.0, 128.0, 10_000.0, 4)]
        {
            let real = Llama3 { factor, low: 1.0, high, original };
            let factors: Vec<f32> =
                (0..pairs).map(|i| real.divisor(theta.powf(-(i as f64) / pairs as f64)) as f32).collect();
            let found = llama3(&factors, theta).unwrap();
            assert_eq!((found.factor, found.low, found.high, found.original), (factor, 1.0, high, original));
        }
    }

    #[test]
    fn other_factors_are_not_taken_for_llama_3() {
        assert!(llama3(&[1.0, 1.5, 3.0, 9.0], 10_000.0).is_none());
        assert!(llama3(&[1.0; 4], 10_000.0).is_none() && llama3(&[], 10_000.0).is_none());
        assert!(llama3(&[f32::NAN; 4], 10_000.0).is_none());
    }
}
