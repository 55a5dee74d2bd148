//! Reductions of long axes as trees of short ones.
//!
//! burn 0.22 reduces an axis of more than about 65,000 entries wrongly on wgpu (entries are left out, seen on Mesa's
//! software adapter), and adds a whole tensor up atomically, in a different order each time; on the CPU it adds an axis
//! up in one running sum of 32 bits, which is wrong by 1e-4 over a vocabulary. Trees of short reductions are right,
//! give the same bits every time, and their error grows with the logarithm of the length. They can be differentiated,
//! and so can [`spread`], the way back.
//!
//! Nothing is padded: what does not fill a piece is reduced separately. If one launch pads a buffer that another launch
//! writes, and that other launch is skipped (its input was too large to be held, for example), the buffer looks
//! complete to the device. Here every launch reads what it depends on, so that a failure reaches the reader of the
//! result.

use burn::tensor::kind::Basic;
use burn::tensor::{Bool, Tensor};

/// Longest axis that is added up at once: 32 additions in a row lose little, and 10 million numbers need five levels.
const ADDED: usize = 32;

/// Longest axis of which the largest or smallest entry is taken at once, which loses no precision.
const COMPARED: usize = 256;

/// Reduces the middle axis of `[outer, len, inner]` with `reduce`, which reduces axis 1 of up to `width` entries;
/// `join` makes one result of two. An empty axis is reduced at once.
fn whole<K: Basic>(
    mut x: Tensor<3, K>,
    width: usize,
    reduce: impl Fn(Tensor<3, K>) -> Tensor<3, K>,
    join: impl Fn(Tensor<3, K>, Tensor<3, K>) -> Tensor<3, K>,
) -> Tensor<3, K> {
    if x.dims()[1] <= width {
        return reduce(x);
    }
    let mut rest: Option<Tensor<3, K>> = None; // [outer, 1, inner]
    loop {
        let [outer, len, inner] = x.dims();
        if len <= 1 {
            return match rest {
                Some(rest) => join(x, rest),
                None => x,
            };
        }
        let rows = (len / width).max(1);
        let whole = (rows * width).min(len);
        if whole < len {
            let left = reduce(x.clone().narrow(1, whole, len - whole));
            rest = Some(match rest {
                Some(rest) => join(left, rest),
                None => left,
            });
            x = x.narrow(1, 0, whole);
        }
        x = reduce(x.reshape([outer * rows, whole / rows, inner])).reshape([outer, rows, inner]);
    }
}

pub(super) fn sum(x: Tensor<3>) -> Tensor<3> {
    whole(x, ADDED, |x| x.sum_dim(1), |a, b| a + b)
}

/// Each entry of `[outer, 1, inner]` repeated to `[outer, len, inner]`, so that the gradient adds up as a tree.
pub(super) fn spread(x: Tensor<3>, len: usize) -> Tensor<3> {
    let [outer, _, inner] = x.dims();
    if len <= ADDED {
        return x.expand([outer, len, inner]);
    }
    let rows = len.div_ceil(ADDED);
    let upper = spread(x, rows).reshape([outer * rows, 1, inner]);
    let all = upper.expand([outer * rows, ADDED, inner]).reshape([outer, rows * ADDED, inner]);
    all.narrow(1, 0, len)
}

/// Running sums along the middle axis: those within short pieces, and before each what the pieces before it add up to.
pub(super) fn running_sums(x: Tensor<3>) -> Tensor<3> {
    let [outer, len, inner] = x.dims();
    if len <= ADDED {
        return x.cumsum(1);
    }
    let rows = len / ADDED;
    let whole = rows * ADDED;
    let pieces = x.clone().narrow(1, 0, whole).reshape([outer * rows, ADDED, inner]).cumsum(1);
    let sums = pieces.clone().narrow(1, ADDED - 1, 1).reshape([outer, rows, inner]);
    let before = (running_sums(sums.clone()) - sums).reshape([outer * rows, 1, inner]);
    let all = (pieces + before.expand([outer * rows, ADDED, inner])).reshape([outer, whole, inner]);
    if whole == len {
        return all;
    }
    let missing = len - whole;
    // It depends on the others, so that it fails where they do.
    let last = all.clone().narrow(1, whole - 1, 1).expand([outer, missing, inner]);
    Tensor::cat(vec![all, x.narrow(1, whole, missing).cumsum(1) + last], 1)
}

/// Largest along the middle axis; NaN if any entry is.
pub(super) fn max(x: Tensor<3>) -> Tensor<3> {
    let any = nan_in(x.clone());
    largest(x).mask_fill(any, f32::NAN)
}

/// Smallest along the middle axis; NaN if any entry is.
pub(super) fn min(x: Tensor<3>) -> Tensor<3> {
    let any = nan_in(x.clone());
    whole(x, COMPARED, |x| x.min_dim(1), Tensor::min_pair).mask_fill(any, f32::NAN)
}

fn largest(x: Tensor<3>) -> Tensor<3> {
    whole(x, COMPARED, |x| x.max_dim(1), Tensor::max_pair)
}

fn nan_in(x: Tensor<3>) -> Tensor<3, Bool> {
    largest(x.is_nan().float()).greater_scalar(0.5)
}
