//! bitsandbytes. Four bits: two numbers of a list in each byte, the first in the upper half, times the largest magnitude of
//! their block, which may be quantised in the same way to eight bits (Dettmers et al. 2023). Eight bits: signed bytes times
//! the largest magnitude of their row over 127 (Dettmers et al. 2022).

use serde_json::Value;

use super::{Elements, Packed, Part, Parts, floats};

/// 1 / 127 as bitsandbytes has it.
const OVER_127: f32 = 7.874_016e-3;

/// What the tensor of the state says.
struct State {
    shape: [usize; 2],
    block: usize,
    /// Elements of a block of magnitudes, and what is added to them.
    nested: Option<(usize, f32)>,
}

impl State {
    fn parse(bytes: &[u8]) -> Option<State> {
        let state: Value = serde_json::from_slice(bytes).ok()?;
        let size = |value: &Value| value.as_u64().and_then(|size| usize::try_from(size).ok()).filter(|size| *size > 0);
        let sizes: Vec<usize> = state.get("shape")?.as_array()?.iter().filter_map(size).collect();
        let shape = <[usize; 2]>::try_from(sizes).ok()?;
        let nested = match state.get("nested_blocksize") {
            None | Some(Value::Null) => None,
            Some(block) => Some((size(block)?, state.get("nested_offset")?.as_f64()? as f32)),
        };
        Some(State { shape, block: size(state.get("blocksize")?)?, nested })
    }
}

/// Matrices with a state of their own.
///
/// # Errors
/// With the tensor and what is wrong with it.
pub fn four_bits(parts: &Parts) -> Result<Vec<Packed>, (String, String)> {
    const STATE: &str = ".quant_state.bitsandbytes__";
    let mut all = Vec::new();
    for (state_name, part) in &parts.0 {
        let Some((name, kind)) = state_name.split_once(STATE) else { continue };
        let wrong = |message: &str| (state_name.clone(), message.to_owned());
        let bytes = part.bytes().map_err(|error| wrong(&error.to_string()))?;
        let state = State::parse(&bytes).ok_or_else(|| wrong("it is not a state of bitsandbytes"))?;
        let kind = match kind {
            "nf4" => "nf4",
            "fp4" => "fp4",
            _ => return Err(wrong("only nf4 and fp4 are known")),
        };
        let find = |ending: &str| parts.get(&format!("{name}{ending}")).cloned();
        let missing = || wrong("the tensors next to it are missing");
        let (codes, largest, list) = (find(""), find(".absmax"), find(".quant_map"));
        let (Some(codes), Some(largest), Some(list)) = (codes, largest, list) else { return Err(missing()) };
        let nested = match state.nested {
            Some(nested) => Some((
                nested,
                find(".nested_absmax").ok_or_else(missing)?,
                find(".nested_quant_map").ok_or_else(missing)?,
            )),
            None => None,
        };
        let made_of =
            ["", ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"].map(|end| format!("{name}{end}"));
        let made_of = made_of.into_iter().chain([state_name.clone()]).collect();
        let (block, shape) = (state.block, state.shape);
        let read = move || {
            let magnitudes = match &nested {
                None => largest.floats()?,
                Some(((nested_block, offset), nested_largest, nested_list)) => {
                    let (scales, list) = (nested_largest.floats()?, nested_list.floats()?);
                    let codes = largest.bytes()?;
                    floats(codes.len(), |i| {
                        Some(list.get(usize::from(codes[i]))? * scales.get(i / nested_block)? + offset)
                    })?
                }
            };
            let (list, codes) = (list.floats()?, codes.bytes()?);
            let number = |i: usize| {
                let byte = codes.get(i / 2)?;
                let code = if i.is_multiple_of(2) { byte >> 4 } else { byte & 15 };
                Some(list.get(usize::from(code))? * magnitudes.get(i / block)?)
            };
            floats(shape[0] * shape[1], number)
        };
        all.push(Packed { name: name.to_owned(), kind, shape, made_of, elements: Elements::Floats(Box::new(read)) });
    }
    Ok(all)
}

/// Matrices of signed bytes next to the largest magnitudes of their rows.
pub fn eight_bits(parts: &Parts) -> Vec<Packed> {
    let matrix = |(scb_name, largest): (&String, &Part)| {
        let module = scb_name.strip_suffix(".SCB")?;
        let name = format!("{module}.weight");
        let codes = parts.get(&name)?.clone();
        let shape = <[usize; 2]>::try_from(codes.shape()).ok()?;
        let largest = largest.clone();
        let made_of = vec![name.clone(), scb_name.clone(), format!("{module}.weight_format")];
        let read = move || {
            let (codes, largest) = (codes.bytes()?, largest.floats()?);
            floats(codes.len(), |i| Some(f32::from(codes[i] as i8) * largest.get(i / shape[1].max(1))? * OVER_127))
        };
        Some(Packed { name, kind: "int8", shape, made_of, elements: Elements::Floats(Box::new(read)) })
    };
    parts.0.iter().filter_map(matrix).collect()
}
