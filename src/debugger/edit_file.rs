//! Edits as data: written to JSON, read back and checked against the model.
//!
//! An edit of a weight is written as the elements that it changes, if these are few: a whole matrix of a large model
//! would not be a file to keep with a script.

use serde::{Deserialize, Serialize};

use super::{Ablation, Change, Edit, Error, Mark, Result, Run, RunError, Target};
use crate::model::role::WeightId;
use crate::model::{Input, Row, Source};
use crate::program::shape_of;
use crate::tensor::ops::{BinaryOp, Slice};
use crate::tensor::{TensorError, Value};

const FORMAT: &str = "llmdbg edits";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
pub struct EditFile {
    format: String,
    version: u32,
    family: String,
    edits: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    command: String,
    pass: usize,
    lasting: bool,
    #[serde(flatten)]
    what: What,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Site(String, How),
    Cache(String, How),
    Weight(String, How),
    Prompt(Vec<PromptRow>),
    Tokens(Vec<Option<u32>>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    Assign {
        slices: Vec<String>,
        op: Option<String>,
        #[serde(flatten)]
        patch: Matrix,
    },
    Elements {
        at: Vec<usize>,
        values: Vec<Number>,
    },
    Ablate {
        slices: Vec<String>,
        by: String,
    },
    LowRank {
        left: Matrix,
        right: Matrix,
        scale: f64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lengths: Option<Matrix>,
    },
    Project {
        centre: Matrix,
        right: Matrix,
        left: Matrix,
    },
}

#[derive(Serialize, Deserialize)]
struct Matrix {
    shape: Vec<usize>,
    values: Vec<Number>,
}

impl Matrix {
    fn new(value: &Value) -> Result<Matrix, TensorError> {
        Ok(Matrix { shape: value.shape().to_vec(), values: value.read_f32()?.into_iter().map(Number::new).collect() })
    }

    fn value(&self, run: &Run) -> Result<Value> {
        let count = self.shape.iter().try_fold(1usize, |all, n| all.checked_mul(*n));
        if count != Some(self.values.len()) {
            return Err(Error::refused(format!("{} values of shape {:?}", self.values.len(), self.shape)));
        }
        run.device().check("load edits", &self.shape, &[])?;
        let data = self.values.iter().map(Number::read).collect::<Result<Vec<f32>, _>>()?;
        Ok(Value::from_f32(data, &self.shape, run.device()))
    }
}

#[derive(Serialize, Deserialize)]
struct PromptRow {
    ids: Vec<u32>,
    mask: Vec<bool>,
    type_ids: Vec<u32>,
    /// What an encoder reads besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<SourceRow>,
}

#[derive(Clone, Serialize, Deserialize)]
struct SourceRow {
    ids: Vec<u32>,
    mask: Vec<bool>,
}

/// A number, or the name of one that JSON has no number for. In 64 bits, as reading a decimal rounds once.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Named(String),
}

impl EditFile {
    /// The edits of the branch that the cursor is in.
    pub fn from_run(run: &Run) -> Result<EditFile> {
        let mut weights = run.model.weights.clone();
        let site = |op: usize| run.program.ops[op].site.clone();
        let mut edits = Vec::new();
        for edit in &run.branch().edits {
            let what = match (&edit.target, &edit.change) {
                (Target::Op(op), change) => What::Site(site(*op), How::new(change)?),
                (Target::Cache(op), change) => What::Cache(site(*op), How::new(change)?),
                (Target::Weight(id), change) => {
                    let Some(before) = weights.whole(*id)? else { continue };
                    let after = change.apply(&before)?;
                    let few = match change {
                        Change::LowRank { .. } => None,
                        _ => How::elements(&before, &after)?,
                    };
                    let how = few.map_or_else(|| How::new(change), Ok)?;
                    weights.replace(*id, after)?;
                    What::Weight(id.to_string(), how)
                }
                (_, Change::Input(prompt)) => What::Prompt(prompt.rows.iter().map(PromptRow::new).collect()),
                (_, Change::Tokens(tokens)) => What::Tokens(tokens.clone()),
                _ => continue,
            };
            edits.push(Entry { command: edit.text.clone(), pass: edit.from.pass, lasting: edit.lasting, what });
        }
        let family = run.model.spec.family.clone();
        Ok(EditFile { format: FORMAT.into(), version: VERSION, family, edits })
    }

