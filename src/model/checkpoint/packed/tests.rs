use std::path::Path;

use super::*;
use crate::model::checkpoint::{Checkpoint, open_tensors};

/// Matrices packed by bitsandbytes and MLX, and what they unpack: `tools/fixtures/packed.py`.
fn packed() -> Checkpoint {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/packed/packed.safetensors");
    Checkpoint::single(open_tensors(Path::new(path)).unwrap()).unwrap()
}

fn values(checkpoint: &Checkpoint, name: &str) -> Vec<f32> {
    let (file, entry) = checkpoint.find(name).unwrap_or_else(|| panic!("{name}"));
    file.read_f32(entry).unwrap()
}

#[test]
fn matrices_are_unpacked_as_the_tools_do_that_packed_them() {
    for (groups, modules) in [
        (None, &["nf4", "nested", "fp4", "int8"][..]),
        (Some(Groups { bits: 4, size: 64 }), &["mlx4"]),
        (Some(Groups { bits: 8, size: 64 }), &["mlx8"]),
    ] {
        let checkpoint = packed().unpacked(groups).unwrap();
        for module in modules {
            let (found, wanted) =
                (values(&checkpoint, &format!("{module}.weight")), values(&checkpoint, &format!("{module}.values")));
            assert_eq!(found.len(), wanted.len());
            for (i, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
                // Each is a product and a sum in 32 bits, which may be rounded together or one after the other.
                let tolerance = 2e-7 * wanted.abs().max(1.0);
                assert!((found - wanted).abs() <= tolerance, "{module} element {i}: {found} for {wanted}");
            }
            assert!(checkpoint.aside.iter().any(|(_, reason)| reason.contains(&format!("{module}.weight"))));
        }
        assert!(!checkpoint.notes.is_empty());
    }
}

