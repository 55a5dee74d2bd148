//! Promise: `diagnose` finds what is wrong, ranks it, and finds nothing where nothing is wrong.

use std::fs;

use llmdbg::answer::{Answer, Cell, Table};
use llmdbg::model::{Input, ModelSource, bundled, load};
use llmdbg::tensor::Device;

use crate::common::{Bench, NURSE, batch, ex};

/// Findings: severity, what, where.
fn findings(table: &Table) -> Vec<(String, String, String)> {
    let text = |cell: &Cell| if let Cell::Text(text) = cell { text.clone() } else { String::new() };
    table.rows.iter().map(|row| (text(&row[0]), text(&row[1]), text(&row[2]))).collect()
}

fn diagnosed(b: &mut Bench, options: &str) -> Vec<(String, String, String)> {
    findings(&b.table(&format!("diagnose -all {options}")))
}

/// A trained model on a text of its kind.
fn trained() -> Bench {
    Bench::new("tiny-gpt2", &["When Mary and John went to the store, John gave a drink to"])
}

#[test]
fn a_sound_model_has_no_errors_and_no_warnings() {
    let mut b = trained();
    b.run("run");
    let before = b.everything();
    for options in ["", "-deep"] {
        let found = diagnosed(&mut b, options);
        assert!(found.iter().all(|(severity, ..)| severity != "error" && severity != "warning"), "{found:?}");
    }
    assert_eq!(b.everything(), before);
    assert!(!matches!(b.run("diagnose -fail warning"), Answer::Error(_)));
}

#[test]
fn each_fault_is_found_by_its_rule_and_at_its_place() {
    // A command that makes the fault, options, and what is found where, with its severity.
    let faults = [
        ("set param(\"L1.mlp.W_out\")[3] = 0 / 0", "", "error", "a weight holds NaN", "blocks.1.mlp.W_out"),
        (
            "set param(\"L1.mlp.W_out\")[3] = 0 / 0",
            "",
            "error",
            "the first NaN or infinities are computed here",
            "blocks.1.mlp.out",
        ),
        ("set param(\"L1.mlp.W_out\") = 0", "", "warning", "a weight matrix is zero", "blocks.1.mlp.W_out"),
        (
            "set L1.resid_pre[0, 0] = 1e300 * 1e300",
            "",
            "error",
            "the first NaN or infinities are computed here",
            "blocks.1.resid_pre",
        ),
        ("set L1.resid_pre[0, 0] = 60000", "", "warning", "near the largest number of f16", "blocks.1.resid_pre"),
        ("set L1.resid_pre[0, 0] = 20000", "", "note", "a massive activation", "blocks.1.resid_pre"),
        ("set L1.resid_pre = 1e-9", "", "error", "the residual stream has vanished", "blocks.1.resid_pre"),
        ("set L1.mlp_out = 1000", "", "warning", "one block multiplies", "blocks.1.resid_post"),
        ("set L1.attn.q[head=2] = 0", "", "note", "a head attends uniformly", "L1H2"),
        ("set L1.attn.scores[head=2] *= 1000", "", "note", "almost only to one token", "L1H2"),
        ("set L1.mlp.post = 0", "", "warning", "most neurons of an MLP are silent", "blocks.1.mlp.post"),
        ("set logits = 0", "", "warning", "the prediction is almost uniform", "logits"),
        ("set logits *= -1", "", "error", "much higher than that of guessing", "loss"),
        ("set param(\"W_U\") *= 1e-9", "-deep", "warning", "the gradient vanishes", "blocks.0.resid_post"),
        ("set param(\"W_U\") *= 1e7", "-deep", "warning", "the gradient explodes", "blocks.0.resid_post"),
    ];
    for (fault, options, severity, what, at) in faults {
        let mut b = trained();
        b.run("run");
        let sound = diagnosed(&mut b, options);
        let is_it = |one: &(String, String, String)| one.1.contains(what);
        let place = |found: &[(String, String, String)]| {
            let from = found.iter().position(is_it);
            // Places of a finding follow its first row, without words of their own.
            from.map(|from| {
                let rest = found[from + 1..].iter().take_while(|(_, what, _)| what.is_empty());
                std::iter::once(&found[from]).chain(rest).map(|one| one.2.clone()).collect::<Vec<_>>()
            })
        };
        assert!(!place(&sound).unwrap_or_default().iter().any(|known| known == at), "{what} at {at} before {fault}");
        b.run(fault);
        if !b.console.session.run.at_end() {
            b.run("continue");
        }
        let found = diagnosed(&mut b, options);
        let places = place(&found).unwrap_or_else(|| panic!("{fault}: no {what} in {found:?}"));
        assert!(places.iter().any(|known| known == at), "{fault}: {what} at {places:?}, not {at}");
        assert_eq!(found.iter().find(|one| is_it(one)).map(|one| one.0.as_str()), Some(severity), "{fault}");
    }
}

