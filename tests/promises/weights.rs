//! Promise: `info weights` tells what the files hold, and how far it is from the same weights elsewhere. The truth beside it is
//! computed here in 64 bits, from files that other programs wrote.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use llmdbg::answer::{Cell, Table};
use llmdbg::model::{Input, ModelSource, load};
use llmdbg::tensor::Device;
use safetensors::SafeTensors;

use crate::common::Bench;
use crate::parity::fixture;

fn gguf(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf").join(name)
}

fn bench(path: &Path) -> Bench {
    let device = Device::cpu();
    let model = load(&ModelSource::Path(path.to_owned()), &device).unwrap();
    let input = Input::from_texts(&model, &["a"], true).unwrap();
    Bench::of("model", model, input, 1 << 30)
}

/// The tensors of a file of 32-bit floats: shape and numbers.
fn tensors(path: &Path) -> HashMap<String, (Vec<usize>, Vec<f64>)> {
    let bytes = std::fs::read(path).unwrap();
    let numbers = |data: &[u8]| data.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x).into()).collect();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.tensors().into_iter().map(|(name, t)| (name, (t.shape().to_vec(), numbers(t.data())))).collect()
}

fn text(cell: &Cell) -> &str {
    match cell {
        Cell::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

fn num(cell: &Cell) -> f64 {
    match cell {
        Cell::Num(number) => *number,
        other => panic!("{other:?}"),
    }
}

/// What a command that fails says, without the place that it underlines.
fn first_line(bench: &mut Bench, line: &str) -> String {
    bench.fail(line).lines().next().unwrap_or_default().to_owned()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 + 1e-6 * b.abs()
}

fn row<'a>(table: &'a Table, name: &str) -> &'a [Cell] {
    table.rows.iter().find(|row| text(&row[0]) == name).unwrap_or_else(|| panic!("no {name} in {table:?}"))
}

#[test]
fn every_tensor_of_the_file_is_listed_with_role_shape_type_and_range() {
    let mut bench = bench(&gguf("llama.q8_0.gguf"));
    let table = bench.table("info weights");
    assert_eq!(table.columns, ["Name", "Role", "Shape", "Stored", "Min", "Max", "Mean", "Std"]);
    let truth = tensors(&gguf("llama.q8_0/model.safetensors"));
    // Besides the weights of the model there are RoPE factors.
    assert_eq!(table.rows.len(), truth.len() + 1);
    let factors = row(&table, "rope_freqs.weight");
    assert_eq!(text(&factors[1]), "ignored: RoPE factors, read as part of the configuration");
    for (ours, role, theirs, stored) in [
        ("token_embd.weight", "W_E", "model.embed_tokens.weight", "q8_0"),
        ("blk.1.attn_q.weight", "blocks.1.attn.W_Q", "model.layers.1.self_attn.q_proj.weight", "q8_0"),
        ("blk.0.ffn_down.weight", "blocks.0.mlp.W_out", "model.layers.0.mlp.down_proj.weight", "q8_0"),
        ("output_norm.weight", "ln_final.w", "model.norm.weight", "f32"),
    ] {
        let row = row(&table, ours);
        let (shape, numbers) = &truth[theirs];
        let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
        assert_eq!((text(&row[1]), text(&row[2]), text(&row[3])), (role, shape.join("x").as_str(), stored), "{ours}");
        let count = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / count;
        let std = (numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
        let (min, max) = numbers.iter().fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(*x), b.max(*x)));
        assert!(num(&row[4]) == min && num(&row[5]) == max, "{ours}: {row:?}");
        assert!(close(num(&row[6]), mean) && close(num(&row[7]), std), "{ours}: {row:?} {mean} {std}");
    }
}

#[test]
fn patterns_choose_by_file_name_by_transformers_name_and_by_role() {
    let mut bench = bench(&gguf("llama.q8_0.gguf"));
    let mut names =
        |line: &str| -> Vec<String> { bench.table(line).rows.iter().map(|row| text(&row[0]).to_owned()).collect() };
    assert_eq!(names("info weights blk.0.attn_q.*"), ["blk.0.attn_q.weight"]);
    assert_eq!(names("info weights model.layers.0.self_attn.q_proj.weight"), ["blk.0.attn_q.weight"]);
    assert_eq!(names("info weights blocks.*.attn.W_Q"), ["blk.0.attn_q.weight", "blk.1.attn_q.weight"]);
    assert_eq!(names("info weights W_E ln_final.w").len(), 2);
    assert_eq!(first_line(&mut bench, "info weights frob*"), "no weight matches frob*");
}

