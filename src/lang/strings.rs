//! Strings as they are written: `\n \t \r \0 \" \' \\ \xNN \u{..}` between double or single quotes.
//!
//! `\xNN` is a byte, as tokens are bytes; the whole must be UTF-8.

use super::{LangError, Result, Span};

/// The string that the literal at the start of `text` means, and how many bytes the literal takes. `text` starts at
/// byte `offset` of the line, with the opening quote.
pub fn literal(text: &str, offset: usize) -> Result<(String, usize)> {
    read(text, offset, true)
}

/// `text` with its escapes replaced, as in `echo`, which takes no quotes.
pub fn unescaped(text: &str, offset: usize) -> Result<String> {
    read(text, offset, false).map(|(text, _)| text)
}

pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

fn read(text: &str, offset: usize, quoted: bool) -> Result<(String, usize)> {
    let place = |span: Span| Span::new(offset + span.start, offset + span.end);
    let (bytes, length) = unescape(text, quoted).map_err(|(span, message)| LangError::new(message, place(span)))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok((text, length)),
        Err(_) => Err(LangError::new("the \\x escapes of this string are not UTF-8", place(Span::new(0, length)))
            .help("\\u{e9} is é")),
    }
}

/// The bytes that `text` means, up to a closing quote if it is `quoted`, and how many bytes of `text` were read.
fn unescape(text: &str, quoted: bool) -> std::result::Result<(Vec<u8>, usize), (Span, &'static str)> {
    let mut bytes = Vec::new();
    let quote = text.chars().next().filter(|_| quoted);
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            c if Some(c) == quote => return Ok((bytes, at + 1)),
            '\\' => {
                let Some((next, escaped)) = chars.next() else { break };
                let rest = &text[next..];
                let skipped = match escaped {
                    'n' => push(&mut bytes, b"\n", 0),
                    't' => push(&mut bytes, b"\t", 0),
                    'r' => push(&mut bytes, b"\r", 0),
                    '0' => push(&mut bytes, b"\0", 0),
                    '"' | '\'' | '\\' => push(&mut bytes, &[escaped as u8], 0),
                    'x' => {
                        let byte = rest.get(1..3).filter(|d| d.chars().all(|c| c.is_ascii_hexdigit()));
                        let byte = byte.and_then(|d| u8::from_str_radix(d, 16).ok());
                        let byte = byte.ok_or((Span::new(at, next + 1), "\\x needs two hexadecimal digits"))?;
                        push(&mut bytes, &[byte], 2)
                    }
                    'u' => {
                        let end = rest.find('}').filter(|_| rest[1..].starts_with('{'));
                        let code = end.and_then(|end| u32::from_str_radix(&rest[2..end], 16).ok());
                        let c = code
                            .and_then(char::from_u32)
                            .ok_or((Span::new(at, next + 1), "\\u needs a code point: \\u{e9}"))?;
                        push(&mut bytes, c.encode_utf8(&mut [0; 4]).as_bytes(), end.unwrap_or_default())
                    }
                    _ => {
                        return Err((
                            Span::new(at, next + escaped.len_utf8()),
                            "unknown escape; choose from \\n \\t \\r \\0 \\\" \\' \\\\ \\xNN \\u{..}",
                        ));
                    }
                };
                (0..skipped).for_each(|_| {
                    chars.next();
                });
            }
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if quoted { Err((Span::new(0, text.len()), "this string has no closing quote")) } else { Ok((bytes, text.len())) }
}

/// Appends `more` and returns `skipped`, the number of further characters of the escape.
fn push(bytes: &mut Vec<u8>, more: &[u8], skipped: usize) -> usize {
    bytes.extend_from_slice(more);
    skipped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_end_at_their_quote_and_text_at_its_end() {
        assert_eq!(literal(r#""a\"b" c"#, 0), Ok(("a\"b".to_string(), 6)));
        assert_eq!(unescaped(r#"say "hi"\n"#, 0), Ok("say \"hi\"\n".to_string()));
        assert_eq!(unescaped(r"a\q", 5).expect_err("no escape").span, Span::new(6, 8));
        assert_eq!(unescaped("a\\", 0), Ok("a".to_string()));
    }

    #[test]
    fn quoting_is_the_inverse_of_reading() {
        for text in ["", "a b", "\n\t\r\"\\", "\u{7}\u{e9}\u{65e5}"] {
            let quoted = quoted(text);
            assert_eq!(literal(&quoted, 0), Ok((text.to_string(), quoted.len())));
        }
    }
}
