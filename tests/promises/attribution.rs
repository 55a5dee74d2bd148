//! Promises: attributions are captum's, through the command; their sums fit; what samples is repeatable and says so.

use llmdbg::analysis::attribution::{
    Players, Probe, Rule, Shap, conductance, gradient_shap_with, infidelity, integrated, lime, plain, sensitivity,
};
use llmdbg::answer::{Answer, Table};
use llmdbg::lang::parse_expr;
use llmdbg::tensor::Device;
use safetensors::SafeTensors;
use serde_json::Value as Json;

use crate::common::{Bench, batch, ex, vulkan};
use crate::gradients::{MODELS, furthest, numbers_of, ran, recorded};

/// The floor of one forward pass in f32: captum does the same arithmetic in another order.
const TOLERANCE: f64 = 5e-5;

fn prompts(name: &str) -> (Json, Vec<u8>) {
    let (recorded, bytes) = recorded(name);
    (recorded["prompts"].clone(), bytes)
}

/// The elements that a command left in the history.
fn left_by(b: &mut Bench, command: &str) -> Vec<f64> {
    b.table(command);
    b.numbers("$")
}

#[allow(clippy::print_stdout, reason = "how many is worth seeing")]
fn on(name: &str, device: &Device, tolerance: f64) {
    let (prompts, bytes) = prompts(name);
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut compared = 0;
    for (i, prompt) in prompts.as_array().unwrap().iter().enumerate() {
        let mut b = ran(name, prompt, device);
        let target = format!("-target logit({})", prompt["target"]["index"]);
        for method in prompt["methods"].as_array().unwrap() {
            let key = method["key"].as_str().unwrap();
            let text = |field: &str| method[field].as_str().unwrap_or_default();
            let steps = &method["n_steps"];
            let command = match text("method") {
                "Saliency" => format!("attr saliency {target}"),
                "InputXGradient" => format!("attr inputxgradient {target}"),
                // Captum's weights of this rule do not sum to one, which is a bias that is not repeated here.
                "IntegratedGradients" if text("rule") == "riemann_trapezoid" => continue,
                "IntegratedGradients" => {
                    let (rule, baseline) = (text("rule"), text("baseline"));
                    format!("attr ig {target} -rule {rule} -steps {steps} -baseline {baseline}")
                }
                "FeatureAblation" => format!("attr featureablation {target} -baseline {}", text("replacement")),
                "Occlusion" => {
                    format!("attr occlusion {target} -window {} -baseline {}", method["window"], text("replacement"))
                }
                "ShapleyValues" => format!("attr shapley {target} -baseline {}", text("replacement")),
                "LayerConductance" => {
                    let (site, baseline) = (text("site"), text("baseline"));
                    format!("attr conductance {target} -at {site} -steps {steps} -baseline {baseline}")
                }
                _ => continue,
            };
            let found = left_by(&mut b, &command);
            let wanted = numbers_of(&tensors, &format!("p{i}/{key}"));
            let distance = furthest(&found, &wanted);
            assert!(distance < tolerance, "{name} p{i} {key}: {distance:e} ({command})");
            compared += 1;
        }
    }
    println!("{name}: {compared} attributions");
    assert!(compared >= 20, "{name}: {compared}");
}

#[test]
fn attributions_are_those_of_captum() {
    MODELS.iter().for_each(|name| on(name, &Device::cpu(), TOLERANCE));
}

#[test]
fn attributions_are_those_of_captum_through_wgpu() {
    on("bert-seqcls", &vulkan(), 1e-4);
}

