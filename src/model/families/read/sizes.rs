//! Widths and numbers of a model, and what a configuration may leave out of them.

use crate::model::config::{D_MLP, D_MODEL, HfConfig, MAX_POSITIONS, N_HEADS, N_KV_HEADS, N_LAYERS};
use crate::model::error::LoadError;
use crate::model::spec::Layer;

#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub d_model: usize,
    pub n_layers: usize,
    pub n_heads: usize,
    pub n_kv_heads: usize,
    pub head_dim: usize,
    pub d_mlp: usize,
    pub vocab: usize,
    pub max_positions: usize,
}

/// How a family finds out widths and numbers that a configuration need not give.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub kv: Kv,
    pub head_dim: HeadDim,
    /// Whether the width of the MLP may be left out, and is four times that of the model then.
    pub fourfold: bool,
    pub max_positions: usize,
}

#[derive(Clone, Copy, Debug)]
pub enum Kv {
    /// As many as query heads; there is no key.
    Heads,
    /// As many as query heads unless a key says otherwise.
    HeadsOr,
    /// This many unless a key says otherwise; null means as many as query heads.
    Default(usize),
    Fixed(usize),
}

#[derive(Clone, Copy, Debug)]
pub enum HeadDim {
    /// The model's width by the number of heads.
    Even,
    /// The same unless a key says otherwise.
    EvenOr,
    Default(usize),
}

impl Rules {
    /// Grouped heads, with their own width if the configuration has it: Llama and most others.
    pub const LLAMA: Rules = Rules { kv: Kv::HeadsOr, head_dim: HeadDim::EvenOr, fourfold: false, max_positions: 2048 };
    /// No grouping: GPT-2 and its time.
    pub const GPT2: Rules = Rules { kv: Kv::Heads, head_dim: HeadDim::Even, fourfold: true, max_positions: 2048 };

    /// With this many key/value heads where none are given.
    pub const fn kv(self, heads: usize) -> Rules {
        Rules { kv: Kv::Default(heads), ..self }
    }

    pub const fn head_dim(self, width: usize) -> Rules {
        Rules { head_dim: HeadDim::Default(width), ..self }
    }
}

impl Sizes {
    /// Reads widths and numbers.
    pub fn read(config: &HfConfig, rules: &Rules) -> Result<Sizes, LoadError> {
        let (d_model, n_heads, n_layers) = (config.size(D_MODEL)?, config.size(N_HEADS)?, config.size(N_LAYERS)?);
        let n_kv_heads = match rules.kv {
            Kv::Heads => n_heads,
            Kv::HeadsOr => config.opt_size(N_KV_HEADS)?.unwrap_or(n_heads),
            Kv::Default(heads) => config.size_or(N_KV_HEADS, Some(heads))?.unwrap_or(n_heads),
            Kv::Fixed(heads) => heads,
        };
        if !n_heads.is_multiple_of(n_kv_heads) {
            return Err(config.bad(format!("{n_heads} heads cannot share {n_kv_heads} key/value heads evenly")));
        }
        const HEAD_DIM: &[&str] = &["head_dim"];
        let given = match rules.head_dim {
            HeadDim::Even => None,
            HeadDim::EvenOr => config.opt_size(HEAD_DIM)?,
            HeadDim::Default(width) => config.size_or(HEAD_DIM, Some(width))?,
        };
        let head_dim = match given {
            Some(width) => width,
            None if d_model.is_multiple_of(n_heads) => d_model / n_heads,
            None => return Err(config.bad(format!("a width of {d_model} cannot be split into {n_heads} heads"))),
        };
        // A configuration that has `n_inner`, null or not, is one of those that know no other name for this width.
        const N_INNER: &[&str] = &["n_inner"];
        let absent = usize::MAX;
        let of_inner = if rules.fourfold { config.size_or(N_INNER, Some(absent))? } else { Some(absent) };
        let d_mlp = match of_inner {
            None => 4 * d_model,
            Some(width) if width != absent => width,
            Some(_) => match config.opt_size(D_MLP)? {
                Some(width) => width,
                None if rules.fourfold => 4 * d_model,
                None => config.size(D_MLP)?,
            },
        };
        Ok(Sizes {
            d_model,
            n_layers,
            n_heads,
            n_kv_heads,
            head_dim,
            d_mlp,
            vocab: config.size(&["vocab_size"])?,
            max_positions: config.opt_size(MAX_POSITIONS)?.unwrap_or(rules.max_positions),
        })
    }

    /// `1/sqrt(h)`.
    pub fn scale(&self) -> f64 {
        1.0 / (self.head_dim as f64).sqrt()
    }

    /// Layers with full attention and the usual scale, changed one by one.
    pub fn layers(&self, change: impl Fn(usize, Layer) -> Layer) -> Vec<Layer> {
        (0..self.n_layers).map(|i| change(i, Layer::plain(i, self.scale()))).collect()
    }
}
