//! The tensors of a GGUF file under the names that transformers has for them, with what the converter did undone.

use std::ops::Range;

use super::Gguf;
use super::arch::{Description, Done};
use super::header::TensorInfo;
use crate::model::checkpoint::arrange::{Arrange, RowOrder};
use crate::model::checkpoint::tensor_file::Place;
use crate::model::checkpoint::{StoredType, TensorEntry, TensorFile};
use crate::model::error::LoadError;

/// One file as a table of tensors, and those of its tensors that are not weights, with what they are for.
pub fn table(
    file: &Gguf,
    first: bool,
    description: &Description,
) -> Result<(TensorFile, Vec<(TensorEntry, String)>), LoadError> {
    let (mut entries, mut aside) = (Vec::new(), Vec::new());
    for tensor in &file.header.tensors {
        let (stem, suffix) = split(&tensor.name);
        if let Some(reason) = description.aside.get(stem) {
            aside.push((entry(tensor.name.clone(), tensor), (*reason).to_owned()));
            continue;
        }
        let (pattern, numbers) = pattern(stem);
        match description.names.get(pattern.as_str()) {
            Some((theirs, done)) => entries.extend(named(&file.path, tensor, theirs, done, suffix, &numbers)?),
            None => entries.push(entry(tensor.name.clone(), tensor)),
        }
    }
    // What is in the metadata is in the first file of several.
    let given = description.given.iter().filter(|_| first);
    entries.extend(
        given.map(|(name, shape, range)| TensorEntry::new(name.clone(), StoredType::F32, shape.clone(), range.clone())),
    );
    let size = file.bytes.all().len() as u64;
    Ok((TensorFile { path: file.path.clone(), size, bytes: file.bytes.clone(), entries }, aside))
}

/// One file as a table of tensors under their own names.
pub fn plain(file: &Gguf) -> TensorFile {
    let entries = file.header.tensors.iter().map(|tensor| entry(tensor.name.clone(), tensor)).collect();
    let size = file.bytes.all().len() as u64;
    TensorFile { path: file.path.clone(), size, bytes: file.bytes.clone(), entries }
}

/// A name without `.weight` or `.bias`, and that.
fn split(name: &str) -> (&str, &str) {
    let suffix = [".weight", ".bias"].into_iter().find(|suffix| name.ends_with(suffix)).unwrap_or_default();
    name.split_at(name.len() - suffix.len())
}

/// A name with its numbers taken out: `blk.3.ffn_up.7` is `blk.{}.ffn_up.{e}` with 3 and 7.
fn pattern(stem: &str) -> (String, Vec<&str>) {
    let mut numbers = Vec::new();
    let parts = stem.split('.').map(|part| {
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return part;
        }
        numbers.push(part);
        if numbers.len() == 1 { "{}" } else { "{e}" }
    });
    (parts.collect::<Vec<&str>>().join("."), numbers)
}

fn fill(theirs: &str, numbers: &[&str], index: Option<usize>, suffix: &str) -> String {
    let name = theirs.replace("{}", numbers.first().unwrap_or(&""));
    let expert = index.map(|index| index.to_string()).or_else(|| Some((*numbers.get(1)?).to_owned()));
    expert.map_or(name.clone(), |expert| name.replace("{e}", &expert)) + suffix
}

fn entry(name: String, tensor: &TensorInfo) -> TensorEntry {
    TensorEntry::new(name, tensor.kind.stored, tensor.shape.clone(), tensor.range.clone())
}

