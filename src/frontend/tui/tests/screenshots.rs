//! The pictures of the README and the manual are made by the program: `UPDATE_DOCS=1` writes them.

use std::fs;
use std::path::Path;

use super::tour::{Live, same};
use crate::frontend::tui::svg::svg;
use crate::term::{Chord, ColorDepth, Key};

/// Name, size, lines to type at the prompt, and keys to press after Esc.
const PICTURES: [(&str, (u16, u16), &[&str], &str); 3] = [
    ("first-minute", (100, 30), &["break L2.attn.pattern if max($[-1]) > 0.5", "run"], ""),
    ("attention", (120, 40), &["run", "goto L3.attn.z", "focus head=0"], "Space a"),
    ("stream", (120, 40), &["run", "stream -target \" Mary\" -foil \" John\""], "Space w"),
];

fn picture(size: (u16, u16), lines: &[&str], keys: &str) -> String {
    let mut live = Live::open(size, ColorDepth::True);
    for line in lines {
        line.chars().for_each(|c| live.press(Chord::char(c)));
        live.press(Chord::plain(Key::Enter));
    }
    if !keys.is_empty() {
        live.press(Chord::plain(Key::Esc));
        keys.split(' ').for_each(|key| live.press(Chord::parse(key).expect("a key")));
    }
    svg(&live.buffer())
}

/// What a picture says, without its colours: those of values may differ by a level on other processors.
fn words(picture: &str) -> Vec<String> {
    let inside = |line: &str| {
        let (_, rest) = line.split_once("preserve\">")?;
        Some(rest.strip_suffix("</text>")?.to_string())
    };
    picture.lines().filter_map(inside).collect()
}

#[test]
fn the_pictures_of_the_documents_are_what_the_program_shows() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
    for (name, size, lines, keys) in PICTURES {
        let file = folder.join(format!("{name}.svg"));
        let found = picture(size, lines, keys);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&file, &found).unwrap();
        }
        let kept = fs::read_to_string(&file).unwrap_or_default();
        let (found, kept) = (words(&found).join("\n"), words(&kept).join("\n"));
        assert!(same(&found, &kept), "{name}: UPDATE_DOCS=1 cargo test --release screenshots writes it again\n{found}");
    }
}