/// Captum's random choices are recorded, and replayed here.
#[test]
fn gradient_shap_is_that_of_captum_for_the_same_random_choices() {
    for name in MODELS {
        let (prompts, bytes) = prompts(name);
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        for (i, prompt) in prompts.as_array().unwrap().iter().enumerate() {
            let mut b = ran(name, prompt, &Device::cpu());
            let recorded = |key: &str| numbers_of(&tensors, &format!("p{i}/gradient_shap{key}"));
            let wanted = recorded("");
            let floats = |numbers: Vec<f64>| numbers.into_iter().map(|x| x as f32).collect::<Vec<f32>>();
            let baselines: Vec<Vec<f32>> =
                floats(recorded(".baselines")).chunks(wanted.len()).map(<[f32]>::to_vec).collect();
            let noise = floats(recorded(".noise"));
            let samples: Vec<Shap> = recorded(".lambdas")
                .into_iter()
                .zip(recorded(".baseline_index"))
                .zip(noise.chunks(wanted.len()))
                .map(|((at, baseline), noise)| Shap { baseline: baseline as usize, at, noise: noise.to_vec() })
                .collect();
            assert_eq!(samples.len(), 8);
            let session = &mut b.console.session;
            let at = session.run.program.op_of("embed").unwrap();
            let expr = parse_expr(&format!("logit({})", prompt["target"]["index"]), 0).unwrap();
            let mut probe = Probe::new(session, &expr, at).unwrap();
            let found = gradient_shap_with(&mut probe, &baselines, &samples).unwrap();
            let distance = furthest(&found.values, &wanted);
            assert!(distance < TOLERANCE, "{name} p{i}: {distance:e}");
        }
    }
}

fn bert() -> Bench {
    let mut b = Bench::new("bert-seqcls", &["The film was great, Zoë!"]);
    b.run("run");
    b
}

#[test]
fn sums_fit_the_difference_to_the_baseline() {
    let mut b = bert();
    let told = |table: Table| table.title;
    let title = told(b.table("attr ig -baseline pad"));
    assert!(
        title.starts_with("ig of logit(\"negative\") = 1.13335 at embed: $1\napproximated by 50 points"),
        "{title}"
    );
    // All that the number changes by between the baseline and the input is handed out.
    let sum = b.number("sum($1)");
    assert!((sum - (1.13335 + 0.089179)).abs() < 1e-4, "{sum}");
    let coarse = told(b.table("attr ig -baseline pad -rule riemann_left -steps 2"));
    let fine = told(b.table("attr ig -baseline pad -rule riemann_left -steps auto"));
    let delta = |title: &str| -> f64 { title.rsplit_once("delta ").unwrap().1.trim().parse().unwrap() };
    assert!(delta(&coarse).abs() > 0.05 && delta(&fine).abs() < 1.3e-3, "{coarse}\n{fine}");
    let exact = told(b.table("attr shapley -baseline pad -target logits[0] -samples 3"));
    assert!(exact.contains("sampled, 3 samples, seed 0, standard error"), "{exact}");
    assert!(delta(&exact).abs() < 1e-5, "{exact}");
}

#[test]
fn what_samples_is_repeatable_and_other_seeds_differ() {
    let mut b = bert();
    for method in [
        "gradientshap -samples 8 -stdev 0.1 -baseline zero -baseline pad",
        "smoothgrad",
        "vargrad",
        "shapley -samples 2",
    ] {
        let first = left_by(&mut b, &format!("attr {method}"));
        assert_eq!(first, left_by(&mut b, &format!("attr {method}")), "{method}");
        assert_ne!(first, left_by(&mut b, &format!("attr {method} -seed 1")), "{method}");
    }
    // With many samples, gradient SHAP comes near integrated gradients.
    let integrated = left_by(&mut b, "attr ig");
    let sampled = left_by(&mut b, "attr gradientshap -samples 400");
    let distance = furthest(&sampled, &integrated);
    assert!(distance < 0.02, "{distance}");
}

#[test]
fn any_number_at_any_site_can_be_explained() {
    let mut b = Bench::new("gpt2", &["The king said that"]);
    b.run("run");
    let target = "-target logit(5) - logit(6)";
    let at_logits = left_by(&mut b, &format!("attr inputxgradient -at logits {target}"));
    let wanted = b.number("logit(5) - logit(6)");
    assert!((at_logits.iter().sum::<f64>() - wanted).abs() < 1e-5);
    for site in ["L0.attn.pattern", "L1.attn.z", "L0.mlp.post", "L1.resid_pre", "ln_final.out"] {
        b.run("backward logit(5) - logit(6)");
        let gradient = b.numbers(&format!("grad({site})"));
        let signed = left_by(&mut b, &format!("attr saliency -signed -at {site} {target}"));
        assert!(furthest(&signed, &gradient) < 1e-6, "{site}");
    }
    b.table(&format!("attr influence -at L0.resid_post {target} -steps 10"));
    let heads = b.table(&format!("attr inputxgradient -at L0.attn.pattern {target}"));
    assert_eq!((heads.columns[0].as_str(), heads.rows.len()), ("Head", 4));
    // Edits are part of the function.
    let before = left_by(&mut b, "attr ig -target logit(5)");
    b.run("ablate L0H1");
    assert_ne!(before, left_by(&mut b, "attr ig -target logit(5)"));
}

