//! A lock on one file of the cache, so that two programs do not write to it at once.
//!
//! The lock is that of hf-hub, a lock of the system on `blobs/HASH.lock`, so that other programs that use it keep out
//! too. hf-hub leaves the lock's file; here the file is removed with the lock.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::model::file;

#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
}

impl Lock {
    pub fn try_take(path: &Path) -> io::Result<Option<Lock>> {
        loop {
            let file = file::open_with(OpenOptions::new().create(true).truncate(false).write(true), path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Whoever had the lock before may have deleted the file between our opening and locking it.
            let same =
                fs::metadata(path).is_ok_and(|there| file.metadata().is_ok_and(|ours| there.ino() == ours.ino()));
            if same {
                return Ok(Some(Lock { path: path.to_owned(), file }));
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Deleted while it is held: afterwards it may belong to another program. A file that stays does no harm.
        _ = fs::remove_file(&self.path);
        _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_no_file_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let lock = Lock::try_take(&path).unwrap().unwrap();
        assert!(Lock::try_take(&path).unwrap().is_none());
        drop(lock);
        assert!(!path.exists());
        assert!(Lock::try_take(&path).unwrap().is_some());
        // A file that a killed program left is not a lock.
        fs::write(&path, "").unwrap();
        assert!(Lock::try_take(&path).unwrap().is_some());
        assert!(Lock::try_take(&folder.path().join("no/such")).is_err());
    }
}
