//! Promises: data that is not what it seems is refused with what is wrong with it: a token that is not in the text, and files of prompts
//! whose lines are torn, whose columns are separated by something else, or which are tables where a text in each line is expected.

use std::fs;
use std::path::Path;

use crate::common::{Bench, NURSE, table_row};

/// Eight tokens: The, n, ur, se, and, the, do, g, those within a word without a space.
fn bench() -> Bench {
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run("run");
    b
}

fn tokens(b: &mut Bench) -> Vec<String> {
    b.console.snapshot().tokens.iter().map(|token| token.text.clone()).collect()
}

#[test]
fn f20_a_token_that_is_not_in_the_text_is_refused_everywhere_with_what_is_like_it() {
    let mut b = bench();
    let texts = tokens(&mut b);
    let spaced = texts.iter().find(|token| token.starts_with(' ') && token.len() > 2).unwrap().clone();
    let bare = spaced.trim().to_string();
    assert!(!texts.contains(&bare), "{texts:?}");
    let like = format!("did you mean {spaced:?}?");
    // Where heads look, which printed zeros.
    for line in [format!("heads -to {bare}"), format!("heads L0 -to \"{bare}\" -sort to")] {
        let said = b.fail(&line);
        assert!(said.starts_with(&format!("{bare:?} is not a token of the text; {like}")), "{said}");
    }
    let numbers = b.table(&format!("heads -to \"{spaced}\""));
    assert!(numbers.columns.contains(&"to".to_string()));
    let elsewhere = " zzz";
    for line in [
        format!("heads -to \"{elsewhere}\""),
        "heads -to 383".to_string(),
        format!("heads -to \"{spaced}\" -pos \"{elsewhere}\""),
        format!("lens -pos \"{elsewhere}\""),
        format!("dla -pos \"{elsewhere}\""),
        format!("explain \"{elsewhere}\""),
        format!("focus pos=\"{elsewhere}\""),
        format!("break L0.attn.z pos=\"{elsewhere}\""),
        format!("tbreak L0.attn.z pos=\"{elsewhere}\""),
        format!("trace L0.attn.z pos=\"{elsewhere}\" count"),
        format!("until L0.attn.z pos=\"{elsewhere}\""),
    ] {
        let said = b.fail(&line);
        assert!(said.contains("not a token of the text") || said.contains("is not in the text"), "{line}: {said}");
        assert!(said.contains("info tokens"), "{line}: {said}");
    }
    for line in [
        format!("print logits[\"{elsewhere}\"]"),
        format!("print L0.attn.pattern[q=\"{elsewhere}\"]"),
        format!("ablate L0.attn.z[pos=\"{elsewhere}\"]"),
        format!("steer L0.resid_post[pos=\"{elsewhere}\"] 1"),
        format!("set L0.attn.z[pos=\"{elsewhere}\"] = 0"),
        format!("set tokens[\"{elsewhere}\"] = 3"),
    ] {
        assert!(b.fail(&line).contains("no token"), "{line}: {}", b.fail(&line));
    }
    // A word that is cut into pieces is said to be; a wrong case and a slip of a letter are found.
    assert!(
        b.fail("focus pos=\"nurse\"").contains("it is cut into \" n\", \"ur\", \"se\""),
        "{}",
        b.fail("focus pos=\"nurse\"")
    );
    assert!(b.fail(&format!("lens -pos \"{}\"", spaced.to_uppercase())).contains(&like));
    assert!(b.fail("print L0.attn.pattern[k=\"nurse\"]").contains("it is cut into"));
    // One that is there several times names none.
    let mut b = Bench::new("gpt2", &["the dog and the dog"]);
    b.run("run");
    let twice = tokens(&mut b).iter().filter(|token| *token == " do").count();
    assert_eq!(twice, 2);
    for line in ["break L0.attn.z pos=\" do\"", "lens -pos \" do\"", "focus pos=\" do\""] {
        assert!(b.fail(line).contains("is at positions"), "{line}: {}", b.fail(line));
    }
}

