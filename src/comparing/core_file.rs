//! Core files: what a session was, in one file, to look at without the model and to compare with when it runs again.
//!
//! For each value of each pass there are its statistics and a digest of its bits, so a session that is run again can say
//! whether it computes the same, or at which op it does not.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::debugger::{Mark, Result, Run};
use crate::model::file;
use crate::tensor::{Kind, Summary, TensorError, Value, step};

/// The first bytes of a core file; the number is that of the format.
const MAGIC: &[u8] = b"llmdbg core 1\n";

/// How deep its contents may be nested.
const DEEPEST: usize = 32;

/// Weights of more bytes than this have no digest: it would take minutes.
const DIGESTED: u64 = 4 << 30;

/// What a session was.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Core {
    /// Of the program that wrote it.
    pub version: String,
    /// The folder and the arguments that the program was started with.
    pub folder: String,
    pub arguments: Vec<String>,
    /// The commands since, as a journal has them.
    pub commands: String,
    pub model: String,
    pub dimensions: String,
    pub device: String,
    /// The model's files, with their sizes in bytes.
    pub files: Vec<(String, u64)>,
    /// SHA-256 over the weights as they were loaded; `None` if there are too many.
    pub weights: Option<String>,
    /// The token ids of each row.
    pub tokens: Vec<Vec<u32>>,
    /// The settings that are not as at the start.
    pub settings: Vec<(String, String)>,
    pub branch: String,
    /// The edits of the branch, as commands.
    pub edits: Vec<String>,
    pub pass: usize,
    pub op: usize,
    /// The last stop, as it was shown.
    pub stop: Vec<String>,
    pub imprints: Vec<Imprint>,
    pub values: Vec<Kept>,
}

/// What is kept of a value that was computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Imprint {
    pub pass: usize,
    pub site: String,
    pub shape: Vec<usize>,
    /// SHA-256 of its elements, every row.
    pub digest: String,
    pub summary: Summary,
}

/// A value that was chosen to be kept whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    pub site: String,
    pub shape: Vec<usize>,
    pub axes: Vec<String>,
    /// In row-major order.
    pub data: Vec<f32>,
}

#[derive(Debug, Error)]
pub enum CoreError {
    #[error("cannot read {path}: {error}")]
    Unreadable { path: String, error: std::io::Error },
    #[error("{0} is not a core file of this version of llmdbg")]
    Other(String),
    #[error("{path} is damaged: {reason}")]
    Damaged { path: String, reason: String },
}

impl Core {
    /// The bytes of the file.
    pub fn written(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        // Nothing in it can fail to be written to memory.
        _ = ciborium::into_writer(self, &mut bytes);
        bytes
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or is not such a file, whole.
    pub fn read(path: &Path) -> std::result::Result<Core, CoreError> {
        let name = || path.display().to_string();
        let bytes = file::read(path).map_err(|error| CoreError::Unreadable { path: name(), error })?;
        Core::of(&bytes).map_err(|wrong| match wrong {
            None => CoreError::Other(name()),
            Some(reason) => CoreError::Damaged { path: name(), reason },
        })
    }

    /// What such bytes mean; an error is what is wrong, or nothing if they are something else.
    fn of(bytes: &[u8]) -> std::result::Result<Core, Option<String>> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(None)?;
        let core: Core = ciborium::de::from_reader_with_recursion_limit(&mut rest, DEEPEST)
            .map_err(|error| Some(error.to_string()))?;
        let fits =
            |kept: &Kept| kept.shape.iter().try_fold(1_usize, |n, len| n.checked_mul(*len)) == Some(kept.data.len());
        match core.values.iter().find(|kept| !fits(kept)) {
            Some(kept) => Err(Some(format!("{} has {} elements", kept.site, kept.data.len()))),
            None if !rest.is_empty() => Err(Some("something follows its end".into())),
            None => Ok(core),
        }
    }
}

/// The imprints of everything that the current branch has computed, up to the cursor, in order.
///
/// # Errors
/// If a value cannot be read, or the user interrupts.
pub fn imprints(run: &mut Run) -> Result<Vec<Imprint>> {
    let (ops, last, cursor) = (run.program.ops.len(), run.pass, run.cursor);
    let program = run.program.clone();
    let mut all = Vec::new();
    for pass in 0..=last {
        for op in 0..if pass == last { cursor } else { ops } {
            let site = &program.ops[op].site;
            step(site, (pass * ops + op) as u64, (last * ops + cursor) as u64)?;
            let value = run.value_at(Mark { pass, op })?;
            let (shape, digest, summary) = (value.shape().to_vec(), digest(&value)?, value.summary()?);
            all.push(Imprint { pass, site: site.clone(), shape, digest, summary });
        }
    }
    Ok(all)
}

/// SHA-256 over the weights as they were loaded, with their names; `None` if they are too large.
///
/// # Errors
/// If one cannot be read, or the user interrupts.
pub fn weights(run: &Run) -> Result<Option<String>> {
    let weights = &run.model.weights;
    if run.model.report.bytes > DIGESTED {
        return Ok(None);
    }
    let (mut hash, ids) = (Sha256::new(), weights.ids());
    for (number, id) in ids.iter().enumerate() {
        step(&id.to_string(), number as u64, ids.len() as u64)?;
        hash.update(id.to_string());
        hash.update(digest(&weights.as_loaded(*id)?)?);
    }
    Ok(Some(hex(&hash.finalize())))
}

/// SHA-256 of the elements of a value: little-endian, 32-bit floats or 64-bit whole numbers.
fn digest(value: &Value) -> std::result::Result<String, TensorError> {
    let mut hash = Sha256::new();
    match value.kind() {
        Kind::Float => value.read_f32()?.iter().for_each(|x| hash.update(x.to_le_bytes())),
        _ => value.read_i64()?.iter().for_each(|x| hash.update(x.to_le_bytes())),
    }
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core() -> Core {
        let summary = Summary { min: f64::NAN, max: f64::INFINITY, ..Summary::default() };
        let imprint = Imprint { pass: 1, site: "embed".into(), shape: vec![2], digest: "00".into(), summary };
        let kept =
            Kept { site: "embed".into(), shape: vec![2], axes: vec!["dim".into()], data: vec![1.5, f32::NEG_INFINITY] };
        Core { model: "m".into(), imprints: vec![imprint], values: vec![kept], ..Core::default() }
    }

    #[test]
    fn what_is_written_is_read_and_what_is_damaged_is_not() {
        let bytes = core().written();
        let read = Core::of(&bytes).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", core()));
        for cut in 0..bytes.len() {
            assert!(Core::of(&bytes[..cut]).is_err(), "{cut}");
        }
        assert_eq!(Core::of(b"llmdbg core 2\n"), Err(None));
        assert!(Core::of(&[&bytes[..], b"x"].concat()).unwrap_err().unwrap().contains("follows"));
        let mut wrong = core();
        wrong.values[0].shape = vec![usize::MAX, 3];
        assert!(Core::of(&wrong.written()).unwrap_err().unwrap().contains("2 elements"));
        // A list that claims more entries than there are bytes takes no memory.
        let bomb =
            [MAGIC, &[0xa1, 0x66, b't', b'o', b'k', b'e', b'n', b's', 0x9b, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff]]
                .concat();
        assert!(Core::of(&bomb).is_err());
    }
}
