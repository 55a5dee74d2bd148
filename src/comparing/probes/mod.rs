//! Does the device compute what drivers are known to get wrong? Kernels on numbers whose results are known: what is not
//! finite, zeros with a sign, the smallest numbers, functions of large ones, masks, and products in the shapes of real
//! models. The ops of a pass show none of these unless its text does.

mod large;
mod numbers;

use crate::debugger::Result;
use crate::tensor::{Device, Value, step};

/// A number that a device gave, and the right one.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What was computed: `tanh(-44)`, `row 513`.
    pub what: String,
    pub found: f64,
    pub wanted: f64,
    /// How far apart they are, as a part of their size; infinite where only the number itself is right.
    pub off: f64,
}

/// A test of a device: its name, whether it takes seconds on a software device, what a case may be off by, and the
/// cases, which are computed when they are asked for.
pub struct Probe {
    pub name: &'static str,
    pub large: bool,
    pub allowed: f64,
    cases: fn(&Device) -> Result<Vec<Case>>,
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq)]
pub struct Probed {
    pub name: &'static str,
    pub cases: usize,
    /// The case that is furthest from what is right.
    pub worst: Case,
    pub allowed: f64,
}

impl Probed {
    fn of(probe: &Probe, cases: Vec<Case>) -> Probed {
        let count = cases.len();
        let further = |a: &Case, b: &Case| a.off.total_cmp(&b.off);
        let worst = cases.into_iter().max_by(further).expect("every probe has cases");
        Probed { name: probe.name, cases: count, worst, allowed: probe.allowed }
    }

    pub fn is_right(&self) -> bool {
        self.worst.off <= self.allowed
    }
}

impl Case {
    /// One where only `wanted` itself is right, with its sign: a NaN of any kind for a NaN.
    fn exact(what: impl Into<String>, found: f32, wanted: f32) -> Case {
        let same = found.to_bits() == wanted.to_bits() || (found.is_nan() && wanted.is_nan());
        Case::new(what, found.into(), wanted.into(), if same { 0.0 } else { f64::INFINITY })
    }

    /// The same, but numbers below the normal ones may have become 0, as Vulkan allows.
    fn flushed(what: impl Into<String>, found: f32, wanted: f32) -> Case {
        let gone = wanted.is_subnormal() && found == 0.0;
        Case::exact(what, if gone { wanted } else { found }, wanted)
    }

    /// One where rounding is allowed, as a part of the larger of `wanted` and `size`. What is not finite must be the same.
    fn close(what: impl Into<String>, found: f32, wanted: f64, size: f64) -> Case {
        let found = f64::from(found);
        let tiny = f64::from(f32::MIN_POSITIVE);
        let off = match (found.is_finite(), wanted.is_finite()) {
            (true, true) => (found - wanted).abs() / wanted.abs().max(size.abs()).max(tiny),
            _ if found == wanted || (found.is_nan() && wanted.is_nan()) => 0.0,
            _ => f64::INFINITY,
        };
        Case::new(what, found, wanted, off)
    }

    fn new(what: impl Into<String>, found: f64, wanted: f64, off: f64) -> Case {
        Case { what: what.into(), found, wanted, off }
    }
}

/// Sends numbers to a device, if it can hold them.
fn sent(data: Vec<f32>, shape: &[usize], device: &Device) -> Result<Value> {
    device.check("a test", shape, &[])?;
    Ok(Value::from_f32(data, shape, device))
}

/// Runs the probes on a device; the large ones only if asked for.
///
/// # Errors
/// If the device fails, a value does not fit into its buffers, or the user interrupts.
pub fn probe(device: &Device, with_large: bool) -> Result<Vec<Probed>> {
    let chosen: Vec<&Probe> =
        numbers::PROBES.iter().chain(large::PROBES).filter(|probe| with_large || !probe.large).collect();
    let mut found = Vec::new();
    for (done, one) in chosen.iter().enumerate() {
        step(&format!("testing {}", one.name), done as u64, chosen.len() as u64)?;
        found.push(Probed::of(one, (one.cases)(device)?));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f32 = f32::NAN;
    const INFINITY: f32 = f32::INFINITY;

    #[test]
    fn a_wrong_number_is_off_and_a_right_one_is_not() {
        // Found, wanted, whether it is right exactly, and whether it is if small numbers may be flushed.
        let cases = [
            (1.0, 1.0, true, true),
            (NAN, -NAN, true, true),
            (0.0, -0.0, false, false),
            (0.0, NAN, false, false),
            (INFINITY, f32::MAX, false, false),
            (INFINITY, -INFINITY, false, false),
            (0.0, 1e-40, false, true),
            (1e-40, 1e-40, true, true),
            (1e-41, 1e-40, false, false),
            (0.0, 1e-37, false, false),
        ];
        for (found, wanted, exact, flushed) in cases {
            assert_eq!(Case::exact("", found, wanted).off == 0.0, exact, "{found} for {wanted}");
            assert_eq!(Case::flushed("", found, wanted).off == 0.0, flushed, "{found} for {wanted}");
        }
    }

    #[test]
    fn rounding_is_measured_by_size_and_nothing_stands_for_what_is_not_finite() {
        let off = |found: f32, wanted: f64, size: f64| Case::close("", found, wanted, size).off;
        assert!((off(1.5, 1.0, 0.0) - 0.5).abs() < 1e-12 && (off(1.5, 1.0, 2.0) - 0.25).abs() < 1e-12);
        assert_eq!((off(0.0, 0.0, 0.0), off(NAN, f64::NAN, 0.0), off(INFINITY, f64::INFINITY, 0.0)), (0.0, 0.0, 0.0));
        for (found, wanted) in [(NAN, 1.0), (1.0, f64::NAN), (INFINITY, 3e38), (-INFINITY, f64::INFINITY)] {
            assert_eq!(off(found, wanted, 1e30), f64::INFINITY, "{found} for {wanted}");
        }
    }

    #[test]
    fn a_probe_is_wrong_if_one_of_its_cases_is() {
        let probe = Probe { name: "a", large: false, allowed: 1e-4, cases: |_| Ok(Vec::new()) };
        let close = |found: f32| Case::close("x", found, 1.0, 0.0);
        assert!(Probed::of(&probe, vec![close(1.0), close(1.00001)]).is_right());
        for wrong in [close(1.001), close(NAN), Case::exact("x", 0.0, -0.0)] {
            let probed = Probed::of(&probe, vec![close(1.0), wrong.clone(), close(1.0)]);
            assert!(!probed.is_right() && probed.cases == 3 && probed.worst.what == "x", "{wrong:?}");
        }
    }

    #[test]
    fn names_are_those_of_one_probe() {
        let mut names: Vec<&str> = numbers::PROBES.iter().chain(large::PROBES).map(|probe| probe.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), numbers::PROBES.len() + large::PROBES.len());
    }
}
