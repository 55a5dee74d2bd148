//! Tables as comma-separated values, after RFC 4180.

use std::fmt::Write;

/// The table as a file: a line of the names of the columns, then one for each row. Lines end in `\n`.
///
/// A field is quoted where it has a comma, a quote, the end of a line, or space at its start or end. Nothing else is
/// changed: a field that starts with `=` is a formula to a spreadsheet.
pub fn csv(columns: &[String], rows: &[Vec<String>]) -> String {
    let mut file = String::new();
    for row in std::iter::once(columns).chain(rows.iter().map(Vec::as_slice)) {
        for (place, field) in row.iter().enumerate() {
            if place > 0 {
                file.push(',');
            }
            // Many readers skip an empty line, which would be the whole row here.
            if needs_quotes(field) || (row.len() == 1 && field.is_empty()) {
                _ = write!(file, "\"{}\"", field.replace('"', "\"\""));
            } else {
                file.push_str(field);
            }
        }
        file.push('\n');
    }
    file
}

fn needs_quotes(field: &str) -> bool {
    // A mark at the start of the file would be read as the mark of its encoding.
    field.contains([',', '"', '\r', '\n', MARK])
        || field.starts_with(char::is_whitespace)
        || field.ends_with(char::is_whitespace)
}

/// The byte order mark, which some programs write at the start of a file.
const MARK: char = '\u{feff}';

/// Where and why a file is not what [`parse`] reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct Malformed {
    /// The line, counted from 1.
    pub line: usize,
    pub fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("a quote is opened and never closed")]
    Unclosed,
    /// Something other than a separator or the end of the line follows a closing quote.
    #[error("{garbage:?} follows a closing quote, where {} should", name_of(*.separator))]
    AfterQuote {
        /// What follows, up to 20 characters.
        garbage: String,
        separator: char,
    },
}

fn name_of(separator: char) -> String {
    if separator == ',' { "a comma".to_string() } else { format!("{separator:?}") }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line that it begins in, counted from 1.
    pub line: usize,
    pub fields: Vec<String>,
}

/// The rows of a file, that of the column names included, with `separator` between fields. Lines end in `\n` or `\r\n`;
/// the last may have no end.
///
/// An empty line is a row of one empty field. Rows may differ in their number of fields. A quote within a field that
/// does not start with one is kept as it is.
pub fn parse(text: &str, separator: char) -> Result<Vec<Row>, Malformed> {
    let mut rest = text.strip_prefix(MARK).unwrap_or(text);
    let mut line = 1;
    let mut rows = Vec::new();
    while !rest.is_empty() {
        let (begins, mut fields) = (line, Vec::new());
        loop {
            let (field, after) = match rest.strip_prefix('"') {
                Some(inside) => quoted(inside, separator, &mut line)?,
                None => plain(rest, separator),
            };
            fields.push(field);
            match after.strip_prefix(separator) {
                Some(next) => rest = next,
                None => {
                    rest = end_of_line(after).unwrap_or(after);
                    break;
                }
            }
        }
        rows.push(Row { line: begins, fields });
        line += 1;
    }
    Ok(rows)
}

/// What follows the end of the line that `text` starts with.
fn end_of_line(text: &str) -> Option<&str> {
    text.strip_prefix('\n').or_else(|| text.strip_prefix("\r\n"))
}

/// A field without quotes and what follows it.
fn plain(text: &str, separator: char) -> (String, &str) {
    let mut end = text.find([separator, '\n']).unwrap_or(text.len());
    if text[end..].starts_with('\n') && text[..end].ends_with('\r') {
        end -= 1;
    }
    (text[..end].to_string(), &text[end..])
}

