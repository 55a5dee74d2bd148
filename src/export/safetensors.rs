//! Values to a safetensors file, one tensor for each name.

use std::collections::BTreeSet;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use super::{Cause, ExportError, whole};
use crate::tensor::{Kind, TensorError, Value, proceed};

/// Elements of a value, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum HostData {
    F32(Vec<f32>),
    I64(Vec<i64>),
}

impl HostData {
    /// The elements of a value, read from its device. Those of a truth value are whole numbers.
    pub fn of(value: &Value) -> Result<HostData, TensorError> {
        Ok(match value.kind() {
            Kind::Float => HostData::F32(value.read_f32()?),
            _ => HostData::I64(value.read_i64()?),
        })
    }

    fn len(&self) -> usize {
        match self {
            HostData::F32(elements) => elements.len(),
            HostData::I64(elements) => elements.len(),
        }
    }

    fn bytes(self) -> Vec<u8> {
        // One after the other: collecting from arrays of four takes several times as long.
        fn joined<const N: usize>(elements: impl ExactSizeIterator<Item = [u8; N]>) -> Vec<u8> {
            let mut bytes = Vec::with_capacity(N * elements.len());
            elements.for_each(|element| bytes.extend_from_slice(&element));
            bytes
        }
        match self {
            HostData::F32(elements) => joined(elements.into_iter().map(f32::to_le_bytes)),
            HostData::I64(elements) => joined(elements.into_iter().map(i64::to_le_bytes)),
        }
    }
}

/// Writes `entries`, each a name, a shape and its elements, to `path`.
///
/// An existing file is replaced only when the new one is complete. All entries are in memory at once, as they will be
/// in the file.
///
/// # Errors
/// If two entries have one name, elements do not fit their shape, the file cannot be written, or the user interrupts.
pub fn write(
    path: &Path,
    entries: impl IntoIterator<Item = (String, Vec<usize>, HostData)>,
) -> Result<(), ExportError> {
    let refused = |message: String| Cause::from(message).at(path);
    let mut names = BTreeSet::new();
    let mut held = Vec::new();
    for (name, shape, data) in entries {
        if shape.iter().product::<usize>() != data.len() {
            return Err(refused(format!("{name} has shape {shape:?} and {} elements", data.len())));
        }
        if !names.insert(name.clone()) {
            return Err(refused(format!("there are two values called {name}")));
        }
        proceed()?;
        let dtype = match data {
            HostData::F32(_) => Dtype::F32,
            HostData::I64(_) => Dtype::I64,
        };
        held.push((name, dtype, shape, data.bytes()));
    }
    whole(path, |partial| {
        let mut tensors = Vec::new();
        for (name, dtype, shape, bytes) in &held {
            tensors.push((name, TensorView::new(*dtype, shape.clone(), bytes)?));
        }
        safetensors::serialize_to_file(tensors, None, partial)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;
    use safetensors::SafeTensors;

    use super::*;
    use crate::tensor::TensorError;

    fn entry(name: &str, shape: &[usize], data: HostData) -> (String, Vec<usize>, HostData) {
        (name.to_string(), shape.to_vec(), data)
    }

    /// Everything in a file: name, shape, elements; by name.
    fn read(path: &Path) -> Vec<(String, Vec<usize>, HostData)> {
        let bytes = fs::read(path).unwrap();
        let mut entries: Vec<_> = SafeTensors::deserialize(&bytes)
            .unwrap()
            .iter()
            .map(|(name, view)| {
                let data = match view.dtype() {
                    Dtype::F32 => HostData::F32(
                        view.data().chunks(4).map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect(),
                    ),
                    Dtype::I64 => HostData::I64(
                        view.data().chunks(8).map(|x| i64::from_le_bytes(x.try_into().unwrap())).collect(),
                    ),
                    other => panic!("unexpected {other:?}"),
                };
                entry(name, view.shape(), data)
            })
            .collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        entries
    }

    fn files(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn reads_back_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        fs::write(&path, "older").unwrap();
        let entries = vec![
            entry("blocks.0.attn.pattern", &[1, 2, 2], HostData::F32(vec![1.0, 0.0, -0.0, f32::NEG_INFINITY])),
            entry("empty", &[0, 3], HostData::F32(vec![])),
            entry("scalar", &[], HostData::F32(vec![0.5])),
            entry("tokens", &[2], HostData::I64(vec![-1, i64::MAX])),
        ];
        write(&path, entries.clone()).unwrap();
        assert_eq!(read(&path), entries);
        assert_eq!(files(folder.path()), ["a.safetensors"]);
    }

    #[test]
    fn failures_name_the_file_and_leave_it_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        fs::write(&path, "older").unwrap();
        let one = || entry("x", &[1], HostData::I64(vec![1]));
        let failure = |path: &Path, entries: Vec<_>| write(path, entries).unwrap_err().to_string();
        let wrong = failure(&path, vec![entry("x", &[3], HostData::I64(vec![1]))]);
        assert!(wrong.ends_with("a.safetensors: x has shape [3] and 1 elements"), "{wrong}");
        assert!(failure(&path, vec![one(), one()]).ends_with("there are two values called x"));
        let nowhere = folder.path().join("no/such/folder/a");
        assert!(failure(&nowhere, vec![one()]).contains("no/such/folder/a: "));
        assert!(failure(Path::new("/"), vec![one()]).contains("cannot write /: it is not the name of a file"));
        let flag = std::sync::Arc::new(true.into());
        let interrupted = crate::tensor::interruptible(&flag, || write(&path, [one()])).unwrap_err();
        assert!(matches!(interrupted.tensor(), Some(TensorError::Interrupted(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "older");
        assert_eq!(files(folder.path()), ["a.safetensors"]);
    }

    proptest! {
        #[test]
        fn every_bit_survives(bits in proptest::collection::vec(any::<u32>(), 0..50)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("bits");
            let elements: Vec<f32> = bits.iter().map(|&bits| f32::from_bits(bits)).collect();
            write(&path, [entry("x", &[bits.len()], HostData::F32(elements))]).unwrap();
            let HostData::F32(back) = &read(&path)[0].2 else { panic!("not f32") };
            prop_assert_eq!(back.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), bits);
        }
    }
}
