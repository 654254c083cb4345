//! How a measure stands to its objective.

/// How a measure stands to its objective, with a sentence's half where there is something to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Within it, or held against none.
    Within,
    /// Beyond it.
    Deviated(String),
    /// Beyond what may ever be: something was damaged or done twice.
    Unsafe(String),
    /// It could not be measured.
    Unseen(String),
}

impl Standing {
    /// What the hypothesis deviated in.
    pub(super) fn deviated(&self) -> Option<&str> {
        match self {
            Self::Deviated(why) => Some(why),
            Self::Within | Self::Unsafe(_) | Self::Unseen(_) => None,
        }
    }

    /// What was harmed.
    pub(super) fn harmed(&self) -> Option<&str> {
        match self {
            Self::Unsafe(why) => Some(why),
            Self::Within | Self::Deviated(_) | Self::Unseen(_) => None,
        }
    }

    /// What could not be seen.
    pub(super) fn unseen(&self) -> Option<&str> {
        match self {
            Self::Unseen(why) => Some(why),
            Self::Within | Self::Deviated(_) | Self::Unsafe(_) => None,
        }
    }

    /// How bad it is, from 0; nothing where it was not seen.
    pub(crate) const fn rank(&self) -> Option<u8> {
        match self {
            Self::Within => Some(0),
            Self::Deviated(_) => Some(1),
            Self::Unsafe(_) => Some(2),
            Self::Unseen(_) => None,
        }
    }
}
