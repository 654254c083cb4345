//! What the list of faults is made into: the kinds, their names, their subcommands, and the way from each to its file.

/// Makes all of this from the list in [`super`].
///
/// A row is the name in JSON, the kind with its parameters in brackets (or `=` and a type without any), `as` and another
/// name where plans and reports have one, and in braces the subcommand with its help and flags.
macro_rules! faults {
    ($(
        $(#[$($of_family:tt)*])*
        $Family:ident {
            $(
                $name:literal $Kind:ident $( ($With:ty) )? $( = $Bare:path )? $( as $told:literal )? {
                    $( $(#[$($of_command:tt)*])* $Command:ident ($Flags:ty) )?
                }
            )*
        }
    )*) => {
        /// The faults.
        ///
        /// In JSON: `{"fault": "net.delay", "with": {"latency": "500ms", ...}}`.
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "fault", content = "with", deny_unknown_fields)]
        pub enum FaultKind {
            $($(
                #[doc = concat!("`", $name, "`; its file has the words.")]
                #[serde(rename = $name)]
                $Kind $( ($With) )?,
            )*)*
        }

        impl FaultKind {
            /// The name in files, reports and metrics.
            pub const fn name(&self) -> &'static str {
                match self {
                    $($( Self::$Kind { .. } => first!($($told,)? $name), )*)*
                }
            }

            /// What its file says of it.
            pub(crate) fn definition(&self) -> &dyn Definition {
                match self {
                    $($(
                        Self::$Kind $( (binding!(with, $With)) )? =>
                            $( binding!(with, $With) )? $( &$Bare )?,
                    )*)*
                }
            }

            /// Each number among its parameters, and what is decided about it.
            pub(crate) fn numbers(&mut self) -> Vec<Decided<'_>> {
                match self {
                    $($(
                        Self::$Kind $( (binding!(with, $With)) )? =>
                            $( Numbers::numbers(binding!(with, $With)) )? $( none_of!($Bare) )?,
                    )*)*
                }
            }
        }

        $($(
            $(
                impl From<$With> for FaultKind {
                    fn from(with: $With) -> Self {
                        Self::$Kind(with)
                    }
                }
            )?
            $(
                impl From<$Bare> for FaultKind {
                    fn from(_: $Bare) -> Self {
                        Self::$Kind
                    }
                }
            )?
        )*)*

        $(
            $(#[$($of_family)*])*
            ///
            /// `C` is what surrounds a fault, on the command line or in a file.
            #[derive(clap::Subcommand, Debug)]
            pub enum $Family<C: clap::Args> {
                $($( $(#[$($of_command)*])* $Command(With<$Flags, C>), )?)*
            }

            impl<C: clap::Args> $Family<C> {
                /// Takes the request apart.
                pub fn split(self) -> (Fault, C) {
                    match self {
                        $($( Self::$Command(with) => with.split(), )?)*
                    }
                }
            }
        )*
    };
}

/// The first of some names.
macro_rules! first {
    ($first:literal $(, $rest:literal)*) => {
        $first
    };
}

/// A name for the parameters of a kind that has some.
macro_rules! binding {
    ($name:ident, $with:ty) => {
        $name
    };
}

/// The numbers of a kind that has no parameters.
macro_rules! none_of {
    ($bare:path) => {
        Vec::new()
    };
}

pub(super) use {binding, faults, first, none_of};
