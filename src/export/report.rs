//! A session as one self-contained page: its commands and their answers, with tables, and with maps as drawings.

use std::fmt::Write;

use super::html::escaped;
use super::picture;
use crate::answer::{Answer, Cell, MapView, Table, numbers, text};

/// A page of a session: its title, what it was about, and each command with its answer.
pub fn page(title: &str, about: &[String], steps: &[(String, Answer)]) -> String {
    let mut page = head(title);
    for line in about {
        _ = writeln!(page, "<p>{}</p>", escaped(line));
    }
    page.push_str("<h2>Script</h2>\n<pre>");
    for (line, _) in steps {
        _ = writeln!(page, "{}", escaped(line));
    }
    page.push_str("</pre>\n<h2>Session</h2>\n");
    for (number, (line, answer)) in steps.iter().enumerate() {
        _ = writeln!(page, "<h3 id=\"c{number}\">(llmdbg) {}</h3>", escaped(line));
        page.push_str(&section(answer));
    }
    page.push_str("</body>\n</html>\n");
    page
}

/// The beginning of a page, with its title as a heading.
fn head(title: &str) -> String {
    let head = escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{head}</title>\n<style>\n\
         body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 72em; padding: 0 1em; }}\n\
         pre, table {{ font: 13px/1.4 ui-monospace, monospace; }} pre {{ white-space: pre-wrap; }}\n\
         h3 {{ font: 600 14px ui-monospace, monospace; margin: 1.6em 0 0.4em; }} .failed {{ color: #b3261e; }}\n\
         table {{ border-collapse: collapse; }} td, th {{ padding: 0.1em 0.8em; text-align: right; }}\n\
         td.text {{ text-align: left; }} th {{ border-bottom: 1px solid #999; }}\n\
         svg {{ max-width: 100%; height: auto; }}\n\
         </style>\n</head>\n<body>\n<h1>{head}</h1>\n"
    )
}

/// A page with one picture, an SVG page, and the numbers that it shows.
pub fn pictured(title: &str, svg: &str, numbers: &Table) -> String {
    format!("{}{svg}{}</body>\n</html>\n", head(title), table(numbers))
}

pub fn alone(title: &str, answer: &Answer) -> String {
    page(title, &[], &[(title.to_string(), answer.clone())])
}

fn section(answer: &Answer) -> String {
    match answer {
        Answer::Table(found) => table(found),
        Answer::Map(found) => map(found),
        Answer::Error(error) => format!("<pre class=\"failed\">{}</pre>\n", escaped(&error.message)),
        other => {
            let lines = text::lines(other, None);
            if lines.is_empty() { String::new() } else { format!("<pre>{}</pre>\n", escaped(&lines.join("\n"))) }
        }
    }
}

fn table(found: &Table) -> String {
    let mut html = String::new();
    if !found.title.is_empty() {
        _ = writeln!(html, "<pre>{}</pre>", escaped(&found.title));
    }
    html.push_str("<table>\n<tr>");
    found.columns.iter().for_each(|column| _ = write!(html, "<th>{}</th>", escaped(column)));
    html.push_str("</tr>\n");
    for row in &found.rows {
        html.push_str("<tr>");
        for cell in row {
            let class = if matches!(cell, Cell::Text(_)) { " class=\"text\"" } else { "" };
            _ = write!(html, "<td{class}>{}</td>", escaped(&shown(cell)));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table>\n");
    html
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Num(x) => numbers::short(*x),
        other => plain(other),
    }
}

/// A cell with all its digits.
pub fn plain(cell: &Cell) -> String {
    match cell {
        Cell::Int(x) => x.to_string(),
        Cell::Num(x) => x.to_string(),
        Cell::Text(text) => text.clone(),
        Cell::Bool(x) => x.to_string(),
        Cell::Empty => String::new(),
    }
}

fn map(found: &MapView) -> String {
    let [min, max, mean] = [found.summary.min, found.summary.max, found.summary.mean].map(numbers::short);
    let drawn = picture::svg(&Answer::Map(found.clone())).unwrap_or_default();
    format!("{drawn}\n<pre>blue is positive, orange negative, white 0; from {min} to {max}, mean {mean}</pre>\n")
}

/// A table or a map as column names and rows of text; `None` for other answers.
pub fn rows(answer: &Answer) -> Option<(Vec<String>, Vec<Vec<String>>)> {
    match answer {
        Answer::Table(table) => {
            Some((table.columns.clone(), table.rows.iter().map(|row| row.iter().map(plain).collect()).collect()))
        }
        Answer::Map(map) => {
            let columns = std::iter::once(map.axes.join("/")).chain(map.column_labels.iter().cloned()).collect();
            let row = |(label, data): (&String, &[f64])| {
                std::iter::once(label.clone()).chain(data.iter().map(f64::to_string)).collect()
            };
            Some((columns, map.row_labels.iter().zip(map.data.chunks(map.columns.max(1))).map(row).collect()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_everything_and_fetches_nothing() {
        let table = Table::new(["Site", "x"]).title("a <b>").row(("<script>", 0.1 + 0.2));
        let steps = [("heads".to_string(), Answer::Table(table.clone())), ("run".into(), Answer::Text("done".into()))];
        let made = page("gpt2", &["device: cpu".into()], &steps);
        assert!(made.contains("<pre>heads\nrun\n</pre>") && made.contains("&lt;script&gt;"), "{made}");
        assert!(!made.contains("<script") && !made.contains("http"), "{made}");
        let (columns, cells) = rows(&Answer::Table(table)).unwrap();
        assert_eq!((columns[1].as_str(), cells[0][1].as_str()), ("x", "0.30000000000000004"));
    }
}
