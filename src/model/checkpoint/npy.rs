//! Arrays of numbers from NumPy's `.npy` files.

use std::borrow::Cow;

use super::numbers;

#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its shape. A single number has no axes.
    pub shape: Vec<usize>,
    /// Its elements in row-major order; truth values are 0 and 1. Whole numbers beyond 2^53 are the nearest `f64`.
    pub data: Vec<f64>,
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NpyError {
    #[error("it is not an .npy file: it does not start with \\x93NUMPY")]
    Magic,
    #[error("it is cut off within its header")]
    CutOff,
    #[error("its version {major}.{minor} of the .npy format is not 1, 2 or 3")]
    Version { major: u8, minor: u8 },
    #[error("it holds records of several fields, not numbers")]
    Records,
    #[error("its header is not one of an .npy file: {0:?}")]
    Header(String),
    #[error("it holds Python objects, not numbers")]
    Objects,
    #[error("it holds strings ({0:?}), not numbers")]
    Strings(String),
    #[error("its elements are {0:?}, neither real nor whole numbers nor truth values")]
    Kind(String),
    #[error("it has {0} axes, and at most {MOST_AXES} are allowed")]
    Axes(usize),
    #[error("its shape {0:?} has more elements than memory can hold")]
    Shape(Vec<usize>),
    #[error("its shape {shape:?} of {descr:?} needs {needed} bytes, and {found} follow the header")]
    Length { shape: Vec<usize>, descr: String, needed: usize, found: usize },
}

/// Reads a file of format version 1, 2 or 3 with real numbers of 2, 4 or 8 bytes, whole numbers of 1, 2, 4 or 8 bytes,
/// or truth values, of either byte order and of row-major or column-major order.
///
/// # Errors
/// If the file is not such a file, or does not have exactly the elements of its shape.
pub fn parse(bytes: &[u8]) -> Result<Array, NpyError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(NpyError::Magic)?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or(NpyError::CutOff)?;
    let (length, rest) = match version {
        [1, _] => rest.split_first_chunk::<2>().map(|(length, rest)| (u16::from_le_bytes(*length).into(), rest)),
        [2 | 3, _] => rest.split_first_chunk::<4>().map(|(length, rest)| (u32::from_le_bytes(*length), rest)),
        &[major, minor] => return Err(NpyError::Version { major, minor }),
    }
    .ok_or(NpyError::CutOff)?;
    let (header, data) =
        usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length)).ok_or(NpyError::CutOff)?;
    let header = String::from_utf8_lossy(header).replace('"', "'");
    let (descr, column_major, shape) = entries(&header).ok_or_else(|| {
        let start: String = header.trim_end().chars().take(200).collect();
        match start.contains("'descr': [") {
            true => NpyError::Records,
            false => NpyError::Header(start),
        }
    })?;
    let kind = descr.strip_prefix(['<', '>', '|']).unwrap_or_default();
    let number = numbers::of_numpy(kind).ok_or_else(|| match kind {
        other if other.starts_with('O') => NpyError::Objects,
        other if other.starts_with(['S', 'U', 'T']) => NpyError::Strings(descr.to_owned()),
        _ => NpyError::Kind(descr.to_owned()),
    })?;
    let width = number.bitsize() / 8;
    if shape.len() > MOST_AXES {
        return Err(NpyError::Axes(shape.len()));
    }
    let needed = shape.iter().try_fold(width, |product, side| product.checked_mul(*side));
    let needed = needed.ok_or_else(|| NpyError::Shape(shape.clone()))?;
    if data.len() != needed {
        let (descr, found) = (descr.to_owned(), data.len());
        return Err(NpyError::Length { shape, descr, needed, found });
    }
    let little_endian = match descr.starts_with('>') {
        true => Cow::Owned(data.chunks_exact(width).flat_map(|element| element.iter().rev().copied()).collect()),
        false => Cow::Borrowed(data),
    };
    let mut data = numbers::decode(number, &little_endian).unwrap_or_default();
    if column_major {
        data = row_major(&data, &shape);
    }
    Ok(Array { shape, data })
}

const MAGIC: &[u8] = b"\x93NUMPY";

/// As in NumPy.
const MOST_AXES: usize = 64;

