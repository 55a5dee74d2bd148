//! Stored tensors to 32-bit floats, or to rows of the bytes that they are stored in; what converters did is undone.

use rayon::prelude::*;

use super::arrange::{Arrange, RowOrder};
use super::decode::decode_range;
use super::scaled::Scales;
use super::stored::StoredType;
use super::tensor_file::Stored;
use super::{TensorEntry, TensorFile};
use crate::model::error::LoadError;

/// Elements that one thread decodes at a time; whole blocks of every type.
pub const SHARE: usize = 1 << 16;

impl TensorFile {
    /// All elements of a tensor.
    ///
    /// # Errors
    /// If its type cannot be loaded, or its bytes cannot be read.
    pub fn read_f32(&self, entry: &TensorEntry) -> Result<Vec<f32>, LoadError> {
        let reader = TensorReader::new(self, entry)?;
        let mut out = vec![0.0; entry.count()];
        out.par_chunks_mut(SHARE).enumerate().try_for_each(|(i, out)| reader.decode(i * SHARE, out))?;
        Ok(out)
    }
}

/// Rows of a tensor and the elements of one.
fn rows_and_width(shape: &[usize]) -> (usize, usize) {
    match shape {
        [] => (1, 1),
        [rows, rest @ ..] => (*rows, rest.iter().product()),
    }
}

/// The elements of one tensor, which are read and decoded where they are asked for.
pub struct TensorReader<'a> {
    stored: Stored<'a>,
    kind: StoredType,
    /// Elements and bytes of a block.
    block: (usize, usize),
    arrange: Arrange,
    scales: Option<&'a Scales>,
    rows: usize,
    width: usize,
}

impl<'a> TensorReader<'a> {
    /// # Errors
    /// If the type of the tensor cannot be loaded, or its file has changed.
    pub fn new(file: &'a TensorFile, entry: &'a TensorEntry) -> Result<Self, LoadError> {
        let Some(block) = entry.dtype.block() else {
            return Err(LoadError::UnsupportedDtype {
                path: file.path.clone(),
                tensor: entry.name.clone(),
                dtype: entry.dtype.name().to_owned(),
            });
        };
        let (rows, width) = rows_and_width(&entry.shape);
        let (kind, arrange, scales) = (entry.dtype, entry.arrange, entry.scales.as_deref());
        Ok(TensorReader { stored: file.stored(entry)?, kind, block, arrange, scales, rows, width })
    }

