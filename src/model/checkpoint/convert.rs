//! Stored bytes to 32-bit floats, exactly, without a second copy.

use half::{bf16, f16};
use safetensors::tensor::Dtype;

use super::super::error::LoadError;
use super::{SafetensorsFile, TensorEntry};

/// How the elements of one tensor spread over several buffers: consecutive runs of these lengths, over and over. A fused
/// `[in, q|k|v]` matrix of width 3d has the runs `[d, d, d]`; a tensor that is not split has one run of its size.
pub type Runs = [usize];

impl SafetensorsFile {
    /// A tensor as 32-bit floats, one buffer for each run.
    pub fn read_f32(&self, entry: &TensorEntry, runs: &Runs) -> Result<Vec<Vec<f32>>, LoadError> {
        let decode = decoder(entry.dtype).ok_or_else(|| LoadError::UnsupportedDtype {
            path: self.path().to_owned(),
            tensor: entry.name.clone(),
            dtype: entry.dtype_name(),
        })?;
        let mut split = Split::new(entry.count(), runs);
        for piece in self.pieces(entry) {
            decode(piece, &mut split);
        }
        self.release(entry);
        Ok(split.buffers)
    }
}

/// Deals elements out to the buffers.
struct Split<'a> {
    runs: &'a Runs,
    buffers: Vec<Vec<f32>>,
    /// The run that is being filled, and what is left of it.
    current: usize,
    left: usize,
}

impl<'a> Split<'a> {
    fn new(count: usize, runs: &'a Runs) -> Self {
        let period: usize = runs.iter().sum();
        let rounds = count.checked_div(period).unwrap_or(0);
        let buffers = runs.iter().map(|run| Vec::with_capacity(run * rounds)).collect();
        Split { runs, buffers, current: 0, left: runs.first().copied().unwrap_or(0) }
    }

    /// Takes `N`-byte elements from `bytes`. Not every file aligns its data.
    fn take<const N: usize>(&mut self, mut bytes: &[u8], element: impl Fn([u8; N]) -> f32) {
        while bytes.len() >= N {
            while self.left == 0 {
                self.current = (self.current + 1) % self.runs.len();
                self.left = self.runs[self.current];
            }
            let count = self.left.min(bytes.len() / N);
            let (now, later) = bytes.split_at(count * N);
            let (elements, _) = now.as_chunks::<N>();
            self.buffers[self.current].extend(elements.iter().map(|&bytes| element(bytes)));
            self.left -= count;
            bytes = later;
        }
    }
}

type Decode = fn(&[u8], &mut Split);

fn decoder(dtype: Dtype) -> Option<Decode> {
    Some(match dtype {
        Dtype::F32 => |bytes, split| split.take(bytes, f32::from_le_bytes),
        Dtype::F16 => |bytes, split| split.take(bytes, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => |bytes, split| split.take(bytes, |b| bf16::from_le_bytes(b).to_f32()),
        Dtype::F64 => |bytes, split| split.take(bytes, |b| f64::from_le_bytes(b) as f32),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::{TensorView, serialize};

    fn read(dtype: Dtype, shape: &[usize], data: &[u8], runs: &Runs) -> Result<Vec<Vec<f32>>, LoadError> {
        let view = TensorView::new(dtype, shape.to_vec(), data).unwrap();
        let file = SafetensorsFile::from_vec("m", serialize([("x", view)], None).unwrap()).unwrap();
        file.read_f32(&file.entries()[0], runs)
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
        let count = super::super::safetensors::PIECE / 4 * 2 + 17;
        let data: Vec<u8> = (0..count).flat_map(|x| (x as f32).to_le_bytes()).collect();
        let all = read(Dtype::F32, &[count], &data, &[count]).unwrap().remove(0);
        assert!(all.len() == count && all.iter().enumerate().all(|(i, x)| *x == i as f32));
    }

    #[test]
    fn doubles_are_rounded_and_integers_refused() {
        let data: Vec<u8> = [0.1f64, -2.0].into_iter().flat_map(f64::to_le_bytes).collect();
        assert_eq!(read(Dtype::F64, &[2], &data, &[2]).unwrap(), [vec![0.1f32, -2.0]]);
        assert_eq!(
            read(Dtype::I64, &[2], &data, &[2]).unwrap_err().to_string(),
            "tensor \"x\" of m is i64; only f32, f16, bf16 and f64 can be loaded: convert the checkpoint"
        );
    }

    #[test]
    fn an_empty_tensor_has_empty_buffers() {
        assert_eq!(read(Dtype::F32, &[0, 4], &[], &[0]).unwrap(), [Vec::<f32>::new()]);
    }
}
