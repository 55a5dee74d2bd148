//! Promises: gradients are those of PyTorch at every site, edits are part of the function, and what has no gradient is told.

use std::path::{Path, PathBuf};

use llmdbg::tensor::Device;
use safetensors::SafeTensors;
use serde_json::Value as Json;

use crate::common::{Bench, batch, ex, model};

pub const MODELS: [&str; 4] = ["bert-seqcls", "distilbert-seqcls", "gpt2", "llama"];

/// What captum and PyTorch found for a model, and the tensors beside it.
pub fn recorded(name: &str) -> (Json, Vec<u8>) {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/attribution");
    let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    let bytes = std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap();
    (serde_json::from_str(&text).unwrap(), bytes)
}

/// The elements of a recorded tensor.
pub fn numbers_of(tensors: &SafeTensors<'_>, name: &str) -> Vec<f64> {
    let view = tensors.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    match view.dtype() {
        safetensors::Dtype::F32 => {
            view.data().chunks(4).map(|x| f64::from(f32::from_le_bytes(x.try_into().unwrap()))).collect()
        }
        safetensors::Dtype::I64 => {
            view.data().chunks(8).map(|x| i64::from_le_bytes(x.try_into().unwrap()) as f64).collect()
        }
        other => panic!("{name} is {other:?}"),
    }
}

/// A session at the end of the pass over a recorded prompt.
pub fn ran(name: &str, prompt: &Json, device: &Device) -> Bench {
    let mut b = Bench::on(name, &[prompt["text"].as_str().unwrap()], device, u64::MAX);
    b.run("run");
    b
}

/// The largest `|a - b| / (1 + |b|)`.
pub fn furthest(found: &[f64], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    found.iter().zip(wanted).map(|(a, b)| (a - b).abs() / (1.0 + b.abs())).fold(0.0, f64::max)
}

#[allow(clippy::print_stdout, reason = "the distances are worth seeing")]
fn compare(name: &str, devices: &str, way: &str, tolerance: f64) {
    let (recorded, bytes) = recorded(name);
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    for (i, prompt) in recorded["prompts"].as_array().unwrap().iter().enumerate() {
        let mut b = Bench::over(name, &[prompt["text"].as_str().unwrap()], devices, u64::MAX);
        b.run("run");
        let target = prompt["target"]["index"].as_u64().unwrap();
        let told = b.text(&format!("backward {way}logit({target})"));
        let logit = prompt["target"]["logit"].as_f64().unwrap();
        let first = told.lines().next().unwrap().strip_prefix(&format!("logit({target}) = ")).unwrap().to_string();
        assert!((first.parse::<f64>().unwrap() - logit).abs() < 1e-4, "{told} {logit}");
        let sites = prompt["gradients"].as_array().unwrap();
        assert!(sites.len() > 30, "{name}: {} sites", sites.len());
        let mut worst = (0.0, String::new());
        for site in sites {
            let site = site.as_str().unwrap();
            let wanted = numbers_of(&tensors, &format!("p{i}/grad/{site}"));
            // A target of one position is recorded as a vector.
            let found = b.numbers(&format!("grad({site})"));
            let found = match found.len() == wanted.len() {
                true => found,
                false => found[found.len() - wanted.len()..].to_vec(),
            };
            let distance = furthest(&found, &wanted);
            if distance > worst.0 {
                worst = (distance, site.to_string());
            }
        }
        println!("{name} p{i}: {} sites, worst {:e} at {}", sites.len(), worst.0, worst.1);
        assert!(worst.0 < tolerance, "{name} p{i}: {worst:?}");
    }
}

/// The floor of one forward pass (5e-5): the same arithmetic in f32, in another order.
#[test]
fn gradients_are_those_of_pytorch_at_every_site() {
    MODELS.iter().for_each(|name| compare(name, "cpu", "", 5e-5));
}

/// The shaders have their own exponential: the floor of a forward pass through wgpu.
#[test]
fn gradients_are_those_of_pytorch_through_wgpu() {
    compare("bert-seqcls", "vulkan", "", 1e-4);
    compare("gpt2", "vulkan", "", 1e-4);
}

