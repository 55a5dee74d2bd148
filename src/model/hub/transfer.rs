//! One file from the hub into the cache.
//!
//! What arrives goes to `blobs/HASH.part` and gets its final name when its size and its hash are those announced, so
//! that a blob under its final name is always whole. What an interrupted download left is continued, by this program or
//! the next.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::digest::{Digest, Expected};
use super::error::HubError;
use super::exchange::Trouble;
use super::lock::Lock;
use super::meter::Meter;
use super::remote::{Announced, Entry, Failure, Remote, passing};
use crate::model::file;

/// Tries in a row that bring nothing new.
const TRIES: u32 = 5;

/// Pause after the first failed try; it doubles.
const PAUSE: Duration = Duration::from_millis(200);

/// Longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long another program may hold a file without getting on.
const OTHERS_PATIENCE: Duration = Duration::from_secs(30);

pub struct Wanted<'a> {
    pub file: &'a str,
    pub entry: &'a Entry,
    pub announced: &'a Announced,
}

/// Does something again while it fails for reasons that may pass.
pub fn patiently<T>(meter: &Meter, mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    patiently_counting(meter, || attempt().map_err(|failure| (failure, false))).map_err(|(failure, _)| failure)
}

/// The same for an attempt that says with its failure whether it made progress; a failure comes with the number of
/// tries since then.
fn patiently_counting<T>(
    meter: &Meter,
    mut attempt: impl FnMut() -> Result<T, (Failure, bool)>,
) -> Result<T, (Failure, u32)> {
    let mut tries = 0;
    loop {
        let (failure, gained) = match attempt() {
            Ok(done) => return Ok(done),
            Err(failed) => failed,
        };
        tries = if gained { 1 } else { tries + 1 };
        let wait = match &failure {
            Failure::Passing { wait, .. } if tries < TRIES => wait.unwrap_or(PAUSE * 2_u32.pow(tries - 1)),
            _ => return Err((failure, tries)),
        };
        pause(wait.min(LONGEST_PAUSE), meter).map_err(|failure| (failure, tries))?;
    }
}

/// Waits, unless the user wants to stop.
fn pause(wait: Duration, meter: &Meter) -> Result<(), Failure> {
    let end = Instant::now() + wait;
    while Instant::now() < end {
        if !meter.go_on() {
            return Err(Failure::Cancelled);
        }
        std::thread::sleep(Duration::from_millis(20).min(wait));
    }
    Ok(())
}

/// Gets a file into `blobs`; returns its path there.
pub fn transfer(remote: &Remote<'_>, blobs: &Path, wanted: &Wanted<'_>) -> Result<PathBuf, Failure> {
    let etag = &wanted.announced.etag;
    let [blob, part, lock] = ["", ".part", ".lock"].map(|ending| blobs.join(format!("{etag}{ending}")));
    fs::create_dir_all(blobs).map_err(HubError::io(blobs))?;
    let Some(_lock) = wait_for(&lock, &part, &blob, wanted, &remote.meter)? else { return Ok(blob) };
    // Another program may have finished while we waited; one that was there before is not touched.
    if whole(&blob, wanted.announced.size) {
        return Ok(blob);
    }
    let mut again = true;
    loop {
        let resumed = fs::metadata(&part).is_ok_and(|found| found.len() > 0);
        match receive(remote, &part, wanted) {
            Ok(()) => break,
            // The beginning may be from another time than the end.
            Err(Failure::Final(error)) if resumed && again && matches!(*error, HubError::Mismatch { .. }) => {
                again = false
            }
            Err(failure) => return Err(failure),
        }
    }
    fs::rename(&part, &blob).map_err(HubError::io(&blob))?;
    Ok(blob)
}

/// Whether a blob is there and, judging by its size, whole.
pub fn whole(blob: &Path, size: Option<u64>) -> bool {
    fs::metadata(blob).is_ok_and(|found| found.is_file() && size.is_none_or(|size| found.len() == size))
}

/// Takes the lock; `None` if the file has arrived in the meantime.
fn wait_for(
    path: &Path,
    part: &Path,
    blob: &Path,
    wanted: &Wanted<'_>,
    meter: &Meter,
) -> Result<Option<Lock>, Failure> {
    let length = || fs::metadata(part).map_or(0, |found| found.len());
    let (mut seen, mut since) = (length(), Instant::now());
    loop {
        if let Some(lock) = Lock::try_take(path).map_err(HubError::io(path))? {
            return Ok(Some(lock));
        }
        if whole(blob, wanted.announced.size) {
            return Ok(None);
        }
        let now = length();
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        if since.elapsed() > OTHERS_PATIENCE {
            let (file, lock) = (wanted.file.to_owned(), path.display().to_string());
            return Err(HubError::Busy { file, seconds: OTHERS_PATIENCE.as_secs(), lock }.into());
        }
        meter.verb("waiting for another program that downloads");
        meter.at(now);
        pause(Duration::from_millis(100), meter)?;
    }
}

