//! Loading holds the weights once.

use std::fs::File;
use std::io::Write;

use serde_json::json;

use super::*;

/// A line of `/proc/self/status` in bytes.
fn status(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

/// A bare GPT-2 of zeros whose token embedding takes 200 MB: a file with a hole in it, so that nothing is written.
fn large() -> TempDir {
    const ROWS: usize = 100_000;
    const WIDTH: usize = 500;
    let directory = tempfile::tempdir().unwrap();
    let config = json!({"model_type": "gpt2", "architectures": ["GPT2Model"], "n_embd": WIDTH, "n_head": 10, "n_layer": 1,
        "n_inner": 1, "n_positions": 1, "vocab_size": ROWS});
    fs::write(directory.path().join("config.json"), config.to_string()).unwrap();
    let shapes: [(&str, &[usize]); 16] = [
        ("wte.weight", &[ROWS, WIDTH]),
        ("wpe.weight", &[1, WIDTH]),
        ("h.0.ln_1.weight", &[WIDTH]),
        ("h.0.ln_1.bias", &[WIDTH]),
        ("h.0.attn.c_attn.weight", &[WIDTH, 3 * WIDTH]),
        ("h.0.attn.c_attn.bias", &[3 * WIDTH]),
        ("h.0.attn.c_proj.weight", &[WIDTH, WIDTH]),
        ("h.0.attn.c_proj.bias", &[WIDTH]),
        ("h.0.ln_2.weight", &[WIDTH]),
        ("h.0.ln_2.bias", &[WIDTH]),
        ("h.0.mlp.c_fc.weight", &[WIDTH, 1]),
        ("h.0.mlp.c_fc.bias", &[1]),
        ("h.0.mlp.c_proj.weight", &[1, WIDTH]),
        ("h.0.mlp.c_proj.bias", &[WIDTH]),
        ("ln_f.weight", &[WIDTH]),
        ("ln_f.bias", &[WIDTH]),
    ];
    let (mut end, mut header) = (0, serde_json::Map::new());
    for (name, shape) in shapes {
        let begin = end;
        end += shape.iter().product::<usize>() * 4;
        header.insert(name.into(), json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}));
    }
    let header = Json::Object(header).to_string();
    let mut file = File::create(directory.path().join("model.safetensors")).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len((8 + header.len() + end) as u64).unwrap();
    directory
}

/// Set in the process that measures.
const CHILD: &str = "LLMDBG_MEASURES_MEMORY";

/// The peak belongs to the whole process, so the test measures in a separate one, where no other test runs.
#[test]
fn the_peak_is_the_weights_and_little_more() {
    if std::env::var_os(CHILD).is_some() {
        return measure();
    }
    let name = "model::tests::memory::the_peak_is_the_weights_and_little_more";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

fn measure() {
    let directory = large();
    let before = status("VmRSS:");
    let model = open(directory.path()).unwrap();
    let opened = status("VmHWM:").saturating_sub(before);
    assert!(opened < 20_000_000, "{opened} bytes before a weight is asked for");
    for id in model.weights.ids() {
        for piece in 0..model.weights.pieces(id) {
            model.weights.piece(id, piece).unwrap();
        }
    }
    let grown = status("VmHWM:").saturating_sub(before);
    let weights = model.report.bytes;
    assert!(weights > 200_000_000);
    assert!(grown < weights * 6 / 5, "{grown} bytes for {weights} bytes of weights");
}