/// The entries that one stored tensor becomes.
fn named(
    path: &str,
    tensor: &TensorInfo,
    theirs: &str,
    done: &Done,
    suffix: &str,
    numbers: &[&str],
) -> Result<Vec<TensorEntry>, LoadError> {
    let fail =
        |what: &str| LoadError::bad_gguf(path, format!("tensor {:?} of shape {:?} {what}", tensor.name, tensor.shape));
    let mut one = entry(fill(theirs, numbers, None, suffix), tensor);
    one.stored_as = Some(tensor.name.clone());
    let is_weight = suffix == ".weight";
    match done {
        Done::Nothing => {}
        Done::Transposed => one.flipped = tensor.shape.len() == 2,
        Done::Reordered(rows) => reorder(&mut one, *rows).ok_or_else(|| fail("cannot be split into its heads"))?,
        Done::OneAdded if is_weight => one.arrange = Arrange { shift: -1.0, ..Arrange::SAME },
        Done::OneAdded => {}
        Done::Level => {
            if let [first, second, rest @ ..] = &one.shape[..] {
                one.shape = [&[first.saturating_mul(*second)], rest].concat();
            }
        }
        Done::Folded => one.shape = vec![one.shape.iter().product()],
        Done::Channels if is_weight => one.shape.insert(1.min(one.shape.len()), 1),
        Done::Channels => {}
        Done::Rates => {
            if let [rows, 1] = one.shape[..] {
                one.shape = vec![rows];
            }
            one.arrange = Arrange { log: true, ..Arrange::SAME };
        }
        Done::Alone => one.name = fill(theirs, numbers, None, ""),
        Done::Flattened => {
            if let [only] = one.shape[..] {
                one.shape = vec![1, only];
            }
        }
        Done::Shortened(missing) => {
            if let Some(rows) = one.shape.first_mut() {
                *rows = rows.saturating_add(*missing);
            }
            one.arrange = Arrange::rows(RowOrder::After { missing: *missing });
        }
        Done::Stacked => return stacked(tensor, theirs, suffix, numbers).ok_or_else(|| fail("is not a stack")),
        Done::Joined(parts) => {
            let wrong = || fail("does not hold queries, keys and values");
            return joined(tensor, parts, suffix, numbers).ok_or_else(wrong);
        }
    }
    Ok(vec![one])
}

fn reorder(entry: &mut TensorEntry, rows: RowOrder) -> Option<()> {
    let fits = entry.shape.first().is_some_and(|count| rows.fits(*count));
    entry.arrange = Arrange::rows(rows);
    fits.then_some(())
}

/// Rows `rows` of a stored tensor with `all` rows along its first axis.
fn part(tensor: &TensorInfo, rows: Range<usize>, all: usize) -> Option<Range<usize>> {
    let each = tensor.range.len().checked_div(all)?;
    if each * all != tensor.range.len() || rows.end > all {
        return None;
    }
    let start = tensor.range.start;
    Some(start + rows.start * each..start + rows.end * each)
}

fn stacked(tensor: &TensorInfo, theirs: &str, suffix: &str, numbers: &[&str]) -> Option<Vec<TensorEntry>> {
    let [count, rest @ ..] = &tensor.shape[..] else { return None };
    if rest.is_empty() || rest.contains(&0) {
        return None;
    }
    (0..*count)
        .map(|index| {
            let mut one = entry(fill(theirs, numbers, Some(index), suffix), tensor);
            one.stored_as = Some(format!("{}[{index}]", tensor.name));
            one.shape = rest.to_vec();
            one.place = Place::Range(part(tensor, index..index + 1, *count)?);
            Some(one)
        })
        .collect()
}

fn joined(
    tensor: &TensorInfo,
    parts: &[(&'static str, usize, RowOrder)],
    suffix: &str,
    numbers: &[&str],
) -> Option<Vec<TensorEntry>> {
    let all = *tensor.shape.first()?;
    let sum = parts.iter().try_fold(0usize, |sum, (_, rows, _)| sum.checked_add(*rows))?;
    // A vector of quantised blocks could not be cut at any element.
    let cuts_blocks = tensor.shape.len() == 1 && tensor.kind.elements > 1;
    if sum != all || cuts_blocks {
        return None;
    }
    let mut start = 0;
    parts
        .iter()
        .map(|(theirs, rows, order)| {
            let mut one = entry(fill(theirs, numbers, None, suffix), tensor);
            let range = start..start + rows;
            one.stored_as = Some(format!("{}[{}:{}]", tensor.name, range.start, range.end));
            one.shape[0] = *rows;
            one.place = Place::Range(part(tensor, range, all)?);
            start += rows;
            reorder(&mut one, *order)?;
            Some(one)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_and_put_together() {
        assert_eq!(split("blk.0.attn_q.weight"), ("blk.0.attn_q", ".weight"));
        assert_eq!(pattern("blk.13.ffn_up.7"), ("blk.{}.ffn_up.{e}".into(), vec!["13", "7"]));
        assert_eq!(pattern("output_norm"), ("output_norm".into(), vec![]));
        assert_eq!(fill("layers.{}.experts.{e}.w1", &["13", "7"], None, ".weight"), "layers.13.experts.7.w1.weight");
        assert_eq!(fill("layers.{}.experts.{e}.w1", &["13"], Some(2), ".weight"), "layers.13.experts.2.w1.weight");
    }
}
