use std::mem::MaybeUninit;

use super::*;

/// Types, and a width of rows of which most are no multiple of the vectors.
const WIDTHS: [(StoredType, &[usize]); 17] = {
    use StoredType::*;
    const FLOATS: &[usize] = &[1, 37, 300, 1024];
    const SMALL: &[usize] = &[32, 96, 320];
    const LARGE: &[usize] = &[256, 768];
    [
        (F16, FLOATS),
        (BF16, FLOATS),
        (Q4_0, SMALL),
        (Q4_1, SMALL),
        (Q5_0, SMALL),
        (Q5_1, SMALL),
        (Q8_0, SMALL),
        (Q2_K, LARGE),
        (Q3_K, LARGE),
        (Q4_K, LARGE),
        (Q5_K, LARGE),
        (Q6_K, LARGE),
        (Q8_K, LARGE),
        (IQ4_NL, SMALL),
        (IQ4_XS, LARGE),
        (IQ3_S, LARGE),
        (IQ2_XS, LARGE),
    ]
};

fn numbers(n: usize, from: f32) -> Vec<f32> {
    (0..n).map(|i| (from + i as f32 * 0.37).sin()).collect()
}

/// Rows of blocks with any integers; no number is far from the others.
fn blocks(kind: StoredType, rows: usize, width: usize, stride: usize) -> Vec<u8> {
    let (elements, size) = kind.block().unwrap();
    let mut state = 1u64;
    let mut byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let mut bytes: Vec<u8> = (0..rows * stride).map(|_| byte()).collect();
    // The upper bytes of the halves and floats of a block.
    let upper: &[usize] = match kind {
        StoredType::F16 | StoredType::BF16 | StoredType::Q4_0 | StoredType::Q5_0 | StoredType::Q8_0 => &[1],
        StoredType::IQ4_NL | StoredType::IQ4_XS | StoredType::IQ3_S | StoredType::IQ2_XS => &[1],
        StoredType::Q2_K => &[81, 83],
        StoredType::Q3_K => &[109],
        StoredType::Q6_K => &[209],
        StoredType::Q8_K => &[3],
        _ => &[1, 3],
    };
    for row in bytes.chunks_mut(stride) {
        for block in row[..width / elements * size].chunks_exact_mut(size) {
            upper.iter().for_each(|at| block[*at] = block[*at] & 0x83 | 0x38);
        }
    }
    bytes
}

/// The bits of a product that is written with gaps between its rows.
fn bits(m: usize, n: usize, write: impl FnOnce(MatrixMut)) -> Vec<u32> {
    let row_stride = n + 3;
    let mut out = vec![MaybeUninit::new(7.0f32); m * row_stride];
    write(MatrixMut { data: &mut out, shape: (m, n), row_stride });
    #[expect(unsafe_code, reason = "initialised above")]
    // SAFETY: initialised above.
    out.iter().map(|x| unsafe { x.assume_init() }.to_bits()).collect()
}

#[test]
fn a_product_with_a_stored_weight_has_the_bits_of_one_with_what_it_widens_to() {
    for (kind, widths) in WIDTHS {
        let (elements, size) = kind.block().unwrap();
        for (width, gap) in widths.iter().flat_map(|width| [(*width, 0), (*width, 6)]) {
            for rows in [LARGE / width + 5, 431, 7] {
                let stride = width / elements * size + gap;
                let bytes = blocks(kind, rows, width, stride);
                let b = StoredRows { kind, bytes: &bytes, rows, width, stride };
                let (wide, bias) = (b.widened(), numbers(rows, 2.0));
                for m in if rows > 5000 { [1, 2].iter() } else { [1, 2, 7, 64, 256, 257].iter() }.copied() {
                    let x = numbers(m * width, 0.0);
                    let a = Matrix { data: &x, shape: (m, width), strides: (width, 1) };
                    for bias in [None, Some(&*bias)] {
                        let found = bits(m, rows, |out| product_of_stored(out, a, b, bias));
                        let right = Matrix { data: &wide, shape: (width, rows), strides: (1, width) };
                        let wanted = bits(m, rows, |out| product(out, a, right, 1.0, bias));
                        assert!(found == wanted, "{kind:?} {m} {width} {rows} {gap}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_product_with_stored_rows_has_the_bits_of_one_with_what_they_widen_to() {
    for (kind, widths) in WIDTHS {
        let (elements, size) = kind.block().unwrap();
        for width in widths.iter().copied().chain([elements.max(193), 5 * elements]).map(|w| w / elements * elements) {
            for rows in [LARGE.div_ceil(width).min(3000), 701, 3] {
                let stride = width / elements * size;
                let bytes = blocks(kind, rows, width, stride);
                let b = StoredRows { kind, bytes: &bytes, rows, width, stride };
                let wide = b.widened();
                for m in [1, 2, 7, 64, 65, 257] {
                    let x = numbers(m * rows, 0.0);
                    let a = Matrix { data: &x, shape: (m, rows), strides: (rows, 1) };
                    let found = bits(m, width, |out| product_with_stored_rows(out, a, b));
                    let right = Matrix { data: &wide, shape: (rows, width), strides: (width, 1) };
                    let wanted = bits(m, width, |out| product(out, a, right, 1.0, None));
                    assert!(found == wanted, "{kind:?} {m} {width} {rows}");
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "beyond their memory")]
fn rows_larger_than_their_memory_are_refused() {
    let b = StoredRows { kind: StoredType::Q8_0, bytes: &[0; 67], rows: 2, width: 32, stride: 34 };
    let a = Matrix { data: &[1.0; 32], shape: (1, 32), strides: (32, 1) };
    let data = &mut [MaybeUninit::uninit(); 2];
    product_of_stored(MatrixMut { data, shape: (1, 2), row_stride: 2 }, a, b, None);
}
