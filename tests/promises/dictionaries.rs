//! Promises: dictionaries of features compute what their tools compute; looking at them changes no bit; an edited feature
//! changes the stream by its row of the decoder times the change, and nothing else.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use llmdbg::answer::Cell;
use llmdbg::model::Input;
use llmdbg::tensor::Device;
use safetensors::SafeTensors;

use crate::common::{Bench, cell_number, model, vulkan};

/// What the issue asks for: features and what is rebuilt of them agree with the tools to so much, relative to values of
/// at least 1. Both are sums of some dozens of products in 32 bits, of values of the stream that agree to 1e-6.
const CLOSE: f64 = 1e-5;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dictionaries")
}

/// The dictionaries of the fixtures: folder, and what is loaded of it.
const ALL: [(&str, &str); 26] = [
    ("standard", ""),
    ("standard-plain", ""),
    ("jumprelu", ""),
    ("jumprelu-layernorm", ""),
    ("standard-length", ""),
    ("gated", ""),
    ("topk", ""),
    ("topk-rescaled", ""),
    ("abstopk", ""),
    ("heads", ""),
    ("transcoder", ""),
    ("transcoder-jumprelu", ""),
    ("transcoder-skip", ""),
    ("sparsify-topk", "layers.1"),
    ("sparsify-factor", "layers.1"),
    ("sparsify-groupmax", "layers.1"),
    ("sparsify-skip", "layers.1.mlp"),
    ("before-6", "sae_weights.safetensors"),
    ("gemma-scope-1", "gemma-scope-2b-pt-res/layer_1/width_40/average_l0_9/params.npz"),
    ("gemma-scope-2", ""),
    ("dictionary-learning", ""),
    ("dictionary-learning-gated", "ae.pt"),
    ("llama-scope", ""),
    ("qwen-scope", "SAE-Res-Qwen3-W0K-L0_5/layer1.sae.pt"),
    ("goodfire", "gpt2-SAE-l1.pt"),
    ("circuit-tracer", ""),
];

struct Reference {
    tokens: Vec<u32>,
    acts: Vec<f64>,
    recon: Vec<f64>,
}

