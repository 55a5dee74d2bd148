//! Promises: several models and dumps live in one session; whatever is beside the current run can be named, compared and followed.

use std::path::Path;

use llmdbg::answer::Cell;

use llmdbg::model::{Input, ModelSource, load};
use llmdbg::tensor::Device;

use crate::altered::{Copy, Tensor, ran};
use crate::bisection::recopied;
use crate::common::{
    Bench, NURSE, batch, cell_number, cell_text as text, ex, model, table_row as row, write_values as write,
};
use crate::faults::culprits;
use crate::parity::fixture;

/// A session on gpt2 with another gpt2 beside it.
fn two(options: &str) -> Bench {
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run(&format!("load {} as other{options}", fixture("gpt2").display()));
    b.run("run");
    b
}

/// A session on the bundled tiny-gpt2.
fn bundled() -> Bench {
    let device = Device::cpu();
    let model = load(&ModelSource::parse("tiny-gpt2"), &device).unwrap();
    let input = Input::from_texts(&model, &["The nurse said that"], true).unwrap();
    Bench::of("tiny-gpt2", model, input, 1 << 30)
}

#[test]
fn another_model_is_compared_named_and_gone_to() {
    let mut b = two("");
    let table = b.table("diff other -all");
    assert!(table.title.contains("all agree"), "{}", table.title);
    assert!(table.rows.iter().all(|row| row[1] == Cell::Num(0.0)), "the same weights give the same bits");
    b.run("set param(\"L1.mlp.W_in\") *= 2");
    let branch = b.console.session.run.branch().name.clone();
    let table = b.table("diff other");
    assert!(table.title.contains("at blocks.1.mlp.pre"), "{}", table.title);
    assert!(table.title.contains("next: bisect other"), "{}", table.title);
    // The same values by name, and the same distance.
    let Cell::Num(max) = row(&table, "logits")[1] else { panic!() };
    assert!((b.number("absmax(logits - logits@other)") - max).abs() < 1e-6);
    assert_eq!(culprits(&b.table("bisect other")).len(), 1);
    assert_eq!(culprits(&b.table(&format!("bisect {branch} other"))).len(), 1);
    let relation = b.table("diff weights other");
    assert_eq!(text(&row(&relation, "blocks.1.mlp.W_in")[5]), "theirs is 0.500000 times ours");
    assert_eq!(relation.rows.len(), 1, "{}", relation.title);
    // There and back: cursor, branches and stop points are each model's own, history and variables the user's.
    b.run("print 7");
    b.run("set $x = 3");
    let told = b.text("use other");
    assert!(told.contains("Model other, at op 49 of pass 0"), "{told}");
    assert_eq!(b.number("$x + $"), 10.0);
    assert!(b.table("diff first").title.contains("at blocks.1.mlp.pre"));
    b.run("set param(\"L0.attn.W_V\") *= 3");
    let models = b.table("info models");
    assert_eq!(models.rows.iter().map(|row| text(&row[1])).collect::<Vec<_>>(), ["other", "first"]);
    b.run("use first");
    assert_eq!(b.console.session.run.branch().name, branch);
    let both: Vec<String> = culprits(&b.table("bisect other")).into_iter().map(|one| one.0).collect();
    assert_eq!(both, ["blocks.0.attn.v", "blocks.1.mlp.pre"]);
}

#[test]
fn another_precision_and_another_device_are_other_sides() {
    let mut b = two(" -dtype f16");
    assert!(b.table("diff other").title.contains("sites differ"));
    assert!(b.table("diff other -atol 5e-2 -rtol 5e-2").title.contains("all agree"));
    assert_eq!(culprits(&b.table("bisect other")), []);
    let rounded = b.table("diff weights other");
    assert!(text(&rounded.rows[0][5]).contains("rounded to f16"), "{:?}", rounded.rows[0]);
    let mut b = two(" -device vulkan:0");
    assert!(b.table("diff other").title.contains("all agree"));
    assert!(text(&b.table("info models").rows[1][4]).contains("llvmpipe"));
    assert_eq!(b.bits("L0.resid_pre@other"), b.bits("L0.resid_pre"));
}