#[test]
fn a_position_that_cannot_look_is_refused() {
    let mut b = bench();
    let last = tokens(&mut b).last().unwrap().clone();
    let said = b.fail(&format!("heads -to \"{last}\" -pos 1"));
    assert!(said.starts_with(&format!("position 1 cannot look at {last:?}, which comes later, at 7")), "{said}");
    b.run("token");
    let said = b.fail(&format!("heads -to \"{last}\" -pos 7"));
    assert!(said.starts_with("position 7 was computed in pass 0; \"goto #0\" goes there"), "{said}");
    b.run(&format!("heads -to \"{last}\""));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.txt");
    fs::write(&file, "the dog\nthe king\n\nthe dog and the king\n").unwrap();
    let file = file.display();
    assert!(b.fail(&format!("heads -to \"{last}\" -pos 1 -over {file}")).contains("-pos is a position of this text"));
    // Texts without the token say nothing about it: the mean is over those that have it.
    let dog = " do";
    let both = b.table(&format!("heads -to \"{dog}\" -over {file}"));
    assert!(both.title.contains("to: over the 2 that have \" do\""), "{}", both.title);
    let at = both.columns.iter().position(|name| name == "to").unwrap();
    let mut alone = Vec::new();
    for text in ["the dog", "the dog and the king"] {
        let mut one = Bench::new("gpt2", &[text]);
        one.run("run");
        alone.push(crate::common::cell_number(&table_row(&one.table(&format!("heads -to \"{dog}\"")), "L1H2")[at]));
    }
    let mean = crate::common::cell_number(&table_row(&both, "L1H2")[at]);
    assert!((mean - (alone[0] + alone[1]) / 2.0).abs() < 1e-12, "{mean} {alone:?}");
    assert!(b.fail(&format!("heads -to \"zz\" -over {file}")).contains("not"), "no line has it");
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[test]
fn f18_every_reader_of_prompts_refuses_torn_tables_and_names_their_columns() {
    let folder = tempfile::tempdir().unwrap();
    let mut b = bench();
    let torn = "prompt,group\nThe nurse said that,f\nThe nurse, who was late, said that,f\n";
    let cases = [
        (
            "torn.csv",
            torn,
            "line 3 has 4 fields, and there are 2 columns (prompt, group): a text that holds a comma must be in quotes",
        ),
        ("few.csv", "prompt,group\nthe dog\n", "line 2 has 1 field, and there are 2 columns (prompt, group)"),
        ("semi.csv", "prompt;group\nthe dog;f;x\n", "line 2 has 3 fields, and there are 2 columns (prompt, group)"),
        ("none.csv", "word;group\nthe dog;f\n", "it has no column prompt, text, sentence; its columns are word, group"),
        ("twice.csv", "prompt,a,a\nthe dog,1,2\n", "two of its columns are called a"),
        ("quote.csv", "prompt,group\n\"the dog,f\nthe king,m\n", "line 2: a quote is opened and never closed"),
        ("none.jsonl", "{\"word\": \"the dog\", \"n\": 1}\n", "line 1 has no prompt, text, sentence; it has word, n"),
        ("null.json", "[{\"prompt\": null}]", "entry 1: prompt must be a text, not null"),
        ("table.txt", "prompt,group\nthe dog,f\n", "its first line has the names of columns (prompt, group)"),
    ];
    for (name, text, why) in cases {
        let file = write(folder.path(), name, text);
        for line in [format!("probe {file}"), format!("activations -against {file}"), format!("heads -over {file}")] {
            let said = b.fail(&line);
            assert!(said.starts_with(&format!("{file}: {why}")), "{line}: {said}");
        }
    }
}

#[test]
fn every_separator_and_format_gives_the_same_prompts() {
    let folder = tempfile::tempdir().unwrap();
    let mut b = bench();
    let plain = write(folder.path(), "a.csv", "prompt,group\nthe dog,f\n\"the king, the dog\",m\n");
    let wanted = b.table(&format!("probe {plain} -by group"));
    let heads = b.table(&format!("heads -over {plain}"));
    for (name, text, note) in [
        (
            "b.csv",
            "\u{feff}group;prompt\r\nf;the dog\r\nm;the king, the dog\r\n",
            Some("separated by semicolons: group, prompt"),
        ),
        ("c.tsv", "Prompt\tgroup\nthe dog\tf\nthe king, the dog\tm\n", Some("separated by tabs: Prompt, group")),
        ("d.CSV", "prompt|group\nthe dog|f\nthe king, the dog|m\n\n", Some("separated by bars")),
        (
            "e.jsonl",
            "\u{feff}{\"prompt\": \"the dog\", \"group\": \"f\"}\n{\"text\": \"the king, the dog\", \"group\": \"m\"}\n",
            None,
        ),
        (
            "f.json",
            "[{\"prompt\": \"the dog\", \"group\": \"f\"}, {\"prompt\": \"the king, the dog\", \"group\": \"m\"}]",
            None,
        ),
    ] {
        let file = write(folder.path(), name, text);
        let found = b.table(&format!("probe {file} -by group"));
        assert_eq!(found.rows, wanted.rows, "{name}");
        if let Some(note) = note {
            assert!(found.title.contains(note), "{name}: {}", found.title);
        }
        assert_eq!(b.table(&format!("heads -over {file}")).rows, heads.rows, "{name}");
    }
    // A mark at the start of a file with a text in each line is not part of the first text.
    let marked = write(folder.path(), "g.txt", "\u{feff}the dog\nthe king, the dog\n");
    assert_eq!(b.table(&format!("heads -over {marked}")).rows, heads.rows);
}

#[test]
fn a_prompt_of_a_file_is_the_same_prompt() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "p.txt", &format!("\u{feff}{NURSE}\r\n"));
    let questions = crate::common::ex(&["run", "info tokens", "output/r logits[-1, 0:4]"]);
    let of_file = crate::common::batch("gpt2", &[&["--prompt-file", &file], questions.as_slice()].concat());
    let typed = crate::common::batch("gpt2", &[&["-p", NURSE], questions.as_slice()].concat());
    assert_eq!((of_file.status, of_file.out), (0, typed.out));
}