#[test]
fn another_row_and_another_text_are_explained_alike() {
    let text = "The film was great, Zoë!";
    let mut alone = bert();
    let mut second = Bench::new("bert-seqcls", &["I would watch it", text]);
    second.run("run");
    second.run("focus row=1");
    let command = "attr ig -target logit(0) -steps 8";
    let distance = furthest(&left_by(&mut second, command), &left_by(&mut alone, command));
    assert!(distance < TOLERANCE, "{distance}");
    // The same text as a baseline leaves nothing to hand out.
    let nothing = left_by(&mut alone, &format!("attr ig -steps 4 -baseline \"{text}\""));
    assert!(nothing.iter().all(|x| *x == 0.0));
}

#[test]
fn mistakes_say_what_to_do() {
    let mut b = Bench::new("gpt2", &["The king said that"]);
    for (line, told) in
        [("attr ig", "has not been computed"), ("attr", "expected a method"), ("attr deeplift", "deeplift")]
    {
        assert!(b.fail(line).contains(told), "{line}: {}", b.fail(line));
    }
    b.run("run");
    for (line, told) in [
        ("attr ig -target logits[-1]", "a gradient is taken of one number"),
        ("attr ig -target 5", "does not depend"),
        ("attr ig -at L9.attn.z", "no layer 9"),
        ("attr ig -at L1.attn.z -target sum(L0.resid_post)", "the number does not depend on blocks.1.attn.z"),
        ("attr ig -baseline mask", "no mask token"),
        ("attr ig -baseline \"a\"", "that is 1 tokens, and the text has"),
        ("attr ig -baseline mean -at L0.resid_post", "the mean is that of the token embeddings"),
        ("attr conductance", "conductance needs a site"),
        (
            "attr conductance -at L1.attn.z -target sum(L0.resid_post)",
            "blocks.1.attn.z is not between embed and the number",
        ),
        ("attr influence -at tokens", "tokens is not between embed and the number"),
        ("attr occlusion -at L0.attn.pattern", "needs positions"),
    ] {
        let found = b.fail(line);
        assert!(found.contains(told), "{line}: {found}");
    }
}

#[test]
fn conductance_of_the_input_itself_is_integrated_gradients() {
    let mut b = bert();
    let session = &mut b.console.session;
    let at = session.run.program.op_of("embed").unwrap();
    let expr = parse_expr("logit(0)", 0).unwrap();
    let mut probe = Probe::new(session, &expr, at).unwrap();
    let len = probe.here().unwrap().len();
    let rule = Rule::Left;
    let found = conductance(&mut probe, at, &vec![0.0; len], rule, 400).unwrap();
    let Answer::Table(_) = b.run("attr ig -target logit(0)") else { panic!("no table") };
    // Both tend to the same integral; the left rule leaves an error of about a step.
    assert!(furthest(&found.values, &b.numbers("$")) < 5e-3);
}

#[test]
fn the_command_runs_in_batch_and_in_json() {
    let commands = ["run", "attr gradientshap -baseline pad -samples 20 -seed 3"];
    let ran = batch("bert-seqcls", &[&["-p", "The film was great"][..], &ex(&commands)].concat());
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.contains("sampled, 20 samples, seed 3, standard error"), "{}", ran.out);
    assert!(
        ran.out.lines().any(|line| line.contains("great") && (line.contains("+") || line.contains("--"))),
        "{}",
        ran.out
    );
}

