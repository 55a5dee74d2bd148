//! Enums whose variants are written by a name.

/// Declares an enum from a table of its variants and their names: `named! { pub enum Kind, name { Int = "int", } }`
/// also gives `Kind::ALL`, in the order of the table, `name()`, and `Display`, which writes the name.
macro_rules! named {
    ($(#[$of:meta])* pub enum $kind:ident, $name:ident {
        $($(#[$about:meta])* $variant:ident = $text:literal,)*
    }) => {
        $(#[$of])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $kind {
            $($(#[$about])* $variant,)*
        }

        impl $kind {
            pub const ALL: &[$kind] = &[$($kind::$variant),*];

            pub fn $name(self) -> &'static str {
                match self {
                    $($kind::$variant => $text,)*
                }
            }
        }

        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.$name())
            }
        }
    };
}
pub(crate) use named;
