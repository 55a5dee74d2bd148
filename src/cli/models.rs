//! `llmdbg models`: the models that can be opened by name.

use std::env;
use std::io::{self, Write};

use crate::model::bundled::BUNDLED;
use crate::model::checkpoint::{gguf_architectures, loadable};
use crate::model::config::HfConfig;
use crate::model::hub::Settings;
use crate::model::hub::cache::{Snapshot, snapshots};
use crate::model::text::bytes;
use crate::model::{families, file};

/// Lists the bundled models, those in the cache with size, family and commit, the families and types that can be opened,
/// and the families that are known and cannot be, with the reasons.
pub fn list(out: &mut dyn Write) -> io::Result<()> {
    BUNDLED.iter().try_for_each(|model| writeln!(out, "{:16} {}", model.name, model.description))?;
    cached(out)?;
    writeln!(out, "\nOther models can be opened if model_type in config.json is one of these:")?;
    wrapped(out, "  ", families::model_types())?;
    writeln!(out, "\nGGUF files can be opened if their architecture is one of these:")?;
    wrapped(out, "  ", gguf_architectures())?;
    writeln!(out, "\nTheir tensors may be of these types:")?;
    wrapped(out, "  ", loadable())?;
    writeln!(out, "\nThese cannot be opened:")?;
    families::refused().try_for_each(|(reason, names)| {
        writeln!(out, "  {reason}:")?;
        wrapped(out, "    ", names)
    })
}

/// Names in lines of a screen's width.
fn wrapped(out: &mut dyn Write, indent: &str, names: impl Iterator<Item = &'static str>) -> io::Result<()> {
    const WIDTH: usize = 80;
    let mut line = String::new();
    for name in names {
        if !line.is_empty() && indent.len() + line.len() + 1 + name.len() > WIDTH {
            writeln!(out, "{indent}{line}")?;
            line.clear();
        }
        if !line.is_empty() {
            line += " ";
        }
        line += name;
    }
    writeln!(out, "{indent}{line}")
}

fn cached(out: &mut dyn Write) -> io::Result<()> {
    let cache = Settings::read(|name| env::var_os(name)).cache;
    let found = snapshots(&cache);
    if found.is_empty() {
        return writeln!(out, "\nNo models in the cache at {}.", cache.display());
    }
    writeln!(out, "\nIn the cache at {}:", cache.display())?;
    let width = found.iter().map(|snapshot| snapshot.repo.len()).max().unwrap_or(0);
    found.iter().try_for_each(|snapshot| {
        let commit = snapshot.commit.get(..12).unwrap_or(&snapshot.commit);
        writeln!(out, "{:width$}  {:>10}  {commit:12}  {}", snapshot.repo, bytes(snapshot.bytes), family(snapshot))
    })
}

/// The family of a snapshot, or why the snapshot cannot be opened.
fn family(snapshot: &Snapshot) -> String {
    if let Some(gguf) = snapshot.files.iter().find(|file| file.ends_with(".gguf")) {
        return format!("GGUF: {gguf}");
    }
    let path = snapshot.path.join("config.json");
    let Ok(text) = file::read(&path) else { return "no config.json".into() };
    let Ok(config) = HfConfig::parse(&path.display().to_string(), &text) else {
        return "config.json cannot be read".into();
    };
    match (config.model_type(), families::find(&config)) {
        (Ok(family), Ok(_)) => family.to_string(),
        (Ok(family), Err(_)) => format!("{family}, which cannot be opened: {}", families::reason(family)),
        (Err(_), _) => "no model_type in config.json".into(),
    }
}
