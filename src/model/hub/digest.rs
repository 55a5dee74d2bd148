//! Whether what arrived is what was announced.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};

use sha1::Sha1;
use sha2::digest::DynDigest;
use sha2::{Digest as _, Sha256};

/// What a file's content should hash to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    Sha256(String),
    /// Git's hash: SHA-1 of `blob SIZE`, a zero byte, and the content.
    Git(String),
    Nothing,
}

/// Bytes that are read at once of a file.
const PIECE: usize = 1 << 20;

/// A hash under way; none if none is expected.
pub struct Digest(Option<Box<dyn DynDigest>>);

impl Expected {
    /// What the listing and the ETag say. The hub stores large files under their SHA-256 and sends it as the ETag.
    pub fn of(sha256: Option<&str>, blob: Option<&str>, etag: &str) -> Expected {
        let hex = |text: &&str, digits: usize| text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
        let sha256 = sha256.filter(|text| hex(text, 64)).or(Some(etag).filter(|text| hex(text, 64)));
        match (sha256, blob.filter(|text| hex(text, 40))) {
            (Some(sha256), _) => Expected::Sha256(sha256.to_lowercase()),
            (None, Some(blob)) => Expected::Git(blob.to_lowercase()),
            (None, None) => Expected::Nothing,
        }
    }

    /// Begins to hash a content of `size` bytes.
    pub fn start(&self, size: u64) -> Digest {
        Digest(match self {
            Expected::Sha256(_) => Some(Box::new(Sha256::new())),
            Expected::Git(_) => Some(Box::new(Sha1::new().chain_update(format!("blob {size}\0")))),
            Expected::Nothing => None,
        })
    }

    /// Compares; the error is what was found and what was expected.
    pub fn check(&self, digest: Digest) -> Result<(), (String, String)> {
        let Some((name, expected)) = self.known() else { return Ok(()) };
        match digest.0.map(|digest| hex(&digest.finalize())) {
            Some(found) if found != expected => Err((format!("its {name} is {found}"), expected.to_owned())),
            _ => Ok(()),
        }
    }

    /// The kind of hash, and the hash.
    pub fn known(&self) -> Option<(&'static str, &str)> {
        match self {
            Expected::Sha256(expected) => Some(("SHA-256", expected)),
            Expected::Git(expected) => Some(("Git hash", expected)),
            Expected::Nothing => None,
        }
    }
}

impl Digest {
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some(digest) = &mut self.0 {
            digest.update(bytes);
        }
    }

    /// Takes what a file has from here on; `progress` gets the number of bytes each time.
    pub fn read<E>(
        &mut self,
        file: &mut File,
        unreadable: impl Fn(io::Error) -> E,
        mut progress: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut buffer = vec![0; PIECE];
        loop {
            let n = file.read(&mut buffer).map_err(&unreadable)?;
            if n == 0 {
                return Ok(());
            }
            self.update(&buffer[..n]);
            progress(n)?;
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: &Expected, content: &[u8]) -> Result<(), (String, String)> {
        let mut digest = expected.start(content.len() as u64);
        content.chunks(2).for_each(|part| digest.update(part));
        expected.check(digest)
    }

    #[test]
    fn hashes_are_those_of_sha256sum_and_git() {
        // `printf hello | sha256sum`, `printf hello | git hash-object --stdin`.
        let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let git = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0";
        let known = Expected::of(Some(sha256), None, "x");
        assert_eq!(known, Expected::of(None, Some(git), sha256));
        assert_eq!(check(&known, b"hello"), Ok(()));
        assert_eq!(check(&Expected::of(None, Some(git), git), b"hello"), Ok(()));
        assert!(check(&known, b"hallo").unwrap_err().0.starts_with("its SHA-256 is d3751d33"));
        assert!(check(&Expected::of(None, Some(git), git), b"hallo").is_err());
        assert_eq!(Expected::of(None, None, git), Expected::Nothing);
        assert_eq!(check(&Expected::Nothing, b"hallo"), Ok(()));
    }
}
