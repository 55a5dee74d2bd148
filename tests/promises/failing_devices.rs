//! Promises: a device whose memory is full, or that is lost, is an error that says what to do. Nothing is made of what it
//! did not compute, the screen stays as it is, and the session goes on: there, or on the CPU.
//!
//! The device is Mesa's software adapter. A library that is loaded before it, `full_device.c`, makes its memory full.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use llmdbg::answer::{Answer, text};
use llmdbg::cli::{self, Invocation};
use llmdbg::engine::journal::Journal;
use llmdbg::engine::messages::{Answered, Event, Request, Source};
use llmdbg::engine::thread::{self, Handle, Setup};
use llmdbg::tensor::{Device, DeviceChoice, TensorError};

use crate::common::{NURSE, ex};
use crate::devices::wide_model;
use crate::parity::fixture;
use crate::pty::Terminal;

/// Weights of 6.4 MB and logits of 1.6 MB a token: both are larger than what the library lets pass.
const VOCAB: usize = 400_000;
const TOKENS: &str = "1,2,3,4,5,6,7,8,9,10";

/// A folder with a model and the library, and the file that makes the device full.
struct Place {
    folder: tempfile::TempDir,
    full: PathBuf,
    library: PathBuf,
}

impl Place {
    fn new() -> Place {
        let folder = wide_model(VOCAB);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promises/full_device.c");
        let (library, full) = (folder.path().join("full_device.so"), folder.path().join("full"));
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl").status();
        assert!(built.expect("a C compiler, which the dependencies need too").success());
        Place { folder, full, library }
    }

    fn model(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    fn environment(&self) -> [(&str, &str); 2] {
        [("LD_PRELOAD", self.library.to_str().unwrap()), ("FULL_WHILE_THERE_IS", self.full.to_str().unwrap())]
    }

    fn ran(&self, commands: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_llmdbg"))
            .args(["-batch", "-nx", "--keep-going", "--device", "vulkan", self.model(), "--tokens", TOKENS])
            .args(ex(commands))
            .envs(self.environment())
            .env("XDG_CONFIG_HOME", "/nonexistent")
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("the driver writes this\n", "");
        (output.status.code().expect("a status"), text(&output.stdout), text(&output.stderr))
    }
}

#[test]
fn a_model_that_does_not_fit_is_an_error_of_loading_with_advice() {
    let place = Place::new();
    std::fs::write(&place.full, "").unwrap();
    let (status, out, err) = place.ran(&["run", "print max(logits)"]);
    assert_eq!((status, out.as_str()), (4, ""), "{err}");
    assert!(err.contains("does not fit into the memory of") && err.contains("--dtype f16"), "{err}");
    assert!(err.contains("--device cpu") && !err.contains("panicked") && err.lines().count() == 1, "{err}");
}

#[test]
fn a_pass_that_does_not_fit_is_an_error_and_what_comes_after_it_is_as_if_it_had_fitted() {
    let place = Place::new();
    let asks = ["run", "print logits[-1, 0:5]", "print max(logits)", "print sum(L0.resid_post)"];
    let (status, wanted, err) = place.ran(&asks);
    assert_eq!(status, 0, "{err}");
    let full = place.full.to_str().unwrap();
    let (touch, rm) = (format!("shell touch {full}"), format!("shell rm {full}"));
    let mut commands = vec![touch.as_str(), "run", "print max(logits)", &rm];
    commands.extend(asks);
    let (status, out, err) = place.ran(&commands);
    assert_eq!(status, 4, "{out}{err}");
    assert!(err.contains("is full: take a shorter text") && err.contains("--device cpu"), "{err}");
    assert!(!err.contains("panicked") && !err.contains("internal error"), "{err}");
    assert_eq!(out, wanted, "{err}");
}

#[test]
fn a_driver_that_writes_to_standard_error_does_not_paint_over_the_screen() {
    let place = Place::new();
    let log = place.folder.path().join("log");
    let arguments = [place.model(), "-nx", "--device", "vulkan", "--tokens", TOKENS, "--log", log.to_str().unwrap()];
    let mut terminal = Terminal::with(&arguments, &place.environment());
    terminal.until("the first frame", |screen| screen.contains("blocks.0") || screen.contains("embed"));
    std::fs::write(&place.full, "").unwrap();
    terminal.press(":run\r");
    terminal.until("the error", |screen| screen.contains("is full"));
    assert!(!terminal.contents().contains("the driver writes"), "{}", terminal.contents());
    std::fs::remove_file(&place.full).unwrap();
    terminal.press(":print max(logits[-1]) > -1e9\r");
    terminal.press(":run\r");
    terminal.until("the pass", |screen| screen.contains("at the end of pass 0") || screen.contains("finished"));
    terminal.press("\x04y");
    assert_eq!(terminal.ended(), 0);
    assert!(std::fs::read_to_string(log).unwrap().contains("the driver writes this"), "it is in the log");
}

/// Names the process that loses its device, and the folder of its journal.
const LOSES: &str = "LLMDBG_TEST_LOSES_ITS_DEVICE";

#[test]
fn a_lost_device_is_named_and_not_opened_again_and_the_session_goes_on_on_the_cpu() {
    if std::env::var_os(LOSES).is_some() {
        return lose_the_device();
    }
    // In a process of its own: the other tests have the same device.
    let state = tempfile::tempdir().unwrap();
    let name = "failing_devices::a_lost_device_is_named_and_not_opened_again_and_the_session_goes_on_on_the_cpu";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(LOSES, "1")
        .env("XDG_STATE_HOME", state.path())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{out}{err}");
    let questions = "print $x\nwhen\ninfo breakpoints\nprint max(L1.attn.pattern)\n";
    let found = crate::journal::asked(state.path(), questions);
    let model = fixture("gpt2");
    let fresh = tempfile::tempdir().unwrap();
    let mut child = crate::journal::start(fresh.path(), &[model.to_str().unwrap(), "-p", NURSE]);
    let commands = format!("{}\necho @@\\n\n{questions}", BEFORE.join("\n"));
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), commands.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let wanted = told.split_once("@@\n").unwrap_or_else(|| panic!("no answers: {told}")).1;
    assert!(found.ends_with(wanted), "{found}\nfor\n{wanted}");
    assert!(found.starts_with("Resumed"), "{found}");
}

