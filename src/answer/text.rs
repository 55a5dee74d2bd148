//! Answers as lines of text, for batch, plain mode and the console pane.
//!
//! The lines hold no escape sequences: what comes from a model or a file is made visible first (see [`visible`]), so that
//! a token can never move the cursor or change the terminal.

use unicode_width::UnicodeWidthStr;

use super::{Answer, StopView, TokenView};

mod map;
mod table;
mod value;

/// The lines of `answer`. With a `width`, tables are narrowed to it and tokens wrapped; other lines stay as long as they
/// are. Without one, nothing is cut.
pub fn lines(answer: &Answer, width: Option<usize>) -> Vec<String> {
    match answer {
        Answer::Text(text) => text.lines().map(visible_line).collect(),
        Answer::Value(view) => value::lines(view),
        Answer::Table(table) => table::lines(table, width),
        Answer::Map(map) => map::lines(map),
        Answer::Tokens(tokens) => token_lines(tokens, width),
        Answer::Stop(stop) => stop_lines(stop, width),
        Answer::Error(error) => error.message.lines().map(visible_line).collect(),
    }
}

/// `text` with its control characters written as escapes; other characters stay.
pub fn visible(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if is_unsafe(c) {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
        out
    })
}

/// The same for a line of running text, whose tabs stay: the caret under a fault is aligned by them.
pub fn visible_line(line: &str) -> String {
    line.split('\t').map(visible).collect::<Vec<_>>().join("\t")
}

/// Characters that would change how their neighbours are shown: controls and the marks that turn the direction of text.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A token as it is quoted everywhere: spaces inside the quotes, controls and quotes escaped.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", visible(&text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// `0 "When" 2215`, as many to a line as fit; without a width one a line. A row of its own for each row of the batch.
fn token_lines(tokens: &[TokenView], width: Option<usize>) -> Vec<String> {
    let many_rows = tokens.iter().any(|token| token.row > 0);
    let mut lines: Vec<String> = Vec::new();
    let mut row = None;
    let mut fresh = true;
    for token in tokens {
        if row != Some(token.row) {
            row = Some(token.row);
            fresh = true;
            if many_rows {
                lines.push(format!("row {}:", token.row));
            }
        }
        let word = token_word(token);
        match lines.last_mut().filter(|_| !fresh) {
            Some(line) if width.is_some_and(|width| line.width() + 2 + word.width() <= width) => {
                line.push_str("  ");
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
        fresh = false;
    }
    lines
}

fn token_word(token: &TokenView) -> String {
    let mut word = format!("{} {} {}", token.pos, quoted(&token.text), token.id);
    if token.text.contains(char::REPLACEMENT_CHARACTER) {
        let bytes: Vec<String> = token.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        word.push_str(&format!(" bytes {}", bytes.join(" ")));
    }
    if !token.real {
        word.push_str(" (padding)");
    }
    word
}

fn stop_lines(stop: &StopView, width: Option<usize>) -> Vec<String> {
    let mut lines: Vec<String> = stop.lines.iter().map(|line| visible_line(line)).collect();
    if let Some(view) = &stop.value {
        let mut value = value::lines(view);
        if let Some(first) = value.first_mut() {
            first.insert_str(0, if view.number.is_some() { "Value returned is " } else { "Value returned: " });
        }
        lines.append(&mut value);
    }
    for (number, expression, answer) in &stop.displays {
        let mut shown = self::lines(answer, width).into_iter();
        let first = shown.next().unwrap_or_default();
        lines.push(format!("{number}: {} = {first}", visible(expression)));
        lines.extend(shown);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{ErrorView, Reason, Style, Summary, ValueView};

    fn token(pos: usize, row: usize, text: &str) -> TokenView {
        let real = text != "<pad>";
        TokenView { pos, row, id: 7 + pos as u32, text: text.into(), bytes: text.as_bytes().to_vec(), real }
    }

    fn scalar(number: Option<usize>, x: f64) -> ValueView {
        ValueView {
            number,
            shape: vec![],
            axes: vec![],
            dtype: "f32",
            summary: Summary { count: 1, min: x, max: x, ..Summary::default() },
            data: Some(vec![x]),
            style: Style::Summary,
            edge: vec![],
        }
    }

    #[test]
    fn text_and_errors_show_no_control_characters() {
        assert_eq!(lines(&Answer::Text("a\nb\x1b[31m\u{202e}c".into()), None), ["a", "b\\u{1b}[31m\\u{202e}c"]);
        let error = ErrorView { message: "no site\n\tfoo\x07\n\t^".into(), ..ErrorView::default() };
        assert_eq!(lines(&Answer::Error(error), None), ["no site", "\tfoo\\u{7}", "\t^"]);
        assert!(lines(&Answer::Text(String::new()), None).is_empty());
    }

    #[test]
    fn tokens_wrap() {
        let tokens = vec![token(0, 0, "When"), token(1, 0, " \"to\""), token(2, 0, "\n"), token(3, 0, "日本")];
        assert_eq!(
            lines(&Answer::Tokens(tokens.clone()), None),
            [r#"0 "When" 7"#, r#"1 " \"to\"" 8"#, r#"2 "\n" 9"#, r#"3 "日本" 10"#]
        );
        assert_eq!(
            lines(&Answer::Tokens(tokens), Some(25)),
            [r#"0 "When" 7  1 " \"to\"" 8"#, r#"2 "\n" 9  3 "日本" 10"#]
        );
    }

    #[test]
    fn token_rows_padding_and_bytes() {
        let mut broken = token(0, 1, "\u{fffd}");
        broken.bytes = vec![0xe2, 0x82];
        let tokens = vec![token(0, 0, "a"), token(1, 0, "<pad>"), broken];
        assert_eq!(
            lines(&Answer::Tokens(tokens), Some(80)),
            ["row 0:", r#"0 "a" 7  1 "<pad>" 8 (padding)"#, "row 1:", "0 \"\u{fffd}\" 7 bytes e2 82"]
        );
    }

    #[test]
    fn stops_with_values_and_displays() {
        let stop = StopView {
            reason: Reason::Breakpoint,
            ids: vec![2],
            site: "blocks.2.attn.pattern".into(),
            module: "blocks.2.attn".into(),
            op: 31,
            pass: 0,
            lines: vec!["Breakpoint 2, blocks.2.attn.pattern (4x15x15)".into()],
            value: Some(scalar(Some(9), 27.0)),
            displays: vec![(1, "max($)".into(), Box::new(Answer::Value(scalar(None, 0.831_25))))],
        };
        assert_eq!(
            lines(&Answer::Stop(stop), None),
            ["Breakpoint 2, blocks.2.attn.pattern (4x15x15)", "Value returned is $9 = 27", "1: max($) = 0.83125"]
        );
    }
}
