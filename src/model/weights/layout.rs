//! Weights in the layout of the files, and back.

use super::{FileTensor, Weights};
use crate::model::families::Layout;
use crate::model::role::WeightId;
use crate::tensor::ops::Slice;
use crate::tensor::{TensorError, Value};

impl Weights {
    /// A tensor as it is laid out in its file (edits included), put together from the weights that it holds. `None` for
    /// a tensor that is not used.
    pub fn as_in_file(&self, file: &FileTensor) -> Result<Option<Value>, TensorError> {
        let Some(layout) = file.layout else { return Ok(None) };
        let mut parts = Vec::new();
        for id in &file.uses {
            let Some(value) = self.whole(*id)? else { return Ok(None) };
            if let Layout::Heads(heads) = layout {
                let width = value.shape().get(1).copied().unwrap_or(0) / heads.max(1);
                let of = |head| Slice::Range { start: head * width, end: (head + 1) * width, step: 1 };
                let each = (0..heads).map(|head| value.slice(&[Slice::All, of(head)]));
                return Value::concat(&each.collect::<Result<Vec<_>, _>>()?, 0)?.reshape(&file.shape).map(Some);
            }
            parts.push(if matches!(layout, Layout::OutIn | Layout::InOut) { value.transpose() } else { value });
        }
        let each = (parts.len() / file.stack.unwrap_or(1).max(1)).max(1);
        let member = |parts: &[Value]| {
            let joined = joined(parts, file.rounds)?;
            Ok(if layout == Layout::InOut { joined.transpose() } else { joined })
        };
        match parts.chunks(each).map(member).collect::<Result<Vec<Value>, TensorError>>()?.as_slice() {
            [] => Ok(None),
            [only] => only.reshape(&file.shape).map(Some),
            many => Value::concat(many, 0)?.reshape(&file.shape).map(Some),
        }
    }

    /// The bytes of a tensor as its file has them, where they are the tensor: floats of at most 32 bits, in the order
    /// that its name promises, of which no weight is edited. `None` for others.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn as_stored(&self, file: &FileTensor) -> Result<Option<Vec<u8>>, TensorError> {
        if file.uses.iter().any(|id| self.overlay.has(*id)) {
            return Ok(None);
        }
        self.loaded.as_stored(&file.name, &file.shape).map_err(|error| TensorError::weight(&file.name, error))
    }

    /// The weights that a tensor in the layout of its file holds, in their own layouts: what [`Weights::as_in_file`]
    /// puts together.
    ///
    /// # Errors
    /// If it does not have the shape of the file's, or the file's is not used.
    pub fn parts_of(&self, file: &FileTensor, value: &Value) -> Result<Vec<(WeightId, Value)>, TensorError> {
        let empty = || TensorError::Empty { op: file.name.clone() };
        let layout = file.layout.ok_or_else(empty)?;
        let shape_of = |id: &WeightId| self.shape(*id).map(<[usize]>::to_vec).ok_or_else(empty);
        if let Some(stacked) = file.stack {
            let rest = value.shape().get(1..).unwrap_or_default();
            let each = (file.uses.len() / stacked.max(1)).max(1);
            let one = FileTensor { stack: None, shape: rest.to_vec(), ..file.clone() };
            let members = file.uses.chunks(each).enumerate();
            let parts = members.map(|(i, uses)| {
                self.parts_of(&FileTensor { uses: uses.to_vec(), ..one.clone() }, &value.slice(&[Slice::At(i)])?)
            });
            return Ok(parts.collect::<Result<Vec<_>, TensorError>>()?.concat());
        }
        if let [only] = file.uses[..] {
            let shape = shape_of(&only)?;
            return Ok(vec![(
                only,
                match layout {
                    Layout::OutIn => value.reshape(&[shape[1], shape[0]])?.transpose(),
                    Layout::Heads(heads) => {
                        let each = (0..heads).map(|head| value.slice(&[Slice::At(head)]));
                        Value::concat(&each.collect::<Result<Vec<_>, _>>()?, 1)?
                    }
                    _ => value.reshape(&shape)?,
                },
            )]);
        }
        // Outputs first, as `[rounds, outputs of a round, inputs]`.
        let outputs_first = if layout == Layout::InOut { value.transpose() } else { value.clone() };
        let (rounds, all) = (file.rounds.max(1), outputs_first.shape().to_vec());
        let rest: usize = all.iter().skip(1).product();
        let by_round = outputs_first.reshape(&[rounds, all[0] / rounds, rest])?;
        let mut begin = 0;
        let mut parts = Vec::new();
        for id in &file.uses {
            let shape = shape_of(id)?;
            let channels = layout == Layout::Channels;
            let outputs = if channels { shape.first() } else { shape.last() }.copied().unwrap_or(0);
            let slice = Slice::Range { start: begin, end: begin + outputs / rounds, step: 1 };
            let part = by_round.slice(&[Slice::All, slice])?.reshape(&[outputs, rest])?;
            parts.push((
                *id,
                if shape.len() == 1 || channels { part.reshape(&shape)? } else { part.transpose().reshape(&shape)? },
            ));
            begin += outputs / rounds;
        }
        Ok(parts)
    }
}

/// Parts `[outputs, ...]` joined along their outputs, so often in turn.
fn joined(parts: &[Value], rounds: usize) -> Result<Value, TensorError> {
    match parts {
        [only] => Ok(only.clone()),
        many if rounds > 1 => {
            let inner = many[0].shape().get(1..).unwrap_or_default().to_vec();
            let by_round = |part: &Value| part.reshape(&[&[rounds, part.shape()[0] / rounds], &inner[..]].concat());
            let parts: Vec<Value> = many.iter().map(by_round).collect::<Result<_, _>>()?;
            let outputs = many.iter().map(|part| part.shape()[0]).sum();
            Value::concat(&parts, 1)?.reshape(&[&[outputs], &inner[..]].concat())
        }
        many => Value::concat(many, 0),
    }
}
