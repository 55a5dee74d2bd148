//! What scores get of the distance between query and key from a table, as data.

use serde::{Deserialize, Serialize};

use super::Norm;

/// A table with a row for each distance, or for some of them together, and what its rows are for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relative {
    /// Rows of the table.
    pub rows: usize,
    pub buckets: Buckets,
    pub adds: Adds,
}

/// Which row of the table a query and a key have. Positions are columns of the input, padding included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Buckets {
    /// The second half of `count` rows is for keys after the query. Of each half `n`, row `d` is for the distance `d` up to
    /// `n / 2`, and the others are for larger ones by their logarithm, the last one from `farthest` on (T5).
    Halves { count: usize, farthest: usize },
    /// Row `d` is for the distance `d` of a key before the query up to `count / 2`, and the others are for larger ones by their
    /// logarithm; keys after the query have row 0 (the decoder of T5).
    Before { count: usize, farthest: usize },
    /// Row `span + d` is for a key `d` before the query, and the first and last row are for all beyond. Distances above
    /// `span / 2` count by their logarithm where `farthest` is given, so that `farthest` is the last row (DeBERTa).
    Centred { span: usize, farthest: Option<usize> },
}

/// What the rows of the table add to scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Adds {
    /// A number for each head, the same in all layers: the table is `[rows, H]` (T5, MPNet).
    Numbers,
    /// Products with queries or keys: the table is `[rows, d]`.
    Products(Disentangled),
}

/// Products of queries and keys with what is projected of the rows of a table: disentangled attention (He and others
/// 2021, "DeBERTa: Decoding-enhanced BERT with Disentangled Attention"). They are scaled as scores are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disentangled {
    /// Of each query with the key of its distance, "c2p".
    pub of_queries: bool,
    /// Of each key with the query of its distance, "p2c".
    pub of_keys: bool,
    /// Whether rows are projected as content is, and not by weights of their own.
    pub shared: bool,
    /// What the rows pass first.
    pub norm: Option<Norm>,
}

impl Buckets {
    /// The row of the table for the query at column `query` and the key at column `key`. In 32 bits where there are
    /// logarithms, as in transformers.
    pub fn row(self, query: usize, key: usize) -> usize {
        let apart = query.abs_diff(key);
        match self {
            Buckets::Halves { count, farthest } => {
                let within = by_logarithm(apart, count / 2, farthest);
                if key > query { count / 2 + within } else { within }
            }
            Buckets::Before { count, farthest } => by_logarithm(query.saturating_sub(key), count, farthest),
            Buckets::Centred { span, farthest } => {
                let middle = span / 2;
                let within = match farthest {
                    Some(farthest) if apart > middle => {
                        let whole = (((farthest - 1) as f64 / middle as f64) as f32).ln();
                        let part = (apart as f32 / middle as f32).ln() / whole;
                        (part * (middle - 1) as f32).ceil() as usize + middle
                    }
                    _ => apart,
                };
                if key > query { span.saturating_sub(within) } else { (span + within).min(2 * span - 1) }
            }
        }
    }
}

/// Which of `count` rows a distance has: the first half for one distance each.
fn by_logarithm(apart: usize, count: usize, farthest: usize) -> usize {
    let exact = count / 2;
    if apart < exact {
        return apart;
    }
    let whole = (farthest as f64 / exact as f64).ln() as f32;
    let part = (apart as f32 / exact as f32).ln() / whole;
    (exact + (part * (count - exact) as f32) as usize).min(count - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of transformers' `_relative_position_bucket` and `make_log_bucket_position`.
    #[test]
    fn rows_are_those_of_transformers() {
        let t5 = Buckets::Halves { count: 32, farthest: 128 };
        let of = |buckets: Buckets, distances: &[i64]| -> Vec<usize> {
            distances.iter().map(|d| buckets.row(1000, (1000 + d) as usize)).collect()
        };
        let distances =
            [-900, -128, -127, -91, -90, -64, -32, -16, -8, -7, -1, 0, 1, 7, 8, 11, 12, 16, 22, 23, 91, 500];
        let expected = [15, 15, 15, 15, 14, 14, 12, 10, 8, 7, 1, 0, 17, 23, 24, 24, 25, 26, 26, 27, 31, 31];
        assert_eq!(of(t5, &distances), expected);
        let decoder = Buckets::Before { count: 32, farthest: 128 };
        let distances = [-900, -128, -113, -91, -64, -32, -20, -17, -16, -15, -1, 0, 1, 500];
        assert_eq!(of(decoder, &distances), [31, 31, 31, 29, 26, 21, 17, 16, 16, 15, 1, 0, 0, 0]);
        let log = Buckets::Centred { span: 8, farthest: Some(40) };
        let distances = [-900, -40, -20, -9, -5, -4, -3, -1, 0, 1, 3, 4, 5, 8, 9, 12, 19, 39, 40, 900];
        let expected = [15, 15, 15, 14, 13, 12, 11, 9, 8, 7, 5, 4, 3, 3, 2, 2, 1, 1, 0, 0];
        assert_eq!(of(log, &distances), expected);
        let plain = Buckets::Centred { span: 4, farthest: None };
        assert_eq!(of(plain, &[-9, -4, -3, -1, 0, 1, 3, 4, 9]), [7, 7, 7, 5, 4, 3, 1, 0, 0]);
    }
}
