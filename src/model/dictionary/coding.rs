//! How a dictionary codes: what is done to what it reads, how features are chosen, and what is made of them.
//!
//! With `x` the vector that is read (a row), `f` the features and `y` what is rebuilt of them:
//!
//! ```text
//! z = norm_in(x) - b_dec          the bias only where `subtracts`
//! h = (z W_enc) gain + b_enc      gain only where there is one
//! f = chosen(h)
//! y = norm_out(f W_dec + b_dec) + x W_skip
//! ```
//!
//! The formulas are those of SAELens 6 (`saes/*.py`), sparsify 1.3 and circuit-tracer 0.5.

use crate::model::role::Role;

/// Which features are active, by what they are before the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Those above zero.
    Relu,
    /// Those above their threshold; with `relu`, above zero too.
    JumpRelu { relu: bool },
    /// The largest of each position, as far as they are above zero. Of equals the first counts.
    TopK(usize),
    /// Those of the largest magnitude, with their signs.
    AbsTopK(usize),
    /// Those above zero whose gate is open: `z W_enc + b_gate` is above zero.
    Gated,
    /// The largest of each of so many groups of neighbours, as far as it is above zero.
    GroupMax(usize),
}

/// What is done to a vector before it is encoded, and undone after it is decoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scaling {
    None,
    /// It is multiplied by a number.
    Fixed(f64),
    /// It is scaled to the length `sqrt(d)`.
    Length,
    /// `(x - mean) / (std + 1e-5)`, the variance over `d - 1`.
    LayerNorm,
}

/// How a dictionary codes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coding {
    pub choice: Choice,
    pub scaling: Scaling,
    /// Whether the decoder's bias is taken from what is encoded.
    pub subtracts: bool,
    /// Whether products with the encoder are multiplied by a gain.
    pub gain: bool,
    /// Whether features are divided by that gain before they are decoded.
    pub divided: bool,
    /// Whether what is rebuilt is another value than what is read: then only a fixed scaling is undone.
    pub transcodes: bool,
    pub skip: bool,
    /// Whether the mean over features is taken from what is read.
    pub centred: bool,
}

impl Coding {
    /// That of a plain autoencoder with a choice of features.
    pub fn plain(choice: Choice) -> Coding {
        Coding {
            choice,
            scaling: Scaling::None,
            subtracts: false,
            gain: false,
            divided: false,
            transcodes: false,
            skip: false,
            centred: false,
        }
    }

    /// The weights that it has.
    pub fn roles(&self) -> Vec<Role> {
        let mut roles = vec![Role::DictEnc, Role::DictEncB];
        roles.extend(self.gain.then_some(Role::DictGain));
        roles.extend(matches!(self.choice, Choice::JumpRelu { .. }).then_some(Role::DictThreshold));
        roles.extend((self.choice == Choice::Gated).then_some(Role::DictGateB));
        roles.extend([Role::DictDec, Role::DictDecB]);
        roles.extend(self.skip.then_some(Role::DictSkip));
        roles
    }

    /// What it is called: `JumpReLU`, `top 32`.
    pub fn name(&self) -> String {
        match self.choice {
            Choice::Relu => "ReLU".into(),
            Choice::JumpRelu { .. } => "JumpReLU".into(),
            Choice::TopK(k) => format!("top {k}"),
            Choice::AbsTopK(k) => format!("top {k} by magnitude"),
            Choice::Gated => "gated".into(),
            Choice::GroupMax(k) => format!("the largest of each of {k} groups"),
        }
    }
}
