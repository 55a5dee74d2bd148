//! safetensors files: a header of JSON that places every tensor, and their bytes.

use std::path::Path;
use std::sync::Arc;

use safetensors::SafeTensors;
use safetensors::tensor::SafeTensorError;

use super::stored::StoredType;
use super::{FileBytes, TensorEntry, TensorFile};
use crate::model::error::LoadError;

/// Bytes before the header that give its length.
const LENGTH_BYTES: usize = 8;

pub fn open(path: &Path) -> Result<TensorFile, LoadError> {
    parse(path.display().to_string(), FileBytes::map(path)?)
}

/// Reads the header of a file; `path` is for messages.
pub fn parse(path: String, bytes: FileBytes) -> Result<TensorFile, LoadError> {
    let all = bytes.all();
    let header = header(&path, all)?;
    let data_start = LENGTH_BYTES + header.len();
    let (_, metadata) = SafeTensors::read_metadata(all).map_err(|error| explain(&path, all, data_start, error))?;
    let mut entries = Vec::new();
    for (name, info) in metadata.tensors() {
        let (begin, end) = info.data_offsets;
        let range = data_start.checked_add(begin).zip(data_start.checked_add(end)).map(|(begin, end)| begin..end);
        let Some(range) = range.filter(|range| all.get(range.clone()).is_some()) else {
            let available = (all.len() - data_start) as u64;
            let (begin, end) = (begin as u64, end as u64);
            return Err(LoadError::TensorBeyondFile { path, tensor: name, begin, end, available });
        };
        let dtype = StoredType::of_safetensors(info.dtype);
        entries.push((range.start, TensorEntry::new(name, dtype, info.shape.clone(), range)));
    }
    entries.sort_by_key(|(start, _)| *start);
    let entries = entries.into_iter().map(|(_, entry)| entry).collect();
    Ok(TensorFile { path, size: all.len() as u64, bytes: Arc::new(bytes), entries })
}

/// The header's bytes, if the file is long enough for what it says about its length.
fn header<'a>(path: &str, all: &'a [u8]) -> Result<&'a [u8], LoadError> {
    let size = all.len() as u64;
    let Some((length, rest)) = all.split_first_chunk::<LENGTH_BYTES>() else {
        return Err(LoadError::TooShort { path: path.to_owned(), size });
    };
    let length = u64::from_le_bytes(*length);
    usize::try_from(length).ok().and_then(|length| rest.get(..length)).ok_or_else(|| LoadError::HeaderBeyondFile {
        path: path.to_owned(),
        header: length,
        size,
    })
}

/// Says what the crate found wrong in terms of the file: above all which tensor a truncated file cuts off.
fn explain(path: &str, all: &[u8], data_start: usize, error: SafeTensorError) -> LoadError {
    let available = (all.len() - data_start) as u64;
    let path = path.to_owned();
    let message = match error {
        SafeTensorError::MetadataIncompleteBuffer => match last_tensor(&all[LENGTH_BYTES..data_start]) {
            Some((tensor, begin, end)) if end > available => {
                return LoadError::TensorBeyondFile { path, tensor, begin, end, available };
            }
            Some((_, _, end)) => format!("its tensors end at byte {end} of the data, the file has {available}"),
            None => format!("it lists no tensors, but the file has {available} bytes of data"),
        },
        SafeTensorError::InvalidOffset(name) => format!("tensor {name:?} does not start where the one before ends"),
        other => other.to_string(),
    };
    LoadError::BadHeader { path, message }
}

/// The tensor with the largest end offset.
fn last_tensor(header: &[u8]) -> Option<(String, u64, u64)> {
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(header).ok()?;
    let place = |(name, info): (String, serde_json::Value)| {
        let offsets = info.get("data_offsets")?;
        Some((name, offsets.get(0)?.as_u64()?, offsets.get(1)?.as_u64()?))
    };
    header.into_iter().filter_map(place).max_by_key(|(_, _, end)| *end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    fn parse_vec(bytes: Vec<u8>) -> Result<TensorFile, LoadError> {
        parse("m.safetensors".into(), FileBytes::Owned(bytes))
    }

    fn message(bytes: Vec<u8>) -> String {
        parse_vec(bytes).unwrap_err().to_string()
    }

    const TWO: &str = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[3],"data_offsets":[8,14]}}"#;

    #[test]
    fn entries_are_in_the_order_of_their_bytes() {
        let file = parse_vec(file(TWO, 14)).unwrap();
        let seen: Vec<_> =
            file.entries.iter().map(|e| (e.name.as_str(), e.dtype.name(), e.count(), e.bytes())).collect();
        assert_eq!(seen, [("a", "f32", 2, 8), ("b", "f16", 3, 6)]);
    }

    #[test]
    fn a_truncated_file_names_the_tensor_that_is_cut_off() {
        assert_eq!(
            message(file(TWO, 11)),
            "m.safetensors is truncated: tensor \"b\" takes bytes 8..14 of the data, the file has 11; get it again"
        );
    }

    #[test]
    fn a_header_longer_than_the_file_gives_both_sizes() {
        let mut bytes = file(TWO, 14);
        bytes.truncate(40);
        assert_eq!(
            message(bytes),
            format!(
                "m.safetensors is truncated or not a safetensors file: its header should be {} bytes long, the file \
                 has 40 bytes; get it again",
                TWO.len()
            )
        );
        assert_eq!(
            message(b"\xFF\0\0\0\0\0\0\x01 no safetensors file".to_vec()),
            "m.safetensors is truncated or not a safetensors file: its header should be 72057594037928191 bytes long, \
             the file has 28 bytes; get it again"
        );
    }

    #[test]
    fn too_few_bytes_for_a_length() {
        assert_eq!(
            message(vec![1, 2, 3]),
            "m.safetensors is truncated: 3 bytes, a safetensors file starts with 8 bytes of header length; get it again"
        );
    }

    #[test]
    fn a_header_that_is_no_json_or_lies_about_offsets() {
        assert_eq!(
            message(file("not json", 0)),
            "m.safetensors: the safetensors header cannot be read: invalid JSON in header: expected ident at line 1 \
             column 2; get the file again"
        );
        assert_eq!(
            message(file(TWO, 20)),
            "m.safetensors: the safetensors header cannot be read: its tensors end at byte 14 of the data, the file \
             has 20; get the file again"
        );
        assert_eq!(
            message(file(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#, 12)),
            "m.safetensors: the safetensors header cannot be read: tensor \"a\" does not start where the one before \
             ends; get the file again"
        );
        assert!(
            message(file(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8)).contains("invalid shape")
        );
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse("random".into(), FileBytes::Owned(bytes));
        }

        #[test]
        fn random_headers_never_panic(
            begin in any::<u64>(), end in any::<u64>(), a in any::<u64>(), b in any::<u64>(), data in 0usize..64, cut in 0usize..200,
        ) {
            let header = format!(r#"{{"a":{{"dtype":"F32","shape":[{a},{b}],"data_offsets":[{begin},{end}]}}}}"#);
            let mut bytes = file(&header, data);
            let _ = parse("random".into(), FileBytes::Owned(bytes.clone()));
            bytes.truncate(cut);
            let _ = parse("random".into(), FileBytes::Owned(bytes));
        }
    }
}
