//! Stored tensors to 32-bit floats, in parallel and straight into the memory that keeps them.

use rayon::prelude::*;

use super::arrange::{Arrange, RowOrder};
use super::decode::decode_range;
use super::stored::StoredType;
use super::tensor_file::PIECE;
use super::{TensorEntry, TensorFile};
use crate::model::error::LoadError;

/// How the elements of one tensor spread over several buffers: consecutive runs of these lengths, over and over. A
/// fused `[in, q|k|v]` matrix of width 3d has the runs `[d, d, d]`; a tensor that is not split has one run of its size.
pub type Runs = [usize];

/// Elements that one thread decodes at a time; whole blocks of every type.
const SHARE: usize = 1 << 16;

impl TensorFile {
    /// A tensor as 32-bit floats, one buffer for each run.
    ///
    /// # Errors
    /// If its type cannot be loaded, or its bytes cannot be read.
    pub fn read_f32(&self, entry: &TensorEntry, runs: &Runs) -> Result<Vec<Vec<f32>>, LoadError> {
        let tensor = Decoder::new(self, entry)?;
        let stored = self.stored_bytes(entry)?;
        let period: usize = runs.iter().sum();
        let rounds = entry.count().checked_div(period).unwrap_or(0);
        let mut buffers: Vec<Vec<f32>> = runs.iter().map(|run| vec![0.0; run * rounds]).collect();
        let mut rest: Vec<&mut [f32]> = buffers.iter_mut().map(Vec::as_mut_slice).collect();
        let mut dealer = Dealer { runs, current: 0, left: runs.first().copied().unwrap_or(0) };
        let (mut start, end) = (0, period * rounds);
        while start < end {
            let piece = tensor.piece.min(end - start);
            let mut shares = dealer.deal(start, piece, &mut rest);
            shares.par_iter_mut().for_each(|(start, out)| tensor.decode(&stored, *start, out));
            start += piece;
            self.release(entry);
        }
        Ok(buffers)
    }

    /// Elements `start..start + out.len()` of a tensor, whose bytes [`stored_bytes`](Self::stored_bytes) gave.
    pub fn decode_at(
        &self,
        entry: &TensorEntry,
        stored: &[u8],
        start: usize,
        out: &mut [f32],
    ) -> Result<(), LoadError> {
        Decoder::new(self, entry)?.decode(stored, start, out);
        Ok(())
    }

    /// The place of element `at` of a tensor among its stored elements; `None` for one that is not stored.
    pub fn stored_index(&self, entry: &TensorEntry, at: usize) -> Option<usize> {
        let (rows, width) = rows_and_width(&entry.shape);
        let stored = entry.arrange.rows.stored(at / width.max(1), rows)?;
        Some(stored * width + at % width.max(1))
    }
}

/// Rows of a tensor and the elements of one.
fn rows_and_width(shape: &[usize]) -> (usize, usize) {
    match shape {
        [] => (1, 1),
        [rows, rest @ ..] => (*rows, rest.iter().product()),
    }
}

struct Decoder {
    kind: StoredType,
    arrange: Arrange,
    rows: usize,
    width: usize,
    /// Elements that take about [`PIECE`] bytes in the file.
    piece: usize,
}

impl Decoder {
    fn new(file: &TensorFile, entry: &TensorEntry) -> Result<Self, LoadError> {
        let Some((elements, size)) = entry.dtype.block() else {
            return Err(LoadError::UnsupportedDtype {
                path: file.path.clone(),
                tensor: entry.name.clone(),
                dtype: entry.dtype.name().to_owned(),
            });
        };
        let (rows, width) = rows_and_width(&entry.shape);
        let piece = PIECE / size * elements;
        Ok(Decoder { kind: entry.dtype, arrange: entry.arrange, rows, width, piece })
    }

    fn decode(&self, stored: &[u8], start: usize, out: &mut [f32]) {
        if self.arrange.rows == RowOrder::Same {
            decode_range(self.kind, stored, start, out);
        } else {
            let (mut at, mut rest) = (start, &mut *out);
            while !rest.is_empty() {
                let (row, column) = (at / self.width, at % self.width);
                let (now, later) = rest.split_at_mut((self.width - column).min(rest.len()));
                match self.arrange.rows.stored(row, self.rows) {
                    Some(stored_row) => decode_range(self.kind, stored, stored_row * self.width + column, now),
                    None => now.fill(0.0),
                }
                at += now.len();
                rest = later;
            }
        }
        if self.arrange.shift != 0.0 {
            out.iter_mut().for_each(|x| *x += self.arrange.shift);
        }
    }
}

/// Deals the elements of a tensor out to the buffers.
struct Dealer<'a> {
    runs: &'a Runs,
    /// The run that is being filled, and what is left of it.
    current: usize,
    left: usize,
}