    pub fn parse(text: &str) -> Result<EditFile> {
        let file: EditFile = serde_json::from_str(text).map_err(|error| format!("not a file of edits: {error}"))?;
        let EditFile { format, version, .. } = &file;
        if format != FORMAT {
            return Err(Error::refused(format!("not a file of edits: its format is {format:?}, not {FORMAT:?}")));
        }
        if *version != VERSION {
            return Err(Error::refused(format!(
                "version {version} of the format; this program reads version {VERSION}"
            )));
        }
        Ok(file)
    }

    pub fn text(&self) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        // An edit a line, so that files can be compared.
        text.replace("\"edits\":[{", "\"edits\":[\n{").replace("},{\"command\"", "},\n{\"command\"") + "\n"
    }

    /// The edits, for a run.
    ///
    /// # Errors
    /// If one does not fit the model or its prompt, with its number.
    pub fn edits(&self, run: &Run) -> Result<Vec<Edit>> {
        let mut weights = run.branch().weights().clone();
        let mut prompt = run.branch().prompt();
        let mut edits = Vec::new();
        for (number, entry) in self.edits.iter().enumerate() {
            let edit = entry.edit(run, &mut weights, &mut prompt);
            edits.push(edit.map_err(|error| error.about(format_args!("edit {}", number + 1)))?);
        }
        Ok(edits)
    }
}

impl Entry {
    fn edit(&self, run: &Run, weights: &mut crate::model::weights::Weights, prompt: &mut Input) -> Result<Edit> {
        let op_of = |site: &str| run.program.op_of(site).ok_or_else(|| format!("this model has no site {site}"));
        let mut from = Mark::new(self.pass, 0);
        let (target, change) = match &self.what {
            What::Site(site, how) => {
                let op = op_of(site)?;
                if op == run.program.tokens() {
                    return Err("tokens cannot be assigned to".into());
                }
                from.op = op;
                let change = how.change(run)?;
                let (rows, length) = (prompt.rows.len(), prompt.length());
                let span = if self.pass == 0 { 0..length } else { length + self.pass - 1..length + self.pass };
                if op < run.program.first_of(self.pass) {
                    return Err(RunError::OnlyFirst { site: site.clone() }.into());
                }
                let shape = shape_of(&run.program.ops[op], rows, span, prompt.source_length());
                if !change.fits(&shape) {
                    return Err(Error::refused(format!("it does not fit {site}, which is {shape:?} here")));
                }
                (Target::Op(op), change)
            }
            What::Cache(site, how) => {
                let op = op_of(site)?;
                if !run.program.is_cached(op) {
                    return Err(Error::refused(format!("{site} is not cached")));
                }
                (Target::Cache(op), how.change(run)?)
            }
            What::Weight(name, how) => {
                let id = WeightId::parse(name).ok_or_else(|| format!("no weight {name}"))?;
                let before = weights.whole(id)?.ok_or_else(|| format!("this model has no weight {name}"))?;
                let after = match how {
                    How::Elements { at, values } if at.len() != values.len() => {
                        return Err(Error::refused(format!("{} places and {} values", at.len(), values.len())));
                    }
                    How::Elements { at, values } => {
                        let mut data = before.read_f32()?;
                        for (at, value) in at.iter().zip(values) {
                            *data.get_mut(*at).ok_or_else(|| format!("{name} has no element {at}"))? = value.read()?;
                        }
                        Value::from_f32(data, before.shape(), weights.device(id))
                    }
                    how => how.change(run)?.apply(&before)?,
                };
                weights.replace(id, after.clone())?;
                let change = match how {
                    How::LowRank { .. } => how.change(run)?,
                    _ => Change::Assign { slices: Vec::new(), op: None, patch: after },
                };
                (Target::Weight(id), change)
            }
            What::Prompt(rows) => {
                let rows = rows.iter().map(PromptRow::row).collect::<Result<_, _>>()?;
                *prompt = prompt.with_rows(&run.model, rows)?;
                (Target::Input, Change::Input(prompt.clone()))
            }
            What::Tokens(tokens) => {
                let vocab = run.model.spec.vocab as u32;
                if let Some(id) = tokens.iter().flatten().find(|id| **id >= vocab) {
                    return Err(Error::refused(format!("no token {id}: the vocabulary has 0..{}", vocab - 1)));
                }
                let (count, rows, pass) = (tokens.len(), prompt.rows.len(), self.pass);
                if count != rows || pass == 0 {
                    return Err(Error::refused(format!("{count} tokens for {rows} rows, in pass {pass}")));
                }
                (Target::Token, Change::Tokens(tokens.clone()))
            }
        };
        Ok(Edit { from, target, change, lasting: self.lasting, text: self.command.clone() })
    }
}

