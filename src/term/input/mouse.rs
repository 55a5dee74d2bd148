//! What the mouse did.

/// What the mouse did, at a column and row of the window counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mouse {
    pub what: Pointer,
    pub column: u16,
    pub row: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointer {
    /// The left button, as in the following two.
    Press,
    Drag,
    Release,
    Move,
    WheelUp,
    WheelDown,
}

/// The bits of a report: the button, and what is added to it. Shift, Alt and Ctrl are not used.
const BUTTON: u16 = 0b11;
const MOTION: u16 = 32;
const WHEEL: u16 = 64;

/// The button number that says that none is pressed.
const NONE: u16 = 3;

impl Mouse {
    /// The report of a terminal: the button's number, and the place counted from 1. `released` where the report has a
    /// form of its own for that; else a release is a report of no button. `None` for what the program does not use.
    pub(super) fn reported(code: u16, column: u16, row: u16, released: bool) -> Option<Mouse> {
        let what = match (code & BUTTON, code & WHEEL != 0, code & MOTION != 0) {
            (0, true, _) => Pointer::WheelUp,
            (1, true, _) => Pointer::WheelDown,
            (0, false, false) if released => Pointer::Release,
            (0, false, false) => Pointer::Press,
            (0, false, true) => Pointer::Drag,
            (NONE, false, true) => Pointer::Move,
            (NONE, false, false) => Pointer::Release,
            _ => return None,
        };
        Some(Mouse { what, column: column.checked_sub(1)?, row: row.checked_sub(1)? })
    }
}
