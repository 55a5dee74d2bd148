//! A graphics device gives the statistics that the CPU gives, also of values that are larger than what it reduces at once.

use llmdbg::tensor::ops::Reduction;
use llmdbg::tensor::{Device, DeviceChoice, Value};

/// 300,000 numbers without a pattern, in -3 to 3; the largest and smallest stand in the last third.
fn numbers() -> Vec<f32> {
    let mut state = 1u32;
    let mut data: Vec<f32> = (0..300_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 * 6.0 - 3.0
        })
        .collect();
    (data[250_001], data[299_999]) = (-3.5, 3.25);
    data
}

/// Relative to the larger magnitude, or to 1: sums of 300,000 numbers in 32 bits, added as a tree.
fn close(what: &str, found: f64, wanted: f64) {
    let fits = (found.is_nan() && wanted.is_nan()) || (found - wanted).abs() <= 1e-4 * wanted.abs().max(1.0);
    assert!(fits, "{what}: {found} for {wanted}");
}

const ALL: [Reduction; 8] = [
    Reduction::Sum,
    Reduction::Mean,
    Reduction::Var,
    Reduction::Std,
    Reduction::Min,
    Reduction::Max,
    Reduction::AbsMax,
    Reduction::Norm,
];

#[test]
fn statistics_of_large_values_are_the_same_on_a_graphics_device() {
    let gpu = Device::open(DeviceChoice::Vulkan(0)).expect("a Vulkan adapter (Mesa's software one will do)");
    for spoiled in [false, true] {
        let mut data = numbers();
        if spoiled {
            (data[7], data[200_000], data[299_000], data[100_000]) = (f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0);
        }
        let on = |device: &Device| Value::from_f32(data.clone(), &[3, 100_000], device);
        let (here, there) = (on(&Device::cpu()), on(&gpu));
        let (wanted, found) = (here.summary().unwrap(), there.summary().unwrap());
        let counts =
            |s: &llmdbg::tensor::Summary| (s.count, s.nan, s.pos_inf, s.neg_inf, s.zeros, s.absmax_index.clone());
        assert_eq!(counts(&found), counts(&wanted));
        let parts = |s: &llmdbg::tensor::Summary| [s.min, s.max, s.mean, s.std, s.l2, s.absmax];
        parts(&found).into_iter().zip(parts(&wanted)).for_each(|(found, wanted)| close("summary", found, wanted));
        if spoiled {
            for op in [Reduction::Min, Reduction::Max, Reduction::AbsMax] {
                assert!(there.reduce(op).unwrap().is_nan(), "{op:?} of a value with NaN");
            }
            continue;
        }
        for op in ALL {
            close(&format!("{op:?}"), there.reduce(op).unwrap(), here.reduce(op).unwrap());
            let lines = |value: &Value| value.reduce_axis(op, 1).unwrap().read_f64().unwrap();
            for (found, wanted) in lines(&there).into_iter().zip(lines(&here)) {
                close(&format!("{op:?} of lines"), found, wanted);
            }
        }
        let elements = |value: Value| value.read_f64().unwrap();
        let pairs = [
            ("softmax", elements(there.softmax(1).unwrap()), elements(here.softmax(1).unwrap())),
            ("log_softmax", elements(there.log_softmax(1).unwrap()), elements(here.log_softmax(1).unwrap())),
            ("cumsum", elements(there.cumsum(1).unwrap()), elements(here.cumsum(1).unwrap())),
        ];
        for (what, found, wanted) in pairs {
            found.into_iter().zip(wanted).for_each(|(found, wanted)| close(what, found, wanted));
        }
    }
}

