//! Where a weight is in the files, and reading it.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::weight::{LARGE, StoredMatrix, Weight, form_of, row_bytes};
use crate::model::checkpoint::{Checkpoint, SHARE, StoredType, TensorEntry, TensorFile, TensorReader};
use crate::model::error::LoadError;
use crate::model::families::Layout;
use crate::model::role::{Role, RoleKind, WeightId};
use crate::tensor::{Device, Precision, Value, step, transposed};

/// Bytes of a weight from which on reading it is reported, and can be interrupted.
const REPORTED: usize = 32 << 20;

/// How weights are held.
#[derive(Clone, Debug)]
pub struct Holding {
    pub device: Device,
    pub precision: Precision,
}

/// A weight, or some rows of a vocabulary matrix, as a part of a tensor of the files: runs of elements that are a
/// period apart. A fused `[in, q|k|v]` matrix has the period 3d and three runs of d; a tensor of one weight is one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub tensor: String,
    pub layout: Layout,
    pub id: WeightId,
    /// Elements before the first run.
    pub offset: usize,
    /// Elements of a run.
    pub run: usize,
    /// Elements from the beginning of one run to that of the next.
    pub period: usize,
    /// The shape of the weight: `[in, out]` if it is linear.
    pub shape: Vec<usize>,
    /// The files that it is in, if these are not those of the model.
    pub apart: Option<Apart>,
}

/// Files besides those of a model.
#[derive(Clone, Debug)]
pub struct Apart(pub Arc<Checkpoint>);

impl PartialEq for Apart {
    fn eq(&self, other: &Apart) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// How a source is held in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Dense,
    /// As it is stored, in rows that follow each other in the file.
    Rows(StoredType),
    /// As it is stored, turned from `[in, out]` to `[out, in]`: two bytes each.
    Turned(StoredType),
}

/// What was read, and whether numbers of it are beyond what they are held in.
pub struct ReadWeight {
    pub weight: Weight,
    pub beyond: bool,
}

