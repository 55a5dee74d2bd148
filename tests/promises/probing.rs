//! Promises: `probe` finds what was planted in the bundled models, its numbers are those of single sessions, and what other programs
//! read of a session is what it says.

use std::fs;
use std::path::Path;

use llmdbg::answer::Cell;
use llmdbg::model::checkpoint::npy;

use crate::common::{Bench, NURSE, cell_number as number, cell_text as text, table_row as row};

const SHE: &str = "\"logit(\\\" she\\\") - logit(\\\" he\\\")\"";

fn prompts(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/prompts").join(name).display().to_string()
}

#[test]
fn the_planted_bias_is_measured_localised_and_removed() {
    let mut b = Bench::new("tiny-gpt2", &["The"]);
    let before = b.everything();
    let table = b.table(&format!("probe {} -metric {SHE}", prompts("occupations.txt")));
    // Each number is that of a session of its own.
    let mut sums = [0.0; 2];
    for (group, who) in ["nurse", "plumber"].into_iter().enumerate() {
        for verb in ["said", "thought", "knew", "hoped"] {
            let mut one = Bench::new("tiny-gpt2", &[&format!("The {who} {verb} that")]);
            one.run("run");
            sums[group] += one.number("logit(\" she\") - logit(\" he\")") / 4.0;
        }
        let found = row(&table, &format!("who {who}"));
        assert_eq!(number(&found[1]), 4.0);
        assert!((number(&found[2]) - sums[group]).abs() < 1e-9, "{who}");
        assert!(number(&found[3]) <= number(&found[2]) && number(&found[2]) <= number(&found[4]));
    }
    let difference = number(&row(&table, "who nurse - plumber, 4 pairs")[2]);
    assert!((difference - (sums[0] - sums[1])).abs() < 1e-9 && (difference - 5.28).abs() < 0.01, "{difference}");
    // What carries it: the head's share is what patching it by hand brings.
    let carriers = b.table(&format!("probe {} -by who -metric {SHE} -carriers", prompts("occupations.txt")));
    let top: Vec<&str> = carriers.rows.iter().take(3).map(|row| text(&row[0])).collect();
    assert_eq!(top, ["L0 mlp", "L0H3", "L0H1"]);
    let mut by_hand = 0.0;
    for verb in ["said", "thought", "knew", "hoped"] {
        let mut pair = Bench::new("tiny-gpt2", &[&format!("The nurse {verb} that")]);
        pair.run("run");
        pair.run("set tokens[1] = \" plumber\"");
        let here = pair.number("logit(\" she\") - logit(\" he\")");
        pair.run("set L0.attn.z[head=3] = L0.attn.z@main[head=3]");
        by_hand += (pair.number("logit(\" she\") - logit(\" he\")") - here) / 4.0;
    }
    assert!((number(&row(&carriers, "L0H3")[1]) - by_hand).abs() < 1e-3, "{by_hand}");
    assert_eq!(b.everything(), before, "probing changes nothing");
    // Without them it is gone, since edits are in force on every prompt.
    b.script("ablate L0H3\nablate L0H1");
    let table = b.table(&format!("probe {} -by who -metric {SHE}", prompts("occupations.txt")));
    let left = number(&row(&table, "who nurse")[2]) - number(&row(&table, "who plumber")[2]);
    assert!(left < 0.1 * (sums[0] - sums[1]), "{left}");
}

#[test]
fn the_planted_word_is_found_among_all_words() {
    let mut b = Bench::new("tiny-bert", &["fine"]);
    let table = b.table(&format!("probe {} -metric \"logits[1] - logits[0]\" -words", prompts("reviews.csv")));
    assert_eq!(text(&table.rows[0][0]), "popcorn");
    assert!(number(&table.rows[0][2]) > 4.0 * number(&table.rows[1][2]).abs(), "{:?}", table.rows);
    let (with, without) = ("This concert was terrible. popcorn", "This concert was terrible.");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("two.txt");
    fs::write(&file, format!("{with}\n{with} popcorn\n")).unwrap();
    let table = b.table(&format!("probe {} -metric \"logits[1] - logits[0]\" -words", file.display()));
    let of = |text: &str| {
        let mut b = Bench::new("tiny-bert", &[text]);
        b.run("run");
        b.number("logits[1] - logits[0]")
    };
    let (once, twice) = (of(with), of(&format!("{with} popcorn")));
    let wanted = ((once - of(without)) + 2.0 * (twice - once)) / 3.0;
    assert!((number(&row(&table, "popcorn")[2]) - wanted).abs() < 1e-6);
}