#[test]
fn findings_are_ranked_and_decide_the_status() {
    let mut b = trained();
    b.script("run\nset param(\"L1.mlp.W_out\") = 0\nset logits *= -1");
    let severities: Vec<String> =
        diagnosed(&mut b, "").into_iter().map(|one| one.0).filter(|word| !word.is_empty()).collect();
    let rank = |word: &String| ["error", "warning", "note"].iter().position(|known| known == word).unwrap();
    assert!(severities.windows(2).all(|pair| rank(&pair[0]) <= rank(&pair[1])), "{severities:?}");
    assert!(severities.contains(&"error".to_string()) && severities.contains(&"warning".to_string()));
    assert!(b.fail("diagnose -fail error").contains("higher than that of guessing"));
    let ran = batch("gpt2", &ex(&["run", "set param(\"L1.mlp.W_out\") = 0", "diagnose -fail warning"]));
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("a weight matrix is zero"), "{}", ran.err);
    assert!(b.fail("diagnose -fail terrible").contains("error, warning, or note"));
}

#[test]
fn tokens_that_the_model_does_not_expect_are_a_finding_and_half_a_pass_is_refused() {
    let mut b = Bench::new("tiny-gpt2", &["When Mary and John went to the store, John gave a drink to "]);
    b.run("run");
    let found = diagnosed(&mut b, "");
    assert!(found.iter().any(|one| one.0 == "warning" && one.2.contains("ends with a space")), "{found:?}");
    let mut b = Bench::new("gpt2", &[NURSE]);
    assert!(b.fail("diagnose").contains("a complete pass"));
    b.run("until L1");
    assert!(b.fail("diagnose").contains("a complete pass"));
    // Models without a loss, and texts of one token, are checked as far as the rules fit.
    for (name, text) in
        [("bert-seqcls", "fine"), ("gpt2", "a"), ("bert-mlm", "a [MASK]"), ("qwen3_moe", "a b c d e f g")]
    {
        let mut b = Bench::new(name, &[text]);
        b.run("run");
        diagnosed(&mut b, "-deep");
    }
}

/// The first findings, each with the places of its rule.
fn first_three(b: &mut Bench, options: &str) -> Vec<(String, String)> {
    let found = diagnosed(b, options);
    let mut rules: Vec<(String, String)> = Vec::new();
    for (_, what, at) in found {
        match rules.last_mut() {
            Some((_, places)) if what.is_empty() => *places += &format!("; {at}"),
            _ => rules.push((what, at)),
        }
    }
    rules.truncate(3);
    rules
}

fn named(b: &mut Bench, options: &str, what: &str, at: &str, fault: &str) {
    let found = first_three(b, options);
    let is_it = |(rule, places): &(String, String)| rule.contains(what) && places.contains(at);
    assert!(found.iter().any(is_it), "{fault}: no {what} at {at} in {found:?}");
}

