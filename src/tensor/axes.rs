//! Names of axes.

use super::named;

named! {
    /// What one axis of a value counts. The names are those of the expression language.
    #[derive(Default)]
    pub enum Axis, name {
        /// An axis without a name.
        #[default]
        None = "",
        Row = "row",
        Pos = "pos",
        Q = "q",
        K = "k",
        /// Position in the text that an encoder reads, which the decoder attends to.
        SourcePos = "pos",
        SourceQ = "q",
        SourceK = "k",
        Head = "head",
        /// Feature of the residual stream or of a head.
        Dim = "dim",
        Neuron = "neuron",
        Expert = "expert",
        Vocab = "vocab",
        Label = "label",
        /// Feature of a key by which a state is read.
        Key = "key",
        /// Entry of a dictionary of features.
        Feature = "feature",
    }
}

impl Axis {
    pub fn parse(name: &str) -> Option<Axis> {
        Axis::ALL.iter().copied().find(|axis| *axis != Axis::None && axis.name() == name)
    }

    /// Whether its entries are token positions.
    pub fn is_position(self) -> bool {
        matches!(self, Axis::Pos | Axis::Q | Axis::K) || self.is_source()
    }

    /// Whether they are positions of the text that an encoder reads, and not of the one that passes go on with.
    pub fn is_source(self) -> bool {
        matches!(self, Axis::SourcePos | Axis::SourceQ | Axis::SourceK)
    }

    /// The axis of the other text that counts the same, for positions of the text that passes go on with.
    pub fn of_source(self) -> Axis {
        match self {
            Axis::Pos => Axis::SourcePos,
            Axis::Q => Axis::SourceQ,
            Axis::K => Axis::SourceK,
            other => other,
        }
    }
}
