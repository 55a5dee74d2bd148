//! Names of axes.

use std::fmt;

/// What one axis of a value counts. The names are those of the expression language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Axis {
    /// An axis without a name.
    #[default]
    None,
    Row,
    Pos,
    Q,
    K,
    Head,
    /// Feature of the residual stream or of a head.
    Dim,
    Neuron,
    Expert,
    Vocab,
    Label,
}

impl Axis {
    pub const NAMED: [Axis; 10] = [
        Axis::Row,
        Axis::Pos,
        Axis::Q,
        Axis::K,
        Axis::Head,
        Axis::Dim,
        Axis::Neuron,
        Axis::Expert,
        Axis::Vocab,
        Axis::Label,
    ];

    /// The name in expressions; empty for an axis without one.
    pub fn name(self) -> &'static str {
        match self {
            Axis::None => "",
            Axis::Row => "row",
            Axis::Pos => "pos",
            Axis::Q => "q",
            Axis::K => "k",
            Axis::Head => "head",
            Axis::Dim => "dim",
            Axis::Neuron => "neuron",
            Axis::Expert => "expert",
            Axis::Vocab => "vocab",
            Axis::Label => "label",
        }
    }

    /// The axis of that name.
    pub fn parse(name: &str) -> Option<Axis> {
        Self::NAMED.into_iter().find(|axis| axis.name() == name)
    }

    /// Whether its entries are token positions.
    pub fn is_position(self) -> bool {
        matches!(self, Axis::Pos | Axis::Q | Axis::K)
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
