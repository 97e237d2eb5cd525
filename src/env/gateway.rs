//! The default gateway: what a container's clients outside of it come through.

use std::net::{IpAddr, Ipv4Addr};

/// The IPv4 address of the default gateway; None where there is none or the system does not tell.
#[expect(clippy::disallowed_methods, reason = "the file is the kernel's, not the disk's")]
pub fn default_gateway() -> Option<IpAddr> {
    gateway(&std::fs::read_to_string("/proc/net/route").ok()?)
}

/// Reads the kernel's table: of each route a line of name, destination, gateway, ... , the addresses
/// as hexadecimal numbers whose bytes stand in the order of memory.
fn gateway(table: &str) -> Option<IpAddr> {
    let address = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (destination, gateway) = (fields.next()?, fields.next()?);
        let number = u32::from_str_radix(gateway, 16).ok().filter(|number| *number != 0)?;
        (destination == "00000000").then(|| Ipv4Addr::from(number.to_ne_bytes()).into())
    };
    table.lines().skip(1).find_map(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_table_of_a_container() {
        let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n";
        let own = "eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\n";
        let default = "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\n";
        assert_eq!(gateway(&format!("{head}{own}{default}")), Some([172, 17, 0, 1].into()));
        assert_eq!(gateway(&format!("{head}{own}")), None);
        assert_eq!(gateway("nonsense\nx\ny 00000000 zz"), None);
    }
}
