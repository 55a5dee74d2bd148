//! What the ops of one pass read besides values and weights.

mod alibi;
mod at;
mod mask;
mod rotation;

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::{FloatDType, Tensor};

pub(super) use alibi::Bias;
pub(super) use at::at_op;
pub(super) use mask::Mask;
pub(super) use rotation::Rotation;

use crate::model::input::{Input, Row};
use crate::model::placement::Placement;
use crate::model::role::RolePlace;
use crate::model::spec::{Count, Head, ModelSpec, Pool, Positions, Reach};
use crate::program::Along;
use crate::tensor::{Device, Value};

/// What the ops of one pass read besides values and weights: everything that follows from the input alone. Clone is a
/// few reference-count bumps. Its tensors are on the first device of a model, and those of other devices are in contexts of theirs.
///
/// A pass computes some columns of its input, the *span*: the whole prompt at first, then one token after the other.
/// Its queries are the columns of the span, its keys all columns up to the span's end.
#[derive(Clone)]
pub struct Context {
    span: Range<usize>,
    /// Which op is on which device.
    placement: Placement,
    /// The same on each device, by its number; empty where there is only one.
    by_device: Arc<[Context]>,
    /// What ops read that are not along the text itself, in a model with an encoder besides.
    source: Option<Arc<OfSource>>,
    /// Token ids, `[B, T]`.
    pub(super) tokens: Value,
    /// Token types, `[B, T]`.
    pub(super) types: Value,
    /// Rows of the position table, `[B, T]`.
    pub(super) table_rows: Value,
    /// Whether those are the columns of the span in every row.
    pub(super) plain: bool,
    /// What is masked, for each reach of a layer; nothing is where there is none.
    masks: Vec<(Option<Reach>, Mask)>,
    pub(super) bias: Option<Bias>,
    pub(super) rotations: Vec<Rotation>,
    /// Factors on queries, `[B or 1, T, 1, 1]`.
    pub(super) growth: Option<Tensor<4>>,
    /// 1 at real tokens, 0 at padding, `[B, T, 1]`.
    pub(super) real: Tensor<3>,
    /// Whether there is padding up to the end of the span.
    pub(super) padded: bool,
    /// Which columns up to the end of the span are no padding behind the first token, row by row; `None` if all are not.
    pub(super) columns: Option<Arc<[Vec<bool>]>>,
    /// The column of the span that a classifier reads, `[B]`.
    pub(super) chosen: Value,
    /// The last column of the span that is not padding, `[B]`.
    pub(super) last_real: Value,
    pub(super) pooled: Pooled,
}

/// What ops read in a pass whose text has a source.
struct OfSource {
    /// Ops along the source. Only the pass of the prompt has it.
    own: Option<Context>,
    /// Ops that attend from the text to the source.
    across: Context,
    /// Tokens of the source, padding included.
    length: usize,
}

/// The columns of the span that a sentence embedding is made of: real tokens after those that are skipped.
#[derive(Clone)]
pub(super) struct Pooled {
    /// 1 there, 0 elsewhere, `[B, T, 1]`.
    pub(super) mask: Tensor<3>,
    /// The same with the number of the token in its text, counted from 1, instead of 1, `[B, T, 1]`.
    pub(super) numbers: Tensor<3>,
    /// The first of them, `[B]`.
    pub(super) first: Value,
}

impl Context {
    /// Uploads what a pass over the columns `span` of an input needs.
    pub fn new(spec: &ModelSpec, input: &Input, span: Range<usize>, placement: &Placement) -> Context {
        Context::shifted(spec, input, span, placement, 0)
    }

    /// The same where every position that the model sees is so many later. Positions before the first are the first;
    /// rows of a position table beyond its end are its last.
    pub fn shifted(spec: &ModelSpec, input: &Input, span: Range<usize>, placement: &Placement, by: i64) -> Context {
        let on = |device: &Device| Context::on_device(spec, input, span.clone(), device, by);
        if !placement.is_split() {
            return on(placement.first());
        }
        let by_device: Arc<[Context]> = placement.devices().iter().map(on).collect();
        let first = by_device[placement.number(RolePlace::Before, None)].clone();
        Context { placement: placement.clone(), by_device, ..first }
    }