/// A bundled checkpoint with other files.
fn changed(name: &str, folder: &std::path::Path, change: &dyn Fn(&str, &mut Vec<u8>)) -> Result<Bench, String> {
    for (file, bytes) in bundled::find(name).unwrap().files {
        let mut bytes = bytes.to_vec();
        change(file, &mut bytes);
        fs::write(folder.join(file), bytes).unwrap();
    }
    let device = Device::cpu();
    let model = load(&ModelSource::Path(folder.to_path_buf()), &device).map_err(|error| error.to_string())?;
    let text = bundled::find(name).unwrap().example_prompt;
    let input = Input::from_texts(&model, &[text], true).map_err(|error| error.to_string())?;
    let mut b = Bench::of(name, model, input, 1 << 30);
    b.run("run");
    Ok(b)
}

fn edit_json(bytes: &mut Vec<u8>, change: impl FnOnce(&mut serde_json::Value)) {
    let mut value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    change(&mut value);
    *bytes = serde_json::to_vec(&value).unwrap();
}

fn token(id: usize, content: &str) -> serde_json::Value {
    serde_json::json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true})
}

#[test]
fn sixteen_faults_are_each_named_in_the_first_three_findings() {
    // Of weights: what is changed in the model, and what is found where.
    let weights = [
        ("set param(\"L2.attn.W_Q\")[1, 7] = 0 / 0", "a weight holds NaN", "blocks.2.attn.W_Q"),
        ("set param(\"L1.mlp.W_in\")[3, 4] = 1e300 * 1e300", "a weight holds NaN or infinities", "blocks.1.mlp.W_in"),
        ("set param(\"L1.attn.W_O\")[head=1] = 0", "a head adds nothing", "L1H1"),
        ("set param(\"L2.mlp.W_in\") = 0.02", "has the same number everywhere", "blocks.2.mlp.W_in"),
        ("set param(\"L1.ln2.w\") *= 400", "the gain of a norm is much larger", "blocks.1.ln2.w"),
        ("set param(\"L1.mlp.b_in\") = -1000", "most neurons of an MLP are silent", "blocks.1.mlp.post"),
        ("set param(\"L2.mlp.W_out\") *= 1e5", "near the largest number of f16", "blocks.2.mlp.out"),
        ("set param(\"L1.attn.W_Q\") *= 1e4", "attends almost only to one token", "L1H"),
    ];
    for (fault, what, at) in weights {
        let mut b = trained();
        b.run(fault);
        b.run("run");
        named(&mut b, "", what, at, fault);
    }
    let mut b = trained();
    let roles = ["ln1.w", "ln1.b", "attn.W_Q", "attn.W_K", "attn.W_V", "attn.W_O", "mlp.W_in", "mlp.W_out"];
    for role in roles {
        b.run(&format!("set param(\"L2.{role}\") = param(\"L1.{role}\")"));
    }
    b.run("run");
    named(&mut b, "", "a block has the weights of an earlier one", "blocks.2", "a duplicated block");

    // Of files.
    let folder = tempfile::tempdir().unwrap();
    let config = |key: &'static str, value: serde_json::Value| {
        move |file: &str, bytes: &mut Vec<u8>| {
            if file == "config.json" || file == "generation_config.json" && key.ends_with("token_id") {
                edit_json(bytes, |config| config[key] = value.clone());
            }
        }
    };
    let refused = changed("tiny-gpt2", folder.path(), &config("n_inner", 100.into())).err().unwrap();
    assert!(refused.contains("mlp.c_fc") && refused.contains("100"), "{refused}");
    let mut b = changed("tiny-gpt2", folder.path(), &config("eos_token_id", 5000.into())).unwrap();
    named(&mut b, "", "a special token is outside", "eos 5000", "special ids");
    let more = |file: &str, bytes: &mut Vec<u8>| {
        if file == "tokenizer.json" {
            edit_json(bytes, |tokenizer| {
                let added = tokenizer["added_tokens"].as_array_mut().unwrap();
                added.extend((856..900).map(|id| token(id, &format!("<extra{id}>"))));
            });
        }
    };
    let mut b = changed("tiny-gpt2", folder.path(), &more).unwrap();
    named(&mut b, "", "the tokenizer has more tokens", "856 rows", "vocabulary");
    let chat = |file: &str, bytes: &mut Vec<u8>| {
        if file == "tokenizer.json" {
            edit_json(bytes, |tokenizer| {
                // A token that no text has makes room for one that only chats have.
                let vocab = tokenizer["model"]["vocab"].as_object_mut().unwrap();
                let (name, id) = vocab
                    .iter()
                    .max_by_key(|(_, id)| id.as_u64())
                    .map(|(name, id)| (name.clone(), id.clone()))
                    .unwrap();
                vocab.remove(&name);
                tokenizer["model"]["merges"].as_array_mut().unwrap().retain(|merge| {
                    let joined: String = match merge {
                        serde_json::Value::String(text) => text.replace(' ', ""),
                        other => other.as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect(),
                    };
                    joined != name
                });
                let id = id.as_u64().unwrap() as usize;
                let added = tokenizer["added_tokens"].as_array_mut().unwrap();
                added.retain(|known| known["id"] != id);
                added.push(token(id, "<|im_start|>"));
            });
        }
    };
    let mut b = changed("tiny-gpt2", folder.path(), &chat).unwrap();
    named(&mut b, "", "a chat model without a chat template", "<|im_start|>", "template");

    // Of inputs.
    let mut b = Bench::new("llama", &["<|begin_of_text|>The dog"]);
    b.run("run");
    named(&mut b, "", "the tokens are not as the model expects", "twice", "a doubled beginning");
    let mut b = Bench::new("bert-mlm", &["\u{4e00}\u{4e01} \u{4e02} \u{4e03} \u{4e04}"]);
    b.run("run");
    named(&mut b, "", "the tokens are not as the model expects", "the vocabulary lacks", "unknown tokens");
    let device = Device::cpu();
    let model = crate::common::model("llama", &device);
    let (longest, vocab) = (model.spec.max_positions, model.spec.vocab as u32);
    let input = Input::from_tokens(&model, vec![(0..longest as u32 + 4).map(|i| i * 7 % vocab).collect()]).unwrap();
    let mut b = Bench::of("llama", model, input, 1 << 30);
    b.run("run");
    named(&mut b, "", "more tokens than the model was trained on", &format!("{longest} positions"), "a long prompt");
}

