//! Promise: a mistake is answered with what is wrong, where, and what to do; with the status that scripts count on; and with
//! neither a backtrace nor a half-done change.
//!
//! Statuses: 1 a command failed, 2 the command line is wrong by itself, 3 an assertion failed, 4 the model, its input or the
//! device failed.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

use crate::common::{NURSE, Ran, batch, llmdbg_in};
use crate::parity::fixture;

fn check(ran: &Ran, status: i32, message: &str) {
    assert_eq!(ran.err, message);
    assert_eq!(ran.status, status);
    assert!(!ran.err.contains("panicked") && !ran.err.contains("backtrace"));
}

/// Starts on `model` and expects `llmdbg: MESSAGE`, status 4 and nothing on the output.
fn cannot_open(model: &str, arguments: &[&str], message: &str) {
    let mut all = vec!["-batch", "-nx", "--device", "cpu", model, "-ex", "run"];
    all.extend(arguments);
    let ran = llmdbg_in(Path::new("."), &all, Stdio::null());
    check(&ran, 4, &format!("llmdbg: {message}\n"));
    assert_eq!(ran.out, "");
}

/// A copy of the gpt2 fixture, to break.
fn copy(folder: &Path) -> PathBuf {
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(fixture("gpt2").join(file), folder.join(file)).unwrap();
    }
    folder.to_path_buf()
}

/// Writes the tensors of the fixture again, changed.
fn rewrite(model: &Path, change: impl FnOnce(&mut Vec<(String, Dtype, Vec<usize>, Vec<u8>)>)) {
    let bytes = std::fs::read(model.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = file
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, view.dtype(), view.shape().to_vec(), view.data().to_vec()))
        .collect();
    change(&mut tensors);
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, data)| (name.clone(), TensorView::new(*dtype, shape.clone(), data).unwrap()));
    safetensors::serialize_to_file(views, None, &model.join("model.safetensors")).unwrap();
}

