//! What is sent, read back by other means: the pixels of PNG files by their library, those of sixel by its decoder.

use icy_sixel::SixelImage;

use super::*;
use crate::term::graphics::Raster;

const SCREEN: Rect = Rect::new(0, 0, 40, 12);

fn surface(protocol: Protocol, tmux: bool) -> Surface {
    Surface { protocol, tmux, cell: (8, 16) }
}

/// A picture of few colours, with a clear part.
fn picture(area: Rect, shift: usize) -> Picture {
    let mut raster = Raster::new(usize::from(area.width) * 8, usize::from(area.height) * 16);
    for at in 0..usize::from(area.width) * usize::from(area.height) {
        let (x, y) = (at % usize::from(area.width), at / usize::from(area.width));
        if !(at + shift).is_multiple_of(7) {
            let level = ((at * 5 + shift) % 17 * 15) as u8;
            let number = raster.number([level, 255 - level, level / 2]);
            raster.fill((x * 8, y * 16), (8, 16), number);
        }
    }
    Picture { area, raster }
}

/// A picture that does not compress.
fn noise(area: Rect) -> Picture {
    let mut raster = Raster::new(usize::from(area.width) * 8, usize::from(area.height) * 16);
    for colour in 0..250u8 {
        raster.number([colour, colour.wrapping_mul(7), colour.wrapping_mul(31)]);
    }
    let mut state = 1u32;
    for pixel in &mut raster.pixels {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *pixel = (state >> 24) as u8 % 250 + 1;
    }
    Picture { area, raster }
}

fn show(layer: &mut Layer, surface: Surface, pictures: &[Picture]) -> (Vec<u8>, Buffer) {
    let mut buffer = Buffer::filled(SCREEN, ratatui::buffer::Cell::new("▀"));
    let sent = layer.show(Some(surface), pictures.to_vec(), &mut buffer, false);
    (sent, buffer)
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    text.split(start).skip(1).map(|part| part.split(end).next().unwrap_or_default()).collect()
}

fn unbase64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u32> = text.bytes().filter(|c| *c != b'=').map(|c| digit(c).into()).collect();
    digits
        .chunks(4)
        .flat_map(|four| {
            let word = (0..4).fold(0, |word, at| word << 6 | four.get(at).copied().unwrap_or(0));
            word.to_be_bytes()[1..four.len()].to_vec()
        })
        .collect()
}

/// Width, height, and the colours of a PNG file.
fn read_png(file: &[u8]) -> (usize, usize, Vec<Option<[u8; 3]>>) {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::ALPHA);
    let mut reader = decoder.read_info().expect("a PNG file");
    let mut data = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut data).expect("its pixels");
    let pixels =
        data[..info.buffer_size()].chunks(4).map(|pixel| (pixel[3] > 0).then(|| [pixel[0], pixel[1], pixel[2]]));
    (info.width as usize, info.height as usize, pixels.collect())
}

fn colours(raster: &Raster) -> Vec<Option<[u8; 3]>> {
    (0..raster.pixels.len()).map(|at| raster.colour(at % raster.width, at / raster.width)).collect()
}

#[test]
fn kitty_is_sent_a_file_of_the_same_pixels_in_chunks() {
    for (tmux, many) in [(false, false), (true, false), (false, true), (true, true)] {
        let area = Rect::new(3, 2, 30, 9);
        let given = if many { noise(area) } else { picture(area, 0) };
        let (sent, _) = show(&mut Layer::default(), surface(Protocol::Kitty, tmux), std::slice::from_ref(&given));
        let mut text = String::from_utf8(sent).expect("text");
        if tmux {
            let passed = between(&text, "\x1bPtmux;", "\x1b\\\x1b\\");
            assert_eq!(passed.len() > 1, many, "each chunk is passed on for itself");
            text = text.replace("\x1bPtmux;", "").replace("\x1b\x1b", "\x1b").replace("\x1b\\\x1b\\", "\x1b\\");
        }
        let place = if tmux { "U=1" } else { "p=1,C=1,z=-1" };
        let start = format!("\x1b7\x1b[3;4H\x1b_Ga=T,q=2,f=100,i=120,{place},c=30,r=9,m=");
        assert!(text.starts_with(&start) && text.ends_with("\x1b\\\x1b8"), "{text:?}");
        let chunks = between(&text, "\x1b_G", "\x1b\\");
        assert!(chunks.iter().all(|chunk| chunk.len() < CHUNK_LIMIT));
        let more: Vec<bool> = chunks.iter().map(|chunk| chunk.contains("m=1;")).collect();
        assert!(more.iter().rev().skip(1).all(|more| *more) && !more[more.len() - 1], "{more:?}");
        let data: String = chunks.iter().filter_map(|chunk| chunk.split_once(';')).map(|(_, data)| data).collect();
        let (width, height, pixels) = read_png(&unbase64(&data));
        assert_eq!((width, height), (240, 144));
        assert_eq!(pixels, colours(&given.raster));
    }
}

/// The most of a sequence of kitty's, with its keys.
const CHUNK_LIMIT: usize = 4096 + 100;