const BEFORE: [&str; 3] = ["break L1.attn.z", "run", "set $x = 3"];

/// A session on the device, which is lost in the middle of it.
fn lose_the_device() {
    let model = fixture("gpt2");
    let arguments = ["llmdbg", model.to_str().unwrap(), "-p", NURSE, "--device", "vulkan"];
    let Ok(Invocation::Debug(options)) = cli::parse(arguments.map(Into::into)) else { panic!("arguments") };
    let interrupt = Arc::new(AtomicBool::new(false));
    let flag = interrupt.clone();
    let journal =
        Journal::new(&Journal::folder().unwrap(), arguments[1..].iter().map(|word| word.to_string()).collect());
    let setup = Setup { journal, ..Setup::default() };
    let handle = thread::spawn(move || cli::open::open(&options, flag), interrupt, setup).unwrap();
    for line in BEFORE {
        let told = asked(&handle, line);
        assert!(!told.starts_with("error"), "{line}: {told}");
    }
    let device = crate::common::vulkan();
    device.lose();
    let told = asked(&handle, "print max(L1.attn.pattern)");
    for part in ["error", "was lost, with every value on it", "llmdbg --resume --device cpu"] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
    for line in ["continue", "print sum(embed)"] {
        let told = asked(&handle, line);
        assert!(told.contains("was lost"), "{line}: {told}");
    }
    // The session is there, and ends as any other.
    assert!(!asked(&handle, "info record").starts_with("error"));
    let again = Device::open(DeviceChoice::Vulkan(0));
    assert!(matches!(&again, Err(TensorError::DeviceLost { .. })), "{again:?}");
    assert!(Device::open(DeviceChoice::Cpu).is_ok());
}

fn asked(handle: &Handle, line: &str) -> String {
    handle.requests.send(Request::Command { id: 1, line: line.into(), source: Source::Prompt }).unwrap();
    loop {
        match handle.events.recv().unwrap() {
            Event::Answer(Answered { answer, in_script: false, .. }) => {
                let kind = if matches!(answer, Answer::Error(_)) { "error: " } else { "" };
                return format!("{kind}{}", text::lines(&answer, None).join("\n"));
            }
            Event::LoadFailed(message) => panic!("{message}"),
            _ => {}
        }
    }
}
