//! Promise: with `--dtype f16` weights and values take half the memory, each op is right to half a unit in the last place of a
//! half, and everything that is computed from them works as it does in 32 bits.

use std::fs;
use std::path::Path;

use llmdbg::model::{Input, Model, ModelSource, load, load_in};
use llmdbg::program::execute;
use llmdbg::tensor::{Device, Kind, Precision, Value};

use crate::bisection::halved;
use crate::common::{Bench, NURSE, batch, ex, vulkan};
use crate::parity::fixture;

fn held(name: &str, device: &Device) -> Bench {
    let model = load_in(&ModelSource::Path(fixture(name)), device, Precision::F16).unwrap();
    let input = Input::from_texts(&model, &[NURSE], true).unwrap();
    Bench::of(name, model, input, 1 << 30)
}

/// The same weights, rounded in the file and widened by the loader.
fn rounded(name: &str, folder: &Path) -> Model {
    let copy = folder.join(name);
    fs::create_dir_all(&copy).unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let weights = copy.join("model.safetensors");
    fs::write(&weights, halved(&fs::read(&weights).unwrap())).unwrap();
    load(&ModelSource::Path(copy), &Device::cpu()).unwrap()
}

/// Of a rounded number the error is at most 2^-11 of it, and below the smallest normal half 2^-25; the sum that was rounded may be
/// 5e-5 off in another order.
fn near(found: f32, exact: f32) -> bool {
    let allowed = f64::from(exact).abs() * (f64::from(2.0f32.powi(-11)) + 5e-5) + 5e-5;
    found == exact || f64::from(found - exact).abs() <= allowed
}

#[test]
fn each_op_is_the_one_in_32_bits_rounded_once() {
    let folder = tempfile::tempdir().unwrap();
    let families =
        ["gpt2", "llama", "gemma2", "bloom", "phi", "qwen3_moe", "bert-mlm", "modernbert", "olmo2", "falcon"];
    for device in [Device::cpu(), vulkan()] {
        for name in families {
            let exact = rounded(name, folder.path());
            let mut half = held(name, &device);
            half.run("run");
            let run = &mut half.console.session.run;
            let (program, weights) = (run.program.clone(), &exact.weights);
            let input = run.branch().prompt();
            let cpu = Device::cpu();
            let context = llmdbg::program::Context::new(&exact.spec, &input, 0..input.length(), &(&cpu).into());
            for (number, op) in program.ops.iter().enumerate() {
                let mut wide = |op: usize| {
                    let value = run.value(op).unwrap();
                    match value.kind() {
                        Kind::Float => Value::from_f32(value.read_f32().unwrap(), value.shape(), &cpu),
                        _ => Value::from_i64(value.read_i64().unwrap(), value.shape(), &cpu),
                    }
                };
                let inputs: Vec<Value> = op.inputs.iter().map(|&input| wide(input)).collect();
                let found = wide(number).read_f32().unwrap();
                let wanted = execute(op, &inputs, weights, &context).unwrap().read_f32().unwrap();
                let off = found.iter().zip(&wanted).find(|(found, wanted)| !near(**found, **wanted));
                assert_eq!(off, None, "{name}: {}", op.site);
                let value = run.value(number).unwrap();
                let kind = if value.kind() == Kind::Float { "f16" } else { "i64" };
                assert_eq!(value.dtype_name(), kind, "{name}: {}", op.site);
            }
        }
    }
}

#[test]
fn weights_and_recordings_take_half_the_memory() {
    let device = Device::cpu();
    let (mut full, mut half) = (Bench::new("llama", &[NURSE]), held("llama", &device));
    let model = |bench: &Bench| bench.console.session.run.model.report.bytes;
    assert_eq!(model(&full), 2 * model(&half));
    let recorded = |bench: &mut Bench| {
        bench.run("run");
        bench.run("generate 3");
        let run = &mut bench.console.session.run;
        let tokens: u64 = (0..run.branch().passes()).map(|pass| run.branch().span(pass).len() as u64 * 8).sum();
        run.branch().status().bytes - tokens
    };
    assert_eq!(recorded(&mut full), 2 * recorded(&mut half));
    for (bench, held) in [(&mut full, "f32"), (&mut half, "f16")] {
        let shown = bench.console.snapshot().dimensions.clone();
        assert!(shown.ends_with(held), "the status line says {shown}");
    }
    assert!(
        half.text("info model").contains("held in f16, as all values are; each op is computed in f32 and rounded once")
    );
}

