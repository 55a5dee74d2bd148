//! Promise: what a command tells of all heads fits a terminal of 80 by 24, and a narrower one is told which columns it lacks.

use llmdbg::answer::text::{lines, wrapped_lines};
use unicode_width::UnicodeWidthStr;

use crate::common::{Bench, cell_text};

#[test]
fn heads_fit_a_terminal_of_80_columns_and_24_rows() {
    let mut b = Bench::new("tiny-gpt2", &["When Mary and John went to the store, John gave a drink to"]);
    b.run("run");
    let answer = b.run("heads");
    for shown in [lines(&answer, Some(78)), wrapped_lines(&answer, Some(80))] {
        assert!(shown.len() <= 23, "{shown:#?}");
        assert!(shown.iter().all(|line| line.width() <= 80), "{shown:#?}");
    }
    assert!(wrapped_lines(&answer, Some(300)) == lines(&answer, None), "with room it is as ever");

    // Half of that has a line for each head too, with what tells most, and says what is left out.
    let names: Vec<String> = b.table("heads").rows.iter().map(|row| cell_text(&row[0]).to_owned()).collect();
    let narrow = wrapped_lines(&answer, Some(40));
    assert!(narrow.iter().all(|line| line.width() <= 40), "{narrow:#?}");
    for name in names {
        assert_eq!(narrow.iter().filter(|line| line.starts_with(&name)).count(), 1, "{name}: {narrow:#?}");
    }
    let all = narrow.join("\n");
    for column in b.table("heads").columns {
        let shown =
            narrow.iter().any(|line| line.starts_with("Head ") && line.contains(&column[..column.len().min(4)]));
        assert!(shown || all.replace('\n', " ").contains(&column), "{column}: {narrow:#?}");
    }
}

#[test]
fn the_beginning_of_a_score_will_do_where_it_is_that_of_one() {
    let mut b = Bench::new("tiny-gpt2", &["When Mary and John went to the store, John gave a drink to"]);
    b.run("run");
    assert_eq!(b.text("heads -sort prev"), b.text("heads -sort previous"));
    assert_eq!(b.text("heads -grid ent"), b.text("heads -grid entropy"));
    assert!(b.fail("heads -sort d").contains("several columns begin with d"));
}
