//! Weights of eight-bit floats with scales compute exactly what their products with the scales compute, whichever layout
//! of scales they have; what does not fit is refused by name.

use safetensors::Dtype;
use serde_json::json;

use crate::altered::{Copy, Tensor, ran, tensors};
use crate::parity::fixture;

/// The float of eight bits (e4m3), from its definition.
fn e4m3(bits: u8) -> f32 {
    let (sign, exponent, mantissa) = (bits >> 7, i32::from(bits >> 3 & 15), f64::from(bits & 7));
    let size = match exponent {
        0 => mantissa / 8.0 * 2f64.powi(-6),
        _ => (1.0 + mantissa / 8.0) * 2f64.powi(exponent - 7),
    };
    (if sign == 1 { -size } else { size }) as f32
}

fn nearest(x: f32) -> u8 {
    let finite = (0..=255u8).filter(|bits| bits & 0x7F != 0x7F);
    finite.min_by(|a, b| (e4m3(*a) - x).abs().total_cmp(&(e4m3(*b) - x).abs())).unwrap()
}

/// How scales are laid out.
#[derive(Clone, Copy)]
enum Layout {
    All,
    Rows,
    Blocks,
}

/// A matrix in eight bits with its scales, and what it then is.
fn rounded(tensor: &Tensor, layout: Layout) -> (Vec<Tensor>, Tensor) {
    let [rows, width] = tensor.shape[..] else { panic!("a matrix") };
    let numbers = tensor.numbers();
    let of = |row: usize| &numbers[row * width..(row + 1) * width];
    let largest = |part: &[f32]| part.iter().fold(0.0f32, |most, x| most.max(x.abs())) / 448.0;
    // The fixtures are smaller than a block.
    let (shape, suffix, scales) = match layout {
        Layout::All => (vec![1], "_scale", vec![largest(&numbers)]),
        Layout::Rows => (vec![rows, 1], "_scale", (0..rows).map(|row| largest(of(row))).collect()),
        Layout::Blocks => (vec![1, 1], "_scale_inv", vec![largest(&numbers)]),
    };
    let scale = |row: usize| if scales.len() == rows { scales[row] } else { scales[0] };
    let (mut data, mut values) = (Vec::new(), Vec::new());
    for row in 0..rows {
        for x in of(row) {
            let bits = nearest(x / scale(row));
            data.push(bits);
            values.push(e4m3(bits) * scale(row));
        }
    }
    let name = tensor.name.clone();
    let eight = Tensor { name: name.clone(), dtype: Dtype::F8_E4M3, shape: tensor.shape.clone(), data };
    let scales = Tensor::f32(&format!("{name}{suffix}"), &shape, &scales);
    (vec![eight, scales], Tensor::f32(&name, &tensor.shape, &values))
}

fn linear(tensor: &Tensor) -> bool {
    tensor.shape.len() == 2 && tensor.name.contains("proj")
}

#[test]
fn eight_bit_weights_compute_what_their_widened_twins_compute_bit_for_bit() {
    let float = json!({"config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float"}}},
                       "quant_method": "compressed-tensors", "format": "float-quantized"});
    let fp8 = json!({"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]});
    for (layout, config) in [(Layout::All, &float), (Layout::Rows, &float), (Layout::Blocks, &fp8)] {
        let all = tensors(&fixture("llama").join("model.safetensors"));
        let (mut eights, mut wide) = (Vec::new(), Vec::new());
        for tensor in all {
            if linear(&tensor) {
                let (eight, twin) = rounded(&tensor, layout);
                eights.extend(eight);
                wide.push(twin);
            } else {
                eights.push(tensor.clone());
                wide.push(tensor);
            }
        }
        let eights = Copy::of("llama").tensors(|all| *all = eights).set("quantization_config", config.clone());
        let wide = Copy::of("llama").tensors(|all| *all = wide);
        let (mut found, mut wanted) = (ran(eights.load().unwrap()), ran(wide.load().unwrap()));
        assert_eq!(found.bits("logits"), wanted.bits("logits"));
        let said = found.text("info model");
        assert!(said.contains("by which it is multiplied when it is read"), "{said}");
    }
}

#[test]
fn eight_bit_weights_without_their_scales_and_other_quantisations_are_refused() {
    let eights = |scales: bool| {
        Copy::of("llama").tensors(|all| {
            let parts = all.drain(..).flat_map(|tensor| match linear(&tensor) {
                true => rounded(&tensor, Layout::All).0.into_iter().take(if scales { 2 } else { 1 }).collect(),
                false => vec![tensor],
            });
            *all = parts.collect();
        })
    };
    let fp8 = json!({"quant_method": "fp8"});
    let message = eights(false).set("quantization_config", fp8).refused();
    assert!(message.contains("has eight bits and no scales in the files"), "{message}");
    for other in [
        json!({"quant_method": "gptq", "bits": 3}),
        json!({"quant_method": "gptq", "bits": 4, "checkpoint_format": "gptq_v2"}),
        json!({"quant_method": "fp8", "weight_block_size": [64, 64]}),
        json!({"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": {"num_bits": 4, "type": "int"}}}}),
    ] {
        let message = eights(true).set("quantization_config", other).refused();
        assert!(message.contains("of quantised weights"), "{message}");
    }
}