/// Captum's perturbations are recorded, and used here. Squares of differences double the relative error of a pass.
#[test]
fn infidelity_and_sensitivity_are_those_of_captum() {
    for name in MODELS {
        let (prompts, bytes) = prompts(name);
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        for (i, prompt) in prompts.as_array().unwrap().iter().enumerate() {
            let mut b = ran(name, prompt, &Device::cpu());
            let recorded = |key: &str| -> Vec<f32> {
                numbers_of(&tensors, &format!("p{i}/{key}")).into_iter().map(|x| x as f32).collect()
            };
            let session = &mut b.console.session;
            let at = session.run.program.op_of("embed").unwrap();
            let expr = parse_expr(&format!("logit({})", prompt["target"]["index"]), 0).unwrap();
            let mut probe = Probe::new(session, &expr, at).unwrap();
            let here = probe.here().unwrap();
            let rows = |key: &str| recorded(key).chunks(here.len()).map(<[f32]>::to_vec).collect::<Vec<_>>();
            let close = |found: f64, key: &str| {
                let wanted = prompt["metrics"][key].as_f64().unwrap();
                assert!((found - wanted).abs() < 2e-4 * (1e-2 + wanted.abs()), "{name} p{i} {key}: {found} {wanted}");
            };
            let gradient = plain(&mut probe, at).unwrap();
            let per_unit: Vec<f64> = gradient.gradient.iter().map(|g| f64::from(*g)).collect();
            let (raw, normalized) = infidelity(&mut probe, &per_unit, &rows("infidelity.noise")).unwrap();
            close(raw, "infidelity.gradient");
            close(normalized, "infidelity.gradient.normalized");
            let pad = recorded("baseline.pad");
            let path = integrated(&mut probe, &pad, Rule::GaussLegendre, Some(50), 0.0).unwrap();
            let scaled = path.values.iter().zip(here.iter().zip(&pad));
            // Where input and baseline are the same the mean gradient cannot be told from the product.
            if here.iter().zip(&pad).all(|(x, b)| x != b) {
                let local: Vec<f64> = scaled.map(|(a, (x, b))| a / (f64::from(*x) - f64::from(*b))).collect();
                let (raw, _) = infidelity(&mut probe, &local, &rows("infidelity.noise")).unwrap();
                close(raw, "infidelity.integrated_gradients_local.gausslegendre.50.pad");
            }
            let nearby = rows("sensitivity.inputs");
            let mut times_input = false;
            for key in ["sensitivity_max.saliency", "sensitivity_max.input_x_gradient"] {
                let found = sensitivity(&mut probe, &nearby, &mut |probe| {
                    let point = plain(probe, at)?;
                    let pairs = point.gradient.iter().zip(&point.value);
                    Ok(pairs.map(|(g, x)| f64::from(if times_input { g * x } else { g.abs() })).collect())
                })
                .unwrap();
                close(found, key);
                times_input = true;
            }
        }
    }
    let mut b = bert();
    let title = b.table("attr ig -steps 8 -quality").title;
    assert!(title.contains("infidelity ") && title.contains("sensitivity "), "{title}");
    assert!(b.fail("attr occlusion -quality").contains("-quality is for methods"));
}

#[test]
fn heads_are_ranked_by_what_taking_them_out_does() {
    let mut b = Bench::new("gpt2", &["The king said that"]);
    b.run("run");
    let table = b.table("attr heads -target logit(5) - logit(6)");
    let number = |row: usize, column: usize| match table.rows[row][column] {
        llmdbg::answer::Cell::Num(x) => x,
        ref other => panic!("{other:?}"),
    };
    assert_eq!(table.rows.len(), 8);
    let grid = b.numbers("$");
    let whole = b.number("logit(5) - logit(6)");
    b.run("backward logit(5) - logit(6)");
    for row in 0..8 {
        let name = text_of(&table.rows[row][0]);
        let (layer, head): (usize, usize) = (name[1..2].parse().unwrap(), name[3..].parse().unwrap());
        assert!((grid[layer * 4 + head] - number(row, 1)).abs() < 1e-6);
        let first = b.number(&format!("dot({name}, grad({name}))"));
        assert!((first - number(row, 2)).abs() < 1e-5, "{name}: {first} {}", number(row, 2));
        let of_pattern = format!("sum(abs(L{layer}.attn.pattern[{head}] * grad(L{layer}.attn.pattern)[{head}]))");
        assert!((b.number(&of_pattern) - number(row, 3)).abs() < 1e-5, "{name}");
    }
    for row in [0, 7] {
        // The same by hand: ablate, look, take back.
        b.run(&format!("ablate {}", text_of(&table.rows[row][0])));
        let changed = whole - b.number("logit(5) - logit(6)");
        b.run("undo");
        assert!((changed - number(row, 1)).abs() < 1e-5, "{changed} {}", number(row, 1));
    }
    assert!(number(0, 1).abs() >= number(7, 1).abs());
    assert!(b.fail("attr heads -target sum(embed)").contains("does not depend on any attention head"));
}

