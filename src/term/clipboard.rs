//! Copying in every way that may work, and reporting which were tried.
//!
//! A terminal program cannot know whether a copy arrived: OSC 52 is ignored by many terminals, and tmux keeps its own
//! buffers. So the text is sent both ways and always saved to a file, and the report says only that.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Capabilities;
use super::base64::base64;

/// Longest text sent through the terminal; terminals drop longer sequences.
const OSC52_LIMIT: usize = 74_994;

/// Copies `text` and reports what was done: `sent to terminal (OSC 52) and saved to FILE`.
pub fn copy(text: &str, capabilities: &Capabilities, directory: &Path) -> String {
    let mut done = Vec::new();
    if text.len() <= OSC52_LIMIT && write_osc52(&mut io::stdout(), text).is_ok() {
        done.push("sent to terminal (OSC 52)".to_string());
    }
    if capabilities.tmux && load_tmux_buffer(text).is_ok() {
        done.push("put in the tmux buffer".to_string());
    }
    match save(text, directory) {
        Ok(path) => done.push(format!("saved to {}", path.display())),
        Err(error) => done.push(format!("not saved: {}: {error}", directory.display())),
    }
    match done.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => done.concat(),
    }
}

fn write_osc52(out: &mut impl Write, text: &str) -> io::Result<()> {
    write!(out, "\x1b]52;c;{}\x1b\\", base64(text.as_bytes()))?;
    out.flush()
}

fn load_tmux_buffer(text: &str) -> io::Result<()> {
    let mut child = Command::new("tmux")
        .args(["load-buffer", "-w", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes())?;
    }
    match child.wait()?.success() {
        true => Ok(()),
        false => Err(io::Error::other("tmux refused the buffer")),
    }
}

fn save(text: &str, directory: &Path) -> io::Result<PathBuf> {
    std::fs::create_dir_all(directory)?;
    let path = directory.join("llmdbg-copy.txt");
    std::fs::write(&path, text)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_saved_whatever_the_terminal_does() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = save("blocks.2.attn.pattern", directory.path()).expect("a file");
        assert_eq!(std::fs::read_to_string(path).expect("the file"), "blocks.2.attn.pattern");
    }
}
