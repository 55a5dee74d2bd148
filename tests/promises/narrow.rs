//! Promise: what a command tells of all heads fits a terminal of 80 by 24, and a narrower one loses no column.

use llmdbg::answer::text::{lines, uncut_lines};

use crate::common::{Bench, cell_text};

#[test]
fn heads_fit_a_terminal_of_80_columns_and_24_rows() {
    let mut b = Bench::new("tiny-gpt2", &["When Mary and John went to the store, John gave a drink to"]);
    b.run("run");
    let answer = b.run("heads");
    for shown in [lines(&answer, Some(78)), uncut_lines(&answer, Some(80))] {
        // A title, the rules, the names of the columns, and the 16 heads, of which only the rules are wrapped.
        assert_eq!(shown.len(), 19, "{shown:#?}");
        assert!(shown.iter().enumerate().all(|(i, line)| i == 1 || line.chars().count() <= 80), "{shown:#?}");
        let rows: usize = shown.iter().map(|line| line.chars().count().div_ceil(80)).sum();
        assert!(rows < 24, "{rows}: {shown:#?}");
    }
    assert!(uncut_lines(&answer, Some(200)) == lines(&answer, None), "with room it is as ever");

    // Half of that is enough for the same numbers, in parts that name the heads again.
    let names: Vec<String> = b.table("heads").rows.iter().map(|row| cell_text(&row[0]).to_owned()).collect();
    let narrow = uncut_lines(&answer, Some(40));
    assert!(narrow.iter().skip(2).all(|line| line.chars().count() <= 40), "{narrow:#?}");
    let parts = narrow.iter().filter(|line| line.starts_with("Head ")).count();
    assert!(parts > 1);
    for name in names {
        assert_eq!(narrow.iter().filter(|line| line.starts_with(&name)).count(), parts, "{name}");
    }
    for column in b.table("heads").columns {
        assert!(narrow.iter().any(|line| line.starts_with("Head ") && line.contains(&column)), "{column}: {narrow:#?}");
    }
}

#[test]
fn the_beginning_of_a_score_will_do_where_it_is_that_of_one() {
    let mut b = Bench::new("tiny-gpt2", &["When Mary and John went to the store, John gave a drink to"]);
    b.run("run");
    assert_eq!(b.text("heads -sort prev"), b.text("heads -sort previous"));
    assert_eq!(b.text("heads -grid ent"), b.text("heads -grid entropy"));
    assert!(b.fail("heads -sort d").contains("no score d"));
}