fn text_of(cell: &llmdbg::answer::Cell) -> String {
    match cell {
        llmdbg::answer::Cell::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn rollout_is_the_product_of_the_mixed_patterns() {
    let mut b = bert();
    b.table("attr rollout");
    let found = b.numbers("$");
    let (shape, first) = b.value("mean(L0.attn.pattern, head)");
    let second = b.numbers("mean(L1.attn.pattern, head)");
    let t = shape[0];
    let mixed = |a: &[f64], i: usize, j: usize| 0.5 * a[i * t + j] + if i == j { 0.5 } else { 0.0 };
    for i in 0..t {
        for j in 0..t {
            let wanted: f64 = (0..t).map(|k| mixed(&second, i, k) * mixed(&first, k, j)).sum();
            assert!((found[i * t + j] - wanted).abs() < 1e-6);
        }
        let sum: f64 = found[i * t..(i + 1) * t].iter().sum();
        assert!((sum - 1.0).abs() < 1e-5, "a row of a rollout is a distribution");
    }
}

#[test]
fn the_last_attribution_is_saved_as_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.html");
    let mut b = bert();
    assert!(b.fail(&format!("save attribution {}", file.display())).contains("no attribution to tokens yet"));
    b.table("attr ig -steps 4");
    b.run(&format!("save attribution {}", file.display()));
    let page = std::fs::read_to_string(&file).unwrap();
    assert!(page.contains("<title>ig of logit(&quot;negative&quot;)") && page.contains("masterpiece").eq(&false));
    assert_eq!(page.matches("<td class=\"token\">").count(), 11);
    assert!(b.fail("save attribution a.png").contains("a.png is not a .html file"));
    assert!(b.fail("save activations x.html").contains("is not a .safetensors or .npz file"));
}

/// Over all subsets the regression has the Shapley values as its solution, which captum has computed.
#[test]
fn kernel_shap_over_all_subsets_gives_the_shapley_values_of_captum() {
    for name in MODELS {
        let (prompts, bytes) = prompts(name);
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let prompt = &prompts[1];
        let mut b = ran(name, prompt, &Device::cpu());
        let command = format!("attr kernelshap -baseline pad -target logit({})", prompt["target"]["index"]);
        let found = left_by(&mut b, &command);
        let distance = furthest(&found, &numbers_of(&tensors, "p1/shapley.pad"));
        assert!(distance < TOLERANCE, "{name}: {distance:e}");
    }
    let mut b = bert();
    let few = b.fail("attr kernelshap -samples 4");
    assert!(few.contains("11 numbers cannot be fitted to 4 samples"), "{few}");
    let exact = left_by(&mut b, "attr shapley -baseline pad -samples 300");
    let sampled = left_by(&mut b, "attr kernelshap -baseline pad -samples 600");
    assert!(furthest(&sampled, &exact) < 0.05, "{sampled:?} {exact:?}");
}

#[test]
fn relevance_is_that_of_transformers_with_the_rules_of_attnlrp() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/attribution/lrp.json");
    let recorded: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let numbers = |value: &Json| value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>();
    for device in [Device::cpu(), vulkan()] {
        for (name, wanted) in recorded.as_object().unwrap() {
            let mut b = ran(name, wanted, &device);
            let command = format!("attr lrp -target logit({})", wanted["target"]);
            let table = b.table(&command);
            let width = numbers(&wanted["elements"]).len();
            let found = b.numbers("$");
            let sums: Vec<f64> = found.chunks(width).map(|part| part.iter().sum()).collect();
            // Relative to the largest: transformers rounds some norms to 32 bits as well.
            let distance = furthest(&sums, &numbers(&wanted["positions"]));
            assert!(distance < 2e-4, "{name} on {device:?}: {distance:e}");
            let distance = furthest(&found[found.len() - width..], &numbers(&wanted["elements"]));
            assert!(distance < 2e-4, "{name} on {device:?}: {distance:e}");
            assert!(table.title.contains("derived by the rules of AttnLRP"), "{}", table.title);
        }
    }
}