/// Keys that were rotated by the base of a shorter text stay in the cache when the base grows.
#[test]
fn a_cache_that_disagrees_with_the_whole_text_is_named() {
    let device = Device::cpu();
    let mut model = crate::common::model("llama-legacy", &device);
    for rope in &mut model.spec.ropes {
        rope.scaling = llmdbg::model::spec::RopeScaling::Dynamic { factor: 8.0, max: 4.0 };
    }
    let input = Input::from_tokens(&model, vec![vec![5, 9, 33, 71]]).unwrap();
    let mut b = Bench::of("llama-legacy", model, input, 1 << 30);
    b.run("set generation stop off");
    b.run("generate 6");
    named(&mut b, "-deep", "cached and recomputed passes differ", "#", "dynamic rotations");
    assert!(b.fail("check cache").contains("cached and recomputed values differ"));
}

#[test]
fn a_changed_bundled_model_is_known_by_its_own_text() {
    let folder = tempfile::tempdir().unwrap();
    let eps = |file: &str, bytes: &mut Vec<u8>| {
        if file == "config.json" {
            edit_json(bytes, |config| config["layer_norm_epsilon"] = 0.3.into());
        }
    };
    let mut b = changed("tiny-gpt2", folder.path(), &eps).unwrap();
    named(&mut b, "", "it has the shape of a bundled model but differs from it", "tiny-gpt2 on its own text", "eps");
    let act = |file: &str, bytes: &mut Vec<u8>| {
        if file == "config.json" {
            edit_json(bytes, |config| config["hidden_act"] = "relu".into());
        }
    };
    let mut b = changed("tiny-bert", folder.path(), &act).unwrap();
    named(&mut b, "", "it has the shape of a bundled model but differs from it", "tiny-bert", "activation");
    let table = b.table("diagnose");
    assert!(
        table.title.contains("shows only in a comparison with a reference (diff, bisect, golden check)"),
        "{}",
        table.title
    );
}