#[test]
fn other_architectures_are_aligned_by_name() {
    let mut b = Bench::new("gpt2", &[NURSE]);
    let told = b.text(&format!("load {} as opt", fixture("opt").display()));
    assert!(told.contains("the text was tokenised again"), "{told}");
    b.run("run");
    assert!(b.text("diff opt").contains("what follows is about two texts"));
    let device = Device::cpu();
    let gpt2 = model("gpt2", &device);
    let input = Input::from_tokens(&gpt2, vec![vec![5, 77, 123, 9, 300]]).unwrap();
    let mut b = Bench::of("gpt2", gpt2, input, 1 << 30);
    b.run("run");
    // What one of them lacks is named, of either.
    b.run(&format!("load {} as llama", fixture("llama").display()));
    let told = b.text("diff llama");
    assert!(told.contains("not in llama:") && told.contains("(pos_embed)"), "{told}");
    assert!(told.contains("not in main:") && told.contains("blocks.0.attn.rot_q"), "{told}");
    assert!(told.lines().count() <= 22, "{told}");
    assert!(b.value("L0.attn.rot_q@llama").0.len() == 3);
}

/// Promise: the same features divided into other heads are compared, and that is named as the reason.
#[test]
fn another_number_of_heads_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let copy = recopied("gpt2", folder.path(), &|config| config["n_head"] = 8.into());
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run(&format!("load {} as other", copy.display()));
    b.run("run");
    let table = b.table("diff other");
    assert!(table.title.contains("features are divided into a different number of heads there"), "{}", table.title);
    assert!(table.title.contains("at blocks.0.attn.z"), "queries, keys and values agree: {}", table.title);
    let found = culprits(&b.table("bisect other"));
    assert_eq!(found[0].0, "blocks.0.attn.z", "{found:?}");
    assert_eq!(found[0].1, "there are 8 heads of 4 there, 4 of 8 here");
    // By its name, a value is what it is.
    assert_eq!(b.value("L0.attn.q@other").0[1..], [8, 4]);
    assert_eq!(b.value("L0.attn.q").0[1..], [4, 8]);
}

/// Promise: `-first` finds by halving what `bisect` finds first, and says how little it looked at.
#[test]
fn the_first_block_is_found_by_halving() {
    let mut b = bundled();
    b.run("run");
    b.run("set param(\"L2.attn.W_V\") *= 1.5");
    b.run("set param(\"L3.mlp.W_in\") *= 1.5");
    let all = culprits(&b.table("bisect main"));
    let table = b.table("bisect main -first");
    let first = culprits(&table);
    assert_eq!(first, all[..1], "{}", table.title);
    assert!(table.title.contains("3 of 5 blocks and heads compared: blocks.2.resid_post"), "{}", table.title);
    b.run("checkout main");
    let table = b.table("bisect main -first");
    assert!(table.title.contains("1 of 5 blocks and heads compared: the last one agrees"), "{}", table.title);
    assert_eq!(culprits(&table), []);
    b.run("start");
    assert!(b.fail("bisect main -first").contains("complete pass"));
}

#[test]
fn both_cursors_move_together_and_divergence_stops() {
    let mut b = two("");
    b.run("set param(\"L1.attn.b_V\") += 0.25");
    b.run("set compare other");
    assert!(b.text("show compare").contains("other"));
    b.run("start");
    let stop = b.stop("until L0.attn.z");
    assert!(stop.lines.iter().any(|line| line == "the same numbers"), "{:?}", stop.lines);
    b.run("catch diverge");
    let stop = b.stop("continue");
    assert_eq!(stop.site, "blocks.1.attn.v");
    let told = stop.lines.join("\n");
    assert!(told.contains("other 8 pos x 4 heads x 8 dim") && told.contains("apart by 0.25 at"), "{told}");
    // The other model stands behind the same op, and follows back.
    let cursor = |b: &mut Bench| {
        let told = b.table("info models");
        text(&told.rows[1][5]).to_string()
    };
    let here = b.cursor();
    assert_eq!(cursor(&mut b), format!("op {here} of pass 0"));
    b.run("reverse-step 3");
    let here = b.cursor();
    assert_eq!(cursor(&mut b), format!("op {here} of pass 0"));
    // What is only passed on does not stop.
    let stop = b.stop("continue");
    assert_eq!(stop.site, "blocks.1.attn.v");
    assert!(b.stop("continue").lines[0].starts_with("Pass finished"));
    b.run("set compare off");
    assert!(!b.stop("start").lines.iter().any(|line| line.contains("apart by")));
    assert!(b.fail("set compare nobody").contains("branch, a model or a dump"));
}

