//! A graphics device gives the statistics that the CPU gives, also of values that are larger than what it reduces at once.

use llmdbg::tensor::ops::Reduction;
use llmdbg::tensor::{Device, DeviceChoice, Value};

/// 300,000 numbers without a pattern, in -3 to 3; the largest and smallest stand in the last third.
fn numbers() -> Vec<f32> {
    let mut state = 1u32;
    let mut data: Vec<f32> = (0..300_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 * 6.0 - 3.0
        })
        .collect();
    (data[250_001], data[299_999]) = (-3.5, 3.25);
    data
}

/// Relative to the larger magnitude, or to 1: sums of 300,000 numbers in 32 bits, added as a tree.
fn close(what: &str, found: f64, wanted: f64) {
    let fits = (found.is_nan() && wanted.is_nan()) || (found - wanted).abs() <= 1e-4 * wanted.abs().max(1.0);
    assert!(fits, "{what}: {found} for {wanted}");
}

const ALL: [Reduction; 8] = [
    Reduction::Sum,
    Reduction::Mean,
    Reduction::Var,
    Reduction::Std,
    Reduction::Min,
    Reduction::Max,
    Reduction::AbsMax,
    Reduction::Norm,
];

#[test]
fn statistics_of_large_values_are_the_same_on_a_graphics_device() {
    let gpu = Device::open(DeviceChoice::Vulkan(0)).expect("a Vulkan adapter (Mesa's software one will do)");
    for spoiled in [false, true] {
        let mut data = numbers();
        if spoiled {
            (data[7], data[200_000], data[299_000], data[100_000]) = (f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0);
        }
        let on = |device: &Device| Value::from_f32(data.clone(), &[3, 100_000], device);
        let (here, there) = (on(&Device::cpu()), on(&gpu));
        let (wanted, found) = (here.summary().unwrap(), there.summary().unwrap());
        let counts =
            |s: &llmdbg::tensor::Summary| (s.count, s.nan, s.pos_inf, s.neg_inf, s.zeros, s.absmax_index.clone());
        assert_eq!(counts(&found), counts(&wanted));
        let parts = |s: &llmdbg::tensor::Summary| [s.min, s.max, s.mean, s.std, s.l2, s.absmax];
        parts(&found).into_iter().zip(parts(&wanted)).for_each(|(found, wanted)| close("summary", found, wanted));
        if spoiled {
            for op in [Reduction::Min, Reduction::Max, Reduction::AbsMax] {
                assert!(there.reduce(op).unwrap().is_nan(), "{op:?} of a value with NaN");
            }
            continue;
        }
        for op in ALL {
            close(&format!("{op:?}"), there.reduce(op).unwrap(), here.reduce(op).unwrap());
            let lines = |value: &Value| value.reduce_axis(op, 1).unwrap().read_f64().unwrap();
            for (found, wanted) in lines(&there).into_iter().zip(lines(&here)) {
                close(&format!("{op:?} of lines"), found, wanted);
            }
        }
        let elements = |value: Value| value.read_f64().unwrap();
        let pairs = [
            ("softmax", elements(there.softmax(1).unwrap()), elements(here.softmax(1).unwrap())),
            ("log_softmax", elements(there.log_softmax(1).unwrap()), elements(here.log_softmax(1).unwrap())),
            ("cumsum", elements(there.cumsum(1).unwrap()), elements(here.cumsum(1).unwrap())),
        ];
        for (what, found, wanted) in pairs {
            found.into_iter().zip(wanted).for_each(|(found, wanted)| close(what, found, wanted));
        }
    }
}