#[test]
fn healthy_fixtures_and_both_bundled_models_have_no_error() {
    for name in crate::faults::families() {
        let mut b = Bench::new(&name, &["The nurse and the dog went to the old castle"]);
        b.run("run");
        let found = diagnosed(&mut b, "-deep");
        assert!(found.iter().all(|(severity, ..)| severity != "error"), "{name}: {found:?}");
    }
    for model in bundled::BUNDLED {
        let mut b = Bench::new(model.name, &[model.example_prompt]);
        b.run("run");
        let found = diagnosed(&mut b, "-deep");
        assert!(found.iter().all(|(severity, ..)| severity != "error"), "{}: {found:?}", model.name);
    }
}

/// Texts of the kind that tiny-gpt2 was trained on.
const USUAL: &str = "Mary went to the store and John went home\nThe nurse said that she saw the dog\n\
                     When the king came the queen said that he was old\nJohn gave a drink to Mary at the store\n";

/// Promise: the numbers of `activations` are those of their definitions, taken from the values themselves.
#[test]
fn activations_are_what_their_definitions_say() {
    for name in ["tiny-gpt2", "llama", "bert-seqcls"] {
        let mut b = Bench::new(name, &["When Mary and John went to the store, John gave a drink to"]);
        b.run("run");
        let table = b.table("activations");
        let median = |mut all: Vec<f64>| {
            all.sort_by(f64::total_cmp);
            let n = all.len();
            if n % 2 == 1 { all[n / 2] } else { (all[n / 2 - 1] + all[n / 2]) / 2.0 }
        };
        let width = b.console.session.run.model.spec.d_model;
        let norms = |data: &[f64]| -> Vec<f64> {
            data.chunks(width).map(|row| row.iter().map(|x| x * x).sum::<f64>().sqrt()).collect()
        };
        for (layer, row) in table.rows.iter().enumerate() {
            let (after, before) =
                (b.numbers(&format!("L{layer}.resid_post")), b.numbers(&format!("L{layer}.resid_pre")));
            let (norm, was) = (median(norms(&after)), median(norms(&before)));
            let largest = after.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            let massive = largest / median(after.iter().map(|x| x.abs()).collect());
            let positions = after.len() / width;
            let large = |i: usize| (0..positions).filter(|pos| after[pos * width + i].abs() >= 6.0).count();
            let outliers = (0..width).filter(|i| large(*i) > 0 && large(*i) as f64 >= 0.06 * positions as f64).count();
            let number = |i: usize| if let Cell::Num(x) = row[i] { x } else { panic!("{row:?}") };
            for (column, wanted) in [(1, norm), (2, norm / was), (4, massive)] {
                let found = number(column);
                assert!((found / wanted - 1.0).abs() < 1e-9, "{name} L{layer} {}: {found}", table.columns[column]);
            }
            assert_eq!(row[6], Cell::Int(outliers as i64), "{name} L{layer}");
            assert!(number(3) >= largest - 1e-9);
            let post = b.value(&format!("L{layer}.mlp.post"));
            let neurons = *post.0.last().unwrap();
            let most = post.1.iter().fold(0.0f64, |most, x| most.max(x.abs()));
            let quiet = |i: usize| post.1.iter().skip(i).step_by(neurons).all(|x| x.abs() <= 1e-6 * most);
            let silent = (0..neurons).filter(|i| quiet(*i)).count() as f64 / neurons as f64;
            assert_eq!(number(7), silent, "{name} L{layer}");
        }
    }
    let mut b = Bench::new("gpt2", &[NURSE]);
    assert!(b.fail("activations").contains("a complete pass"));
    // Of a pass over one generated token, its position is told.
    b.run("set generation stop off");
    b.run("generate 2");
    let last = b.console.session.row_length() - 1;
    let at = b.table("activations").rows[0][5].clone();
    assert!(crate::common::cell_text(&at).starts_with(&format!("{last} ")), "{at:?} at {last}");
    assert_eq!(b.table("activations -all").rows, b.table("activations").rows);
}

