//! `shell CMD` and `pipe CMD | SHELL-CMD`: programs of the system, and which lines may run them.
//!
//! Lines that a person types may run programs. Lines of a file may not, unless the file belongs to the user's
//! configuration: a script that comes with somebody else's model must not do more than debug. `set shell on` lifts
//! this, and is refused in such a file.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use super::lists::{fault_of, refused};
use super::messages::Source;
use super::thread::Engine;
use crate::answer::{Answer, text};
use crate::commands::Outcome;

/// How often a running program is polled.
const POLL: Duration = Duration::from_millis(10);

/// How long the output of a program that has ended may stay open because of what it started in the background.
const LINGER: Duration = Duration::from_millis(200);

/// How many bytes of output are kept.
const LARGEST: usize = 4 << 20;

impl Engine {
    pub(super) fn shell(&mut self, command: &str, source: &Source) -> Outcome {
        if command.is_empty() {
            return refused("shell needs a command");
        }
        match self.forbidden(source) {
            Some(refused) => refused,
            None => outcome_of(command, run(command, None, &self.interrupt)),
        }
    }

    /// `pipe CMD | SHELL-CMD`: sends the answer of a command, as text, to a program.
    pub(super) fn pipe(&mut self, id: u64, rest: &str, source: &Source, keep_going: bool) -> Outcome {
        let Some((line, command)) = parts(rest) else {
            return refused("expected pipe COMMAND | SHELL-COMMAND");
        };
        if let Some(refused) = self.forbidden(source) {
            return refused;
        }
        let outer = self.captured.replace(Vec::new());
        let outcome = self.execute(id, line, source, keep_going);
        let mut lines = std::mem::replace(&mut self.captured, outer).unwrap_or_default();
        if fault_of(&outcome.answer).is_some() {
            return outcome;
        }
        lines.extend(outcome.printed);
        lines.extend(text::lines(&outcome.answer, None));
        let input: String = lines.into_iter().map(|line| line + "\n").collect();
        let ran = outcome_of(command, run(command, Some(input), &self.interrupt));
        Outcome { changed: outcome.changed, quit: outcome.quit, then: outcome.then, ..ran }
    }

    /// Why a line from `source` may not run programs; `None` if it may.
    fn forbidden(&self, source: &Source) -> Option<Outcome> {
        let file = source.file()?;
        if self.interpreter.outside().shell || self.is_own(Path::new(file)) {
            return None;
        }
        let help = "type the command yourself, or type \"set shell on\" before you run the file";
        let message = format!("{file} may not run programs: it does not belong to your configuration\n{help}");
        Some(refused(message))
    }

    /// Whether a file belongs to the user: it is in the configuration folder, or trusted.
    fn is_own(&self, file: &Path) -> bool {
        let Ok(file) = file.canonicalize() else { return false };
        let own = self.own_files.iter().filter_map(|own| own.canonicalize().ok());
        own.into_iter().any(|own| file.starts_with(own))
    }

    /// Undoes `set shell on` if it came from a file that may not run programs.
    pub(super) fn keep_shell_off(&mut self, before: bool, source: &Source) -> Option<Outcome> {
        if before || !self.interpreter.outside().shell {
            return None;
        }
        let file = source.file().filter(|file| !self.is_own(Path::new(file)))?;
        _ = self.interpreted("set shell off", source);
        Some(refused(format!("{file} may not set shell on: type \"set shell on\" yourself")))
    }
}

/// Splits a command and the program that gets its answer at the first `|` between spaces outside quotes, because the
/// command itself may contain `||` and `a|b`.
fn parts(rest: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        let divides = c == '|' && !quoted && rest[..at].ends_with(char::is_whitespace);
        if divides && rest[at + 1..].starts_with(char::is_whitespace) {
            let (line, command) = (rest[..at].trim(), rest[at + 1..].trim());
            return (!line.is_empty() && !command.is_empty()).then_some((line, command));
        }
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
    }
    None
}

struct Ran {
    output: Vec<u8>,
    status: Option<ExitStatus>,
    cut: bool,
}

fn outcome_of(command: &str, ran: std::io::Result<Ran>) -> Outcome {
    let ran = match ran {
        Ok(ran) => ran,
        Err(error) => return refused(format!("cannot run {command}: {error}")),
    };
    let mut printed: Vec<String> = String::from_utf8_lossy(&ran.output).lines().map(String::from).collect();
    if ran.cut {
        printed.push(format!("(the output is cut after {} MiB)", LARGEST >> 20));
    }
    let outcome = match ran.status {
        Some(status) if status.success() => Outcome::of(Answer::Text(String::new())),
        Some(status) => match status.code() {
            Some(code) => refused(format!("{command} ended with status {code}")),
            None => refused(format!("{command} was ended by a signal")),
        },
        None => refused(format!("{command} was interrupted")),
    };
    Outcome { printed, ..outcome }
}

