//! Rotary embeddings as configurations describe them, in the keys of transformers 5 and in those before.

use crate::model::config::{HfConfig, MAX_POSITIONS};
use crate::model::error::LoadError;
use crate::model::spec::{Pairing, Rope, RopeScaling};

/// What a family's rotary embeddings are where the configuration does not say, and what it calls things.
#[derive(Clone, Copy, Debug)]
pub struct RopeRules {
    pub theta: f64,
    /// Old name of the base, outside `rope_parameters`.
    pub theta_key: &'static str,
    /// Share of the features that rotate by default; `None` if the family always rotates all.
    pub partial: Option<f64>,
    pub partial_key: &'static str,
    pub pairing: Pairing,
    /// Whether an odd number of rotating features is possible (the rotation then takes one more).
    pub odd: bool,
    /// Whether dynamic scaling with an `alpha` is a larger base, whatever the length of the input (Hunyuan).
    pub alpha: bool,
    /// Length of first training that is assumed where the key is absent outside `rope_parameters`, whatever is inside
    /// (Phi-3).
    pub original_max: Option<usize>,
}

impl RopeRules {
    /// Half rotation of all features with base 10000: Llama and most others.
    pub const LLAMA: RopeRules = RopeRules {
        theta: 10000.0,
        theta_key: "rope_theta",
        partial: None,
        partial_key: "partial_rotary_factor",
        pairing: Pairing::Half,
        odd: false,
        alpha: false,
        original_max: None,
    };

    pub const fn theta(self, theta: f64) -> RopeRules {
        RopeRules { theta, ..self }
    }

    /// The same where only a part of the features rotates.
    pub const fn partial(self, share: f64) -> RopeRules {
        RopeRules { partial: Some(share), ..self }
    }

    /// The same with neighbouring features as pairs.
    pub const fn interleaved(self) -> RopeRules {
        RopeRules { pairing: Pairing::Interleaved, ..self }
    }

    pub const fn odd(self) -> RopeRules {
        RopeRules { odd: true, ..self }
    }
}

/// Reads `rope_parameters`, or `rope_scaling` with the base next to it.
pub fn rope(config: &HfConfig, head_dim: usize, rules: &RopeRules) -> Result<Rope, LoadError> {
    // transformers takes the width that rotates from here even where heads are of another width.
    if let Some(width) = config.opt_size(&["head_dim"])?.filter(|width| *width != head_dim) {
        return Err(config.unsupported("head_dim", width, format!("this family's heads are {head_dim} wide")));
    }
    let section = sections(config)?;
    if let Some(section) = &section {
        for layer_type in LAYER_TYPES {
            if section.find(&[layer_type]).is_some() {
                return Err(section.unsupported(layer_type, "...", "all layers of this family have the same rotation"));
            }
        }
    }
    Reader { config, head_dim, rules, nested: false }.read(section, config.number(&[rules.theta_key], rules.theta)?)
}

/// One rotation for layers with full attention and one for those with a window.
pub struct ByLayerType {
    pub full: Rope,
    pub sliding: Rope,
}

const LAYER_TYPES: [&str; 2] = ["full_attention", "sliding_attention"];

