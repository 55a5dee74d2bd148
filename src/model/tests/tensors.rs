//! Every number of every file arrives where it should.

use super::*;
use crate::model::role::{Role, WeightId};
use half::{bf16, f16};

/// A tensor of a file as 32-bit floats, without the code under test.
fn widened(raw: &Raw) -> Vec<f32> {
    let pair = |b: &[u8]| [b[0], b[1]];
    match raw.dtype {
        Dtype::F32 => raw.data.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
        Dtype::F16 => raw.data.chunks(2).map(|b| f16::from_le_bytes(pair(b)).to_f32()).collect(),
        Dtype::BF16 => raw.data.chunks(2).map(|b| bf16::from_le_bytes(pair(b)).to_f32()).collect(),
        other => panic!("{other:?}"),
    }
}

fn shards(name: &str) -> Vec<Raw> {
    let files = fs::read_dir(fixture(name)).unwrap().map(|entry| entry.unwrap().path());
    let weights = files.filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("model") && name.ends_with(".safetensors")
    });
    weights.flat_map(|path| tensors(&path)).collect()
}

#[test]
fn every_tensor_of_every_fixture_can_be_put_together_again() {
    for name in fixtures() {
        let model = model(&name);
        let raws = shards(&name);
        // Layers after the pooling of a sentence embedding are in files of their own.
        let numbered =
            |name: &str| name.strip_prefix("dense.").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let in_other_files = model.weights.files().iter().filter(|file| numbered(&file.name)).count();
        assert_eq!(raws.len() + in_other_files, model.weights.files().len(), "{name}");
        for raw in raws {
            let file = model.weights.file(&raw.name).unwrap();
            assert_eq!(file.shape, raw.shape);
            let Some(value) = model.weights.as_in_file(file).unwrap() else {
                assert!(file.ignored.is_some() && file.uses.is_empty(), "{name} {}", raw.name);
                continue;
            };
            assert_eq!(value.shape(), raw.shape, "{name} {}", raw.name);
            let (found, expected) = (value.read_f32().unwrap(), widened(&raw));
            assert!(found.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()), "{name} {}", raw.name);
        }
    }
}

#[test]
fn fused_projections_are_split_by_columns() {
    let model = model("gpt2");
    let raw = tensors(&fixture("gpt2").join("model.safetensors"));
    let fused = widened(raw.iter().find(|raw| raw.name == "transformer.h.1.attn.c_attn.weight").unwrap());
    for (part, role) in [Role::W_Q, Role::W_K, Role::W_V].into_iter().enumerate() {
        let weight = model.weights.value(WeightId::block(1, role)).unwrap();
        let found = weight.read_f32().unwrap();
        let expected: Vec<f32> =
            (0..32).flat_map(|row| fused[row * 96 + part * 32..row * 96 + part * 32 + 32].to_vec()).collect();
        assert_eq!((weight.shape(), found), (&[32, 32][..], expected));
    }
}

#[test]
fn linear_weights_are_in_by_out() {
    let model = model("llama");
    let raw = tensors(&fixture("llama").join("model.safetensors"));
    let stored = widened(raw.iter().find(|raw| raw.name == "model.layers.0.mlp.down_proj.weight").unwrap());
    let weight = model.weights.value(WeightId::block(0, Role::W_out)).unwrap();
    let found = weight.read_f32().unwrap();
    assert_eq!(weight.shape(), [64, 32]);
    assert!((0..64).all(|m| (0..32).all(|d| found[m * 32 + d] == stored[d * 64 + m])));
}

#[test]
fn bfloat16_files_load_exactly() {
    let copy = Copy::of("llama").weights(|all| {
        for raw in all {
            let narrow = widened(raw).into_iter().flat_map(|x| bf16::from_f32(x).to_le_bytes()).collect();
            (raw.dtype, raw.data) = (Dtype::BF16, narrow);
        }
    });
    let model = copy.load().unwrap();
    for raw in tensors(&copy.file("model.safetensors")) {
        let value = model.weights.as_in_file(model.weights.file(&raw.name).unwrap()).unwrap().unwrap();
        assert_eq!(value.read_f32().unwrap(), widened(&raw), "{}", raw.name);
    }
    assert_eq!(model.report.dtypes, [("bf16".to_owned(), 21)]);
}

#[test]
fn unaligned_data_is_read() {
    // A header one byte longer than a multiple of four.
    let copy = Copy::of("gpt2");
    let path = copy.file("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    let mut shifted = (length + 1).to_le_bytes().to_vec();
    shifted.extend(&bytes[8..8 + length as usize]);
    shifted.push(b' ');
    shifted.extend(&bytes[8 + length as usize..]);
    fs::write(&path, shifted).unwrap();
    let id = WeightId::global(Role::W_pos);
    let read = |model: &Model| model.weights.value(id).unwrap().read_f32().unwrap();
    assert_eq!(read(&copy.load().unwrap()), read(&model("gpt2")));
}