/// Runs a program through the shell and collects its output. It has no terminal: its input is `input` or nothing.
fn run(command: &str, input: Option<String>, interrupt: &AtomicBool) -> std::io::Result<Ran> {
    let (reader, writer) = std::io::pipe()?;
    let shell =
        std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).map_or(PathBuf::from("/bin/sh"), Into::into);
    let mut program = Command::new(shell);
    program.arg("-c").arg(command).stdout(writer.try_clone()?).stderr(writer);
    program.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    // In a separate process group, so that an interrupt also ends what it started.
    let mut child = program.process_group(0).spawn()?;
    // The writing ends must be closed here, or reading would never end.
    drop(program);
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // It is not an error if the program does not read all of it.
        std::thread::spawn(move || _ = stdin.write_all(input.as_bytes()));
    }
    let chunks = read_all(reader);
    gather(&mut child, &chunks, interrupt)
}

fn read_all(mut reader: std::io::PipeReader) -> Receiver<Vec<u8>> {
    let (sender, chunks) = bounded(16);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    chunks
}

fn gather(child: &mut Child, chunks: &Receiver<Vec<u8>>, interrupt: &AtomicBool) -> std::io::Result<Ran> {
    let mut ran = Ran { output: Vec::new(), status: None, cut: false };
    let mut open = true;
    let mut ended: Option<Instant> = None;
    while open || ran.status.is_none() {
        match chunks.recv_timeout(POLL) {
            Ok(chunk) => {
                let room = LARGEST.saturating_sub(ran.output.len()).min(chunk.len());
                ran.cut |= room < chunk.len();
                ran.output.extend_from_slice(&chunk[..room]);
            }
            Err(RecvTimeoutError::Timeout) if ended.is_some_and(|at| at.elapsed() > LINGER) => open = false,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                open = false;
                std::thread::sleep(POLL);
            }
        }
        if ran.status.is_none() {
            ran.status = child.try_wait()?;
            ended = ran.status.map(|_| Instant::now());
        }
        if interrupt.load(Ordering::SeqCst) {
            if let Some(group) = rustix::process::Pid::from_raw(child.id() as i32) {
                // It may have ended in the meantime.
                _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            child.wait()?;
            return Ok(Ran { status: None, ..ran });
        }
    }
    Ok(ran)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_divided_at_a_bar_between_spaces() {
        assert_eq!(parts("info sites | grep q | wc -l"), Some(("info sites", "grep q | wc -l")));
        assert_eq!(parts(r#"print "a | b" | wc"#), Some((r#"print "a | b""#, "wc")));
        assert_eq!(parts("print 1 || 0 | cat"), Some(("print 1 || 0", "cat")));
        for none in ["", "|", "info sites", "info sites |", " | wc", "print 1|2"] {
            assert_eq!(parts(none), None, "{none}");
        }
    }

    #[test]
    fn output_is_collected_and_the_status_is_reported() {
        let quiet = AtomicBool::new(false);
        let outcome =
            |command: &str, input: Option<&str>| outcome_of(command, run(command, input.map(String::from), &quiet));
        assert_eq!(outcome("echo a; echo b >&2", None).printed, ["a", "b"]);
        assert_eq!(outcome("cat; echo", Some("x\ny\n")).printed, ["x", "y", ""]);
        // The program does not read its input.
        assert_eq!(outcome("true", Some(&"x".repeat(1 << 20))).answer, Answer::Text(String::new()));
        let failed = outcome("echo no; exit 3", None);
        assert_eq!(failed.printed, ["no"]);
        assert!(
            matches!(failed.answer, Answer::Error(error) if error.message == "echo no; exit 3 ended with status 3")
        );
        let much = outcome("yes | head -c 10000000", None);
        assert!(much.printed.last().unwrap().contains("the output is cut"));
    }

    #[test]
    fn a_background_process_does_not_block_the_prompt() {
        let start = Instant::now();
        assert_eq!(outcome_of("x", run("sleep 30 & echo on", None, &AtomicBool::new(false))).printed, ["on"]);
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn an_interrupt_ends_a_program_and_what_it_started() {
        let start = Instant::now();
        let interrupt = AtomicBool::new(true);
        let ended = outcome_of("x", run("sleep 60 | sleep 60", None, &interrupt));
        assert!(matches!(ended.answer, Answer::Error(error) if error.message == "x was interrupted"));
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