#[test]
fn without_biases_all_relevance_reaches_what_lies_behind_the_last_softmax() {
    let mut b = Bench::new("llama", &["The nurse said that"]);
    b.run("run");
    let number = b.number("logit(7)");
    // Softmax keeps relevance too: behind the last one all of it is there.
    for site in ["L1.resid_mid", "L1.resid_post", "ln_final.out"] {
        b.run(&format!("attr lrp -target logit(7) -at {site}"));
        let sum = b.number("sum($)");
        assert!((sum - number).abs() <= 1e-3 * number.abs().max(1.0), "{site}: {sum}, not {number}");
    }
    let mut b = Bench::new("qwen3_moe", &["The nurse said that"]);
    b.run("run");
    assert!(b.fail("attr lrp").contains("no rule for the router of a mixture of experts"), "refused by name");
}

#[test]
fn lime_is_that_of_captum_for_the_same_random_choices() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/attribution/lime.json");
    let recorded: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for (name, wanted) in recorded.as_object().unwrap() {
        let mut b = ran(name, wanted, &Device::cpu());
        let shown: Vec<Vec<bool>> = wanted["shown"]
            .as_array()
            .unwrap()
            .iter()
            .map(|set| set.as_array().unwrap().iter().map(|x| x == 1).collect())
            .collect();
        let expr = parse_expr(&format!("logit({})", wanted["target"]), 0).unwrap();
        for (alpha, values) in wanted["values"].as_object().unwrap() {
            let session = &mut b.console.session;
            let at = session.run.program.op_of("embed").unwrap();
            let mut probe = Probe::new(session, &expr, at).unwrap();
            let here = probe.here().unwrap();
            let zeros = vec![0.0; here.len()];
            let alpha: f64 = alpha.parse().unwrap();
            let players = Players::each(shown[0].len());
            let method = lime(shown.clone(), (&here, &zeros), &players, alpha);
            let found = method.of(&mut probe, &zeros, &players).unwrap();
            let values: Vec<f64> = values.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
            let distance = furthest(&found.values, &values);
            // Captum's similarities and numbers are in 32 bits.
            assert!(distance < 1e-4, "{name} {alpha}: {distance:e}");
        }
        let title = b.table(&format!("attr lime -target logit({}) -samples 60 -seed 4", wanted["target"])).title;
        assert!(title.contains("sampled, 60 samples, seed 4"), "{title}");
    }
    let mut b = bert();
    assert!(b.fail("attr lime -alpha -1").contains("-alpha is a number of at least 0"));
}

#[test]
fn conductance_of_a_neuron_is_that_of_captum() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/attribution/neuron.json");
    let recorded: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for (name, wanted) in recorded.as_object().unwrap() {
        let mut b = ran(name, wanted, &Device::cpu());
        let through = wanted["through"].as_str().unwrap();
        let command = format!("attr neuron -target logit({}) -through {through} -steps 20", wanted["target"]);
        let found = left_by(&mut b, &command);
        let values: Vec<f64> = wanted["values"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
        let distance = furthest(&found, &values);
        assert!(distance < TOLERANCE, "{name}: {distance:e}");
    }
    let mut b = bert();
    assert!(b.fail("attr neuron").contains("needs one"));
    assert!(b.fail("attr neuron -through L1.mlp.post").contains("one number"));
    assert!(b.fail("attr neuron -through sum(L1.mlp.post[0])").contains("one element of one site"));
}

#[test]
fn attention_times_gradient_is_the_product_of_its_definition() {
    let mut b = bert();
    b.table("attr attnxgradient -target logits[0]");
    let found = b.numbers("$");
    b.run("backward logits[0]");
    let mean = |b: &mut Bench, layer: usize| {
        let product = format!("L{layer}.attn.pattern * grad(L{layer}.attn.pattern)");
        b.value(&format!("mean(where({product} > 0, {product}, 0), 0)"))
    };
    let (shape, first) = mean(&mut b, 0);
    let (_, second) = mean(&mut b, 1);
    let t = shape[0];
    let one = |i: usize, j: usize| if i == j { 1.0 } else { 0.0 };
    let before: Vec<f64> = (0..t * t).map(|i| one(i / t, i % t) + first[i]).collect();
    for i in 0..t {
        for j in 0..t {
            let added: f64 = (0..t).map(|k| second[i * t + k] * before[k * t + j]).sum();
            let wanted = before[i * t + j] + added;
            assert!((found[i * t + j] - wanted).abs() < 1e-5 * (1.0 + wanted.abs()), "{i} {j}");
        }
    }
}

