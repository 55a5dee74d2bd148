//! Text in columns: cutting, padding, wrapping, and making the spaces and controls of tokens visible.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::glyphs::Glyphs;

pub fn width(text: &str) -> usize {
    text.width()
}

/// `text` cut to `columns`, with a mark at the cut.
pub fn fit(text: &str, columns: usize, glyphs: &Glyphs) -> String {
    if width(text) <= columns {
        return text.to_string();
    }
    let room = columns.saturating_sub(width(glyphs.ellipsis));
    let mut cut = take(text, room);
    if width(glyphs.ellipsis) <= columns {
        cut.push_str(glyphs.ellipsis);
    }
    cut
}

/// `text` cut to `columns` without a mark.
pub fn take(text: &str, columns: usize) -> String {
    let mut taken = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        taken.push(c);
    }
    taken
}

/// `text` in exactly `columns`, aligned to the left.
pub fn left(text: &str, columns: usize, glyphs: &Glyphs) -> String {
    let text = fit(text, columns, glyphs);
    let padding = columns - width(&text).min(columns);
    text + &" ".repeat(padding)
}

/// `text` in exactly `columns`, aligned to the right.
pub fn right(text: &str, columns: usize, glyphs: &Glyphs) -> String {
    let text = fit(text, columns, glyphs);
    let padding = columns - width(&text).min(columns);
    format!("{}{text}", " ".repeat(padding))
}

/// `line` in pieces of at most `columns`, broken after spaces unless that would leave a piece half empty.
pub fn wrap(line: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut pieces = Vec::new();
    let mut rest = line;
    while width(rest) > columns {
        let mut head = take(rest, columns);
        if head.is_empty() {
            head = rest.chars().take(1).collect();
        }
        if let Some(space) = head.rfind(' ').filter(|space| width(&head[..*space]) * 2 > columns) {
            head.truncate(space + 1);
        }
        rest = &rest[head.len()..];
        pieces.push(head.trim_end().to_string());
    }
    if pieces.is_empty() || !rest.is_empty() {
        pieces.push(rest.to_string());
    }
    pieces
}

/// The text of a token with its spaces, line feeds and controls made visible.
pub fn token(text: &str, glyphs: &Glyphs) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' => shown.push_str(glyphs.space),
            '\n' => shown.push_str(glyphs.newline),
            '\t' => shown.push_str(glyphs.tab),
            c if !glyphs.blocks && !c.is_ascii() => shown.extend(c.escape_unicode()),
            c if c.width().is_some() => shown.push(c),
            c => shown.extend(c.escape_unicode()),
        }
    }
    shown
}

/// The text of a token as a label, without a leading space, which would only waste a column.
pub fn label(text: &str, glyphs: &Glyphs) -> String {
    let trimmed = text.strip_prefix(' ').filter(|rest| !rest.is_empty()).unwrap_or(text);
    token(trimmed, glyphs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::tui::glyphs::{ASCII, UNICODE};

    #[test]
    fn cuts_are_marked_and_never_too_wide() {
        assert_eq!(fit("pattern", 7, &UNICODE), "pattern");
        assert_eq!(fit("pattern", 4, &UNICODE), "pat…");
        assert_eq!(fit("漢字", 3, &ASCII), "漢~");
        assert_eq!(fit("ab", 0, &ASCII), "");
        assert_eq!(right("7", 3, &ASCII), "  7");
    }

    #[test]
    fn lines_wrap_at_spaces_and_lose_nothing() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("漢字", 1), ["漢", "字"]);
    }

    #[test]
    fn tokens_show_what_they_hold() {
        assert_eq!(token(" to\n", &UNICODE), "·to↵");
        assert_eq!(token(" to\n", &ASCII), "_to\\n");
        assert_eq!(token("\u{1b}[2J", &UNICODE), "\\u{1b}[2J");
        assert_eq!(label(" to", &UNICODE), "to");
        assert_eq!(label(" ", &UNICODE), "·");
    }
}