/// Writes a GPT-2 of one narrow block and a wide vocabulary, and gives its folder.
pub fn wide_model(vocab: usize) -> tempfile::TempDir {
    const WIDTH: usize = 4;
    const POSITIONS: usize = 700;
    let mut state = 7u32;
    let mut random = |count: usize| -> Vec<f32> {
        let mut one = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..count).map(|_| one()).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut weights = vec![
        ("wte.weight".to_string(), vec![vocab, WIDTH], random(vocab * WIDTH)),
        ("wpe.weight".to_string(), vec![POSITIONS, WIDTH], random(POSITIONS * WIDTH)),
    ];
    let products = [("attn.c_attn", 1, 3), ("attn.c_proj", 1, 1), ("mlp.c_fc", 1, 4), ("mlp.c_proj", 4, 1)];
    for (name, from, to) in products.map(|(name, from, to)| (name, from * WIDTH, to * WIDTH)) {
        weights.push((format!("h.0.{name}.weight"), vec![from, to], random(from * to)));
        weights.push((format!("h.0.{name}.bias"), vec![to], vec![0.0; to]));
    }
    for name in ["h.0.ln_1", "h.0.ln_2", "ln_f"] {
        weights.push((format!("{name}.weight"), vec![WIDTH], vec![1.0; WIDTH]));
        weights.push((format!("{name}.bias"), vec![WIDTH], vec![0.0; WIDTH]));
    }
    let named: Vec<(&str, Vec<usize>, Vec<f32>)> =
        weights.iter().map(|(name, shape, data)| (name.as_str(), shape.clone(), data.clone())).collect();
    crate::common::write_values(&folder.path().join("model.safetensors"), &named);
    let config = serde_json::json!({
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "activation_function": "gelu_new", "n_embd": WIDTH,
        "layer_norm_epsilon": 1e-5, "n_head": 1, "n_layer": 1, "n_positions": POSITIONS, "vocab_size": vocab,
    });
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

/// Logits that are just larger than a buffer of the device gave "min NaN max NaN", conditions that never held, and status 0.
#[test]
fn logits_that_are_larger_than_a_buffer_of_the_device_are_computed_in_pieces_and_right() {
    const TOKENS: usize = 60;
    let limit = crate::common::vulkan().max_buffer_bytes();
    let vocab = limit as usize / (4 * TOKENS) + 1;
    let folder = wide_model(vocab);
    let ran = |device: &str, tokens: usize, commands: &[&str]| {
        let ids: Vec<String> = (1..=tokens).map(|id| id.to_string()).collect();
        let ids = ids.join(",");
        let path = folder.path().to_str().unwrap();
        let mut all = vec!["-batch", "-nx", "--device", device, path, "--tokens", &ids];
        all.extend(crate::common::ex(commands));
        crate::common::llmdbg_in(std::path::Path::new("."), &all, std::process::Stdio::null())
    };
    let asked = [
        "break logits if max($) > 0",
        "run",
        "print argmax(logits[-1])",
        "print max(logits[0]) > 0",
        "print argmax(logits)",
        "print shape(logits)",
        "print max(abs(logits[3] - logits[5])) > 0",
        "print max(logits) == max(logits)",
    ];
    // One token more than fits into a buffer, and as many as fit: both are what the CPU has.
    for tokens in [TOKENS, TOKENS - 1] {
        let (here, there) = (ran("cpu", tokens, &asked), ran("vulkan", tokens, &asked));
        assert_eq!((here.status, there.status), (0, 0), "{}{}", there.out, there.err);
        let last = |ran: &crate::common::Ran| {
            ran.out.lines().filter(|line| line.starts_with('$')).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(last(&there), last(&here));
        assert!(there.out.contains("Breakpoint 1, logits") && !there.out.contains("NaN"), "{}", there.out);
    }
    // What needs all of them in one buffer is refused before it is computed.
    for tokens in [TOKENS, TOKENS - 1] {
        let ran = ran("vulkan", tokens, &["run", "print max(concat(logits, logits))"]);
        let said = format!("{}{}", ran.out, ran.err);
        assert!(ran.status == 4 && said.contains("in one buffer") && said.contains("holds at most"), "{said}");
    }
}