#[test]
fn a_quantised_tensor_is_compared_with_its_full_precision_twin() {
    let mut bench = bench(&gguf("llama.q8_0.gguf"));
    let (ours, theirs) =
        (tensors(&gguf("llama.q8_0/model.safetensors")), tensors(&fixture("llama").join("model.safetensors")));
    // The twin in safetensors, and in GGUF, where queries and keys lie in another order of rows.
    for other in [fixture("llama").join("model.safetensors"), fixture("llama"), gguf("llama.f32.gguf")] {
        let table = bench.table(&format!("info weights -against \"{}\"", other.display()));
        let mut compared = 0;
        for (file, name) in [
            ("blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight"),
            ("blk.1.attn_k.weight", "model.layers.1.self_attn.k_proj.weight"),
            ("blk.1.ffn_up.weight", "model.layers.1.mlp.up_proj.weight"),
            ("token_embd.weight", "model.embed_tokens.weight"),
            ("output_norm.weight", "model.norm.weight"),
        ] {
            let ((shape, a), (_, b)) = (&ours[name], &theirs[name]);
            let off: Vec<f64> = a.iter().zip(b).map(|(a, b)| (a - b).abs()).collect();
            let max = off.iter().copied().fold(0.0, f64::max);
            let at = off.iter().position(|x| *x == max).unwrap();
            let index: Vec<usize> = match shape[..] {
                [_, width] => vec![at / width, at % width],
                _ => vec![at],
            };
            let square = |x: &[f64]| (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64).sqrt();
            let row = row(&table, file);
            assert_eq!(text(&row[2]), "f32");
            assert!(close(num(&row[3]), max), "{file}: {row:?} {max}");
            assert_eq!(text(&row[4]), format!("{index:?}"), "{file}");
            assert!(num(&row[5]) == a[at] && num(&row[6]) == b[at], "{file}: {row:?}");
            let relative = if max == 0.0 { 0.0 } else { square(&off) / square(b) };
            assert!(close(num(&row[7]), square(&off)) && close(num(&row[8]), relative), "{file}: {row:?}");
            // Rounding to the nearest is off by half a step at most; the scale itself is rounded to half precision.
            if max > 0.0 {
                assert!(max <= 0.5 * num(&row[9]) * (1.0 + 127.0 / 1024.0), "{file}: {row:?}");
                assert!(num(&row[9]) <= num(&row[10]), "{file}: {row:?}");
            }
            compared += 1;
        }
        assert_eq!(compared, 5);
    }
}

#[test]
fn turned_matrices_are_compared_element_by_element() {
    let mut bench = bench(&gguf("gpt2.q8_0.gguf"));
    let (ours, theirs) =
        (tensors(&gguf("gpt2.q8_0/model.safetensors")), tensors(&fixture("gpt2").join("model.safetensors")));
    let path = fixture("gpt2").join("model.safetensors");
    let table = bench.table(&format!("info weights -against \"{}\" blk.0.attn_qkv.weight", path.display()));
    let find = |all: &HashMap<String, (Vec<usize>, Vec<f64>)>| {
        all.iter().find(|(name, _)| name.ends_with("h.0.attn.c_attn.weight")).unwrap().1.1.clone()
    };
    let max = find(&ours).iter().zip(find(&theirs)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(max > 0.0 && close(num(&table.rows[0][3]), max), "{table:?} {max}");
}

#[test]
fn a_stored_block_is_shown_as_bytes_and_numbers() {
    let mut bench = bench(&gguf("llama.q8_0.gguf"));
    let shown = bench.text("info weights W_E -block 2");
    let first = "token_embd.weight block 2 of 384, q8_0: bytes 68..101, elements 64..95 as they are stored";
    assert!(shown.starts_with(first), "{shown}");
    let truth = &tensors(&gguf("llama.q8_0/model.safetensors"))["model.embed_tokens.weight"].1;
    let number = format!("{:.4}", truth[64]);
    assert!(shown.lines().any(|line| line.starts_with(&number)), "{number} in {shown}");
    assert_eq!(first_line(&mut bench, "info weights W_E -block 384"), "no block \"384\"; choose from 0..383");
    assert_eq!(first_line(&mut bench, "info weights -block 0"), "a block is of one tensor: name it");
}

#[test]
fn files_that_have_nothing_to_compare_are_refused() {
    let mut bench = bench(&gguf("llama.q8_0.gguf"));
    let other = fixture("gpt2").join("model.safetensors");
    let shown = other.display();
    assert_eq!(
        first_line(&mut bench, &format!("info weights -against \"{shown}\"")),
        format!("{shown} has none of these weights: name a file of the same architecture")
    );
    assert_eq!(
        first_line(&mut bench, "info weights -against nope.gguf"),
        "no model at \"nope.gguf\": no such file or directory; give a directory with config.json and model.safetensors, a \
         .safetensors, .gguf or .bin file, or the name of a model in the Hugging Face cache"
    );
    assert_eq!(
        first_line(&mut bench, "info weights -against a -block 1"),
        "one of -against, -block and -check at a time"
    );
}
