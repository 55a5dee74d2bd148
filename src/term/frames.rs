//! A drawing backend that sends each frame as one synchronised write.
//!
//! The library's backend flushes after every cursor command; here everything up to the end of a frame is collected, put
//! between the marks of synchronised output, and written at once. A frame in which nothing changed writes nothing.

use std::cell::RefCell;
use std::io::{self, BufWriter, Stdout, Write};
use std::rc::Rc;

use crossterm::queue;
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};

use crate::answer::text::is_unsafe;

/// Bytes that are collected before a system call.
const BUFFER: usize = 64 * 1024;

/// Bytes not yet sent, shared between the library's backend, which fills them, and [`Frames`], which sends them.
#[derive(Clone, Default)]
struct Pending(Rc<RefCell<Vec<u8>>>);

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Does nothing: bytes are sent at the end of a frame only.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What lies over the cells of a screen: sent in the same write, after what changed of them.
#[derive(Clone, Default)]
pub struct Over(Rc<RefCell<Held>>);

#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    cleared: bool,
}

impl Over {
    /// Sends `bytes` with the frame that is being drawn. They have to leave the cursor and the colours as they were.
    pub fn send(&self, bytes: &[u8]) {
        self.0.borrow_mut().bytes.extend_from_slice(bytes);
    }

    /// Whether the screen was cleared since the last call.
    pub fn was_cleared(&self) -> bool {
        std::mem::take(&mut self.0.borrow_mut().cleared)
    }
}

pub struct Frames<W: Write> {
    inner: CrosstermBackend<Pending>,
    pending: Pending,
    over: Over,
    target: W,
    cursor: Option<Position>,
    cursor_shown: Option<bool>,
    size: fn() -> io::Result<(u16, u16)>,
}

impl Frames<BufWriter<Stdout>> {
    pub fn stdout() -> Self {
        Self::new(BufWriter::with_capacity(BUFFER, io::stdout()), super::capabilities::size)
    }
}

impl<W: Write> Frames<W> {
    /// Draws on `target`, whose columns and rows `size` gives.
    pub fn new(target: W, size: fn() -> io::Result<(u16, u16)>) -> Self {
        let pending = Pending::default();
        let inner = CrosstermBackend::new(pending.clone());
        Self { inner, pending, over: Over::default(), target, cursor: None, cursor_shown: None, size }
    }

    /// What lies over the cells.
    pub fn over(&self) -> Over {
        self.over.clone()
    }

    pub fn target(&mut self) -> &mut W {
        &mut self.target
    }
}

impl<W: Write> Backend for Frames<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut content = content.peekable();
        if content.peek().is_none() {
            return Ok(());
        }
        self.cursor = None;
        // No cell can change the terminal, whatever a pane has drawn.
        let instead = Cell::new("\u{fffd}");
        self.inner.draw(content.map(|(x, y, cell)| match cell.symbol().contains(is_unsafe) {
            true => (x, y, &instead),
            false => (x, y, cell),
        }))
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        if self.cursor_shown.replace(false) == Some(false) {
            return Ok(());
        }
        self.inner.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        if self.cursor_shown.replace(true) == Some(true) {
            return Ok(());
        }
        self.inner.show_cursor()
    }

    /// Never asks the terminal, which may not answer: returns the position last set.
    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(self.cursor.unwrap_or_default())
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let position = position.into();
        if self.cursor.replace(position) == Some(position) {
            return Ok(());
        }
        self.inner.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        self.cursor = None;
        self.over.0.borrow_mut().cleared = true;
        self.inner.clear_region(region)
    }

    fn size(&self) -> io::Result<Size> {
        let (width, height) = (self.size)()?;
        Ok(Size { width, height })
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size()?, pixels: Size::default() })
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut frame = std::mem::take(&mut *self.pending.0.borrow_mut());
        frame.append(&mut self.over.0.borrow_mut().bytes);
        if frame.is_empty() {
            return Ok(());
        }
        queue!(self.target, BeginSynchronizedUpdate)?;
        self.target.write_all(&frame)?;
        queue!(self.target, EndSynchronizedUpdate)?;
        self.target.flush()
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;

    use super::*;

    #[test]
    fn a_frame_is_synchronised_and_an_unchanged_one_is_silent() {
        let mut terminal = Terminal::new(Frames::new(Vec::new(), || Ok((20, 2)))).expect("a terminal");
        terminal.draw(|frame| frame.render_widget("hello", frame.area())).expect("a frame");
        let bytes = std::mem::take(terminal.backend_mut().target());
        let text = String::from_utf8(bytes).expect("text");
        assert!(text.starts_with("\u{1b}[?2026h") && text.ends_with("\u{1b}[?2026l"), "{text:?}");
        assert!(text.contains("hello"));
        terminal.draw(|frame| frame.render_widget("hello", frame.area())).expect("a frame");
        assert_eq!(terminal.backend_mut().target(), &Vec::<u8>::new());
    }
}
