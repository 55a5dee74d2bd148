//! Promises: places in time that can be returned to, and branches as data: steered, dropped, saved, loaded, exported.

use llmdbg::answer::{Answer, Cell};

use crate::common::{Bench, NURSE, model};
use llmdbg::model::{Input, ModelSource, load};
use llmdbg::tensor::Device;

fn bench(lines: &str) -> Bench {
    let mut bench = Bench::new("gpt2", &[NURSE]);
    bench.script(lines);
    bench
}

fn close(found: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len());
    for (i, (a, b)) in found.iter().zip(wanted).enumerate() {
        assert!((a - b).abs() <= tolerance, "element {i}: {a} and {b}");
    }
}

#[test]
fn back_and_forward_go_through_the_places_of_stops() {
    let mut bench = bench("until L0.attn.z\nuntil L1.attn.z\ncontinue");
    let (first, second) = (bench.after("blocks.0.attn.z"), bench.after("blocks.1.attn.z"));
    assert_eq!((bench.stop("back").op, bench.stop("back").op), (second, first));
    assert!(bench.fail("back").contains("no earlier stop"));
    assert_eq!(bench.stop("forward 2").op, bench.console.session.run.program.ops.len());
    assert!(bench.fail("forward").contains("no later stop"));
    assert!(bench.text("when").contains("stop 3 of 3"));
}

#[test]
fn back_returns_to_the_branch_of_a_stop() {
    let mut bench = bench("run\nablate L0H1\nuntil L1.mlp.post");
    let edited = bench.bits("L1.attn.z");
    bench.run("back");
    assert_eq!(bench.console.session.run.branch().name, "main");
    assert_ne!(bench.bits("L1.attn.z"), edited);
    bench.run("forward");
    assert_eq!(bench.bits("L1.attn.z"), edited);
}

#[test]
fn a_checkpoint_is_returned_to_with_the_edits_of_then() {
    let logits = bench_alone("").bits("logits");
    let mut bench = bench("until L1.attn.z\ncheckpoint mixed\nstep 3\nrestart mixed");
    assert_eq!((bench.cursor(), bench.console.session.run.branches.len()), (bench.after("blocks.1.attn.z"), 1));
    // An edit in place makes its branch another one.
    bench.script("until L1.mlp.post\nset $cursor = 0\ncontinue");
    assert_eq!(bench.console.session.run.branches.len(), 1);
    assert_ne!(bench.bits("logits"), logits);
    let text = bench.text("restart 1");
    assert!(text.starts_with("The branch has changed since: opened branch edit1"), "{text}");
    bench.run("continue");
    assert_eq!(bench.bits("logits"), logits);
    bench.run("undo");
    assert_eq!(bench.console.session.run.branch().name, "main");
    let rows = bench.table("info checkpoints").rows;
    assert_eq!(rows[0][1], Cell::Text("mixed".into()));
    bench.run("delete checkpoint 1");
    assert!(bench.fail("restart 1").contains("no checkpoint 1"));
    assert!(bench.text("checkpoint").starts_with("Checkpoint 2"), "numbers are not used twice");
}

#[test]
fn rev_is_the_mirror_of_any_motion_that_has_one() {
    let mut bench = bench("run");
    let end = bench.cursor();
    bench.run("rev step 3");
    assert_eq!(bench.cursor(), end - 3);
    bench.run("rev reverse-step 2");
    assert_eq!(bench.cursor(), end - 1);
    assert!(bench.fail("rev print").contains("print has no reverse"));
    assert!(bench.fail("rev").contains("expected a motion"));
}

#[test]
fn kill_ends_the_run_and_keeps_what_was_set_up() {
    let mut bench = bench("break L1.attn.z\nrun\nablate L0H0\nkill");
    assert!(bench.fail("step").contains("no pass has been started"));
    assert!(bench.fail("kill").contains("no pass has been started"));
    bench.run("checkout main");
    assert!(bench.fail("step").contains("no pass has been started"), "another branch is not a new run");
    bench.run("checkout edit1");
    assert_eq!(bench.stop("run").ids, [1]);
    assert_eq!(bench.console.session.run.branch().edits.len(), 1);
}

