//! Sizes in bytes, as on the command line: `2GiB`, `512 MB`, `1.5GiB`, `1000000`.

/// Units, longest spellings first so that `KiB` is not read as `B`.
const UNITS: [(&str, u64); 9] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("b", 1),
];

/// Reads a size. Units are `B`, `KB` to `TB` (powers of 1000) and `KiB` to `TiB` (powers of 1024), in any case; without
/// one the number is in bytes. A fraction of a byte is dropped.
pub fn parse(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let split = |(name, factor): &(&str, u64)| Some((lower.strip_suffix(name)?.trim_end().to_string(), *factor));
    let (number, factor) = UNITS.iter().find_map(split).unwrap_or((lower.clone(), 1));
    let wrong = || format!("{text:?} is not a size: use a number and a unit such as 512MiB or 2GiB");
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || number.ends_with('.') {
        return Err(wrong());
    }
    let too_large = || format!("{text:?} is more bytes than can be counted");
    let whole: u64 = whole.parse().map_err(|_| too_large())?;
    let bytes = whole.checked_mul(factor).ok_or_else(too_large)?;
    let part: f64 = format!("0.{fraction}0").parse().map_err(|_| wrong())?;
    bytes.checked_add((part * factor as f64) as u64).ok_or_else(too_large)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes() {
        let cases = [
            ("2GiB", 2 << 30),
            ("2 gib", 2 << 30),
            ("1.5KiB", 1536),
            ("0.5MB", 500_000),
            ("1tb", 1_000_000_000_000),
            ("17", 17),
            ("17B", 17),
            ("0", 0),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size() {
        for text in
            ["", "GiB", "two", "-1GiB", "1.GiB", ".5GiB", "1.2.3B", "1e3", "2GiBs", "1 000", "99999999999TiB", "+5"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("2 apples").unwrap_err().contains("512MiB"));
    }

    proptest! {
        #[test]
        fn every_unit_reads_back(
            number in 0_u64..1_000_000,
            unit in 0_usize..9,
            upper in any::<bool>(),
            space in any::<bool>(),
        ) {
            let (name, factor) = UNITS[unit];
            let name = if upper { name.to_uppercase() } else { name.to_string() };
            let text = format!("{number}{}{name}", if space { " " } else { "" });
            prop_assert_eq!(parse(&text), Ok(number * factor));
        }

        #[test]
        fn any_text_is_a_size_or_an_error(text in any::<String>()) {
            if let Err(message) = parse(&text) {
                prop_assert!(!message.is_empty());
            }
        }
    }
}
