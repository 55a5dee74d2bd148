//! Promise: a file that lies is refused with what is wrong with it, in little time and memory, whatever it claims.
//!
//! Each case runs the program under a limit of address space that a believed claim of gigabytes would break, and must end
//! within seconds.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::common::{Ran, llmdbg_in};
use crate::parity::fixture;

/// Kilobytes of address space: what threads and allocator reserve takes most of it.
const MOST_MEMORY: u64 = 4_000_000;

/// Opening a real file of this size takes a hundredth of it.
const MOST_TIME: Duration = Duration::from_secs(20);

/// Opens a model under the limits.
fn open(model: &Path) -> Ran {
    limited(model, &["-p", "a", "-ex", "run"])
}

/// The program on a model, with arguments, under the limits.
pub fn limited(model: &Path, arguments: &[&str]) -> Ran {
    limited_to(MOST_MEMORY, model, arguments)
}

/// The same with so many kilobytes of addresses.
pub fn limited_to(most_memory: u64, model: &Path, arguments: &[&str]) -> Ran {
    let start = Instant::now();
    let program = env!("CARGO_BIN_EXE_llmdbg");
    let script = format!("ulimit -v {most_memory}; exec timeout -k 1 {} \"$@\"", MOST_TIME.as_secs());
    let output = Command::new("sh")
        .args(["-c", &script, "sh", program, "-batch", "-nx", "--device", "cpu"])
        .args(arguments)
        .arg(model)
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(start.elapsed() < MOST_TIME, "{} took {:?}", model.display(), start.elapsed());
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let err = text(output.stderr);
    // A signal, which ends a process that asks for too much, gives no status.
    let status = output.status.code().unwrap_or_else(|| panic!("{}: {arguments:?}: {err}", model.display()));
    assert!(status < 124, "{}: {arguments:?}: status {status}: {err}", model.display());
    Ran { status, out: text(output.stdout), err }
}

/// A folder with the configuration and tokenizer of a fixture, and one more file.
fn refuses(name: &str, contents: &[u8], message: &str, differences: &mut Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(fixture("gpt2").join(file), folder.path().join(file)).unwrap();
    }
    let path = folder.path().join(name);
    fs::write(&path, contents).unwrap();
    let ran = open(if name.ends_with(".gguf") { &path } else { folder.path() });
    let said = ran.err.replace(&folder.path().display().to_string(), "DIR");
    if said != format!("llmdbg: DIR/{name}{message}\n") || ran.status != 4 || !ran.out.is_empty() {
        differences.push(format!("expected {message:?}\nfound    {said:?}, status {}", ran.status));
    }
}

fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn tensor(shape: &str, begin: i128, end: i128) -> String {
    format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[{begin},{end}]}}}}"#)
}

