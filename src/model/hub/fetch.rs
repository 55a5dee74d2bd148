//! A model of the hub onto this machine: from the cache if it is there, else what is missing of it is downloaded.
//!
//! The reference of a revision is written last, so that it names a snapshot that is whole. Until then the files that
//! have arrived are in the snapshot already, and the next start continues with the others.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::cache::{self, Cached};
use super::choose::{self, MODULES, Unclear, Weights};
use super::error::HubError;
use super::meter::Meter;
use super::name::{HubName, is_inside};
use super::remote::{Entry, Failure, Listing, Remote};
use super::settings::Settings;
use super::transfer::{self, Wanted, free, patiently};
use crate::model::config::HfConfig;
use crate::model::error::LoadError;
use crate::model::{families, file};

/// Puts a model into the cache, if it is not there.
///
/// Nothing is asked of the hub if the cache has all that is needed.
///
/// # Errors
/// Why the model cannot be fetched; or, once its configuration is there, why it would be of no use.
pub fn fetch(name: &HubName, settings: &Settings) -> Result<(), LoadError> {
    let found = cache::look(&settings.cache, name)?;
    if matches!(found, Cached::Complete(_)) {
        return Ok(());
    }
    let usable = matches!(found, Cached::NoTokenizer(_));
    if let Some(variable) = &settings.offline {
        let forbidden = Some((variable.as_str(), settings.endpoint.as_str()));
        let refused = || HubError::not_cached(name, &settings.cache, &found, forbidden).into();
        return if usable { Ok(()) } else { Err(refused()) };
    }
    match Download::begin(name, settings).map_err(LoadError::from).and_then(|download| download.run()) {
        // Only the tokenizer was wanted, and the hub cannot be asked.
        Err(LoadError::Hub(HubError::Unreachable { .. } | HubError::Server { .. })) if usable => Ok(()),
        outcome => outcome,
    }
}

struct Download<'a> {
    name: &'a HubName,
    settings: &'a Settings,
    remote: Remote<'a>,
    listing: Listing,
    /// Where the files get their names.
    snapshot: PathBuf,
}

impl<'a> Download<'a> {
    fn begin(name: &'a HubName, settings: &'a Settings) -> Result<Self, HubError> {
        let remote = Remote::new(name, settings)?;
        let listing = patiently(&remote.meter, || remote.list());
        let listing = listing.map_err(|failure| error_of(failure, name, "", &remote.meter))?;
        let snapshot = cache::folder(&settings.cache, &name.repo).join("snapshots").join(&listing.commit);
        Ok(Download { name, settings, remote, listing, snapshot })
    }

    fn run(&self) -> Result<(), LoadError> {
        let names: BTreeSet<String> = self.listing.files.keys().cloned().collect();
        let weights = choose::weights(&names, self.name.file.as_deref()).map_err(|why| self.unclear(why, &names))?;
        let folder = choose::folder(match &weights {
            Weights::Index(index) => index,
            Weights::Files(files) => files.first().map_or("", String::as_str),
        });
        // The small files first: they say whether the large ones are of any use.
        let mut small = choose::companions(&names, folder);
        if let Weights::Index(index) = &weights {
            small.push(index.clone());
        }
        self.get_all(&small)?;
        let config = format!("{folder}config.json");
        if small.contains(&config) {
            let whole = HfConfig::parse(&format!("{config} of {}", self.name.repo), &self.read(&config)?)?;
            families::find(&families::text_part(whole)?)?;
        }
        let modules = format!("{folder}{MODULES}");
        let mut rest =
            if small.contains(&modules) { choose::module_files(&self.read(&modules)?, &names) } else { Vec::new() };
        rest.extend(self.weights(weights)?);
        self.get_all(&rest)?;
        Ok(self.finish(&names)?)
    }

    fn weights(&self, weights: Weights) -> Result<Vec<String>, HubError> {
        let index = match weights {
            Weights::Files(files) => return Ok(files),
            Weights::Index(index) => index,
        };
        let shards = choose::shards(&self.snapshot.join(&index), &self.read(&index)?)?;
        match shards.iter().find(|shard| !self.listing.files.contains_key(*shard)) {
            Some(absent) => Err(self.remote.no_file(absent, Vec::new())),
            None => Ok(shards.into_iter().collect()),
        }
    }

    fn unclear(&self, why: Unclear, names: &BTreeSet<String>) -> HubError {
        let named = self.name.file.as_deref().unwrap_or_default();
        let ending = |suffix: &str| names.iter().filter(|name| name.ends_with(suffix)).cloned().collect();
        match why {
            Unclear::NotThere => {
                self.remote.no_file(named, ending(named.rsplit_once('.').map_or("", |(_, ending)| ending)))
            }
            Unclear::Several(files) => HubError::several(self.name, files),
            Unclear::Nothing => HubError::NoWeights {
                name: self.name.repo.clone(),
                endpoint: self.settings.endpoint.clone(),
                files: names.iter().cloned().collect(),
            },
        }
    }