#[test]
fn a_model_that_is_not_there() {
    cannot_open(
        "/no/such/model",
        &[],
        "no model at \"/no/such/model\": no such file or directory; give a directory with config.json and \
         model.safetensors, a .safetensors, .gguf or .bin file, or the name of a model in the Hugging Face cache",
    );
    cannot_open(
        "org/name",
        &[],
        "\"org/name\" is neither a file or directory nor in the Hugging Face cache at /nonexistent/hub; \
         HF_HUB_OFFLINE=1 forbids downloading its configuration, tokenizer and weights from https://huggingface.co/org/name: \
         unset it, or set HF_HUB_CACHE to where the model is",
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    cannot_open(
        path,
        &[],
        &format!("no config.json in {path}; it names the architecture: copy it from where the weights come from"),
    );
}

#[test]
fn a_configuration_that_cannot_be_understood() {
    let folder = tempfile::tempdir().unwrap();
    let model = copy(folder.path());
    let (path, config) = (model.to_str().unwrap(), model.join("config.json"));
    let mut json: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    json["model_type"] = "rwkv".into();
    std::fs::write(&config, json.to_string()).unwrap();
    let listed = "\"llmdbg models\" lists what is";
    let said = format!("model_type \"rwkv\" is not supported: it is a recurrent network; {listed}");
    cannot_open(path, &[], &format!("{path}/config.json: {said}"));
    json["model_type"] = "abacus".into();
    std::fs::write(&config, json.to_string()).unwrap();
    let said = format!("model_type \"abacus\" is not supported: llmdbg does not know this architecture; {listed}");
    cannot_open(path, &[], &format!("{path}/config.json: {said}"));
    std::fs::write(&config, "{").unwrap();
    let said = "is not valid JSON: line 1, column 1: EOF while parsing an object; get the file again";
    cannot_open(path, &[], &format!("{path}/config.json {said}"));
}

#[test]
fn weights_that_are_cut_off_or_no_weights() {
    let folder = tempfile::tempdir().unwrap();
    let model = copy(folder.path());
    let (path, file) = (model.to_str().unwrap(), model.join("model.safetensors"));
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let said = "is truncated: tensor \"transformer.wte.weight\" takes bytes 110080..159232 of the data, the file has 78316; get it again";
    cannot_open(path, &[], &format!("{path}/model.safetensors {said}"));
    std::fs::write(&file, &bytes[..5]).unwrap();
    let said = "is truncated: 5 bytes, a safetensors file starts with 8 bytes of header length; get it again";
    cannot_open(path, &[], &format!("{path}/model.safetensors {said}"));
    let mut long = bytes.clone();
    long[..8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    std::fs::write(&file, &long).unwrap();
    let said = "is truncated or not a safetensors file: its header should be 1099511627776 bytes long, the file has 161832 bytes; get it again";
    cannot_open(path, &[], &format!("{path}/model.safetensors {said}"));
    std::fs::remove_file(&file).unwrap();
    let ran = batch(path, &["-ex", "run"]);
    assert_eq!(ran.status, 4);
    assert!(
        ran.err
            .starts_with(&format!("llmdbg: no model.safetensors, pytorch_model.bin or index of one of them in {path}"))
    );
}

#[test]
fn tensors_that_do_not_fit_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let model = copy(folder.path());
    let path = model.to_str().unwrap();
    rewrite(&model, |tensors| {
        let bias = tensors.iter_mut().find(|tensor| tensor.0 == "transformer.h.0.mlp.c_fc.bias").unwrap();
        bias.2 = vec![64, 2];
    });
    let said = "tensor \"transformer.h.0.mlp.c_fc.bias\" has shape [64, 2]";
    cannot_open(path, &[], &format!("{said}, {path}/config.json asks for [128] (blocks.0.mlp.b_in)"));
    copy(&model);
    rewrite(&model, |tensors| {
        tensors.retain(|tensor| tensor.0 != "transformer.h.1.attn.c_proj.weight");
        tensors.push(("transformer.h.7.attn.c_proj.weight".into(), Dtype::F32, vec![1], vec![0; 4]));
    });
    let said = "do not fit the architecture GPT2LMHeadModel; 1 missing: transformer.h.1.attn.c_proj.weight; 1 unknown: transformer.h.7.attn.c_proj.weight";
    cannot_open(path, &[], &format!("the tensors of {path}/model.safetensors {said}"));
}

#[test]
fn an_input_that_the_model_cannot_read() {
    let gpt2 = fixture("gpt2");
    let gpt2 = gpt2.to_str().unwrap();
    let long = "the ".repeat(70);
    cannot_open(gpt2, &["-p", long.trim_end()], "the prompt has 71 tokens, the model has positions for 64: shorten it");
    cannot_open(
        gpt2,
        &["-p", "a", "--pad-to", "99"],
        "the prompt has 99 tokens, the model has positions for 64: shorten it",
    );
    cannot_open(
        gpt2,
        &["--tokens", "1,2,999"],
        "token id 999 at position 2 is out of range: the vocabulary has 0..383",
    );
    cannot_open(
        gpt2,
        &["-p", "a", "--pair", "b"],
        "a pair of texts needs an encoder, such as bert, which gpt2 is not: give one text",
    );
    let empty = "the prompt is empty: it has no tokens to run; give some text, or token ids with --tokens";
    cannot_open(gpt2, &["-p", ""], empty);
    let folder = tempfile::tempdir().unwrap();
    let model = copy(folder.path());
    let path = model.to_str().unwrap();
    std::fs::write(model.join("tokenizer.json"), "{}").unwrap();
    cannot_open(
        path,
        &["-p", "a"],
        &format!(
            "{path}/tokenizer.json is not a usable tokenizer: Model missing. at line 1 column 2; get it again, or move it away \
             and give token ids with --tokens"
        ),
    );
    std::fs::remove_file(model.join("tokenizer.json")).unwrap();
    let none = format!("no tokenizer.json in {path}, so text cannot be tokenised: give token ids with --tokens");
    cannot_open(path, &["-p", "a"], &none);
    check(&batch(path, &["--tokens", "1,2", "-ex", "run", "-ex", "info tokens"]), 0, "");
}

#[test]
fn a_device_that_does_not_exist() {
    let path = fixture("gpt2");
    let path = path.to_str().unwrap();
    let run = |device: &str| {
        llmdbg_in(Path::new("."), &["-batch", "-nx", "--device", device, path, "-ex", "run"], Stdio::null())
    };
    let usage = |device: &str, said: &str| {
        format!(
            "error: invalid value '{device}' for '--device <DEVICE>': {said}\n\nFor more information, try '--help'.\n"
        )
    };
    let unknown = "unknown device \"tpu\": use auto, gpu, gpu:N, vulkan, vulkan:N or cpu";
    check(&run("tpu"), 2, &usage("tpu", unknown));
    check(&run("gpu:x"), 2, &usage("gpu:x", "device number \"x\" is not a whole number"));
    // No machine has a hundred; how many it has is its own business.
    let ran = run("gpu:99");
    assert_eq!((ran.status, ran.err.lines().count()), (4, 1), "{}", ran.err);
    assert!(ran.err.starts_with("llmdbg: no gpu:99: wgpu finds "), "{}", ran.err);
    assert!(ran.err.contains("; use --device cpu, or --device vulkan for a software adapter"), "{}", ran.err);
    let ran = run("vulkan:99");
    assert_eq!((ran.status, ran.err.lines().count()), (4, 1), "{}", ran.err);
    assert!(ran.err.starts_with("llmdbg: no vulkan:99: ") && ran.err.contains("use --device cpu"), "{}", ran.err);
}

/// Commands after `run` on the gpt2 fixture, each with all that it says.
const WRONG: &[(&str, &str)] = &[
    // Names
    (
        "p L0.atn.pattern",
        "no site or module L0.atn.pattern; nearest: blocks.0.attn.pattern, blocks.0.attn.scores, blocks.0.attn.out\n~",
    ),
    ("p L9.attn.z", "no layer 9: model has 0..1\n~"),
    ("break L-3", "no layer -3: model has 0..1\n~"),
    ("p L0H9", "no head 9: blocks.0.attn has heads 0..3\n~"),
    ("break L0H9", "no head 9: blocks.0.attn has heads 0..3\n~"),
    ("p result(0, 9)", "no head 9: blocks.0.attn has heads 0..3\n~"),
    ("p logits@nowhere", "no run or branch nowhere; choose from main\n~"),
    ("p logits#3", "there is no pass 3: this branch has pass 0 only; use \"token\" or \"generate N\"\n~"),
    (
        "p param(\"nope\")",
        "no weight nope; nearest: transformer.ln_f.bias, transformer.wpe.weight, transformer.wte.weight\n~",
    ),
    ("p tok(\"nosuchtoken\")", "\"nosuchtoken\" is not one token of this vocabulary\n~"),
    // Slices and shapes
    ("p L0.attn.z[99]", "index 99 is out of range: axis pos has 0..7\n~"),
    ("p L0.attn.z[head=4]", "index 4 is out of range: axis head has 0..3\n~"),
    ("p L0.attn.z[foo=1]", "no axis foo: the value has [pos=8, head=4, dim=8]\n~"),
    ("p L0.attn.z[0,0,0,0]", "too many indices: the value has shape [pos=8, head=4, dim=8]\n~"),
    ("p logits[\" zzz\"]", "no token \" zzz\" on axis pos\n~\n\"info tokens\" lists them"),
    ("p L0.attn.z + L0.attn.pattern", "+: shapes [pos=8, head=4, dim=8] and [head=4, q=8, k=8] do not fit together\n~"),
    ("p \"a\" + 1", "cannot apply + to the string \"a\" and the number 1\n~"),
    ("p max(", "expected an expression, found the end of the line\n~"),
    ("p/z 1", "no format z\n~\ns summary, t top-k, h heat map, g histogram, a all, r raw, d x f e numbers"),
    // Edits
    ("set L0.attn.z = \"a\"", "expected a number or a value, found the string \"a\"\n~"),
    (
        "set L0.attn.z = L0.attn.q[:3]",
        "a value of shape [pos=3, head=4, dim=8] does not fit a place of shape [pos=8, head=4, dim=8]\n~",
    ),
    ("set L0.attn.result = 0", "blocks.0.attn.result is computed when asked for; it cannot be edited\n~"),
    ("set L0.attn.z[dim=::2] = 0", "only slices with a step of 1 can be assigned to\n~"),
    ("set logits@main = 0", "only the current run can be edited; checkout the branch first\n~"),
    ("set L0.attn.z == 0", "expected =, +=, -=, *= or /=, found ==\n~\n== compares; = assigns"),
    ("set tokens[0] = 999", "no token 999: the vocabulary has 0..383"),
    ("set tokens[9] = 1", "index 9 is out of range: axis pos has 0..7\n~"),
    ("set tokens[0] = \" zzz\"", "\" zzz\" is not one token of this vocabulary\n~"),
    ("set tokens[0] = 1.5", "expected a whole number, found 1.5\n~"),
    ("set param(\"transformer.wte.weight\") = 0", "transformer.wte.weight is edited by its role: param(\"W_E\")\n~"),
    ("ablate L0.attn.z median", "no way to ablate called median\n~\nzero, mean or resample"),
    ("ablate L0H1 pos=3", "ablate takes positions as a slice, and changes every row\n~\nablate L0.attn.z[pos=3]"),
    ("ablate tokens", "tokens cannot be ablated; set tokens[N] = TOKEN changes them"),
    ("undo", "nothing to undo"),
    // Motions and breakpoints
    ("step x", "expected a count, found x\n~"),
    ("until L*.attn.z", "this names 2 places; go to one\n~"),
    ("goto +99", "+99 leaves the pass: the cursor is at op 49 of 49"),
    (
        "step",
        "the pass is at its end; \"run\" starts it again, \"reverse-continue\" goes back, \"token\" computes the next token",
    ),
    ("delete 7", "No breakpoint number 7.\n~"),
    ("break L0.attn.result", "blocks.0.attn.result is computed when asked for, so nothing stops there\n~"),
    ("break L0 if enthropy($) > 1", "no function enthropy\n~\ndid you mean entropy?"),
    ("continue 3", "not stopped at a breakpoint: a count to \"continue\" has nothing to ignore"),
    // Commands
    ("stop", "Undefined command: \"stop\".  Try \"help\".\n~\ndid you mean step?"),
    (
        "re",
        "Ambiguous command \"re\": reverse-step, reverse-next, reverse-finish, reverse-continue, reverse-layer, rev, restart, reverse-token, return, redo\n~",
    ),
    ("info foo", "Undefined info command: \"foo\".  Try \"help info\".\n~"),
    (
        "save activations x.pt",
        "x.pt is not a .safetensors or .npz file\n~\nvalues are written as safetensors or npz; name the file FILE.safetensors",
    ),
];

#[test]
fn every_wrong_command_says_what_is_wrong_where_and_what_to_do() {
    let mut arguments = vec!["--keep-going", "-p", NURSE, "-ex", "run"];
    for (command, _) in WRONG {
        arguments.extend(["-ex", command]);
    }
    let ran = batch("gpt2", &arguments);
    assert_eq!(ran.status, 1);
    let mut found = ran.err.split("llmdbg: ").skip(1);
    let mut differences = Vec::new();
    for (command, message) in WRONG {
        let found = found.next().unwrap_or_default();
        // `~` stands for the command with the place underlined, which must lie within it.
        let Some((said, help)) = message.split_once("\n~") else {
            differences.extend((found != format!("{message}\n")).then_some(found));
            continue;
        };
        let marks = found.lines().nth(2).unwrap_or_default();
        differences.extend((found != format!("{said}\n{command}\n{marks}{help}\n")).then_some(found));
        let place = marks.trim_start();
        assert!(place.starts_with('^') && place[1..].chars().all(|c| c == '~'), "{command}: {marks:?}");
        assert!(marks.len() <= command.len() + 1, "{command}: {marks:?}");
    }
    assert_eq!(found.next(), None);
    assert!(differences.is_empty(), "{}", differences.concat());
    // Nothing was changed by any of them.
    assert!(!ran.out.contains("Changed"), "{}", ran.out);
}

#[test]
fn a_value_that_is_not_computed_yet_says_how_to_get_there() {
    let ran = batch("gpt2", &["-p", NURSE, "-ex", "p L0.attn.z"]);
    check(
        &ran,
        1,
        "llmdbg: blocks.0.attn.z has not been computed: the cursor is at op 0 of 49, blocks.0.attn.z is op 12; use \
         \"until blocks.0.attn.z\" or \"continue\"\np L0.attn.z\n  ^~~~~~~~~\n",
    );
    let ran = batch("gpt2", &["-p", NURSE, "-ex", "step"]);
    check(&ran, 1, "llmdbg: no pass has been started; use \"run\" or \"start\"\n");
}

#[test]
fn a_script_stops_at_its_first_error_unless_it_is_told_to_keep_going() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.ldb"), "run\n# a comment\np L0.atn.z\necho never\nassert 1 > 2\n").unwrap();
    let path = fixture("gpt2");
    let path = path.to_str().unwrap();
    let run = |more: &[&str]| {
        let mut all = vec!["-batch", "-nx", "--device", "cpu", "-p", NURSE, path];
        all.extend(more);
        llmdbg_in(folder.path(), &all, Stdio::null())
    };
    let error = "a.ldb:3: no site or module L0.atn.z; nearest: blocks.0.attn.z, blocks.0.attn.q, blocks.0.attn.k\n\
                 p L0.atn.z\n  ^~~~~~~~\n";
    let ran = run(&["-x", "a.ldb", "-ex", "echo after"]);
    check(&ran, 1, error);
    assert!(ran.out.starts_with("Pass finished") && !ran.out.contains("never") && !ran.out.contains("after"));
    let ran = run(&["--keep-going", "-x", "a.ldb", "-ex", "echo after"]);
    check(&ran, 1, &format!("{error}a.ldb:5: assertion failed: 1 > 2\n"));
    assert!(ran.out.ends_with("never\nafter\n"), "{}", ran.out);
    check(&run(&["-x", "none.ldb"]), 1, "llmdbg: cannot read none.ldb: No such file or directory (os error 2)\n");
    check(
        &run(&["-ex", "save activations no/such.safetensors", "-ex", "run"]),
        1,
        "llmdbg: nothing has been computed yet: run first\n",
    );
    let said = "llmdbg: cannot write no/such.safetensors: No such file or directory (os error 2)\n";
    check(&run(&["-ex", "run", "-ex", "save activations no/such.safetensors"]), 1, said);
}

