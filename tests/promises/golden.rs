//! Promise: a golden file holds a pass in little, agrees with the same pass anywhere, and tells what is no longer so.

use std::fs;

use crate::common::{Bench, NURSE, batch, ex, vulkan};

#[test]
fn the_same_pass_agrees_on_another_device_and_a_fault_is_named_at_its_first_site() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("golden.json").display().to_string();
    for name in ["gpt2", "llama", "gemma2", "bert-mlm", "qwen3_moe"] {
        let mut b = Bench::new(name, &[NURSE]);
        b.run("run");
        assert!(b.text(&format!("golden write {file}")).contains("sites written"));
        assert!(b.text(&format!("golden check {file}")).contains("agree"), "{name}");
        let mut other = Bench::on(name, &[NURSE], &vulkan(), 1 << 30);
        other.run("run");
        assert!(other.text(&format!("golden check {file}")).contains("agree"), "{name}");
        // Small enough to commit: some hundred bytes for each site.
        let sites = b.console.session.run.program.ops.len() as u64;
        assert!(fs::metadata(&file).unwrap().len() < 700 * sites, "{name}");
        let fault = if name == "bert-mlm" {
            "set param(\"L1.mlp.b_out\") += 0.01"
        } else {
            "set param(\"L1.attn.W_O\") *= 1.01"
        };
        let first = if name == "bert-mlm" { "blocks.1.mlp.out" } else { "blocks.1.attn.out" };
        b.run(fault);
        let said = b.fail(&format!("golden check {file}"));
        assert!(said.contains(&format!("first {first}:")), "{name}: {said}");
        assert!(b.text(&format!("golden check {file} -rtol 10 -atol 10")).contains("agree"), "{name}");
    }
}

#[test]
fn chosen_sites_other_texts_and_broken_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("golden.json");
    let file = path.display().to_string();
    let mut b = Bench::new("gpt2", &[NURSE]);
    assert!(b.fail(&format!("golden write {file}")).contains("a complete pass"));
    b.run("run");
    assert!(b.text(&format!("golden write {file} L*.resid_post logits -rtol 1e-3")).starts_with("3 sites"));
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 4, "a line for each site");
    b.run("set L1.resid_post[0, 0] = 0 / 0");
    let said = b.fail(&format!("golden check {file}"));
    assert!(said.contains("1 NaN instead of 0") && said.contains("blocks.1.resid_post"), "{said}");
    let mut other = Bench::new("gpt2", &["The dog"]);
    other.run("run");
    assert!(other.fail(&format!("golden check {file}")).contains("another text"));
    for (broken, part) in [
        (text.replace("golden 1", "golden 9"), "another version"),
        (text.replace("\"shape\"", "\"shaep\""), "is not a golden file"),
        (text[..text.len() / 2].to_string(), "is not a golden file"),
        (text.replace("blocks.1.resid_post", "blocks.7.resid_post"), "no such site"),
    ] {
        fs::write(&path, broken).unwrap();
        assert!(b.fail(&format!("golden check {file}")).contains(part), "{part}");
    }
    assert!(b.fail("golden check").contains("golden write FILE"));
    assert!(b.fail("golden keep x.json").contains("no such thing"));
    // In CI it is one line and a status.
    fs::write(&path, text).unwrap();
    let ran = batch("gpt2", &ex(&["run", &format!("golden check {file}")]));
    assert_eq!(ran.status, 1, "the fixture's own text is another one: {}", ran.out);
}

#[test]
fn methods_that_are_not_computed_are_refused_by_name() {
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run("run");
    for method in ["deeplift", "deepliftshap"] {
        assert!(b.fail(&format!("attr {method}")).contains(&format!("{method} is not computed: ")));
    }
}

/// A position with activations of thousands rounds as they do; the same distance elsewhere is a difference.
#[test]
fn samples_are_measured_by_the_size_of_their_row() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("golden.json").display().to_string();
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.script("run\nset L0.mlp.out[0, 3] = 22500");
    b.run(&format!("golden write {file}"));
    // Samples of [8, 32] are elements 0, 16 of each position.
    b.run("set L0.resid_post[0, 16] += 3e-4");
    assert!(b.text(&format!("golden check {file}")).contains("agree"), "rounding next to 22,500");
    b.run("undo");
    b.run("set L0.resid_post[1, 16] += 3e-3");
    let said = b.fail(&format!("golden check {file}"));
    assert!(said.contains("first blocks.0.resid_post: sample 3"), "{said}");
    // A file from before sizes were kept is read, by the size of the site.
    let text = fs::read_to_string(&file).unwrap();
    let mut golden: serde_json::Value = serde_json::from_str(&text).unwrap();
    for site in golden["sites"].as_array_mut().unwrap() {
        site.as_object_mut().unwrap().remove("sizes");
    }
    fs::write(&file, golden.to_string()).unwrap();
    b.run("undo");
    assert!(b.text(&format!("golden check {file}")).contains("agree"));
}
