//! Promises: what was generated is explained as by captum's `LLMAttribution`; a later pass is explained as its text in one; groups of
//! tokens are captum's `feature_mask`; curves are what hiding by hand gives.

use std::fs;
use std::path::Path;

use llmdbg::answer::{Answer, MapView};
use llmdbg::model::Input;
use llmdbg::tensor::Device;
use serde_json::Value as Json;

use crate::common::{Bench, NURSE, cell_number, cell_text, model};
use crate::gradients::furthest;

/// Captum reads the tokens one pass after the other, and computes log-probabilities in f32: of about -3, they are rounded to 2e-7, and
/// the floor of a pass is 5e-5.
const TOLERANCE: f64 = 1e-4;

fn recorded() -> Json {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/attribution/generated.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Json) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn map(b: &mut Bench, command: &str) -> MapView {
    match b.run(command) {
        Answer::Map(map) => map,
        answer => panic!("{command}: {answer:?}"),
    }
}

/// A session after as many tokens as these have been generated: these.
fn after(name: &str, text: &str, ids: &[f64]) -> Bench {
    let mut b = Bench::new(name, &[text]);
    b.run(&format!("generate {}", ids.len()));
    let written = |b: &Bench| {
        let branch = b.console.session.run.branch();
        branch.text().rows[0].ids[branch.span(0).end..].iter().map(|id| f64::from(*id)).collect::<Vec<f64>>()
    };
    for (i, id) in ids.iter().enumerate() {
        if written(&b)[i] != *id {
            let at = b.console.session.run.branch().span(0).end + i;
            b.run(&format!("set tokens[{at}] = {id}"));
        }
    }
    assert_eq!(written(&b), ids, "{name}");
    b
}

#[allow(clippy::print_stdout, reason = "how near is worth seeing")]
#[test]
fn generated_tokens_are_explained_as_by_captum() {
    for (name, of_model) in recorded().as_object().unwrap() {
        let text = of_model["text"].as_str().unwrap();
        for (number, written) in of_model["written"].as_array().unwrap().iter().enumerate() {
            let ids = numbers(&written["token_ids"]);
            let mut b = after(name, text, &ids);
            let mut worst = (0.0, String::new());
            for (method, wanted) in written["methods"].as_object().unwrap() {
                let found = map(&mut b, &format!("attr {method} -generated -baseline pad"));
                let width = found.columns;
                assert_eq!((found.rows, found.axes[0].as_str()), (ids.len() + 1, "generated"), "{method}");
                // Captum leaves out the token that begins the text; on a path it stays, and counts for nothing.
                let left = if method == "ig" { written["kept"].as_u64().unwrap() as usize } else { 0 };
                let rows: Vec<Vec<f64>> =
                    wanted["tokens"].as_array().unwrap().iter().chain([&wanted["sequence"]]).map(numbers).collect();
                for (row, wanted) in found.data.chunks(width).zip(&rows) {
                    assert!(row[..left].iter().all(|x| *x == 0.0), "{name} {method}: {row:?}");
                    let distance = furthest(&row[left..], wanted);
                    assert!(distance < TOLERANCE, "{name} {number} {method}: {distance:e}");
                    if distance > worst.0 {
                        worst = (distance, method.clone());
                    }
                }
                // The value has a row for each token, and the sum of the log-probabilities is said.
                assert_eq!(b.value("$").0, [ids.len(), width]);
                let whole: f64 = numbers(&written["logprobs"]).iter().sum();
                let said: f64 = found.title.rsplit_once(", ").unwrap().1.parse().unwrap();
                assert!((said - whole).abs() < TOLERANCE, "{}: {whole}", found.title);
            }
            println!("{name} {number}: worst {:e} of {}", worst.0, worst.1);
        }
    }
}

