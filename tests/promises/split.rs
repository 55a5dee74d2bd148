//! Promises: blocks on several devices give what they give on one: each has the bits of its device, and motions, edits,
//! gradients and expressions work across the boundary as anywhere else.

use std::path::Path;
use std::process::Stdio;

use llmdbg::answer::Answer;
use llmdbg::model::Input;
use llmdbg::program::Kernel;
use llmdbg::tensor::{Device, bits};

use crate::common::{Bench, NURSE, Ran, ex, llmdbg_in, model, model_over, vulkan};
use crate::parity::fixture;

/// Every fixture that the tests of the single devices run.
fn fixtures() -> Vec<String> {
    let folders = std::fs::read_dir(fixture("")).unwrap();
    let mut names: Vec<String> = folders.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn tokens(vocab: usize) -> Vec<Vec<u32>> {
    vec![(0..9_u32).map(|i| (i * 7 + 3) % vocab as u32).collect()]
}

/// At the end of a pass, on devices as `--device` names them.
fn ran(name: &str, devices: &str) -> Bench {
    let model = model_over(name, devices);
    let input = Input::from_tokens(&model, tokens(model.spec.vocab)).unwrap();
    let mut bench = Bench::of(name, model, input, 1 << 30);
    bench.run("run");
    bench
}

/// The first op on the second device.
fn boundary(bench: &Bench) -> usize {
    let run = &bench.console.session.run;
    let first = run.device_of(0);
    (0..run.program.ops.len()).find(|op| run.device_of(*op) != first).expect("two devices")
}

#[test]
fn each_block_has_the_bits_of_its_device() {
    for name in fixtures() {
        for (devices, first, second) in [("vulkan,cpu", "vulkan", "cpu"), ("cpu,vulkan", "cpu", "vulkan")] {
            let mut split = ran(&name, devices);
            let found = split.everything();
            let at = boundary(&split);
            let site = split.console.session.run.program.ops[at].site.clone();
            assert!(site.ends_with(".resid_pre"), "{name}: the blocks part at {site}");
            for op in 0..found.len() {
                let value = split.console.session.run.value(op).unwrap();
                assert_eq!(value.device().is_cpu(), [first, second][usize::from(op >= at)] == "cpu", "{name} {op}");
            }

            let wanted = ran(&name, first).everything();
            assert_eq!(found[..at], wanted[..at], "{name}: before {site} on {first}");

            // The same inputs in a run on the second device alone: the other device's value at the boundary, and what blocks
            // read besides the stream (keys of earlier blocks, inputs of each layer).
            let program = split.console.session.run.program.clone();
            let read = |op: &usize| {
                let here = |reader: &&usize| **reader > at;
                program.readers(*op).iter().any(|reader| here(&reader))
                    && !matches!(program.ops[*op].kernel, Kernel::Tokens)
            };
            let across = (0..at).filter(read).map(|op| program.sites()[op].clone()).chain([site.clone()]);
            let given: Vec<String> = across.map(|site| format!("set {site} = {site}@first")).collect();
            split.run(&format!("load {} as alone -device {second}", fixture(&name).display()));
            split.script(&format!("use alone\nrun\n{}", given.join("\n")));
            let wanted = split.everything();
            let sites = split.console.session.run.program.sites();
            let other: Vec<&String> =
                (at..found.len()).filter(|&op| found[op] != wanted[op]).map(|op| &sites[op]).collect();
            assert!(other.is_empty(), "{name}: on {second}, with other bits: {other:?}");
        }
    }
}

#[test]
fn one_adapter_twice_is_the_adapter() {
    for (name, devices) in [("gpt2", "vulkan"), ("albert", "vulkan"), ("gpt2-f16", "cpu"), ("mixtral", "cpu")] {
        let mut twice = ran(name, &format!("{devices},{devices}"));
        assert_eq!(twice.everything(), ran(name, devices).everything(), "{name}");
    }
}

#[test]
fn recording_less_costs_no_bits_across_the_boundary() {
    for name in ["gpt2", "llama"] {
        let wanted = {
            let mut bench = Bench::over(name, &[NURSE], "vulkan,cpu", 1 << 30);
            bench.script("run\ngenerate 3");
            bench.everything()
        };
        let mut bench = Bench::over(name, &[NURSE], "vulkan,cpu", 20 << 10);
        bench.script("run\ngenerate 3");
        assert!(bench.everything() == wanted, "{name}");
        bench.script("set record-budget 10KiB\nreverse-continue\nuntil L1.mlp.pre\ncontinue");
        assert!(bench.everything() == wanted, "{name}, back and forth");
    }
}

#[test]
fn going_back_and_forth_over_the_boundary_meets_the_same_bits() {
    let mut bench = Bench::over("gpt2", &[NURSE], "vulkan,cpu", 1 << 30);
    bench.run("run");
    let wanted = bench.everything();
    let here = |bench: &mut Bench| {
        let op = bench.cursor() - 1;
        (op, bits(&bench.console.session.run.value(op).unwrap()).unwrap())
    };
    let at = boundary(&bench);
    bench.run("goto L1.ln1.out");
    while bench.cursor() > at - 2 {
        let (op, found) = here(&mut bench);
        assert_eq!(found, wanted[op], "op {op}, going back");
        bench.run("reverse-step");
    }
    for _ in 0..6 {
        bench.run("step");
        let (op, found) = here(&mut bench);
        assert_eq!(found, wanted[op], "op {op}, going forward");
    }
    bench.run("break L1.resid_pre if max(abs($ - L0.resid_post)) == 0");
    assert_eq!(bench.stop("reverse-continue").op, bench.stop("run").op);
}

#[test]
fn edits_on_either_side_are_those_of_a_fresh_session_and_can_be_undone() {
    let edits = [
        "ablate L0H1",
        "ablate L1H0 mean",
        "set L0.resid_post *= 1.5",
        "set L1.resid_pre = L0.resid_pre",
        "set L0.attn.z[head=0] = L1.attn.z@main[head=1]",
        "set param(\"L1.mlp.W_in\")[3] = L0.ln1.out[1, 0]",
        "set param(\"W_E\")[275] *= 2",
        "set param(\"W_U\")[:, 5] = param(\"W_E\")[7]",
        "steer L0.resid_post 0.5",
        "set tokens[1] = 300",
    ];
    for edit in edits {
        let mut bench = Bench::over("gpt2", &[NURSE], "vulkan,cpu", 1 << 30);
        bench.run("run");
        let before = bench.everything();
        bench.run(edit);
        let edited = bench.everything();
        assert_ne!(edited, before, "{edit}");
        let made = bench.console.session.run.branch().edits.clone();
        let mut fresh = Bench::over("gpt2", &[NURSE], "vulkan,cpu", 1 << 30);
        made.into_iter().for_each(|edit| _ = fresh.console.session.run.edit(vec![edit]).unwrap());
        fresh.run("run");
        assert_eq!(edited, fresh.everything(), "{edit}");
        bench.run("undo");
        assert_eq!(bench.everything(), before, "{edit}, undone");
    }
}

/// Blocks that share weights use them on both devices, edited or not.
#[test]
fn an_edit_of_shared_weights_counts_on_both_devices() {
    let mut split = ran("albert", "vulkan,cpu");
    let mut whole = ran("albert", "cpu");
    for bench in [&mut split, &mut whole] {
        bench.script("set param(\"L0.mlp.W_in\")[2] = 0.25\nset param(\"W_E\")[3] *= 3");
    }
    let last = split.console.session.run.program.n_layers() - 1;
    for site in ["L0.mlp.pre".to_string(), format!("L{last}.mlp.pre"), "logits".to_string()] {
        close(&site, &split.numbers(&site), &whole.numbers(&site));
    }
}

/// Within what two kinds of device differ by.
fn close(what: &str, found: &[f64], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (found, wanted) in found.iter().zip(wanted) {
        let fits = found == wanted || (found - wanted).abs() < 2e-4 * (1.0 + wanted.abs());
        assert!(fits, "{what}: {found} for {wanted}");
    }
}

#[test]
fn expressions_take_values_of_both_devices() {
    let mut split = Bench::over("gpt2", &[NURSE], "vulkan,cpu", 1 << 30);
    let mut whole = Bench::new("gpt2", &[NURSE]);
    split.run("run");
    whole.run("run");
    for expr in [
        "L1.resid_post - L0.resid_post",
        "L0.resid_post - L1.resid_post",
        "max(abs(L1.resid_pre - L0.resid_post))",
        "L0.resid_pre[pos=1] * L1.resid_post[pos=2] + 1",
        "where(L0.resid_pre > 0, L1.resid_pre, L1.resid_post)",
        "where(L1.resid_pre > 0, L0.resid_pre, L1.resid_post)",
        "concat(L0.attn.z, L1.attn.z)",
        "cos(L0.resid_post, L1.resid_post)",
        "dot(L1.resid_post[pos=0], L0.resid_pre[pos=0])",
        "kl(softmax(lens(L0.resid_post)), softmax(logits))",
        "sum(L0.ln1.out[:, 0] * L1.ln1.out[:, 1])",
        "lens(L0.resid_mid)",
        "param(\"W_E\")[3] - transpose(param(\"W_U\"))[3]",
        "tokens + L1.mlp.post[:, 0]",
    ] {
        let (found, wanted) = (split.value(expr), whole.value(expr));
        assert_eq!(found.0, wanted.0, "{expr}");
        close(expr, &found.1, &wanted.1);
    }
    assert_eq!(split.number("max(abs(L1.resid_pre - L0.resid_post))"), 0.0);
    // The left one says where the result is.
    assert!(split.text("whatis L0.resid_post - L1.resid_post").contains(vulkan().name()));
    assert!(split.text("whatis L1.resid_post - L0.resid_post").contains(" on cpu,"));
}

/// Gradients of weights at the boundary, and of those that blocks on both devices share.
#[test]
fn gradients_of_weights_come_from_both_devices() {
    for (name, weights) in [
        ("bert-seqcls", &["L0.ln2.w", "L1.ln2.b", "W_E", "classifier.W"][..]),
        ("albert", &["L0.mlp.W_in", "L0.attn.W_Q", "embed_proj.W", "W_E"]),
        ("gpt2", &["L0.mlp.b_out", "L1.attn.W_Q", "W_E", "W_U", "ln_final.w"]),
    ] {
        let (mut split, mut whole) = (ran(name, "vulkan,cpu"), ran(name, "cpu"));
        for bench in [&mut split, &mut whole] {
            bench.run("backward sum(logits[0])");
        }
        for weight in weights {
            let expr = format!("grad(param(\"{weight}\"))");
            close(&format!("{name} {expr}"), &split.numbers(&expr), &whole.numbers(&expr));
        }
    }
}

/// What analyses find is what they find on one device, as far as the devices agree.
#[test]
fn analyses_work_across_the_boundary() {
    let mut split = Bench::over("gpt2", &[NURSE], "vulkan,cpu", 1 << 30);
    let mut whole = Bench::new("gpt2", &[NURSE]);
    split.run("run");
    whole.run("run");
    for line in [
        "lens",
        "lens -mid -grid",
        "lens -map",
        "dla",
        "dla -by neuron",
        "layers",
        "layers mean(mlp.post)",
        "attr rollout",
        "attr heads -target logit(5)",
        "attr neurons -target logit(5)",
        "attr featureablation -target logit(5)",
        "circuits",
        "explain",
        "heads",
        "heads -repeated 5",
        "activations",
        "patch sweep -from zero -metric logit(5)",
        "patch zero -metric logit(5) -site attn.z -over head -both",
        "backward -step logit(5)",
        "step 3",
        "backward -leave",
        "selftest",
        "check determinism",
        "check inert",
        "diagnose -deep -device",
        "info record",
        "info weights",
    ] {
        let failed = |answer: Answer| match answer {
            Answer::Error(error) => Some(error.message),
            _ => None,
        };
        let (here, there) = (failed(whole.outcome(line).answer), failed(split.outcome(line).answer));
        assert_eq!(there, here, "{line}");
        assert_eq!(here, None, "{line}");
    }
    for line in ["attr ig -target logit(5) -at L0.resid_post", "attr ig -target logit(5)", "attr lrp -target logit(5)"]
    {
        split.run(line);
        whole.run(line);
        close(line, &split.numbers("$"), &whole.numbers("$"));
    }
}

#[test]
fn models_are_loaded_onto_the_same_devices_and_adapters_onto_those_of_their_weights() {
    let mut bench = Bench::over("gpt2", &[NURSE], "vulkan,cpu", 1 << 30);
    bench.run("run");
    let (wanted, both) = (bench.everything(), format!("{} and cpu", vulkan().name()));
    let said = bench.text(&format!("load {} as other", fixture("gpt2").display()));
    assert!(said.contains(&format!("on {both}")), "{said}");
    bench.script("use other\nrun");
    assert_eq!(bench.everything(), wanted);
    let said = bench.text("diff first");
    bench.run(&format!("load {} as alone -device cpu", fixture("gpt2").display()));
    let compared = bench.text("bisect alone");
    assert!(said.contains("same bits") || !compared.is_empty(), "{said} {compared}");
    assert!(bench.text("info models").contains(&both));
    let lora = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lora/gpt2");
    let adapted = |bench: &mut Bench| {
        bench.script(&format!("run\nlora load {}", lora.display()));
        bench.numbers("logits")
    };
    let wanted = adapted(&mut Bench::new("gpt2", &[NURSE]));
    close("logits", &adapted(&mut bench), &wanted);
}

#[test]
fn a_batch_in_sixteen_bits_is_split_too() {
    let texts = [NURSE, "the king"];
    let split = llmdbg::model::Devices::open(&"cpu,vulkan".parse().unwrap(), Some(&[1, 1])).unwrap();
    let half = llmdbg::tensor::Precision::F16;
    let source = llmdbg::model::ModelSource::Path(fixture("llama"));
    let loaded = llmdbg::model::load_within(&source, &split, half, &llmdbg::model::WeightCache::unlimited()).unwrap();
    let input = Input::from_texts(&loaded, &texts, true).unwrap();
    let mut bench = Bench::of("llama", loaded, input, 1 << 30);
    bench.script("run\ngenerate 2");
    let alone = llmdbg::model::load_in(&source, &Device::cpu(), half).unwrap();
    let input = Input::from_texts(&alone, &texts, true).unwrap();
    let mut whole = Bench::of("llama", alone, input, 1 << 30);
    whole.script("run\ngenerate 2");
    let at = boundary(&bench);
    assert_eq!(bench.everything()[..at], whole.everything()[..at]);
    let (found, wanted) = (bench.numbers("logits"), whole.numbers("logits"));
    assert!(found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 0.05), "{found:?} {wanted:?}");
}

