//! GPTQ (Frantar et al. 2022) and AWQ (Lin et al. 2023): numbers of a few bits in 32-bit words, a scale and a zero for each
//! group of inputs and each output, `scale (q - zero)`. The matrices are `[in, out]` there.

use super::{Elements, Packed, Part, Parts, floats, number};

/// The output of each number of a word of AWQ.
const AWQ_ORDER: [usize; 8] = [0, 2, 4, 6, 1, 3, 5, 7];

pub fn matrices(parts: &Parts) -> Vec<Packed> {
    let modules = parts.0.keys().filter_map(|name| name.strip_suffix(".qweight"));
    modules.filter_map(|module| matrix(parts, module)).collect()
}

fn matrix(parts: &Parts, module: &str) -> Option<Packed> {
    let find = |ending: &str| parts.get(&format!("{module}.{ending}")).cloned();
    let (codes, zeros, scales) = (find("qweight")?, find("qzeros")?, find("scales")?);
    let ([code_rows, code_columns], [groups, outputs]) = (two(&codes)?, two(&scales)?);
    let made_of = ["qweight", "qzeros", "scales", "g_idx"].map(|end| format!("{module}.{end}")).to_vec();
    let name = format!("{module}.weight");
    if code_columns == outputs {
        let order = find("g_idx")?;
        let inputs = *order.shape().first()?;
        let bits = u32::try_from(code_rows * 32 / inputs.max(1)).ok().filter(|bits| [2, 4, 8].contains(bits))?;
        let kind = if bits == 4 { "gptq of 4 bits" } else { "gptq" };
        let read = move || {
            let (codes, order, scales) = (codes.words()?, order.words()?, scales.floats()?);
            // One less is stored than is subtracted.
            let mask = (1u32 << bits) - 1;
            let zeros = zeros.words()?;
            let element = |at: usize| {
                let (output, input) = (at / inputs, at % inputs);
                let (word, place) = (input / (32 / bits) as usize, (input as u32) % (32 / bits));
                let code = codes.get(word * outputs + output)? >> (bits * place) & mask;
                let group =
                    usize::try_from(*order.get(input)?).ok().filter(|group| *group < groups)? * outputs + output;
                let zero = (number(&zeros, bits, group)? + 1) & mask;
                Some(scales.get(group)? * (code as f32 - zero as f32))
            };
            floats(inputs * outputs, element)
        };
        return Some(Packed {
            name,
            kind,
            shape: [outputs, inputs],
            made_of,
            elements: Elements::Floats(Box::new(read)),
        });
    }
    if code_columns * 8 == outputs && groups > 0 && code_rows.is_multiple_of(groups) {
        let inputs = code_rows;
        let group = inputs / groups;
        let read = move || {
            let (codes, zeros, scales) = (codes.words()?, zeros.words()?, scales.floats()?);
            let four = |words: &[u32], row: usize, output: usize| {
                let place = AWQ_ORDER.iter().position(|known| *known == output % 8)?;
                Some((words.get(row * code_columns + output / 8)? >> (4 * place) & 15) as f32)
            };
            let element = |at: usize| {
                let (output, input) = (at / inputs, at % inputs);
                let row = input / group;
                let scale = scales.get(row * outputs + output)?;
                Some((four(&codes, input, output)? - four(&zeros, row, output)?) * scale)
            };
            floats(inputs * outputs, element)
        };
        return Some(Packed {
            name,
            kind: "awq of 4 bits",
            shape: [outputs, inputs],
            made_of,
            elements: Elements::Floats(Box::new(read)),
        });
    }
    None
}

fn two(part: &Part) -> Option<[usize; 2]> {
    part.shape().try_into().ok()
}
