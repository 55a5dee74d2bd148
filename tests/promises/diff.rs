//! Promises: `diff` finds the first site at which two runs part, whatever the second one was written by, and says how far.

use std::process::Stdio;

use crate::common::{
    Bench, NURSE, batch, cell_number as number, cell_text as text, ex, llmdbg_in, table_row as row,
    write_values as write,
};
use crate::parity::fixture;

#[test]
fn a_run_agrees_with_what_transformers_has_written() {
    for name in ["gpt2", "llama", "bert-seqcls", "qwen3"] {
        let file = fixture(name).join("reference.safetensors");
        let reference = std::fs::read_to_string(fixture(name).join("reference.json")).unwrap();
        let reference: serde_json::Value = serde_json::from_str(&reference).unwrap();
        let prompt = reference["prompts"][0]["text"].as_str().unwrap();
        let line = format!("diff {} -prefix p0/ -fail", file.display());
        let ran = batch(name, &["-p", prompt, "-ex", "run", "-ex", &line]);
        assert_eq!(ran.status, 0, "{name}: {}", ran.err);
        assert!(ran.out.contains("all agree within"), "{name}: {}", ran.out);
        // Another prompt has other tokens, and a script is told.
        let other = batch(name, &["-p", "Somebody else", "-ex", "run", "-ex", &line]);
        assert_ne!(other.status, 0, "{name}: {}", other.out);
    }
}

#[test]
fn branches_part_where_the_edit_was() {
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run("run");
    b.run("ablate L1H2");
    let table = b.table("diff main -all");
    assert!(table.title.contains(" first beyond 5e-5 + 5e-5 |b| at blocks.1.attn.z"), "{}", table.title);
    assert!(table.title.contains("head 2"), "{}", table.title);
    let sites: Vec<&str> = table.rows.iter().map(|row| text(&row[0])).collect();
    let at = sites.iter().position(|site| *site == "blocks.1.attn.z").unwrap();
    assert!(table.rows[..at].iter().all(|row| number(&row[1]) == 0.0 && number(&row[6]) == 0.0));
    assert!(number(&table.rows[at][1]) > 0.0);
    // Each figure is what an expression says.
    let found = row(&table, "logits");
    let close = |a: f64, b: f64| (a - b).abs() < 1e-5 * (1.0 + b.abs());
    assert!(close(number(&found[1]), b.number("absmax(logits - logits@main)")));
    assert!(close(number(&found[3]), rms(&mut b)));
    assert!(close(number(&found[5]), cosine(&mut b)));
    // The other way round, and the same branch with itself.
    assert!(b.table("diff main edit1").title.starts_with("main against edit1"));
    assert!(b.table("diff main main").title.contains("all agree"));
    assert_eq!(b.table("diff main L0.attn.* -all").rows.len(), b.table("diff main edit1 L0.attn.* -all").rows.len());
    let fail = b.fail("diff main -fail");
    assert!(fail.starts_with("edit1 and main differ: first beyond"), "{fail}");
    assert!(b.table("diff main -atol 1000").title.contains("all agree within 1000"));
}

fn rms(b: &mut Bench) -> f64 {
    let off = b.numbers("logits - logits@main");
    (off.iter().map(|x| x * x).sum::<f64>() / off.len() as f64).sqrt()
}

fn cosine(b: &mut Bench) -> f64 {
    let (x, y) = (b.numbers("logits"), b.numbers("logits@main"));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(&x, &y) / (dot(&x, &x) * dot(&y, &y)).sqrt()
}