    fn read(&self, file: &str) -> Result<Vec<u8>, HubError> {
        let path = self.snapshot.join(file);
        file::read(&path).map_err(HubError::io(&path))
    }

    fn entry(&self, file: &str) -> Entry {
        self.listing.files.get(file).cloned().unwrap_or_default()
    }

    /// Gets those files that are not there yet.
    fn get_all(&self, files: &[String]) -> Result<(), HubError> {
        let there = |file: &&String| !transfer::whole(&self.snapshot.join(file), self.entry(file).size);
        let missing: Vec<&String> = files.iter().filter(there).collect();
        let bytes: u64 = missing.iter().filter_map(|file| self.entry(file).size).sum();
        self.check_space(bytes, &missing)?;
        let meter = &self.remote.meter;
        meter.expect(bytes);
        for (number, file) in missing.iter().enumerate() {
            meter.begin(match missing.len() {
                1 => (*file).clone(),
                all => format!("{file} ({} of {all})", number + 1),
            });
            meter.finish(self.get(file).map_err(|failure| error_of(failure, self.name, file, meter))?);
        }
        Ok(())
    }

    /// Gets one file and gives it its name in the snapshot; returns its size.
    fn get(&self, file: &str) -> Result<u64, Failure> {
        if !is_inside(file) {
            let message = format!("{file:?} is not a file name");
            return Err(HubError::bad_answer(&self.settings.endpoint, &self.name.repo, message).into());
        }
        let entry = self.entry(file);
        let announced = patiently(&self.remote.meter, || self.remote.announced(file, &entry))?;
        if announced.commit.as_ref().is_some_and(|commit| *commit != self.listing.commit) {
            let message = "the model was changed while it was being downloaded; start again";
            return Err(HubError::bad_answer(&self.settings.endpoint, file, message).into());
        }
        let folder = cache::folder(&self.settings.cache, &self.name.repo);
        let wanted = Wanted { file, entry: &entry, announced: &announced };
        let blob = transfer::transfer(&self.remote, &folder.join("blobs"), &wanted)?;
        let link = self.snapshot.join(file);
        put_link(&link, &blob, file).map_err(HubError::io(&link))?;
        Ok(fs::metadata(&link).map_or(0, |found| found.len()))
    }

    /// Refuses what cannot fit before the disk is full.
    fn check_space(&self, needed: u64, files: &[&String]) -> Result<(), HubError> {
        match free(&self.settings.cache) {
            Some(free) if free < needed => {
                let what = match files {
                    [only] => (*only).clone(),
                    files => format!("{} files of {}", files.len(), self.name.repo),
                };
                Err(HubError::NoSpace { what, folder: self.settings.cache.display().to_string(), needed, free })
            }
            _ => Ok(()),
        }
    }

    /// Notes what the commit does not have, and lets the revision mean it.
    fn finish(&self, names: &BTreeSet<String>) -> Result<(), HubError> {
        let commit = &self.listing.commit;
        if !choose::has_tokenizer(names) {
            let note = cache::known_missing(&self.settings.cache, &self.name.repo, commit, "tokenizer.json");
            write_whole(&note, "").map_err(HubError::io(&note))?;
        }
        if self.name.revision() != commit {
            let reference =
                cache::folder(&self.settings.cache, &self.name.repo).join("refs").join(self.name.revision());
            write_whole(&reference, commit).map_err(HubError::io(&reference))?;
        }
        Ok(())
    }
}

fn error_of(failure: Failure, name: &HubName, file: &str, meter: &Meter) -> HubError {
    match failure {
        Failure::Final(error) | Failure::Passing { error, .. } => *error,
        Failure::Cancelled => {
            let (done, size) = (meter.done.get(), meter.total.get());
            HubError::Cancelled { name: name.to_string(), file: file.to_owned(), done, size }
        }
    }
}

/// A link from the snapshot to the blob, as the cache has it everywhere; where links are impossible, the blob itself.
fn put_link(link: &Path, blob: &Path, file: &str) -> io::Result<()> {
    if let Some(folder) = link.parent() {
        fs::create_dir_all(folder)?;
    }
    // From the file's folder up to the snapshot, and out of `snapshots/COMMIT`.
    let up = "../".repeat(file.matches('/').count() + 2);
    let target = format!("{up}blobs/{}", blob.file_name().unwrap_or_default().to_string_lossy());
    match fs::remove_file(link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match symlink(target, link) {
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {
            fs::rename(blob, link)
        }
        linked => linked,
    }
}

/// Writes a small file so that it is there wholly or not at all.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}", std::process::id()));
    fs::write(&aside, text)?;
    fs::rename(&aside, path)
}