#[test]
fn return_leaves_a_module_with_the_given_output() {
    let mut bench = bench("run");
    let old = bench.numbers("L1.resid_mid");
    bench.script("until L1.mlp.pre");
    let text = bench.text("return 0.25");
    assert!(text.starts_with("Left blocks.1.mlp"), "{text}");
    assert!(bench.numbers("L1.mlp.out").iter().all(|x| *x == 0.25));
    bench.run("continue");
    let wanted: Vec<f64> = old.iter().map(|x| (*x as f32 + 0.25) as f64).collect();
    close(&bench.numbers("L1.resid_post"), &wanted, 0.0);
    assert!(bench.fail("return 1").contains("no module"));
    bench.run("until L0.attn.q");
    assert!(bench.fail("return logits@main[0]").contains("does not fit"));
}

#[test]
fn steer_adds_a_vector_at_every_position_of_this_and_later_passes() {
    let mut bench = bench("run\nset $v = L0.resid_post[pos=1] - L0.resid_post[pos=2]");
    let (before, vector) = (bench.numbers("L0.resid_post"), bench.numbers("$v"));
    bench.run("steer L0.resid_post $v * 2");
    let wanted: Vec<f64> =
        before.iter().enumerate().map(|(i, x)| f64::from(*x as f32 + vector[i % vector.len()] as f32 * 2.0)).collect();
    close(&bench.numbers("L0.resid_post"), &wanted, 0.0);
    assert!(bench.fail("steer L0.resid_post L0.resid_post").contains("for each position"));
    // In a pass over one more token too: what it adds to is attention and MLP of the same block.
    bench.run("token");
    let sum = bench.numbers("L0.resid_mid + L0.mlp.out");
    let wanted: Vec<f64> = sum.iter().zip(&vector).map(|(x, v)| x + v * 2.0).collect();
    close(&bench.numbers("L0.resid_post"), &wanted, 1e-5);
    assert!(bench.fail("steer L0.mlp 1").contains("needs a site"));
    assert!(bench.fail("steer tokens 1").contains("tokens cannot be steered"));
}

#[test]
fn tokens_are_inserted_and_erased() {
    let mut bench = bench("run");
    let logits = bench.bits("logits");
    let length = bench.console.session.row_length();
    bench.run("tokens insert 2 \" the\"");
    let run = &bench.console.session.run;
    let ids = run.branch().text().rows[0].ids.clone();
    let inserted = run.model.tokenizer.as_ref().unwrap().encode(" the", false).unwrap();
    assert_eq!(ids.len(), length + inserted.len());
    assert_eq!(ids[2..2 + inserted.len()], inserted.iter().map(|token| token.id).collect::<Vec<_>>());
    // The prompt with these tokens from the beginning gives the same.
    let model = model("gpt2", &Device::cpu());
    let input = Input::from_tokens(&model, vec![ids]).unwrap();
    let mut other = Bench::of("gpt2", model, input, 1 << 30);
    other.run("run");
    assert_eq!(bench.bits("logits"), other.bits("logits"));
    bench.run(&format!("tokens erase 2:{}", 2 + inserted.len()));
    assert_eq!(bench.bits("logits"), logits);
    assert!(bench.fail("tokens erase 99").contains("no position 99: the row has"));
    assert!(bench.fail("tokens erase :").contains("nothing would be left"));
    assert!(bench.fail("tokens turn 1").contains("turn"));
}

