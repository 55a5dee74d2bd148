//! The same model in another container computes the same: GGUF and PyTorch files against safetensors.
//!
//! `tests/fixtures/gguf` holds what `tools/make_gguf.py` makes of the fixtures. With `LLMDBG_GGUF=FOLDER` the same tests run
//! over the files of another folder, such as one made by `tools/make_gguf.py --twin` of other models.

use std::fs;
use std::path::{Path, PathBuf};

use llmdbg::debugger::{Direction, Motion, Session};
use llmdbg::model::{Input, Model, ModelSource, Row, load};
use llmdbg::tensor::{Device, Kind, bits};

use crate::parity::{fixture, session};

fn open(path: &Path) -> Model {
    load(&ModelSource::Path(path.to_owned()), &Device::cpu(), &mut |_| true)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The GGUF files, with the checkpoint that each must agree with: the folder of its own name if there is one, which holds
/// dequantised weights, else the fixture of its name.
fn pairs() -> Vec<(String, PathBuf, PathBuf)> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf");
    let folder = std::env::var_os("LLMDBG_GGUF").map_or(own, PathBuf::from);
    let mut pairs = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(".gguf") else { continue };
        let stem = match stem.split_once("-00001-of-") {
            Some((stem, _)) => stem,
            None if stem.contains("-of-") => continue,
            None => stem,
        };
        let twin = folder.join(stem);
        let (model, _) = stem.rsplit_once('.').unwrap();
        pairs.push((stem.to_owned(), path.clone(), if twin.is_dir() { twin } else { fixture(model) }));
    }
    pairs.sort();
    assert!(!pairs.is_empty(), "{}", folder.display());
    pairs
}

/// A row of tokens that are spread over the vocabulary, without padding.
fn row(model: &Model) -> Row {
    let length = model.spec.max_positions.min(13);
    let ids = (0..length).map(|i| ((i * 37 + 11) % model.spec.vocab) as u32).collect::<Vec<_>>();
    Row { mask: vec![true; length], type_ids: vec![0; length], ids, ..Row::default() }
}

fn run(model: Model) -> Session {
    let input = Input::from_rows(&model, vec![row(&model)]).unwrap();
    let mut session = session(model, input, &Device::cpu());
    session.start();
    session.travel(&Motion::Continue, Direction::Forward, &mut |_, _, _| {}).unwrap();
    session
}

/// The largest difference of all sites, relative to 1 + the value, and the site that has it; how many sites are the same bit
/// for bit.
fn difference(a: &mut Session, b: &mut Session) -> (f64, String, usize) {
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
/// configuration, which the file has in 32 bits (an epsilon, a base, a factor: 6e-8 of each), and gains of Gemma and Nemotron,
/// to which the converter adds 1 in 32 bits.
const TOLERANCE: f64 = 1e-6;

#[test]
fn the_same_model_in_gguf_and_safetensors_gives_the_same_sites() {
    let mut table = String::from("model | sites | same bits | worst site | difference\n");
    let mut failed = false;
    for (name, gguf, twin) in pairs() {
        let (mut a, mut b) = (run(open(&gguf)), run(open(&twin)));
        let (worst, site, same) = difference(&mut a, &mut b);
        let sites = a.run.program.sites().len();
        table += &format!("{name} | {sites} | {same} | {site} | {worst:.1e}\n");
        failed |= worst > TOLERANCE;
    }
    println!("{table}");
    assert!(!failed, "{table}");
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
    for (name, gguf, twin) in pairs() {
        let (ours, theirs) = (open(&gguf), open(&twin));
        let (Some(a), Some(b)) = (&ours.tokenizer, &theirs.tokenizer) else {
            panic!("{name}: {:?} {:?}", ours.tokenizer, theirs.tokenizer)
        };
        let mut texts: Vec<String> = PAGE.iter().map(|text| (*text).to_owned()).collect();
        texts.push(PAGE.join(" "));
        for text in &texts {
            let ids = |tokenizer: &llmdbg::model::Tokenizer| -> Vec<(u32, Vec<u8>)> {
                let tokens = tokenizer.encode(text, true).unwrap();
                tokens.into_iter().map(|token| (token.id, token.bytes)).collect()
            };
            assert_eq!(ids(a), ids(b), "{name}: {text:?}");
        }
        let special = |model: &Model| {
            let special = model.special.clone();
            (special.bos, special.eos, special.pad, special.mask, special.sep)
        };
        assert_eq!(special(&ours), special(&theirs), "{name}");
    }
}
