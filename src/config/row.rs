//! One row per configuration key, and the rules by which a value is read.
//!
//! Every key the broker knows is a [`Row`]; parsing, validation, `DescribeConfigs` and
//! `docs/configuration.md` all come from the rows. Parsing and error texts follow Kafka's
//! `ConfigDef.parseType` and its validators, because clients show those texts to people.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

/// Type of a key; the numbers are those of `DescribeConfigsResponse.ConfigType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigType {
    /// `true` or `false`, in any case of letters.
    Boolean = 1,
    /// Text without surrounding white space.
    String = 2,
    /// 32-bit signed integer.
    Int = 3,
    /// 16-bit signed integer.
    Short = 4,
    /// 64-bit signed integer.
    Long = 5,
    /// Floating-point number.
    Double = 6,
    /// Values separated by commas.
    List = 7,
    /// Name of a Java class; kept as text.
    Class = 8,
    /// Text that is never shown.
    Password = 9,
}

impl fmt::Display for ConfigType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&format!("{self:?}").to_uppercase())
    }
}

/// Which values of the type are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Valid {
    /// All of them.
    Any,
    /// This number or more.
    AtLeast(i64),
    /// Both ends included.
    Between(i64, i64),
    /// One of these words, exactly so spelled.
    OneOf(&'static [&'static str]),
    /// One of these words, in any case of letters.
    OneOfAnyCase(&'static [&'static str]),
    /// A list, possibly empty, of these words; repeats are dropped.
    ListOf(&'static [&'static str]),
    /// A list of anything, with or without elements; repeats are dropped.
    AnyList,
    /// A list with at least one element; repeats are dropped.
    NonEmptyList,
    /// A gzip level: 1 to 9, or -1 for the codec's own default.
    GzipLevel,
    /// `*` or `partition:broker` pairs.
    ThrottledReplicas,
    /// `earliest`, `latest`, or `by_duration:` and an ISO 8601 duration that is not negative.
    OffsetReset,
}

/// Whether setting a key changes what this broker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It does.
    Now,
    /// The value is checked, stored and described; its effect comes later.
    Later,
    /// It never will: it tunes what this broker does not have. The value is checked, stored and
    /// described.
    Nothing,
    /// The named part works, the rest comes later.
    Partly(&'static str),
}

/// A broker key that gives a topic key its default, and the factor that turns its number into
/// the topic key's milliseconds (1: the text is taken as it is).
pub type Synonym = (&'static str, i64);

/// A configuration key.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Kafka's name of the key.
    pub name: &'static str,
    /// Its type.
    pub config_type: ConfigType,
    /// Text of the default; None for no value at all.
    pub default: Option<&'static str>,
    /// Which values are allowed.
    pub valid: Valid,
    /// Whether it does something yet.
    pub effect: Effect,
    /// For topic keys: the broker keys behind it, the strongest first.
    pub synonyms: &'static [Synonym],
    /// For broker keys: Kafka lets it change while the broker runs.
    pub dynamic: bool,
    /// Described only where it is set.
    pub internal: bool,
    /// What the key means, for people.
    pub documentation: &'static str,
}