#[test]
fn dumps_under_other_names_in_other_layouts_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run("run");
    let mut taken = |site: &str| {
        let (shape, data) = b.value(site);
        (shape, data.into_iter().map(|x| x as f32).collect::<Vec<f32>>())
    };
    let (q, k, v) = (taken("L0.attn.q"), taken("L0.attn.k"), taken("L0.attn.v"));
    let length = q.0[0];
    let fused: Vec<f32> = (0..length)
        .flat_map(|t| [&q, &k, &v].into_iter().flat_map(move |part| part.1[t * 32..(t + 1) * 32].to_vec()))
        .collect();
    // Heads in front of positions, as attention code has them.
    let z = taken("L1.attn.z");
    let turned: Vec<f32> = (0..4)
        .flat_map(|h| (0..length).flat_map(move |t| (0..8).map(move |d| (t * 4 + h) * 8 + d)))
        .map(|i| z.1[i])
        .collect();
    let (mlp, post) = (taken("L0.mlp.out"), taken("L0.resid_post"));
    let file = folder.path().join("theirs.safetensors");
    write(
        &file,
        &[
            ("transformer.h.0.attn.c_attn", vec![1, length, 96], fused),
            ("blocks.1.attn.hook_z", vec![1, 4, length, 8], turned),
            ("h.0.mlp.output", vec![length, 32], mlp.1),
            ("my.block.0", vec![1, length, 32], post.1),
            ("my.loss", vec![], vec![1.0]),
        ],
    );
    let map = folder.path().join("map.json");
    std::fs::write(&map, "{\"my.block.*\": \"L*.resid_post\"}").unwrap();
    let told = b.text(&format!("load-dump {} as theirs map {}", file.display(), map.display()));
    assert!(told.contains("Dump theirs: 6 sites") && told.contains("1 tensors belong to no site: my.loss"), "{told}");
    let told = b.text("diff theirs -all");
    for part in [
        "all agree",
        "fused projections in the file were split",
        "a batch axis in the file was removed",
        "were transposed",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    for site in ["L0.attn.q", "L0.attn.k", "L0.attn.v", "L1.attn.z", "L0.mlp.out", "L0.resid_post"] {
        assert_eq!(b.bits(&format!("{site}@theirs")), b.bits(site), "{site}");
    }
    assert!(b.fail("print logits@theirs").contains("theirs has no logits"));
    assert!(b.fail("use theirs").contains("is a dump"));
    assert!(b.fail("diff weights theirs").contains("no weights"));
    std::fs::write(&map, "{\"my.block.*\": \"L*.nothing\"}").unwrap();
    let wrong = b.fail(&format!("load-dump {} as again map {}", file.display(), map.display()));
    assert!(wrong.contains("sends my.block.0 to L0.nothing, which is not a site"), "{wrong}");
}

/// `numpy.savez_compressed` of the same values: `tools/fixtures/dumps.py` wrote the fixture.
#[test]
fn npz_files_are_read() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dumps/gpt2.npz");
    let tokens: Vec<String> = crate::faults::tokens_of_dump(384).iter().map(u32::to_string).collect();
    let line = format!("diff {} -fail", file.display());
    let ran = batch("gpt2", &[&["--tokens", &tokens.join(",")][..], &ex(&["run", &line])].concat());
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.contains("all agree within"), "{}", ran.out);
}

