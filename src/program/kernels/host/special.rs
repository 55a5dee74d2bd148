//! Functions that the compiler can vectorise: no branches, no tables.

/// `e^x` to within two units in the last place, inf and NaN included. Results below the smallest normal number are 0:
/// computing with subnormal numbers takes a hundred times as long, and half of a causal pattern is `e^-inf`. Reduction
/// to `|r| <= ln(2)/2` and the polynomial are those of Cephes' `expf` (Moshier, 1984).
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to a whole number
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    const LOWEST: f32 = -87.336_54; // ln of the smallest normal number
    let zero = x < LOWEST;
    let x = if zero { LOWEST } else { x };
    let x = if x > 89.0 { 89.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let p = 1.987_569_1e-4 * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 0.166_666_65;
    let p = p * r + 0.5;
    let p = p * (r * r) + r + 1.0;
    // 2^n in two factors, each of which is a normal number for n up to 129.
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) << 23) as u32);
    let result = p * power(half) * power(n.wrapping_sub(half));
    if zero { 0.0 } else { result }
}

/// The error function, to within two units in the last place. Polynomials by N. Juffa (public domain): one in `x^2`
/// near zero, and the logarithm of the complement beyond.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let (t, s) = (x.abs(), x * x);
    let near = {
        let r = -5.967_617e-4 * s + 4.991_194_2e-3;
        let r = r * s - 2.676_813_5e-2;
        let r = r * s + 1.128_199_25e-1;
        let r = r * s - 3.761_253_4e-1;
        let r = r * s + 1.283_791_7e-1;
        r * x + x
    };
    let far = {
        let r = -1.728_534_7e-5 * t + 3.831_972_6e-4;
        let u = -3.883_964_4e-3 * t + 2.425_462_2e-2;
        let r = r * s + u;
        let r = r * t - 1.067_778_8e-1;
        let r = r * t - 6.348_469e-1;
        let r = r * t - 1.287_175_1e-1;
        let r = r * t - t;
        (1.0 - exp(r)).copysign(x)
    };
    if t > 0.927_734_4 { far } else { near }
}

/// The hyperbolic tangent, to within two units in the last place: a polynomial near zero (Cephes, Moshier 1984), the
/// exponential beyond.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let (t, s) = (x.abs(), x * x);
    let near = {
        let r = -5.704_988_7e-3 * s + 2.063_909e-2;
        let r = r * s - 5.373_971_5e-2;
        let r = r * s + 1.333_144_2e-1;
        let r = r * s - 3.333_328e-1;
        (r * s * x + x).copysign(x)
    };
    let far = (1.0 - 2.0 / (exp(2.0 * t) + 1.0)).copysign(x);
    if t < 0.625 { near } else { far }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_exact_to_two_units_in_the_last_place() {
        let mut x = -104.5f32;
        while x < 89.5 {
            let (found, wanted) = (f64::from(exp(x)), f64::from(x).exp());
            if wanted > f64::from(f32::MAX) {
                assert_eq!(found, f64::INFINITY, "{x}");
            } else {
                let unit = wanted * 2f64.powi(-23);
                let zero = found == 0.0 && wanted < 1.000_001 * f64::from(f32::MIN_POSITIVE);
                assert!(zero || (found - wanted).abs() <= 2.0 * unit, "exp({x}) is {wanted:e}, found {found:e}");
            }
            x += 0.0037;
        }
        assert_eq!((exp(0.0), exp(f32::NEG_INFINITY), exp(f32::INFINITY)), (1.0, 0.0, f32::INFINITY));
        assert!(exp(f32::NAN).is_nan() && exp(-f32::NAN).is_nan());
    }

    /// By its series, which converges everywhere; terms up to 30 cancel to eight digits at 4.5.
    fn erf_64(x: f64) -> f64 {
        if x.abs() > 4.5 {
            return x.signum();
        }
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn erf_and_tanh_are_exact_to_a_few_units_in_the_last_place() {
        for i in -60_000..60_000 {
            let x = i as f32 * 1.037e-4;
            for (name, found, wanted) in [("erf", erf(x), erf_64(f64::from(x))), ("tanh", tanh(x), f64::from(x).tanh())]
            {
                let unit = wanted.abs().max(1e-30) * 2f64.powi(-23);
                assert!((f64::from(found) - wanted).abs() <= 2.5 * unit, "{name}({x}) is {wanted}, found {found}");
            }
        }
        for f in [erf, tanh] {
            assert_eq!((f(f32::INFINITY), f(f32::NEG_INFINITY), f(0.0), f(100.0)), (1.0, -1.0, 0.0, 1.0));
            assert!(f(f32::NAN).is_nan() && f(-0.0).is_sign_negative());
        }
    }
}