fn program(arguments: &[&str], commands: &[&str]) -> Ran {
    let path = fixture("gpt2");
    let mut all = vec!["-batch", "-nx", path.to_str().unwrap(), "-p", NURSE];
    all.extend(arguments);
    all.extend(ex(commands));
    llmdbg_in(Path::new("."), &all, Stdio::null())
}

#[test]
fn the_command_line_names_devices_and_shares_and_refuses_by_name() {
    let name = vulkan().name().to_owned();
    let ran = program(&["--device", "vulkan,cpu"], &["info model"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let shares = format!("embeddings, block 0 on {name}; block 1, head on cpu");
    assert!(ran.out.contains(&shares) && ran.out.contains("device: cpu (asked for)"), "{}", ran.out);
    let ran = program(&["--device", "vulkan,cpu", "--split", "0,2"], &["info model", "run", "whatis L0.attn.z"]);
    assert!(ran.out.contains(&format!("embeddings on {name}; blocks 0-1, head on cpu")), "{}", ran.out);
    assert!(ran.out.contains(" on cpu,"), "{}", ran.out);
    for (arguments, wanted) in [
        (&["--device", "vulkan,cpu", "--split", "1,2"][..], "--split 1,2 does not add up to the 2 blocks of the model"),
        (&["--device", "cpu", "--split", "1,1"], "--split 1,1 has 2 numbers, and --device cpu names 1 devices"),
        (&["--device", "cpu,cpu,vulkan"], "3 devices are more than the 2 blocks of the model: name fewer"),
        (&["--device", "auto,cpu"], "auto chooses one device: of several, name each, as in gpu:0,gpu:1"),
        (&["--device", "cpu,tpu"], "unknown device \"tpu\""),
        (&["--device", "cpu,vulkan", "--split", "1,x"], "\"x\" is not a number of blocks: give one for each device"),
    ] {
        let ran = program(arguments, &["run"]);
        assert!(ran.status != 0 && ran.err.contains(wanted), "{arguments:?}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn a_weight_budget_is_for_the_memory_of_the_cpu() {
    let path = fixture("gpt2");
    let largest = model("gpt2", &Device::cpu()).weights.store().sizes().map(|(.., bytes)| bytes).max().unwrap();
    let split = llmdbg_in(
        Path::new("."),
        &["-batch", "-nx", "--device", "vulkan,cpu", path.to_str().unwrap(), "-ex", "run", "-ex", "info model"],
        Stdio::null(),
    );
    assert!(split.out.contains("weights in memory: ") && split.out.contains(" of a budget of "), "{}", split.out);
    let tight =
        program(&["--device", "cpu,vulkan", "--weight-budget", &largest.to_string()], &["run", "output/r logits"]);
    let free = program(&["--device", "cpu,vulkan"], &["run", "output/r logits"]);
    assert_eq!((tight.status, free.status), (0, 0), "{}", tight.err);
    assert_eq!(tight.out, free.out);
}