#[test]
fn what_was_generated_is_explained_wherever_the_cursor_is_and_can_be_saved() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run("run");
    assert!(b.fail("attr ig -generated").contains("nothing has been generated yet"));
    b.run("generate 3");
    let before = (b.everything(), b.cursor());
    let found = map(&mut b, "attr featureablation -generated -baseline pad");
    assert_eq!((b.everything(), b.cursor()), before, "the run is what it was");
    for line in ["goto #1", "goto #0", "reverse-step"] {
        b.run(line);
        assert_eq!(map(&mut b, "attr featureablation -generated -baseline pad").data, found.data, "{line}");
    }
    b.run("attr featureablation -generated -baseline pad");
    for name in ["a.csv", "a.json", "a.html", "a.svg", "a.png"] {
        b.run(&format!("save table {}", file(name)));
    }
    let csv = fs::read_to_string(file("a.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 3 + 1, "{csv}");
    assert!(csv.starts_with("generated/pos,The") && csv.lines().last().unwrap().starts_with("sum,"), "{csv}");
    let json: Json = serde_json::from_str(&fs::read_to_string(file("a.json")).unwrap()).unwrap();
    assert_eq!((json["kind"].as_str(), json["map"]["axes"][0].as_str()), (Some("map"), Some("generated")), "{json}");
    // The sum over what was generated is the last attribution to tokens.
    b.run(&format!("save attribution {}", file("t.html")));
    let table = b.table("info attribution");
    let sums: Vec<f64> = table.rows.iter().map(|row| cell_number(&row[2])).collect();
    assert!(furthest(&sums, &found.data[3 * found.columns..]) < 1e-12);
    for (line, told) in [
        ("attr heads -generated", "heads does not explain generated tokens; choose from saliency"),
        ("attr ig,saliency -generated", "takes one method"),
        ("attr ig -generated -target loss", "leave -target out"),
        ("attr ig -generated -quality", "does not go with"),
        ("attr featureablation -generated -at L0.attn.pattern", "needs positions"),
    ] {
        assert!(b.fail(line).contains(told), "{line}: {}", b.fail(line));
    }
    // A path too coarse says for which tokens.
    let coarse = map(&mut b, "attr ig -generated -baseline pad -rule riemann_left -steps 1");
    assert!(coarse.title.starts_with("warning: not complete: for \""), "{}", coarse.title);
}

/// The text that a session has read and generated, as the prompt of another.
fn as_prompt(b: &Bench, name: &str) -> Bench {
    let model = model(name, &Device::cpu());
    let ids = b.console.session.run.branch().text().rows[0].ids.clone();
    let input = Input::from_tokens(&model, vec![ids]).unwrap();
    let mut other = Bench::of(name, model, input, 1 << 30);
    other.run("run");
    other
}

/// Keys and values of earlier passes are those of the same text in one, up to the order of sums.
#[test]
fn a_later_pass_is_explained_as_its_text_in_one() {
    for name in ["gpt2", "llama"] {
        // What is edited in the session, and the same edit of the whole text.
        for (edit, whole) in [
            ("", ""),
            ("ablate L0H1", "ablate L0H1"),
            ("set L0.mlp.out[2] = 0.5", "set L0.mlp.out[2] = 0.5"),
            ("set L1.attn.pattern[head=0] *= 0.5", "set L1.attn.pattern[head=0, q=:LENGTH] *= 0.5"),
            ("set param(\"L1.mlp.W_out\") *= 1.5", "set param(\"L1.mlp.W_out\") *= 1.5"),
        ] {
            let mut b = Bench::new(name, &[NURSE]);
            let length = b.console.session.run.branch().span(0).end;
            b.run("run");
            if !edit.is_empty() {
                b.run(edit);
            }
            b.run("generate 3");
            let mut other = as_prompt(&b, name);
            if !whole.is_empty() {
                other.run(&whole.replace("LENGTH", &length.to_string()));
            }
            for command in [
                "attr ig -steps 8 -baseline mean -target logit(5)",
                "attr featureablation -target logit(5)",
                "attr saliency -at L1.resid_pre -target logit(5)",
                "attr lrp -target logit(5)",
                "attr rollout",
            ] {
                let title = b.table(command).title;
                assert!(title.ends_with("over the prompt and 3 generated tokens, read in one pass"), "{title}");
                let found = b.numbers("$");
                other.table(command);
                let distance = furthest(&found, &other.numbers("$"));
                assert!(distance < TOLERANCE, "{name} {edit} {command}: {distance:e}");
            }
        }
    }
}

#[test]
fn an_edit_that_cannot_be_made_in_one_pass_is_refused_by_name() {
    for edit in ["set kv(0, k)[2] = 0", "ablate L0H1 mean"] {
        let mut b = Bench::new("gpt2", &[NURSE]);
        b.script("run\ngenerate 2");
        b.run(edit);
        b.run("generate 1");
        let said = b.fail("attr featureablation -generated");
        assert!(said.contains(&format!("the edit \"{edit}\" cannot be made in one pass")), "{edit}: {said}");
        assert!(!matches!(b.run("goto #0"), Answer::Error(_)));
    }
}

#[test]
fn groups_of_tokens_are_those_of_captums_feature_mask() {
    let folder = tempfile::tempdir().unwrap();
    for (name, of_model) in recorded().as_object().unwrap() {
        let words = &of_model["words"];
        let groups = numbers(&words["groups"]);
        let file = folder.path().join("groups.txt").display().to_string();
        fs::write(&file, groups.iter().map(f64::to_string).collect::<Vec<_>>().join("\n")).unwrap();
        let mut b = Bench::new(name, &[words["text"].as_str().unwrap()]);
        b.run("run");
        let target = format!("-baseline pad -target logit({})", words["target"]);
        for (method, wanted) in words["methods"].as_object().unwrap() {
            for kind in [file.as_str(), "words"] {
                b.table(&format!("attr {method} {target} -segments {kind}"));
                let distance = furthest(&b.numbers("$"), &numbers(&wanted["logit"]));
                assert!(distance < TOLERANCE, "{name} {method} {kind}: {distance:e}");
            }
        }
        // Over all subsets, kernel SHAP is exact too.
        b.table(&format!("attr kernelshap {target} -segments words"));
        let distance = furthest(&b.numbers("$"), &numbers(&words["methods"]["shapley"]["logit"]));
        assert!(distance < TOLERANCE, "{name}: {distance:e}");
        // Gradients are summed up.
        b.table(&format!("attr inputxgradient {target}"));
        let each = b.numbers("$");
        let table = b.table(&format!("attr inputxgradient {target} -segments words"));
        let width = each.len() / groups.len();
        let mut sums = vec![0.0; table.rows.len()];
        for (part, group) in each.chunks(width).zip(&groups) {
            sums[*group as usize] += part.iter().sum::<f64>();
        }
        assert!(furthest(&b.numbers("$"), &sums) < 1e-5);
        assert_eq!((table.columns[0].as_str(), cell_text(&table.rows.last().unwrap()[1])), ("Tokens", " dog"));
        // Side by side, and of what was generated.
        let both = b.table(&format!("attr inputxgradient,featureablation {target} -segments words"));
        assert_eq!((both.rows.len(), both.columns.len()), (sums.len(), 6));
        let ids = numbers(&words["token_ids"]);
        b.run(&format!("generate {}", ids.len()));
        for (method, wanted) in words["methods"].as_object().unwrap() {
            let found = map(&mut b, &format!("attr {method} -generated -baseline pad -segments words"));
            let wanted: Vec<f64> = wanted["written"].as_array().unwrap().iter().flat_map(numbers).collect();
            let distance = furthest(&found.data[..wanted.len()], &wanted);
            assert!(distance < TOLERANCE, "{name} {method}: {distance:e}");
            assert_eq!(found.column_labels.last().map(String::as_str), Some(" dog"));
        }
    }
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run("run");
    for (line, told) in [
        ("attr shapley -segments /Z/", "/Z/ is not in the text"),
        ("attr shapley -segments syllables", "cannot read syllables"),
        ("attr shapley -segments turns", "no token that begins a turn"),
        ("attr saliency -at L0.attn.pattern -segments words", "needs positions"),
        ("attr kernelshap -segments lines", "at least two"),
    ] {
        assert!(b.fail(line).contains(told), "{line}: {}", b.fail(line));
    }
}

/// Of a number that is a sum over positions, hiding takes away their parts: the curves have a closed form.
#[test]
fn curves_are_what_hiding_by_hand_gives() {
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run("run");
    let table = b.table("attr featureablation -curves -target sum(embed)");
    let (shape, embed) = b.value("embed");
    let mut parts: Vec<f64> = embed.chunks(shape[1]).map(|part| part.iter().sum()).collect();
    parts.sort_by(|a, b| b.total_cmp(a));
    let whole: f64 = parts.iter().sum();
    let deletion: Vec<f64> = (0..=shape[0]).map(|k| whole - parts[..k].iter().sum::<f64>()).collect();
    let insertion: Vec<f64> = (0..=shape[0]).map(|k| parts[..k].iter().sum()).collect();
    let (kept, found) = b.value("$");
    assert_eq!(kept, [2, shape[0] + 1]);
    // The sums are of f32.
    assert!(furthest(&found, &[deletion.clone(), insertion.clone()].concat()) < 1e-5);
    let area = |curve: &[f64]| curve.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).sum::<f64>() / shape[0] as f64;
    let row = table.rows.iter().find(|row| cell_text(&row[0]) == "featureablation").unwrap();
    for (cell, curve) in row[1..3].iter().zip([&deletion, &insertion]) {
        assert!((cell_number(cell) - area(curve)).abs() < 1e-5 * (1.0 + area(curve).abs()));
    }
    // The largest parts first is the best of all orders, and random ones are on average a straight line.
    assert_eq!(cell_text(&table.rows[0][0]), "featureablation");
    assert!(cell_text(&table.rows[1][0]).starts_with("random"));
    // Of a logit: the same tokens replaced by hand, one after the other.
    let mut b = Bench::new("gpt2", &[NURSE]);
    b.run("run");
    b.table("attr shapley,saliency -curves -baseline pad -target logit(5)");
    let (_, found) = b.value("$");
    b.table("attr shapley -baseline pad -target logit(5)");
    let values = b.numbers("$");
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    let filler = {
        let model = &b.console.session.run.model;
        model.special.filler(model.spec.vocab)
    };
    for (k, pos) in order.iter().enumerate() {
        assert!((found[k] - b.number("logit(5)")).abs() < TOLERANCE, "{k}");
        b.run(&format!("set tokens[{pos}] = {filler}"));
    }
    assert!((found[order.len()] - b.number("logit(5)")).abs() < TOLERANCE);
    for (line, told) in [
        ("attr heads,ig -curves", "heads gives no number for each position"),
        ("attr ig -curves -target logit(5) -target logit(6)", "for one target"),
        ("attr ig -curves -at L0.attn.pattern", "needs positions"),
    ] {
        assert!(b.fail(line).contains(told), "{line}: {}", b.fail(line));
    }
}