impl How {
    fn new(change: &Change) -> Result<How, TensorError> {
        Ok(match change {
            Change::Assign { slices, op, patch } => How::Assign {
                slices: slices.iter().map(slice_text).collect(),
                op: op.and_then(op_text).map(str::to_string),
                patch: Matrix::new(patch)?,
            },
            Change::LowRank { left, right, scale, lengths } => {
                let lengths = lengths.as_ref().map(Matrix::new).transpose()?;
                How::LowRank { left: Matrix::new(left)?, right: Matrix::new(right)?, scale: *scale, lengths }
            }
            Change::Ablate { slices, by } => {
                How::Ablate { slices: slices.iter().map(slice_text).collect(), by: by.word().into() }
            }
            Change::Project { centre, right, left } => {
                How::Project { centre: Matrix::new(centre)?, right: Matrix::new(right)?, left: Matrix::new(left)? }
            }
            Change::Input(_) | Change::Tokens(_) => How::Ablate { slices: Vec::new(), by: String::new() },
        })
    }

    /// The elements that differ, if they are few.
    fn elements(before: &Value, after: &Value) -> Result<Option<How>, TensorError> {
        let (before, after) = (before.read_f32()?, after.read_f32()?);
        let differ = |(a, b): (&f32, &f32)| a.to_bits() != b.to_bits();
        let at: Vec<usize> = (0..after.len()).filter(|&i| differ((&before[i], &after[i]))).collect();
        if at.len() * 4 > after.len() {
            return Ok(None);
        }
        let values = at.iter().map(|&i| Number::new(after[i])).collect();
        Ok(Some(How::Elements { at, values }))
    }

    fn change(&self, run: &Run) -> Result<Change> {
        match self {
            How::Assign { slices, op, patch } => {
                let op = op.as_deref().map(|op| op_of(op).ok_or_else(|| format!("no operation {op:?}"))).transpose()?;
                Ok(Change::Assign { slices: slices_of(slices)?, op, patch: patch.value(run)? })
            }
            How::LowRank { left, right, scale, lengths } => {
                let (left, right) = (left.value(run)?, right.value(run)?);
                let lengths = lengths.as_ref().map(|lengths| lengths.value(run)).transpose()?;
                let is_line = |lengths: &Value| matches!(lengths.shape(), [1, _] | [_, 1]);
                if let Some(other) = lengths.as_ref().filter(|lengths| !is_line(lengths)) {
                    return Err(Error::refused(format!("lengths of shape {:?}", other.shape())));
                }
                match (left.shape(), right.shape()) {
                    ([_, a], [b, _]) if a == b => Ok(Change::LowRank { left, right, scale: *scale, lengths }),
                    (a, b) => Err(Error::refused(format!("factors of shapes {a:?} and {b:?}"))),
                }
            }
            How::Ablate { slices, by } => {
                let by = Ablation::parse(by).ok_or_else(|| format!("no way to ablate called {by:?}"))?;
                Ok(Change::Ablate { slices: slices_of(slices)?, by })
            }
            How::Project { centre, right, left } => {
                let (centre, right, left) = (centre.value(run)?, right.value(run)?, left.value(run)?);
                match (centre.shape(), right.shape(), left.shape()) {
                    ([d], [a, r], [s, b]) if [a, b] == [d, d] && r == s => Ok(Change::Project { centre, right, left }),
                    (c, r, l) => Err(Error::refused(format!("a projection of shapes {c:?}, {r:?} and {l:?}"))),
                }
            }
            How::Elements { .. } => Err("single elements are assigned in weights only".into()),
        }
    }
}