#[test]
fn a_baseline_may_come_from_a_file_and_a_matrix_becomes_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let mut b = bert();
    b.run(&format!("save activations {} embed", file("e.safetensors")));
    let path = file("e.safetensors");
    // With the text itself as the baseline nothing is left to attribute.
    b.run(&format!("attr ig -baseline {path}"));
    assert_eq!(b.number("max(abs($))"), 0.0);
    assert!(b.fail(&format!("attr ig -baseline {path} -at L0.resid_mid")).contains("has no blocks.0.resid_mid"));
    assert!(b.fail("attr ig -baseline none.safetensors").contains("cannot read"));
    b.run(&format!("save picture {} L1.attn.pattern[head=0]", file("p.png")));
    b.run(&format!("save picture {} L1.mlp.out", file("p.svg")));
    assert!(std::fs::read(file("p.png")).unwrap().starts_with(b"\x89PNG"));
    assert!(std::fs::read_to_string(file("p.svg")).unwrap().starts_with("<svg"));
    assert!(b.fail(&format!("save picture {} L1.attn.pattern", file("q.png"))).contains("a picture is of a matrix"));
    assert!(b.fail("save picture p.gif L1.mlp.out").contains("is not a .png or .svg file"));
}

#[test]
fn neurons_are_ranked_with_what_feeds_them() {
    let mut b = Bench::new("gpt2", &["The nurse said that"]);
    b.run("run");
    let table = b.table("attr neurons -target logit(7) -samples 4");
    assert_eq!(table.rows.len(), 4);
    b.run("backward logit(7)");
    let products: Vec<f64> = [0, 1]
        .iter()
        .flat_map(|layer| b.numbers(&format!("L{layer}.mlp.post * grad(L{layer}.mlp.post)")))
        .map(f64::abs)
        .collect();
    let largest = products.iter().fold(0.0f64, |most, x| most.max(*x));
    let number = |cell: &llmdbg::answer::Cell| if let llmdbg::answer::Cell::Num(x) = cell { *x } else { f64::NAN };
    assert!((number(&table.rows[0][4]).abs() - largest).abs() < 1e-6 * largest, "the largest of all comes first");
    for row in &table.rows {
        let neuron = text_of(&row[0]);
        assert!((b.number(&neuron) - number(&row[2])).abs() < 1e-6, "{neuron}");
        // What is said to feed it is what attr lrp finds there for the neuron.
        for part in text_of(&row[6]).split(", ") {
            let (site, share) = part.split_once(' ').unwrap();
            b.run(&format!("attr lrp -target {neuron} -at {site}"));
            let wanted = b.number("sum($)");
            assert!(
                (share.parse::<f64>().unwrap() - wanted).abs() <= 1e-2 * wanted.abs() + 1e-6,
                "{neuron}: {part}, not {wanted}"
            );
        }
    }
    let mut b = Bench::new("mixtral", &["The nurse said that"]);
    b.run("run");
    assert!(b.fail("attr neurons").contains("no dense MLP"));
}

#[test]
fn methods_and_targets_stand_side_by_side() {
    let mut b = bert();
    let ig = left_by(&mut b, "attr ig -steps 10 -target logits[0]");
    let other = left_by(&mut b, "attr ig -steps 10 -target logits[1]");
    let table = b.table("attr ig,saliency -steps 10 -target logits[0] -target logits[1]");
    assert_eq!(table.columns.len(), 2 + 4 * 2, "{:?}", table.columns);
    assert_eq!(table.columns[2], "ig 1");
    let width = ig.len() / table.rows.len();
    for (at, row) in table.rows.iter().enumerate() {
        let sum = |of: &[f64]| of[at * width..(at + 1) * width].iter().sum::<f64>();
        for (column, of) in [(2, &ig), (4, &other)] {
            let llmdbg::answer::Cell::Num(found) = row[column] else { panic!("{row:?}") };
            assert!((found - sum(of)).abs() < 1e-6, "{at}: {found}");
        }
    }
    assert_eq!(b.table("attr saliency,inputxgradient").columns[4], "inputxgradient");
    assert!(b.fail("attr ig,heads").contains("heads gives no number for each position"));
    assert!(b.fail("attr ig,").contains("a method is missing"));
    assert!(b.fail("attr ig,nonsense").contains("nonsense"));
}

