//! Reads a pattern as RE2/J's `Parser` does and writes it for the `regex` crate.

use std::collections::BTreeSet;

use super::ascii::AsciiSet;

/// What is wrong with a pattern, in the words of RE2/J (`PatternSyntaxException.getDescription`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SyntaxError {
    /// A range that ends before it begins, or a class that nobody knows.
    #[error("invalid character class range")]
    CharRange,
    #[error("invalid escape sequence")]
    Escape,
    #[error("invalid named capture")]
    NamedCapture,
    #[error("duplicate capture group name")]
    DuplicateName,
    /// `(?` and something else than flags, a colon or a name.
    #[error("invalid or unsupported Perl syntax")]
    PerlSyntax,
    /// `a**`, `a++`, `a{2}{3}`.
    #[error("invalid nested repetition operator")]
    NestedRepetition,
    #[error("invalid repeat count")]
    RepeatCount,
    #[error("missing argument to repetition operator")]
    NothingToRepeat,
    #[error("missing closing ]")]
    MissingBracket,
    #[error("missing closing )")]
    MissingParenthesis,
    /// A closing parenthesis too many; RE2/J's parser runs into it unawares.
    #[error("regexp/syntax: internal error")]
    UnexpectedParenthesis,
    #[error("trailing backslash at end of expression")]
    TrailingBackslash,
    /// Not an error of RE2/J.
    #[error("expression is too large")]
    TooLarge,
}

/// Most that `{}` may count to.
const REPEAT_MAX: u32 = 1_000;

/// The pattern in the language of the `regex` crate without Unicode.
pub(super) fn translate(pattern: &str) -> Result<String, SyntaxError> {
    let mut parser = Parser {
        rest: pattern,
        last_class_end: pattern.rfind(":]").map(|at| pattern.len() - at),
        out: String::with_capacity(pattern.len()),
        fold: false,
        groups: Vec::new(),
        names: BTreeSet::new(),
        can_repeat: false,
        repeated: false,
    };
    while parser.element()? {}
    if !parser.groups.is_empty() {
        return Err(SyntaxError::MissingParenthesis);
    }
    Ok(parser.out)
}

struct Parser<'a> {
    rest: &'a str,
    /// Bytes from the last `:]` to the end of the pattern.
    last_class_end: Option<usize>,
    out: String,
    /// The flag `i`. The others make no difference to whether a name of a topic matches.
    fold: bool,
    /// Open groups: the flag `i` before each.
    groups: Vec<bool>,
    names: BTreeSet<&'a str>,
    /// There is something before this that a repetition would repeat.
    can_repeat: bool,
    /// What stands directly before this is a repetition.
    repeated: bool,
}