/// Writes a table of rows: the comment above a row is its documentation.
macro_rules! rows {
    (@default null) => { None };
    (@default $default:literal) => { Some($default) };
    ($($(#[doc = $text:literal])+ $name:literal: $config_type:ident = $default:tt, $valid:expr,
        $effect:expr $(, $flag:ident $($argument:expr)?)*;)+) => {
        &[$(
            $crate::config::row::Row {
                name: $name,
                config_type: $crate::config::row::ConfigType::$config_type,
                default: rows!(@default $default),
                valid: $valid,
                effect: $effect,
                synonyms: &[],
                dynamic: false,
                internal: false,
                documentation: concat!($($text),+).trim_ascii_start(),
            }
            $(.$flag($(&$argument)?))*
        ),+]
    };
}
pub(super) use rows;

/// Why a value or a set of values is refused. The texts are Kafka's.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// No topic key has this name.
    #[error("Unknown topic config name: {0}")]
    UnknownTopicKey(String),
    /// A value that its key does not allow.
    #[error("Invalid value {value} for configuration {key}: {reason}")]
    Invalid {
        /// The key.
        key: String,
        /// The value as given, or as understood if it could be read.
        value: String,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// No group key has this name.
    #[error("Unknown group config name: {0}")]
    UnknownGroupKey(String),
    /// What a client should not have asked for (elsewhere: a value that is wrong).
    #[error("{0}")]
    Request(String),
    /// A rule that spans values or keys.
    #[error("{0}")]
    Rule(String),
    /// A properties file that cannot be read from this line on, counted from 1.
    #[error("line {0}: \\u must be followed by four hexadecimal digits")]
    Properties(usize),
}

impl ConfigError {
    pub(super) fn invalid(key: &str, value: impl fmt::Display, reason: impl Into<String>) -> Self {
        Self::Invalid { key: key.to_owned(), value: value.to_string(), reason: reason.into() }
    }
}

/// A value that has been read. Shows as Kafka prints it in `DescribeConfigs`.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a boolean key.
    Boolean(bool),
    /// Of an int, short or long key.
    Integer(i64),
    /// Of a double key.
    Double(f64),
    /// Of a string, class or password key.
    Text(String),
    /// Of a list key.
    List(Vec<String>),
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(formatter),
            Self::Integer(value) => value.fmt(formatter),
            Self::Double(value) => write_double(*value, formatter),
            Self::Text(value) => value.fmt(formatter),
            Self::List(values) => values.join(",").fmt(formatter),
        }
    }
}

/// Prints as Java's `Double.toString`: at least one decimal, an exponent below 1e-3 and from 1e7.
fn write_double(value: f64, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let size = value.abs();
    if size == 0.0 || !size.is_finite() || (1e-3..1e7).contains(&size) {
        return write!(formatter, "{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => {
            write!(formatter, "{mantissa}.0E{exponent}")
        }
        _ => formatter.write_str(&text),
    }
}

impl Row {
    pub(super) const fn from(self, synonyms: &'static [Synonym]) -> Self {
        Self { synonyms, ..self }
    }

    pub(super) const fn dynamic(self) -> Self {
        Self { dynamic: true, ..self }
    }

    pub(super) const fn internal(self) -> Self {
        Self { internal: true, ..self }
    }

    /// Reads a value: Kafka's `ConfigDef.parseValue` (trim, type, drop repeats, validate).
    pub fn parse(&self, raw: &str) -> Result<Value, ConfigError> {
        let mut value = self.parse_type(raw)?;
        if let Value::List(values) = &mut value
            && self.valid != Valid::ThrottledReplicas
        {
            let mut seen = std::collections::BTreeSet::new();
            values.retain(|element| seen.insert(element.clone()));
        }
        self.validate(&value)?;
        Ok(value)
    }

    fn parse_type(&self, raw: &str) -> Result<Value, ConfigError> {
        let trimmed = java_trim(raw);
        let refused = |reason: String| ConfigError::invalid(self.name, raw, reason);
        let number = || refused(format!("Not a number of type {}", self.config_type));
        Ok(match self.config_type {
            ConfigType::Boolean if trimmed.eq_ignore_ascii_case("true") => Value::Boolean(true),
            ConfigType::Boolean if trimmed.eq_ignore_ascii_case("false") => Value::Boolean(false),
            ConfigType::Boolean => {
                return Err(refused("Expected value to be either true or false".into()));
            }
            ConfigType::Int => Value::Integer(trimmed.parse::<i32>().map_err(|_| number())?.into()),
            ConfigType::Short => {
                Value::Integer(trimmed.parse::<i16>().map_err(|_| number())?.into())
            }
            ConfigType::Long => Value::Integer(trimmed.parse().map_err(|_| number())?),
            ConfigType::Double => Value::Double(parse_double(trimmed).ok_or_else(number)?),
            ConfigType::List if trimmed.is_empty() => Value::List(Vec::new()),
            ConfigType::List => {
                Value::List(trimmed.split(',').map(|e| java_trim(e).to_owned()).collect())
            }
            ConfigType::String | ConfigType::Class | ConfigType::Password => {
                Value::Text(trimmed.to_owned())
            }
        })
    }

