//! Times as Kafka's tools take them (`Utils.getDateTime`).

/// Milliseconds since the epoch of `2026-01-31T23:59:59.000`, with or without a time zone (`Z`, `+02`, `+0200`, `+02:00`; UTC
/// without), or the text of Java's exception.
pub(super) fn datetime_ms(text: &str) -> Result<i64, String> {
    let Some((_, time)) = text.split_once('T').filter(|(_, time)| !time.is_empty()) else {
        return Err("java.text.ParseException: Error parsing timestamp. It does not contain a 'T' according to ISO8601 \
                    format"
            .into());
    };
    let has_zone = time.contains(['+', '-', 'Z']);
    let text = if has_zone { text.to_owned() } else { format!("{text}Z") };
    parse(&text).ok_or_else(|| format!("java.text.ParseException: Unparseable date: \"{text}\""))
}

fn parse(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let zone_at = time.find(['+', '-', 'Z'])?;
    let (time, zone) = time.split_at(zone_at);
    let (seconds, millis) = time.split_once('.')?;
    let [hour, minute, second] = numbers(seconds, ':')?;
    let [millis] = numbers(millis, '.')?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let in_month = *days.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    let is_time = hour < 24 && minute < 60 && second < 60 && millis < 1000;
    if !(1..=in_month).contains(&day) || !is_time || year > 9999 {
        return None;
    }
    // Days since the epoch, in years that begin with March.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days =
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    Some((seconds - zone_seconds(zone)?) * 1000 + millis)
}

/// So many numbers without signs.
fn numbers<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let number = |part: &str| {
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|_| is_number)
    };
    let numbers: Option<Vec<i64>> = text.split(separator).map(number).collect();
    numbers?.try_into().ok()
}

fn zone_seconds(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let digits = zone[1..].replace(':', "");
    let [number] = numbers(&digits, ':')?;
    let (hours, minutes) = match digits.len() {
        2 => (number, 0),
        4 => (number / 100, number % 100),
        _ => return None,
    };
    let seconds = hours * 3600 + minutes * 60;
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    (hours < 24 && minutes < 60).then_some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::datetime_ms;

    #[test]
    fn times_are_read() {
        assert_eq!(datetime_ms("1970-01-01T00:00:00.000"), Ok(0));
        assert_eq!(datetime_ms("2000-02-29T23:59:59.999Z"), Ok(951_868_799_999));
        assert_eq!(datetime_ms("2026-03-01T00:00:00.000+02:00"), Ok(1_772_316_000_000));
        assert_eq!(datetime_ms("2026-03-01T00:00:00.000-0230"), Ok(1_772_332_200_000));
        assert_eq!(datetime_ms("1969-12-31T23:00:00.000-01"), Ok(0));
    }

    #[test]
    fn others_are_javas_exceptions() {
        let unreadable =
            |text: &str| Err(format!("java.text.ParseException: Unparseable date: \"{text}\""));
        for text in
            ["2026-02-29T00:00:00.000Z", "2026-1-1T00:00:00Z", "xT1Z", "2026-01-01T24:00:00.000Z"]
        {
            assert_eq!(datetime_ms(text), unreadable(text));
        }
        assert_eq!(datetime_ms("2026-01-01T00:00"), unreadable("2026-01-01T00:00Z"));
        assert!(datetime_ms("2026-01-01").unwrap_err().contains("does not contain a 'T'"));
    }
}