fn reference(name: &str) -> Reference {
    let bytes = std::fs::read(folder().join(name).join("reference.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let data = |of: &str| tensors.tensor(of).unwrap().data().to_vec();
    let floats =
        |of: &str| data(of).as_chunks::<4>().0.iter().map(|x| f64::from(f32::from_le_bytes(*x))).collect::<Vec<_>>();
    let tokens = data("tokens").as_chunks::<8>().0.iter().map(|x| i64::from_le_bytes(*x) as u32).collect();
    Reference { tokens, acts: floats("acts"), recon: floats("recon") }
}

fn bench_on(tokens: &[u32], device: &Device) -> Bench {
    let model = model("gpt2", device);
    let input = Input::from_tokens(&model, vec![tokens.to_vec()]).unwrap();
    Bench::of("gpt2", model, input, 1 << 30)
}

/// A fixture's dictionary, loaded as `f`, and the pass computed.
fn loaded(name: &str, source: &str) -> Bench {
    let mut bench = bench_on(&reference(name).tokens, &Device::cpu());
    bench.run("run");
    bench.run(&load(name, source));
    bench
}

fn load(name: &str, source: &str) -> String {
    format!("sae load {} as f -force", folder().join(name).join(source).display())
}

/// The site that the dictionary is behind.
fn site(bench: &Bench) -> String {
    bench.console.session.run.dictionaries.all()[0].output.clone()
}

/// The largest difference, as a part of the largest number: what is rebuilt is a sum in which large parts cancel.
fn worst(found: &[f64], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let largest = wanted.iter().fold(1.0f64, |most, x| most.max(x.abs()));
    found.iter().zip(wanted).map(|(a, b)| (a - b).abs() / largest).fold(0.0, f64::max)
}

/// The bits of every site of the first pass, by name.
fn by_site(bench: &mut Bench) -> HashMap<String, Vec<u64>> {
    let sites = bench.console.session.run.program.sites().to_vec();
    sites.into_iter().zip(bench.everything()).collect()
}

#[test]
fn every_kind_of_file_gives_the_features_of_its_tool() {
    for (name, source) in ALL {
        let wanted = reference(name);
        let mut bench = loaded(name, source);
        let (acts, recon) = (bench.numbers("L1.f.acts"), bench.numbers("L1.f.recon"));
        assert_eq!(bench.numbers("L1.f.hook_sae_acts_post"), acts, "{name}");
        let hook = format!("{}.hook_sae_recons", site(&bench));
        assert_eq!(bench.numbers(&hook), recon, "{name}: {hook}");
        let active = |all: &[f64]| all.iter().map(|x| *x != 0.0).collect::<Vec<bool>>();
        assert_eq!(active(&acts), active(&wanted.acts), "{name}");
        let (of_acts, of_recon) = (worst(&acts, &wanted.acts), worst(&recon, &wanted.recon));
        assert!(of_acts < CLOSE && of_recon < CLOSE, "{name}: features {of_acts:e}, rebuilt {of_recon:e}");
    }
}

#[test]
fn looking_at_features_changes_no_bit() {
    for (name, source) in ALL {
        let tokens = reference(name).tokens;
        let mut bench = bench_on(&tokens, &Device::cpu());
        bench.run("run");
        let plain = by_site(&mut bench);
        bench.run("backward logit(7)");
        let gradient = bench.bits("grad(L0.resid_post)");
        bench.run(&load(name, source));
        let site = site(&bench);
        let behind = by_site(&mut bench);
        assert_eq!(behind["blocks.1.f.out"], plain[&site], "{name}");
        // Computed again, and stepped through with a condition on features.
        bench.script(
            "break L1.f.acts if max($) > 1e9\nrun\nprint L1.f.acts[-1]\nprint/t L1.f.recon\nprint sum(L1.f.error)",
        );
        let again = by_site(&mut bench);
        for (site, bits) in &plain {
            assert_eq!(again[site], *bits, "{name}: {site}");
        }
        // Nor of a gradient that passes the dictionary.
        bench.run("backward logit(7)");
        assert_eq!(bench.bits("grad(L0.resid_post)"), gradient, "{name}");
        bench.run("delete");
        bench.run("check inert");
        bench.run("sae unload f");
        assert_eq!(by_site(&mut bench), plain, "{name}");
    }
}

#[test]
fn an_edited_feature_changes_the_stream_by_its_row_times_the_change() {
    for (name, source) in ALL {
        let mut bench = loaded(name, source);
        let site = site(&bench);
        let stream = |bench: &mut Bench, expr: &str| bench.numbers(&format!("{expr}[pos=3]"));
        let (before, others) = (stream(&mut bench, &site), bench.bits(&format!("{site}[pos=4]")));
        let feature = 7;
        let was = bench.numbers("L1.f.acts[pos=3]")[feature];
        let (error, recon) = (bench.bits("L1.f.error"), bench.numbers("L1.f.recon[pos=3]"));
        bench.run(&format!("set L1.f.acts[pos=3, feature={feature}] = {}", was + 0.75));
        let change = bench.numbers("L1.f.acts[pos=3]")[feature] - was;
        let row = bench.numbers(&format!("param(\"L1.dict.0.W_dec\")[{feature}]"));
        // What is undone after the decoder multiplies differences by one number at a position.
        let coding = bench.console.session.run.dictionaries.all()[0].coding();
        let plain = coding.scaling == llmdbg::model::dictionary::Scaling::None && !coding.divided;
        let after = stream(&mut bench, "L1.f.out");
        let now = bench.numbers("L1.f.recon[pos=3]");
        for (at, x) in before.iter().enumerate() {
            if plain {
                // One product and one sum, which are rounded once.
                assert_eq!(after[at], f64::from((x + change * row[at]) as f32), "{name}");
            }
            let rebuilt = now[at] - recon[at];
            assert!((after[at] - x - rebuilt).abs() < 1e-5 * (1.0 + x.abs() + now[at].abs()), "{name}: {at}");
        }
        assert_ne!(after, before, "{name}");
        // The error is held, other positions and the site itself stay as they are, and the model reads what has changed.
        assert_eq!(bench.bits("L1.f.error"), error, "{name}");
        assert_eq!(bench.bits("L1.f.out[pos=4]"), others, "{name}");
        assert_eq!(stream(&mut bench, &site), before, "{name}");
        let logits = bench.bits("logits");
        assert_ne!(logits, bench.bits("logits@main"), "{name}");
        assert!(bench.fail("sae unload f").contains("is of a value of f"), "{name}");
        bench.run("undo");
        assert_eq!(bench.bits("L1.f.out"), bench.bits(&site), "{name}");
    }
}

#[test]
fn what_is_rebuilt_and_the_error_add_up_to_the_stream() {
    for name in ["standard", "topk", "jumprelu-layernorm"] {
        let mut bench = loaded(name, "");
        // The error at one position, as the definition has it.
        bench.run("ablate L1.f.error[pos=2]");
        assert_eq!(bench.bits("L1.f.out[pos=2]"), bench.bits("L1.f.recon[pos=2]"), "{name}");
        assert_eq!(bench.bits("L1.f.out[pos=3]"), bench.bits("L1.resid_post[pos=3]"), "{name}");
        bench.run("undo");
        bench.run("set L1.f.recon[pos=2] += 1");
        let (out, recon, error) =
            (bench.numbers("L1.f.out[pos=2]"), bench.numbers("L1.f.recon[pos=2]"), bench.numbers("L1.f.error[pos=2]"));
        for ((out, recon), error) in out.iter().zip(recon).zip(error) {
            assert_eq!(*out, f64::from((recon as f32) + (error as f32)), "{name}");
        }
        bench.run("undo");
        // Features before the choice: those that come over the threshold are active.
        bench.run("set L1.f.pre[pos=2, feature=3] = 50");
        assert_eq!(bench.numbers("L1.f.acts[pos=2]")[3], 50.0, "{name}");
        assert_ne!(bench.bits("L1.f.out[pos=2]"), bench.bits("L1.resid_post[pos=2]"), "{name}");
        bench.run("undo");
        // What is only read: an edit changes what is shown, and not the stream.
        bench.run("set L1.f.in[pos=2] = 0");
        assert_eq!(bench.bits("L1.f.out"), bench.bits("L1.resid_post"), "{name}");
    }
}

#[test]
fn gradients_reach_features_and_what_they_follow_from() {
    for (name, source) in
        [("standard", ""), ("gated", ""), ("jumprelu-layernorm", ""), ("sparsify-skip", "layers.1.mlp")]
    {
        let mut bench = loaded(name, source);
        let target = "logprob(7)";
        bench.run(&format!("backward {target}"));
        let gradient = bench.numbers("grad(L1.f.acts)[pos=-1]");
        let acts = bench.numbers("L1.f.acts[pos=-1]");
        let feature = (0..acts.len()).find(|at| acts[*at] > 0.1).expect("an active feature");
        // A difference of both sides: the third derivative times the square of the step, and rounding by it.
        let step = 0.02;
        let mut at = |x: f64| {
            bench.run(&format!("set L1.f.acts[pos=-1, feature={feature}] = {x}"));
            let found = bench.number(target);
            bench.run("undo");
            found
        };
        let slope = (at(acts[feature] + step) - at(acts[feature] - step)) / (2.0 * step);
        let found = gradient[feature];
        assert!((found - slope).abs() < 2e-3 * (1.0 + slope.abs()), "{name}: {found} for {slope}");
        // With the feature held by an edit, the function of the stream is another: its gradient is that of differences too.
        bench.run(&format!("set L1.f.acts[pos=-1, feature={feature}] = 2"));
        bench.run(&format!("backward {target}"));
        let gradient = bench.numbers("grad(L0.resid_post)[pos=-1]");
        let mut at = |by: f64| {
            bench.run(&format!("set L0.resid_post[pos=-1, dim=5] += {by}"));
            let found = bench.number(target);
            bench.run("undo");
            found
        };
        let slope = (at(step) - at(-step)) / (2.0 * step);
        assert!((gradient[5] - slope).abs() < 5e-3 * (1.0 + slope.abs()), "{name}: {} for {slope}", gradient[5]);
    }
}

#[test]
fn how_well_it_fits_is_what_the_formulas_give() {
    let mut bench = Bench::new("tiny-gpt2", &["When Mary and John went to the store, John gave a drink to"]);
    bench.run("run");
    let clean = bench.number("loss");
    let table = bench.table("sae load tiny-gpt2-sae as f");
    let said = |name: &str| {
        let at = table.columns.iter().position(|column| column == name).unwrap();
        cell_number(&table.rows[0][at])
    };
    let (x, y) = (bench.value("L2.resid_post"), bench.numbers("L2.f.recon"));
    let ([length, width], x) = (<[usize; 2]>::try_from(x.0).unwrap(), x.1);
    let mean: Vec<f64> =
        (0..width).map(|j| (0..length).map(|i| x[i * width + j]).sum::<f64>() / length as f64).collect();
    let left: f64 = x.iter().zip(&y).map(|(x, y)| (x - y).powi(2)).sum();
    let all: f64 = x.iter().enumerate().map(|(at, x)| (x - mean[at % width]).powi(2)).sum();
    let active = bench.numbers("L2.f.acts").iter().filter(|x| **x != 0.0).count();
    // The same sums over values of 32 bits.
    assert!((said("Explained") - (1.0 - left / all)).abs() < 1e-9);
    assert!((said("L0") - active as f64 / length as f64).abs() < 1e-9);
    assert!((said("Loss") - clean).abs() < 1e-9);
    assert!(said("Explained") > 0.9, "{table:?}");
    // With what is rebuilt in its place: the error is taken away.
    bench.run("ablate L2.f.error");
    assert!((bench.number("loss") - said("Rebuilt")).abs() < 1e-6);
    bench.run("undo");
    bench.run("set L2.f.out = 0");
    assert!((bench.number("loss") - said("Zeros")).abs() < 1e-6);
    let recovered = (said("Zeros") - said("Rebuilt")) / (said("Zeros") - said("Loss"));
    assert!((said("Recovered") - recovered).abs() < 1e-9 && recovered > 0.8, "{recovered}");
}

#[test]
fn a_dictionary_of_something_else_is_refused_by_name() {
    let name = "standard";
    let mut bench = bench_on(&reference(name).tokens, &Device::cpu());
    bench.run("run");
    let plain = by_site(&mut bench);
    let path = folder().join(name);
    let source = path.display();
    // Random weights explain less than nothing.
    let said = bench.fail(&format!("sae load {source} as f"));
    assert!(said.contains("less than nothing") && said.contains("-force"), "{said}");
    assert_eq!(by_site(&mut bench), plain, "nothing is left of it");
    let mut says = |line: String, what: &str| {
        let said = bench.fail(&line);
        assert!(said.contains(what), "{line}: {said}");
    };
    says(format!("sae load {source}"), "called");
    says(format!("sae load {source} as 5"), "not a name");
    says(format!("sae load {source} as attn -force"), "exists already");
    says(format!("sae load {source} at L1.mlp.post as f"), "128 wide");
    says(format!("sae load {source} at L1.attn.k as f"), "not a value of positions");
    says(format!("sae load {source} at L1.resid_post to L0.resid_post as f"), "comes after");
    says(format!("sae load {source}/nothing as f"), "not there");
    says(format!("sae load {} as f", folder().display()), "holds several");
    says("sae unload f".into(), "no dictionary is called f");
    says("feature f[1]".into(), "no dictionary is called f");
    bench.run(&load(name, ""));
    for (line, what) in [
        ("feature f[40]", "features 0..39"),
        ("feature L0.f[1]", "not in that one"),
        ("feature f", "is not a feature"),
        (load(name, "").as_str(), "there is a dictionary f"),
    ] {
        let said = bench.fail(line);
        assert!(said.contains(what), "{line}: {said}");
    }
}

#[test]
fn loading_keeps_the_place_stop_points_edits_and_branches() {
    let mut bench = Bench::new("tiny-gpt2", &["When Mary and John went to the store, John gave a drink to"]);
    bench.script(
        "break L3.attn.pattern\nbreak L1.mlp.post if max($) > 1e9\nrun\nablate L1H0\ncheckpoint\ngenerate 2\ngoto #0\n\
         until L2.mlp.pre",
    );
    let (branch, tokens) = (bench.console.session.run.branch().name.clone(), bench.bits("tokens"));
    let here = bench.bits("L2.mlp.pre");
    bench.run("sae load tiny-gpt2-sae as f");
    let site = |bench: &Bench| bench.console.session.run.program.sites()[bench.cursor() - 1].clone();
    assert_eq!((site(&bench).as_str(), bench.bits("L2.mlp.pre")), ("blocks.2.mlp.pre", here));
    assert_eq!((bench.console.session.run.branch().name.clone(), bench.bits("tokens")), (branch, tokens));
    let stop = bench.stop("continue");
    assert_eq!((stop.ids, site(&bench).as_str()), (vec![1], "blocks.3.attn.pattern"));
    // A feature's stop point goes with its dictionary.
    bench.script("delete\nbreak L2.f.acts if max($[-1]) > 0\nrun");
    assert_eq!(site(&bench), "blocks.2.f.acts");
    let unloaded = bench.text("sae unload f");
    assert!(unloaded.contains("Deleted with it: stop points"), "{unloaded}");
    assert_eq!(site(&bench), "blocks.2.resid_post");
    bench.script("run\nsae load tiny-gpt2-sae as f\nundo");
    assert_eq!(bench.console.session.run.branch().edits.len(), 0);
}

#[test]
fn transcoders_of_all_blocks_are_one_name() {
    let mut bench = Bench::new("tiny-gpt2", &["When Mary and John went to the store, John gave a drink to"]);
    bench.run("run");
    let plain = by_site(&mut bench);
    let table = bench.table("sae load tiny-gpt2-transcoders as t");
    assert_eq!(table.rows.len(), 4);
    let again = by_site(&mut bench);
    assert!(plain.iter().all(|(site, bits)| again[site] == *bits));
    // All errors and features of the direct path add up to the logit.
    let table = bench.table("dla -by feature -target \" Mary\"");
    assert!(table.title.contains("nothing left over"), "{}", table.title);
    assert!(table.rows.iter().any(|row| matches!(&row[0], Cell::Text(name) if name.starts_with("L3.t.acts["))));
    // One dictionary behind another reads what that one leaves.
    bench.run("sae load tiny-gpt2-sae as f");
    bench.run("set L2.t.acts[pos=-1, feature=0] += 2");
    let (stream, read) = (bench.bits("L2.resid_post[pos=-1]"), bench.bits("L2.f.in[pos=-1]"));
    assert_eq!(stream, read);
    assert_ne!(stream, bench.bits("L2.resid_post@main[pos=-1]"));
}

#[test]
fn labels_name_features_where_they_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("labels.json");
    let mut bench = Bench::new("tiny-gpt2", &["When Mary and John went to the store, John gave a drink to"]);
    bench.script("run\nsae load tiny-gpt2-sae as f");
    let acts = bench.numbers("L2.f.acts[-1]");
    let feature = (0..acts.len()).max_by(|a, b| acts[*a].total_cmp(&acts[*b])).unwrap();
    std::fs::write(&file, format!("{{\"{feature}\": \"who is given something\"}}")).unwrap();
    assert!(bench.text(&format!("sae labels f {}", file.display())).contains("1 features of f have labels"));
    let table = bench.table(&format!("feature f[{feature}]"));
    assert!(table.title.contains("(who is given something)"), "{}", table.title);
    // What excites it is the position where it is largest, with its value.
    let all = bench.numbers(&format!("L2.f.acts[:, {feature}]"));
    let most = all.iter().copied().fold(f64::MIN, f64::max);
    assert_eq!(cell_number(&table.rows[0][1]), most);
    let table = bench.table("dla -by feature -all");
    assert!(table.rows.iter().any(|row| row[3] == Cell::Text("who is given something".into())));
    std::fs::write(&file, "{\"256\": \"beyond\"}").unwrap();
    assert!(bench.fail(&format!("sae labels f {}", file.display())).contains("feature 256"));
}

#[test]
fn on_a_graphics_device_features_are_the_same_and_looking_changes_no_bit() {
    for name in ["standard", "topk-rescaled", "jumprelu-layernorm", "transcoder-skip"] {
        let wanted = reference(name);
        let mut bench = bench_on(&wanted.tokens, &vulkan());
        bench.run("run");
        let plain = by_site(&mut bench);
        bench.run(&load(name, ""));
        bench.run("run");
        let again = by_site(&mut bench);
        assert!(plain.iter().all(|(site, bits)| again[site] == *bits), "{name}");
        let (acts, recon) = (bench.numbers("L1.f.acts"), bench.numbers("L1.f.recon"));
        // The device sums in another order.
        assert!(worst(&acts, &wanted.acts) < 1e-4 && worst(&recon, &wanted.recon) < 1e-4, "{name}");
        let before = bench.numbers("L1.f.out[pos=3]");
        bench.run("set L1.f.acts[pos=3, feature=7] += 1");
        assert_ne!(bench.numbers("L1.f.out[pos=3]"), before, "{name}");
    }
}