    fn on_device(spec: &ModelSpec, input: &Input, span: Range<usize>, device: &Device, by: i64) -> Context {
        let shape = [input.rows.len(), span.len()];
        let ints = |of: &dyn Fn(&Row) -> Vec<i64>| {
            let data = input.rows.iter().flat_map(of).collect();
            Value::from_i64(data, &shape, device)
        };
        let columns = |of: &dyn Fn(&Row) -> usize| {
            let within = |column: usize| column.clamp(span.start, span.end.max(span.start + 1) - 1) - span.start;
            let data = input.rows.iter().map(|row| within(of(row)) as i64).collect();
            Value::from_i64(data, &shape[..1], device)
        };
        let real =
            input.rows.iter().flat_map(|row| row.mask[span.clone()].iter().map(|&real| f32::from(u8::from(real))));
        let real = Value::from_f32(real.collect(), &[shape[0], shape[1], 1], device);
        let pooled = |skip: usize| {
            let within = |row: &Row| numbers_of(row, skip).skip(span.start).take(span.len()).collect::<Vec<_>>();
            let numbers: Vec<f32> = input.rows.iter().flat_map(within).collect();
            let mask = numbers.iter().map(|number| number.min(1.0)).collect();
            let tensor = |data: Vec<f32>| Value::from_f32(data, &[shape[0], shape[1], 1], device).tensor();
            let first = |row: &Row| numbers_of(row, skip).position(|number| number > 0.0).unwrap_or(0);
            Pooled { mask: tensor(mask), numbers: tensor(numbers), first: columns(&first) }
        };
        // Positions of earlier columns count only where distances to them do: what a token costs must not grow with the
        // text before it.
        let distances = matches!(spec.positions, Positions::Alibi(_)) || spec.layers.iter().any(|l| l.reach.is_some());
        let first = if distances { 0 } else { span.start };
        let positions: Vec<Vec<usize>> = input.rows.iter().map(|row| positions(spec, row, first..span.end)).collect();
        let of_span = |positions: &[Vec<usize>]| -> Vec<Vec<usize>> {
            positions.iter().map(|row| row[span.start - first..].to_vec()).collect()
        };
        let last = match spec.positions {
            Positions::Learned { rows, .. } | Positions::Sines { most: Some(rows), .. } => {
                rows.saturating_sub(1) as i64
            }
            _ => i64::MAX,
        };
        let row_of_table = |row: i64| if by == 0 { row } else { (row + by).clamp(0, last) };
        let table_rows: Vec<i64> = input
            .rows
            .iter()
            .zip(of_span(&positions))
            .flat_map(|(row, positions)| table_rows(spec, row, span.clone(), &positions))
            .map(row_of_table)
            .collect();
        let later = |position: &usize| position.saturating_add_signed(by as isize);
        let positions: Vec<Vec<usize>> = positions.iter().map(|row| row.iter().map(later).collect()).collect();
        let plain = table_rows.iter().zip(span.clone().cycle()).all(|(row, column)| *row == column as i64);
        let last_real = columns(&|row| last_token(row, None));
        let pad = match &spec.head {
            Head::Sequence { pooled, .. } => match pooled.pool {
                Pool::Last { pad } => pad,
                _ => None,
            },
            _ => None,
        };
        let kept = |row: &Row| {
            let first = row.mask.iter().position(|real| *real).unwrap_or(0);
            (0..span.end).map(|column| row.mask[column] || column < first).collect()
        };
        let kept: Arc<[Vec<bool>]> = input.rows.iter().map(kept).collect();
        let mut context = Context {
            padded: input.rows.iter().any(|row| row.mask[..span.end].contains(&false)),
            columns: kept.iter().flatten().any(|kept| !kept).then_some(kept),
            tokens: ints(&|row| row.ids[span.clone()].iter().map(|&id| i64::from(id)).collect()),
            types: ints(&|row| row.type_ids[span.clone()].iter().map(|&id| i64::from(id)).collect()),
            table_rows: Value::from_i64(table_rows, &shape, device),
            plain,
            masks: mask::masks(spec, input, &positions, span.clone(), device),
            bias: match spec.positions {
                Positions::Alibi(alibi) => Some(alibi::bias(alibi, spec, input, &positions, span.end, device)),
                _ => None,
            },
            rotations: spec
                .ropes
                .iter()
                .map(|rope| rotation::rotation(rope, input, &of_span(&positions), span.clone(), device))
                .collect(),
            growth: spec
                .attention
                .growth
                .map(|growth| rotation::factors(growth, &of_span(&positions), span.clone(), device)),
            pooled: match &spec.head {
                Head::Bare { sentence: Some(sentence) } => pooled(sentence.skip),
                _ => Pooled { mask: real.tensor(), numbers: real.tensor(), first: last_real.clone() },
            },
            real: real.tensor(),
            chosen: columns(&|row| last_token(row, pad)),
            last_real,
            span: span.clone(),
            placement: device.into(),
            by_device: Arc::new([]),
            source: None,
        };
        if let Some(encoder) = &spec.encoder {
            let source = input.source();
            let length = source.length();
            let own = (span.start == 0).then(|| Context::on_device(&encoder.spec, &source, 0..length, device, 0));
            let masks = mask::across(&source, span, device).map(|mask| (None, mask)).into_iter().collect();
            let across = Context { masks, bias: None, ..context.clone() };
            context.source = Some(Arc::new(OfSource { own, across, length }));
        }
        context
    }