#[test]
fn files_with_other_names_and_a_batch_axis_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("theirs.safetensors");
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run("run");
    let mut taken = |site: &str| {
        let (shape, data) = b.value(site);
        (shape, data.into_iter().map(|x| x as f32).collect::<Vec<f32>>())
    };
    let (shape, pre) = taken("L0.resid_pre");
    let (_, mut post) = taken("L0.resid_post");
    post[3] += 1.0;
    let batched = vec![1, shape[0], shape[1]];
    write(
        &file,
        &[
            ("blocks.0.hook_resid_pre", batched.clone(), pre.clone()),
            ("blocks.0.hook_resid_post", batched, post),
            ("blocks.1.hook_resid_pre", vec![2, 2], vec![0.0; 4]),
            ("something.else", vec![1], vec![0.0]),
        ],
    );
    let table = b.table(&format!("diff {}", file.display()));
    assert!(table.title.contains("first beyond 5e-5 + 5e-5 |b| at blocks.0.resid_post: 1 of"), "{}", table.title);
    assert!(table.title.contains("pos 0, dim 3"), "{}", table.title);
    assert!(table.title.contains("a batch axis in the file was taken off"), "{}", table.title);
    assert!(
        table.title.contains("not compared, not in ") && table.title.contains("(tokens, embed, pos_embed, "),
        "{}",
        table.title
    );
    let apart = b.table(&format!("diff {} L1.resid_pre L0.resid_pre", file.display()));
    assert!(apart.title.contains("blocks.1.resid_pre ([2, 2] in the file, ["), "{}", apart.title);
    write(&file, &[("layer.0", vec![1], vec![0.0])]);
    let none = b.fail(&format!("diff {}", file.display()));
    assert!(none.contains("is named as a site or a module: it has layer.0") && none.contains("-prefix TEXT"), "{none}");
    std::fs::write(&file, "nonsense").unwrap();
    assert!(b.fail(&format!("diff {}", file.display())).contains("is no safetensors file"));
}

#[test]
fn two_prompts_say_where_the_most_likely_tokens_part() {
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("a.safetensors").display().to_string();
    let save = format!("save activations {path}");
    let commands = ["run", &save, "set tokens[1] = \" Paul\"", "run", &format!("diff {path}")];
    let all = [&["-batch", "-nx", "--device", "cpu"][..], &ex(&commands)].concat();
    let ran = llmdbg_in(file.path(), &all, Stdio::null());
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.contains("the most likely tokens part at"), "{}", ran.out);
    assert!(ran.out.contains("at tokens: 1 of 14 elements, the largest at pos 1"), "{}", ran.out);
}

#[test]
fn what_cannot_be_compared_is_told() {
    let mut b = Bench::new("gpt2", &[NURSE]);
    assert!(b.fail("diff").contains("expected what to compare"));
    assert!(b.fail("diff nowhere").contains("no branch, and no .safetensors or .npz file"));
    assert!(b.fail("diff x.safetensors").contains("cannot read x.safetensors"));
    assert!(b.fail("diff main").contains("have no site in common"));
    b.run("run");
    assert!(b.fail("diff main -atol -1").contains("no tolerance"));
    assert!(b.fail("diff main main L9.attn.z").contains("no layer 9"));
}

#[test]
fn rows_compute_in_a_batch_what_they_do_alone() {
    for (name, side) in [
        ("gpt2", "left"),
        ("gpt2", "right"),
        ("llama", "left"),
        ("bert-seqcls", "right"),
        ("mixtral", "left"),
        ("opt", "left"),
    ] {
        let prompts = ["-p", "The king said that", "-p", "the dog", "-p", "and", "--pad-side", side];
        let ran = batch(name, &[&prompts[..], &ex(&["run", "check batch", "check determinism"])].concat());
        assert_eq!(ran.status, 0, "{name} {side}: {}", ran.err);
        assert!(ran.out.contains("Rows compute what they do alone: "), "{}", ran.out);
        assert!(ran.out.contains("The same bits again: "), "{}", ran.out);
    }
}

#[test]
fn checks_that_cannot_be_made_or_fail_are_told() {
    let mut b = Bench::new("gpt2", &[NURSE]);
    assert!(b.fail("check determinism").contains("is not complete"));
    b.run("run");
    assert!(b.fail("check batch").contains("there is one row without padding"));
    assert!(b.fail("check determinism 1").contains("unexpected word"));
    b.run("ablate L0H1");
    // Edits are made again.
    b.run("check determinism");
    let mut rows = Bench::new("gpt2", &[NURSE, "the dog"]);
    rows.run("run");
    assert!(rows.fail("check batch 1e-30").contains("a row does not compute what it does alone"));
    rows.run("set L0.attn.z[0] = 0");
    assert!(rows.fail("check batch").contains("is in force, which a row alone cannot repeat"));
}
