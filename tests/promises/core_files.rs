//! Promise of `docs/cores.md`: a session in one file is looked at without its model, and runs again to the same bits, or it
//! says where not.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{NURSE, Ran, ex};
use crate::parity::fixture;

/// Runs the program in a folder, which has its journals too.
fn ran(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_llmdbg"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    let output =
        command.env("XDG_STATE_HOME", folder.join("state")).env("XDG_CONFIG_HOME", "/nonexistent").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn a_session_runs_again_to_the_same_bits_or_says_where_not() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    std::fs::create_dir(&model).unwrap();
    for file in std::fs::read_dir(fixture("gpt2")).unwrap().flatten() {
        std::fs::copy(file.path(), model.join(file.file_name())).unwrap();
    }
    let commands = [
        "run",
        "generate 2",
        "set list-size 7",
        "ablate L0H1",
        "print L1.attn.z[0, 0, 0]",
        "save core a.core L1.attn.pattern logits",
    ];
    let given = [&["-nx", "--device", "cpu", "model", "-p", NURSE, "-batch"], &ex(&commands)[..]].concat();
    let first = ran(folder.path(), &given);
    assert_eq!(first.status, 0, "{}", first.err);
    // Without the weights.
    std::fs::rename(model.join("model.safetensors"), folder.path().join("away")).unwrap();
    let shown = ran(folder.path(), &["core", "a.core"]);
    for words in [
        "10 tokens",
        "set list-size 7",
        "ablate L0H1",
        "weights: SHA-256 ",
        "L1.attn.pattern".replace("L1", "blocks.1").as_str(),
    ] {
        assert!(shown.out.contains(words), "{words}: {}", shown.out);
    }
    assert!(ran(folder.path(), &["core", "a.core", "commands"]).out.contains("generate 2\n"));
    let sites = ran(folder.path(), &["core", "a.core", "sites", "1.attn.pattern"]).out;
    assert_eq!(sites.lines().count(), 1 + 3, "one for each pass: {sites}");
    let value = ran(folder.path(), &["core", "a.core", "value", "blocks.1.attn.pattern"]);
    assert!(value.out.starts_with("f32[") || value.out.contains("head="), "{}", value.out);
    let none = ran(folder.path(), &["--core", "a.core", "-nx", "-batch"]);
    assert_eq!(none.status, 4, "{}", none.err);
    // With them, the same bits.
    std::fs::rename(folder.path().join("away"), model.join("model.safetensors")).unwrap();
    let again = ran(folder.path(), &["--core", "a.core", "-nx", "-batch", "-ex", "info edits"]);
    assert_eq!(again.status, 0, "{}{}", again.out, again.err);
    assert!(
        again.out.contains("values have the same bits as in") && again.out.contains("ablate L0H1"),
        "{}",
        again.out
    );
    // What reaches outside the session is not run, whoever wrote the file.
    let hostile = std::fs::read(folder.path().join("a.core")).unwrap();
    let at = hostile.windows(15).position(|window| window == b"set list-size 7").unwrap();
    let mut changed = hostile.clone();
    changed[at..at + 15].copy_from_slice(b"!touch touched ");
    std::fs::write(folder.path().join("hostile.core"), changed).unwrap();
    let safe = ran(folder.path(), &["--core", "hostile.core", "-nx", "-batch"]);
    assert!(safe.out.contains("values have the same bits") && !folder.path().join("touched").exists(), "{}", safe.err);
    // Other weights, in the last block: the first value that differs is one of it.
    let file = model.join("model.safetensors");
    let script =
        format!("set param(\"L1.mlp.W_out\")[0, 0] = 3\nexport model {}", folder.path().join("other").display());
    let lines: Vec<&str> = script.lines().collect();
    let made = ran(folder.path(), &[&["-nx", "--device", "cpu", "model", "-batch"], &ex(&lines)[..]].concat());
    assert_eq!(made.status, 0, "{}", made.err);
    std::fs::copy(folder.path().join("other/model.safetensors"), &file).unwrap();
    let other = ran(folder.path(), &["--core", "a.core", "-nx", "-batch"]);
    assert_eq!(other.status, 1, "{}{}", other.out, other.err);
    assert!(
        other.err.contains("the first is weights: the weights differ") && other.err.contains("blocks.1.mlp.out#0"),
        "{}",
        other.err
    );

    // What is no core file is refused by name.
    std::fs::write(folder.path().join("b.core"), "llmdbg core 1\nxxxx").unwrap();
    for (name, words) in
        [("b.core", "is damaged"), ("model/config.json", "is not a core file"), ("none", "cannot read")]
    {
        let wrong = ran(folder.path(), &["core", name]);
        assert!(wrong.status == 2 && wrong.err.contains(words), "{}", wrong.err);
    }
}