    /// What an op reads, by the text that it is along.
    ///
    /// # Panics
    /// For an op along the source in another pass than that of the prompt.
    fn along(&self, along: Along) -> &Context {
        match (along, self.source.as_deref()) {
            (Along::Source, Some(source)) => source.own.as_ref().expect("the pass of the prompt computes it"),
            (Along::Across, Some(source)) => &source.across,
            _ => self,
        }
    }

    /// Tokens of the text that an encoder reads besides, padding included; none without one.
    pub fn source_length(&self) -> usize {
        self.source.as_ref().map_or(0, |source| source.length)
    }

    /// The same for values in 64 bits, on the first device alone.
    pub fn in_double(&self) -> Context {
        let mut wide = Context { placement: self.device().into(), by_device: Arc::new([]), ..self.clone() };
        let double = |tensor: &Tensor<4>| tensor.clone().cast(FloatDType::F64);
        for rotation in &mut wide.rotations {
            (rotation.cos, rotation.sin) = (double(&rotation.cos), double(&rotation.sin));
        }
        wide.growth = wide.growth.as_ref().map(double);
        if let Some(bias) = &mut wide.bias {
            bias.tensor = double(&bias.tensor);
        }
        for tensor in [&mut wide.real, &mut wide.pooled.mask, &mut wide.pooled.numbers] {
            *tensor = tensor.clone().cast(FloatDType::F64);
        }
        let in_double = |source: &Arc<OfSource>| {
            let own = source.own.as_ref().map(Context::in_double);
            Arc::new(OfSource { own, across: source.across.in_double(), length: source.length })
        };
        wide.source = wide.source.as_ref().map(in_double);
        wide
    }

    /// The same without linear biases on scores.
    pub fn without_bias(&self) -> Context {
        let by_device = self.by_device.iter().map(Context::without_bias).collect();
        Context { bias: None, by_device, ..self.clone() }
    }

    /// Columns of the input that the pass computes.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    pub fn length(&self) -> usize {
        self.span.len()
    }

    pub fn device(&self) -> &Device {
        self.placement.first()
    }

    /// Which device each block is on.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    pub fn rows(&self) -> usize {
        self.tokens.shape()[0]
    }

    /// What is masked where attention has that reach.
    pub(super) fn mask(&self, reach: Option<Reach>) -> Option<&Mask> {
        self.masks.iter().find(|(of, _)| *of == reach).map(|(_, mask)| mask)
    }
}

/// The number of each token in its text, counted from 1; 0 at padding and at the first `skip` tokens.
fn numbers_of(row: &Row, skip: usize) -> impl Iterator<Item = f32> + '_ {
    let start = row.mask.iter().position(|real| *real).unwrap_or(0);
    let number = move |(column, real): (usize, &bool)| match column.checked_sub(start) {
        Some(before) if *real && before >= skip => (before + 1) as f32,
        _ => 0.0,
    };
    row.mask.iter().enumerate().map(number)
}

/// The position that the model sees at some columns of a row.
///
/// An encoder counts columns. A decoder counts real tokens, so that padding before a row, or between its prompt and
/// what was generated, does not show; padding after a prompt counts columns, which nothing reads.
fn positions(spec: &ModelSpec, row: &Row, columns: Range<usize>) -> Vec<usize> {
    if !spec.attention.causal {
        return columns.collect();
    }
    let mut real = count(&row.mask[..columns.start], |real| *real);
    let of_column = |column: usize| {
        let is_real = row.mask[column];
        real += usize::from(is_real);
        if is_real || real == 0 { real.saturating_sub(1) } else { column }
    };
    columns.map(of_column).collect()
}