    fn validate(&self, value: &Value) -> Result<(), ConfigError> {
        let refuse = |reason: String| Err(ConfigError::invalid(self.name, value, reason));
        let number = value.number();
        match (self.valid, value) {
            (Valid::AtLeast(least) | Valid::Between(least, _), _) if number < least as f64 => {
                refuse(format!("Value must be at least {least}"))
            }
            (Valid::Between(_, most), _) if number > most as f64 => {
                refuse(format!("Value must be no more than {most}"))
            }
            (Valid::GzipLevel, Value::Integer(level))
                if *level != -1 && !(1..=9).contains(level) =>
            {
                refuse("Value must be between 1 and 9 or equal to -1".into())
            }
            (Valid::OneOf(words), Value::Text(text)) => self.one_of(words, text),
            (Valid::OneOfAnyCase(words), Value::Text(text)) => self.one_of_any_case(words, text),
            (Valid::OffsetReset, Value::Text(text)) if !is_offset_reset(text) => refuse(format!(
                "Invalid value `{text}` for configuration {}. The value must be either \
                     'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'.",
                self.name
            )),
            (Valid::ThrottledReplicas, Value::List(pairs)) => self.throttled_replicas(pairs),
            (Valid::ListOf(_) | Valid::AnyList | Valid::NonEmptyList, Value::List(values)) => {
                self.list(values)
            }
            _ => Ok(()),
        }
    }

    fn one_of(&self, words: &[&str], text: &str) -> Result<(), ConfigError> {
        if words.contains(&text) {
            return Ok(());
        }
        let reason = format!("String must be one of: {}", words.join(", "));
        Err(ConfigError::invalid(self.name, text, reason))
    }

    fn one_of_any_case(&self, words: &[&str], text: &str) -> Result<(), ConfigError> {
        if words.iter().any(|word| word.eq_ignore_ascii_case(text)) {
            return Ok(());
        }
        let reason = format!("String must be one of (case insensitive): {}", words.join(", "));
        Err(ConfigError::invalid(self.name, text, reason))
    }

    fn list(&self, values: &[String]) -> Result<(), ConfigError> {
        let rule = |text: &str| ConfigError::Rule(format!("Configuration '{}' {text}", self.name));
        if values.is_empty() && self.valid == Valid::NonEmptyList {
            return Err(rule("must not be empty. Valid values include: any non-empty value"));
        }
        for value in values {
            if value.is_empty() {
                return Err(rule("values must not be empty."));
            }
            if let Valid::ListOf(words) = self.valid {
                self.one_of(words, value)?;
            }
        }
        Ok(())
    }

    fn throttled_replicas(&self, pairs: &[String]) -> Result<(), ConfigError> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let pair = |text: &String| {
            let split = text.split_once(':');
            text.is_empty() || split.is_some_and(|(left, right)| digits(left) && digits(right))
        };
        if pairs.iter().all(pair) || pairs.concat() == "*" {
            return Ok(());
        }
        let reason = format!(
            "{} must be the literal '*' or a list of replicas in the following format: \
             [partitionId]:[brokerId],[partitionId]:[brokerId],...",
            self.name
        );
        let value = format!("[{}]", pairs.join(", "));
        Err(ConfigError::invalid(self.name, value, reason))
    }

    /// What is allowed, for people: `[1,...]`, `[compact, delete]`; empty where anything is.
    pub fn valid_values(&self) -> String {
        match self.valid {
            Valid::Any if self.config_type == ConfigType::Boolean => "[true, false]".into(),
            Valid::Any | Valid::AnyList => String::new(),
            Valid::AtLeast(minimum) => format!("[{minimum},...]"),
            Valid::Between(minimum, maximum) => format!("[{minimum},...,{maximum}]"),
            Valid::OneOf(words) | Valid::OneOfAnyCase(words) | Valid::ListOf(words) => {
                format!("[{}]", words.join(", "))
            }
            Valid::NonEmptyList => "non-empty list".into(),
            Valid::GzipLevel => "[1,...,9] or -1".into(),
            Valid::OffsetReset => "[latest, earliest, by_duration:PnDTnHnMn.nS]".into(),
            Valid::ThrottledReplicas => "[partitionId]:[brokerId],... or *".into(),
        }
    }

    /// The text as `DescribeConfigs` shows it; the text itself if it cannot be read.
    pub(super) fn canonical(&self, raw: &str) -> String {
        self.parse(raw).map_or_else(|_| raw.to_owned(), |value| value.to_string())
    }
}