    /// The same with all bytes in memory.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn fetched(self) -> Result<Self, LoadError> {
        Ok(TensorReader { stored: self.stored.fetched()?, ..self })
    }

    /// The stored bytes.
    pub fn stored(&self) -> &Stored<'a> {
        &self.stored
    }

    /// Elements `start..start + out.len()`.
    ///
    /// # Errors
    /// If their bytes cannot be read.
    pub fn decode(&self, start: usize, out: &mut [f32]) -> Result<(), LoadError> {
        if self.arrange.rows == RowOrder::Same {
            self.decode_stored(start, out)?;
        } else {
            let (mut at, mut rest) = (start, &mut *out);
            while !rest.is_empty() {
                let (row, column) = (at / self.width, at % self.width);
                let (now, later) = rest.split_at_mut((self.width - column).min(rest.len()));
                match self.arrange.rows.stored(row, self.rows) {
                    Some(stored_row) => self.decode_stored(stored_row * self.width + column, now)?,
                    None => now.fill(0.0),
                }
                at += now.len();
                rest = later;
            }
        }
        if self.arrange.log {
            out.iter_mut().for_each(|x| *x = (-*x).ln());
        }
        if self.arrange.shift != 0.0 {
            out.iter_mut().for_each(|x| *x += self.arrange.shift);
        }
        if let Some(scales) = self.scales {
            out.iter_mut().enumerate().for_each(|(i, x)| *x *= scales.of(start + i));
        }
        Ok(())
    }

    /// Elements in the order in which they are stored.
    fn decode_stored(&self, start: usize, out: &mut [f32]) -> Result<(), LoadError> {
        if let Some(bytes) = self.stored.in_memory() {
            decode_range(self.kind, bytes, start, out);
            return Ok(());
        }
        let (elements, size) = self.block;
        for (i, out) in out.chunks_mut(SHARE).enumerate() {
            let start = start + i * SHARE;
            let (first, end) = (start / elements, (start + out.len()).div_ceil(elements));
            let mut bytes = vec![0; (end - first) * size];
            self.stored.read(first * size, &mut bytes)?;
            decode_range(self.kind, &bytes, start - first * elements, out);
        }
        Ok(())
    }

    /// Whether rows can be taken as they are stored: they are whole blocks, all of them are there, and nothing is added
    /// to them.
    pub fn has_stored_rows(entry: &TensorEntry) -> bool {
        let elements = entry.dtype.block().map_or(0, |(elements, _)| elements);
        let (rows, width) = rows_and_width(&entry.shape);
        elements > 0
            && width.is_multiple_of(elements)
            && entry.arrange.keeps_values()
            && entry.scales.is_none()
            && (rows == 0 || entry.arrange.rows.stored(0, rows).is_some())
    }

    /// The bytes from element `start` on as they are stored, as many as `out` takes: whole blocks, and whole rows unless
    /// the rows are [in order](Self::in_order).
    ///
    /// # Errors
    /// If they cannot be read.
    ///
    /// # Panics
    /// If the tensor has no [stored rows](Self::has_stored_rows), or not so many.
    pub fn stored_part(&self, start: usize, out: &mut [u8]) -> Result<(), LoadError> {
        let (elements, size) = self.block;
        if self.arrange.rows == RowOrder::Same {
            return self.stored.read(start / elements * size, out);
        }
        let row = self.width / elements * size;
        for (i, out) in out.chunks_exact_mut(row).enumerate() {
            let stored = self.arrange.rows.stored(start / self.width + i, self.rows).expect("a row that is stored");
            self.stored.read(stored * row, out)?;
        }
        Ok(())
    }

    /// Whether its rows are stored in their order.
    pub fn in_order(entry: &TensorEntry) -> bool {
        entry.arrange.rows == RowOrder::Same
    }

    /// By what element `at` is multiplied.
    pub fn scale(&self, at: usize) -> f32 {
        self.scales.map_or(1.0, |scales| scales.of(at))
    }

    /// The place of element `at` among the stored elements; `None` for one that is not stored.
    pub fn stored_index(&self, at: usize) -> Option<usize> {
        let stored = self.arrange.rows.stored(at / self.width.max(1), self.rows)?;
        Some(stored * self.width + at % self.width.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkpoint::{FileBytes, PIECE, safetensors};
    use std::sync::Arc;

    use ::safetensors::tensor::{Dtype, TensorView, serialize};

    fn read(dtype: Dtype, shape: &[usize], data: &[u8]) -> Result<Vec<f32>, LoadError> {
        let view = TensorView::new(dtype, shape.to_vec(), data).unwrap();
        let bytes = serialize([("x", view)], None).unwrap();
        let file = safetensors::parse("m".into(), FileBytes::Owned(bytes)).unwrap();
        file.read_f32(&file.entries[0])
    }

    /// A tensor of one axis in a separate file.
    fn stored(kind: StoredType, shape: &[usize], arrange: Arrange, bytes: Vec<u8>) -> TensorFile {
        let mut entry = TensorEntry::new("x".into(), kind, shape.to_vec(), 0..bytes.len());
        entry.arrange = arrange;
        TensorFile {
            path: "m".into(),
            size: bytes.len() as u64,
            bytes: Arc::new(FileBytes::Owned(bytes)),
            entries: vec![entry],
        }
    }

    #[test]
    fn every_half_precision_number_is_converted_exactly() {
        let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        let f16s = read(Dtype::F16, &[65536], &all).unwrap();
        let bf16s = read(Dtype::BF16, &[65536], &all).unwrap();
        for bits in 0..=u16::MAX {
            let (a, b) = (f16s[usize::from(bits)], bf16s[usize::from(bits)]);
            let (sign, exponent, mantissa) = (bits >> 15, (bits >> 10) & 31, bits & 1023);
            let expected = match (exponent, mantissa) {
                (31, 0) => f32::INFINITY,
                (31, _) => f32::NAN,
                (0, m) => f32::from(m) * 2f32.powi(-24),
                (e, m) => (1.0 + f32::from(m) / 1024.0) * 2f32.powi(i32::from(e) - 15),
            };
            assert_eq!(a.is_nan(), expected.is_nan());
            if !a.is_nan() {
                assert_eq!(a.to_bits(), (if sign == 1 { -expected } else { expected }).to_bits(), "f16 {bits:#06x}");
            }
            let wide = f32::from_bits(u32::from(bits) << 16);
            assert!(b.to_bits() == wide.to_bits() || (b.is_nan() && wide.is_nan()), "bf16 {bits:#06x}");
        }
    }

    #[test]
    fn tensors_larger_than_a_piece_are_read_whole() {
        let count = PIECE / 4 * 2 + 17;
        let data: Vec<u8> = (0..count).flat_map(|x| (x as f32).to_le_bytes()).collect();
        let all = read(Dtype::F32, &[count], &data).unwrap();
        assert!(all.len() == count && all.iter().enumerate().all(|(i, x)| *x == i as f32));
    }

    #[test]
    fn what_a_converter_did_is_undone() {
        let floats = |count: usize| (0..count).flat_map(|x| (x as f32).to_le_bytes()).collect::<Vec<u8>>();
        let pairs = Arrange { rows: RowOrder::Pairs { heads: 1 }, shift: 0.5, log: false };
        let file = stored(StoredType::F32, &[4, 2], pairs, floats(8));
        let entry = &file.entries[0];
        assert_eq!(file.read_f32(entry).unwrap(), [0.5, 1.5, 4.5, 5.5, 2.5, 3.5, 6.5, 7.5]);
        let reader = TensorReader::new(&file, entry).unwrap();
        let mut part = [0.0; 3];
        reader.decode(3, &mut part).unwrap();
        assert_eq!(part, [5.5, 2.5, 3.5]);
        assert_eq!((reader.stored_index(2), reader.stored_index(5)), (Some(4), Some(3)));
        let after = Arrange::rows(RowOrder::After { missing: 1 });
        let file = stored(StoredType::F32, &[3, 2], after, floats(4));
        assert_eq!(file.read_f32(&file.entries[0]).unwrap(), [0., 0., 0., 1., 2., 3.]);
    }

    #[test]
    fn doubles_are_rounded_and_integers_refused() {
        let data: Vec<u8> = [0.1f64, -2.0].into_iter().flat_map(f64::to_le_bytes).collect();
        assert_eq!(read(Dtype::F64, &[2], &data).unwrap(), [0.1f32, -2.0]);
        assert_eq!(
            read(Dtype::I64, &[2], &data).unwrap_err().to_string(),
            "tensor \"x\" of m is i64; only f32, f16, bf16, f64, q8_0, q4_0, q4_1, q5_0, q5_1, q2_k, q3_k, q4_k, q5_k, \
             q6_k, q8_k, iq4_nl, iq4_xs, iq3_xxs, iq3_s, iq2_xxs, iq2_xs, iq2_s, iq1_s, iq1_m, tq1_0, tq2_0, mxfp4, f8_e4m3 \
             and f8_e5m2 can be loaded: convert the checkpoint"
        );
    }

    #[test]
    fn an_empty_tensor_has_empty_buffers() {
        assert_eq!(read(Dtype::F32, &[0, 4], &[]).unwrap(), Vec::<f32>::new());
    }
}
