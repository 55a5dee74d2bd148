//! Rotary embeddings of GGUF files: a base, a kind of stretching, and factors for each frequency in separate tensors.
//!
//! What is computed is what llama.cpp computes (`llama_context`, `ggml_rope_ext`): a kind and a tensor of factors work
//! together, and factors on cosine and sine are multiplied. Where a `config.json` has no word for that, it is a list of
//! divisors.

use serde_json::{Value as Json, json};

use super::Description;
use crate::model::checkpoint::gguf::facts::{Facts, decimal};
use crate::model::error::LoadError;

/// The note about tensors that hold RoPE factors.
const USED: &str = "RoPE factors, read as part of the configuration";

/// Adds `rope_theta`, and other settings of rotations.
pub fn rope(facts: &Facts, description: Description) -> Result<Description, LoadError> {
    let theta = facts.theta()?;
    let part = Some(facts.rotary_part()?).filter(|part| *part != 1.0);
    scaling(facts, description.set("rope_theta", theta).set_some("partial_rotary_factor", part), theta)
}

/// Adds `rope_scaling` where frequencies are stretched.
pub fn scaling(facts: &Facts, mut description: Description, theta: f64) -> Result<Description, LoadError> {
    let stretch = Stretch::read(facts, theta)?;
    let factors = facts.floats("rope_freqs.weight")?;
    let decimals = |factors: Vec<f32>| factors.into_iter().map(decimal).collect::<Vec<f64>>();
    let (long, short) = (facts.floats("rope_factors_long.weight")?, facts.floats("rope_factors_short.weight")?);
    let long_and_short = long.map(decimals).zip(short.map(decimals));
    let scaling = match (factors, long_and_short) {
        (Some(factors), _) => {
            description.aside.insert("rope_freqs", USED);
            Some(of_factors(facts, &stretch, &factors)?)
        }
        (None, Some((long, short))) => {
            description.aside.extend(["rope_factors_long", "rope_factors_short"].map(|name| (name, USED)));
            Some(longrope(facts, &stretch, &long, &short)?)
        }
        (None, None) => stretch.alone(facts)?,
    };
    Ok(description.set_some("rope_scaling", scaling))
}

/// What the metadata says about frequencies, without the tensors.
struct Stretch {
    theta: f64,
    /// What frequencies are divided by; with YaRN, the low ones.
    factor: f64,
    /// With YaRN, the length that the model was first trained for.
    yarn: Option<f64>,
    betas: (f64, f64),
    attention: f64,
}

/// Rotations over the original length above which YaRN keeps frequencies, and below which it divides them.
const BETAS: (f64, f64) = (32.0, 1.0);

/// The architectures of which llama.cpp reads the `yarn_*` keys. Those of the others are reported as not used.
const OWN_YARN: &[&str] = &["mistral3"];

impl Stretch {
    fn read(facts: &Facts, theta: f64) -> Result<Stretch, LoadError> {
        let said = |name: &str| facts.arch_number(&format!("rope.scaling.{name}"));
        facts.note_read(&["rope.scaling.original_context_length"]);
        let old = facts.arch_number("rope.scale_linear")?;
        let factor = said("factor")?.or(old).filter(|factor| *factor != 0.0).unwrap_or(1.0);
        let (factor, is_yarn) = match facts.text(&facts.key("rope.scaling.type"))?.unwrap_or("linear") {
            "none" => {
                // llama.cpp stretches layers with a window all the same.
                if factor != 1.0 && facts.window()?.is_some() {
                    let key = facts.key("rope.scaling.factor");
                    return Err(facts.unsupported(&key, factor, "rope.scaling.type says that nothing is scaled"));
                }
                (1.0, false)
            }
            "linear" | "longrope" => (factor, false),
            "yarn" => (factor, true),
            other => return Err(facts.bad(format!("the RoPE scaling {other:?} of its metadata is not known"))),
        };
        let attention = said("attn_factor")?.unwrap_or(1.0);
        for (name, number) in [("factor", factor), ("attn_factor", attention)] {
            if !(number > 0.0 && number.is_finite()) {
                return Err(facts.bad(format!("its RoPE {name} is {number}, not above zero")));
            }
        }
        if !is_yarn {
            return Ok(Stretch { theta, factor, yarn: None, betas: BETAS, attention });
        }
        let original = match said("original_context_length")? {
            Some(length) if length > 0.0 => length,
            _ => facts.need_number("context_length")?,
        };
        let own = OWN_YARN.contains(&facts.architecture);
        let own = |name: &str| if own { said(&format!("yarn_{name}")) } else { Ok(None) };
        let betas = (own("beta_fast")?.unwrap_or(BETAS.0), own("beta_slow")?.unwrap_or(BETAS.1));
        let scale = |multiplier: f64| if factor <= 1.0 { 1.0 } else { 0.1 * multiplier * factor.ln() + 1.0 };
        let usual = match own("log_multiplier")?.filter(|multiplier| *multiplier != 0.0) {
            Some(multiplier) => scale(1.0) / scale(multiplier),
            None => scale(1.0),
        };
        Ok(Stretch { theta, factor, yarn: Some(original), betas, attention: usual * attention })
    }

