//! Eight-bit floats with scales: a matrix `x.weight` next to the numbers by which its blocks, rows or all of it are
//! multiplied as it is read. `x.weight_scale_inv` has one for each block of 128 by 128 (DeepSeek and the `fp8` of
//! transformers), `x.weight_scale` one for each row or one for all (compressed-tensors, FBGEMM).

use std::collections::HashMap;
use std::sync::Arc;

use super::{StoredType, TensorEntry, TensorFile};
use crate::model::error::LoadError;

/// Rows and columns of a block.
const BLOCK: usize = 128;

/// The scales of a matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Scales {
    /// Rows and columns that share one.
    block: (usize, usize),
    /// Scales for each row of blocks.
    across: usize,
    width: usize,
    values: Vec<f32>,
}

impl Scales {
    /// That of element `at` of the matrix.
    pub fn of(&self, at: usize) -> f32 {
        let (row, column) = (at / self.width.max(1), at % self.width.max(1));
        self.values[row / self.block.0 * self.across + column / self.block.1]
    }
}

fn is_eight_bit(kind: StoredType) -> bool {
    matches!(kind, StoredType::F8_E4M3 | StoredType::F8_E5M2)
}

/// Gives the eight-bit matrices of a checkpoint their scales; the tensors that hold those are set aside.
///
/// # Errors
/// If scales do not fit their matrix, or cannot be read.
pub fn attach(path: &str, files: &mut [TensorFile], aside: &mut Vec<(TensorEntry, String)>) -> Result<(), LoadError> {
    let matrices = |file: &TensorFile| file.entries.iter().any(|entry| is_eight_bit(entry.dtype));
    if !files.iter().any(matrices) {
        return Ok(());
    }
    let mut places: HashMap<&str, (&TensorFile, &TensorEntry)> = HashMap::new();
    for file in files.iter() {
        places.extend(file.entries.iter().map(|entry| (entry.name.as_str(), (file, entry))));
    }
    let mut found: HashMap<String, Arc<Scales>> = HashMap::new();
    for (_, entry) in places.values().filter(|(_, entry)| is_eight_bit(entry.dtype)) {
        let holder = |ending: &str| places.get(format!("{}{ending}", entry.name).as_str());
        if let Some((file, holder)) = holder("_scale_inv").or_else(|| holder("_scale")) {
            let scales = scales(path, entry, holder, file.read_f32(holder)?)?;
            found.insert(entry.name.clone(), Arc::new(scales));
        }
    }
    for file in files {
        for mut entry in std::mem::take(&mut file.entries) {
            match reason(&entry.name, &found) {
                Some(reason) => aside.push((entry, reason)),
                None => {
                    entry.scales = found.get(&entry.name).cloned();
                    file.entries.push(entry);
                }
            }
        }
    }
    Ok(())
}

/// Why a tensor next to an eight-bit matrix is no weight itself.
fn reason(name: &str, found: &HashMap<String, Arc<Scales>>) -> Option<String> {
    let of = |ending: &str| {
        let weight = format!("{}weight", name.strip_suffix(ending)?);
        found.contains_key(&weight).then_some(weight)
    };
    let scale = of("weight_scale_inv").or_else(|| of("weight_scale"));
    if let Some(weight) = scale {
        return Some(format!("the scales of {weight}, by which it is multiplied when it is read"));
    }
    let of_inputs = of("input_scale").or_else(|| of("activation_scale"));
    of_inputs.map(|weight| format!("for rounding what {weight} multiplies, which is not rounded here"))
}

fn scales(path: &str, matrix: &TensorEntry, entry: &TensorEntry, values: Vec<f32>) -> Result<Scales, LoadError> {
    let wrong =
        |message: String| LoadError::UnreadableTensor { path: path.to_owned(), tensor: entry.name.clone(), message };
    let [rows, width] = matrix.shape[..] else {
        return Err(wrong(format!("{} has shape {:?}: only matrices have scales", matrix.name, matrix.shape)));
    };
    let in_blocks = [rows.div_ceil(BLOCK), width.div_ceil(BLOCK)];
    let (block, across) = match entry.shape[..] {
        [] | [1] | [1, 1] => ((rows.max(1), width.max(1)), 1),
        [scales] | [scales, 1] if scales == rows => ((1, width.max(1)), 1),
        [down, across] if [down, across] == in_blocks => ((BLOCK, BLOCK), across),
        _ => {
            let shape = &entry.shape;
            return Err(wrong(format!(
                "its shape {shape:?} does not fit {rows} by {width}: one scale, one for each row, or one for each {BLOCK} by {BLOCK}"
            )));
        }
    };
    Ok(Scales { block, across, width, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(shape: &[usize]) -> TensorEntry {
        TensorEntry::new("x.weight".into(), StoredType::F8_E4M3, shape.to_vec(), 0..shape.iter().product())
    }

    fn of(shape: &[usize], scale_shape: &[usize], values: Vec<f32>) -> Result<Scales, LoadError> {
        let entry = TensorEntry::new("x.weight_scale".into(), StoredType::F32, scale_shape.to_vec(), 0..0);
        scales("m", &matrix(shape), &entry, values)
    }

    #[test]
    fn a_scale_is_for_all_for_a_row_or_for_a_block() {
        let all = of(&[3, 5], &[], vec![7.0]).unwrap();
        assert!((0..15).all(|at| all.of(at) == 7.0));
        let rows = of(&[3, 5], &[3, 1], vec![1.0, 2.0, 3.0]).unwrap();
        assert_eq!([rows.of(4), rows.of(5), rows.of(14)], [1.0, 2.0, 3.0]);
        let blocks = of(&[130, 300], &[2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        let at = |row: usize, column: usize| blocks.of(row * 300 + column);
        assert_eq!([at(0, 127), at(0, 128), at(127, 299), at(128, 0), at(129, 256)], [1.0, 2.0, 3.0, 4.0, 6.0]);
    }

    #[test]
    fn scales_of_another_shape_are_refused_by_name() {
        let message = of(&[130, 300], &[3, 2], vec![0.0; 6]).unwrap_err().to_string();
        assert!(message.contains("x.weight_scale") && message.contains("[3, 2] does not fit 130 by 300"), "{message}");
    }
}