impl Parser<'_> {
    /// Takes the next element over; false at the end.
    fn element(&mut self) -> Result<bool, SyntaxError> {
        let repeated = std::mem::take(&mut self.repeated);
        let Some(first) = self.rest.chars().next() else {
            return Ok(false);
        };
        match first {
            '(' => self.open()?,
            '[' => self.class()?,
            '\\' => self.escape()?,
            '{' => {
                if let Some(bounds) = self.bounds()? {
                    self.repeat(&bounds, repeated)?;
                } else {
                    self.next();
                    self.literal('{'.into());
                    // Not a repetition, but RE2/J refuses one behind it as if it were.
                    self.repeated = true;
                }
            }
            _ => {
                self.next();
                match first {
                    ')' => self.close()?,
                    '|' => {
                        self.out.push('|');
                        self.can_repeat = false;
                    }
                    '*' => self.repeat("*", repeated)?,
                    '+' => self.repeat("+", repeated)?,
                    // Not `?`, which behind a repetition (`a*(?i)?`) would make that one lazy.
                    '?' => self.repeat("{0,1}", repeated)?,
                    '^' => self.item(r"\A"),
                    '$' => self.item(r"\z"),
                    '.' => self.item("."),
                    literal => self.literal(literal.into()),
                }
            }
        }
        Ok(true)
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    /// Takes this if it is what comes next.
    fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn item(&mut self, translated: &str) {
        self.out.push_str(translated);
        self.can_repeat = true;
    }

    fn set(&mut self, set: AsciiSet) {
        set.write(&mut self.out);
        self.can_repeat = true;
    }

    fn literal(&mut self, code_point: u32) {
        self.set(self.range(code_point, code_point));
    }

    fn range(&self, low: u32, high: u32) -> AsciiSet {
        match self.fold {
            true => AsciiSet::folded_range(low, high),
            false => AsciiSet::range(low, high),
        }
    }

    /// Repeats what was before; `repeated` if that was a repetition itself.
    fn repeat(&mut self, operator: &str, repeated: bool) -> Result<(), SyntaxError> {
        // Lazy or not, the whole name matches or does not.
        self.eat("?");
        if repeated {
            return Err(SyntaxError::NestedRepetition);
        }
        if !self.can_repeat {
            return Err(SyntaxError::NothingToRepeat);
        }
        self.out.push_str(operator);
        self.repeated = true;
        Ok(())
    }

    /// Takes `{2}`, `{2,}` or `{2,3}`; anything else is not a repetition.
    fn bounds(&mut self) -> Result<Option<String>, SyntaxError> {
        let inside = self.rest.strip_prefix('{').unwrap_or_default();
        let end = inside.find(|it: char| !it.is_ascii_digit() && it != ',').unwrap_or(inside.len());
        let (inside, rest) = inside.split_at(end);
        let Some(rest) = rest.strip_prefix('}') else {
            return Ok(None);
        };
        let (min, max) = inside.split_once(',').unwrap_or((inside, inside));
        let endless = max.is_empty();
        let max = if endless { min } else { max };
        let (Some(min), Some(max)) = (number(min), number(max)) else {
            return Ok(None);
        };
        self.rest = rest;
        if max > REPEAT_MAX || min > max {
            return Err(SyntaxError::RepeatCount);
        }
        Ok(Some(if endless { format!("{{{min},}}") } else { format!("{{{min},{max}}}") }))
    }

    /// Takes the beginning of a group, or flags alone (`(?i)`).
    fn open(&mut self) -> Result<(), SyntaxError> {
        let before = self.fold;
        if self.eat("(?P<") || self.eat("(?<") {
            self.name()?;
        } else if self.eat("(?") {
            if !self.flags()? {
                return Ok(());
            }
        } else {
            self.next();
        }
        self.groups.push(before);
        self.out.push_str("(?:");
        self.can_repeat = false;
        Ok(())
    }

    /// Takes the name of a group with the bracket behind it.
    fn name(&mut self) -> Result<(), SyntaxError> {
        let (name, rest) = self.rest.split_once('>').ok_or(SyntaxError::NamedCapture)?;
        let is_word = |it: char| it.is_ascii_alphanumeric() || it == '_';
        if name.is_empty() || !name.chars().all(is_word) {
            return Err(SyntaxError::NamedCapture);
        }
        if !self.names.insert(name) {
            return Err(SyntaxError::DuplicateName);
        }
        self.rest = rest;
        Ok(())
    }

    /// Takes flags with the colon or parenthesis behind them; true for the colon, which begins a
    /// group.
    fn flags(&mut self) -> Result<bool, SyntaxError> {
        let mut fold = self.fold;
        let mut value = true;
        let mut any = true;
        while let Some(next) = self.next() {
            match next {
                'i' => (fold, any) = (value, true),
                'm' | 's' | 'U' => any = true,
                '-' if value => (value, any) = (false, false),
                // Without a flag behind it a minus is an error.
                ':' | ')' if any => {
                    self.fold = fold;
                    return Ok(next == ':');
                }
                _ => break,
            }
        }
        Err(SyntaxError::PerlSyntax)
    }

    fn close(&mut self) -> Result<(), SyntaxError> {
        self.fold = self.groups.pop().ok_or(SyntaxError::UnexpectedParenthesis)?;
        self.item(")");
        Ok(())
    }

    /// Takes a class in brackets.
    fn class(&mut self) -> Result<(), SyntaxError> {
        self.eat("[");
        let negated = self.eat("^");
        let mut class = AsciiSet::default();
        let mut first = true;
        // As the first one `]` stands for itself.
        while first || !self.eat("]") {
            first = false;
            class |= match self.posix_class()? {
                Some(set) => set,
                None => match self.escaped_class()? {
                    Some(set) => set,
                    None => self.class_range()?,
                },
            };
        }
        self.set(if negated { !class } else { class });
        Ok(())
    }

    /// Takes one character of a class, or a range.
    fn class_range(&mut self) -> Result<AsciiSet, SyntaxError> {
        let low = self.class_character()?;
        let mut high = low;
        if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
            self.next();
            high = self.class_character()?;
        }
        if high < low {
            return Err(SyntaxError::CharRange);
        }
        Ok(self.range(low, high))
    }

    fn class_character(&mut self) -> Result<u32, SyntaxError> {
        match self.next().ok_or(SyntaxError::MissingBracket)? {
            '\\' => self.escaped_character(),
            character => Ok(character.into()),
        }
    }

    /// Takes `[:alpha:]` inside of a class.
    fn posix_class(&mut self) -> Result<Option<AsciiSet>, SyntaxError> {
        // If nothing ends such a class any more, there is none: the bracket stands for itself.
        let ends = self.last_class_end.is_some_and(|end| self.rest.len() > end);
        if !ends || !self.rest.starts_with("[:") {
            return Ok(None);
        }
        let (name, rest) = self.rest[1..].split_once(":]").ok_or(SyntaxError::CharRange)?;
        let name = name.strip_prefix(':').ok_or(SyntaxError::CharRange)?;
        self.rest = rest;
        self.named(name, false, AsciiSet::posix).map(Some)
    }

    /// Takes `\d`, `\pL` or `\p{Lu}`, or one of them negated.
    fn escaped_class(&mut self) -> Result<Option<AsciiSet>, SyntaxError> {
        let mut characters = self.rest.chars();
        let (Some('\\'), Some(letter)) = (characters.next(), characters.next()) else {
            return Ok(None);
        };
        let negated = letter.is_ascii_uppercase();
        if let Some(set) = AsciiSet::perl(letter.to_ascii_lowercase()) {
            self.rest = characters.as_str();
            return Ok(Some(if negated { !set } else { set }));
        }
        if !matches!(letter, 'p' | 'P') {
            return Ok(None);
        }
        self.rest = characters.as_str();
        let before = self.rest;
        let name = match self.next().ok_or(SyntaxError::CharRange)? {
            '{' => {
                let (name, rest) = self.rest.split_once('}').ok_or(SyntaxError::CharRange)?;
                self.rest = rest;
                name
            }
            letter => &before[..letter.len_utf8()],
        };
        self.named(name, negated, AsciiSet::unicode).map(Some)
    }

    /// The class of that name, which may begin with a negation of its own.
    fn named(
        &self,
        name: &str,
        negated: bool,
        find: fn(&str) -> Option<AsciiSet>,
    ) -> Result<AsciiSet, SyntaxError> {
        let positive = name.strip_prefix('^');
        let set = find(positive.unwrap_or(name)).ok_or(SyntaxError::CharRange)?;
        let set = if self.fold { set.folded() } else { set };
        Ok(if negated == positive.is_some() { set } else { !set })
    }

    /// Takes an escape outside of classes.
    fn escape(&mut self) -> Result<(), SyntaxError> {
        if self.eat(r"\Q") {
            let (quoted, rest) = self.rest.split_once(r"\E").unwrap_or((self.rest, ""));
            self.rest = rest;
            quoted.chars().for_each(|it| self.literal(it.into()));
        } else if self.eat(r"\A") {
            self.item(r"\A");
        } else if self.eat(r"\z") {
            self.item(r"\z");
        } else if self.eat(r"\b") {
            self.item(r"\b");
        } else if self.eat(r"\B") {
            self.item(r"\B");
        } else if let Some(set) = self.escaped_class()? {
            self.set(set);
        } else {
            self.next();
            let character = self.escaped_character()?;
            self.literal(character);
        }
        Ok(())
    }

    /// Takes what stands behind a backslash for one character.
    fn escaped_character(&mut self) -> Result<u32, SyntaxError> {
        let first = self.next().ok_or(SyntaxError::TrailingBackslash)?;
        let is_octal = |it: char| ('0'..='7').contains(&it);
        Ok(match first {
            'a' => 7,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            'x' => return self.hexadecimal(),
            // One digit alone would be a back reference.
            '0' | '1'..='7' if first == '0' || self.rest.starts_with(is_octal) => {
                let mut value = first.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.rest.chars().next().and_then(|it| it.to_digit(8)) else {
                        break;
                    };
                    self.next();
                    value = value * 8 + digit;
                }
                value
            }
            _ if first.is_ascii_alphanumeric() => return Err(SyntaxError::Escape),
            _ => first.into(),
        })
    }

    /// Takes two digits, or any number of them in braces.
    fn hexadecimal(&mut self) -> Result<u32, SyntaxError> {
        let digits = if self.eat("{") {
            let (digits, rest) = self.rest.split_once('}').ok_or(SyntaxError::Escape)?;
            self.rest = rest;
            digits
        } else {
            let (digits, rest) = self.rest.split_at_checked(2).ok_or(SyntaxError::Escape)?;
            self.rest = rest;
            digits
        };
        let add = |value: u32, digit: char| {
            let value = value * 16 + digit.to_digit(16)?;
            (value <= u32::from(char::MAX)).then_some(value)
        };
        let value = digits.chars().try_fold(0, add).filter(|_| !digits.is_empty());
        value.ok_or(SyntaxError::Escape)
    }
}

/// A number as `{}` takes it: without zeros before it. One that is too large stays too large.
fn number(digits: &str) -> Option<u32> {
    let plain = digits.bytes().all(|it| it.is_ascii_digit()) && !digits.is_empty();
    (plain && (digits == "0" || !digits.starts_with('0')))
        .then(|| digits.parse().unwrap_or(u32::MAX))
}
