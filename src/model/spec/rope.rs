//! Rotary position embeddings, as data.

use serde::{Deserialize, Serialize};

/// Rotary position embedding of some features of each head, usually the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rope {
    /// Base of the frequencies, `theta^(-2i/dim)`.
    pub theta: f64,
    /// Features of a head before those that rotate; usually none.
    pub first: usize,
    /// Features that rotate, from there on; an odd number is used in the exponent as it is, and rotates one more.
    pub dim: usize,
    pub pairing: Pairing,
    pub scaling: RopeScaling,
    /// Whether pairs turn the other way (nanochat).
    pub backwards: bool,
    /// Whether the architecture looks angles up in a table that ends with its positions.
    pub tabled: bool,
}

/// Which features of a head form a pair that rotates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pairing {
    /// Feature `i` with `i + dim/2` (GPT-NeoX, Llama).
    Half,
    /// Feature `2i` with `2i + 1` (GPT-J, Cohere, GLM).
    Interleaved,
}

/// How RoPE frequencies are stretched; the formulas are those of transformers' `modeling_rope_utils`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RopeScaling {
    None,
    /// Frequencies that were stored with the weights, whatever the base is (ESM).
    Stored {
        frequencies: Vec<f64>,
    },
    /// All frequencies divided by the factor.
    Linear {
        factor: f64,
    },
    /// The base grows with the length of the input once that exceeds `max`.
    Dynamic {
        factor: f64,
        /// Length up to which frequencies are as they are.
        max: f64,
    },
    /// High frequencies kept, low ones divided, a ramp between; angles as they are, rotations scaled.
    Yarn {
        factor: f64,
        /// Factor on cosine and sine.
        attention_factor: f64,
        /// Rotations over the original length above which frequencies are kept.
        beta_fast: f64,
        /// Rotations over the original length below which they are divided.
        beta_slow: f64,
        original_max: f64,
        /// Whether the ends of the ramp are rounded to whole features.
        truncate: bool,
    },
    /// A divisor for each frequency, from one list or another by the length of the input.
    LongRope {
        /// Divisors for inputs up to `original_max`.
        short: Vec<f64>,
        /// Divisors for longer inputs.
        long: Vec<f64>,
        attention_factor: f64,
        /// Length in tokens that the model was first trained for.
        original_max: f64,
    },
    /// The first pairs of features turn, all frequencies divided by the factor; the others do not.
    Proportional {
        pairs: usize,
        factor: f64,
    },
    /// Low frequencies divided, high ones kept, those between blended.
    Llama3 {
        factor: f64,
        /// Wavelengths above `original_max / low_freq_factor` are divided.
        low_freq_factor: f64,
        /// Wavelengths below `original_max / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// Length in tokens that the model was first trained for.
        original_max: f64,
    },
}

impl RopeScaling {
    pub fn name(&self) -> &'static str {
        match self {
            RopeScaling::None => "default",
            RopeScaling::Stored { .. } => "stored",
            RopeScaling::Linear { .. } => "linear",
            RopeScaling::Dynamic { .. } => "dynamic",
            RopeScaling::Yarn { .. } => "yarn",
            RopeScaling::LongRope { .. } => "longrope",
            RopeScaling::Llama3 { .. } => "llama3",
            RopeScaling::Proportional { .. } => "proportional",
        }
    }
}

impl Rope {
    /// Whether frequencies depend on the length of the input, so that keys in a cache keep an angle that a pass over
    /// the whole input would not give them.
    pub fn depends_on_length(&self) -> bool {
        match &self.scaling {
            RopeScaling::Dynamic { .. } => true,
            RopeScaling::LongRope { short, long, .. } => short != long,
            _ => false,
        }
    }

    pub fn pairs(&self) -> usize {
        self.dim.div_ceil(2)
    }
}
