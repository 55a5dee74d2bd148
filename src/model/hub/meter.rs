//! How far a download is, and whether the user wants it to go on.

/// What is called while a model is fetched: what is being done (`downloading model.safetensors (3 of 7)`), the bytes
/// that are there, and the bytes in all, 0 if that is not known. `false` stops it.
pub type Report<'a> = &'a mut dyn FnMut(&str, u64, u64) -> bool;

/// Counts the bytes of all files of a download.
pub struct Meter<'a> {
    report: Report<'a>,
    /// What is being done, such as `downloading`.
    verb: &'static str,
    /// What it is done with: a file, or the hub's address.
    object: String,
    /// Bytes of the files before this one.
    base: u64,
    done: u64,
    total: u64,
    go: bool,
}

impl<'a> Meter<'a> {
    /// A download that begins with a question to the hub at `endpoint`.
    pub fn new(report: Report<'a>, endpoint: &str) -> Meter<'a> {
        Meter { report, verb: "asking", object: endpoint.to_owned(), base: 0, done: 0, total: 0, go: true }
    }

    /// Reports how far the download is; false if the user wants to stop. The only place that does either.
    pub fn go_on(&mut self) -> bool {
        // Sizes that the listing does not have show only as they come.
        let total = if self.total == 0 { 0 } else { self.total.max(self.done) };
        self.go &= (self.report)(&format!("{} {}", self.verb, self.object), self.done, total);
        self.go
    }

    /// `bytes` more are to come.
    pub fn expect(&mut self, bytes: u64) {
        self.total += bytes;
    }

    /// The next file, as it is shown.
    pub fn begin(&mut self, file: String) {
        (self.verb, self.object) = ("downloading", file);
    }

    pub fn verb(&mut self, verb: &'static str) {
        self.verb = verb;
    }

    /// `done` bytes of the file are there.
    pub fn at(&mut self, done: u64) {
        self.done = self.base + done;
    }

    /// The file is complete, with `size` bytes.
    pub fn finish(&mut self, size: u64) {
        self.base += size;
        self.done = self.base;
    }

    /// Bytes of all files that are there.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Bytes of all files; 0 if not known.
    pub fn total(&self) -> u64 {
        self.total
    }
}
