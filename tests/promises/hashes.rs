//! Promise: `info weights -check` tells files that are as the hub gave them from those that are not, and invents no hash.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use llmdbg::answer::Answer;
use llmdbg::model::{Input, ModelSource, load};
use llmdbg::tensor::{Device, reporting};

use crate::common::{Bench, cell_text};
use crate::parity::fixture;

/// `git hash-object` of the weights of the gpt2 fixture.
const GIT: &str = "4e4a62371b6c8938253bb1af3a738a204840418d";

/// `sha256sum` of a fixture's file, as the list of fixtures has it.
fn sha256(model: &str, file: &str) -> String {
    let list = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/MANIFEST")).unwrap();
    let line = list.lines().find(|line| line.ends_with(&format!(" models/{model}/{file}"))).unwrap();
    line.split(' ').next().unwrap().to_owned()
}

/// A fixture in a cache as the hub's programs lay it out, where blobs of files of weights are named by `hash`.
fn cached(cache: &Path, name: &str, hash: impl Fn(&str) -> String) -> PathBuf {
    let model = cache.join("models--org--tiny");
    let snapshot = model.join("snapshots/abc");
    for folder in [&snapshot, &model.join("blobs"), &model.join("refs")] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(model.join("refs/main"), "abc").unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        let is_weights = file.ends_with(".safetensors") && file.starts_with("model");
        let blob = if is_weights { hash(file) } else { file.to_owned() };
        fs::copy(&path, model.join("blobs").join(&blob)).unwrap();
        symlink(format!("../../blobs/{blob}"), snapshot.join(file)).unwrap();
    }
    snapshot
}

fn bench(path: &Path) -> Bench {
    let device = Device::cpu();
    let model = load(&ModelSource::Path(path.to_owned()), &device).unwrap();
    let input = Input::from_tokens(&model, vec![vec![1, 2]]).unwrap();
    Bench::of("model", model, input, 1 << 30)
}

/// Name and result of each file.
fn results(bench: &mut Bench, line: &str) -> Vec<(String, String)> {
    let table = bench.table(line);
    assert_eq!(table.columns, ["File", "Size", "Result"]);
    let text = |row: &[llmdbg::answer::Cell], i: usize| cell_text(&row[i]).to_owned();
    table.rows.iter().map(|row| (text(row, 0), text(row, 2))).collect()
}

