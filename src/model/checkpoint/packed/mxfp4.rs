//! Experts of gpt-oss as they were published (`integrations/mxfp4.py` of transformers): `NAME_blocks` `[experts, out, in/32,
//! 16]` has two numbers of four bits in each byte, the first in the lower ones, and `NAME_scales` `[experts, out, in/32]` an
//! exponent for each 32 of them. Outputs of gate and up projection take turns.
//!
//! Each expert becomes three matrices, whose blocks are those of GGUF's MXFP4: the exponent, then the first half of the numbers
//! in the lower bits of 16 bytes and the second half in the upper ones.

use std::io;

use rayon::prelude::*;

use super::{Elements, Packed, Part, Parts};

/// Bytes of a block that hold numbers.
const CODES: usize = 16;

/// Numbers of a block.
const NUMBERS: usize = 2 * CODES;

/// The matrices of all experts.
pub fn experts(parts: &Parts) -> Vec<Packed> {
    parts.0.iter().filter_map(|(name, blocks)| stack(parts, name, blocks)).flatten().collect()
}

fn stack(parts: &Parts, blocks_name: &str, blocks: &Part) -> Option<Vec<Packed>> {
    let path = blocks_name.strip_suffix("_blocks")?;
    let (module, projection) = path.rsplit_once('.')?;
    let scales_name = format!("{path}_scales");
    let scales = parts.get(&scales_name)?;
    let &[experts, rows, groups, CODES] = blocks.shape() else { return None };
    if scales.shape() != [experts, rows, groups] || [blocks, scales].iter().any(|part| !part.is_bytes()) {
        return None;
    }
    // Every second row is of the gate, the others are of the up projection.
    let names: &[&str] = match projection {
        "gate_up_proj" if rows.is_multiple_of(2) => &["gate_proj", "up_proj"],
        "gate_up_proj" => return None,
        other => &[other],
    };
    let of = |expert: usize, which: usize| {
        let (blocks, scales, turns) = (blocks.clone(), scales.clone(), names.len());
        let read = move || {
            let codes = blocks.bytes_of(expert * rows * groups * CODES, rows * groups * CODES)?;
            let exponents = scales.bytes_of(expert * rows * groups, rows * groups)?;
            Ok(blocks_of(&codes, &exponents, groups, (which, turns)))
        };
        Packed {
            name: format!("{module}.{expert}.{}.weight", names[which]),
            kind: "mxfp4",
            shape: [rows / turns, groups * NUMBERS],
            made_of: vec![blocks_name.to_owned(), scales_name.clone()],
            elements: Elements::Blocks(Box::new(read)),
        }
    };
    Some(
        (0..experts)
            .flat_map(|expert| (0..names.len()).map(move |which| (expert, which)))
            .map(|(e, w)| of(e, w))
            .collect(),
    )
}

/// Blocks of the rows `first`, `first + turns` and so on.
fn blocks_of(codes: &[u8], exponents: &[u8], groups: usize, (first, turns): (usize, usize)) -> Vec<u8> {
    let rows = codes.par_chunks(groups * CODES).zip(exponents.par_chunks(groups)).skip(first).step_by(turns);
    let block = |(codes, exponent): (&[u8], &u8)| {
        let number = |i: usize| codes[i / 2] >> (4 * (i % 2)) & 15;
        let mut block = [*exponent; 1 + CODES];
        for (i, byte) in block[1..].iter_mut().enumerate() {
            *byte = number(i) | number(CODES + i) << 4;
        }
        block
    };
    rows.flat_map_iter(|(codes, exponents)| codes.chunks_exact(CODES).zip(exponents).flat_map(block)).collect()
}

impl Part {
    fn is_bytes(&self) -> bool {
        matches!(self.entry.dtype, super::StoredType::Other("u8"))
    }

    /// Some of its bytes, without reading the others.
    fn bytes_of(&self, start: usize, count: usize) -> io::Result<Vec<u8>> {
        let stored = self.file.stored(&self.entry).map_err(io::Error::other)?;
        if start + count > stored.len() {
            return Err(io::Error::other("the tensors that it is packed into do not fit each other"));
        }
        let mut bytes = vec![0; count];
        stored.read(start, &mut bytes).map_err(io::Error::other)?;
        Ok(bytes)
    }
}
