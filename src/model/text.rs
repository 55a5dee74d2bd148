//! Sizes and lists as text.

/// `12.0 MiB`, `3 B`.
pub fn bytes(n: u64) -> String {
    match n {
        n if n >= 1 << 40 => format!("{:.1} TiB", n as f64 / (1u64 << 40) as f64),
        n if n >= 1 << 30 => format!("{:.1} GiB", n as f64 / (1u64 << 30) as f64),
        n if n >= 1 << 20 => format!("{:.1} MiB", n as f64 / (1u64 << 20) as f64),
        n if n >= 1 << 10 => format!("{:.1} KiB", n as f64 / 1024.0),
        n => format!("{n} B"),
    }
}

/// The first `most` names: `a, b, and 3 more`.
pub fn listed(names: &[String], most: usize) -> String {
    let shown = names.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > most { format!("{shown}, and {} more", names.len() - most) } else { shown }
}

/// Whether a long list, kept as words with white space between them, has this one.
pub fn has_word(words: &str, word: &str) -> bool {
    words.split_whitespace().any(|known| known == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_units() {
        assert_eq!([0, 512, 1536, 5 << 30, 3 << 41].map(bytes), ["0 B", "512 B", "1.5 KiB", "5.0 GiB", "6.0 TiB"]);
    }

    #[test]
    fn long_lists_are_cut() {
        let names = ["a", "b", "c"].map(String::from);
        assert_eq!((listed(&names, 3), listed(&names, 1)), ("a, b, c".into(), "a, and 2 more".into()));
    }
}