    /// What the frequencies of `pairs` pairs of features are divided by.
    fn divisors(&self, pairs: usize) -> Vec<f64> {
        let Some(original) = self.yarn else { return vec![self.factor; pairs] };
        let dim = 2.0 * pairs as f64;
        let at = |turns: f64| dim * (original / (turns * 2.0 * std::f64::consts::PI)).ln() / (2.0 * self.theta.ln());
        let (low, high) = (at(self.betas.0).floor().max(0.0), at(self.betas.1).ceil().min(dim - 1.0));
        let ramp = |pair: usize| ((pair as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
        (0..pairs).map(|pair| 1.0 / (ramp(pair) / self.factor + 1.0 - ramp(pair))).collect()
    }

    fn is_none(&self) -> bool {
        self.factor == 1.0 && self.attention == 1.0
    }

    /// Where there is no tensor of factors.
    fn alone(&self, facts: &Facts) -> Result<Option<Json>, LoadError> {
        Ok(Some(match &self.yarn {
            _ if self.is_none() => return Ok(None),
            None if self.attention == 1.0 => json!({"rope_type": "linear", "factor": self.factor}),
            Some(original) if self.factor != 1.0 => json!({
                "rope_type": "yarn",
                "factor": self.factor,
                "original_max_position_embeddings": whole_or_real(*original),
                "beta_fast": whole_or_real(self.betas.0),
                "beta_slow": whole_or_real(self.betas.1),
                "attention_factor": self.attention,
            }),
            _ => self.fixed(facts, &vec![1.0; rotating(facts)?.div_ceil(2)])?,
        }))
    }

    /// Divisors that hold for every length, in the words of a `config.json`.
    fn fixed(&self, facts: &Facts, factors: &[f64]) -> Result<Json, LoadError> {
        let length = json!(facts.need_size("context_length")?);
        Ok(self.lists(factors, factors, length, Some(self.attention)))
    }

    /// Two lists of factors, the original length, and the factor on cosine and sine where it does not follow from the
    /// lengths.
    fn lists(&self, long: &[f64], short: &[f64], original: Json, attention: Option<f64>) -> Json {
        let divide = |factors: &[f64]| -> Vec<f64> {
            factors.iter().zip(self.divisors(factors.len())).map(|(factor, divisor)| factor * divisor).collect()
        };
        let mut scaling = json!({
            "rope_type": "longrope",
            "long_factor": divide(long),
            "short_factor": divide(short),
            "original_max_position_embeddings": original,
        });
        if let Some(attention) = attention {
            scaling["attention_factor"] = json!(attention);
        }
        scaling
    }
}

/// Features of a head that rotate.
fn rotating(facts: &Facts) -> Result<usize, LoadError> {
    /// Wider than the heads of any model.
    const MOST: usize = 1 << 16;
    let count = facts.arch_size("rope.dimension_count")?.map_or_else(|| facts.head_dim(), Ok)?;
    if count <= MOST { Ok(count) } else { Err(facts.bad(format!("it rotates {count} features of each head"))) }
}

/// Phi-3's two lists of factors. What multiplies the cosines follows from the lengths, so it is given only if it
/// differs.
fn longrope(facts: &Facts, stretch: &Stretch, long: &[f64], short: &[f64]) -> Result<Json, LoadError> {
    let longest = facts.need_size("context_length")? as f64;
    let original = facts.arch_size("rope.scaling.original_context_length")?.map_or(longest, |n| n as f64);
    let ratio = longest / original;
    let usual = if ratio > 1.0 { (1.0 + ratio.ln() / original.ln()).sqrt() } else { 1.0 };
    let attention = Some(stretch.attention).filter(|attention| (attention - usual).abs() > 1e-5);
    Ok(stretch.lists(long, short, whole_or_real(original), attention))
}

/// Factors for each frequency, without saying where they come from. If the formula of Llama 3 gives them for lengths
/// and limits in use, they come from there; else they are factors that hold for every length.
fn of_factors(facts: &Facts, stretch: &Stretch, factors: &[f32]) -> Result<Json, LoadError> {
    if let Some(found) = llama3(factors, stretch.theta).filter(|_| stretch.is_none()) {
        return Ok(json!({
            "rope_type": "llama3",
            "factor": found.factor,
            "low_freq_factor": found.low,
            "high_freq_factor": found.high,
            "original_max_position_embeddings": whole_or_real(found.original),
        }));
    }
    stretch.fixed(facts, &factors.iter().copied().map(decimal).collect::<Vec<f64>>())
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