/// A field and what follows its closing quote. `inside` starts after the opening one, which is on `line`.
fn quoted<'a>(inside: &'a str, separator: char, line: &mut usize) -> Result<(String, &'a str), Malformed> {
    let (start, mut rest, mut field) = (*line, inside, String::new());
    loop {
        let (part, after) = rest.split_once('"').ok_or(Malformed { line: start, fault: Fault::Unclosed })?;
        field.push_str(part);
        *line += part.matches('\n').count();
        if let Some(next) = after.strip_prefix('"') {
            field.push('"');
            rest = next;
        } else if after.is_empty() || after.starts_with(separator) || end_of_line(after).is_some() {
            return Ok((field, after));
        } else {
            let garbage: String = after.chars().take_while(|c| *c != separator && *c != '\n').take(20).collect();
            return Err(Malformed { line: *line, fault: Fault::AfterQuote { garbage, separator } });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Vec<String>>, Malformed> {
        Ok(super::parse(text, ',')?.into_iter().map(|row| row.fields).collect())
    }

    fn table(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|field| field.to_string()).collect()).collect()
    }

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let rows = table(&[
            &["plain", "1.5e-3", "=1+1", ""],
            &["a,b", "say \"no\"", "two\nlines", "a\rb"],
            &[" ahead", "behind ", "in side", "π"],
            &[""],
        ]);
        let columns = table(&[&["a", "b b", "\"c\"", "d"]]).remove(0);
        assert_eq!(
            csv(&columns, &rows),
            "a,b b,\"\"\"c\"\"\",d\nplain,1.5e-3,=1+1,\n\"a,b\",\"say \"\"no\"\"\",\"two\nlines\",\"a\rb\"\n\
             \" ahead\",\"behind \",in side,π\n\"\"\n"
        );
    }

    /// The examples of section 2 of RFC 4180.
    #[test]
    fn reads_the_examples_of_the_rfc() {
        let expected = table(&[&["aaa", "bbb", "ccc"], &["zzz", "yyy", "xxx"]]);
        assert_eq!(parse("aaa,bbb,ccc\r\nzzz,yyy,xxx\r\n").unwrap(), expected);
        assert_eq!(parse("aaa,bbb,ccc\r\nzzz,yyy,xxx").unwrap(), expected);
        assert_eq!(parse("\"aaa\",\"bbb\",\"ccc\"\r\nzzz,yyy,xxx").unwrap(), expected);
        let lines = parse("\"aaa\",\"b\r\nbb\",\"ccc\"\r\nzzz,yyy,xxx").unwrap();
        assert_eq!(lines, table(&[&["aaa", "b\r\nbb", "ccc"], &["zzz", "yyy", "xxx"]]));
        assert_eq!(parse("\"aaa\",\"b\"\"bb\",\"ccc\"").unwrap(), table(&[&["aaa", "b\"bb", "ccc"]]));
    }

    #[test]
    fn reads_the_corners() {
        assert_eq!(parse("").unwrap(), table(&[]));
        assert_eq!(parse("\u{feff}").unwrap(), table(&[]));
        assert_eq!(parse("\u{feff}\"a\",b\n").unwrap(), table(&[&["a", "b"]]));
        assert_eq!(parse(",").unwrap(), table(&[&["", ""]]));
        assert_eq!(parse("a,\nb,\"\"\n").unwrap(), table(&[&["a", ""], &["b", ""]]));
        assert_eq!(parse("a\n\r\n\nb").unwrap(), table(&[&["a"], &[""], &[""], &["b"]]));
        assert_eq!(parse(" a , b\"c\",\td\r\r\n").unwrap(), table(&[&[" a ", " b\"c\"", "\td\r"]]));
    }

    #[test]
    fn errors_name_the_line() {
        let error = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(error("a,b\n\"1\n2\",\"3\n4\n"), "line 3: a quote is opened and never closed");
        assert_eq!(error("\""), "line 1: a quote is opened and never closed");
        assert_eq!(error("a\r\n\"1\r\n\"\"2\"x,y\r\n"), "line 3: \"x\" follows a closing quote, where a comma should");
        assert_eq!(error("\"a\" ,b"), "line 1: \" \" follows a closing quote, where a comma should");
        assert_eq!(error("\"a\"\rb"), "line 1: \"\\rb\" follows a closing quote, where a comma should");
    }

    /// Every table of one to three fields made of the pieces that matter comes back.
    #[test]
    fn tables_come_back() {
        let pieces = ["", "a", " ", ",", "\"", "\n", "\r", "\r\n", "\t", "\u{feff}", "é", "=1", "\u{a0}"];
        let mut fields = Vec::new();
        for first in pieces {
            for second in pieces {
                fields.extend(["", "x", "\""].map(|third| format!("{first}{second}{third}")));
            }
        }
        for (place, field) in fields.iter().enumerate() {
            let other = fields[(place * 7 + 3) % fields.len()].clone();
            let rows = vec![vec![field.clone()], vec![other.clone(), field.clone()], vec![field.clone(); 3]];
            let columns = vec![field.clone(), other];
            let mut expected = vec![columns.clone()];
            expected.extend(rows.clone());
            let file = csv(&columns, &rows);
            assert_eq!(parse(&file).unwrap(), expected, "{file:?}");
            let marked = format!("\u{feff}{file}");
            assert_eq!(parse(&marked).unwrap(), expected, "{marked:?}");
        }
    }
}