impl Source {
    fn find<'a>(&'a self, files: &'a Checkpoint) -> Result<(&'a TensorFile, &'a TensorEntry), LoadError> {
        let files = self.apart.as_ref().map_or(files, |apart| &apart.0);
        let missing = || LoadError::UnreadableTensor {
            path: files.path.clone(),
            tensor: self.tensor.clone(),
            message: "it is not there".into(),
        };
        files.find(&self.tensor).ok_or_else(missing)
    }

    fn count(&self) -> usize {
        self.shape.iter().product()
    }

    fn turned(&self) -> bool {
        matches!(self.layout, Layout::OutIn | Layout::InOut | Layout::Heads(_)) && self.shape.len() == 2
    }

    fn form(&self, entry: &TensorEntry, holding: &Holding) -> Form {
        let kind = entry.dtype;
        let used_by_rows = self.id.role.kind() == RoleKind::Linear
            || matches!(self.id.role, Role::W_E | Role::W_U | Role::W_ple | Role::DictDec);
        let narrow = !matches!(kind, StoredType::F32 | StoredType::F64);
        let [_, _] = self.shape[..] else { return Form::Dense };
        let held = holding.device.is_cpu() || form_of(kind).is_some();
        if !(held && used_by_rows && narrow && self.count() >= LARGE) {
            return Form::Dense;
        }
        if !TensorReader::has_stored_rows(entry) {
            return Form::Dense;
        }
        let halves = matches!(kind, StoredType::BF16 | StoredType::F16);
        match self.layout {
            Layout::InOut if halves && TensorReader::in_order(entry) => Form::Turned(kind),
            Layout::InOut | Layout::Heads(_) | Layout::Vector | Layout::Row | Layout::Channels => Form::Dense,
            Layout::OutIn | Layout::Table => {
                let width = entry.shape.last().copied().unwrap_or(1);
                let rows = [self.offset, self.run, self.period].iter().all(|n| n.is_multiple_of(width.max(1)));
                if rows && row_bytes(kind, width).is_some() { Form::Rows(kind) } else { Form::Dense }
            }
        }
    }

    /// The memory that it takes once it is read.
    pub fn bytes(&self, files: &Checkpoint, holding: &Holding) -> u64 {
        let Ok((_, entry)) = self.find(files) else { return 0 };
        match self.form(entry, holding) {
            Form::Dense => self.count() as u64 * holding.precision.bytes(),
            Form::Rows(kind) | Form::Turned(kind) => {
                let (elements, bytes) = kind.block().unwrap_or((1, 4));
                (self.count() / elements * bytes) as u64
            }
        }
    }

    /// Whether reading it rounds numbers to what they are held in.
    pub fn rounds(&self, files: &Checkpoint, holding: &Holding) -> bool {
        let form = self.find(files).map(|(_, entry)| self.form(entry, holding));
        holding.precision != Precision::F32 && matches!(form, Ok(Form::Dense))
    }

    /// Whether the device holds it as the file does.
    pub fn is_stored(&self, files: &Checkpoint, holding: &Holding) -> bool {
        let form = self.find(files).map(|(_, entry)| self.form(entry, holding));
        matches!(form, Ok(Form::Rows(_) | Form::Turned(_)))
    }

    /// Asks the system to read its bytes ahead.
    pub fn will_need(&self, files: &Checkpoint) {
        if let Ok((file, entry)) = self.find(files)
            && let Some((elements, bytes)) = entry.dtype.block()
        {
            let rounds = self.count().div_ceil(self.run.max(1));
            let (start, end) = (self.offset, (self.offset + rounds * self.period).min(entry.count()));
            file.will_need(entry, start / elements * bytes..end.div_ceil(elements) * bytes);
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// If its bytes cannot be read, the file has changed, or the user interrupts.
    pub fn read(&self, files: &Checkpoint, holding: &Holding) -> Result<ReadWeight, LoadError> {
        let (file, entry) = self.find(files)?;
        let reader = TensorReader::new(file, entry)?;
        let stored = |matrix: StoredMatrix| ReadWeight {
            weight: Weight::Stored {
                matrix: Arc::new(matrix.on(&holding.device)),
                transposed: self.layout != Layout::Table,
            },
            beyond: false,
        };
        match self.form(entry, holding) {
            Form::Rows(kind) => self.rows(&reader, kind, entry.shape.last().copied().unwrap_or(1)).map(stored),
            Form::Turned(kind) => self.turn(&reader, kind).map(stored),
            Form::Dense => self.dense(&reader, entry, holding),
        }
    }

    /// Work on a buffer in shares, reported and interruptible where it is large.
    fn in_shares<T: Send>(
        &self,
        out: &mut [T],
        share: usize,
        work: impl Fn(usize, &mut [T]) -> Result<(), LoadError> + Sync,
    ) -> Result<(), LoadError> {
        let (total, part) = (size_of_val(out), (REPORTED / size_of::<T>().max(1) / share.max(1)).max(1) * share.max(1));
        for (i, out) in out.chunks_mut(part).enumerate() {
            let done = i * part * size_of::<T>();
            if total >= REPORTED {
                step(&format!("reading {}", self.id), done as u64, total as u64)?;
            }
            let first = i * part;
            out.par_chunks_mut(share.max(1)).enumerate().try_for_each(|(j, out)| work(first + j * share, out))?;
        }
        Ok(())
    }

    fn rows(&self, reader: &TensorReader<'_>, kind: StoredType, width: usize) -> Result<StoredMatrix, LoadError> {
        let row = row_bytes(kind, width).expect("rows of whole blocks");
        let (run, period, offset) = (self.run / width, self.period / width, self.offset / width); // in rows
        let rows = self.count() / width;
        let mut bytes = vec![0; rows * row];
        let share = (SHARE * 4 / row.max(1)).max(1);
        self.in_shares(&mut bytes, share * row, |start, mut out| {
            let mut at = start / row;
            while !out.is_empty() {
                let inside = at % run;
                let count = (run - inside).min(out.len() / row);
                let (now, later) = out.split_at_mut(count * row);
                reader.stored_part((at / run * period + offset + inside) * width, now)?;
                (at, out) = (at + count, later);
            }
            Ok(())
        })?;
        Ok(StoredMatrix::new(kind, rows, width, bytes))
    }

    /// Halves `[in, out]` as `[out, in]`.
    fn turn(&self, reader: &TensorReader<'_>, kind: StoredType) -> Result<StoredMatrix, LoadError> {
        let [from, to] = self.shape[..] else { unreachable!("a matrix") };
        let mut halves = vec![0_u8; from * to * 2];
        let together = self.rounds_together();
        self.in_shares(&mut halves, together * self.run * 2, |start, out| {
            let round = start / 2 / self.run;
            if together > 1 {
                let mut wide = vec![0; (self.spread(out.len() / 2)) * 2];
                reader.stored_part(round * self.period + self.offset, &mut wide)?;
                pick(&wide, self.period * 2, self.run * 2, out);
                return Ok(());
            }
            reader.stored_part(round * self.period + self.offset, out)
        })?;
        let halves: Vec<[u8; 2]> = halves.as_chunks().0.to_vec();
        let bytes = transposed(halves, from, to).into_flattened();
        Ok(StoredMatrix::new(kind, to, from, bytes))
    }

    fn dense(
        &self,
        reader: &TensorReader<'_>,
        entry: &TensorEntry,
        holding: &Holding,
    ) -> Result<ReadWeight, LoadError> {
        let max = holding.device.max_buffer_bytes();
        // It gets there as 32-bit floats, also where it is rounded then.
        let bytes = self.count() as u64 * 4;
        if bytes > max {
            return Err(LoadError::TooBig { tensor: entry.name.clone(), bytes, max });
        }
        let mut data = vec![0.0; self.count()];
        // Whole blocks, and whole runs where those are short.
        let share = if self.run >= SHARE { SHARE } else { SHARE / self.run.max(1) * self.run };
        let short = self.rounds_together() > 1;
        self.in_shares(&mut data, share, |start, mut out| {
            if short {
                let mut wide = vec![0.0; self.spread(out.len())];
                reader.decode(start / self.run * self.period + self.offset, &mut wide)?;
                pick(&wide, self.period, self.run, out);
                return Ok(());
            }
            let mut at = start;
            while !out.is_empty() {
                let inside = at % self.run;
                let (now, later) = out.split_at_mut((self.run - inside).min(out.len()));
                reader.decode(at / self.run * self.period + self.offset + inside, now)?;
                (at, out) = (at + now.len(), later);
            }
            Ok(())
        })?;
        let most = holding.precision.largest();
        let beyond = most < f32::MAX && data.iter().any(|x| x.is_finite() && x.abs() > most);
        let upload = |data, shape: &[usize]| Value::from_f32(data, shape, &holding.device).held_in(holding.precision);
        let value = match self.shape[..] {
            // A linear weight stays as `[out, in]`, which is how products read it fastest.
            [from, to] if self.turned() => {
                let data = match self.layout {
                    Layout::InOut => transposed(data, from, to),
                    Layout::Heads(heads) => {
                        let width = to / heads.max(1);
                        data.chunks(from * width).flat_map(|one| transposed(one.to_vec(), from, width)).collect()
                    }
                    _ => data,
                };
                upload(data, &[to, from]).transpose()
            }
            _ => upload(data, &self.shape),
        };
        Ok(ReadWeight { weight: Weight::Dense(value), beyond })
    }

    /// How many runs are read with what is between them: several where they are short.
    fn rounds_together(&self) -> usize {
        const SHORT: usize = 64;
        if self.run < SHORT && self.run < self.count() { (SHARE / self.period.max(1)).max(1) } else { 1 }
    }

    /// Elements from the first of whole runs to the last, that many of them in runs.
    fn spread(&self, elements: usize) -> usize {
        (elements / self.run).saturating_sub(1) * self.period + self.run
    }

    /// Some rows of a table, by their numbers, without reading the others: `[rows, width]`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_rows(&self, files: &Checkpoint, rows: &[usize]) -> Result<Vec<f32>, LoadError> {
        let (file, entry) = self.find(files)?;
        let reader = TensorReader::new(file, entry)?;
        let width = self.shape[1];
        let mut out = vec![0.0; rows.len() * width];
        let pairs: Vec<(&usize, &mut [f32])> = rows.iter().zip(out.chunks_mut(width.max(1))).collect();
        pairs.into_par_iter().try_for_each(|(row, out)| reader.decode(self.offset + row * width, out))?;
        Ok(out)
    }

    /// The same rows `range` of a table.
    pub fn cut(&self, range: Range<usize>) -> Source {
        let width = self.shape[1];
        let run = range.len() * width;
        let offset = self.offset + range.start * width;
        Source { offset, run, period: run, shape: vec![range.len(), width], ..self.clone() }
    }
}

/// Runs that are a period apart.
fn pick<T: Copy>(wide: &[T], period: usize, run: usize, out: &mut [T]) {
    for (out, wide) in out.chunks_exact_mut(run).zip(wide.chunks(period)) {
        out.copy_from_slice(&wide[..run]);
    }
}
