//! The same model in another container computes the same: GGUF and PyTorch files against safetensors.
//!
//! `tests/fixtures/gguf` holds what `tools/fixtures/gguf` makes of the fixtures. With `LLMDBG_GGUF=FOLDER` the same tests
//! run over the files of another folder, such as one made by `python -m fixtures.gguf.convert --twin weights`.

use std::fs;
use std::path::{Path, PathBuf};

use llmdbg::debugger::{Direction, Motion, Session};
use llmdbg::model::{Input, Model, ModelSource, Row, SpecialTokens, load};
use llmdbg::tensor::{Device, Kind, bits};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::parity::{self, fixture, session};

pub fn open(path: &Path) -> Model {
    load(&ModelSource::Path(path.to_owned()), &Device::cpu())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A GGUF file and the checkpoint that it must agree with.
struct Pair {
    name: String,
    gguf: PathBuf,
    twin: PathBuf,
    /// Whether the twin is a fixture as it is, so that what transformers computes is known.
    plain: bool,
    /// Holds the twin, where it was put together for the test.
    _made: Option<TempDir>,
}

/// All GGUF files. The twin is the folder of the file's name, if there is one: dequantised weights, or only a configuration
/// for what GGUF has no words for, to the weights of the fixture. Else it is the fixture.
fn pairs() -> Vec<Pair> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf");
    let folder = std::env::var_os("LLMDBG_GGUF").map_or(own, PathBuf::from);
    let mut pairs = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let gguf = entry.unwrap().path();
        let file = gguf.file_name().unwrap().to_string_lossy().into_owned();
        let Some(stem) = file.strip_suffix(".gguf") else { continue };
        let name = match stem.split_once("-00001-of-") {
            Some((name, _)) => name.to_owned(),
            None if stem.contains("-of-") => continue,
            None => stem.to_owned(),
        };
        let own = folder.join(&name);
        let model = fixture(name.rsplit_once('.').unwrap().0);
        let (twin, made) = match (own.join("model.safetensors").exists(), own.join("config.json").exists()) {
            (true, _) => (own, None),
            (false, true) => {
                let made = with_config(&model, &own);
                (made.path().to_owned(), Some(made))
            }
            (false, false) => (model, None),
        };
        let plain = twin.join("reference.json").exists();
        pairs.push(Pair { name, gguf, twin, plain, _made: made });
    }
    pairs.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!pairs.is_empty(), "{}", folder.display());
    pairs
}

/// A copy of a fixture with the configurations of a folder.
fn with_config(model: &Path, configs: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let mut left = vec![(model.to_owned(), copy.path().to_owned()), (configs.to_owned(), copy.path().to_owned())];
    while let Some((from, to)) = (!left.is_empty()).then(|| left.remove(0)) {
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let target = to.join(path.file_name().unwrap());
            if path.is_dir() {
                left.push((path, target));
            } else if !target.file_name().unwrap().to_string_lossy().starts_with("reference.") {
                fs::copy(&path, target).unwrap();
            }
        }
    }
    copy
}

/// A row of tokens that are spread over the vocabulary, without padding.
fn row(model: &Model) -> Row {
    let length = model.spec.max_positions.min(13);
    let ids = (0..length).map(|i| ((i * 37 + 11) % model.spec.vocab) as u32).collect::<Vec<_>>();
    Row { mask: vec![true; length], type_ids: vec![0; length], ids, ..Row::default() }
}

pub fn run(model: Model) -> Session {
    let input = Input::from_rows(&model, vec![row(&model)]).unwrap();
    let mut session = session(model, input);
    session.start();
    session.travel(&Motion::Continue, Direction::Forward).unwrap();
    session
}

/// The largest difference of all sites, relative to 1 + the value, and the site that has it; how many sites are the same bit
/// for bit.
pub fn difference(a: &mut Session, b: &mut Session) -> (f64, String, usize) {
    let sites = a.run.program.sites().to_vec();
    assert_eq!(sites, b.run.program.sites());
    let (mut worst, mut same) = ((0.0, String::from("none")), 0);
    for (op, site) in sites.iter().enumerate() {
        let (a, b) = (a.run.value(op).unwrap(), b.run.value(op).unwrap());
        assert_eq!(a.shape(), b.shape(), "{site}");
        if bits(&a).unwrap() == bits(&b).unwrap() {
            same += 1;
            continue;
        }
        assert_ne!(a.kind(), Kind::Int, "{site}");
        for (x, y) in a.read_f32().unwrap().into_iter().zip(b.read_f32().unwrap()) {
            let off = if x == y { 0.0 } else { f64::from(x - y).abs() / (1.0 + f64::from(y).abs()) };
            let off = if off.is_nan() { f64::INFINITY } else { off };
            if off > worst.0 {
                worst = (off, site.clone());
            }
        }
    }
    (worst.0, worst.1, same)
}

/// What a GGUF file holds is what the checkpoint holds, so most models agree bit for bit. What can differ: numbers of the
/// configuration, which the file has in 32 bits (an epsilon, a base, a factor: 6e-8 of each), gains of Gemma and Nemotron,
/// to which the converter adds 1 in 32 bits, and rates of decay, which it has as exponentials of what the checkpoint has.
const TOLERANCE: f64 = 1e-6;