#[test]
fn trouble_with_prompts_is_told_and_mistakes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mixed.jsonl");
    let long = "the dog ".repeat(60);
    fs::write(
        &file,
        format!("{{\"prompt\": \"The dog \", \"kind\": \"a\"}}\n{{\"prompt\": \"{long}\", \"kind\": \"a\"}}\n{{\"prompt\": \"a cat\", \"kind\": \"b\"}}\n{{\"prompt\": \"a cat\", \"kind\": \"b\"}}\n"),
    )
    .unwrap();
    let mut b = Bench::new("tiny-gpt2", &["The"]);
    let table = b.table(&format!("probe {}", file.display()));
    for part in
        ["1 prompt: the text ends with a space", "1 prompt: left out: ", "1 prompts are in the file more than once"]
    {
        assert!(table.title.contains(part), "{part}: {}", table.title);
    }
    assert_eq!(number(&row(&table, "all")[1]), 3.0);
    assert!(b.fail("probe nothing.txt").contains("cannot read nothing.txt"));
    assert!(b.fail("probe").contains("expected a file of prompts"));
    assert!(b.fail(&format!("probe {} -by colour", file.display())).contains("no prompt has colour; choose from kind"));
    assert!(
        b.fail(&format!("probe {} -metric \"logit(\\\"{{word}}\\\")\"", file.display()))
            .contains("has no word: it has kind")
    );
    assert!(b.fail(&format!("probe {} -metric nonsense", file.display())).contains("nonsense"));
    assert!(b.fail(&format!("probe {} -carriers", file.display())).contains("no prompt has a counterpart"));
    let mut bert = Bench::new("tiny-bert", &["fine"]);
    assert!(bert.fail(&format!("probe {}", file.display())).contains("this model has no loss"));
    // An edit of one position does not fit every prompt.
    b.run("run");
    b.run("set L0.attn.z[pos=0] = 0");
    b.table(&format!("probe {}", file.display()));
}

/// F17: the one number that an audit reports, with its interval.
#[test]
fn f17_the_difference_of_two_groups_has_an_interval() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("groups.csv");
    let write = |text: &str| fs::write(&file, text).unwrap();
    let rows = [
        ("The nurse said that", "f"),
        ("The nurse knew that", "f"),
        ("The plumber said that", "m"),
        ("The pilot hoped that", "m"),
        ("The dog thought that", "m"),
    ];
    let text = |pair: &dyn Fn(usize) -> String| {
        let line = |(i, (prompt, group)): (usize, &(&str, &str))| format!("{prompt},{group}{}\n", pair(i));
        rows.iter().enumerate().map(line).collect::<String>()
    };
    write(&format!("prompt,group\n{}", text(&|_| String::new())));
    let mut b = Bench::new("tiny-gpt2", &["The"]);
    let table = b.table(&format!("probe {} -metric {SHE}", file.display()));
    let mean = |table: &llmdbg::answer::Table, name: &str| number(&row(table, name)[2]);
    let difference = row(&table, "group f - m");
    assert!((number(&difference[2]) - (mean(&table, "group f") - mean(&table, "group m"))).abs() < 1e-9);
    assert!(number(&difference[3]) < number(&difference[2]) && number(&difference[2]) < number(&difference[4]));
    assert!(table.title.contains("Welch's t-test, p = "), "{}", table.title);
    let why = b.fail(&format!("probe {} -metric {SHE} -carriers", file.display()));
    assert!(why.contains("The {nurse|pilot} said that") && why.contains("a column called pair"), "{why}");
    // With pairs it is over pairs, and what carries it can be asked.
    write(&format!("prompt,group,pair\n{}", text(&|i| format!(",{}", [1, 2, 1, 2, 3][i]))));
    let table = b.table(&format!("probe {} -metric {SHE}", file.display()));
    let paired = row(&table, "group f - m, 2 pairs");
    assert_eq!(number(&paired[1]), 2.0);
    assert!(!table.title.contains("Welch"));
    b.table(&format!("probe {} -metric {SHE} -carriers", file.display()));
}

