//! Arrays of numbers to NumPy's `.npy` files.

use super::safetensors::HostData;

const MAGIC: &[u8] = b"\x93NUMPY";

/// The array as a file of format version 1.0, row-major and little-endian. The product of `shape` is the number of
/// elements, and there are at most 64 axes, as in NumPy.
pub fn npy(elements: &HostData, shape: &[usize]) -> Vec<u8> {
    let (kind, data): (&str, Vec<u8>) = match elements {
        HostData::F32(elements) => ("<f4", elements.iter().flat_map(|x| x.to_le_bytes()).collect()),
        HostData::I64(elements) => ("<i8", elements.iter().flat_map(|x| x.to_le_bytes()).collect()),
    };
    let mut sides = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    if shape.len() == 1 {
        sides.push(',');
    }
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({sides}), }}");
    // The data starts at a multiple of 64 bytes, so that it can be mapped into memory.
    let before = MAGIC.len() + 4;
    let padded = (before + header.len() + 1).next_multiple_of(64) - before;
    header.push_str(&" ".repeat(padded - 1 - header.len()));
    header.push('\n');
    let mut file = MAGIC.to_vec();
    file.extend([1, 0]);
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkpoint::npy::parse;

    #[test]
    fn a_file_is_that_of_numpy() {
        // What `numpy.lib.format.write_array` of NumPy 2.4.6 wrote.
        let header = b"\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }";
        let expected = [&header[..], &[b' '; 58], b"\n\0\0\xc0?"].concat();
        assert_eq!(npy(&HostData::F32(vec![1.5]), &[1, 1]), expected);
    }

    #[test]
    fn data_is_aligned_and_read_again() {
        for shape in [vec![], vec![2], vec![1; 2], vec![1; 20], vec![1; 21], vec![1; 22], vec![1; 64]] {
            let elements = vec![-5; shape.iter().product()];
            let file = npy(&HostData::I64(elements.clone()), &shape);
            assert_eq!((file.len() - 8 * elements.len()) % 64, 0);
            let array = parse(&file).unwrap();
            assert_eq!((array.shape, array.data), (shape, vec![-5.0; elements.len()]));
        }
    }
}