#[test]
fn safetensors_files_that_lie() {
    let header = |what: &str| format!(": the safetensors header cannot be read: {what}; get the file again");
    let pair = |b: &str| format!(r#"{{"a":{{"dtype":"F32","shape":[2],"data_offsets":[0,8]}},{b}}}"#);
    let b =
        |begin: u64, end: u64| pair(&format!(r#""b":{{"dtype":"F32","shape":[2],"data_offsets":[{begin},{end}]}}"#));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let cases: Vec<(Vec<u8>, String)> = vec![
        (u64::MAX.to_le_bytes().to_vec(), " is truncated or not a safetensors file: its header should be 18446744073709551615 bytes long, the file has 8 bytes; get it again".into()),
        ([&(10u64 << 30).to_le_bytes()[..], &[b'{'; 1016]].concat(), " is truncated or not a safetensors file: its header should be 10737418240 bytes long, the file has 1024 bytes; get it again".into()),
        (safetensors(&tensor("[2621440000]", 0, 10_485_760_000), 1000), " is truncated: tensor \"a\" takes bytes 0..10485760000 of the data, the file has 1000; get it again".into()),
        (safetensors(&tensor("[-1]", 0, 8), 8), header("invalid JSON in header: invalid value: integer `-1`, expected usize at line 1 column 55")),
        (safetensors(&tensor("[2]", -8, 0), 8), header("invalid JSON in header: invalid value: integer `-8`, expected usize at line 1 column 55")),
        (safetensors(&tensor("[4294967296,4294967296,4]", 0, 8), 8), header("overflow computing buffer size from shape and/or element type")),
        (safetensors(&tensor("[2]", 8, 0), 8), header("tensor \"a\" does not start where the one before ends")),
        (safetensors(&tensor("[2]", 0, 1 << 64), 8), header("invalid JSON in header: invalid type: floating point `1.8446744073709552e+19`, expected usize at line 1 column 73")),
        (safetensors(&b(4, 12), 12), header("tensor \"b\" does not start where the one before ends")),
        (safetensors(&b(16, 24), 24), header("tensor \"b\" does not start where the one before ends")),
        (safetensors(&pair(r#""a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}"#), 16), header("tensor \"a\" does not start where the one before ends")),
        (safetensors(&pair(r#""b":{"dtype":"F99","shape":[2],"data_offsets":[8,16]}"#), 16), header("invalid JSON in header: unknown variant `F99`, expected one of `BOOL`, `F4`, `F6_E2M3`, `F6_E3M2`, `U8`, `I8`, `F8_E5M2`, `F8_E4M3`, `F8_E8M0`, `F8_E4M3FNUZ`, `F8_E5M2FNUZ`, `I16`, `U16`, `F16`, `BF16`, `I32`, `U32`, `F32`, `C64`, `F64`, `I64`, `U64` at line 1 column 108")),
        (safetensors(&deep, 0), header("invalid JSON in header: invalid type: sequence, expected struct HashMetadata at line 1 column 0")),
        (safetensors("\u{0}\u{1}", 0), header("invalid JSON in header: expected value at line 1 column 1")),
        (b"\x80\x02}q\x00. this is a pickle".to_vec(), " is truncated or not a safetensors file: its header should be 8367738687093277312 bytes long, the file has 23 bytes; get it again".into()),
    ];
    let mut differences = Vec::new();
    for (contents, message) in &cases {
        refuses("model.safetensors", contents, message, &mut differences);
    }
    // Of two tensors at one place, which is the second is a matter of chance.
    let message = |name: &str| header(&format!("tensor {name:?} does not start where the one before ends"));
    let mut either = [Vec::new(), Vec::new()];
    refuses("model.safetensors", &safetensors(&b(0, 8), 8), &message("a"), &mut either[0]);
    refuses("model.safetensors", &safetensors(&b(0, 8), 8), &message("b"), &mut either[1]);
    let found = either.iter().flatten().map(|difference| difference.lines().last().unwrap_or_default().to_string());
    for found in found {
        assert!(found.contains("does not start where the one before ends"), "{found}");
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn indices_that_lie() {
    let mut differences = Vec::new();
    for (contents, message) in [
        (
            r#"{"weight_map":{"a":"../../etc/passwd"}}"#,
            ": \"weight_map.a\" is \"../../etc/passwd\", expected the name of a shard next to it",
        ),
        (
            r#"{"weight_map":{"a":"/etc/passwd"}}"#,
            ": \"weight_map.a\" is \"/etc/passwd\", expected the name of a shard next to it",
        ),
        (r#"{"weight_map":{"a":7}}"#, ": \"weight_map.a\" is 7, expected the name of a shard next to it"),
        (r#"{"weight_map":{"a":""}}"#, ": \"weight_map.a\" is \"\", expected the name of a shard next to it"),
        (r#"{"weight_map":[]}"#, " has no \"weight_map\"; add it from the model's original configuration"),
        (
            r#"{"weight_map":{"a":"x.safetensors"}"#,
            " is not valid JSON: line 1, column 35: EOF while parsing an object; get the file again",
        ),
        ("[]", " holds a list, not an object; get the file again"),
    ] {
        refuses("model.safetensors.index.json", contents.as_bytes(), message, &mut differences);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// A GGUF file of the metadata and tensors given, each already as bytes, and zeros behind them.
fn gguf(metadata: &[Vec<u8>], tensors: &[Vec<u8>], data: usize) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((metadata.len() as u64).to_le_bytes());
    bytes.extend(metadata.concat());
    bytes.extend(tensors.concat());
    bytes.resize(bytes.len().next_multiple_of(32) + data, 0);
    bytes
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn text(key: &str, value: &str) -> Vec<u8> {
    [string(key), 8u32.to_le_bytes().to_vec(), string(value)].concat()
}

fn number(key: &str, value: u64) -> Vec<u8> {
    [string(key), 10u32.to_le_bytes().to_vec(), value.to_le_bytes().to_vec()].concat()
}

fn place(name: &str, axes: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let mut bytes = string(name);
    bytes.extend((axes.len() as u32).to_le_bytes());
    axes.iter().for_each(|axis| bytes.extend(axis.to_le_bytes()));
    bytes.extend(kind.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes
}

/// The metadata of a small model of one block, but for what is given.
fn llama(changed: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut all = vec![text("general.architecture", "llama")];
    for (key, value) in [
        ("llama.block_count", 1),
        ("llama.context_length", 64),
        ("llama.embedding_length", 8),
        ("llama.feed_forward_length", 8),
        ("llama.attention.head_count", 2),
    ] {
        let given = changed.iter().any(|entry| entry.starts_with(&string(key)));
        all.extend((!given).then(|| number(key, value)));
    }
    let eps =
        [string("llama.attention.layer_norm_rms_epsilon"), 6u32.to_le_bytes().to_vec(), 1e-5f32.to_le_bytes().to_vec()];
    all.push(eps.concat());
    all.extend(changed.iter().cloned());
    all
}

#[test]
fn gguf_files_that_lie() {
    let bad = |what: &str| format!(" is not a usable GGUF file: {what}; get it again, or convert it again");
    let embedding = || place("token_embd.weight", &[8, 4], 0, 0);
    let of = |changed: &[Vec<u8>]| gguf(&llama(changed), &[embedding()], 128);
    let count = |tensors: u64, entries: u64| {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(tensors.to_le_bytes());
        bytes.extend(entries.to_le_bytes());
        bytes.resize(1024, 0);
        bytes
    };
    let array = |key: &str, kind: u32, count: u64| {
        [string(key), 9u32.to_le_bytes().to_vec(), kind.to_le_bytes().to_vec(), count.to_le_bytes().to_vec()].concat()
    };
    let long = [string("x"), 8u32.to_le_bytes().to_vec(), (1u64 << 62).to_le_bytes().to_vec()].concat();
    let cases: Vec<(Vec<u8>, String)> = vec![
        (b"GGML\x03\0\0\0".to_vec(), bad("it starts with \"GGML\" instead of GGUF")),
        (b"GGUF\0\0\0\x03".to_vec(), bad("it is big-endian; only little-endian files can be read")),
        (count(1 << 60, 0), bad("the number of tensors is 1152921504606846976, but there are only 1008 bytes left")),
        (count(0, u64::MAX), bad("the number of metadata entries is 18446744073709551615, but there are only 1000 bytes left")),
        (gguf(&[long], &[], 0), bad("the length of the value of \"x\" is 4611686018427387904, but there are only 19 bytes left")),
        (gguf(&[array("tokenizer.ggml.tokens", 8, 1 << 40)], &[], 0), bad("the number of elements of the value of \"tokenizer.ggml.tokens\" is 1099511627776, but there are only 27 bytes left")),
        (gguf(&[array("x", 4, u64::MAX / 2)], &[], 0), bad("the number of elements of the value of \"x\" is 9223372036854775807, but there are only 15 bytes left")),
        (gguf(&[], &[place("a", &[1 << 31, 2], 0, 0)], 1000), bad("it is truncated: tensor \"a\" takes 17179869184 bytes from 0 of the data, the file has 1000")),
        (gguf(&[], &[place("a", &[u64::MAX, u64::MAX], 0, 0)], 1000), bad("tensor \"a\" of shape [18446744073709551615, 18446744073709551615] is larger than any file")),
        (gguf(&[], &[place("a", &[8, 4], 0, 0), place("b", &[8, 4], 0, 96)], 1000), bad("tensors \"a\" and \"b\" overlap")),
        (gguf(&[number("general.alignment", 0)], &[], 0), bad("general.alignment is not a multiple of 8")),
        (gguf(&[text("general.architecture", "gpt2"), text("general.architecture", "gpt2")], &[], 0), bad("the metadata has \"general.architecture\" twice")),
        (gguf(&[], &[], 0), bad("its metadata has no \"general.architecture\"")),
        (gguf(&[text("general.architecture", "rwkv6")], &[], 0), " has the architecture \"rwkv6\", whose GGUF files cannot be loaded: it is a recurrent network; \"llmdbg models\" lists those that can".into()),
        (of(&[number("llama.block_count", 1 << 40)]), bad("its metadata announces 1099511627776 blocks, but it has 1 tensors")),
        (of(&[number("llama.attention.head_count", 1 << 62)]), ": \"num_attention_heads\" is 4611686018427387904, more than any model has".into()),
        (of(&[number("llama.attention.head_count", 0)]), bad("\"llama.attention.head_count\" of its metadata is 0")),
        (of(&[number("llama.embedding_length", 1 << 63)]), ": \"hidden_size\" is 9223372036854775808, more than any model has".into()),
        (of(&[number("llama.attention.head_count_kv", 1 << 40)]), ": \"num_key_value_heads\" is 1099511627776, more than any model has".into()),
        (of(&[number("llama.context_length", u64::MAX)]), ": \"max_position_embeddings\" is 18446744073709551615, more than any model has".into()),
        (of(&[number("split.count", u64::MAX)]), bad("it is one of several shards, but is not named NAME-00001-of-0000N.gguf, by which the others are found")),
        (of(&[text("llama.rope.freq_base", "x")]), bad("\"llama.rope.freq_base\" of its metadata is not a number")),
    ];
    let mut differences = Vec::new();
    for (contents, message) in &cases {
        refuses("model.gguf", contents, message, &mut differences);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn configurations_that_lie() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(fixture("gpt2").join(file), folder.path().join(file)).unwrap();
    }
    let path = folder.path().join("config.json");
    let plain: Json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let with = |key: &str, value: Json| {
        let mut config = plain.clone();
        config[key] = value;
        config.to_string()
    };
    let mut differences = Vec::new();
    for (contents, message) in [
        (
            with("n_layer", json!(1_000_000_000u64)),
            "DIR/config.json: \"n_layer\" is 1000000000, more than any model has",
        ),
        (with("n_layer", json!(-1)), "DIR/config.json: \"n_layer\" is a number (-1), expected a whole number"),
        (with("n_layer", json!(2.5)), "DIR/config.json: \"n_layer\" is a number (2.5), expected a whole number"),
        (
            with("n_layer", json!(u64::MAX)),
            "DIR/config.json: \"n_layer\" is 18446744073709551615, more than any model has",
        ),
        (
            with("n_embd", json!(1u64 << 62)),
            "DIR/config.json: \"n_embd\" is 4611686018427387904, more than any model has",
        ),
        (with("n_embd", json!(0)), "DIR/config.json: \"n_embd\" is 0"),
        (with("n_head", json!(0)), "DIR/config.json: \"n_head\" is 0"),
        (
            with("vocab_size", json!("many")),
            "DIR/config.json: \"vocab_size\" is a string (\"many\"), expected a whole number",
        ),
        (
            with("n_positions", json!(1u64 << 60)),
            "DIR/config.json: \"n_positions\" is 1152921504606846976, more than any model has",
        ),
        (
            with("n_inner", json!(1u64 << 60)),
            "DIR/config.json: \"n_inner\" is 1152921504606846976, more than any model has",
        ),
        (
            with("layer_norm_epsilon", json!("small")),
            "DIR/config.json: \"layer_norm_epsilon\" is a string (\"small\"), expected a number",
        ),
        (
            with("model_type", json!(null)),
            "DIR/config.json has no \"model_type\"; add it from the model's original configuration",
        ),
        (deep, "DIR/config.json is not valid JSON: line 1, column 128: recursion limit exceeded; get the file again"),
        ("[]".into(), "DIR/config.json holds a list, not an object; get the file again"),
        (
            String::new(),
            "DIR/config.json is not valid JSON: line 1, column 0: EOF while parsing a value; get the file again",
        ),
    ] {
        fs::write(&path, contents).unwrap();
        let ran = open(folder.path());
        let said = ran.err.replace(&folder.path().display().to_string(), "DIR");
        if said != format!("llmdbg: {message}\n") || ran.status != 4 || !ran.out.is_empty() {
            differences.push(format!("expected {message:?}\nfound    {said:?}, status {}", ran.status));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn configurations_that_claim_more_experts_and_classes_than_there_are() {
    for (model, key, value, message) in [
        ("mixtral", "num_local_experts", 1u64 << 40, "\"num_local_experts\" is 1099511627776, more than any model has"),
        (
            "qwen3_moe",
            "num_hidden_layers",
            1 << 62,
            "\"num_hidden_layers\" is 4611686018427387904, more than any model has",
        ),
        ("bert-seqcls", "num_labels", 1 << 40, "\"num_labels\" is 1099511627776, more than any model has"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let from = fixture(model);
        fs::copy(from.join("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
        let mut config: Json = serde_json::from_slice(&fs::read(from.join("config.json")).unwrap()).unwrap();
        config[key] = json!(value);
        fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let ran = open(folder.path());
        assert_eq!(ran.err, format!("llmdbg: {}/config.json: {message}\n", folder.path().display()));
    }
}

/// A sound file under the same limits, so that the limits are not what refuses.
#[test]
fn a_sound_file_opens_under_the_same_limits() {
    let ran = open(&fixture("gpt2"));
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let gguf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf/llama.q8_0.gguf");
    assert_eq!(open(&gguf).status, 0);
    let ran = llmdbg_in(Path::new("."), &["--version"], Stdio::null());
    assert_eq!(ran.status, 0);
}
