//! Listener lists: `NAME://host:port`, separated by commas, and the rules between them.

use std::net::IpAddr;

use super::row::{ConfigError, Values};

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
        let port = port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse().ok());
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

/// The listeners of a configuration, by what is done with them.
pub(super) struct Sockets {
    /// To open.
    pub(super) broker: Vec<Listener>,
    /// To tell clients.
    pub(super) advertised: Option<Vec<Listener>>,
    /// To name in the metadata.
    pub(super) controller: Option<Listener>,
}

impl Sockets {
    /// Sorts and checks them by Kafka's rules for a broker (`KafkaConfig.validateValues`).
    pub(super) fn read(values: &Values) -> Result<Self, ConfigError> {
        let list = |key| values.list(key).unwrap_or_default();
        let names = list("controller.listener.names").iter();
        let names: Vec<String> = names.map(|name| name.to_uppercase()).collect();
        let split = |listeners: Vec<Listener>| -> (Vec<Listener>, Vec<Listener>) {
            listeners.into_iter().partition(|listener| names.contains(&listener.name))
        };
        let all = parse_list("listeners", list("listeners"))?;
        check_ports(&all)?;
        let (controller, broker) = split(all.clone());
        if broker.is_empty() {
            let reason = "at least one must not be named in controller.listener.names";
            return Err(ConfigError::invalid("listeners", list("listeners").join(","), reason));
        }
        check_protocols(values, &broker)?;
        let advertised = parse_list("advertised.listeners", list("advertised.listeners"))?;
        let told = !advertised.is_empty();
        let (told_controller, advertised) = split(advertised);
        if told {
            check_advertised(&advertised, &all)?;
        }
        let inter_broker = values.text("inter.broker.listener.name").unwrap_or_default();
        let candidates = if told { &advertised } else { &broker };
        if !inter_broker.is_empty() {
            check_name("inter.broker.listener.name", &inter_broker.to_uppercase(), candidates)?;
        }
        Ok(Self {
            broker,
            advertised: told.then_some(advertised),
            controller: told_controller.into_iter().chain(controller).next(),
        })
    }
}

/// Each listener to open needs a protocol, and it must be `PLAINTEXT` (Kafka:
/// `effectiveListenerSecurityProtocolMap`).
fn check_protocols(values: &Values, broker: &[Listener]) -> Result<(), ConfigError> {
    let key = "listener.security.protocol.map";
    let text = values.text(key).unwrap_or_default().to_uppercase();
    let mut protocols = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let pair = entry.rsplit_once(':').map(|(name, protocol)| (name.trim(), protocol.trim()));
        let Some(pair @ (_, "PLAINTEXT" | "SSL" | "SASL_PLAINTEXT" | "SASL_SSL")) = pair else {
            let reason = "an entry is NAME:PROTOCOL, the protocol PLAINTEXT, SSL, \
                          SASL_PLAINTEXT or SASL_SSL";
            return Err(ConfigError::invalid(key, entry, reason));
        };
        protocols.push(pair);
    }
    for listener in broker {
        let reason = match protocols.iter().rfind(|(name, _)| *name == listener.name) {
            Some((_, "PLAINTEXT")) => continue,
            Some((_, protocol)) => format!("{protocol} is not supported yet, only PLAINTEXT is"),
            None => format!("No security protocol defined for it in {key}"),
        };
        return Err(ConfigError::invalid("listeners", &listener.name, reason));
    }
    Ok(())
}

fn check_advertised(advertised: &[Listener], all: &[Listener]) -> Result<(), ConfigError> {
    let key = "advertised.listeners";
    if advertised.is_empty() {
        let reason = "There must be at least one broker advertised listener";
        return Err(ConfigError::invalid(key, "", reason));
    }
    for listener in advertised {
        check_name(key, &listener.name, all)?;
        if listener.host.as_deref() == Some("0.0.0.0") {
            let reason = "clients cannot connect to 0.0.0.0: name a host or address of this node";
            return Err(ConfigError::invalid(key, "0.0.0.0", reason));
        }
    }
    Ok(())
}

fn check_name(key: &str, name: &str, listeners: &[Listener]) -> Result<(), ConfigError> {
    let names: Vec<&str> = listeners.iter().map(|listener| listener.name.as_str()).collect();
    if names.contains(&name) {
        return Ok(());
    }
    let reason = format!("it must name one of these listeners: {}", names.join(","));
    Err(ConfigError::invalid(key, name, reason))
}

/// Reads a list whose names must differ.
fn parse_list(key: &str, texts: &[String]) -> Result<Vec<Listener>, ConfigError> {
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
fn check_ports(listeners: &[Listener]) -> Result<(), ConfigError> {
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
            return Err(ConfigError::invalid("listeners", listener.port, reason));
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
        check_ports(&listeners)?;
        Ok(listeners)
    }

    #[test]
    fn forms() {
        let one = |text: &str| {
            let listener = list(text).unwrap().remove(0);
            (listener.name, listener.host.unwrap_or_default(), listener.port)
        };
        assert_eq!(one("PLAINTEXT://:9092"), ("PLAINTEXT".into(), String::new(), 9092));
        assert_eq!(one("tc-0://a.b:0"), ("TC-0".into(), "a.b".into(), 0));
        assert_eq!(one("X://[::1]:1"), ("X".into(), "::1".into(), 1));
        let bad = ["", "X", "X://", "X://a", "X://a:", "X://a:-1", "X://a:65536", "X://a:+1"];
        for text in bad.into_iter().chain(["://a:1", "X://a b:1", "X://a/b:1", "X://a:1/"]) {
            let error = list(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("Invalid value {text} for conf")), "{error}");
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