#[test]
fn the_same_model_in_gguf_and_safetensors_gives_the_same_sites() {
    let mut table = String::from("model | sites | same bits | worst site | difference\n");
    let mut failed = false;
    for Pair { name, gguf, twin, .. } in &pairs() {
        let (mut a, mut b) = (run(open(gguf)), run(open(twin)));
        let (worst, site, same) = difference(&mut a, &mut b);
        let sites = a.run.program.sites().len();
        table += &format!("{name} | {sites} | {same} | {site} | {worst:.1e}\n");
        failed |= worst > TOLERANCE;
    }
    println!("{table}");
    assert!(!failed, "{table}");
}

/// The prompts of the fixtures, which need no help from this program's own safetensors reader.
#[test]
fn gguf_files_give_every_site_that_transformers_computes() {
    let mut table = String::from("model | sites | worst site | difference\n");
    let (mut faults, mut compared) = (Vec::new(), 0);
    for Pair { name, gguf, twin, plain, .. } in &pairs() {
        if !plain || !name.ends_with(".f32") {
            continue;
        }
        // The positions that RoBERTa gives to padding are not in a GGUF file.
        let padded = |prompt: &Json| prompt["attention_mask"].as_array().unwrap().contains(&Json::from(0));
        let kept = |prompt: &Json| !(name.starts_with("roberta") && padded(prompt));
        let report = parity::check(gguf, twin, &kept, &Device::cpu(), parity::CPU);
        table += &format!("{name} | {} | {} | {:.1e}\n", report.sites, report.worst_site, report.worst);
        faults.extend(report.faults.into_iter().map(|fault| format!("{name}: {fault}")));
        compared += 1;
    }
    println!("{table}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(compared >= 10 || std::env::var_os("LLMDBG_GGUF").is_some(), "{compared} models");
}

/// Words, numbers, code, white space, several scripts, marks, control characters.
const PAGE: &[&str] = &[
    "The nurse and the dog said that they'll go home, won't they?",
    "In 1984, 12345 people paid $3.50 (or 2,000%) — isn't it odd?",
    "fn main() {\n    let x = 0x1F; // comment\n\treturn x+=1;\r\n}\n\n\n",
    "a  b   c    d     e \t\t f\n \n  g",
    "Zoë naïve Ångström façade Łódź İstanbul ﬁne ½ ²",
    "日本語の文章と한국어 문장, 中文句子。",
    "Привет мир! Γειά σου Κόσμε. שלום עולם مرحبا",
    "नमस्ते दुनिया কেমন আছো ไทย ភាសាខ្មែរ",
    "😀 👩‍👩‍👧 🏳️‍🌈 x\u{301}y\u{200b}z\u{feff}",
    "CamelCase snake_case kebab-case UPPER lower MiXeD don't DON'T we've I'm",
    "http://example.com/a?b=c&d=[1,2]#e user@example.org",
    "!!!???...;;;:::\"'`~^|\\/<>{}[]()=+-*&%$#@",
    "e",
    "trailing ",
];

#[test]
fn the_tokenizer_of_a_gguf_file_gives_the_same_ids() {
    for Pair { name, gguf, twin, .. } in &pairs() {
        let (ours, theirs) = (open(gguf), open(twin));
        let (Some(a), Some(b)) = (&ours.tokenizer, &theirs.tokenizer) else {
            panic!("{name}: {:?} {:?}", ours.tokenizer, theirs.tokenizer)
        };
        let mut texts: Vec<String> = PAGE.iter().map(|text| (*text).to_owned()).collect();
        texts.push(PAGE.join(" "));
        // sentence-transformers cuts long texts off, llama.cpp does not.
        let most = b.longest().map_or(usize::MAX, |longest| longest.tokens);
        texts.retain(|text| b.whole_length(text).unwrap() <= most);
        assert!(texts.len() > PAGE.len() / 2, "{name}: {texts:?}");
        for text in &texts {
            let ids = |tokenizer: &llmdbg::model::Tokenizer| -> Vec<(u32, Vec<u8>)> {
                let tokens = tokenizer.encode(text, true).unwrap();
                tokens.into_iter().map(|token| (token.id, token.bytes)).collect()
            };
            assert_eq!(ids(a), ids(b), "{name}: {text:?}");
        }
        // A small model of a large family may keep the ids of the large vocabulary, which mean nothing.
        let vocab = theirs.spec.vocab as u32;
        let (ours, theirs) = (&ours.special, &theirs.special);
        let ids = |special: &SpecialTokens| {
            let mut ids = vec![special.bos, special.pad, special.mask, special.sep];
            ids.extend(special.eos.iter().copied().map(Some));
            ids
        };
        if ids(theirs).into_iter().flatten().all(|id| id < vocab) {
            assert_eq!(ids(ours), ids(theirs), "{name}");
        }
    }
}

/// transformers knows the width of GPT-2's and CodeGen's MLP by one name alone; tools leave others behind in the file.
#[test]
fn a_width_under_a_name_that_the_family_does_not_know_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture("gpt2")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let path = folder.path().join("config.json");
    let mut config: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert!(config["n_inner"].is_null());
    config["intermediate_size"] = 77.into();
    fs::write(&path, config.to_string()).unwrap();
    let model = load(&ModelSource::Path(folder.path().to_path_buf()), &Device::cpu()).unwrap();
    assert_eq!(model.spec.d_mlp, 4 * model.spec.d_model);
}