/// Fills the part up to the whole file and checks it.
fn receive(remote: &Remote<'_>, part: &Path, wanted: &Wanted<'_>) -> Result<(), Failure> {
    let expected = Expected::of(wanted.entry.sha256.as_deref(), wanted.entry.blob.as_deref(), &wanted.announced.etag);
    let size = wanted.announced.size;
    let mut sink = Sink::open(part, expected.clone(), size, &remote.meter)?;
    let mut host = remote.settings.endpoint.clone();
    remote.meter.verb("downloading");
    let received = patiently_counting(&remote.meter, || {
        let before = sink.done;
        fill(remote, &mut sink, wanted, &mut host).map_err(|failure| (failure, sink.done > before))
    });
    match received {
        Ok(()) => {}
        Err((Failure::Passing { message, wait, .. }, attempts)) if sink.done > 0 => {
            let (file, done, size) = (wanted.file.to_owned(), sink.done, size.unwrap_or(0));
            let error = Box::new(HubError::Cut { file, host, attempts, done, size, message: message.clone() });
            return Err(Failure::Passing { error, message, wait });
        }
        Err((failure, _)) => return Err(failure),
    }
    let mismatch = |found: String, expected: String| {
        // A part that is wrong would be continued again and again.
        _ = fs::remove_file(part);
        let (file, host) = (wanted.file.to_owned(), host.clone());
        Err(HubError::Mismatch { file, host, found, expected }.into())
    };
    if let Some(size) = size.filter(|size| *size != sink.done) {
        return mismatch(format!("it has {} bytes", sink.done), size.to_string());
    }
    sink.file.sync_all().map_err(|source| sink.failed(source, wanted.file))?;
    expected.check(sink.digest).or_else(|(found, expected)| mismatch(found, expected))
}

/// One try: asks for what is missing and takes what comes.
fn fill(remote: &Remote<'_>, sink: &mut Sink, wanted: &Wanted<'_>, host: &mut String) -> Result<(), Failure> {
    let size = wanted.announced.size;
    if size == Some(sink.done) {
        return Ok(());
    }
    let (from, answer) = remote.get_from(wanted.file, sink.done)?;
    *host = from;
    let broken = |message: &str| passing(Trouble::Network(message.to_owned()), host, wanted.file);
    let Some((answer, begins)) = answer else {
        // Nothing from there on: what is there is all, or too much.
        return if size.is_none() { Ok(()) } else { sink.restart(wanted.file) };
    };
    if begins != sink.done {
        // The server sends everything, whatever it was asked for.
        sink.restart(wanted.file)?;
        if begins != 0 {
            return Err(broken("the server sent a different part than was requested"));
        }
    }
    while let Some(piece) = answer.next(&remote.meter).map_err(|trouble| passing(trouble, host, wanted.file))? {
        sink.write(&piece, wanted.file)?;
        remote.meter.at(sink.done);
        // More than announced is not written: it would fill the disk.
        if size.is_some_and(|size| sink.done > size) {
            return Ok(());
        }
    }
    match size {
        // The connection ended early without an error.
        Some(size) if sink.done < size => Err(broken("the connection ended early")),
        _ => Ok(()),
    }
}

/// The part of a file that is there.
struct Sink {
    path: PathBuf,
    file: File,
    expected: Expected,
    size: Option<u64>,
    digest: Digest,
    done: u64,
}

impl Sink {
    /// Opens the part, and hashes what is there already.
    fn open(path: &Path, expected: Expected, size: Option<u64>, meter: &Meter) -> Result<Sink, Failure> {
        let wrong = HubError::io(path);
        let file = file::open_with(OpenOptions::new().create(true).read(true).append(true), path).map_err(&wrong)?;
        let digest = expected.start(size.unwrap_or(0));
        let mut sink = Sink { path: path.to_owned(), file, expected, size, digest, done: 0 };
        let there = sink.file.metadata().map_err(&wrong)?.len();
        // Git's hash begins with the size; without it what is there cannot be continued.
        if size.is_none_or(|size| there > size) {
            sink.restart(&path.display().to_string())?;
            return Ok(sink);
        }
        if there > 0 {
            meter.verb("verifying");
        }
        let Sink { file, digest, done, .. } = &mut sink;
        digest.read(
            file,
            |error| wrong(error).into(),
            |bytes| {
                *done += bytes as u64;
                meter.at(*done);
                if meter.go_on() { Ok(()) } else { Err(Failure::Cancelled) }
            },
        )?;
        Ok(sink)
    }

    fn restart(&mut self, file: &str) -> Result<(), Failure> {
        self.file.set_len(0).map_err(|source| self.failed(source, file))?;
        self.digest = self.expected.start(self.size.unwrap_or(0));
        self.done = 0;
        Ok(())
    }

    fn write(&mut self, piece: &[u8], file: &str) -> Result<(), Failure> {
        self.file.write_all(piece).map_err(|source| self.failed(source, file))?;
        self.digest.update(piece);
        self.done += piece.len() as u64;
        Ok(())
    }

    fn failed(&self, source: io::Error, file: &str) -> Failure {
        let full = matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        Failure::from(match self.path.parent().filter(|_| full) {
            Some(folder) => HubError::NoSpace {
                what: file.to_owned(),
                folder: folder.display().to_string(),
                needed: self.size.unwrap_or(0).saturating_sub(self.done),
                free: free(folder).unwrap_or(0),
            },
            None => HubError::io(&self.path)(source),
        })
    }
}

/// Bytes that are free for us where a folder is, or will be.
pub fn free(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|path| path.exists())?;
    let found = rustix::fs::statvfs(there).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}
