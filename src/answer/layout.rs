//! Laying out the elements of a value in nested brackets, as numpy and torch do.
//!
//! Of a long axis only the first and last few elements are shown, with `...` between. This is done in two steps:
//! [`edge_indices`] gives the elements that are needed, so that a large value never has to be read whole, and
//! [`edge_lines`] lays out what was read.

/// How many elements are shown at each end of a long axis.
pub const EDGE: usize = 3;

/// The indices that are shown of an axis of length `n`: all, or the first and last `edge`.
pub fn edge_indices(n: usize, edge: usize) -> Vec<usize> {
    if is_cut(n, edge) { (0..edge).chain(n - edge..n).collect() } else { (0..n).collect() }
}

/// The elements that are shown of a value whose elements are all known, in the order that [`edge_lines`] takes.
pub fn edge_elements(data: &[f64], shape: &[usize], edge: usize) -> Vec<f64> {
    let Some((&n, rest)) = shape.split_first() else { return data.to_vec() };
    let stride: usize = rest.iter().product();
    edge_indices(n, edge)
        .into_iter()
        .flat_map(|i| edge_elements(&data[i * stride..(i + 1) * stride], rest, edge))
        .collect()
}

/// Lays out a value of shape `shape` of which `data` holds the elements at [`edge_indices`] of every axis, in row-major
/// order. With an `edge` of `usize::MAX` nothing is left out and `data` is the whole value.
///
/// # Panics
/// If `data` has a different number of elements.
pub fn edge_lines(data: &[f64], shape: &[usize], edge: usize, format: impl Fn(f64) -> String) -> Vec<String> {
    let kept: Vec<usize> = shape.iter().map(|&n| if is_cut(n, edge) { 2 * edge } else { n }).collect();
    assert_eq!(data.len(), kept.iter().product::<usize>(), "elements for the edges of shape {shape:?}");
    let words: Vec<String> = data.iter().map(|&x| format(x)).collect();
    let width = words.iter().map(String::len).max().unwrap_or(0);
    let block = Block { shape, edge, width };
    let mut lines = vec![String::new()];
    block.write(&words, 0, &mut lines);
    lines
}

/// Whether an axis of length `n` is too long to be shown whole. One element is never replaced by dots.
fn is_cut(n: usize, edge: usize) -> bool {
    edge.checked_mul(2).is_some_and(|shown| n > shown + 1)
}

struct Block<'a> {
    shape: &'a [usize],
    edge: usize,
    width: usize,
}

impl Block<'_> {
    /// Appends the elements `words` of `axis` and the axes after it to the last of `lines`.
    fn write(&self, words: &[String], axis: usize, lines: &mut Vec<String>) {
        let Some(&n) = self.shape.get(axis) else {
            let word = words.first().map(String::as_str).unwrap_or_default();
            push(lines, &format!("{word:>width$}", width = self.width));
            return;
        };
        push(lines, "[");
        let parts = edge_indices(n, self.edge).len();
        let stride = words.len().checked_div(parts).unwrap_or(0);
        for part in 0..parts {
            if part > 0 {
                self.separate(axis, lines);
            }
            if is_cut(n, self.edge) && part == self.edge {
                push(lines, "...");
                self.separate(axis, lines);
            }
            self.write(&words[part * stride..(part + 1) * stride], axis + 1, lines);
        }
        push(lines, "]");
    }

    /// The separator of two elements along `axis`: a space along the last, a new line along the others.
    fn separate(&self, axis: usize, lines: &mut Vec<String>) {
        if axis + 1 == self.shape.len() {
            push(lines, ", ");
        } else {
            push(lines, ",");
            lines.push(" ".repeat(axis + 1));
        }
    }
}

fn push(lines: &mut [String], text: &str) {
    if let Some(line) = lines.last_mut() {
        line.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::answer::numbers::short;

    fn counting(shape: &[usize], edge: usize) -> String {
        let all: Vec<f64> = (0..shape.iter().product()).map(|i: usize| i as f64 / 4.0).collect();
        edge_lines(&edge_elements(&all, shape, edge), shape, edge, short).join("\n")
    }

    #[test]
    fn vectors_and_matrices() {
        insta::assert_snapshot!(counting(&[4], 3), @"[   0, 0.25,  0.5, 0.75]");
        insta::assert_snapshot!(counting(&[100], 2), @"[    0,  0.25, ...,  24.5, 24.75]");
        insta::assert_snapshot!(counting(&[2, 3], 3), @r"
        [[   0, 0.25,  0.5],
         [0.75,    1, 1.25]]
        ");
    }

    #[test]
    fn every_axis_is_cut() {
        insta::assert_snapshot!(counting(&[2, 9, 9], 2), @r"
        [[[    0,  0.25, ...,  1.75,     2],
          [ 2.25,   2.5, ...,     4,  4.25],
          ...,
          [15.75,    16, ...,  17.5, 17.75],
          [   18, 18.25, ..., 19.75,    20]],
         [[20.25,  20.5, ...,    22, 22.25],
          [ 22.5, 22.75, ..., 24.25,  24.5],
          ...,
          [   36, 36.25, ..., 37.75,    38],
          [38.25,  38.5, ...,    40, 40.25]]]
        ");
    }

    #[test]
    fn no_elements() {
        assert_eq!(counting(&[0], 3), "[]");
        assert_eq!(counting(&[2, 0], 3), "[[],\n []]");
        assert_eq!(edge_lines(&[2.5], &[], 3, short), ["2.5"]);
    }

    proptest! {
        #[test]
        fn brackets_balance(shape in proptest::collection::vec(0_usize..9, 0..4), edge in 1_usize..4) {
            let text = counting(&shape, edge);
            prop_assert_eq!(text.matches('[').count(), text.matches(']').count());
            let shown: usize = shape.iter().map(|&n| edge_indices(n, edge).len()).product();
            let words = text.split([',', '[', ']', ' ', '\n']).filter(|w| !w.is_empty() && *w != "...").count();
            prop_assert_eq!(words, shown.max(usize::from(shape.is_empty())));
        }
    }
}
