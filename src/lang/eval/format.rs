//! The format strings of `printf` and `dprintf`, as in gdb.

use super::{At, Datum};
use crate::lang::{LangError, Result, Span};

/// The most elements of a tensor that `%s` prints; `print` is for more.
const MOST_ELEMENTS: usize = 256;

/// One conversion such as `%-8.3f`.
struct Conversion {
    /// Some of `-0+#`.
    flags: String,
    width: usize,
    precision: Option<usize>,
    letter: char,
}

/// Fills `template`, written at `span`, with `args`: `%d %i %u %x %o %c %f %e %g %s %%` with flags, width and
/// precision.
pub fn format(template: &str, span: Span, args: &[(Datum, Span)]) -> Result<String> {
    let mut out = String::new();
    let mut args = args.iter();
    let mut rest = template;
    while let Some(percent) = rest.find('%') {
        out.push_str(&rest[..percent]);
        let (conversion, length) = conversion(&rest[percent + 1..], span)?;
        rest = &rest[percent + 1 + length..];
        if conversion.letter == '%' {
            out.push('%');
            continue;
        }
        let missing =
            || LangError::new(format!("the format has more conversions than the {} arguments", args.len()), span);
        let (datum, at) = args.clone().next().ok_or_else(missing)?;
        args.next();
        out.push_str(&conversion.filled(datum, *at)?);
    }
    match args.next() {
        Some((_, at)) => Err(LangError::new("the format has no conversion for this argument", *at)),
        None => {
            out.push_str(rest);
            Ok(out)
        }
    }
}

/// The conversion after a percent sign, and how many bytes it takes.
fn conversion(text: &str, span: Span) -> Result<(Conversion, usize)> {
    let mut found = Conversion { flags: String::new(), width: 0, precision: None, letter: '%' };
    let mut chars = text.char_indices().peekable();
    while let Some((_, flag)) = chars.next_if(|(_, c)| "-0+#".contains(*c)) {
        found.flags.push(flag);
    }
    let digits = |chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>| {
        let mut number = 0usize;
        while let Some((_, c)) = chars.next_if(|(_, c)| c.is_ascii_digit()) {
            number = number * 10 + c.to_digit(10).unwrap_or_default() as usize;
            if number > 1000 {
                return Err(LangError::new("a width or precision above 1000", span));
            }
        }
        Ok(number)
    };
    found.width = digits(&mut chars)?;
    if chars.next_if(|(_, c)| *c == '.').is_some() {
        found.precision = Some(digits(&mut chars)?);
    }
    // C's size letters are accepted and have no effect.
    while chars.next_if(|(_, c)| "lhzj".contains(*c)).is_some() {}
    match chars.next() {
        Some((at, letter)) if "diuxXocfFeEgGs%".contains(letter) => {
            found.letter = letter;
            Ok((found, at + 1))
        }
        Some((_, letter)) => {
            let message = format!("unknown conversion %{letter}; choose from %d %i %u %x %o %c %f %e %g %s %%");
            Err(LangError::new(message, span))
        }
        None => Err(LangError::new("a % with nothing after it; a percent sign is written %%", span)),
    }
}

impl Conversion {
    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    fn filled(&self, datum: &Datum, at: Span) -> Result<String> {
        let text = match self.letter {
            's' => {
                let text = shown(datum, at)?;
                self.precision.map_or(text.clone(), |most| text.chars().take(most).collect())
            }
            'c' => {
                let code = datum.integer(at)?;
                let c = u32::try_from(code).ok().and_then(char::from_u32);
                c.ok_or_else(|| LangError::new(format!("{code} is not a character"), at))?.to_string()
            }
            'd' | 'i' | 'u' => self.signed(truncated(datum, at)?.to_string()),
            'x' => format!("{}{:x}", if self.has('#') { "0x" } else { "" }, truncated(datum, at)?),
            'X' => format!("{}{:X}", if self.has('#') { "0X" } else { "" }, truncated(datum, at)?),
            'o' => format!("{}{:o}", if self.has('#') { "0" } else { "" }, truncated(datum, at)?),
            letter => self.signed(real(datum.number(at)?, letter, self.precision.unwrap_or(6))),
        };
        let padding = self.width.saturating_sub(text.chars().count());
        let digits_at = text.len() - text.trim_start_matches(['-', '+']).len();
        Ok(if self.has('-') {
            text + &" ".repeat(padding)
        } else if self.has('0') && self.letter != 's' && text[digits_at..].starts_with(|c: char| c.is_ascii_digit()) {
            format!("{}{}{}", &text[..digits_at], "0".repeat(padding), &text[digits_at..])
        } else {
            " ".repeat(padding) + &text
        })
    }

    fn signed(&self, text: String) -> String {
        if self.has('+') && !text.starts_with('-') { format!("+{text}") } else { text }
    }
}

/// A number for `%d`, without its fraction, as in C.
fn truncated(datum: &Datum, at: Span) -> Result<i64> {
    let n = datum.number(at)?;
    if n.is_finite() {
        return Ok(n as i64);
    }
    Err(LangError::new(format!("{n} is not a whole number"), at).help("print it with %f"))
}

