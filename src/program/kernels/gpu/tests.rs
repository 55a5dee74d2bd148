//! Each kernel gives what the CPU gives, at shapes that fill no cube, tile or vector, and with numbers that are not finite.
//! Both add up in 32 bits or more, in different orders: 2e-6 of the size of what is added up.

use crate::model::spec::Act;
use crate::program::kernels::{gpu, host};
use crate::tensor::{Device, DeviceChoice, Value};

/// Numbers from -2 to 2 without a pattern.
fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 22) as f32 - 2.0
    };
    (0..count).map(|_| next()).collect()
}

/// The same value on the CPU and on a graphics device.
struct Both {
    here: Value,
    there: Value,
}

impl Both {
    fn new(data: Vec<f32>, shape: &[usize]) -> Both {
        let device = Device::open(DeviceChoice::Vulkan(0)).expect("a Vulkan adapter (Mesa's software one will do)");
        Both {
            there: Value::from_f32(data.clone(), shape, &device),
            here: Value::from_f32(data, shape, &Device::cpu()),
        }
    }

    fn of(seed: u32, shape: &[usize]) -> Both {
        Both::new(numbers(seed, shape.iter().product()), shape)
    }
}

fn alike(what: &str, there: Option<Value>, here: Option<Value>, size: f32) {
    let (there, here) = (there.unwrap_or_else(|| panic!("{what}: no kernel")), here.expect("a loop of the CPU"));
    assert_eq!(there.shape(), here.shape(), "{what}");
    for (i, (a, b)) in there.read_f32().unwrap().into_iter().zip(here.read_f32().unwrap()).enumerate() {
        let same = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 2e-6 * (size + b.abs());
        assert!(same, "{what}: element {i} is {a}, and {b} on the CPU");
    }
}

#[test]
fn products_of_every_size() {
    let sizes = [
        (1, 7, 5),
        (1, 1300, 9),
        (2, 64, 100),
        (3, 130, 33),
        (8, 128, 65),
        (9, 33, 65),
        (16, 20, 64),
        (17, 256, 66),
        (33, 129, 130),
        (70, 36, 129),
        (4, 1, 3),
    ];
    for (rows, n, m) in sizes {
        let x = Both::of(1, &[1, rows, n]);
        let bias = Both::of(3, &[m]);
        // As linear weights are laid out, and the other way round.
        let stored = Both::of(2, &[m, n]);
        let turned = Both { here: stored.here.transpose(), there: stored.there.transpose() };
        for weight in [turned, Both::of(4, &[n, m])] {
            let there = gpu::linear(&x.there, &weight.there, Some(&bias.there));
            let here = host::linear(&x.here, &weight.here, Some(&bias.here));
            alike(&format!("{rows} rows, {n} to {m}"), there, here, 4.0 * n as f32);
        }
    }
}

#[test]
fn norms_of_every_width() {
    for shape in [[1, 1, 1], [1, 3, 100], [2, 5, 4096], [1, 40_000, 3], [3, 1, 129]] {
        let x = Both::of(5, &shape);
        let width = shape[2];
        let both = |there: Option<Value>, here: Option<Value>| {
            let (there, here) = (there.unwrap(), here.unwrap());
            alike(&format!("scale of {shape:?}"), Some(there.clone()), Some(here.clone()), 1.0);
            Both { here, there }
        };
        let rms = both(gpu::rms_scale(&x.there, 1e-6), host::rms_scale(&x.here, 1e-6));
        let norm = both(gpu::layer_norm_scale(&x.there, 1e-3), host::layer_norm_scale(&x.here, 1e-3));
        alike("over", gpu::over(&x.there, &rms.there), host::over(&x.here, &rms.here), 4.0);
        alike("centred", gpu::centred_over(&x.there, &norm.there), host::centred_over(&x.here, &norm.here), 4.0);
        let (gain, bias) = (Both::of(6, &[width]), Both::of(7, &[width]));
        for one_plus in [false, true] {
            let there = gpu::gain(&x.there, &gain.there, Some(&bias.there), one_plus);
            alike("gain", there, host::gain(&x.here, &gain.here, Some(&bias.here), one_plus), 8.0);
        }
    }
}

#[test]
fn functions_of_each_element_at_their_ends() {
    let mut data = numbers(8, 1000);
    data.iter_mut().for_each(|x| *x *= 6.0);
    data.extend([0.0, -0.0, 1e-5, -1e-5, 0.624, 0.626, 30.0, -30.0, 88.0, -88.0, 1e30, f32::NAN]);
    let x = Both::new(data.clone(), &[1, 2, data.len() / 2]);
    let there = gpu::activation(&x.there, Act::QuickGelu);
    alike("QuickGelu", there, host::activation(&x.here, Act::QuickGelu), 1.0);
    for act in [Act::Gelu, Act::GeluTanh, Act::Silu] {
        alike(&format!("{act:?}"), gpu::activation(&x.there, act), host::activation(&x.here, act), 1.0);
        let there = gpu::gated(&x.there, &x.there, act);
        alike(&format!("gated {act:?}"), there, host::gated(&x.here, &x.here, act), 12.0);
    }
    // Closed forms: burn computes most of these on the CPU.
    let closed: [(Act, fn(f64) -> f64); 4] = [
        (Act::Relu, |x| if x < 0.0 { 0.0 } else { x }),
        (Act::Relu2, |x| if x < 0.0 { 0.0 } else { x * x }),
        (Act::Tanh, f64::tanh),
        (Act::Sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
    ];
    for (act, function) in closed {
        let wanted = data.iter().map(|x| function(f64::from(*x)) as f32).collect();
        let wanted = Value::from_f32(wanted, x.here.shape(), &Device::cpu());
        alike(&format!("{act:?}"), gpu::activation(&x.there, act), Some(wanted), 1.0);
    }
    alike("bounded", gpu::bounded(&x.there, 3.0), host::bounded(&x.here, 3.0), 1.0);
    alike("capped", gpu::capped(&x.there, 3.0), host::capped(&x.here, 3.0), 3.0);
    alike("scale", gpu::scale(&x.there, 0.3), host::scale(&x.here, 0.3), 1.0);
    alike("add", gpu::add(&x.there, &x.there), host::add(&x.here, &x.here), 1.0);
}

#[test]
fn softmax_of_every_length_and_of_rows_without_a_pattern() {
    for (rows, keys) in [(1, 1), (7, 5), (3, 1000), (70_000, 2)] {
        let mut data = numbers(9, rows * keys);
        data.iter_mut().for_each(|x| *x *= 20.0);
        data[0] = if keys > 1 { f32::NEG_INFINITY } else { 1.0 };
        if rows == 7 {
            data[keys..2 * keys].fill(f32::NEG_INFINITY);
            (data[2 * keys], data[3 * keys + 1]) = (f32::NAN, f32::INFINITY);
        }
        let scores = Both::new(data, &[1, 1, rows, keys]);
        let here = host::pattern(&scores.here, None, None);
        alike(&format!("{rows} rows of {keys}"), gpu::pattern(&scores.there, None, None), here, 1.0);
    }
}
