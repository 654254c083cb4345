//! Numbers that values are held against.

use std::{fmt, str::FromStr};

/// A finite number.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Number(f64);

impl Number {
    /// A number; `None` for infinities and what is none.
    pub fn new(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self(number))
    }

    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl FromStr for Number {
    type Err = ();

    /// Digits with at most one dot and a sign, and an exponent; neither `inf` nor `nan`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let is_plain = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
        if !text.bytes().all(is_plain) || !text.bytes().any(|byte| byte.is_ascii_digit()) {
            return Err(());
        }
        text.parse().ok().and_then(Self::new).ok_or(())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The shortest text that means the same number.
        self.0.fmt(out)
    }
}

/// How a value is held against a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparator {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
}

impl Comparator {
    fn holds<N: PartialOrd + Copy>(self, value: N, number: N) -> bool {
        match self {
            Self::Above => value > number,
            Self::AtLeast => value >= number,
            Self::Below => value < number,
            Self::AtMost => value <= number,
        }
    }

    /// What holds where this does not.
    const fn opposite(self) -> Self {
        match self {
            Self::Above => Self::AtMost,
            Self::AtLeast => Self::Below,
            Self::Below => Self::AtLeast,
            Self::AtMost => Self::Above,
        }
    }

    pub(super) const ALL: [Self; 4] = [Self::Above, Self::AtLeast, Self::Below, Self::AtMost];

    /// Its sign.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
        }
    }
}

/// What a value must not be: `> 40`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// How.
    pub comparator: Comparator,
    /// Against what.
    pub number: Number,
}

impl Bound {
    /// Whether a value is out of bounds. What is no number never is.
    pub fn is_broken_by(&self, value: f64) -> bool {
        self.comparator.holds(value, self.number.get())
    }
}

/// What a value must be: `< 40`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted<N> {
    /// How.
    pub comparator: Comparator,
    /// Against what.
    pub number: N,
}

impl<N: PartialOrd + Copy> Wanted<N> {
    /// Whether a value is as it must be.
    pub fn is_met_by(&self, value: N) -> bool {
        self.comparator.holds(value, self.number)
    }
}

impl Wanted<Number> {
    /// The same, told by what a value must not be.
    pub(crate) const fn opposite(self) -> Bound {
        Bound {
            comparator: self.comparator.opposite(),
            number: self.number,
        }
    }
}

impl<N: fmt::Display> fmt::Display for Wanted<N> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.comparator.sign(), self.number)
    }
}