#[test]
fn texts_of_different_lengths_are_compared_as_far_as_both_go() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("long.safetensors");
    let mut b = Bench::new("llama", &["The nurse and the dog said"]);
    b.run("run");
    b.run(&format!("save activations {}", file.display()));
    let mut b = Bench::new("llama", &["The nurse and the"]);
    b.run("run");
    let told = b.text(&format!("diff {}", file.display()));
    assert!(told.contains("compared over the first") && told.contains("positions: one side has"), "{told}");
    assert!(told.contains("all agree"), "{told}");
    // What looks both ways is no prefix of anything.
    let mut b = Bench::new("bert-mlm", &["The nurse and the dog said"]);
    b.run("run");
    b.run(&format!("save activations {}", file.display()));
    let mut b = Bench::new("bert-mlm", &["The nurse and the"]);
    b.run("run");
    assert!(b.fail(&format!("diff {}", file.display())).contains("no site in common"));
}

#[test]
fn parts_of_sites_are_told_on_request() {
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run("run");
    b.run("ablate L1H2");
    let heads = b.table("diff main L1.attn.z -by head");
    assert_eq!(heads.rows.len(), 1);
    assert_eq!(text(&heads.rows[0][0]), "blocks.1.attn.z[head=2]");
    let most = b.number("absmax(L1.attn.z@main[head=2])");
    assert_eq!(heads.rows[0][1], Cell::Num(most));
    let positions = b.table("diff main L1.attn.z -by pos -all");
    assert_eq!(positions.rows.len(), 8);
    let elements = b.table("diff main L1.attn.z -by element");
    assert_eq!((elements.rows.len(), &elements.rows[0][1]), (10, &Cell::Num(most)));
    let blocks = b.table("diff main -by block -all");
    assert!(blocks.rows.iter().any(|row| text(&row[0]) == "blocks.0.resid_post" && row[1] == Cell::Num(0.0)));
    assert_eq!(b.table("diff main -first").rows.len(), 1);
    assert!(b.fail("diff main -by flavour").contains("-by block, head, pos or element"));
}

#[test]
fn devices_and_instruments_are_tested_against_themselves() {
    for name in ["gpt2", "llama", "bert-seqcls", "qwen3_moe", "gemma2"] {
        let mut b = Bench::new(name, &[NURSE]);
        b.run("run");
        let told = b.table("selftest");
        assert!(told.title.contains("compared with the CPU in f64") && told.rows.len() > 8, "{name}: {}", told.title);
        assert!(b.fail("selftest 1e-12").contains("does not compute"), "{name}");
        b.run("break L*.attn.pattern if max($) > 2");
        assert!(b.table("check inert").title.contains("Looking changes no bit"), "{name}");
        let mut gpu = Bench::on(name, &[NURSE], &crate::common::vulkan(), 1 << 30);
        gpu.run("run");
        let there = gpu.table("selftest");
        assert!(there.title.contains("llvmpipe"), "{name}");
        for table in [&told, &there] {
            assert!(table.title.ends_with("tests of what drivers get wrong find nothing"), "{}", table.title);
            for test in ["numbers sent and read back", "powers of negative numbers", "attention with masks"] {
                assert!(cell_number(&row(table, test)[1]) > 10.0, "{test} is tried on numbers");
            }
        }
        gpu.run("check inert");
    }
    let (objects, ran) = crate::common::json("gpt2", &ex(&["run", "selftest", "check inert", "check determinism"]));
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(objects.iter().skip(1).all(|object| object["ok"] == true && object["kind"] == "table"), "{objects:?}");
}

#[test]
fn passes_and_rows_are_those_of_the_cursor() {
    let mut b = two("");
    b.run("generate 2");
    let told = b.fail("diff other");
    assert!(told.contains("this is pass 2, and other has come to pass 0: go back with \"goto #0\""), "{told}");
    b.run("use other");
    b.run("generate 2");
    assert!(b.table("diff first").title.contains("all agree"));
    assert!(b.fail("bisect first").contains("pass of the prompt"));
    // An edit of one row of a batch is found in that row, and not in the other.
    let mut b = Bench::new("gpt2", &[NURSE, "the dog"]);
    b.run(&format!("load {} as other", fixture("gpt2").display()));
    b.run("run");
    b.run("focus row=1");
    b.run("set L1.attn.z[head=0] = 0");
    assert_eq!(
        culprits(&b.table("bisect other")).iter().map(|one| one.0.as_str()).collect::<Vec<_>>(),
        ["blocks.1.attn.z"]
    );
    assert!(b.table("diff other").title.contains("at blocks.1.attn.z"));
    b.run("focus row=0");
    assert_eq!(culprits(&b.table("bisect other")), []);
    assert!(b.table("diff other").title.contains("all agree"));
}