fn tensor(name: &str, kind: StoredType, shape: &[usize], bytes: &[u8]) -> TensorFile {
    let entry = TensorEntry::new(name.into(), kind, shape.to_vec(), 0..bytes.len());
    let bytes = Arc::new(crate::model::checkpoint::FileBytes::Owned(bytes.to_vec()));
    TensorFile { path: "m".into(), size: 0, bytes, entries: vec![entry] }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn floats_of(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Eight inputs of two groups and eight outputs, by the formulas of the papers: the code of input `i` and output `o` is
/// `(3 i + 5 o) % 16`, the zero of group `g` is `g + o`, its scale `1 + g + o / 4`.
fn code(i: usize, o: usize) -> u32 {
    ((3 * i + 5 * o) % 16) as u32
}

fn expected(group: impl Fn(usize) -> usize) -> Vec<f32> {
    let number = |o: usize, i: usize| {
        let g = group(i);
        (1.0 + g as f32 + o as f32 / 4.0) * (code(i, o) as f32 - (g + o) as f32)
    };
    (0..8).flat_map(|o| (0..8).map(move |i| (o, i))).map(|(o, i)| number(o, i)).collect()
}

fn scales() -> Vec<u8> {
    let scale = |g: usize, o: usize| 1.0 + g as f32 + o as f32 / 4.0;
    floats_of(&(0..2).flat_map(|g| (0..8).map(move |o| scale(g, o))).collect::<Vec<f32>>())
}

#[test]
fn gptq_stores_one_less_than_the_zero_and_the_group_of_each_input() {
    let order = [0, 1, 0, 1, 1, 0, 1, 0];
    let codes: Vec<u32> = (0..8).map(|o| (0..8).fold(0, |word, i| word | code(i, o) << (4 * i))).collect();
    let zeros: Vec<u32> =
        (0..2).map(|g| (0..8).fold(0, |word, o| word | ((g + o + 15) as u32 % 16) << (4 * o))).collect();
    let mut files = vec![
        tensor("x.qweight", StoredType::Other("i32"), &[1, 8], &words(&codes)),
        tensor("x.qzeros", StoredType::Other("i32"), &[2, 1], &words(&zeros)),
        tensor("x.scales", StoredType::F32, &[2, 8], &scales()),
        tensor("x.g_idx", StoredType::Other("i32"), &[8], &words(&order.map(|g| g as u32))),
    ];
    let mut aside = Vec::new();
    let notes = unpack(&mut files, &mut aside, None).unwrap();
    assert_eq!((notes.len(), aside.len()), (1, 4), "{notes:?}");
    assert_eq!(files[0].read_f32(&files[0].entries[0]).unwrap(), expected(|i| order[i]));
}

#[test]
fn awq_has_groups_in_order_and_outputs_interleaved() {
    const ORDER: [usize; 8] = [0, 2, 4, 6, 1, 3, 5, 7];
    let word = |of: &dyn Fn(usize) -> u32| (0..8).fold(0, |word, place| word | of(ORDER[place]) << (4 * place));
    let codes: Vec<u32> = (0..8).map(|i| word(&|o| code(i, o))).collect();
    let zeros: Vec<u32> = (0..2).map(|g| word(&|o| (g + o) as u32)).collect();
    let mut files = vec![
        tensor("x.qweight", StoredType::Other("i32"), &[8, 1], &words(&codes)),
        tensor("x.qzeros", StoredType::Other("i32"), &[2, 1], &words(&zeros)),
        tensor("x.scales", StoredType::F32, &[2, 8], &scales()),
    ];
    unpack(&mut files, &mut Vec::new(), None).unwrap();
    assert_eq!(files[0].read_f32(&files[0].entries[0]).unwrap(), expected(|i| i / 4));
}

/// By the formula of transformers: a number of four bits times 2 to the power of the scale less 127.
#[test]
fn experts_of_four_bits_are_taken_apart() {
    const NUMBERS: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let (experts, rows, groups) = (2, 4, 3);
    let code = |e: usize, r: usize, i: usize| ((7 * e + 5 * r + 3 * i + i / 11) % 16) as u8;
    let exponent = |e: usize, r: usize, g: usize| (120 + (3 * e + 2 * r + g) % 12) as u8;
    let number = |e: usize, r: usize, i: usize| {
        let (code, scale) = (usize::from(code(e, r, i)), 2f32.powi(i32::from(exponent(e, r, i / 32)) - 127));
        if code < 8 { NUMBERS[code] * scale } else { -NUMBERS[code - 8] * scale }
    };
    let all = || (0..experts).flat_map(|e| (0..rows).map(move |r| (e, r)));
    let byte = |e, r, at: usize| code(e, r, 2 * at) | code(e, r, 2 * at + 1) << 4;
    let blocks: Vec<u8> = all().flat_map(|(e, r)| (0..16 * groups).map(move |at| byte(e, r, at))).collect();
    let scales: Vec<u8> = all().flat_map(|(e, r)| (0..groups).map(move |g| exponent(e, r, g))).collect();
    let bytes = StoredType::Other("u8");
    let mut files = vec![
        tensor("mlp.experts.gate_up_proj_blocks", bytes, &[experts, rows, groups, 16], &blocks),
        tensor("mlp.experts.gate_up_proj_scales", bytes, &[experts, rows, groups], &scales),
        tensor("mlp.experts.down_proj_blocks", bytes, &[experts, rows, groups, 16], &blocks),
        tensor("mlp.experts.down_proj_scales", bytes, &[experts, rows, groups], &scales),
    ];
    let mut aside = Vec::new();
    let notes = unpack(&mut files, &mut aside, None).unwrap();
    assert_eq!((notes, aside.len()), (vec!["6 matrices of mxfp4 are read in four bits".to_owned()], 4));
    for e in 0..experts {
        for (name, of) in [("gate_proj", [0, 2].as_slice()), ("up_proj", &[1, 3]), ("down_proj", &[0, 1, 2, 3])] {
            let name = format!("mlp.experts.{e}.{name}.weight");
            let entry = files[0].entries.iter().find(|entry| entry.name == name).unwrap();
            assert_eq!((entry.shape.as_slice(), entry.dtype), (&[of.len(), 32 * groups][..], StoredType::MXFP4));
            let wanted: Vec<f32> = of.iter().flat_map(|&r| (0..32 * groups).map(move |i| number(e, r, i))).collect();
            assert_eq!(files[0].read_f32(entry).unwrap(), wanted, "{name}");
        }
    }
}

#[test]
fn parts_that_do_not_fit_each_other_are_an_error_when_they_are_read() {
    let mut files = vec![
        tensor("x.qweight", StoredType::Other("i32"), &[1, 8], &words(&[0; 3])),
        tensor("x.qzeros", StoredType::Other("i32"), &[2, 1], &words(&[0; 2])),
        tensor("x.scales", StoredType::F32, &[2, 8], &scales()),
        tensor("x.g_idx", StoredType::Other("i32"), &[8], &words(&[0; 8])),
    ];
    unpack(&mut files, &mut Vec::new(), None).unwrap();
    let message = files[0].read_f32(&files[0].entries[0]).unwrap_err().to_string();
    assert!(message.contains("do not fit each other"), "{message}");
}
