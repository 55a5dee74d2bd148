//! The one place that opens files for reading.
//!
//! A name can lead to something else than a file: opening a named pipe waits for a writer that may never come, and a
//! device such as `/dev/zero` has no end. So only regular files are opened. A script can also come through a descriptor
//! that this program was started with, which is a choice of the one who starts it.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Largest file that is read whole unless another limit is given. What is made of a list of empty lists takes twenty
/// times its bytes, and the largest indices of shards have some ten million.
pub const LARGEST: u64 = 64 << 20;

/// Longest script: a few hundred thousand commands.
const LONGEST_SCRIPT: u64 = 16 << 20;

/// Where the descriptors are found that a program is started with, `/dev/fd/63` of a shell's `<(...)` for one; and the
/// script that does nothing.
const DESCRIPTORS: [&str; 4] = ["/dev/stdin", "/dev/fd/", "/proc/self/fd/", "/dev/null"];

/// Opens a regular file for reading.
///
/// # Errors
/// If it is not there, may not be read, or is not a regular file; the error then says what it is.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path)
}

/// The terminal of this process, whatever its standard input is.
pub fn terminal() -> io::Result<File> {
    File::open("/dev/tty")
}

/// Opens a regular file as `options` say.
pub fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    // Looking first: opening some devices does something already.
    match fs::metadata(path) {
        Ok(found) => check(found.file_type())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // If it has become a pipe since, this does not wait. For regular files it means nothing.
    let file = options.custom_flags(libc::O_NONBLOCK).open(path)?;
    check(file.metadata()?.file_type())?;
    Ok(file)
}

/// Refuses what is not a regular file, before a library opens it by its name.
pub fn regular(path: &Path) -> io::Result<u64> {
    let found = fs::metadata(path)?;
    check(found.file_type())?;
    Ok(found.len())
}

/// The contents of a regular file.
///
/// # Errors
/// As [`open`], and if it is larger than [`LARGEST`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_to(path, LARGEST)
}

/// The contents of a regular file of at most `most` bytes.
///
/// # Errors
/// As [`open`], and if it is larger, or does not fit into memory.
pub fn read_to(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    whole(file, length, most)
}

/// The text of a regular file.
///
/// # Errors
/// As [`read`], and if it is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    text(read(path)?)
}

/// The text of a script: of a regular file, or of a descriptor that the program was started with.
///
/// # Errors
/// As [`read_text`], and if it is longer than any script.
pub fn read_script(path: &Path) -> io::Result<String> {
    let given = path.to_str().is_some_and(|path| DESCRIPTORS.iter().any(|start| path.starts_with(start)));
    let file = if given { File::open(path)? } else { open(path)? };
    text(whole(file, 0, LONGEST_SCRIPT)?)
}

fn whole(file: File, length: u64, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length.min(most).saturating_add(1) as usize)?;
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    // The words of `std::fs::read_to_string`.
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "stream did not contain valid UTF-8"))
}

fn check(kind: FileType) -> io::Result<()> {
    let found = match () {
        _ if kind.is_file() => return Ok(()),
        // The words of the system.
        _ if kind.is_dir() => return Err(io::Error::from_raw_os_error(libc::EISDIR)),
        _ if kind.is_fifo() => "a named pipe",
        _ if kind.is_socket() => "a socket",
        _ if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "something else",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {found}, not a regular file")))
}

/// What to do about an error in reading a file, for the end of a message.
pub fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::FileTooLarge | io::ErrorKind::OutOfMemory => "",
        _ => "; check its permissions",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "text").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR).unwrap();
        assert_eq!((read_text(&at("file")).unwrap(), read_text(&at("link")).unwrap()), ("text".into(), "text".into()));
        assert_eq!(regular(&at("file")).unwrap(), 4);
        for (path, why) in [(at("pipe"), "a named pipe"), ("/dev/zero".into(), "a device")] {
            let whole = format!("it is {why}, not a regular file");
            assert_eq!(read(&path).unwrap_err().to_string(), whole);
            assert_eq!(read_script(&path).unwrap_err().to_string(), whole);
            assert_eq!(regular(&path).unwrap_err().to_string(), whole);
            let appending = open_with(OpenOptions::new().create(true).append(true), &path);
            assert_eq!(appending.unwrap_err().to_string(), whole);
        }
        assert_eq!(open(&at("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(read(folder.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn what_is_too_large_is_not_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        File::create(&path).unwrap().set_len(LONGEST_SCRIPT + 1).unwrap();
        assert_eq!(read_script(&path).unwrap_err().to_string(), "it has more than 16777216 bytes");
    }
}