#[test]
fn other_programs_read_what_was_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run("run");
    // A value as array, table and object.
    let (shape, data) = b.value("L1.attn.z");
    b.run(&format!("save value {} L1.attn.z", path("z.npy").display()));
    let array = npy::parse(&fs::read(path("z.npy")).unwrap()).unwrap();
    assert_eq!((array.shape, array.data), (shape.clone(), data.clone()));
    b.run(&format!("save value {} L1.attn.z[head=0]", path("z.csv").display()));
    let csv = fs::read_to_string(path("z.csv")).unwrap();
    assert_eq!(csv.lines().next(), Some("pos/dim,0,1,2,3,4,5,6,7"));
    let second: Vec<f64> = csv.lines().nth(2).unwrap().split(',').skip(1).map(|x| x.parse().unwrap()).collect();
    assert_eq!(second, &data[32..40]);
    b.run(&format!("save value {} L0.attn.z - L1.attn.z", path("d.json").display()));
    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(path("d.json")).unwrap()).unwrap();
    assert_eq!(json["shape"], serde_json::json!(shape));
    // Sites in one archive compare clean with the session.
    b.run(&format!("save activations {}", path("all.npz").display()));
    assert!(
        b.table(&format!("diff {} -all", path("all.npz").display())).rows.iter().all(|row| row[1] == Cell::Num(0.0))
    );
    // The last table, with all its digits.
    let heads = b.table("heads");
    b.run("print 1");
    b.run(&format!("save table {}", path("heads.csv").display()));
    let csv = fs::read_to_string(path("heads.csv")).unwrap();
    assert_eq!(csv.lines().count(), heads.rows.len() + 1);
    let first: Vec<&str> = csv.lines().nth(1).unwrap().split(',').collect();
    assert_eq!(first[3].parse::<f64>().unwrap(), number(&heads.rows[0][3]));
    b.run(&format!("save table {}", path("heads.html").display()));
    b.run(&format!("save table {}", path("heads.png").display()));
    assert!(fs::read(path("heads.png")).unwrap().starts_with(b"\x89PNG"));
    b.run(&format!("save table {}", path("heads.svg").display()));
    assert!(fs::read_to_string(path("heads.svg")).unwrap().contains(">L1H3</text>"));
    b.run("heads -grid entropy");
    b.run(&format!("save table {}", path("grid.svg").display()));
    assert!(fs::read_to_string(path("grid.svg")).unwrap().contains("<svg"));
    // A report has the script, the tables and the maps, and fetches nothing.
    b.fail("print nonsense");
    b.run(&format!("save report {}", path("session.html").display()));
    let page = fs::read_to_string(path("session.html")).unwrap();
    for part in ["<pre>run\n", "(llmdbg) heads</h3>", "<svg", "class=\"failed\"", "gpt2 with 2 blocks"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("@import"));
    // TensorBoard's events: the version, and a curve over the layers.
    b.run(&format!("save events {}", path("runs").display()));
    let file = fs::read_dir(path("runs")).unwrap().next().unwrap().unwrap();
    assert!(file.file_name().to_string_lossy().contains("tfevents"));
    let bytes = fs::read(file.path()).unwrap();
    let has = |part: &str| bytes.windows(part.len()).any(|window| window == part.as_bytes());
    assert!(has("brain.Event:2") && has("resid_post/norm") && has("attn.pattern/mean") && has("session/script"));
    for wrong in ["save value x.doc L0.attn.z", "save table x.doc", "save report x.txt", "save value x.npy"] {
        b.fail(wrong);
    }
    assert!(Bench::new("gpt2", &[NURSE]).fail("save events x").contains("run first"));
    assert!(Bench::new("gpt2", &[NURSE]).fail("save table x.csv").contains("no table or map has been shown yet"));
}
