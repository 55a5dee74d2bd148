use proptest::prelude::*;

use super::*;

fn table() -> Table {
    Table::new(["rank", "token", "value", "kept"])
        .title("next token")
        .row((0, " Mary", 0.91, true))
        .row((1, " 日本語", 0.012_345, false))
        .row((10, "\x1b[2J", 1e-9, false))
}

#[test]
fn columns_align() {
    insta::assert_snapshot!(lines(&table(), None).join("\n"), @r"
    next token
    rank  token        value  kept
       0   Mary         0.91  yes
       1   日本語    0.01235  no
      10  \u{1b}[2J     1e-9  no
    ");
}

fn at(table: &Table, width: usize) -> String {
    lines(table, Some(width)).join("\n")
}

#[test]
fn the_name_of_a_row_is_cut_last() {
    let table = Table::new(["Site", "By", "Reason"]).row(("blocks.0.attn.pattern", 0.5, "x".repeat(60)));
    let cut = rows(&table, 60);
    assert!(cut[1].starts_with("blocks.0.attn.pattern  0.5  xxxx") && cut[1].width() == 60, "{cut:?}");
    assert!(rows(&table, 24)[1].starts_with("blocks.0~"), "it is cut when nothing else is left to cut");
}

#[test]
fn empty_tables() {
    assert!(lines(&Table::default(), None).is_empty());
    let short = Table { rows: vec![vec![Cell::Empty]], ..Table::new(["a", "b"]) };
    assert_eq!(lines(&short, None), ["a  b", ""]);
}

fn wide() -> Table {
    Table::new(["Head", "Kind", "previous", "first", "duplicate", "distance"])
        .title("heads")
        .row(("L0H0", "concentrated", 0.001_685, 0.1118, 1.226e-5, 12.3))
        .row(("L0H1", "", 0.75, 0.2, 0.25, 1.976))
}

/// The columns that are shown at a width, by the first line of names.
fn shown_at(table: &Table, width: usize) -> Vec<String> {
    let text = at(table, width);
    assert!(text.lines().all(|line| line.width() <= width), "{text}");
    let head = text.lines().find(|line| line.starts_with(&table.columns[0])).unwrap();
    head.split_whitespace().map(String::from).collect()
}

#[test]
fn digits_go_before_columns_and_what_is_left_out_is_named() {
    assert_eq!(at(&wide(), 57), lines(&wide(), None).join("\n"));
    assert_eq!(shown_at(&wide(), 56), ["Head", "Kind", "previo~", "first", "duplic~", "dist~"]);
    assert!(at(&wide(), 56).contains("L0H0 concentrated 0.00169 0.112 1.23e-5  12.3"), "{}", at(&wide(), 56));
    assert_eq!(shown_at(&wide(), 36), ["Head", "Kind", "previo~", "first"]);
    assert!(
        at(&wide(), 36)
            .replace('\n', " ")
            .contains("... 2 more columns: duplicate, distance; a wider window shows them")
    );
    // Columns that are alike are in parts, one next to the first at least.
    let alike = at(&wide().alike(), 42);
    assert!(
        !alike.contains("more column") && alike.contains("duplicate") && alike.lines().all(|line| line.width() <= 42)
    );
    assert_eq!(at(&wide().alike(), 5).lines().filter(|line| line.starts_with("L0H1")).count(), 5);
}

#[test]
fn the_last_text_is_wrapped_and_bars_are_shortened() {
    let reason = "the base of the rotation is 10000 there, 100000 here and at 29 more";
    let table = Table::new(["Site", "Relative", "Max abs", "Reason"])
        .row(("blocks.0.attn.rot_q", 0.123_456, 17.5, reason))
        .row(("blocks.12.attn.out", 0.012_345, 1.25, ""));
    let text = at(&table, 70);
    assert_eq!(shown_at(&table, 70), ["Site", "Relative", "Max", "abs", "Reason"]);
    let wrapped: String = text.lines().skip(1).filter_map(|line| line.get(40..)).collect::<Vec<_>>().join(" ");
    assert!(reason.split(' ').all(|word| wrapped.contains(word)), "{text}");
    let bars = Table::new(["Component", "Share", ""])
        .rows([("L23H4", 4.0, "+".repeat(20)), ("L0.mlp.out", -2.0, "-".repeat(10))]);
    let text = at(&bars, 30);
    let length = |sign: char| text.chars().filter(|c| *c == sign).count();
    // The minus of the number is one more; a shortened bar is rounded up.
    assert_eq!(length('+').div_ceil(2), length('-') - 1, "{text}");
}

#[test]
fn rows_that_are_left_out_are_counted() {
    let shares = Table::new(["Component", "Share"]).rows((0..20).map(|i| (format!("L{i}.attn.out"), 1 << i)));
    assert_eq!(
        lines(&shares.by_size(1, 2), None)[1..],
        ["L19.attn.out  524288", "L18.attn.out  262144", "... 18 more rows, which add up to 262143; -all shows them"]
    );
}

proptest! {
    #[test]
    fn narrowed_lines_fit(texts in proptest::collection::vec("[a-z日本\u{1b}]{0,40}", 1..5), width in 24_usize..60) {
        let table = Table::new(["n", "a", "b"]).rows(texts.iter().map(|text| (1, text, text)));
        for line in rows(&table, width) {
            prop_assert!(line.width() <= width, "{line:?}");
        }
    }

    /// Whatever a table holds, its lines fit 60 columns, and each number that is listed is whole.
    #[test]
    fn every_table_fits(
        texts in proptest::collection::vec("[a-z日 ]{0,90}", 1..5),
        numbers in proptest::collection::vec(-1e9..1e9f64, 6),
        width in 60_usize..120,
    ) {
        let columns = ["name", "kind", "one", "two", "three", "four", "five", "six", "reason"];
        let row = |text: &String| {
            let mut row = vec![Cell::Text(text.clone()), Cell::Text(text.clone())];
            row.extend(numbers.iter().map(|x| Cell::Num(*x)));
            row.push(Cell::Text(text.clone()));
            row
        };
        let table = Table::new(columns).title(&texts[0]).rows(texts.iter().map(row));
        let shown = lines(&table, Some(width));
        for line in &shown {
            prop_assert!(line.width() <= width, "{line:?}");
        }
        let three = significant(numbers[0], ELEMENT_DIGITS - 1);
        let four = significant(numbers[0], ELEMENT_DIGITS);
        let two = significant(numbers[0], ELEMENT_DIGITS - 2);
        let whole = shown.iter().any(|line| line.split(' ').any(|word| word == three || word == four || word == two));
        prop_assert!(whole || shown.iter().any(|line| line.contains("one,") || line.contains(": one;")), "{shown:#?}");
    }
}