impl PromptRow {
    fn new(row: &Row) -> PromptRow {
        let of = |source: &Source| SourceRow { ids: source.ids.clone(), mask: source.mask.clone() };
        let (ids, mask, type_ids) = (row.ids.clone(), row.mask.clone(), row.type_ids.clone());
        PromptRow { ids, mask, type_ids, source: row.source.as_ref().map(of) }
    }

    fn row(&self) -> Result<Row> {
        let (ids, mask, type_ids) = (self.ids.clone(), self.mask.clone(), self.type_ids.clone());
        if mask.len() != ids.len() || type_ids.len() != ids.len() {
            return Err("a row whose ids, mask and type_ids differ in number".into());
        }
        let source = self.source.clone();
        if source.as_ref().is_some_and(|source| source.ids.len() != source.mask.len()) {
            return Err("a row whose source has ids and a mask that differ in number".into());
        }
        let source = source.map(|SourceRow { ids, mask }| Source { ids, mask });
        Ok(Row { ids, mask, type_ids, source, ..Row::default() })
    }
}

impl Number {
    fn new(x: f32) -> Number {
        match x {
            x if x.is_finite() => Number::Finite(x.into()),
            x if x.is_nan() => Number::Named("nan".into()),
            x if x > 0.0 => Number::Named("inf".into()),
            _ => Number::Named("-inf".into()),
        }
    }

    fn read(&self) -> Result<f32> {
        match self {
            Number::Finite(x) => Ok(*x as f32),
            Number::Named(name) => match name.as_str() {
                "nan" => Ok(f32::NAN),
                "inf" => Ok(f32::INFINITY),
                "-inf" => Ok(f32::NEG_INFINITY),
                other => Err(Error::refused(format!("{other:?} is not a number"))),
            },
        }
    }
}

/// As in numpy: `:`, `3`, `2:8`, `0:8:2`.
fn slice_text(slice: &Slice) -> String {
    match *slice {
        Slice::All => ":".into(),
        Slice::At(at) => at.to_string(),
        Slice::Range { start, end, step: 1 } => format!("{start}:{end}"),
        Slice::Range { start, end, step } => format!("{start}:{end}:{step}"),
    }
}

fn slices_of(texts: &[String]) -> Result<Vec<Slice>> {
    let slice = |text: &String| -> Result<Slice> {
        let wrong = || format!("{text:?} is not a slice");
        if text == ":" {
            return Ok(Slice::All);
        }
        let numbers =
            text.split(':').map(|number| number.parse().map_err(|_| wrong())).collect::<Result<Vec<usize>, _>>()?;
        match numbers[..] {
            [at] => Ok(Slice::At(at)),
            [start, end] if start <= end => Ok(Slice::Range { start, end, step: 1 }),
            [start, end, step] if start <= end && step > 0 => Ok(Slice::Range { start, end, step }),
            _ => Err(wrong().into()),
        }
    };
    texts.iter().map(slice).collect()
}

const OPS: [(BinaryOp, &str); 4] =
    [(BinaryOp::Add, "add"), (BinaryOp::Sub, "sub"), (BinaryOp::Mul, "mul"), (BinaryOp::Div, "div")];

fn op_text(op: BinaryOp) -> Option<&'static str> {
    OPS.iter().find(|(known, _)| *known == op).map(|(_, text)| *text)
}

fn op_of(text: &str) -> Option<BinaryOp> {
    OPS.iter().find(|(_, known)| *known == text).map(|(op, _)| *op)
}
