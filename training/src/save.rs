//! Writing a model folder: weights as safetensors, everything else as JSON.

use crate::params::Params;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::Value;
use std::path::Path;

pub fn weights(params: &Params, dir: &Path) {
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = params
        .export()
        .into_iter()
        .map(|(name, (shape, v))| (name, shape, v.iter().flat_map(|x| x.to_le_bytes()).collect()))
        .collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).expect("shape matches data"))
    });
    let meta = [("format".to_string(), "pt".to_string())].into();
    safetensors::serialize_to_file(views, Some(meta), &dir.join("model.safetensors")).expect("weights can be written");
}

pub fn json(value: &Value, dir: &Path, name: &str) {
    let text = serde_json::to_string_pretty(value).expect("value is JSON") + "\n";
    std::fs::write(dir.join(name), text).unwrap_or_else(|e| panic!("cannot write {name}: {e}"));
}

/// One record per line, so that a list of hundreds stays readable and small.
pub fn json_lines(records: &[Value], dir: &Path, name: &str) {
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    let text = format!("[\n{}\n]\n", lines.join(",\n"));
    std::fs::write(dir.join(name), text).unwrap_or_else(|e| panic!("cannot write {name}: {e}"));
}