/// Back over the boundary, piece by piece and on one tape.
#[test]
fn gradients_are_those_of_pytorch_over_two_devices() {
    for name in MODELS {
        for devices in ["vulkan,cpu", "cpu,vulkan"] {
            compare(name, devices, "", 1e-4);
        }
        compare(name, "vulkan,cpu", "-all-at-once ", 1e-4);
    }
}

/// Central differences in f32: the error of the difference is about the rounding of the logits over the step.
#[test]
fn gradients_of_any_number_are_its_differences() {
    for (name, target, site) in [
        ("gpt2", "logit(5) - 2 * logprob(7)", "L0.attn.z[2, 1, 0]"),
        ("gpt2", "loss", "L1.mlp.post[1, 3]"),
        ("gpt2", "sum(square(L1.resid_mid[pos=-1]))", "L0.resid_post[-1, 4]"),
        ("gpt2", "norm(lens(L0.resid_post[pos=-1]))", "L0.mlp.pre[-1, 2]"),
        ("llama", "max(L1.attn.pattern[head=0, q=-1])", "L1.attn.q[-1, 0, 1]"),
        ("llama", "entropy(L1.attn.pattern)[1, -1]", "L0.resid_post[1, 1]"),
        ("mixtral", "logit(3)", "L0.mlp.router[-1, 0]"),
        ("bert-mlm", "logprob(9)", "L0.ln1.scale[0, 0]"),
    ] {
        let mut b = Bench::new(name, &["The king said that"]);
        b.run("run");
        let target = match name {
            "gpt2" => target.replace("square(L1.resid_mid[pos=-1])", "L1.resid_mid[pos=-1] * L1.resid_mid[pos=-1]"),
            _ => target.to_string(),
        };
        b.run(&format!("backward {target}"));
        let (path, index) = site.split_once('[').unwrap();
        let gradient = b.number(&format!("grad({path})[{index}"));
        let h = 0.02;
        let mut moved = |by: f64| {
            b.run(&format!("set {site} += {by}"));
            let number = b.number(&target);
            b.run("undo");
            number
        };
        let (up, down) = (moved(h), moved(-h));
        let difference = (up - down) / (2.0 * h);
        let close = (difference - gradient).abs() < 2e-3 * (1.0 + gradient.abs());
        assert!(close, "{name}: d {target} / d {site}: {gradient}, differences {difference}");
    }
}

#[test]
fn gradients_of_weights_are_differences_too() {
    let mut b = Bench::new("gpt2", &["The king said that"]);
    b.run("run");
    b.run("backward loss");
    for weight in ["L0.mlp.W_in\")[3, 5]", "L1.attn.W_Q\")[1, 2, 3]", "L0.ln1.w\")[4]", "W_U\")[5, 8]", "W_E\")[83, 2]"]
    {
        let (name, index) = weight.split_once("\")").unwrap();
        let Some(gradient) = Some(b.number(&format!("grad(param(\"{name}\")){index}"))) else { continue };
        let mut moved = |by: f64| {
            b.run(&format!("set param(\"{name}\"){index} += {by}"));
            b.run("run");
            let number = b.number("loss");
            b.run("undo");
            b.run("run");
            number
        };
        let (up, down) = (moved(0.01), moved(-0.01));
        let difference = (up - down) / 0.02;
        assert!((difference - gradient).abs() < 1e-3 * (1.0 + gradient.abs()), "{weight}: {gradient} {difference}");
        b.run("backward loss");
    }
}

#[test]
fn edits_in_force_are_part_of_the_function() {
    let mut b = Bench::new("gpt2", &["The king said that"]);
    b.run("run");
    b.run("ablate L0H1");
    b.run("backward logit(5)");
    // What was replaced no longer counts; what flows around it does.
    assert!(b.numbers("grad(L0.attn.pattern)[head=1]").iter().all(|x| *x == 0.0));
    assert!(b.number("norm(grad(L0.attn.pattern)[head=0])") > 0.0);
    b.run("undo");
    b.run("set L0.attn.z[head=1] *= 3");
    b.run("backward logit(5)");
    let tripled = b.numbers("grad(L0.attn.v)[head=1]");
    let behind = b.numbers("grad(L0.attn.z)[head=1]");
    b.run("undo");
    b.run("ablate L0H1 mean");
    b.run("backward logit(5)");
    // A mean passes its share to every position.
    assert!(b.number("norm(grad(L0.attn.pattern)[head=1])") > 0.0);
    assert!(tripled.iter().any(|x| *x != 0.0) && behind.iter().any(|x| *x != 0.0));
}