impl Value {
    /// An integer's value.
    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// A double's value.
    pub(super) fn double(&self) -> Option<f64> {
        match self {
            Self::Double(value) => Some(*value),
            _ => None,
        }
    }

    /// A boolean's value.
    pub(super) fn boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    /// The number that a range is compared with; none is within every range.
    fn number(&self) -> f64 {
        match self {
            Self::Integer(value) => *value as f64,
            Self::Double(value) => *value,
            _ => f64::NAN,
        }
    }
}

fn is_offset_reset(text: &str) -> bool {
    let ago = |text| duration_seconds(text).is_some_and(|seconds| seconds >= 0.0);
    ["earliest", "latest"].contains(&text) || text.strip_prefix("by_duration:").is_some_and(ago)
}

/// Java's `Duration.parse`: `PnDTnHnMn.nS` in any case of letters, with signs.
pub(crate) fn duration_seconds(text: &str) -> Option<f64> {
    let upper = text.to_ascii_uppercase().replace(',', ".");
    let (sign, unsigned) = match upper.strip_prefix('-') {
        Some(unsigned) => (-1.0, unsigned),
        None => (1.0, upper.strip_prefix('+').unwrap_or(&upper)),
    };
    let (days, time) = match unsigned.strip_prefix('P')?.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None => (unsigned.strip_prefix('P')?, ""),
    };
    let mut total = 0.0;
    for (mut rest, units) in
        [(days, &[('D', 86_400.0)][..]), (time, &[('H', 3_600.0), ('M', 60.0), ('S', 1.0)])]
    {
        for (unit, size) in units {
            if let Some((number, after)) = rest.split_once(*unit) {
                let digits = number.trim_start_matches(['-', '+']);
                let is_part = |byte: u8| byte.is_ascii_digit() || (byte == b'.' && *unit == 'S');
                let is_read = digits.starts_with(|first: char| first.is_ascii_digit())
                    && digits.bytes().all(is_part);
                total += size * number.parse::<f64>().ok().filter(|_| is_read)?;
                rest = after;
            }
        }
        rest.is_empty().then_some(())?;
    }
    (unsigned != "P").then_some(sign * total)
}

/// Java's `String.trim`: blanks and control characters.
fn java_trim(text: &str) -> &str {
    text.trim_matches(|character| character <= ' ')
}

/// Java's `Double.parseDouble`, without infinity and its hexadecimal form.
fn parse_double(text: &str) -> Option<f64> {
    if text == "NaN" {
        return Some(f64::NAN);
    }
    let number = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    let plain = |b: u8| b.is_ascii_digit() || b".eE+-".contains(&b);
    number.bytes().all(plain).then(|| number.parse().ok())?
}

/// All values of one table, read. Keys without a value are absent.
#[derive(Clone, Debug)]
pub(super) struct Values(BTreeMap<&'static str, Value>);

impl Values {
    /// Reads every row, in order, from the text `raw` gives for it.
    pub(super) fn read(
        rows: &'static [Row],
        raw: impl Fn(&Row) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut values = BTreeMap::new();
        for row in rows {
            if let Some(text) = raw(row) {
                values.insert(row.name, row.parse(&text)?);
            }
        }
        Ok(Self(values))
    }

    pub(super) fn boolean(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::boolean).unwrap_or_default()
    }

    pub(super) fn double(&self, name: &str) -> f64 {
        self.0.get(name).and_then(Value::double).unwrap_or_default()
    }

    pub(super) fn integer(&self, name: &str) -> i64 {
        let value = self.optional_integer(name);
        value.unwrap_or_else(|| panic!("no number for {name}: its row lacks a default"))
    }

    pub(super) fn optional_integer(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.integer()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Value::Text(value)) => Some(value),
            _ => None,
        }
    }

    pub(super) fn list(&self, name: &str) -> Option<&[String]> {
        match self.0.get(name) {
            Some(Value::List(values)) => Some(values),
            _ => None,
        }
    }
}