/// Promise: beside texts of its kind a text has nothing unusual, and what one text alone does is named; what a model always does is no
/// finding.
#[test]
fn f31_what_is_usual_for_a_model_is_not_reported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("usual.txt");
    fs::write(&file, USUAL).unwrap();
    let file = file.display();
    let mut b = trained();
    b.run("run");
    let table = b.table(&format!("activations -against {file}"));
    assert!(table.rows.is_empty() && table.title.starts_with("0 of 28 numbers"), "{table:?}");
    assert_eq!(b.table(&format!("activations -against {file} -all")).rows.len(), 28);
    let found = diagnosed(&mut b, &format!("-against {file}"));
    assert!(!found.iter().any(|one| one.1.contains("reference texts")), "{found:?}");
    // One position of this text; the reference texts are run without it.
    b.run("set L1.mlp_out[pos=3] *= 200");
    let table = b.table(&format!("activations -against {file}"));
    let first: Vec<&str> = table.rows[0][..2].iter().map(crate::common::cell_text).collect();
    assert_eq!(first, ["L1", "massive"]);
    let found = diagnosed(&mut b, &format!("-against {file}"));
    let unusual = found.iter().find(|one| one.1.contains("reference texts")).unwrap();
    assert_eq!((unusual.0.as_str(), unusual.2.contains("massive of L1")), ("warning", true), "{unusual:?}");
    // A head that is uniform on every text is this model's way.
    let mut b = trained();
    b.run("set param(\"L1.attn.W_Q\")[head=2] = 0");
    b.run("set param(\"L1.attn.b_Q\")[head=2] = 0");
    b.run("run");
    let uniform = |found: &[(String, String, String)]| found.iter().any(|one| one.1.contains("attends uniformly"));
    assert!(uniform(&diagnosed(&mut b, "")));
    let table = b.table(&format!("diagnose -all -against {file}"));
    assert!(!uniform(&findings(&table)) && table.title.contains("left out, as on most texts"), "{}", table.title);
    // Too few texts, no texts, no file.
    fs::write(folder.path().join("two.txt"), "Mary\nJohn\n").unwrap();
    let two = folder.path().join("two.txt");
    assert!(b.fail(&format!("activations -against {}", two.display())).contains("takes 3 or more"));
    assert!(b.fail("activations -against nowhere.txt").contains("cannot read nowhere.txt"));
}

/// Promise: on request every op is compared with the CPU in 64 bits, and a sound device has no finding.
#[test]
fn a_sound_device_has_no_finding() {
    for device in [Device::cpu(), crate::common::vulkan()] {
        let mut b = Bench::on("llama", &[NURSE], &device, 1 << 30);
        b.run("run");
        let plain = b.table("diagnose").title;
        let table = b.table("diagnose -device");
        assert!(!findings(&table).iter().any(|one| one.1.contains("the device computes")), "{table:?}");
        assert_ne!(table.title, plain, "one more is measured");
    }
}

/// Promise: tensors of a file that no op reads are a note.
#[test]
fn tensors_that_are_not_used_are_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let extra = |file: &str, bytes: &mut Vec<u8>| {
        if file == "model.safetensors" {
            let parsed = safetensors::SafeTensors::deserialize(bytes).unwrap();
            let nothing = [0u8; 8];
            let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2], &nothing).unwrap();
            let all = parsed.tensors().into_iter().chain([("transformer.h.0.attn.masked_bias".to_string(), view)]);
            let changed = safetensors::serialize(all, None).unwrap();
            *bytes = changed;
        }
    };
    let mut b = changed("tiny-gpt2", folder.path(), &extra).unwrap();
    let found = diagnosed(&mut b, "");
    let note = found.iter().find(|one| one.1.contains("are not used"));
    assert!(note.is_some_and(|one| one.0 == "note" && one.2.contains("transformer.h.0.attn.masked_bias")), "{found:?}");
    assert!(!diagnosed(&mut trained_run(), "").iter().any(|one| one.1.contains("are not used")));
}

fn trained_run() -> Bench {
    let mut b = trained();
    b.run("run");
    b
}