/// What old configurations of families with two rotations say.
pub struct ByLayerTypeRules {
    /// Name and default of the base of layers with full attention.
    pub full: (&'static str, f64),
    /// The same for layers with a window.
    pub sliding: (&'static str, f64),
    /// Whether `rope_scaling` is for layers with a window too.
    pub scaling_of_both: bool,
}

/// Reads `rope_parameters` nested by layer type, or the keys before that.
pub fn by_layer_type(config: &HfConfig, head_dim: usize, rules: &ByLayerTypeRules) -> Result<ByLayerType, LoadError> {
    by_layer_type_of(config, [head_dim; 2], rules)
}

/// The same where heads of the two kinds of layers are of these widths.
pub fn by_layer_type_of(
    config: &HfConfig,
    head_dims: [usize; 2],
    rules: &ByLayerTypeRules,
) -> Result<ByLayerType, LoadError> {
    let parameters = config.object("rope_parameters")?;
    let scaling = config.object("rope_scaling")?;
    if let Some(parameters) = &parameters
        && !LAYER_TYPES.iter().any(|layer_type| parameters.find(&[layer_type]).is_some())
        && !parameters.json().is_empty()
    {
        let why = "this family has a rotation for each layer type: nest it under full_attention and sliding_attention";
        return Err(config.unsupported("rope_parameters", "...", why));
    }
    let one = |layer_type, head_dim: usize, (key, default): (&str, f64), scaled: bool| {
        let reader = Reader { config, head_dim, rules: &RopeRules::LLAMA, nested: true };
        let own = parameters.as_ref().map_or(Ok(None), |parameters| parameters.object(layer_type))?;
        let base = config.number(&[key], default)?;
        reader.read(own.or_else(|| scaling.clone().filter(|_| scaled)), base)
    };
    Ok(ByLayerType {
        full: one(LAYER_TYPES[0], head_dims[0], rules.full, true)?,
        sliding: one(LAYER_TYPES[1], head_dims[1], rules.sliding, rules.scaling_of_both)?,
    })
}

/// `rope_parameters`, or the older `rope_scaling` that means the same.
fn sections(config: &HfConfig) -> Result<Option<HfConfig>, LoadError> {
    // The older key wins where both are given, as in transformers; what only the other one says is not used, and is
    // reported.
    let parameters = config.object("rope_parameters")?;
    Ok(config.object("rope_scaling")?.or(parameters))
}

struct Reader<'a> {
    config: &'a HfConfig,
    head_dim: usize,
    rules: &'a RopeRules,
    /// Whether the section is one of several, in which outer keys have no say.
    nested: bool,
}

impl Reader<'_> {
    fn read(&self, section: Option<HfConfig>, outer_theta: f64) -> Result<Rope, LoadError> {
        let (config, rules) = (self.config, self.rules);
        let (mut theta, mut partial, mut scaling) = (outer_theta, self.outer_partial()?, RopeScaling::None);
        if let Some(section) = &section {
            theta = section.opt_number(&["rope_theta"])?.unwrap_or(outer_theta);
            partial = section.opt_number(&["partial_rotary_factor"])?.unwrap_or(partial);
        }
        let kind = section.as_ref().map_or(Ok(None), |section| section.str(&["rope_type", "type"]))?;
        if let (Some("proportional"), Some(section), None) = (kind, &section, rules.partial) {
            let factor = if section.find(&["factor"]).is_some() { self.factor(section)? } else { 1.0 };
            let pairs = (partial * self.head_dim as f64 / 2.0).floor() as usize;
            if pairs > self.head_dim / 2 {
                return Err(config.bad(format!("RoPE cannot rotate {pairs} pairs of {} features", self.head_dim)));
            }
            let scaling = RopeScaling::Proportional { pairs, factor };
            let (pairing, dim) = (rules.pairing, self.head_dim);
            return Ok(Rope { theta, first: 0, dim, pairing, scaling, backwards: false, tabled: false });
        }
        if partial != 1.0 && rules.partial.is_none() {
            return Err(config.unsupported("partial_rotary_factor", partial, "this family rotates all features"));
        }
        let dim = (self.head_dim as f64 * partial) as usize;
        if theta <= 0.0 || !theta.is_finite() {
            return Err(config.bad(format!("a RoPE base of {theta} is not above zero")));
        }
        let rotated = dim.checked_next_multiple_of(2).unwrap_or(dim);
        if dim == 0 || rotated > self.head_dim || (rotated != dim && !rules.odd) {
            return Err(config.bad(format!("RoPE cannot rotate {dim} of {} features in pairs", self.head_dim)));
        }
        if let Some(section) = &section {
            match self.alpha(section)?.filter(|_| dim > 2) {
                Some(alpha) => theta *= alpha.powf(dim as f64 / (dim as f64 - 2.0)),
                None => scaling = self.scaling(section, dim)?,
            }
        }
        Ok(Rope { theta, first: 0, dim, pairing: rules.pairing, scaling, backwards: false, tabled: false })
    }