/// The elements of a column-major array in row-major order.
fn row_major(data: &[f64], shape: &[usize]) -> Vec<f64> {
    let element = |number: usize| {
        let (mut rest, mut place, mut stride) = (number, 0, data.len());
        for side in shape.iter().rev() {
            stride /= side;
            place += rest % side * stride;
            rest /= side;
        }
        data[place]
    };
    (0..data.len()).map(element).collect()
}

/// The kind, whether the order is column-major, and the shape, from the Python dictionary that a header is.
fn entries(header: &str) -> Option<(&str, bool, Vec<usize>)> {
    let inside = header.trim().strip_prefix('{')?.strip_suffix('}')?;
    let value = |key| Some(inside.split_once(key)?.1.trim_start().strip_prefix(':')?.trim_start());
    let descr = value("'descr'")?.strip_prefix('\'')?.split_once('\'')?.0;
    let order = value("'fortran_order'")?;
    let column_major = order.starts_with("True");
    let known = column_major || order.starts_with("False");
    let shape = sides(value("'shape'")?.strip_prefix('(')?.split_once(')')?.0)?;
    known.then_some((descr, column_major, shape))
}

/// The numbers of a tuple, without its parentheses.
fn sides(text: &str) -> Option<Vec<usize>> {
    let text = text.trim();
    let all = match text.strip_suffix(',') {
        Some(all) => all,
        None if text.is_empty() => return Some(Vec::new()),
        // In Python, one number in parentheses is a tuple only with a comma.
        None if !text.contains(',') => return None,
        None => text,
    };
    // Python 2 wrote an L after long numbers.
    all.split(',').map(|side| side.trim().trim_end_matches('L').parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(shape: &[usize], data: &[f64]) -> Array {
        Array { shape: shape.to_vec(), data: data.to_vec() }
    }

    /// A file of version 1.0 as other programs could make it.
    fn made(header: &str, data: &[u8]) -> Vec<u8> {
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
    }

    fn read(kind: &str, shape: &str, data: &[u8]) -> Result<Array, NpyError> {
        parse(&made(&format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n"), data))
    }

    /// What `numpy.lib.format.write_array` of NumPy 2.4.6 wrote: the header up to its spaces, how many, and the data.
    fn numpys() -> [Vec<u8>; 5] {
        let files: [(&[u8], usize, &[u8]); 5] = [
            (b"\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }", 58, b"\0\0\xc0?"),
            (b"\x93NUMPY\x01\0v\0{'descr': '<f8', 'fortran_order': False, 'shape': (), }", 62, b"\0\0\0\0\0\0\x04@"),
            (b"\x93NUMPY\x01\0v\0{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", 60, b"\x01\0"),
            (b"\x93NUMPY\x01\0v\0{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", 59, b"adbecf"),
            (b"\x93NUMPY\x03\0t\0\0\0{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }", 58, b"\0<\0@"),
        ];
        files.map(|(start, spaces, data)| [start, &vec![b' '; spaces], b"\n", data].concat())
    }

    #[test]
    fn reads_numpys_files() {
        let [single, double, truth, column_major, half] = numpys().map(|file| parse(&file).unwrap());
        assert_eq!((single, double), (array(&[1, 1], &[1.5]), array(&[], &[2.5])));
        assert_eq!((truth, half), (array(&[2], &[1.0, 0.0]), array(&[2], &[1.0, 2.0])));
        assert_eq!(column_major, array(&[2, 3], &[97.0, 98.0, 99.0, 100.0, 101.0, 102.0]));
        let header = "{ \"shape\":(2L ,1,), 'fortran_order' :True,\"descr\":'<i2'}";
        assert_eq!(parse(&made(header, &[1, 0, 2, 0])).unwrap(), array(&[2, 1], &[1.0, 2.0]));
        assert_eq!(read("<f8", "(3, 0, 5)", b"").unwrap(), array(&[3, 0, 5], &[]));
    }

    #[test]
    fn reads_every_kind() {
        let one = |kind: &str, data: &[u8]| read(kind, "()", data).unwrap().data[0];
        assert_eq!((one(">f4", &1.5f32.to_be_bytes()), one(">f8", &(-0.1f64).to_be_bytes())), (1.5, -0.1));
        assert_eq!((one("|i1", &[0x80]), one("|u1", &[0x80])), (-128.0, 128.0));
        assert_eq!((one("<i2", &[0xfe, 0xff]), one("<u2", &[0xfe, 0xff])), (-2.0, 65534.0));
        assert_eq!((one("<i4", &[0, 0, 0, 0x80]), one("<u4", &[0, 0, 0, 0x80])), (-2147483648.0, 2147483648.0));
        assert_eq!((one("<i8", &[0xff; 8]), one("<u8", &[0xff; 8])), (-1.0, 18446744073709551616.0));
        // NumPy's own halves.
        let fractions = [0.0999755859375, 6.103515625e-05, 6.097555160522461e-05, 5.960464477539063e-08, 0.0];
        let half = |bits: u16| one("<f2", &bits.to_le_bytes());
        for (bits, number) in [0x2e66, 0x0400, 0x03ff, 1, 0].into_iter().zip(fractions) {
            assert_eq!(half(bits).to_bits(), f64::to_bits(number));
            assert_eq!(half(bits | 0x8000).to_bits(), f64::to_bits(-number));
        }
        assert_eq!([0x7bff, 0xfc00].map(half), [65504.0, f64::NEG_INFINITY]);
        assert!([0x7e00, 0xfc01].into_iter().all(|bits| half(bits).is_nan()));
    }

    #[test]
    fn what_is_refused_is_told() {
        let error = |kind: &str, shape: &str, data: &[u8]| read(kind, shape, data).unwrap_err().to_string();
        assert!(error("|O", "()", b"").contains("objects") && error("<U3", "()", b"").contains("strings (\"<U3\")"));
        assert!(error("<c8", "()", b"12345678").starts_with("its elements are \"<c8\", neither real nor"));
        let records = made("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", b"1234");
        assert_eq!(parse(&records), Err(NpyError::Records));
        assert_eq!(error("<i2", "(3,)", b"12345"), "its shape [3] of \"<i2\" needs 6 bytes, and 5 follow the header");
        assert!(error("<i2", "(3,)", b"1234567").ends_with("and 7 follow the header"));
        for (kind, shape) in [("|u1", "(4294967296, 4294967296)"), ("<f8", "(2305843009213693952,)")] {
            assert!(error(kind, shape, b"").ends_with("has more elements than memory can hold"));
        }
        for shape in ["(3)", "(-1,)", "(,)", "(1,,2)", "(1.0,)", "[3]", "(99999999999999999999,)", "(3,"] {
            assert!(error("<i2", shape, b"123456").starts_with("its header is not one of an .npy file: "), "{shape}");
        }
        assert!(error("|u1", &format!("({})", "1, ".repeat(65)), b"1").starts_with("it has 65 axes"));
        let magic = parse(b"PK\x03\x04").unwrap_err().to_string();
        assert_eq!(magic, "it is not an .npy file: it does not start with \\x93NUMPY");
        assert_eq!(parse(b"\x93NUMPY\x04\x00"), Err(NpyError::Version { major: 4, minor: 0 }));
        assert_eq!(parse(b"\x93NUMPY\x01\x00v\x00{"), Err(NpyError::CutOff));
    }

    /// Any bytes are an array with the elements of its shape, or an error.
    #[test]
    fn no_bytes_are_too_much() {
        let check = |bytes: &[u8]| match parse(bytes) {
            Ok(array) => assert_eq!(array.shape.iter().product::<usize>(), array.data.len()),
            Err(error) => assert!(error.to_string().len() < 3000, "{error}"),
        };
        let mut random = 1u64;
        let mut below = |end: usize| {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (random >> 33) as usize % end
        };
        for file in numpys() {
            (0..file.len()).for_each(|end| assert!(parse(&file[..end]).is_err()));
            for _ in 0..30_000 {
                let mut mutated = file.clone();
                for _ in 0..=below(4) {
                    let (from, to) = (below(file.len()), below(file.len()));
                    mutated[to] = if below(2) == 0 { mutated[from] } else { below(256) as u8 };
                }
                check(&mutated);
            }
        }
    }
}
