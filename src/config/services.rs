//! The built-in services.
//!
//! Owns the table of names and ports, from the IANA registry of service names unless a line says otherwise. Does not contain the
//! user's services.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::model::{Key, Protocol};

/// A port or a range, or an ICMP type and code.
type Ports = (Protocol, i32, i32);

const fn tcp(port: i32) -> Ports {
    (Protocol::Tcp, port, port)
}

const fn udp(port: i32) -> Ports {
    (Protocol::Udp, port, port)
}

/// Name and keys. Of several names for one key, the first is printed.
const TABLE: &[(&str, &[Ports])] = &[
    ("ssh", &[tcp(22)]),
    ("http", &[tcp(80)]),
    ("https", &[tcp(443)]),
    // HTTP/3 runs over QUIC on the same port (RFC 9114).
    ("http3", &[udp(443)]),
    ("rdp", &[tcp(3389)]),
    // Echo requests: type 8 with any code, as the service documents it, and type 128 (RFC 4443).
    (
        "ping",
        &[(Protocol::Icmp, 8, -1), (Protocol::Icmpv6, 128, 0)],
    ),
    ("telnet", &[tcp(23)]),
    ("dns", &[tcp(53), udp(53)]),
    ("dns-over-tls", &[tcp(853)]),
    ("ntp", &[udp(123)]),
    ("snmp", &[udp(161)]),
    ("syslog", &[udp(514)]),
    // Mail.
    ("smtp", &[tcp(25)]),
    ("submission", &[tcp(587)]),
    ("smtps", &[tcp(465)]),
    ("imap", &[tcp(143)]),
    ("imaps", &[tcp(993)]),
    ("pop3", &[tcp(110)]),
    ("pop3s", &[tcp(995)]),
    // Files and directories.
    ("ftp", &[tcp(21)]),
    ("ftps", &[tcp(990)]),
    ("tftp", &[udp(69)]),
    ("nfs", &[tcp(2049)]),
    ("smb", &[tcp(445)]),
    ("rsync", &[tcp(873)]),
    ("git", &[tcp(9418)]),
    ("ldap", &[tcp(389)]),
    ("ldaps", &[tcp(636)]),
    ("kerberos", &[tcp(88), udp(88)]),
    // Databases and caches.
    ("mysql", &[tcp(3306)]),
    ("mariadb", &[tcp(3306)]),
    ("postgres", &[tcp(5432)]),
    ("postgresql", &[tcp(5432)]),
    ("mssql", &[tcp(1433)]),
    // The listener's default (Oracle Database net services guide).
    ("oracle", &[tcp(1521)]),
    ("mongodb", &[tcp(27017)]),
    ("redis", &[tcp(6379)]),
    ("memcached", &[tcp(11211)]),
    // Native CQL (Cassandra documentation).
    ("cassandra", &[tcp(9042)]),
    ("couchdb", &[tcp(5984)]),
    // HTTP and native protocol (ClickHouse documentation).
    ("clickhouse", &[tcp(8123), tcp(9000)]),
    ("elasticsearch", &[tcp(9200)]),
    ("influxdb", &[tcp(8086)]),
    // Dashboards and monitoring, as their documentation sets them.
    ("kibana", &[tcp(5601)]),
    ("grafana", &[tcp(3000)]),
    ("prometheus", &[tcp(9090)]),
    ("node-exporter", &[tcp(9100)]),
    ("zabbix-agent", &[tcp(10050)]),
    // Messages.
    ("rabbitmq", &[tcp(5672)]),
    ("rabbitmq-management", &[tcp(15672)]),
    ("kafka", &[tcp(9092)]),
    ("nats", &[tcp(4222)]),
    ("mqtt", &[tcp(1883)]),
    ("mqtts", &[tcp(8883)]),
    // Tunnels.
    ("wireguard", &[udp(51820)]),
    ("openvpn", &[udp(1194)]),
    // Key exchange, and the same behind address translation (RFC 3947).
    ("ipsec", &[udp(500), udp(4500)]),
    ("tailscale", &[udp(41641)]),
    // Voice and conferences.
    ("sip", &[udp(5060)]),
    ("sips", &[tcp(5061)]),
    ("stun", &[tcp(3478), udp(3478)]),
    // Remote control.
    ("vnc", &[tcp(5900)]),
    // HTTP and HTTPS (Windows Remote Management documentation).
    ("winrm", &[tcp(5985), tcp(5986)]),
    // Machines and clusters. Port 2376 is the one with TLS; 2375 has none and gets no name.
    ("docker", &[tcp(2376)]),
    ("kubernetes-api", &[tcp(6443)]),
    ("etcd", &[tcp(2379)]),
    ("consul", &[tcp(8500)]),
    ("vault", &[tcp(8200)]),
    ("nomad", &[tcp(4646)]),
    // Panels, with TLS, as their documentation sets them.
    ("cpanel", &[tcp(2083)]),
    ("whm", &[tcp(2087)]),
    ("plesk", &[tcp(8443)]),
    ("webmin", &[tcp(10000)]),
    ("cockpit", &[tcp(9090)]),
    // Games.
    ("minecraft", &[tcp(25565)]),
    ("minecraft-bedrock", &[udp(19132)]),
];

static BY_NAME: LazyLock<BTreeMap<&'static str, Vec<Key>>> = LazyLock::new(|| {
    let key = |&(protocol, from, to): &Ports| {
        Key::new(protocol, from, to).expect("a test reads the whole table")
    };
    TABLE
        .iter()
        .map(|(name, ports)| (*name, ports.iter().map(key).collect()))
        .collect()
});

static BY_KEY: LazyLock<BTreeMap<Key, &'static str>> = LazyLock::new(|| {
    let single = TABLE.iter().filter(|(_, ports)| ports.len() == 1);
    single
        .rev()
        .filter_map(|(name, _)| Some((*BY_NAME.get(name)?.first()?, *name)))
        .collect()
});

/// The keys of a built-in service.
pub(crate) fn service_keys(name: &str) -> Option<&'static [Key]> {
    BY_NAME.get(name).map(Vec::as_slice)
}

/// The name of the built-in service with only this key, such as `ssh` for `tcp/22`.
pub(crate) fn service_name(key: Key) -> Option<&'static str> {
    BY_KEY.get(&key).copied()
}

/// The names of all built-in services, sorted.
pub(crate) fn service_names() -> impl Iterator<Item = &'static str> {
    BY_NAME.keys().copied()
}

#[cfg(test)]
mod tests {
    use super::super::names;
    use super::*;

    #[test]
    fn the_whole_table_is_possible() {
        assert_eq!(BY_NAME.len(), TABLE.len(), "a name stands there twice");
        for (name, keys) in BY_NAME.iter() {
            assert!(
                !keys.is_empty() && names::validate_definition(name).is_ok(),
                "{name}"
            );
        }
    }

    #[test]
    fn keys_have_their_usual_names() {
        let name = |protocol, port| service_name(Key::new(protocol, port, port).expect("a key"));
        assert_eq!(name(Protocol::Tcp, 22), Some("ssh"));
        assert_eq!(name(Protocol::Tcp, 5432), Some("postgres"));
        assert_eq!(name(Protocol::Tcp, 3306), Some("mysql"));
        assert_eq!(name(Protocol::Tcp, 9090), Some("prometheus"));
        assert_eq!(name(Protocol::Udp, 53), None);
        assert_eq!(name(Protocol::Tcp, 4), None);
        assert_eq!(service_keys("ping").map(<[Key]>::len), Some(2));
    }
}