fn real(n: f64, letter: char, precision: usize) -> String {
    if !n.is_finite() {
        return match n {
            n if n.is_nan() => "nan".to_string(),
            n if n > 0.0 => "inf".to_string(),
            _ => "-inf".to_string(),
        };
    }
    let text = match letter {
        'f' | 'F' => format!("{n:.precision$}"),
        'e' | 'E' => exponential(n, precision),
        _ => {
            let digits = precision.max(1);
            let exponent =
                exponential(n, digits - 1).split_once('e').and_then(|(_, e)| e.parse::<i32>().ok()).unwrap_or_default();
            if exponent < -4 || exponent >= digits as i32 {
                let text = exponential(n, digits - 1);
                let (mantissa, power) = text.split_once('e').unwrap_or((&text, "+00"));
                format!("{}e{power}", without_zeros(mantissa))
            } else {
                without_zeros(&format!("{n:.*}", (digits as i32 - 1 - exponent) as usize)).to_string()
            }
        }
    };
    if letter.is_ascii_uppercase() { text.to_uppercase() } else { text }
}

/// `1.5e-07`: C writes a sign and two digits at least.
fn exponential(n: f64, precision: usize) -> String {
    let text = format!("{n:.precision$e}");
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or_default();
    format!("{mantissa}e{}{:02}", if power < 0 { '-' } else { '+' }, power.abs())
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

fn shown(datum: &Datum, at: Span) -> Result<String> {
    Ok(match datum {
        Datum::Str(text) => text.clone(),
        Datum::Bool(b) => b.to_string(),
        Datum::Num(n) => real(*n, 'g', 6),
        Datum::Void => "void".to_string(),
        Datum::Tensor(value) if value.shape().is_empty() => real(value.read_scalar().at(at)?, 'g', 6),
        Datum::Tensor(value) if value.count() > MOST_ELEMENTS => {
            let message =
                format!("%s prints up to {MOST_ELEMENTS} elements, this value has shape {}", value.shape_text());
            return Err(LangError::new(message, at).help("print shows large values"));
        }
        Datum::Tensor(value) => {
            let elements: Vec<String> = value.read_f64().at(at)?.into_iter().map(|n| real(n, 'g', 6)).collect();
            format!("[{}]", elements.join(", "))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nums(template: &str, args: &[f64]) -> String {
        let args: Vec<(Datum, Span)> = args.iter().map(|n| (Datum::Num(*n), Span::default())).collect();
        format(template, Span::default(), &args).unwrap_or_else(|e| panic!("{template}: {e}"))
    }

    #[test]
    fn conversions_are_those_of_c() {
        assert_eq!(nums("%d|%5d|%-5d|%05d|%+d", &[3.9, 42.0, 42.0, -42.0, 7.0]), "3|   42|42   |-0042|+7");
        assert_eq!(nums("%x %#x %o %c %u", &[255.0, 255.0, 8.0, 65.0, 3.0]), "ff 0xff 10 A 3");
        assert_eq!(nums("%f %.2f %8.3f", &[0.5, 1.005, 3.0]), "0.500000 1.00    3.000");
        assert_eq!(nums("%e %.1e %E", &[12345.678, 0.00015, 1.0]), "1.234568e+04 1.5e-04 1.000000E+00");
        assert_eq!(
            nums("%g %g %g %g %g", &[0.0001, 0.00001, 100000.0, 1000000.0, 2.5]),
            "0.0001 1e-05 100000 1e+06 2.5"
        );
        assert_eq!(nums("100%% %ld", &[1.0]), "100% 1");
        assert_eq!(nums("%f %g %05f", &[f64::NAN, f64::NEG_INFINITY, f64::INFINITY]), "nan -inf   inf");
    }

    #[test]
    fn strings_take_anything() {
        let v = crate::tensor::Value::from_f32(vec![1.0, -2.5], &[2], &crate::tensor::Device::cpu());
        let args =
            [Datum::Str("a b".into()), Datum::Tensor(v), Datum::Bool(true), Datum::Void].map(|d| (d, Span::default()));
        assert_eq!(format("%s %s %s %s", Span::default(), &args).expect("fills"), "a b [1, -2.5] true void");
        assert_eq!(format("%5.1s|", Span::default(), &args[..1]).expect("fills"), "    a|");
    }

    #[test]
    fn arguments_and_conversions_match() {
        let one = [(Datum::Num(1.0), Span::new(5, 6))];
        assert!(format("%d %d", Span::new(0, 3), &one).expect_err("too few").message.contains("more conversions"));
        assert_eq!(format("none", Span::new(0, 3), &one).expect_err("too many").span, Span::new(5, 6));
        assert!(format("%q", Span::default(), &one).expect_err("unknown").message.contains("%q"));
        assert!(format("50%", Span::default(), &[]).expect_err("open").message.contains("%%"));
        assert!(format("%99999d", Span::default(), &one).is_err());
    }
}