#[test]
fn iterm2_is_sent_a_file_of_the_same_pixels() {
    let given = picture(Rect::new(3, 2, 30, 9), 0);
    let (sent, _) = show(&mut Layer::default(), surface(Protocol::Iterm2, false), std::slice::from_ref(&given));
    let text = String::from_utf8(sent).expect("text");
    let body = between(&text, "\x1b]1337;File=", "\x07")[0];
    let (keys, data) = body.split_once(':').expect("a file");
    let file = unbase64(data);
    let size = file.len();
    assert_eq!(keys, format!("inline=1;size={size};width=30;height=9;preserveAspectRatio=0;doNotMoveCursor=1"));
    assert_eq!(read_png(&file), (240, 144, colours(&given.raster)));
    assert!(text.contains("\x1b[3;4H\x1b[30X\x1b[4;4H\x1b[30X"), "the cells below are erased: {text:?}");
}

#[test]
fn sixel_is_sent_the_same_pixels_up_to_its_hundred_levels() {
    let given = picture(Rect::new(3, 2, 30, 9), 0);
    let (sent, _) = show(&mut Layer::default(), surface(Protocol::Sixel, false), std::slice::from_ref(&given));
    let text = String::from_utf8(sent).expect("text");
    let start = text.find("\x1bP").expect("a picture");
    let image = SixelImage::decode(&text.as_bytes()[start..]).expect("sixel");
    // Rows come by sixes; what is beyond the picture is clear.
    assert!(image.width == 240 && (144..150).contains(&image.height), "{}x{}", image.width, image.height);
    for (at, pixel) in image.pixels.chunks(4).enumerate() {
        let expected = given.raster.colour(at % 240, at / 240);
        match expected {
            None => assert_eq!(pixel[3], 0, "{at}"),
            Some(colour) => {
                let near = pixel[3] == 255 && pixel.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 3);
                assert!(near, "{at}: {pixel:?} instead of {colour:?}");
            }
        }
    }
}

#[test]
fn what_is_there_is_not_sent_again_and_what_goes_is_removed() {
    for protocol in [Protocol::Kitty, Protocol::Iterm2, Protocol::Sixel] {
        let (mut layer, surface) = (Layer::default(), surface(protocol, false));
        let (one, two) = (picture(Rect::new(0, 0, 10, 4), 0), picture(Rect::new(12, 0, 10, 4), 1));
        let first = show(&mut layer, surface, &[one.clone(), two.clone()]).0;
        assert_eq!(show(&mut layer, surface, &[one.clone(), two.clone()]).0, b"", "{protocol:?}");
        let changed = show(&mut layer, surface, &[picture(one.area, 2), two.clone()]).0;
        assert!(!changed.is_empty() && changed.len() < first.len(), "{protocol:?}");
        // Kitty has to be told; from the others the next text takes it.
        let gone = String::from_utf8(show(&mut layer, surface, std::slice::from_ref(&two)).0).expect("text");
        assert_eq!(gone, if protocol == Protocol::Kitty { "\x1b_Ga=d,d=I,i=120,q=2\x1b\\" } else { "" });
        let again =
            String::from_utf8(layer.show(Some(surface), vec![two], &mut Buffer::empty(SCREEN), true)).expect("text");
        assert!(again.contains(if protocol == Protocol::Kitty { "i=121" } else { "\x1b[1;13H" }), "{protocol:?}");
        let farewell = String::from_utf8(layer.farewell()).expect("text");
        assert_eq!(farewell.contains("a=d,d=I,i=12"), protocol == Protocol::Kitty);
    }
}

#[test]
fn cells_below_a_picture_are_empty_and_differ_from_other_empty_ones() {
    let given = picture(Rect::new(3, 2, 30, 9), 0);
    let (_, buffer) = show(&mut Layer::default(), surface(Protocol::Sixel, false), std::slice::from_ref(&given));
    for at in SCREEN.positions() {
        assert_eq!(buffer[at].symbol(), if given.area.contains(at) { " " } else { "▀" });
        assert_ne!(buffer[at], ratatui::buffer::Cell::EMPTY);
    }
}

#[test]
fn inside_tmux_cells_have_the_placeholders_of_kitty() {
    let given = picture(Rect::new(3, 2, 30, 9), 0);
    let (_, buffer) = show(&mut Layer::default(), surface(Protocol::Kitty, true), std::slice::from_ref(&given));
    for at in given.area.positions() {
        let cell = &buffer[at];
        assert_eq!(cell.fg, Color::Indexed(120));
        let marks: Vec<char> = cell.symbol().chars().skip(1).collect();
        assert!(cell.symbol().starts_with('\u{10eeee}'));
        // The first of a row says its row and column: rows 0 and 1 are U+0305 and U+030D.
        match (at.x == given.area.x, at.y - given.area.y) {
            (true, 0) => assert_eq!(marks, ['\u{305}', '\u{305}']),
            (true, 1) => assert_eq!(marks, ['\u{30d}', '\u{305}']),
            (true, _) => assert_eq!(marks.len(), 2),
            (false, _) => assert!(marks.is_empty()),
        }
    }
}

#[test]
fn a_frame_keeps_to_its_budget() {
    let area = Rect::new(0, 0, 200, 50);
    let given = noise(area);
    for protocol in [Protocol::Kitty, Protocol::Iterm2, Protocol::Sixel] {
        let mut buffer = Buffer::filled(area, ratatui::buffer::Cell::new("▀"));
        let mut layer = Layer::default();
        let sent = layer.show(Some(surface(protocol, false)), vec![given.clone()], &mut buffer, false);
        assert!(sent.len() <= BUDGET, "{protocol:?}: {} bytes", sent.len());
        // Sixel has no way to enlarge a picture: the half blocks stay.
        assert_eq!(sent.is_empty(), protocol == Protocol::Sixel);
        assert_eq!(buffer[(0, 0)].symbol(), if protocol == Protocol::Sixel { "▀" } else { " " });
    }
}
