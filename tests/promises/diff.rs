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
    assert!(table.title.contains(" first beyond 2e-4 of the size at blocks.1.attn.z"), "{}", table.title);
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
    assert!(table.title.contains("first beyond 2e-4 of the size at blocks.0.resid_post: 1 of"), "{}", table.title);
    assert!(table.title.contains("pos 0, dim 3"), "{}", table.title);
    assert!(table.title.contains("a batch axis in the file was removed"), "{}", table.title);
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
    assert!(b.fail(&format!("diff {}", file.display())).contains("is not a safetensors file"));
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
    assert!(ran.out.contains("at tokens: 1 of 14 elements, the furthest at pos 1"), "{}", ran.out);
}

#[test]
fn what_cannot_be_compared_is_told() {
    let mut b = Bench::new("gpt2", &[NURSE]);
    assert!(b.fail("diff").contains("expected what to compare"));
    assert!(b.fail("diff nowhere").contains("is not a branch, and no .safetensors or .npz file"));
    assert!(b.fail("diff x.safetensors").contains("cannot read x.safetensors"));
    assert!(b.fail("diff main").contains("have no site in common"));
    b.run("run");
    assert!(b.fail("diff main -atol -1").contains("-1 is not a tolerance"));
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

/// A dump on disk under a name in the session.
fn dumped(b: &mut Bench, folder: &std::path::Path, name: &str, values: &[(&str, Vec<usize>, Vec<f32>)]) {
    let file = folder.join(format!("{name}.safetensors"));
    write(&file, values);
    b.run(&format!("load-dump {} as {name}", file.display()));
}

/// A position that holds activations a thousand times as large as all others rounds as they do, and speaks for itself alone.
#[test]
fn f7_tolerances_go_by_the_size_of_a_row_and_the_headline_names_what_is_beyond_rounding() {
    let folder = tempfile::tempdir().unwrap();
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run("run");
    let (shape, data) = b.value("L0.resid_post");
    let mut sound: Vec<f32> = data.into_iter().map(|x| x as f32).collect();
    sound[3] = 22500.0;
    let (_, out) = b.value("L1.attn.out");
    let out: Vec<f32> = out.into_iter().map(|x| x as f32).collect();
    // Elements of order 1 beside 22,500 are off by 3e-4, as transformers and llmdbg are on SmolLM2.
    let mut rounded = sound.clone();
    (rounded[7], rounded[9]) = (rounded[7] + 3e-4, rounded[9] - 3e-4);
    let mut faulty = out.clone();
    faulty[40] += 0.01;
    let values = |stream: &[f32], out: &[f32]| {
        [("blocks.0.resid_post", shape.clone(), stream.to_vec()), ("blocks.1.attn.out", shape.clone(), out.to_vec())]
    };
    dumped(&mut b, folder.path(), "sound", &values(&sound, &out));
    dumped(&mut b, folder.path(), "port", &values(&rounded, &out));
    dumped(&mut b, folder.path(), "wrong", &values(&rounded, &faulty));
    let port = b.table("diff port sound -fail");
    assert!(
        port.title.contains("all agree within 2e-4 of the size\n1 site is off by rounding, 1 the same"),
        "{}",
        port.title
    );
    let wrong = b.table("diff wrong sound");
    let headline = "1 site differs, first beyond 2e-4 of the size at blocks.1.attn.out: 1 of 256 elements";
    assert!(wrong.title.contains(headline), "{}", wrong.title);
    assert!(wrong.title.contains("pos 1, dim 8") && wrong.title.contains("1 site is off by rounding, 0 the same"));
    assert_eq!(wrong.rows.len(), 1);
    // The same in another position is no rounding: there elements are of order 1.
    let mut elsewhere = sound.clone();
    elsewhere[40] += 3e-3;
    dumped(&mut b, folder.path(), "elsewhere", &values(&elsewhere, &out));
    let told = b.table("diff elsewhere sound");
    assert!(
        told.title.contains("size at blocks.0.resid_post: 1 of 256 elements, the furthest at pos 1, dim 8"),
        "{}",
        told.title
    );
    // Parts of a site are measured as the whole is.
    let by_pos = b.table("diff port sound blocks.0.resid_post -by pos -all");
    assert!(by_pos.rows.iter().all(|row| number(&row[7]) == 0.0), "{:?}", by_pos.rows);
    let by_element = b.table("diff elsewhere sound blocks.0.resid_post -by element");
    assert_eq!((by_element.rows.len(), text(&by_element.rows[0][0])), (1, "blocks.0.resid_post[1, 8]"));
    // What the user asks for is taken as it is said.
    let absolute = b.table("diff port sound -rtol 0 -atol 0.5").title;
    assert!(absolute.contains("all agree within 0.5\n1 site is within the tolerance, 1 the same"), "{absolute}");
    assert!(b.table("diff port sound -rtol 0").title.contains("1 site differs, first beyond 0"));
    let fail = b.fail("diff wrong sound -fail");
    assert!(fail.contains("at blocks.1.attn.out"), "{fail}");
}

/// Zeros of two signs are one number, NaN is NaN, infinities have signs; token ids are no numbers to be near to.
#[test]
fn zeros_nan_and_infinities_are_the_same_to_every_distance() {
    let folder = tempfile::tempdir().unwrap();
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run("run");
    let (shape, data) = b.value("L1.attn.z");
    let with = |first: [f32; 4]| {
        let mut data: Vec<f32> = data.iter().map(|x| *x as f32).collect();
        data[..4].copy_from_slice(&first);
        [("blocks.1.attn.z", shape.clone(), data)]
    };
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    dumped(&mut b, folder.path(), "here", &with([0.0, nan, inf, -inf]));
    dumped(&mut b, folder.path(), "same", &with([-0.0, -nan, inf, -inf]));
    dumped(&mut b, folder.path(), "turned", &with([0.0, nan, -inf, -inf]));
    dumped(&mut b, folder.path(), "large", &with([0.0, nan, inf, -22500.0]));
    let same = b.table("diff same here");
    assert!(same.title.contains("1 site is the same"), "{}", same.title);
    assert_eq!(b.table("diff same here -by element").rows.len(), 0);
    for other in ["turned", "large"] {
        let told = b.table(&format!("diff {other} here"));
        assert!(told.title.contains("1 site differs") && number(&told.rows[0][7]) == 1.0, "{}", told.title);
        assert_eq!(b.table(&format!("diff {other} here -by element")).rows.len(), 1);
        assert_eq!(number(&told.rows[0][1]), f64::INFINITY);
    }
    // What runs here holds an infinity of the other sign: bisect and set compare see it as diff does.
    let file = folder.path().join("turned.safetensors");
    b.run("set L1.attn.z[0, 0, 0] = 0");
    b.run("set L1.attn.z[0, 0, 1] = nan");
    b.run("set L1.attn.z[0, 0, 2] = inf");
    b.run("set L1.attn.z[0, 0, 3] = -inf");
    let told = b.table(&format!("bisect {}", file.display()));
    assert_eq!(text(&told.rows[0][4]), "introduced", "{}", told.title);
    assert!(b.table("bisect same").title.contains("nothing is introduced"), "infinities of one sign are the same");
    // A weight whose zeros have the other sign is the same weight.
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run(&format!("load {} as other", fixture("gpt2").display()));
    b.run("set param(\"L0.mlp.b_out\") *= 0");
    b.run("use other");
    b.run("set param(\"L0.mlp.b_out\") *= -0");
    assert!(b.table("diff weights first").title.contains("weights are the same"));
    // Another token is another token, however large its number.
    let ids = |last: f32| [("tokens", vec![8], vec![300.0, 301.0, 302.0, 303.0, 304.0, 305.0, 306.0, last])];
    dumped(&mut b, folder.path(), "one", &ids(50256.0));
    dumped(&mut b, folder.path(), "next", &ids(50257.0));
    assert!(b.table("diff one next").title.contains("1 site differs, first beyond"), "ids are exact");
}

#[test]
fn other_texts_are_said_before_anything_is_compared() {
    let folder = tempfile::tempdir().unwrap();
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run("run");
    let ids: Vec<f32> = b.numbers("tokens").into_iter().map(|x| x as f32).collect();
    let (shape, stream) = b.value("L1.resid_pre");
    let stream: Vec<f32> = stream.into_iter().map(|x| x as f32).collect();
    let width = shape[1];
    let of = |ids: Option<Vec<f32>>, stream: Vec<f32>| {
        let mut values = vec![("blocks.1.hook_resid_pre", vec![stream.len() / width, width], stream)];
        values.extend(ids.map(|ids| ("tokens", vec![ids.len()], ids)));
        values
    };
    let front = [vec![383.0], ids.clone()].concat();
    let longer = [ids.clone(), vec![9.0, 10.0]].concat();
    let mut other = ids.clone();
    other[3] += 1.0;
    let more = |front: usize, end: usize| [vec![0.5; front * width], stream.clone(), vec![0.5; end * width]].concat();
    dumped(&mut b, folder.path(), "front", &of(Some(front), more(1, 0)));
    dumped(&mut b, folder.path(), "longer", &of(Some(longer), more(0, 2)));
    dumped(&mut b, folder.path(), "other", &of(Some(other), stream.clone()));
    dumped(&mut b, folder.path(), "unnamed", &of(None, more(1, 0)));
    for (name, words) in [
        ("front", "the tokens differ: front has 1 more at the start (383"),
        ("longer", "the tokens differ: longer has 2 more at the end (9 "),
        ("other", "the tokens differ from position 3 on ("),
        ("unnamed", "main has 8 positions and unnamed 9, and no tokens say which"),
    ] {
        let told = b.table(&format!("diff {name}"));
        let line = told.title.lines().nth(1).unwrap_or_default().to_string();
        assert!(line.starts_with(words), "{name}: {}", told.title);
        let alike = matches!(name, "longer" | "unnamed");
        assert_eq!(line.contains("compared is what both have"), alike, "{name}: {line}");
        assert_eq!(line.contains("what follows is about two texts"), !alike, "{name}: {line}");
        let refused = b.fail(&format!("bisect {name}"));
        assert!(
            refused.starts_with(words) && refused.contains("bisect compares two ways to compute one text"),
            "{refused}"
        );
    }
    assert!(b.table("diff longer L1.resid_pre").title.contains("1 site is the same"));
}