#[test]
fn branches_are_copied_renamed_and_drawn() {
    let mut bench = bench("run\nablate L0H1\nbranch -m without\nbranch twin\ncheckout main\nablate L1H1");
    let rows = bench.table("info branches").rows;
    let name = |row: &Vec<Cell>| match &row[1] {
        Cell::Text(name) => name.clone(),
        other => panic!("{other:?}"),
    };
    let names: Vec<String> = rows.iter().map(name).collect();
    assert_eq!(names, ["main", "├─ without", "│  └─ twin", "└─ edit1"]);
    assert!(bench.fail("branch twin").contains("branch twin exists already"));
    assert!(bench.fail("branch 7up").contains("is not a name for a branch"));
    assert_eq!(bench.bits("logits@twin"), bench.bits("logits@without"));
}

#[test]
fn dropped_edits_leave_the_others_as_if_they_had_been_made_alone() {
    let mut bench = bench("run\nablate L0H1\nset param(\"L1.mlp.W_out\")[3] = 0\nablate L1H2");
    let rows = bench.table("info edits").rows.len();
    assert_eq!(rows, 3);
    bench.run("drop edits 1 3");
    let mut alone = bench_alone("set param(\"L1.mlp.W_out\")[3] = 0");
    assert_eq!(bench.everything(), alone.everything());
    bench.run("drop edits");
    let mut none = bench_alone("");
    assert_eq!(bench.everything(), none.everything());
    assert!(bench.fail("drop edits").contains("has no edits"));
    bench.script("undo\nundo");
    assert_eq!(bench.table("info edits").rows.len(), 3);
    assert!(bench.fail("drop edits 9").contains("no edit 9: there are 1..3"));
}

#[test]
fn an_edit_of_the_prompt_is_not_dropped_from_under_a_later_one() {
    let mut bench = bench("set tokens[1] = \" the\"\nset tokens[3] = \" the\"\nrun");
    let message = bench.fail("drop edits 1");
    assert!(message.contains("edit 2 is the whole prompt, with edit 1 in it"), "{message}");
    bench.run("drop edits 2");
    assert_eq!(bench.table("info edits").rows.len(), 1);
    let mut alone = bench_alone("set tokens[1] = \" the\"");
    assert_eq!(bench.everything(), alone.everything());
}

fn bench_alone(line: &str) -> Bench {
    bench(&format!("{line}\nrun"))
}

#[test]
fn edits_are_data_that_makes_the_same_branch_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("edits.json");
    let mut bench =
        bench("run\nset prompt the dog and the nurse\nablate L0H1 mean\nset L1.mlp.post[pos=2, neuron=1:4] = 0.1\n");
    bench.script(
        "set L0.resid_post[0, 0] *= 1.7\nset param(\"L1.mlp.W_out\")[3, 5] = -0.3\nsteer L1.resid_mid 0.125\ntoken 2",
    );
    bench.script("set kv(0, k)[pos=1] *= 2\nset tokens[-1] = 270");
    let saved = bench.text(&format!("save edits {}", file.display()));
    assert!(saved.contains("8 edits"), "{saved}");
    let passes = bench.console.session.run.branch().passes();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.len() < 20_000, "an edit of one weight is one element: {} bytes", text.len());
    let mut other = Bench::new("gpt2", &[NURSE]);
    other.script(&format!("load edits {}\nrun\ntoken {}", file.display(), passes - 1));
    assert_eq!(other.everything(), bench.everything());
    // And written again it is the same file.
    let again = folder.path().join("again.json");
    other.run(&format!("save edits {}", again.display()));
    assert_eq!(std::fs::read_to_string(&again).unwrap(), text);
}