impl Dealer<'_> {
    /// Where the next `count` elements go, which begin with element `start`: shares for threads, each with its first
    /// element. What is dealt is taken from the front of `rest`.
    fn deal<'b>(&mut self, start: usize, count: usize, rest: &mut [&'b mut [f32]]) -> Vec<(usize, &'b mut [f32])> {
        let mut shares = Vec::new();
        let (mut at, end) = (start, start + count);
        while at < end {
            while self.left == 0 {
                self.current = (self.current + 1) % self.runs.len();
                self.left = self.runs[self.current];
            }
            // A share ends where one of a tensor in one run would, so that it ends with a block.
            let taken = self.left.min(end - at).min(SHARE - at % SHARE);
            let buffer = &mut rest[self.current];
            let (now, later) = std::mem::take(buffer).split_at_mut(taken);
            *buffer = later;
            shares.push((at, now));
            self.left -= taken;
            at += taken;
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkpoint::{FileBytes, safetensors};
    use std::sync::Arc;

    use ::safetensors::tensor::{Dtype, TensorView, serialize};

    fn read(dtype: Dtype, shape: &[usize], data: &[u8], runs: &Runs) -> Result<Vec<Vec<f32>>, LoadError> {
        let view = TensorView::new(dtype, shape.to_vec(), data).unwrap();
        let bytes = serialize([("x", view)], None).unwrap();
        let file = safetensors::parse("m".into(), FileBytes::Owned(bytes)).unwrap();
        file.read_f32(&file.entries[0], runs)
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
        let f16s = read(Dtype::F16, &[65536], &all, &[65536]).unwrap().remove(0);
        let bf16s = read(Dtype::BF16, &[65536], &all, &[65536]).unwrap().remove(0);
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
    fn columns_of_a_fused_matrix_become_matrices_of_their_own() {
        let data: Vec<u8> = (0..12).flat_map(|x| (x as f32).to_le_bytes()).collect();
        let parts = read(Dtype::F32, &[2, 6], &data, &[3, 1, 2]).unwrap();
        assert_eq!(parts, [vec![0., 1., 2., 6., 7., 8.], vec![3., 9.], vec![4., 5., 10., 11.]]);
    }

    #[test]
    fn tensors_larger_than_a_piece_are_read_whole() {
        let count = PIECE / 4 * 2 + 17;
        let data: Vec<u8> = (0..count).flat_map(|x| (x as f32).to_le_bytes()).collect();
        let all = read(Dtype::F32, &[count], &data, &[count]).unwrap().remove(0);
        assert!(all.len() == count && all.iter().enumerate().all(|(i, x)| *x == i as f32));
        let parts = read(Dtype::F32, &[count], &data, &[count - 100, 100]).unwrap();
        assert!(parts[0] == all[..count - 100] && parts[1] == all[count - 100..]);
    }

    #[test]
    fn blocks_that_are_cut_by_runs_are_decoded_whole() {
        let bytes: Vec<u8> = (0..34 * 60).map(|i| (i * 41 % 127) as u8 & 0x3F).collect();
        let file = stored(StoredType::Q8_0, &[60, 32], Arrange::SAME, bytes);
        let entry = &file.entries[0];
        let whole = file.read_f32(entry, &[1920]).unwrap().remove(0);
        let parts = file.read_f32(entry, &[5, 0, 7]).unwrap();
        let dealt: Vec<f32> = whole.chunks(12).flat_map(|chunk| chunk[..5].to_vec()).collect();
        assert_eq!((parts[0].as_slice(), parts[1].len(), parts[2].len()), (dealt.as_slice(), 0, 1120));
    }

    #[test]
    fn what_a_converter_did_is_undone() {
        let floats = |count: usize| (0..count).flat_map(|x| (x as f32).to_le_bytes()).collect::<Vec<u8>>();
        let pairs = Arrange { rows: RowOrder::Pairs { heads: 1 }, shift: 0.5 };
        let file = stored(StoredType::F32, &[4, 2], pairs, floats(8));
        let entry = &file.entries[0];
        assert_eq!(file.read_f32(entry, &[8]).unwrap(), [vec![0.5, 1.5, 4.5, 5.5, 2.5, 3.5, 6.5, 7.5]]);
        let mut part = [0.0; 3];
        file.decode_at(entry, &file.stored_bytes(entry).unwrap(), 3, &mut part).unwrap();
        assert_eq!(part, [5.5, 2.5, 3.5]);
        assert_eq!((file.stored_index(entry, 2), file.stored_index(entry, 5)), (Some(4), Some(3)));
        let after = Arrange::rows(RowOrder::After { missing: 1 });
        let file = stored(StoredType::F32, &[3, 2], after, floats(4));
        assert_eq!(file.read_f32(&file.entries[0], &[6]).unwrap(), [vec![0., 0., 0., 1., 2., 3.]]);
    }

    #[test]
    fn doubles_are_rounded_and_integers_refused() {
        let data: Vec<u8> = [0.1f64, -2.0].into_iter().flat_map(f64::to_le_bytes).collect();
        assert_eq!(read(Dtype::F64, &[2], &data, &[2]).unwrap(), [vec![0.1f32, -2.0]]);
        assert_eq!(
            read(Dtype::I64, &[2], &data, &[2]).unwrap_err().to_string(),
            "tensor \"x\" of m is i64; only f32, f16, bf16, f64, q8_0, q4_0, q4_1, q5_0, q5_1, q2_k, q3_k, q4_k, q5_k, \
             q6_k and q8_k can be loaded: convert the checkpoint"
        );
    }

    #[test]
    fn an_empty_tensor_has_empty_buffers() {
        assert_eq!(read(Dtype::F32, &[0, 4], &[], &[0]).unwrap(), [Vec::<f32>::new()]);
    }
}
