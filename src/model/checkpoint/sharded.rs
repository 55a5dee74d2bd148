//! Weights in several files, with an index that says which tensor is where.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Component, Path};

use super::Checkpoint;
use super::files::CheckpointFiles;
use crate::model::config::parse_object;
use crate::model::error::LoadError;

/// Opens the shards that the index `name` names, and only those: repositories can hold stray duplicates. The index and
/// the headers of the shards must agree, but for tensors that the index takes from another shard: that is how changed
/// tensors are laid over a model. They are set aside, with the shard that counts.
pub fn open(files: &CheckpointFiles, name: &str, index_text: &[u8]) -> Result<Checkpoint, LoadError> {
    let index = files.path_of(name);
    let shards = tensors_by_shard(&index, index_text)?;
    let shard_of: HashMap<&str, &str> = shards
        .iter()
        .flat_map(|(shard, listed)| listed.iter().map(move |name| (name.as_str(), shard.as_str())))
        .collect();
    let (mut opened, mut aside, mut note) = (Vec::new(), Vec::new(), None);
    for (shard, listed) in &shards {
        let mut file = files.open_weights(shard)?.ok_or_else(|| LoadError::MissingShard {
            index: index.clone(),
            shard: shard.clone(),
            shards: shards.len(),
        })?;
        let there: HashSet<&str> = file.entries.iter().map(|entry| entry.name.as_str()).collect();
        if let Some(tensor) = listed.iter().find(|name| !there.contains(name.as_str())).cloned() {
            return Err(LoadError::NotInShard { index, shard: shard.clone(), tensor });
        }
        if let Some(entry) = file.entries.iter().find(|entry| !shard_of.contains_key(entry.name.as_str())) {
            return Err(LoadError::NotInIndex { index, shard: shard.clone(), tensor: entry.name.clone() });
        }
        let overlaid = file.take(|entry| shard_of.get(entry.name.as_str()) != Some(&shard.as_str()));
        for entry in overlaid {
            let other = shard_of.get(entry.name.as_str()).copied().unwrap_or("no shard");
            if aside.is_empty() {
                note = Some(format!("{} is taken from {other}, as the index says, and not from {shard}", entry.name));
            }
            aside.push((entry, format!("the one in {shard}; the index takes this tensor from {other}")));
        }
        opened.push(file);
    }
    let note = note.map(|first| match aside.len() {
        1 => first,
        many => format!("{many} tensors are in two shards: {first}"),
    });
    let mut checkpoint = Checkpoint::new(files.path().to_owned(), opened, aside)?;
    checkpoint.notes.extend(note);
    Ok(checkpoint)
}

fn tensors_by_shard(index: &str, text: &[u8]) -> Result<BTreeMap<String, Vec<String>>, LoadError> {
    let root = parse_object(index, text)?;
    let Some(map) = root.get("weight_map").and_then(|map| map.as_object()) else {
        return Err(LoadError::MissingKey { path: index.to_owned(), key: "weight_map".into(), aliases: Vec::new() });
    };
    let mut shards: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (tensor, shard) in map {
        let inside = |shard: &&str| {
            let mut parts = Path::new(shard).components().peekable();
            parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
        };
        let Some(shard) = shard.as_str().filter(inside) else {
            return Err(LoadError::WrongType {
                path: index.to_owned(),
                key: format!("weight_map.{tensor}"),
                found: shard.to_string(),
                expected: "the name of a shard next to it",
            });
        };
        shards.entry(shard.to_owned()).or_default().push(tensor.clone());
    }
    Ok(shards)
}