#[test]
fn edits_branches_and_the_cache_hold_what_fits_in_16_bits() {
    for device in [Device::cpu(), vulkan()] {
        let mut bench = held("gpt2", &device);
        bench.script("run\ngenerate 4\ncheck cache\ncheck determinism");
        let mut bench = held("gpt2", &device);
        bench.script("run\nset L1.resid_pre[0,0] = 0.1");
        // The half nearest to 0.1.
        assert_eq!(bench.number("L1.resid_pre[0,0]"), 0.099_975_585_937_5);
        bench.run("set param(\"L0.mlp.b_in\")[0] = 0.1");
        assert_eq!(bench.number("param(\"L0.mlp.b_in\")[0]"), 0.099_975_585_937_5);
        bench.run("set param(\"L1.mlp.W_in\") *= 3");
        assert!(
            bench.text("print param(\"L1.mlp.W_in\")").contains("= f16["),
            "an edited weight is held as the others are"
        );
        bench.run("set L0.mlp.pre[0,1] = 70000");
        assert_eq!(bench.number("L0.mlp.pre[0,1]"), f64::INFINITY, "a half is at most 65504");
        bench.script("undo\ngenerate 4");
        bench.script("set kv(0, k)[pos=1] = 0.1\ntoken");
        assert_eq!(bench.number("max(kv(0, k)[pos=1])"), 0.099_975_585_937_5);
        let recorded = bench.everything();
        bench.run("set record-budget 20KiB");
        bench.run("token");
        let status = bench.console.session.run.branch().status();
        assert!(status.kept < status.computed, "{status:?}");
        assert_eq!(bench.everything()[..recorded.len()], recorded, "what is computed again has the same bits");
    }
}

#[test]
fn gradients_and_attribution_are_those_of_32_bits_nearly() {
    for (name, target) in [("gpt2", "logits[-1, 7]"), ("llama", "logits[-1, 7]"), ("bert-seqcls", "logits[0]")] {
        let (mut full, mut half) = (Bench::new(name, &[NURSE]), held(name, &Device::cpu()));
        let of = |bench: &mut Bench| {
            bench.run("run");
            bench.run(&format!("backward {target}"));
            let gradient = bench.numbers("grad(L0.resid_pre)");
            bench.run(&format!("attr ig -target {target} -steps 20"));
            (gradient, bench.number(&format!("{target} + 0")))
        };
        let (wanted, number) = of(&mut full);
        let (found, rounded) = of(&mut half);
        let norm = wanted.iter().map(|x| x * x).sum::<f64>().sqrt();
        let off = wanted.iter().zip(&found).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        // The points where derivatives are taken are 2^-11 off at each of some dozen ops.
        assert!(off <= 2e-2 * norm, "{name}: {off} of {norm}");
        assert!((number - rounded).abs() <= 2e-2 * (1.0 + number.abs()), "{name}: {rounded}, not {number}");
    }
}

#[test]
fn a_run_in_f16_beside_one_in_f32_is_named_rounding() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["gpt2", "llama", "opt", "gemma2", "bloom", "phi3"] {
        let mut half = held(name, &Device::cpu());
        let file = folder.path().join(format!("{name}.safetensors"));
        half.script(&format!("run\nsave activations {}", file.display()));
        let mut full = Bench::new(name, &[NURSE]);
        full.run("run");
        let table = full.table(&format!("bisect {} -fail", file.display()));
        assert!(table.title.contains("nothing is introduced beyond rounding"), "{name}: {}", table.title);
    }
}

#[test]
fn what_the_option_takes_and_what_a_weight_loses_is_said() {
    let ran = batch(
        "gpt2-f16",
        &[
            &["--dtype", "f16"],
            &ex(&["info model", "print/r param(\"ln_final.w\")[0]", "print/x param(\"ln_final.w\")[0]"])[..],
        ]
        .concat(),
    );
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(!ran.out.contains("rounded from"), "halves in the file stay as they are: {}", ran.out);
    let last: Vec<&str> = ran.out.lines().rev().take(2).collect();
    let word = |line: &str| line.rsplit(' ').next().unwrap().to_string();
    let number: f64 = word(last[1]).parse().unwrap();
    assert_eq!(word(last[0]), format!("0x{:04x}", half::f16::from_f64(number).to_bits()), "{last:?}");
    let ran = batch("gpt2", &["--dtype", "bf16"]);
    assert!(ran.status == 2 && ran.err.contains("use f32 or f16"), "{}", ran.err);
    let folder = tempfile::tempdir().unwrap();
    let mut big = Bench::new("gpt2", &[NURSE]);
    big.run("set param(\"L1.mlp.W_in\")[0,0] = 1e6");
    let path = folder.path().join("big");
    big.run(&format!("export model {}", path.display()));
    let model = load_in(&ModelSource::Path(path), &Device::cpu(), Precision::F16).unwrap();
    let note =
        "1 tensors have numbers beyond 65504, more than f16 can hold; the first is transformer.h.1.mlp.c_fc.weight";
    assert!(model.report.notes.iter().any(|found| found == note), "{:?}", model.report.notes);
}
