//! Reductions of long axes on a graphics device, as trees of short ones.
//!
//! burn 0.22 reduces an axis of more than about 65,000 entries wrongly on wgpu (entries are left out, seen on Mesa's software
//! adapter), and adds a whole tensor up atomically, in another order each time. Trees of short reductions are right,
//! give the same bits every time, and their error grows with the logarithm of the length.

use burn::tensor::{Bool, Int, Tensor};

/// Longest axis that is reduced at once.
const WIDTH: usize = 256;

/// Reduces the middle axis of `[outer, len, inner]` with `reduce`, which reduces axis 1 of short ones; `neutral` fills up.
pub(super) fn tree(x: Tensor<3>, neutral: f32, reduce: impl Fn(Tensor<3>) -> Tensor<3>) -> Tensor<3> {
    let mut x = x;
    loop {
        let [outer, len, inner] = x.dims();
        if len <= WIDTH {
            return reduce(x);
        }
        let rows = len.div_ceil(WIDTH);
        let missing = rows * WIDTH - len;
        if missing > 0 {
            let filler = Tensor::full([outer, missing, inner], neutral, (&x.device(), x.dtype()));
            x = Tensor::cat(vec![x, filler], 1);
        }
        x = reduce(x.reshape([outer * rows, WIDTH, inner])).reshape([outer, rows, inner]);
    }
}

/// Sums along the middle axis.
pub(super) fn sum(x: Tensor<3>) -> Tensor<3> {
    tree(x, 0.0, |x| x.sum_dim(1))
}

/// Largest along the middle axis; NaN where there is one.
pub(super) fn max(x: Tensor<3>) -> Tensor<3> {
    let any = nan_in(x.clone());
    tree(x, f32::NEG_INFINITY, |x| x.max_dim(1)).mask_fill(any, f32::NAN)
}

/// Smallest along the middle axis; NaN where there is one.
pub(super) fn min(x: Tensor<3>) -> Tensor<3> {
    let any = nan_in(x.clone());
    tree(x, f32::INFINITY, |x| x.min_dim(1)).mask_fill(any, f32::NAN)
}

fn nan_in(x: Tensor<3>) -> Tensor<3, Bool> {
    tree(x.is_nan().float(), 0.0, |x| x.max_dim(1)).greater_scalar(0.5)
}

/// All elements as one line.
pub(super) fn line(x: Tensor<1>) -> Tensor<3> {
    let count = x.dims()[0];
    x.reshape([1, count, 1])
}

/// How many are true, exactly.
pub(super) fn count(mask: Tensor<1, Bool>) -> Tensor<1, Int> {
    let mut x = mask.int();
    loop {
        let len = x.dims()[0];
        if len <= WIDTH {
            return x.sum_dim(0);
        }
        let rows = len.div_ceil(WIDTH);
        let missing = rows * WIDTH - len;
        if missing > 0 {
            let filler = Tensor::zeros([missing], (&x.device(), x.dtype()));
            x = Tensor::cat(vec![x, filler], 0);
        }
        x = x.reshape([rows, WIDTH]).sum_dim(1).reshape([rows]);
    }
}

/// Index of the first element that is true; the length if none is.
pub(super) fn first(mask: Tensor<1, Bool>) -> Tensor<1, Int> {
    let count = mask.dims()[0];
    let device = mask.device();
    let indices = Tensor::<1, Int>::arange(0..count as i64, &device);
    let mut x = indices.mask_fill(mask.bool_not(), count as i64);
    loop {
        let len = x.dims()[0];
        if len <= WIDTH {
            return x.min_dim(0);
        }
        let rows = len.div_ceil(WIDTH);
        let missing = rows * WIDTH - len;
        if missing > 0 {
            let filler = Tensor::full([missing], count as i64, (&device, x.dtype()));
            x = Tensor::cat(vec![x, filler], 0);
        }
        x = x.reshape([rows, WIDTH]).min_dim(1).reshape([rows]);
    }
}
