//! Answers as lines of text, for batch, plain mode and the console pane.
//!
//! The lines hold no escape sequences: what comes from a model or a file is made visible first (see [`visible`]), so
//! that a token can never move the cursor or change the terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{Answer, Cell, StopView, Table, TokenView};

mod map;
mod table;
mod value;

/// The lines of `answer`. With a `width`, tables and the lines above them are made to fit it; other lines keep their length.
/// Without one, nothing is cut.
pub fn lines(answer: &Answer, width: Option<usize>) -> Vec<String> {
    match answer {
        Answer::Text(text) => text.lines().map(visible_line).collect(),
        Answer::Value(view) => value::lines(view),
        Answer::Table(table) => table::lines(table, width),
        Answer::Map(map) => map::lines(map, width),
        Answer::Tokens(tokens) => token_lines(tokens, width),
        Answer::Stop(stop) => stop_lines(stop, width),
        Answer::Error(error) => error.message.lines().map(visible_line).collect(),
    }
}

/// The same for a terminal that would break what is too long anywhere: running text breaks between words.
pub fn wrapped_lines(answer: &Answer, width: Option<usize>) -> Vec<String> {
    let lines = lines(answer, width);
    match (answer, width) {
        (Answer::Text(_), Some(width)) => lines.iter().flat_map(|line| wrapped(line, width)).collect(),
        _ => lines,
    }
}

/// The names of the columns and all rows of a table without a title, each on one line, whose text is cut where it is
/// too wide.
pub fn rows(table: &Table, width: usize) -> Vec<String> {
    table::rows(table, width)
}

/// A line in pieces of at most `width` columns, which break between words; those after the first are indented as it is.
/// A word that is longer is broken.
pub fn wrapped(line: &str, width: usize) -> Vec<String> {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let indent = if indent * 2 > width { 0 } else { indent };
    let (mut pieces, mut piece, mut used) = (Vec::new(), String::new(), 0);
    for word in line.split_inclusive(' ') {
        let wide = word.trim_end_matches(' ').width();
        if used > indent && used + wide > width {
            pieces.push(std::mem::replace(&mut piece, " ".repeat(indent)).trim_end().to_string());
            used = indent;
        }
        for c in word.chars() {
            let wide = c.width().unwrap_or(0);
            if c != ' ' && used + wide > width && used > indent {
                pieces.push(std::mem::replace(&mut piece, " ".repeat(indent)));
                used = indent;
            }
            piece.push(c);
            used += wide;
        }
    }
    pieces.push(piece.trim_end().to_string());
    pieces
}

/// `text` with its control characters written as escapes; other characters are unchanged.
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

/// The same for a line of running text, whose tabs are kept: the caret under a fault is aligned by them.
pub fn visible_line(line: &str) -> String {
    line.split('\t').map(visible).collect::<Vec<_>>().join("\t")
}

/// Characters that would change how their neighbours are shown: controls, the marks that turn the direction of text,
/// and the separators that end a line.
pub fn is_unsafe(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// A token as it is quoted everywhere: spaces inside the quotes, controls and quotes escaped.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for (at, c) in text.char_indices() {
        match c {
            '"' => out.push_str("\\\""),
            // A byte that is not a character is written as \xE5 already.
            '\\' if !is_byte(&text[at..]) => out.push_str("\\\\"),
            c => out.push(c),
        }
    }
    format!("\"{}\"", visible(&out))
}

/// Whether a text begins with a byte as tokens write it.
fn is_byte(text: &str) -> bool {
    let digits = text.strip_prefix("\\x").and_then(|rest| rest.get(..2));
    digits.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// A table of the tokens, one per line; columns without any content are left out.
fn token_lines(tokens: &[TokenView], width: Option<usize>) -> Vec<String> {
    type Column = (&'static str, fn(&TokenView) -> Cell);
    let columns: [Column; 8] = [
        ("Row", |token| token.row.into()),
        ("Pos", |token| token.pos.into()),
        ("Token", |token| quoted(&token.text).into()),
        ("Id", |token| token.id.into()),
        ("Bytes", |token| hex(&token.bytes).into()),
        ("Of text", |token| token.offsets.map(|(start, end)| format!("{start}:{end}")).into()),
        ("Word", |token| token.word.into()),
        ("", |token| match (token.real, token.special) {
            (false, _) => "padding".into(),
            (true, true) => "special".into(),
            (true, false) => Cell::Empty,
        }),
    ];
    let many_rows = tokens.iter().any(|token| token.row > 0);
    let has_content = |(name, cell): &Column| match *name {
        "Row" => many_rows,
        _ => tokens.iter().any(|token| cell(token) != Cell::Empty),
    };
    let columns: Vec<Column> = columns.into_iter().filter(has_content).collect();
    let rows = tokens.iter().map(|token| columns.iter().map(|(_, cell)| cell(token)).collect::<Vec<_>>());
    table::lines(&Table::new(columns.iter().map(|(name, _)| *name)).rows(rows), width)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
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
        let (special, bytes) = (!real, text.as_bytes().to_vec());
        TokenView { pos, row, id: 7 + pos as u32, text: text.into(), bytes, real, special, offsets: None, word: None }
    }

    fn scalar(number: Option<usize>, x: f64) -> ValueView {
        ValueView {
            number,
            shape: vec![],
            axes: vec![],
            dtype: "f32".into(),
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
    fn tokens_are_listed_with_their_bytes() {
        let tokens = vec![token(0, 0, "When"), token(1, 0, " \"to\""), token(2, 0, "\n"), token(3, 0, "日本")];
        assert_eq!(
            lines(&Answer::Tokens(tokens), None),
            [
                "Pos  Token      Id  Bytes",
                "  0  \"When\"      7  57 68 65 6e",
                "  1  \" \\\"to\\\"\"   8  20 22 74 6f 22",
                "  2  \"\\n\"        9  0a",
                "  3  \"日本\"     10  e6 97 a5 e6 9c ac",
            ]
        );
    }

    #[test]
    fn token_rows_padding_and_bytes() {
        let mut broken = token(0, 1, "\u{fffd}");
        (broken.bytes, broken.offsets, broken.word) = (vec![0xe2, 0x82], Some((0, 2)), Some(3));
        let tokens = vec![token(0, 0, "a"), token(1, 0, "<pad>"), broken];
        assert_eq!(
            lines(&Answer::Tokens(tokens), Some(80)),
            [
                "Row  Pos  Token    Id  Bytes           Of text  Word",
                "  0    0  \"a\"       7  61",
                "  0    1  \"<pad>\"   8  3c 70 61 64 3e                 padding",
                "  1    0  \"\u{fffd}\"       7  e2 82           0:2         3",
            ]
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
            errors: vec![],
            value: Some(scalar(Some(9), 27.0)),
            displays: vec![(1, "max($)".into(), Box::new(Answer::Value(scalar(None, 0.831_25))))],
        };
        assert_eq!(
            lines(&Answer::Stop(stop), None),
            ["Breakpoint 2, blocks.2.attn.pattern (4x15x15)", "Value returned is $9 = 27", "1: max($) = 0.83125"]
        );
    }
}