    fn outer_partial(&self) -> Result<f64, LoadError> {
        self.config.number(&[self.rules.partial_key], self.rules.partial.unwrap_or(1.0))
    }

    fn scaling(&self, section: &HfConfig, dim: usize) -> Result<RopeScaling, LoadError> {
        let config = self.config;
        let kind = section.str(&["rope_type", "type"])?.unwrap_or("default");
        match kind {
            // Three axes of positions, of which a text has one.
            "default" | "mrope" => Ok(RopeScaling::None),
            "linear" => Ok(RopeScaling::Linear { factor: self.factor(section)? }),
            "dynamic" => {
                if dim <= 2 {
                    return Err(config.bad("dynamic RoPE needs more than one pair of features"));
                }
                Ok(RopeScaling::Dynamic { factor: self.factor(section)?, max: self.max_positions()? })
            }
            "llama3" => Ok(RopeScaling::Llama3 {
                factor: self.factor(section)?,
                low_freq_factor: section.need_number("low_freq_factor")?,
                high_freq_factor: section.need_number("high_freq_factor")?,
                original_max: self.original_max(section)?,
            }),
            "yarn" => self.yarn(section),
            "longrope" => self.longrope(section, dim),
            other => {
                let why = "known types are default, linear, dynamic, yarn, longrope and llama3";
                Err(section.unsupported("rope_type", format!("{other:?}"), why))
            }
        }
    }

    /// What enlarges the base in place of dynamic scaling. Zero counts as not given.
    fn alpha(&self, section: &HfConfig) -> Result<Option<f64>, LoadError> {
        if !self.rules.alpha || section.str(&["rope_type", "type"])? != Some("dynamic") {
            return Ok(None);
        }
        let alpha = section.opt_number(&["alpha"])?.filter(|alpha| *alpha != 0.0);
        if alpha.is_some() {
            section.note_read(&["factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim"]);
        }
        Ok(alpha)
    }

    fn factor(&self, section: &HfConfig) -> Result<f64, LoadError> {
        let factor = section.need_number("factor")?;
        if factor > 0.0 {
            Ok(factor)
        } else {
            Err(self.config.bad(format!("a RoPE factor of {factor} is not above zero")))
        }
    }

    fn max_positions(&self) -> Result<f64, LoadError> {
        Ok(self.config.size(MAX_POSITIONS)? as f64)
    }

    /// Length that the model was first trained for; the key outside the section wins.
    fn original_max(&self, section: &HfConfig) -> Result<f64, LoadError> {
        const KEY: &str = "original_max_position_embeddings";
        section.note_read(&[KEY]);
        let outer = if self.nested { None } else { self.config.opt_size(&[KEY])?.or(self.rules.original_max) };
        if let Some(length) = outer {
            return Ok(length as f64);
        }
        section.opt_number(&[KEY])?.map_or_else(|| self.max_positions(), Ok)
    }

