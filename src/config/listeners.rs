//! Listener lists: `NAME://host:port`, separated by commas.

use std::net::IpAddr;

use super::row::ConfigError;

/// A socket to open, or an address to tell clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Name, in capitals.
    pub name: String,
    /// Host name or address, without brackets; None for every interface or, in an advertised
    /// listener, for the address the client used.
    pub host: Option<String>,
    /// Port; 0 takes a free one or, in an advertised listener, means the port that is bound.
    pub port: u16,
}

impl Listener {
    /// Reads one element of a listener list (Kafka: `SocketServerConfigs`).
    fn parse(key: &str, text: &str) -> Result<Self, ConfigError> {
        let refuse = |reason: &str| ConfigError::invalid(key, text, reason);
        let form = "a listener is NAME://host:port, the host may be empty, \
                    the port is 0 to 65535";
        let (name, address) = text.split_once("://").ok_or_else(|| refuse(form))?;
        let (host, port) = address.rsplit_once(':').ok_or_else(|| refuse(form))?;
        let port = port
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| port.parse().ok());
        let port = port.flatten().ok_or_else(|| refuse(form))?;
        let host = host.strip_prefix('[').unwrap_or(host);
        let host = host.strip_suffix(']').unwrap_or(host);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-%._:".contains(&b);
        if name.trim().is_empty() || !host.bytes().all(plain) {
            return Err(refuse(form));
        }
        Ok(Self {
            name: name.to_uppercase(),
            host: (!host.is_empty()).then(|| host.to_owned()),
            port,
        })
    }

    fn address(&self) -> Option<IpAddr> {
        self.host.as_ref()?.parse().ok()
    }
}

/// Reads a list whose names must differ.
pub(super) fn parse_list(key: &str, texts: &[String]) -> Result<Vec<Listener>, ConfigError> {
    let mut listeners: Vec<Listener> = Vec::with_capacity(texts.len());
    for text in texts {
        let listener = Listener::parse(key, text)?;
        if listeners.iter().any(|other| other.name == listener.name) {
            let reason = "Each listener must have a different name";
            return Err(ConfigError::invalid(key, texts.join(","), reason));
        }
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Checks that ports differ. Two listeners may share one if one host is an IPv4 address and the
/// other an IPv6 address (Kafka: `AbstractKafkaConfig.validate`); port 0 never clashes.
pub(super) fn check_ports(key: &str, listeners: &[Listener]) -> Result<(), ConfigError> {
    for (index, listener) in listeners.iter().enumerate() {
        let same: Vec<&Listener> = listeners[index + 1..]
            .iter()
            .filter(|other| other.port == listener.port && other.port != 0)
            .collect();
        let families = match same[..] {
            [] => continue,
            [other] => listener.address().zip(other.address()),
            _ => None,
        };
        if families.is_none_or(|(one, other)| one.is_ipv4() == other.is_ipv4()) {
            let reason = "Each listener must have a different port unless exactly one listener \
                          has an IPv4 address and the other IPv6 address";
            return Err(ConfigError::invalid(key, listener.port, reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Vec<Listener>, ConfigError> {
        let texts: Vec<String> = text.split(',').map(str::to_owned).collect();
        let listeners = parse_list("listeners", &texts)?;
        check_ports("listeners", &listeners)?;
        Ok(listeners)
    }

    #[test]
    fn forms() {
        let one = |text: &str| {
            let listener = list(text).unwrap().remove(0);
            (
                listener.name,
                listener.host.unwrap_or_default(),
                listener.port,
            )
        };
        assert_eq!(
            one("PLAINTEXT://:9092"),
            ("PLAINTEXT".into(), String::new(), 9092)
        );
        assert_eq!(one("tc-0://a.b:0"), ("TC-0".into(), "a.b".into(), 0));
        assert_eq!(one("X://[::1]:1"), ("X".into(), "::1".into(), 1));
        let bad = [
            "",
            "X",
            "X://",
            "X://a",
            "X://a:",
            "X://a:-1",
            "X://a:65536",
            "X://a:+1",
        ];
        for text in bad
            .into_iter()
            .chain(["://a:1", "X://a b:1", "X://a/b:1", "X://a:1/"])
        {
            let error = list(text).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("Invalid value {text} for conf")),
                "{error}"
            );
        }
    }

    #[test]
    fn names_and_ports_differ() {
        for good in [
            "A://:1,B://:2",
            "A://:0,B://:0",
            "A://127.0.0.1:1,B://[::1]:1",
            "A://127.0.0.1:1,B://[::1]:1,C://:2",
        ] {
            assert!(list(good).is_ok(), "{good}");
        }
        for bad in [
            "A://:1,a://:2",
            "A://:1,B://:1",
            "A://x:1,B://y:1",
            "A://127.0.0.1:1,B://127.0.0.2:1",
            "A://127.0.0.1:1,B://:1",
            "A://127.0.0.1:1,B://[::1]:1,C://:1",
        ] {
            assert!(list(bad).is_err(), "{bad}");
        }
    }
}
