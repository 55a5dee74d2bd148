//! Tests: operations that a gradient follows are as exact as those that read, and so is the gradient.

use super::Reduction;
use crate::tensor::{Device, DeviceChoice, Value};

/// About eight times the rounding of one number in 32 bits, relative to the largest of a value.
const EXACT: f64 = 1e-6;

fn numbers(count: usize, mut state: u32, low: f32, high: f32) -> Vec<f32> {
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        low + (state >> 8) as f32 / (1 << 24) as f32 * (high - low)
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn wide(data: &[f32]) -> Vec<f64> {
    data.iter().map(|x| f64::from(*x)).collect()
}

fn near(what: &str, found: &Value, wanted: &[f64]) {
    let found = found.read_f64().unwrap();
    assert_eq!(found.len(), wanted.len(), "{what}");
    let size = wanted.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((found - wanted).abs() <= EXACT * size, "{what}, element {i}: {found} for {wanted} of up to {size}");
    }
}

fn devices() -> [Device; 2] {
    [Device::cpu(), Device::open(DeviceChoice::Vulkan(0)).expect("a Vulkan adapter (Mesa's software one will do)")]
}

#[test]
fn gradients_over_a_vocabulary_are_those_of_their_formulas() {
    let count = 70_001; // beyond what burn reduces at once, and not a multiple of a piece
    let (x, seed) = (numbers(count, 1, -6.0, 6.0), numbers(count, 2, 0.0, 1.0));
    let (wide_x, g) = (wide(&x), wide(&seed));
    let whole: f64 = wide_x.iter().map(|x| x.exp()).sum();
    let p: Vec<f64> = wide_x.iter().map(|x| x.exp() / whole).collect();
    let along: f64 = p.iter().zip(&g).map(|(p, g)| p * g).sum();
    let sum: f64 = g.iter().sum();
    let mut back = 0.0;
    let mut running: Vec<f64> = g
        .iter()
        .rev()
        .map(|g| {
            back += g;
            back
        })
        .collect();
    running.reverse();
    let mean = wide_x.iter().sum::<f64>() / count as f64;
    let norm = wide_x.iter().map(|x| x * x).sum::<f64>().sqrt();
    for device in devices() {
        let leaf = Value::from_f32(x.clone(), &[count], &device).leaf();
        let seed = Value::from_f32(seed.clone(), &[count], &device);
        let one = Value::from_f32(vec![1.0], &[1], &device);
        let plain = leaf.untracked();
        let check = |what: &str, tracked: Value, read: Value, wanted: Vec<f64>| {
            assert!(tracked.is_tracked() && !read.is_tracked(), "{what}");
            near(&format!("{what} on {device:?}"), &tracked.untracked(), &read.read_f64().unwrap());
            let seed = if tracked.count() == 1 { &one } else { &seed };
            near(
                &format!("gradient of {what} on {device:?}"),
                &tracked.pull(seed).unwrap().at(&leaf).unwrap(),
                &wanted,
            );
        };
        let wanted = p.iter().zip(&g).map(|(p, g)| p * (g - along)).collect();
        check("softmax", leaf.softmax(0).unwrap(), plain.softmax(0).unwrap(), wanted);
        let wanted = p.iter().zip(&g).map(|(p, g)| g - p * sum).collect();
        check("log_softmax", leaf.log_softmax(0).unwrap(), plain.log_softmax(0).unwrap(), wanted);
        check("cumsum", leaf.cumsum(0).unwrap(), plain.cumsum(0).unwrap(), running.clone());
        let reduced = |x: &Value, op| x.reduce_axis(op, 0).unwrap();
        for (op, wanted) in [
            (Reduction::Sum, vec![1.0; count]),
            (Reduction::Mean, vec![1.0 / count as f64; count]),
            (Reduction::Norm, wide_x.iter().map(|x| x / norm).collect()),
            (Reduction::Var, wide_x.iter().map(|x| 2.0 * (x - mean) / count as f64).collect()),
        ] {
            check(op.name(), reduced(&leaf, op), reduced(&plain, op), wanted);
        }
    }
}

/// Axes that are not a multiple of a piece, with others on both sides.
#[test]
fn trees_reduce_any_axis() {
    for device in devices() {
        for shape in [[1, 1, 1], [3, 31, 2], [2, 33, 3], [1, 257, 1], [2, 1025, 2], [1, 4, 70_000]] {
            let data = numbers(shape.iter().product(), 3, -1.0, 2.0);
            let leaf = Value::from_f32(data.clone(), &shape, &device).leaf();
            let host = Value::from_f32(data, &shape, &Device::cpu());
            for op in [Reduction::Sum, Reduction::Std, Reduction::Max, Reduction::Min, Reduction::AbsMax] {
                let wanted = host.reduce_axis(op, 1).unwrap().read_f64().unwrap();
                near(
                    &format!("{op:?} of {shape:?} on {device:?}"),
                    &leaf.reduce_axis(op, 1).unwrap().untracked(),
                    &wanted,
                );
            }
            let wanted = host.cumsum(1).unwrap().read_f64().unwrap();
            near(&format!("cumsum of {shape:?} on {device:?}"), &leaf.cumsum(1).unwrap().untracked(), &wanted);
        }
    }
}

/// A buffer beyond the limit of the device does not exist: nothing computed from it may look complete. Neither count is
/// a multiple of the pieces that are reduced at once, so that every level of the trees has something left over.
#[test]
fn what_a_device_cannot_hold_is_an_error_and_no_number() {
    let [_, device] = devices();
    let most = device.max_buffer_bytes() / 4;
    assert!(most < 1 << 28, "the software adapter holds 128 MiB at once, found {most} numbers");
    for count in [most as usize + 1, most as usize + 70_001] {
        let value = Value::float(burn::tensor::Tensor::<1>::ones([count], device.burn()));
        assert!(value.summary().is_err(), "a summary of {count}");
        for op in [Reduction::Sum, Reduction::Std, Reduction::Norm, Reduction::Min, Reduction::Max, Reduction::AbsMax] {
            assert!(value.reduce(op).is_err(), "{op:?} of {count}");
            let lines = value.clone().reshaped(&[1, count]).reduce_axis(op, 1).and_then(|found| found.read_f64());
            assert!(lines.is_err(), "{op:?} of a line of {count}");
        }
        assert!(value.softmax(0).and_then(|found| found.read_f64()).is_err(), "softmax of {count}");
        // The device goes on.
        assert_eq!(Value::from_f32(vec![1.0; 20_000], &[20_000], &device).reduce(Reduction::Sum).unwrap(), 20_000.0);
    }
}