#[test]
fn a_file_of_edits_that_does_not_fit_changes_nothing_and_says_which_edit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("edits.json");
    let mut bench = bench("run");
    let good =
        r#"{"command":"x","pass":0,"lasting":true,"site":["blocks.0.attn.z",{"ablate":{"slices":[":"],"by":"zero"}}]}"#;
    let head = r#"{"format":"llmdbg edits","version":1,"family":"gpt2","edits":["#;
    let entry = |what: &str| format!(r#"{head}{good},{{"command":"x","pass":0,"lasting":false,{what}}}]}}"#);
    let assign = |slices: &str, shape: &str, values: &str| {
        entry(&format!(
            r#""site":["blocks.0.attn.z",{{"assign":{{"slices":{slices},"op":null,"shape":{shape},"values":{values}}}}}]"#
        ))
    };
    for (text, wanted) in [
        (String::new(), "not a file of edits"),
        (r#"{"format":"other","version":1,"family":"","edits":[]}"#.into(), "its format is \"other\""),
        (r#"{"format":"llmdbg edits","version":9,"family":"","edits":[]}"#.into(), "version 9"),
        (format!("{head}]}}"), "there are no edits in it"),
        (entry(r#""site":["blocks.9.attn.z",{"ablate":{"slices":[],"by":"zero"}}]"#), "edit 2: this model has no site"),
        (entry(r#""site":["blocks.0.attn.z",{"ablate":{"slices":[],"by":"magic"}}]"#), "no way to ablate called"),
        (
            entry(r#""weight":["blocks.0.attn.W_X",{"ablate":{"slices":[],"by":"zero"}}]"#),
            "no weight blocks.0.attn.W_X",
        ),
        (
            entry(r#""weight":["blocks.0.attn.W_Q",{"elements":{"at":[999999999],"values":[1]}}]"#),
            "no element 999999999",
        ),
        (entry(r#""prompt":[{"ids":[1,99999999],"mask":[true,true],"type_ids":[0,0]}]"#), "edit 2: "),
        (entry(r#""tokens":[1]"#), "in pass 0"),
        (assign(r#"["0","77"]"#, "[]", "[1]"), "it does not fit blocks.0.attn.z"),
        (assign(r#"["zero"]"#, "[]", "[1]"), "\"zero\" is not a slice"),
        (assign("[]", "[3]", "[1]"), "1 values of shape [3]"),
        (assign("[]", "[18446744073709551615,2]", "[1]"), "1 values of shape"),
        (assign("[]", "[1]", "[\"much\"]"), "\"much\" is not a number"),
    ] {
        std::fs::write(&file, &text).unwrap();
        let message = bench.fail(&format!("load edits {}", file.display()));
        assert!(message.contains(wanted) && message.contains("edits.json"), "{wanted}: {message}");
        assert_eq!(bench.console.session.run.branches.len(), 1, "{wanted}");
    }
    assert!(bench.fail("load edits nowhere.json").starts_with("nowhere.json: "));
}

#[test]
fn an_exported_model_is_the_edited_one() {
    for name in ["gpt2", "llama", "gpt2-f16", "bert-seqcls", "gpt_neox", "mixtral", "falcon"] {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("copy");
        let mut bench = Bench::new(name, &[NURSE]);
        bench.script("run\nset param(\"L1.attn.W_O\")[0, 3] = 0.5");
        let text = bench.text(&format!("export model {}", target.display()));
        assert!(text.contains("1 weight is edited"), "{text}");
        let copy = load(&ModelSource::Path(target.clone()), &Device::cpu()).expect("loads");
        let input = Input::from_texts(&copy, &[NURSE], true).unwrap();
        let mut other = Bench::of(name, copy, input, 1 << 30);
        other.run("run");
        assert_eq!(other.everything(), bench.everything(), "{name}");
        assert!(bench.fail(&format!("export model {}", target.display())).contains("the folder is not empty"));
    }
}

#[test]
fn tied_embeddings_that_were_edited_apart_are_no_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("copy");
    let mut bench = bench("run\nset param(\"W_U\")[0] = 0");
    let message = bench.fail(&format!("export model {}", target.display()));
    assert!(message.contains("W_E and W_U are one tensor"), "{message}");
    assert!(!target.exists());
    let Answer::Text(_) = bench.run("set param(\"W_E\")[:, 0] = 0") else { panic!() };
    bench.run(&format!("export model {}", target.display()));
}