/// The row of the position table at some columns of a row, whose positions are given.
fn table_rows(spec: &ModelSpec, row: &Row, columns: Range<usize>, positions: &[usize]) -> Vec<i64> {
    // Tokens are counted from one after the row of padding, which is `pad`.
    let counted = |before: usize, real: &mut dyn Iterator<Item = bool>, pad: i64| {
        let mut count = pad + before as i64;
        let row_of = |real: bool| {
            count += i64::from(real);
            if real { count } else { pad }
        };
        real.map(row_of).collect()
    };
    let start = columns.start;
    let count_of = match spec.positions {
        Positions::Learned { count, .. } | Positions::Sines { count, .. } => count,
        Positions::None | Positions::Alibi(_) => Count::Seen,
    };
    match count_of {
        Count::RealPlusTwo => {
            counted(count(&row.mask[..start], |real| *real), &mut row.mask[columns].iter().copied(), 1)
        }
        Count::ColumnPlusTwo => columns.map(|column| column as i64 + 2).collect(),
        Count::Column => columns.map(|column| column as i64).collect(),
        Count::ById { pad } => {
            let real = |id: &u32| *id != pad;
            counted(count(&row.ids[..start], real), &mut row.ids[columns].iter().map(real), pad.into())
        }
        Count::Seen => positions.iter().map(|&position| position as i64).collect(),
    }
}

fn count<T>(of: &[T], holds: impl Fn(&T) -> bool) -> usize {
    of.iter().filter(|one| holds(one)).count()
}

/// The last column whose token is not `pad`, or without a pad token the last that is not padding; the first if there is
/// none.
fn last_token(row: &Row, pad: Option<u32>) -> usize {
    let last = match pad {
        Some(pad) => row.ids.iter().rposition(|&id| id != pad),
        None => row.mask.iter().rposition(|&real| real),
    };
    last.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ModelSource, load};

    fn spec(name: &str) -> ModelSpec {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/models");
        let source = ModelSource::Path(std::path::Path::new(fixtures).join(name));
        load(&source, &Device::cpu()).unwrap().spec
    }

    fn row(ids: &[u32], mask: &[u8]) -> Row {
        let mask = mask.iter().map(|&real| real == 1).collect();
        Row { ids: ids.to_vec(), type_ids: vec![0; ids.len()], mask, ..Row::default() }
    }

    #[test]
    fn a_decoder_counts_real_tokens() {
        let spec = spec("gpt2");
        let of = |mask: &[u8]| {
            let row = row(&vec![0; mask.len()], mask);
            let all = positions(&spec, &row, 0..mask.len());
            // Any part of them alone is the same.
            let from = |start: usize| positions(&spec, &row, start..mask.len());
            (0..mask.len()).for_each(|start| assert_eq!(from(start), all[start..]));
            all
        };
        assert_eq!(of(&[1, 1, 1]), [0, 1, 2]);
        assert_eq!(of(&[0, 0, 1, 1]), [0, 0, 0, 1]);
        assert_eq!(of(&[1, 1, 0, 0, 1, 1]), [0, 1, 2, 3, 2, 3]);
    }

    #[test]
    fn position_tables_are_counted_in_three_ways() {
        let of = |name: &str, ids: &[u32], mask: &[u8]| {
            let (spec, row) = (spec(name), row(ids, mask));
            let from = |start: usize| {
                let columns = start..ids.len();
                table_rows(&spec, &row, columns.clone(), &positions(&spec, &row, columns))
            };
            let all = from(0);
            (0..ids.len()).for_each(|start| assert_eq!(from(start), all[start..]));
            all
        };
        assert_eq!(of("bert-mlm", &[2, 5, 3, 0], &[1, 1, 1, 0]), [0, 1, 2, 3]);
        assert_eq!(of("opt", &[1, 1, 2, 7, 1], &[0, 0, 1, 1, 0]), [1, 1, 2, 3, 1]);
        // The id counts, not the mask.
        assert_eq!(of("roberta-seqcls", &[0, 9, 2, 1, 1], &[1, 1, 1, 1, 0]), [2, 3, 4, 1, 1]);
    }

    #[test]
    fn a_classifier_goes_by_the_id_of_padding() {
        let row = row(&[5, 7, 5, 7], &[1, 1, 0, 0]);
        assert_eq!((last_token(&row, Some(7)), last_token(&row, Some(5)), last_token(&row, None)), (2, 3, 1));
    }
}
