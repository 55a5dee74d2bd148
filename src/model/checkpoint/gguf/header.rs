//! The header of one GGUF file: metadata and the table of tensors, every number checked against the size of the file.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use super::ggml::{GgmlType, ggml_type};
use super::reader::{Fault, Reader, Value};

pub const MAGIC: [u8; 4] = *b"GGUF";

/// Axes that ggml knows.
const MOST_AXES: u32 = 4;

/// Bytes that offsets of tensors are multiples of, where the metadata does not say.
const ALIGNMENT: u64 = 32;

#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    pub name: String,
    pub kind: GgmlType,
    /// Length of each axis, first axis first (the file lists the last one first).
    pub shape: Vec<usize>,
    pub range: Range<usize>,
}

/// What comes before the tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    pub version: u32,
    pub metadata: BTreeMap<String, Value>,
    /// The tensors, in the order of their bytes.
    pub tensors: Vec<TensorInfo>,
}

pub fn parse(bytes: &[u8]) -> Result<Header, Fault> {
    let Some((magic, _)) = bytes.split_first_chunk::<4>() else {
        return Err(Fault(format!("it has {} bytes, a GGUF file starts with the letters GGUF", bytes.len())));
    };
    if *magic != MAGIC {
        return Err(Fault(format!("it starts with {:?} instead of GGUF", String::from_utf8_lossy(magic))));
    }
    let mut reader = Reader::new(bytes, MAGIC.len());
    let version = reader.u32("the version")?;
    match version {
        2 | 3 => {}
        1 => return Err(Fault("it is of version 1; convert it again: versions 2 and 3 can be read".into())),
        _ if version.swap_bytes() <= 3 => {
            return Err(Fault("it is big-endian; only little-endian files can be read".into()));
        }
        _ => return Err(Fault(format!("it is of version {version}; only versions 2 and 3 can be read"))),
    }
    // A tensor takes at least 24 bytes of the table, a metadata entry 13.
    let tensors = reader.count(24, "the number of tensors")?;
    let entries = reader.count(13, "the number of metadata entries")?;
    let mut metadata = BTreeMap::new();
    for _ in 0..entries {
        let key = reader.key()?;
        let value = reader.value(&key)?;
        if metadata.insert(key.clone(), value).is_some() {
            return Err(Fault(format!("the metadata has {key:?} twice")));
        }
    }
    let places: Vec<_> = (0..tensors).map(|_| place(&mut reader)).collect::<Result<_, _>>()?;
    let alignment = alignment(&metadata)?;
    let start = (reader.position() as u64).checked_next_multiple_of(alignment);
    let start = start.ok_or_else(|| Fault("its header has no end".into()))?;
    let tensors = settle(places, bytes.len(), start, alignment)?;
    Ok(Header { version, metadata, tensors })
}