/// A path that is too coarse says so before anything else, and its parts are no shares: they have no bars, wherever they are shown.
#[test]
fn f6_what_is_not_complete_is_said_first_and_has_no_bars() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("a.html");
    let bars = |table: &Table| table.rows.iter().map(|row| text_of(&row[3]).len()).max().unwrap();
    let mut b = bert();
    for command in [
        "attr ig -baseline pad -rule riemann_left -steps 1",
        "attr conductance -at L0.resid_post -baseline pad -rule riemann_left -steps 1",
        "attr gradientshap -baseline pad -samples 1",
    ] {
        let coarse = b.table(command);
        let sum: f64 = b.number("sum($)");
        let first = coarse.title.lines().next().unwrap();
        assert!(
            first.starts_with(&format!("warning: not complete: the attributions sum to {}", short(sum))),
            "{first}"
        );
        assert!(
            first.contains("the difference they should explain is 1.22253") && first.contains("-baseline"),
            "{first}"
        );
        assert_eq!(bars(&coarse), 0, "{command}");
        // The last attribution is shown so elsewhere too.
        let again = b.table("info attribution");
        assert!(again.title.starts_with("warning: not complete") && bars(&again) == 0, "{}", again.title);
        b.run(&format!("save attribution {}", page.display()));
        let html = std::fs::read_to_string(&page).unwrap();
        assert!(html.contains("not complete") && !html.contains("width:15.00em"), "{html}");
    }
    let both = b.table("attr ig,saliency -baseline pad -rule riemann_left -steps 1");
    assert!(both.title.starts_with("warning: not complete"), "{}", both.title);
    assert!(
        both.rows.iter().all(|row| text_of(&row[3]).is_empty())
            && both.rows.iter().any(|row| text_of(&row[5]).len() == 10)
    );
    // Enough points: nothing is said, and the largest bar is whole.
    for command in ["attr ig -baseline pad", "attr shapley -baseline pad", "attr saliency"] {
        let fine = b.table(command);
        assert!(!fine.title.contains("not complete"), "{}", fine.title);
        assert_eq!(bars(&fine), 20, "{command}");
    }
    // A baseline that is the input itself has nothing to explain, and explains it.
    let same = b.table("attr ig -steps 4 -baseline \"The film was great, Zoë!\"");
    assert!(!same.title.contains("not complete"), "{}", same.title);
    b.run(&format!("save attribution {}", page.display()));
}

/// The first digits of a number, as `attr` prints it.
fn short(x: f64) -> String {
    format!("{x:.10}")[..5].to_string()
}

/// The text of a baseline is run by the model that is there: with its edits.
#[test]
fn baselines_of_tokens_are_run_with_the_edits_in_force() {
    for (edit, at) in [
        ("ablate L0H1", "L1.resid_pre"),
        ("set L0.mlp.out[:, 3] = 0.5", "L0.resid_post"),
        ("set embed[2] = 0", "embed"),
    ] {
        let mut b = Bench::new("gpt2", &[crate::common::NURSE]);
        b.script(&format!("run\n{edit}"));
        let baseline_of = |b: &mut Bench| -> f64 {
            let title = b.table(&format!("attr ig -at {at} -baseline pad -target logit(5) -steps 4")).title;
            let line = title.lines().find(|line| line.contains("(baseline)")).unwrap().to_string();
            line.split(" - ").nth(1).unwrap().split(" (").next().unwrap().parse().unwrap()
        };
        let told = baseline_of(&mut b);
        // The same by hand: the tokens of the prompt are exchanged, the edit stays.
        let filler = {
            let model = &b.console.session.run.model;
            model.special.filler(model.spec.vocab)
        };
        for pos in 0..8 {
            b.run(&format!("set tokens[{pos}] = {filler}"));
        }
        b.run("run");
        let wanted = b.number("logit(5)");
        assert!((told - wanted).abs() < 1e-4, "{edit}: {told} {wanted}");
        let mut plain = Bench::new("gpt2", &[crate::common::NURSE]);
        plain.run("run");
        assert!((baseline_of(&mut plain) - told).abs() > 1e-3, "{edit} makes no difference");
    }
}
