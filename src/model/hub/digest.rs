//! Whether what arrived is what was announced.

use std::fmt::Write;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// What a file's content should hash to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// SHA-256 of the content.
    Sha256(String),
    /// Git's hash: SHA-1 of `blob SIZE`, a zero byte, and the content.
    Git(String),
    /// Nothing is known.
    Nothing,
}

pub enum Digest {
    /// SHA-256.
    Sha256(Sha256),
    /// Git's.
    Git(Sha1),
    Nothing,
}

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
        match self {
            Expected::Sha256(_) => Digest::Sha256(Sha256::new()),
            Expected::Git(_) => Digest::Git(Sha1::new().chain_update(format!("blob {size}\0"))),
            Expected::Nothing => Digest::Nothing,
        }
    }

    /// Compares; the error is what was found and what was expected.
    pub fn check(&self, digest: Digest) -> Result<(), (String, String)> {
        let (name, found, expected) = match (self, digest) {
            (Expected::Sha256(expected), Digest::Sha256(digest)) => ("SHA-256", hex(&digest.finalize()), expected),
            (Expected::Git(expected), Digest::Git(digest)) => ("Git hash", hex(&digest.finalize()), expected),
            _ => return Ok(()),
        };
        if found == *expected { Ok(()) } else { Err((format!("its {name} is {found}"), expected.clone())) }
    }
}

impl Digest {
    /// Hashes more of the content.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Digest::Sha256(digest) => digest.update(bytes),
            Digest::Git(digest) => digest.update(bytes),
            Digest::Nothing => {}
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
