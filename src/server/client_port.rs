//! The port for clients: resolved while the configuration is read, opened once the data is ours.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};

use crate::config::{Config, ConfigError, HostPort};
use crate::net;

/// Where clients shall connect.
#[derive(Debug, Clone)]
pub struct ClientPort {
    /// As the configuration says it.
    said: HostPort,
    /// The key of the host stands in the configuration.
    is_host_said: bool,
    address: SocketAddr,
    /// `clientPortListenBacklog`; -1 is the platform's.
    backlog: i32,
}

impl ClientPort {
    /// Resolves what the configuration says. `None`: it names no port, and no client can connect.
    pub(super) fn resolve(config: &Config) -> Result<Option<ClientPort>, ConfigError> {
        const KEY: &str = "clientPortAddress";
        let Some(said) = config.client.clone() else { return Ok(None) };
        let unresolvable = |cause: &str| ConfigError::unresolvable(config, KEY, &said.host, cause);
        let address = (said.host.as_str(), said.port)
            .to_socket_addrs()
            .map_err(|e| unresolvable(&e.to_string()))?
            .next()
            .ok_or_else(|| unresolvable("no address belongs to this name"))?;
        let is_host_said = config.settings.get(KEY).is_some();
        let backlog = config.network.listen_backlog.unwrap_or(-1);
        Ok(Some(ClientPort { said, is_host_said, address, backlog }))
    }

    /// Listens there.
    pub(super) fn open(&self, config: &Config) -> Result<TcpListener, ConfigError> {
        tracing::info!("binding to port {}", self.java_form());
        let opened = if self.said.is_any() {
            net::bind_any(self.said.port, self.backlog)
        } else {
            net::bind(self.address, self.backlog)
        };
        opened.map_err(|e| {
            ConfigError::cannot_listen(config, "clientPort", &self.said, &e.to_string())
        })
    }

    /// `InetSocketAddress.toString`: name, slash, number, port. Scripts wait for this text.
    fn java_form(&self) -> String {
        let port = self.said.port;
        let number = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => {
                let groups = ip.segments().map(|group| format!("{group:x}"));
                format!("[{}]", groups.join(":"))
            }
        };
        if !self.is_host_said {
            let any = Ipv4Addr::UNSPECIFIED;
            return format!("{any}/{any}:{port}");
        }
        let host = self.said.host.trim_start_matches('[').trim_end_matches(']');
        let name = if host.parse::<IpAddr>().is_ok() { "" } else { host };
        format!("{name}/{}:{port}", number(self.address.ip()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::JvmFlags;

    fn java_form(lines: &str) -> String {
        let text = format!("dataDir=/x\nclientPort=2181\n{lines}");
        let read = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let (config, _) =
            Config::parse("zoo.cfg", text.as_bytes(), &JvmFlags::default(), &read).unwrap();
        ClientPort::resolve(&config).unwrap().unwrap().java_form()
    }

    #[test]
    fn addresses_look_as_java_prints_them() {
        assert_eq!(java_form(""), "0.0.0.0/0.0.0.0:2181");
        assert_eq!(java_form("clientPortAddress=127.0.0.1\n"), "/127.0.0.1:2181");
        assert_eq!(java_form("clientPortAddress=::1\n"), "/[0:0:0:0:0:0:0:1]:2181");
        assert!(java_form("clientPortAddress=localhost\n").starts_with("localhost/"));
    }
}
