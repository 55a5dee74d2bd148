//! Directions: vectors of a site that have a name, and what they were made of. `$NAME` is the vector itself.

use std::sync::Arc;

/// A named vector at a site, or one at each of several sites.
#[derive(Clone, Debug)]
pub struct Direction {
    pub name: String,
    /// What it was made by, in words: `difference of means`, a file.
    pub made: String,
    /// By site, in program order.
    pub places: Vec<Place>,
    /// What it was made of, if that was texts.
    pub texts: Option<Arc<Texts>>,
}

/// The vector of one site.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub site: String,
    /// `[d]`, the width of the site.
    pub vector: Vec<f64>,
    pub probe: Option<Probe>,
}

impl Place {
    /// Euclidean.
    pub fn norm(&self) -> f64 {
        dot(&self.vector, &self.vector).sqrt()
    }

    /// `vector . x`.
    pub fn along(&self, x: &[f64]) -> f64 {
        dot(&self.vector, x)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A direction as a classifier: what lies further along it than an offset is of the first kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    pub offset: f64,
    /// Shares of vectors that are classified correctly: of those it was fitted to, and of those that were held out.
    pub fitted: f64,
    pub held_out: f64,
    /// The same of held-out vectors, by probes that were fitted to labels in a random order.
    pub shuffled: Vec<f64>,
}

/// Which vectors of a text count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// That of the last token.
    Last,
    /// The mean over all tokens that are not special.
    Mean,
    /// That of each of them.
    All,
    /// That of one position, from the end if negative.
    At(i64),
}

/// Texts of two kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    /// The files, as they were named.
    pub names: [String; 2],
    pub reading: Reading,
    /// Those that directions are fitted to, of the first and of the second kind.
    pub fitted: [Vec<String>; 2],
    pub held_out: [Vec<String>; 2],
}
