//! Numbers for people.
//!
//! Nothing is repaired on the way to the screen: NaN is `NaN`, infinities are `inf` and `-inf`, a negative zero keeps
//! its sign. Whole numbers are written plainly, others with a limited number of significant digits; [`raw`] gives the
//! shortest form that reads back to the same bits.

use std::fmt::{Display, LowerExp};

use super::Style;

/// Significant digits of an element within a larger value, and of statistics.
pub const ELEMENT_DIGITS: usize = 4;

/// Significant digits of a value that is a single number.
pub const SCALAR_DIGITS: usize = 6;

/// Whole numbers of at least this are written in scientific notation unless their type is integer.
const PLAIN_LIMIT: f64 = 1e9;

/// `x` with about four significant digits.
pub fn short(x: f64) -> String {
    significant(x, ELEMENT_DIGITS)
}

/// `x` with `digits` significant digits: plainly between 0.001 and a million, in scientific notation outside.
pub fn significant(x: f64, digits: usize) -> String {
    if let Some(word) = special(x) {
        return word.to_string();
    }
    if x == x.trunc() && x.abs() < PLAIN_LIMIT {
        // The sign of a zero says nothing to people; raw output has it.
        let x = if x == 0.0 { 0.0 } else { x };
        return format!("{x:.0}");
    }
    let digits = digits.max(1);
    let rounded = format!("{x:.*e}", digits - 1);
    let Some((mantissa, exponent)) = rounded.split_once('e') else { return rounded };
    match exponent.parse::<i32>() {
        Ok(exponent) if (-3..6).contains(&exponent) => {
            let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
            trim_zeros(&format!("{x:.decimals$}")).to_string()
        }
        _ => format!("{}e{exponent}", trim_zeros(mantissa)),
    }
}

/// The shortest form that reads back to the same value of type `dtype`.
pub fn raw(x: f64, dtype: &str) -> String {
    if let Some(word) = special(x) {
        return word.to_string();
    }
    match dtype {
        "bool" => truth(x).to_string(),
        "i64" => format!("{x:.0}"),
        "f32" => shortest(x, x as f32),
        "f16" => shortest(x, half_digits(x)),
        _ => shortest(x, x),
    }
}

/// One element of a value of type `dtype` in the notation of `style`. `digits` is for styles without a fixed number of
/// digits.
pub fn element(x: f64, dtype: &str, style: Style, digits: usize) -> String {
    match style {
        Style::Hex => hex(x, dtype),
        Style::Raw => raw(x, dtype),
        _ if special(x).is_some() => special(x).unwrap_or_default().to_string(),
        Style::Decimal => format!("{:.0}", x.trunc()),
        Style::Fixed => format!("{x:.6}"),
        Style::Scientific => format!("{x:.6e}"),
        Style::Summary | Style::All => match dtype {
            "bool" => truth(x).to_string(),
            "i64" => format!("{x:.0}"),
            _ => significant(x, digits),
        },
    }
}

/// The bits of `x` as a value of type `dtype`.
fn hex(x: f64, dtype: &str) -> String {
    match dtype {
        "f32" => format!("0x{:08x}", (x as f32).to_bits()),
        "f16" => format!("0x{:04x}", half::f16::from_f64(x).to_bits()),
        "i64" => format!("0x{:x}", x as i64),
        "bool" => format!("0x{:x}", u8::from(x != 0.0)),
        _ => format!("0x{:016x}", x.to_bits()),
    }
}

/// The number with the fewest digits that reads back to the same half.
fn half_digits(x: f64) -> f64 {
    let half = half::f16::from_f64(x);
    let rounded = |digits: usize| format!("{:.digits$e}", half.to_f64()).parse::<f64>().unwrap_or(x);
    // Five digits distinguish every half from its neighbours.
    (0..5).map(rounded).find(|&short| half::f16::from_f64(short) == half).unwrap_or(half.to_f64())
}

fn truth(x: f64) -> &'static str {
    if x != 0.0 { "true" } else { "false" }
}

/// The word for NaN or an infinity.
fn special(x: f64) -> Option<&'static str> {
    match x {
        f64::INFINITY => Some("inf"),
        f64::NEG_INFINITY => Some("-inf"),
        x => x.is_nan().then_some("NaN"),
    }
}

/// `written` plainly or in scientific notation. Both read back exactly; a person prefers the plain form while it is short.
fn shortest(x: f64, written: impl Display + LowerExp) -> String {
    if x == 0.0 || (1e-5..1e16).contains(&x.abs()) { written.to_string() } else { format!("{written:e}") }
}

/// `0.500` becomes `0.5`, `3.0` becomes `3`; text without a decimal point is returned as it is.
fn trim_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn four_digits() {
        let cases: [(f64, &str); 18] = [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-17.0, "-17"),
            (16_777_216.0, "16777216"),
            (0.831_24, "0.8312"),
            (-8.1, "-8.1"),
            (12.345_6, "12.35"),
            (99_999.5, "100000"),
            (123_456.7, "123457"),
            (1_234_567.8, "1.235e6"),
            (0.001_234, "0.001234"),
            (0.000_123_4, "1.234e-4"),
            (0.999_96, "1"),
            (1e300, "1e300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        let got: Vec<String> = cases.iter().map(|(x, _)| short(*x)).collect();
        let want: Vec<&str> = cases.iter().map(|(_, text)| *text).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn raw_is_shortest_for_its_type() {
        assert_eq!(raw(f64::from(0.1_f32), "f32"), "0.1");
        assert_eq!(raw(f64::from(0.1_f32), "f64"), "0.10000000149011612");
        assert_eq!(raw(f64::from(f32::MAX), "f32"), "3.4028235e38");
        assert_eq!(raw(5.0, "i64"), "5");
        assert_eq!(raw(1.0, "bool"), "true");
        assert_eq!(raw(-0.0, "f32"), "-0");
        assert_eq!(raw(f64::NEG_INFINITY, "f32"), "-inf");
    }

    #[test]
    fn every_style() {
        let all = [Style::Summary, Style::Raw, Style::Decimal, Style::Hex, Style::Fixed, Style::Scientific];
        let got: Vec<String> = all.iter().map(|style| element(-3.75, "f32", *style, 4)).collect();
        assert_eq!(got, ["-3.75", "-3.75", "-3", "0xc0700000", "-3.750000", "-3.750000e0"]);
        assert_eq!(element(f64::NAN, "f32", Style::Decimal, 4), "NaN");
        assert_eq!(element(f64::INFINITY, "f32", Style::Hex, 4), "0x7f800000");
        assert_eq!(element(-1.0, "i64", Style::Hex, 4), "0xffffffffffffffff");
        assert_eq!(element(0.0, "bool", Style::All, 4), "false");
    }

    proptest! {
        #[test]
        fn raw_f32_reads_back(bits in any::<u32>()) {
            let x = f32::from_bits(bits);
            let back: f32 = raw(f64::from(x), "f32").parse().unwrap();
            prop_assert!(back.to_bits() == x.to_bits() || (x.is_nan() && back.is_nan()));
        }

        #[test]
        fn four_digits_are_close(x in -1e30_f64..1e30) {
            let back: f64 = short(x).parse().unwrap();
            prop_assert!((back - x).abs() <= 5.1e-4 * x.abs());
        }
    }
}