/// Changes the last byte of a file, a number of a tensor; gives what `sha256sum` says of it then.
fn corrupted(path: &Path) -> String {
    use sha2::Digest as _;
    let mut bytes = fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    // The link stays: what it leads to is changed.
    fs::write(path, &bytes).unwrap();
    sha2::Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_file_of_the_cache_is_right_if_it_hashes_to_the_name_of_its_blob() {
    let folder = tempfile::tempdir().unwrap();
    let hash = sha256("gpt2", "model.safetensors");
    let snapshot = cached(folder.path(), "gpt2", |_| hash.clone());
    let right = [("model.safetensors".to_owned(), format!("right, SHA-256 {hash}"))];
    assert_eq!(results(&mut bench(&snapshot), "info weights -check"), right);
    assert_eq!(results(&mut bench(&snapshot.join("model.safetensors")), "info weights -check"), right);
    // Small files are no LFS files: their blobs are named by git's hash.
    let folder = tempfile::tempdir().unwrap();
    let snapshot = cached(folder.path(), "gpt2", |_| GIT.into());
    let found = results(&mut bench(&snapshot), "info weights W_E -check");
    assert_eq!(found, [("model.safetensors".into(), format!("right, Git hash {GIT}"))]);
}

#[test]
fn a_wrong_file_is_an_error_with_both_hashes_and_the_path_to_delete() {
    let folder = tempfile::tempdir().unwrap();
    let hash = |file: &str| sha256("llama-legacy", file);
    let snapshot = cached(folder.path(), "llama-legacy", hash);
    let mut shards: Vec<String> = fs::read_dir(&snapshot)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("model-"))
        .collect();
    shards.sort();
    assert!(shards.len() > 1);
    let found = corrupted(&snapshot.join(&shards[1]));
    let mut bench = bench(&snapshot);
    let told = bench.fail("info weights -check");
    let mut lines = told.lines();
    let blob = folder.path().canonicalize().unwrap().join("models--org--tiny/blobs").join(hash(&shards[1]));
    assert_eq!(
        lines.next().unwrap(),
        format!(
            "1 of {} files of weights is not as the hub gave it; delete {} and download it again",
            shards.len(),
            blob.display()
        )
    );
    let line = |file: &str| told.lines().find(|line| line.starts_with(file)).unwrap();
    assert!(line(&shards[0]).ends_with(&format!("right, SHA-256 {}", hash(&shards[0]))), "{told}");
    let wrong = format!("wrong: its SHA-256 is {found}, that of the hub is {}", hash(&shards[1]));
    assert!(line(&shards[1]).ends_with(&wrong), "{told}");

    // Tensors choose the files that hold them: those of the first shard are right.
    let first = |file: &str| -> String {
        let bytes = fs::read(snapshot.join(file)).unwrap();
        safetensors::SafeTensors::deserialize(&bytes).unwrap().names()[0].to_owned()
    };
    assert_eq!(results(&mut bench, &format!("info weights {} -check", first(&shards[0]))).len(), 1);
    assert!(bench.fail(&format!("info weights {} -check", first(&shards[1]))).starts_with("1 of 1 files"));

    // The program finds it by the name of the hub, and its status is that of a failure.
    let (status, err) = {
        let cache = folder.path();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_llmdbg"))
            .args(["-batch", "-nx", "--device", "cpu", "--tokens", "1,2", "org/tiny", "-ex", "info weights -check"])
            .env("HF_HUB_CACHE", cache)
            .env("HF_HUB_OFFLINE", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert!(status == Some(1) && err.contains(&found), "{status:?} {err}");
}

#[test]
fn a_folder_that_files_were_downloaded_into_has_a_note_about_each() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join(".cache/huggingface/download");
    fs::create_dir_all(&notes).unwrap();
    for entry in fs::read_dir(fixture("gpt2")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let hash = sha256("gpt2", "model.safetensors");
    let commit = "11c5a3d5811f50298f278a704980280950aedb10";
    fs::write(notes.join("model.safetensors.metadata"), format!("{commit}\n{hash}\n1712656091.123\n")).unwrap();
    let file = folder.path().join("model.safetensors");
    assert_eq!(results(&mut bench(folder.path()), "info weights -check")[0].1, format!("right, SHA-256 {hash}"));
    let found = corrupted(&file);
    let told = bench(folder.path()).fail("info weights -check");
    assert!(told.contains(&format!("its SHA-256 is {found}, that of the hub is {hash}")), "{told}");
}

#[test]
fn no_hash_is_invented() {
    let unknown = "not known: nothing on this machine says what the hub's hash is";
    let found = results(&mut bench(&fixture("gpt2")), "info weights -check");
    assert_eq!(found, [("model.safetensors".into(), unknown.into())]);
    // A copy in place of a link, as where links are impossible, and a name that is no hash.
    for name in ["x", "6b468f809fceba6c6bb6dd603ba4fdfa1a0a6822b0de5e60361966dbf970930"] {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = cached(folder.path(), "gpt2", |_| name.into());
        assert_eq!(results(&mut bench(&snapshot), "info weights -check")[0].1, unknown);
        let link = snapshot.join("model.safetensors");
        fs::remove_file(&link).unwrap();
        fs::copy(fixture("gpt2").join("model.safetensors"), &link).unwrap();
        assert_eq!(results(&mut bench(&snapshot), "info weights -check")[0].1, unknown);
    }
    let mut bundled = Bench::new("tiny-gpt2", &["a"]);
    assert_eq!(bundled.fail("info weights -check"), "tiny-gpt2 is part of this program: it has no files to check");
}

#[test]
fn what_cannot_be_read_is_named_and_ctrl_c_ends_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let hash = sha256("gpt2", "model.safetensors");
    let snapshot = cached(folder.path(), "gpt2", |_| hash.clone());
    let mut bench = bench(&snapshot);
    let flag = bench.console.session.interrupt.clone();
    let setting = flag.clone();
    let answer = reporting(Rc::new(move |_, _, _| setting.store(true, Ordering::SeqCst)), || {
        bench.outcome("info weights -check").answer
    });
    flag.store(false, Ordering::SeqCst);
    let size = fs::metadata(snapshot.join("model.safetensors")).unwrap().len();
    let Answer::Error(error) = answer else { panic!("{answer:?}") };
    assert!(error.message.starts_with("interrupted at model.safetensors ("), "{}", error.message);
    assert!(error.message.contains(&format!("of {size})")), "{}", error.message);
    assert_eq!(results(&mut bench, "info weights -check")[0].1, format!("right, SHA-256 {hash}"));

    let link = snapshot.join("model.safetensors");
    fs::remove_file(&link).unwrap();
    let told = bench.fail("info weights -check");
    assert!(told.contains(&link.display().to_string()), "{told}");
}

#[test]
fn it_goes_with_neither_of_the_other_options() {
    let mut bench = Bench::new("tiny-gpt2", &["a"]);
    let told = bench.fail("info weights -check -block 0");
    assert!(told.starts_with("one of -against, -block and -check at a time"), "{told}");
}