#[test]
fn what_has_no_gradient_is_told() {
    let mut b = Bench::new("gpt2", &["The king said that"]);
    assert!(b.fail("backward loss").contains("has not been computed"));
    b.run("run");
    assert!(b.fail("print grad(L0.attn.z)").contains("\"backward EXPR\" takes them"));
    assert!(b.fail("backward").contains("expected a number"));
    assert!(b.fail("backward logits[-1]").contains("a gradient is taken of one number"));
    assert!(b.fail("backward 3 + 4").contains("does not depend on any value of the pass"));
    assert!(b.fail("backward rank(5)").contains("has no gradient"));
    b.run("backward logit(5)");
    assert!(b.fail("print grad(tokens)").contains("whole numbers"));
    assert!(b.fail("print grad(param(\"L0.mlp.W_nothing\"))").contains("no weight"));
    // Values that come after what was asked for do not matter to it.
    b.run("backward sum(L0.resid_post)");
    assert_eq!(b.number("absmax(grad(L1.attn.z))"), 0.0);
    b.run("set L0.attn.z[0] = 0");
    assert!(b.fail("print grad(L0.attn.z)").contains("\"backward sum(L0.resid_post)\" takes them again"));
}

#[test]
fn gradients_are_listed_saved_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("g.safetensors");
    let save = format!("save gradients {}", file.display());
    let commands = ["run", "backward loss", "info gradients", "print/h grad(L1.attn.pattern)[head=0]", &save];
    let ran = batch("gpt2", &[&["-p", "The king said that"][..], &ex(&commands)].concat());
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.out.contains("Gradient of loss = ") && ran.out.contains("blocks.1.resid_post"), "{}", ran.out);
    let bytes = std::fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    assert!(tensors.tensor("blocks.0.attn.pattern").is_ok() && tensors.tensor("tokens").is_err());
    let mut b = Bench::new("gpt2", &["The king said that"]);
    b.run("run");
    b.run("backward loss");
    assert_eq!(numbers_of(&tensors, "blocks.1.mlp.post"), b.numbers("grad(L1.mlp.post)"));
}

#[test]
fn gradients_end_at_the_cache_of_earlier_passes_and_that_is_said() {
    let mut b = Bench::new("gpt2", &["The king said that"]);
    b.run("run");
    b.run("generate 2");
    let told = b.text("backward logit(5)");
    assert!(told.contains("Gradients end at the key/value cache of earlier passes"), "{told}");
    assert_eq!(b.value("grad(L0.attn.k)").0, b.value("L0.attn.k").0);
    assert!(b.number("norm(grad(L0.attn.k))") > 0.0);
}

#[test]
fn a_small_record_budget_changes_no_gradient() {
    let text = ["The king said that"];
    let mut whole = Bench::new("gpt2", &text);
    let device = Device::cpu();
    let made = model("gpt2", &device);
    drop(made);
    let mut small = Bench::on("gpt2", &text, &device, 1 << 10);
    for b in [&mut whole, &mut small] {
        b.run("run");
        b.run("backward logit(5) - logit(6)");
    }
    for site in ["embed", "L0.attn.scores", "L1.mlp.post", "ln_final.scale"] {
        assert_eq!(whole.bits(&format!("grad({site})")), small.bits(&format!("grad({site})")), "{site}");
    }
}

#[test]
fn the_value_pane_shows_gradients_when_asked() {
    use llmdbg::answer::view::{PanelContent, PanelRequest, PanelView};
    let mut b = Bench::new("gpt2", &["The king said that"]);
    b.run("run");
    let op = b.console.session.run.program.op_of("blocks.1.attn.pattern").unwrap();
    let request = PanelRequest { op, cells: (40, 40), view: PanelView::Auto, gradient: true, from: None };
    assert!(b.console.panel(&request).unwrap_err().message.contains("\"backward EXPR\" takes them"));
    b.run("backward logit(5)");
    let panel = b.console.panel(&request).unwrap();
    assert_eq!(panel.title, "grad L1.attn.pattern head 0");
    let PanelContent::Heat { map, .. } = panel.content else { panic!("no map") };
    assert_eq!(map.data, b.numbers("grad(L1.attn.pattern)[head=0]"));
}