/// A line of the table, with as many bytes as its tensor takes, and the offset that it claims.
fn place(reader: &mut Reader) -> Result<(TensorInfo, u64), Fault> {
    let name = String::from_utf8_lossy(reader.text("the name of a tensor")?).into_owned();
    let what = format!("the table entry of tensor {name:?}");
    let axes = reader.u32(&what)?;
    if axes > MOST_AXES {
        return Err(Fault(format!("tensor {name:?} has {axes} axes, at most {MOST_AXES} are possible")));
    }
    let shape = (0..axes).map(|_| reader.u64(&what)).collect::<Result<Vec<u64>, _>>()?;
    let id = reader.u32(&what)?;
    let Some(kind) = ggml_type(id) else { return Err(Fault(format!("tensor {name:?} is of the unknown type {id}"))) };
    let offset = reader.u64(&what)?;
    // An empty tensor can still have axes whose product no number holds.
    let fits = shape.iter().try_fold(1u64, |count, axis| count.checked_mul((*axis).max(1))).is_some();
    let count = fits.then(|| shape.iter().product::<u64>());
    let width = shape.first().copied().unwrap_or(1);
    if !width.is_multiple_of(kind.elements as u64) {
        let name_of_kind = kind.stored.name();
        return Err(Fault(format!(
            "tensor {name:?} has rows of {width} elements, which {name_of_kind} cannot store: its blocks are of {}",
            kind.elements
        )));
    }
    let length = count.and_then(|count| (count / kind.elements as u64).checked_mul(kind.bytes as u64));
    let Some(length) = length.and_then(|length| usize::try_from(length).ok()) else {
        return Err(Fault(format!("tensor {name:?} of shape {shape:?} is larger than any file")));
    };
    let shape = shape.into_iter().rev().map(|axis| axis as usize).collect();
    Ok((TensorInfo { name, kind, shape, range: 0..length }, offset))
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<u64, Fault> {
    match metadata.get("general.alignment") {
        None => Ok(ALIGNMENT),
        Some(Value::Unsigned(n)) if *n > 0 && n.is_multiple_of(8) && *n <= 1 << 30 => Ok(*n),
        Some(_) => Err(Fault("general.alignment is not a multiple of 8".into())),
    }
}

/// Checks that the tensors are inside the file, aligned, and do not overlap.
fn settle(places: Vec<(TensorInfo, u64)>, size: usize, start: u64, alignment: u64) -> Result<Vec<TensorInfo>, Fault> {
    let mut tensors = Vec::with_capacity(places.len());
    let mut names = HashSet::new();
    for (tensor, offset) in places {
        let (name, length) = (&tensor.name, tensor.range.len());
        if !names.insert(name.clone()) {
            return Err(Fault(format!("it has tensor {name:?} twice")));
        }
        if !offset.is_multiple_of(alignment) {
            return Err(Fault(format!("tensor {name:?} starts at {offset}, which is not a multiple of {alignment}")));
        }
        let range = start.checked_add(offset).and_then(|begin| {
            let end = begin.checked_add(length as u64).filter(|end| *end <= size as u64)?;
            Some(begin as usize..end as usize)
        });
        let Some(range) = range else {
            let available = (size as u64).saturating_sub(start);
            return Err(Fault(format!(
                "it is truncated: tensor {name:?} takes {length} bytes from {offset} of the data, the file has \
                 {available}"
            )));
        };
        tensors.push(TensorInfo { range, ..tensor });
    }
    tensors.sort_by_key(|tensor| (tensor.range.start, tensor.range.end));
    for pair in tensors.windows(2) {
        if pair[1].range.start < pair[0].range.end {
            return Err(Fault(format!("tensors {:?} and {:?} overlap", pair[0].name, pair[1].name)));
        }
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A file with one metadata entry and one tensor of 32-bit floats.
    fn file(axes: &[u64], kind: u32, offset: u64, data: usize) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(3u32.to_le_bytes());
        bytes.extend(1u64.to_le_bytes());
        bytes.extend(1u64.to_le_bytes());
        text(&mut bytes, "general.architecture");
        bytes.extend(8u32.to_le_bytes());
        text(&mut bytes, "gpt2");
        text(&mut bytes, "x");
        bytes.extend((axes.len() as u32).to_le_bytes());
        axes.iter().for_each(|axis| bytes.extend(axis.to_le_bytes()));
        bytes.extend(kind.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        bytes.resize(bytes.len().next_multiple_of(32) + data, 0);
        bytes
    }

    fn text(bytes: &mut Vec<u8>, text: &str) {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    }

    fn fault(bytes: &[u8]) -> String {
        parse(bytes).unwrap_err().to_string()
    }

    #[test]
    fn the_table_lists_shapes_first_axis_first() {
        let bytes = file(&[4, 2], 0, 0, 32);
        let header = parse(&bytes).unwrap();
        assert_eq!((header.tensors[0].shape.as_slice(), header.tensors[0].range.len()), (&[2, 4][..], 32));
        assert_eq!(header.metadata["general.architecture"], Value::Text("gpt2".into()));
    }

    #[test]
    fn files_of_another_kind() {
        assert_eq!(fault(b"GG"), "it has 2 bytes, a GGUF file starts with the letters GGUF");
        assert_eq!(fault(b"PK\x03\x04rest"), "it starts with \"PK\\u{3}\\u{4}\" instead of GGUF");
        let version = |version: [u8; 4]| fault(&[MAGIC, version].concat());
        assert_eq!(version([1, 0, 0, 0]), "it is of version 1; convert it again: versions 2 and 3 can be read");
        assert_eq!(version([0, 0, 0, 3]), "it is big-endian; only little-endian files can be read");
        assert_eq!(version([9, 0, 0, 0]), "it is of version 9; only versions 2 and 3 can be read");
    }

    #[test]
    fn tensors_that_lie_about_their_size_or_place() {
        assert_eq!(
            fault(&file(&[4, 2], 0, 0, 31)),
            "it is truncated: tensor \"x\" takes 32 bytes from 0 of the data, the file has 31"
        );
        assert_eq!(
            fault(&file(&[1 << 33, 1 << 33], 0, 0, 32)),
            "tensor \"x\" of shape [8589934592, 8589934592] is larger than any file"
        );
        assert_eq!(
            fault(&file(&[1 << 31], 0, 0, 32)),
            "it is truncated: tensor \"x\" takes 8589934592 bytes from 0 of the data, the file has 32"
        );
        assert_eq!(fault(&file(&[4, 2], 0, 8, 64)), "tensor \"x\" starts at 8, which is not a multiple of 32");
        assert_eq!(
            fault(&file(&[4, 2], 0, u64::MAX - 31, 64)),
            "it is truncated: tensor \"x\" takes 32 bytes from 18446744073709551584 of the data, the file has 64"
        );
        assert_eq!(fault(&file(&[4, 2], 77, 0, 64)), "tensor \"x\" is of the unknown type 77");
        assert_eq!(
            fault(&file(&[16, 2], 2, 0, 64)),
            "tensor \"x\" has rows of 16 elements, which q4_0 cannot store: its blocks are of 32"
        );
        assert_eq!(fault(&file(&[1; 5], 0, 0, 64)), "tensor \"x\" has 5 axes, at most 4 are possible");
    }

    #[test]
    fn tensors_twice_or_over_one_another() {
        let two = |second: &str, offset: u64| {
            let mut bytes = MAGIC.to_vec();
            bytes.extend(3u32.to_le_bytes());
            bytes.extend(2u64.to_le_bytes());
            bytes.extend(0u64.to_le_bytes());
            for (name, offset) in [("x", 0), (second, offset)] {
                text(&mut bytes, name);
                bytes.extend(1u32.to_le_bytes());
                bytes.extend(16u64.to_le_bytes());
                bytes.extend(0u32.to_le_bytes());
                bytes.extend(offset.to_le_bytes());
            }
            bytes.resize(bytes.len().next_multiple_of(32) + 128, 0);
            bytes
        };
        assert_eq!(fault(&two("x", 64)), "it has tensor \"x\" twice");
        assert_eq!(fault(&two("y", 32)), "tensors \"x\" and \"y\" overlap");
        assert_eq!(parse(&two("y", 64)).unwrap().tensors.len(), 2);
    }

    #[test]
    fn a_table_of_more_tensors_than_fit() {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(3u32.to_le_bytes());
        bytes.extend(u64::MAX.to_le_bytes());
        bytes.extend(0u64.to_le_bytes());
        assert_eq!(fault(&bytes), "the number of tensors is 18446744073709551615, but there are only 8 bytes left");
    }

    proptest! {
        #[test]
        fn a_file_cut_anywhere_is_a_fault(cut in 0usize..100) {
            let bytes = file(&[4, 2], 0, 0, 32);
            prop_assert!(parse(&bytes[..cut.min(bytes.len() - 1)]).is_err());
        }

        #[test]
        fn random_bytes_after_the_version_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&[&MAGIC[..], &3u32.to_le_bytes(), &bytes].concat());
        }

        #[test]
        fn one_changed_byte_never_panics(at in 0usize..200, to in any::<u8>()) {
            let mut bytes = file(&[4, 2], 0, 0, 32);
            let at = at % bytes.len();
            bytes[at] = to;
            let _ = parse(&bytes);
        }
    }
}