#[test]
fn what_does_not_fit_is_told() {
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run("run");
    assert!(b.fail("load nowhere/model as other").contains("nowhere/model"));
    assert!(b.fail("load").contains("expected a model and its name"));
    assert!(b.fail(&format!("load {} as main", fixture("gpt2").display())).contains("main exists already"));
    assert!(b.fail(&format!("load {} as 2nd", fixture("gpt2").display())).contains("is not a name"));
    assert!(b.fail(&format!("load {} as x -dtype f8", fixture("gpt2").display())).contains("use f32 or f16"));
    assert!(b.fail("use nobody").contains("no model nobody; \"load MODEL as NAME\" opens one"));
    assert!(b.fail("load-dump nothing.safetensors as x").contains("cannot read nothing.safetensors"));
    assert!(b.fail("catch diverge").contains("set compare NAME"));
    assert!(b.fail("set compare on").contains("off, on, or the name of a branch"));
    assert!(b.fail("print logits@nobody").contains("no run or branch nobody"));
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.safetensors");
    let whole =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dumps/gpt2.safetensors")).unwrap();
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    assert!(b.fail(&format!("diff {}", cut.display())).contains("is not a safetensors file"));
    let zip = folder.path().join("cut.npz");
    let whole = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dumps/gpt2.npz")).unwrap();
    std::fs::write(&zip, &whole[..whole.len() / 2]).unwrap();
    assert!(b.fail(&format!("diff {}", zip.display())).contains("is not an npz file"));
}

/// Promise: a quantised twin is recognised, with its bits and blocks, by `diff weights` in one row for all blocks, and by `bisect` as
/// the reason.
#[test]
fn a_quantised_twin_is_named_with_its_bits_and_blocks() {
    // Three blocks or more are one row, so the two of the fixture are repeated.
    let deep = |quantise: bool| {
        Copy::of("llama").set("num_hidden_layers", 4).tensors(move |all| {
            let first: Vec<Tensor> = all.iter().filter(|tensor| tensor.name.contains("layers.")).cloned().collect();
            all.extend(first.iter().map(|tensor| Tensor {
                name: tensor.name.replace("layers.1.", "layers.3.").replace("layers.0.", "layers.2."),
                ..tensor.clone()
            }));
            for tensor in all.iter_mut().filter(|tensor| quantise && tensor.name.ends_with("_proj.weight")) {
                let blocks = tensor.numbers();
                let coded: Vec<f32> = blocks.chunks(32).flat_map(four_bits).collect();
                *tensor = Tensor::f32(&tensor.name, &tensor.shape, &coded);
            }
        })
    };
    let (original, coded) = (deep(false), deep(true));
    let mut b = ran(original.load().unwrap());
    b.run(&format!("load {} as coded", coded.path().display()));
    let table = b.table("diff weights coded");
    let row = row(&table, "blocks.*.attn.W_Q (4 blocks: 0 to 3)");
    assert_eq!(text(&row[5]), "theirs is ours rounded to 4 bits in blocks of 32");
    assert_eq!(table.rows.len(), 7, "queries, keys, values, outputs, gate, up and down");
    assert_eq!(b.table("diff weights coded -all").rows.len(), 28);
    assert!(b.table("bisect coded").rows.iter().any(|row| text(&row[6]).contains("rounded to 4 bits in blocks of 32")));
    // The same from the other side.
    b.run("use coded");
    b.run("run");
    let other = b.table("diff weights first");
    assert!(other.title.contains("ours is theirs rounded to 4 bits in blocks of 32"), "{}", other.title);
}

/// Even steps between the ends of a block, as Q4_1 of GGUF has them.
fn four_bits(block: &[f32]) -> Vec<f32> {
    let low = block.iter().copied().fold(f32::INFINITY, f32::min);
    let high = block.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let step = (high - low) / 15.0;
    block.iter().map(|x| ((x - low) / step).round() * step + low).collect()
}
