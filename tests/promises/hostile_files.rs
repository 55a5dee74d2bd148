//! Promises: a file that is not a file is refused and never waited for; what would take all memory is refused before it does.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::hostile::limited;
use crate::layers::sources;
use crate::parity::fixture;

/// A copy of a fixture.
fn copy(model: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_into(&fixture(model), folder.path());
    folder
}

fn copy_into(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&copy).unwrap();
            copy_into(&path, &copy);
        } else {
            fs::copy(&path, &copy).unwrap();
        }
    }
}

/// Puts a named pipe, which nobody ever writes to, in the place of a file.
fn pipe(path: &Path) {
    _ = fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn nothing_but_one_module_opens_files_for_reading() {
    let opens = regex::Regex::new(
        r"\bfs::read\(|\bread_to_string\(\w|\bFile::open\b|\bOpenOptions\b.*\.open\(|\bMmap::open\b|\.from_file\(|\bBufReader::new\(File",
    )
    .unwrap();
    let mut found = Vec::new();
    for (file, source) in sources() {
        let tests = ["_tests.rs", "tests.rs"].iter().any(|end| file.to_string_lossy().ends_with(end))
            || file.iter().any(|part| part == "tests");
        if tests || file == Path::new("model/file.rs") {
            continue;
        }
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        let reads = code.lines().filter(|line| opens.is_match(line.split("//").next().unwrap_or_default()));
        found.extend(reads.map(|line| format!("{}: {}", file.display(), line.trim())));
    }
    // These make a new file, or write one that the user names.
    found.retain(|line| {
        !["create_new(true)", "engine/log.rs", "term/quiet.rs"].iter().any(|known| line.contains(known))
    });
    assert!(found.is_empty(), "use model::file:\n{}", found.join("\n"));
}

#[test]
fn a_pipe_in_the_place_of_any_file_of_a_model_is_refused() {
    for (model, files) in [
        (
            "gpt2",
            &[
                "config.json",
                "generation_config.json",
                "model.safetensors",
                "tokenizer.json",
                "tokenizer_config.json",
                "special_tokens_map.json",
                "chat_template.jinja",
                "model.safetensors.index.json",
            ][..],
        ),
        ("llama-legacy", &["model-00001-of-00002.safetensors", "model.safetensors.index.json"]),
        ("bert-sentence", &["modules.json", "1_Pooling/config.json"]),
    ] {
        for file in files {
            let folder = copy(model);
            pipe(&folder.path().join(file));
            let ran = limited(folder.path(), &["--tokens", "1,2,3", "-ex", "run"]);
            let said = format!("{file}: it is a named pipe, not a regular file\n");
            assert!(ran.status == 4 && ran.err.ends_with(&said), "{model}/{file}: {} {}", ran.status, ran.err);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    fs::copy(fixture("gpt2").join("config.json"), folder.path().join("config.json")).unwrap();
    for file in ["a.gguf", "a.safetensors", "a.bin", "a.pt"] {
        let path = folder.path().join(file);
        pipe(&path);
        let ran = limited(&path, &["-ex", "run"]);
        assert!(ran.status == 4 && ran.err.contains("named pipe, not a regular file"), "{file}: {}", ran.err);
    }
}

#[test]
fn pipes_and_devices_in_the_place_of_what_commands_read_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let names = ["a.ldb", "a.json", "a.txt", "a.safetensors", "a.npz", "adapter_config.json", "chat.json", "a.csv"];
    names.iter().for_each(|name| pipe(Path::new(&at(name))));
    fs::copy(fixture("gpt2").join("config.json"), at("config.json")).unwrap();
    fs::create_dir(at("adapter")).unwrap();
    pipe(Path::new(&at("adapter/adapter_config.json")));
    let gpt2 = fixture("gpt2");
    let commands = [
        format!("source {}", at("a.ldb")),
        "source /dev/zero".into(),
        format!("load edits {}", at("a.json")),
        format!("golden check {}", at("a.json")),
        "golden check /dev/zero".into(),
        format!("probe {}", at("a.txt")),
        "probe /dev/zero".into(),
        format!("load-dump {} as theirs", at("a.safetensors")),
        format!("load-dump {} as theirs", at("a.npz")),
        "load-dump /dev/zero as theirs".into(),
        format!("load {} as theirs", at("a.safetensors")),
        format!("lens -tuned {}", at("a.safetensors")),
        format!("lora load {}", at("adapter")),
    ];
    for command in &commands {
        let ran = limited(&gpt2, &["-p", "a", "-ex", "run", "-ex", command]);
        let said = ["it is a named pipe, not a regular file", "it is a device, not a regular file"];
        assert!(ran.status == 1 && said.iter().any(|said| ran.err.contains(said)), "{command}: {}{}", ran.out, ran.err);
    }
    for (arguments, status) in [
        (["-x".into(), at("a.ldb")], 1),
        (["-x".into(), "/dev/zero".into()], 1),
        (["--prompt-file".into(), at("a.txt")], 2),
        (["--prompt-file".into(), "/dev/zero".into()], 2),
        (["--chat-file".into(), at("chat.json")], 4),
        (["--lora".into(), at("adapter")], 4),
    ] {
        let ran = limited(&gpt2, &arguments.each_ref().map(String::as_str));
        assert_eq!(ran.status, status, "{arguments:?}: {}", ran.err);
        assert!(
            ran.err.contains("not a regular file") || ran.err.contains("no chat template"),
            "{arguments:?}: {}",
            ran.err
        );
    }
}

#[test]
fn pipes_among_the_settings_of_the_user_are_not_waited_for() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("llmdbg")).unwrap();
    for name in ["settings.toml", "keys.toml", "theme.toml", "layouts.toml", "init.ldb", "trusted.json", "history"] {
        pipe(&home.path().join("llmdbg").join(name));
    }
    let project = tempfile::tempdir().unwrap();
    pipe(&project.path().join(".llmdbg"));
    for arguments in [&["-batch", "-ex", "run"][..], &["--print-config"], &["-q"]] {
        let output = Command::new("timeout")
            .args(["20", env!("CARGO_BIN_EXE_llmdbg"), "--device", "cpu"])
            .args(arguments)
            .current_dir(project.path())
            .env("XDG_CONFIG_HOME", home.path())
            .env("XDG_STATE_HOME", home.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let code = output.status.code();
        assert!(
            code.is_some_and(|code| code < 3),
            "{arguments:?}: {code:?} {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn a_script_comes_through_a_descriptor_that_was_given_on_purpose() {
    let script = |shell: &str| {
        let output = Command::new("bash")
            .args(["-c", shell, "bash", env!("CARGO_BIN_EXE_llmdbg")])
            .env("XDG_CONFIG_HOME", "/nonexistent")
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let said = (Some(0), "hello\n".to_string());
    assert_eq!(script("$1 -batch -nx --device cpu -x <(echo 'echo hello\\n')"), said);
    assert_eq!(script("echo 'echo hello\\n' | $1 -batch -nx --device cpu -x /dev/stdin"), said);
    assert_eq!(script("$1 -batch -nx --device cpu -x /dev/null").0, Some(0));
    // A stream without an end is not read until memory ends.
    assert_eq!(script("yes | timeout 20 $1 -batch -nx --device cpu -x /dev/stdin").0, Some(1));
}

#[test]
fn a_pickle_of_millions_of_values_is_refused_before_it_is_read() {
    let folder = copy("gpt2");
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    let lists = [&b"\x80\x02"[..], &b"]".repeat(5_000_000), &b"a".repeat(4_999_999), b"."].concat();
    let stack = [&b"\x80\x02}"[..], &b"N".repeat(20_000_000), b"."].concat();
    let text = [&b"\x80\x02}\x8d"[..], &(1u64 << 33).to_le_bytes()].concat();
    for (bytes, why) in
        [(lists, "more than 1048576 values"), (stack, "more than 1048576 values"), (text, "bytes of text")]
    {
        fs::write(folder.path().join("pytorch_model.bin"), bytes).unwrap();
        let ran = limited(folder.path(), &["--tokens", "1,2", "-ex", "run"]);
        assert!(ran.status == 4 && ran.err.contains(why), "{}", ran.err);
    }
    // The same in an archive, where it takes a few kilobytes.
    let zipped = folder.path().join("pytorch_model.bin");
    let mut archive = zip::ZipWriter::new(fs::File::create(&zipped).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    archive.start_file("archive/data.pkl", options).unwrap();
    std::io::Write::write_all(&mut archive, &[&b"\x80\x02"[..], &b"]".repeat(20_000_000), b"."].concat()).unwrap();
    archive.finish().unwrap();
    assert!(fs::metadata(&zipped).unwrap().len() < 100_000);
    let ran = limited(folder.path(), &["--tokens", "1,2", "-ex", "run"]);
    assert!(ran.status == 4 && ran.err.contains("more than 1048576 values"), "{}", ran.err);
}

#[test]
fn slots_that_make_too_many_prompts_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slots.txt");
    for text in ["{a|b}".repeat(30), vec!["{a|b}".repeat(8); 1000].join("\n"), "{a|b}".repeat(16) + &"x".repeat(10_000)]
    {
        fs::write(&path, text).unwrap();
        let ran = limited(&fixture("gpt2"), &["-p", "a", "-ex", &format!("probe {}", path.display())]);
        assert!(ran.status == 1 && ran.err.contains("at most 65536 of 16777216 bytes are probed"), "{}", ran.err);
    }
}

#[test]
fn a_template_that_makes_a_text_of_another_size_than_its_conversation_is_stopped() {
    let folder = copy("gpt2");
    for template in [
        "{{ 'x'.replace('', 'y' * 100000) }}".to_string(),
        "{% for m in messages %}{{ m.content }} and so on and so on{% endfor %}".repeat(3000),
        "{% set x = namespace(s='ab') %}{% for i in range(40) %}{% set x.s = x.s ~ x.s %}{% endfor %}{{ x.s }}".into(),
    ] {
        fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
        let ran = limited(folder.path(), &["--chat", "-p", "hello", "-ex", "run"]);
        assert_eq!(ran.status, 4, "{}", ran.out);
        assert!(ran.err.contains("was stopped") && ran.err.contains("it is broken or hostile"), "{}", ran.err);
    }
}

#[test]
fn a_prompt_that_no_memory_holds_is_refused_before_a_pass() {
    let refused = |err: &str| err.contains("tokens takes at least") && err.contains(" tokens fit");
    let ran = limited(&fixture("llama"), &["-p", "a", "--pad-to", "3000000", "-ex", "run"]);
    assert!(ran.status == 4 && refused(&ran.err), "{} {}", ran.status, ran.err);
    // With what is recorded, in a session that goes on.
    let ran = limited(
        &fixture("llama"),
        &["--keep-going", "-p", "a", "--pad-to", "1500000", "-ex", "run", "-ex", "echo still here\\n"],
    );
    assert!(ran.status == 1 && refused(&ran.err), "{} {}", ran.status, ran.err);
    assert!(ran.out.contains("still here"), "{}", ran.out);
}
