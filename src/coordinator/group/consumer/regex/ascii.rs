//! Sets of ASCII characters, and the classes of RE2/J that are such sets here.

use std::fmt::Write;
use std::ops::{BitOrAssign, Not};

/// A set of ASCII characters; bit `n` is the character `n`. Others are in no set: no name of a
/// topic has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AsciiSet(u128);

const UPPER: u128 = ((1 << 26) - 1) << b'A';
const LOWER: u128 = ((1 << 26) - 1) << b'a';

impl AsciiSet {
    /// Characters of which this is true.
    fn of(is_in: fn(&u8) -> bool) -> Self {
        let members = (0..128_u8).filter(is_in);
        Self(members.fold(0, |set, character| set | 1 << character))
    }

    /// Code points from `low` to `high`, both included.
    pub(super) fn range(low: u32, high: u32) -> Self {
        let below = |end: u32| 1_u128.checked_shl(end).map_or(u128::MAX, |bit| bit - 1);
        Self(below(high.saturating_add(1)) & !below(low))
    }

    /// The range, and what equals one of it but for the case. Two characters beyond ASCII equal
    /// letters of it: the long s and the sign of Kelvin.
    pub(super) fn folded_range(low: u32, high: u32) -> Self {
        let mut set = Self::range(low, high);
        for (equal, letter) in [(0x17F, 's'), (0x212A, 'k')] {
            if (low..=high).contains(&equal) {
                set |= Self::range(letter.into(), letter.into());
            }
        }
        set.folded()
    }

    /// With the letters of the other case.
    pub(super) fn folded(self) -> Self {
        Self(self.0 | (self.0 & UPPER) << 32 | (self.0 & LOWER) >> 32)
    }

    /// `\d`, `\s` or `\w` by its letter (RE2/J: `CharGroup.PERL_GROUPS`).
    pub(super) fn perl(letter: char) -> Option<Self> {
        Some(Self::of(match letter {
            'd' => u8::is_ascii_digit,
            's' => u8::is_ascii_whitespace,
            'w' => |it| is_word(*it),
            _ => return None,
        }))
    }

    /// The class `[:name:]` (RE2/J: `CharGroup.POSIX_GROUPS`).
    pub(super) fn posix(name: &str) -> Option<Self> {
        Some(Self::of(match name {
            "alnum" => u8::is_ascii_alphanumeric,
            "alpha" => u8::is_ascii_alphabetic,
            "ascii" => u8::is_ascii,
            "blank" => |it| matches!(it, b' ' | b'\t'),
            "cntrl" => u8::is_ascii_control,
            "digit" => u8::is_ascii_digit,
            "graph" => u8::is_ascii_graphic,
            "lower" => u8::is_ascii_lowercase,
            "print" => |it| matches!(it, b' '..=b'~'),
            "punct" => u8::is_ascii_punctuation,
            "space" => |it| matches!(it, b' ' | b'\t'..=b'\r'),
            "upper" => u8::is_ascii_uppercase,
            "word" => |it| is_word(*it),
            "xdigit" => u8::is_ascii_hexdigit,
            _ => return None,
        }))
    }

    /// The class `\p{name}`: a general category, or a script that has ASCII characters (RE2/J:
    /// `UnicodeTables`).
    pub(super) fn unicode(name: &str) -> Option<Self> {
        Some(Self::of(match name {
            "Any" => u8::is_ascii,
            "L" | "Latin" => u8::is_ascii_alphabetic,
            "Common" => |it| !it.is_ascii_alphabetic(),
            "Lu" => u8::is_ascii_uppercase,
            "Ll" => u8::is_ascii_lowercase,
            "N" | "Nd" => u8::is_ascii_digit,
            "P" => |it| it.is_ascii_punctuation() && !is_symbol(*it),
            "Pc" => |it| *it == b'_',
            "Pd" => |it| *it == b'-',
            "Ps" => |it| b"([{".contains(it),
            "Pe" => |it| b")]}".contains(it),
            "Po" => |it| b"!\"#%&'*,./:;?@\\".contains(it),
            "S" => |it| is_symbol(*it),
            "Sc" => |it| *it == b'$',
            "Sk" => |it| b"^`".contains(it),
            "Sm" => |it| b"+<=>|~".contains(it),
            "Z" | "Zs" => |it| *it == b' ',
            "C" | "Cc" => u8::is_ascii_control,
            "Cf" | "Co" | "Cs" | "Lt" | "Lm" | "Lo" | "M" | "Mc" | "Me" | "Mn" | "Nl" | "No"
            | "Pf" | "Pi" | "So" | "Zl" | "Zp" => |_| false,
            _ => return None,
        }))
    }

    /// Writes the set as a class of the `regex` crate.
    pub(super) fn write(self, out: &mut String) {
        let has = |character: &u32| self.0 >> character & 1 == 1;
        let mut class = String::new();
        let mut next = 0;
        while let Some(low) = (next..128).find(has) {
            let high = (low..128).take_while(has).last().unwrap_or(low);
            // Writing to a string cannot fail.
            let _ = match high - low {
                0 => write!(class, r"\x{low:02X}"),
                _ => write!(class, r"\x{low:02X}-\x{high:02X}"),
            };
            next = high + 1;
        }
        match class.len() {
            0 => out.push_str(r"[^\x00-\xFF]"),
            4 => out.push_str(&class),
            _ => out.extend(["[", &class, "]"]),
        }
    }
}

impl BitOrAssign for AsciiSet {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl Not for AsciiSet {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0)
    }
}

fn is_word(character: u8) -> bool {
    character.is_ascii_alphanumeric() || character == b'_'
}

fn is_symbol(character: u8) -> bool {
    b"$+<=>^`|~".contains(&character)
}