    fn yarn(&self, section: &HfConfig) -> Result<RopeScaling, LoadError> {
        let original_max = self.original_max(section)?;
        let factor = match section.opt_number(&["factor"])? {
            Some(_) => self.factor(section)?,
            None => self.max_positions()? / original_max,
        };
        // A given factor on cosine and sine makes these of no use.
        section.note_read(&["mscale", "mscale_all_dim"]);
        let truncate = section.flag(&["truncate"], true)?;
        if self.nested && !truncate {
            return Err(section.unsupported("truncate", truncate, "transformers does not look for it there"));
        }
        let mscale = |scale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 };
        // Zero counts as not given, here and below, as in transformers.
        let given = |key| Ok::<_, LoadError>(section.opt_number(&[key])?.filter(|x| *x != 0.0));
        let attention_factor = match section.opt_number(&["attention_factor"])? {
            Some(factor) => factor,
            None => match (given("mscale")?, given("mscale_all_dim")?) {
                (Some(scale), Some(all)) => mscale(scale) / mscale(all),
                _ => mscale(1.0),
            },
        };
        let (beta_fast, beta_slow) = (given("beta_fast")?.unwrap_or(32.0), given("beta_slow")?.unwrap_or(1.0));
        Ok(RopeScaling::Yarn { factor, attention_factor, beta_fast, beta_slow, original_max, truncate })
    }

    fn longrope(&self, section: &HfConfig, dim: usize) -> Result<RopeScaling, LoadError> {
        let (short, long) = (section.numbers("short_factor")?, section.numbers("long_factor")?);
        for (name, list) in [("short_factor", &short), ("long_factor", &long)] {
            if list.len() != dim.div_ceil(2) {
                let (key, found, expected) = (section.shown(name), list.len(), dim.div_ceil(2));
                return Err(self.config.bad(format!("{key} has {found} factors, expected {expected}")));
            }
        }
        let original_max = self.original_max(section)?;
        let factor = match section.opt_number(&["factor"])? {
            Some(factor) => factor,
            None => self.max_positions()? / original_max,
        };
        let attention_factor = match section.opt_number(&["attention_factor"])? {
            Some(factor) => factor,
            None if factor <= 1.0 => 1.0,
            None => (1.0 + factor.ln() / original_max.ln()).sqrt(),
        };
        Ok(RopeScaling::LongRope { short, long, attention_factor, original_max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> HfConfig {
        HfConfig::parse("config.json", text.as_bytes()).unwrap()
    }

    fn read(text: &str) -> Result<Rope, LoadError> {
        rope(&config(text), 8, &RopeRules::LLAMA)
    }

    fn plain(theta: f64) -> Rope {
        Rope {
            theta,
            first: 0,
            dim: 8,
            pairing: Pairing::Half,
            scaling: RopeScaling::None,
            backwards: false,
            tabled: false,
        }
    }

    #[test]
    fn both_generations_of_keys_mean_the_same() {
        let new = read(r#"{"rope_parameters": {"rope_theta": 5e5, "rope_type": "linear", "factor": 4}}"#).unwrap();
        let old = read(r#"{"rope_theta": 500000, "rope_scaling": {"type": "linear", "factor": 4.0}}"#).unwrap();
        assert_eq!(new, old);
        assert_eq!(new, Rope { scaling: RopeScaling::Linear { factor: 4.0 }, ..plain(5e5) });
    }

    #[test]
    fn nothing_said_means_the_family_default() {
        assert_eq!(read(r#"{"rope_scaling": null}"#).unwrap(), plain(10000.0));
        assert_eq!(read(r#"{"rope_parameters": {"rope_type": "default"}}"#).unwrap(), plain(10000.0));
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
    fn yarn_infers_its_attention_factor() {
        let yarn = |more: &str| {
            let text = format!(
                r#"{{"max_position_embeddings": 64, "rope_scaling": {{"rope_type": "yarn", "factor": 4.0 {more}}}}}"#
            );
            match read(&text).unwrap().scaling {
                RopeScaling::Yarn { attention_factor, beta_fast, original_max, .. } => {
                    (attention_factor, beta_fast, original_max)
                }
                other => panic!("{other:?}"),
            }
        };
        let ln = 4f64.ln();
        assert_eq!(yarn(""), (0.1 * ln + 1.0, 32.0, 64.0));
        assert_eq!(yarn(r#", "mscale": 2, "beta_fast": 16"#), (0.1 * ln + 1.0, 16.0, 64.0));
        assert_eq!(
            yarn(r#", "mscale": 2, "mscale_all_dim": 0.5, "original_max_position_embeddings": 16"#),
            ((0.2 * ln + 1.0) / (0.05 * ln + 1.0), 32.0, 16.0)
        );
        assert_eq!(yarn(r#", "attention_factor": 1.5"#).0, 1.5);
    }

    #[test]
    fn longrope_wants_a_factor_for_each_pair() {
        let text = r#"{"max_position_embeddings": 64, "original_max_position_embeddings": 16, "rope_scaling":
            {"rope_type": "longrope", "short_factor": [1, 1, 2, 2], "long_factor": [1, 2, 3, 4]}}"#;
        let RopeScaling::LongRope { short, attention_factor, original_max, .. } = read(text).unwrap().scaling else {
            panic!()
        };
        assert_eq!((short.len(), original_max), (4, 16.0));
        assert_eq!(attention_factor, (1.0 + 4f64.ln() / 16f64.ln()).sqrt());
        assert_eq!(
            read(&text.replace("[1, 2, 3, 4]", "[1, 2]")).unwrap_err().to_string(),
            "config.json: rope_scaling.long_factor has 2 factors, expected 4"
        );
    }

    #[test]
    fn a_part_of_the_features_rotates_where_the_family_can() {
        let of = |text: &str, rules: RopeRules| rope(&config(text), 10, &rules).map(|rope| rope.dim);
        let half = r#"{"partial_rotary_factor": 0.5}"#;
        assert_eq!(of("{}", RopeRules::LLAMA.partial(0.4)).unwrap(), 4);
        assert_eq!(of(half, RopeRules::LLAMA.partial(0.4).odd()).unwrap(), 5);
        assert!(of(half, RopeRules::LLAMA.partial(0.4)).unwrap_err().to_string().contains("cannot rotate 5 of 10"));
        assert!(of(half, RopeRules::LLAMA).unwrap_err().to_string().contains("rotates all features"));
    }

    #[test]
    fn layers_with_and_without_a_window_may_rotate_differently() {
        let rules = ByLayerTypeRules {
            full: ("rope_theta", 1e6),
            sliding: ("rope_local_base_freq", 1e4),
            scaling_of_both: false,
        };
        let read = |text: &str| by_layer_type(&config(text), 8, &rules);
        let old = read(r#"{"rope_theta": 5e5, "rope_scaling": {"rope_type": "linear", "factor": 8}}"#).unwrap();
        assert_eq!(old.full, Rope { scaling: RopeScaling::Linear { factor: 8.0 }, ..plain(5e5) });
        assert_eq!(old.sliding, plain(1e4));
        let new = r#"{"rope_parameters": {"full_attention": {"rope_theta": 5e5, "rope_type": "linear", "factor": 8},
            "sliding_attention": {"rope_type": "default"}}}"#;
        let new = read(new).unwrap();
        assert_eq!((new.full, new.sliding), (old.full, old.sliding));
        assert!(read(r#"{"rope_parameters": {"rope_theta": 5e5}}"#).is_err());
    }

    #[test]
    fn other_types_are_refused_by_name() {
        assert_eq!(
            read(r#"{"rope_scaling": {"type": "su", "factor": 2}}"#).unwrap_err().to_string(),
            "config.json: rope_scaling.rope_type = \"su\" is not supported: known types are default, linear, dynamic, \
             yarn, longrope and llama3"
        );
        assert_eq!(
            read(r#"{"rope_parameters": {"rope_type": "linear"}}"#).unwrap_err().to_string(),
            "config.json has no \"rope_parameters.factor\"; add it from the model's original configuration"
        );
        let nested = r#"{"rope_parameters": {"full_attention": {"rope_theta": 1}}}"#;
        assert!(read(nested).unwrap_err().to_string().contains("the same rotation"));
    }
}
