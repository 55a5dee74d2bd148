//! How far a download is, and whether the user wants it to go on.

use std::cell::{Cell, RefCell};

use crate::tensor::step;

/// Counts the bytes of all files of a download.
#[derive(Debug, Default)]
pub struct Meter {
    /// What is being done, such as `downloading`.
    verb: Cell<&'static str>,
    /// What it is done with: a file, or the hub's address.
    object: RefCell<String>,
    /// Bytes of the files before this one.
    base: Cell<u64>,
    /// Bytes of all files that are there.
    pub done: Cell<u64>,
    /// Bytes of all files; 0 if not known.
    pub total: Cell<u64>,
}

impl Meter {
    /// A download that begins with a question to the hub at `endpoint`.
    pub fn new(endpoint: &str) -> Meter {
        Meter { verb: Cell::new("asking"), object: RefCell::new(endpoint.to_owned()), ..Meter::default() }
    }

    /// Reports how far the download is; false if the user wants to stop.
    pub fn go_on(&self) -> bool {
        // Sizes that the listing does not have show only as they come.
        let (done, total) = (self.done.get(), self.total.get());
        let total = if total == 0 { 0 } else { total.max(done) };
        step(&format!("{} {}", self.verb.get(), self.object.borrow()), done, total).is_ok()
    }

    pub fn expect(&self, bytes: u64) {
        self.total.set(self.total.get() + bytes);
    }

    /// The next file, as it is shown.
    pub fn begin(&self, file: String) {
        self.verb("downloading");
        self.object.replace(file);
    }

    pub fn verb(&self, verb: &'static str) {
        self.verb.set(verb);
    }

    /// `done` bytes of the file are there.
    pub fn at(&self, done: u64) {
        self.done.set(self.base.get() + done);
    }

    pub fn finish(&self, size: u64) {
        self.base.set(self.base.get() + size);
        self.at(0);
    }
}