#[test]
fn assertions_and_quit_decide_the_status() {
    let run = |commands: &[&str]| {
        let mut all = vec!["-p", NURSE];
        all.extend(commands.iter().flat_map(|command| ["-ex", *command]));
        batch("gpt2", &all)
    };
    check(&run(&["run", "assert max(L0.attn.pattern) <= 1", "assert sum(L0.attn.pattern[0, 0]) == 1, \"one\""]), 0, "");
    let ran = run(&["run", "assert max(L0.attn.pattern) > 1, \"no probability\"", "echo never"]);
    check(&ran, 3, "llmdbg: assertion failed: max(L0.attn.pattern) > 1: no probability (max(L0.attn.pattern) is 1)\n");
    assert!(!ran.out.contains("never"));
    // What did not hold is given with its numbers: the first part of several, and neither literals nor whole tensors.
    for (condition, found) in [
        ("2 > 1 && mean(tokens * 0) + 2 > 3 * 4", "(mean(tokens * 0) + 2 is 2, 3 * 4 is 12)"),
        ("2 > 1 && 1 + 1 < 1", "1 + 1 < 1 (1 + 1 is 2)"),
        ("1 > 2", "1 > 2"),
        ("all(embed > 100)", "all(embed > 100)"),
    ] {
        let ran = run(&["run", &format!("assert {condition}")]);
        assert!(ran.status == 3 && ran.err.trim_end().ends_with(found), "{condition}: {}", ran.err);
    }
    check(&run(&["quit 7", "echo never"]), 7, "");
    check(&run(&["quit"]), 0, "");
    check(&run(&["run", "quit 3 + 4"]), 7, "");
}
